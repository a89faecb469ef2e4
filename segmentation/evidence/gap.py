"""How much of a score one structureless cloud of customers would give by itself.

K-Means splits anything. Every score of a split is therefore compared with what the same
procedure gives on data without clusters: evenly spread over the box of the customers
(the gap statistic's reference), and one normal cloud with the customers' own covariance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segmentation.core.limits import NULL_CUSTOMERS, REFERENCE_CUSTOMERS, REFERENCES
from segmentation.core.threads import in_parallel
from segmentation.evidence.resampling import fit, seed_of
from segmentation.segments.silhouettes import silhouettes

REFERENCE_STARTS = 2


def gap_statistic(
    prepared: np.ndarray,
    inertia: dict[int, float],
    *,
    random_state: int,
    progress: str = "",
) -> pd.DataFrame:
    """Gap between the customers and evenly spread points, for every k.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
    inertia : dict of k (1 included) to the inertia of the customers' own fit

    Returns
    -------
    DataFrame with columns ``k, gap, gap_se``
        ``gap``: mean of ln(inertia) over the reference sets minus ln(inertia) of the
        customers; larger = tighter than no structure. ``gap_se``: its simulation error
        s_k = sd * sqrt(1 + 1/B). NaN where a fit leaves nothing unexplained.

    Notes
    -----
    Tibshirani, Walther and Hastie (2001), reference (b): uniform over a box along the
    principal components. B = 10 sets. The draw for a set does not depend on which k are
    asked for.
    """
    k_values = list(inertia)

    def job(number: int) -> list[float]:
        seed = seed_of(random_state, number, 1)
        points = reference_points(prepared, "uniform", REFERENCE_CUSTOMERS, seed=seed)
        scale = len(prepared) / len(points)
        starts = REFERENCE_STARTS
        return [scale * fit(points, k, seed=seed, starts=starts).inertia for k in k_values]

    found = np.array(
        in_parallel(job, range(REFERENCES), customers=len(prepared), progress=progress)
    )
    with np.errstate(divide="ignore"):
        logs, own = np.log(found), np.log(np.array([inertia[k] for k in k_values]))
    gap = np.where(np.isfinite(own), logs.mean(axis=0) - own, np.nan)
    error = logs.std(axis=0) * np.sqrt(1 + 1 / REFERENCES)
    return pd.DataFrame({"k": k_values, "gap": gap, "gap_se": error})


def silhouette_without_structure(
    prepared: np.ndarray, k_values: Sequence[int], *, random_state: int, progress: str = ""
) -> pd.DataFrame:
    """Mean silhouette that K-Means reaches on data without clusters, for every k.

    Returns
    -------
    DataFrame with columns ``k, silhouette_null, silhouette_null_sd``
        The larger mean of the two kinds of reference (evenly spread; one normal cloud
        with the customers' covariance) and the deviation between sets of that kind.
    """

    def job(task: tuple[str, int]) -> list[float]:
        kind, number = task
        seed = seed_of(random_state, number, 2 if kind == "uniform" else 3)
        points = reference_points(prepared, kind, NULL_CUSTOMERS, seed=seed)
        labels = [
            fit(points, k, seed=seed, starts=REFERENCE_STARTS).assign(points) for k in k_values
        ]
        found = silhouettes(points, labels, np.arange(len(points)))
        return [float(values.mean()) for values in found]

    tasks = [(kind, number) for kind in ("uniform", "normal") for number in range(REFERENCES)]
    found = np.array(in_parallel(job, tasks, customers=NULL_CUSTOMERS, progress=progress)).reshape(
        2, REFERENCES, -1
    )
    means, deviations = found.mean(axis=1), found.std(axis=1, ddof=1)
    larger = means.argmax(axis=0)
    columns = np.arange(len(k_values))
    return pd.DataFrame(
        {
            "k": list(k_values),
            "silhouette_null": means[larger, columns],
            "silhouette_null_sd": deviations[larger, columns],
        }
    )


def reference_points(prepared: np.ndarray, kind: str, most: int, *, seed: int) -> np.ndarray:
    """Points without clusters, laid along the customers' principal components.

    Parameters
    ----------
    kind : str
        ``uniform``: over the box of the customers; ``normal``: one cloud with their
        covariance.
    most : int
        As many points as customers, at most this many.
    """
    generator = np.random.default_rng(seed)
    centred = prepared - prepared.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    scores = centred @ axes
    shape = (min(len(prepared), most), prepared.shape[1])
    if kind == "uniform":
        return generator.uniform(scores.min(axis=0), scores.max(axis=0), shape)
    return generator.normal(size=shape) * scores.std(axis=0)
