"""K-Means of many customers: ours against scikit-learn with the same k and n_init."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

K, N_INIT, SEED = 3, 10, 42


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The pipeline's fit."""
    from segmentation.segments.kmeans import fit_kmeans

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        fit = fit_kmeans(prepared, prepared[:, 2], n_clusters=K, n_init=N_INIT, random_state=SEED)
        return {"inertia": fit.inertia}

    return work


def scikit_learn(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """``sklearn.cluster.KMeans`` with all cores, as it comes."""
    from sklearn.cluster import KMeans

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        return {
            "inertia": float(KMeans(K, n_init=N_INIT, random_state=SEED).fit(prepared).inertia_)
        }

    return work


def scikit_learn_float32(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The same on numbers of half the size; inertia is added up in double precision."""
    from sklearn.cluster import KMeans

    prepared = np.load(path)
    narrow = prepared.astype(np.float32)

    def work() -> dict[str, Any]:
        fit = KMeans(K, n_init=N_INIT, random_state=SEED).fit(narrow)
        return {"inertia": _inertia(prepared, fit.cluster_centers_.astype(np.float64))}

    return work


def mini_batch(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """``MiniBatchKMeans``: the reference for what quality a fast approximation gives up."""
    from sklearn.cluster import MiniBatchKMeans

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        fit = MiniBatchKMeans(K, n_init=N_INIT, random_state=SEED, batch_size=10_240).fit(prepared)
        return {"inertia": _inertia(prepared, fit.cluster_centers_)}

    return work


def _inertia(prepared: np.ndarray, centers: np.ndarray) -> float:
    total = 0.0
    for rows in np.array_split(prepared, max(1, len(prepared) // 100_000)):
        gaps = rows[:, None, :] - centers
        total += float((gaps**2).sum(axis=2).min(axis=1).sum())
    return total


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Inertia equal or lower, to 0.01%."""
    return bool(ours_answer["inertia"] <= other["inertia"] * 1.0001)
