"""Keeps notebooks in step: each `.py` percent script has an `.ipynb` of the same cells.

``python tools/notebook_pairs.py`` writes the side that was not changed from the one that was,
as `notebooks/pairs.json` tells: it holds a digest of each pair when its two were last equal.
Where both were changed neither is touched, and both are named; ``--check`` only compares.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from segmentation.core.parameters import NOTEBOOK_FOLDER

EQUAL = "pairs.json"
PERCENT = "py:percent"
METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
}


class PairError(Exception):
    """A pair that cannot be brought in step without losing something."""


def scripts(folder: Path = NOTEBOOK_FOLDER) -> list[Path]:
    """The numbered scripts in reading order, also one whose `.ipynb` alone is there."""
    found = [*folder.glob("[0-9][0-9]_*.py"), *folder.glob("[0-9][0-9]_*.ipynb")]
    return sorted({path.with_suffix(".py") for path in found})


def script_text(cells: list[NotebookNode]) -> str:
    """The percent script of cells."""
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    return str(jupytext.writes(notebook, fmt=PERCENT))


def notebook_text(script: str) -> str:
    """The output-free ``.ipynb`` of a script; cell ids count up, so it never changes idly."""
    notebook = jupytext.reads(script, fmt=PERCENT)
    notebook.metadata = nbformat.from_dict(METADATA | notebook.metadata)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    plain = json.loads(nbformat.writes(notebook))
    return json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def cells_of(path: Path) -> list[NotebookNode]:
    """Cells of either side as a script can hold them: no outputs, nothing of Jupyter's own."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            return list(jupytext.reads(text, fmt=PERCENT).cells)
        notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook, version=4)
        cells = notebook.cells
    except (ValueError, nbformat.ValidationError) as error:
        raise PairError(f"{path.name} is no notebook ({type(error).__name__}); mend it") from None
    if any(cell.get("attachments") for cell in cells):
        raise PairError(f"{path.name} holds a pasted picture; save it as a file and link to that")
    return list(jupytext.reads(script_text(cells), fmt=PERCENT).cells)


def plain(cell: NotebookNode) -> str:
    """A cell in one way of writing it."""
    return json.dumps([cell.cell_type, cell.source, cell.metadata], sort_keys=True)


def digest(cells: list[NotebookNode]) -> str:
    """Digest of all that a pair has in common."""
    return hashlib.sha256("\n".join(map(plain, cells)).encode()).hexdigest()[:20]


def in_step(script: Path, equal: str | None) -> tuple[str, str]:
    """Both texts of a pair as they should be.

    Parameters
    ----------
    script : Path
        The `.py`; its `.ipynb` lies beside it.
    equal : str or None
        Digest of the two when they were last equal.

    Raises
    ------
    PairError
        If both were changed since, or one holds what the other cannot.
    """
    twin = script.with_suffix(".ipynb")
    if not twin.exists():
        text = script.read_text(encoding="utf-8")
    elif not script.exists():
        text = script_text(cells_of(twin))
    else:
        ours, theirs = cells_of(script), cells_of(twin)
        text = script.read_text(encoding="utf-8")
        if digest(ours) not in (equal, digest(theirs)) and digest(theirs) != equal:
            raise PairError(
                f"{script.name} and {twin.name} both changed since they were last equal; keep "
                "one: move the other away"
            )
        if digest(theirs) not in (equal, digest(ours)):
            written = {plain(cell): cell for cell in ours}  # its own order of metadata stays
            text = script_text([written.get(plain(cell), cell) for cell in theirs])
    return text, notebook_text(text)


def synchronise(folder: Path = NOTEBOOK_FOLDER, *, write: bool = True) -> tuple[list, list]:
    """Bring every pair in step; names of files that were not, and what cannot be.

    With ``write`` false nothing is written.
    """
    known = folder / EQUAL
    equal = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    changed, refused, wanted, now_equal = [], [], {}, {}
    for script in scripts(folder):
        try:
            text, twin = in_step(script, equal.get(script.stem))
        except PairError as error:
            refused.append(str(error))
            now_equal |= {script.stem: equal[script.stem]} if script.stem in equal else {}
        else:
            wanted |= {script: text, script.with_suffix(".ipynb"): twin}
            now_equal[script.stem] = digest(list(jupytext.reads(text, fmt=PERCENT).cells))
    for path, text in (wanted | {known: json.dumps(now_equal, indent=1) + "\n"}).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(path.name)
            if write:
                path.write_text(text, encoding="utf-8")
    return changed, refused


if __name__ == "__main__":
    checks = "--check" in sys.argv
    changed, refused = synchronise(write=not checks)
    for said in refused:
        print(f"notebooks: {said}, then `make notebooks`.", file=sys.stderr)
    if checks and changed:
        print(f"out of step: {', '.join(changed)}; run `make notebooks`.", file=sys.stderr)
    elif changed:
        print(f"written: {', '.join(changed)}")
    sys.exit(2 if refused or (checks and changed) else 0)
