-- Features of each customer who had registered by %(as_of)s. Everything comes from a function
-- that reads nothing from after that day, and they hold from the end of the day on.
WITH known AS (
    SELECT *, coalesce(avg_days_between_orders, 90) AS rhythm
    FROM analytics.customer_features_as_of(%(as_of)s)
), rated AS (
    -- Risk: silent for three times as long as usual is certainly gone. A first approximation on
    -- purpose; a model that learns from these features does better. Who never ordered has none:
    -- least() would pass over the NULL and answer 1.
    SELECT *, CASE WHEN total_orders > 0
                   THEN round(least(days_since_last_order / (3 * greatest(rhythm, 7)), 1), 4)
              END AS risk
    FROM known
)
SELECT customer_id,
       (as_of + 1)::timestamp AT TIME ZONE 'UTC' AS event_time,
       days_since_last_order::bigint AS recency_days,
       total_orders AS frequency,
       total_spent::float8 AS monetary_value,
       -- What the customer spent, and will probably spend in the next year.
       round(total_spent + coalesce(orders_365d * avg_order_value * (1 - risk), 0), 2)::float8
           AS lifetime_value,
       risk::float8 AS churn_risk,
       CASE WHEN total_orders = 0 AND tenure_days > 86 THEN 'dormant'
            WHEN days_since_last_order >= 240 THEN 'dormant'
            WHEN days_since_last_order > 90 THEN 'at risk'
            WHEN orders_365d >= 14 THEN 'vip'
            ELSE 'active'
       END AS segment,
       tenure_days::bigint AS tenure_days,
       avg_order_value::float8 AS avg_order_value,
       avg_days_between_orders::float8 AS avg_days_between_orders,
       orders_90d,
       spent_90d::float8 AS spent_90d,
       (spent_90d - spent_90d_before)::float8 AS spent_90d_change,
       web_share::float8 AS web_share,
       last_channel,
       favourite_category
FROM rated
ORDER BY customer_id
