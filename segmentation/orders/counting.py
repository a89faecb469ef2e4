"""With what checks of the data count: a row of the findings, its examples, a query's only row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.phrases import shorten
from segmentation.sources.engine import Engine

COUNTED_COLUMNS = (
    *("finding", "place", "rows", "customers", "amount", "treatment", "examples", "facts"),
)
"""What a check of lines counted."""


def finding(
    name: str,
    place: str,
    rows: int,
    customers: int,
    amount: Any,
    *,
    examples: str = "",
    **facts: Any,
) -> dict[str, Any]:
    """One row of the findings table; a missing sum counts as nothing."""
    known = {key: _plain(value) for key, value in facts.items()}
    money = Decimal(0) if amount is None or pd.isna(amount) else Decimal(amount)
    return {
        "finding": name,
        "place": place,
        "rows": rows,
        "customers": customers,
        "amount": money,
        "examples": examples,
        "facts": json.dumps(known),
    }


def named_examples(column: str, values: Iterable[object]) -> str:
    """The first three different values of a column, as a row of the findings names them.

    Examples
    --------
    >>> named_examples("order_id", ["A1", "A1", "A2 ", "A3", "A4"])
    "order_id: A1, 'A2 ', A3"
    """
    texts = dict.fromkeys(map(str, values))
    shown = [shorten(text if text == text.strip() else repr(text), 60) for text in texts]
    return f"{column}: {', '.join(shown[:3])}" if shown else ""


def examples_of(
    engine: Engine,
    column: str,
    *,
    where: str | exp.Expression = "TRUE",
    having: str = "TRUE",
    by: str = "",
    table: str = "classified",
    values: dict[str, Any] | None = None,
    called: str = "",
) -> str:
    """Three values of a column of a table; ``by`` is what lines are looked at together."""
    name = exp.column(column, quoted=True)
    shown = exp.func("MIN", name) if by else name.copy()
    query = (
        exp.select(exp.alias_(exp.cast(shown, "VARCHAR"), "example"))
        .from_(table)
        .where(name.copy().is_(exp.null()).not_(), where, dialect="duckdb")
        .group_by(naming("this_text", column, by) if by else name.copy(), dialect="duckdb")
        .having(naming("this_text", column, having), dialect="duckdb")
        .order_by("example")
        .limit(3)
    )
    asked = {node.name for node in query.find_all(exp.Placeholder, exp.Parameter)}
    bound = {name: value for name, value in (values or {}).items() if name in asked}
    return named_examples(called or column, engine.query(query.sql("duckdb"), bound)["example"])


def naming(place: str, name: str, sql: str) -> str:
    """SQL with a column's name put in place of one that stands for it."""
    query = sqlglot.parse_one(sql, dialect="duckdb")
    for column in query.find_all(exp.Column):
        if column.name == place:
            column.set("this", exp.to_identifier(name, quoted=True))
    return str(query.sql("duckdb"))


def record_of(table: pd.DataFrame) -> dict[str, Any]:
    """The only row of a table, whole numbers as int and what is missing as None."""
    row = table.iloc[0]
    return {name: _plain_number(row[name]) for name in table.columns}


def _plain_number(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, Decimal):  # engines give sums of whole numbers as decimals
        return int(value) if value.as_tuple().exponent == 0 else value
    return value if isinstance(value, str) else int(value)


def _plain(value: Any) -> Any:
    """A fact as JSON holds it on every engine: decimals as text without idle zeros."""
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    return value
