"""The shop's tables as pandas frames: what the independent answers are computed from."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd
import psycopg2.extensions as pg

from course.settings import TODAY

NOW = pd.Timestamp(TODAY)


@dataclass
class Shop:
    """The five tables; times are UTC without a zone, money is whole cents."""

    customers: pd.DataFrame
    products: pd.DataFrame
    orders: pd.DataFrame
    order_items: pd.DataFrame
    web_events: pd.DataFrame

    @cached_property
    def orders_of(self) -> dict[int, list[Any]]:
        """The orders of each customer in the order of time, each with its `day`."""
        found: dict[int, list[Any]] = defaultdict(list)
        orders = self.orders.assign(day=self.orders.ordered_at.dt.normalize())
        for order in orders.sort_values(["ordered_at", "order_id"]).itertuples():
            found[order.customer_id].append(order)
        return found

    @cached_property
    def lines_of(self) -> dict[int, list[tuple[int, int]]]:
        """The (product_id, quantity) of each order."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for order, product, quantity, _ in self.order_items.itertuples(index=False):
            found[order].append((product, quantity))
        return found


def frame(connection: pg.connection, query: str) -> pd.DataFrame:
    """The answer of a query; exact numbers become floats, dates and times pandas' own."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description or ()]
        rows = [[_plain(value) for value in row] for row in cursor]
    answer = pd.DataFrame(rows, columns=names)
    for name, kind in zip(names, cursor.description or (), strict=True):
        if kind.type_code == 1082:  # date
            answer[name] = pd.to_datetime(answer[name])
        elif kind.type_code == 1184:  # timestamptz
            answer[name] = pd.to_datetime(answer[name], utc=True).dt.tz_localize(None)
        elif kind.type_code in (20, 23, 1700):  # whole and exact numbers
            answer[name] = pd.to_numeric(answer[name])
    return answer


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def read_shop(connection: pg.connection) -> Shop:
    """Read the five tables."""
    tables = {
        "customers": "SELECT * FROM customers ORDER BY customer_id",
        "products": "SELECT product_id, name, category, price FROM products ORDER BY product_id",
        "orders": "SELECT order_id, customer_id, ordered_at, status, channel,"
        " (total * 100)::bigint AS cents FROM orders ORDER BY order_id",
        "order_items": "SELECT order_id, product_id, quantity,"
        " (unit_price * 100)::bigint AS cents FROM order_items ORDER BY order_id, line_number",
        "web_events": "SELECT * FROM web_events ORDER BY event_id",
    }
    return Shop(**{name: frame(connection, query) for name, query in tables.items()})
