-- Who registered, and never ordered?
--
-- Tables: customers(customer_id, name, registration_date, ...), orders(order_id, customer_id, ...).
-- Columns of the answer: customer_id, name. The longest registered first; customers who registered
-- on the same day by customer_id.
--
-- Write one query below. Try it with: python3 learn.py psql -f my_exercises/sql/never_ordered.sql

-- TODO: your query
