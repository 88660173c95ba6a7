-- Tukey's rule: more than 1.5 times the length of the box outside of it.
WITH orders AS (
    SELECT * FROM {{ ref('stg_orders') }}
),

order_items AS (
    SELECT * FROM {{ ref('stg_order_items') }}
),

figures AS (
    SELECT order_id, 'total' AS measure, total AS value
    FROM orders
    UNION ALL
    SELECT order_id, 'largest line', max(quantity)
    FROM order_items
    GROUP BY order_id
),

quartiles AS (
    SELECT measure,
           percentile_cont(0.25) WITHIN GROUP (ORDER BY value)::numeric AS q1,
           percentile_cont(0.75) WITHIN GROUP (ORDER BY value)::numeric AS q3
    FROM figures
    GROUP BY measure
),

boxes AS (
    SELECT measure, q1, q3, q3 - q1 AS iqr FROM quartiles
)

SELECT order_id, measure, value,
       round(q1 - 1.5 * iqr, 2) AS lower_fence,
       round(q3 + 1.5 * iqr, 2) AS upper_fence,
       CASE WHEN value < q1 - 3 * iqr OR value > q3 + 3 * iqr
            THEN 'extreme' ELSE 'mild'
       END AS grade
FROM figures
JOIN boxes USING (measure)
WHERE value < q1 - 1.5 * iqr OR value > q3 + 1.5 * iqr
