"""The project's SQL (DuckDB's dialect) as Spark understands it.

sqlglot translates the words; what it leaves different in meaning is put right here and
nowhere else, so that the same query gives the same rows on every engine.
"""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark

WHOLE_TYPES = ("TINYINT", "SMALLINT", "INT", "BIGINT")
_UNSIGNED_OR_WIDE = ("UTINYINT", "USMALLINT", "UINT", "UBIGINT", "INT128", "UINT128")


class _Shop(Spark):
    """Spark with the meaning that the project's SQL has in DuckDB."""

    class Generator(Spark.Generator):  # type: ignore[misc, valid-type]
        """Writes dates as DuckDB counts them."""

        TRANSFORMS = Spark.Generator.TRANSFORMS | {
            exp.DateDiff: lambda self, node: _date_difference(self, node),
            exp.UnixToTime: lambda self, node: _counted(self, node),
        }


def _counted(writer: Any, node: exp.UnixToTime) -> str:
    """Seconds as a time of the session's zone; EPOCH_MS, which has no zone, as one of UTC."""
    number = writer.sql(node.this)
    if not node.args.get("scale"):
        return f"CAST(FROM_UNIXTIME({number}) AS TIMESTAMP)"
    return f"TIMESTAMPADD(MILLISECOND, {number}, TIMESTAMP_NTZ '1970-01-01 00:00:00')"


def _date_difference(writer: Any, node: exp.DateDiff) -> str:
    """Boundaries between two days, where Spark's own function counts what has passed."""
    unit = (node.text("unit") or "day").lower()
    last, first = node.this, node.expression
    years = f"({writer.func('YEAR', last)} - {writer.func('YEAR', first)})"
    if unit == "year":
        return f"CAST({years} AS BIGINT)"
    if unit == "month":
        months = f"{writer.func('MONTH', last)} - {writer.func('MONTH', first)}"
        return f"CAST({years} * 12 + {months} AS BIGINT)"
    if unit != "day":
        writer.unsupported(f"DATE_DIFF by {unit}")
    return f"CAST({writer.func('DATEDIFF', last, first)} AS BIGINT)"


def write(query: exp.Expression) -> str:
    """Spark text of a query; every name quoted, values as named parameters.

    Raises
    ------
    sqlglot.errors.UnsupportedError
        If a function has no counterpart; names it.

    Examples
    --------
    >>> write(sqlglot.parse_one("SELECT DATE_DIFF('day', a, $d) AS rows FROM t", dialect="duckdb"))
    'SELECT CAST(DATEDIFF(:d, `a`) AS BIGINT) AS `rows` FROM `t`'
    """
    text = adapted(query).sql(
        _Shop, identify=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    return str(text)


def adapted(query: exp.Expression) -> exp.Expression:
    """A copy of a query in which DuckDB's meaning is spelt out for Spark."""
    changed: exp.Expression = query.copy().transform(_adapt_cast)
    return changed


def _adapt_cast(node: exp.Expression) -> exp.Expression:
    """Whole numbers as DuckDB makes them: rounded, where Spark cuts or refuses decimals."""
    if not isinstance(node, exp.Cast):
        return node
    kind = node.to.this.value
    if kind in _UNSIGNED_OR_WIDE:
        node.set("to", exp.DataType.build("DECIMAL(38, 0)"))
    elif kind in WHOLE_TYPES:
        exact = type(node)(this=node.this, to=exp.DataType.build("DECIMAL(38, 10)"))
        node.set("this", exp.func("ROUND", exact))
    return node


def cast_fails(cast: exp.Cast) -> Any:
    """The condition that a CAST would stop the query, itself safe to run."""

    def tried(node: exp.Expression) -> exp.Expression:
        is_strict = isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast)
        return exp.TryCast(this=node.this, to=node.args["to"]) if is_strict else node

    made = exp.TryCast(this=cast.this.copy(), to=cast.to.copy()).transform(tried)
    given = cast.this.copy().transform(tried)
    failed: Any = exp.and_(made.is_(exp.null()), exp.not_(given.is_(exp.null())))
    return failed


def is_not_finite(value: exp.Expression) -> exp.Expression:
    """The condition that a number is infinite or none; Spark holds NaN for the largest."""
    largest = exp.Literal.number("1.7976931348623157E308")
    return exp.not_(exp.Paren(this=exp.LTE(this=exp.Abs(this=value.copy()), expression=largest)))
