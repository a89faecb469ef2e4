"""Summaries of the kept lines for the exploration chapter; no customer ids leave here."""

from __future__ import annotations

import pandas as pd
from sqlglot import exp

from segmentation.engine import Engine

MONTHLY_SQL = """
WITH lines AS (
    SELECT classified.*, MIN(order_date) OVER (PARTITION BY customer_id) AS first_order
    FROM classified
    WHERE rule = 'kept'
)
SELECT
    CAST(DATE_TRUNC('month', order_date) AS DATE) AS month,
    COUNT(DISTINCT order_id) AS orders,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(DISTINCT CASE WHEN order_date = first_order THEN customer_id END) AS new_customers,
    CAST(SUM(quantity) AS DOUBLE) AS units,
    CAST(SUM(amount) AS DOUBLE) AS revenue,
    MIN(order_date) AS first_day,
    MAX(order_date) AS last_day
FROM lines
GROUP BY 1
ORDER BY 1
"""

COHORTS_SQL = """
WITH lines AS (
    SELECT
        customer_id, order_date, amount,
        CAST(DATE_TRUNC('month', MIN(order_date) OVER (PARTITION BY customer_id)) AS DATE) AS cohort
    FROM classified
    WHERE rule = 'kept' AND NOT is_return
),
counted AS (
    SELECT
        cohort,
        DATE_DIFF('month', cohort, order_date) AS months_since,
        COUNT(DISTINCT customer_id) AS customers,
        CAST(SUM(amount) AS DOUBLE) AS revenue
    FROM lines
    GROUP BY 1, 2
)
SELECT
    cohort, months_since, customers, revenue,
    -- everybody of a cohort ordered in its first month
    MAX(CASE WHEN months_since = 0 THEN customers END) OVER (PARTITION BY cohort) AS cohort_size
FROM counted
ORDER BY 1, 2
"""

LINES_SQL = """
-- The median is the middle line, or the mean of the two middle lines: spelt out, because
-- not every engine has a function for it.
WITH placed AS (
    SELECT
        customer_id, order_id, order_date, quantity, amount,
        ROW_NUMBER() OVER (ORDER BY amount) AS amount_place,
        ROW_NUMBER() OVER (ORDER BY quantity) AS quantity_place,
        COUNT(*) OVER () AS n
    FROM classified
    WHERE rule = 'kept'
),
middle AS (
    SELECT
        placed.*,
        CASE WHEN 2 * amount_place BETWEEN n AND n + 2 THEN amount END AS middle_amount,
        CASE WHEN 2 * quantity_place BETWEEN n AND n + 2 THEN quantity END AS middle_quantity
    FROM placed
)
SELECT
    COUNT(*) AS lines,
    COUNT(DISTINCT order_id) AS orders,
    COUNT(DISTINCT customer_id) AS customers,
    MIN(order_date) AS first_order,
    MAX(order_date) AS last_order,
    CAST(SUM(quantity) AS DOUBLE) AS units,
    CAST(SUM(amount) AS DOUBLE) AS revenue,
    (CAST(MIN(middle_amount) AS DOUBLE) + CAST(MAX(middle_amount) AS DOUBLE)) / 2 AS median_line,
    CAST(MAX(amount) AS DOUBLE) AS largest_line,
    (CAST(MIN(middle_quantity) AS DOUBLE) + CAST(MAX(middle_quantity) AS DOUBLE)) / 2
        AS median_quantity,
    CAST(MAX(quantity) AS DOUBLE) AS largest_quantity
FROM middle
"""
DIMENSIONS = ("category", "payment_method", "country")


def monthly(engine: Engine) -> pd.DataFrame:
    """Orders, customers, first-time customers, units and revenue of every month."""
    return engine.query(MONTHLY_SQL)


def cohorts(engine: Engine) -> pd.DataFrame:
    """Customers of each first-order month who ordered again n months later."""
    return engine.query(COHORTS_SQL)


def lines(engine: Engine) -> pd.DataFrame:
    """One row about all kept lines: counts, window, typical and largest line."""
    return engine.query(LINES_SQL)


def categories(engine: Engine) -> pd.DataFrame:
    """Orders, customers and revenue per category, payment method and country.

    Dimensions that the source does not have are left out.
    """
    tables = []
    for dimension in DIMENSIONS:
        column = exp.column(dimension)
        query = (
            exp.select(
                exp.alias_(exp.Literal.string(dimension), "dimension"),
                exp.alias_(column, "value"),
                "COUNT(DISTINCT order_id) AS orders",
                "COUNT(DISTINCT customer_id) AS customers",
                "CAST(SUM(amount) AS DOUBLE) AS revenue",
            )
            .from_("classified")
            .where("rule = 'kept'", column.is_(exp.null()).not_())
            .group_by(column)
            .order_by("revenue DESC", column)
        )
        tables.append(engine.query(query.sql("duckdb")))
    return pd.concat(tables, ignore_index=True)
