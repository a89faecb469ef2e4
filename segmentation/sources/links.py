"""How a source's SELECT ties its raw tables together: order lines, look-ups and keys.

The SELECT itself says which table holds the lines, what is looked up for each and where
the money stands, so checks of raw tables need no knowledge of any one data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify_columns import qualify_columns
from sqlglot.optimizer.qualify_tables import qualify_tables
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.schema import MappingSchema

from segmentation.core.columns import TRANSACTIONS
from segmentation.sources.source import Source, one_select

LINE_KEY = re.compile(r"^(id|pk)$|(^|_)(line|row|item_line|order_item|detail)_id$")
"""Names that promise one row each; a product's ``item_id`` or an ``order_id`` do not."""


@dataclass(frozen=True)
class Lookup:
    """One raw table that the SELECT looks up for each order line.

    ``no_row``, ``unnamed`` and ``sought`` are columns of `linked_lines`: no row fits, the line
    itself names none, and what the line names. ``is_dropped`` says that the join leaves such lines out.
    """

    table: str
    no_row: str
    unnamed: str
    sought: str
    is_dropped: bool


@dataclass(frozen=True)
class LinkedLines:
    """The source's lines with what joins and keys hide, as one SELECT in DuckDB's dialect.

    It gives ``customer_id``, ``order_id``, ``quantity``, ``amount``, two flags per look-up, a
    column per raw column that is named like the id of a line (``keys``: column to
    ``table.column``), and one per raw column that no column of the lines is made of (``unused``).
    """

    sql: str
    lookups: tuple[Lookup, ...]
    keys: dict[str, str]
    unused: dict[str, str]


def qualified(source: Source, columns: Mapping[str, Iterable[str]]) -> Any:
    """The source's SELECT with every column's table named and every star written out.

    Checks of joins can then not be evaded by how the SELECT is written.

    Parameters
    ----------
    columns : mapping of raw table to its column names
    """
    query = one_select(source.sql)
    for name in query.find_all(exp.Identifier):
        if not (isinstance(name.parent, exp.Table) and name.arg_key == "this"):
            name.set("this", name.name.lower())
    known = {table: {name.lower(): "text" for name in names} for table, names in columns.items()}
    schema = MappingSchema(dict(known), dialect="duckdb", normalize=False)
    try:
        return qualify_columns(qualify_tables(query, dialect="duckdb"), schema, dialect="duckdb")
    except sqlglot.errors.SqlglotError:  # the engine says what is wrong with it
        return one_select(source.sql)


@dataclass(frozen=True)
class Joined:
    """A SELECT that joins, and the alias of the source in it whose rows are lines with money."""

    select: Any
    lines: str
    of_lines: Any
    others: dict[str, Any]
    """The other sources by their alias: a raw table, or the scope of a query."""


def joins_of_lines(query: Any) -> Iterator[Joined]:
    """Every SELECT on the way of units and money from the raw tables to the lines that joins."""
    scopes = list(traverse_scope(query))
    yield from _joins(scopes[-1], ("quantity", "amount")) if scopes else ()


def _joins(scope: Any, names: Iterable[str]) -> Iterator[Joined]:
    select = scope.expression
    if isinstance(select, exp.SetOperation):
        places = [n for n, p in enumerate(select.selects) if p.alias_or_name in names]
        for part in scope.set_operation_scopes:
            yield from _joins(part, [part.expression.selects[n].alias_or_name for n in places])
        return
    sources = {alias: source for alias, (_, source) in scope.selected_sources.items()}
    measures = [p for name in names for p in select.selects if p.alias_or_name == name]
    added = bool(select.args.get("group"))
    used: dict[str, list[str]] = {}
    lines: dict[str, None] = {}
    for measure in measures:
        columns = list(measure.find_all(exp.Column))
        for column in columns:
            used.setdefault(column.table, []).append(column.name)
        if added:  # a MAX or MIN over a group does not grow with its lines
            columns = [c for c in columns if _grows(c) or not measure.find(exp.AggFunc)]
        of = {column.table for column in columns}
        # what a group adds up is multiplied in each sum, a line as a whole
        if added or not lines:
            lines |= dict.fromkeys([alias for alias in sources if alias in of][:1])
    for alias in lines if len(sources) > 1 else ():
        others = {other: source for other, source in sources.items() if other != alias}
        yield Joined(select, alias, sources[alias], others)
    for alias, needed in used.items():
        inner = sources.get(alias)
        if inner is not None and not isinstance(inner, exp.Table):
            yield from _joins(inner, needed)


def _grows(column: exp.Column) -> bool:
    adding = column.find_ancestor(exp.AggFunc, exp.Select)
    return isinstance(adding, exp.Sum | exp.Count) and not adding.find(exp.Distinct)


def raw_measure(query: Any, name: str) -> tuple[str, Any, bool] | None:
    """A column of the lines as one expression over the raw table that its lines come from.

    Returns
    -------
    (str, expression, bool) or None
        The table, the value and whether a WHERE chooses lines; None where the lines are
        grouped, put together or taken from several tables.
    """
    scope, chosen = list(traverse_scope(query))[-1], False
    value: Any = exp.column(name, "")
    while True:
        select = scope.expression
        blocking = ("distinct", "group", "limit", "offset")
        if not isinstance(select, exp.Select) or any(select.args.get(each) for each in blocking):
            return None
        chosen = chosen or any(select.args.get(each) for each in ("where", "qualify"))
        inside = {p.alias_or_name: p.unalias() for p in select.selects}
        value = exp.paren(value).transform(
            lambda node, inside=inside: (
                inside[node.name].copy()
                if isinstance(node, exp.Column) and node.name in inside
                else node
            )
        )
        of = {column.table for column in value.find_all(exp.Column)}
        inner = scope.sources.get(of.pop()) if len(of) == 1 else None
        if inner is None or value.find(exp.AggFunc, exp.Window, exp.Subquery):
            return None
        if isinstance(inner, exp.Table):
            for column in value.find_all(exp.Column):
                column.set("table", None)
            return inner.name, value, chosen
        scope = inner


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
    query = qualified(source, columns)
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
    told = ("customer_id", "order_id", "quantity", "amount")
    projections = [wanted[name].copy() for name in told if name in wanted]
    lookups, flags = _lookups(select, tables, lines)
    keys = {
        f"key_{place}": name
        for place, name in enumerate(columns[tables[lines]])
        if is_named_like_a_line(name, tables[lines])
    }
    used = _used(scope.expression, lines)
    unused = {
        f"unused_{place}": name
        for place, name in enumerate(columns[tables[lines]])
        if name.lower() not in used
    }
    raw = [exp.alias_(exp.column(name, lines), key) for key, name in (keys | unused).items()]
    select.set("order", None)
    select.set("expressions", [*projections, *flags, *raw])
    named, idle = (
        {key: f"{tables[lines]}.{name}" for key, name in each.items()} for each in (keys, unused)
    )
    return LinkedLines(str(select.sql("duckdb")), lookups, named, idle)


def _used(select: Any, lines: str) -> set[str]:
    """Columns of the order lines that a SELECT chooses, joins or makes a known column by."""
    idle = {
        id(column)
        for projection in select.expressions
        if projection.alias_or_name.lower() not in TRANSACTIONS
        for column in projection.find_all(exp.Column)
    }
    columns = [column for column in select.find_all(exp.Column) if column.table == lines]
    return {column.name.lower() for column in columns if id(column) not in idle}


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
        own, other = pairs[0]
        names = (f"no_{alias}", f"unnamed_{alias}", f"{alias}.{own.name}")
        lookup = Lookup(tables[alias], *names, is_dropped=side != "LEFT")
        lookups.append(lookup)
        flags += [
            exp.alias_(own.copy().is_(exp.null()), lookup.no_row),
            exp.alias_(other.copy(), lookup.sought, quoted=True),
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
