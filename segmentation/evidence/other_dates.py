"""What the segments would be if day and month of orders were put right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.parameters import Parameters
from segmentation.customers import prepare
from segmentation.evidence.agreement import agreement_of
from segmentation.evidence.by_group import labels_of
from segmentation.evidence.holdout import standing_by
from segmentation.segments.dbscan import fit_dbscan
from segmentation.segments.model import SegmentModel
from segmentation.segments.own_labels import OWN_LABELS

OTHER_DATES_COLUMNS = ("segment_type", "cluster", "segment", "customers", "stay")
REPAIRED = "swap_day_month"


def put_right(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """The same run with dates put right; none for a sample, where it would draw other customers."""
    return {REPAIRED: {"date_repair": REPAIRED}} if parameters.fit_on == "all" else {}


def other_dates(
    *,
    days_unsure: str,
    segments: pd.DataFrame,
    chosen: dict[str, Any],
    model: SegmentModel,
    others: dict[str, Callable[[str], Any]],
    parameters: Parameters,
) -> dict[str, Any]:
    """Who would still be in the segment with the dates put right, where days are unsure.

    Returns
    -------
    dict
        ``other_dates``: of the ``customers`` of each segment those who ``stay`` by today's
        borders. ``other_dates_agreement``: adjusted Rand index of today's segments, groups
        included, and those of as many clusters fitted on the other dates; None where nothing
        is compared, as with labels of one's own.
    """
    nothing = {"other_dates": pd.DataFrame(columns=list(OTHER_DATES_COLUMNS))}
    nothing |= {"other_dates_agreement": None}
    if not days_unsure or REPAIRED not in others or OWN_LABELS in model.info:
        return nothing
    table = others[REPAIRED]("features")
    moved = standing_by(model, table).set_index("customer_id")
    now = segments.set_index("customer_id")
    now = now[now.index.isin(moved.index)]
    then = moved.reindex(now.index)
    keys = ["segment_type", "segment"]
    stay = (now[keys].astype(object) == then[keys].astype(object)).all(axis=1)
    groups = now.assign(stay=stay).groupby(["segment_type", "cluster", "segment"], sort=True)
    found = groups.agg(customers=("stay", "size"), stay=("stay", "sum")).reset_index()
    again = _fitted(table, chosen, parameters).reindex(now.index)
    today = now["segment_type"].astype(str) + " " + now["cluster"].astype(str)
    codes = [pd.factorize(labels)[0] for labels in (today, again)]
    return {
        "other_dates": found[list(OTHER_DATES_COLUMNS)],
        "other_dates_agreement": agreement_of(*codes),
    }


def _fitted(table: pd.DataFrame, chosen: dict[str, Any], parameters: Parameters) -> pd.Series:
    """Group and cluster of every customer by as many clusters as are in use, fitted anew."""
    parts = []
    for kind in table["segment_type"].unique():
        group = prepare.prepare_group(
            table, kind, names=parameters.features, **prepare.preparing(parameters)
        )
        own = table.iloc[group.rows]
        fitted_on = np.ones(len(own), dtype=bool)
        if not parameters.anomalies_in_fit:
            fitted_on = ~fit_dbscan(
                group.flag_values,
                eps=parameters.dbscan_eps,
                min_samples=parameters.dbscan_min_samples,
            ).is_noise
        k = chosen.get(kind, {"k": 1})["k"]
        spent = own["total_spent"].to_numpy()
        labels = labels_of(group.values, spent, fitted_on, k, parameters) if k > 1 else None
        said = [f"{kind} {n}" for n in (np.zeros(len(own), int) if labels is None else labels)]
        parts.append(pd.Series(said, index=own["customer_id"].to_numpy()))
    return pd.concat(parts)
