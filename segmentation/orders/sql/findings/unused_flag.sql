-- Kept lines by what a raw column says that no figure is made of; `unused_flag` stands for it.
-- A raw line is known again by order, units and amount.
SELECT
    LOWER(TRIM(CAST(linked.unused_flag AS VARCHAR))) AS word,
    COUNT(*) AS rows,
    COUNT(DISTINCT linked.customer_id) AS customers,
    SUM(linked.amount) AS amount
FROM linked
INNER JOIN (
    SELECT DISTINCT order_id, quantity, amount FROM classified WHERE rule = 'kept'
) AS kept
    ON kept.order_id = CAST(linked.order_id AS VARCHAR)
    AND kept.quantity = linked.quantity
    AND kept.amount = linked.amount
GROUP BY LOWER(TRIM(CAST(linked.unused_flag AS VARCHAR)))
