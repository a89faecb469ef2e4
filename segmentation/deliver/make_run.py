"""One run without notebooks: all stages, then its folder in place."""

from __future__ import annotations

import contextlib
from pathlib import Path

from segmentation.core.own_folders import RUN, is_own
from segmentation.core.parameters import Parameters, resolve
from segmentation.core.placing import NewFile, NewFolder, NewLink, opened, put_in_place
from segmentation.deliver.run_folder import (
    SHIPPED_WORKBOOK_PROFILE,
    check_processed_workbook,
    compute_stages,
    copy_for_processed,
    write_run,
)
from segmentation.deliver.run_places import (
    Asked,
    check_name,
    keep_notebooks,
    make_folder,
    place_of,
    run_scratch,
)
from segmentation.run.cache import StageCache
from segmentation.run.cache_bounds import keep_in_bounds
from segmentation.run.run import Run
from segmentation.sources.forgotten import held


def make_run(
    profile: str,
    parameters: Parameters,
    *,
    runs_dir: Path,
    name: str,
    reuse: bool = True,
    asked: Asked | None = None,
    again: bool = True,
) -> Path:
    """Run all stages without notebooks and put the run's folder in place.

    With ``reuse`` false no result remembered from before is believed. With ``again`` false
    the very same run, where it is there as it was made, is left as it is.

    Returns
    -------
    Path
        The link of the current run, or the own folder of one that did not become current.
        Whatever fails before the end leaves everything as it was.
    """
    asked = asked or Asked(profile, parameters)
    make_folder(runs_dir)
    check_name(runs_dir / name, asked)
    publishes = name == profile and publishes_workbook(asked)
    if publishes:
        check_processed_workbook(runs_dir)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    run = Run(parameters, runs_dir, progress=True, cache=cache)
    with contextlib.closing(run.snapshot), contextlib.ExitStack() as stack:
        stack.enter_context(held(runs_dir))
        place = place_of(run, runs_dir / name, asked)
        if not again and is_own(place.own, RUN):
            return place.own
        compute_stages(run, label=name)
        if not run.is_sampled:  # else all customers are yet to be assigned over there
            run.snapshot.close()
        with opened(runs_dir):
            working = stack.enter_context(run_scratch(runs_dir, name))
        write_run(run, working, asked, name=name, place=place)
        keep_notebooks(place.own, working)
        outputs: list[NewFolder | NewFile | NewLink] = [*place.outputs(working)]
        if publishes:
            with opened(runs_dir):
                outputs += stack.enter_context(copy_for_processed(working, runs_dir))
        put_in_place(runs_dir, outputs)
    keep_in_bounds(cache)
    return place.shown


def publishes_workbook(asked: Asked) -> bool:
    """Whether this is the shipped profile as it stands, not an experiment with it."""
    is_shipped = asked.parameters == resolve(SHIPPED_WORKBOOK_PROFILE)[1]
    return asked.profile == SHIPPED_WORKBOOK_PROFILE and is_shipped and not asked.is_experiment
