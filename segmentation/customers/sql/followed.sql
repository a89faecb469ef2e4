-- One row per customer who had bought by the cut: what was known then, and what followed
-- up to the last day of observation. Dates and orders are those of purchases; under
-- returns = net, returns reduce spend but are no orders.
WITH kept AS (
    SELECT
        customer_id,
        order_id,
        order_date,
        amount,
        COALESCE(is_return, FALSE) AS is_return,
        order_date <= CAST($cut AS DATE) AS is_before
    FROM classified
    WHERE rule = 'kept'
),
customers AS (
    SELECT
        customer_id,
        MIN(CASE WHEN is_before AND NOT is_return THEN order_date END) AS first_day,
        COUNT(DISTINCT CASE WHEN is_before AND NOT is_return THEN order_date END) AS days_before,
        COUNT(DISTINCT CASE WHEN NOT is_before AND NOT is_return THEN order_id END) AS orders_after,
        MIN(CASE WHEN NOT is_before AND NOT is_return THEN order_date END) AS next_order,
        COALESCE(SUM(CASE WHEN NOT is_before THEN amount END), 0) AS revenue_after
    FROM kept
    GROUP BY customer_id
),
first_days AS (
    SELECT
        kept.customer_id,
        SUM(kept.amount) AS spent_first_day
    FROM kept
    INNER JOIN customers
        ON customers.customer_id = kept.customer_id AND customers.first_day = kept.order_date
    GROUP BY kept.customer_id
)
SELECT
    customers.customer_id,
    customers.days_before,
    CAST(first_days.spent_first_day AS DOUBLE) AS spent_first_day,
    customers.orders_after,
    customers.revenue_after,
    DATE_DIFF('day', CAST($cut AS DATE), customers.next_order) AS days_to_order
FROM customers
INNER JOIN first_days ON first_days.customer_id = customers.customer_id
