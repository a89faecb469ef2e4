"""Numbers written with a decimal comma, or with marks between thousands, cast as meant.

`1.234,50` is no number to any engine. Where a column's values allow one reading only, the
SELECT's own CAST gets the number that is meant; where they allow two, the profile decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from segmentation.core.errors import SourceError
from segmentation.core.readings import TableReading
from segmentation.sources.engine import Engine
from segmentation.sources.links import raw_tables_of
from segmentation.sources.source import Source, one_select

COMMA, POINT = ",", "."
_BLANKS = " \u00a0\u202f'"
"""Marks between thousands in any country, besides the one that is no decimal mark."""


def _pattern(decimal: str, *, fraction: str) -> str:
    thousands = POINT if decimal == COMMA else COMMA
    group = f"[{thousands}{_BLANKS}]"
    return f"^ *[+-]?([0-9]+|[0-9]{{1,3}}({group}[0-9]{{3}})+){fraction} *$"


_MEANT = {
    COMMA: _pattern(COMMA, fraction="(,[0-9]+)?"),
    POINT: _pattern(POINT, fraction="([.][0-9]+)?"),
}
_UNDECIDED = {COMMA: "^ *[+-]?[0-9]{1,3},[0-9]{3} *$", POINT: "^ *[+-]?[0-9]{1,3}[.][0-9]{3} *$"}
"""One mark before three digits: decimals, or thousands."""


def with_numbers_as_meant(engine: Engine, source: Source) -> tuple[str, dict[str, str]]:
    """A source's SELECT whose casts read numbers as they are written, and the columns by mark.

    Only a CAST of a raw column itself is looked at: a SELECT that replaces commas already
    reads them in its own way. What is no number either way is left for the CAST to refuse.

    Raises
    ------
    SourceError
        If a column can be read in two ways; with an example and where to say which.
    """
    query = one_select(source.sql)
    casts = list(_casts(engine, query))
    tables: dict[str, dict[str, str]] = {}
    for table in {table for table, _, _ in casts}:
        names = sorted({name for own, name, _ in casts if own == table})
        reading = source.readings.get(table, TableReading())
        tables[table] = _marks(engine, source, table, names, reading.decimal)
    found: dict[str, str] = {}
    for table, name, cast in casts:
        mark = tables[table].get(name)
        if mark:
            found[name] = mark
            cast.set("this", _as_number(cast.this, mark))
    return str(query.sql("duckdb", pretty=True)) if found else source.sql, found


def plain_numbers(texts: Iterable[str]) -> list[str] | None:
    """Texts of a column as engines read numbers; None where they can be read in two ways, or none.

    Examples
    --------
    >>> plain_numbers(["1.234,50", "10"]), plain_numbers(["1,234.50"]), plain_numbers(["1,234"])
    (['1234.50', '10'], ['1234.50'], None)
    """
    held = [text.strip() for text in texts]
    fits = {mark: all(re.match(pattern, text) for text in held) for mark, pattern in _MEANT.items()}
    if fits[COMMA] == fits[POINT]:
        return None
    mark = COMMA if fits[COMMA] else POINT
    between = f"[{POINT if mark == COMMA else COMMA}{_BLANKS}]"
    return [re.sub(between, "", text).replace(COMMA, POINT) for text in held]


def _casts(engine: Engine, query: Any) -> Iterator[tuple[str, str, Any]]:
    """(table, column, node) of every CAST of a raw text column to a number."""
    held: dict[str, set[str]] = {}
    for scope in traverse_scope(query):
        tables = raw_tables_of(scope)
        for table in set(tables.values()) - held.keys():
            kinds = engine.columns_of(table)
            held[table] = {name.lower() for name, kind in kinds.items() if kind == "VARCHAR"}
        for cast in scope.find_all(exp.Cast):
            plain = (exp.Column, exp.Identifier, exp.Literal, exp.Nullif, exp.Trim)
            columns = list(cast.this.find_all(exp.Column))
            if (
                cast.to.this not in exp.DataType.NUMERIC_TYPES
                or len(columns) != 1
                or not all(isinstance(node, plain) for node in cast.this.walk())
            ):
                continue
            name = columns[0].name.lower()
            of = columns[0].table
            holders = [tables[of]] if of in tables else [] if of else list(tables.values())
            holders = [table for table in holders if name in held[table]]
            if len(holders) == 1:
                yield holders[0], name, cast


def _marks(
    engine: Engine, source: Source, table: str, names: list[str], stated: str | None
) -> dict[str, str]:
    """The decimal mark of every column that is not written as engines read it."""
    counts = {name: _counted(engine, table, name) for name in names}
    written = {name: found for name, found in counts.items() if found["plain"] < found["filled"]}
    if stated:
        asked = written if stated == POINT else counts
        return {
            name: stated
            for name, found in asked.items()
            if found[stated] == found["filled"] and (name in written or found["undecided"])
        }
    marks = {
        name: mark
        for name, found in written.items()
        for mark, other in ((COMMA, POINT), (POINT, COMMA))
        if found[mark] == found["filled"] > found[other]
    }
    elsewhere = set(marks.values())
    for name in counts.keys() - marks.keys():
        found = counts[name]
        if not found["undecided"] or found[COMMA] < found["filled"] or found[POINT] < found[COMMA]:
            continue
        if name in written and len(elsewhere) == 1:
            marks[name] = next(iter(elsewhere))
        elif name in written or COMMA in elsewhere:
            raise SourceError(
                f"{source.place_of(table)}: {name} can be read in two ways, as in "
                f"{found['example']!r}: its mark may stand before decimals or between thousands; "
                f'say which in the profile, as tables: {table}: {{decimal: ","}} or ".".'
            )
    return marks


def _counted(engine: Engine, table: str, name: str) -> dict[str, Any]:
    """Values of a column, and those that fit each way of writing numbers."""
    value = exp.func("NULLIF", exp.func("TRIM", exp.column(name)), exp.Literal.string(""))
    tests = {
        COMMA: _fits(value, _MEANT[COMMA]),
        POINT: _fits(value, _MEANT[POINT]),
        "plain": _fits(value, "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"),
        "undecided": exp.or_(*(_fits(value, text) for text in _UNDECIDED.values())),
    }
    query = exp.select(exp.alias_(exp.Count(this=value.copy()), "filled"))
    for said, test in tests.items():
        case = exp.Case().when(test, value.copy())
        query = query.select(exp.alias_(exp.Count(this=case), said, quoted=True))
    case = exp.Case().when(tests["undecided"].copy(), value.copy())
    query = query.select(exp.alias_(exp.Min(this=case), "example"))
    row = engine.query(query.from_(exp.to_table(table)).sql("duckdb")).iloc[0]
    return {n: row[n] if n == "example" else int(row[n]) for n in row.index}


def _fits(value: Any, pattern: str) -> Any:
    return exp.func("REGEXP_MATCHES", value.copy(), exp.Literal.string(pattern), dialect="duckdb")


def _as_number(value: Any, mark: str) -> Any:
    """A text as engines read numbers, where it is written with that decimal mark."""
    number = value.copy()
    for between in (POINT if mark == COMMA else COMMA, *_BLANKS):
        number = exp.func("REPLACE", number, exp.Literal.string(between), exp.Literal.string(""))
    if mark == COMMA:
        number = exp.func("REPLACE", number, exp.Literal.string(","), exp.Literal.string("."))
    return exp.Case().when(_fits(value, _MEANT[mark]), number).else_(value.copy())
