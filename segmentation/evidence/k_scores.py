"""Scores of every number of clusters, and how well each customer sits in its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from segmentation.core.parameters import Parameters
from segmentation.customers.prepare import PreparedGroup
from segmentation.segments.kmeans import GroupFits, fit_range
from segmentation.segments.silhouettes import silhouette_rows, silhouettes

TUNING_COLUMNS = (
    "segment_type",
    "k",
    "inertia",
    "silhouette",
    "calinski_harabasz",
    "davies_bouldin",
)


class Fit(Protocol):
    """A fitted partition: labels per customer and its inertia."""

    @property
    def labels(self) -> np.ndarray:
        """Cluster of each customer, numbered from 0."""

    @property
    def inertia(self) -> float:
        """Sum of squared distances to the own centre."""


@dataclass(frozen=True)
class KScores:
    """Scores of every k on one group.

    Attributes
    ----------
    scores : DataFrame
        ``k, inertia, silhouette, calinski_harabasz, davies_bouldin``.
    silhouettes : dict of int to array
        Silhouette of each measured customer under that k.
    measured : int array
        Positions (in canonical order) of the customers measured.
    """

    scores: pd.DataFrame
    silhouettes: dict[int, np.ndarray]
    measured: np.ndarray


def score_fits(prepared: np.ndarray, fits: Mapping[int, Fit], *, random_state: int) -> KScores:
    """Score every k; distances between customers are computed once for all of them.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features), canonical order
    fits : mapping of k (at least 2) to its fit

    Notes
    -----
    Higher is better for silhouette (Rousseeuw 1987; -1 to 1) and Calinski-Harabasz
    (1974); lower for Davies-Bouldin (1979) and inertia, which always falls with k.
    """
    measured = silhouette_rows(len(prepared), random_state=random_state)
    values = silhouettes(prepared, [fit.labels for fit in fits.values()], measured)
    by_k = dict(zip(fits, values, strict=True))
    rows = [
        {
            "k": k,
            "inertia": fit.inertia,
            "silhouette": float(by_k[k].mean()),
            "calinski_harabasz": float(calinski_harabasz_score(prepared, fit.labels)),
            "davies_bouldin": float(davies_bouldin_score(prepared, fit.labels)),
        }
        for k, fit in fits.items()
    ]
    return KScores(pd.DataFrame(rows, columns=list(TUNING_COLUMNS[1:])), by_k, measured)


def score_every_k(
    *,
    features: pd.DataFrame,
    scaled: dict[str, PreparedGroup],
    scan_to: int,
    progress: bool,
    parameters: Parameters,
) -> dict[str, Any]:
    """Fits and scores of every number of clusters, per group."""
    fits, scan, scores = {}, {}, []
    for kind, group in scaled.items():
        found = fit_range(
            group.values,
            features["total_spent"].to_numpy()[group.rows],
            k_values=range(2, scan_to + 1),
            n_init=parameters.n_init,
            random_state=parameters.random_state,
            progress=f"k-means, {kind}" if progress else "",
        )
        scored = score_fits(group.values, found, random_state=parameters.random_state)
        scores.append(scored.scores.assign(segment_type=kind))
        scan[kind] = {"measured": len(scored.measured), "customers": len(group.rows)}
        fits[kind] = GroupFits(found, scored.silhouettes, scored.measured)
    filled = [table for table in scores if len(table)] or scores[:1]
    table = pd.concat(filled, ignore_index=True)[list(TUNING_COLUMNS)]
    return {"tuning_k": table, "scan": scan, "fits": fits}
