"""What built pages need on a phone and on paper: labelled cells, and folds that a heading opens."""

from __future__ import annotations

import html
import re

FEWEST_COLUMNS = 3
"""Tables of as many columns or more become cards on a phone; fewer fit."""
FOLDED = "for-analysts"
"""Anchor of the section that a page keeps behind its heading."""
_TABLE = re.compile(r'<table class="([^"]*)"(.*?)</table>', re.DOTALL)
_HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr\b[^>]*>(?:(?!</tr>).)*</tr>", re.DOTALL)
_CELL = re.compile(r"<td\b(?![^>]*colspan)")
_SECTION = re.compile(r"<section\b[^>]*>|</section>")
_ANCHOR = re.compile(r'<a class="headerlink".*?</a>', re.DOTALL)
_HEADING = re.compile(r"<h2>.*?</h2>", re.DOTALL)


def labelled(page: str) -> str:
    """A page whose wide tables carry their headers in every cell, so that a row can be a card.

    Examples
    --------
    >>> rows = "<thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tr><td>1</td><td>2</td><td>3</td></tr>"
    >>> labelled(f'<table class="t">{rows}</table>').partition("</thead>")[2]
    '<tr><td data-label="a">1</td><td data-label="b">2</td><td data-label="c">3</td></tr></table>'
    """
    return _TABLE.sub(_with_labels, page)


def _with_labels(table: re.Match[str]) -> str:
    head, end, body = table[2].partition("</thead>")
    names = [html.escape(_plain(name), quote=True) for name in _HEAD.findall(head)]
    if not end or len(names) < FEWEST_COLUMNS:
        return table[0]

    def row(found: re.Match[str]) -> str:
        left = iter(names)
        return _CELL.sub(lambda cell: f'{cell[0]} data-label="{next(left, "")}"', found[0])

    return f'<table class="{table[1]} stacks"{head}{end}{_ROW.sub(row, body)}</table>'


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
