"""Agreement of two partitions of the same customers, with its interval."""

from __future__ import annotations

import numpy as np

from segmentation.core.intervals import spread_of
from segmentation.core.limits import BOOTSTRAPS


def contingency(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Customers in every pair of clusters, (n_first, n_second)."""
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first, second), 1)
    return table


def adjusted_rand(table: np.ndarray) -> np.ndarray:
    """Adjusted Rand index of contingency tables: 1 = the same, about 0 = chance.

    Parameters
    ----------
    table : array of shape (..., n_first, n_second), counts

    Notes
    -----
    Hubert and Arabie (1985).

    Examples
    --------
    >>> float(adjusted_rand(np.array([[3.0, 0.0], [0.0, 2.0]])))
    1.0
    >>> round(float(adjusted_rand(np.array([[2.0, 1.0], [0.0, 2.0]]))), 4)
    0.1667
    """
    n = table.sum(axis=(-2, -1))
    together = _pairs(table).sum(axis=(-2, -1))
    rows = _pairs(table.sum(axis=-1)).sum(axis=-1)
    columns = _pairs(table.sum(axis=-2)).sum(axis=-1)
    by_chance = rows * columns / np.maximum(_pairs(n), 1)
    possible = (rows + columns) / 2 - by_chance
    with np.errstate(invalid="ignore", divide="ignore"):
        # both put everybody into one cluster, or everybody alone: they agree
        return np.where(possible == 0, 1.0, (together - by_chance) / possible)


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) / 2


def agreement_of(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of two partitions."""
    return float(adjusted_rand(contingency(first, second)))


def agreement_interval(
    first: np.ndarray, second: np.ndarray, *, seed: int
) -> tuple[float, float, float]:
    """Adjusted Rand index with the 95% interval of a bootstrap over customers."""
    table = contingency(first, second)
    n = int(table.sum())
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n, table.ravel() / n, size=BOOTSTRAPS)
    _, low, high = spread_of(adjusted_rand(drawn.reshape(BOOTSTRAPS, *table.shape).astype(float)))
    return float(adjusted_rand(table)), low, high
