"""US federal holidays, by their rules, and how far a day is from the next one."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

MONDAY, THURSDAY = 0, 3
NEVER_NEAR = 7


def nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th `weekday` (0 is Monday) of a month; n = -1 is the last."""
    if n < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


@cache
def holidays(year: int) -> frozenset[date]:
    """The federal holidays of a year (5 U.S.C. 6103), on the dates themselves."""
    return frozenset(
        {
            date(year, 1, 1),
            nth(year, 1, MONDAY, 3),
            nth(year, 2, MONDAY, 3),
            nth(year, 5, MONDAY, -1),
            date(year, 6, 19),
            date(year, 7, 4),
            nth(year, 9, MONDAY, 1),
            nth(year, 10, MONDAY, 2),
            date(year, 11, 11),
            nth(year, 11, THURSDAY, 4),
            date(year, 12, 25),
        }
    )


def is_holiday(day: date) -> bool:
    """Whether `day` is a federal holiday."""
    return day in holidays(day.year)


@cache
def days_from_holiday(day: date) -> int:
    """Days to the nearest federal holiday, before or after; 7 stands for a week and more."""
    for distance in range(NEVER_NEAR):
        step = timedelta(days=distance)
        if is_holiday(day - step) or is_holiday(day + step):
            return distance
    return NEVER_NEAR
