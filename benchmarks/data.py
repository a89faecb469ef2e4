"""Seeded inputs, skewed like real shops: few customers order often, few orders are large."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

LINES_PER_CUSTOMER = 20
FIRST_DAY, DAYS = "2020-01-01", 1000


def order_lines(folder: Path, size: int) -> Path:
    """Order lines as Parquet, one customer for every `LINES_PER_CUSTOMER` lines.

    DuckDB writes them: customers follow a power law, an order has one to five lines,
    amounts are heavy-tailed decimals, popular products take most lines, 5% of lines are
    invalid, and one line of 500 is listed again.
    """
    path = folder / f"lines-{size}.parquet"
    if path.exists():
        return path
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    # every column is a hash of the row number, so that any number of threads gives one file
    query = """
        WITH rows AS (
            -- one line of 500 is the line before it once more
            SELECT CASE WHEN r.i % 500 = 499 THEN r.i - 1 ELSE r.i END AS i
            FROM range($size) AS r(i)
        ),
        numbered AS (SELECT i, i // 3 AS visit FROM rows),
        drawn AS (
            SELECT i, visit,
                hash(visit * 7 + 1) / 18446744073709551616.0 AS u_customer,
                hash(visit * 7 + 2) / 18446744073709551616.0 AS u_day,
                hash(i * 7 + 3) / 18446744073709551616.0 AS u_amount,
                hash(i * 7 + 4) / 18446744073709551616.0 AS u_quantity,
                hash(i * 7 + 6) / 18446744073709551616.0 AS u_product,
                hash(visit * 7 + 5) / 18446744073709551616.0 AS u_valid
            FROM numbered
        )
        SELECT
            CAST(1000000 + CAST(floor(pow(u_customer, 2.0) * $customers) AS BIGINT) AS VARCHAR)
                AS customer_id,
            CAST(visit AS VARCHAR) AS order_id,
            CAST($first AS DATE) + CAST(floor(u_day * $days) AS INTEGER) AS order_date,
            CAST(1 + floor(-ln(1 - u_quantity) * 2) AS DECIMAL(18, 2)) AS quantity,
            CAST(5 * pow(1 - u_amount, -0.6) AS DECIMAL(18, 2)) AS amount,
            u_valid > 0.05 AS is_valid,
            'P' || CAST(CAST(floor(pow(u_product, 3.0) * 20000) AS BIGINT) AS VARCHAR) AS product
        FROM drawn
    """
    values = {
        "size": size,
        "customers": max(1, size // LINES_PER_CUSTOMER),
        "first": FIRST_DAY,
        "days": DAYS,
    }
    relation = connection.sql(query, params=values)
    working = path.with_suffix(".part")
    relation.write_parquet(str(working), compression="zstd")
    working.rename(path)
    return path


def prepared_customers(folder: Path, size: int) -> Path:
    """Five prepared features per customer of a shop with four overlapping kinds, sorted."""
    path = folder / f"customers-{size}.npy"
    if path.exists():
        return path
    rng = np.random.default_rng(20)
    kind = rng.choice(4, size, p=[0.6, 0.25, 0.1, 0.05])
    spend = np.exp(rng.normal(3 + 0.8 * kind, 0.9))
    orders = 1 + rng.geometric(1 / (1.2 + 2.0 * kind))
    recency = rng.exponential(300 / (1 + kind), size)
    units = 1 + rng.poisson(2 * orders)
    tenure = recency + rng.exponential(100 * (kind + 0.1), size)
    table = np.log1p(np.column_stack([recency, orders, spend, units, tenure]))
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    np.save(path, table[np.lexsort(table.T[::-1])])
    return path
