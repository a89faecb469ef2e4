"""Points in time that carry a zone: which columns hold them, and the shop's own day of each.

An engine's session counts in the parameter ``time_zone``, so that a TIMESTAMP WITH TIME ZONE
becomes the shop's day wherever SQL makes a day of it. A text such as 2024-03-01T23:30:00+01:00
is a point in time too, but every engine would cut its offset off: here the SELECT learns better.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from segmentation.sources.engine import OFFSET, ZONED, Engine
from segmentation.sources.source import Source, columns_named, one_select

_POINT = exp.DataType.build("TIMESTAMPTZ", dialect="duckdb")
_DAYS = {"DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMP_S", "TIMESTAMP_MS"}


def zoned_columns(engine: Engine, source: Source) -> tuple[list[str], list[str]]:
    """Raw columns that a source's SELECT reads and that hold points in time with a zone.

    Returns
    -------
    (list of str, list of str)
        Those that the engine knows as such or that count seconds, and those of text.
    """
    query = one_select(source.sql)
    used = columns_named(source.sql)
    asked = {c.name.lower() for node in _day_makers(query) for c in node.find_all(exp.Column)}
    counts = [node for node in query.find_all(exp.UnixToTime) if not node.args.get("scale")]
    known = {c.name.lower() for node in counts for c in node.find_all(exp.Column)}
    texts: set[str] = set()
    kinds = {table: engine.columns_of(table) for table in source.tables}
    raw = {name.lower() for columns in kinds.values() for name in columns}
    # a name that a part of the SELECT made may stand for any column of text
    looked_at = asked if asked <= raw else used if asked else set()
    for table, columns in kinds.items():
        own = [name for name in columns if name.lower() in used]
        known |= {name.lower() for name in own if columns[name] == ZONED}
        of_text = [n for n in own if n.lower() in looked_at and columns[n] == "VARCHAR"]
        texts |= _with_offsets(engine, table, of_text)
    return sorted(known), sorted(texts)


def _with_offsets(engine: Engine, table: str, names: list[str]) -> set[str]:
    if not names:
        return set()
    found = [
        exp.alias_(exp.Max(this=exp.Case().when(_has_offset(column), "1").else_("0")), f"c{place}")
        for place, column in enumerate(exp.column(name, quoted=True) for name in names)
    ]
    row = engine.query(exp.select(*found).from_(exp.to_table(table)).sql("duckdb")).iloc[0]
    return {name.lower() for name, is_there in zip(names, row, strict=True) if is_there}


def _has_offset(value: Any) -> Any:
    text = exp.cast(value.copy(), "VARCHAR")
    return exp.func("REGEXP_MATCHES", text, exp.Literal.string(OFFSET), dialect="duckdb")


def _day_makers(query: Any) -> list[Any]:
    """What makes a day or a time of the day of something else than another one's time."""

    def makes_days(node: Any) -> bool:
        return isinstance(node, exp.Date) or (
            isinstance(node, exp.Cast) and node.to.this.value in _DAYS
        )

    found = query.find_all(exp.Cast, exp.Date)
    return [node for node in found if makes_days(node) and not makes_days(node.this)]


def with_own_days(sql: str) -> str:
    """A SELECT in which a text with an offset becomes the shop's own day or time.

    Examples
    --------
    >>> print(with_own_days("SELECT CAST(sold AS DATE) AS day FROM orders"))
    SELECT
      CASE
        WHEN REGEXP_MATCHES(CAST(sold AS TEXT), '[T ][0-9:.]+(Z|[+-][0-9:]+)$')
        THEN CAST(CAST(sold AS TIMESTAMPTZ) AS DATE)
        ELSE CAST(sold AS DATE)
      END AS day
    FROM orders
    """
    query = one_select(sql)
    for node in reversed(_day_makers(query)):  # from within
        value, kind = node.this, exp.DataType.build("DATE")
        if isinstance(node, exp.Cast):
            kind = node.to
        tried = isinstance(node, exp.TryCast)
        point = (exp.TryCast if tried else exp.Cast)(this=value.copy(), to=_POINT.copy())
        own = exp.cast(point, kind.copy())
        node.replace(exp.Case().when(_has_offset(value), own).else_(node.copy()))
    return str(query.sql("duckdb", pretty=True))
