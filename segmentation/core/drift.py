"""How far a feature's distribution has moved from the one a model was fitted on."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from segmentation.core.limits import PSI_BINS, PSI_REFIT, PSI_WATCH

STABLE, SHIFTING, SHIFTED, TOO_FEW = "stable", "shifting", "shifted", "too few to tell"


def decile_edges(values: np.ndarray) -> np.ndarray:
    """Borders of at most ten equally full bins, fewer where values repeat; NaN are left out.

    Examples
    --------
    >>> decile_edges(np.arange(101.0)).tolist()
    [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0)
    return np.unique(np.quantile(known, np.arange(1, PSI_BINS) / PSI_BINS))


def counts_between(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many values lie in each bin; the last bin is that of missing values.

    Examples
    --------
    >>> counts_between(np.array([1.0, 5.0, 9.0, np.nan]), np.array([5.0])).tolist()
    [2, 1, 1]
    """
    bins = np.searchsorted(edges, values, side="left")
    bins[np.isnan(values)] = len(edges) + 1
    return np.bincount(bins, minlength=len(edges) + 2)


def stability_index(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index of two rows of counts over the same bins.

    The sum over bins of ``(p - q) * ln(p / q)``. Half a customer is added to every bin of
    both sides, so that an empty one has a logarithm. A bin that is empty on both sides says
    nothing and is left out: half a customer weighs more in the smaller sample.

    Source: Siddiqi (2006), *Credit Risk Scorecards*, Wiley.

    Examples
    --------
    >>> stability_index(np.array([5, 5, 0]), np.array([5, 5, 0]))
    0.0
    """
    used = (reference > 0) | (current > 0)
    reference, current = reference[used], current[used]
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (reference, current)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def index_by_chance(n_reference: int, n_current: int, *, bins: int) -> float:
    """Index that samples of these sizes stay below in 95% of cases without any drift.

    Under no drift the index is about ``(1/n + 1/m)`` times a chi-square of ``bins - 1``
    degrees of freedom. Source: Yurdakul and Naranjo (2020), Journal of Risk Model
    Validation 14.

    Examples
    --------
    >>> round(index_by_chance(10_000, 50, bins=10), 2)
    0.34
    """
    if bins < 2 or min(n_reference, n_current) < 1:
        return 0.0
    return float(chi2.ppf(0.95, bins - 1) * (1 / n_reference + 1 / n_current))


def finding(index: float) -> str:
    """The customary word for an index: stable below 0.1, shifting below 0.25, else shifted."""
    if index < PSI_WATCH:
        return STABLE
    return SHIFTING if index < PSI_REFIT else SHIFTED
