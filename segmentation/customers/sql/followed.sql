-- One row per customer who had bought by the cut: what was known then, and what followed
-- up to the last day of observation. Dates and orders are those of purchases; under
-- returns = net, returns reduce spend but are no orders. A purchase after the cut that was
-- given back whole by the last day (same customer, product and units) is no order, and under
-- returns = exclude no revenue either: else an order cancelled within minutes would count.
WITH giving_back AS (
    SELECT DISTINCT customer_id
    FROM classified
    WHERE is_return AND order_date > CAST($cut AS DATE)
),
known AS (
    SELECT
        classified.customer_id, order_id, order_date, amount, product, rule,
        ABS(quantity) AS units,
        COALESCE(is_return, FALSE) AS is_return,
        order_date <= CAST($cut AS DATE) AS is_before,
        giving_back.customer_id IS NOT NULL AS gives_back
    FROM classified
    LEFT JOIN giving_back ON giving_back.customer_id = classified.customer_id
    WHERE rule = 'kept' OR (
        is_return AND rule IN ('returned', 'return_without_purchase')
        AND order_date > CAST($cut AS DATE) AND order_date <= CAST($last AS DATE)
    )
),
numbered AS (
    SELECT
        known.*,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id, product, units, is_before
            ORDER BY order_date, CASE WHEN is_return THEN 1 ELSE 0 END, amount, order_id
        ) AS place
    FROM known
    WHERE gives_back
),
running AS (
    SELECT
        numbered.*,
        SUM(CASE WHEN is_return THEN -1 ELSE 1 END) OVER (
            PARTITION BY customer_id, product, units, is_before ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS balance
    FROM numbered
),
matched AS (
    -- a purchase and the return that answers it open and close like brackets: what was given
    -- back is the latest purchase that was still open
    SELECT
        running.*,
        MIN(balance) OVER (
            PARTITION BY customer_id, product, units, is_before ORDER BY place
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS lowest_after
    FROM running
),
kept AS (
    SELECT
        customer_id, order_id, order_date, amount, is_return, is_before,
        FALSE AS is_cancelled
    FROM known
    WHERE NOT gives_back
    UNION ALL
    SELECT
        customer_id, order_id, order_date, amount, is_return, is_before,
        NOT is_return AND NOT is_before AND product IS NOT NULL
            AND COALESCE(lowest_after < balance, FALSE) AS is_cancelled
    FROM matched
    WHERE rule = 'kept'
),
spent AS (
    SELECT
        customer_id, order_id, order_date, amount, is_return, is_before,
        NOT is_before AND NOT is_return AND NOT is_cancelled AS is_order_after,
        NOT is_before AND NOT (is_cancelled AND $returns = 'exclude') AS is_spent_after,
        DATE_DIFF('day', CAST($cut AS DATE), order_date) AS days
    FROM kept
),
customers AS (
    SELECT
        customer_id,
        MIN(CASE WHEN is_before AND NOT is_return THEN order_date END) AS first_day,
        COUNT(DISTINCT CASE WHEN is_before AND NOT is_return THEN order_date END) AS days_before,
        COUNT(DISTINCT CASE WHEN is_order_after THEN order_id END) AS orders_after,
        MIN(CASE WHEN is_order_after THEN order_date END) AS next_order,
        COALESCE(SUM(CASE WHEN is_spent_after THEN amount END), 0) AS revenue_after,
        COALESCE(SUM(CASE WHEN is_spent_after AND days <= 30 THEN amount END), 0) AS revenue_30,
        COALESCE(SUM(CASE WHEN is_spent_after AND days <= 60 THEN amount END), 0) AS revenue_60,
        COALESCE(SUM(CASE WHEN is_spent_after AND days <= 90 THEN amount END), 0) AS revenue_90,
        COALESCE(SUM(CASE WHEN is_spent_after AND days <= 180 THEN amount END), 0) AS revenue_180
    FROM spent
    GROUP BY customer_id
),
single_days AS (
    SELECT
        spent.customer_id,
        SUM(CASE WHEN spent.order_date = customers.first_day THEN spent.amount END)
            AS spent_first_day,
        SUM(CASE WHEN spent.is_order_after THEN spent.amount END) AS next_amount
    FROM spent
    INNER JOIN customers
        ON customers.customer_id = spent.customer_id
        AND spent.order_date IN (customers.first_day, customers.next_order)
    GROUP BY spent.customer_id
)
SELECT
    customers.customer_id,
    customers.days_before,
    CAST(single_days.spent_first_day AS DOUBLE) AS spent_first_day,
    customers.orders_after,
    customers.revenue_after,
    DATE_DIFF('day', CAST($cut AS DATE), customers.next_order) AS days_to_order,
    CAST(single_days.next_amount AS DOUBLE) AS next_amount,
    CAST(customers.revenue_30 AS DOUBLE) AS revenue_30,
    CAST(customers.revenue_60 AS DOUBLE) AS revenue_60,
    CAST(customers.revenue_90 AS DOUBLE) AS revenue_90,
    CAST(customers.revenue_180 AS DOUBLE) AS revenue_180
FROM customers
INNER JOIN single_days ON single_days.customer_id = customers.customer_id
WHERE customers.first_day IS NOT NULL
