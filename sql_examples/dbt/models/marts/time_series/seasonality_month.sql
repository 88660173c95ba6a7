-- Each month is divided by the level around it, so that growth does not look like season.
WITH monthly_sales AS (
    SELECT *,
           orders::numeric / days AS orders_a_day,
           revenue / days AS revenue_a_day
    FROM {{ ref('monthly_sales') }}
    WHERE whole
),

levels AS (
    SELECT month, orders_a_day, revenue_a_day,
           (avg(orders_a_day) OVER early + avg(orders_a_day) OVER late) / 2 AS orders_level,
           (avg(revenue_a_day) OVER early + avg(revenue_a_day) OVER late) / 2
               AS revenue_level,
           count(*) OVER early = 12 AND count(*) OVER late = 12 AS complete
    FROM monthly_sales
    WINDOW early AS (ORDER BY month ROWS BETWEEN 6 PRECEDING AND 5 FOLLOWING),
           late AS (ORDER BY month ROWS BETWEEN 5 PRECEDING AND 6 FOLLOWING)
),

seasons AS (
    SELECT extract(month FROM month)::int AS month_of_year,
           count(*) AS years,
           avg(orders_a_day / orders_level) AS orders_ratio,
           avg(revenue_a_day / revenue_level) AS revenue_ratio
    FROM levels
    WHERE complete
    GROUP BY 1
),

names (month_of_year, name) AS (
    VALUES (1, 'January'), (2, 'February'), (3, 'March'), (4, 'April'), (5, 'May'),
           (6, 'June'), (7, 'July'), (8, 'August'), (9, 'September'), (10, 'October'),
           (11, 'November'), (12, 'December')
)

SELECT month_of_year, name, years,
       round(orders_ratio / avg(orders_ratio) OVER (), 3) AS orders_index,
       round(revenue_ratio / avg(revenue_ratio) OVER (), 3) AS revenue_index
FROM seasons
JOIN names USING (month_of_year)
