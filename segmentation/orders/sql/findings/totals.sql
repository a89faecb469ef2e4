-- One row about all lines and the kept ones: which columns have values, and the extremes.
SELECT
    COUNT(unit_price) AS has_unit_price, COUNT(registered_date) AS has_registered_date,
    COUNT(product) AS has_product, COUNT(category) AS has_category,
    COUNT(payment_method) AS has_payment_method, COUNT(country) AS has_country,
    COUNT(customer_id) AS has_customer_id,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(DISTINCT CASE WHEN rule = 'kept' THEN customer_id END) AS kept_customers,
    SUM(CASE WHEN rule = 'kept' THEN 1 ELSE 0 END) AS kept_lines,
    SUM(CASE WHEN rule = 'kept' THEN amount END) AS revenue,
    MAX(CASE WHEN rule = 'kept' THEN amount END) AS largest_line,
    MAX(ABS(amount)) AS largest_amount,
    MAX(ABS(amount - (unit_price * quantity - COALESCE(discount, 0)))) AS largest_difference,
    SUM(amount - (unit_price * quantity - COALESCE(discount, 0))) AS sum_of_differences
FROM classified
