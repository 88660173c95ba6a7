-- The two-proportion z-test; the step before the checkout is the control.
WITH web_sessions AS (
    SELECT * FROM {{ ref('web_sessions') }}
),

customers AS (
    SELECT * FROM {{ ref('stg_customers') }}
),

visits AS (
    SELECT step, ab_group, success
    FROM web_sessions
    JOIN customers USING (customer_id)
    CROSS JOIN LATERAL (VALUES
        ('cart to checkout', carted_at IS NOT NULL, (checkout_at IS NOT NULL)::int),
        ('checkout to purchase', checkout_at IS NOT NULL, (purchased_at IS NOT NULL)::int)
    ) AS steps (step, tried, success)
    WHERE tried
),

counted AS (
    SELECT step,
           count(*) FILTER (WHERE ab_group = 'A')::double precision AS a,
           count(*) FILTER (WHERE ab_group = 'B')::double precision AS b,
           avg(success) FILTER (WHERE ab_group = 'A')::double precision AS rate_a,
           avg(success) FILTER (WHERE ab_group = 'B')::double precision AS rate_b,
           avg(success)::double precision AS rate
    FROM visits
    GROUP BY step
),

tested AS (
    SELECT *, rate_b - rate_a AS difference,
           (rate_b - rate_a) / sqrt(rate * (1 - rate) * (1 / a + 1 / b)) AS z,
           1.959964 * sqrt(rate_a * (1 - rate_a) / a + rate_b * (1 - rate_b) / b) AS margin
    FROM counted
)

SELECT step, a::bigint AS visits_a, b::bigint AS visits_b,
       round((100 * rate_a)::numeric, 2) AS rate_a_pct,
       round((100 * rate_b)::numeric, 2) AS rate_b_pct,
       round(z::numeric, 2) AS z,
       erfc(abs(z) / sqrt(2))::numeric(7, 6) AS p_value,
       round((100 * (difference - margin))::numeric, 2) AS ci_low,
       round((100 * (difference + margin))::numeric, 2) AS ci_high
FROM tested
