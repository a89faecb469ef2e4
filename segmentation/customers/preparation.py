"""How raw values get into prepared space: fitted constants, applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRANSFORMS = ("none", "log", "yeo-johnson")
DATES = ("recency", "tenure")
"""Features counted back from the last day of observation: dates, which have no zero of their own."""


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
    dates : tuple of (column, center, scale)
        Features that tell a date (`DATES`) where the transform would bend them: in which
        column, and what stands instead of center and scale where anomalies are sought.
    """

    features: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    transform: str
    lambdas: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    dates: tuple[tuple[int, float, float], ...] = ()

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Prepared values, shape (n_customers, n_features), from raw ones in that order."""
        values = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.transform == "log":
            values = np.sign(values) * np.log1p(np.abs(values))
        elif self.transform == "yeo-johnson":
            values = yeo_johnson(values, self.lambdas)
        return (values - self.center) / self.scale

    def for_flags(self, values: np.ndarray, prepared: np.ndarray) -> np.ndarray:
        """Prepared values among which anomalies are sought: dates are as far apart as their days.

        A logarithm puts yesterday as far from today as the 3rd day is from the 1st: whoever
        ordered last would be alone for that, and no longer a week later.
        """
        if not self.dates:
            return prepared
        found = prepared.copy()
        for column, center, scale in self.dates:
            days = np.clip(values[:, column], self.low[column], self.high[column])
            found[:, column] = (days - center) / scale
        return found


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
