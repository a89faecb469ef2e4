"""Distances and margins in prepared space."""

from __future__ import annotations

import numpy as np

_BLOCK = 8_192


def centre_distances(prepared: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Euclidean distance of every customer to every centre, (n_customers, n_clusters).

    Squares are added feature by feature, so a customer's distance has the same digits
    alone, among others and in any order. Blocks of customers stay in the processor's cache.

    Examples
    --------
    >>> centre_distances(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [3.0, 3.0]])).tolist()
    [[5.0, 1.0]]
    """
    distances = np.empty((len(prepared), len(centers)))
    for start in range(0, len(prepared), _BLOCK):
        columns = np.ascontiguousarray(prepared[start : start + _BLOCK].T)
        for index, center in enumerate(centers):
            squares = np.zeros(columns.shape[1])
            for column, middle in zip(columns, center, strict=True):
                gap = column - middle
                gap *= gap
                squares += gap
            np.sqrt(squares, out=distances[start : start + _BLOCK, index])
    return distances


def nearest_centres(prepared: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Number of the nearest centre of every customer, the first of equally near ones.

    Examples
    --------
    >>> nearest_centres(np.array([[1.0], [5.0], [9.0]]), np.array([[0.0], [10.0]])).tolist()
    [0, 0, 1]
    """
    nearest = np.empty(len(prepared), dtype=np.int64)
    for start in range(0, len(prepared), _BLOCK):
        block = slice(start, start + _BLOCK)
        nearest[block] = centre_distances(prepared[block], centers).argmin(axis=1)
    return nearest


def margins(distances: np.ndarray) -> np.ndarray:
    """Certainty of each assignment: 1 - d1/d2; NaN where there is one cluster only.

    Examples
    --------
    >>> margins(np.array([[1.0, 4.0], [2.0, 2.0], [0.0, 0.0]])).tolist()
    [0.75, 0.0, 0.0]
    """
    if distances.shape[1] < 2:
        return np.full(len(distances), np.nan)
    nearest = np.partition(distances, 1, axis=1)[:, :2]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(nearest[:, 1] > 0, nearest[:, 0] / nearest[:, 1], 1.0)
    return 1 - ratio
