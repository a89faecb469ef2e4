"""A source: its SELECT, the raw tables that it names, and their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three, in_one_sentence
from segmentation.core.parameter_fields import NONE, SHIPPED_SOURCES
from segmentation.core.parameters import PROJECT_ROOT, resolve_path
from segmentation.core.readings import TableReading
from segmentation.sources.files import HOLD_SEVERAL_TABLES, RAW_SUFFIXES, kind_of, parts_of
from segmentation.sources.forgotten import Forgotten, LeftOut
from segmentation.sources.mysql.address import is_database, shown_location
from segmentation.sources.spark.place import is_spark_place, parse_place

SQL_FOLDER = Path(__file__).parent / "sql"
SYNTHETIC_MARKER = "SYNTHETIC.md"
_OTHER_NAME = re.compile(r"^-- also named: *(.+?) *= *(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A source: its SELECT, its raw tables and the files they were found in, if in files.

    ``is_customer_table`` is true where the SELECT gives one row per customer with
    features already computed; such a source enters at the features stage.
    """

    name: str
    sql: str
    files: dict[str, Path]
    is_customer_table: bool = False
    zoned: tuple[str, ...] = ()
    """Raw columns that hold points in time with a zone, known once the source was read."""
    marks: tuple[tuple[str, str], ...] = ()
    """Raw columns whose numbers are written in another way than engines do: the decimal mark."""
    found: tuple[dict[str, Any], ...] = ()
    """Findings of customer ids and files, made while it was read."""
    readings: Mapping[str, TableReading] = field(default_factory=dict, repr=False)
    """What the profile states of how files are read."""
    tables: tuple[str, ...] = ()
    """Raw tables in alphabetical order, in files or in a database."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns that the raw tables call otherwise than the SELECT, as the profile says."""
    own_sql: str = ""
    """SELECT of features of the shop's own; empty where there is none."""
    own_names: tuple[str, ...] = ()
    """Features of the shop's own, as the profile describes them."""
    rounded: tuple[int, tuple[str, ...]] = (0, ())
    """Customers of a customer table whose money was rounded to the cent, and three amounts."""
    is_synthetic: bool = False
    """Whether the files are a generator's: their folder then holds a marker file."""
    forgotten: Forgotten = field(default=Forgotten(), repr=False)
    """Customers whose lines are not to be read."""
    left_out: LeftOut | None = None
    """What was not read of theirs; None where nobody is on the list."""
    lines: str = field(default="", repr=False)
    """The SELECT as it is read, known once all that the raw tables hold was checked."""

    def place_of(self, table: str) -> str:
        """Where a raw table is, as an error names it."""
        return self.files[table].name if table in self.files else f"table {table}"

    @property
    def other_names(self) -> dict[str, str]:
        """Names that columns have in some files, mapped to those of the SELECT.

        They stand in the SQL as comments, one a line: ``-- also named: Invoice = InvoiceNo``,
        or in the profile: ``columns: {InvoiceNo: Invoice}``.
        """
        stated = {held: wanted for wanted, held in self.columns.items()}
        return dict(_OTHER_NAME.findall(self.sql)) | stated


def find_source(
    source: str,
    location: str,
    readings: Mapping[str, TableReading] | None = None,
    *,
    own: str = NONE,
) -> Source:
    """Read a source's SELECT and find the file of every raw table that it names.

    Parameters
    ----------
    source : str
        A shipped source's name, or the path of a ``.sql`` file.
    location : str
        Folder with ``<table>.csv`` or another of `RAW_SUFFIXES`, with several files
        ``<table>_2024_01.csv`` …, or with a folder ``<table>`` of such; or one file (several
        tables: one ZIP archive, or one workbook with a sheet for each); or
        ``mysql://host:port/database``.
    readings : mapping of table to TableReading, optional
        What the profile states; where it names files, these are read.
    own : str
        The path of a ``.sql`` file with features of the shop's own, which may read further
        tables; or ``none``.

    Raises
    ------
    SourceError
        If the source, the location or a table's file is missing, or a table has several;
        names what was sought, or found.
    """
    name, sql = source_sql(source)
    own_sql = "" if own == NONE else source_sql(own)[1]
    tables, readings = raw_tables(sql), readings or {}
    if own_sql:
        try:
            tables = sorted({*tables, *raw_tables(own_sql)})
        except SourceError as error:
            raise SourceError(f"own_features: {error}") from None
    stated = {table: reading.files for table, reading in readings.items() if reading.files}
    _check_readings(name, readings, tables)
    if is_database(location) or is_spark_place(location):
        if readings:
            raise SourceError(
                f"tables states how files of {first_three(readings)} are read, but location is a "
                "database; take it out of the profile."
            )
        return Source(name, sql, {}, tables=tuple(tables), own_sql=own_sql)
    place = resolve_path(location)
    try:
        found = place.exists()
    except OSError:  # longer than any path of this system
        raise SourceError(
            f"location {location[:40]!r}… is no path; give the folder or file that holds "
            f"{first_three(tables)}."
        ) from None
    if not found:
        raise SourceError(
            f"location {location!r} does not exist; give the folder or file that holds "
            f"{first_three(tables)}."
        )
    if place.is_file():
        if stated:
            raise SourceError(
                f"tables names files of {first_three(stated)}, but location {location!r} is one "
                "file; give their folder as location."
            )
        _check_file(name, place, location, tables)
        files = dict.fromkeys(tables, place)
    else:
        files = {
            table: _stated_file(place, location, table, stated[table])
            if table in stated
            else _table_file(place, location, table)
            for table in tables
        }
    is_synthetic = any((path.parent / SYNTHETIC_MARKER).exists() for path in files.values())
    return Source(
        name,
        sql,
        files,
        tables=tuple(tables),
        readings=readings,
        is_synthetic=is_synthetic,
        own_sql=own_sql,
    )


def _check_readings(name: str, readings: Mapping[str, TableReading], tables: list[str]) -> None:
    unknown = [table for table in readings if table not in tables]
    if unknown:
        raise SourceError(
            f"tables states how {first_three(unknown)} is read, but source {name} reads "
            f"{first_three(tables)}; correct the name in the profile."
        )


def _stated_file(folder: Path, location: str, table: str, files: str) -> Path:
    path = folder / files
    if not parts_of(path) or not parts_of(path)[0].is_file():
        raise SourceError(
            f"location {location!r} has no {files}, which tables names as the files of {table}."
        )
    if path.is_file() and kind_of(path) not in RAW_SUFFIXES:
        raise SourceError(
            f"{files}: files of kind {kind_of(path) or '(none)'} are not read; accepted are "
            f"{', '.join(RAW_SUFFIXES)}."
        )
    return path


def _check_file(name: str, place: Path, location: str, tables: list[str]) -> None:
    suffix = kind_of(place)
    if suffix not in RAW_SUFFIXES:
        raise SourceError(
            f"{place.name}: files of kind {place.suffix or '(none)'} are not read; "
            f"accepted are {', '.join(RAW_SUFFIXES)}."
        )
    if len(tables) != 1 and suffix not in HOLD_SEVERAL_TABLES:
        raise SourceError(
            f"source {name} needs {len(tables)} tables ({first_three(tables)}) but location "
            f"{location!r} is one file; give their folder."
        )


def source_sql(source: str) -> tuple[str, str]:
    """Name and SELECT of a source."""
    if source in SHIPPED_SOURCES:
        return source, (SQL_FOLDER / f"{source}.sql").read_text(encoding="utf-8")
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
    wanted = {f"{table}{suffix}".casefold() for suffix in RAW_SUFFIXES}
    parts = (folder / f"{table}.parquet", folder / table)
    try:
        found = [path for path in folder.iterdir() if path.name.casefold() in wanted]
        found = [path for path in found if path.is_file()]
        found += [
            path
            for path in parts
            if path.is_dir() and any(kind_of(part) in RAW_SUFFIXES for part in parts_of(path))
        ]
        if not found:
            found = _numbered(folder, table)
    except OSError as error:
        raise SourceError(
            f"location {location!r} cannot be read ({(error.strerror or str(error)).lower()})."
        ) from None
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(
            f"location {location!r} has {len(found)} files for table {table} "
            f"({first_three(sorted(path.name for path in found))}); keep one of them there."
        )
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    raise SourceError(
        f"location {location!r} has no file for table {table}; "
        f"looked for {table}{f', {table}'.join(RAW_SUFFIXES)}; the folder holds "
        f"{first_three(names) or 'nothing'}."
    )


def _numbered(folder: Path, table: str) -> list[Path]:
    """The pattern of files such as ``orders_2024_01.csv``; several if their kinds differ."""
    pattern = f"{table}[-_. ][0-9]*"
    kinds = sorted({kind_of(part) for part in folder.glob(pattern)} & {*RAW_SUFFIXES})
    found = [folder / f"{pattern}{kind}" for kind in kinds]
    for path in found:
        rest = [part.name.removesuffix(kind_of(part))[len(table) :] for part in parts_of(path)]
        if not all(re.fullmatch(r"[-_. \d]+", text) for text in rest):
            raise SourceError(
                f"{folder.name} has {len(rest):,} files that could be parts of table {table} "
                f"({first_three(part.name for part in parts_of(path))}), and not all end in a "
                "number; name those that are by `files` under tables in the profile."
            )
    return found


def raw_tables(sql: str) -> list[str]:
    """Names of the raw tables that a source's SELECT reads, in alphabetical order.

    Raises
    ------
    SourceError
        If the text is not one SELECT, or reads anything but tables: what a table
        function fetches would be covered by no hash in the manifest.
    """
    query = one_select(sql)
    named = {cte.alias for cte in query.find_all(exp.CTE)}
    found = set()
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Func) and not isinstance(table.this, _ROW_MAKERS):
            function = table.this.name if isinstance(table.this, exp.Anonymous) else None
            raise SourceError(
                f"the source's SELECT calls {function or table.this.sql_name().lower()}(…) as a "
                "table; it reads only tables of its location, each named after its file."
            )
        if table.name and table.name not in named:
            found.add(table.name)
    if not found:
        raise SourceError("the source's SELECT reads no table.")
    return sorted(found)


_ROW_MAKERS = (exp.Unnest, exp.GenerateSeries, exp.Values)


def columns_named(sql: str) -> set[str]:
    """Names of all columns that a `SELECT` of DuckDB's dialect mentions, in small letters.

    Examples
    --------
    >>> sorted(columns_named('SELECT o.Id AS n FROM orders AS o WHERE "day" IS NOT NULL'))
    ['day', 'id']
    """
    query = sqlglot.parse_one(sql, dialect="duckdb")
    return {column.name.lower() for column in query.find_all(exp.Column)}


def one_select(sql: str) -> Any:
    """The parsed SELECT of a source.

    Raises
    ------
    SourceError
        If the text is not exactly one SELECT.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, dialect="duckdb") if s is not None]
    except sqlglot.errors.SqlglotError as error:
        raise SourceError(f"the source's SQL cannot be parsed: {in_one_sentence(error)}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SourceError("a source is exactly one SELECT statement; nothing else is run.")
    return statements[0]


def shown_path(text: str) -> str:
    """A path for a page: inside the project as it is, elsewhere the last name only.

    Examples
    --------
    >>> shown_path("data/raw_data/cdnow"), shown_path("/somewhere/else/orders.csv")
    ('data/raw_data/cdnow', 'orders.csv')
    """
    if is_database(text):
        return shown_location(text)
    if is_spark_place(text):
        return parse_place(text).shown
    path = Path(text).expanduser()
    if path.is_absolute() and path.is_relative_to(PROJECT_ROOT):
        return path.relative_to(PROJECT_ROOT).as_posix()
    return path.name if path.is_absolute() or ".." in path.parts else text
