-- Customers drawn for fitting: the first $n by a hash of what they did, so that neither
-- ids nor the order of rows decide who is drawn. Customers who did exactly the same are
-- numbered first; who of them gets which number makes no difference to the sample.
WITH numbered AS (
    SELECT
        customer_features.*,
        ROW_NUMBER() OVER (
            PARTITION BY
                register_to_order, first_to_last_order, total_unit, total_spent, recency, frequency
            ORDER BY customer_id
        ) AS copy_number
    FROM customer_features
),
drawn AS (
    SELECT
        numbered.*,
        MD5(
            COALESCE(CAST(register_to_order AS VARCHAR), '-')
            || ' ' || CAST(first_to_last_order AS VARCHAR)
            || ' ' || CAST(CAST(total_unit AS DECIMAL(28, 6)) AS VARCHAR)
            || ' ' || CAST(CAST(total_spent AS DECIMAL(28, 6)) AS VARCHAR)
            || ' ' || CAST(recency AS VARCHAR)
            || ' ' || CAST(frequency AS VARCHAR)
            || ' ' || CAST(copy_number AS VARCHAR)
        ) AS draw
    FROM numbered
)
SELECT
    customer_id,
    register_to_order,
    first_to_last_order,
    total_unit,
    total_spent,
    recency,
    frequency,
    average_order_value,
    tenure
FROM drawn
ORDER BY draw
LIMIT $n
