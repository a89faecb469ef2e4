"""Which segments of two runs are the same.

Segments are recognised by their profile, never by their number or name: a number only
counts clusters in one run, and a name may pass to another cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist

from segmentation.segments.model import SegmentModel

MATCHING_COLUMNS = (
    "segment_type",
    "cluster_before",
    "segment_before",
    "cluster_after",
    "segment_after",
    "distance",
    "is_same",
)


@dataclass(frozen=True)
class RunResult:
    """What a comparison needs of a run.

    Attributes
    ----------
    customers : DataFrame, one row per customer
        ``customer_id``, ``segment_type``, ``cluster``, ``segment`` and every feature that
        the source allows.
    model : SegmentModel
    amount_scale : int
        Decimals of the source's money.
    """

    customers: pd.DataFrame
    model: SegmentModel
    amount_scale: int


def match_segments(before: RunResult, after: RunResult) -> pd.DataFrame:
    """Recognise segments across two runs by their standardised profiles.

    Both runs' segments are placed in the earlier run's prepared space, at the mean of
    their customers; the one-to-one matching with the smallest sum of distances is taken
    (Kuhn 1955, the assignment problem), group by group.

    Returns
    -------
    DataFrame of `MATCHING_COLUMNS`
        One row per pair; a segment without partner has the other side empty. ``distance``
        is in standard deviations of the earlier run. ``is_same`` is true while the pair is
        nearer than half the way to the nearest other earlier segment; beyond that the pair
        is the best one there is, but no longer the same kind of customer.
    """
    rows: list[dict[str, Any]] = []
    for kind in _kinds(before, after):
        old, new = _profiles(before, before, kind), _profiles(before, after, kind)
        pairs: list[tuple[int, int]] = []
        if len(old) and len(new):
            gaps = cdist(np.stack(old["place"].to_list()), np.stack(new["place"].to_list()))
            pairs = list(zip(*(side.tolist() for side in linear_sum_assignment(gaps)), strict=True))
        limit = _half_separation(old)
        for i, j in pairs:
            near = bool(gaps[i, j] <= limit)
            rows.append(_pair(kind, old.iloc[i], new.iloc[j], float(gaps[i, j]), near))
        rows += [_pair(kind, old.iloc[i], None) for i in _rest(len(old), [i for i, _ in pairs])]
        rows += [_pair(kind, None, new.iloc[j]) for j in _rest(len(new), [j for _, j in pairs])]
    table = pd.DataFrame(rows, columns=list(MATCHING_COLUMNS))
    return table.astype({"cluster_before": "Int64", "cluster_after": "Int64"})


def _kinds(before: RunResult, after: RunResult) -> list[str]:
    return list(
        dict.fromkeys([*before.customers["segment_type"], *after.customers["segment_type"]])
    )


def _profiles(reference: RunResult, side: RunResult, kind: str) -> pd.DataFrame:
    """Clusters of one group with their place in the reference's prepared space."""
    members = side.customers[side.customers["segment_type"] == kind]
    group = reference.model.groups.get(kind)
    names = list(group.preparation.features) if group else []
    usable = members.dropna(subset=names)
    if group is not None and names:
        prepared = group.preparation.apply(usable[names].to_numpy(dtype=np.float64))
    else:
        prepared = np.zeros((len(usable), 1))
    rows = []
    for (cluster, segment), positions in usable.groupby(["cluster", "segment"]).indices.items():
        place = prepared[np.sort(positions)].mean(axis=0)
        rows.append({"cluster": int(cluster), "segment": segment, "place": place})
    return pd.DataFrame(rows, columns=["cluster", "segment", "place"])


def _half_separation(profiles: pd.DataFrame) -> float:
    if len(profiles) < 2:
        return float("inf")
    return float(pdist(np.stack(profiles["place"].to_list())).min()) / 2


def _rest(size: int, taken: list[int]) -> list[int]:
    return sorted(set(range(size)) - set(taken))


def _pair(
    kind: str,
    old: pd.Series | None,
    new: pd.Series | None,
    distance: float = float("nan"),
    is_same: bool = False,
) -> dict[str, Any]:
    return {
        "segment_type": kind,
        "cluster_before": None if old is None else old["cluster"],
        "segment_before": None if old is None else old["segment"],
        "cluster_after": None if new is None else new["cluster"],
        "segment_after": None if new is None else new["segment"],
        "distance": distance,
        "is_same": is_same,
    }
