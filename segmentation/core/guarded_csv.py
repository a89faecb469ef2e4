"""CSV files that a spreadsheet cannot run: the guard on writing, and its exact inverse.

To a spreadsheet, a cell that starts with ``=``, ``+``, ``-``, ``@`` or a control character
may be a formula (CWE-1236), and where semicolons part columns a cell also starts inside
the quotes of such a file. A text that could be one gets an apostrophe in front of that
place, and so does one that has apostrophes there already: reading back is exact.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pandas as pd

from segmentation.core.atomic import atomic_path

_ROWS_AT_ONCE = 8_192
_CELL_START = r"(^|[;|\t\r\n])( *)"
_RISKY = "=+@\0\t\r\n＝＋－＠-"
_TO_GUARD = re.compile(rf"{_CELL_START}(?='*[{_RISKY}])")
_GUARDED = re.compile(rf"{_CELL_START}'(?='*[{_RISKY}])")
_PERHAPS = re.compile(f"[{_RISKY}]")


def guarded(text: str) -> str:
    """A text that no spreadsheet runs, whichever separator it parts the columns by.

    Examples
    --------
    >>> guarded("=1+1"), guarded("00042"), guarded("a-b"), guarded("a;=1+1"), guarded("'=x")
    ("'=1+1", '00042', 'a-b', "a;'=1+1", "''=x")
    """
    return _TO_GUARD.sub(r"\1\2'", text) if _PERHAPS.search(text) else text


def unguarded(text: str) -> str:
    """The text that was guarded.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("00042"), unguarded("a;'=1+1"), unguarded("'t Hof")
    ('=1+1', '00042', 'a;=1+1', "'t Hof")
    """
    return _GUARDED.sub(r"\1\2", text)


def unguarded_ids(ids: pd.Series) -> pd.Series:
    """Ids as they were before a list of them was guarded; raw ones stay as they are.

    One id that no guarded list could hold says that the list was written without the guard.

    Examples
    --------
    >>> unguarded_ids(pd.Series(["'=x", "''=x"])).tolist()
    ['=x', "'=x"]
    >>> unguarded_ids(pd.Series(["=x", "'=x"])).tolist()
    ['=x', "'=x"]
    """
    before = ids.map(unguarded)
    return before if before.map(guarded).equals(ids) else ids


def write_plain_csv(
    table: pd.DataFrame, target: Path | IO[str], *, raw_values: bool = False, header: bool = True
) -> None:
    """Write a table for programs and people alike: texts guarded, quotes where they must be.

    Numbers, dates and flags are as pandas writes them. ``raw_values`` leaves texts as they are.
    """
    texts = table.select_dtypes(include=["object", "string", "category"])
    cells = {
        name: [
            guarded(value) if isinstance(value, str) and not raw_values else value
            for value in column
        ]
        for name, column in texts.items()
    }
    # before Python 3.13 a lone carriage return gets no quotes, and would end the row
    is_split = any("\r" in cell for own in cells.values() for cell in own if isinstance(cell, str))
    table.assign(
        **{name: pd.Series(own, table.index, dtype=object) for name, own in cells.items()}
    ).to_csv(
        target,
        index=False,
        lineterminator="\n",
        header=header,
        quoting=csv.QUOTE_NONNUMERIC if is_split else csv.QUOTE_MINIMAL,
    )


def write_guarded_csv(
    table: pd.DataFrame,
    path: Path,
    *,
    clean: Callable[[str], str] = str,
    raw_values: bool = False,
    replace: bool = True,
) -> None:
    """Write a table a few thousand rows at a time; texts guarded, numbers in full.

    Parameters
    ----------
    table : DataFrame
        Written with its column names in the first line, and without its index. Texts are
        in quotes and numbers are not; missing and infinite values are empty.
    path : Path
        The file appears complete or not at all. It is UTF-8 with a byte-order mark, by
        which a spreadsheet reads names in any script rightly.
    clean : callable
        What to do to each text before it is guarded.
    raw_values : bool
        Leave texts as they are, for a program that is no spreadsheet.
    replace : bool
        Whether a file that is there may go.

    Raises
    ------
    OutputError
        If the file cannot be written; the previous one is untouched.
    """

    def inert(text: str) -> str:
        return clean(text) if raw_values else guarded(clean(text))

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return inert(value)
        if isinstance(value, Decimal):
            return value if value.is_finite() else None
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if value is None or value is pd.NA or value is pd.NaT:
            return None
        if isinstance(value, dt.date):
            return value.isoformat()
        return value if isinstance(value, int) else inert(str(value))

    with (
        atomic_path(path, replace=replace) as temporary,
        temporary.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
        writer.writerow([shown(str(name)) for name in table.columns])
        for rows in _batches(table):
            writer.writerows([shown(value) for value in row] for row in rows)


def _batches(table: pd.DataFrame) -> Iterator[Iterator[tuple[Any, ...]]]:
    for start in range(0, len(table) if len(table.columns) else 0, _ROWS_AT_ONCE):
        part = table.iloc[start : start + _ROWS_AT_ONCE]
        yield zip(*(part.iloc[:, at].tolist() for at in range(part.shape[1])), strict=True)
