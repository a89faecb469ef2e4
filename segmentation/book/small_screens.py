"""What built pages need on a phone and on paper: labelled cells, and folds that a heading opens."""

from __future__ import annotations

import html
import math
import operator
import re
from collections.abc import Sequence

FEWEST_COLUMNS = 3
"""Tables of fewer columns fit a phone as they are."""
ROOM, MOST_LINES, MOST_TURNED = 42, 2.5, 4
"""Characters in a line of a phone, lines of a row on average, rows that may stand side by side."""
MOST_NAMES = 4
FOLDED = "for-analysts"
"""Anchor of the section that a page keeps behind its heading."""
_TABLE = re.compile(r'<table class="([^"]*)"(.*?)</table>', re.DOTALL)
_HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr\b[^>]*>(?:(?!</tr>).)*</tr>", re.DOTALL)
_CELL = re.compile(r"<td\b(?![^>]*colspan)")
_TEXT = re.compile(r"<td\b[^>]*>(.*?)</td>", re.DOTALL)
_WORDS = re.compile(r"\s+|(?<=–)|(?<=-)(?=[^\W\d])")
_SECTION = re.compile(r"<section\b[^>]*>|</section>")
_ANCHOR = re.compile(r'<a class="headerlink".*?</a>', re.DOTALL)
_HEADING = re.compile(r"<h2>.*?</h2>", re.DOTALL)


def labelled(page: str) -> str:
    """A page whose tables say how they look on a phone, and carry what they need for it.

    Short ones stay; of few rows they are turned, a row a column; else a row is its name and, in
    lines below, what it says, each cell behind its header.

    Examples
    --------
    >>> rows = "<thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tr><td>1</td><td>2</td><td>{}</td></tr>"
    >>> labelled(f'<table class="t">{rows.format(3)}</table>')[:20]
    '<table class="t fits'
    >>> labelled(f'<table class="t">{rows.format("long " * 60)}</table>').partition("</thead>")[2][:54]
    '<tr><td>1</td><td data-label="b">2</td><td data-label='
    """
    return _TABLE.sub(_for_phones, page)


def _for_phones(table: re.Match[str]) -> str:
    head, end, body = table[2].partition("</thead>")
    names = [_plain(name) for name in _HEAD.findall(head)]
    if not end or len(names) < FEWEST_COLUMNS:
        return table[0]
    rows = [[_plain(cell) for cell in _TEXT.findall(row[0])] for row in _ROW.finditer(body)]
    if all(len(row) == len(names) for row in rows):
        as_is = _lines([names, *rows])
        turned = _lines(list(zip(names, *rows, strict=True))) if len(rows) <= MOST_TURNED else None
        if turned and not (as_is and as_is <= turned):
            style = f'style="--rows: {len(rows)}; --cells: {len(names)}"'
            return f'<table class="{table[1]} turned" {style}{table[2]}</table>'
        if as_is:
            return f'<table class="{table[1]} fits"{table[2]}</table>'
    first = next(
        (n for n in range(1, MOST_NAMES) if len({tuple(row[:n]) for row in rows}) == len(rows)),
        1 if any(len(row) < len(names) for row in rows) else MOST_NAMES,
    )
    first = min(first, len(names) - 1)
    labels = [f' data-label="{html.escape(name, quote=True)}"' for name in names[first:]]

    def row(found: re.Match[str]) -> str:
        left = iter([""] * first + labels)
        return _CELL.sub(lambda cell: f"{cell[0]}{next(left, '')}", found[0])

    named = re.sub(r"<th\b", "<th data-name", head, count=first)
    return f'<table class="{table[1]} stacks"{named}{end}{_ROW.sub(row, body)}</table>'


def _lines(rows: Sequence[Sequence[str]]) -> int | None:
    """How many lines rows take on a phone; None where words break or cells take many lines."""
    columns = list(zip(*rows, strict=True))
    least = [max(len(word) for cell in column for word in _WORDS.split(cell)) for column in columns]
    wish = [max(map(len, column)) - low for column, low in zip(columns, least, strict=True)]
    spare = ROOM - sum(least) - len(columns) + 1
    if spare < 0:
        return None
    part = min(spare / max(sum(wish), 1), 1.0)
    wide = [max(low + part * more, 1.0) for low, more in zip(least, wish, strict=True)]
    lines = sum(math.ceil(max(map(operator.truediv, map(len, row), wide))) for row in rows)
    return lines if lines <= MOST_LINES * len(rows) else None


def _plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", "", markup)).split())


def folded(page: str) -> str:
    """A page whose section for analysts opens by its heading.

    Examples
    --------
    >>> folded('<section id="for-analysts"><h2>For analysts</h2><section>x</section></section>')
    '<section id="for-analysts"><details class="fold"><summary><h2>For analysts</h2></summary><section>x</section></details></section>'
    """
    start = page.find(f'<section id="{FOLDED}">')
    heading = _HEADING.search(page, start) if start >= 0 else None
    if heading is None:
        return page
    depth = 0
    for tag in _SECTION.finditer(page, start):
        depth += -1 if tag[0].startswith("</") else 1
        if depth == 0:
            inside = page[heading.end() : tag.start()]
            title = _ANCHOR.sub("", heading[0])  # no link within what opens
            summary = f'<details class="fold"><summary>{title}</summary>'
            return f"{page[: heading.start()]}{summary}{inside}</details>{page[tag.start() :]}"
    return page
