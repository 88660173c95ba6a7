-- Each day must come right after the one before.
SELECT date, previous
FROM (SELECT date, lag(date) OVER (ORDER BY date) AS previous
      FROM {{ ref('daily_sales') }}) AS days
WHERE date <> previous + 1
