"""K-Means on resamples of one group, two at a time, with a progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from segmentation.geometry import centre_distances

WORKERS = 2
STARTS = 3
"""Random starts of a fit on a resample. All of them are cold (k-means++): a start from
the published centres would make the partition look more stable than it is."""

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


@dataclass(frozen=True)
class Fitted:
    """Centres of one fit and its inertia."""

    centers: np.ndarray
    inertia: float

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Nearest centre of every customer."""
        return centre_distances(values, self.centers).argmin(axis=1)


def fit(values: np.ndarray, k: int, *, seed: int, starts: int = STARTS) -> Fitted:
    """K-Means on some customers; one centre where k is 1."""
    if k == 1:
        center = values.mean(axis=0, keepdims=True)
        return Fitted(center, float(((values - center) ** 2).sum()))
    model = KMeans(n_clusters=k, n_init=starts, random_state=seed).fit(values)
    return Fitted(model.cluster_centers_, float(model.inertia_))


def seed_of(*parts: int) -> int:
    """A seed made of several numbers, the same wherever and whenever it is asked for."""
    sequence = np.random.SeedSequence(parts)
    return int(sequence.generate_state(1)[0])


def sample_rows(n_customers: int, most: int, *, seed: int) -> np.ndarray:
    """All customers, or a seeded sample where there are more than ``most``; ascending."""
    if n_customers <= most:
        return np.arange(n_customers)
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(n_customers, size=most, replace=False))


def matched(labels: np.ndarray, found: np.ndarray, k: int) -> np.ndarray:
    """Found clusters renamed to the clusters of ``labels`` they share most customers with.

    Examples
    --------
    >>> matched(np.array([0, 0, 1, 1, 1]), np.array([1, 1, 0, 0, 1]), 2).tolist()
    [0, 0, 1, 1, 0]
    """
    overlap = np.zeros((k, k), dtype=np.int64)
    np.add.at(overlap, (found, labels), 1)
    old, new = linear_sum_assignment(-overlap)
    names = np.empty(k, dtype=np.int64)
    names[old] = new
    return names[found]
