"""Features know nothing from after their day; views hold on data that the shop does not have."""

from collections.abc import Iterator
from contextlib import closing

import pandas as pd
import psycopg2
import psycopg2.extensions as pg
import pytest

from tests.sql_examples import features_in_pandas as features
from tests.sql_examples.shop_frames import Shop, frame, read_shop
from tests.sql_examples.test_analytics import CASES, SECONDS, assert_same

DAYS = ["2022-10-27", "2024-02-29", "2025-06-30", "2025-10-26"]

# What comes after :day, from its very end on: orders with lines, customers, a change of status.
FUTURE = """
    INSERT INTO customers
    SELECT 900000 + n, 'Later', n || '@later.example.com', NULL, 'Kyiv', 'Ukraine',
           %(day)s::date + n, 'A', true
    FROM generate_series(1, 3) AS n;
    INSERT INTO orders
    SELECT 900000 + customer_id, customer_id,
           (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC' + customer_id * interval '1 hour'
           - interval '1 hour', 'completed', 'store', 5000
    FROM customers WHERE customer_id <= 50;
    INSERT INTO order_items
    SELECT order_id, 1, 7, 100, 50 FROM orders WHERE order_id > 900000;
    UPDATE orders SET status = CASE status WHEN 'completed' THEN 'refunded' ELSE 'completed' END;
    UPDATE products SET price = price * 2, cost = cost * 2;
"""
AT_THE_LAST_MOMENT = """
    INSERT INTO orders
    SELECT 900000, 1, (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 microsecond',
           'completed', 'web', 10;
"""
# Days without orders and days with cancelled ones only, orders at the borders of kinds and windows,
# orders at the same moment, a price that changed twice, visits that skip a step.
AWKWARD = """
    DELETE FROM web_events WHERE order_id IN (SELECT order_id FROM orders
        WHERE ordered_at >= '2024-05-10' AND ordered_at < '2024-06-20'
           OR (ordered_at AT TIME ZONE 'UTC')::date IN ('2025-10-20', '2025-10-25'));
    DELETE FROM order_items WHERE order_id IN (SELECT order_id FROM orders
        WHERE ordered_at >= '2024-05-10' AND ordered_at < '2024-06-20'
           OR (ordered_at AT TIME ZONE 'UTC')::date IN ('2025-10-20', '2025-10-25'));
    DELETE FROM orders
        WHERE ordered_at >= '2024-05-10' AND ordered_at < '2024-06-20'
           OR (ordered_at AT TIME ZONE 'UTC')::date IN ('2025-10-20', '2025-10-25');
    UPDATE orders SET status = 'cancelled'
        WHERE ordered_at >= '2023-03-01 00:00+00' AND ordered_at < '2023-03-04 00:00+00'
           OR customer_id % 10 = 3;
    CREATE TEMP TABLE silent AS
        SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS n
        FROM customers AS c WHERE registration_date < '2024-01-01'
         AND NOT EXISTS (SELECT FROM orders WHERE customer_id = c.customer_id) LIMIT 12;
    INSERT INTO orders
        SELECT 800000 + n, customer_id,
               (date '2025-10-26' - (ARRAY[0, 29, 30, 89, 90, 91, 179, 180, 239, 240, 364, 365])[n])
               ::timestamp AT TIME ZONE 'UTC', 'completed', 'store', 25
        FROM silent;
    INSERT INTO order_items SELECT 800000 + n, 1, 1 + n % 2, 1, 25 FROM silent;
    UPDATE order_items SET unit_price = unit_price + 1
        WHERE product_id = 5 AND order_id > 12000;
    UPDATE order_items SET unit_price = unit_price + 1
        WHERE product_id = 5 AND order_id > 15000;
    DELETE FROM web_events WHERE event_type = 'cart' AND session_id % 7 = 0;
    UPDATE customers SET registration_date = '2025-07-31' WHERE customer_id = 2000;
    UPDATE customers SET registration_date = '2025-08-01' WHERE customer_id = 1999;
    UPDATE orders SET ordered_at = later.ordered_at
    FROM (SELECT customer_id, max(ordered_at) AS ordered_at FROM orders GROUP BY customer_id)
        AS later
    WHERE later.customer_id = orders.customer_id AND orders.customer_id % 100 = 7;
"""


@pytest.fixture
def writer(shop_url: str) -> Iterator[pg.connection]:
    """A connection whose changes nobody ever sees."""
    with closing(psycopg2.connect(shop_url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Pacific/Auckland'")
        yield connection
        connection.rollback()


def change(connection: pg.connection, script: str, day: str | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(script, {"day": day} if day else None)


def features_as_of(connection: pg.connection, day: str) -> pd.DataFrame:
    query = f"SELECT * FROM analytics.customer_features_as_of('{day}') ORDER BY customer_id"
    return frame(connection, query)


@pytest.mark.parametrize("day", DAYS)
def test_what_comes_after_the_day_changes_no_feature(writer: pg.connection, day: str) -> None:
    before = features_as_of(writer, day)
    change(writer, FUTURE, day)
    pd.testing.assert_frame_equal(features_as_of(writer, day), before)
    assert len(before) > 0


@pytest.mark.parametrize("day", DAYS)
def test_what_comes_before_the_end_of_the_day_does(writer: pg.connection, day: str) -> None:
    before = features_as_of(writer, day).total_orders.sum()
    change(writer, AT_THE_LAST_MOMENT, day)
    assert features_as_of(writer, day).total_orders.sum() == before + 1


@pytest.mark.parametrize("day", DAYS)
def test_features_of_any_day_are_what_python_says(
    writer: pg.connection, tables: Shop, day: str
) -> None:
    wanted = features.customer_features_as_of(tables, pd.Timestamp(day))
    found = features_as_of(writer, day)
    if day == DAYS[0]:  # nobody knows a second order yet, and columns of None have no type
        found, wanted = found.dropna(axis=1, how="all"), wanted.dropna(axis=1, how="all")
    assert_same(found, wanted, ["customer_id"], features.DIGITS)


@pytest.mark.parametrize("day", DAYS)
def test_labels_look_at_ninety_days_and_no_more(
    writer: pg.connection, tables: Shop, day: str
) -> None:
    query = f"SELECT * FROM analytics.churn_labels_as_of('{day}') ORDER BY customer_id"
    found = frame(writer, query)
    if day == "2025-10-26":
        assert found.empty, "nobody knows yet"
        return
    wanted = features.churn_labels_as_of(tables, pd.Timestamp(day))
    assert_same(found, wanted, ["customer_id"], {})


def test_labels_end_with_the_ninetieth_day(writer: pg.connection) -> None:
    day, leaver = "2025-03-01", "SELECT customer_id FROM analytics.churn_labels_as_of('2025-03-01')"
    (number,) = frame(writer, f"{leaver} WHERE churned ORDER BY 1 LIMIT 1").customer_id
    order = "INSERT INTO orders VALUES (%s, %s, %s, 'completed', 'web', 1)"
    with writer.cursor() as cursor:
        cursor.execute(order, (900001, number, "2025-05-31 00:00:00+00"))  # day 91
        assert number in frame(writer, f"{leaver} WHERE churned").customer_id.tolist()
        cursor.execute(order, (900002, number, "2025-05-30 23:59:59+00"))  # day 90
        assert number not in frame(writer, f"{leaver} WHERE churned").customer_id.tolist()
    assert (pd.Timestamp("2025-05-30") - pd.Timestamp(day)).days == 90


def test_sales_features_of_a_day_do_not_use_the_day(writer: pg.connection) -> None:
    query = "SELECT * FROM analytics.sales_features WHERE date <= '2025-09-15' ORDER BY date"
    before = frame(writer, query)
    change(
        writer,
        "UPDATE orders SET total = total * 3 WHERE ordered_at >= '2025-09-15 00:00+00'",
    )
    after = frame(writer, query)
    assert after.revenue.iloc[-1] == pytest.approx(3 * before.revenue.iloc[-1])
    assert before.date.iloc[-1] == pd.Timestamp("2025-09-15")
    pd.testing.assert_frame_equal(after.drop(columns="revenue"), before.drop(columns="revenue"))


def test_nobody_is_known_before_the_shop_opened(writer: pg.connection) -> None:
    assert features_as_of(writer, "2022-10-26").empty


@pytest.fixture(scope="module")
def awkward(shop_url: str) -> Iterator[tuple[pg.connection, Shop]]:
    """The awkward data: a connection that sees it, and its tables."""
    with closing(psycopg2.connect(shop_url)) as connection:
        change(connection, AWKWARD)
        change(connection, "ANALYZE")
        yield connection, read_shop(connection)
        connection.rollback()


@pytest.mark.parametrize("view", CASES)
def test_the_views_hold_on_awkward_data(awkward: tuple[pg.connection, Shop], view: str) -> None:
    connection, tables = awkward
    compute, key, digits = CASES[view]
    query = SECONDS if view == "funnel" else f"SELECT * FROM analytics.{view}"
    if view == "price_changes":
        key = ["product_id", "new_price"]
    assert_same(frame(connection, query), compute(tables), key, digits)


def test_the_awkward_data_has_days_without_orders(awkward: tuple[pg.connection, Shop]) -> None:
    connection, _ = awkward
    daily = frame(connection, "SELECT * FROM analytics.daily_sales ORDER BY date")
    assert (daily.orders == 0).sum() > 30
    assert len(daily) == (daily.date.iloc[-1] - daily.date.iloc[0]).days + 1
    assert (daily[daily.orders > 0].revenue == 0).sum() == 3, "days with cancelled orders only"
