"""Which sheets of a workbook hold a table, where its header is, and what of it is hidden."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from segmentation.core.errors import SourceError, first_three

_LOOKED_AT = 25
"""Rows at the top of a sheet among which the header is."""
_FULL = 0.6
"""Share of a table's columns that its header names at least; a title has fewer cells."""
_SAME = 0.5
"""Share of a sheet's rows from which on it is taken for a second copy of another."""
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\s(?:[^>]*\s)?hidden="(?:1|true)"')
_NAMES = {
    "r": "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "sheet": "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}sheet",
}
Rows = Iterator[list[Any]]


@dataclass
class Sheet:
    """A sheet that holds a table: its header, the rows below, and what a reader should know."""

    name: str
    header: list[str]
    rows: Rows
    notes: list[str] = field(default_factory=list)


def plain(name: str) -> str:
    """The name of a sheet as that of a table.

    Examples
    --------
    >>> plain(" Online Retail ")
    'online_retail'
    """
    return re.sub(r"\W+", "_", name.strip()).casefold()


def chosen(path: Path, book: Any, table: str, asked: str | None) -> tuple[list[str], list[str]]:
    """Names of the sheets that may hold a table, and what is said of the others.

    The sheet that the profile names, else the visible one named after the table, else all
    that are visible: what somebody hid is hardly what they sent.

    Raises
    ------
    SourceError
        If the sheet is not there, several could be meant, or none is visible.
    """
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
    seen = [s.name for s in sheets if s.visible == SheetVisibleEnum.Visible]
    wanted = [s.name for s in sheets if s.name == asked] if asked else []
    if asked and not wanted:
        raise SourceError(
            f"{path.name}: has no sheet {asked!r}, which tables names; it has "
            f"{first_three(repr(s.name) for s in sheets)}."
        )
    named = [name for name in seen if plain(name) == plain(table)]
    if not asked and len(named) > 1:
        raise SourceError(
            f"{path.name}: has {len(named)} sheets that could be table {table} "
            f"({first_three(map(repr, named))}); rename all but one."
        )
    if not seen and not asked:
        raise SourceError(
            f"{path.name}: all its sheets are hidden ({first_three(s.name for s in sheets)}); "
            "show the sheet of the orders, or name it in the profile (tables)."
        )
    read = wanted or named or seen
    hidden = {
        s.name: " (hidden)" if s.visible == SheetVisibleEnum.Hidden else " (very hidden)"
        for s in sheets
        if s.name not in seen
    }
    return read, [s.name + hidden.get(s.name, "") for s in sheets if s.name not in read]


def opened(
    path: Path, sheet: Any, name: str, text: Callable[[Any], str], header_row: int | None
) -> Sheet | None:
    """A sheet's header and the rows below it; None where it is empty.

    The header is the first row that names most of the columns: titles above it fill a cell or
    two. A cell merged over rows or columns of the header counts for each of them, and a row
    that names groups of columns is none.

    Raises
    ------
    SourceError
        If cells below the header are merged over several rows: which value each row has, and
        whether money is to be counted once, is not written there.
    """
    rows = sheet.iter_rows()
    top: list[list[Any]] = []
    places: list[int] = []
    place = 0
    for place, row in enumerate(rows, 1):
        if any(value != "" for value in row):
            top.append(list(row))
            places.append(place)
        if len(top) == _LOOKED_AT or (header_row and place >= header_row + _LOOKED_AT):
            break
    if not top:
        return None
    shift = (sheet.start or (0, 0))[1]
    merged = [
        ((a + 1, b - shift), (c + 1, d - shift))
        for (a, b), (c, d) in sheet.merged_cell_ranges or ()
    ]
    filled = [
        _with_merged(row, at, top, places, merged) for row, at in zip(top, places, strict=True)
    ]
    wide = [at for (at, left), (_, right) in merged if right > left]
    if header_row is None:
        width = max(sum(v != "" for v in row) for row in filled)
        fits = [n for n, row in enumerate(filled) if sum(v != "" for v in row) >= _FULL * width]
        plainly = [n for n in fits if places[n] not in wide]
        chosen_row = (plainly or fits)[0]
    elif header_row in places:
        chosen_row = places.index(header_row)
    else:
        raise SourceError(
            f"{path.name}: row {header_row} of sheet {name!r} is empty, which tables names as the "
            "row of the header."
        )
    at = places[chosen_row]
    tall = [
        f"{_cell(top_, left + shift)}" for (top_, left), (low, _) in merged if low > max(top_, at)
    ]
    if tall:
        raise SourceError(
            f"{path.name}: sheet {name!r} has {len(tall):,} cell(s) merged over several rows below "
            f"its header ({first_three(tall)}); split them and give each row its own value."
        )
    header = [text(value).strip() for value in filled[chosen_row]]
    below = top[chosen_row + 1 :]
    notes = [f"header in row {at}"] if chosen_row else []
    return Sheet(name, header, _filled(below, rows), notes)


def _with_merged(
    row: list[Any], at: int, top: list[list[Any]], places: list[int], merged: Sequence[Any]
) -> list[Any]:
    row = list(row)
    for (first, left), (last, right) in merged:
        if first <= at <= last and first in places:
            value = top[places.index(first)][left]
            row[left : right + 1] = [value] * (right + 1 - left)
    return row


def _cell(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def _filled(first: list[list[Any]], rest: Rows) -> Rows:
    yield from first
    for row in rest:
        if any(value != "" for value in row):
            yield row


class Copies:
    """Notices a sheet whose rows stand on an earlier one too: they would count twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: dict[str, set[int]] = {}
        self._now: set[int] = set()

    def counted(self, rows: Rows) -> Rows:
        """The same rows, looked at."""
        for row in rows:
            self._now.add(hash(tuple(row)))
            yield row

    def check(self, name: str) -> None:
        """End a sheet.

        Raises
        ------
        SourceError
            If half of its rows, or of an earlier one's, stand on the other too.
        """
        now, self._now = self._now, set()
        for other, before in self._before.items():
            same = len(now & before)
            if same and same >= _SAME * min(len(now), len(before)):
                raise SourceError(
                    f"{self._path.name}: sheets {other!r} and {name!r} hold {same:,} rows that are "
                    "the same, which would count twice; name the sheet of the orders in the "
                    "profile, as tables: {orders: {sheet: …}}, or delete one of them."
                )
        self._before[name] = now


def hidden_rows(path: Path, name: str) -> int:
    """Rows of a sheet that a filter, or somebody, hides; they are read all the same."""
    with zipfile.ZipFile(path) as archive:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        places = {link.get("Id"): link.get("Target", "") for link in links}
        wanted = [s.get(_NAMES["r"]) for s in book.iter(_NAMES["sheet"]) if s.get("name") == name]
        if not wanted or not places.get(wanted[0]):
            return 0
        member = str(PurePosixPath("xl") / places[wanted[0]]).removeprefix("/")
        found, rest = 0, b""
        with archive.open(member) as sheet:
            while chunk := sheet.read(1 << 20):
                whole, _, rest = (rest + chunk).rpartition(b"<")
                found += len(_HIDDEN_ROW.findall(whole))
                rest = b"<" + rest
    return found + len(_HIDDEN_ROW.findall(rest))
