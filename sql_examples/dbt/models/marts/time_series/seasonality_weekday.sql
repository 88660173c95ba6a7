WITH daily_sales AS (
    SELECT * FROM {{ ref('daily_sales') }}
),

weekdays AS (
    SELECT extract(isodow FROM date)::int AS weekday,
           avg(orders) AS orders_a_day,
           avg(revenue) AS revenue_a_day
    FROM daily_sales
    GROUP BY 1
),

names (weekday, name) AS (
    VALUES (1, 'Monday'), (2, 'Tuesday'), (3, 'Wednesday'), (4, 'Thursday'),
           (5, 'Friday'), (6, 'Saturday'), (7, 'Sunday')
)

SELECT weekday, name,
       round(orders_a_day, 2) AS orders_a_day,
       round(revenue_a_day, 2) AS revenue_a_day,
       round(orders_a_day / avg(orders_a_day) OVER (), 3) AS orders_index,
       round(revenue_a_day / avg(revenue_a_day) OVER (), 3) AS revenue_index
FROM weekdays
JOIN names USING (weekday)
