"""What a rerun costs when one line of a profile has changed, against the first run of all.

`segmentation run` makes one profile, `segmentation report` (`make report`) all that are shipped;
the line is changed in one of them, and in the cases named ``every`` in all.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from segmentation.core.parameters import SHIPPED_PROFILES, resolve

CHANGED = "marketplace"
REMEMBERED = ".cache"
IMPORTS = """from IPython.display import Markdown
from segmentation import open_run, plots, words
open_run, plots, words"""


def n_clusters(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """Another ``n_clusters`` in one profile: nothing before clustering is computed again."""
    return _rerun(path, command, {"n_clusters": 5}, [CHANGED])


def currency(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """Another ``currency`` in one profile: only what is shown changes."""
    return _rerun(path, command, {"currency": "EUR"}, [CHANGED])


def every_n_clusters(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """Another ``n_clusters`` in every profile."""
    return _rerun(path, command, {"n_clusters": 5}, profiles_of(command))


def first(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The first run, from an empty folder."""
    return _run(tempfile.mkdtemp(prefix="bench-first-"), command, {}, [])


def nothing(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """The same with the same parameters: only notebooks and book are made anew."""
    return _rerun(path, command, {}, [])


def bare(path: str, size: int, command: str) -> Callable[[], dict[str, Any]]:
    """What no report with such notebooks can do without: kernels, imports, the book's build.

    As many kernels as there are notebooks, two at a time, each with the first cell of a
    notebook; then Jupyter Book on the very pages, their notebooks executed before.
    """
    import nbformat
    from nbclient import NotebookClient

    from segmentation.book.notebooks import NOTEBOOKS_AT_ONCE
    from segmentation.book.pages import _run_jupyter_book, assemble
    from segmentation.run.run import Run

    names = profiles_of(command)
    folders = {name: Path(path) / command / name for name in names}
    place = Path(tempfile.mkdtemp(prefix="bench-bare-"))
    runs = {name: Run(resolve(name)[1], Path(path) / command) for name in names}
    assemble(runs, folders, place / "source")
    notebooks = [one for f in folders.values() for one in sorted(f.glob("notebooks/*.ipynb"))]

    def start_and_import(_: Path) -> None:
        cell = nbformat.v4.new_code_cell(IMPORTS)
        NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3").execute()

    def work() -> dict[str, Any]:
        with ThreadPoolExecutor(NOTEBOOKS_AT_ONCE) as pool:
            list(pool.map(start_and_import, notebooks))
        built = _run_jupyter_book(place / "source", place / "output")
        finished = (built / "index.html").exists()
        shutil.rmtree(place)
        return {"finished": finished}

    return work


def profiles_of(command: str) -> list[str]:
    """What a command makes here: all shipped profiles, or one."""
    return list(SHIPPED_PROFILES) if command == "report" else [CHANGED]


def _rerun(
    path: str, command: str, changed: dict[str, Any], where: list[str]
) -> Callable[[], dict[str, Any]]:
    runs = tempfile.mkdtemp(prefix="bench-rerun-")
    shutil.copytree(Path(path) / command / REMEMBERED, Path(runs) / REMEMBERED)
    return _run(runs, command, changed, where)


def _run(
    runs: str, command: str, changed: dict[str, Any], where: list[str]
) -> Callable[[], dict[str, Any]]:
    profiles = []
    for name in profiles_of(command):
        plain = resolve(name)[1].as_plain() | (changed if name in where else {})
        profile = Path(runs) / "profiles" / f"{name}.yaml"
        profile.parent.mkdir(exist_ok=True)
        profile.write_text(yaml.safe_dump(plain), encoding="utf-8")
        profiles.append(str(profile))

    def work() -> dict[str, Any]:
        subprocess.run(
            [sys.executable, "-m", "segmentation", command, *profiles, "--runs-dir", runs],
            check=True,
            capture_output=True,
        )
        made = all((Path(runs) / name / "manifest.json").exists() for name in profiles_of(command))
        shutil.rmtree(runs)
        return {"finished": made}

    return work


def remembered(folder: Path, command: str) -> Path:
    """A folder of runs in which the first run has been made."""
    runs = folder / "remembered" / command
    if not (runs / CHANGED).exists():
        runs.mkdir(parents=True, exist_ok=True)
        names = profiles_of(command)
        subprocess.run(
            [sys.executable, "-m", "segmentation", command, *names, "--runs-dir", str(runs)],
            check=True,
            capture_output=True,
        )
    return runs.parent


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Both ended with a run's folder."""
    return bool(ours_answer["finished"] and other["finished"])
