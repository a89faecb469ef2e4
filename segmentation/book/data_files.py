"""Files with the data of a page's tables and figures, and the quiet links beneath those."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from segmentation.book.behind import KIND
from segmentation.core.guarded_csv import write_guarded_csv


def put_beside(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Write the data of a chapter into files beside it, and a link beneath what they are of."""
    cells: list[nbformat.NotebookNode] = []
    for cell in notebook.cells:
        cells.append(cell)
        for output in cell.get("outputs", []):
            if data := output.get("data", {}).pop(KIND, None):
                name = _name_of(cell, output)
                cells.append(nbformat.v4.new_markdown_cell(link_to(data, folder, name)))
    notebook.cells = cells
    return notebook


def link_to(data: dict[str, Any], folder: Path, name: str, seen_from: str = "") -> str:
    """Write data as ``data/<name>.csv`` of a folder and give the link that a page shows.

    ``seen_from`` leads from the page to the folder, where the page lies elsewhere.
    """
    place = folder / "data"
    place.mkdir(exist_ok=True)
    taken = len(list(place.glob(f"{name}*.csv")))
    file = place / f"{name}{f'-{taken + 1}' if taken else ''}.csv"
    table = pd.DataFrame(data["data"], columns=data["columns"], dtype=object)
    write_guarded_csv(table, file)
    return quiet(f"{{download}}`Data (CSV) <{seen_from}data/{file.name}>`")


def quiet(link: str) -> str:
    """A link for who looks for it, in Markdown."""
    return f":::{{div}} data-link\n{link}\n:::"


def _name_of(cell: nbformat.NotebookNode, output: nbformat.NotebookNode) -> str:
    figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
    if figure:
        return str(figure).removeprefix("fig-")
    caption = re.search("<caption>(.*?)</caption>", output.data.get("text/html", ""))
    return speaking(html.unescape(re.sub("<[^>]*>", "", caption[1])) if caption else "")


def speaking(text: str) -> str:
    """The first words of a caption as a file's name.

    Examples
    --------
    >>> speaking("Segments; for each feature the median customer. n = 12."), speaking("日本")
    ('segments-for-each-feature-the-median', 'table')
    """
    return "-".join(re.findall("[a-z0-9]+", text.lower())[:6]) or "table"
