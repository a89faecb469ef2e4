-- Customers with lines per registration date.
SELECT registered_date AS day, COUNT(DISTINCT customer_id) AS customers
FROM classified
WHERE registered_date IS NOT NULL
GROUP BY registered_date
ORDER BY registered_date
