-- A running total that reads the table once.
--
-- Table: daily_sales(date, revenue). The query below gives each day's revenue and the revenue of
-- the year so far (from 1 January of that day's year, the day included). It is right, and slow: for
-- each day it reads the whole table again, so ten times the days cost a hundred times the work.
-- Write it so that the table is read once. Columns: date, revenue, year_so_far; sorted by date.
-- (The check brings the table; there is none of this name in the shop.)

-- TODO: no query inside the query.
SELECT date, revenue,
       (SELECT sum(earlier.revenue)
        FROM daily_sales AS earlier
        WHERE earlier.date <= day.date
          AND date_trunc('year', earlier.date) = date_trunc('year', day.date)) AS year_so_far
FROM daily_sales AS day
ORDER BY date;
