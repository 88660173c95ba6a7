SELECT event_id, customer_id, session_id, event_type, product_id, order_id, occurred_at
FROM {{ source('shop', 'web_events') }}
