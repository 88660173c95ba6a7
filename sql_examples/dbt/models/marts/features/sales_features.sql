-- Every feature ends the day before: "7 PRECEDING AND 1 PRECEDING" leaves today out.
WITH daily_sales AS (
    SELECT * FROM {{ ref('daily_sales') }}
)

SELECT date, revenue,
       {%- for days in [1, 7, 364] %}
       lag(revenue, {{ days }}) OVER by_date AS lag_{{ days }},
       {%- endfor %}
       round(avg(revenue) OVER week, 2) AS mean_7,
       round(stddev_samp(revenue) OVER week, 2) AS std_7,
       round(avg(revenue) OVER four_weeks, 2) AS mean_28,
       extract(isodow FROM date)::int AS weekday,
       extract(isodow FROM date) >= 6 AS is_weekend,
       extract(day FROM date)::int AS day_of_month,
       extract(month FROM date)::int AS month
FROM daily_sales
WINDOW by_date AS (ORDER BY date),
       week AS (ORDER BY date ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
       four_weeks AS (ORDER BY date ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING)
