WITH orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
)

SELECT channel, count(*) AS orders
       {%- for status in ['completed', 'cancelled', 'refunded'] %},
       round(100.0 * count(*) FILTER (WHERE status = '{{ status }}') / count(*), 1)
           AS {{ status }}_pct
       {%- endfor %}
FROM orders
GROUP BY channel
