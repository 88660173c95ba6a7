SELECT order_id, line_number, product_id, quantity, unit_price,
       quantity * unit_price AS amount
FROM {{ source('shop', 'order_items') }}
