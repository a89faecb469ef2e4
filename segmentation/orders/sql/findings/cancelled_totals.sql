-- One row about purchases given back on the same day, and who bought nothing else.
WITH customers AS (
    SELECT
        customer_id,
        SUM(CASE WHEN is_cancelled THEN 1 ELSE 0 END) AS n,
        SUM(CASE WHEN is_cancelled THEN 0 ELSE 1 END) AS others,
        SUM(CASE WHEN is_cancelled THEN amount END) AS money,
        MAX(CASE WHEN is_cancelled THEN amount END) AS largest
    FROM cancelled
    GROUP BY customer_id
)
SELECT
    SUM(n) AS rows, COUNT(*) AS customers, SUM(money) AS amount, MAX(largest) AS largest,
    SUM(CASE WHEN others = 0 THEN 1 ELSE 0 END) AS nothing_else
FROM customers
WHERE n > 0
