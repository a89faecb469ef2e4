-- Order ids that two or more customers have.
WITH shared AS (
    SELECT order_id, COUNT(*) AS n, SUM(amount) AS money, COUNT(DISTINCT customer_id) AS people
    FROM classified
    WHERE TRIM(order_id) <> '' AND TRIM(customer_id) <> ''
    GROUP BY order_id
)
SELECT COUNT(*) AS ids, SUM(n) AS rows, SUM(people) AS customers, SUM(money) AS amount
FROM shared
WHERE people > 1
