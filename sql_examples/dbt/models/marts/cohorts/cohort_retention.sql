-- The grid of all cohorts and months comes first: a month without orders shows 0.
WITH customers AS NOT MATERIALIZED (
    SELECT * FROM {{ ref('stg_customers') }}
),

orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

cohorts AS (
    SELECT cohort, count(*) AS customers,
           {{ months_between('cohort', today()) }} AS age
    FROM customers
    GROUP BY cohort
),

grid AS (
    SELECT cohort, customers, month_number
    FROM cohorts
    CROSS JOIN LATERAL generate_series(0, age) AS months (month_number)
),

visits AS (
    SELECT DISTINCT customer_id, {{ month_of('ordered_on') }} AS month
    FROM orders
),

activity AS (
    SELECT cohort,
           {{ months_between('cohort', 'month') }} AS month_number,
           count(*) AS active
    FROM visits
    JOIN customers USING (customer_id)
    GROUP BY 1, 2
)

SELECT cohort, month_number, customers,
       coalesce(active, 0) AS active,
       round(100.0 * coalesce(active, 0) / customers, 1) AS retention_pct
FROM grid
LEFT JOIN activity USING (cohort, month_number)
