-- One row per item of a sale. Dates are written 31.12.2024, prices are whole cents, and a
-- reader number that begins with zeros keeps them, because files are read as text.
SELECT
    s.reader_no AS customer_id,
    s.sale_no AS order_id,
    CAST(SUBSTRING(s.sold_on, 7, 4) || '-' || SUBSTRING(s.sold_on, 4, 2) || '-' || SUBSTRING(s.sold_on, 1, 2) AS DATE) AS order_date,
    CAST(i.copies AS DECIMAL(18, 0)) AS quantity,
    -- whole cents x copies, less the rebate in per cent; a fraction of a cent stops the run
    CAST(CAST(i.price_cents AS DECIMAL(12, 0)) * CAST(i.copies AS DECIMAL(6, 0)) * (100 - CAST(i.rebate_percent AS DECIMAL(6, 0))) * 0.0001 AS DECIMAL(18, 2)) AS amount,
    s.status = 'paid' AS is_valid,
    CAST(i.copies AS DECIMAL(18, 0)) < 0 AS is_return,
    CAST(SUBSTRING(r.joined, 7, 4) || '-' || SUBSTRING(r.joined, 4, 2) || '-' || SUBSTRING(r.joined, 1, 2) AS DATE) AS registered_date,
    b.title AS product,
    b.shelf AS category,
    s.paid_by AS payment_method
FROM sale_items AS i
INNER JOIN sales AS s ON s.sale_no = i.sale_no
LEFT JOIN readers AS r ON r.reader_no = s.reader_no
LEFT JOIN books AS b ON b.isbn = i.isbn
