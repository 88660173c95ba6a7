"""The shop's rows, made anew from nothing: the same bytes on every machine and Python.

`batches(scale)` yields them month by month, as text for COPY, so that a million orders need no
more memory than their customers and their busiest month.
"""

import hashlib
from collections.abc import Iterator, Sequence

from course.shop.baskets import Baskets, Line, Shelf, is_outlier, shelf
from course.shop.buyers import Buyers
from course.shop.catalogue import products
from course.shop.dice import Dice, deck
from course.shop.people import Population, customer_rows, population
from course.shop.seasons import (
    DAY_SECONDS,
    DAY_TEXTS,
    day_number,
    months,
    order_times,
    orders_by_month,
    timestamp,
)
from course.shop.truths import (
    CANCELLED,
    CHANNEL_SHARES,
    DEFAULT_SCALE,
    EVENTS_FROM,
    LARGEST_SCALE,
    REFUNDED,
    SMALLEST_SCALE,
    TABLES,
    Kind,
)
from course.shop.visits import Purchase, Visits

SEED = 20251026

Batch = tuple[str, list[str]]  # a table and rows for it, each a line of COPY's text format


def batches(scale: int = DEFAULT_SCALE) -> Iterator[Batch]:
    """All rows of a shop with `scale` orders; ValueError outside SMALLEST_SCALE … LARGEST_SCALE."""
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise ValueError(f"scale must be from {SMALLEST_SCALE} to {LARGEST_SCALE}, not {scale}")
    yield "customers", list(customer_rows(scale))
    yield "products", list(product_rows())
    yield from Ledger(scale).batches()


def product_rows() -> Iterator[str]:
    """The rows of the table products."""
    for product in products():
        yield (
            f"{product.number}\t{product.name}\t{product.category}\t{euros(product.price)}\t"
            f"{euros(product.cost)}\t{product.attributes}\t{product.added_on}\t"
            f"{product.discontinued_on or chr(92) + 'N'}\n"
        )


def euros(cents: int) -> str:
    """Cents as text in euros: 1205 is 12.05."""
    return f"{cents // 100}.{cents % 100:02d}"


class Ledger:
    """The orders of all months, with their items and the visits behind them."""

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._people: Population = population(scale)
        self._dice = Dice(SEED)
        self._buyers = Buyers(self._people, Dice(SEED + 1))
        self._baskets = Baskets(Dice(SEED + 2))
        self._visits = Visits(self._people, Dice(SEED + 3))
        self._channels = deck(self._dice, CHANNEL_SHARES)
        self._statuses = {channel: self._status_deck(channel) for channel in CHANNEL_SHARES}
        self._last_order = 0

    def _status_deck(self, channel: str) -> Iterator[str]:
        cancelled, refunded = CANCELLED[channel], REFUNDED[channel]
        rest = 1000 - cancelled - refunded
        counts = {"cancelled": cancelled, "refunded": refunded, "completed": rest}
        return deck(self._dice, counts)

    def batches(self) -> Iterator[Batch]:
        """Orders and items month by month, events day by day."""
        for month, count in zip(months(), orders_by_month(self._scale), strict=True):
            times = order_times(month, count, self._dice)
            buyers = self._buyers.in_month(month, times)
            goods = shelf(DAY_TEXTS[month.first_day])
            orders, items, purchases = self._month(times, buyers, goods)
            yield "orders", orders
            yield "order_items", items
            first = max(month.first_day, day_number(EVENTS_FROM))
            for day in range(first, month.first_day + month.days):
                yield "web_events", self._visits.on_day(day, purchases.get(day, []), goods)

    def _month(
        self, times: Sequence[int], buyers: Sequence[int], goods: Shelf
    ) -> tuple[list[str], list[str], dict[int, list[Purchase]]]:
        """Rows of orders and of items, and each day's purchases on the site and in the app."""
        orders: list[str] = []
        items: list[str] = []
        purchases: dict[int, list[Purchase]] = {}
        for second, customer in zip(times, buyers, strict=True):
            self._last_order += 1
            number, day = self._last_order, second // DAY_SECONDS
            vip, outlier = self._people.kinds[customer] is Kind.VIP, is_outlier(number)
            lines = self._baskets.fill(goods, vip, outlier)
            total = self._items(items, number, lines, DAY_TEXTS[day])
            channel = next(self._channels)
            status = "completed" if outlier else next(self._statuses[channel])
            orders.append(
                f"{number}\t{customer + 1}\t{timestamp(second)}\t{status}\t{channel}\t"
                f"{euros(total)}\n"
            )
            if channel != "store":
                bought = [product for product, _ in lines]
                purchase = Purchase(number, customer, second, bought)
                purchases.setdefault(day, []).append(purchase)
        return orders, items, purchases

    def _items(self, items: list[str], number: int, lines: list[Line], day: str) -> int:
        """Add the rows of an order's lines to `items`; returns the total in cents."""
        total = 0
        for line, (product, quantity) in enumerate(lines, start=1):
            price = product.price_on(day)
            total += price * quantity
            items.append(f"{number}\t{line}\t{product.number}\t{quantity}\t{euros(price)}\n")
        return total


def digest(scale: int = DEFAULT_SCALE) -> str:
    """The SHA-256 of the data: of each table's text in turn, the tables in the order of TABLES."""
    tables = {table: hashlib.sha256() for table in TABLES}
    for table, rows in batches(scale):
        tables[table].update("".join(rows).encode("ascii"))
    return hashlib.sha256(
        "".join(f"{table} {sha.hexdigest()}\n" for table, sha in tables.items()).encode("ascii")
    ).hexdigest()
