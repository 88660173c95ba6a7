"""The same answer, in one journey (statements are counted, no clock is used)."""

from contextlib import closing
from decimal import Decimal

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from course import connect
from course.exercises import expect, require

TABLE = """
    CREATE TEMP TABLE orders (order_id int, customer_id int, total numeric);
    INSERT INTO orders SELECT n, n % 90, 10 FROM generate_series(0, 899) AS n;
"""


class CountingCursor(Cursor):
    """Counts the statements that it sends."""

    statements = 0

    def execute(self, *arguments):
        CountingCursor.statements += 1
        return super().execute(*arguments)


def ask(their, customer_ids):
    """(the answer, how many statements it took)."""
    with closing(connect.postgres(cursor_factory=CountingCursor)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
        CountingCursor.statements = 0
        return their.totals_of(connection, customer_ids), CountingCursor.statements


def check_answer(their):
    """Totals of those who ordered, 0 for the others"""
    answer, _ = ask(their, [3, 95, 7])
    expect(answer, {3: Decimal(100), 95: Decimal(0), 7: Decimal(100)}, "Customer 95 has no orders.")
    expect(ask(their, [])[0], {}, "Nobody asked for, nothing to answer.")


def check_journeys(their):
    """A hundred customers in one statement"""
    answer, statements = ask(their, list(range(100)))
    expect(sum(answer.values()), Decimal(9000))
    require(
        statements <= 2,
        f"{statements} statements were sent for 100 customers",
        "SQL can compare with a whole list: customer_id = ANY(%s).",
    )
