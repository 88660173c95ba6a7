{{ customer_features_as_of(today()) }}
