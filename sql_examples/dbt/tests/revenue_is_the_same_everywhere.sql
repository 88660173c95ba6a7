-- By day, by month, by cohort, by customer, by product: it is the same money.
WITH expected AS (
    SELECT sum(revenue) AS revenue FROM {{ ref('stg_orders') }}
),

found AS (
    SELECT 'daily_sales' AS model, sum(revenue) AS revenue FROM {{ ref('daily_sales') }}
    UNION ALL
    SELECT 'monthly_sales', sum(revenue) FROM {{ ref('monthly_sales') }}
    UNION ALL
    SELECT 'cohort_ltv', sum(revenue) FROM {{ ref('cohort_ltv') }}
    UNION ALL
    SELECT 'rfm', sum(monetary) FROM {{ ref('rfm') }}
    UNION ALL
    SELECT 'abc', sum(revenue) FROM {{ ref('abc') }}
)

SELECT model, found.revenue, expected.revenue AS expected
FROM found
CROSS JOIN expected
WHERE found.revenue IS DISTINCT FROM expected.revenue
