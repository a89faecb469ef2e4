"""The cluster engine: runs the project's SQL in Spark, on this machine or on many.

Raw tables stay where they are; transactions and their rules are kept in the memory (and on
the disks) of the executors, because a dozen queries read them. What comes to the driver is
the ledger, the tables of the book and, where a run asks for them, one row per customer.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError, in_one_sentence
from segmentation.sources.csv_checks import bind_csv
from segmentation.sources.engine import ZONED, Engine, Shortcut, Values
from segmentation.sources.files import RawFiles
from segmentation.sources.source import SYNTHETIC_MARKER
from segmentation.sources.spark import dialect as spark_dialect
from segmentation.sources.spark import tables as spark_tables
from segmentation.sources.spark.place import SparkPlace
from segmentation.sources.spark.session import check_reachable, in_words, session_for

_WORDS = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "tinyint": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp": ZONED,
    "timestamp_ntz": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "void": '"NULL"',
}
_PLACED = "__placed"
"""How the name of a raw table ends under which its rows know their place."""


class SparkEngine(Engine):
    """A Spark session with a run's raw tables; queries in DuckDB's dialect, answers in pandas."""

    dialect = "spark"
    error: ClassVar[type[Exception]] = SourceError

    def __init__(
        self, place: SparkPlace, files: RawFiles | None = None, *, time_zone: str = "UTC"
    ) -> None:
        self.place = place
        self.files = files or RawFiles()
        self.session = session_for(place, time_zone=time_zone)
        self.is_synthetic = False
        self._raw: dict[str, Any] = {}
        self._from_files: set[str] = set()
        self._kept: dict[str, Any] = {}
        self._fingerprints: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Give the executors' memory back; the session stays for the next run."""
        with contextlib.suppress(Exception), in_words(self.place):
            check_reachable(self.place)  # one that is gone keeps nothing
            for table in self._kept.values():
                table.unpersist()
            for name in (*self._kept, *self._raw):
                self.session.catalog.dropTempView(name)
                self.session.catalog.dropTempView(name + _PLACED)
        self._kept.clear()
        self._raw.clear()

    def description(self) -> dict[str, str]:
        """What ran the SQL and where, for the manifest: no address."""
        kinds = {"spark": "standalone cluster", "sc": "Spark Connect"}
        with in_words(self.place):
            return {
                "engine": "spark",
                "server": f"Spark {self.session.version}",
                "cluster": kinds.get(self.place.kind, "Spark's own configuration"),
            }

    # --- raw tables -------------------------------------------------------------------

    def bind(self, table: str, path: Path | None = None) -> None:
        """Make a raw table readable by its name; text stays text, Parquet keeps its types.

        Raises
        ------
        SourceError
            If it is missing, empty or cannot be read.
        """
        if table in self._raw:
            return
        ready = None
        if path is not None:
            self._from_files.add(table)
            ready = self.files.readable(path, table)
            if ready.suffix.lower() == ".csv":
                with duckdb.connect() as lines:  # what Spark counts, it cannot account for
                    self.files.spanning[table] = bind_csv(lines, "rows", ready, keep=False)
        with in_words(self.place):
            rows = self._read(table, ready)
            if ready is not None and ready.suffix.lower() in (".csv", ".txt"):
                rows = rows.persist()  # text is taken apart once, and read once per column
                self._kept[table] = rows
            self._show(table, rows)
            self._raw[table] = rows
        self._check_readable(table, path)

    def _show(self, table: str, rows: Any) -> None:
        rows.createOrReplaceTempView(table + _PLACED)
        rows.drop(spark_tables.ROW).createOrReplaceTempView(table)

    def rename(self, table: str, other_names: Mapping[str, str]) -> None:
        """Give the columns of a bound table the names that the SQL uses."""
        with in_words(self.place):
            rows = self._raw[table]
            held = {name.casefold(): name for name in rows.columns}
            for other, wanted in other_names.items():
                if other.casefold() in held and wanted.casefold() not in held:
                    rows = rows.withColumnRenamed(held[other.casefold()], wanted)
            self._show(table, rows)

    def _read(self, table: str, path: Path | None) -> Any:
        if path is not None:
            return spark_tables.read_file(self.session, path)
        if self.place.database:
            return spark_tables.read_database(self.session, self.place.database, table)
        folder = self.place.folder
        self.is_synthetic |= spark_tables.is_marked_synthetic(
            self.session, folder, SYNTHETIC_MARKER
        )
        return spark_tables.read_storage(self.session, folder, table)

    def _check_readable(self, table: str, path: Path | None) -> None:
        """Read every value once: a ragged line or a damaged page shows here, with its name."""
        name = path.name if path is not None else f"table {table}"
        try:
            rows = self.fingerprint(table)["rows"]
        except SourceError as error:
            if "reports" not in str(error):
                raise
            raise SourceError(
                f"{name}: cannot be read ({_said(error)}); export it again."
            ) from None
        if rows == 0:
            raise SourceError(f"{name}: has columns but no rows; export it again.")

    def fingerprint(self, table: str) -> dict[str, Any]:
        """Rows and checksum of a bound table.

        Returns
        -------
        dict
            ``sha256`` of columns, number of rows and the sums of two 64-bit hashes of every
            row: equal rows in any order give the same. ``rows``, their number.
        """
        if table not in self._fingerprints:
            self._fingerprints[table] = self._read_fingerprint(table)
        return self._fingerprints[table]

    def _read_fingerprint(self, table: str) -> dict[str, Any]:
        from pyspark.sql import functions as f

        with in_words(self.place):
            rows = self._raw[table].drop(spark_tables.ROW)
            columns = [f.col(_quoted(name)) for name in rows.columns]
            # a hash skips empty values: which ones are empty is a value too
            empty = f.array(*(column.isNull() for column in columns))
            first, second = (
                f.sum(f.xxhash64(f.lit(seed), empty, *columns).cast("decimal(20, 0)"))
                for seed in (1, 2)
            )
            found = rows.agg(f.count(f.lit(1)), first, second).collect()[0]
            plain = repr((table, rows.dtypes, *map(str, found)))
        return {"sha256": hashlib.sha256(plain.encode()).hexdigest(), "rows": int(found[0])}

    def check_unchanged(self) -> None:
        """Refuse results over tables that changed while they were read.

        Raises
        ------
        SourceError
            Names the first table.
        """
        self.files.check_unchanged()
        for table in set(self._raw) - self._from_files:
            if self._read_fingerprint(table) != self.fingerprint(table):
                raise SourceError(
                    f"table {table}: changed while it was read; run it again when nobody writes."
                )

    # --- queries ----------------------------------------------------------------------

    def create(
        self, table: str, sql: str, values: Values = None, *, shortcut: Shortcut | None = None
    ) -> None:
        """Define a query as a table, anew if it is there; executors keep it once it was read."""
        rows = self._rows(sqlglot.parse_one(sql, dialect="duckdb"), values or {})
        with in_words(self.place):
            before = self._kept.pop(table, None)
            kept = rows.persist()  # in memory, and on disk where that is full
            kept.createOrReplaceTempView(table)
            self._kept[table] = kept
            if before is not None:
                before.unpersist()

    def query(self, sql: str, values: Values = None) -> pd.DataFrame:
        """Run a query into pandas; exact decimals arrive as ``decimal.Decimal``."""
        rows = self._rows(sqlglot.parse_one(sql, dialect="duckdb"), values or {})
        with in_words(self.place), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return rows.toArrow().to_pandas(date_as_object=False)

    def columns(self, sql: str) -> dict[str, str]:
        """Column names and types (in DuckDB's words) that a query returns."""
        query = sqlglot.parse_one(sql, dialect="duckdb")
        unknown = {node.name: None for node in query.find_all(exp.Placeholder)}
        rows = self._rows(query, unknown)
        with in_words(self.place):
            return {n: _WORDS.get(kind, kind.upper().replace(",", ", ")) for n, kind in rows.dtypes}

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        if table in self._raw:
            return int(self.fingerprint(table)["rows"])
        with in_words(self.place):
            return int(self.session.table(table).count())

    def cast_fails(self, cast: exp.Cast) -> exp.Expression:
        """The condition that a CAST would stop the query."""
        return spark_dialect.cast_fails(cast)

    def is_not_finite(self, value: exp.Expression) -> exp.Expression:
        """The condition that a number is infinite or none."""
        return spark_dialect.is_not_finite(value)

    def write(self, table: str, address: str) -> None:
        """Write a table as Parquet, by the executors: no row comes to the driver."""
        with in_words(self.place):
            rows = self.session.table(table).orderBy("customer_id")
            rows.write.mode("overwrite").parquet(address)

    def _rows(self, query: Any, values: dict[str, Any]) -> Any:
        try:
            text = spark_dialect.write(self._with_places(query.copy()))
        except sqlglot.errors.SqlglotError as error:
            raise SourceError(
                f"Spark has no counterpart to a part of the SQL: {in_one_sentence(error)}"
            ) from None
        with in_words(self.place):
            return self.session.sql(text, args=values) if values else self.session.sql(text)

    def _with_places(self, query: Any) -> Any:
        """Give rows their place where a query asks for it: in ``rowid``, or by plain numbers.

        ``ROW_NUMBER() OVER ()`` means the order of the file, which Spark keeps in no other way.
        """
        own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
        for table in list(query.find_all(exp.Table)):
            if table.db:
                raise SourceError(
                    f"the source's SELECT reads {table.sql()}; it reads tables of its location "
                    "only, each by its plain name."
                )
            select = table.parent_select
            if select is None or table.name not in self._raw or table.name.lower() in own:
                continue
            alias = table.alias_or_name
            numbers = [w for w in select.find_all(exp.Window) if _is_plain_number(w, select)]
            asked = any(c.name == spark_tables.ROW for c in select.find_all(exp.Column))
            if asked or numbers:
                placed = exp.to_table(table.name + _PLACED, quoted=True)
                table.replace(exp.alias_(placed, alias, table=True))
            for number in numbers:
                if not number.args.get("order"):
                    place = exp.Ordered(this=exp.column(spark_tables.ROW, alias))
                    number.set("order", exp.Order(expressions=[place]))
        return query


def _is_plain_number(window: exp.Window, select: Any) -> bool:
    is_number = isinstance(window.this, exp.RowNumber) and window.parent_select is select
    return is_number and not window.args.get("order") and not window.args.get("partition_by")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _said(error: SourceError) -> str:
    return str(error).split("reports: ", 1)[-1].rstrip(".")
