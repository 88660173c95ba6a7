"""The figures, their order, and how many rows travelled."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import Connection, create_engine, event, text

from course import connect
from course.exercises import expect, require

TABLES = """
    CREATE TEMP TABLE orders (order_id int, ordered_at timestamptz, status text);
    CREATE TEMP TABLE products (product_id int, category text);
    CREATE TEMP TABLE order_items (order_id int, product_id int, quantity int, unit_price numeric);
    INSERT INTO orders VALUES
        (1, '2025-01-01 00:00+00', 'completed'), (2, '2025-02-01', 'completed'),
        (3, '2025-02-01', 'refunded'), (4, '2024-12-31 12:00+00', 'completed');
    INSERT INTO products VALUES (7, 'Books'), (8, 'Toys');
    INSERT INTO order_items VALUES (1, 7, 1, 10), (2, 8, 2, 10), (3, 8, 9, 99), (4, 7, 9, 99);
"""


@contextmanager
def connected() -> Iterator[tuple[Connection, list[int]]]:
    """A connection, and the numbers of rows of the statements sent over it."""
    engine = create_engine(connect.url("postgres").replace("postgresql:", "postgresql+psycopg2:"))
    sizes: list[int] = []
    event.listen(
        engine, "after_cursor_execute", lambda *arguments: sizes.append(arguments[1].rowcount)
    )
    with engine.connect() as connection:
        yield connection, sizes
    engine.dispose()


def check_small(their):
    """Completed orders from that day on, in euros and percent"""
    with connected() as (connection, _):
        connection.execute(text(TABLES))
        frame = their.revenue_by_category(connection, date(2025, 1, 1))
    expect(list(frame.columns), ["category", "revenue", "share"], "The columns, in this order.")
    rows = [(c, float(r), float(s)) for c, r, s in frame.itertuples(index=False)]
    expect(rows, [("Toys", 20.0, 66.7), ("Books", 10.0, 33.3)], "Largest first, one digit.")


def check_shop(their):
    """In the shop: eight categories, 100 % together, eight rows travelled"""
    with connected() as (connection, sizes):
        frame = their.revenue_by_category(connection, date(2022, 1, 1))
    expect(len(frame), 8, "Eight categories.")
    require(
        99.5 <= frame["share"].sum() <= 100.5,
        f"the shares add up to {frame['share'].sum()} %",
        "A share is the part of the whole, in percent.",
    )
    require(
        sum(sizes) <= 20,
        f"{sum(sizes):,} rows came from the database, eight are needed",
        "GROUP BY in SQL: what the database adds up need not travel.",
    )
