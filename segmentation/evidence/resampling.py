"""K-Means on resamples of one group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from segmentation.segments.distances import nearest_centres

STARTS = 10
"""Random starts of a fit, as many as a run has by default: with fewer a poor start would count as
disagreement. All are cold (k-means++): a start from the published centres would make the
partition look more stable than it is."""


@dataclass(frozen=True)
class Fitted:
    """Centres of one fit and its inertia."""

    centers: np.ndarray
    inertia: float

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Nearest centre of every customer."""
        return nearest_centres(values, self.centers)


def fit(values: np.ndarray, k: int, *, seed: int, starts: int = STARTS) -> Fitted:
    """K-Means on some customers; one centre where k is 1."""
    if k == 1:
        center = values.mean(axis=0, keepdims=True)
        return Fitted(center, float(((values - center) ** 2).sum()))
    model = KMeans(n_clusters=k, n_init=starts, random_state=seed).fit(values)
    return Fitted(model.cluster_centers_, float(model.inertia_))


def follow_labels(values: np.ndarray, labels: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Label of every customer by the nearest mean of those who were drawn.

    Examples
    --------
    >>> follow_labels(np.array([[0.0], [1.0], [9.0]]), np.array([7, 8, 8]), np.array([0, 2])).tolist()
    [7, 7, 8]
    """
    there = np.unique(labels[drawn])
    centers = [values[drawn][labels[drawn] == label].mean(axis=0) for label in there]
    return there[nearest_centres(values, np.array(centers))]


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
