"""Reports: runs, executed notebooks, the book, put in place together."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from segmentation.book.notebooks import Chapters, NotebooksAtWork
from segmentation.book.pages import build_book, unlisted_chapters
from segmentation.book.remembered_notebooks import RememberedNotebooks
from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import ParameterError
from segmentation.core.keys import key_of
from segmentation.core.own_features import FeatureLabel
from segmentation.core.own_folders import BOOK, refuse_foreign
from segmentation.core.parameters import PROJECT_ROOT
from segmentation.core.placing import NewFile, NewFolder, NewLink, opened, put_in_place
from segmentation.deliver.make_run import publishes_workbook
from segmentation.deliver.run_folder import (
    WORKBOOK,
    check_processed_workbook,
    compute_stages,
    copy_for_processed,
    write_run,
)
from segmentation.deliver.run_places import Asked, check_name, make_folder, place_of, run_scratch
from segmentation.run.cache import StageCache
from segmentation.run.cache_bounds import keep_in_bounds
from segmentation.run.compare_runs import open_changes
from segmentation.run.run import Run
from segmentation.sources.forgotten import held

OTHER_RUNS = "choose another --runs-dir"


@dataclass(frozen=True)
class Report:
    """Where a report's results are."""

    runs: dict[str, Path]
    workbooks: list[Path]
    book: Path
    notebooks: dict[str, Chapters]
    unlisted: list[str]

    def notebooks_sentence(self, profile: str) -> str:
        """Which notebooks of a profile were executed, which reused, which the book lacks."""
        chapters = self.notebooks[profile]
        said = [f"executed {', '.join(sorted(chapters.executed))}"] if chapters.executed else []
        said += [f"reused {', '.join(chapters.reused)}"] if chapters.reused else []
        if self.unlisted:
            said.append(f"not in the book, because not in _toc.yml: {', '.join(self.unlisted)}")
        return "; ".join(said)


def make_report(asked: dict[str, Asked], *, runs_dir: Path, reuse: bool = True) -> Report:
    """Run the notebooks of every profile, build the book, then put all in place together.

    Nothing is replaced until everything has succeeded. With ``reuse`` false every stage is
    computed anew, once; the notebooks read those results. A report with parameters of its own
    is an experiment: its runs do not become current, and its book has a place of its own.
    """
    for name, one in asked.items():
        if one.parameters.fit_on != "all":
            raise ParameterError(
                f"{name}: fit_on is {one.parameters.fit_on}, but a report is about all customers; "
                "use segmentation run, or set fit_on: all."
            )
    _check_labels(asked)
    unlisted = unlisted_chapters()
    make_folder(runs_dir)
    for name, one in asked.items():
        check_name(runs_dir / name, one)
    is_current = all(one.becomes_current for one in asked.values())
    if is_current:
        refuse_foreign(_book_folder(runs_dir), BOOK, OTHER_RUNS)
    published = [name for name, one in asked.items() if publishes_workbook(one)]
    if published:
        check_processed_workbook(runs_dir)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    runs = {n: Run(a.parameters, runs_dir, progress=True, cache=cache) for n, a in asked.items()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(runs_dir))
        with opened(runs_dir):
            folders = {name: stack.enter_context(run_scratch(runs_dir, name)) for name in runs}
        notebooks = stack.enter_context(NotebooksAtWork(runs_dir))
        chapters, remembered, places = {}, {}, {}
        for name, run in runs.items():
            with contextlib.closing(run.snapshot):
                stack.enter_context(run.snapshot.pinned())
                places[name] = place_of(run, runs_dir / name, asked[name])
                remembered[name] = RememberedNotebooks(run)
                chapters[name] = notebooks.of_profile(
                    run.parameters,
                    folders[name] / "notebooks",
                    remembered=remembered[name],
                    run_folder=places[name].shown.name,
                )
                compute_stages(run, label=name, after=chapters[name].begin_after)
                open_changes(run)  # its stages are then there for the notebook
            chapters[name].begin_all()
            write_run(run, folders[name], asked[name], name=name, place=places[name])
        notebooks.finish()
        key = "" if is_current else key_of([place.own.name for place in places.values()])[:8]
        book = _book_folder(runs_dir, experiment=key)
        make_folder(book.parent)
        with opened(runs_dir):
            working = stack.enter_context(scratch_folder(book))
        built = build_book(runs, folders, working, {name: one.title for name, one in asked.items()})
        outputs: list[NewFolder | NewFile | NewLink] = []
        for name, place in places.items():
            outputs += place.outputs(folders[name])
        outputs.append(NewFolder(built, book, BOOK, OTHER_RUNS))
        workbooks = [place.shown / WORKBOOK for place in places.values()]
        for name in published:
            with opened(runs_dir):
                copied = stack.enter_context(copy_for_processed(folders[name], runs_dir))
            outputs += copied
            workbooks.append(copied[0].place)
        put_in_place(runs_dir, outputs)
        for kept in remembered.values():
            kept.keep()
    keep_in_bounds(cache)
    shown = {name: place.shown for name, place in places.items()}
    return Report(shown, workbooks, book, chapters, unlisted)


def _check_labels(asked: dict[str, Asked]) -> None:
    """Refuse a feature that two profiles describe differently: the book has one dictionary."""
    known: dict[str, FeatureLabel] = {}
    for profile, one in asked.items():
        for name, label in one.parameters.feature_labels.items():
            if known.setdefault(name, label) != label:
                raise ParameterError(
                    f"{profile}: feature_labels describes {name} otherwise than another profile "
                    "of this report; describe it alike, or call it otherwise."
                )


def _book_folder(runs_dir: Path, *, experiment: str = "") -> Path:
    """``_build/html`` of the project; beside the runs where they are written elsewhere."""
    home = PROJECT_ROOT if runs_dir == PROJECT_ROOT / "runs" else runs_dir
    return home / "_build" / (f"experiments/{experiment}" if experiment else "") / "html"
