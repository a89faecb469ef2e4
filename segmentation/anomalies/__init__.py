"""Prepared customers -> anomalies: DBSCAN flags, and evidence for their setting."""

from segmentation.anomalies.dbscan import (
    AnomalyFit,
    Neighbours,
    auto_eps,
    auto_min_samples,
    find_neighbours,
    fit_dbscan,
)
from segmentation.anomalies.tuning import dense_groups, injected_recall, tune_dbscan

__all__ = [
    "AnomalyFit",
    "Neighbours",
    "auto_eps",
    "auto_min_samples",
    "dense_groups",
    "find_neighbours",
    "fit_dbscan",
    "injected_recall",
    "tune_dbscan",
]
