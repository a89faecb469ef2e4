"""Reports: runs, executed notebooks, the book, put in place together."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from segmentation.atomic import recover_folder, scratch_folder, swap_folder
from segmentation.book import build_book
from segmentation.book_press import Press
from segmentation.cache_bounds import keep_in_bounds
from segmentation.errors import ParameterError
from segmentation.forgotten import held
from segmentation.helping_process import Helper
from segmentation.notebooks_at_work import Chapters, NotebooksAtWork
from segmentation.params import PROJECT_ROOT, Parameters
from segmentation.pipeline import Run
from segmentation.remembered_notebooks import RememberedNotebooks
from segmentation.run_comparison import open_changes
from segmentation.run_folder import WORKBOOK, compute_stages, publish_workbook, write_run
from segmentation.single_run import SHIPPED_WORKBOOK_PROFILE, is_shipped, make_folder
from segmentation.stage_cache import StageCache


@dataclass(frozen=True)
class Report:
    """Where a report's results are."""

    runs: dict[str, Path]
    workbooks: list[Path]
    book: Path
    notebooks: dict[str, Chapters]

    def notebooks_sentence(self, profile: str) -> str:
        """Which notebooks of a profile were executed, and which reused."""
        chapters = self.notebooks[profile]
        said = [f"executed {', '.join(sorted(chapters.executed))}"] if chapters.executed else []
        said += [f"reused {', '.join(chapters.reused)}"] if chapters.reused else []
        return "; ".join(said)


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
    make_folder(runs_dir)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    runs = {name: Run(p, runs_dir, progress=True, cache=cache) for name, p in profiles.items()}
    for name in runs:
        recover_folder(runs_dir / name)
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(runs_dir))
        folders = {name: stack.enter_context(scratch_folder(runs_dir / name)) for name in runs}
        notebooks = stack.enter_context(
            NotebooksAtWork(runs_dir, figures=cache.root / "figures" if reuse else None)
        )
        press = stack.enter_context(Press())
        chapters, remembered = {}, {}
        for name, run in runs.items():
            with contextlib.closing(run.snapshot):
                stack.enter_context(run.snapshot.pinned())
                remembered[name] = RememberedNotebooks(cache.root / "notebooks", run, reuse=reuse)
                chapters[name] = notebooks.of_profile(
                    run.parameters, folders[name] / "notebooks", remembered=remembered[name]
                )
                told = (Helper(run).after, chapters[name].begin_after)
                compute_stages(run, label=name, after=told)
                open_changes(run)  # its stages are then there for the notebook
            chapters[name].begin_all()
            write_run(run, folders[name], profile=name)
        notebooks.finish()
        book = _book_folder(runs_dir)
        build_book(runs, folders, book, press=press)
        for name, folder in folders.items():
            swap_folder(folder, runs_dir / name)
            remembered[name].keep()
    keep_in_bounds(cache)
    workbooks = [runs_dir / name / WORKBOOK for name in profiles]
    if SHIPPED_WORKBOOK_PROFILE in profiles and is_shipped(profiles[SHIPPED_WORKBOOK_PROFILE]):
        workbooks.append(publish_workbook(runs_dir / SHIPPED_WORKBOOK_PROFILE))
    return Report({name: runs_dir / name for name in profiles}, workbooks, book, chapters)


def _book_folder(runs_dir: Path) -> Path:
    """``_build/html`` of the project; beside the runs where they are written elsewhere."""
    home = PROJECT_ROOT if runs_dir == PROJECT_ROOT / "runs" else runs_dir
    return home / "_build" / "html"
