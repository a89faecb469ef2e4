"""Long stages that nothing waits for, computed by another process meanwhile.

A stage mostly keeps one processor busy. Where order lines come from files, a second process
can compute a stage from the same inputs into the same cache: who asks for it finds it there,
waits for it, or computes it, and the digits are the same.
"""

from __future__ import annotations

import os
import threading

from segmentation.kernel_mother import CAN_FORK, MOTHER
from segmentation.pipeline import Run

HELPED = {"sensitivity": "segments"}
"""Stage that another process computes, and the stage after which it can."""
MOST_CUSTOMERS = 100_000
"""Above this, what two processes hold of all customers may be more than there is."""


class Helper:
    """Gives stages of one run away as soon as they can be computed."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def after(self, stage: str) -> None:
        """Take note that a stage is there."""
        for helped, needed in HELPED.items():
            if stage == needed and self._is_worth_it(helped):
                run = self._run
                run.reused[helped] = False
                asked = (helped, run.parameters.as_plain(), run.cache.root.parent)
                # a thread, since a mother that still imports answers later
                threading.Thread(target=MOTHER.compute, args=asked, daemon=True).start()

    def _is_worth_it(self, stage: str) -> bool:
        run = self._run
        return (
            CAN_FORK
            and (os.cpu_count() or 1) > 1
            and run.parameters.engine == "duckdb"
            and run.cache.reuse
            and not run.cache.folder(stage, run.key(stage)).exists()
            and run["overview"]["customers"] <= MOST_CUSTOMERS
        )
