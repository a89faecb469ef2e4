"""The whole eps x min_samples grid against one single flagging, both ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.flagging import EPS, MIN_SAMPLES
from benchmarks.flagging import ours as single

__all__ = ["agree", "ours", "single"]


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """All settings of the anomalies chapter, one of them the single flagging's."""
    from segmentation.segments.dbscan import fit_dbscan

    prepared = np.load(path)

    def work() -> dict[str, Any]:
        fit = fit_dbscan(prepared, eps=EPS, min_samples=MIN_SAMPLES)
        cell = fit.grid[(fit.grid["eps"] == EPS) & (fit.grid["min_samples"] == MIN_SAMPLES)]
        return {"core": int(cell["core"].item()), "noise": int(cell["noise"].item())}

    return work


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """The grid's own cell equals the single flagging."""
    return ours_answer == other
