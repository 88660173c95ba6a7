WITH customers AS (
    SELECT * FROM {{ ref('stg_customers') }}
),

orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

behaviour AS (
    SELECT customer_id, registration_date,
           {{ today() }} - coalesce(max(ordered_on), registration_date) AS recency_days,
           count(order_id) AS frequency,
           count(*) FILTER (WHERE ordered_on > {{ days_ago(365) }}) AS orders_last_year,
           coalesce(sum(revenue), 0) AS monetary
    FROM customers
    LEFT JOIN orders USING (customer_id)
    GROUP BY customer_id, registration_date
)

SELECT customer_id, registration_date, recency_days, frequency, orders_last_year, monetary,
       CASE WHEN frequency = 0 AND recency_days > 86 THEN 'dormant'
            WHEN recency_days >= 240 THEN 'dormant'
            WHEN recency_days > 90 THEN 'at risk'
            WHEN orders_last_year >= 14 THEN 'vip'
            ELSE 'active'
       END AS kind
FROM behaviour
