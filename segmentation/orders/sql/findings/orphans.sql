-- Order lines for which a joined table has no row; `without_row` and `without_name` stand for
-- the columns that say so.
SELECT
    COUNT(*) AS rows,
    COUNT(DISTINCT customer_id) AS customers,
    SUM(amount) AS amount,
    SUM(CASE WHEN without_name THEN 1 ELSE 0 END) AS unnamed
FROM linked
WHERE without_row
