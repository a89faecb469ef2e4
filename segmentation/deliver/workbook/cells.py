"""What a cell can hold: texts made fit for a spreadsheet, and counts of what had to change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MAX_TEXT = 32_767  # UTF-16 units in a cell
MAX_DIGITS = 15  # digits that every spreadsheet program keeps of a number

# What XML 1.0 cannot hold: control characters, lone surrogates, two non-characters.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass
class Counts:
    """What had to be changed to fit a spreadsheet."""

    characters_replaced: int = 0
    texts_cut: int = 0
    infinities_emptied: int = 0
    numbers_as_text: int = 0


def clean_text(text: str, counts: Counts) -> str:
    """A text as a cell can hold it; adds what had to change to `counts`.

    Examples
    --------
    >>> counts = Counts()
    >>> clean_text("a\\x00b", counts), counts.characters_replaced
    ('a\ufffdb', 1)
    """
    if _ILLEGAL.search(text):
        text, replaced = _ILLEGAL.subn("\ufffd", text)
        counts.characters_replaced += replaced
    if len(text) > MAX_TEXT // 2 and _utf16_units(text) > MAX_TEXT:
        text = _cut(text)
        counts.texts_cut += 1
    return text


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


def digits_of(number: float | Decimal) -> int:
    """Digits from the first that is not 0 to the last that is not 0.

    >>> digits_of(1_200), digits_of(Decimal("0012.340")), digits_of(Decimal("1E+3"))
    (2, 4, 1)
    """
    return len("".join(map(str, Decimal(number).as_tuple().digits)).strip("0"))
