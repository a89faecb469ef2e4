"""An executed chapter as its readers want it: answer first, code behind one switch."""

from __future__ import annotations

import base64
import html
import re

import nbformat

from segmentation.book.figure_words import words_in
from segmentation.book.words.text import inert
from segmentation.book.words.warnings import WARNED

ANSWER = "answer"
"""Tag of the cell whose sentence answers the chapter's question; else the first figure's does."""
SWITCH = '<label class="code-switch"><input type="checkbox"> Show code</label>'
_FOLDED = {"hide-input", "remove-input"}
_GROUP = r"(?:\*\*[^*\n]+\.\*\*[ ]+)?"  # "**Customers who registered before ordering.** …"
_FIRST_SENTENCE = re.compile(
    rf"\s*({_GROUP}\S.*?[.!?](?:\*\*)?)(?:[ ]+(?=[A-Z*\d\\])|\n\s*\n|\s*$)"
)
_LEAST_HEIGHT = 128
"""Pixels, an inch: a lower picture is a sentence (`style.sentence_figure`)."""
Cells = list[nbformat.NotebookNode]


def for_readers(notebook: nbformat.NotebookNode, part: str = "") -> nbformat.NotebookNode:
    """Put a chapter's answer and its first figure on top and give each figure its finding.

    The name of the ``part`` of the book stands beneath the title: chapters of all parts are
    called alike.

    A figure's finding is the first sentence that the notebook computed after it: it becomes
    the figure's title and the beginning of its alternative text, so that neither can say
    anything but what this run found.
    """
    cells: Cells = []
    for number, cell in enumerate(notebook.cells):
        cell.metadata.tags = [t for t in cell.metadata.get("tags", []) if t not in _FOLDED]
        if cell.cell_type == "code":
            _say_instead_of_drawing(cell)
        if _figure(cell) is not None:
            finding, said = _finding(notebook.cells[number + 1 :])
            if finding:
                cells.append(nbformat.v4.new_markdown_cell(f":::{{div}} finding\n{finding}\n:::"))
            image = cell.metadata.mystnb.setdefault("image", {})
            image["alt"] = f"{plain(said)} {image.get('alt', '')}".strip()
        cells.append(cell)
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _shows(output)]
    if cells and cells[0].cell_type == "markdown":
        notebook.cells = _on_top(cells, part)
    return notebook


def plain(markdown: str) -> str:
    """A sentence without its marks, for an attribute.

    Examples
    --------
    >>> plain(r"**High &amp; co** bring \\$1.2M (`a`).")
    'High & co bring $1.2M (a).'
    """
    return html.unescape(re.sub(r"\\(?=\W)|\*\*|`", "", markdown)).replace("\n", " ")


def first_sentence(markdown: str) -> tuple[str, str]:
    """A text's first sentence, with the group that it is about, and what is left.

    Examples
    --------
    >>> first_sentence("**Customers who ask.** They are 1.5% of all. More.")
    ('**Customers who ask.** They are 1.5% of all.', 'More.')
    >>> first_sentence("- a list")
    ('', '- a list')
    """
    found = None if re.match(r"\s*([-#|`>]|\d+\. )", markdown) else _FIRST_SENTENCE.match(markdown)
    return (found[1], markdown[found.end() :].strip()) if found else ("", markdown)


def _figure(cell: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if cell.cell_type != "code" or "mystnb" not in cell.metadata:
        return None
    return next((one for one in cell.outputs if "image/png" in one.get("data", {})), None)


def _say_instead_of_drawing(cell: nbformat.NotebookNode) -> None:
    """A picture of a sentence, as plots draw it where there is nothing to chart, is a sentence."""
    if (output := _figure(cell)) is None:
        return
    png = base64.b64decode(output.data["image/png"])
    if int.from_bytes(png[20:24], "big") < _LEAST_HEIGHT and (said := words_in(png)):
        output.data = nbformat.NotebookNode({"text/markdown": inert(said)})
        cell.metadata.pop("mystnb")


def _prose(cell: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    outputs = cell.get("outputs", [])
    return next((one for one in outputs if "text/markdown" in one.get("data", {})), None)


def _finding(following: Cells) -> tuple[str, str]:
    """Take the first sentence of the prose that belongs to a figure out of it.

    A list has none to take: what it begins with then says the same to the blind.
    """
    for cell in following:
        if cell.cell_type == "markdown" or _figure(cell) is not None:
            break
        if prose := _prose(cell):
            text = prose.data["text/markdown"]
            sentence, prose.data["text/markdown"] = first_sentence(text)
            return sentence, sentence or " ".join(text.split())[:200]
    return "", ""


def _on_top(cells: Cells, part: str) -> Cells:
    """Title, part, switch, answer, first figure; how to read the page, folded; then the rest."""
    title, _, about = cells[0].source.partition("\n\n")
    rest = cells[1:]
    answers = [cell for cell in rest if ANSWER in cell.metadata.get("tags", [])]
    lead: Cells = []
    first = next((n for n, cell in enumerate(rest) if _figure(cell) is not None), None)
    if first is not None:
        start = first - (first > 0 and rest[first - 1].source.startswith(":::{div} finding"))
        end = first + 1 + any(_prose(cell) for cell in rest[first + 1 : first + 2])
        lead = rest[start:end]
    if not answers and not lead:
        lead = _first_prose(rest)
    answers = [*filter(_warns, rest), *answers]
    moved = [*answers, *(cell for cell in lead if cell not in answers)]
    rest = [cell for cell in rest if not any(cell is one for one in moved)]
    named = f'<span class="part-name">{html.escape(part)}</span>' if part else ""
    top = [nbformat.v4.new_markdown_cell(title), nbformat.v4.new_markdown_cell(SWITCH + named)]
    if about:
        folded = f":::{{dropdown}} How to read this page\n{about}\n:::"
        rest.insert(0, nbformat.v4.new_markdown_cell(folded))
    return [*top, *moved, *_without_empty_sections(rest)]


def _warns(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell says why what follows is not to be trusted."""
    shown = (output.get("data", {}).get("text/html", "") for output in cell.get("outputs", []))
    return any(f'class="{WARNED}"' in markup for markup in shown)


def _first_prose(cells: Cells) -> Cells:
    """The first sentences of a chapter's first section, where it draws nothing."""
    headings = [n for n, cell in enumerate(cells) if cell.cell_type == "markdown"]
    section = cells[: headings[1] if len(headings) > 1 else None]
    said = (cell for cell in section if (prose := _prose(cell)) and _opens(prose))
    return list(said)[:1]


def _opens(prose: nbformat.NotebookNode) -> bool:
    return bool(first_sentence(prose.data["text/markdown"])[0])


def _without_empty_sections(cells: Cells) -> Cells:
    """Leave out headings with nothing to see below them."""
    kept: Cells = []
    below = 0  # level of the next heading, where nothing stands before it; 9: something does
    for cell in reversed(cells):
        heading = cell.cell_type == "markdown" and re.fullmatch(r"(#+) [^\n]*", cell.source.strip())
        if heading and below <= len(heading[1]):
            continue
        kept.append(cell)
        if cell.cell_type == "markdown":
            opens = re.match(r"\s*(#+) ", cell.source)
            below = len(opens[1]) if opens else 9
        elif any(_shows(output) for output in cell.outputs):
            below = 9
    return kept[::-1]


def _shows(output: nbformat.NotebookNode) -> bool:
    if output.output_type == "stream":
        return True
    shown = [kind for kind in output.get("data", {}) if kind != "text/plain"] or ["text/plain"]
    return any(output.get("data", {}).get(kind) for kind in shown)
