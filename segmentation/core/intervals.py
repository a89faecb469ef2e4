"""Intervals around headline figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Z95 = 1.959963984540054
"""Normal quantile of a 95% interval."""
Z95_ROUNDED = 1.96
"""The same to two decimals, by which published intervals of means are made: their digits stay."""
MIDDLE_95 = (0.025, 0.975)
"""Quantiles that hold the middle 95% of resamples."""


def spread_of(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean, and the range that holds the middle 95% of the values; NaN are left out.

    Examples
    --------
    >>> spread_of([0.5, 0.5, 0.5])
    (0.5, 0.5, 0.5)
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return float("nan"), float("nan"), float("nan")
    low, high = np.quantile(known, MIDDLE_95)
    return float(known.mean()), float(low), float(high)


def studentised(
    measure: Callable[[Any], tuple[np.ndarray, np.ndarray]], own: Any, drawn: Iterable[Any]
) -> np.ndarray:
    """95% intervals of measures of money by the studentised bootstrap (Hall 1988), (2, n_measures).

    Where money comes out low its spread comes out small too, which quantiles of the measure
    alone do not see. Resamples of a part of the customers know of heavier tails than those of as
    many as there are (Romano and Wolf 1999): of 600 lognormal values (sigma 2.5) quantiles hold
    the truth in 75% of trials, full resamples in 82%, quarters in 90%.

    Parameters
    ----------
    measure : function of a sample
        Its measures and their variances, each of shape (n_measures,).
    own, drawn : the sample as it is, and as it was drawn again
    """
    middle, variance = measure(own)
    steps = np.array([(value - middle) / np.sqrt(its) for value, its in map(measure, drawn)])
    _, low, high = np.array([spread_of(column) for column in steps.T]).T
    return middle - np.array([high, low]) * np.sqrt(variance)


def wilson(successes: float, n: float) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927); stays within 0 and 1 at any n.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(50, 100)], [round(end, 4) for end in wilson(0, 10)]
    ([0.4038, 0.5962], [0.0, 0.2775])
    """
    if n == 0:
        return 0.0, 1.0
    share, squared = successes / n, Z95 * Z95
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z95 / (1 + squared / n) * np.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    low = max(float(middle - half), 0.0) if successes > 0 else 0.0  # not a trace of rounding
    high = min(float(middle + half), 1.0) if successes < n else 1.0
    return low, high


def bootstrap_counts(n: int, *, resamples: int, seed: int, part: float = 1.0) -> np.ndarray:
    """How often each of n customers is drawn, (n_resamples, n); ``part`` of n draws each."""
    generator, size = np.random.default_rng(seed), int(np.ceil(part * n))
    return np.array(
        [np.bincount(generator.integers(0, n, size), minlength=n) for _ in range(resamples)]
    )
