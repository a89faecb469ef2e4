"""Order lines -> one row per customer: the project's own SQL against the alternatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

AS_OF = "2022-12-31"
HAND_WRITTEN = """
    WITH customers AS (
        SELECT
            customer_id,
            MIN(order_date) AS first_order,
            MAX(order_date) AS last_order,
            COUNT(DISTINCT order_id) AS orders,
            SUM(quantity) AS units,
            SUM(amount) AS spent
        FROM lines
        WHERE is_valid AND quantity > 0 AND amount >= 0 AND order_date <= CAST($as_of AS DATE)
            AND customer_id IS NOT NULL AND order_id IS NOT NULL
        GROUP BY customer_id
    )
    SELECT
        customer_id,
        last_order - first_order AS first_to_last_order,
        CAST(units AS DOUBLE) AS total_unit,
        CAST(spent AS DOUBLE) AS total_spent,
        CAST($as_of AS DATE) - last_order AS recency,
        orders AS frequency,
        CAST(spent AS DOUBLE) / orders AS average_order_value,
        CAST($as_of AS DATE) - first_order AS tenure
    FROM customers
"""


TWO_STEPS = """
    WITH orders AS (
        SELECT
            customer_id, order_id, MIN(order_date) AS first_order, MAX(order_date) AS last_order,
            SUM(quantity) AS units, SUM(amount) AS spent
        FROM lines
        WHERE is_valid AND quantity > 0 AND amount >= 0 AND order_date <= CAST($as_of AS DATE)
            AND customer_id IS NOT NULL AND order_id IS NOT NULL
        GROUP BY customer_id, order_id
    ),
    customers AS (
        SELECT
            customer_id, MIN(first_order) AS first_order, MAX(last_order) AS last_order,
            COUNT(*) AS orders, SUM(units) AS units, SUM(spent) AS spent
        FROM orders
        GROUP BY customer_id
    )
    SELECT
        customer_id,
        last_order - first_order AS first_to_last_order,
        CAST(units AS DOUBLE) AS total_unit,
        CAST(spent AS DOUBLE) AS total_spent,
        CAST($as_of AS DATE) - last_order AS recency,
        orders AS frequency,
        CAST(spent AS DOUBLE) / orders AS average_order_value,
        CAST($as_of AS DATE) - first_order AS tenure
    FROM customers
"""


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """``features.sql`` as the pipeline runs it, on lines already classified."""
    from segmentation.customers.features import FEATURES_SQL

    connection = _lines(path)
    connection.execute(
        "CREATE VIEW classified AS SELECT lines.*, NULL::DATE AS registered_date, "
        "FALSE AS is_return, CASE WHEN is_valid AND quantity > 0 AND amount >= 0 "
        "THEN 'kept' ELSE 'invalid_order' END AS rule FROM lines"
    )
    return lambda: _answer(connection, FEATURES_SQL)


def hand_written(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The plainest query for the same columns."""
    connection = _lines(path)
    return lambda: _answer(connection, HAND_WRITTEN)


def hand_written_two_steps(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """Orders first, then customers: no distinct count."""
    connection = _lines(path)
    return lambda: _answer(connection, TWO_STEPS)


def polars(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """polars as its guide advises: one lazy query over data in memory."""
    import datetime as dt

    import polars as pl

    lines = pl.read_parquet(path).with_columns(pl.col("amount", "quantity").cast(pl.Float64))
    as_of = pl.lit(dt.date.fromisoformat(AS_OF))

    def work() -> dict[str, Any]:
        table = (
            lines.lazy()
            .filter(pl.col("is_valid") & (pl.col("quantity") > 0) & (pl.col("amount") >= 0))
            .group_by("customer_id")
            .agg(
                first=pl.col("order_date").min(),
                last=pl.col("order_date").max(),
                total_unit=pl.col("quantity").sum(),
                total_spent=pl.col("amount").sum(),
                frequency=pl.col("order_id").n_unique(),
            )
            .with_columns(
                recency=(as_of - pl.col("last")).dt.total_days(),
                tenure=(as_of - pl.col("first")).dt.total_days(),
                first_to_last_order=(pl.col("last") - pl.col("first")).dt.total_days(),
                average_order_value=pl.col("total_spent") / pl.col("frequency"),
            )
            .collect()
        )
        return _summary(len(table), table["total_spent"].sum(), table["frequency"].sum())

    return work


def pandas_groupby(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """pandas as its guide advises: named aggregations, no Python function per group."""
    import pandas as pd

    lines = pd.read_parquet(path)
    lines["amount"] = lines["amount"].astype("float64")
    lines["quantity"] = lines["quantity"].astype("float64")
    lines["order_date"] = pd.to_datetime(lines["order_date"])

    def work() -> dict[str, Any]:
        kept = lines[lines["is_valid"] & (lines["quantity"] > 0) & (lines["amount"] >= 0)]
        table = kept.groupby("customer_id").agg(
            first=("order_date", "min"),
            last=("order_date", "max"),
            total_unit=("quantity", "sum"),
            total_spent=("amount", "sum"),
            frequency=("order_id", "nunique"),
        )
        as_of = pd.Timestamp(AS_OF)
        table["recency"] = (as_of - table["last"]).dt.days
        table["tenure"] = (as_of - table["first"]).dt.days
        table["first_to_last_order"] = (table["last"] - table["first"]).dt.days
        table["average_order_value"] = table["total_spent"] / table["frequency"]
        return _summary(len(table), table["total_spent"].sum(), table["frequency"].sum())

    return work


def _lines(path: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.read_parquet(path).create("lines")
    return connection


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    table = connection.sql(sql, params={"as_of": AS_OF}).to_arrow_table()
    spent, orders = table["total_spent"].to_numpy().sum(), table["frequency"].to_numpy().sum()
    return _summary(table.num_rows, spent, orders)


def _summary(customers: int, spent: float, orders: int) -> dict[str, Any]:
    return {"customers": customers, "spent": round(float(spent), 2), "orders": int(orders)}


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Same customers and orders, and money to a millionth (pandas adds floats)."""
    counts = all(ours_answer[name] == other[name] for name in ("customers", "orders"))
    return counts and abs(ours_answer["spent"] / other["spent"] - 1) < 1e-6
