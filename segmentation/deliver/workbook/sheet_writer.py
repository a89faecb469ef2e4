"""Writes tables to sheets, cell by cell by the type of each column."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from segmentation.core.palette import text_colour_on
from segmentation.deliver.workbook.cells import MAX_DIGITS, Counts, clean_text, digits_of
from segmentation.deliver.workbook.columns import (
    NUMBER_FORMATS,
    TIME_FORMAT,
    kind_of,
    labels_of,
    lines_of,
    number_format,
    number_format_of,
    width_of,
)
from segmentation.deliver.workbook.definitions import LIST
from segmentation.deliver.workbook.inert_file import InertSheet
from segmentation.deliver.workbook.sheets import Sheet

# From this day on all programs agree which day a number is (Excel knows 29 February 1900).
FIRST_DATE = dt.date(1900, 3, 1)
CHUNK = 8_192
A4 = 9
"""Number of the paper in the file format."""
MOST_PRINTED = 500
"""Rows of a sheet that are printed: about ten pages; the file itself holds them all."""
WIDEST_WRAPPED = {
    **{"recommendations": 20, "call_first": 54, "findings": 48, "dictionary": 60},
    **{LIST: 48, "segments": 60, "": 36},
}
"""Characters of the widest column, whose texts are wrapped, so that a sheet is read without \
scrolling; one with many texts has narrow columns, so that it is printed in letters that can be read."""
LINE, MOST_LINES = 15, 27
"""Points of a line of text, and lines of the highest row that programs take."""
HEADER_FILL = "#E9ECEF"
"""Ground of the first row, on which black has a contrast of 17:1."""


@dataclass
class SheetWriter:
    """Writes tables to sheets and counts what did not fit.

    Money is shown in ``currency``; names of segments, and the tabs of their lists, in the
    colour that the pages give them.
    """

    workbook: xlsxwriter.Workbook
    currency: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    formats: dict[tuple[str, bool, bool, str, str], Any] = field(default_factory=dict)
    _counted: Counts = field(default_factory=Counts)

    def add_table(self, one: Sheet) -> int:
        """Write one table to a new sheet; returns its number of rows.

        What had to change in a table that repeats another is not counted: it stands there.
        """
        self._counted = Counts() if one.repeats else self.counts
        sheet = self.workbook.add_worksheet(one.title, worksheet_class=InertSheet)
        table = one.shown
        labels = labels_of(one.kind, table)
        if not labels:
            return 0
        columns = [
            self._column(sheet, one.kind, str(name), labels[at], table.iloc[:, at])
            for at, name in enumerate(table.columns)
        ]
        room = (column.width - 2 for column in columns)  # the letters are bold
        header_lines = max(map(lines_of, labels, room))
        _checked(sheet.set_row(0, LINE * header_lines))
        sheet.freeze_panes(1, 0)
        beneath = len(one.notes) + 1 if one.notes else 0
        _set_up_print(sheet, len(table), beneath, len(labels))
        if one.kind == "summary":  # its last row is of all customers
            total = self.workbook.add_format({"bold": True, "top": 1})
            last_row = (len(table), 0, len(table), len(labels) - 1)
            _checked(sheet.conditional_format(*last_row, {"type": "no_errors", "format": total}))
        _checked(sheet.autofilter(0, 0, len(table), len(labels) - 1))
        # Ids are digits stored as text on purpose: no warning triangle in every cell.
        last = f"{_letters(len(labels) - 1)}{len(table) + 1}"
        _checked(sheet.ignore_errors({"number_stored_as_text": f"A1:{last}"}))
        if (
            one.kind == LIST
            and len(table)
            and (colour := self._colour_of(table["segment"].iloc[0]))
        ):
            sheet.set_tab_color(colour)
        for at, (label, column) in enumerate(zip(labels, columns, strict=True)):
            _checked(sheet.set_column(at, at, column.width, column.default))
            header = self._format(
                "@", wrap=True, header=True, align="right" if column.is_number else ""
            )
            _checked(sheet.write_string(0, at, self.clean(label), header))

        writes = [(at, column.write) for at, column in enumerate(columns)]
        for start in range(0, len(table), CHUNK):
            chunk = table.iloc[start : start + CHUNK]
            values = [
                column.read(chunk.iloc[:, at].reset_index(drop=True))
                for at, column in enumerate(columns)
            ]
            for row, cells in enumerate(zip(*values, strict=True), start + 1):
                if (lines := _lines_of(cells, columns)) > 1:
                    _checked(sheet.set_row(row, LINE * lines))
                for (at, write), value in zip(writes, cells, strict=True):
                    if value is not None and write(row, at, value):
                        raise RuntimeError(f"XlsxWriter refused {one.title}, row {row + 1}.")
        for at, note in enumerate(one.notes, len(table) + 2):
            _checked(sheet.write_string(at, 0, self.clean(note), self._format("@")))
        return len(table)

    def clean(self, text: str) -> str:
        """A text as a cell can hold it; counts what had to change."""
        return clean_text(text, self._counted)

    def _colour_of(self, segment: Any) -> str | None:
        return self.colours.get(segment) if isinstance(segment, str) else None

    def _column(
        self, sheet: Worksheet, table: str, name: str, label: str, values: pd.Series
    ) -> _SheetColumn:
        kind = kind_of(table, name, values)
        shown = number_format(kind, values, self.currency)
        cell_format = self._format(shown, wrap=kind == "text")
        text_format = self._format("@", wrap=True)

        def write_text(row: int, at: int, text: str) -> int:
            return sheet.write_string(row, at, text, text_format)

        def write_segment(row: int, at: int, text: str) -> int:
            own = self._format("@", wrap=True, colour=self._colour_of(text) or "")
            return sheet.write_string(row, at, text, own)

        def write_number(row: int, at: int, number: float) -> int:
            return sheet.write_number(row, at, number, cell_format)

        def write_any(row: int, at: int, value: Any) -> int:
            return self._write_any(sheet, row, at, value, cell_format, text_format)

        read: Callable[[pd.Series], list[Any]]
        write: Callable[[int, int, Any], int]
        if kind == "text" and (table, name) != ("about", "value"):
            is_legend = table == "summary" and name == "segment"
            read, write = self._texts, write_segment if is_legend else write_text
        elif _are_days(values):
            read, write = _serials, write_number
        elif values.dtype.kind == "f":
            read, write = self._floats, write_number
        elif values.dtype.kind in "iu" and _fits(values):
            read, write = _objects, write_number
        elif kind == "flag":
            read, write = _yes, write_text
        else:
            read, write = _objects, write_any
        default = None if kind == "flag" else cell_format
        widest = WIDEST_WRAPPED.get(table, WIDEST_WRAPPED[""])
        width = width_of(label, kind, values, widest=widest)
        return _SheetColumn(read, write, default, width, kind not in ("text", "date", "flag"))

    def _texts(self, values: pd.Series) -> list[str | None]:
        clean = self.clean
        return [
            None if missing or value == "" else clean(str(value))
            for value, missing in zip(values.tolist(), values.isna().tolist(), strict=True)
        ]

    def _floats(self, values: pd.Series) -> list[float | None]:
        numbers_ = values.to_numpy(dtype=float, na_value=np.nan)
        self._counted.infinities_emptied += int(np.isinf(numbers_).sum())
        finite = np.isfinite(numbers_)
        if finite.all():
            return numbers_.tolist()
        return [
            number if ok else None for number, ok in zip(numbers_.tolist(), finite, strict=True)
        ]

    def _write_any(
        self, sheet: Worksheet, row: int, at: int, value: Any, cell_format: Any, text_format: Any
    ) -> int:
        """Write a value of a column that has no single type, by the value's own type."""
        number: float | Decimal | None = None
        if isinstance(value, (bool, np.bool_)):
            return sheet.write_boolean(row, at, bool(value))
        if isinstance(value, (dt.date, np.datetime64)):
            return self._write_date(sheet, row, at, value, text_format)
        if isinstance(value, Decimal):
            number = value
        elif isinstance(value, numbers.Integral):
            number = int(value)
        elif isinstance(value, numbers.Real):
            number = float(value)
        if number is None:
            text = self.clean(str(value))
            return sheet.write_string(row, at, text, text_format) if text else 0
        if not math.isfinite(number):
            self._counted.infinities_emptied += 1
            return 0
        if not isinstance(number, float) and digits_of(number) > MAX_DIGITS:
            self._counted.numbers_as_text += 1
            exact = str(number) if isinstance(number, int) else f"{number:f}"
            return sheet.write_string(row, at, exact, text_format)
        if cell_format.num_format == "@":
            cell_format = self._format(number_format_of(number), align="left")
        return sheet.write_number(row, at, number, cell_format)

    def _write_date(self, sheet: Worksheet, row: int, at: int, value: Any, text_format: Any) -> int:
        moment = pd.Timestamp(value) if isinstance(value, np.datetime64) else value
        day = moment.date() if isinstance(moment, dt.datetime) else moment
        with_time = isinstance(moment, dt.datetime) and moment.time() != dt.time()
        zoned = isinstance(moment, dt.datetime) and moment.tzinfo is not None
        if day < FIRST_DATE or zoned:
            text = moment.isoformat() if with_time or zoned else day.isoformat()
            return sheet.write_string(row, at, text, text_format)
        shown = self._format(TIME_FORMAT if with_time else NUMBER_FORMATS["date"])
        return sheet.write_datetime(row, at, moment if with_time else day, shown)

    def _format(
        self,
        number_format: str,
        *,
        wrap: bool = False,
        header: bool = False,
        align: str = "",
        colour: str = "",
    ) -> Any:
        key = (number_format, wrap, header, align, colour)
        if key not in self.formats:
            properties: dict[str, Any] = {"num_format": number_format, "valign": "top"}
            if number_format == "@":
                properties |= {"quote_prefix": True, "text_wrap": wrap}
            if header:
                properties |= {"bold": True, "bg_color": HEADER_FILL}
            if align:
                properties |= {"align": align, "indent": int(align == "left")}
            elif number_format == "@":
                properties |= {"align": "left", "indent": 1}  # off the number on its left
            if colour:
                properties |= {"bg_color": colour, "font_color": text_colour_on(colour)}
            self.formats[key] = self.workbook.add_format(properties)
        return self.formats[key]


@dataclass(frozen=True)
class _SheetColumn:
    """How one column is read from its table, written, formatted and how wide it is."""

    read: Callable[[pd.Series], list[Any]]
    write: Callable[[int, int, Any], int]
    default: Any
    width: int
    is_number: bool


def _lines_of(cells: tuple[Any, ...], columns: list[_SheetColumn]) -> int:
    """Lines of a row whose texts are wrapped; programs differ in whether they make room."""
    pairs = zip(cells, columns, strict=True)
    texts = (lines_of(cell, column.width) for cell, column in pairs if isinstance(cell, str))
    return min(max(texts, default=1), MOST_LINES)


def _objects(values: pd.Series) -> list[Any]:
    return [
        None if missing else value
        for value, missing in zip(values.tolist(), values.isna().tolist(), strict=True)
    ]


def _yes(values: pd.Series) -> list[str | None]:
    """Flags in words, so that what is marked stands out; programs read them in the twin."""
    return ["yes" if value is not None and value else None for value in _objects(values)]


def _are_days(values: pd.Series) -> bool:
    """Whether a column has days that every program knows, and no time of day."""
    if values.dtype.kind != "M" or getattr(values.dtype, "tz", None) is not None:
        return False
    present = values.dropna()
    known = present.empty or present.min() >= pd.Timestamp(FIRST_DATE)
    return bool(known and (present == present.dt.normalize()).all())


def _serials(values: pd.Series) -> list[float | None]:
    """Days as a spreadsheet counts them."""
    days = (values - pd.Timestamp(1899, 12, 30)).dt.days
    return [None if pd.isna(day) else day for day in days.tolist()]


def _fits(values: pd.Series) -> bool:
    """Whether all whole numbers of a column have digits that a spreadsheet keeps."""
    present = values.dropna()
    return present.empty or max(abs(int(present.min())), abs(int(present.max()))) < 10**MAX_DIGITS


def _set_up_print(sheet: Worksheet, rows: int, beneath: int, columns: int) -> None:
    """A4 across, as wide as one page, the header on each; a long list's start, which says so."""
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    _checked(sheet.repeat_rows(0))
    printed = min(rows, MOST_PRINTED)
    _checked(sheet.print_area(0, 0, printed + beneath, columns - 1))
    part = f": first {printed:,} of {rows:,} rows" if printed < rows else ""
    sheet.set_footer(f"&L&A{part}&R&P / &N")


def _checked(code: int | None) -> None:
    if code:
        raise RuntimeError(f"XlsxWriter refused a cell or a range (code {code}).")


def _letters(at: int) -> str:
    """Spreadsheet letters of a column counted from 0.

    >>> _letters(0), _letters(25), _letters(26), _letters(16_383)
    ('A', 'Z', 'AA', 'XFD')
    """
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
