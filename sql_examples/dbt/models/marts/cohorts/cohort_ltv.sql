WITH customers AS (
    SELECT * FROM {{ ref('stg_customers') }}
),

orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

cohort_retention AS (
    SELECT * FROM {{ ref('cohort_retention') }}
),

income AS (
    SELECT cohort,
           {{ months_between('cohort', 'ordered_on') }} AS month_number,
           sum(revenue) AS revenue
    FROM orders
    JOIN customers USING (customer_id)
    GROUP BY 1, 2
),

months AS (
    SELECT cohort, month_number, customers, coalesce(revenue, 0) AS revenue
    FROM cohort_retention
    LEFT JOIN income USING (cohort, month_number)
)

SELECT cohort, month_number, customers, revenue,
       sum(revenue) OVER life AS revenue_to_date,
       round(sum(revenue) OVER life / customers, 2) AS ltv
FROM months
WINDOW life AS (PARTITION BY cohort ORDER BY month_number)
