{% macro today() -%}
date '{{ var("today") }}'
{%- endmacro %}


{% macro days_ago(days) -%}
({{ today() }} - {{ days }})
{%- endmacro %}


{% macro month_of(day) -%}
date_trunc('month', {{ day }})::date
{%- endmacro %}


{% macro months_between(earlier, later) -%}
((extract(year FROM {{ later }}) - extract(year FROM {{ earlier }})) * 12
    + extract(month FROM {{ later }}) - extract(month FROM {{ earlier }}))::int
{%- endmacro %}
