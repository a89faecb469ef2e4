-- Runs after clean.sql under returns = exclude, where lines carry no product: a purchase that
-- the same customer cancelled on the same day, in units and money alike, was never one.
WITH cancellations AS (
    SELECT
        customer_id, order_date,
        ABS(quantity) AS units,
        ABS(amount) AS money,
        COUNT(*) AS n
    FROM ruled
    WHERE first_rule = 'returned' AND product IS NULL
    GROUP BY customer_id, order_date, ABS(quantity), ABS(amount)
)
SELECT
    ruled.*,
    CASE
        WHEN first_rule = 'kept' AND ROW_NUMBER() OVER (
            PARTITION BY
                ruled.customer_id, ruled.order_date, ruled.quantity, ruled.amount,
                ruled.product, ruled.first_rule
            ORDER BY ruled.order_id
        ) <= cancellations.n THEN 'returned'
        ELSE first_rule
    END AS rule
FROM ruled
LEFT JOIN cancellations
    ON cancellations.customer_id = ruled.customer_id
    AND cancellations.order_date = ruled.order_date
    AND cancellations.units = ruled.quantity
    AND cancellations.money = ruled.amount
    AND ruled.product IS NULL
