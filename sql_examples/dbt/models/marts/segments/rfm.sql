WITH orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

behaviour AS (
    SELECT customer_id,
           {{ today() }} - max(ordered_on) AS recency_days,
           count(*) AS frequency,
           sum(revenue) AS monetary
    FROM orders
    GROUP BY customer_id
),

-- customer_id breaks ties, so that the fifths are the same every time.
scored AS (
    SELECT *,
           ntile(5) OVER (ORDER BY recency_days DESC, customer_id) AS r,
           ntile(5) OVER (ORDER BY frequency, customer_id) AS f,
           ntile(5) OVER (ORDER BY monetary, customer_id) AS m
    FROM behaviour
)

SELECT customer_id, recency_days, frequency, monetary, r, f, m,
       CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'Champions'
            WHEN r >= 3 AND f >= 3 THEN 'Loyal'
            WHEN r >= 4 THEN 'New'
            WHEN r = 3 THEN 'Promising'
            WHEN f >= 3 THEN 'At Risk'
            WHEN r = 2 THEN 'Hibernating'
            ELSE 'Lost'
       END AS segment
FROM scored
