"""What notebooks showed, remembered by the results that they asked their run for.

Only the notebooks of this project are remembered, by the very code that was reviewed to read
nothing but its run and its parameters (`notebooks/reviewed.json`): a fork may read anything
and is executed every time. While one is executed its run notes the key of every result that
it asks for; outputs are kept if these are results of this very run, all of them foreseen.
"""

from __future__ import annotations

import contextlib
import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from segmentation.core.errors import OutputError
from segmentation.core.keys import key_of
from segmentation.core.notebook_parameters import RUN_FOLDER, UNKNOWN_FOLDER, is_parameters_cell
from segmentation.core.parameters import NOTEBOOK_FOLDER, PROJECT_ROOT, Parameters
from segmentation.run.answers import ANSWERED_BY
from segmentation.run.cache import code_fingerprint, package_fingerprint
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

PARAMETERS_TAG, INJECTED_TAG = "parameters", "injected-parameters"
REVIEWED = NOTEBOOK_FOLDER / "reviewed.json"
SHOWN_BY = (
    *("ipykernel", "ipython", "matplotlib", "matplotlib-inline", "nbclient", "numpy", "pandas"),
    *("papermill", "pillow", "seaborn"),
)
_READ = re.compile(r"run\[[\"'](\w+)[\"']\]")
_CALLED = re.compile(r"segmentation\.(\w+)\(")


def code_of(notebook: nbformat.NotebookNode) -> list[str]:
    """Cells that are executed, without what papermill injects."""
    return [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and INJECTED_TAG not in cell.metadata.get("tags", [])
    ]


def review() -> None:
    """Take the notebooks as they stand for reviewed: they read nothing but their run."""
    found = {p.stem: _fingerprint(p) for p in sorted(NOTEBOOK_FOLDER.glob("[0-9][0-9]_*.ipynb"))}
    REVIEWED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def is_reviewed(source: Path, code: list[str]) -> bool:
    """Whether a notebook's code is, letter by letter, that of the reviewed one of its name."""
    reviewed = json.loads(REVIEWED.read_text(encoding="utf-8")) if REVIEWED.exists() else {}
    return bool(reviewed.get(source.stem) == _fingerprint_of(code))


def _fingerprint(path: Path) -> str:
    return _fingerprint_of(code_of(nbformat.read(path, as_version=4)))


def _fingerprint_of(code: list[str]) -> str:
    # what a parameter is by default, or in words, makes no other notebook
    return key_of(["" if is_parameters_cell(cell) else cell for cell in code])


def stages_read(code: str) -> set[str]:
    """Stages whose results a notebook's code asks for; empty where it reads runs otherwise.

    A step that it calls is answered by a stage too.

    Examples
    --------
    >>> sorted(stages_read('plot(run["ledger"], run["segments"])'))
    ['orders', 'segments']
    >>> sorted(stages_read('model = segmentation.kmeans(scaled, 3)'))
    ['tuning']
    >>> stages_read('found = open_changes(run); run["ledger"]')
    set()
    """
    if "open_changes" in code:
        return set()
    called = {ANSWERED_BY[name] for name in _CALLED.findall(code) if name in ANSWERED_BY}
    read = called | set(_READ.findall(code))
    return {stage.name for stage in STAGES.values() if read & set(stage.gives)}


class RememberedNotebooks:
    """The outputs of one run's notebooks in the cache of its results."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked: dict[Path, str] = {}
        self._executed: dict[Path, nbformat.NotebookNode] = {}

    def key(self, source: Path, run_folder: str = UNKNOWN_FOLDER) -> str | None:
        """Key of what a notebook shows in this run; None where it is executed every time.

        The folder's name is a part of it where the notebook prints that.
        """
        code = code_of(nbformat.read(source, as_version=4))
        if not is_reviewed(source, code):
            return None
        run, own = self._run, "\n".join(c for c in code if not is_parameters_cell(c))
        names = [
            name
            for name in Parameters.model_fields
            if "parameters" in own or re.search(rf"\b{name}\b", own)
        ]
        plain = run.parameters.as_plain()
        return key_of(
            *(code, {stage: run.key(stage) for stage in sorted(stages_read(own))}),
            *(run.rules_fingerprint, {name: plain[name] for name in names}, _shown_by()),
            run_folder if re.search(rf"\b{RUN_FOLDER}\b", own) else "",
        )

    def recall(self, source: Path, values: dict[str, Any]) -> nbformat.NotebookNode | None:
        """The notebook as it would be after execution, from memory where it is there."""
        key = self.key(source, str(values.get(RUN_FOLDER, UNKNOWN_FOLDER)))
        if key is None:
            return None
        self._asked[source] = key
        folder = self._run.cache.find("notebook", key)
        if folder is None:
            return None
        shown = json.loads((folder / "shown.json").read_text(encoding="utf-8"))
        notebook = parameterize_notebook(load_notebook_node(str(source)), values)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if len(cells) != len(shown["outputs"]):  # papermill injects no cell without values
            return None
        for number, (cell, outputs) in enumerate(zip(cells, shown["outputs"], strict=True), 1):
            cell.execution_count = number
            cell.outputs = [nbformat.from_dict(output) for output in outputs]
        notebook.metadata.update(nbformat.from_dict(shown["metadata"]))
        return notebook

    def executed(self, source: Path, notebook: nbformat.NotebookNode, asked: set[str]) -> None:
        """Take note of what a notebook showed, and of all that it asked runs for."""
        if source in self._asked and is_reviewed(source, code := code_of(notebook)):
            run, foreseen = self._run, stages_read("\n".join(code))
            for name in reversed(STAGES):
                if name in foreseen:
                    foreseen |= set(run.needs(name))
            if asked <= {run.rules_fingerprint, *map(run.key, foreseen)}:
                self._executed[source] = notebook

    def keep(self) -> None:
        """Remember what was executed, once the report that shows it has been accepted."""
        for source, notebook in self._executed.items():
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            known = {k: notebook.metadata.get(k, {}) for k in ("kernelspec", "language_info")}
            text = json.dumps({"outputs": [cell.outputs for cell in cells], "metadata": known})

            def write(folder: Path, text: str = text) -> None:
                (folder / "shown.json").write_text(text, encoding="utf-8")

            with contextlib.suppress(OutputError):  # a report does not fail for want of memory
                self._run.cache.get_or_compute("notebook", self._asked[source], write)


def _shown_by() -> list[Any]:
    """All that stands between results of stages and what a notebook shows of them."""
    settings = {k: repr(v) for k, v in mpl.rcParams.items() if not k.startswith("backend")}
    versions = {name: metadata.version(name) for name in SHOWN_BY} | {"": platform.python_version()}
    return [code_fingerprint(), package_fingerprint(), versions, settings, str(PROJECT_ROOT)]


if __name__ == "__main__":
    review()
