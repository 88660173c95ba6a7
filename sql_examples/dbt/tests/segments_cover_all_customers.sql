-- Everybody has a kind, and everybody who ordered has a segment.
SELECT customer_id, 'no kind' AS problem
FROM {{ ref('stg_customers') }}
WHERE customer_id NOT IN (SELECT customer_id FROM {{ ref('customer_kinds') }})
UNION ALL
SELECT DISTINCT customer_id, 'no segment'
FROM {{ ref('stg_orders') }}
WHERE customer_id NOT IN (SELECT customer_id FROM {{ ref('rfm') }})
