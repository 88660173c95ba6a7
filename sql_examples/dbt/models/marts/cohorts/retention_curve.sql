-- Customers are added up, not percentages: a small cohort must not weigh as much as a big one.
WITH cohort_retention AS (
    SELECT * FROM {{ ref('cohort_retention') }}
)

SELECT month_number,
       sum(customers)::bigint AS customers,
       sum(active)::bigint AS active,
       round(100 * sum(active) / sum(customers), 1) AS retention_pct
FROM cohort_retention
GROUP BY month_number
