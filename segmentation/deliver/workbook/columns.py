"""What every column of the workbook means, how it is formatted, and how wide it is."""

from __future__ import annotations

import datetime as dt
import math
import numbers
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal

import pandas as pd

from segmentation.core.columns import (
    FEATURES,
    SEGMENT_COLUMNS,
    TRANSACTIONS,
    Column,
    amount_scale,
    column_of,
    symbol_of,
)
from segmentation.deliver.workbook.cells import MAX_DIGITS
from segmentation.deliver.workbook.definitions import LIST, SHEET_COLUMNS, TITLES

NUMBER_FORMATS = {
    "text": "@",
    "count": "#,##0",
    "days": "#,##0",
    "score": "0.00",
    "share": '[=0]0%;[<0.001]"under 0.1%";0.0%',
    "date": "yyyy-mm-dd",
    "flag": "General",
}
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
_DECIMAL_FORMAT = "#,##0.00"
_WIDEST = 60
_NARROWEST = 8

_MONEY_WORDS = re.compile(
    r"(^|_)(amount|benefit|cost|gain|money|price|profit|revenue|spend|spent|value)(_|$)"
)


def definition_of(table: str, name: str) -> Column | None:
    """What is known about a column of a sheet."""
    for known in (SHEET_COLUMNS.get(table, {}), SEGMENT_COLUMNS, FEATURES):
        if name in known:
            return known[name]
    for statistic, words in (("mean", "Mean"), ("median", "Median")):
        base = FEATURES.get(name.removesuffix(f"_{statistic}"))
        if base is not None and name.endswith(f"_{statistic}"):
            label = f"{words} of {base.label[0].lower()}{base.label[1:]}"
            kind = "average" if base.kind in ("count", "days") else base.kind
            return Column(name, label, base.unit, kind, f"{label} over the segment's customers.")
    if name in SHEET_COLUMNS["profile"]:
        return SHEET_COLUMNS["profile"][name]
    if name in TRANSACTIONS:
        return column_of(name)
    return None


def kind_of(table: str, name: str, values: pd.Series) -> str:
    """Kind of a column: the defined one, else by its values and its name."""
    known = definition_of(table, name)
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


def labels_of(table: str, frame: pd.DataFrame) -> list[str]:
    """What the columns of a sheet are called in its first row, each by words of its own.

    Examples
    --------
    >>> labels_of("segments", pd.DataFrame(columns=["customer_id", "recency"]))
    ['Customer', 'Days since last order']
    """
    labels: list[str] = []
    for at, name in enumerate(map(str, frame.columns)):
        known = definition_of(table, name) or _described_by_name(name, frame.iloc[:, at])
        labels.append(f"{known.label} ({name})" if known.label in labels else known.label)
    return labels


def number_format(kind: str, values: pd.Series, currency: str = "") -> str:
    """Number format of a column; exact amounts show every decimal they carry."""
    if kind == "average":
        present = pd.to_numeric(values, errors="coerce").dropna()
        if (present % 1 == 0).all():
            return NUMBER_FORMATS["count"]
        return _scaled_format(1) if (present % 0.5 == 0).all() else _DECIMAL_FORMAT
    if kind != "money":
        return NUMBER_FORMATS[kind]
    symbol = symbol_of(currency).replace('"', "") if currency else ""
    objects = values if values.dtype.kind == "O" else ()
    exact = [v for v in objects if isinstance(v, Decimal) and v.is_finite()]
    scale = amount_scale(pd.Series(exact, dtype=object)) if exact else 2
    return (f'"{symbol}"' if symbol else "") + _scaled_format(max(scale, 2))


def number_format_of(number: float | Decimal) -> str:
    """Number format of a single value, which shows every decimal it carries."""
    if isinstance(number, Decimal):
        return _scaled_format(max(-int(number.as_tuple().exponent), 0))
    return "#,##0" if isinstance(number, int) or number.is_integer() else "General"


def _scaled_format(scale: int) -> str:
    return "#,##0" + ("." + "0" * min(scale, MAX_DIGITS) if scale else "")


def width_of(name: str, kind: str, values: pd.Series, *, widest: int = _WIDEST) -> int:
    """Column width in characters: the longest content, between 8 and ``widest``.

    A header is wrapped: on two lines, or more where its words are short.
    """
    words = max(map(_display_width, name.split()), default=0)
    longest = max(words, _display_width(name) // 2) + 4  # room for the filter's arrow
    if kind == "date":
        longest = max(longest, 11)
    elif kind == "text" or values.dtype == object:
        longest = max(longest, 3 + max(map(_display_width, _shown(values, kind)), default=0))
    elif kind != "flag":
        ends = [abs(float(end)) for end in (values.min(), values.max()) if not pd.isna(end)]
        finite = [end for end in ends if math.isfinite(end)]
        longest = max(longest, 2 + len(f"{max(finite, default=0):,.2f}"))
    return min(max(longest, _NARROWEST), widest)


def lines_of(text: str, width: int) -> int:
    """Lines that a text takes in a cell that wraps it.

    Examples
    --------
    >>> lines_of("a short one", 20), lines_of("a text of some forty characters in all", 20)
    (1, 3)
    """
    if len(text) < width and text.isascii() and "\n" not in text:
        return 1
    wide = _display_width(text) / max(len(text[: 4 * _WIDEST]), 1) if not text.isascii() else 1
    wrapped = (textwrap.wrap(line, max(int((width - 1) / wide), 1)) for line in text.splitlines())
    return max(sum(max(len(lines), 1) for lines in wrapped), 1)


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


def dictionary(tables: Mapping[str, pd.DataFrame], currency: str) -> pd.DataFrame:
    """One row per column of every sheet: what it is called, its unit and meaning."""
    own = {
        sheet: pd.DataFrame(columns=list(SHEET_COLUMNS[sheet])) for sheet in ("dictionary", "about")
    }
    rows = []
    for sheet, table in {**tables, **own}.items():
        title = sheet if sheet == LIST else TITLES.get(sheet, sheet)
        for at, (name, label) in enumerate(
            zip(map(str, table.columns), labels_of(sheet, table), strict=True)
        ):
            known = definition_of(sheet, name) or _described_by_name(name, table.iloc[:, at])
            unit = currency if known.unit == "currency" else known.unit
            rows.append((title, label, unit, known.meaning, name))
    return pd.DataFrame(rows, columns=list(SHEET_COLUMNS["dictionary"]))


def _described_by_name(name: str, values: pd.Series) -> Column:
    kind = _kind_by_name(name, values)
    label = name.replace("_", " ").strip().capitalize() or "(no name)"
    unit = {"money": "currency", "share": "%", "days": "days"}.get(kind, "")
    return Column(name, label, unit, kind, f"{label}, as the step that made the table gives it.")
