"""Stages that nothing else waits for, computed by a second process beside the others.

A stage mostly keeps one processor busy. Where order lines come from files, another process can
compute stages from the same inputs into the same cache: who asks for one finds it there, waits
for it, or computes it, and the digits are the same.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from segmentation.kernel_mother import CAN_FORK, MOTHER
from segmentation.params import Parameters, resolve_path

if TYPE_CHECKING:
    from segmentation.pipeline import Run

AFTER = "segments"
HELPED = ("sensitivity", "holdout", "returns_choice", "explanation")
"""Stages that another process computes, in this order, and the stage after which it can."""
COMPUTES_WITH = ("segmentation.pipeline",)
LEAST_BYTES = 500_000
"""Raw files smaller than this are done before another process has begun."""
MOST_CUSTOMERS = 100_000
"""Above this, what two processes hold of all customers may be more than there is."""


def begin_early(parameters: Parameters) -> None:
    """Let the second process begin to import, where it will be of use, while we import too."""
    if _can_help(parameters):
        MOTHER.start(COMPUTES_WITH, is_heard=False)


def _can_help(parameters: Parameters) -> bool:
    if not CAN_FORK or _processors() < 2 or parameters.engine != "duckdb":
        return False
    place = resolve_path(parameters.location)
    try:
        return _size(place) >= LEAST_BYTES
    except OSError:  # whoever reads it says what is wrong
        return False


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _size(place: Path) -> int:
    files = place.iterdir() if place.is_dir() else [place]
    return sum(path.stat().st_size for path in files)


class Helper:
    """Gives stages of one run away as soon as they can be computed."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def after(self, stage: str) -> None:
        """Take note that a stage is there."""
        if stage != AFTER or not self._is_worth_it():
            return
        run = self._run
        missing = [s for s in HELPED if not run.cache.folder(s, run.key(s)).exists()]
        if missing:
            run.reused |= dict.fromkeys(missing, False)  # not by us, but for this run
            asked = (missing, run.parameters.as_plain(), run.cache.root.parent)
            # a thread, since a mother that still imports answers later
            threading.Thread(target=MOTHER.compute, args=asked, daemon=True).start()

    def _is_worth_it(self) -> bool:
        run = self._run
        return (
            MOTHER.is_there
            and run.cache.reuse
            and _can_help(run.parameters)
            and run["overview"]["customers"] <= MOST_CUSTOMERS
        )
