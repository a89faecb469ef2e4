-- Orders of several lines that differ in units or product and yet have one and the same
-- amount: the order's total on every line, where it is not a shop of one price.
WITH orders AS (
    SELECT
        customer_id, order_id,
        COUNT(*) AS n,
        SUM(amount) AS money,
        MIN(amount) AS least,
        MAX(amount) AS most,
        COUNT(DISTINCT quantity) AS quantities,
        COUNT(DISTINCT product) AS products
    FROM classified
    WHERE rule = 'kept' AND amount > 0
    GROUP BY customer_id, order_id
),
judged AS (
    SELECT
        customer_id, order_id, n, money, most,
        CASE WHEN quantities > 1 THEN 1 ELSE 0 END AS by_quantity,
        CASE WHEN quantities = 1 AND products > 1 THEN 1 ELSE 0 END AS by_product,
        CASE WHEN least = most AND (quantities > 1 OR products > 1) THEN 1 ELSE 0 END AS is_alike
    FROM orders
)
SELECT
    SUM(by_quantity) AS by_quantity,
    SUM(by_quantity * is_alike) AS alike_by_quantity,
    SUM(by_product) AS by_product,
    SUM(by_product * is_alike) AS alike_by_product,
    SUM(is_alike * (n - 1)) AS rows,
    COUNT(DISTINCT CASE WHEN is_alike = 1 THEN customer_id END) AS customers,
    SUM(CASE WHEN is_alike = 1 THEN money - most END) AS amount,
    -- a total grows with the lines of its order, a price does not
    SUM(CASE WHEN n = 1 THEN 1 ELSE 0 END) AS single_orders,
    SUM(CASE WHEN n = 1 THEN most END) AS single_money,
    SUM(CASE WHEN is_alike = 1 THEN most END) AS alike_money,
    SUM(is_alike) AS alike
FROM judged
