-- One row per line of an order, from Amazon's order report (Reports > Fulfilment > All orders).
SELECT
    -- who ordered: the address by which Amazon lets you write to the buyer
    LOWER(TRIM("buyer-email")) AS customer_id,
    "amazon-order-id" AS order_id,
    -- a point in time with its offset; `time_zone` in the profile says in whose days
    CAST("purchase-date" AS DATE) AS order_date,
    CAST(quantity AS DECIMAL(18, 0)) AS quantity,
    -- the price of the whole line less the promotion's discount
    -- ONLY YOU KNOW: whether prices hold taxes; shipping is left out
    CAST(CAST("item-price" AS DECIMAL(18, 2)) - ABS(COALESCE(CAST(NULLIF("item-promotion-discount", '') AS DECIMAL(18, 2)), 0)) AS DECIMAL(18, 2)) AS amount,
    -- ONLY YOU KNOW: which statuses are sales
    COALESCE("order-status", '') IN ('Shipped', 'Shipped - Delivered to Buyer') AS is_valid,
    "product-name" AS product,
    "ship-country" AS country
FROM orders
