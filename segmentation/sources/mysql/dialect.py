"""The project's SQL (DuckDB's dialect) as MySQL and MariaDB understand it.

sqlglot translates the words; what it leaves different in meaning is put right here and
nowhere else, so that the same query gives the same rows on every engine.
"""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.mysql import MySQL

from segmentation.sources.engine import OFFSET
from segmentation.sources.mysql import functions

NUMBER = "^[[:space:]]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})?[[:space:]]*$"
WHOLE = "^[[:space:]]*[+-]?[0-9]+([.]0*)?[[:space:]]*$"
TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_POINT: Any = sqlglot.parse_one(
    """
    CASE WHEN said REGEXP offset THEN CONVERT_TZ(
        DATE_SUB(
            CAST(LEFT(said, CHAR_LENGTH(said) - CHAR_LENGTH(zone)) AS DATETIME(6)),
            INTERVAL (
                CASE WHEN LEFT(zone, 1) = '-' THEN -1 ELSE 1 END * (
                    60 * CONCAT('0', SUBSTRING(REPLACE(zone, ':', ''), 2, 2))
                    + CONCAT('0', SUBSTRING(REPLACE(zone, ':', ''), 4, 2))
                )
            ) MINUTE
        ),
        '+00:00', @@session.time_zone
    )
    ELSE CAST(said AS DATETIME(6)) END
    """,
    dialect="mysql",
)
"""A text as a time of the session's zone; without an offset it is one already."""
_ZONE: Any = sqlglot.parse_one(
    "NULLIF(REGEXP_SUBSTR(said, '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$'), '')", dialect="mysql"
)
_WHOLE_TYPES = ("INT", "BIGINT", "SMALLINT", "TINYINT")


class _Shop(MySQL):
    """MySQL with the meaning that the project's SQL has in DuckDB."""

    class Generator(MySQL.Generator):  # type: ignore[misc, valid-type]
        """Writes what MySQL and MariaDB both read."""

        TRANSFORMS = MySQL.Generator.TRANSFORMS | {
            exp.Placeholder: lambda self, node: f"%({node.name})s",
            # MariaDB has the operator only, not the function
            exp.RegexpLike: lambda self, node: self.binary(node, "REGEXP"),
            exp.DateDiff: lambda self, node: _date_difference(self, node),
            exp.DateTrunc: lambda self, node: _truncated(self, node),
            exp.UnixToTime: lambda self, node: _counted(self, node),
            exp.TimestampTrunc: lambda self, node: _truncated(self, node),
        }

        def identifier_sql(self, expression: exp.Identifier) -> str:
            return _as_it_is(super().identifier_sql(expression))

        def literal_sql(self, expression: exp.Literal) -> str:
            return _as_it_is(super().literal_sql(expression))


def _as_it_is(text: str) -> str:
    """A name or a text in which the driver looks for no value: it makes ``%`` of ``%(percent)%``."""
    return text.replace("%(", "%(percent)%(")


def _date_difference(writer: Any, node: exp.DateDiff) -> str:
    """Boundaries between two days, as DuckDB counts them."""
    unit = (node.text("unit") or "day").lower()
    if unit == "day":
        return str(writer.func("DATEDIFF", node.this, node.expression))
    if unit in ("month", "year"):
        parts = [
            exp.Anonymous(this="EXTRACT", expressions=[exp.var(f"YEAR_MONTH FROM {writer.sql(d)}")])
            for d in (node.this, node.expression)
        ]
        if unit == "month":
            return str(writer.func("PERIOD_DIFF", *parts))
        first, last = (writer.func("YEAR", d) for d in (node.expression, node.this))
        return f"({last} - {first})"
    writer.unsupported(f"DATE_DIFF by {unit}")
    return str(writer.func("DATEDIFF", node.this, node.expression))


def _counted(writer: Any, node: exp.UnixToTime) -> str:
    """Seconds as a time of the session's zone; EPOCH_MS, which has no zone, as one of UTC."""
    if not node.args.get("scale"):
        return str(writer.func("FROM_UNIXTIME", node.this))
    return f"TIMESTAMPADD(MICROSECOND, 1000 * ({writer.sql(node.this)}), TIMESTAMP('1970-01-01'))"


def _truncated(writer: Any, node: Any) -> str:
    """First day of the month, quarter or year of a day."""
    unit = (node.text("unit") or "day").lower()
    day = writer.sql(node, "this")
    if unit == "quarter":
        first = f"MAKEDATE(YEAR({day}), 1)"
        return f"CAST(DATE_ADD({first}, INTERVAL (QUARTER({day}) - 1) QUARTER) AS DATE)"
    back = {"month": f"DAYOFMONTH({day}) - 1", "year": f"DAYOFYEAR({day}) - 1", "day": "0"}
    if unit not in back:
        writer.unsupported(f"DATE_TRUNC to {unit}")
    return f"CAST(DATE_SUB({day}, INTERVAL ({back.get(unit, '0')}) DAY) AS DATE)"


def write(query: exp.Expression) -> str:
    """MySQL text of a query; every name quoted, because many are reserved words there.

    It is for the driver with at least one value: without any it would not look at the text.

    Raises
    ------
    sqlglot.errors.UnsupportedError
        If a function has no counterpart; names it.

    Examples
    --------
    >>> write(sqlglot.parse_one("SELECT a / b AS rows FROM t WHERE c > $low", dialect="duckdb"))
    'SELECT CAST(`a` AS DOUBLE) / `b` AS `rows` FROM `t` WHERE `c` > %(low)s'
    """
    text = adapted(query).sql(
        _Shop, identify=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    return str(text)


def adapted(query: exp.Expression) -> exp.Expression:
    """A copy of a query in which DuckDB's meaning is spelt out for MySQL."""
    query = query.copy()
    functions.adapt(query)
    for node in list(query.find_all(exp.Order)):
        _nulls_as_they_fall(node)
    changed: exp.Expression = query.transform(_adapt_node)
    return changed


def _nulls_as_they_fall(order: exp.Order) -> None:
    """Leave out NULLS LAST for positions; in windows a key before the column's says it.

    MySQL has NULL below all values, in windows too, and no words to say otherwise.
    """
    in_window, terms = isinstance(order.parent, exp.Window), []
    for term in order.expressions:
        first, is_low = bool(term.args.get("nulls_first")), not term.args.get("desc")
        if in_window and first != is_low and not isinstance(term.this, exp.Literal):
            is_null = exp.Case().when(term.this.copy().is_(exp.null()), "1").else_("0")
            terms.append(exp.Ordered(this=is_null, desc=first, nulls_first=not first))
        if in_window or isinstance(term.this, exp.Literal):
            term.set("nulls_first", is_low)
        terms.append(term)
    order.set("expressions", terms)


def _adapt_node(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.TryCast) and not node.is_type("timestamptz"):
        return (
            exp.Case()
            .when(exp.not_(cast_fails(node)), _adapt_cast(exp.Cast(this=node.this, to=node.to)))
            .transform(_adapt_node)
        )
    if isinstance(node, exp.Cast):
        return _adapt_cast(node)
    if isinstance(node, exp.In) and (values := _listed(node)):
        return exp.In(this=node.this, expressions=values)
    if isinstance(node, exp.Div):
        if not isinstance(node.this, exp.Cast) or not node.this.is_type("double"):
            node.set("this", exp.cast(node.this, "DOUBLE"))  # else four decimals are kept
        return node
    if isinstance(node, exp.Group):
        rolled = [term for term in node.expressions if isinstance(term, exp.Rollup)]
        if rolled:  # GROUP BY ROLLUP (x) is written GROUP BY x WITH ROLLUP
            node.set("expressions", [key for term in rolled for key in term.expressions])
            node.set("rollup", [exp.Rollup()])
    return node


def _listed(node: exp.In) -> list[Any]:
    """What ``IN (SELECT … FROM (VALUES …))`` lists: servers search a plain list by halves."""
    query = node.args.get("query")
    values = query.this.args["from_"].this if query and "from_" in query.this.args else None
    return [row.expressions[0] for row in values.expressions] if type(values) is exp.Values else []


def _adapt_cast(cast: exp.Cast) -> exp.Expression:
    if cast.is_type("boolean"):
        words = exp.func("LOWER", exp.func("TRIM", exp.cast(cast.this, "VARCHAR")))
        case = exp.Case()
        for accepted, value in ((TRUE_WORDS, exp.true()), (FALSE_WORDS, exp.false())):
            case = case.when(words.copy().isin(*accepted), value)
        return case
    if cast.is_type("timestamptz"):
        said = exp.cast(cast.this.transform(_adapt_node), "VARCHAR")
        parts = {"zone": _ZONE, "said": said, "offset": exp.Literal.string(OFFSET)}
        point: exp.Expression = _POINT.copy()
        for name, part in parts.items():
            for column in list(point.find_all(exp.Column)):
                if column.name == name:
                    column.replace(part.copy())
        return point
    return cast


def cast_fails(cast: exp.Cast | exp.TryCast) -> Any:
    """The condition that a value is not what a CAST makes of it.

    MySQL itself would make 0 or NULL of such a text, or the nearest number that fits.
    """
    value = exp.cast(cast.this.copy(), "VARCHAR")
    if cast.is_type("boolean"):
        words = exp.func("LOWER", exp.func("TRIM", value))
        return exp.not_(words.isin(*TRUE_WORDS, *FALSE_WORDS))
    kind = cast.to.this
    if cast.is_type(*exp.DataType.TEXT_TYPES):
        return exp.false()
    if kind in exp.DataType.TEMPORAL_TYPES:
        made = exp.Cast(this=cast.this.copy(), to=cast.to.copy())
        said = cast.this.this if isinstance(cast.this, exp.StrToTime) else value
        return exp.and_(made.is_(exp.null()), exp.not_(said.copy().is_(exp.null())))
    whole = kind.value in _WHOLE_TYPES
    pattern = exp.Literal.string(WHOLE if whole else NUMBER)
    bad = exp.not_(exp.RegexpLike(this=value, expression=pattern))
    limit = _first_too_large(cast.to)
    if limit is None:
        return bad
    wide = exp.func("ABS", exp.cast(cast.this.copy(), "DECIMAL(65, 10)"))
    return exp.or_(bad, wide >= exp.Literal.number(limit))


def _first_too_large(kind: exp.DataType) -> int | None:
    if kind.this == exp.DataType.Type.DECIMAL:
        sizes = [int(size.name) for size in kind.expressions] or [18, 3]
        return int(10 ** (sizes[0] - (sizes[1] if len(sizes) > 1 else 0)))
    bits = {"TINYINT": 7, "SMALLINT": 15, "INT": 31, "BIGINT": 63}.get(kind.this.value)
    return None if bits is None else int(2**bits)
