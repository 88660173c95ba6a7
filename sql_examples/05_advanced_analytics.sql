-- Advanced analytics: eight questions that every shop asks
--
-- You will see how sales move with weeks and seasons, how long customers stay, where
-- visitors give up, who the best customers are, what is bought together, which products
-- earn the money, which numbers to believe, and how a model gets features without
-- looking into the future. Each answer is a view in the schema analytics, so that
-- notebooks, dashboards and other lessons ask the same SQL.
--
-- Run      python learn.py run sql/05     (or: python learn.py psql -f sql_examples/05_advanced_analytics.sql)
-- Needs    PostgreSQL
-- Minutes  90
-- Next     python_db/06_pandas_and_sql.py

-- =============================================================================
-- Before we begin
-- Three agreements hold in all views. A day is a day in UTC. Revenue is what completed
-- orders came to: cancelled and refunded money did not stay. Behaviour (who was active,
-- how often, what together) counts orders of any status: the customer did place them.
-- =============================================================================

-- Take turns
-- The course makes the views at set-up, from this file. Running the file makes them
-- again, each in a transaction of its own (BEGIN … COMMIT), so that nobody who reads them
-- waits for long. Should a reader keep a transaction open, we give up after ten seconds
-- instead of waiting for ever.
SELECT pg_advisory_lock(hashtext('analytics')) IS NOT NULL AS "it is our turn";
SET lock_timeout = '10s';

-- Make the place for the views
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS analytics;
COMMENT ON SCHEMA analytics IS 'Views of the course, from sql_examples/05_advanced_analytics.sql.';
RESET client_min_messages;

-- Agree on today
-- In the shop it is always 2025-10-26. In a shop of your own: RETURN current_date, and
-- STABLE instead of IMMUTABLE, since the answer would change from day to day.
CREATE OR REPLACE FUNCTION analytics.today() RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date '2025-10-26';
COMMENT ON FUNCTION analytics.today() IS
    'The last day of the shop, whole: 2025-10-26.';

-- =============================================================================
-- 1. Time series
-- Sales of a shop are a trend, times a season, times a weekday, times luck. We take them
-- apart one after the other. Analytics engineers put these views on dashboards, data
-- scientists start forecasts from them.
-- =============================================================================

-- How much did we sell on each day?
-- GROUP BY makes no row for a day without orders, and then "7 rows" are not "7 days". So
-- the calendar comes first, and a quiet day shows 0. A moving average of 7 days (this one
-- and the 6 before it) takes the weekdays out, one of 28 days also calms the noise.
BEGIN;
CREATE OR REPLACE VIEW analytics.daily_sales AS
WITH sales AS (
    SELECT (ordered_at AT TIME ZONE 'UTC')::date AS date,
           count(*) AS orders,
           sum(total) FILTER (WHERE status = 'completed') AS revenue
    FROM orders
    GROUP BY 1
), calendar AS (
    SELECT first_day + n AS date
    FROM (SELECT min(date) AS first_day, max(date) AS last_day FROM sales) AS ends
    CROSS JOIN LATERAL generate_series(0, last_day - first_day) AS days (n)
), days AS (
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
FROM days;
COMMENT ON VIEW analytics.daily_sales IS
    'A row for every day, with moving averages of 7 and 28 days and running totals. '
    'For dashboards (analytics engineer), forecasts (data scientist) and the check '
    'that yesterday arrived (data engineer).';
COMMIT;

-- How was the last week?
SELECT date, orders, revenue, ma_7day, ma_28day, running_total
FROM analytics.daily_sales
ORDER BY date DESC
LIMIT 7;

-- How does each month compare with the one before, and with the same month last year?
-- LAG looks one or twelve rows back; without gaps, rows are months. Month over month
-- (mom) mostly shows the season, year over year (yoy) the growth. A month that is not
-- over yet must not be compared with a whole one: whole tells, and growth stays NULL.
BEGIN;
CREATE OR REPLACE VIEW analytics.monthly_sales AS
WITH monthly AS (
    SELECT date_trunc('month', date)::date AS month,
           count(*) AS days,
           sum(orders)::bigint AS orders,
           sum(revenue) AS revenue,
           count(*) = extract(day FROM date_trunc('month', min(date)::timestamp)
                                       + interval '1 month' - interval '1 day') AS whole
    FROM analytics.daily_sales
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
WINDOW by_month AS (ORDER BY month);
COMMENT ON VIEW analytics.monthly_sales IS
    'A row for every month, with growth over the month before and over the same month'
    ' of the year before. For monthly reports and KPIs (analytics engineer).';
COMMIT;

-- How did the last twelve months go?
SELECT month, whole, orders, revenue, mom_pct, yoy_pct
FROM analytics.monthly_sales
ORDER BY month DESC
LIMIT 12;

-- Which weekdays are strong?
-- A seasonality index is a weekday's average divided by the average of all weekdays:
-- 1.15 means 15 % above the average day. Weekday 1 is Monday.
BEGIN;
CREATE OR REPLACE VIEW analytics.seasonality_weekday AS
WITH weekdays AS (
    SELECT extract(isodow FROM date)::int AS weekday,
           avg(orders) AS orders_a_day,
           avg(revenue) AS revenue_a_day
    FROM analytics.daily_sales
    GROUP BY 1
)
SELECT weekday, name,
       round(orders_a_day, 2) AS orders_a_day,
       round(revenue_a_day, 2) AS revenue_a_day,
       round(orders_a_day / avg(orders_a_day) OVER (), 3) AS orders_index,
       round(revenue_a_day / avg(revenue_a_day) OVER (), 3) AS revenue_index
FROM weekdays
JOIN (VALUES (1, 'Monday'), (2, 'Tuesday'), (3, 'Wednesday'), (4, 'Thursday'),
             (5, 'Friday'), (6, 'Saturday'), (7, 'Sunday')) AS names (weekday, name)
USING (weekday);
COMMENT ON VIEW analytics.seasonality_weekday IS
    'How much stronger or weaker than the average each weekday is. For staff and '
    'stock plans (analytics engineer) and as a factor of forecasts (data scientist).';
COMMIT;

SELECT weekday, name, orders_a_day, revenue_a_day, orders_index, revenue_index
FROM analytics.seasonality_weekday
ORDER BY weekday;

-- Which months are strong?
-- In a growing shop December beats January by growth alone. So each month is divided by
-- the level around it, a moving average over the twelve months around the month (two of
-- them, half a month to each side, since twelve has no middle). Only whole months with
-- twelve months around them count.
BEGIN;
CREATE OR REPLACE VIEW analytics.seasonality_month AS
WITH levels AS (
    SELECT month,
           orders::numeric / days AS orders_a_day,
           revenue / days AS revenue_a_day,
           (avg(orders::numeric / days) OVER early
            + avg(orders::numeric / days) OVER late) / 2 AS orders_level,
           (avg(revenue / days) OVER early + avg(revenue / days) OVER late) / 2
               AS revenue_level,
           count(*) OVER early = 12 AND count(*) OVER late = 12 AS complete
    FROM analytics.monthly_sales
    WHERE whole
    WINDOW early AS (ORDER BY month ROWS BETWEEN 6 PRECEDING AND 5 FOLLOWING),
           late AS (ORDER BY month ROWS BETWEEN 5 PRECEDING AND 6 FOLLOWING)
), seasons AS (
    SELECT extract(month FROM month)::int AS month_of_year,
           count(*) AS years,
           avg(orders_a_day / orders_level) AS orders_ratio,
           avg(revenue_a_day / revenue_level) AS revenue_ratio
    FROM levels
    WHERE complete
    GROUP BY 1
)
SELECT month_of_year, name, years,
       round(orders_ratio / avg(orders_ratio) OVER (), 3) AS orders_index,
       round(revenue_ratio / avg(revenue_ratio) OVER (), 3) AS revenue_index
FROM seasons
JOIN (VALUES (1, 'January'), (2, 'February'), (3, 'March'), (4, 'April'), (5, 'May'),
             (6, 'June'), (7, 'July'), (8, 'August'), (9, 'September'), (10, 'October'),
             (11, 'November'), (12, 'December')) AS names (month_of_year, name)
USING (month_of_year);
COMMENT ON VIEW analytics.seasonality_month IS
    'How much stronger or weaker than its year each month is, growth taken out. For '
    'budgets (analytics engineer) and as a factor of forecasts (data scientist).';
COMMIT;

SELECT month_of_year, name, years, orders_index, revenue_index
FROM analytics.seasonality_month
ORDER BY month_of_year;

-- How fast do we grow, when season and luck are taken out?
-- Growth by a constant factor is a straight line in logarithms: divide each month by its
-- season, take the logarithm, and regr_slope is the growth of a month. r2 tells how much
-- of the movement the line explains.
BEGIN;
CREATE OR REPLACE VIEW analytics.sales_trend AS
WITH cleared AS (
    SELECT measure,
           extract(year FROM month) * 12 + extract(month FROM month) AS number,
           ln(a_day / season) AS log_level
    FROM analytics.monthly_sales
    JOIN analytics.seasonality_month
      ON month_of_year = extract(month FROM month)
    CROSS JOIN LATERAL (VALUES
        ('orders', orders::numeric / days, orders_index),
        ('revenue', revenue / days, revenue_index)
    ) AS measures (measure, a_day, season)
    WHERE whole
), fitted AS (
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
FROM fitted;
COMMENT ON VIEW analytics.sales_trend IS
    'Growth of orders and revenue by a month and by a year, seasons taken out, by '
    'log-linear regression. For plans and targets (analytics engineer).';
COMMIT;

SELECT measure, months, growth_month_pct, growth_year_pct, r2
FROM analytics.sales_trend
ORDER BY measure;

SELECT * FROM (VALUES
    ('no day is missing between the first and the last',
     (SELECT count(*) = max(date) - min(date) + 1 FROM analytics.daily_sales),
     (SELECT count(*) || ' days' FROM analytics.daily_sales)),
    ('the last running total is the revenue of all completed orders',
     (SELECT max(running_total) FROM analytics.daily_sales)
     = (SELECT sum(total) FROM orders WHERE status = 'completed'),
     (SELECT max(running_total) || ' euros' FROM analytics.daily_sales)),
    ('Saturday is the best day, Tuesday the worst: planted 1.15 and 0.92',
     (SELECT max(orders_index) FILTER (WHERE name = 'Saturday') BETWEEN 1.12 AND 1.18
         AND max(orders_index) FILTER (WHERE name = 'Tuesday') BETWEEN 0.89 AND 0.95
      FROM analytics.seasonality_weekday),
     (SELECT 'found ' || string_agg(orders_index::text, ' and ' ORDER BY orders_index DESC)
      FROM analytics.seasonality_weekday WHERE name IN ('Saturday', 'Tuesday'))),
    ('November and December are the peak: planted 1.22 and 1.26',
     (SELECT bool_and(abs(orders_index - planted) <= 0.03)
      FROM analytics.seasonality_month
      JOIN (VALUES (11, 1.22), (12, 1.26)) AS truth (month_of_year, planted)
      USING (month_of_year)),
     (SELECT 'found ' || string_agg(orders_index::text, ' and ' ORDER BY month_of_year)
      FROM analytics.seasonality_month WHERE month_of_year >= 11)),
    ('orders grow by 2 % a month: planted 26.8 % a year',
     (SELECT growth_year_pct BETWEEN 25.8 AND 27.8
      FROM analytics.sales_trend WHERE measure = 'orders'),
     (SELECT 'found ' || growth_year_pct || ' %'
      FROM analytics.sales_trend WHERE measure = 'orders'))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 2. Cohorts
-- "How many customers are active?" mixes people who came yesterday with people who came
-- three years ago. A cohort is those who registered in the same month: follow it, and
-- you see how long customers stay. Data scientists and analytics engineers read these.
-- =============================================================================

-- Of those who registered in a month, how many order in each month after it?
-- Month 0 is the month of registration. The grid of all cohorts and months comes first:
-- a month in which nobody ordered shows 0 instead of missing. Cohorts are younger than
-- they are old: those of this year have no month 12 yet, and no row for it either.
BEGIN;
CREATE OR REPLACE VIEW analytics.cohort_retention AS
WITH born AS (
    SELECT customer_id, DATE_TRUNC('month', registration_date)::date AS cohort
    FROM customers
), grid AS (
    SELECT cohort, customers, month_number
    FROM (SELECT cohort, count(*) AS customers,
                 ((extract(year FROM analytics.today()) - extract(year FROM cohort)) * 12
                  + extract(month FROM analytics.today())
                  - extract(month FROM cohort))::int AS age
          FROM born GROUP BY cohort) AS cohorts
    CROSS JOIN LATERAL generate_series(0, age) AS months (month_number)
), visits AS (
    SELECT DISTINCT customer_id,
           date_trunc('month', ordered_at AT TIME ZONE 'UTC')::date AS month
    FROM orders
), activity AS (
    SELECT cohort,
           ((extract(year FROM month) - extract(year FROM cohort)) * 12
            + extract(month FROM month) - extract(month FROM cohort))::int AS month_number,
           count(*) AS active
    FROM visits
    JOIN born USING (customer_id)
    GROUP BY 1, 2
)
SELECT cohort, month_number, customers,
       coalesce(active, 0) AS active,
       round(100.0 * coalesce(active, 0) / customers, 1) AS retention_pct
FROM grid
LEFT JOIN activity USING (cohort, month_number);
COMMENT ON VIEW analytics.cohort_retention IS
    'Of the customers who registered in a month, how many ordered in each month after'
    ' it. For heat maps and retention targets (data scientist, analytics engineer).';
COMMIT;

-- A few cohorts as a triangle
-- FILTER turns rows into columns: a pivot table.
SELECT cohort, max(customers) AS customers,
       max(retention_pct) FILTER (WHERE month_number = 0) AS month_0,
       max(retention_pct) FILTER (WHERE month_number = 1) AS month_1,
       max(retention_pct) FILTER (WHERE month_number = 3) AS month_3,
       max(retention_pct) FILTER (WHERE month_number = 6) AS month_6,
       max(retention_pct) FILTER (WHERE month_number = 12) AS month_12,
       max(retention_pct) FILTER (WHERE month_number = 24) AS month_24
FROM analytics.cohort_retention
WHERE extract(month FROM cohort) IN (1, 4, 7, 10)
GROUP BY cohort
ORDER BY cohort
LIMIT 12;

-- And all cohorts together?
-- Add up the customers, not the percentages: an average of percentages would give a
-- cohort of ten people the same say as one of a hundred.
BEGIN;
CREATE OR REPLACE VIEW analytics.retention_curve AS
SELECT month_number,
       sum(customers)::bigint AS customers,
       sum(active)::bigint AS active,
       round(100 * sum(active) / sum(customers), 1) AS retention_pct
FROM analytics.cohort_retention
GROUP BY month_number;
COMMENT ON VIEW analytics.retention_curve IS
    'Retention by months since registration, all cohorts together. For the one line '
    'on the dashboard (analytics engineer) and survival models (data scientist).';
COMMIT;

SELECT month_number, customers, active, retention_pct
FROM analytics.retention_curve
WHERE month_number IN (0, 1, 2, 3, 6, 12, 24, 36)
ORDER BY month_number;

-- What is a customer worth?
-- Lifetime value (LTV) so far: what a cohort has brought up to each month, divided by all
-- its customers, those who never bought included. It is revenue, not profit.
BEGIN;
CREATE OR REPLACE VIEW analytics.cohort_ltv AS
WITH income AS (
    SELECT DATE_TRUNC('month', registration_date)::date AS cohort,
           ((extract(year FROM ordered_at AT TIME ZONE 'UTC')
             - extract(year FROM registration_date)) * 12
            + extract(month FROM ordered_at AT TIME ZONE 'UTC')
            - extract(month FROM registration_date))::int AS month_number,
           sum(total) AS revenue
    FROM orders
    JOIN customers USING (customer_id)
    WHERE status = 'completed'
    GROUP BY 1, 2
), months AS (
    SELECT cohort, month_number, customers, coalesce(revenue, 0) AS revenue
    FROM analytics.cohort_retention
    LEFT JOIN income USING (cohort, month_number)
)
SELECT cohort, month_number, customers, revenue,
       sum(revenue) OVER life AS revenue_to_date,
       round(sum(revenue) OVER life / customers, 2) AS ltv
FROM months
WINDOW life AS (PARTITION BY cohort ORDER BY month_number);
COMMENT ON VIEW analytics.cohort_ltv IS
    'What a customer of each cohort has brought on average up to each month of life. '
    'For the limit of what winning a customer may cost (analytics engineer, data '
    'scientist).';
COMMIT;

SELECT cohort, max(customers) AS customers,
       max(ltv) FILTER (WHERE month_number = 0) AS month_0,
       max(ltv) FILTER (WHERE month_number = 6) AS month_6,
       max(ltv) FILTER (WHERE month_number = 12) AS month_12,
       max(ltv) FILTER (WHERE month_number = 24) AS month_24
FROM analytics.cohort_ltv
WHERE extract(month FROM cohort) IN (1, 7)
GROUP BY cohort
ORDER BY cohort
LIMIT 8;

SELECT * FROM (VALUES
    ('nobody is lost: month 0 of all cohorts has every customer',
     (SELECT sum(customers) FROM analytics.cohort_retention WHERE month_number = 0)
     = (SELECT count(*) FROM customers),
     (SELECT sum(customers) || ' customers' FROM analytics.cohort_retention
      WHERE month_number = 0)),
    ('retention in months 0, 1, 6 and 24: planted 55, 42, 27 and 24 %',
     (SELECT bool_and(abs(retention_pct - planted) <= 1)
      FROM analytics.retention_curve
      JOIN (VALUES (0, 55), (1, 42), (6, 27), (24, 24)) AS truth (month_number, planted)
      USING (month_number)),
     (SELECT 'found ' || string_agg(retention_pct::text, ', ' ORDER BY month_number) || ' %'
      FROM analytics.retention_curve WHERE month_number IN (0, 1, 6, 24))),
    ('lifetime values add up to all revenue',
     (SELECT sum(revenue) FROM analytics.cohort_ltv)
     = (SELECT sum(total) FROM orders WHERE status = 'completed'),
     (SELECT sum(revenue) || ' euros' FROM analytics.cohort_ltv))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 3. Funnel
-- Where do people give up? A funnel counts who reaches each step of a journey, which
-- share of the step before that is, and how long it takes. Analytics engineers watch it,
-- data scientists test changes of it.
-- =============================================================================

-- What happened in each visit?
-- Events become sessions: one row for each visit, with the first time of each step, NULL
-- when it was not reached. Data engineers call this sessionising.
BEGIN;
CREATE OR REPLACE VIEW analytics.web_sessions AS
SELECT session_id,
       max(customer_id) AS customer_id,
       min(occurred_at) FILTER (WHERE event_type = 'view') AS viewed_at,
       min(occurred_at) FILTER (WHERE event_type = 'cart') AS carted_at,
       min(occurred_at) FILTER (WHERE event_type = 'checkout') AS checkout_at,
       min(occurred_at) FILTER (WHERE event_type = 'purchase') AS purchased_at
FROM web_events
GROUP BY session_id;
COMMENT ON VIEW analytics.web_sessions IS
    'A row for each visit with the time of each step; customer_id is NULL when nobody'
    ' signed in. The model that funnels and experiments stand on (data engineer).';
COMMIT;

SELECT session_id, customer_id,
       carted_at - viewed_at AS to_cart,
       checkout_at - carted_at AS to_checkout,
       purchased_at - checkout_at AS to_purchase
FROM analytics.web_sessions
WHERE carted_at IS NOT NULL
ORDER BY session_id
LIMIT 5;

-- Where do people give up?
-- Two journeys in one view: customers from registration to loyalty (five orders), and
-- visits from the first view to the purchase. conversion_pct is the share of the step
-- before, of_first_pct that of the first step, median_time the time since the step before
-- for those who came so far. Of registration we know the day only: it counts from midnight.
BEGIN;
CREATE OR REPLACE VIEW analytics.funnel AS
WITH numbered AS (
    SELECT customer_id, ordered_at,
           row_number() OVER (PARTITION BY customer_id
                              ORDER BY ordered_at, order_id) AS nth
    FROM orders
), lives AS (
    SELECT customer_id,
           min(ordered_at) FILTER (WHERE nth = 1) AS first_at,
           min(ordered_at) FILTER (WHERE nth = 2) AS second_at,
           min(ordered_at) FILTER (WHERE nth = 5) AS fifth_at
    FROM numbered
    WHERE nth IN (1, 2, 5)
    GROUP BY customer_id
), customer_steps AS (
    SELECT count(*) AS registered, count(first_at) AS ordered,
           count(second_at) AS repeated, count(fifth_at) AS loyal,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               first_at - registration_date::timestamp AT TIME ZONE 'UTC')) AS to_order,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               second_at - first_at)) AS to_repeat,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               fifth_at - second_at)) AS to_loyal
    FROM customers
    LEFT JOIN lives USING (customer_id)
), visit_steps AS (
    SELECT count(viewed_at) AS viewed, count(carted_at) AS carted,
           count(checkout_at) AS checked_out, count(purchased_at) AS purchased,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               carted_at - viewed_at)) AS to_cart,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               checkout_at - carted_at)) AS to_checkout,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM
               purchased_at - checkout_at)) AS to_purchase
    FROM analytics.web_sessions
), steps AS (
    SELECT steps.*
    FROM customer_steps
    CROSS JOIN LATERAL (VALUES
        ('customers', 1, 'Registration', registered, NULL),
        ('customers', 2, 'Order', ordered, to_order),
        ('customers', 3, 'Repeat', repeated, to_repeat),
        ('customers', 4, 'Loyal', loyal, to_loyal)
    ) AS steps (journey, step_number, step, reached, seconds)
    UNION ALL
    SELECT steps.*
    FROM visit_steps
    CROSS JOIN LATERAL (VALUES
        ('visits', 1, 'View', viewed, NULL),
        ('visits', 2, 'Cart', carted, to_cart),
        ('visits', 3, 'Checkout', checked_out, to_checkout),
        ('visits', 4, 'Purchase', purchased, to_purchase)
    ) AS steps (journey, step_number, step, reached, seconds)
)
SELECT journey, step_number, step, reached,
       round(100.0 * reached / lag(reached) OVER of_journey, 1) AS conversion_pct,
       round(100.0 * reached / first_value(reached) OVER of_journey, 1) AS of_first_pct,
       justify_hours(round(seconds::numeric)::int * interval '1 second') AS median_time
FROM steps
WINDOW of_journey AS (PARTITION BY journey ORDER BY step_number);
COMMENT ON VIEW analytics.funnel IS
    'How many customers and visits reach each step, which share that is, and the '
    'median time since the step before. For conversion KPIs (analytics engineer) and '
    'ideas of what to test (data scientist).';
COMMIT;

SELECT journey, step, reached, conversion_pct, of_first_pct, median_time
FROM analytics.funnel
ORDER BY journey, step_number;

SELECT * FROM (VALUES
    ('the funnel begins with everybody',
     (SELECT reached FROM analytics.funnel WHERE step = 'Registration')
     = (SELECT count(*) FROM customers),
     (SELECT reached || ' customers' FROM analytics.funnel WHERE step = 'Registration')),
    ('a funnel never widens',
     (SELECT bool_and(conversion_pct <= 100) FROM analytics.funnel),
     (SELECT 'at most ' || max(conversion_pct) || ' %' FROM analytics.funnel)),
    ('a quarter of the visits reach the cart, half of those the checkout: planted 25 and 50 %',
     (SELECT bool_and(abs(conversion_pct - planted) <= 0.5)
      FROM analytics.funnel
      JOIN (VALUES ('Cart', 25), ('Checkout', 50)) AS truth (step, planted) USING (step)),
     (SELECT 'found ' || string_agg(conversion_pct::text, ' and ' ORDER BY step_number) || ' %'
      FROM analytics.funnel WHERE step IN ('Cart', 'Checkout')))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 4. RFM
-- Recency, frequency, monetary: when did a customer buy last, how often, for how much?
-- Three old numbers of mail-order houses that still sort customers well. Analytics
-- engineers make segments of them, marketing writes to the segments.
-- =============================================================================

-- In which segment is each customer?
-- NTILE(5) deals the customers into five equal parts: 5 is the best fifth. customer_id
-- breaks ties, so that the parts are the same every time. Who never ordered has no RFM.
BEGIN;
CREATE OR REPLACE VIEW analytics.rfm AS
WITH behaviour AS (
    SELECT customer_id,
           analytics.today() - max((ordered_at AT TIME ZONE 'UTC')::date) AS recency_days,
           count(*) AS frequency,
           coalesce(sum(total) FILTER (WHERE status = 'completed'), 0) AS monetary
    FROM orders
    GROUP BY customer_id
), scored AS (
    SELECT *,
           NTILE(5) OVER (ORDER BY recency_days DESC, customer_id) AS r,
           NTILE(5) OVER (ORDER BY frequency, customer_id) AS f,
           NTILE(5) OVER (ORDER BY monetary, customer_id) AS m
    FROM behaviour
)
SELECT customer_id, recency_days, frequency, monetary, r, f, m,
       CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'Champions'
            WHEN r >= 3 AND f >= 3 THEN 'Loyal'
            WHEN r >= 4 THEN 'New'
            WHEN r = 3 THEN 'Promising'
            WHEN f >= 3 THEN 'At Risk'
            WHEN r = 2 THEN 'Hibernating'
            ELSE 'Lost'
       END AS segment
FROM scored;
COMMENT ON VIEW analytics.rfm IS
    'Recency, frequency and monetary value of every customer who ordered, as fifths '
    'and as a named segment. For campaigns and segment dashboards (analytics '
    'engineer) and as a baseline of models (data scientist).';
COMMIT;

-- What are the segments like?
SELECT segment, count(*) AS customers,
       round(avg(recency_days)) AS recency_days,
       round(avg(frequency), 1) AS frequency,
       round(avg(monetary)) AS monetary,
       round(100 * sum(monetary) / sum(sum(monetary)) OVER (), 1) AS revenue_pct
FROM analytics.rfm
GROUP BY segment
ORDER BY revenue_pct DESC, segment;

-- Should the borders move with the customers?
-- NTILE always finds a best fifth, in good years and in bad ones. Fixed borders can tell
-- that there are fewer good customers than last year: dormant (no order for 240 days, or
-- none at all since registering 87 days ago or more), at risk (none for 91 days), VIP (14
-- orders or more in a year) and active (the others).
BEGIN;
CREATE OR REPLACE VIEW analytics.customer_kinds AS
WITH behaviour AS (
    SELECT customer_id, registration_date,
           analytics.today() - coalesce(max((ordered_at AT TIME ZONE 'UTC')::date),
                                        registration_date) AS recency_days,
           count(order_id) AS frequency,
           count(*) FILTER (
               WHERE (ordered_at AT TIME ZONE 'UTC')::date > analytics.today() - 365
           ) AS orders_last_year,
           coalesce(sum(total) FILTER (WHERE status = 'completed'), 0) AS monetary
    FROM customers
    LEFT JOIN orders USING (customer_id)
    GROUP BY customer_id, registration_date
)
SELECT customer_id, registration_date, recency_days, frequency, orders_last_year, monetary,
       CASE WHEN frequency = 0 AND recency_days > 86 THEN 'dormant'
            WHEN recency_days >= 240 THEN 'dormant'
            WHEN recency_days > 90 THEN 'at risk'
            WHEN orders_last_year >= 14 THEN 'vip'
            ELSE 'active'
       END AS kind
FROM behaviour;
COMMENT ON VIEW analytics.customer_kinds IS
    'Every customer as dormant, at risk, active or VIP, by fixed borders. For figures'
    ' that can be compared over time (analytics engineer).';
COMMIT;

-- Which kinds are in which segments?
SELECT segment,
       count(*) FILTER (WHERE kind = 'vip') AS vip,
       count(*) FILTER (WHERE kind = 'active') AS active,
       count(*) FILTER (WHERE kind = 'at risk') AS at_risk,
       count(*) FILTER (WHERE kind = 'dormant') AS dormant
FROM analytics.rfm
JOIN analytics.customer_kinds USING (customer_id)
GROUP BY segment
ORDER BY vip DESC, active DESC, segment;

SELECT * FROM (VALUES
    ('the fifths are equal, as far as they go',
     (SELECT max(size) - min(size) <= 1
      FROM (SELECT count(*) AS size FROM analytics.rfm GROUP BY r) AS fifths),
     (SELECT string_agg(DISTINCT size::text, ' or ')
      FROM (SELECT count(*) AS size FROM analytics.rfm GROUP BY r) AS fifths) || ' customers'),
    ('Champions bring more than their share, Lost and Hibernating less',
     (SELECT max(money / people) FILTER (WHERE segment = 'Champions') > 2
         AND max(money / people) FILTER (WHERE segment IN ('Lost', 'Hibernating')) < 0.5
      FROM (SELECT segment, sum(monetary) / sum(sum(monetary)) OVER () AS money,
                   count(*)::numeric / sum(count(*)) OVER () AS people
            FROM analytics.rfm GROUP BY segment) AS shares),
     (SELECT round(100.0 * count(*) FILTER (WHERE segment = 'Champions') / count(*))
          || ' % of the customers bring '
          || round(100 * sum(monetary) FILTER (WHERE segment = 'Champions') / sum(monetary))
          || ' % of the revenue'
      FROM analytics.rfm)),
    ('no VIP is Lost, Hibernating or At Risk',
     (SELECT count(*) = 0
      FROM analytics.rfm JOIN analytics.customer_kinds USING (customer_id)
      WHERE kind = 'vip' AND segment IN ('Lost', 'Hibernating', 'At Risk')),
     (SELECT round(100.0 * count(*) FILTER (WHERE segment = 'Champions') / count(*))
          || ' % of the VIPs are Champions'
      FROM analytics.rfm JOIN analytics.customer_kinds USING (customer_id)
      WHERE kind = 'vip')),
    ('dormant, active, VIP, at risk: planted 35, 40, 10 and 15 % of those from before 2025',
     (SELECT bool_and(abs(found - planted) <= 1)
      FROM (SELECT kind, 100.0 * count(*) / sum(count(*)) OVER () AS found
            FROM analytics.customer_kinds
            WHERE registration_date < '2025-01-01' GROUP BY kind) AS kinds
      JOIN (VALUES ('dormant', 35), ('active', 40), ('vip', 10), ('at risk', 15))
           AS truth (kind, planted) USING (kind)),
     (SELECT 'found ' || string_agg(round(found, 1)::text, ', ' ORDER BY place) || ' %'
      FROM (SELECT kind, 100.0 * count(*) / sum(count(*)) OVER () AS found
            FROM analytics.customer_kinds
            WHERE registration_date < '2025-01-01' GROUP BY kind) AS kinds
      JOIN (VALUES ('dormant', 1), ('active', 2), ('vip', 3), ('at risk', 4))
           AS places (kind, place) USING (kind)))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 5. Market basket
-- What is bought together? The answer places products side by side, fills the box
-- "customers also bought", and tells which product not to drop. Data scientists find the
-- pairs, analytics engineers keep them fresh.
-- =============================================================================

-- Which products belong together?
-- Support is the share of all orders that hold both. Confidence is the share of the orders
-- with the first that hold the second as well, confidence_back the other way round. Lift
-- divides support by what chance would give: 1 means nothing, 8 means eight times as often
-- as by chance. Rare products reach a high lift by accident, so 50 common orders are the
-- least. A product stands in an order at most once, so rows are orders.
BEGIN;
CREATE OR REPLACE VIEW analytics.product_affinity AS
WITH sold AS (
    SELECT product_id, name, count(*) AS orders
    FROM order_items
    JOIN products USING (product_id)
    GROUP BY product_id, name
), pairs AS (
    SELECT a.product_id AS id_a, b.product_id AS id_b, count(*) AS together
    FROM order_items AS a
    JOIN order_items AS b ON b.order_id = a.order_id AND b.product_id > a.product_id
    GROUP BY 1, 2
    HAVING count(*) >= 50
)
SELECT a.name AS product_a, b.name AS product_b, together,
       round(100.0 * together / total.orders, 3) AS support_pct,
       round(100.0 * together / a.orders, 1) AS confidence_pct,
       round(100.0 * together / b.orders, 1) AS confidence_back_pct,
       round(together::numeric * total.orders / (a.orders * b.orders), 2) AS lift
FROM pairs
JOIN sold AS a ON a.product_id = id_a
JOIN sold AS b ON b.product_id = id_b
CROSS JOIN (SELECT count(*) AS orders FROM orders) AS total;
COMMENT ON VIEW analytics.product_affinity IS
    'Pairs of products with support, confidence both ways and lift, from 50 common '
    'orders on. For "customers also bought" (data scientist) and shelves and bundles '
    '(analytics engineer).';
COMMIT;

SELECT product_a, product_b, together, support_pct, confidence_pct AS conf_pct, lift
FROM analytics.product_affinity
ORDER BY lift DESC, product_a, product_b
LIMIT 8;

SELECT * FROM (VALUES
    ('five pairs were planted, and they lead the list with the planted lift',
     (SELECT count(*) = 5 AND bool_and(abs(lift - planted) <= 0.2)
      FROM (SELECT product_a, product_b, lift FROM analytics.product_affinity
            ORDER BY lift DESC LIMIT 5) AS best
      JOIN (VALUES ('Smartphone Alto 5', 'Phone Case Clear', 8),
                   ('Espresso Machine Lumo', 'Coffee Beans 1 kg', 6),
                   ('Two-Person Tent', 'Sleeping Bag', 10),
                   ('Running Shoes Swift', 'Running Socks 3-Pack', 5),
                   ('Yoga Mat', 'Yoga Block', 4)) AS truth (one, other, planted)
        ON one IN (product_a, product_b) AND other IN (product_a, product_b)),
     (SELECT 'planted 10, 8, 6, 5, 4; found ' || string_agg(lift::text, ', ' ORDER BY lift DESC)
      FROM (SELECT lift FROM analytics.product_affinity ORDER BY lift DESC LIMIT 5) AS best)),
    ('all other pairs are near 1',
     (SELECT max(lift) < 2
      FROM (SELECT lift FROM analytics.product_affinity
            ORDER BY lift DESC OFFSET 5) AS others),
     (SELECT 'at most ' || max(lift)
      FROM (SELECT lift FROM analytics.product_affinity
            ORDER BY lift DESC OFFSET 5) AS others))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 6. ABC
-- A few products bring most of the money: Pareto's rule. A products together bring 80 %
-- of the revenue, B the next 15 %, C the rest. Never let an A product run out of stock.
-- Analytics engineers keep the list, buyers and sellers live by it.
-- =============================================================================

-- Which products earn the money?
-- The cumulative share is a running sum over products from the best to the worst, divided
-- by the whole. A product is A if the ones before it have not reached 80 % yet.
BEGIN;
CREATE OR REPLACE VIEW analytics.abc AS
WITH income AS (
    SELECT product_id, sum(quantity * unit_price) AS revenue
    FROM order_items
    JOIN orders USING (order_id)
    WHERE status = 'completed'
    GROUP BY product_id
), ranked AS (
    SELECT row_number() OVER best AS place,
           product_id, name, category,
           coalesce(revenue, 0) AS revenue,
           sum(coalesce(revenue, 0)) OVER best AS so_far,
           sum(revenue) OVER () AS everything
    FROM products
    LEFT JOIN income USING (product_id)
    WINDOW best AS (ORDER BY coalesce(revenue, 0) DESC, product_id)
)
SELECT place, product_id, name, category, revenue,
       round(100 * revenue / everything, 2) AS share_pct,
       round(100 * so_far / everything, 2) AS cumulative_pct,
       CASE WHEN so_far - revenue < 0.80 * everything THEN 'A'
            WHEN so_far - revenue < 0.95 * everything THEN 'B'
            ELSE 'C'
       END AS class
FROM ranked;
COMMENT ON VIEW analytics.abc IS
    'Products from the best to the worst with their share of revenue, the cumulative '
    'share and the class A, B or C. For stock and purchasing (analytics engineer).';
COMMIT;

SELECT place, name, category, revenue, share_pct, cumulative_pct, class
FROM analytics.abc
ORDER BY place
LIMIT 8;

-- How many products are in each class?
SELECT class, count(*) AS products, sum(revenue) AS revenue,
       round(100 * sum(revenue) / sum(sum(revenue)) OVER (), 1) AS revenue_pct
FROM analytics.abc
GROUP BY class
ORDER BY class;

-- Which prices changed, and when?
-- A fall of revenue may be a change of price. order_items remembers what was paid: the
-- first day on which each price was paid, and LAG for the price before. (A price that
-- comes back after a sale is not seen again.)
BEGIN;
CREATE OR REPLACE VIEW analytics.price_changes AS
WITH prices AS (
    SELECT product_id, unit_price, min(ordered_at) AS first_paid_at
    FROM order_items
    JOIN orders USING (order_id)
    GROUP BY product_id, unit_price
), compared AS (
    SELECT product_id, unit_price AS new_price, first_paid_at,
           lag(unit_price) OVER (PARTITION BY product_id
                                 ORDER BY first_paid_at, unit_price) AS old_price
    FROM prices
)
SELECT product_id, name, category, old_price, new_price,
       round(100 * new_price / old_price - 100, 2) AS change_pct,
       (first_paid_at AT TIME ZONE 'UTC')::date AS first_paid_on
FROM compared
JOIN products USING (product_id)
WHERE old_price IS NOT NULL;
COMMENT ON VIEW analytics.price_changes IS
    'Each change of a price, as customers paid it: old, new, per cent, and the first '
    'day. For explaining jumps of revenue (analytics engineer) and price tests (data '
    'scientist).';
COMMIT;

SELECT category, count(*) AS changes, round(avg(change_pct), 1) AS change_pct,
       min(first_paid_on) AS first_paid_on
FROM analytics.price_changes
GROUP BY category
ORDER BY category;

SELECT * FROM (VALUES
    ('24 of 120 products are A: planted 24 with 80 % of the revenue',
     (SELECT count(*) FILTER (WHERE class = 'A') = 24
         AND abs(max(cumulative_pct) FILTER (WHERE place = 24) - 80) <= 2
      FROM analytics.abc),
     (SELECT 'found ' || count(*) || ' with ' || round(max(cumulative_pct), 1) || ' %'
      FROM analytics.abc WHERE class = 'A')),
    ('the cumulative share ends at 100 %',
     (SELECT max(cumulative_pct) = 100 FROM analytics.abc),
     (SELECT sum(revenue) || ' euros' FROM analytics.abc)),
    ('only Kitchen changed its prices: planted 8 % on 2025-02-01',
     (SELECT bool_and(category = 'Kitchen') AND abs(avg(change_pct) - 8) <= 0.1
         AND min(first_paid_on) = '2025-02-01'
      FROM analytics.price_changes),
     (SELECT 'found ' || round(avg(change_pct), 1) || ' % from ' || min(first_paid_on) || ' on'
      FROM analytics.price_changes))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 7. Statistics
-- Averages hide more than they tell. Percentiles, outliers, correlation and a test of
-- chance are in the database already: no rows need to travel. Data scientists explore and
-- judge experiments with these, data engineers watch quality.
-- =============================================================================

-- How big are orders?
-- Half of the orders are below the median; the mean is pulled up by a few big ones.
-- GROUPING SETS adds the line for all channels in the same pass over the table.
BEGIN;
CREATE OR REPLACE VIEW analytics.order_percentiles AS
SELECT CASE WHEN grouping(channel) = 1 THEN 'all' ELSE channel END AS channel,
       count(*) AS orders,
       round(avg(total), 2) AS mean,
       round(stddev_samp(total), 2) AS stddev,
       round(percentile_cont(0.25) WITHIN GROUP (ORDER BY total)::numeric, 2) AS p25,
       round(percentile_cont(0.50) WITHIN GROUP (ORDER BY total)::numeric, 2) AS median,
       round(percentile_cont(0.75) WITHIN GROUP (ORDER BY total)::numeric, 2) AS p75,
       round(percentile_cont(0.90) WITHIN GROUP (ORDER BY total)::numeric, 2) AS p90,
       round(percentile_cont(0.99) WITHIN GROUP (ORDER BY total)::numeric, 2) AS p99
FROM orders
WHERE status = 'completed'
GROUP BY GROUPING SETS ((channel), ());
COMMENT ON VIEW analytics.order_percentiles IS
    'Mean, spread and percentiles of the value of completed orders, by channel and '
    'for all. For exploring (data scientist) and honest averages on dashboards '
    '(analytics engineer).';
COMMIT;

SELECT channel, orders, mean, stddev, p25, median, p75, p99
FROM analytics.order_percentiles
ORDER BY channel;

-- Which orders are out of the ordinary?
-- Tukey's rule: the box from the first to the third quartile holds the middle half, its
-- length is the IQR. What lies more than 1.5 IQR outside is an outlier, 3 IQR extreme. We
-- ask about the value of an order and about its largest line (pieces of one product). An
-- outlier is a question, not an error: look before you delete.
BEGIN;
CREATE OR REPLACE VIEW analytics.order_outliers AS
WITH figures AS (
    SELECT order_id, 'total' AS measure, total AS value
    FROM orders
    UNION ALL
    SELECT order_id, 'largest line', max(quantity)
    FROM order_items
    GROUP BY order_id
), boxes AS (
    SELECT measure, q1, q3, q3 - q1 AS iqr
    FROM (SELECT measure,
                 percentile_cont(0.25) WITHIN GROUP (ORDER BY value)::numeric AS q1,
                 percentile_cont(0.75) WITHIN GROUP (ORDER BY value)::numeric AS q3
          FROM figures
          GROUP BY measure) AS quartiles
)
SELECT order_id, measure, value,
       round(q1 - 1.5 * iqr, 2) AS lower_fence,
       round(q3 + 1.5 * iqr, 2) AS upper_fence,
       CASE WHEN value < q1 - 3 * iqr OR value > q3 + 3 * iqr
            THEN 'extreme' ELSE 'mild'
       END AS grade
FROM figures
JOIN boxes USING (measure)
WHERE value < q1 - 1.5 * iqr OR value > q3 + 1.5 * iqr;
COMMENT ON VIEW analytics.order_outliers IS
    'Orders whose value or largest line is an outlier by the IQR rule, mild or '
    'extreme. For quality checks (data engineer) and clean training data (data '
    'scientist).';
COMMIT;

-- How many, and the most unusual ones
SELECT measure, grade, count(*) AS orders, min(value) AS least, max(value) AS most
FROM analytics.order_outliers
GROUP BY measure, grade
ORDER BY measure, grade;

SELECT order_id, measure, value, lower_fence, upper_fence, grade
FROM analytics.order_outliers
WHERE measure = 'largest line'
ORDER BY value DESC, order_id
LIMIT 5;

-- What goes together?
-- corr is +1 or -1 on a straight line, 0 when a line explains nothing. regr_slope and
-- regr_intercept give the line itself: y = intercept + slope * x. None of them says why.
BEGIN;
CREATE OR REPLACE VIEW analytics.correlations AS
WITH pairs AS (
    SELECT 'frequency' AS x_name, 'monetary' AS y_name,
           frequency::double precision AS x, monetary::double precision AS y
    FROM analytics.rfm
    UNION ALL
    SELECT 'recency_days', 'frequency', recency_days, frequency
    FROM analytics.rfm
    UNION ALL
    SELECT 'orders of a day', 'revenue of a day', orders, revenue
    FROM analytics.daily_sales
    UNION ALL
    SELECT 'price', 'pieces sold', price, pieces
    FROM products
    JOIN (SELECT product_id, sum(quantity) AS pieces
          FROM order_items GROUP BY product_id) AS sold USING (product_id)
)
SELECT x_name, y_name, count(*) AS n,
       round(corr(y, x)::numeric, 3) AS r,
       round(regr_r2(y, x)::numeric, 3) AS r2,
       round(regr_slope(y, x)::numeric, 3) AS slope,
       round(regr_intercept(y, x)::numeric, 2) AS intercept
FROM pairs
GROUP BY x_name, y_name;
COMMENT ON VIEW analytics.correlations IS
    'Correlation and regression line of four pairs of figures. For exploring before '
    'modelling (data scientist).';
COMMIT;

SELECT x_name, y_name, n, r, r2, slope, intercept
FROM analytics.correlations
ORDER BY r DESC, x_name;

-- Does the new checkout work, or was it luck?
-- Group B sees a new checkout, and more of its checkouts end with a purchase. The
-- two-proportion z-test: if both groups had the same rate, how many standard errors is the
-- difference? p_value is the chance of a difference at least as big by luck alone:
-- erfc(|z| / sqrt(2)). The interval holds the true difference, in points, 19 times out of
-- 20. The step before the checkout is the same for both groups, a control: no difference
-- may show there. (Only visits that signed in have a group. Visits are counted, but customers
-- were dealt into groups: were the visits of one customer alike, z would be too big. And
-- decide how long a test runs before you look.)
BEGIN;
CREATE OR REPLACE VIEW analytics.ab_test AS
WITH visits AS (
    SELECT step, ab_group, success
    FROM analytics.web_sessions
    JOIN customers USING (customer_id)
    CROSS JOIN LATERAL (VALUES
        ('cart to checkout', carted_at IS NOT NULL, (checkout_at IS NOT NULL)::int),
        ('checkout to purchase', checkout_at IS NOT NULL, (purchased_at IS NOT NULL)::int)
    ) AS steps (step, tried, success)
    WHERE tried
), counted AS (
    SELECT step,
           count(*) FILTER (WHERE ab_group = 'A')::double precision AS a,
           count(*) FILTER (WHERE ab_group = 'B')::double precision AS b,
           avg(success) FILTER (WHERE ab_group = 'A')::double precision AS rate_a,
           avg(success) FILTER (WHERE ab_group = 'B')::double precision AS rate_b,
           avg(success)::double precision AS rate
    FROM visits
    GROUP BY step
), tested AS (
    SELECT *, rate_b - rate_a AS difference,
           (rate_b - rate_a) / sqrt(rate * (1 - rate) * (1 / a + 1 / b)) AS z,
           1.959964 * sqrt(rate_a * (1 - rate_a) / a + rate_b * (1 - rate_b) / b) AS margin
    FROM counted
)
SELECT step, a::bigint AS visits_a, b::bigint AS visits_b,
       round((100 * rate_a)::numeric, 2) AS rate_a_pct,
       round((100 * rate_b)::numeric, 2) AS rate_b_pct,
       round(z::numeric, 2) AS z,
       erfc(abs(z) / sqrt(2))::numeric(7, 6) AS p_value,
       round((100 * (difference - margin))::numeric, 2) AS ci_low,
       round((100 * (difference + margin))::numeric, 2) AS ci_high
FROM tested;
COMMENT ON VIEW analytics.ab_test IS
    'The checkout experiment: rates of both groups, z, p-value and the 95 % interval '
    'of the difference in points; and the step before it as a control. For the '
    'decision to ship (data scientist).';
COMMIT;

SELECT step, visits_a, visits_b, rate_a_pct, rate_b_pct, z, p_value
FROM analytics.ab_test
ORDER BY step;

-- Which channel loses orders?
BEGIN;
CREATE OR REPLACE VIEW analytics.channel_status AS
SELECT channel, count(*) AS orders,
       round(100.0 * count(*) FILTER (WHERE status = 'completed') / count(*), 1)
           AS completed_pct,
       round(100.0 * count(*) FILTER (WHERE status = 'cancelled') / count(*), 1)
           AS cancelled_pct,
       round(100.0 * count(*) FILTER (WHERE status = 'refunded') / count(*), 1)
           AS refunded_pct
FROM orders
GROUP BY channel;
COMMENT ON VIEW analytics.channel_status IS
    'What becomes of the orders of each channel. For alarms when a rate jumps (data '
    'engineer) and for KPIs (analytics engineer).';
COMMIT;

SELECT channel, orders, completed_pct, cancelled_pct, refunded_pct
FROM analytics.channel_status
ORDER BY channel;

SELECT * FROM (VALUES
    ('the mean order is above the median: a few big ones pull it up',
     (SELECT bool_and(mean > median) FROM analytics.order_percentiles),
     (SELECT mean || ' and ' || median FROM analytics.order_percentiles WHERE channel = 'all')),
    ('the extreme lines are the planted presents: one order in 500',
     (SELECT count(*) FROM analytics.order_outliers
      WHERE measure = 'largest line' AND grade = 'extreme')
     = (SELECT count(*) / 500 FROM orders),
     (SELECT 'planted ' || (SELECT count(*) / 500 FROM orders) || ', found ' || count(*)
      FROM analytics.order_outliers
      WHERE measure = 'largest line' AND grade = 'extreme')),
    ('the new checkout works: planted 60 and 66 %',
     (SELECT p_value < 0.01 AND ci_low > 0
         AND abs(rate_a_pct - 60) <= 0.5 AND abs(rate_b_pct - 66) <= 0.5
      FROM analytics.ab_test WHERE step = 'checkout to purchase'),
     (SELECT 'found ' || rate_a_pct || ' and ' || rate_b_pct || ' %, z = ' || z
      FROM analytics.ab_test WHERE step = 'checkout to purchase')),
    ('the control shows no difference',
     (SELECT p_value > 0.05 FROM analytics.ab_test WHERE step = 'cart to checkout'),
     (SELECT 'p = ' || round(p_value, 2) FROM analytics.ab_test
      WHERE step = 'cart to checkout')),
    ('cancelled orders: planted mobile 6 %, store 1 %, web 4 %',
     (SELECT bool_and(abs(cancelled_pct - planted) <= 0.3)
      FROM analytics.channel_status
      JOIN (VALUES ('web', 4), ('mobile', 6), ('store', 1)) AS truth (channel, planted)
      USING (channel)),
     (SELECT 'found ' || string_agg(channel || ' ' || cancelled_pct || ' %', ', '
                                    ORDER BY channel)
      FROM analytics.channel_status))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- 8. Features for machine learning
-- A model learns from what was known then to tell what came after. The commonest mistake
-- is to let a feature peek: it looks brilliant in training and fails in production. So
-- every feature here is a function of a day, and reads nothing from after that day. Data
-- scientists train on these, data engineers schedule them, feature stores serve them.
-- =============================================================================

-- What did we know about each customer on a given day?
-- One filter, ordered_at before the end of the day, stands below everything else. The
-- features do not use status: a refund may have come after the day, and the table doesn't
-- say when, so every order counts with the total that was known when it was placed.
-- Lag: the last value and the one before. Rolling: the last 30, 90 and 365 days. Date:
-- month and weekday. Categories: as shares, as a frequency, and plain for the model to
-- encode. Who never ordered has NULL where there is nothing to know, not 0.
BEGIN;
CREATE OR REPLACE FUNCTION analytics.customer_features_as_of(on_day date)
RETURNS TABLE (
    customer_id integer, as_of date, tenure_days integer, days_since_last_order integer,
    total_orders bigint, total_spent numeric, avg_order_value numeric,
    orders_30d bigint, orders_90d bigint, orders_365d bigint,
    spent_90d numeric, spent_90d_before numeric,
    last_order_value numeric, previous_order_value numeric,
    days_between_last_two integer, avg_days_between_orders numeric,
    registration_month integer, last_order_weekday integer,
    web_share numeric, mobile_share numeric, store_share numeric,
    last_channel text, country text, country_share numeric, favourite_category text
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
WITH known AS NOT MATERIALIZED (
    SELECT o.customer_id, o.order_id, o.ordered_at, o.channel, o.total,
           (o.ordered_at AT TIME ZONE 'UTC')::date AS ordered_on
    FROM orders AS o
    WHERE o.ordered_at < (on_day + 1)::timestamp AT TIME ZONE 'UTC'
), numbered AS (
    SELECT k.*, row_number() OVER (PARTITION BY k.customer_id
                                   ORDER BY k.ordered_at DESC, k.order_id DESC) AS back
    FROM known AS k
), behaviour AS (
    SELECT k.customer_id,
           count(*) AS total_orders,
           sum(k.total) AS total_spent,
           min(k.ordered_on) AS first_on,
           max(k.ordered_on) AS last_on,
           max(k.ordered_on) FILTER (WHERE k.back = 2) AS previous_on,
           max(k.total) FILTER (WHERE k.back = 1) AS last_value,
           max(k.total) FILTER (WHERE k.back = 2) AS previous_value,
           max(k.channel) FILTER (WHERE k.back = 1) AS last_channel,
           count(*) FILTER (WHERE k.ordered_on > on_day - 30) AS orders_30d,
           count(*) FILTER (WHERE k.ordered_on > on_day - 90) AS orders_90d,
           count(*) FILTER (WHERE k.ordered_on > on_day - 365) AS orders_365d,
           sum(k.total) FILTER (WHERE k.ordered_on > on_day - 90) AS spent_90d,
           sum(k.total) FILTER (WHERE k.ordered_on > on_day - 180
                                  AND k.ordered_on <= on_day - 90) AS spent_90d_before,
           count(*) FILTER (WHERE k.channel = 'web') AS web,
           count(*) FILTER (WHERE k.channel = 'mobile') AS mobile,
           count(*) FILTER (WHERE k.channel = 'store') AS store
    FROM numbered AS k
    GROUP BY k.customer_id
), tastes AS (
    SELECT k.customer_id, p.category,
           row_number() OVER (PARTITION BY k.customer_id
                              ORDER BY sum(i.quantity) DESC, p.category) AS place
    FROM known AS k
    JOIN order_items AS i ON i.order_id = k.order_id
    JOIN products AS p ON p.product_id = i.product_id
    GROUP BY k.customer_id, p.category
)
SELECT c.customer_id,
       on_day AS as_of,
       on_day - c.registration_date AS tenure_days,
       on_day - b.last_on AS days_since_last_order,
       coalesce(b.total_orders, 0) AS total_orders,
       coalesce(b.total_spent, 0) AS total_spent,
       round(b.total_spent / b.total_orders, 2) AS avg_order_value,
       coalesce(b.orders_30d, 0) AS orders_30d,
       coalesce(b.orders_90d, 0) AS orders_90d,
       coalesce(b.orders_365d, 0) AS orders_365d,
       coalesce(b.spent_90d, 0) AS spent_90d,
       coalesce(b.spent_90d_before, 0) AS spent_90d_before,
       b.last_value AS last_order_value,
       b.previous_value AS previous_order_value,
       b.last_on - b.previous_on AS days_between_last_two,
       round((b.last_on - b.first_on)::numeric / nullif(b.total_orders - 1, 0), 2)
           AS avg_days_between_orders,
       extract(month FROM c.registration_date)::int AS registration_month,
       extract(isodow FROM b.last_on)::int AS last_order_weekday,
       round(b.web::numeric / b.total_orders, 4) AS web_share,
       round(b.mobile::numeric / b.total_orders, 4) AS mobile_share,
       round(b.store::numeric / b.total_orders, 4) AS store_share,
       b.last_channel AS last_channel,
       c.country AS country,
       round(count(*) OVER (PARTITION BY c.country)::numeric / count(*) OVER (), 4)
           AS country_share,
       t.category AS favourite_category
FROM customers AS c
LEFT JOIN behaviour AS b ON b.customer_id = c.customer_id
LEFT JOIN tastes AS t ON t.customer_id = c.customer_id AND t.place = 1
WHERE c.registration_date <= on_day;
END;
COMMENT ON FUNCTION analytics.customer_features_as_of(date) IS
    'Features of every customer registered by on_day, from what was known at the end '
    'of it. For training sets of any day (data scientist) and backfills (data '
    'engineer).';
COMMIT;

-- The features of today
-- The same row under two names: customer_features for any model, churn_features for the
-- one that asks who will leave.
BEGIN;
CREATE OR REPLACE VIEW analytics.customer_features AS
SELECT * FROM analytics.customer_features_as_of(analytics.today());
COMMENT ON VIEW analytics.customer_features IS
    'Features of every customer as of today. For scoring (data scientist) and feature'
    ' stores (data engineer).';
COMMIT;

BEGIN;
CREATE OR REPLACE VIEW analytics.churn_features AS
SELECT * FROM analytics.customer_features;
COMMENT ON VIEW analytics.churn_features IS
    'customer_features under the name that the churn model uses: who is about to '
    'leave? (data scientist)';
COMMIT;

SELECT customer_id, days_since_last_order, total_orders, avg_order_value,
       orders_90d, last_channel
FROM analytics.churn_features
ORDER BY customer_id
LIMIT 6;

-- Who left?
-- A label looks at the days after: churned is who ordered before the end of the day and
-- never in the 90 days after it. It stands apart from the features, so that no feature can
-- use it. For days less than 90 days ago nobody knows the label yet: no rows.
BEGIN;
CREATE OR REPLACE FUNCTION analytics.churn_labels_as_of(on_day date)
RETURNS TABLE (customer_id integer, as_of date, churned boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT o.customer_id, on_day AS as_of,
       max(o.ordered_at) < (on_day + 1)::timestamp AT TIME ZONE 'UTC' AS churned
FROM orders AS o
WHERE o.ordered_at < (on_day + 91)::timestamp AT TIME ZONE 'UTC'
  AND on_day + 90 <= analytics.today()
GROUP BY o.customer_id
HAVING min(o.ordered_at) < (on_day + 1)::timestamp AT TIME ZONE 'UTC';
END;
COMMENT ON FUNCTION analytics.churn_labels_as_of(date) IS
    'Whether each customer who had ordered by on_day ordered nothing in the 90 days '
    'after it. The label of a churn model (data scientist).';
COMMIT;

-- A training set: features of 90 days ago, and what became of it
BEGIN;
CREATE OR REPLACE VIEW analytics.churn_training AS
SELECT features.*, labels.churned
FROM analytics.customer_features_as_of(analytics.today() - 90) AS features
JOIN analytics.churn_labels_as_of(analytics.today() - 90) AS labels USING (customer_id);
COMMENT ON VIEW analytics.churn_training IS
    'Features as of 90 days ago with the label of the 90 days since. To train and '
    'test a churn model (data scientist).';
COMMIT;

-- Does a feature tell something about the label?
SELECT CASE WHEN days_since_last_order <= 30 THEN '1: up to 30 days'
            WHEN days_since_last_order <= 90 THEN '2: 31 to 90 days'
            WHEN days_since_last_order <= 240 THEN '3: 91 to 240 days'
            ELSE '4: over 240 days'
       END AS last_order,
       count(*) AS customers,
       round(100 * avg(churned::int), 1) AS churned_pct
FROM analytics.churn_training
GROUP BY 1
ORDER BY 1;

-- And for forecasting sales?
-- The target is the revenue of the day; every feature ends the day before. "ROWS BETWEEN 7
-- PRECEDING AND 1 PRECEDING" leaves today out: with CURRENT ROW the answer would be part
-- of the question. lag_364 is the same weekday a year ago.
BEGIN;
CREATE OR REPLACE VIEW analytics.sales_features AS
SELECT date, revenue,
       lag(revenue, 1) OVER by_date AS lag_1,
       lag(revenue, 7) OVER by_date AS lag_7,
       lag(revenue, 364) OVER by_date AS lag_364,
       round(avg(revenue) OVER week, 2) AS mean_7,
       round(stddev_samp(revenue) OVER week, 2) AS std_7,
       round(avg(revenue) OVER four_weeks, 2) AS mean_28,
       extract(isodow FROM date)::int AS weekday,
       extract(isodow FROM date) >= 6 AS is_weekend,
       extract(day FROM date)::int AS day_of_month,
       extract(month FROM date)::int AS month
FROM analytics.daily_sales
WINDOW by_date AS (ORDER BY date),
       week AS (ORDER BY date ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
       four_weeks AS (ORDER BY date ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING);
COMMENT ON VIEW analytics.sales_features IS
    'The revenue of each day with features that were known the day before: lags, '
    'rolling mean and spread, parts of the date. For forecasts (data scientist).';
COMMIT;

SELECT date, revenue, lag_1, lag_7, lag_364, mean_7, std_7, weekday
FROM analytics.sales_features
ORDER BY date DESC
LIMIT 5;

SELECT * FROM (VALUES
    ('every customer has one row of features',
     (SELECT count(*) = count(DISTINCT customer_id) FROM analytics.customer_features)
     AND (SELECT count(*) FROM analytics.customer_features)
         = (SELECT count(*) FROM customers),
     (SELECT count(*) || ' rows' FROM analytics.customer_features)),
    ('nobody is known before registering, and no order is from the future',
     (SELECT min(tenure_days) >= 0 AND min(days_since_last_order) >= 0
      FROM analytics.customer_features_as_of('2024-06-30')),
     (SELECT count(*) || ' customers on 2024-06-30'
      FROM analytics.customer_features_as_of('2024-06-30'))),
    ('orders known then and orders placed since make all orders',
     (SELECT sum(total_orders) FROM analytics.customer_features_as_of('2024-06-30'))
     + (SELECT count(*) FROM orders WHERE ordered_at >= '2024-07-01 00:00+00')
     = (SELECT sum(total_orders) FROM analytics.churn_features),
     (SELECT sum(total_orders) || ' orders' FROM analytics.churn_features)),
    ('the label of yesterday is not known yet',
     (SELECT count(*) = 0 FROM analytics.churn_labels_as_of(analytics.today() - 1)),
     (SELECT count(*) || ' labels' FROM analytics.churn_labels_as_of(analytics.today() - 1))),
    ('who ordered lately rarely leaves: recency tells',
     (SELECT avg(churned::int) FILTER (WHERE days_since_last_order > 240)
           > 3 * avg(churned::int) FILTER (WHERE days_since_last_order <= 30)
      FROM analytics.churn_training),
     (SELECT round(100 * avg(churned::int) FILTER (WHERE days_since_last_order <= 30))
          || ' % against '
          || round(100 * avg(churned::int) FILTER (WHERE days_since_last_order > 240)) || ' %'
      FROM analytics.churn_training))
) AS checked (claim, holds, evidence);

-- =============================================================================
-- What changes at a thousand times the size
-- These are plain views: always fresh, computed at each question. With a million orders
-- each answers in seconds. When a dashboard asks every minute, store the answer (a
-- MATERIALIZED VIEW, or a table that dbt fills each night) and add only the new days. When
-- one machine no longer reads the history in time, move it to a column store: the SQL
-- stays nearly the same. And don't compute here what needs a loop: models belong in
-- Python, on the features that SQL has made.
-- =============================================================================

-- Let the next one in
-- The views stay: they belong to the course, and other lessons read them.
RESET lock_timeout;
SELECT pg_advisory_unlock(hashtext('analytics')) AS "the lock is free again";
