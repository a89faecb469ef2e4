"""Tables that a run defines, as common table expressions in front of each query.

The user needs SELECT and nothing else, so that nothing can be stored in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError, in_one_sentence
from segmentation.sources.engine import Shortcut, Values
from segmentation.sources.mysql import dialect as mysql_dialect
from segmentation.sources.mysql.columns import RawColumn

_STORED = "stored "
"""How the second name of a column begins under which it keeps its index."""


class Views:
    """The tables that a run defined, each put in front of the queries that read it.

    ``raw`` are the columns of the database's own tables by name.
    """

    def __init__(self, database: str) -> None:
        self.database = database
        self.raw: dict[str, list[RawColumn]] = {}
        self._views: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._shortcuts: dict[str, tuple[str, Any]] = {}
        self._shortened: set[str] = set()

    def define(self, table: str, sql: str, values: Values, shortcut: Shortcut | None) -> None:
        """Know a query by a name, anew if it is there."""
        # each table keeps its own values, whatever later queries call theirs
        bound = {f"{table}.{name}": value for name, value in (values or {}).items()}
        self._views[table] = (_of_table(table, sql), bound)
        self._shortcuts.pop(table, None)
        if shortcut is not None:
            self._shortcuts[table] = (shortcut.column, _of_table(table, shortcut.sql))

    def assembled(self, query: Any, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """MySQL text of a query with everything that it reads in front, and all its values."""
        try:
            query = _hoisted(query.copy())
            self._keys: set[tuple[str, str]] = set()
            self._shortened = {
                table
                for table, (column, _) in self._shortcuts.items()
                if not any(
                    _asks_for(column, table, text)
                    for text in (query, *(v for n, (v, _) in self._views.items() if n != table))
                )
            }
            self._join_by_index(query)
            text = mysql_dialect.write(self.with_views(_with_row_ids(query)))
        except sqlglot.errors.SqlglotError as error:
            raise SourceError(
                f"MySQL has no counterpart to a part of the SQL: {in_one_sentence(error)}"
            ) from None
        bound = dict(values)
        for _, own in self._views.values():
            bound |= own
        used = {name: value for name, value in bound.items() if f"%({name})s" in text}
        return text, used or {"percent": "%"}

    def with_views(self, query: Any, prefix: str = "v_") -> Any:
        """Put the definitions of all tables that a query reads in front of it, in order."""
        needed: dict[str, Any] = {}
        self._collect(query, needed, prefix)
        if not needed:
            return query
        front = [
            exp.CTE(this=body, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
            for name, body in needed.items()
        ]
        clause = query.args.get("with_")
        own = clause.expressions if clause else []
        query.set("with_", exp.With(expressions=[*front, *own]))
        return query

    def _collect(self, query: Any, needed: dict[str, Any], prefix: str) -> None:
        own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
        for table in list(query.find_all(exp.Table)):
            name = self._known(table.name)
            if table.db or name is None or table.name.lower() in own:
                continue
            if prefix:
                alias = table.alias or table.name
                own_name = exp.to_identifier(prefix + name, quoted=True)
                table.replace(exp.alias_(exp.Table(this=own_name), alias, table=True))
            if prefix + name in needed or (not prefix and name in self.raw):
                continue
            if name in self.raw:
                needed[prefix + name] = self._raw_select(name)
            else:
                short = name in self._shortened
                whole = self._shortcuts[name][1] if short else self._views[name][0]
                body = _hoisted(whole.copy())
                if prefix:
                    self._join_by_index(body)
                self._collect(body, needed, prefix)
                needed |= _taken_apart(prefix + name, body)

    def _known(self, name: str) -> str | None:
        return next((n for n in (*self._views, *self.raw) if n.lower() == name.lower()), None)

    def _join_by_index(self, query: Any) -> None:
        """Say a join's equality for the stored columns too: only those have an index.

        Columns that are equal to the last byte are equal in their own collation as well,
        so the second condition takes no row away; without it a join reads every pair.
        """
        for join in query.find_all(exp.Join):
            condition, select = join.args.get("on"), join.parent
            if condition is None:
                continue
            tables = {
                table.alias_or_name: self._known(table.name)
                for table in select.find_all(exp.Table)
                if table.find_ancestor(exp.Select) is select
            }
            for equal in _all_of(condition):
                stored = [self._stored(side, tables) for side in (equal.this, equal.expression)]
                if stored[0] is None or stored[1] is None or stored[0][2] != stored[1][2]:
                    continue
                sides = [
                    exp.column(_STORED + side.name, side.table, quoted=True)
                    for side in (equal.this, equal.expression)
                ]
                self._keys |= {(table, name) for table, name, _ in filter(None, stored)}
                join.on(exp.EQ(this=sides[0], expression=sides[1]), copy=False)

    def _stored(self, side: Any, tables: dict[str, str | None]) -> tuple[str, str, str] | None:
        """Table, name, type and collation of a raw column that is not read as it is stored."""
        table = tables.get(side.table) if isinstance(side, exp.Column) else None
        for column in self.raw.get(table or "", ()):
            if column.name.lower() == side.name.lower():
                plain = isinstance(column.read(), exp.Column)
                kind = column.collation or column.declared
                return None if plain else (str(table), column.name.lower(), kind)
        return None

    def _raw_select(self, table: str) -> Any:
        place = exp.table_(table, db=self.database, quoted=True)
        columns = [
            exp.alias_(column.read(), column.name, quoted=True) for column in self.raw[table]
        ]
        columns += [
            exp.alias_(exp.column(column.name, quoted=True), _STORED + column.name, quoted=True)
            for column in self.raw[table]
            if (table, column.name.lower()) in self._keys
        ]
        return exp.select(*columns).from_(place)


def parsed(sql: str) -> Any:
    """The tree of a query in DuckDB's dialect."""
    return sqlglot.parse_one(sql, dialect="duckdb")


def _of_table(table: str, sql: str) -> Any:
    """A table's query, with its placeholders named as its own."""
    query = parsed(sql)
    for parameter in query.find_all(exp.Placeholder):
        parameter.set("this", f"{table}.{parameter.name}")
    return query


def _asks_for(column: str, table: str, query: Any) -> bool:
    """Whether a query names a column, or takes all columns of the table that has it."""
    if any(named.name.lower() == column for named in query.find_all(exp.Column)):
        return True
    for star in query.find_all(exp.Star):
        select = star.find_ancestor(exp.Select)
        if isinstance(star.parent, exp.Count) or select is None:
            continue
        if any(
            read.name.lower() == table and read.find_ancestor(exp.Select) is select
            for read in select.find_all(exp.Table)
        ):
            return True
    return False


def _hoisted(query: Any) -> Any:
    """Move WITH clauses out of subqueries: MariaDB looks for their tables no further out."""
    for inner in reversed(list(query.find_all(exp.Subquery))):
        clause, outer = inner.this.args.get("with_"), inner.parent_select
        if clause is not None and outer is not None:
            own = outer.args.get("with_")
            inner.this.set("with_", None)
            moved = [*clause.expressions, *(own.expressions if own else ())]
            outer.set("with_", exp.With(expressions=moved))
    return query


def _taken_apart(name: str, body: Any) -> dict[str, Any]:
    """A table's definition without a WITH of its own: MariaDB sees one level of them only."""
    clause = body.args.get("with_")
    if clause is None:
        return {name: body}
    body.set("with_", None)
    parts = {f"{name} {cte.alias}": cte.this for cte in clause.expressions}
    renamed = {cte.alias.lower(): f"{name} {cte.alias}" for cte in clause.expressions}
    for part in (*parts.values(), body):
        for table in list(part.find_all(exp.Table)):
            if not table.db and table.name.lower() in renamed:
                own = exp.Table(this=exp.to_identifier(renamed[table.name.lower()], quoted=True))
                table.replace(exp.alias_(own, table.alias or table.name, table=True))
    return {**parts, name: body}


def _all_of(condition: Any) -> Iterator[Any]:
    """The equalities that must all hold for a condition to hold."""
    if isinstance(condition, exp.And):
        yield from _all_of(condition.this)
        yield from _all_of(condition.expression)
    elif isinstance(condition, exp.Paren):
        yield from _all_of(condition.this)
    elif isinstance(condition, exp.EQ):
        yield condition


def _with_row_ids(query: Any) -> Any:
    """Give tables whose ``rowid`` a query asks for one, as DuckDB's tables have."""
    asked = {c.table for c in query.find_all(exp.Column) if c.name == "rowid" and c.table}
    for table in list(query.find_all(exp.Table)):
        if table.alias_or_name in asked and table.find_ancestor(exp.CTE) is None:
            number = exp.Window(this=exp.RowNumber())
            plain = exp.to_table(table.name)
            numbered = exp.select("*", exp.alias_(number, "rowid")).from_(plain)
            table.replace(numbered.subquery(table.alias_or_name))
    return query
