"""What would go wrong in a source's SELECT, found and said before it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from segmentation.core.errors import SourceError, first_three
from segmentation.sources.engine import Engine
from segmentation.sources.links import Joined, equated, joins_of_lines, qualified, raw_tables_of
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
    available = {
        table.lower(): [name.lower() for name in names]
        for table, names in raw_columns(engine, source).items()
    }
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


def check_casts(engine: Engine, source: Source, *, rounds: str = "") -> tuple[int, tuple[str, ...]]:
    """Count raw texts that are not what the SELECT casts them to, before casting.

    Returns
    -------
    (int, tuple of str)
        Rows whose value of the column ``rounds`` the CAST rounds, and three of the values.
        In any other column money is never rounded.

    Raises
    ------
    SourceError
        With the file, the column, how many rows, and the first three values.
    """
    query = one_select(source.sql)
    rounded: tuple[int, tuple[str, ...]] = (0, ())
    for scope in traverse_scope(query):
        select = scope.expression
        if not isinstance(select, exp.Select) or not scope.sources:
            continue
        own = [
            node
            for node in select.find_all(exp.Cast, *_MAKE_DAYS)
            if node.find_ancestor(exp.Select) is select
            and node.find(exp.Column)
            and not node.find(exp.AggFunc)
            and (isinstance(node, exp.Cast) or not _is_cast(node))
        ]
        # those that choose rows first: with a bad value there, no other probe can run
        for node in sorted(own, key=_is_in_projection):
            found = _check_one_cast(engine, source, query, select, node, rounds)
            rounded = max(rounded, found)
    return rounded


_MAKE_DAYS = (exp.StrToTime, exp.DateFromParts, exp.Date)
"""What makes a day without a CAST, as `STRPTIME` does, and stops at 31 February."""


def _is_cast(node: Any) -> bool:
    around = node.find_ancestor(exp.Cast, exp.Select)
    return isinstance(around, exp.Cast)


def _is_in_projection(node: Any) -> bool:
    return node.find_ancestor(exp.Where, exp.Join, exp.Select) is node.find_ancestor(exp.Select)


def _check_one_cast(
    engine: Engine, source: Source, query: Any, select: exp.Select, node: Any, rounds: str
) -> tuple[int, tuple[str, ...]]:
    column = next(iter(node.find_all(exp.Column)))
    cast = node if isinstance(node, exp.Cast) else exp.cast(node.copy(), "DATE")
    for said, shown, condition in _cast_problems(engine, cast, column):
        probe = _probe(query, select, keep_where=_is_in_projection(node))
        probe.set("expressions", [exp.alias_(exp.cast(shown.copy(), "VARCHAR"), "bad_value")])
        found = engine.query(probe.where(condition.copy(), copy=False).sql("duckdb"))["bad_value"]
        if len(found) and said.startswith("has more decimals") and _is_named(cast, rounds):
            return len(found), tuple(dict.fromkeys(found))[:3]
        if len(found):
            files = first_three(_places_of(source, select))
            raise SourceError(
                f"{files}: {column.name} {said} in {len(found):,} row(s): "
                f"{first_three(repr(text) for text in found)}; "
                f"correct the file or the CAST in source {source.name}."
            )
    return 0, ()


def _is_named(cast: exp.Cast, name: str) -> bool:
    alias = cast.find_ancestor(exp.Alias)
    return bool(name) and alias is not None and alias.alias.lower() == name


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
    elif kind == "BOOLEAN":
        number = exp.TryCast(
            this=exp.cast(value.copy(), "VARCHAR"), to=exp.DataType.build("DOUBLE")
        )
        yield "is not a flag (0 or 1)", value, exp.not_(number.isin("0", "1"))
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

    However the SELECT is written, each row that units and money come from is numbered where
    it is joined, and may come out of the join once at most.

    Raises
    ------
    SourceError
        With the joined file, how many lines it multiplies, and what to do.
    """
    query = qualified(source, raw_columns(engine, source))
    for joined in joins_of_lines(query):
        suspects = {
            alias: other
            for alias, other in joined.others.items()
            if not _fits_once(engine, joined.select, alias, other)
        }
        if not suspects or not (n := _multiplied(engine, query, joined, suspects)):
            continue
        each = [(_multiplied(engine, query, joined, {a: o}, a), a) for a, o in suspects.items()]
        by = max(each, key=lambda pair: pair[0])[1]
        raise SourceError(
            f"{_said(source, joined.others[by], by)}: {n:,} row(s) of "
            f"{_said(source, joined.of_lines, joined.lines)} fit more than one of its "
            "rows, so that their money would count more than once; list each key once in it, or "
            f"join on all columns of its key in source {source.name}."
        )


def raw_columns(engine: Engine, source: Source) -> dict[str, list[str]]:
    """The columns of every raw table of a source."""
    return {table: list(engine.columns_of(table)) for table in source.tables}


def _said(source: Source, part: Any, alias: str) -> str:
    return source.place_of(part.name) if isinstance(part, exp.Table) else f"query {alias}"


def _fits_once(engine: Engine, select: exp.Select, alias: str, other: Any) -> bool:
    """Whether at most one row of a joined source can fit a line, by how it is made."""
    key = {own.name.lower() for own, _ in equated(select, alias)}
    if isinstance(other, exp.Table):
        return bool(engine.is_key(other.name, key))
    inner = other.expression
    if not isinstance(inner, exp.Select):
        return False
    groups = inner.args["group"].expressions if inner.args.get("group") else []
    if not groups:
        return any(p.find(exp.AggFunc) and not p.find(exp.Window) for p in inner.selects)
    named = {p.unalias().sql(): p.alias_or_name for p in inner.selects}
    return {named.get(group.sql()) for group in groups} <= key


def _multiplied(
    engine: Engine, query: Any, joined: Joined, suspects: dict[str, Any], by: str = ""
) -> int:
    """Lines that come out of a join more than once; with ``by``, by rows of that source."""
    probe = _probe(query, joined.select, keep_where=True)
    if chosen := joined.select.args.get("qualify"):
        probe.set("qualify", chosen.copy())
    groups = joined.select.args.get("group")
    told = list(joined.select.selects) if joined.select.args.get("distinct") else []
    if groups and not any(p.find(exp.Sum, exp.Count) for p in joined.select.selects):
        told = list(groups.expressions)
    kept = [exp.alias_(part.copy().unalias(), f"told_{n}") for n, part in enumerate(told)]
    line = _numbered(probe, joined.lines, joined.of_lines)
    probe.set("expressions", [*kept, exp.alias_(line, "line")])
    many = exp.Count(this=exp.Star()) > 1
    if by:
        fitting = exp.alias_(_numbered(probe, by, suspects[by]), "fitting")
        probe.set("expressions", [exp.alias_(line.copy(), "line"), fitting])
        many = exp.Count(this=exp.Distinct(expressions=[exp.column("fitting")])) > 1
    elif kept:
        probe.set("distinct", exp.Distinct())
    with_ = probe.args.get("with_")
    probe.set("with_", None)
    lines = exp.select("line").from_(probe.subquery("numbered")).group_by("line").having(many)
    counted = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(lines.subquery("many"))
    if with_:
        counted.set("with_", with_)
    return int(engine.query(counted.sql("duckdb"))["n"].item())


def _numbered(probe: exp.Select, alias: str, part: Any) -> exp.Column:
    """The number of a source's row in a SELECT; a query's rows are numbered for it."""
    if isinstance(part, exp.Table):
        return exp.column("rowid", alias)
    for place in [probe.args["from_"], *(probe.args.get("joins") or ())]:
        if place.this.alias_or_name == alias:
            # any order will do, but Spark numbers no rows without one
            anyhow = exp.Order(expressions=[exp.Ordered(this=exp.Literal.number(1))])
            window = exp.Window(this=exp.RowNumber(), order=anyhow)
            numbers = exp.alias_(window, "row_of_query")
            rows = exp.select("*", numbers).from_(place.this.copy())
            place.set("this", rows.subquery(alias))
    return exp.column("row_of_query", alias)
