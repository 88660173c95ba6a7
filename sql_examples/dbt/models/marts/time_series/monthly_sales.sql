-- A month that is not over yet must not be compared with a whole one.
WITH daily_sales AS (
    SELECT * FROM {{ ref('daily_sales') }}
),

monthly AS (
    SELECT {{ month_of('date') }} AS month,
           count(*) AS days,
           sum(orders)::bigint AS orders,
           sum(revenue) AS revenue,
           count(*) = extract(day FROM date_trunc('month', min(date)::timestamp)
                                       + interval '1 month' - interval '1 day') AS whole
    FROM daily_sales
    GROUP BY 1
)

SELECT month, days, whole, orders, revenue,
       CASE WHEN whole AND lag(whole) OVER by_month
            THEN round(100 * revenue / nullif(lag(revenue) OVER by_month, 0) - 100, 1)
       END AS mom_pct,
       CASE WHEN whole AND lag(whole, 12) OVER by_month
            THEN round(100 * revenue / nullif(lag(revenue, 12) OVER by_month, 0) - 100, 1)
       END AS yoy_pct,
       sum(revenue) OVER by_month AS running_total
FROM monthly
WINDOW by_month AS (ORDER BY month)
