"""What would go wrong in a source's SELECT, found and said before it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from segmentation.core.errors import SourceError, first_three
from segmentation.sources.engine import Engine
from segmentation.sources.links import equated, line_table, raw_tables_of
from segmentation.sources.source import Source, one_select

PLAIN_DATE = r"^(1[6-9]|2[0-9])[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9:.+Z-]*)?$"
"""Year first, so that 05-06-20 is asked about and not read as a day of the year 5."""


def check_raw_columns(engine: Engine, source: Source) -> None:
    """Name a missing raw column before the engine stumbles over it.

    Raises
    ------
    SourceError
        With the file, the column and the columns that the file has.
    """
    available = {}
    for table in source.tables:
        described = exp.select("*").from_(exp.to_table(table)).sql("duckdb")
        available[table.lower()] = [name.lower() for name in engine.columns(described)]
    for scope in traverse_scope(one_select(source.sql)):
        tables = raw_tables_of(scope)
        only = next(iter(tables.values())) if len(scope.sources) == len(tables) == 1 else None
        for column in scope.columns:
            holder = tables.get(column.table) if column.table else only
            if holder and column.name.lower() not in available[holder.lower()]:
                raise SourceError(
                    f"{source.place_of(holder)}: has {engine.no_column} {column.name}; "
                    f"it has {', '.join(available[holder.lower()])}."
                )


def check_casts(engine: Engine, source: Source) -> None:
    """Count raw texts that are not what the SELECT casts them to, before casting.

    Raises
    ------
    SourceError
        With the file, the column, how many rows, and the first three values.
    """
    query = one_select(source.sql)
    for scope in traverse_scope(query):
        select = scope.expression
        if not isinstance(select, exp.Select) or not scope.sources:
            continue
        own = [
            cast
            for cast in select.find_all(exp.Cast)
            if cast.find_ancestor(exp.Select) is select
            and cast.find(exp.Column)
            and not cast.find(exp.AggFunc)
        ]
        # those that choose rows first: with a bad value there, no other probe can run
        for cast in sorted(own, key=_is_in_projection):
            _check_one_cast(engine, source, query, select, cast)


def _is_in_projection(cast: exp.Cast) -> bool:
    return cast.find_ancestor(exp.Where, exp.Join, exp.Select) is cast.find_ancestor(exp.Select)


def _check_one_cast(
    engine: Engine, source: Source, query: Any, select: exp.Select, cast: exp.Cast
) -> None:
    column = next(iter(cast.find_all(exp.Column)))
    for said, shown, condition in _cast_problems(engine, cast, column):
        probe = _probe(query, select, keep_where=_is_in_projection(cast))
        probe.set("expressions", [exp.alias_(exp.cast(shown.copy(), "VARCHAR"), "bad_value")])
        found = engine.query(probe.where(condition.copy(), copy=False).sql("duckdb"))["bad_value"]
        if len(found):
            files = first_three(_places_of(source, select))
            raise SourceError(
                f"{files}: {column.name} {said} in {len(found):,} row(s): "
                f"{first_three(repr(text) for text in found[:4])}; "
                f"correct the file or the CAST in source {source.name}."
            )


def _cast_problems(
    engine: Engine, cast: exp.Cast, column: exp.Column
) -> Iterator[tuple[str, Any, Any]]:
    """(what is wrong, the value to show, the condition that finds it) of one CAST."""
    value, kind = cast.this, cast.to.sql("duckdb").split("(")[0]
    words = {"DATE": "date (YYYY-MM-DD)", "BOOLEAN": "flag"}.get(kind, "number")
    words = "point in time" if kind.startswith("TIMESTAMP") else words
    fails = engine.cast_fails(cast)
    yield f"is not a {words}", value if _cannot_fail(value) else column, fails
    tried = exp.TryCast(this=value.copy(), to=cast.to.copy())
    if kind in ("DECIMAL", "INT", "BIGINT"):
        wide = exp.TryCast(this=value.copy(), to=exp.DataType.build("DECIMAL(38, 10)"))
        said = f"has more decimals than {cast.to.sql('duckdb')}"
        yield said, value, exp.NEQ(this=wide, expression=tried)
    elif kind == "DOUBLE":
        yield "is not a finite number", value, engine.is_not_finite(tried)
    elif kind == "DATE":
        text = exp.cast(value.copy(), "VARCHAR")
        plain = exp.func("REGEXP_MATCHES", text, exp.Literal.string(PLAIN_DATE), dialect="duckdb")
        yield f"is not a {words}", value, exp.not_(plain)


def _cannot_fail(value: Any) -> bool:
    """Whether an expression only picks or trims text, so that it can be shown as it is."""
    harmless = (exp.Column, exp.Identifier, exp.Literal, exp.Nullif, exp.Trim, exp.Substring)
    return all(isinstance(node, (*harmless, exp.DPipe)) for node in value.walk())


def _probe(query: Any, select: exp.Select, *, keep_where: bool) -> exp.Select:
    """A copy of one SELECT of a query that can be run by itself, without its grouping."""
    probe = select.copy()
    dropped = ("distinct", "order", "limit", "group", "having", "qualify")
    for clause in dropped if keep_where else (*dropped, "where"):
        probe.set(clause, None)
    if select is query and query.args.get("with_"):
        probe.set("with_", query.args["with_"].copy())
    elif query.args.get("with_") and not probe.args.get("with_"):
        earlier = _ctes_before(query, select)
        if earlier:
            probe.set("with_", earlier)
    return probe


def _ctes_before(query: Any, select: exp.Select) -> exp.With | None:
    """The WITH clause up to, not including, the CTE that holds `select`."""
    clause = query.args["with_"].copy()
    kept = []
    for original, copied in zip(query.args["with_"].expressions, clause.expressions, strict=True):
        if select is original.this or select.find_ancestor(exp.CTE) is original:
            break
        kept.append(copied)
    clause.set("expressions", kept)
    return clause if kept else None


def _places_of(source: Source, select: exp.Select) -> Iterable[str]:
    direct = [t.name for t in select.find_all(exp.Table) if t.name in source.tables]
    return dict.fromkeys(source.place_of(table) for table in direct or source.tables)


def check_joins(engine: Engine, source: Source) -> None:
    """Refuse a join that gives an order line twice: its money would count twice.

    The table that ``quantity`` (else ``amount``) comes from holds the order lines; of
    every table joined to it at most one row may fit a line.

    Raises
    ------
    SourceError
        With the joined file, how many lines it multiplies, and what to do.
    """
    query = one_select(source.sql)
    for scope in traverse_scope(query):
        select = scope.expression
        tables = raw_tables_of(scope)
        if not isinstance(select, exp.Select) or len(tables) < 2 or select.args.get("group"):
            continue
        lines = line_table(select, tables)
        for alias, table in tables.items() if lines else ():
            key = {own.name.lower() for own, _ in equated(select, alias)}
            if alias == lines or engine.is_key(table, key):
                continue
            multiplied = _multiplied(engine, _probe(query, select, keep_where=True), lines, alias)
            if multiplied:
                raise SourceError(
                    f"{source.place_of(table)}: {multiplied:,} row(s) of "
                    f"{source.place_of(tables[lines])} fit more than one of its rows, so that "
                    "their money would count more than once; list each key once in it, or join "
                    f"on all columns of its key in source {source.name}."
                )


def _multiplied(engine: Engine, probe: exp.Select, lines: str, joined: str) -> int:
    line, fitting = exp.column("rowid", lines), exp.column("rowid", joined)
    distinct = exp.Count(this=exp.Distinct(expressions=[fitting]))
    probe.set("expressions", [exp.alias_(line, "line")])
    probe = probe.group_by(line.copy(), copy=False).having(distinct > 1, copy=False)
    query = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(probe.subquery("many"))
    with_ = probe.args.get("with_")
    if with_:
        probe.set("with_", None)
        query.set("with_", with_)
    return int(engine.query(query.sql("duckdb"))["n"].item())
