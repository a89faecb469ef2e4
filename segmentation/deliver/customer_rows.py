"""Files that have a row per customer: whom they hold, and the same file without some of them.

They are known by a column ``customer_id`` (in the workbook its label, or that). Rows that
stay keep every character.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import html
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.core.columns import column_of
from segmentation.core.guarded_csv import guarded
from segmentation.deliver.workbook.cells import Counts, clean_text
from segmentation.run.cache import write_parquet

ID = "customer_id"
ID_WORDS = column_of(ID).label
_CHUNK = 1 << 20
_NUMBERED = re.compile(r'(<(?:row|c) r="[A-Z]*)\d+"')
_TEXT = re.compile(r"<t[^>]*>([^<]*)</t>")


def forms_of(customers: Iterable[str]) -> dict[str, str]:
    """Every way in which an id stands in a file, with the id.

    Examples
    --------
    >>> forms_of(["00123", "=1+1"])
    {'00123': '00123', '=1+1': '=1+1', "'=1+1": '=1+1'}
    """
    forms: dict[str, str] = {}
    for each in customers:
        shown = clean_text(each, Counts())
        forms |= dict.fromkeys((each, shown, guarded(each), guarded(shown)), each)
    return forms


def find_customers(path: Path, forms: dict[str, str], without: Path | None = None) -> set[str]:
    """Which customers a file has rows of; nobody where it is of another kind.

    Parameters
    ----------
    forms : dict of str to str
        What `forms_of` gives for the customers looked for.
    without : Path, optional
        File to write, with all rows but theirs.
    """
    kind = _FORMATS.get(path.suffix)
    if kind is None or path.is_symlink() or not path.is_file():
        return set()
    return kind(path, forms, without)


def _parquet(path: Path, forms: dict[str, str], out: Path | None) -> set[str]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if ID not in file.schema_arrow.names:
            return set()
        ids = file.read(columns=[ID])[ID].cast(pa.string())
        theirs = pc.is_in(ids, value_set=pa.array(list(forms), pa.string()))
        found = {forms[each] for each in ids.filter(theirs).to_pylist()}
        if out is not None:
            write_parquet(file.read().filter(pc.invert(theirs)), out)
    return found


def _csv(path: Path, forms: dict[str, str], out: Path | None) -> set[str]:
    found: set[str] = set()
    taken: list[str] = []

    def lines(file: Iterable[str]) -> Iterator[str]:
        for line in file:
            taken.append(line)  # a record keeps its own characters, quotes and line ends
            yield line

    text: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with path.open(**text) as file, (out or Path(os.devnull)).open("w", **text) as kept:
        at = None
        for number, record in enumerate(csv.reader(lines(file))):
            if number == 0:
                names = [name.removeprefix("\ufeff").strip('"') for name in record]
                at = names.index(ID) if ID in names else None
                if at is None:
                    return found
            customer = forms.get(record[at]) if at is not None and len(record) > at else None
            if customer is None:
                kept.writelines(taken)
            else:
                found.add(customer)
            taken.clear()
    return found


def _xlsx(path: Path, forms: dict[str, str], out: Path | None) -> set[str]:
    found: set[str] = set()
    with zipfile.ZipFile(path) as old, contextlib.ExitStack() as stack:
        new = stack.enter_context(zipfile.ZipFile(out, "w")) if out else None
        for item in old.infolist():
            with (
                old.open(item) as source,
                new.open(copy.copy(item), "w") if new else Path(os.devnull).open("wb") as part,
            ):
                if not item.filename.startswith("xl/worksheets/sheet"):
                    shutil.copyfileobj(source, part)
                    continue
                sheet = TextIOWrapper(source, encoding="utf-8", newline="")
                for text in _sheet_without(sheet, forms, found):
                    part.write(text.encode("utf-8"))
    return found


def _sheet_without(sheet: TextIOWrapper, forms: dict[str, str], found: set[str]) -> Iterator[str]:
    """The XML of a sheet without rows of customers; those below move up."""
    letter, removed = None, 0
    for number, part in enumerate(_parts(sheet, "</row>")):
        start = part.rfind("<row ")
        if start < 0 or not part.endswith("</row>"):
            yield part
            continue
        if number == 0:
            cells = re.findall(r'<c r="([A-Z]+)1"[^>]*>(.*?)</c>', part, re.S)
            letter = next((at for at, cell in cells if _shown(cell) in (ID, ID_WORDS)), None)
        cell = letter and re.search(rf'<c r="{letter}\d+"[^>]*>(.*?)</c>', part, re.S)
        customer = forms.get(_shown(cell[1])) if cell else None
        if customer is not None:
            found.add(customer)
            removed += 1
            yield part[:start]
        elif removed:
            yield _NUMBERED.sub(partial(_moved_up, rows=removed), part)
        else:
            yield part


def _moved_up(at: re.Match[str], *, rows: int) -> str:
    return f'{at[1]}{int(at[0][len(at[1]) : -1]) - rows}"'


def _shown(cell: str) -> str:
    return html.unescape("".join(_TEXT.findall(cell)))


def _parts(file: TextIOWrapper, end: str) -> Iterator[str]:
    """A text in parts that each have an end, and what follows the last one."""
    rest = ""
    while chunk := file.read(_CHUNK):
        *parts, rest = (rest + chunk).split(end)
        yield from (part + end for part in parts)
    yield rest


_FORMATS: dict[str, Callable[[Path, dict[str, str], Path | None], set[str]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".xlsx": _xlsx,
}
