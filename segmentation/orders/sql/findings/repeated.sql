-- Which line of a repeated id a key would keep is not known: the dearest, then least money
-- is lost, or the cheapest, then most.
WITH numbered AS (
    SELECT
        key_name, customer_id, amount,
        COUNT(*) OVER (PARTITION BY key_name) AS n,
        ROW_NUMBER() OVER (PARTITION BY key_name ORDER BY COALESCE(amount, 0) DESC) AS from_dearest,
        ROW_NUMBER() OVER (PARTITION BY key_name ORDER BY COALESCE(amount, 0)) AS from_cheapest
    FROM linked
    WHERE key_name IS NOT NULL
)
SELECT
    COUNT(*) AS lines,
    COUNT(DISTINCT key_name) AS ids,
    COUNT(DISTINCT CASE WHEN n > 1 THEN key_name END) AS repeated_ids,
    MAX(n) AS most_lines,
    COUNT(DISTINCT CASE WHEN n > 1 THEN customer_id END) AS customers,
    SUM(CASE WHEN from_dearest > 1 THEN amount END) AS amount,
    SUM(CASE WHEN from_cheapest > 1 THEN amount END) AS amount_most
FROM numbered
