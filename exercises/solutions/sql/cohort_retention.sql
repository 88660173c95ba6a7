-- A cohort query: months of birth, months with an order (each once), and one join of the two.

WITH cohorts AS (
    SELECT customer_id, date_trunc('month', registration_date::timestamp) AS born
    FROM customers
), activity AS (
    SELECT DISTINCT customer_id, date_trunc('month', ordered_at AT TIME ZONE 'UTC') AS month
    FROM orders
)
SELECT born::date AS cohort,
       count(DISTINCT customer_id) AS customers,
       count(*) FILTER (WHERE month = born) AS active_0,
       count(*) FILTER (WHERE month = born + interval '1 month') AS active_1,
       count(*) FILTER (WHERE month = born + interval '2 months') AS active_2
FROM cohorts
LEFT JOIN activity USING (customer_id)
GROUP BY born
ORDER BY born;
