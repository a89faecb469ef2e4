-- Kept lines of customers who gave something back that was set aside; cancelled is a purchase
-- that one of these returns takes back whole on the same day (same product and units). Of
-- several such purchases the cheapest are taken, so that the money is never overstated.
WITH given_back AS (
    SELECT customer_id, order_date, product, ABS(quantity) AS units, COUNT(*) AS n
    FROM classified
    WHERE is_return AND rule = 'returned' AND product IS NOT NULL
    GROUP BY customer_id, order_date, product, ABS(quantity)
),
bought AS (
    SELECT
        customer_id, order_id, order_date, product, quantity AS units, amount,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id, order_date, product, quantity ORDER BY amount, order_id
        ) AS place
    FROM classified
    WHERE rule = 'kept' AND customer_id IN (SELECT customer_id FROM given_back)
)
SELECT
    bought.customer_id, bought.order_id, bought.amount,
    COALESCE(bought.place <= given_back.n, FALSE) AS is_cancelled
FROM bought
LEFT JOIN given_back
    ON given_back.customer_id = bought.customer_id
    AND given_back.order_date = bought.order_date
    AND given_back.product = bought.product
    AND given_back.units = bought.units
