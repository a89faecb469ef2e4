-- Every line gets the FIRST rule that sets it aside, or 'kept'. The order of the rules
-- below is the order of the ledger, so each line is counted once and the money adds up.
-- Nothing is deleted: lines set aside stay in this table under their rule.
WITH numbered AS (
    SELECT
        transactions.*,
        -- copies of a line are alike in every column; the first copy is not a duplicate
        ROW_NUMBER() OVER (
            PARTITION BY
                customer_id, order_id, order_date, quantity, amount, is_valid,
                registered_date, is_return, product, category, payment_method, country
            ORDER BY order_id
        ) AS copy_number
    FROM transactions
),
ruled AS (
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
        END AS first_rule
    FROM numbered
)
SELECT
    ruled.*,
    -- a return needs a purchase of the same customer to be set against
    CASE
        WHEN first_rule = 'kept' AND is_return
            AND SUM(CASE WHEN first_rule = 'kept' AND NOT is_return THEN 1 ELSE 0 END)
                OVER (PARTITION BY customer_id) = 0
            THEN 'return_without_purchase'
        ELSE first_rule
    END AS rule
FROM ruled
