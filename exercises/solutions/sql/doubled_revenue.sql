-- Revenue, each order once: sum the lines of an order before the join, so that it has one row.

WITH pieces AS (
    SELECT order_id, sum(quantity) AS quantity
    FROM order_items
    GROUP BY order_id
)
SELECT channel, sum(total) AS revenue, sum(quantity) AS pieces
FROM orders
JOIN pieces USING (order_id)
WHERE status = 'completed'
GROUP BY channel
ORDER BY channel;
