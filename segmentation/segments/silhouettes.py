"""How well each customer sits in its own cluster: silhouettes, exact or of a sample."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from segmentation.core.intervals import Z95_ROUNDED
from segmentation.core.limits import EXACT_SILHOUETTE_CUSTOMERS, SAMPLED_SILHOUETTE_CUSTOMERS
from segmentation.core.threads import one_thread

_CHUNK_CELLS = 1_000_000  # distances at once and per thread


_WORKERS = 2


def silhouette_rows(n_customers: int, *, random_state: int) -> np.ndarray:
    """Customers whose silhouette is measured: all, or a seeded sample of a large group."""
    if n_customers <= EXACT_SILHOUETTE_CUSTOMERS:
        return np.arange(n_customers)
    generator = np.random.default_rng(random_state)
    return np.sort(generator.choice(n_customers, size=SAMPLED_SILHOUETTE_CUSTOMERS, replace=False))


def silhouettes(
    prepared: np.ndarray, partitions: list[np.ndarray], measured: np.ndarray
) -> list[np.ndarray]:
    """Silhouette of each measured customer against all customers, for each partition.

    For a customer, a is the mean distance to its own cluster's other members and b the
    smallest mean distance to another cluster; the silhouette is (b - a) / max(a, b),
    and 0 in a cluster of one (Rousseeuw 1987, J. Comput. Appl. Math. 20).

    Returns
    -------
    list of arrays of shape (n_measured,), one per partition
        Equal to ``sklearn.metrics.silhouette_samples`` for the same customers.
    """
    if not partitions:
        return []
    counts = [np.bincount(labels) for labels in partitions]
    widths = [len(count) for count in counts]
    offsets = np.concatenate([[0], np.cumsum(widths)])
    members = np.zeros((len(prepared), offsets[-1]))
    for labels, offset in zip(partitions, offsets[:-1], strict=True):
        members[np.arange(len(prepared)), offset + labels] = 1.0
    results = [np.empty(len(measured)) for _ in partitions]
    step = max(1, _CHUNK_CELLS // max(1, len(prepared)))
    columns = np.ascontiguousarray(prepared.T)
    own_memory = threading.local()

    def fill(start: int) -> None:
        rows = measured[start : start + step]
        if not hasattr(own_memory, "pages"):  # new pages for every chunk cost as much as its sums
            own_memory.pages = np.empty((2, step, len(prepared)))
        sums = _distances(columns, rows, own_memory.pages) @ members
        for result, labels, count, offset in zip(
            results, partitions, counts, offsets[:-1], strict=True
        ):
            own = labels[rows]
            block = sums[:, offset : offset + len(count)]
            result[start : start + step] = _silhouette_block(block, own, count)

    with one_thread(), ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(fill, range(0, len(measured), step)))
    return results


def silhouette_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean silhouette of measured customers with the 95% interval of the mean of all.

    Parameters
    ----------
    values : array of shape (n_measured,)
        Silhouettes of the customers measured; NaN = one cluster only.

    Notes
    -----
    It does not say how far the mean would move with other customers: silhouettes hang together,
    and other customers would have other clusters, which moves it up to three times as far.

    Examples
    --------
    >>> silhouette_interval(np.array([0.25, 0.5, 0.75]))[0]
    0.5
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return mean, mean - Z95_ROUNDED * error, mean + Z95_ROUNDED * error


def _distances(columns: np.ndarray, rows: np.ndarray, pages: np.ndarray) -> np.ndarray:
    """Distances of some customers to all, in the first of two pages of memory."""
    squares, differences = pages[:, : len(rows)]
    squares[...] = 0.0
    for column in columns:
        np.subtract(column[rows, None], column[None, :], out=differences)
        np.multiply(differences, differences, out=differences)
        np.add(squares, differences, out=squares)
    return np.sqrt(squares, out=squares)


def _silhouette_block(sums: np.ndarray, own: np.ndarray, count: np.ndarray) -> np.ndarray:
    rows = np.arange(len(own))
    others = count[own] - 1
    inside = sums[rows, own] / np.maximum(others, 1)
    outside = sums / count
    outside[rows, own] = np.inf
    nearest = outside.min(axis=1)
    largest = np.maximum(inside, nearest)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(largest > 0, (nearest - inside) / largest, 0.0)
    return np.where(others > 0, value, 0.0)
