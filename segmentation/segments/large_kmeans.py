"""K-Means of a large group: the optima of a sample, carried on to everybody.

Random starts cost the same on every customer and find the same few optima on a sample.
So a sample is started from random centres as often as asked for and more, and only its
good optima are improved on all customers, which takes a handful of steps. Steps add up
fixed blocks of customers in one order: any number of threads gives the same digits.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans

from segmentation.core.threads import in_parallel

SAMPLE_SIZE = 20_000
STARTS, CARRIED = 2, 3
"""Random starts on the sample for every one asked for (they are cheap there), and the
largest number of optima carried on to everybody."""
SAME_OPTIMUM, GOOD_OPTIMUM = 0.0005, 0.02
"""Relative differences of inertia: below the first two fits are one optimum, above the
second a fit on the sample is not worth carrying to everybody."""
TOLERANCE, MOST_STEPS = 1e-5, 300
"""Steps end where the squared way of all centres is below this share of the mean variance
(ten times stricter than scikit-learn: where customers form no groups, centres creep)."""
_BLOCK = 250_000
_PIECE = 16_384
"""Customers at a time within a block, so that their numbers stay in the processor's cache."""


def fit_large(prepared: np.ndarray, model: KMeans) -> tuple[np.ndarray, float] | None:
    """Best of the fits on everybody that start from the good optima of a sample.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
        Rows in canonical order: the sample takes equal steps through it, so from all over
        the range. Optima that differ little on it are all carried on: which is best for
        everybody cannot be told from a sample.
    model : KMeans, not fitted
        Its number of clusters, starts and seed.

    Returns
    -------
    (centers, inertia) or None
        None where a cluster lost its last customer; scikit-learn knows what to do then.
    """
    rows = np.linspace(0, len(prepared) - 1, SAMPLE_SIZE).round().astype(np.int64)
    sample = prepared[rows]
    sequence = np.random.SeedSequence(model.random_state)
    seeds = sequence.generate_state(STARTS * model.n_init)

    def started(seed: np.uint32) -> KMeans:
        return clone(model).set_params(n_init=1, random_state=int(seed)).fit(sample)

    tried = in_parallel(started, seeds, customers=len(sample))
    tried.sort(key=lambda fit: float(fit.inertia_))
    carried = [tried[0]]
    for fit in tried[1:]:
        alike = fit.inertia_ <= carried[-1].inertia_ * (1 + SAME_OPTIMUM)
        if not alike and fit.inertia_ <= tried[0].inertia_ * (1 + GOOD_OPTIMUM):
            carried.append(fit)
    enough = TOLERANCE * float(sample.var(axis=0).mean())
    fits = [lloyd(prepared, fit.cluster_centers_, enough=enough) for fit in carried[:CARRIED]]
    whole = [fit for fit in fits if fit is not None]
    return min(whole, key=lambda fit: fit[1]) if len(whole) == len(fits) else None


def lloyd(
    prepared: np.ndarray, centers: np.ndarray, *, enough: float
) -> tuple[np.ndarray, float] | None:
    """Lloyd's steps (Lloyd 1982) from given centres until they hardly move.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
    centers : array of shape (n_clusters, n_features)
    enough : float
        Squared way of all centres at which they have arrived.

    Returns
    -------
    (centers, inertia) or None
        Inertia is that of these centres; None where a cluster lost its last customer.

    Examples
    --------
    >>> values = np.array([[0.0], [2.0], [10.0], [14.0]])
    >>> centers, inertia = lloyd(values, np.array([[0.0], [9.0]]), enough=0.0)
    >>> centers.ravel().tolist(), inertia
    ([1.0, 12.0], 10.0)
    """
    starts = range(0, len(prepared), _BLOCK)
    moved = True
    for step in range(MOST_STEPS + 1):

        def add_up(
            start: int, centers: np.ndarray = centers
        ) -> tuple[np.ndarray, np.ndarray, float]:
            return _block_sums(prepared[start : start + _BLOCK], centers)

        blocks = in_parallel(add_up, starts, customers=len(prepared))
        sizes, sums, squares = (np.sum(part, axis=0) for part in zip(*blocks, strict=True))
        if not moved or step == MOST_STEPS:
            break
        if not sizes.all():
            return None
        found = sums / sizes[:, None]
        moved = float(((found - centers) ** 2).sum()) > enough
        centers = found
    return centers, float(squares)


def _block_sums(block: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Customers and sums of features by nearest centre, and the squares to it."""
    size, sums, least = np.zeros(len(centers)), np.zeros(centers.shape), 0.0
    for start in range(0, len(block), _PIECE):
        rows = block[start : start + _PIECE]
        squares = cdist(rows, centers, "sqeuclidean")
        nearest = squares.argmin(axis=1)
        belongs = (nearest == np.arange(len(centers))[:, None]).astype(np.float64)
        size += belongs.sum(axis=1)
        sums += belongs @ rows
        least += squares[np.arange(len(rows)), nearest].sum()
    return size, sums, float(least)
