{#- One filter, the day of the order, stands below everything else: no feature sees what came after. -#}
{% macro customer_features_as_of(day) -%}
WITH known AS NOT MATERIALIZED (
    SELECT * FROM {{ ref('stg_orders') }} WHERE ordered_on <= {{ day }}
),

order_items AS (
    SELECT * FROM {{ ref('stg_order_items') }}
),

products AS (
    SELECT * FROM {{ ref('stg_products') }}
),

customers AS (
    SELECT * FROM {{ ref('stg_customers') }} WHERE registration_date <= {{ day }}
),

numbered AS (
    SELECT *,
           row_number() OVER (
               PARTITION BY customer_id ORDER BY ordered_at DESC, order_id DESC) AS back
    FROM known
),

behaviour AS (
    SELECT customer_id,
           count(*) AS total_orders,
           sum(total) AS total_spent,
           min(ordered_on) AS first_on,
           max(ordered_on) AS last_on,
           max(ordered_on) FILTER (WHERE back = 2) AS previous_on,
           max(total) FILTER (WHERE back = 1) AS last_value,
           max(total) FILTER (WHERE back = 2) AS previous_value,
           max(channel) FILTER (WHERE back = 1) AS last_channel,
           {%- for days in [30, 90, 365] %}
           count(*) FILTER (WHERE ordered_on > {{ day }} - {{ days }}) AS orders_{{ days }}d,
           {%- endfor %}
           sum(total) FILTER (WHERE ordered_on > {{ day }} - 90) AS spent_90d,
           sum(total) FILTER (
               WHERE ordered_on > {{ day }} - 180 AND ordered_on <= {{ day }} - 90
           ) AS spent_90d_before,
           {%- for channel in ['web', 'mobile', 'store'] %}
           count(*) FILTER (WHERE channel = '{{ channel }}') AS {{ channel }}
               {{- "," if not loop.last }}
           {%- endfor %}
    FROM numbered
    GROUP BY customer_id
),

tastes AS (
    SELECT customer_id, category,
           row_number() OVER (
               PARTITION BY customer_id ORDER BY sum(quantity) DESC, category) AS place
    FROM known
    JOIN order_items USING (order_id)
    JOIN products USING (product_id)
    GROUP BY customer_id, category
)

SELECT customers.customer_id,
       {{ day }} AS as_of,
       {{ day }} - registration_date AS tenure_days,
       {{ day }} - last_on AS days_since_last_order,
       coalesce(total_orders, 0) AS total_orders,
       coalesce(total_spent, 0) AS total_spent,
       round(total_spent / total_orders, 2) AS avg_order_value,
       {%- for days in [30, 90, 365] %}
       coalesce(orders_{{ days }}d, 0) AS orders_{{ days }}d,
       {%- endfor %}
       coalesce(spent_90d, 0) AS spent_90d,
       coalesce(spent_90d_before, 0) AS spent_90d_before,
       last_value AS last_order_value,
       previous_value AS previous_order_value,
       last_on - previous_on AS days_between_last_two,
       round((last_on - first_on)::numeric / nullif(total_orders - 1, 0), 2)
           AS avg_days_between_orders,
       extract(month FROM registration_date)::int AS registration_month,
       extract(isodow FROM last_on)::int AS last_order_weekday,
       {%- for channel in ['web', 'mobile', 'store'] %}
       round({{ channel }}::numeric / total_orders, 4) AS {{ channel }}_share,
       {%- endfor %}
       last_channel,
       country,
       round(count(*) OVER (PARTITION BY country)::numeric / count(*) OVER (), 4)
           AS country_share,
       tastes.category AS favourite_category
FROM customers
LEFT JOIN behaviour USING (customer_id)
LEFT JOIN tastes ON tastes.customer_id = customers.customer_id AND tastes.place = 1
{%- endmacro %}
