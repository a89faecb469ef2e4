-- Four tables of a marketplace. order_detail has one row per order line: its id is
-- the order's, and repeats over the lines of an order (keying on it would lose lines).
-- Dates are text in files and dates in a database; either way an empty one is missing.
-- after_discount is the line's revenue. A line with negative quantity gives goods back.
SELECT
    o.customer_id AS customer_id,
    o.id AS order_id,
    CAST(NULLIF(CAST(o.order_date AS VARCHAR), '') AS DATE) AS order_date,
    CAST(o.qty_ordered AS DECIMAL(18, 2)) AS quantity,
    CAST(o.after_discount AS DECIMAL(18, 2)) AS amount,
    CAST(o.is_valid AS INTEGER) = 1 AS is_valid,
    CAST(NULLIF(CAST(c.registered_date AS VARCHAR), '') AS DATE) AS registered_date,
    CAST(o.qty_ordered AS DECIMAL(18, 2)) < 0 AS is_return,
    -- price and discount only serve to check the amount
    CAST(o.price AS DECIMAL(18, 2)) AS unit_price,
    CAST(o.discount_amount AS DECIMAL(18, 2)) AS discount,
    -- cogs is what one piece costs the shop
    CAST(CAST(s.cogs AS DECIMAL(18, 2)) * CAST(o.qty_ordered AS DECIMAL(12, 2)) AS DECIMAL(18, 2)) AS cost,
    s.sku_name AS product,
    s.category AS category,
    p.payment_method AS payment_method
FROM order_detail AS o
LEFT JOIN customer_detail AS c ON c.id = o.customer_id
LEFT JOIN sku_detail AS s ON s.id = o.sku_id
LEFT JOIN payment_detail AS p ON p.id = o.payment_id
