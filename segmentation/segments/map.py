"""Principal components of prepared space: the map of all features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from segmentation.segments.distances import nearest_centres


@dataclass(frozen=True)
class Projection:
    """Principal components of one group: points, loadings, explained variance."""

    points: np.ndarray
    loadings: pd.DataFrame
    explained: pd.DataFrame


def project(prepared: np.ndarray, names: tuple[str, ...]) -> Projection:
    """PCA of prepared space, signs fixed so that the same data give the same picture.

    Returns
    -------
    Projection
        ``points`` (n_customers, 2), zeros where there are fewer than two components;
        ``loadings`` one row per feature with ``pc1, pc2``; ``explained`` one row per
        component with its share of the variance.
    """
    n_components = min(prepared.shape) if prepared.size else 0
    points = np.zeros((len(prepared), 2))
    loadings = pd.DataFrame({"feature": list(names), "pc1": 0.0, "pc2": 0.0})
    if n_components == 0:
        return Projection(points, loadings, pd.DataFrame(columns=["component", "explained"]))
    pca = PCA(n_components=n_components, svd_solver="full")
    scores = pca.fit_transform(prepared)
    shown = min(2, n_components)
    for component in range(shown):
        vector = pca.components_[component]
        sign = 1.0 if vector[np.abs(vector).argmax()] >= 0 else -1.0
        points[:, component] = sign * scores[:, component]
        loadings[f"pc{component + 1}"] = sign * vector
    explained = pd.DataFrame(
        {
            "component": range(1, n_components + 1),
            "explained": np.nan_to_num(pca.explained_variance_ratio_),
        }
    )
    return Projection(points, loadings, explained)


def map_agreement(points: np.ndarray, labels: np.ndarray) -> float:
    """Share of customers whose nearest segment on the two-dimensional map is their own.

    Near 1 the map shows the split; well below, two components hide a part of it and a
    reader must not judge segments by how they overlap on the map.

    Parameters
    ----------
    points : array of shape (n_customers, 2)
    labels : int array of shape (n_customers,), clusters from 0

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [0.4, 0.0]])
    >>> map_agreement(points, np.array([0, 0, 1, 1]))
    0.75
    """
    centers = np.array([points[labels == label].mean(axis=0) for label in np.unique(labels)])
    own = np.unique(labels, return_inverse=True)[1]
    return float((nearest_centres(points, centers) == own).mean())
