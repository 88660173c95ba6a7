SELECT product_id, name, category, price, cost, added_on, discontinued_on
FROM {{ source('shop', 'products') }}
