-- Who registered, and never ordered? NOT EXISTS says it as the question does.

SELECT customer_id, name
FROM customers
WHERE NOT EXISTS (SELECT FROM orders WHERE orders.customer_id = customers.customer_id)
ORDER BY registration_date, customer_id;
