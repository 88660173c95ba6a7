-- Nobody is known before registering, and no order is from after the day of the features.
SELECT customer_id, as_of, tenure_days, days_since_last_order
FROM {{ ref('churn_training') }}
WHERE tenure_days < 0 OR days_since_last_order < 0
UNION ALL
SELECT customer_id, as_of, tenure_days, days_since_last_order
FROM {{ ref('customer_features') }}
WHERE tenure_days < 0 OR days_since_last_order < 0
