"""Prepared customers -> K-Means clusters with numbers that mean the same in every run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from segmentation.core.limits import LARGE_GROUP, LEAST_CUSTOMERS
from segmentation.core.phrases import plural
from segmentation.core.progress import progress_bar
from segmentation.core.threads import one_thread
from segmentation.segments.distances import centre_distances, nearest_centres
from segmentation.segments.large_kmeans import fit_large


@dataclass(frozen=True)
class Clustering:
    """A fitted partition of one group.

    Attributes
    ----------
    labels : int array of shape (n_customers,)
        Numbered by ascending mean ``total_spent``.
    centers : array of shape (n_clusters, n_features)
        In prepared space, same numbering.
    inertia : float
        Sum of squared distances to the own centre, as scikit-learn reports it.
    note : str
        Why there is one cluster only, where fewer than asked for were possible.
    """

    labels: np.ndarray
    centers: np.ndarray
    inertia: float
    note: str = ""

    @property
    def n_clusters(self) -> int:
        """Number of clusters found."""
        return len(self.centers)


@dataclass(frozen=True)
class GroupFits:
    """Every partition of one group that was tried.

    Attributes
    ----------
    by_k : dict of int to Clustering
    silhouettes : dict of int to array
        Silhouette of each measured customer under that k.
    measured : int array
        Positions (in canonical order) of the customers measured.
    """

    by_k: dict[int, Clustering]
    silhouettes: dict[int, np.ndarray]
    measured: np.ndarray


def fit_kmeans(
    prepared: np.ndarray,
    total_spent: np.ndarray,
    *,
    n_clusters: int,
    n_init: int,
    random_state: int,
) -> Clustering:
    """K-Means as scikit-learn fits it, on rows that come in canonical order.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
        Rows in an order derived from their values (see `prepare.canonical_order`).
    total_spent : array of shape (n_customers,)
        Account currency, same order; its mean numbers the clusters.
    n_clusters, n_init, random_state
        As in ``sklearn.cluster.KMeans``.

    Returns
    -------
    Clustering
        Where there are fewer distinct customers than clusters asked for, one cluster
        and a note that says so: never an exception, never empty clusters.

    Notes
    -----
    Groups of more than `LARGE_GROUP` customers are not started from random centres
    ``n_init`` times: a sample is, and its good optima start the fits on everybody
    (`large_kmeans`).

    One thread: with several, scikit-learn adds partial sums in the order in which
    threads finish, and the last digits of the centres change from run to run.

    Examples
    --------
    >>> spent = np.array([1.0, 2.0, 90.0, 95.0])
    >>> fit_kmeans(spent[:, None], spent, n_clusters=2, n_init=1, random_state=0).labels.tolist()
    [0, 0, 1, 1]
    """
    distinct = _distinct_rows(prepared, enough=n_clusters)
    if n_clusters == 1 or distinct < n_clusters or len(prepared) <= n_clusters:
        return _one_cluster(prepared, n_clusters, distinct)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters=n_clusters, n_init=n_init, random_state=random_state)
        found = fit_large(prepared, model) if len(prepared) > LARGE_GROUP else None
        if found is None:
            model.fit(prepared)
            found = model.cluster_centers_, float(model.inertia_)
    centers, inertia = found
    centers = centers[number_by_spend(nearest_centres(prepared, centers), total_spent, centers)]
    return Clustering(nearest_centres(prepared, centers), centers, inertia)


def fit_without(
    prepared: np.ndarray,
    total_spent: np.ndarray,
    left_out: np.ndarray,
    *,
    n_clusters: int,
    n_init: int,
    random_state: int,
) -> Clustering:
    """Centres fitted without some customers (anomalies, say); everybody is assigned to them.

    Parameters
    ----------
    prepared, total_spent, n_clusters, n_init, random_state
        As for `fit_kmeans`.
    left_out : bool array of shape (n_customers,)

    Examples
    --------
    >>> spent = np.array([1.0, 2.0, 90.0, 95.0, 9000.0])
    >>> found = fit_without(
    ...     spent[:, None], spent, spent > 1000, n_clusters=2, n_init=1, random_state=0
    ... )
    >>> found.labels.tolist(), found.centers.ravel().tolist()
    ([0, 0, 1, 1, 1], [1.5, 92.5])
    """
    some = fit_kmeans(
        prepared[~left_out], total_spent[~left_out],
        n_clusters=n_clusters, n_init=n_init, random_state=random_state,
    )  # fmt: skip
    nearest = nearest_centres(prepared, some.centers)
    # everybody is assigned now, so the clusters are numbered anew
    centers = some.centers[number_by_spend(nearest, total_spent, some.centers)]
    distances = centre_distances(prepared, centers)
    inertia = float((distances.min(axis=1) ** 2).sum())
    return Clustering(distances.argmin(axis=1), centers, inertia, some.note)


def too_small_beside(n_customers: int, *, largest: int, n_clusters: int) -> str:
    """Why a group beside a larger one stays one segment; empty where it is clustered.

    The number of clusters is asked for with the largest group in mind: that one is always
    clustered as asked. In a small group beside it the same number would make segments of
    one customer.

    Examples
    --------
    >>> too_small_beside(40, largest=3000, n_clusters=3)
    '40 customers are too few for 3 clusters: fewer than 30 for each, below which neither the outcome of a campaign nor the stability of a segment can be measured; they stay one segment'
    >>> too_small_beside(90, largest=3000, n_clusters=3), too_small_beside(40, largest=40, n_clusters=3)
    ('', '')
    """
    if n_clusters == 1 or n_customers == largest or n_customers >= LEAST_CUSTOMERS * n_clusters:
        return ""
    return (
        f"{plural(n_customers, 'customer')} {'is' if n_customers == 1 else 'are'} too few for "
        f"{n_clusters} clusters: fewer than "
        f"{LEAST_CUSTOMERS} for each, below which neither the outcome of a campaign nor the "
        "stability of a segment can be measured; they stay one segment"
    )


def _distinct_rows(prepared: np.ndarray, *, enough: int) -> int:
    """Number of different rows; counting stops once there are `enough`."""
    if not prepared.shape[1]:
        return 1
    some = len(np.unique(prepared[: 20 * enough], axis=0))
    return some if some >= enough else len(np.unique(prepared, axis=0))


def fit_range(
    prepared: np.ndarray,
    total_spent: np.ndarray,
    *,
    k_values: Iterable[int],
    n_init: int,
    random_state: int,
    progress: str = "",
) -> dict[int, Clustering]:
    """Fit every k; one that the group is too small for is left out.

    Parameters
    ----------
    progress : str
        Label of the progress bar; empty = no bar.
    """
    fits = {}
    for k in progress_bar(
        list(k_values), wanted=bool(progress), desc=progress, unit="k", leave=False
    ):
        fit = fit_kmeans(
            prepared, total_spent, n_clusters=k, n_init=n_init, random_state=random_state
        )
        if fit.n_clusters == k:
            fits[k] = fit
    return fits


def number_by_spend(labels: np.ndarray, total_spent: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Old cluster numbers in their new order: ascending mean ``total_spent``.

    A tie is broken by the centre's own coordinates, never by a customer id.

    Examples
    --------
    >>> number_by_spend(np.array([0, 0, 1]), np.array([9.0, 9.0, 1.0]), np.array([[1.0], [2.0]]))
    array([1, 0])
    """
    n_clusters = len(centers)
    size = np.bincount(labels, minlength=n_clusters)
    spent = np.bincount(labels, weights=total_spent, minlength=n_clusters)
    mean = spent / np.maximum(size, 1)
    return np.lexsort((*centers.T[::-1], mean))


def _one_cluster(prepared: np.ndarray, asked: int, distinct: int) -> Clustering:
    center = prepared.mean(axis=0, keepdims=True)
    inertia = float(((prepared - center) ** 2).sum())
    note = ""
    if asked > 1:
        note = (
            f"{len(prepared):,} customer(s), {distinct:,} of them different, are too few for "
            f"{asked} clusters; they stay one segment"
        )
    return Clustering(np.zeros(len(prepared), dtype=np.int64), center, inertia, note)
