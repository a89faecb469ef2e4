-- The most frequent of spellings that differ in capitals or blanks only is taken as meant.
WITH spelled AS (
    SELECT this_text AS spelling, COUNT(*) AS n
    FROM classified
    WHERE TRIM(this_text, ' ') <> ''
    GROUP BY this_text
),
ranked AS (
    SELECT
        spelling,
        ROW_NUMBER() OVER (PARTITION BY LOWER(TRIM(spelling, ' ')) ORDER BY n DESC, spelling) AS place
    FROM spelled
)
SELECT
    COUNT(*) AS rows,
    COUNT(DISTINCT classified.customer_id) AS customers,
    COUNT(DISTINCT ranked.spelling) AS spellings,
    SUM(classified.amount) AS amount
FROM classified
INNER JOIN ranked ON ranked.spelling = classified.this_text
WHERE ranked.place > 1
