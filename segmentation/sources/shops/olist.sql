-- One row per item of an order, from the tables that the marketplace Olist publishes.
-- Payments are left out: an order paid in two ways would count its items twice.
SELECT
    -- who ordered: customer_id is another one for each order, the unique id is the person
    c.customer_unique_id AS customer_id,
    i.order_id AS order_id,
    CAST(SUBSTRING(o.order_purchase_timestamp, 1, 10) AS DATE) AS order_date,
    -- each row is one piece
    CAST(1 AS DECIMAL(18, 0)) AS quantity,
    -- ONLY YOU KNOW: whether freight (freight_value) is revenue to you; it is left out
    CAST(i.price AS DECIMAL(18, 2)) AS amount,
    -- ONLY YOU KNOW: which statuses are sales
    COALESCE(o.order_status, '') IN ('delivered', 'shipped') AS is_valid,
    i.product_id AS product
FROM items AS i
LEFT JOIN orders AS o ON o.order_id = i.order_id
LEFT JOIN customers AS c ON c.customer_id = o.customer_id
