"""Order lines -> each with its rule: ``clean.sql`` against the form with windows over all lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from benchmarks.features import AS_OF

RULES = {"returns": "exclude", "zero_amount": "keep", "duplicates": "drop", "non_product": "keep"}
LINES = """
    CREATE TABLE transactions AS
    SELECT
        customer_id, order_id, order_date, quantity, amount, is_valid,
        NULL::DATE AS registered_date, FALSE AS is_return, product, NULL::VARCHAR AS category,
        NULL::VARCHAR AS payment_method, NULL::VARCHAR AS country,
        NULL::BOOLEAN AS is_non_product, FALSE AS is_listed_twice
    FROM lines
"""
WINDOWS = """
    WITH numbered AS (
        SELECT
            transactions.*,
            ROW_NUMBER() OVER (
                PARTITION BY
                    customer_id, order_id, order_date, quantity, amount, is_valid,
                    registered_date, is_return, product, category, payment_method, country
            ) AS copy_number
        FROM transactions
    )
    SELECT
        numbered.*,
        CASE
            WHEN customer_id IS NULL OR TRIM(customer_id) = '' THEN 'missing_customer_id'
            WHEN order_id IS NULL OR TRIM(order_id) = '' THEN 'missing_order_id'
            WHEN order_date IS NULL THEN 'missing_order_date'
            WHEN quantity IS NULL OR amount IS NULL THEN 'missing_quantity_or_amount'
            WHEN is_valid IS NULL OR NOT is_valid THEN 'invalid_order'
            WHEN quantity <= 0 THEN 'non_positive_quantity'
            WHEN amount < 0 THEN 'negative_amount'
            WHEN copy_number > 1 THEN 'duplicate_line'
            WHEN order_date > CAST($as_of AS DATE) THEN 'after_as_of'
            ELSE 'kept'
        END AS rule
    FROM numbered
"""


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """As the pipeline runs it, copies dropped: only orders that can hold copies are sorted."""
    from segmentation.orders.clean import rules_sql

    connection = _transactions(path)
    values = {**RULES, "as_of": AS_OF}
    return lambda: _answer(connection, rules_sql(returns="exclude"), values)


def windows(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The plain form: one window over all lines numbers the copies."""
    connection = _transactions(path)
    return lambda: _answer(connection, WINDOWS, {"as_of": AS_OF})


def _transactions(path: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.read_parquet(path).create_view("lines")
    connection.execute(LINES)
    return connection


def _answer(
    connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]
) -> dict[str, Any]:
    connection.sql(sql, params=values).create("classified")
    rules = connection.sql("SELECT rule, COUNT(*), SUM(amount) FROM classified GROUP BY 1")
    return {rule: [n, str(amount)] for rule, n, amount in sorted(rules.fetchall())}


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Same lines and money under every rule, to the cent."""
    return ours_answer == other
