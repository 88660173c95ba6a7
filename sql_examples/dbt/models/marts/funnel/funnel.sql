-- Two journeys: customers from registration to loyalty, visits from a view to a purchase.
WITH customers AS (
    SELECT * FROM {{ ref('stg_customers') }}
),

orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

web_sessions AS (
    SELECT * FROM {{ ref('web_sessions') }}
),

numbered AS (
    SELECT customer_id, ordered_at,
           row_number() OVER (
               PARTITION BY customer_id ORDER BY ordered_at, order_id) AS nth
    FROM orders
),

lives AS (
    SELECT customer_id,
           min(ordered_at) FILTER (WHERE nth = 1) AS first_at,
           min(ordered_at) FILTER (WHERE nth = 2) AS second_at,
           min(ordered_at) FILTER (WHERE nth = 5) AS fifth_at
    FROM numbered
    WHERE nth IN (1, 2, 5)
    GROUP BY customer_id
),

customer_steps AS (
    SELECT count(*) AS registered, count(first_at) AS ordered,
           count(second_at) AS repeated, count(fifth_at) AS loyal,
           {{ median_seconds("first_at - registration_date::timestamp AT TIME ZONE 'UTC'") }}
               AS to_order,
           {{ median_seconds('second_at - first_at') }} AS to_repeat,
           {{ median_seconds('fifth_at - second_at') }} AS to_loyal
    FROM customers
    LEFT JOIN lives USING (customer_id)
),

visit_steps AS (
    SELECT count(viewed_at) AS viewed, count(carted_at) AS carted,
           count(checkout_at) AS checked_out, count(purchased_at) AS purchased,
           {{ median_seconds('carted_at - viewed_at') }} AS to_cart,
           {{ median_seconds('checkout_at - carted_at') }} AS to_checkout,
           {{ median_seconds('purchased_at - checkout_at') }} AS to_purchase
    FROM web_sessions
),

steps AS (
    SELECT steps.*
    FROM customer_steps
    CROSS JOIN LATERAL (VALUES
        ('customers', 1, 'Registration', registered, NULL),
        ('customers', 2, 'Order', ordered, to_order),
        ('customers', 3, 'Repeat', repeated, to_repeat),
        ('customers', 4, 'Loyal', loyal, to_loyal)
    ) AS steps (journey, step_number, step, reached, seconds)
    UNION ALL
    SELECT steps.*
    FROM visit_steps
    CROSS JOIN LATERAL (VALUES
        ('visits', 1, 'View', viewed, NULL),
        ('visits', 2, 'Cart', carted, to_cart),
        ('visits', 3, 'Checkout', checked_out, to_checkout),
        ('visits', 4, 'Purchase', purchased, to_purchase)
    ) AS steps (journey, step_number, step, reached, seconds)
)

SELECT journey, step_number, step, reached,
       round(100.0 * reached / lag(reached) OVER of_journey, 1) AS conversion_pct,
       round(100.0 * reached / first_value(reached) OVER of_journey, 1) AS of_first_pct,
       justify_hours(round(seconds) * interval '1 second') AS median_time
FROM steps
WINDOW of_journey AS (PARTITION BY journey ORDER BY step_number)
