SELECT * FROM {{ ref('customer_features') }}
