-- One row per customer, from the kept lines up to and including the last day of
-- observation. Dates and orders are those of purchases; under returns = net, returns
-- reduce units and spend but are no orders.
WITH customers AS (
    SELECT
        customer_id,
        MIN(registered_date) AS registered_date,
        MIN(CASE WHEN NOT is_return THEN order_date END) AS first_order,
        MAX(CASE WHEN NOT is_return THEN order_date END) AS last_order,
        COUNT(DISTINCT CASE WHEN NOT is_return THEN order_id END) AS orders,
        SUM(quantity) AS units,
        SUM(amount) AS spent
    FROM classified
    WHERE rule = 'kept'
    GROUP BY customer_id
)
SELECT
    customer_id,
    DATE_DIFF('day', registered_date, first_order) AS register_to_order,
    DATE_DIFF('day', first_order, last_order) AS first_to_last_order,
    CAST(units AS DOUBLE) AS total_unit,
    CAST(spent AS DOUBLE) AS total_spent,
    DATE_DIFF('day', last_order, CAST($as_of AS DATE)) AS recency,
    orders AS frequency,
    CAST(spent AS DOUBLE) / orders AS average_order_value,
    DATE_DIFF('day', first_order, CAST($as_of AS DATE)) AS tenure
FROM customers
