"""The shop as frames, for those who explore it; serving has no use for them."""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from course import connect
from course.settings import TODAY
from shop_profile.history import Purchase
from shop_profile.lifetime import DAYS_A_WEEK

ORDERS = """
    SELECT customer_id, order_id, %(today)s - (ordered_at AT TIME ZONE 'UTC')::date AS ago,
           total::float
    FROM orders ORDER BY order_id
"""
CUSTOMERS = """
    WITH seen AS (
        SELECT customer_id, registration_date, order_id,
               %(today)s - registration_date AS registered,
               %(today)s - (ordered_at AT TIME ZONE 'UTC')::date AS ago
        FROM customers
        LEFT JOIN orders USING (customer_id)
    )
    SELECT customer_id, registration_date AS registered_on, registered,
           coalesce(min(ago), registered) AS recency, count(order_id) AS orders,
           count(*) FILTER (WHERE ago < 365) AS last_year
    FROM seen
    GROUP BY customer_id, registration_date, registered
    ORDER BY customer_id
"""
PURCHASES = """
    SELECT customer_id, order_id, product_id, (quantity * unit_price)::float, ordered_at
    FROM orders JOIN order_items USING (order_id) ORDER BY order_id, line_number
"""
LINES = """
    SELECT order_id, %(today)s - (ordered_at AT TIME ZONE 'UTC')::date AS ago, name
    FROM orders JOIN order_items USING (order_id) JOIN products USING (product_id) ORDER BY 1, 3
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything until today, days as numbers: so many days before today."""

    customers: pd.DataFrame  # index customer_id; registered_on, and in days or numbers:
    # registered, recency (of the last order, else of the registration), orders, last_year
    orders: pd.DataFrame  # customer_id, order_id, ago, total in euros; of any status
    lines: pd.DataFrame  # order_id, ago, name of the product


def ask(query: str, *values: Any, **named: Any) -> pd.DataFrame:
    """The rows of a query as a frame; values for %s, or named ones for %(name)s."""
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(query, named or values)
        return pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])


def read_shop() -> Shop:
    """The whole shop: 2,000 customers, 20,000 orders and 50,000 lines are 10 MB."""
    customers = ask(CUSTOMERS, today=TODAY).set_index("customer_id")
    return Shop(customers, ask(ORDERS, today=TODAY), ask(LINES, today=TODAY))


def purchases_by_customer() -> dict[int, list[Purchase]]:
    """What each customer bought, as the engine takes it; [] for who bought nothing."""
    purchases: defaultdict[int, list[Purchase]] = defaultdict(list)
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(PURCHASES)
        for customer_id, *purchase in cursor:
            purchases[customer_id].append(Purchase(*purchase))
    return purchases


def buyers_as_of(orders: pd.DataFrame, ago: int) -> pd.DataFrame:
    """Who had bought by `ago` days before today, by customer_id, as BG/NBD and Gamma-Gamma ask.

    `days` with a purchase, their mean `value` in euros, `x` repeats, and in weeks: `t_x` from the
    first day to the last, and `age` since the first.
    """
    daily = orders[orders.ago >= ago].groupby(["customer_id", "ago"]).total.sum().reset_index("ago")
    by = daily.groupby("customer_id")
    first, last = by.ago.max(), by.ago.min()
    columns = {"days": by.size(), "value": by.total.mean(), "x": by.size() - 1}
    weeks = {"t_x": (first - last) / DAYS_A_WEEK, "age": (first - ago) / DAYS_A_WEEK}
    return pd.DataFrame(columns | weeks)


def came_after(orders: pd.DataFrame, ago: int, days: int, index: pd.Index) -> pd.DataFrame:
    """What the `days` after brought for each customer of `index`: purchase `days` and `euros`."""
    later = orders[(orders.ago < ago) & (orders.ago >= ago - days)].groupby("customer_id")
    found = pd.DataFrame({"days": later.ago.nunique(), "euros": later.total.sum()})
    return found.reindex(index, fill_value=0)


def meetings(lines: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """How many orders hold both of two products, how many would by chance, and the share of each.

    Arrays of (products, products), the diagonal of the first 0, and (products,).
    """
    held = pd.crosstab(lines.order_id, lines.name).clip(upper=1).astype(float)
    both, alone = (held.T @ held).to_numpy(copy=True), held.sum().to_numpy()
    np.fill_diagonal(both, 0)
    by_chance = np.outer(alone, alone) / len(held)
    return pd.DataFrame(both, held.columns, held.columns), by_chance, alone / len(held)
