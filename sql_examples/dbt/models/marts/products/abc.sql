WITH products AS (
    SELECT * FROM {{ ref('stg_products') }}
),

order_items AS (
    SELECT * FROM {{ ref('stg_order_items') }}
),

completed AS (
    SELECT order_id FROM {{ ref('stg_orders') }} WHERE status = 'completed'
),

income AS (
    SELECT product_id, sum(amount) AS revenue
    FROM order_items
    JOIN completed USING (order_id)
    GROUP BY product_id
),

ranked AS (
    SELECT row_number() OVER best AS place,
           product_id, name, category,
           coalesce(revenue, 0) AS revenue,
           sum(coalesce(revenue, 0)) OVER best AS so_far,
           sum(revenue) OVER () AS everything
    FROM products
    LEFT JOIN income USING (product_id)
    WINDOW best AS (ORDER BY coalesce(revenue, 0) DESC, product_id)
)

-- A product is A if the ones before it have not reached 80 % yet.
SELECT place, product_id, name, category, revenue,
       round(100 * revenue / everything, 2) AS share_pct,
       round(100 * so_far / everything, 2) AS cumulative_pct,
       CASE WHEN so_far - revenue < 0.80 * everything THEN 'A'
            WHEN so_far - revenue < 0.95 * everything THEN 'B'
            ELSE 'C'
       END AS class
FROM ranked
