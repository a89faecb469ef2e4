"""Executes notebooks with papermill, each as soon as the stages that it reads are there."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError, strip_color
from traitlets.config import Config

from segmentation.book.remembered_notebooks import (
    INJECTED_TAG,
    PARAMETERS_TAG,
    RememberedNotebooks,
    code_of,
    stages_read,
)
from segmentation.book.warm_kernels import WarmKernelManager
from segmentation.core.errors import ReportError
from segmentation.core.notebook_parameters import RUN_FOLDER, RUNS_DIR
from segmentation.core.parameters import NOTEBOOK_FOLDER, PATHS, Parameters
from segmentation.core.progress import progress_bar
from segmentation.run import forks
from segmentation.run.run import ASKED
from segmentation.sources.source import shown_path

NOTEBOOKS_AT_ONCE = min((os.cpu_count() or 1) + 1, 4)
"""One more than processors: a third of a short notebook's time is waiting for its kernel."""
PATIENCE = 600
"""Seconds for a kernel to begin or to answer: a busy machine is slow, and no notebook wrong."""
logging.getLogger("papermill").setLevel(logging.ERROR)  # a chapter lists its own parameters only
HIDDEN_INPUT, LEFT_OUT = "hide-input", "remove-cell"


class NotebooksAtWork:
    """The notebooks of a report, some side by side, while stages are still computed.

    Leaving it early, for whatever reason, ends the kernels: nothing goes on behind.
    """

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._pool = ThreadPoolExecutor(NOTEBOOKS_AT_ONCE)
        self._jobs: dict[Future[None], Path] = {}
        # not `as_completed`: Ctrl-C while it takes the locks of all jobs would leave some taken
        self._ended: SimpleQueue[tuple[Path, BaseException | None]] = SimpleQueue()

    def of_profile(
        self,
        parameters: Parameters,
        folder: Path,
        *,
        remembered: RememberedNotebooks | None = None,
        run_folder: str = "",
    ) -> Chapters:
        """The notebooks of one profile, to be begun when their stages are there.

        Those that are ``remembered`` are there at once. ``run_folder`` is what the run's folder
        will be called: pages print commands that lead there.
        """
        folder.mkdir()
        values = notebook_values(parameters) | {RUNS_DIR: str(self._runs_dir)}
        values |= {RUN_FOLDER: run_folder} if run_folder else {}
        return Chapters(self, folder, values, remembered)

    def begin(
        self,
        source: Path,
        target: Path,
        values: dict[str, Any],
        remembered: RememberedNotebooks | None,
    ) -> None:
        """Let one notebook be executed when it is its turn."""

        def work() -> None:
            failed: BaseException | None = None
            try:
                executed, asked = execute_notebook(source, target, values)
                if remembered is not None:
                    remembered.executed(source, executed, asked)
            except BaseException as error:
                failed = error
            self._ended.put((target, failed))

        self._jobs[self._pool.submit(work)] = target

    def finish(self) -> None:
        """Wait for all, with a progress bar.

        Raises
        ------
        ReportError
            As `execute_notebook` does, for the first that fails.
        """
        with progress_bar(total=len(self._jobs), unit="notebook", desc="notebooks") as bar:
            for _ in self._jobs:
                target, failed = self._ended.get()
                if failed is not None:
                    raise failed
                bar.set_postfix_str(f"{target.stem} done")
                bar.update()

    def __enter__(self) -> NotebooksAtWork:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what is still at work, so that nobody writes into folders that are gone."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        before = logging.root.manager.disable
        logging.disable()  # else everybody tells of what is cut short here
        while not all(job.done() for job in self._jobs):
            forks.end_all()
            time.sleep(0.1)
        logging.disable(before)


class Chapters:
    """The notebooks of one profile that have not begun, with the stages that each reads.

    ``executed`` and ``reused`` are the names of those that have, in order.
    """

    def __init__(
        self,
        work: NotebooksAtWork,
        folder: Path,
        values: dict[str, Any],
        remembered: RememberedNotebooks | None,
    ) -> None:
        self._work, self._folder, self._values = work, folder, values
        self._remembered = remembered
        self._there: set[str] = set()
        self.executed: list[str] = []
        self.reused: list[str] = []
        self._waiting: dict[Path, set[str]] = {}
        for path in sorted(NOTEBOOK_FOLDER.glob("[0-9][0-9]_*.ipynb")):
            known = remembered.recall(path, values) if remembered else None
            if known is None:
                code = code_of(nbformat.read(path, as_version=4))
                self._waiting[path] = stages_read("\n".join(code))
            else:
                nbformat.write(fit_to_publish(known), folder / path.name)
                self.reused.append(path.stem)

    def begin_after(self, stage: str) -> None:
        """Begin those for which this was the last stage they waited for."""
        self._there.add(stage)
        for path in [p for p, read in self._waiting.items() if read and read <= self._there]:
            self._begin(path)

    def begin_all(self) -> None:
        """Begin those that are left: everything is there."""
        for path in list(self._waiting):
            self._begin(path)

    def _begin(self, path: Path) -> None:
        del self._waiting[path]
        self._work.begin(path, self._folder / path.name, self._values, self._remembered)
        self.executed.append(path.stem)


def notebook_values(parameters: Parameters) -> dict[str, Any]:
    """The parameters that differ from the defaults: what papermill injects and shows."""
    defaults = Parameters().as_plain()
    return {k: v for k, v in parameters.as_plain().items() if v != defaults[k]}


def execute_notebook(
    source: Path, target: Path, values: dict[str, Any]
) -> tuple[nbformat.NotebookNode, set[str]]:
    """Execute one notebook with papermill, write it fit to publish, and return it.

    With it come the keys of all results that it asked runs for.

    Raises
    ------
    ReportError
        If a cell fails; names the notebook, the cell, the line and the error.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        noted = f"{sockets}/asked"
        Path(noted).touch()
        # sockets in a folder of our own: no open port, and no two kernels on one name
        config = Config(
            KernelManager={"transport": "ipc", "ip": f"{sockets}/k"},
            # no module is taken from the working folder, which holds somebody's data
            NotebookClient={
                "extra_arguments": [
                    "--IPKernelApp.log_level=CRITICAL",
                    "--InteractiveShellApp.ignore_cwd=True",
                ],
                "kernel_manager_class": WarmKernelManager,
                "iopub_timeout": PATIENCE,
            },
            # nobody's own profile of IPython decides what a report shows
            WarmKernelManager={"environment": {ASKED: noted, "IPYTHONDIR": f"{sockets}/ipython"}},
        )
        try:
            notebook = papermill.execute_notebook(
                str(source),
                None,
                parameters=values,
                progress_bar=False,
                kernel_name="python3",
                start_timeout=PATIENCE,
                config=config,
            )
        except PapermillExecutionError as error:
            raise ReportError(_said_of(source, error)) from None
        asked = set(Path(noted).read_text(encoding="utf-8").split())
    notebook = fit_to_publish(notebook)
    nbformat.write(notebook, target)
    return notebook, asked


def _said_of(source: Path, error: PapermillExecutionError) -> str:
    """Where a cell fails and why, in at most five lines."""
    cells = nbformat.read(source, as_version=4).cells
    where = f"{source.name}, its parameters"
    for index in (error.cell_index - 1, error.cell_index):  # the first is behind those injected
        if 0 <= index < len(cells) and cells[index].source == error.source:
            number = sum(cell.cell_type == "code" for cell in cells[: index + 1])
            where = f"{source.name}, code cell {number}"
            break
    said = [f"{error.ename}: {error.evalue}".strip()[:500]]
    found = re.search(r"Cell In\[\d+\], line (\d+)", strip_color("\n".join(error.traceback)))
    if found:
        line = int(found[1])
        where += f", line {line}"
        said.insert(0, error.source.splitlines()[line - 1].strip()[:200])
    lines = [f"{where}:", *"\n".join(said).splitlines()]
    return "\n    ".join(lines[:5])


def fit_to_publish(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take machine paths and timings out of an executed notebook and fold its inputs.

    papermill writes paths into metadata and every parameter into a visible cell.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if PARAMETERS_TAG in cell.metadata.get("tags", []):
            cell.metadata.tags.append(LEFT_OUT)  # chapter "Using the results" lists them all
        if INJECTED_TAG in cell.metadata.get("tags", []):
            cell.metadata.tags.append(HIDDEN_INPUT)
            cell.source = "\n".join(_publishable(line) for line in cell.source.splitlines())
    return notebook


def _publishable(line: str) -> str:
    if line.startswith("runs_dir"):
        return 'runs_dir = "runs"'
    for name in PATHS:
        if line.startswith(f"{name} = "):
            value = line.split(" = ", 1)[1].strip("\"'")
            return f'{name} = "{shown_path(value)}"'
    return line
