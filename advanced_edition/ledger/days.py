"""Days as numbers, months, and three ways in which banks count the days of a year."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

HOUR, DAY = 3_600, 86_400  # seconds
EPOCH = date(1970, 1, 1).toordinal()


def moment(text: str) -> int:
    """Seconds since 1970 of '2025-10-26' or '2025-10-26 09:30', in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def date_of(day: int) -> date:
    """The date that is `day` days after 1970-01-01."""
    return date.fromordinal(EPOCH + day)


@lru_cache(maxsize=4_096)
def month_of(day: int) -> int:
    """The month of a day, counted from the year 0: two days share it or they don't."""
    found = date_of(day)
    return found.year * 12 + found.month - 1


def actual_365(start: int, end: int) -> Decimal:
    """Actual/365 fixed: the days that passed, over 365 in a leap year as well."""
    return Decimal(end - start) / 365


def actual_360(start: int, end: int) -> Decimal:
    """Actual/360, usual on money markets: the days that passed, over a shorter year."""
    return Decimal(end - start) / 360


def thirty_360(start: int, end: int) -> Decimal:
    """30/360 (bond basis): every month has 30 days.

    The rule for the 31st is that of ISDA 2006, 4.16(f): it counts as the 30th, at the end only if
    the start is the 30th or 31st.
    """
    first, last = date_of(start), date_of(end)
    first_day = min(first.day, 30)
    last_day = 30 if last.day == 31 and first_day == 30 else last.day
    months = (last.year - first.year) * 12 + last.month - first.month
    return Decimal(months * 30 + last_day - first_day) / 360
