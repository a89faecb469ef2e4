"""Runs and reports: stages, executed notebooks, run folders, the book."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from segmentation.atomic import recover_folder, scratch_folder, swap_folder
from segmentation.book import build_book
from segmentation.errors import OutputError, ParameterError
from segmentation.notebooks_at_work import NotebooksAtWork
from segmentation.params import PROJECT_ROOT, Parameters, resolve
from segmentation.pipeline import Run
from segmentation.run_comparison import open_changes
from segmentation.run_folder import WORKBOOK, compute_stages, publish_workbook, write_run
from segmentation.stage_cache import StageCache

SHIPPED_WORKBOOK_PROFILE = "marketplace"


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
    for name in runs:
        recover_folder(runs_dir / name)
    with contextlib.ExitStack() as stack:
        folders = {name: stack.enter_context(scratch_folder(runs_dir / name)) for name in runs}
        notebooks = stack.enter_context(
            NotebooksAtWork(runs_dir, figures=cache.root / "figures" if reuse else None)
        )
        for name, run in runs.items():
            chapters = notebooks.of_profile(run.parameters, folders[name] / "notebooks")
            with contextlib.closing(run.snapshot):
                stack.enter_context(run.snapshot.pinned())
                compute_stages(run, label=name, after=chapters.begin_after)
                open_changes(run)  # its stages are then there for the notebook
            chapters.begin_all()
            write_run(run, folders[name], profile=name)
        notebooks.finish()
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
