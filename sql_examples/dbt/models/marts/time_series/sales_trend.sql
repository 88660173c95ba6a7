-- Growth by a constant factor is a straight line in logarithms.
WITH monthly_sales AS (
    SELECT * FROM {{ ref('monthly_sales') }} WHERE whole
),

seasonality_month AS (
    SELECT * FROM {{ ref('seasonality_month') }}
),

cleared AS (
    SELECT measure,
           extract(year FROM month) * 12 + extract(month FROM month) AS number,
           ln(a_day / season) AS log_level
    FROM monthly_sales
    JOIN seasonality_month ON month_of_year = extract(month FROM month)
    CROSS JOIN LATERAL (VALUES
        ('orders', orders::numeric / days, orders_index),
        ('revenue', revenue / days, revenue_index)
    ) AS measures (measure, a_day, season)
),

fitted AS (
    SELECT measure, count(*) AS months,
           exp(regr_slope(log_level, number)) AS growth,
           regr_r2(log_level, number) AS r2
    FROM cleared
    GROUP BY measure
)

SELECT measure, months,
       round((100 * growth - 100)::numeric, 2) AS growth_month_pct,
       round((100 * power(growth, 12) - 100)::numeric, 1) AS growth_year_pct,
       round(r2::numeric, 3) AS r2
FROM fitted
