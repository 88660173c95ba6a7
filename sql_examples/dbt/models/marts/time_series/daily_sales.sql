-- GROUP BY makes no row for a day without orders. So the calendar comes first.
WITH orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

sales AS (
    SELECT ordered_on AS date,
           count(*) AS orders,
           sum(revenue) AS revenue
    FROM orders
    GROUP BY ordered_on
),

calendar AS (
    SELECT first_day + n AS date
    FROM (SELECT min(date) AS first_day, max(date) AS last_day FROM sales) AS ends
    CROSS JOIN LATERAL generate_series(0, last_day - first_day) AS days (n)
),

days AS (
    SELECT date,
           coalesce(orders, 0) AS orders,
           coalesce(revenue, 0) AS revenue
    FROM calendar
    LEFT JOIN sales USING (date)
)

SELECT date, orders, revenue,
       round(avg(revenue) OVER (
           ORDER BY date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW), 2) AS ma_7day,
       round(avg(revenue) OVER (
           ORDER BY date ROWS BETWEEN 27 PRECEDING AND CURRENT ROW), 2) AS ma_28day,
       sum(revenue) OVER (ORDER BY date) AS running_total,
       sum(revenue) OVER (
           PARTITION BY extract(year FROM date) ORDER BY date) AS year_to_date
FROM days
