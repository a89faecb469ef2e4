"""Raw tables -> transactions (or a customer table), by one SELECT per source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from segmentation.engine import RAW_SUFFIXES, DuckDbEngine
from segmentation.errors import SourceError, first_three
from segmentation.params import SHIPPED_SOURCES, resolve_path
from segmentation.schema import FEATURES, REQUIRED_TRANSACTION_COLUMNS, TRANSACTIONS

SQL_FOLDER = Path(__file__).parent / "sql"
SYNTHETIC_MARKER = "SYNTHETIC.md"
_TYPES = {"text": "VARCHAR", "date": "DATE", "flag": "BOOLEAN"}
_OPTIONAL_DEFAULTS = {"is_return": "FALSE", "is_non_product": "FALSE"}
_NUMBERS = ("DECIMAL", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER")


@dataclass(frozen=True)
class Source:
    """A source: its SELECT and the files that its raw tables were found in.

    ``is_customer_table`` is true where the SELECT gives one row per customer with
    features already computed; such a source enters at the features stage.
    """

    name: str
    sql: str
    files: dict[str, Path]
    is_customer_table: bool = False

    @property
    def is_synthetic(self) -> bool:
        """Whether the files are a generator's: their folder then holds a marker file."""
        return any((path.parent / SYNTHETIC_MARKER).exists() for path in self.files.values())


def find_source(source: str, location: str) -> Source:
    """Read a source's SELECT and find the file of every raw table that it names.

    Parameters
    ----------
    source : str
        A shipped source's name, or the path of a ``.sql`` file.
    location : str
        Folder with ``<table>.csv``, ``.txt`` or ``.parquet``; or one file, where the
        SELECT needs one raw table only.

    Raises
    ------
    SourceError
        If the source, the location or a table's file is missing; names what was sought.
    """
    name, sql = _source_sql(source)
    tables = raw_tables(sql)
    place = resolve_path(location)
    if not place.exists():
        raise SourceError(
            f"location {location!r} does not exist; give the folder or file that holds "
            f"{first_three(tables)}."
        )
    if place.is_file():
        if len(tables) != 1:
            raise SourceError(
                f"source {name} needs {len(tables)} tables ({first_three(tables)}) but location "
                f"{location!r} is one file; give their folder."
            )
        if place.suffix not in RAW_SUFFIXES:
            raise SourceError(
                f"{place.name}: files of kind {place.suffix or '(none)'} are not read; "
                f"accepted are {', '.join(RAW_SUFFIXES)}."
            )
        return Source(name, sql, {tables[0]: place})
    return Source(name, sql, {table: _table_file(place, location, table) for table in tables})


def _source_sql(source: str) -> tuple[str, str]:
    if source in SHIPPED_SOURCES:
        return source, (SQL_FOLDER / "sources" / f"{source}.sql").read_text(encoding="utf-8")
    if not source.endswith(".sql"):
        raise SourceError(
            f"unknown source {source!r}; there are {', '.join(SHIPPED_SOURCES)}, "
            "or give the path of a .sql file."
        )
    path = resolve_path(source)
    try:
        return path.stem, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"source file {source!r} cannot be read ({type(error).__name__})."
        ) from None


def _table_file(folder: Path, location: str, table: str) -> Path:
    for suffix in RAW_SUFFIXES:
        path = folder / f"{table}{suffix}"
        if path.is_file():
            return path
    raise SourceError(
        f"location {location!r} has no file for table {table}; "
        f"looked for {table}{f', {table}'.join(RAW_SUFFIXES)}."
    )


def raw_tables(sql: str) -> list[str]:
    """Names of the raw tables that a source's SELECT reads, in order of appearance.

    Raises
    ------
    SourceError
        If the text is not one SELECT.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, dialect="duckdb") if s is not None]
    except sqlglot.errors.SqlglotError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SourceError(f"the source's SQL cannot be parsed: {reason}.") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SourceError("a source is exactly one SELECT statement; nothing else is run.")
    named = {cte.alias for cte in statements[0].find_all(exp.CTE)}
    tables = [table.name for table in statements[0].find_all(exp.Table)]
    found = list(dict.fromkeys(table for table in tables if table and table not in named))
    if not found:
        raise SourceError("the source's SELECT reads no table.")
    return sorted(found)


def ingest(engine: DuckDbEngine, source: Source) -> Source:
    """Bind the raw files and materialise the table ``transactions`` (or ``customers``).

    Returns
    -------
    Source
        The same source, told whether it is a customer table.

    Raises
    ------
    SourceError
        Missing columns by name; values that are not the number or date they should be
        with count and first three; money with more decimals than the source declares.
    """
    for table, path in source.files.items():
        engine.bind_file(table, path)
    _check_raw_columns(engine, source)
    columns = engine.columns(source.sql)
    _check_casts(engine, source)
    is_customer_table = "order_id" not in columns and "total_spent" in columns
    if is_customer_table:
        _check_customer_columns(source, columns)
        engine.create("customers", _canonical(source.sql, columns, customer_table=True))
    else:
        _check_transaction_columns(source, columns)
        engine.create("transactions", _canonical(source.sql, columns, customer_table=False))
    return Source(source.name, source.sql, source.files, is_customer_table)


def _check_raw_columns(engine: DuckDbEngine, source: Source) -> None:
    """Name a missing raw column before the engine stumbles over it."""
    query = sqlglot.parse_one(source.sql, dialect="duckdb")
    available = {}
    for table in source.files:
        described = exp.select("*").from_(exp.to_table(table)).sql("duckdb")
        available[table.lower()] = [name.lower() for name in engine.columns(described)]
    for scope in traverse_scope(query):
        tables = {n: t.name for n, t in scope.sources.items() if isinstance(t, exp.Table)}
        only = next(iter(tables.values())) if len(scope.sources) == len(tables) == 1 else None
        for column in scope.columns:
            holder = tables.get(column.table) if column.table else only
            if holder and column.name.lower() not in available[holder.lower()]:
                raise SourceError(
                    f"{source.files[holder].name}: has no column {column.name}; "
                    f"it has {', '.join(available[holder.lower()])}."
                )


def _check_casts(engine: DuckDbEngine, source: Source) -> None:
    """Count raw texts that are not what the SELECT casts them to, before casting."""
    query = sqlglot.parse_one(source.sql, dialect="duckdb")
    for scope in traverse_scope(query):
        select = scope.expression
        if not isinstance(select, exp.Select) or not scope.sources:
            continue
        for cast in select.find_all(exp.Cast):
            if cast.find_ancestor(exp.Select) is select and not cast.find(exp.AggFunc):
                _check_one_cast(engine, source, query, select, cast)


def _check_one_cast(
    engine: DuckDbEngine, source: Source, query: Any, select: exp.Select, cast: exp.Cast
) -> None:
    if not cast.find(exp.Column):
        return
    value = cast.this.copy()
    tried = exp.TryCast(this=value.copy(), to=cast.to.copy())
    problems = [("is not a {kind}", exp.and_(value.is_(exp.null()).not_(), tried.is_(exp.null())))]
    kind = cast.to.sql("duckdb").split("(")[0]
    if kind in ("DECIMAL", "INT", "BIGINT"):
        wide = exp.TryCast(this=value.copy(), to=exp.DataType.build("DECIMAL(38, 10)"))
        problems.append(("has more decimals than {kind}", exp.NEQ(this=wide, expression=tried)))
    elif kind == "DOUBLE":
        finite = exp.func("ISFINITE", tried.copy())
        problems.append(("is not a finite number", exp.Not(this=finite)))
    words = {"DATE": "date (YYYY-MM-DD)", "BOOLEAN": "flag"}.get(kind, "number")
    for phrase, condition in problems:
        probe = select.copy()
        probe.set("expressions", [exp.alias_(exp.cast(value.copy(), "VARCHAR"), "bad_value")])
        for clause in ("distinct", "order", "limit", "group", "having"):
            probe.set(clause, None)
        probe = probe.where(condition.copy(), copy=False)
        if select is not query and query.args.get("with_") and not probe.args.get("with_"):
            earlier = _ctes_before(query, select)
            if earlier:
                probe.set("with_", earlier)
        elif select is query and query.args.get("with_"):
            probe.set("with_", query.args["with_"].copy())
        found = engine.query(probe.sql("duckdb"))["bad_value"]
        if len(found):
            column = next(iter(cast.find_all(exp.Column))).name
            files = first_three(path.name for path in _files_of(source, query, select))
            said = phrase.format(kind=words if "not" in phrase else cast.to.sql("duckdb"))
            raise SourceError(
                f"{files}: {column} {said} in {len(found):,} row(s): "
                f"{first_three(repr(text) for text in found[:4])}; "
                f"correct the file or the CAST in source {source.name}."
            )


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


def _files_of(source: Source, query: Any, select: exp.Select) -> Iterable[Path]:
    direct = [source.files[t.name] for t in select.find_all(exp.Table) if t.name in source.files]
    return dict.fromkeys(direct or source.files.values())


def _check_transaction_columns(source: Source, columns: dict[str, str]) -> None:
    missing = [name for name in REQUIRED_TRANSACTION_COLUMNS if name not in columns]
    if missing:
        raise SourceError(
            f"source {source.name}: its SELECT lacks {first_three(missing)}; "
            f"required are {', '.join(REQUIRED_TRANSACTION_COLUMNS)}."
        )
    wrong = {
        "amount": ("an exact DECIMAL", ("DECIMAL", *_NUMBERS)),
        "quantity": ("a number", (*_NUMBERS, "DOUBLE", "FLOAT")),
        "order_date": ("a DATE", ("DATE", "TIMESTAMP")),
        "registered_date": ("a DATE", ("DATE", "TIMESTAMP")),
        "is_valid": ("a BOOLEAN", ("BOOLEAN",)),
        "is_return": ("a BOOLEAN", ("BOOLEAN",)),
        "is_non_product": ("a BOOLEAN", ("BOOLEAN",)),
    }
    for name, (wanted, accepted) in wrong.items():
        if name in columns and not columns[name].startswith(accepted):
            raise SourceError(
                f"source {source.name}: column {name} is {columns[name]}, "
                f"it must be {wanted}; CAST it in the SELECT."
            )


def _check_customer_columns(source: Source, columns: dict[str, str]) -> None:
    if "customer_id" not in columns:
        raise SourceError(f"source {source.name}: its SELECT lacks customer_id.")


def _canonical(sql: str, columns: dict[str, str], *, customer_table: bool) -> str:
    """Wrap a source's SELECT into the agreed columns, missing optional ones as NULL."""
    inner: Any = sqlglot.parse_one(sql, dialect="duckdb")
    if customer_table:
        wanted = {"customer_id": "VARCHAR"} | {n: "" for n in FEATURES if n in columns}
    else:
        wanted = {name: _TYPES.get(column.kind, "") for name, column in TRANSACTIONS.items()}
    chosen = []
    for name, kind in wanted.items():
        value: Any = exp.column(name)
        if name not in columns:
            default = _OPTIONAL_DEFAULTS.get(name, "NULL")
            value = sqlglot.parse_one(default, dialect="duckdb")
        elif name in _OPTIONAL_DEFAULTS:
            value = exp.func("COALESCE", value, sqlglot.parse_one("FALSE", dialect="duckdb"))
        chosen.append(exp.alias_(exp.cast(value, kind) if kind else value, name))
    return exp.select(*chosen).from_(inner.subquery("source")).sql("duckdb", pretty=True)


def describe_raw(engine: DuckDbEngine, source: Source) -> pd.DataFrame:
    """Missing and distinct values of every raw column; one row per column, no values.

    Values are not shown because raw columns may identify people.
    """
    rows = []
    for table, path in source.files.items():
        described = exp.select("*").from_(exp.to_table(table)).sql("duckdb")
        total = engine.count(table)
        for name, kind in engine.columns(described).items():
            column = exp.column(name, quoted=True)
            query = exp.select(
                exp.alias_(exp.Count(this=column), "filled"),
                exp.alias_(exp.Count(this=exp.Distinct(expressions=[column])), "distinct_values"),
            ).from_(exp.to_table(table))
            filled, distinct = engine.query(query.sql("duckdb")).iloc[0]
            rows.append(
                {
                    "file": path.name,
                    "column": name,
                    "type": "text" if kind == "VARCHAR" else kind.lower(),
                    "rows": total,
                    "missing": total - int(filled),
                    "distinct": int(distinct),
                }
            )
    return pd.DataFrame(rows)
