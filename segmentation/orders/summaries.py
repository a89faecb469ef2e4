"""Summaries of the kept lines for the exploration chapter; no customer ids leave here."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from sqlglot import exp

from segmentation.sources.engine import Engine

MONTHLY_SQL = """
-- Lines are first added up to orders: counting distinct orders of every month among all
-- lines would keep each line's text. An order of two days may fall into two months.
WITH orders AS (
    SELECT
        CAST(DATE_TRUNC('month', order_date) AS DATE) AS month,
        customer_id,
        order_id,
        SUM(quantity) AS units,
        SUM(amount) AS revenue,
        MIN(order_date) AS first_day,
        MAX(order_date) AS last_day
    FROM classified
    WHERE rule = 'kept'
    GROUP BY 1, 2, 3
),
firsts AS (
    SELECT MIN(first_day) AS first_day FROM orders GROUP BY customer_id
),
began AS (
    SELECT CAST(DATE_TRUNC('month', first_day) AS DATE) AS month, COUNT(*) AS new_customers
    FROM firsts
    GROUP BY 1
),
months AS (
    SELECT
        month,
        COUNT(DISTINCT order_id) AS orders,
        COUNT(DISTINCT customer_id) AS customers,
        SUM(units) AS units,
        SUM(revenue) AS revenue,
        MIN(first_day) AS first_day,
        MAX(last_day) AS last_day
    FROM orders
    GROUP BY month
)
SELECT
    months.month,
    months.orders,
    months.customers,
    COALESCE(began.new_customers, 0) AS new_customers,
    CAST(months.units AS DOUBLE) AS units,
    CAST(months.revenue AS DOUBLE) AS revenue,
    months.first_day,
    months.last_day
FROM months
LEFT JOIN began ON began.month = months.month
ORDER BY 1
"""

COHORTS_SQL = """
WITH active AS (
    SELECT
        customer_id,
        CAST(DATE_TRUNC('month', order_date) AS DATE) AS month,
        SUM(amount) AS revenue
    FROM classified
    WHERE rule = 'kept' AND NOT is_return
    GROUP BY 1, 2
),
firsts AS (
    SELECT customer_id, MIN(month) AS cohort FROM active GROUP BY customer_id
),
counted AS (
    SELECT
        firsts.cohort,
        DATE_DIFF('month', firsts.cohort, active.month) AS months_since,
        COUNT(*) AS customers,
        CAST(SUM(active.revenue) AS DOUBLE) AS revenue
    FROM active
    INNER JOIN firsts ON firsts.customer_id = active.customer_id
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
-- not every engine has a function for it. A shop has few prices, so that lines of one
-- amount are counted first and only the amounts are put in order.
WITH amounts AS (
    SELECT amount AS value, COUNT(*) AS n FROM classified WHERE rule = 'kept' GROUP BY amount
),
amounts_placed AS (
    SELECT value, n, SUM(n) OVER (ORDER BY value) AS place, SUM(n) OVER () AS n_all FROM amounts
),
quantities AS (
    SELECT quantity AS value, COUNT(*) AS n FROM classified WHERE rule = 'kept' GROUP BY quantity
),
quantities_placed AS (
    SELECT value, n, SUM(n) OVER (ORDER BY value) AS place, SUM(n) OVER () AS n_all FROM quantities
),
middle_amount AS (
    SELECT (CAST(MIN(value) AS DOUBLE) + CAST(MAX(value) AS DOUBLE)) / 2 AS median
    FROM amounts_placed
    WHERE 2 * place >= n_all AND 2 * (place - n) <= n_all
),
middle_quantity AS (
    SELECT (CAST(MIN(value) AS DOUBLE) + CAST(MAX(value) AS DOUBLE)) / 2 AS median
    FROM quantities_placed
    WHERE 2 * place >= n_all AND 2 * (place - n) <= n_all
),
orders AS (
    SELECT
        customer_id,
        order_id,
        COUNT(*) AS lines,
        MIN(order_date) AS first_order,
        MAX(order_date) AS last_order,
        SUM(quantity) AS units,
        SUM(amount) AS revenue,
        MAX(amount) AS largest_line,
        MAX(quantity) AS largest_quantity
    FROM classified
    WHERE rule = 'kept'
    GROUP BY customer_id, order_id
),
totals AS (
    SELECT
        CAST(SUM(lines) AS BIGINT) AS lines,
        COUNT(DISTINCT order_id) AS orders,
        COUNT(DISTINCT customer_id) AS customers,
        MIN(first_order) AS first_order,
        MAX(last_order) AS last_order,
        CAST(SUM(units) AS DOUBLE) AS units,
        CAST(SUM(revenue) AS DOUBLE) AS revenue,
        CAST(MAX(largest_line) AS DOUBLE) AS largest_line,
        CAST(MAX(largest_quantity) AS DOUBLE) AS largest_quantity
    FROM orders
)
SELECT
    totals.lines,
    totals.orders,
    totals.customers,
    totals.first_order,
    totals.last_order,
    totals.units,
    totals.revenue,
    middle_amount.median AS median_line,
    totals.largest_line,
    middle_quantity.median AS median_quantity,
    totals.largest_quantity
FROM totals
CROSS JOIN middle_amount
CROSS JOIN middle_quantity
"""
ONE_CUSTOMER_EACH = "values of one customer each"
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


def categories(engine: Engine, customer_ids: Iterable[str]) -> pd.DataFrame:
    """Orders, customers and revenue per category, payment method and country.

    Dimensions that the source does not have are left out. A value that is a customer's id,
    or another name for one customer, is no kind of order: all such are one row.
    """
    ids = frozenset(customer_ids)
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
        tables.append(_without_names(engine.query(query.sql("duckdb")), ids))
    return pd.concat(tables, ignore_index=True)


def _without_names(values: pd.DataFrame, ids: frozenset[str]) -> pd.DataFrame:
    """Values of a dimension, those that stand for one customer each taken together."""
    single = values["customers"] == 1
    # where most customers have a value to themselves, the dimension names them
    names = single if 2 * single.sum() > len(ids) else single & values["value"].isin(ids)
    if not names.any():
        return values
    summed = values[names][["orders", "customers", "revenue"]].sum().to_frame().T
    one = summed.astype(values.dtypes[summed.columns]).assign(
        dimension=values["dimension"].iloc[0], value=ONE_CUSTOMER_EACH
    )
    rows = pd.concat([values[~names], one[list(values.columns)]])
    return rows.sort_values("revenue", ascending=False, kind="stable", ignore_index=True)
