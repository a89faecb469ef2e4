"""DBSCAN flags: ours against scikit-learn's, and the whole grid against one flagging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

EPS, MIN_SAMPLES = 0.35, 10


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """One exact flagging at a given setting."""
    from segmentation.segments.dbscan import find_neighbours

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        neighbours = find_neighbours(prepared, max_min_samples=MIN_SAMPLES)
        core, noise = neighbours.flags(EPS, MIN_SAMPLES)
        weight = neighbours.weight
        return {"core": int(weight[core].sum()), "noise": int(weight[noise].sum())}

    return work


def scikit_learn(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """``sklearn.cluster.DBSCAN`` with all cores."""
    from sklearn.cluster import DBSCAN

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        fit = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, n_jobs=-1).fit(prepared)
        return {"core": len(fit.core_sample_indices_), "noise": int((fit.labels_ == -1).sum())}

    return work


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Identical counts."""
    return ours_answer == other
