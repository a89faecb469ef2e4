-- One row per order, from an export of WooCommerce's orders.
SELECT
    -- who ordered: the e-mail in small letters; the user id is 0 for every guest
    LOWER(TRIM("Billing Email")) AS customer_id,
    "Order Number" AS order_id,
    CAST(SUBSTRING("Order Date", 1, 10) AS DATE) AS order_date,
    CAST(Quantity AS DECIMAL(18, 0)) AS quantity,
    -- the order's total less what was paid back of it
    -- ONLY YOU KNOW: whether shipping and taxes in the total are revenue to you
    CAST(CAST("Order Total Amount" AS DECIMAL(18, 2)) - COALESCE(CAST(NULLIF("Order Refund Amount", '') AS DECIMAL(18, 2)), 0) AS DECIMAL(18, 2)) AS amount,
    -- ONLY YOU KNOW: which statuses are sales
    COALESCE("Order Status", '') IN ('wc-completed', 'wc-processing', 'completed', 'processing', 'Completed', 'Processing') AS is_valid
FROM orders
