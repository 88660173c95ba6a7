-- Two agreements of the whole project are made here, once: a day is a day in UTC, and
-- revenue is what completed orders came to.
SELECT order_id, customer_id, ordered_at,
       (ordered_at AT TIME ZONE 'UTC')::date AS ordered_on,
       status, channel, total,
       CASE WHEN status = 'completed' THEN total ELSE 0 END AS revenue
FROM {{ source('shop', 'orders') }}
