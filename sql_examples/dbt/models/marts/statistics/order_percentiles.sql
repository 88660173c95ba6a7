WITH completed AS (
    SELECT * FROM {{ ref('stg_orders') }} WHERE status = 'completed'
)

SELECT CASE WHEN grouping(channel) = 1 THEN 'all' ELSE channel END AS channel,
       count(*) AS orders,
       round(avg(total), 2) AS mean,
       round(stddev_samp(total), 2) AS stddev,
       {%- for name, share in [('p25', 0.25), ('median', 0.50), ('p75', 0.75),
                               ('p90', 0.90), ('p99', 0.99)] %}
       round(percentile_cont({{ share }}) WITHIN GROUP (ORDER BY total)::numeric, 2)
           AS {{ name }}{{ "," if not loop.last }}
       {%- endfor %}
FROM completed
GROUP BY GROUPING SETS ((channel), ())
