-- The last order of each customer: number each customer's orders, the latest first, keep number 1.

WITH numbered AS (
    SELECT customer_id, order_id, total,
           row_number() OVER (
               PARTITION BY customer_id ORDER BY ordered_at DESC, order_id DESC
           ) AS place
    FROM orders
)
SELECT customer_id, order_id, total
FROM numbered
WHERE place = 1
ORDER BY customer_id;
