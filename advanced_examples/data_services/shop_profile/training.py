"""How the engine learns: what it reads, and which days it may look at for which part.

Features are as of a day, targets lie after it, and both end on or before `as_of`.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from shop_profile.affinity import Affinity, fit_affinity
from shop_profile.churn import WINDOW, ChurnModel, fit_churn
from shop_profile.history import YEAR, Behaviour, behaviour
from shop_profile.lifetime import LifetimeModel, fit_lifetime

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

WINDOWS = 6  # so many windows of 90 days teach the churn model
SHORTEST = 2 * YEAR  # days: a year to learn from and a year to hold the answer against

ORDERS = """
    SELECT customer_id, (ordered_at AT TIME ZONE 'UTC')::date, total::float
    FROM orders
    WHERE ordered_at < (%s + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY ordered_at, order_id
"""
CUSTOMERS = """
    SELECT customer_id, registration_date
    FROM customers
    WHERE registration_date <= %s
    ORDER BY customer_id
"""
BASKETS = """
    SELECT (ordered_at AT TIME ZONE 'UTC')::date, array_agg(product_id ORDER BY product_id)
    FROM orders
    JOIN order_items USING (order_id)
    WHERE ordered_at < (%s + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY order_id, ordered_at
    ORDER BY order_id
"""
PRODUCTS = """
    SELECT product_id, coalesce(discontinued_on > %s, true)
    FROM products
    WHERE added_on <= %s
    ORDER BY product_id
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """The customers' registrations and orders, from which any earlier day can be seen."""

    registered: dict[int, date]
    orders: dict[int, list[tuple[date, float]]]  # of each customer: day and euros, ascending

    @classmethod
    def read(cls, connection: "Connection", as_of: date) -> "Journal":
        """What was known at the end of `as_of`."""
        orders = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(CUSTOMERS, (as_of,))
            registered = dict(cursor.fetchall())
            cursor.execute(ORDERS, (as_of,))
            for customer_id, day, euros in cursor.fetchall():
                orders[customer_id].append((day, euros))
        return cls(registered, dict(orders))

    def as_of(self, day: date) -> dict[int, Behaviour]:
        """Every customer registered by `day`, as known at its end."""
        return {
            customer_id: behaviour(
                [order for order in self.orders.get(customer_id, ()) if order[0] <= day],
                registered_on,
                day,
            )
            for customer_id, registered_on in self.registered.items()
            if registered_on <= day
        }

    def after(self, day: date, days: int) -> dict[int, list[tuple[date, float]]]:
        """The orders of the `days` after `day`, of each customer who had any."""
        end = day + timedelta(days)
        found = {
            customer_id: [order for order in orders if day < order[0] <= end]
            for customer_id, orders in self.orders.items()
        }
        return {customer_id: orders for customer_id, orders in found.items() if orders}


def fit_parts(connection: "Connection", as_of: date) -> tuple[ChurnModel, LifetimeModel, Affinity]:
    """The three parts of the engine; ValueError when the history is too short."""
    journal = Journal.read(connection, as_of)
    first = min((orders[0][0] for orders in journal.orders.values()), default=as_of)
    if (as_of - first).days < SHORTEST:
        raise ValueError(
            f"the orders known on {as_of} go back to {first}: fitting needs {SHORTEST} days"
        )
    return _churn(journal, as_of), _lifetime(journal, as_of), _affinity(connection, as_of)


def _churn(journal: Journal, as_of: date) -> ChurnModel:
    windows = []
    for number in range(WINDOWS, 0, -1):
        day = as_of - timedelta(WINDOW * number)
        came = journal.after(day, WINDOW)
        windows.append(
            [(customer, key not in came) for key, customer in journal.as_of(day).items()]
        )
    return fit_churn(windows)


def _lifetime(journal: Journal, as_of: date) -> LifetimeModel:
    a_year_ago = as_of - timedelta(YEAR)
    came = journal.after(a_year_ago, YEAR)
    past = [
        (customer, _days_and_euros(came.get(key, []))) for key, customer in
        journal.as_of(a_year_ago).items()
    ]  # fmt: skip
    return fit_lifetime(list(journal.as_of(as_of).values()), past)


def _days_and_euros(orders: list[tuple[date, float]]) -> tuple[int, float]:
    return len({day for day, _ in orders}), sum(euros for _, euros in orders)


def _affinity(connection: "Connection", as_of: date) -> Affinity:
    with connection.cursor() as cursor:
        cursor.execute(BASKETS, (as_of,))
        baskets = cursor.fetchall()
        cursor.execute(PRODUCTS, (as_of, as_of))
        on_sale = dict(cursor.fetchall())
    since = as_of - timedelta(YEAR)
    return fit_affinity(
        product_ids=list(on_sale),
        baskets=[basket for _, basket in baskets],
        recent=[basket for day, basket in baskets if day > since],
        on_sale=[product_id for product_id, offered in on_sale.items() if offered],
    )
