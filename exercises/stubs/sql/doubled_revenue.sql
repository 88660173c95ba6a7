-- Revenue that is far too high.
--
-- The question: for each channel, the revenue (sum of orders.total) and the number of pieces sold
-- (sum of order_items.quantity), completed orders only, sorted by channel.
-- The query below finds more than twice the revenue that the shop had. Find out why, and repair it.
--
-- Columns of the answer: channel, revenue, pieces.

-- TODO: look at the rows before they are summed.
SELECT channel, sum(total) AS revenue, sum(quantity) AS pieces
FROM orders
JOIN order_items USING (order_id)
WHERE status = 'completed'
GROUP BY channel
ORDER BY channel;
