"""A hundred questions in one: the list travels as an array, the answer is grouped."""

from decimal import Decimal

from psycopg2.extensions import connection as Connection  # noqa: N812

TOTALS = """
    SELECT customer_id, sum(total)
    FROM orders
    WHERE customer_id = ANY(%s)
    GROUP BY customer_id
"""


def totals_of(connection: Connection, customer_ids: list[int]) -> dict[int, Decimal]:
    """What each of the customers ever ordered, in euros; 0 for those who never did."""
    totals = dict.fromkeys(customer_ids, Decimal(0))
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, (customer_ids,))
        totals.update(cursor.fetchall())
    return totals
