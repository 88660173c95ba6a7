-- Names, e-mail addresses and telephone numbers stay behind: no analysis needs them.
SELECT customer_id, city, country, registration_date,
       {{ month_of('registration_date') }} AS cohort,
       ab_group, marketing_opt_in
FROM {{ source('shop', 'customers') }}
