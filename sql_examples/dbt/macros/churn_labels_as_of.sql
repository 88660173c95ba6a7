{#- A label looks at the days after. It stands apart from the features, so that none can use it. -#}
{% macro churn_labels_as_of(day) -%}
SELECT customer_id,
       {{ day }} AS as_of,
       max(ordered_on) <= {{ day }} AS churned
FROM {{ ref('stg_orders') }}
WHERE ordered_on <= {{ day }} + 90
  AND {{ day }} + 90 <= {{ today() }}
GROUP BY customer_id
HAVING min(ordered_on) <= {{ day }}
{%- endmacro %}
