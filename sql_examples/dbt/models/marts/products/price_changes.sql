WITH order_items AS (
    SELECT * FROM {{ ref('stg_order_items') }}
),

orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

products AS (
    SELECT * FROM {{ ref('stg_products') }}
),

prices AS (
    SELECT product_id, unit_price,
           min(ordered_at) AS first_paid_at,
           min(ordered_on) AS first_paid_on
    FROM order_items
    JOIN orders USING (order_id)
    GROUP BY product_id, unit_price
),

compared AS (
    SELECT product_id, unit_price AS new_price, first_paid_on,
           lag(unit_price) OVER (
               PARTITION BY product_id ORDER BY first_paid_at, unit_price) AS old_price
    FROM prices
)

SELECT product_id, name, category, old_price, new_price,
       round(100 * new_price / old_price - 100, 2) AS change_pct,
       first_paid_on
FROM compared
JOIN products USING (product_id)
WHERE old_price IS NOT NULL
