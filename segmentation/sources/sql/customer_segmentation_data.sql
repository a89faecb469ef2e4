-- An already built customer table: one row per customer, the four lifecycle features.
-- Because it gives features instead of order lines it enters at the features stage.
SELECT
    customer_id,
    CAST(register_to_order AS DOUBLE) AS register_to_order,
    CAST(first_to_last_order AS DOUBLE) AS first_to_last_order,
    CAST(total_unit AS DOUBLE) AS total_unit,
    CAST(total_spent AS DECIMAL(18, 2)) AS total_spent
FROM customer_segmentation_data
