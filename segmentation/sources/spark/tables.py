"""Raw tables as Spark reads them: the same text and types as the embedded engine sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segmentation.core.errors import SourceError, first_three
from segmentation.sources.csv_checks import csv_header

ROW = "rowid"
"""The place of a row in its file, in the rows that `with_places` gives."""


def read_file(session: Any, path: Path) -> Any:
    """A raw file of this machine, or a folder of Parquet parts.

    Raises
    ------
    SourceError
        If a text file has a column without a name or named twice.
    """
    if path.is_dir() or path.suffix.lower() == ".parquet":
        return with_places(_parquet(session, path.absolute().as_uri()))
    if path.suffix.lower() == ".txt":
        return _lines(session, path.absolute().as_uri())
    return _csv(session, path.absolute().as_uri(), csv_header(path)[0])


def read_storage(session: Any, folder: str, table: str) -> Any:
    """A raw table in a folder that only Spark reaches.

    Raises
    ------
    SourceError
        If none of the names that are looked for is there.
    """
    readers = {
        f"{table}.parquet": lambda uri: _parquet(session, uri),
        table: lambda uri: _parquet(session, uri),
        f"{table}.csv": lambda uri: _csv(session, uri, None),
        f"{table}.txt": lambda uri: _lines(session, uri),
    }
    for name, read in readers.items():
        found = _if_there(lambda name=name, read=read: read(f"{folder}/{name}"))
        if found is not None:
            return found if ROW in found.columns else with_places(found)
    raise SourceError(f"location has no file for table {table}; looked for {', '.join(readers)}.")


def read_database(session: Any, database: str, table: str) -> Any:
    """A table of a catalogue, such as Hive's, Iceberg's or Delta's.

    Raises
    ------
    SourceError
        If there is none of that name; names some that there are.
    """
    found = _if_there(lambda: session.table(f"{database}.{table}"))
    if found is None:
        others = _tables_in(session, database)
        raise SourceError(
            f"table {table}: there is none in database {database}; "
            f"it has {first_three(others) or 'no tables that the user may read'}."
        )
    from pyspark.sql import functions

    return found.withColumn(ROW, functions.monotonically_increasing_id())


def is_marked_synthetic(session: Any, folder: str, marker: str) -> bool:
    """Whether a folder in storage says that a generator wrote its tables."""
    return _if_there(lambda: session.read.text(f"{folder}/{marker}")) is not None


def _tables_in(session: Any, database: str) -> list[str]:
    rows = _if_there(lambda: session.catalog.listTables(database))
    if rows is None:
        raise SourceError(f"database {database}: Spark's catalogue has none; correct location.")
    return sorted(row.name for row in rows if not row.isTemporary)


def _if_there(read: Any) -> Any:
    """What a reader gives; None where what it reads is not there."""
    from pyspark.errors import AnalysisException

    absent = ("PATH_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND")
    try:
        found = read()
        _ = getattr(found, "schema", None)  # over Spark Connect nothing is read before
        return found
    except AnalysisException as error:
        if str(error.getCondition() or "").startswith(absent):
            return None
        raise


def _parquet(session: Any, uri: str) -> Any:
    checked = session.read.option("parquet.page.verify-checksum.enabled", "true")
    return checked.option("mergeSchema", False).parquet(uri)


def _csv(session: Any, uri: str, names: list[str] | None) -> Any:
    reader = (
        session.read.option("header", True)
        .option("multiLine", True)  # a quoted value may hold a line feed
        .option("quote", '"')
        .option("escape", '"')
        .option("mode", "FAILFAST")
        .option("columnPruning", False)  # else a ragged line is not noticed
    )
    if names is not None:
        from pyspark.sql.types import StringType, StructField, StructType

        reader = reader.schema(StructType([StructField(name, StringType()) for name in names]))
    return with_places(reader.csv(uri))


def _lines(session: Any, uri: str) -> Any:
    from pyspark.sql import Window, functions

    lines = with_places(session.read.text(uri).withColumnRenamed("value", "line"))
    number = functions.row_number().over(Window.orderBy(ROW))
    return lines.select(number.cast("bigint").alias("line_number"), "line", ROW)


def with_places(table: Any) -> Any:
    """Rows with their place in the files: path, then block, then row within it."""
    from pyspark.sql import functions

    place = functions.struct(
        functions.col("_metadata.file_path"),
        functions.col("_metadata.file_block_start"),
        functions.monotonically_increasing_id().alias("row"),
    )
    return table.select("*", place.alias(ROW))
