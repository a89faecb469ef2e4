"""The workbook's sheets as programs know them: kind of a sheet, names of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

from segmentation.core.columns import FEATURES, SEGMENT_COLUMNS, TRANSACTIONS
from segmentation.deliver.workbook.definitions import LIST, SHEET_COLUMNS, TITLES

_KINDS = {title: kind for kind, title in TITLES.items()}


def kind_of(title: str) -> str:
    """Name of a sheet's CSV twin; a list's is its title."""
    found = re.fullmatch(r"(.+?)( \d+)?", title)
    kind = found and _KINDS.get(found[1])
    return f"{kind}{(found[2] or '').replace(' ', '_')}" if kind else title


def names_of(title: str, words: Iterable[str]) -> list[str]:
    """Names of a sheet's columns, by the words in its first row."""
    own = SHEET_COLUMNS.get(re.sub(r"_\d+$", "", kind_of(title)), SHEET_COLUMNS[LIST])
    known = {
        column.label: column.name
        for table in (TRANSACTIONS, FEATURES, SEGMENT_COLUMNS, own)
        for column in table.values()
    }
    return [known.get(word, str(word).lower()) for word in words]
