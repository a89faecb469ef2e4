"""The database engine: runs the project's SQL inside MySQL or MariaDB.

All queries of a run see one consistent, read-only snapshot, so that the ledger, the features
and every chart are about the same rows while the shop goes on selling. The user needs
SELECT and nothing else: a table that DuckDB would materialise is a common table
expression here, put in front of each query that reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three, in_one_sentence
from segmentation.sources.engine import ZONED, Shortcut
from segmentation.sources.mysql import dialect as mysql_dialect
from segmentation.sources.mysql import functions
from segmentation.sources.mysql.answers import KINDS, batch, fetched, refuse_division_by_zero
from segmentation.sources.mysql.server import Address, connect, driver_words, in_words
from segmentation.sources.mysql.session import set_for_session, set_zone
from segmentation.sources.source import columns_named

SYNTHETIC_COMMENT = "SYNTHETIC"
"""How the comment of a table begins that `segmentation demo` wrote."""
_MODES = (
    "STRICT_ALL_TABLES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_ENGINE_SUBSTITUTION",
)
_TEXT_TYPES = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
_BYTE_TYPES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_DATE_TYPES = {"date", "datetime", "timestamp"}
_WHOLE_TYPES = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_EXACT_TYPES = {"decimal", "float", "double"}


@dataclass(frozen=True)
class _RawColumn:
    name: str
    kind: str
    """The server's word, such as ``varchar``."""
    declared: str
    """With sizes and signs, such as ``int(10) unsigned``."""
    collation: str = ""

    @property
    def shown(self) -> str:
        """Type as the project's SQL sees it, in DuckDB's words."""
        if self.declared.startswith("tinyint(1)"):
            return "BOOLEAN"
        if self.kind in _WHOLE_TYPES | {"year", "bit"}:
            return "DECIMAL(20, 0)" if "unsigned" in self.declared else "BIGINT"
        if self.kind in _DATE_TYPES:
            return {"date": "DATE", "timestamp": ZONED}.get(self.kind, "TIMESTAMP")
        return self.declared.split(" ")[0].upper() if self.kind in _EXACT_TYPES else "VARCHAR"

    def read(self) -> Any:
        """The column as one of the project's types; text compares to the last byte."""
        column = exp.column(self.name, quoted=True)
        if self.kind in _BYTE_TYPES:
            return exp.func("LOWER", exp.Anonymous(this="HEX", expressions=[column]))
        if self.kind in _WHOLE_TYPES | {"decimal"} and "unsigned" in self.declared:
            return exp.cast(column, self.shown)  # as text a ZEROFILL would begin with zeros
        if self.kind in ("bit", "year"):
            return exp.cast(column + exp.Literal.number(0), "BIGINT")
        if self.kind == "float":
            return exp.cast(column, "DOUBLE")
        if self.kind in _WHOLE_TYPES | _DATE_TYPES | _EXACT_TYPES:
            return column
        return exp.cast(column, "VARCHAR")  # takes on the connection's exact collation


class MySqlEngine:
    """One snapshot of a database's tables; queries in DuckDB's dialect, answers in pandas."""

    dialect = "mysql"
    error: ClassVar[type[Exception]] = SourceError
    no_column: ClassVar[str] = "no column (that the user may read)"

    def __init__(self, address: Address, time_zone: str = "UTC") -> None:
        self.address = address
        self._time_zone = time_zone
        self.connection = connect(address)
        self._raw: dict[str, list[_RawColumn]] = {}
        self._views: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._shortcuts: dict[str, tuple[str, Any]] = {}
        self._shortened: set[str] = set()
        self._fingerprints: dict[str, dict[str, Any]] = {}
        self._unsafe: list[str] = []
        self.is_synthetic = False
        try:
            self._open_snapshot()
        except BaseException:
            self.close()
            raise

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB; else it is MySQL."""
        return "mariadb" in self.version.lower()

    def _open_snapshot(self) -> None:
        self.version = str(self._rows("SELECT VERSION()")[0][0])
        _check_version(self.address, self.version, is_mariadb=self.is_mariadb)
        collation = "utf8mb4_nopad_bin" if self.is_mariadb else "utf8mb4_0900_bin"
        settings: dict[str, Any] = {"sql_mode": ",".join(_MODES)}
        if self.is_mariadb:
            # joins by hash where there is no index: linear in rows, as MySQL does by itself
            settings |= {"join_cache_level": 8}
        with in_words(self.address):
            set_for_session(self.connection, settings)
            set_zone(self.connection, self.address, self._time_zone)
        self._rows("SET NAMES utf8mb4 COLLATE %s", (collation,))
        self._rows("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def close(self) -> None:
        """End the snapshot and the connection; an answer half read is given up."""
        with contextlib.suppress(Exception):
            self.connection.close()

    def description(self) -> dict[str, str]:
        """Server and driver, for the manifest."""
        kind = "" if self.is_mariadb else "MySQL "
        return {"server": f"{kind}{self.version}", "driver": driver_words()}

    # --- raw tables -------------------------------------------------------------------

    def bind(self, table: str, path: Any = None) -> None:
        """Make a table of the database readable by its name, in the project's types.

        Text compares byte by byte, whatever the collation of its column; unsigned numbers
        are exact decimals; bytes are hexadecimal text; a TIMESTAMP is a time of the engine's zone.

        Raises
        ------
        SourceError
            If the table is missing or may not be read, or has no rows.
        """
        if table in self._raw:
            return
        found = self._rows(_COLUMNS, (self.address.database, table))
        columns = [
            _RawColumn(*(_text(part or "") for part in row[:4]))
            for row in found
            if "select" in _text(row[4])
        ]
        if not columns:
            self._refuse_table(table)
        self._raw[table] = columns
        for engine, comment in self._rows(_TABLE, (self.address.database, table)):
            # a view does not say what it rests on
            if _text(engine or "view").lower() not in ("innodb", "rocksdb", "ndbcluster"):
                self._unsafe.append(table)  # no snapshot there: compared again at the end
            self.is_synthetic |= _text(comment or "").startswith(SYNTHETIC_COMMENT)
        if self.count(table) == 0:
            raise SourceError(f"table {table}: has columns but no rows; load it again.")

    def rename(self, table: str, other_names: Mapping[str, str]) -> None:
        """Nothing to do: a database's columns have the names its tables give them."""

    def _refuse_table(self, table: str) -> None:
        probe = exp.select("1").from_(exp.to_table(table, quoted=True)).limit(0).sql("mysql")
        try:
            self._rows(probe)
        except SourceError as error:
            said = str(error)
        else:
            said = "permit reading no column"
        database = self.address.database
        if "permit" in said:
            raise SourceError(
                f"table {table}: the user may not read it in database {database}; its "
                "administrator can GRANT SELECT."
            )
        if "no such table" not in said:
            raise SourceError(said)
        others = [_text(row[0]) for row in self._rows(_TABLES, (database,))]
        raise SourceError(
            f"table {table}: there is none in database {database}; "
            f"it has {first_three(others) or 'no tables that the user may read'}."
        )

    def lock(self) -> None:
        """Nothing to close: the transaction is read-only, and no file can be reached."""

    def fingerprint(self, table: str) -> dict[str, Any]:
        """Rows and checksum of a bound table as this snapshot sees it.

        Returns
        -------
        dict
            ``sha256`` of columns, number of rows and the sums of two 60-bit halves of
            every row's MD5: equal rows in any order give the same, one changed value
            another. ``rows``, their number.
        """
        if table not in self._fingerprints:
            self._fingerprints[table] = self._read_fingerprint(table)
        return self._fingerprints[table]

    def _read_fingerprint(self, table: str) -> dict[str, Any]:
        columns = self._raw[table]
        row = exp.Anonymous(this="MD5", expressions=[_spelt_out(columns)])
        halves = [
            exp.func(
                "SUM",
                exp.cast(
                    exp.Anonymous(
                        this="CONV",
                        expressions=[
                            exp.func("SUBSTRING", exp.column("h"), start, exp.Literal.number(15)),
                            exp.Literal.number(16),
                            exp.Literal.number(10),
                        ],
                    ),
                    "DECIMAL(20, 0)",
                ),
            )
            for start in (exp.Literal.number(1), exp.Literal.number(16))
        ]
        hashed = exp.select(exp.alias_(row, "h")).from_(exp.to_table(table))
        query = exp.select(exp.Count(this=exp.Star()), *halves).from_(hashed.subquery("hashed"))
        text, values = self._assembled(query, {})
        counted, first, second = self._rows(text, values)[0]
        names = [(column.name, column.declared) for column in columns]
        plain = repr((table, names, int(counted), str(first), str(second)))
        return {"sha256": hashlib.sha256(plain.encode()).hexdigest(), "rows": int(counted)}

    def check_unchanged(self) -> None:
        """Refuse results over tables that know no snapshot and changed while they were read.

        Raises
        ------
        SourceError
            Names the first three tables.
        """
        changed = [
            table
            for table in self._unsafe
            if self.fingerprint(table) != self._read_fingerprint(table)
        ]
        if changed:
            raise SourceError(
                f"table {first_three(changed)}: changed while it was read, and its storage engine "
                "(or that of a table below a view) keeps no snapshot; run it again when nobody writes, or convert it to InnoDB."
            )

    def check_dates(self, sql: str) -> None:
        """Refuse functions of another meaning, and dates that no calendar has, such as 0000-00-00.

        A driver reads those as empty.

        Raises
        ------
        SourceError
            Names the function, or table and column with the count and the first three.
        """
        functions.refuse_others(sql)
        if (typed := self._typed(_parsed(sql))) is not None:
            functions.refuse_mixed(typed)
        used = columns_named(sql)
        for table, columns in self._raw.items():
            for column in columns:
                if column.kind in _DATE_TYPES and column.name.lower() in used:
                    self._check_dates_of(table, column.name)

    def _check_dates_of(self, table: str, name: str) -> None:
        column = exp.column(name, quoted=True)
        parts = [exp.Anonymous(this=f, expressions=[column]) for f in ("MONTH", "DAYOFMONTH")]
        query = (
            exp.select(exp.alias_(exp.cast(column, "VARCHAR"), "day"))
            .from_(exp.to_table(table))
            .where(exp.or_(*(part.eq(0) for part in parts), _is_no_day(column)))
        )
        found = self._arrow(query, {})["day"].to_pylist()
        if found:
            raise SourceError(
                f"table {table}: {name} is no day of the calendar in {len(found):,} row(s): "
                f"{first_three(found[:4])}; correct them, or store NULL where the day is unknown."
            )

    # --- queries ----------------------------------------------------------------------

    def create(
        self,
        table: str,
        sql: str,
        values: dict[str, Any] | None = None,
        *,
        shortcut: Shortcut | None = None,
    ) -> None:
        """Define a query as a table (anew, if it is there); it is run by those that read it."""
        # each table keeps its own values, whatever later queries call theirs
        bound = {f"{table}.{name}": value for name, value in (values or {}).items()}
        self._views[table] = (_of_table(table, sql), bound)
        self._shortcuts.pop(table, None)
        if shortcut is not None:
            self._shortcuts[table] = (shortcut.column, _of_table(table, shortcut.sql))
        self.columns(exp.select("*").from_(exp.to_table(table)).sql("duckdb"))

    def query(self, sql: str, values: dict[str, Any] | None = None) -> pd.DataFrame:
        """Run a query into pandas; rows stream in batches, exact decimals stay exact."""
        return self._arrow(_parsed(sql), values or {}).to_pandas(date_as_object=False)

    def columns(self, sql: str) -> dict[str, str]:
        """Column names and types (in DuckDB's words) that a query returns."""
        query = _parsed(sql)
        none = exp.select("*").from_(query.copy().subquery("asked")).limit(0)
        values = {p.name: None for p in query.find_all(exp.Placeholder)}
        text, bound = self._assembled(none, values)
        with in_words(self.address), self.connection.cursor(raw=True) as cursor:
            cursor.execute(text, bound)
            cursor.fetchall()
            described = list(cursor.description)
        flags = self._flags(query)
        return {
            column[0]: "BOOLEAN" if column[0].lower() in flags else KINDS.get(column[1], "VARCHAR")
            for column in described
        }

    def _flags(self, query: Any) -> set[str]:
        """Names of a query's columns that are true or false: MySQL itself has numbers only."""
        typed = self._typed(query)
        return {
            projection.alias_or_name.lower()
            for projection in (typed.selects if typed else ())
            if projection.type and projection.is_type("boolean")
        }

    def _typed(self, query: Any) -> Any:
        """A query with the types of its parts; None where it cannot be told."""
        schema: dict[str, object] = {
            table: {column.name: column.shown for column in columns}
            for table, columns in self._raw.items()
        }
        return functions.with_types(self._with_views(query.copy(), prefix=""), schema)

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        query = exp.select(exp.Count(this=exp.Star())).from_(exp.to_table(table))
        return int(self._rows(*self._assembled(query, {}))[0][0])

    def cast_fails(self, cast: exp.Cast) -> exp.Expression:
        """The condition that a CAST would not give what the text says."""
        return mysql_dialect.cast_fails(cast)

    def is_not_finite(self, value: exp.Expression) -> exp.Expression:
        """Never: what is no finite number is refused as no number already."""
        return exp.false()

    def _arrow(self, query: Any, values: dict[str, Any]) -> pa.Table:
        text, bound = self._assembled(query, values)
        with in_words(self.address), self.connection.cursor(buffered=False) as cursor:
            cursor.execute(text, bound)
            names = [column[0] for column in cursor.description]
            kinds = [KINDS.get(column[1], "VARCHAR") for column in cursor.description]
            batches = [batch(names, kinds, rows) for rows in fetched(cursor)]
            warned = cursor.warning_count
        refuse_division_by_zero(self._rows("SHOW WARNINGS") if warned else [])
        empty = batch(names, kinds, [])
        tables = [pa.Table.from_batches([each]) for each in batches or [empty]]
        return pa.concat_tables(tables, promote_options="permissive")

    def _rows(self, text: str, values: Any = None) -> list[tuple[Any, ...]]:
        with in_words(self.address), self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall()) if cursor.description else []

    def _assembled(self, query: Any, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
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
            text = mysql_dialect.write(self._with_views(_with_row_ids(query)))
        except sqlglot.errors.SqlglotError as error:
            raise SourceError(
                f"MySQL has no counterpart to a part of the SQL: {in_one_sentence(error)}"
            ) from None
        bound = dict(values)
        for _, own in self._views.values():
            bound |= own
        used = {name: value for name, value in bound.items() if f"%({name})s" in text}
        return text, used or {"percent": "%"}

    def _with_views(self, query: Any, prefix: str = "v_") -> Any:
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
            if prefix + name in needed or (not prefix and name in self._raw):
                continue
            if name in self._raw:
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
        return next((n for n in (*self._views, *self._raw) if n.lower() == name.lower()), None)

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
        for column in self._raw.get(table or "", ()):
            if column.name.lower() == side.name.lower():
                plain = isinstance(column.read(), exp.Column)
                kind = column.collation or column.declared
                return None if plain else (str(table), column.name.lower(), kind)
        return None

    def is_key(self, table: str, columns: set[str]) -> bool:
        """Whether a unique index says that at most one row has given values."""
        keys: dict[str, set[str]] = {}
        for name, column in self._rows(_UNIQUE, (self.address.database, table)):
            keys.setdefault(_text(name), set()).add(_text(column or "").lower())
        return any(key <= columns for key in keys.values())

    def _raw_select(self, table: str) -> Any:
        place = exp.table_(table, db=self.address.database, quoted=True)
        columns = [
            exp.alias_(column.read(), column.name, quoted=True) for column in self._raw[table]
        ]
        columns += [
            exp.alias_(exp.column(column.name, quoted=True), _STORED + column.name, quoted=True)
            for column in self._raw[table]
            if (table, column.name.lower()) in self._keys
        ]
        return exp.select(*columns).from_(place)


_COLUMNS = """
SELECT column_name, data_type, column_type, collation_name, privileges FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
_TABLE = """
SELECT engine, table_comment FROM information_schema.tables
WHERE table_schema = %s AND table_name = %s
"""
_TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY table_name
"""
_UNIQUE = """
SELECT index_name, column_name FROM information_schema.statistics
WHERE table_schema = %s AND table_name = %s AND non_unique = 0
"""
_STORED = "stored "
"""How the second name of a column begins under which it keeps its index."""


def _parsed(sql: str) -> Any:
    return sqlglot.parse_one(sql, dialect="duckdb")


def _of_table(table: str, sql: str) -> Any:
    """A table's query, with its placeholders named as its own."""
    query = _parsed(sql)
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


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes | bytearray) else str(value)


def _check_version(address: Address, version: str, *, is_mariadb: bool) -> None:
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    needed = (10, 4) if is_mariadb else (8, 0, 17)
    if numbers < needed:
        kind = "MariaDB 10.4" if is_mariadb else "MySQL 8.0.17"
        raise SourceError(
            f"MySQL at {address.server} is version {version}; needed is {kind} or newer, for exact "
            "collations and window functions."
        )


def _spelt_out(columns: Sequence[_RawColumn]) -> Any:
    """A row as one text in which no two different rows look alike."""
    parts = []
    for column in columns:
        stored: Any = exp.column(column.name, quoted=True)
        if column.kind == "timestamp":  # as text it would depend on the session's zone
            stored = exp.Anonymous(this="UNIX_TIMESTAMP", expressions=[stored])
        value = exp.cast(stored, "VARCHAR")
        length = exp.Anonymous(this="LENGTH", expressions=[value])
        spelt = exp.func("CONCAT", length, exp.Literal.string(":"), value.copy())
        parts.append(exp.func("COALESCE", spelt, exp.Literal.string("-")))
    return exp.Anonymous(this="CONCAT_WS", expressions=[exp.Literal.string(","), *parts])


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


def _is_no_day(column: exp.Column) -> Any:
    """The condition that a date counted in days is another one, such as 31 February."""
    number = exp.Anonymous(this="TO_DAYS", expressions=[column.copy()])
    counted = exp.Anonymous(this="FROM_DAYS", expressions=[number])
    other = exp.or_(
        counted.is_(exp.null()),
        exp.NEQ(
            this=counted.copy(), expression=exp.Anonymous(this="DATE", expressions=[column.copy()])
        ),
    )
    return exp.and_(column.copy().is_(exp.null()).not_(), other)


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
