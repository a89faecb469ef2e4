-- Runs after clean.sql under returns = net, where returns are kept: a return needs a
-- purchase of the same customer to be set against.
WITH only_returns AS (
    SELECT customer_id
    FROM ruled
    WHERE first_rule = 'kept'
    GROUP BY customer_id
    HAVING SUM(CASE WHEN is_return THEN 0 ELSE 1 END) = 0
)
SELECT
    ruled.*,
    CASE
        WHEN first_rule = 'kept' AND only_returns.customer_id IS NOT NULL
            THEN 'return_without_purchase'
        ELSE first_rule
    END AS rule
FROM ruled
LEFT JOIN only_returns ON only_returns.customer_id = ruled.customer_id
