"""What a customer did until a day, in the few figures that the models read.

Fitting and serving call the same function, so a model never sees a figure at training that means
something else when it answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

YEAR = 365  # days


@dataclass(frozen=True, slots=True)
class Purchase:
    """A line of an order: `amount` is quantity times price in euros, `at` a day or a moment.

    A moment without a time zone counts as UTC.
    """

    order_id: int
    product_id: int
    amount: float
    at: date | datetime


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A customer as known at the end of a day; days are whole numbers, money is in euros."""

    registered_ago: int
    recency: int  # days since the last order, or since registration when there is none
    orders: int
    orders_last_year: int
    purchase_days: int  # days with at least one order: two orders of a day are one decision
    first_ago: int  # days since the first order; 0 when there is none
    day_value: float  # mean euros of a purchase day; 0 when there is none


def day_of(moment: date | datetime) -> date:
    """The UTC day of a moment; a day is its own."""
    if not isinstance(moment, datetime):
        return moment
    return moment.astimezone(UTC).date() if moment.tzinfo else moment.date()


def behaviour(orders: Sequence[tuple[date, float]], registered_on: date, as_of: date) -> Behaviour:
    """Sum up `orders`, each a day and its euros; ValueError for what can't have been known."""
    registered_ago = (as_of - registered_on).days
    if registered_ago < 0:
        raise ValueError(f"registered on {registered_on}, after {as_of}: ask for a later day")
    if not orders:
        return Behaviour(registered_ago, registered_ago, 0, 0, 0, 0, 0.0)
    days = {day for day, _ in orders}
    first, last = min(days), max(days)
    if last > as_of:
        raise ValueError(f"an order of {last} is after {as_of}: pass only what was known then")
    if first < registered_on:
        raise ValueError(f"an order of {first} is before the registration on {registered_on}")
    return Behaviour(
        registered_ago=registered_ago,
        recency=(as_of - last).days,
        orders=len(orders),
        orders_last_year=sum((as_of - day).days < YEAR for day, _ in orders),
        purchase_days=len(days),
        first_ago=(as_of - first).days,
        day_value=sum(euros for _, euros in orders) / len(days),
    )
