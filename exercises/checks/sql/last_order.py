"""Ties, a dear old order, and one row a customer."""

from decimal import Decimal

from course.exercises import expect

TABLES = """
    CREATE TEMP TABLE orders (order_id int, customer_id int, ordered_at timestamptz, total numeric);
    INSERT INTO orders VALUES
        (11, 1, '2025-01-05 10:00+00', 99), (12, 1, '2025-03-01 10:00+00', 20),
        (13, 2, '2025-02-01 10:00+00', 30), (14, 2, '2025-02-01 10:00+00', 25),
        (15, 3, '2024-07-01 10:00+00', 10);
"""


def check_small(their):
    """The latest order, not the dearest; one row a customer"""
    rows = their.rows(TABLES)
    expect(their.columns, ["customer_id", "order_id", "total"], "The columns, in this order.")
    expect(
        rows,
        [(1, 12, Decimal(20)), (2, 14, Decimal(25)), (3, 15, Decimal(10))],
        "Customer 2 has two orders at the same second: the higher order_id decides.",
    )


def check_shop(their):
    """In the shop: as many rows as customers who ordered"""
    rows = their.rows()
    expect(len(rows), 1777, "One row for each customer who ever ordered.")
    expect(len({row[0] for row in rows}), 1777, "No customer twice.")
