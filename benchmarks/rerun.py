"""What a rerun costs when one parameter has changed, against the first run of all."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROFILE = "marketplace"
REMEMBERED = ".cache"
IMPORTS = """from IPython.display import Markdown
from segmentation import insights, plots
from segmentation.pipeline import open_run"""


def n_clusters(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The same with another ``n_clusters``: nothing before clustering is computed again."""
    return _rerun(path, command, ["-p", "n_clusters", "5"])


def currency(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The same with another ``currency``: only what is shown changes."""
    return _rerun(path, command, ["-p", "currency", "EUR"])


def first(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The first run, from an empty folder."""
    return _run(tempfile.mkdtemp(prefix="bench-first-"), command, [])


def nothing(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The same with the same parameters: only notebooks and book are made anew."""
    return _rerun(path, command, [])


def bare(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """What no report with such notebooks can do without: kernels, imports, the book's build.

    As many kernels as there are notebooks, two at a time, each with the first cell of a
    notebook; then Jupyter Book on the very pages, their notebooks executed before.
    """
    import nbformat
    from nbclient import NotebookClient

    from segmentation.book import _run_jupyter_book, assemble
    from segmentation.book_press import Press
    from segmentation.notebooks_at_work import NOTEBOOKS_AT_ONCE
    from segmentation.params import resolve
    from segmentation.pipeline import Run

    runs = Path(path) / command
    place = Path(tempfile.mkdtemp(prefix="bench-bare-"))
    run = Run(resolve(PROFILE)[1], runs)
    assemble({PROFILE: run}, {PROFILE: runs / PROFILE}, place / "source")
    notebooks = sorted((runs / PROFILE / "notebooks").glob("*.ipynb"))

    def start_and_import(_: Path) -> None:
        cell = nbformat.v4.new_code_cell(IMPORTS)
        NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3").execute()

    def work() -> dict[str, Any]:
        with ThreadPoolExecutor(NOTEBOOKS_AT_ONCE) as pool:
            list(pool.map(start_and_import, notebooks))
        with Press() as press:
            built = _run_jupyter_book(place / "source", place / "output", press)
        finished = (built / "index.html").exists()
        shutil.rmtree(place)
        return {"finished": finished}

    return work


def _rerun(path: str, command: str, changed: list[str]) -> Callable[[], dict[str, Any]]:
    runs = tempfile.mkdtemp(prefix="bench-rerun-")
    shutil.copytree(Path(path) / command / REMEMBERED, Path(runs) / REMEMBERED)
    return _run(runs, command, changed)


def _run(runs: str, command: str, changed: list[str]) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        subprocess.run(
            [sys.executable, "-m", "segmentation", command, PROFILE, "--runs-dir", runs, *changed],
            check=True,
            capture_output=True,
        )
        finished = (Path(runs) / PROFILE / "manifest.json").exists()
        shutil.rmtree(runs)
        return {"finished": finished}

    return work


def remembered(folder: Path, command: str) -> Path:
    """A folder of runs in which the first run has been made."""
    runs = folder / "remembered" / command
    if not (runs / PROFILE).exists():
        runs.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "segmentation", command, PROFILE, "--runs-dir", str(runs)],
            check=True,
            capture_output=True,
        )
    return runs.parent


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Both ended with a run's folder."""
    return bool(ours_answer["finished"] and other["finished"])
