"""Runs and reports: stages, executed notebooks, run folders, the book."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from segmentation.atomic import recover_folder, scratch_folder, swap_folder
from segmentation.book import build_book
from segmentation.errors import OutputError, ParameterError
from segmentation.notebook_pairs import NOTEBOOK_FOLDER
from segmentation.params import PATHS, PROJECT_ROOT, Parameters, resolve, shown_path
from segmentation.pipeline import Run
from segmentation.run_comparison import open_changes
from segmentation.run_folder import WORKBOOK, compute_stages, publish_workbook, write_run
from segmentation.stage_cache import StageCache

SHIPPED_WORKBOOK_PROFILE = "marketplace"
NOTEBOOKS_AT_ONCE = max(1, min(os.cpu_count() or 1, 4))
HIDDEN_INPUT, LEFT_OUT = "hide-input", "remove-cell"


@dataclass(frozen=True)
class Report:
    """Where a report's results are."""

    runs: dict[str, Path]
    workbooks: list[Path]
    book: Path


def make_run(
    profile: str, parameters: Parameters, *, runs_dir: Path, name: str, reuse: bool = True
) -> Path:
    """Run all stages without notebooks and put the run's folder in place.

    With ``reuse`` false no result remembered from before is believed.

    Returns
    -------
    Path
        The run's folder. Whatever fails before the end leaves the previous one as it was.
    """
    _make_folder(runs_dir)
    target = runs_dir / name
    recover_folder(target)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    run = Run(parameters, runs_dir, progress=True, cache=cache)
    with contextlib.closing(run.snapshot):
        compute_stages(run, label=name)
        if not run.is_sampled:  # else all customers are yet to be assigned over there
            run.snapshot.close()
        with scratch_folder(target) as working:
            write_run(run, working, profile=profile)
            swap_folder(working, target)
    if name == profile and _is_shipped(parameters):
        publish_workbook(target)
    return target


def make_report(profiles: dict[str, Parameters], *, runs_dir: Path, reuse: bool = True) -> Report:
    """Run the notebooks of every profile, build the book, then put all in place.

    Nothing is replaced until everything has succeeded. With ``reuse`` false every stage is
    computed anew, once; the notebooks read those results.
    """
    for name, asked in profiles.items():
        if asked.fit_on != "all":
            raise ParameterError(
                f"{name}: fit_on is {asked.fit_on}, but a report is about all customers; use "
                "segmentation run, or set fit_on: all."
            )
    _make_folder(runs_dir)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    runs = {name: Run(p, runs_dir, progress=True, cache=cache) for name, p in profiles.items()}
    for name, run in runs.items():
        recover_folder(runs_dir / name)
        with contextlib.closing(run.snapshot):
            compute_stages(run, label=name)
            open_changes(run)  # its stages are then there for the notebook
    with contextlib.ExitStack() as stack:
        for run in runs.values():
            stack.enter_context(run.snapshot.pinned())
        folders = {name: stack.enter_context(scratch_folder(runs_dir / name)) for name in profiles}
        _execute_all(profiles, folders, runs_dir)
        for name, run in runs.items():
            write_run(run, folders[name], profile=name)
        book = _book_folder(runs_dir)
        build_book(runs, folders, book)
        for name, folder in folders.items():
            swap_folder(folder, runs_dir / name)
    workbooks = [runs_dir / name / WORKBOOK for name in profiles]
    if SHIPPED_WORKBOOK_PROFILE in profiles and _is_shipped(profiles[SHIPPED_WORKBOOK_PROFILE]):
        workbooks.append(publish_workbook(runs_dir / SHIPPED_WORKBOOK_PROFILE))
    return Report({name: runs_dir / name for name in profiles}, workbooks, book)


def _is_shipped(parameters: Parameters) -> bool:
    """Whether this is the shipped profile as it stands, not an experiment with it."""
    return parameters == resolve(SHIPPED_WORKBOOK_PROFILE)[1]


def _book_folder(runs_dir: Path) -> Path:
    """``_build/html`` of the project; beside the runs where they are written elsewhere."""
    home = PROJECT_ROOT if runs_dir == PROJECT_ROOT / "runs" else runs_dir
    return home / "_build" / "html"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--runs-dir {folder}: cannot be made ({error.strerror}); choose another folder."
        ) from None


def _execute_all(profiles: dict[str, Parameters], folders: dict[str, Path], runs_dir: Path) -> None:
    """Execute every notebook of every profile, some side by side, with one progress bar."""
    sources = sorted(NOTEBOOK_FOLDER.glob("[0-9][0-9]_*.ipynb"))
    tasks = []
    for name, parameters in profiles.items():
        (folders[name] / "notebooks").mkdir()
        values = notebook_values(parameters) | {"runs_dir": str(runs_dir)}
        tasks += [(s, folders[name] / "notebooks" / s.name, values) for s in sources]
    with (
        ProcessPoolExecutor(NOTEBOOKS_AT_ONCE, initializer=_leave_interrupts_to_parent) as pool,
        tqdm(total=len(tasks), unit="notebook", desc="notebooks") as bar,
    ):
        jobs = {pool.submit(execute_notebook, *task): task[1] for task in tasks}
        try:
            for job in as_completed(jobs):
                job.result()
                target = jobs[job]
                bar.set_postfix_str(f"{target.stem} done")
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _leave_interrupts_to_parent() -> None:
    """Ctrl-C reaches all processes: the parent decides, and ends its workers' notebooks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_notebook)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of what was cut short


def _stop_notebook(*_: object) -> None:
    raise KeyboardInterrupt  # papermill then stops its kernel, and its sockets go


def notebook_values(parameters: Parameters) -> dict[str, Any]:
    """The parameters that differ from the defaults: what papermill injects and shows."""
    defaults = Parameters().as_plain()
    return {k: v for k, v in parameters.as_plain().items() if v != defaults[k]}


def execute_notebook(source: Path, target: Path, values: dict[str, Any]) -> None:
    """Execute one notebook with papermill and make the result fit to publish.

    Raises
    ------
    ParameterError
        If a parameter is not one of the notebook's (papermill itself only warns).
    RuntimeError
        If a cell fails; names the notebook and the error.
    """
    known = papermill.inspect_notebook(str(source))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ParameterError(f"{source.name}: has no parameter {unknown[0]}.")
    with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        # sockets in a folder of our own: no open port, and no two kernels on one name
        config = Config(
            KernelManager={"transport": "ipc", "ip": f"{sockets}/k"},
            NotebookClient={"extra_arguments": ["--IPKernelApp.log_level=CRITICAL"]},
        )
        try:
            notebook = papermill.execute_notebook(
                str(source),
                None,
                parameters=values,
                progress_bar=False,
                kernel_name="python3",
                config=config,
            )
        except PapermillExecutionError as error:
            raise RuntimeError(f"{source.name} failed: {error.ename}: {error.evalue}") from None
    nbformat.write(fit_to_publish(notebook), target)


def fit_to_publish(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take machine paths and timings out of an executed notebook and fold its inputs.

    papermill writes paths into metadata and every parameter into a visible cell.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append(LEFT_OUT)  # chapter "Using the results" lists them all
        if "injected-parameters" in cell.metadata.get("tags", []):
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
