-- One row per rule that met any line; 'kept' is a rule too, 'raw' is all lines.
SELECT
    COALESCE(rule, 'raw') AS rule,
    COUNT(*) AS rows,
    COUNT(DISTINCT customer_id) AS customers,
    COALESCE(SUM(amount), 0) AS amount
FROM classified
GROUP BY ROLLUP (rule)
