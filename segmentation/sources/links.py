"""How a source's SELECT ties its raw tables together: order lines, look-ups and keys.

The SELECT itself says which table holds the lines, what is looked up for each and where
the money stands, so checks of raw tables need no knowledge of any one data set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from segmentation.sources.source import Source, one_select

LINE_KEY = re.compile(r"^(id|pk)$|(^|_)(line|row|item_line|order_item|detail)_id$")
"""Names that promise one row each; a product's ``item_id`` or an ``order_id`` do not."""


@dataclass(frozen=True)
class Lookup:
    """One raw table that the SELECT looks up for each order line.

    ``no_row`` and ``unnamed`` are columns of `linked_lines`: no row fits, and the line
    itself names none. ``is_dropped`` says that the join leaves such lines out.
    """

    table: str
    no_row: str
    unnamed: str
    is_dropped: bool


@dataclass(frozen=True)
class LinkedLines:
    """The source's lines with what joins and keys hide, as one SELECT in DuckDB's dialect.

    It gives ``customer_id``, ``amount``, two flags per look-up, and a column per raw
    column that is named like the id of a line (``keys``: column to ``table.column``).
    """

    sql: str
    lookups: tuple[Lookup, ...]
    keys: dict[str, str]


def raw_tables_of(scope: Any) -> dict[str, str]:
    """Alias to name of the raw tables that a scope reads directly."""
    return {alias: t.name for alias, t in scope.sources.items() if isinstance(t, exp.Table)}


def line_table(select: exp.Select, tables: dict[str, str]) -> str:
    """Alias of the table that ``quantity`` (else ``amount``) comes from: the order lines."""
    for name in ("quantity", "amount"):
        for projection in select.expressions:
            if projection.alias_or_name.lower() == name:
                used = {column.table for column in projection.find_all(exp.Column)}
                if len(used) == 1 and used <= set(tables):
                    return str(used.pop())
    return ""


def equated(select: exp.Select, alias: str) -> list[tuple[exp.Column, Any]]:
    """Columns of a joined table, each with what its join sets it equal to."""
    found = []
    for join in select.args.get("joins") or ():
        condition = join.args.get("on") if join.alias_or_name == alias else None
        for equal in condition.find_all(exp.EQ) if condition is not None else ():
            sides = (equal.this, equal.expression)
            if equal.find_ancestor(exp.Or, exp.Not, exp.Case, exp.Select) is not select:
                continue
            for own, other in (sides, sides[::-1]):
                others = {column.table for column in other.find_all(exp.Column)}
                if isinstance(own, exp.Column) and own.table == alias and alias not in others:
                    found.append((own, other))
    return found


def linked_lines(source: Source, columns: dict[str, list[str]]) -> LinkedLines | None:
    """What a source's SELECT looks up for its order lines, and which ids the lines have.

    Parameters
    ----------
    columns : dict of raw table to its column names

    Returns
    -------
    LinkedLines or None
        None where the outer SELECT groups, limits or reads no raw table as its lines.
    """
    query = one_select(source.sql)
    scope = traverse_scope(query)[-1]
    select = scope.expression.copy()
    blocking = ("distinct", "group", "having", "qualify", "limit", "offset")
    if not isinstance(select, exp.Select) or any(select.args.get(name) for name in blocking):
        return None
    tables = raw_tables_of(scope)
    first = select.args["from_"].this.alias_or_name
    lines = line_table(select, tables) or (first if len(scope.sources) == 1 else "")
    if lines not in tables or lines != first:
        return None
    wanted = {p.alias_or_name.lower(): p for p in select.expressions}
    projections = [wanted[name].copy() for name in ("customer_id", "amount") if name in wanted]
    lookups, flags = _lookups(select, tables, lines)
    keys = {
        f"key_{place}": name
        for place, name in enumerate(columns[tables[lines]])
        if is_named_like_a_line(name, tables[lines])
    }
    ids = [exp.alias_(exp.column(name, lines), key) for key, name in keys.items()]
    select.set("order", None)
    select.set("expressions", [*projections, *flags, *ids])
    named = {key: f"{tables[lines]}.{name}" for key, name in keys.items()}
    return LinkedLines(str(select.sql("duckdb")), lookups, named)


def _lookups(
    select: exp.Select, tables: dict[str, str], lines: str
) -> tuple[tuple[Lookup, ...], list[Any]]:
    """Look-ups of a SELECT and their flags; a join that drops lines is loosened in place."""
    lookups, flags = [], []
    for join in select.args.get("joins") or ():
        alias = join.alias_or_name
        pairs = equated(select, alias)
        if alias not in tables or alias == lines or not pairs:
            continue
        side = (join.side or "").upper()
        if side in ("RIGHT", "FULL") or (join.kind or "").upper() not in ("", "INNER", "OUTER"):
            continue
        join.set("side", "LEFT")
        join.set("kind", None)
        blank = [
            exp.or_(
                other.copy().is_(exp.null()),
                exp.func("TRIM", exp.cast(other.copy(), "VARCHAR")).eq(exp.Literal.string("")),
            )
            for _, other in pairs
        ]
        lookup = Lookup(tables[alias], f"no_{alias}", f"unnamed_{alias}", side != "LEFT")
        lookups.append(lookup)
        flags += [
            exp.alias_(pairs[0][0].copy().is_(exp.null()), lookup.no_row),
            exp.alias_(exp.or_(*blank), lookup.unnamed),
        ]
    return tuple(lookups), flags


def is_named_like_a_line(column: str, table: str) -> bool:
    """Whether a column's name promises that each row of its table has a value of its own.

    Examples
    --------
    >>> is_named_like_a_line("id", "order_detail"), is_named_like_a_line("order_id", "orders")
    (True, False)
    >>> is_named_like_a_line("order_detail_id", "order_detail")
    True
    """
    name = column.lower()
    return bool(LINE_KEY.search(name)) or name == f"{table.lower()}_id"
