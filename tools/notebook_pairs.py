"""Keeps notebooks in step: `.py` percent scripts are the source, `.ipynb` their twins.

``python tools/notebook_pairs.py`` writes the parameters cell of every script from
`segmentation.core.parameters` and every `.ipynb` from its script; ``--check`` only compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jupytext
import nbformat

from segmentation.core.parameters import NOTEBOOK_FOLDER, parameters_cell


def scripts(folder: Path = NOTEBOOK_FOLDER) -> list[Path]:
    """The numbered notebook scripts, in reading order."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def script_text(path: Path) -> str:
    """A script as it should be: its parameters cell equal to the definition."""
    notebook = jupytext.read(path)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = parameters_cell()
    return jupytext.writes(notebook, fmt="py:percent")


def notebook_text(script: str) -> str:
    """The output-free ``.ipynb`` of a script; cell ids count up, so it never changes idly."""
    notebook = jupytext.reads(script, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    plain = json.loads(nbformat.writes(notebook))
    return json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def out_of_step(folder: Path = NOTEBOOK_FOLDER) -> list[str]:
    """Names of files that differ from what they should be."""
    wrong = []
    for path in scripts(folder):
        wanted = script_text(path)
        if path.read_text(encoding="utf-8") != wanted:
            wrong.append(path.name)
        twin = path.with_suffix(".ipynb")
        if not twin.exists() or twin.read_text(encoding="utf-8") != notebook_text(wanted):
            wrong.append(twin.name)
    return wrong


def synchronise(folder: Path = NOTEBOOK_FOLDER) -> None:
    """Write every parameters cell and every ``.ipynb``."""
    for path in scripts(folder):
        text = script_text(path)
        path.write_text(text, encoding="utf-8")
        path.with_suffix(".ipynb").write_text(notebook_text(text), encoding="utf-8")


if __name__ == "__main__":
    if "--check" in sys.argv:
        if wrong := out_of_step():
            sys.exit(f"out of step: {', '.join(wrong)}; run `make notebooks`.")
    else:
        synchronise()
