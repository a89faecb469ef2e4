"""One run without notebooks: all stages, then its folder in place."""

from __future__ import annotations

import contextlib
from pathlib import Path

from segmentation.atomic import recover_folder, scratch_folder, swap_folder
from segmentation.cache_bounds import keep_in_bounds
from segmentation.errors import OutputError
from segmentation.forgotten import held
from segmentation.helping_process import Helper
from segmentation.params import Parameters, resolve
from segmentation.pipeline import Run
from segmentation.run_folder import compute_stages, publish_workbook, write_run
from segmentation.stage_cache import StageCache

SHIPPED_WORKBOOK_PROFILE = "marketplace"


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
    make_folder(runs_dir)
    with held(runs_dir):
        return _make_run(profile, parameters, runs_dir=runs_dir, name=name, reuse=reuse)


def _make_run(
    profile: str, parameters: Parameters, *, runs_dir: Path, name: str, reuse: bool
) -> Path:
    target = runs_dir / name
    recover_folder(target)
    cache = StageCache(runs_dir / ".cache", reuse=reuse)
    run = Run(parameters, runs_dir, progress=True, cache=cache)
    with contextlib.closing(run.snapshot):
        compute_stages(run, label=name, after=(Helper(run).after,))
        if not run.is_sampled:  # else all customers are yet to be assigned over there
            run.snapshot.close()
        with scratch_folder(target) as working:
            write_run(run, working, profile=profile)
            swap_folder(working, target)
    keep_in_bounds(cache)
    if name == profile and is_shipped(parameters):
        publish_workbook(target)
    return target


def is_shipped(parameters: Parameters) -> bool:
    """Whether this is the shipped profile as it stands, not an experiment with it."""
    return parameters == resolve(SHIPPED_WORKBOOK_PROFILE)[1]


def make_folder(folder: Path) -> None:
    """The folder of runs, made where it is not there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--runs-dir {folder}: cannot be made ({error.strerror}); choose another folder."
        ) from None
