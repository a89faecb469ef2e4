-- Every line gets the FIRST rule that sets it aside, or 'kept'. The order of the rules
-- below is the order of the ledger, so each line is counted once and the money adds up.
-- Nothing is deleted: lines set aside stay in this table under their rule.
WITH copied_orders AS (
    -- only an order that lists one product twice at one amount can hold copies, so that
    -- all other lines need not be compared with one another
    SELECT DISTINCT order_id
    FROM (
        SELECT order_id
        FROM transactions
        GROUP BY order_id, product, amount
        HAVING COUNT(*) > 1
    ) AS alike
),
numbered AS (
    SELECT transactions.*, 1 AS copy_number
    FROM transactions
    LEFT JOIN copied_orders ON copied_orders.order_id = transactions.order_id
    WHERE copied_orders.order_id IS NULL
    UNION ALL
    SELECT
        transactions.*,
        -- copies of a line are alike in every column; the first copy is not a duplicate
        ROW_NUMBER() OVER (
            PARTITION BY
                transactions.customer_id, transactions.order_id, transactions.order_date,
                transactions.quantity, transactions.amount, transactions.is_valid,
                transactions.registered_date, transactions.is_return, transactions.product,
                transactions.category, transactions.payment_method, transactions.country,
                transactions.is_non_product, transactions.is_listed_twice
            ORDER BY transactions.order_id
        ) AS copy_number
    FROM transactions
    INNER JOIN copied_orders ON copied_orders.order_id = transactions.order_id
)
SELECT
    numbered.*,
    CASE
        WHEN is_listed_twice THEN 'listed_twice'
        WHEN customer_id IS NULL OR TRIM(customer_id) = '' THEN 'missing_customer_id'
        WHEN order_id IS NULL OR TRIM(order_id) = '' THEN 'missing_order_id'
        WHEN order_date IS NULL THEN 'missing_order_date'
        WHEN quantity IS NULL OR amount IS NULL THEN 'missing_quantity_or_amount'
        WHEN is_valid IS NULL OR NOT is_valid THEN 'invalid_order'
        WHEN is_return AND $returns = 'exclude' THEN 'returned'
        WHEN is_non_product AND $non_product = 'exclude' THEN 'non_product'
        -- under returns = net a return line is negative by nature and passes
        WHEN quantity <= 0 AND NOT is_return THEN 'non_positive_quantity'
        WHEN amount < 0 AND NOT is_return THEN 'negative_amount'
        WHEN amount = 0 AND NOT is_return AND $zero_amount = 'exclude' THEN 'zero_amount'
        WHEN copy_number > 1 AND $duplicates = 'drop' THEN 'duplicate_line'
        WHEN order_date > $as_of THEN 'after_as_of'
        ELSE 'kept'
    END AS rule
FROM numbered
