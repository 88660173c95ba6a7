"""What always holds in the shop; each query counts the rows that break the rule."""

import psycopg2.extensions as pg
import pytest

BREAKS = {
    "an order's total is the sum of its lines": """
        SELECT count(*) FROM orders LEFT JOIN (
            SELECT order_id, sum(quantity * unit_price) AS lines FROM order_items GROUP BY 1
        ) AS sums USING (order_id) WHERE total IS DISTINCT FROM lines""",
    "nobody orders before registering": """
        SELECT count(*) FROM orders JOIN customers USING (customer_id)
        WHERE (ordered_at AT TIME ZONE 'UTC')::date < registration_date""",
    "nobody acts on the site before registering": """
        SELECT count(*) FROM web_events JOIN customers USING (customer_id)
        WHERE (occurred_at AT TIME ZONE 'UTC')::date < registration_date""",
    "nothing sells before it is added or after it is discontinued": """
        SELECT count(*) FROM order_items JOIN orders USING (order_id)
        JOIN products USING (product_id)
        WHERE (ordered_at AT TIME ZONE 'UTC')::date < added_on
           OR (ordered_at AT TIME ZONE 'UTC')::date >= discontinued_on""",
    "nothing is looked at before it is added or after it is discontinued": """
        SELECT count(*) FROM web_events JOIN products USING (product_id)
        WHERE (occurred_at AT TIME ZONE 'UTC')::date < added_on
           OR (occurred_at AT TIME ZONE 'UTC')::date >= discontinued_on""",
    "a product stands in an order at most once": """
        SELECT count(*) - count(DISTINCT (order_id, product_id)) FROM order_items""",
    "lines are numbered from 1 without gaps": """
        SELECT count(*) FROM (SELECT 1 FROM order_items GROUP BY order_id
        HAVING min(line_number) <> 1 OR max(line_number) <> count(*)) AS broken""",
    "order numbers follow time": """
        SELECT count(*) FROM (SELECT ordered_at < lag(ordered_at) OVER (ORDER BY order_id) AS bad
        FROM orders) AS steps WHERE bad""",
    "customer numbers follow registration": """
        SELECT count(*) FROM (SELECT registration_date
            < lag(registration_date) OVER (ORDER BY customer_id) AS bad
        FROM customers) AS steps WHERE bad""",
    "event numbers follow time": """
        SELECT count(*) FROM (SELECT occurred_at < lag(occurred_at) OVER (ORDER BY event_id) AS bad
        FROM web_events) AS steps WHERE bad""",
    "each order of web or mobile since the experiment began has one purchase, others have none": """
        SELECT count(*) FROM (
            SELECT order_id, count(event_id) AS purchases FROM orders
            LEFT JOIN web_events USING (order_id) GROUP BY order_id
        ) AS counted JOIN orders USING (order_id)
        WHERE purchases <> (channel <> 'store' AND ordered_at >= '2025-04-30 00:00+00')::int""",
    "a purchase is its order's customer at its order's time": """
        SELECT count(*) FROM web_events JOIN orders USING (order_id)
        WHERE occurred_at <> ordered_at OR web_events.customer_id <> orders.customer_id""",
    "what is bought was put into the cart of the same session": """
        SELECT count(*) FROM web_events AS purchase JOIN order_items USING (order_id)
        WHERE NOT EXISTS (SELECT 1 FROM web_events AS cart
            WHERE cart.session_id = purchase.session_id AND cart.event_type = 'cart'
              AND cart.product_id = order_items.product_id)""",
    "a session goes forward: view, cart, checkout, purchase": """
        SELECT count(*) FROM (
            SELECT min(occurred_at) FILTER (WHERE event_type = 'view') AS view,
                   min(occurred_at) FILTER (WHERE event_type = 'cart') AS cart,
                   min(occurred_at) FILTER (WHERE event_type = 'checkout') AS checkout,
                   min(occurred_at) FILTER (WHERE event_type = 'purchase') AS purchase
            FROM web_events GROUP BY session_id
        ) AS sessions
        WHERE view IS NULL OR cart < view OR (checkout IS NOT NULL AND cart IS NULL)
           OR checkout < cart OR (purchase IS NOT NULL AND checkout IS NULL)
           OR purchase < checkout""",
    "a session has one visitor": """
        SELECT count(*) FROM (SELECT 1 FROM web_events GROUP BY session_id
        HAVING count(DISTINCT coalesce(customer_id, 0)) > 1) AS broken""",
    "events are of the last 180 days": """
        SELECT count(*) FROM web_events WHERE occurred_at < '2025-04-30 00:00+00'
           OR occurred_at >= '2025-10-27 00:00+00'""",
    "orders are of the last three years": """
        SELECT count(*) FROM orders WHERE ordered_at < '2022-10-27 00:00+00'
           OR ordered_at >= '2025-10-27 00:00+00'""",
    "a price covers its cost": "SELECT count(*) FROM products WHERE cost >= price",
    "mail goes to example.com": """
        SELECT count(*) FROM customers WHERE email NOT LIKE '%@example.com'""",
}


def one(connection: pg.connection, query: str) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row: tuple[int, ...] = cursor.fetchone() or ()
    return row


@pytest.mark.parametrize("rule", BREAKS)
def test_rule_holds(shop: pg.connection, rule: str) -> None:
    assert one(shop, BREAKS[rule]) == (0,)


def test_catalogue_has_120_products_in_8_categories(shop: pg.connection) -> None:
    assert one(shop, "SELECT count(*), count(DISTINCT category) FROM products") == (120, 8)


def test_some_products_are_discontinued_and_some_phones_unknown(shop: pg.connection) -> None:
    discontinued, no_phone = (
        one(shop, "SELECT count(discontinued_on) FROM products")[0],
        one(shop, "SELECT count(*) FROM customers WHERE phone IS NULL")[0],
    )
    assert 5 <= discontinued <= 20
    assert 200 <= no_phone <= 300


def test_experiment_groups_are_of_one_size(shop: pg.connection) -> None:
    query = "SELECT abs(count(*) FILTER (WHERE ab_group = 'A') - 1000) FROM customers"
    assert one(shop, query) == (0,)


def test_attributes_answer_json_questions(shop: pg.connection) -> None:
    brands, with_warranty = one(
        shop,
        "SELECT count(DISTINCT attributes ->> 'brand'),"
        " count(*) FILTER (WHERE attributes ? 'warranty_months') FROM products",
    )
    assert brands >= 10
    assert with_warranty == 15


def test_everything_is_commented(shop: pg.connection) -> None:
    query = """
        SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum >= 0
          AND col_description(attrelid, attnum) IS NULL AND NOT attisdropped"""
    assert one(shop, query) == (0,)
    tables = """
        SELECT count(obj_description(oid)) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"""
    assert one(shop, tables) == (6,)


def test_foreign_keys_have_indexes(shop: pg.connection) -> None:
    query = """
        SELECT count(*) FROM pg_constraint AS key WHERE contype = 'f' AND NOT EXISTS (
            SELECT 1 FROM pg_index WHERE indrelid = key.conrelid AND indkey[0] = key.conkey[1])"""
    assert one(shop, query) == (0,)
