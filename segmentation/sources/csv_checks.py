"""CSV files into the embedded engine: every line accounted for, or the file is refused."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import duckdb
from sqlglot import exp

from segmentation.core.errors import SourceError, first_three

COMMA = ","
SEPARATORS = (COMMA, ";", "\t", "|")
_CHUNK = 1 << 20
_ROWS_AT_ONCE = 10_000
_SHAPES_FROM = 1_000
"""Rows whose values show what a column looks like."""
_LOOKED_AT = 1 << 16
"""Characters at the beginning of a file that show its separator."""


def separator_of(path: Path) -> str:
    """What separates the values of a text: of `SEPARATORS` the one that gives even rows.

    Where several do, the one of most columns; a text of one column has a comma for all we know.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "orders.csv")
    ...     _ = path.write_text("no;paid;note\\n1;2,50;\\n2;3,10;\\"a;b\\"\\n")
    ...     separator_of(path)
    ';'
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        text = file.read(_LOOKED_AT)
        text = text if not file.read(1) else text[: text.rfind("\n") + 1] or text

    def evenness(separator: str) -> tuple[float, int]:
        try:
            rows = [row for row in csv.reader(text.splitlines(True), delimiter=separator) if row]
        except csv.Error:
            return 0, 0
        columns = len(rows[0]) if rows else 0
        return (
            (sum(len(row) == columns for row in rows) / len(rows), columns)
            if columns > 1
            else (0, 0)
        )

    return max(SEPARATORS, key=evenness)


def bind_csv(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    path: Path,
    *,
    separator: str = COMMA,
    keep: bool = True,
) -> tuple[int, int]:
    """Read a CSV file as a table of texts, or with `keep` false as a view that reads it anew.

    Returns
    -------
    (int, int)
        Rows with a value that goes on over further lines, and the number of those lines.

    Raises
    ------
    SourceError
        If its header or a row is ragged, or lines of it are in no row; with the line.
    """
    names, header_lines = csv_header(path, separator)
    try:
        rows = _read(connection, path, names, separator)
        if keep:
            rows.create(table)
        else:
            rows.create_view(table)
        return _account_for_lines(connection, table, path, header_lines, separator)
    except duckdb.Error as error:
        raise SourceError(_in_words(path, error)) from None


def bind_lines(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    """Read a text file as a table of ``line_number`` and ``line``.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    try:
        lines = _read(connection, path, None)
        lines.project("ROW_NUMBER() OVER () AS line_number, line").create(table)
    except duckdb.Error as error:
        raise SourceError(_in_words(path, error)) from None


def _read(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    names: list[str] | None,
    separator: str = "\x1f",
) -> duckdb.DuckDBPyRelation:
    return connection.read_csv(
        str(path),
        columns=dict.fromkeys(["line"] if names is None else names, "VARCHAR"),
        header=names is not None,
        sep=separator,
        quotechar="" if names is None else '"',
        escapechar="" if names is None else '"',
        auto_detect=False,
        strict_mode=True,
        parallel=False,
    )


def csv_header(path: Path, separator: str = COMMA) -> tuple[list[str], int]:
    """Column names of a CSV file, and the number of lines that they take.

    Raises
    ------
    SourceError
        If a quote is not closed, a column has no name, or two have the same.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error:
            raise SourceError(
                f"{path.name}: a quoted value is not closed in its first line; close the quote."
            ) from None
    counts = Counter(name.casefold() for name in names)  # SQL does not tell capitals apart
    repeated = sorted({name for name in names if counts[name.casefold()] > 1})
    if not names or "" in names or repeated:
        what = f"column {first_three(repeated)} twice" if repeated else "a column without a name"
        raise SourceError(f"{path.name}: its first line names {what}; name every column once.")
    return names, reader.line_num


def _account_for_lines(
    connection: duckdb.DuckDBPyConnection, table: str, path: Path, header_lines: int, separator: str
) -> tuple[int, int]:
    """Account for every line: the header, one a row, those that values go on over, empty ones.

    A quote that is never closed swallows the lines up to the next one, and the rows that
    are left look right by themselves.
    """
    names = connection.table(table).columns
    lines, rows = _count_lines(path), len(connection.table(table))
    spanning = breaks = empty = 0
    heading = [(0, tuple(names))] if header_lines > 1 else []
    found = _spanning_rows(connection, table) if lines != header_lines + rows else ()
    for place, row in chain(heading, found):
        swallowed = _swallowed(row, separator, lambda: _shapes(connection, table))
        if swallowed:
            line = header_lines + place + breaks if place else 1
            raise SourceError(
                f"{path.name}: a quoted value at line {line:,} holds {swallowed:,} line(s) that "
                "look like rows of their own; close its quote."
            )
        texts = [value.split("\n") for value in row if value] if place else []
        breaks += sum(len(text) - 1 for text in texts)
        empty += sum(line == "" for text in texts for line in text[1:-1])
        spanning += bool(place)
    lost = lines - header_lines - rows - breaks
    if lost and len(names) > 1:  # an empty line is a row where there is one column
        lost -= _count_empty_lines(path) - empty
    if lost:
        raise SourceError(
            f"{path.name}: a quoted value is not closed near line {lines - lost + 1:,}, so that "
            f"{lost:,} line(s) are in no row; close the quote."
        )
    return spanning, breaks


def _spanning_rows(
    connection: duckdb.DuckDBPyConnection, table: str
) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """(place, values) of every row with a line break in a value."""
    columns = [exp.column(name, quoted=True) for name in connection.table(table).columns]
    place = exp.alias_(exp.Window(this=exp.RowNumber()), " place", quoted=True)
    numbered = exp.select(place, *columns).from_(exp.to_table(table)).subquery("numbered")
    together = exp.Anonymous(this="CONCAT", expressions=columns)  # unlike || it passes over NULL
    spans = exp.func("CONTAINS", together, exp.Literal.string("\n"))
    found = exp.select(exp.column(" place", quoted=True), *columns).from_(numbered).where(spans)
    result = connection.execute(found.sql("duckdb"))
    while part := result.fetchmany(_ROWS_AT_ONCE):
        for place, *row in part:
            yield place, tuple(row)


def _swallowed(
    row: tuple[str | None, ...], separator: str, shapes: Callable[[], list[set[str]]]
) -> int:
    """Number of lines in a row's values that are rows of the same file, by their looks.

    Lines from an opening quote to the next closing one fit into one row only if both are in
    the same column. A note with line breaks hardly ever has the separators for that, and still
    less what the columns hold.
    """
    last = len(row) - 1
    for column, value in enumerate(row):
        first, *within = (value or "").split("\n")
        if not last or not within or first.count(separator) != last - column:
            continue
        *whole, end = [line.split(separator) for line in within]
        if len(end) - 1 != column or any(len(line) - 1 != last for line in whole):
            continue
        fields = [
            *enumerate(end[:column]),
            *((n, text) for line in whole for n, text in enumerate(line)),
        ]
        fields += list(enumerate(first.split(separator)[1:], column + 1))
        known = shapes()
        fitting = sum(_shape(text) in known[place] for place, text in fields)
        if 2 * fitting > len(fields):
            return len(within)
    return 0


def _shapes(connection: duckdb.DuckDBPyConnection, table: str) -> list[set[str]]:
    """What the values of each column look like, of those without line breaks."""
    rows = connection.table(table).limit(_SHAPES_FROM).fetchall()
    columns = zip(*rows, strict=True)
    return [{_shape(v or "") for v in column if "\n" not in (v or "")} for column in columns]


def _shape(text: str) -> str:
    """A text with every number as 9 and every word as a.

    Examples
    --------
    >>> _shape("2023-01-31"), _shape("-5.50"), _shape("Mug, blue")
    ('9-9-9', '-9.9', 'a, a')
    """
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _count_lines(path: Path) -> int:
    lines, end = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            lines, end = lines + chunk.count(b"\n"), chunk[-1:]
    return lines + (end != b"\n")


def _count_empty_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(line == b"\n" for line in file)


def _in_words(path: Path, error: duckdb.Error) -> str:
    text = str(error)
    line = re.search(r"Line: (\d+)", text)
    place = f" at line {int(line.group(1)):,}" if line else ""
    found = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if found:
        return (
            f"{path.name}: has {found.group(2)} fields{place} where the header names "
            f"{found.group(1)}; quote values that hold the separator."
        )
    if "quote" in text.lower():
        return f"{path.name}: a quoted value is not closed{place}; close the quote."
    return f"{path.name}: cannot be read as CSV{place}; export it again with separators and quotes."
