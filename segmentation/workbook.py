"""The workbook that the CRM team opens: one row per customer, and how it came about.

Every text is inert. A customer id such as ``=1+1`` or ``00123`` stays those characters:
no formula, no link, no number is ever made of a text, whatever program opens the file.
Amounts keep their cents, the same tables give the same bytes on any day, and the file
appears complete or not at all.
"""

from __future__ import annotations

import datetime as dt
import math
import numbers
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from io import FileIO
from pathlib import Path
from traceback import clear_frames
from typing import Any

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from segmentation.atomic import atomic_path, scratch_folder
from segmentation.errors import OutputError
from segmentation.schema import (
    FEATURES,
    SEGMENT_COLUMNS,
    TRANSACTIONS,
    Column,
    amount_scale,
    column_of,
)

MAX_ROWS = 1_048_575  # rows of a sheet below its header
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767  # UTF-16 units in a cell
MAX_DIGITS = 15  # digits that every spreadsheet program keeps of a number
# From this day on all programs agree which day a number is (Excel knows 29 February 1900).
FIRST_DATE = dt.date(1900, 3, 1)
CREATED = dt.datetime(2000, 1, 1)  # fixed, so that equal tables give equal bytes

NUMBER_FORMATS = {
    "text": "@",
    "count": "#,##0",
    "days": "#,##0",
    "money": "#,##0.00",
    "score": "0.00",
    "share": "0.0%",
    "date": "yyyy-mm-dd",
    "flag": "General",
}
_TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
_DECIMAL_FORMAT = "#,##0.00"
_CHUNK = 8_192
_WIDEST = 60
_NARROWEST = 8

# What XML 1.0 cannot hold: control characters, lone surrogates, two non-characters.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Spreadsheet programs read _x0041_ inside a text as the letter A.
_READ_AS_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")

_SHEET_COLUMNS: dict[str, dict[str, Column]] = {
    "profile": {
        column.name: column
        for column in (
            Column("customers", "Customers", "customers", "count", "Customers in the segment."),
            Column("customers_share", "Share of customers", "%", "share", "Part of all customers."),
            Column("revenue", "Revenue", "currency", "money", "Sum of their total spent."),
            Column("revenue_share", "Share of revenue", "%", "share", "Part of all revenue."),
            Column(
                "stability",
                "Stability",
                "",
                "text",
                "stable, uncertain or unstable (mean Jaccard below 0.6) when customers are drawn again.",
            ),
            Column("jaccard", "Jaccard", "", "score", "Mean Jaccard over resamples, 0 to 1."),
        )
    },
    "names": {
        "fact": Column("fact", "Why this name", "", "text", "A measured fact the name rests on."),
    },
    "recommendations": {
        column.name: column
        for column in (
            Column("play", "Play", "", "text", "What to try with the segment, in a few words."),
            Column("why", "Why", "", "text", "What in the numbers suggests it."),
            Column("do", "Do", "", "text", "The next step."),
            Column(
                "break_even_response",
                "Break-even response",
                "%",
                "share",
                "Part of the contacted who must order for the contact to pay for itself.",
            ),
        )
    },
    "ledger": {
        column.name: column
        for column in (
            Column("rule", "Rule", "", "text", "Cleaning rule that set the rows aside."),
            Column("rows", "Rows", "order lines", "count", "Order lines; raw = all rules + kept."),
            Column("customers", "Customers", "customers", "count", "Customers of these rows."),
            Column(
                "amount", "Amount", "currency", "money", "Their amount, exact; adds up to the cent."
            ),
        )
    },
    "dictionary": {
        column.name: column
        for column in (
            Column("sheet", "Sheet", "", "text", "Sheet of this workbook."),
            Column("column", "Column", "", "text", "Name in row 1 of the sheet."),
            Column("label", "Label", "", "text", "The name in words."),
            Column("unit", "Unit", "", "text", "Unit of the values; empty = none."),
            Column("meaning", "Meaning", "", "text", "What the column says."),
        )
    },
    "about": {
        column.name: column
        for column in (
            Column("key", "What", "", "text", "A fact about this workbook or its run."),
            Column("value", "Value", "", "text", "The fact."),
        )
    },
}
_MONEY_WORDS = re.compile(
    r"(^|_)(amount|benefit|cost|gain|money|price|profit|revenue|spend|spent|value)(_|$)"
)


@dataclass
class _Counts:
    """What had to be changed to fit a spreadsheet."""

    characters_replaced: int = 0
    texts_cut: int = 0
    infinities_emptied: int = 0
    numbers_as_text: int = 0


def write_workbook(
    path: Path | str,
    *,
    segments: pd.DataFrame,
    profile: pd.DataFrame,
    ledger: pd.DataFrame,
    facts: pd.DataFrame,
    recommendations: pd.DataFrame,
    overview: Mapping[str, Any],
    currency: str,
    max_rows: int = MAX_ROWS,
) -> dict[str, int]:
    """Write the workbook others act on: who is in which segment, why, and what to do.

    Sheets: ``segments`` (first, so that ``pandas.read_excel(path)`` gives the segments
    table), ``profile``, ``recommendations``, ``names`` (why each name), ``ledger``,
    ``dictionary`` (every column of every sheet), ``about``. Row 1 holds column names.

    Parameters
    ----------
    path : Path
        File to write; its folder must exist. The previous file stays until the new one is
        complete.
    segments : DataFrame, one row per customer
        The segments table. More than `max_rows` customers continue on ``segments_2``, …
        Ids are text and stay the same characters.
    profile : DataFrame, one row per segment
        Size, revenue, mean and median of each feature. Shares are fractions of 1.
    ledger : DataFrame, one row per cleaning rule
        ``rule``, ``rows``, ``customers``, ``amount`` (Decimal). Amounts show every decimal
        they have; one of more than 15 digits is written as text, because a spreadsheet
        would round it.
    facts : DataFrame, several rows per segment
        ``segment_type``, ``cluster``, ``segment``, ``fact``: the evidence for the name.
    recommendations : DataFrame
        Any columns; unknown ones are formatted by dtype and name (``…_share`` and
        ``…response`` are percentages).
    overview : mapping of str to value
        Source, as_of, rows and so on, for the sheet ``about``. Nothing is added to it that
        depends on the day.
    currency : str
        Account currency, the unit of money columns in the dictionary.
    max_rows : int
        Customers per sheet. The default is what the file format allows.

    Returns
    -------
    dict of str to int
        Rows per sheet by sheet name, then ``characters_replaced`` (characters no
        spreadsheet can hold, now U+FFFD), ``texts_cut`` (texts above 32,767 UTF-16 units,
        now ending in an ellipsis), ``infinities_emptied`` and ``numbers_as_text``. The last
        four should be 0; the sheet ``about`` repeats them.

    Raises
    ------
    OutputError
        If the place cannot be written (full, read-only, missing), or a table has more
        columns or rows than a sheet holds. The previous file is untouched.
    ValueError
        If `max_rows` is not between 1 and 1,048,575.

    Notes
    -----
    Missing and infinite numbers become empty cells. Dates before 1 March 1900 are text,
    because programs disagree on them. Reading ids with pandas needs
    ``pandas.read_excel(path, dtype={"customer_id": str}, keep_default_na=False)``: without
    it pandas itself turns the text ``00123`` into a number. Memory does not grow with the
    number of customers beyond the tables given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> groups = {"segment_type": ["normal"], "cluster": [0], "segment": ["Loyal"]}
    >>> with TemporaryDirectory() as folder:
    ...     counts = write_workbook(
    ...         Path(folder, "customers.xlsx"),
    ...         segments=pd.DataFrame({"customer_id": ["00123"], "total_spent": [9.5]} | groups),
    ...         profile=pd.DataFrame(groups | {"customers": [1], "customers_share": [1.0]}),
    ...         ledger=pd.DataFrame({"rule": ["kept"], "rows": [2], "amount": [Decimal("9.50")]}),
    ...         facts=pd.DataFrame(groups | {"fact": ["Orders more often than 90%."]}),
    ...         recommendations=pd.DataFrame(groups | {"play": ["Thank them"]}),
    ...         overview={"source": "cdnow", "as_of": "1998-06-30"},
    ...         currency="USD",
    ...     )
    ...     table = pd.read_excel(Path(folder, "customers.xlsx"), dtype={"customer_id": str})
    >>> counts["segments"], table.loc[0, "customer_id"], float(table.loc[0, "total_spent"])
    (1, '00123', 9.5)
    """
    if not 1 <= max_rows <= MAX_ROWS:
        raise ValueError(f"max_rows={max_rows} is not between 1 and {MAX_ROWS:,}.")
    tables = {
        "profile": profile,
        "recommendations": recommendations,
        "names": facts,
        "ledger": ledger,
    }
    for name, table in {"segments": segments, **tables}.items():
        _check_size(path, name, table, len(table) if name == "segments" else MAX_ROWS)
    tables["dictionary"] = _dictionary({"segments": segments, **tables}, currency)

    rows: dict[str, int] = {}
    with _open_workbook(Path(path)) as writer:
        for name, part in _parts("segments", segments, max_rows):
            rows[name] = writer.add_table(name, part, columns_of="segments")
        for name, table in tables.items():
            rows[name] = writer.add_table(name, table, columns_of=name)
        about = _about(overview, currency, rows, vars(writer.counts))
        rows["about"] = writer.add_table("about", about, columns_of="about")
    return rows | vars(writer.counts)


@contextmanager
def _open_workbook(path: Path) -> Iterator[_Writer]:
    """A workbook that takes the name `path` when the block ends well."""
    with (
        atomic_path(path) as temporary,
        scratch_folder(path) as scratch,
        closing(_ForgivingFile(temporary, "w")) as file,
    ):
        workbook = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "tmpdir": str(scratch),
                "use_zip64": True,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        workbook.set_properties({"title": "Customer segmentation", "created": CREATED})
        try:
            yield _Writer(workbook)
            workbook.close()
        except FileCreateError as error:
            file.given_up = True
            cause = _cause(error)
            # The half-written parts stay open, and on the disk, as long as frames hold them.
            clear_frames(cause.__traceback__)
            raise cause from None
        except BaseException:
            file.given_up = True
            raise
        finally:
            for sheet in workbook.worksheets():
                for handle in (sheet.row_data_fh, sheet.fh):
                    with suppress(OSError):
                        handle.close()


def _cause(error: FileCreateError) -> BaseException:
    """The error of the operating system that XlsxWriter wraps."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, OSError) else error


class _ForgivingFile(FileIO):
    """A file that, once given up, takes what is still flushed at it without complaint.

    A zip archive that could not be finished on a full disk tries again when it is
    garbage-collected, and would print a traceback below our one clear sentence.
    """

    given_up = False
    place = 0  # where the archive believes to be, once given up

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and not self.given_up:
            # The system may take a part only; what is left must not be lost.
            written += super().write(view[written:]) or 0
        self.place += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset if self.given_up else super().seek(offset, whence)
        return self.place

    def tell(self) -> int:
        return self.place if self.given_up else super().tell()

    def flush(self) -> None:
        if not self.given_up:
            super().flush()


class _InertSheet(Worksheet):
    """A sheet that writes every text as itself and every number in full.

    XlsxWriter writes a text ``<r>…</r>`` as markup, a carriage return as the seven
    characters ``_x000D_`` (which only Excel turns back), and 16 of a number's 17 digits.
    """

    @staticmethod
    def _escape_control_characters(data: Any) -> Any:
        return data  # illegal ones are replaced before; the legal ones are written below

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, False, attributes)

    def _xml_inline_string(self, string: str, preserve: Any, attributes: Any = ()) -> None:
        # Cut into runs, `_` and `x0041_` are no escape to any reader.
        *heads, tail = _READ_AS_ESCAPE.split(string) if "_x" in string else (string,)
        texts = [text for head in heads for text in (head, "_")] + [tail]
        elements = [_text_element(text) for text in texts if text]
        if len(elements) > 1:
            elements = [f"<r>{element}</r>" for element in elements]
        attribute_text = "".join([f' {key}="{value}"' for key, value in attributes])
        self.fh.write(f'<c{attribute_text} t="inlineStr"><is>{"".join(elements)}</is></c>')

    def _xml_number_element(self, number: Any, attributes: Any = ()) -> None:
        attribute_text = "".join([f' {key}="{value}"' for key, value in attributes])
        # Seventeen digits, so that a number read back is the number of segments.parquet.
        text = f"{number:f}" if isinstance(number, Decimal) else repr(number)
        self.fh.write(f"<c{attribute_text}><v>{text}</v></c>")


def _text_element(text: str) -> str:
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = text.replace("\r", "&#13;")
    space = "" if text and text[0] > " " and text[-1] > " " else ' xml:space="preserve"'
    return f"<t{space}>{text}</t>"


@dataclass
class _Writer:
    """Writes tables to sheets and counts what did not fit."""

    workbook: xlsxwriter.Workbook
    counts: _Counts = field(default_factory=_Counts)
    formats: dict[tuple[str, bool, bool], Any] = field(default_factory=dict)

    def add_table(self, sheet_name: str, table: pd.DataFrame, *, columns_of: str) -> int:
        """Write one table to a new sheet; returns its number of rows."""
        sheet = self.workbook.add_worksheet(sheet_name, worksheet_class=_InertSheet)
        names = [str(name) for name in table.columns]
        if not names:
            return 0
        wrap = columns_of != "segments"
        columns = [
            self._column(sheet, columns_of, name, table.iloc[:, at], wrap)
            for at, name in enumerate(names)
        ]
        sheet.freeze_panes(1, 0)
        _checked(sheet.autofilter(0, 0, len(table), len(names) - 1))
        # Ids are digits stored as text on purpose: no warning triangle in every cell.
        last = f"{_letters(len(names) - 1)}{len(table) + 1}"
        _checked(sheet.ignore_errors({"number_stored_as_text": f"A1:{last}"}))
        for at, (name, column) in enumerate(zip(names, columns, strict=True)):
            _checked(sheet.set_column(at, at, column.width, column.default))
            _checked(sheet.write_string(0, at, self.clean(name), self._format("@", bold=True)))

        writes = [(at, column.write) for at, column in enumerate(columns)]
        for start in range(0, len(table), _CHUNK):
            chunk = table.iloc[start : start + _CHUNK]
            values = [
                column.read(chunk.iloc[:, at].reset_index(drop=True))
                for at, column in enumerate(columns)
            ]
            for row, cells in enumerate(zip(*values, strict=True), start + 1):
                for (at, write), value in zip(writes, cells, strict=True):
                    if value is not None and write(row, at, value):
                        raise RuntimeError(f"XlsxWriter refused {sheet_name}, row {row + 1}.")
        return len(table)

    def clean(self, text: str) -> str:
        """A text as a cell can hold it; counts what had to change."""
        if _ILLEGAL.search(text):
            text, replaced = _ILLEGAL.subn("\ufffd", text)
            self.counts.characters_replaced += replaced
        if len(text) > MAX_TEXT // 2 and _utf16_units(text) > MAX_TEXT:
            text = _cut(text)
            self.counts.texts_cut += 1
        return text

    def _column(
        self, sheet: Worksheet, table: str, name: str, values: pd.Series, wrap: bool
    ) -> _SheetColumn:
        kind = _kind(table, name, values)
        number_format = _number_format(kind, values)
        cell_format = self._format(number_format, wrap=wrap and kind == "text")
        text_format = self._format("@", wrap=wrap)

        def write_text(row: int, at: int, text: str) -> int:
            return sheet.write_string(row, at, text, text_format)

        def write_number(row: int, at: int, number: float) -> int:
            return sheet.write_number(row, at, number, cell_format)

        def write_any(row: int, at: int, value: Any) -> int:
            return self._write_any(sheet, row, at, value, cell_format, text_format)

        read: Callable[[pd.Series], list[Any]]
        write: Callable[[int, int, Any], int]
        if kind == "text" and (table, name) != ("about", "value"):
            read, write = self._texts, write_text
        elif values.dtype.kind == "f":
            read, write = self._floats, write_number
        elif values.dtype.kind in "iu" and _fits(values):
            read, write = _objects, write_number
        elif values.dtype.kind == "b":
            read, write = _objects, sheet.write_boolean
        else:
            read, write = _objects, write_any
        default = None if kind == "flag" else cell_format
        return _SheetColumn(read, write, default, _width(name, kind, values))

    def _texts(self, values: pd.Series) -> list[str | None]:
        clean = self.clean
        return [
            None if missing or value == "" else clean(str(value))
            for value, missing in zip(values.tolist(), values.isna().tolist(), strict=True)
        ]

    def _floats(self, values: pd.Series) -> list[float | None]:
        numbers_ = values.to_numpy(dtype=float, na_value=np.nan)
        self.counts.infinities_emptied += int(np.isinf(numbers_).sum())
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
            self.counts.infinities_emptied += 1
            return 0
        if not isinstance(number, float) and _digits(number) > MAX_DIGITS:
            self.counts.numbers_as_text += 1
            exact = str(number) if isinstance(number, int) else f"{number:f}"
            return sheet.write_string(row, at, exact, text_format)
        if cell_format.num_format == "@":
            cell_format = self._format(_number_format_of(number))
        return sheet.write_number(row, at, number, cell_format)

    def _write_date(self, sheet: Worksheet, row: int, at: int, value: Any, text_format: Any) -> int:
        moment = pd.Timestamp(value) if isinstance(value, np.datetime64) else value
        day = moment.date() if isinstance(moment, dt.datetime) else moment
        with_time = isinstance(moment, dt.datetime) and moment.time() != dt.time()
        zoned = isinstance(moment, dt.datetime) and moment.tzinfo is not None
        if day < FIRST_DATE or zoned:
            text = moment.isoformat() if with_time or zoned else day.isoformat()
            return sheet.write_string(row, at, text, text_format)
        shown = self._format(_TIME_FORMAT if with_time else NUMBER_FORMATS["date"])
        return sheet.write_datetime(row, at, moment if with_time else day, shown)

    def _format(self, number_format: str, *, wrap: bool = False, bold: bool = False) -> Any:
        key = (number_format, wrap, bold)
        if key not in self.formats:
            properties: dict[str, Any] = {"num_format": number_format, "valign": "top"}
            if number_format == "@":
                properties |= {"quote_prefix": True, "text_wrap": wrap, "bold": bold}
            self.formats[key] = self.workbook.add_format(properties)
        return self.formats[key]


@dataclass(frozen=True)
class _SheetColumn:
    """How one column is read from its table, written, formatted and how wide it is."""

    read: Callable[[pd.Series], list[Any]]
    write: Callable[[int, int, Any], int]
    default: Any
    width: int


def _objects(values: pd.Series) -> list[Any]:
    return [
        None if missing else value
        for value, missing in zip(values.tolist(), values.isna().tolist(), strict=True)
    ]


def _fits(values: pd.Series) -> bool:
    """Whether all whole numbers of a column have digits that a spreadsheet keeps."""
    present = values.dropna()
    return present.empty or max(abs(int(present.min())), abs(int(present.max()))) < 10**MAX_DIGITS


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


def _parts(name: str, table: pd.DataFrame, max_rows: int) -> Iterator[tuple[str, pd.DataFrame]]:
    for number, start in enumerate(range(0, max(len(table), 1), max_rows), 1):
        yield name if number == 1 else f"{name}_{number}", table.iloc[start : start + max_rows]


def _check_size(path: Path | str, name: str, table: pd.DataFrame, max_rows: int) -> None:
    n_rows, n_columns = table.shape
    if n_columns > MAX_COLUMNS or n_rows > max_rows:
        raise OutputError(
            f"Cannot write {path}: the sheet '{name}' would have {n_rows:,} rows and "
            f"{n_columns:,} columns, a sheet holds {MAX_ROWS:,} and {MAX_COLUMNS:,}; "
            "leave columns or rows out."
        )


def _utf16_units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _cut(text: str) -> str:
    """The start of a text that fits a cell, ending in an ellipsis.

    >>> len(_cut("a" * 40_000)), _utf16_units(_cut("\N{WRAPPED PRESENT}" * 20_000))
    (32767, 32767)
    """
    kept = text[: MAX_TEXT - 1]
    while (excess := _utf16_units(kept) - (MAX_TEXT - 1)) > 0:
        kept = kept[: -((excess + 1) // 2)]
    return kept + "…"


def _digits(number: float | Decimal) -> int:
    """Digits from the first that is not 0 to the last that is not 0.

    >>> _digits(1_200), _digits(Decimal("0012.340")), _digits(Decimal("1E+3"))
    (2, 4, 1)
    """
    return len("".join(map(str, Decimal(number).as_tuple().digits)).strip("0"))


def _definition(table: str, name: str) -> Column | None:
    """What is known about a column of a sheet."""
    for known in (_SHEET_COLUMNS.get(table, {}), SEGMENT_COLUMNS, FEATURES):
        if name in known:
            return known[name]
    for statistic, words in (("mean", "Mean"), ("median", "Median")):
        base = FEATURES.get(name.removesuffix(f"_{statistic}"))
        if base is not None and name.endswith(f"_{statistic}"):
            label = f"{words} of {base.label[0].lower()}{base.label[1:]}"
            kind = "average" if base.kind in ("count", "days") else base.kind
            return Column(name, label, base.unit, kind, f"{label} over the segment's customers.")
    if name in _SHEET_COLUMNS["profile"]:
        return _SHEET_COLUMNS["profile"][name]
    if name in TRANSACTIONS:
        return column_of(name)
    return None


def _kind(table: str, name: str, values: pd.Series) -> str:
    known = _definition(table, name)
    if known is not None:
        return known.kind
    return _kind_by_name(name, values)


def _kind_by_name(name: str, values: pd.Series) -> str:
    """Kind of a column nobody described, from its values and its name."""
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values.dtype):
        return "flag"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "date"
    numeric = pd.api.types.is_numeric_dtype(values.dtype) or (
        len(present) > 0 and all(isinstance(value, numbers.Number) for value in present)
    )
    if name.endswith("_id") or not numeric:
        dates = len(present) > 0 and all(isinstance(value, dt.date) for value in present)
        return "date" if dates else "text"
    if name == "share" or name.endswith(("_share", "response")):
        return "share"
    if _MONEY_WORDS.search(name):
        return "money"
    whole = pd.api.types.is_integer_dtype(values.dtype)
    return "count" if whole else "average"


def _number_format(kind: str, values: pd.Series) -> str:
    """Number format of a column; exact amounts show every decimal they carry."""
    if kind == "average":
        return _DECIMAL_FORMAT
    if kind == "money" and values.dtype.kind == "O":
        exact = [v for v in values if isinstance(v, Decimal) and v.is_finite()]
        if exact:
            return _scaled_format(max(amount_scale(pd.Series(exact, dtype=object)), 2))
    return NUMBER_FORMATS[kind]


def _number_format_of(number: float | Decimal) -> str:
    if isinstance(number, Decimal):
        return _scaled_format(max(-int(number.as_tuple().exponent), 0))
    return "#,##0" if isinstance(number, int) or number.is_integer() else "General"


def _scaled_format(scale: int) -> str:
    return "#,##0" + ("." + "0" * min(scale, MAX_DIGITS) if scale else "")


def _width(name: str, kind: str, values: pd.Series) -> int:
    """Column width in characters: the longest content, between 8 and 60."""
    longest = len(name) + 3  # room for the filter's arrow
    if kind == "date":
        longest = max(longest, 11)
    elif kind == "text" or values.dtype == object:
        longest = max(longest, 1 + max(map(_display_width, _shown(values, kind)), default=0))
    elif kind != "flag":
        ends = [abs(float(end)) for end in (values.min(), values.max()) if not pd.isna(end)]
        finite = [end for end in ends if math.isfinite(end)]
        longest = max(longest, 2 + len(f"{max(finite, default=0):,.2f}"))
    return min(max(longest, _NARROWEST), _WIDEST)


def _shown(values: pd.Series, kind: str) -> Iterable[str]:
    number = kind not in ("text", "date", "flag")
    for value in values:
        if isinstance(value, str):
            yield value
        elif number and isinstance(value, numbers.Number) and not pd.isna(value):
            yield f"{value:,.2f}"
        elif not (value is None or value is pd.NA or value is pd.NaT):
            yield str(value)


def _display_width(text: str) -> int:
    """Characters a text takes on screen; East Asian ones take two.

    >>> _display_width("abc"), _display_width("日本"), _display_width("two\\nlines!")
    (3, 4, 6)
    """
    text = text[: 4 * _WIDEST]
    if "\n" in text:
        return max(_display_width(line) for line in text.split("\n"))
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _dictionary(tables: Mapping[str, pd.DataFrame], currency: str) -> pd.DataFrame:
    """One row per column of every sheet: what it is called, its unit and meaning."""
    own = {
        sheet: pd.DataFrame(columns=list(_SHEET_COLUMNS[sheet]))
        for sheet in ("dictionary", "about")
    }
    rows = []
    for sheet, table in {**tables, **own}.items():
        for at, name in enumerate(map(str, table.columns)):
            known = _definition(sheet, name) or _described_by_name(name, table.iloc[:, at])
            unit = currency if known.unit == "currency" else known.unit
            rows.append((sheet, name, known.label, unit, known.meaning))
    return pd.DataFrame(rows, columns=list(_SHEET_COLUMNS["dictionary"]))


def _described_by_name(name: str, values: pd.Series) -> Column:
    kind = _kind_by_name(name, values)
    label = name.replace("_", " ").strip().capitalize() or "(no name)"
    unit = {"money": "currency", "share": "%", "days": "days"}.get(kind, "")
    return Column(name, label, unit, kind, f"{label}, as the step that made the table gives it.")


def _about(
    overview: Mapping[str, Any], currency: str, rows: Mapping[str, int], changed: Mapping[str, int]
) -> pd.DataFrame:
    """Key and value: the run, the sheets, and what had to change to fit a spreadsheet."""
    facts = dict(_flat(overview))
    facts.setdefault("currency", currency)
    facts |= {f"rows on sheet {name}": count for name, count in rows.items()}
    facts |= {name.replace("_", " "): count for name, count in changed.items()}
    facts["reading with pandas"] = (
        'pandas.read_excel(path, dtype={"customer_id": str}, keep_default_na=False) '
        "keeps ids as they are"
    )
    return pd.DataFrame(
        {"key": list(facts), "value": pd.Series(list(facts.values()), dtype=object)}
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
            # A set has no order of its own; sorted, it gives the same bytes each time.
            listed = sorted(map(str, value)) if isinstance(value, (set, frozenset)) else value
            yield f"{above}{key}", ", ".join(str(one) for one in listed)
        else:
            yield f"{above}{key}", value
