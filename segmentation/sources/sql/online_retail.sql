-- UCI Online Retail and Online Retail II, one invoice line per row. The workbook of II
-- names three columns otherwise; reading the file gives them the names used here:
-- also named: Invoice = InvoiceNo
-- also named: Price = UnitPrice
-- also named: Customer ID = CustomerID
-- Every column is taken as text first, because files carry 17850, '17850.0' and typed
-- dates alike. Dates are 2010-12-01 08:26 or, in some copies, 12/1/2010 8:26.
WITH texts AS (
    SELECT
        ROW_NUMBER() OVER () AS line_number,
        CAST(InvoiceNo AS VARCHAR) AS invoice,
        CAST(StockCode AS VARCHAR) AS stock_code,
        CAST(Description AS VARCHAR) AS description,
        CAST(Quantity AS VARCHAR) AS quantity,
        CAST(InvoiceDate AS VARCHAR) AS invoice_time,
        CAST(UnitPrice AS VARCHAR) AS unit_price,
        REGEXP_REPLACE(TRIM(CAST(CustomerID AS VARCHAR)), '\.0$', '') AS customer_id,
        CAST(Country AS VARCHAR) AS country
    FROM online_retail
),
dated AS (
    SELECT
        line_number, invoice, stock_code, description, quantity, invoice_time, unit_price,
        customer_id, country,
        CASE
            WHEN invoice_time LIKE '%/%' THEN
                SPLIT_PART(SPLIT_PART(invoice_time, ' ', 1), '/', 3)
                || '-' || LPAD(SPLIT_PART(invoice_time, '/', 1), 2, '0')
                || '-' || LPAD(SPLIT_PART(invoice_time, '/', 2), 2, '0')
            ELSE SUBSTRING(invoice_time, 1, 10)
        END AS invoice_day
    FROM texts
),
followed AS (
    SELECT
        line_number, invoice, stock_code, description, quantity, invoice_time, unit_price,
        customer_id, country, invoice_day,
        CASE
            WHEN invoice_day < LAG(invoice_day) OVER (ORDER BY line_number) THEN 1 ELSE 0
        END AS goes_back
    FROM dated
),
parted AS (
    SELECT
        line_number, invoice, stock_code, description, quantity, invoice_time, unit_price,
        customer_id, country, invoice_day,
        -- sheets run in time, so that the one step back in time begins the second sheet;
        -- a file that often steps back was sorted otherwise and has no sheets to tell apart
        SUM(goes_back) OVER () = 1 AND SUM(goes_back) OVER (
            ORDER BY line_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) = 1 AS is_second_sheet
    FROM followed
),
first_sheet AS (
    SELECT MAX(invoice_day) AS last_day FROM parted WHERE NOT is_second_sheet
),
placed AS (
    SELECT
        line_number, invoice, stock_code, description, quantity, invoice_time, unit_price,
        customer_id, country, invoice_day,
        COALESCE(is_second_sheet AND invoice_day <= last_day, FALSE) AS is_overlap
    FROM parted
    CROSS JOIN first_sheet
),
counted AS (
    SELECT
        line_number, invoice, stock_code, description, quantity, unit_price,
        customer_id, country, invoice_day, is_overlap,
        SUM(CASE WHEN is_overlap THEN 0 ELSE 1 END) OVER (
            PARTITION BY invoice, stock_code, description, quantity, invoice_time, unit_price, customer_id, country
        ) AS copies_before,
        ROW_NUMBER() OVER (
            PARTITION BY invoice, stock_code, description, quantity, invoice_time, unit_price, customer_id, country, is_overlap
            ORDER BY line_number
        ) AS copy_number
    FROM placed
),
described AS (
    SELECT
        stock_code, description,
        ROW_NUMBER() OVER (
            PARTITION BY stock_code ORDER BY COUNT(*) DESC, COALESCE(description, '')
        ) AS place
    FROM texts
    WHERE description <> ''
    GROUP BY stock_code, description
)
SELECT
    customer_id,
    invoice AS order_id,
    CAST(NULLIF(invoice_day, '') AS DATE) AS order_date,
    CAST(NULLIF(quantity, '') AS DECIMAL(18, 0)) AS quantity,
    -- prices carry up to three decimals and quantities none, so the product is exact
    CAST(CAST(NULLIF(quantity, '') AS DECIMAL(12, 0)) * CAST(NULLIF(unit_price, '') AS DECIMAL(12, 3)) AS DECIMAL(18, 3)) AS amount,
    -- invoices that begin with A are adjustments of bad debt, not sales
    UPPER(SUBSTRING(invoice, 1, 1)) <> 'A' AS is_valid,
    UPPER(SUBSTRING(invoice, 1, 1)) = 'C' AS is_return,
    UPPER(counted.stock_code) IN (
        'POST', 'DOT', 'C2', 'C3', 'M', 'D', 'S', 'B', 'BANK CHARGES', 'AMAZONFEE', 'CRUK', 'GIFT'
    )
        OR LOWER(counted.stock_code) LIKE 'gift%'
        OR UPPER(counted.stock_code) LIKE 'ADJUST%'
        OR UPPER(counted.stock_code) LIKE 'TEST%' AS is_non_product,
    is_overlap AND copy_number <= copies_before AS is_listed_twice,
    -- the code tells products apart; its most frequent description tells people which it is
    counted.stock_code || COALESCE(' ' || described.description, '') AS product,
    country
FROM counted
LEFT JOIN described ON described.stock_code = counted.stock_code AND described.place = 1
