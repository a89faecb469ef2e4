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
from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three
from segmentation.sources.engine import Engine, Shortcut, Values
from segmentation.sources.mysql import dialect as mysql_dialect
from segmentation.sources.mysql import functions
from segmentation.sources.mysql.address import Address
from segmentation.sources.mysql.answers import KINDS, batch, fetched, refuse_division_by_zero
from segmentation.sources.mysql.columns import DATE_TYPES, RawColumn, is_no_day, spelt_out
from segmentation.sources.mysql.faults import in_words
from segmentation.sources.mysql.server import connect, driver_words
from segmentation.sources.mysql.session import set_for_session, set_zone
from segmentation.sources.mysql.views import Views, parsed
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


class MySqlEngine(Engine):
    """One snapshot of a database's tables; queries in DuckDB's dialect, answers in pandas."""

    dialect = "mysql"
    error: ClassVar[type[Exception]] = SourceError
    no_column: ClassVar[str] = "no column (that the user may read)"

    def __init__(self, address: Address, time_zone: str = "UTC") -> None:
        self.address = address
        self._time_zone = time_zone
        self.connection = connect(address)
        self._views = Views(address.database)
        self._raw = self._views.raw
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
            RawColumn(*(_text(part or "") for part in row[:4]))
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
        row = exp.Anonymous(this="MD5", expressions=[spelt_out(columns)])
        halves = [
            sqlglot.parse_one(
                f"SUM(CAST(CONV(SUBSTRING(h, {start}, 15), 16, 10) AS DECIMAL(20, 0)))",
                dialect="mysql",
            )
            for start in (1, 16)
        ]
        hashed = exp.select(exp.alias_(row, "h")).from_(exp.to_table(table))
        query = exp.select(exp.Count(this=exp.Star()), *halves).from_(hashed.subquery("hashed"))
        text, values = self._views.assembled(query, {})
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
        if (typed := self._typed(parsed(sql))) is not None:
            functions.refuse_mixed(typed)
        used = columns_named(sql)
        for table, columns in self._raw.items():
            for column in columns:
                if column.kind in DATE_TYPES and column.name.lower() in used:
                    self._check_dates_of(table, column.name)

    def _check_dates_of(self, table: str, name: str) -> None:
        column = exp.column(name, quoted=True)
        parts = [exp.Anonymous(this=f, expressions=[column]) for f in ("MONTH", "DAYOFMONTH")]
        query = (
            exp.select(exp.alias_(exp.cast(column, "VARCHAR"), "day"))
            .from_(exp.to_table(table))
            .where(exp.or_(*(part.eq(0) for part in parts), is_no_day(column)))
        )
        found = self._arrow(query, {})["day"].to_pylist()
        if found:
            raise SourceError(
                f"table {table}: {name} is no day of the calendar in {len(found):,} row(s): "
                f"{first_three(found)}; correct them, or store NULL where the day is unknown."
            )

    # --- queries ----------------------------------------------------------------------

    def create(
        self, table: str, sql: str, values: Values = None, *, shortcut: Shortcut | None = None
    ) -> None:
        """Define a query as a table (anew, if it is there); it is run by those that read it."""
        self._views.define(table, sql, values, shortcut)
        self.columns_of(table)  # what cannot be run is said here

    def query(self, sql: str, values: Values = None) -> pd.DataFrame:
        """Run a query into pandas; rows stream in batches, exact decimals stay exact."""
        return self._arrow(parsed(sql), values or {}).to_pandas(date_as_object=False)

    def columns(self, sql: str) -> dict[str, str]:
        """Column names and types (in DuckDB's words) that a query returns."""
        query = parsed(sql)
        none = exp.select("*").from_(query.copy().subquery("asked")).limit(0)
        values = {p.name: None for p in query.find_all(exp.Placeholder)}
        text, bound = self._views.assembled(none, values)
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
        return functions.with_types(self._views.with_views(query.copy(), prefix=""), schema)

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        query = exp.select(exp.Count(this=exp.Star())).from_(exp.to_table(table))
        return int(self._rows(*self._views.assembled(query, {}))[0][0])

    def cast_fails(self, cast: exp.Cast) -> exp.Expression:
        """The condition that a CAST would not give what the text says."""
        return mysql_dialect.cast_fails(cast)

    def is_not_finite(self, value: exp.Expression) -> exp.Expression:
        """Never: what is no finite number is refused as no number already."""
        return exp.false()

    def _arrow(self, query: Any, values: dict[str, Any]) -> pa.Table:
        text, bound = self._views.assembled(query, values)
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

    def is_key(self, table: str, columns: set[str]) -> bool:
        """Whether a unique index says that at most one row has given values."""
        keys: dict[str, set[str]] = {}
        for name, column in self._rows(_UNIQUE, (self.address.database, table)):
            keys.setdefault(_text(name), set()).add(_text(column or "").lower())
        return any(key <= columns for key in keys.values())


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
