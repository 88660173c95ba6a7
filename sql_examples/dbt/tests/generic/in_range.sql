{#- Holds when no value is below `least` or above `most`; NULL counts as fine. -#}
{% test in_range(model, column_name, least=none, most=none) %}
SELECT {{ column_name }}
FROM {{ model }}
WHERE FALSE
{%- if least is not none %} OR {{ column_name }} < {{ least }}{% endif %}
{%- if most is not none %} OR {{ column_name }} > {{ most }}{% endif %}
{% endtest %}
