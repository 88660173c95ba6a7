WITH features AS (
    {{ customer_features_as_of(days_ago(90)) | indent(4) }}
),

labels AS (
    {{ churn_labels_as_of(days_ago(90)) | indent(4) }}
)

SELECT features.*, labels.churned
FROM features
JOIN labels USING (customer_id)
