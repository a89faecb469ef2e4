"""Prepared space: how raw values get there, and distances and margins within it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRANSFORMS = ("none", "log", "yeo-johnson")
_BLOCK = 8_192


@dataclass(frozen=True)
class Preparation:
    """Fitted constants that turn features of one group into prepared space.

    Attributes
    ----------
    features : tuple of str
        Features in column order; constant or missing ones were left out at fitting.
    low, high : arrays of shape (n_features,)
        Winsor limits in the feature's own unit (minus/plus infinity = none).
    transform : str
        ``none``, ``log`` (sign(x) * ln(1 + |x|)) or ``yeo-johnson``.
    lambdas : array of shape (n_features,)
        Yeo-Johnson exponents (Yeo and Johnson 2000); unused otherwise.
    center, scale : arrays of shape (n_features,)
        Subtracted from, then divided into, the transformed values.
    """

    features: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    transform: str
    lambdas: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Prepared values, shape (n_customers, n_features), from raw ones in that order."""
        values = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.transform == "log":
            values = np.sign(values) * np.log1p(np.abs(values))
        elif self.transform == "yeo-johnson":
            values = yeo_johnson(values, self.lambdas)
        return (values - self.center) / self.scale


def yeo_johnson(values: np.ndarray, lambdas: np.ndarray) -> np.ndarray:
    """Yeo-Johnson power transform (Yeo and Johnson 2000), column by column.

    Examples
    --------
    >>> yeo_johnson(np.array([[3.0, -3.0]]), np.array([0.0, 2.0])).round(4).tolist()
    [[1.3863, -1.3863]]
    """
    result = np.empty_like(values)
    for column, exponent in enumerate(lambdas):
        x = values[:, column]
        up, down = x >= 0, x < 0
        if abs(exponent) < np.spacing(1.0):
            result[up, column] = np.log1p(x[up])
        else:
            result[up, column] = np.expm1(exponent * np.log1p(x[up])) / exponent
        if abs(exponent - 2) > np.spacing(1.0):
            result[down, column] = -np.expm1((2 - exponent) * np.log1p(-x[down])) / (2 - exponent)
        else:
            result[down, column] = -np.log1p(-x[down])
    return result


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
