-- One row per line of an order, from Shopify's export of orders (Orders > Export).
-- Status and country stand on the first line of an order only: they are looked up by its Name.
WITH orders_once AS (
    SELECT
        Name AS order_name,
        MAX(LOWER(TRIM(Email))) AS email,
        MAX("Financial Status") AS status,
        MAX("Billing Country") AS country
    FROM orders
    GROUP BY Name
)
SELECT
    -- who ordered: the e-mail in small letters; lines without one are set aside and counted
    o.email AS customer_id,
    l.Name AS order_id,
    -- the day as the shop's clock showed it: the export writes it with the shop's own offset
    CAST(SUBSTRING(l."Created at", 1, 10) AS DATE) AS order_date,
    CAST(l."Lineitem quantity" AS DECIMAL(18, 0)) AS quantity,
    -- price x quantity less the line's discount, without shipping
    -- ONLY YOU KNOW: taxes are in or not as your shop sets its prices, and a discount on the whole
    -- order (Discount Amount) is not spread over its lines
    CAST(CAST(l."Lineitem price" AS DECIMAL(18, 2)) * CAST(l."Lineitem quantity" AS DECIMAL(12, 0)) - COALESCE(CAST(NULLIF(l."Lineitem discount", '') AS DECIMAL(18, 2)), 0) AS DECIMAL(18, 2)) AS amount,
    -- ONLY YOU KNOW: which statuses are sales; an order that was refunded in part counts whole
    COALESCE(o.status, '') IN ('paid', 'partially_refunded') AS is_valid,
    l."Lineitem name" AS product,
    o.country AS country
FROM orders AS l
LEFT JOIN orders_once AS o ON o.order_name = l.Name
