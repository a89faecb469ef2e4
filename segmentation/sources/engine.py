"""The embedded engine: runs the project's SQL in DuckDB, next to the files.

An engine has a ``dialect``, a way to bind raw tables and a way to run a query into
pandas. Nothing else in the package knows a database; `Engine` says what stages may ask
of any of them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from segmentation.core.errors import OutputError, ParameterError, SourceError
from segmentation.sources.csv_checks import bind_csv, bind_lines
from segmentation.sources.files import RawFiles

MEMORY_VARIABLE = "SEGMENTATION_MEMORY_LIMIT"
"""Environment variable with the most memory that the embedded engine may use, as 4GB."""
_AMOUNT = re.compile(r"\s*\d+(\.\d+)?\s*[KMGT]i?B\s*", re.I)
Values = dict[str, Any] | None
"""What the driver binds to a query's parameters, by their names."""
ZONED = "TIMESTAMP WITH TIME ZONE"
"""How every engine names the type of a point in time; its day is that of the engine's zone."""
OFFSET = "[T ][0-9:.]+(Z|[+-][0-9:]+)$"
"""How a text ends that says a time of the day and how far that is from UTC."""


@dataclass(frozen=True)
class Shortcut:
    """A query that gives a table's rows but for one column, at less cost.

    An engine that runs a table's query in every query that reads it takes the shortcut where
    nobody asks for that column; one that keeps the table's rows needs none.
    """

    column: str
    sql: str


class Engine(Protocol):
    """What runs the SQL, written in DuckDB's dialect, next to the data.

    Where a method has a body, it is what an engine does that has nothing to do for it.
    """

    dialect: ClassVar[str]
    error: ClassVar[type[Exception]]
    """What a query raises that cannot be run."""
    no_column: ClassVar[str] = "no column"
    """How a missing column is said."""
    is_synthetic: bool = False
    """Whether the bound tables say that they are made up."""

    def bind(self, table: str, path: Path | None = None) -> None:
        """Make a raw table readable by its name."""

    def rename(self, table: str, other_names: Mapping[str, str]) -> None:
        """Give the columns of a bound table the names that the SQL uses."""

    def lock(self) -> None:
        """Close the door behind the bound tables; nothing to do where SQL reaches no file."""
        return

    def check_dates(self, sql: str) -> None:
        """Refuse raw dates that no calendar has; those of files are text, or exist."""
        return

    def create(
        self, table: str, sql: str, values: Values = None, *, shortcut: Shortcut | None = None
    ) -> None:
        """Define a query as a table, anew if it is there."""

    def query(self, sql: str, values: Values = None) -> pd.DataFrame:
        """Run a query into pandas; the driver binds values."""

    def columns(self, sql: str) -> dict[str, str]:
        """Column names and types that a query returns, without running it."""

    def columns_of(self, table: str) -> dict[str, str]:
        """Column names and types of a table."""
        return self.columns(exp.select("*").from_(exp.to_table(table)).sql("duckdb"))

    def count(self, table: str) -> int:
        """Number of rows of a table."""

    def is_key(self, table: str, columns: set[str]) -> bool:
        """Whether at most one row of a raw table has given values; files have no keys."""
        return False

    def cast_fails(self, cast: exp.Cast) -> exp.Expression:
        """The condition that a value is not what a CAST would make of it."""

    def is_not_finite(self, value: exp.Expression) -> exp.Expression:
        """The condition that a number is infinite or none."""

    def check_unchanged(self) -> None:
        """Refuse results over tables that changed while they were read."""

    def description(self) -> dict[str, str]:
        """What ran the SQL, for the manifest."""

    def close(self) -> None:
        """Give memory and connections back."""


class DuckDbEngine(Engine):
    """DuckDB in memory, without extensions, on files bound as tables.

    Parameters
    ----------
    scratch : Path, optional
        Folder for what does not fit into the memory limit, which is `MEMORY_VARIABLE` of
        the environment, else DuckDB's own (four fifths of the machine). Without a folder
        nothing is ever written to disk.
    time_zone : str
        IANA name of the zone in whose days points in time are counted, whatever the machine's.

    Raises
    ------
    ParameterError
        If the environment's limit is no amount of memory, or the zone is unknown.
    """

    dialect = "duckdb"
    error: ClassVar[type[Exception]] = duckdb.Error

    def __init__(
        self,
        files: RawFiles | None = None,
        *,
        scratch: Path | None = None,
        time_zone: str = "UTC",
    ) -> None:
        self.files = files or RawFiles()
        settings: dict[str, Any] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "" if scratch is None else str(scratch),
        }
        if limit := os.environ.get(MEMORY_VARIABLE):
            if not _AMOUNT.fullmatch(limit):
                raise ParameterError(
                    f"{MEMORY_VARIABLE} is {limit!r}; give an amount of memory such as 4GB."
                )
            settings["memory_limit"] = limit
        self.connection = duckdb.connect(config=settings)
        try:
            self._set("TimeZone", exp.Literal.string(time_zone))
        except duckdb.Error:  # its list of zones is of another year than Python's
            raise ParameterError(f"time_zone: DuckDB knows no zone {time_zone}.") from None
        with contextlib.suppress(duckdb.Error):  # in Jupyter it asks for widgets, and draws none
            self._set("enable_progress_bar", exp.false())  # elsewhere to standard output
        self._in_place: dict[str, Path] = {}

    def close(self) -> None:
        """Give the memory back."""
        self.connection.close()

    def bind(self, table: str, path: Path | None = None) -> None:
        """Load the file of a raw table."""
        if path is None:
            raise SourceError(f"table {table} has no file; give location a folder or file.")
        self.bind_file(table, path)

    def bind_file(self, table: str, path: Path) -> None:
        """Load one raw file as a table of text columns (Parquet keeps its types).

        A ``.txt`` file becomes the columns ``line_number`` and ``line``; workbooks and ZIP
        archives are unpacked before (`raw_files.RawFiles`).

        Raises
        ------
        SourceError
            If the file is empty, in no encoding that is read, ragged or damaged; with the
            place.
        """
        name, path = path.name, self.files.readable(path, table)
        if path.is_dir():
            path, _ = self.files.one_below_the_other(path, table)
        if path.suffix.lower() == ".parquet":
            self._bind_parquet(table, path, name)
            return
        is_text = path.suffix.lower() == ".txt"
        if is_text:
            bind_lines(self.connection, table, path)
        else:
            self.files.spanning[table] = bind_csv(self.connection, table, path)
        if self.count(table) == (1 if is_text else 0):
            raise SourceError(f"{path.name}: has a header but no rows; export it again.")

    def _bind_parquet(self, table: str, path: Path, name: str) -> None:
        """Read the file where it is: it is columns already, and may be larger than memory."""
        path = path.resolve()
        try:
            pq.ParquetFile(path, page_checksum_verification=True)
            self.connection.read_parquet(str(path)).create_view(table)
            self._in_place[table] = path
            is_empty = self.count(table) == 0
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{name}: is not a readable Parquet file ({type(error).__name__}); export it again."
            ) from None
        if is_empty:
            raise SourceError(f"{name}: has columns but no rows; export it again.")

    def rename(self, table: str, other_names: Mapping[str, str]) -> None:
        """Give the columns of a bound table the names that the SQL uses.

        ``other_names`` maps a name that some files have to the one of the SQL; it is used
        where a file has the one and lacks the other.
        """
        held = {name.casefold(): name for name in self.columns_of(table)}
        renamed = {
            held[other.casefold()]: wanted
            for other, wanted in other_names.items()
            if other.casefold() in held and wanted.casefold() not in held
        }
        if not renamed:
            return
        if table in self._in_place:
            columns = [
                exp.alias_(exp.column(name, quoted=True), renamed.get(name, name), quoted=True)
                for name in held.values()
            ]
            projected = ", ".join(column.sql("duckdb") for column in columns)
            file = self.connection.read_parquet(str(self._in_place[table]))
            file.project(projected).create_view(table, replace=True)
            return
        for name, wanted in renamed.items():
            action = exp.RenameColumn(
                this=exp.to_identifier(name, quoted=True),
                to=exp.to_identifier(wanted, quoted=True),
            )
            change = exp.Alter(this=exp.to_table(table), kind="TABLE", actions=[action])
            self.connection.execute(change.sql("duckdb"))

    def lock(self) -> None:
        """Close the door behind the bound files: from here on no SQL reaches the disk."""
        allowed = exp.Array(
            expressions=[exp.Literal.string(str(path)) for path in self._in_place.values()]
        )
        self._set("allowed_paths", allowed)
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _set(self, name: str, value: exp.Expression) -> None:
        setting = exp.SetItem(this=exp.EQ(this=exp.var(name), expression=value))
        self.connection.execute(exp.Set(expressions=[setting]).sql("duckdb"))

    def cast_fails(self, cast: exp.Cast) -> exp.Expression:
        """The condition that a CAST would stop the query."""
        runs = exp.Case().when(exp.Is(this=cast.copy(), expression=exp.null()), "0").else_("1")
        return exp.Is(this=exp.func("TRY", runs), expression=exp.null())

    def is_not_finite(self, value: exp.Expression) -> exp.Expression:
        """The condition that a number is infinite or none."""
        return exp.not_(exp.func("ISFINITE", value))

    def check_unchanged(self) -> None:
        """Refuse results over files that changed while they were read."""
        self.files.check_unchanged()

    def description(self) -> dict[str, str]:
        """What ran the SQL (its version is among the packages), and how files were read."""
        return {"engine": "duckdb", **self.files.notes}

    def create(
        self, table: str, sql: str, values: Values = None, *, shortcut: Shortcut | None = None
    ) -> None:
        """Materialise a query as a table (anew, if it is there); the driver binds values."""
        statement = exp.Create(
            this=exp.to_table(table),
            kind="TABLE",
            expression=sqlglot.parse_one(sql, dialect="duckdb"),
            replace=True,
        )
        with self._room():
            self.connection.execute(statement.sql("duckdb"), values or None)

    def query(self, sql: str, values: Values = None) -> pd.DataFrame:
        """Run a query into pandas; exact decimals arrive as ``decimal.Decimal``."""
        with self._room():
            table = self.connection.sql(sql, params=values or None).to_arrow_table()
        return table.to_pandas(date_as_object=False)

    def parts(self, sql: str, rows: int) -> Iterator[pd.DataFrame]:
        """Run a query and give its rows in their order, so many at a time."""
        with self._room():
            for batch in self.connection.sql(sql).to_arrow_reader(rows):
                yield batch.to_pandas(date_as_object=False)

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise OutputError(
                "the orders need more memory and scratch space than there is; free the disk that "
                f"holds --runs-dir, or allow more memory by {MEMORY_VARIABLE} (as 4GB)."
            ) from None

    def columns(self, sql: str) -> dict[str, str]:
        """Column names and types that a query returns, without running it."""
        relation = self.connection.sql(sql)
        return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        return len(self.connection.table(table))
