-- Return lines by what stands against them. A purchase of the same customer, product and
-- number of units, on the same day or before, answers for one return; where nobody knows the
-- product, a purchase of the same units at the same amount. Going through such
-- lines in time, the balance of purchases less returns falls to a new low exactly where a
-- return finds no purchase left.
WITH lines AS (
    SELECT
        customer_id, product, order_id, order_date, amount, is_return,
        ABS(quantity) AS units,
        CASE WHEN product IS NULL THEN ABS(amount) END AS price,
        SUM(CASE WHEN rule IN ('kept', 'returned') AND NOT is_return THEN 1 ELSE 0 END)
            OVER (PARTITION BY customer_id) AS purchases
    FROM classified
    -- who never gave anything back has nothing to be matched: most customers of most shops
    WHERE customer_id IN (SELECT customer_id FROM classified WHERE is_return)
        AND (
            -- a purchase that was cancelled at once is set aside with its cancellation
            (rule IN ('kept', 'returned') AND NOT is_return)
            -- set aside or deducted, a return after the last day of observation is not yet known
            OR (
                is_return AND rule IN ('kept', 'returned', 'return_without_purchase')
                AND order_date <= CAST($as_of AS DATE)
            )
        )
),
running AS (
    SELECT
        customer_id, product, price, order_id, order_date, amount, is_return, units, purchases,
        SUM(CASE WHEN is_return THEN -1 ELSE 1 END) OVER (
            PARTITION BY customer_id, product, price, units
            ORDER BY order_date, CASE WHEN is_return THEN 1 ELSE 0 END, amount, order_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS balance
    FROM lines
),
placed AS (
    SELECT
        customer_id, amount, is_return, units, purchases, balance,
        MIN(balance) OVER (
            PARTITION BY customer_id, product, price, units
            ORDER BY order_date, CASE WHEN is_return THEN 1 ELSE 0 END, amount, order_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS lowest_before
    FROM running
),
judged AS (
    SELECT
        customer_id, amount, units,
        CASE
            WHEN purchases = 0 THEN 'without_purchase'
            WHEN balance >= 0 OR balance >= lowest_before THEN 'matched'
            ELSE 'unmatched'
        END AS kind
    FROM placed
    WHERE is_return
)
SELECT
    kind,
    COUNT(*) AS rows,
    COUNT(DISTINCT customer_id) AS customers,
    SUM(units) AS units,
    SUM(amount) AS amount
FROM judged
GROUP BY kind
