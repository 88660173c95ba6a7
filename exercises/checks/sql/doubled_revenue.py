"""An order with two lines counts once; an order without lines counts, too."""

from decimal import Decimal

from course.exercises import expect

TABLES = """
    CREATE TEMP TABLE orders (order_id int, channel text, status text, total numeric);
    CREATE TEMP TABLE order_items (order_id int, product_id int, quantity int, unit_price numeric);
    INSERT INTO orders VALUES
        (1, 'web', 'completed', 50), (2, 'web', 'completed', 50), (3, 'store', 'completed', 10),
        (4, 'web', 'cancelled', 99);
    INSERT INTO order_items VALUES
        (1, 7, 2, 20), (1, 8, 1, 10), (2, 7, 1, 50), (3, 8, 1, 10), (4, 7, 1, 99);
"""


def check_small(their):
    """Two orders of 50 euros are 100 euros, however many lines they have"""
    rows = their.rows(TABLES)
    expect(their.columns, ["channel", "revenue", "pieces"], "The columns, in this order.")
    expect(
        rows,
        [("store", Decimal(10), 1), ("web", Decimal(100), 4)],
        "Look at the rows before they are summed: how often does order 1 stand there? "
        "(sum(DISTINCT total) is no way out: two orders may have the same total.)",
    )


def check_shop(their):
    """The shop: the three channels together have what the completed orders came to"""
    rows = their.rows()
    expect([row[0] for row in rows], ["mobile", "store", "web"])
    expect(
        sum(row[1] for row in rows),
        Decimal(expected_revenue()),
        "The sum over all channels is sum(total) of the completed orders.",
    )


def expected_revenue() -> str:
    """What the completed orders came to, asked without any join."""
    from contextlib import closing

    from course import connect

    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sum(total) FROM public.orders WHERE status = 'completed'")
        return str(cursor.fetchone()[0])
