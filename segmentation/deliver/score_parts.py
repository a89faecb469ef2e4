"""Segments tables of a file of customers, part by part, and a file written from parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three
from segmentation.core.guarded_csv import write_plain_csv
from segmentation.deliver.api.contract import bounds_of
from segmentation.segments.model import SegmentModel
from segmentation.sources.engine import DuckDbEngine

ROWS_AT_ONCE = 200_000
"""Customers held in memory at a time; a file may have any number."""
_BLANK_SQL = """
SELECT place
FROM (SELECT customer_id, ROW_NUMBER() OVER () AS place FROM customers) AS numbered
WHERE customer_id IS NULL OR TRIM(CAST(customer_id AS VARCHAR)) = ''
ORDER BY place
"""
_TWICE_SQL = """
-- a hash is small whatever the id: only ids whose hash repeats are compared themselves
WITH suspects AS (
    SELECT HASH(customer_id) AS code FROM customers GROUP BY HASH(customer_id) HAVING COUNT(*) > 1
)
SELECT CAST(customer_id AS VARCHAR) AS customer_id, MIN(place) AS place
FROM (SELECT customer_id, ROW_NUMBER() OVER () AS place FROM customers) AS numbered
WHERE HASH(customer_id) IN (SELECT code FROM suspects)
GROUP BY 1
HAVING COUNT(*) > 1
ORDER BY place
"""


def assigned_parts(engine: DuckDbEngine, model: SegmentModel, name: str) -> Iterator[pd.DataFrame]:
    """Segments tables of the customers bound as ``customers``, in their order.

    Raises
    ------
    SourceError
        For customers without id or listed twice, wherever in the file, and whatever the
        model refuses; ``name`` is the file's.
    """
    held = engine.columns("SELECT * FROM customers")
    used = [c for c in held if c in {"customer_id", "segment_type", *model.features}]
    used += [c for c in held if c == "register_to_order" and c not in used]
    if "customer_id" in held:
        _check_ids(engine, name)
    kinds = {c: _kind(engine, c, held[c]) for c in model.features if c in held}
    query = exp.select(*(exp.column(c, quoted=True) for c in used or held)).from_("customers")
    total, done = engine.count("customers"), 0
    for part in engine.parts(query.sql("duckdb"), ROWS_AT_ONCE):
        if "customer_id" in held:
            part["customer_id"] = part["customer_id"].astype(str)
        try:
            segments = model.assign(part)
            _check_bounds(part, model, name)
        except SourceError as error:
            if total <= ROWS_AT_ONCE:
                raise
            raise SourceError(f"rows {done + 1:,} to {done + len(part):,}: {error}") from None
        yield segments.astype({c: kind for c, kind in kinds.items() if kind})
        done += len(part)


def _check_bounds(part: pd.DataFrame, model: SegmentModel, file: str) -> None:
    """Refuse what the API refuses: no customer has a negative number of orders or days."""
    for name in (n for n in model.features if n != "register_to_order"):
        bounds, values = bounds_of(model, name), part[name].astype("float64")
        outside = (values < bounds.low) | (values > bounds.high)
        if outside.any():
            raise SourceError(
                f"{file}: {name} is not between {bounds.low:,.0f} and {bounds.high:,.0f} for "
                f"{int(outside.sum()):,} customer(s): "
                f"{first_three(values[outside].drop_duplicates().map('{:,g}'.format))}; "
                "correct the file."
            )


def _kind(engine: DuckDbEngine, column: str, held: str) -> str:
    """One type of a feature for all parts of a file; empty = as the file has it."""
    value = exp.column(column, quoted=True)
    if held == "VARCHAR":
        whole = exp.RegexpLike(this=value, expression=exp.Literal.string(r"^\s*[+-]?\d{1,18}\s*$"))
        test = exp.func("COALESCE", exp.func("BOOL_AND", whole), exp.false())
        missing = exp.func("BOOL_OR", value.is_(exp.null()))
        query = exp.select(exp.alias_(exp.and_(test, exp.not_(missing)), "whole"))
        is_whole = engine.query(query.from_("customers").sql("duckdb"))["whole"].item()
        return "int64" if is_whole else "float64"
    if "INT" in held:
        query = exp.select(exp.alias_(exp.Count(this=value), "filled")).from_("customers")
        filled = int(engine.query(query.sql("duckdb"))["filled"].item())
        return "" if filled == engine.count("customers") else "float64"
    return "float64" if held.startswith("DECIMAL") else ""


def write_parts(
    parts: Iterator[pd.DataFrame], path: Path, suffix: str, *, raw_values: bool = False
) -> int:
    """Write tables one after the other into one .csv or .parquet file; their rows in all.

    Texts of a CSV file are such as no spreadsheet runs, unless ``raw_values`` are asked for.
    """
    count = 0
    if suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            for part in parts:
                write_plain_csv(part, file, raw_values=raw_values, header=count == 0)
                count += len(part)
        return count
    writer = None
    try:
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata(None)
            if writer is None:
                writer = pq.ParquetWriter(
                    path, table.schema, compression="zstd", write_page_checksum=True
                )
            writer.write_table(table.cast(writer.schema))
            count += len(part)
    finally:
        if writer is not None:
            writer.close()
    return count


def _check_ids(engine: DuckDbEngine, name: str) -> None:
    blank = engine.query(_BLANK_SQL)["place"]
    if len(blank):
        rows = first_three(f"row {place:,}" for place in blank)
        raise SourceError(
            f"{name}: {len(blank):,} customer(s) have no customer_id ({rows}); give every row one."
        )
    twice = engine.query(_TWICE_SQL)["customer_id"]
    if len(twice):
        raise SourceError(
            f"{name}: {len(twice):,} customer(s) are listed more than once "
            f"({first_three(twice)}); give one row per customer."
        )
