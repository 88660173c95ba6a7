-- A running total: the window keeps the sum as it walks through each year once.

SELECT date, revenue,
       sum(revenue) OVER (PARTITION BY date_trunc('year', date) ORDER BY date) AS year_so_far
FROM daily_sales
ORDER BY date;
