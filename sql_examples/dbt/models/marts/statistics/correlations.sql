WITH rfm AS NOT MATERIALIZED (
    SELECT * FROM {{ ref('rfm') }}
),

daily_sales AS (
    SELECT * FROM {{ ref('daily_sales') }}
),

products AS (
    SELECT * FROM {{ ref('stg_products') }}
),

sold AS (
    SELECT product_id, sum(quantity) AS pieces
    FROM {{ ref('stg_order_items') }}
    GROUP BY product_id
),

pairs AS (
    SELECT 'frequency' AS x_name, 'monetary' AS y_name,
           frequency::double precision AS x, monetary::double precision AS y
    FROM rfm
    UNION ALL
    SELECT 'recency_days', 'frequency', recency_days, frequency
    FROM rfm
    UNION ALL
    SELECT 'orders of a day', 'revenue of a day', orders, revenue
    FROM daily_sales
    UNION ALL
    SELECT 'price', 'pieces sold', price, pieces
    FROM products
    JOIN sold USING (product_id)
)

SELECT x_name, y_name, count(*) AS n,
       round(corr(y, x)::numeric, 3) AS r,
       round(regr_r2(y, x)::numeric, 3) AS r2,
       round(regr_slope(y, x)::numeric, 3) AS slope,
       round(regr_intercept(y, x)::numeric, 2) AS intercept
FROM pairs
GROUP BY x_name, y_name
