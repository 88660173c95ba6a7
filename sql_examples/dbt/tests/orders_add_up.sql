-- The total of an order is the sum of its lines; an order without lines is wrong too.
SELECT order_id, total, sum(amount) AS of_lines
FROM {{ ref('stg_orders') }}
LEFT JOIN {{ ref('stg_order_items') }} USING (order_id)
GROUP BY order_id, total
HAVING total IS DISTINCT FROM sum(amount)
