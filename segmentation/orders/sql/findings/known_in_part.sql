-- Orders of which some lines say what other lines of the same order leave out.
WITH orders AS (
    SELECT
        order_id,
        COUNT(*) AS n,
        MIN(customer_id) AS customer_id,
        SUM(CASE WHEN is_valid THEN 1 ELSE 0 END) AS valid,
        SUM(CASE WHEN is_valid THEN 0 ELSE amount END) AS not_valid_money,
        SUM(CASE WHEN TRIM(customer_id) <> '' THEN 1 ELSE 0 END) AS named,
        SUM(CASE WHEN TRIM(customer_id) <> '' THEN 0 ELSE amount END) AS unnamed_money,
        SUM(CASE WHEN order_date IS NULL THEN 0 ELSE 1 END) AS dated,
        SUM(CASE WHEN order_date IS NULL THEN amount END) AS undated_money
    FROM classified
    WHERE TRIM(order_id) <> ''
    GROUP BY order_id
    HAVING COUNT(*) > 1
),
parts AS (
    SELECT 'is_valid' AS place, customer_id, n, valid AS known, not_valid_money AS money FROM orders
    UNION ALL
    SELECT 'customer_id' AS place, customer_id, n, named AS known, unnamed_money AS money FROM orders
    UNION ALL
    SELECT 'order_date' AS place, customer_id, n, dated AS known, undated_money AS money FROM orders
)
SELECT
    place,
    SUM(CASE WHEN known < n THEN n - known ELSE 0 END) AS rows,
    COUNT(DISTINCT CASE WHEN known < n THEN customer_id END) AS customers,
    SUM(CASE WHEN known < n THEN money END) AS amount,
    COUNT(*) AS orders,
    SUM(CASE WHEN known < n THEN 1 ELSE 0 END) AS in_part,
    SUM(CASE WHEN known = 1 THEN 1 ELSE 0 END) AS on_one_line
FROM parts
WHERE known > 0
GROUP BY place
ORDER BY place
