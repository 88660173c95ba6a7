{#- Holds when the model has exactly the rows of the view of its name in the schema analytics.
    Whoever moves views to dbt keeps such a test until the views can go. -#}
{% test same_as_view(model) %}
{%- set view = api.Relation.create(schema='analytics', identifier=model.identifier) %}
(SELECT 'in dbt only' AS where_found, * FROM (
    SELECT * FROM {{ model }} EXCEPT ALL SELECT * FROM {{ view }}) AS surplus)
UNION ALL
(SELECT 'in the view only', * FROM (
    SELECT * FROM {{ view }} EXCEPT ALL SELECT * FROM {{ model }}) AS missing)
{% endtest %}
