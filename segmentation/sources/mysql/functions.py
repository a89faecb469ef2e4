"""Functions of a source's SELECT that mean in MySQL and MariaDB what they mean in DuckDB.

A test compares each of `SAME` on both, over values with NULLs and edges. Every other is
refused by name before anything runs: a query that gives other rows there would be believed.
"""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from segmentation.core.errors import SourceError

SAME = frozenset(
    getattr(exp, name)
    for name in (
        # texts
        *("Lower", "Upper", "Trim", "Substring", "Left", "Right", "Length", "Concat", "ConcatWs"),
        *("Replace", "Pad", "Reverse", "Repeat", "SplitPart", "StartsWith", "Contains"),
        *("StrPosition", "RegexpLike", "RegexpReplace", "RegexpExtract", "Ascii", "Chr"),
        # numbers
        *("Abs", "Round", "Floor", "Ceil", "Trunc", "Sign", "Pow", "Sqrt", "Ln", "Log", "Exp"),
        # days
        *("Year", "Month", "Day", "Extract", "Quarter", "DayOfWeek", "DayOfWeekIso", "LastDay"),
        *("TimestampTrunc", "DateDiff", "TimeToStr", "StrToTime", "UnixToTime"),
        # any value
        *("Cast", "TryCast", "Coalesce", "Nullif", "Greatest", "Least", "Case", "If", "And", "Or"),
        # many rows
        *("Count", "Sum", "Min", "Max", "Avg", "RowNumber", "Rank", "DenseRank", "Lag", "Lead"),
        *("FirstValue", "LastValue", "Exists"),
    )
)


def refuse_others(sql: str) -> None:
    """Refuse what a SELECT calls that is not known to mean the same.

    Raises
    ------
    SourceError
        Names the function, and why.
    """
    for node in sqlglot.parse_one(sql, dialect="duckdb").walk():
        if isinstance(node, exp.Func) and (why := _differs(node)):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
            raise SourceError(
                f"engine mysql: the source's SELECT uses {name.upper()}, {why}; write it in another "
                "way, or export the tables and read the files."
            )


def with_types(query: Any, schema: dict[str, object]) -> Any:
    """A query with the types of its parts; None where they cannot be told."""
    try:
        qualified = qualify(query, schema=schema, dialect="duckdb", validate_qualify_columns=False)
        return annotate_types(qualified, schema=schema, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return None


def refuse_mixed(typed: Any) -> None:
    """Refuse texts compared with numbers: MySQL reads ``'3-B2B'`` as 3, and finds a match.

    Parameters
    ----------
    typed : Expression
        The SELECT with the types of its columns.

    Raises
    ------
    SourceError
        Names both sides.
    """
    for node in typed.find_all(exp.EQ, exp.NEQ):
        sides = (node.this, node.expression)
        texts = [side for side in sides if side.is_type(*exp.DataType.TEXT_TYPES)]
        numbers = [side for side in sides if side.is_type(*exp.DataType.NUMERIC_TYPES)]
        if texts and numbers:
            said = [side.name or side.sql("duckdb") for side in (texts[0], numbers[0])]
            raise SourceError(
                f"engine mysql: the source's SELECT compares the text {said[0]} with the number "
                f"{said[1]}, and MySQL takes a text such as '3-B2B' for 3; CAST({said[1]} AS VARCHAR)."
            )


def _differs(node: exp.Func) -> str:
    """Why a call means something else in MySQL; empty where it does not."""
    if type(node) not in SAME:
        return "which MySQL does not have, or not with the same meaning"
    if isinstance(node, exp.RowNumber) and not _is_ordered(node):
        return "which without ORDER BY counts the rows of a file, and a database keeps no order"
    if isinstance(node, exp.SplitPart) and _number(node.args["part_index"]) < 1:
        return "whose part must be a number from 1 there"
    if isinstance(node, exp.SplitPart) and not node.args["delimiter"].name:
        return "which needs a sign to split at there"
    if (
        isinstance(node, exp.Substring)
        and node.args.get("start")
        and _number(node.args["start"], 1) == 0
    ):
        return "which begins at 1 there, or at the end with a number below zero"
    if isinstance(node, exp.Left | exp.Right) and _number(node.expression, 1) < 0:
        return "which takes no number below zero there"
    if isinstance(node, exp.Trim) and node.expression and len(node.expression.name) != 1:
        return "which takes off one sign there, not each of several"
    if isinstance(node, exp.RegexpReplace):
        replacement, modifiers = node.args.get("replacement"), node.args.get("modifiers")
        if modifiers is not None and modifiers.name != "g":
            return f"whose option {modifiers.name!r} is unknown there"
        if not isinstance(replacement, exp.Literal) or "\\" in replacement.name:
            return "whose replacement must be a plain text there"
    if isinstance(node, exp.RegexpExtract) and _number(node.args.get("group"), 0) != 0:
        return "which gives no groups there"
    return ""


def _is_ordered(node: exp.RowNumber) -> bool:
    window = node.parent
    return isinstance(window, exp.Window) and window.args.get("order") is not None


def _number(node: Any, otherwise: int = 0) -> int:
    try:
        return int(node.to_py())
    except (AttributeError, ValueError, TypeError):
        return otherwise


def adapt(query: Any) -> None:
    """Write calls in the words that have DuckDB's meaning in MySQL; inner ones first."""
    for node in reversed(list(query.find_all(*_ADAPTED))):
        made = next(make(node) for kind, make in _ADAPTED.items() if isinstance(node, kind))
        if made is not node and node.parent is not None:
            node.replace(made)


def _call(name: str, *values: Any) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[_value(value) for value in values])


def _value(value: Any) -> Any:
    return exp.Literal.number(value) if isinstance(value, int) else value.copy()


def _without_nulls(node: Any) -> Any:
    """The largest or smallest of what is not NULL: each value stands in for a missing one."""
    values = [node.this, *node.expressions]
    turned = [values[i:] + values[:i] for i in range(len(values))]
    filled = [exp.func("COALESCE", *(v.copy() for v in turn)) for turn in turned]
    return type(node)(this=filled[0], expressions=filled[1:], ignore_nulls=False)


def _part_of(node: exp.SplitPart) -> Any:
    text, mark, number = node.this, node.args["delimiter"], _number(node.args["part_index"])
    first = _call("SUBSTRING_INDEX", text, mark, number)
    without = _call(
        "CHAR_LENGTH", exp.func("REPLACE", text.copy(), mark.copy(), exp.Literal.string(""))
    )
    held = exp.Paren(this=exp.Sub(this=_call("CHAR_LENGTH", text), expression=without))
    last = exp.Mul(this=exp.Literal.number(number - 1), expression=_call("CHAR_LENGTH", mark))
    return (
        exp.Case()
        .when(exp.LT(this=held, expression=last), exp.Literal.string(""))
        .else_(_call("SUBSTRING_INDEX", first, mark, exp.Neg(this=exp.Literal.number(1))))
    )


def _replaced(node: exp.RegexpReplace) -> Any:
    """All matches with the option g, else the first."""
    text, pattern, by = node.this, node.expression, node.args["replacement"]
    if node.args.get("modifiers") is not None:
        return _call("REGEXP_REPLACE", text, pattern, by)
    place = _call("REGEXP_INSTR", text, pattern)
    length = _call("CHAR_LENGTH", _call("REGEXP_SUBSTR", text, pattern))
    return (
        exp.Case()
        .when(exp.EQ(this=place, expression=exp.Literal.number(0)), text.copy())
        .else_(_call("INSERT", text, place, length, by))
    )


def _found(node: exp.RegexpExtract) -> Any:
    """The first match; empty where there is none, and NULL only for NULL."""
    none = exp.Case().when(exp.not_(node.this.copy().is_(exp.null())), exp.Literal.string(""))
    return exp.func("COALESCE", _call("REGEXP_SUBSTR", node.this, node.expression), none)


def _begins(node: exp.StartsWith) -> Any:
    start = exp.Left(this=node.this.copy(), expression=_call("CHAR_LENGTH", node.expression))
    return exp.Paren(this=exp.EQ(this=start, expression=node.expression.copy()))


def _holds(node: exp.Contains) -> Any:
    place = _call("LOCATE", node.expression, node.this)
    return exp.Paren(this=exp.GT(this=place, expression=exp.Literal.number(0)))


def _weekday(node: Any) -> Any:
    """Sunday is 0; by ISO Monday is 1 and Sunday 7."""
    if isinstance(node, exp.DayOfWeekIso):
        return exp.Paren(
            this=exp.Add(this=_call("WEEKDAY", node.this), expression=exp.Literal.number(1))
        )
    return exp.Paren(
        this=exp.Sub(this=_call("DAYOFWEEK", node.this), expression=exp.Literal.number(1))
    )


def _logarithm(node: exp.Log) -> Any:
    return node if node.expression else _call("LOG10", node.this)


def _like(node: exp.Like) -> Any:
    """A backslash in a pattern is a sign like any other."""
    if isinstance(node.parent, exp.Escape) or "\\" not in node.expression.name:
        return node
    pattern = exp.Literal.string(node.expression.name.replace("\\", "\\\\"))
    return exp.Like(this=node.this.copy(), expression=pattern)


def _days_between(node: exp.Sub) -> Any:
    """A day less a day is a number of days."""
    if isinstance(node.expression, exp.Cast) and node.expression.is_type("date"):
        return _call("DATEDIFF", node.this, node.expression)
    return node


_ADAPTED: dict[Any, Any] = {
    exp.Greatest: _without_nulls,
    exp.Least: _without_nulls,
    exp.SplitPart: _part_of,
    exp.RegexpReplace: _replaced,
    exp.RegexpExtract: _found,
    exp.StartsWith: _begins,
    exp.Contains: _holds,
    exp.DayOfWeek: _weekday,
    exp.DayOfWeekIso: _weekday,
    exp.Log: _logarithm,
    exp.Like: _like,
    exp.Sub: _days_between,
}
