-- Concentration of spend in every quarter: quarter (year * 4 + 0 to 3), customers, revenue, gini and
-- gini_error, top_share (of the best tenth of the customers) and top_error, largest_share.
-- Customers count in the quarters they spent in. Standard errors come from influence
-- values (Davidson 2009 for the Gini coefficient), so no customer has to travel.
WITH spending AS (
    SELECT
        CAST(EXTRACT(YEAR FROM order_date) * 4 + FLOOR((EXTRACT(MONTH FROM order_date) - 1) / 3)
            AS BIGINT) AS quarter,
        customer_id,
        SUM(amount) AS amount
    FROM classified
    WHERE rule = 'kept'
    GROUP BY 1, 2
),
placed AS (
    -- under returns = net a quarter may bring less than nothing; a share of that means nothing
    SELECT
        quarter,
        CAST(amount AS DOUBLE) AS spent,
        ROW_NUMBER() OVER (PARTITION BY quarter ORDER BY amount) AS place,
        COUNT(*) OVER (PARTITION BY quarter) AS n,
        CAST(SUM(amount) OVER (
            PARTITION BY quarter ORDER BY amount ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS DOUBLE) AS running,
        CAST(SUM(amount) OVER (PARTITION BY quarter) AS DOUBLE) AS total
    FROM spending
    WHERE amount > 0
),
tops AS (
    SELECT
        placed.*,
        n - CEIL(n / 10.0) AS below_top,
        CASE WHEN place > n - CEIL(n / 10.0) THEN 1 ELSE 0 END AS is_top
    FROM placed
),
quarters AS (
    SELECT
        quarter,
        SUM((2.0 * place - n - 1) * spent) / MAX(n * total) AS gini,
        SUM(spent * is_top) / MAX(total) AS top_share,
        MIN(CASE WHEN is_top = 1 THEN spent END) AS edge
    FROM tops
    GROUP BY quarter
),
influences AS (
    SELECT
        tops.quarter,
        tops.n,
        tops.total,
        tops.spent,
        quarters.gini,
        quarters.top_share,
        (2.0 * place - 1) / n * spent - 2.0 * running / n - (quarters.gini + 1) * spent AS of_gini,
        (spent - quarters.edge) * is_top + quarters.edge * (n - below_top) / n
            - quarters.top_share * spent AS of_top
    FROM tops
    INNER JOIN quarters ON quarters.quarter = tops.quarter
)
SELECT
    quarter,
    MAX(n) AS customers,
    MAX(total) AS revenue,
    MAX(gini) AS gini,
    SQRT(GREATEST(SUM(of_gini * of_gini) - SUM(of_gini) * SUM(of_gini) / MAX(n), 0)) / MAX(total)
        AS gini_error,
    MAX(top_share) AS top_share,
    SQRT(GREATEST(SUM(of_top * of_top) - SUM(of_top) * SUM(of_top) / MAX(n), 0)) / MAX(total)
        AS top_error,
    MAX(spent) / MAX(total) AS largest_share
FROM influences
GROUP BY quarter
ORDER BY quarter
