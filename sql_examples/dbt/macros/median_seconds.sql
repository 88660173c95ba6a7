{% macro median_seconds(duration) -%}
percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM {{ duration }}))
{%- endmacro %}
