"""Jobs on two threads where that pays; their results depend on neither thread nor timing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from segmentation.core.progress import progress_bar

WORKERS = 2
WORTH_A_THREAD = 10_000
"""Customers of a job from which two threads are faster than one. A fit on fewer is mostly
Python, which runs one thread at a time: on 3,000 two took 1.4 times as long as one, on
10,000 0.8, on 20,000 0.56."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_parallel(
    job: Callable[[Task], Result], tasks: Iterable[Task], *, customers: int, progress: str = ""
) -> list[Result]:
    """Results of a job for every task, in the order of the tasks.

    Parameters
    ----------
    customers : int
        How many one job looks at: threads are taken from `WORTH_A_THREAD` on.
    progress : str
        Label of the progress bar; empty = no bar.

    Notes
    -----
    Each fit itself uses one thread, so that sums are added in one order and the same seed
    gives the same digits.
    """
    listed = list(tasks)
    workers = WORKERS if customers >= WORTH_A_THREAD else 1
    with (
        one_thread(),
        warnings.catch_warnings(),
        ThreadPoolExecutor(workers, initializer=one_thread_each) as pool,
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        done = pool.map(job, listed) if workers > 1 else map(job, listed)
        wanted = bool(progress and listed)
        bar = progress_bar(done, wanted=wanted, total=len(listed), desc=progress, leave=False)
        try:
            return list(bar)
        except BaseException:  # Ctrl-C does not wait for all that is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def one_thread() -> AbstractContextManager[Any]:
    """Keep the libraries that compute to one thread: they then add up in one order."""
    return _libraries().limit(limits=1)


def one_thread_each() -> None:
    """Keep OpenMP to one thread in the calling thread (its limit is kept per thread)."""
    _libraries().limit(limits=1, user_api="openmp")


@cache
def _libraries() -> ThreadpoolController:
    """The libraries with threads of their own; to look for them takes as long as a fit.

    All are loaded with scikit-learn, which this module imports.
    """
    return ThreadpoolController()
