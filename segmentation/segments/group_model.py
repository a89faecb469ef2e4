"""The model of one group: who belongs to which cluster, how surely, and who is unusual."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from segmentation.customers.preparation import Preparation
from segmentation.segments.distances import centre_distances, margins
from segmentation.segments.reasons import limit_reasons, rare_combination

MANY_CUSTOMERS = 10_000
"""Above this many the search for near core points takes all cores; below, starting threads
costs more than they save, and a server has a process per core anyway."""


@dataclass(frozen=True)
class Assignment:
    """What the model says of each customer, in arrays of one entry per customer.

    ``distances`` to the centres of the customer's own group, NaN beyond their number;
    ``outside`` tells, feature by feature, where a value is beyond all fitted ones.
    """

    segment_type: np.ndarray
    cluster: np.ndarray
    segment: np.ndarray
    margin: np.ndarray
    is_anomaly: np.ndarray
    reasons: np.ndarray
    distances: np.ndarray
    outside: np.ndarray


@dataclass(frozen=True)
class GroupModel:
    """Everything that assigns the customers of one ``segment_type``.

    ``reason_limits`` maps a feature to its (low, high) limits beyond which a value is
    named as a reason; they are quantiles of the customers it was fitted on.
    ``ranges`` maps it to the smallest and largest fitted value: beyond them the model
    extrapolates. ``profiles`` holds, cluster by cluster, the number of fitted customers
    and their median of each feature. ``note`` says in words why a group was left as
    one segment, where it was. ``distributions`` maps a feature to the borders of its bins
    and the fitted customers in each (the last bin: value missing), to which new customers
    are compared; a model written before it was kept has none.
    """

    segment_type: str
    preparation: Preparation
    centers: np.ndarray
    names: tuple[str, ...]
    eps: float
    min_samples: int
    core_points: np.ndarray
    reason_limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    medians: dict[str, float] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    profiles: tuple[dict[str, float], ...] = ()
    note: str = ""
    distributions: dict[str, tuple[tuple[float, ...], tuple[int, ...]]] = field(
        default_factory=dict
    )

    def assign(self, values: np.ndarray) -> Assignment:
        """Cluster, name, margin and anomaly flag with reasons, one entry per customer.

        Parameters
        ----------
        values : array of shape (n_customers, n_features)
            Raw features, in the order of ``preparation.features``.
        """
        prepared = self.preparation.apply(values)
        distances = centre_distances(prepared, self.centers)
        cluster = distances.argmin(axis=1)
        among = self.preparation.for_flags(values, prepared)
        anomalous, nearest = self.is_anomaly(among)
        reasons = np.full(len(values), "", dtype=object)
        if anomalous.any():
            flagged = np.flatnonzero(anomalous)
            reasons[flagged] = self._reasons(values[flagged], among[flagged], nearest[flagged])
        low, high = self._range_limits
        return Assignment(
            segment_type=np.full(len(values), self.segment_type, dtype=object),
            cluster=cluster,
            segment=self._name_array[cluster],
            margin=margins(distances),
            is_anomaly=anomalous,
            reasons=reasons,
            distances=distances,
            outside=(values < low) | (values > high),
        )

    @cached_property
    def _core_tree(self) -> cKDTree:
        return cKDTree(self.core_points, leafsize=32, balanced_tree=False)  # sooner built

    @cached_property
    def _name_array(self) -> np.ndarray:
        return np.array(self.names, dtype=object)

    @cached_property
    def _range_limits(self) -> tuple[np.ndarray, np.ndarray]:
        anything = (-np.inf, np.inf)
        pairs = [self.ranges.get(name, anything) for name in self.preparation.features]
        limits = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return limits[:, 0], limits[:, 1]

    def is_anomaly(self, prepared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flag customers, prepared for flags, whom no core point reaches; name the nearest one.

        Returns
        -------
        (flags, nearest)
            ``flags`` bool per customer; ``nearest`` index into ``core_points``, -1
            where there are none: then all are flagged, or nobody where ``eps`` is 0
            (the group was too small to call anyone unusual).
        """
        if len(self.core_points) == 0 or len(prepared) == 0:
            return np.full(len(prepared), self.eps > 0), np.full(len(prepared), -1)
        workers = -1 if len(prepared) > MANY_CUSTOMERS else 1
        distance, nearest = self._core_tree.query(prepared, workers=workers)
        return distance > self.eps, nearest

    def _reasons(self, values: np.ndarray, prepared: np.ndarray, nearest: np.ndarray) -> list[str]:
        """Reasons of flagged customers, given by their rows alone."""
        features = self.preparation.features
        texts = limit_reasons(values, features, self.reason_limits, self.medians)
        rest = np.array([row for row, text in enumerate(texts) if not text], dtype=int)
        if len(rest):
            origin = self.core_points[nearest[rest]] if len(self.core_points) else 0.0
            gaps = np.abs(prepared[rest] - origin)
            for row, text in zip(rest, rare_combination(values[rest], features, gaps), strict=True):
                texts[row] = text
        return texts


def in_order(
    parts: list[tuple[np.ndarray, list[int], Assignment]], shape: tuple[int, ...]
) -> Assignment:
    """Assignments of several groups, put back to the order asked."""
    n_customers, n_features = shape
    width = max(part.distances.shape[1] for _, _, part in parts)
    whole = Assignment(
        segment_type=np.empty(n_customers, dtype=object),
        cluster=np.zeros(n_customers, dtype=np.int64),
        segment=np.empty(n_customers, dtype=object),
        margin=np.full(n_customers, np.nan),
        is_anomaly=np.zeros(n_customers, dtype=bool),
        reasons=np.full(n_customers, "", dtype=object),
        distances=np.full((n_customers, width), np.nan),
        outside=np.zeros((n_customers, n_features), dtype=bool),
    )
    for rows, columns, part in parts:
        for name in ("segment_type", "cluster", "segment", "margin", "is_anomaly", "reasons"):
            getattr(whole, name)[rows] = getattr(part, name)
        whole.distances[rows, : part.distances.shape[1]] = part.distances
        whole.outside[np.ix_(rows, np.array(columns, dtype=int))] = part.outside
    return whole
