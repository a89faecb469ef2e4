"""Sheets of an Excel workbook -> one Parquet file of texts, read by a process of its own.

A workbook can be small and still ask for all the memory there is, in more ways than its
directory tells. So it is read in a child process that may take `MAX_MEMORY` and no more;
what is plainly too large is refused before.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from segmentation.core.child_process import environment_of_this_package, python_of_this_package
from segmentation.core.errors import SegmentationError, SourceError, first_three
from segmentation.sources.sheets import Copies, Sheet, chosen, hidden_rows, opened
from segmentation.sources.zip_member import check_members

MAX_MEMORY = 6 << 30
MAX_CELLS = 60_000_000
"""Cells of the smallest rectangle around a sheet; 1,048,576 rows of 57 columns."""
ROWS_AT_ONCE = 50_000
_OLD_FORMAT = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DIMENSION = re.compile(rb'<(?:\w+:)?dimension\s[^>]*ref="[A-Z]+\d+:([A-Z]+)(\d+)"')
_WHOLE = 2.0**53


def read_workbook(
    path: Path, table: str, target: Path, *, sheet: str | None = None, header_row: int | None = None
) -> tuple[str, int]:
    """Write the sheets that hold a table into a Parquet file whose columns are all texts.

    ``sheet`` is read, else the visible sheet named after the table; else all that are visible,
    one below the other in their order, where they have the same header. Numbers become the shortest decimal that is
    the same number (12346.0 is ``12346``), dates ``2010-12-01 08:26:00``.

    Returns
    -------
    (str, int)
        What was read, as ``sheets Year 2009-2010 (525,461 rows), …``, and what was not; the
        number of rows that were read although a filter hides them.

    Raises
    ------
    SourceError
        If the file is no workbook, locked, too large, or its sheets do not fit.
    """
    check_workbook(path)
    done = subprocess.run(
        [
            *(*python_of_this_package(), __name__),
            *(str(path), table, str(target), sheet or "", str(header_row or 0)),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=environment_of_this_package(),
    )
    said = done.stderr.strip().splitlines()
    if done.returncode == 2 and said:
        raise SourceError(said[-1])
    if done.returncode != 0:
        raise SourceError(
            f"{path.name}: reading it takes more than {MAX_MEMORY >> 30} GB of memory, or the file "
            "is damaged; save the sheet as CSV or split it."
        )
    said = json.loads(done.stdout)
    sheets, unread = said["sheets"], said["unread"]
    listed = first_three(f"{one['name']} ({', '.join(one['notes'])})" for one in sheets)
    words = f"sheet{'s' if len(sheets) > 1 else ''} {listed}"
    if unread:
        words += f", not read: {first_three(unread)}"
    return words, sum(one["hidden"] for one in sheets)


def check_workbook(path: Path) -> None:
    """Refuse what is no workbook, or would not fit into memory.

    Raises
    ------
    SourceError
        In one sentence.
    """
    with path.open("rb") as file:
        start = file.read(len(_OLD_FORMAT))
    if start == _OLD_FORMAT:
        raise SourceError(
            f"{path.name}: is locked with a password or in the old .xls format; "
            "save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_members(path, members)
            for member in members:
                if member.filename.startswith("xl/worksheets/"):
                    with archive.open(member) as sheet:
                        _check_dimension(path, sheet.read(4096))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError):
        raise SourceError(
            f"{path.name}: is not a readable Excel workbook (.xlsx); save it again."
        ) from None
    if not any(member.filename == "xl/workbook.xml" for member in members):
        raise SourceError(f"{path.name}: is a ZIP archive but not an Excel workbook (.xlsx).")


def _check_dimension(path: Path, start: bytes) -> None:
    found = _DIMENSION.search(start)
    if found:
        width = 0
        for letter in found.group(1):
            width = width * 26 + letter - ord("A") + 1
        cells = width * int(found.group(2))
        if cells > MAX_CELLS:
            raise SourceError(
                f"{path.name}: has a sheet of {cells:,} cells; at most {MAX_CELLS:,} are read; "
                "delete what is far from the table, or save it as CSV."
            )


def _convert(
    path: Path, table: str, target: Path, sheet: str | None, header_row: int | None
) -> dict[str, Any]:
    """Read the sheets of a table and write them; runs in the child process."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        with CalamineWorkbook.from_path(path) as book:
            names, unread = chosen(path, book, table, sheet)
            sheets = _alike(path, book, table, names, header_row)
            return {"sheets": _write(path, target, sheets), "unread": unread}
    except PasswordError:
        raise SourceError(f"{path.name}: is locked with a password; save it without.") from None
    except CalamineError as error:
        raise SourceError(
            f"{path.name}: is not a readable Excel workbook ({type(error).__name__}); save it again."
        ) from None


def _alike(
    path: Path, book: Any, table: str, names: list[str], header_row: int | None
) -> Iterator[Sheet]:
    """The sheets of a table, which have the same header."""
    first: Sheet | None = None
    for name in names:
        sheet = opened(path, book.get_sheet_by_name(name), name, _text, header_row)
        if sheet is None:
            continue
        if first is None:
            first = sheet
        elif first.header != sheet.header:
            raise SourceError(
                f"{path.name}: has no sheet {table}, and its sheets {first.name!r} and {name!r} "
                f"have different columns; name the sheet of the orders {table}, or say which it "
                "is in the profile (tables)."
            )
        yield sheet


def _write(path: Path, target: Path, sheets: Iterator[Sheet]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written: list[dict[str, Any]] = []
    copies = Copies(path)
    with contextlib.ExitStack() as stack:
        writer = None
        for sheet in sheets:
            name, header, rows = sheet.name, sheet.header, copies.counted(sheet.rows)
            used = [place for place, title in enumerate(header) if title]
            if writer is None:
                _check_header(path, name, [header[place] for place in used])
                schema = pa.schema([(header[place], pa.string()) for place in used])
                writer = stack.enter_context(pq.ParquetWriter(target, schema, compression="none"))
            count = 0
            while chunk := list(islice(rows, ROWS_AT_ONCE)):
                columns = list(zip(*chunk, strict=True))
                _check_unnamed(
                    path, name, [columns[p] for p in range(len(header)) if p not in used]
                )
                texts = [_texts(columns[place]) for place in used]
                writer.write_table(pa.table([pa.array(t, pa.string()) for t in texts], schema))
                count += len(chunk)
            copies.check(name)
            hidden = hidden_rows(path, name)
            notes = [f"{count:,} rows", *sheet.notes]
            if hidden:
                notes.append(f"{hidden:,} of them hidden by a filter or by hand")
            written.append({"name": name, "notes": notes, "hidden": hidden})
    if not written:
        raise SourceError(f"{path.name}: all its sheets are empty; export it again.")
    return written


def _check_header(path: Path, sheet: str, names: list[str]) -> None:
    folded = [name.casefold() for name in names]
    repeated = sorted({name for name in names if folded.count(name.casefold()) > 1})
    if repeated:
        raise SourceError(
            f"{path.name}: the first row of sheet {sheet!r} names column {first_three(repeated)} "
            "twice; name every column once."
        )


def _check_unnamed(path: Path, sheet: str, columns: list[Iterable[Any]]) -> None:
    if any(value != "" for column in columns for value in column):
        raise SourceError(
            f"{path.name}: sheet {sheet!r} has values below an empty heading; its first row "
            "names every column."
        )


def _texts(values: Iterable[Any]) -> list[str | None]:
    """Cells of a column as texts; most numbers and dates of a column come up often."""
    known: dict[tuple[type, Any], str] = {}
    texts: list[str | None] = []
    for value in values:
        if value.__class__ is str:
            texts.append(value or None)
            continue
        key = (value.__class__, value)
        text = known.get(key)
        if text is None:
            text = known[key] = _text(value)
        texts.append(text)
    return texts


def _text(value: Any) -> str:
    """A cell as text, exactly.

    Examples
    --------
    >>> [_text(value) for value in (12346.0, 2.55, 1e-07, True, "007", "")]
    ['12346', '2.55', '0.0000001', 'true', '007', '']
    >>> _text(dt.datetime(2010, 12, 1, 8, 25, 59, 999_600))
    '2010-12-01 08:26:00'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _WHOLE
        return str(int(value)) if whole else f"{Decimal(repr(value)):f}"
    if isinstance(value, dt.datetime):
        # a serial number of days is exact to about a thousandth of a second
        rounded = value + dt.timedelta(milliseconds=500)
        return rounded.replace(microsecond=0).isoformat(" ")
    return str(value)


def _main(path: str, table: str, target: str, sheet: str, header_row: str) -> int:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        written = _convert(Path(path), table, Path(target), sheet or None, int(header_row) or None)
    except SegmentationError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        print(
            f"{Path(path).name}: cannot be unpacked into the folder of temporary files ({said}); "
            "free some space or set --runs-dir, else TMPDIR, to a folder on another disk.",
            file=sys.stderr,
        )
        return 2
    print(json.dumps(written))
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
