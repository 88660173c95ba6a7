-- NOT MATERIALIZED: what is read more than once is read from the table, with its indexes.
WITH order_items AS NOT MATERIALIZED (
    SELECT * FROM {{ ref('stg_order_items') }}
),

products AS (
    SELECT * FROM {{ ref('stg_products') }}
),

total AS (
    SELECT count(*) AS orders FROM {{ ref('stg_orders') }}
),

sold AS (
    SELECT product_id, name, count(*) AS orders
    FROM order_items
    JOIN products USING (product_id)
    GROUP BY product_id, name
),

pairs AS (
    SELECT a.product_id AS id_a, b.product_id AS id_b, count(*) AS together
    FROM order_items AS a
    JOIN order_items AS b ON b.order_id = a.order_id AND b.product_id > a.product_id
    GROUP BY 1, 2
    HAVING count(*) >= 50
)

SELECT a.name AS product_a, b.name AS product_b, together,
       round(100.0 * together / total.orders, 3) AS support_pct,
       round(100.0 * together / a.orders, 1) AS confidence_pct,
       round(100.0 * together / b.orders, 1) AS confidence_back_pct,
       round(together::numeric * total.orders / (a.orders * b.orders), 2) AS lift
FROM pairs
JOIN sold AS a ON a.product_id = id_a
JOIN sold AS b ON b.product_id = id_b
CROSS JOIN total
