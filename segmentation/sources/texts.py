"""Texts that are no table of comma-separated rows yet -> one Parquet file of texts."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three
from segmentation.sources.csv_checks import COMMA, bind_csv
from segmentation.sources.zip_member import MAX_UNPACKED

FILE = "file"
"""The column that says of which file a row is, where a table lies in several."""
_CHUNK = 1 << 20
_ROWS_AT_ONCE = 50_000


def unpack_gzip(path: Path, target: Path) -> None:
    """Unpack a file.

    Raises
    ------
    SourceError
        If it is damaged, cut, or unpacks to more than `MAX_UNPACKED`.
    """
    size = 0
    try:
        with gzip.open(path) as packed, target.open("wb") as unpacked:
            while chunk := packed.read(_CHUNK):
                size += unpacked.write(chunk)
                if size > MAX_UNPACKED:
                    raise SourceError(
                        f"{path.name}: unpacks to more than {MAX_UNPACKED:,} bytes; split it."
                    )
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise SourceError(
            f"{path.name}: is no complete gzip file; download or export it again."
        ) from None


def rows_as_parquet(path: Path, separator: str, target: Path) -> tuple[int, int]:
    """Rows of a text whose values something else than a comma separates.

    Returns
    -------
    (int, int)
        As `csv_checks.bind_csv`.
    """
    with duckdb.connect() as connection:
        spanning = bind_csv(connection, "rows", path, separator=separator, keep=False)
        connection.table("rows").write_parquet(str(target))
    return spanning


def objects_as_parquet(path: Path, target: Path) -> None:
    """JSON objects, one a line: every name a column, every value the text that stands there.

    Raises
    ------
    SourceError
        If a line is no object or a name comes twice; with the line.
    """
    names = list(dict.fromkeys(name for row in _objects(path) for name in row))
    folded = [name.strip().casefold() for name in names]
    if not names or "" in folded or len(set(folded)) < len(folded):
        raise SourceError(
            f"{path.name}: its objects have no names, an empty one, or names that differ in "
            "capitals only; name every value once."
        )
    schema = pa.schema([(name.strip(), pa.string()) for name in names])
    rows = _objects(path)
    with pq.ParquetWriter(target, schema, compression="none") as writer:
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            columns = [pa.array([row.get(name) for row in part], pa.string()) for name in names]
            writer.write_table(pa.table(columns, schema))


def _objects(path: Path) -> Iterator[dict[str, str | None]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=_once)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise SourceError(
                    f"{path.name}: line {number:,} is no JSON object that names each value once; "
                    "write one object a line."
                )
            yield {name: _text(value) for name, value in row.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _text(value: Any) -> str | None:
    """A value of JSON as text; what holds others as the JSON that it was.

    Examples
    --------
    >>> [_text(value) for value in ("a", "12.50", True, None, ["b"])]
    ['a', '12.50', 'true', None, '["b"]']
    """
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)


def one_below_the_other(parts: dict[str, Path], target: Path) -> dict[str, tuple[int, int]]:
    """Rows of several files of one table, with the column `FILE`.

    ``parts`` are files by the name that they have for people, Parquet or comma-separated.

    Returns
    -------
    dict
        Per file what `csv_checks.bind_csv` returns, of those that are text.

    Raises
    ------
    SourceError
        If a file has other columns than the first, by name.
    """
    spanning: dict[str, tuple[int, int]] = {}
    queries = []
    names: list[str] = []
    with duckdb.connect() as connection:
        for number, (name, path) in enumerate(parts.items()):
            table = f"part_{number}"
            try:
                if path.suffix.lower() == ".parquet":
                    connection.read_parquet(str(path)).create_view(table)
                else:
                    spanning[name] = bind_csv(connection, table, path, separator=COMMA, keep=False)
            except duckdb.Error as error:
                raise SourceError(
                    f"{name}: is not a readable Parquet file ({type(error).__name__}); "
                    "export it again."
                ) from None
            held = connection.table(table).columns
            names = names or held
            other = {n.casefold() for n in held} ^ {n.casefold() for n in names}
            if other:
                raise SourceError(
                    f"{name}: has other columns than {next(iter(parts))} "
                    f"({first_three(sorted(other))}); give the files of a table the same header."
                )
            columns: list[Any] = [exp.column(n, quoted=True) for n in names]
            if FILE not in {n.casefold() for n in names}:
                columns.append(exp.alias_(exp.Literal.string(name), FILE))
            queries.append(exp.select(*columns).from_(exp.to_table(table)))
        together = exp.union(*queries, distinct=False) if len(queries) > 1 else queries[0]
        connection.sql(together.sql("duckdb")).write_parquet(str(target))
    return spanning
