-- Customers who ordered, but of whom no line is kept.
WITH people AS (
    SELECT customer_id, COUNT(*) AS n, SUM(amount) AS money,
        SUM(CASE WHEN rule = 'kept' THEN 1 ELSE 0 END) AS kept
    FROM classified
    WHERE TRIM(customer_id) <> ''
    GROUP BY customer_id
)
SELECT COUNT(*) AS customers, SUM(n) AS rows, SUM(money) AS amount
FROM people
WHERE kept = 0
