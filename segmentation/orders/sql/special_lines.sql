-- Lines of a special kind, whichever rule they met first: a line may be of several kinds.
-- A kind has a row for all its lines; lines that are no product have one for each code too.
WITH marked AS (
    SELECT
        'missing_customer_id' AS kind, NULL AS product, customer_id, amount, rule
    FROM classified
    WHERE customer_id IS NULL OR TRIM(customer_id) = ''
    UNION ALL
    SELECT 'returned' AS kind, NULL AS product, customer_id, amount, rule
    FROM classified
    WHERE is_return
    UNION ALL
    SELECT 'invalid_order' AS kind, NULL AS product, customer_id, amount, rule
    FROM classified
    WHERE NOT is_valid
    UNION ALL
    SELECT 'non_product' AS kind, NULL AS product, customer_id, amount, rule
    FROM classified
    WHERE is_non_product
    UNION ALL
    SELECT 'non_product' AS kind, UPPER(product) AS product, customer_id, amount, rule
    FROM classified
    WHERE is_non_product AND product IS NOT NULL
)
SELECT
    kind,
    product,
    COUNT(*) AS rows,
    COUNT(DISTINCT customer_id) AS customers,
    COALESCE(SUM(amount), 0) AS amount,
    SUM(CASE WHEN rule = 'kept' THEN 1 ELSE 0 END) AS kept_rows,
    COALESCE(SUM(CASE WHEN rule = 'kept' THEN amount ELSE 0 END), 0) AS kept_amount
FROM marked
WHERE rule <> 'listed_twice'
GROUP BY kind, product
