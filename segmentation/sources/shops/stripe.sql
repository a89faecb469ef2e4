-- One row per charge and one per refund of it, from Stripe's export of payments.
WITH lines AS (
    SELECT
        "Customer Email" AS email, "Customer ID" AS account, id, "Created date (UTC)" AS created, Status AS status,
        CAST(1 AS DECIMAL(18, 0)) AS pieces, CAST(Amount AS DECIMAL(18, 2)) AS amount, FALSE AS is_refund
    FROM charges
    UNION ALL
    -- a charge says what was paid back of it, and nothing of goods: a line of its own, with money alone
    SELECT
        "Customer Email" AS email, "Customer ID" AS account, id, "Created date (UTC)" AS created, Status AS status,
        CAST(0 AS DECIMAL(18, 0)) AS pieces, -CAST("Amount Refunded" AS DECIMAL(18, 2)) AS amount, TRUE AS is_refund
    FROM charges
    WHERE CAST("Amount Refunded" AS DECIMAL(18, 2)) <> 0
)
SELECT
    -- who paid: the e-mail in small letters, for a guest's charge has no customer id; else that id
    COALESCE(NULLIF(LOWER(TRIM(email)), ''), account) AS customer_id,
    id AS order_id,
    -- days are those of UTC, as the export has them; a refund has the day of its charge
    CAST(SUBSTRING(created, 1, 10) AS DATE) AS order_date,
    pieces AS quantity,
    -- ONLY YOU KNOW: amounts are in the currency of the charge; with several, keep one
    amount AS amount,
    -- ONLY YOU KNOW: whether a charge that was paid back counts as a sale (here it does, and the
    -- refund is a return: `returns: net` in the profile takes it off)
    COALESCE(status, '') IN ('Paid', 'Refunded') AS is_valid,
    is_refund AS is_return
FROM lines
