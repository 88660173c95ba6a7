-- SQL from the first SELECT to window functions
--
-- You will see how questions about a shop become queries: choosing rows, joining
-- tables, counting groups, comparing each row with its neighbours, changing data
-- safely, and making a slow query fast.
--
-- Run      python learn.py run sql/04     (or: python learn.py psql -f sql_examples/04_sql_examples.sql)
-- Needs    PostgreSQL
-- Minutes  90
-- Next     python_db/05_db_connection.py

-- =============================================================================
-- Reading one table
-- Say what you want, not how to find it: which columns (SELECT), from which table
-- (FROM), which rows (WHERE), in which order (ORDER BY), how many (LIMIT).
-- =============================================================================

-- Who were our first customers?
-- Without ORDER BY the rows may come in any order, and tomorrow in another one.
SELECT customer_id, name, city, registration_date
FROM customers
ORDER BY customer_id
LIMIT 5;

-- Which products earn the most per piece?
-- A column may be computed; AS names it. Where two products are equal, product_id
-- decides: with such a tie-breaker the answer is the same every time.
SELECT name,
       price - cost AS margin,
       round(100 * (price - cost) / price) AS percent
FROM products
ORDER BY margin DESC, product_id
LIMIT 5;

-- Which products that we still sell cost between 20 and 30 euros?
-- WHERE keeps the rows for which the condition is true. BETWEEN includes both ends.
SELECT name, category, price
FROM products
WHERE price BETWEEN 20 AND 30 AND discontinued_on IS NULL
ORDER BY price, product_id
LIMIT 5;

-- In which countries do our customers live?
-- DISTINCT removes repeated rows.
SELECT DISTINCT country
FROM customers
ORDER BY country;

-- What stands on page 2 of the price list?
-- OFFSET reads and throws away what it skips: fine for page 2, slow for page 20,000.
-- A big shop remembers the last row shown and asks for what comes after it:
-- WHERE (price, product_id) > (9.90, 17).
SELECT product_id, name, price
FROM products
ORDER BY price, product_id
LIMIT 3 OFFSET 3;

-- Agree on the clock
-- Points in time are stored in UTC and shown in the time zone of the session.
SET TIME ZONE 'UTC';

-- What was ordered late on 25 October?
-- A day is ">= its start AND < the next day": BETWEEN would take midnight twice.
SELECT order_id, ordered_at, status, total
FROM orders
WHERE ordered_at >= '2025-10-25' AND ordered_at < '2025-10-26'
ORDER BY ordered_at DESC, order_id
LIMIT 5;

SELECT * FROM (VALUES
    ('LIMIT 5 gives at most five rows',
     (SELECT count(*) = 5 FROM (SELECT 1 FROM customers LIMIT 5) AS few)),
    ('two half-open days make two days: no order is lost or counted twice',
     (SELECT count(*) FILTER (WHERE ordered_at >= '2025-10-24' AND ordered_at < '2025-10-25')
           + count(*) FILTER (WHERE ordered_at >= '2025-10-25' AND ordered_at < '2025-10-26')
           = count(*) FILTER (WHERE ordered_at >= '2025-10-24' AND ordered_at < '2025-10-26')
      FROM orders)),
    ('no two products share a place in the price list',
     (SELECT count(*) = count(DISTINCT (price, product_id)) FROM products))
) AS checked (claim, holds);

-- =============================================================================
-- NULL: we don't know
-- NULL means "unknown". Asking whether an unknown thing equals something gives
-- neither true nor false but unknown, and WHERE keeps only what is true.
-- =============================================================================

-- What do comparisons with NULL answer?
-- Unknown AND false is false, whatever the unknown thing is. Unknown AND true stays
-- unknown.
SELECT NULL = NULL AS "NULL = NULL",
       NULL <> 1 AS "NULL <> 1",
       NULL AND false AS "NULL AND false",
       NULL AND true AS "NULL AND true",
       NULL IS NULL AS "NULL IS NULL";

-- Which customers gave no telephone number?
-- IS NULL asks the question that "= NULL" can't.
SELECT customer_id, name, phone
FROM customers
WHERE phone IS NULL
ORDER BY customer_id
LIMIT 3;

-- How many numbers do we have?
-- count(*) counts rows, count(phone) the rows in which phone is known.
SELECT count(*) AS customers,
       count(phone) AS with_phone,
       count(*) - count(phone) AS without
FROM customers;

-- What should the call list show instead of NULL?
-- COALESCE gives the first value that is known.
SELECT name, COALESCE(phone, 'write to ' || email) AS contact
FROM customers
ORDER BY customer_id
LIMIT 5;

-- How do we divide when the divisor may be zero?
-- NULLIF(a, b) is NULL when a equals b, and dividing by NULL gives NULL, no error.
SELECT sold, returned, round(100.0 * returned / NULLIF(sold, 0)) AS percent
FROM (VALUES (50, 2), (0, 0)) AS season (sold, returned)
ORDER BY sold;

SELECT * FROM (VALUES
    ('"= NULL" finds nobody', (SELECT count(*) = 0 FROM customers WHERE phone = NULL)),
    ('a condition and its opposite together miss the unknown',
     (SELECT count(*) FILTER (WHERE phone LIKE '%7')
           + count(*) FILTER (WHERE NOT phone LIKE '%7') = count(phone)
         AND count(phone) < count(*) FROM customers)),
    ('NOT IN a list with a NULL finds nothing at all',
     (SELECT count(*) = 0 FROM customers WHERE city NOT IN ('Atlantis', NULL)))
) AS checked (claim, holds);

-- =============================================================================
-- Patterns and cases
-- =============================================================================

-- Whose surname ends like Shevchenko's?
-- In LIKE, % stands for any text and _ for one character. ILIKE ignores upper and
-- lower case.
SELECT name, email
FROM customers
WHERE name ILIKE '%ENKO'
ORDER BY customer_id
LIMIT 5;

-- How many products are cheap, how many are expensive?
-- CASE takes the first condition that is true, so each product falls into one class.
SELECT CASE WHEN price < 20 THEN 'under 20'
            WHEN price < 100 THEN '20 to 100'
            ELSE '100 and more'
       END AS price_class,
       count(*) AS products
FROM products
GROUP BY price_class
ORDER BY min(price);

SELECT * FROM (VALUES
    ('LIKE is strict about upper and lower case, ILIKE is not',
     (SELECT count(*) FILTER (WHERE name LIKE '%ENKO') = 0
         AND count(*) FILTER (WHERE name ILIKE '%ENKO') > 0 FROM customers)),
    ('every product falls into exactly one price class',
     (SELECT count(*) = count(CASE WHEN price < 20 THEN 1 WHEN price < 100 THEN 2 ELSE 3 END)
      FROM products))
) AS checked (claim, holds);

-- =============================================================================
-- Joins
-- A join puts rows of two tables side by side where a condition holds. The kinds
-- differ in what becomes of rows that find no partner.
-- =============================================================================

-- Who placed the newest orders?
-- INNER JOIN, or just JOIN: only rows with a partner.
SELECT o.order_id, o.ordered_at::date AS day, c.name, o.total
FROM orders AS o
JOIN customers AS c ON c.customer_id = o.customer_id
ORDER BY o.ordered_at DESC, o.order_id
LIMIT 3;

-- How many orders has each of our newest customers placed?
-- LEFT JOIN keeps every customer. Without an order, the order's columns are NULL, so
-- count(o.order_id), not count(*).
SELECT c.customer_id, c.name, count(o.order_id) AS orders
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.customer_id
GROUP BY c.customer_id, c.name
ORDER BY c.customer_id DESC
LIMIT 5;

-- The same with the tables the other way round
-- RIGHT JOIN keeps every row of the right table. Most people write LEFT.
SELECT c.customer_id, c.name, count(o.order_id) AS orders
FROM orders AS o
RIGHT JOIN customers AS c ON o.customer_id = c.customer_id
GROUP BY c.customer_id, c.name
ORDER BY c.customer_id DESC
LIMIT 2;

-- Which products were looked at, and which were sold, on 25 October?
-- FULL JOIN keeps both sides: looked at and not sold, sold and not looked at (in a
-- store, say), and both.
SELECT CASE WHEN sold.product_id IS NULL THEN 'only looked at'
            WHEN seen.product_id IS NULL THEN 'only sold'
            ELSE 'both'
       END AS what,
       count(*) AS products
FROM (
    SELECT DISTINCT product_id
    FROM web_events
    WHERE event_type = 'view'
      AND occurred_at >= '2025-10-25' AND occurred_at < '2025-10-26'
) AS seen
FULL JOIN (
    SELECT DISTINCT i.product_id
    FROM order_items AS i
    JOIN orders AS o ON o.order_id = i.order_id
    WHERE o.ordered_at >= '2025-10-25' AND o.ordered_at < '2025-10-26'
) AS sold ON sold.product_id = seen.product_id
GROUP BY what
ORDER BY what;

-- How do we get a report without holes?
-- CROSS JOIN makes every combination. LEFT JOIN then fills in what there is, and a
-- combination without orders shows 0 instead of missing.
SELECT c.channel, s.status, count(o.order_id) AS orders
FROM (VALUES ('web'), ('mobile'), ('store')) AS c (channel)
CROSS JOIN (VALUES ('completed'), ('cancelled'), ('refunded')) AS s (status)
LEFT JOIN orders AS o
       ON o.channel = c.channel AND o.status = s.status
      AND o.ordered_at >= '2025-10-25' AND o.ordered_at < '2025-10-26'
GROUP BY c.channel, s.status
ORDER BY c.channel, s.status;

-- What is often bought together?
-- SELF JOIN: a table joined with itself under two names. "a < b" drops pairs of a
-- product with itself and shows each pair once. (Products that sell well lead this list
-- anyway; lift, in the next module, takes that out.)
SELECT first.name AS product, second.name AS bought_with, count(*) AS orders
FROM order_items AS a
JOIN order_items AS b
  ON b.order_id = a.order_id AND a.product_id < b.product_id
JOIN products AS first ON first.product_id = a.product_id
JOIN products AS second ON second.product_id = b.product_id
GROUP BY first.product_id, second.product_id
ORDER BY orders DESC, first.product_id, second.product_id
LIMIT 3;

-- What were the last two orders of each of these customers?
-- LATERAL lets the right side use the row on its left, like a loop over customers.
SELECT c.customer_id, c.name, latest.order_id, latest.total
FROM customers AS c
CROSS JOIN LATERAL (
    SELECT o.order_id, o.total
    FROM orders AS o
    WHERE o.customer_id = c.customer_id
    ORDER BY o.ordered_at DESC, o.order_id DESC
    LIMIT 2
) AS latest
WHERE c.customer_id <= 10
ORDER BY c.customer_id, latest.order_id DESC
LIMIT 6;

-- Who has ordered for more than 1,000 euros at once?
-- A SEMI JOIN asks only whether a partner exists, so nobody appears twice.
SELECT c.customer_id, c.name
FROM customers AS c
WHERE EXISTS (SELECT FROM orders AS o
              WHERE o.customer_id = c.customer_id AND o.total > 1000)
ORDER BY c.customer_id
LIMIT 3;

-- Who registered and never ordered?
-- An ANTI JOIN keeps the rows without a partner.
SELECT c.customer_id, c.name, c.registration_date
FROM customers AS c
WHERE NOT EXISTS (SELECT FROM orders AS o
                  WHERE o.customer_id = c.customer_id)
ORDER BY c.customer_id
LIMIT 3;

SELECT * FROM (VALUES
    ('LEFT JOIN loses no customer',
     (SELECT count(DISTINCT c.customer_id) FROM customers AS c LEFT JOIN orders USING (customer_id))
     = (SELECT count(*) FROM customers)),
    ('with an order or without: that is everybody',
     (SELECT count(DISTINCT customer_id) FROM orders)
     + (SELECT count(*) FROM customers AS c
        WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.customer_id))
     = (SELECT count(*) FROM customers)),
    ('a join repeats an order for each of its items: sum(total) over it is too much',
     (SELECT sum(total) FROM orders JOIN order_items USING (order_id))
     > (SELECT sum(total) FROM orders)),
    ('summing what the items cost gives the right total',
     (SELECT sum(quantity * unit_price) FROM order_items) = (SELECT sum(total) FROM orders))
) AS checked (claim, holds);

-- =============================================================================
-- Groups
-- GROUP BY makes one row of many. Every column you show is then either one that you
-- group by, or computed over the group: count, sum, avg, min, max.
-- =============================================================================

-- What does each channel bring?
SELECT channel,
       count(*) AS orders,
       sum(total) AS revenue,
       round(avg(total), 2) AS average
FROM orders
WHERE status = 'completed'
GROUP BY channel
ORDER BY revenue DESC, channel;

-- Who are our best customers?
-- WHERE chooses rows before they are grouped, HAVING chooses groups afterwards.
SELECT customer_id, count(*) AS orders, sum(total) AS spent
FROM orders
WHERE status = 'completed'
GROUP BY customer_id
HAVING sum(total) > 5000
ORDER BY spent DESC, customer_id
LIMIT 5;

-- How often do orders fail, by channel?
-- FILTER gives each count a condition of its own.
SELECT channel,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE status = 'refunded') AS refunded
FROM orders
GROUP BY channel
ORDER BY channel;

-- How did this summer go?
-- date_trunc cuts a time down to the start of its month.
SELECT date_trunc('month', ordered_at)::date AS month, count(*) AS orders
FROM orders
WHERE ordered_at >= '2025-06-01' AND ordered_at < '2025-09-01'
GROUP BY month
ORDER BY month;

SELECT * FROM (VALUES
    ('the groups together are the whole',
     (SELECT sum(revenue) FROM (SELECT sum(total) AS revenue FROM orders GROUP BY channel) AS c)
     = (SELECT sum(total) FROM orders)),
    ('the three states are all there are',
     (SELECT count(*) FILTER (WHERE status IN ('completed', 'cancelled', 'refunded')) = count(*)
      FROM orders)),
    ('an average of averages is not the average',
     (SELECT avg(average) FROM (SELECT avg(total) AS average FROM orders GROUP BY status) AS s)
     <> (SELECT avg(total) FROM orders))
) AS checked (claim, holds);

-- =============================================================================
-- Queries within queries
-- =============================================================================

-- Which products cost more than the average?
-- A subquery that gives one value may stand where a value may stand.
SELECT name, price
FROM products
WHERE price > (SELECT avg(price) FROM products)
ORDER BY price, product_id
LIMIT 3;

-- What do customers from the three biggest cities spend?
-- IN asks whether a value is in the answer of another query.
SELECT c.city, count(*) AS orders, sum(o.total) AS spent
FROM orders AS o
JOIN customers AS c USING (customer_id)
WHERE c.city IN (SELECT city FROM customers
                 GROUP BY city ORDER BY count(*) DESC, city LIMIT 3)
GROUP BY c.city
ORDER BY spent DESC, c.city;

-- Which product is the most expensive of its category?
-- A CORRELATED subquery uses the row outside: think of it as asked again for every row.
SELECT p.category, p.name, p.price
FROM products AS p
WHERE p.price = (SELECT max(other.price) FROM products AS other
                 WHERE other.category = p.category)
ORDER BY p.price DESC, p.product_id
LIMIT 8;

-- How many orders does a customer place who orders at all?
-- A subquery in FROM is a table for the rest of the query.
SELECT min(orders) AS fewest,
       round(avg(orders), 1) AS average,
       max(orders) AS most
FROM (SELECT count(*) AS orders
      FROM orders GROUP BY customer_id) AS per_customer;

-- =============================================================================
-- WITH: one thought at a time
-- A common table expression (CTE) names a step, so that a long query reads downwards.
-- =============================================================================

-- Which months of 2025 were better than the average month?
WITH monthly AS (
    SELECT date_trunc('month', ordered_at)::date AS month,
           sum(total) AS revenue
    FROM orders
    WHERE ordered_at >= '2025-01-01' AND ordered_at < '2025-10-01'
      AND status = 'completed'
    GROUP BY month
)
SELECT month, revenue
FROM monthly
WHERE revenue > (SELECT avg(revenue) FROM monthly)
ORDER BY month;

-- How many orders came on each day of the last week?
-- A day without orders must not be missing, so we make the days ourselves. RECURSIVE:
-- begin with a first row, then make the next one from the last until the condition fails.
-- (For calendars generate_series does the same; this shows how.)
WITH RECURSIVE calendar (day) AS (
    SELECT date '2025-10-19'
    UNION ALL
    SELECT day + 1 FROM calendar WHERE day < '2025-10-25'
)
SELECT calendar.day, count(o.order_id) AS orders
FROM calendar
LEFT JOIN orders AS o
       ON o.ordered_at >= calendar.day AND o.ordered_at < calendar.day + 1
GROUP BY calendar.day
ORDER BY calendar.day;

-- Who reports to whom?
-- The same idea walks a tree: begin at the top, then add those who report to somebody
-- already found.
WITH RECURSIVE staff (name, boss) AS (
    VALUES ('Olena', NULL), ('Taras', 'Olena'), ('Anna', 'Olena'),
           ('Petro', 'Taras'), ('Iryna', 'Taras'), ('Marek', 'Anna')
), chart (name, level, path) AS (
    SELECT name, 1, name FROM staff WHERE boss IS NULL
    UNION ALL
    SELECT staff.name, chart.level + 1, chart.path || ' > ' || staff.name
    FROM staff JOIN chart ON staff.boss = chart.name
)
SELECT name, level, path FROM chart ORDER BY path;

SELECT * FROM (VALUES
    ('every category has a most expensive product',
     (SELECT count(DISTINCT category) FROM products AS p
      WHERE price = (SELECT max(price) FROM products AS o WHERE o.category = p.category))
     = (SELECT count(DISTINCT category) FROM products)),
    ('some months are better than the average, but never all of them',
     (SELECT count(*) FILTER (WHERE revenue > average) BETWEEN 1 AND count(*) - 1
      FROM (SELECT sum(total) AS revenue, avg(sum(total)) OVER () AS average
            FROM orders GROUP BY date_trunc('month', ordered_at)) AS monthly)),
    ('a recursive query can count to a thousand',
     (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
      SELECT max(i) = 1000 FROM n))
) AS checked (claim, holds);

-- =============================================================================
-- Sets
-- Two queries with the same columns can be added, intersected and subtracted.
-- =============================================================================

-- Who ordered in August, in September, or in both months?
-- UNION removes repeated rows; UNION ALL keeps them, and is faster for it.
SELECT count(*) AS customers
FROM (
    SELECT customer_id FROM orders
    WHERE ordered_at >= '2025-08-01' AND ordered_at < '2025-09-01'
    UNION
    SELECT customer_id FROM orders
    WHERE ordered_at >= '2025-09-01' AND ordered_at < '2025-10-01'
) AS either;

-- Who ordered in August and again in September?
SELECT customer_id FROM orders
WHERE ordered_at >= '2025-08-01' AND ordered_at < '2025-09-01'
INTERSECT
SELECT customer_id FROM orders
WHERE ordered_at >= '2025-09-01' AND ordered_at < '2025-10-01'
ORDER BY customer_id
LIMIT 3;

-- Who ordered in August, but not in September?
SELECT customer_id FROM orders
WHERE ordered_at >= '2025-08-01' AND ordered_at < '2025-09-01'
EXCEPT
SELECT customer_id FROM orders
WHERE ordered_at >= '2025-09-01' AND ordered_at < '2025-10-01'
ORDER BY customer_id
LIMIT 3;

WITH august AS (
    SELECT customer_id FROM orders WHERE ordered_at >= '2025-08-01' AND ordered_at < '2025-09-01'
), september AS (
    SELECT customer_id FROM orders WHERE ordered_at >= '2025-09-01' AND ordered_at < '2025-10-01'
), sizes AS (
    SELECT (SELECT count(*) FROM (TABLE august UNION TABLE september) AS s) AS either,
           (SELECT count(*) FROM (TABLE august INTERSECT TABLE september) AS s) AS both_months,
           (SELECT count(*) FROM (TABLE august EXCEPT TABLE september) AS s) AS only_august,
           (SELECT count(DISTINCT customer_id) FROM september) AS in_september
)
SELECT 'only August + September = either' AS claim,
       only_august + in_september = either AS holds,
       only_august || ' + ' || in_september || ' = ' || either AS evidence
FROM sizes;

-- =============================================================================
-- Window functions
-- GROUP BY makes one row of many. A window function keeps every row and lets it look
-- at others: OVER (PARTITION BY whom it sees ORDER BY in which order).
-- =============================================================================

-- Is it the customer's first order, the second, the third …?
-- ROW_NUMBER counts 1, 2, 3 within each partition.
SELECT customer_id, order_id, total,
       row_number() OVER (
           PARTITION BY customer_id ORDER BY ordered_at, order_id
       ) AS nth
FROM orders
WHERE customer_id <= 10
ORDER BY customer_id, nth
LIMIT 6;

-- Who won the quiz, and what happens to ties?
-- RANK leaves a gap after equals (1, 2, 2, 4), DENSE_RANK does not (1, 2, 2, 3).
SELECT name, points,
       rank() OVER (ORDER BY points DESC) AS rank,
       dense_rank() OVER (ORDER BY points DESC) AS dense_rank,
       row_number() OVER (ORDER BY points DESC, name) AS row_number
FROM (VALUES ('Anna', 9), ('Ivan', 7), ('Olha', 7), ('Petro', 5))
    AS quiz (name, points)
ORDER BY row_number;

-- How did each month compare with the one before?
-- LAG looks back, LEAD looks ahead; at the edge there is nobody, so NULL.
WITH monthly AS (
    SELECT date_trunc('month', ordered_at)::date AS month,
           count(*) AS orders
    FROM orders
    WHERE ordered_at >= '2025-05-01' AND ordered_at < '2025-10-01'
    GROUP BY month
)
SELECT month, orders,
       lag(orders) OVER by_month AS before,
       orders - lag(orders) OVER by_month AS change,
       lead(orders) OVER by_month AS after
FROM monthly
WINDOW by_month AS (ORDER BY month)
ORDER BY month;

-- How are prices spread?
-- NTILE(4) deals the rows into four parts of equal size, as far as they go.
SELECT quarter,
       count(*) AS products,
       min(price) AS lowest,
       max(price) AS highest
FROM (
    SELECT price, ntile(4) OVER (ORDER BY price, product_id) AS quarter
    FROM products
) AS dealt
GROUP BY quarter
ORDER BY quarter;

-- How much have we sold so far this month, and what is the trend?
-- A frame says how far the window reaches. The running sum sees everything up to this
-- row, the seven-day average this row and the six before it.
WITH daily AS (
    SELECT ordered_at::date AS day, sum(total) AS revenue
    FROM orders
    WHERE ordered_at >= '2025-10-01' AND ordered_at < '2025-10-26'
      AND status = 'completed'
    GROUP BY day
)
SELECT day, revenue,
       sum(revenue) OVER (ORDER BY day) AS so_far,
       round(avg(revenue) OVER (
           ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW
       ), 2) AS ma_7day
FROM daily
ORDER BY day
LIMIT 10;

-- What are the two most expensive products of each category?
-- WHERE runs before window functions: number in a subquery, choose outside.
SELECT category, name, price
FROM (
    SELECT category, name, price,
           row_number() OVER (
               PARTITION BY category ORDER BY price DESC, product_id
           ) AS place
    FROM products
) AS numbered
WHERE place <= 2
ORDER BY category, place
LIMIT 6;

SELECT * FROM (VALUES
    ('the last value of a running sum is the sum',
     (SELECT (array_agg(so_far ORDER BY order_id DESC))[1] = sum(total)
      FROM (SELECT order_id, total, sum(total) OVER (ORDER BY order_id) AS so_far FROM orders) AS r)),
    ('every customer who ordered has exactly one order number 1',
     (SELECT count(*) FILTER (WHERE nth = 1) = count(DISTINCT customer_id)
      FROM (SELECT customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS nth
            FROM orders) AS numbered)),
    ('the parts that NTILE makes differ by one row at most',
     (SELECT max(size) - min(size) <= 1
      FROM (SELECT count(*) AS size
            FROM (SELECT ntile(7) OVER (ORDER BY product_id) AS part FROM products) AS parts
            GROUP BY part) AS sizes)),
    ('looking back from the first row finds NULL',
     (SELECT (array_agg(before ORDER BY order_id))[1] IS NULL
      FROM (SELECT order_id, lag(total) OVER (ORDER BY order_id) AS before FROM orders) AS lagged))
) AS checked (claim, holds);

-- =============================================================================
-- Changing data, safely
-- The shop is read-only for lessons, so we work on copies in a schema of our own.
-- =============================================================================

-- Make a place of our own
-- The lock lets one run at a time use the schema: a second one waits here for the first.
SELECT pg_advisory_lock(hashtext('sql_04')) IS NOT NULL AS "it is our turn";
SET client_min_messages = warning;
BEGIN;
DROP SCHEMA IF EXISTS sql_04 CASCADE;
CREATE SCHEMA sql_04;
RESET client_min_messages;

-- Copy the price list
-- CREATE TABLE … AS SELECT copies the rows, but no keys and no constraints.
CREATE TABLE sql_04.price_list AS
SELECT product_id, name, category, price FROM products;
ALTER TABLE sql_04.price_list ADD PRIMARY KEY (product_id);
COMMIT;

-- Begin something that we may want to take back
-- From BEGIN on, nobody else sees what we do until COMMIT. ROLLBACK undoes it all.
BEGIN;

-- What happens if the three cheapest products cost one euro more?
-- RETURNING shows the rows that were changed. Look at the WHERE twice: an UPDATE
-- without it changes every row.
UPDATE sql_04.price_list
SET price = price + 1
WHERE product_id IN (SELECT product_id FROM products
                     ORDER BY price, product_id LIMIT 3)
RETURNING product_id, name, price;

-- Put a new product on the list
INSERT INTO sql_04.price_list (product_id, name, category, price)
VALUES (0, 'Gift card', 'Gifts', 25.00)
RETURNING *;

-- Take the most expensive product off the list
DELETE FROM sql_04.price_list
WHERE product_id = (SELECT product_id FROM products
                    ORDER BY price DESC, product_id LIMIT 1)
RETURNING product_id, name;

-- What do we see inside the transaction?
SELECT count(*) AS lines_that_differ
FROM sql_04.price_list AS ours
FULL JOIN products AS shop USING (product_id)
WHERE ours.price IS DISTINCT FROM shop.price;

-- Take it all back
ROLLBACK;

SELECT 'after ROLLBACK the price list is as it was' AS claim,
       count(*) = 0 AS holds
FROM sql_04.price_list AS ours
FULL JOIN products AS shop USING (product_id)
WHERE ours.price IS DISTINCT FROM shop.price;

-- How do we load the same delivery twice without counting it twice?
-- UPSERT: insert, or, where the key exists, update. EXCLUDED is the row that could not
-- be inserted. The WHERE keeps an older count from overwriting a newer one.
BEGIN;
CREATE TABLE sql_04.stock (
    product_id integer PRIMARY KEY,
    quantity   integer NOT NULL,
    counted_on date NOT NULL
);
INSERT INTO sql_04.stock
VALUES (1, 10, '2025-10-01'), (2, 20, '2025-10-20');
COMMIT;

-- The count of 10 October arrives
-- Product 1 is updated, product 2 has a newer count already, product 3 is new.
INSERT INTO sql_04.stock AS s (product_id, quantity, counted_on)
VALUES (1, 8, '2025-10-10'), (2, 25, '2025-10-10'), (3, 30, '2025-10-10')
ON CONFLICT (product_id) DO UPDATE
SET quantity = EXCLUDED.quantity, counted_on = EXCLUDED.counted_on
WHERE s.counted_on < EXCLUDED.counted_on
RETURNING product_id, quantity;

-- The same delivery comes once more: no row is touched
INSERT INTO sql_04.stock AS s (product_id, quantity, counted_on)
VALUES (1, 8, '2025-10-10'), (2, 25, '2025-10-10'), (3, 30, '2025-10-10')
ON CONFLICT (product_id) DO UPDATE
SET quantity = EXCLUDED.quantity, counted_on = EXCLUDED.counted_on
WHERE s.counted_on < EXCLUDED.counted_on
RETURNING product_id, quantity;

-- And when the first version should win?
-- DO NOTHING skips what is there.
INSERT INTO sql_04.stock
VALUES (3, 99, '2025-10-25'), (4, 40, '2025-10-25')
ON CONFLICT DO NOTHING
RETURNING product_id, quantity;

SELECT 'each product has its newest count, once' AS claim,
       string_agg(product_id || ':' || quantity, ' ' ORDER BY product_id)
           = '1:8 2:20 3:30 4:40' AS holds
FROM sql_04.stock;

-- =============================================================================
-- Views and constraints
-- A view is a query with a name. A constraint is a promise that the database keeps for
-- every program that writes into it.
-- =============================================================================

-- Give the daily revenue a name
-- A view stores no rows: it is computed when asked. (A MATERIALIZED VIEW stores them and
-- is as old as its last REFRESH.)
CREATE VIEW sql_04.daily_sales AS
SELECT ordered_at::date AS date, sum(total) AS revenue
FROM orders
WHERE status = 'completed'
GROUP BY date;

-- Which were the best days?
SELECT date, revenue
FROM sql_04.daily_sales
ORDER BY revenue DESC, date
LIMIT 3;

-- Make promises about bookings
-- Five kinds: a primary key, a foreign key, NOT NULL, UNIQUE and CHECK.
CREATE TABLE sql_04.bookings (
    booking_id integer PRIMARY KEY,
    product_id integer NOT NULL REFERENCES sql_04.price_list,
    email      text NOT NULL,
    code       text UNIQUE,
    quantity   integer CHECK (quantity > 0)
);
INSERT INTO sql_04.bookings
VALUES (1, 1, 'anna@example.com', 'SPRING', 2);

-- A helper that tries a statement and tells what the server says
-- The block between BEGIN and END is undone when it fails, and EXCEPTION catches the
-- error, so that this file goes on.
CREATE FUNCTION sql_04.attempt(statement text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN integrity_constraint_violation THEN
    RETURN SQLERRM;
END;
$$;

-- Break every promise once
-- Each error below is wanted: no wrong booking gets in.
SELECT promise,
       sql_04.attempt('INSERT INTO sql_04.bookings VALUES ' || booking)
           AS answer
FROM (VALUES
    (1, 'PRIMARY KEY', $$(1, 1, 'ivan@example.com', 'A', 1)$$),
    (2, 'FOREIGN KEY', $$(2, -5, 'ivan@example.com', 'B', 1)$$),
    (3, 'NOT NULL', $$(3, 1, NULL, 'C', 1)$$),
    (4, 'UNIQUE', $$(4, 1, 'ivan@example.com', 'SPRING', 1)$$),
    (5, 'CHECK', $$(5, 1, 'ivan@example.com', 'E', 0)$$)
) AS attempts (number, promise, booking)
ORDER BY number;

-- What does a promise not cover?
-- UNIQUE allows many NULLs, and CHECK is content with unknown: NULL once more.
INSERT INTO sql_04.bookings VALUES
    (6, 1, 'ivan@example.com', NULL, NULL),
    (7, 1, 'olha@example.com', NULL, NULL);

SELECT * FROM (VALUES
    ('a view is always up to date: it adds up to the completed orders',
     (SELECT sum(revenue) FROM sql_04.daily_sales)
     = (SELECT sum(total) FROM orders WHERE status = 'completed')),
    ('five wrong bookings were refused, three right ones are there',
     (SELECT string_agg(booking_id::text, ' ' ORDER BY booking_id) = '1 6 7'
      FROM sql_04.bookings)),
    ('a product that is booked can''t be deleted',
     sql_04.attempt('DELETE FROM sql_04.price_list WHERE product_id = 1') LIKE '%foreign key%')
) AS checked (claim, holds);

-- =============================================================================
-- Indexes and plans
-- An index is a sorted list of where to find what. EXPLAIN tells how the server would
-- run a query: the costs are its own estimates, not seconds.
-- =============================================================================

-- A table without any index
-- ANALYZE counts what is in it: the planner guesses well only when it knows the data.
CREATE TABLE sql_04.visits AS
SELECT event_id, customer_id, event_type, occurred_at
FROM web_events ORDER BY event_id DESC LIMIT 100000;
ANALYZE sql_04.visits;

-- A helper that names the kinds of steps in a plan
CREATE FUNCTION sql_04.plan_of(query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN jsonb_path_query_array(plan, 'strict $.**."Node Type"');
END;
$$;

-- How does the server find one customer's visits?
-- "Seq Scan" reads the whole table.
EXPLAIN SELECT * FROM sql_04.visits WHERE customer_id = 42;

SELECT 'without an index the whole table is read' AS claim,
       plan LIKE '%Seq Scan%' AND plan NOT LIKE '%Index%' AS holds, plan AS evidence
FROM sql_04.plan_of('SELECT * FROM sql_04.visits WHERE customer_id = 42') AS plan;

-- And with an index?
CREATE INDEX visits_customer ON sql_04.visits (customer_id);
EXPLAIN SELECT * FROM sql_04.visits WHERE customer_id = 42;

-- Which visits were on 25 October?
-- The new index holds occurred_at. A function around the column hides it: the whole table
-- is read. Ask for a range instead.
CREATE INDEX visits_time ON sql_04.visits (occurred_at);
EXPLAIN SELECT * FROM sql_04.visits
WHERE date_trunc('day', occurred_at) = '2025-10-25';
EXPLAIN SELECT * FROM sql_04.visits
WHERE occurred_at >= '2025-10-25' AND occurred_at < '2025-10-26';

-- Does the index help to find all visits of the last 180 days?
-- No: that is nearly the whole table, and reading it in one go is cheaper. An index costs
-- disk and makes every INSERT slower; make one for questions that pick few rows.
EXPLAIN SELECT * FROM sql_04.visits WHERE occurred_at >= '2025-04-29';

SELECT claim, plan LIKE pattern AS holds, plan AS evidence
FROM (VALUES
    ('with an index only one customer''s rows are read', '%Index Scan%',
     'customer_id = 42'),
    ('a function around the column hides it from the index', '%Seq Scan%',
     'date_trunc(''day'', occurred_at) = ''2025-10-25'''),
    ('a range finds the same day through the index', '%Index Scan%',
     'occurred_at >= ''2025-10-25'' AND occurred_at < ''2025-10-26'''),
    ('an index is left alone when nearly all rows match', '%Seq Scan%',
     'occurred_at >= ''2025-04-29''')
) AS expected (claim, pattern, condition)
CROSS JOIN LATERAL sql_04.plan_of('SELECT * FROM sql_04.visits WHERE ' || condition) AS plan;

-- =============================================================================
-- JSONB: columns that differ from row to row
-- A book has pages, a kettle has not. What every row has belongs into columns, what only
-- some have may stand in a JSON document.
-- =============================================================================

-- Which brand, and how heavy?
-- ->> takes a value out as text, -> as JSON. A key that isn't there gives NULL.
SELECT name, attributes ->> 'brand' AS brand,
       (attributes ->> 'weight_g')::integer AS grams,
       attributes -> 'tags' AS tags
FROM products
ORDER BY product_id
LIMIT 4;

-- How often is each tag used?
-- jsonb_array_elements_text makes a row of each element.
SELECT tag, count(*) AS products
FROM products
CROSS JOIN LATERAL jsonb_array_elements_text(attributes -> 'tags') AS tag
GROUP BY tag
ORDER BY products DESC, tag
LIMIT 5;

-- Which products are tagged as gifts?
-- @> asks whether the left document contains the right one.
SELECT product_id, name
FROM products
WHERE attributes @> '{"tags": ["gift"]}'
ORDER BY product_id
LIMIT 3;

-- Which books have more than 500 pages?
-- A path walks into the document; ? (…) keeps what fulfils a condition, @ is the value.
SELECT name, attributes -> 'pages' AS pages
FROM products
WHERE jsonb_path_exists(attributes, '$.pages ? (@ > 500)')
ORDER BY (attributes -> 'pages')::integer DESC, product_id
LIMIT 3;

-- Can an index look into documents?
-- A GIN index lists every key and value. Here each piece in the warehouse has a document.
CREATE TABLE sql_04.pieces AS
SELECT product_id,
       attributes || jsonb_build_object('serial', serial) AS attributes
FROM products
CROSS JOIN generate_series(1, 200) AS serial;
CREATE INDEX pieces_attributes
    ON sql_04.pieces USING gin (attributes jsonb_path_ops);
ANALYZE sql_04.pieces;
EXPLAIN SELECT * FROM sql_04.pieces WHERE attributes @> '{"serial": 42}';

SELECT * FROM (VALUES
    ('@> uses the GIN index',
     sql_04.plan_of('SELECT * FROM sql_04.pieces WHERE attributes @> ''{"serial": 42}''')
     LIKE '%Bitmap Index Scan%'),
    ('->> with = does not',
     sql_04.plan_of('SELECT * FROM sql_04.pieces WHERE attributes ->> ''serial'' = ''42''')
     LIKE '%Seq Scan%'),
    ('both find one piece of each product',
     (SELECT count(*) FROM sql_04.pieces WHERE attributes @> '{"serial": 42}')
     = (SELECT count(*) FROM products)
     AND (SELECT count(*) FROM sql_04.pieces WHERE attributes ->> 'serial' = '42')
     = (SELECT count(*) FROM products)),
    ('only books have pages: elsewhere the key is missing and gives NULL',
     (SELECT bool_and((category = 'Books') = (attributes ->> 'pages' IS NOT NULL)) FROM products))
) AS checked (claim, holds);

-- =============================================================================
-- Tidy up
-- At a thousand times the size the same queries hold. What changes: filter early and by
-- an index, turn pages by the last row shown, store daily sums instead of adding up every
-- order each time, and read EXPLAIN before you run. When a question needs a loop, a model
-- or another system's data, take the rows to Python: that is the next lesson.
-- =============================================================================

-- Remove our schema and let the next one in
SET client_min_messages = warning;
DROP SCHEMA sql_04 CASCADE;
RESET client_min_messages;
RESET TIME ZONE;
SELECT pg_advisory_unlock(hashtext('sql_04')) AS "the lock is free again";
