-- The last order of each customer.
--
-- Table: orders(order_id, customer_id, ordered_at, total, ...).
-- Columns of the answer: customer_id, order_id, total: one row for each customer who ever ordered,
-- with the latest of their orders. Of two orders at the same second the one with the higher
-- order_id is the later. Sort by customer_id.

-- TODO: your query
