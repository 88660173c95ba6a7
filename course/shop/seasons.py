"""When orders are placed: the months and days of the shop and how many orders each of them has."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from course.shop.dice import Dice, apportion
from course.shop.truths import FIRST_DAY, GROWTH_PER_MONTH, LAST_DAY, MONTH_INDEX, WEEKDAY_INDEX

DAYS = tuple(
    FIRST_DAY + timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 1)
)
DAY_TEXTS = tuple(day.isoformat() for day in DAYS)
MINUTE_TEXTS = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60))
DAY_SECONDS = 86_400

OPENS = 8
# How busy the hours from OPENS on are; lunch and the evening stand out.
HOURS = (20, 35, 50, 60, 80, 75, 55, 50, 55, 70, 95, 110, 105, 60)
# The first second of each hour, as often as the hour is busy.
STARTS = tuple(hour * 3600 for hour, busy in enumerate(HOURS, start=OPENS) for _ in range(busy))


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of the shop; months and days are numbered from FIRST_DAY."""

    number: int
    first_day: int
    days: int

    @property
    def name(self) -> int:
        """The calendar month, 1 to 12."""
        return DAYS[self.first_day].month


def day_number(day: date) -> int:
    """`day` counted from the first day of the shop, which is 0."""
    return (day - FIRST_DAY).days


def month_number(day: date) -> int:
    """The calendar month of `day` counted from the first month of the shop, which is 0."""
    return (day.year - FIRST_DAY.year) * 12 + day.month - FIRST_DAY.month


@cache
def months() -> tuple[Month, ...]:
    """All months; the first begins on FIRST_DAY and the last ends on LAST_DAY."""
    numbers = [month_number(day) for day in DAYS]
    return tuple(
        Month(number, numbers.index(number), numbers.count(number))
        for number in range(numbers[-1] + 1)
    )


def orders_by_month(scale: int) -> list[int]:
    """How `scale` orders spread over the months: days, season and growth."""
    weights, level = [], 10**9
    for month in months():
        days = DAYS[month.first_day : month.first_day + month.days]
        weekdays = sum(WEEKDAY_INDEX[day.weekday()] for day in days)
        weights.append(level * weekdays * MONTH_INDEX[month.name - 1])
        level = level * (1000 + GROWTH_PER_MONTH) // 1000
    return apportion(scale, weights)


def order_times(month: Month, orders: int, dice: Dice) -> list[int]:
    """When the `orders` of `month` are placed: ascending, in seconds since FIRST_DAY began."""
    days = range(month.first_day, month.first_day + month.days)
    # Some days are luckier than others, by up to 15 %.
    weights = [WEEKDAY_INDEX[DAYS[day].weekday()] * dice.between(850, 1150) for day in days]
    times = [
        day * DAY_SECONDS + second_of_day(dice)
        for day, count in zip(days, apportion(orders, weights), strict=True)
        for _ in range(count)
    ]
    return sorted(times)


def second_of_day(dice: Dice) -> int:
    """A second while the shop is open, more likely at busy hours."""
    return dice.pick(STARTS) + dice.below(3600)


def timestamp(second: int) -> str:
    """`second` since FIRST_DAY began, as text for a timestamptz in UTC."""
    day, second = divmod(second, DAY_SECONDS)
    minute, second = divmod(second, 60)
    return f"{DAY_TEXTS[day]} {MINUTE_TEXTS[minute]}:{second:02d}+00"
