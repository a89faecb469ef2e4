"""The same lists made again at the end of each quarter: does what one cut says hold at others?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.limits import CAMPAIGN_SHARES, LEAST_CUSTOMERS
from segmentation.core.parameters import Parameters
from segmentation.customers.prepare import PreparedGroup
from segmentation.evidence.forecast import fitted, predict
from segmentation.evidence.holdout import (
    clusters_at_cut,
    known_at_cut,
    labelled_at_cut,
    segments_at_cut,
)
from segmentation.evidence.rankings import LISTS, RECENCY, RFM, SPEND, Ranking, rfm_score
from segmentation.segments import kmeans
from segmentation.segments.model import SegmentModel
from segmentation.segments.own_labels import OWN_LABELS

BY_VALUE, VALUE = "segment, then expected value", "expected value"
CUT_COLUMNS = ("as_of", "customers", "ranking", "revenue_share")


def cuts(
    *,
    history: pd.DataFrame,
    chosen: dict[str, Any],
    model: SegmentModel,
    naming_rules: dict[str, Any],
    parameters: Parameters,
) -> dict[str, Any]:
    """Later revenue of the fifth of the customers whom each list puts first, cut by cut.

    Segments and forecasts are made of what was known at each quarter's end alone, by the run's
    own parameters; the number of clusters is that of today. Revenue is that of the next quarter.
    """
    rows: list[tuple[object, ...]] = []
    for day, known in history.groupby("as_of") if len(history) else ():
        customers = known_at_cut(known, split_pre_register=parameters.split_pre_register)
        has_any = any(name in customers.columns for name in parameters.features)
        if len(customers) < LEAST_CUSTOMERS or not has_any or not known["revenue_next"].any():
            continue

        def clusters_of(group: PreparedGroup, spent: np.ndarray) -> kmeans.Clustering:
            k = chosen.get(group.segment_type, {"k": 1})["k"]
            return clusters_at_cut(
                group, spent, parameters=parameters.model_copy(update={"n_clusters": k})
            )

        if OWN_LABELS in model.info:
            placed = labelled_at_cut(model, customers)
        else:
            placed = segments_at_cut(
                customers, parameters=parameters, rules=naming_rules, clusters_of=clusters_of
            )
        revenue = placed["revenue_next"].to_numpy(dtype=float)
        for name, score in _lists(placed, parameters.outcome_days).items():
            share = Ranking.by(score).caught(np.ones(len(score)), revenue, CAMPAIGN_SHARES[-1])
            rows.append((day, len(score), name, share))
    return {"holdout_cuts": pd.DataFrame(rows, columns=list(CUT_COLUMNS))}


def _lists(customers: pd.DataFrame, days: int) -> dict[str, np.ndarray]:
    """Each order of a list as scores, higher = sooner; none by expected value without a fit."""
    tier = customers["tier"].rank(method="dense")
    spent, recency = (customers[n].to_numpy(dtype=float) for n in ("total_spent", "recency"))
    lists = {
        LISTS: (tier + customers["total_spent"].rank(pct=True) / 2).to_numpy(),
        SPEND: spent,
        RFM: rfm_score(recency, customers["frequency"].to_numpy(), spent),
        RECENCY: -recency,
    }
    if (fit := fitted(customers)) is not None:
        value = predict(fit, customers, days)["expected_value"]
        lists[BY_VALUE] = (tier.to_numpy() + value.rank(pct=True) / 2).to_numpy()
        lists[VALUE] = value.to_numpy()
    return lists
