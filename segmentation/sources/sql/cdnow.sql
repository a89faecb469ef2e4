-- CDNOW_master.txt, one purchase line per row, fixed columns:
--   2-6 customer, 8-15 date as YYYYMMDD, 17-18 number of CDs, 20-26 dollars.
-- An order is a customer's day (the convention of the literature: 67,591 orders),
-- so the order id is made of customer and date. The file knows no registration,
-- no validity flag and no returns: every line is a sale.
WITH lines AS (
    SELECT
        TRIM(SUBSTRING(line, 2, 5)) AS customer_id,
        SUBSTRING(line, 8, 4) || '-' || SUBSTRING(line, 12, 2) || '-' || SUBSTRING(line, 14, 2) AS order_day,
        TRIM(SUBSTRING(line, 16, 3)) AS number_of_cds,
        TRIM(SUBSTRING(line, 19, 8)) AS dollar_value
    FROM CDNOW_master
    WHERE line_number > 1  -- the first line names the columns
)
SELECT
    customer_id,
    customer_id || ' ' || order_day AS order_id,
    CAST(order_day AS DATE) AS order_date,
    CAST(number_of_cds AS DECIMAL(18, 0)) AS quantity,
    CAST(dollar_value AS DECIMAL(18, 2)) AS amount,
    TRUE AS is_valid
FROM lines
