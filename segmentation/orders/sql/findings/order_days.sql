-- Lines, kept lines and money of every order date.
SELECT
    order_date AS day,
    COUNT(*) AS lines,
    SUM(CASE WHEN rule = 'kept' THEN 1 ELSE 0 END) AS kept,
    COALESCE(SUM(amount), 0) AS amount
FROM classified
WHERE order_date IS NOT NULL
GROUP BY order_date
ORDER BY order_date
