-- Features of each product that was in the shop by %(as_of)s. The price is what a buyer last paid:
-- products.price is today's, and would tell the past about the rise of February 2025.
WITH days AS (
    SELECT i.product_id, o.order_id, o.customer_id, i.line_number, i.quantity, i.unit_price,
           o.ordered_at, (o.ordered_at AT TIME ZONE 'UTC')::date AS day
    FROM order_items AS i
    JOIN orders AS o USING (order_id)
    WHERE o.ordered_at < (%(as_of)s + 1)::timestamp AT TIME ZONE 'UTC'
), prices AS (
    SELECT DISTINCT ON (product_id) product_id, unit_price AS price
    FROM days
    ORDER BY product_id, ordered_at DESC, order_id DESC
), old_prices AS (
    SELECT DISTINCT ON (product_id) product_id, unit_price AS price
    FROM days
    WHERE day <= %(as_of)s - 90
    ORDER BY product_id, ordered_at DESC, order_id DESC
), sales AS (
    SELECT product_id,
           sum(quantity) AS units,
           sum(quantity) FILTER (WHERE day > %(as_of)s - 7) AS units_7d,
           sum(quantity) FILTER (WHERE day > %(as_of)s - 14 AND day <= %(as_of)s - 7) AS lag_7d,
           sum(quantity) FILTER (WHERE day > %(as_of)s - 371 AND day <= %(as_of)s - 364)
               AS last_year_7d,
           sum(quantity) FILTER (WHERE day > %(as_of)s - 28) AS units_28d,
           sum(quantity * unit_price) FILTER (WHERE day > %(as_of)s - 28) AS revenue_28d,
           count(DISTINCT customer_id) FILTER (WHERE day > %(as_of)s - 28) AS buyers_28d,
           max(day) AS last_day
    FROM days
    GROUP BY product_id
), weeks AS (
    -- Twelve weeks up to the day, quiet ones with 0, oldest first.
    SELECT p.product_id, 11 - w.back AS week, coalesce(sum(d.quantity), 0) AS units
    FROM products AS p
    CROSS JOIN generate_series(0, 11) AS w (back)
    LEFT JOIN days AS d ON d.product_id = p.product_id
                       AND d.day > %(as_of)s - 7 * (w.back + 1) AND d.day <= %(as_of)s - 7 * w.back
    GROUP BY p.product_id, w.back
), series AS (
    SELECT product_id, avg(units) AS week_mean, stddev_samp(units) AS week_std,
           regr_slope(units::float8, week::float8) AS week_trend
    FROM weeks
    GROUP BY product_id
)
SELECT p.product_id,
       (%(as_of)s + 1)::timestamp AT TIME ZONE 'UTC' AS event_time,
       coalesce(s.units, 0)::bigint AS units_sold,
       coalesce(s.units_28d, 0)::bigint AS units_28d,
       coalesce(s.revenue_28d, 0)::float8 AS revenue_28d,
       prices.price::float8 AS price,
       round(100 * prices.price / old_prices.price - 100, 2)::float8 AS price_change_90d_pct,
       round(prices.price / avg(prices.price) OVER (PARTITION BY p.category), 4)::float8
           AS price_in_category,
       rank() OVER (ORDER BY coalesce(s.units_28d, 0) DESC) AS popularity_rank,
       coalesce(s.buyers_28d, 0)::bigint AS buyers_28d,
       coalesce(s.units_7d, 0)::bigint AS units_7d,
       coalesce(s.lag_7d, 0)::bigint AS units_7d_lag_7d,
       coalesce(s.last_year_7d, 0)::bigint AS units_7d_lag_364d,
       round(t.week_mean, 4)::float8 AS units_week_mean_12w,
       round(t.week_std, 4)::float8 AS units_week_std_12w,
       round(t.week_trend::numeric, 4)::float8 AS units_week_trend_12w,
       (%(as_of)s - s.last_day)::bigint AS days_since_sale,
       (p.discontinued_on IS NULL OR p.discontinued_on > %(as_of)s) AS on_sale,
       p.category
FROM products AS p
JOIN series AS t USING (product_id)
LEFT JOIN sales AS s USING (product_id)
LEFT JOIN prices USING (product_id)
LEFT JOIN old_prices USING (product_id)
WHERE p.added_on <= %(as_of)s
ORDER BY p.product_id
