WITH web_events AS (
    SELECT * FROM {{ ref('stg_web_events') }}
)

SELECT session_id,
       max(customer_id) AS customer_id,
       min(occurred_at) FILTER (WHERE event_type = 'view') AS viewed_at,
       min(occurred_at) FILTER (WHERE event_type = 'cart') AS carted_at,
       min(occurred_at) FILTER (WHERE event_type = 'checkout') AS checkout_at,
       min(occurred_at) FILTER (WHERE event_type = 'purchase') AS purchased_at
FROM web_events
GROUP BY session_id
