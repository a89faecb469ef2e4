"""Jobs on two threads, whose results depend on neither thread nor timing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from tqdm import tqdm

WORKERS = 2

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_parallel(
    job: Callable[[Task], Result], tasks: Iterable[Task], *, progress: str = ""
) -> list[Result]:
    """Results of a job for every task, in the order of the tasks.

    Parameters
    ----------
    progress : str
        Label of the progress bar; empty = no bar.

    Notes
    -----
    Two threads; each fit itself uses one, so that sums are added in one order and the
    same seed gives the same digits.
    """
    listed = list(tasks)
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
        ThreadPoolExecutor(WORKERS, initializer=one_thread_each) as pool,
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        done = pool.map(job, listed)
        silent = not (progress and listed)
        bar = tqdm(done, total=len(listed), desc=progress, disable=silent, leave=False)
        try:
            return list(bar)
        except BaseException:  # Ctrl-C does not wait for all that is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def one_thread_each() -> None:
    """Keep OpenMP to one thread in the calling thread (its limit is kept per thread)."""
    threadpool_limits(limits=1, user_api="openmp")
