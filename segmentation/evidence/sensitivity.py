"""The sensitivity panel of a run: what other reasonable settings would have said."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.parameters import Parameters
from segmentation.core.threads import in_parallel
from segmentation.customers import prepare
from segmentation.customers.prepare import PreparedGroup
from segmentation.evidence.agreement import agreement_interval
from segmentation.evidence.by_group import labels_of, stacked
from segmentation.segments.dbscan import fit_dbscan
from segmentation.segments.own_labels import OWN_LABELS

TRANSFORMS = ("none", "log", "yeo-johnson")
SCALERS = ("standard", "robust")

SENSITIVITY_COLUMNS = (
    "segment_type", "returns", "transform", "scaler", "anomalies", "k", "is_chosen", "customers",
    "agreement", "agreement_low", "agreement_high", "top_customers", "top_share", "top_revenue",
    "top_revenue_share",
)  # fmt: skip


def other_policy(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """The other choice about returns; none for a sample, where it would draw other customers."""
    other = "net" if parameters.returns == "exclude" else "exclude"
    return {other: {"returns": other}} if parameters.fit_on == "all" else {}


def sensitivity(
    *,
    features: pd.DataFrame,
    ledger: pd.DataFrame,
    segments: pd.DataFrame,
    chosen: dict[str, Any],
    others: dict[str, Callable[[str], Any]],
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """What other reasonable settings would have said, cell by cell; no setting moves own labels.

    Parameters
    ----------
    features, ledger : DataFrame
        Of the policy about returns that is in use.
    others : dict of policy to what gives results of the same run under it
        Asked for features where the source knows returns.
    """
    tables: dict[str, pd.DataFrame] = {parameters.returns: features}
    for policy, result_of in others.items():
        excluding = ledger if parameters.returns == "exclude" else result_of("ledger")
        if excluding.set_index("rule").at["returned", "rows"]:
            tables[policy] = result_of("features")
    reference = segments.set_index("customer_id")
    kinds = [
        kind
        for kind in SEGMENT_TYPES
        if kind in chosen and chosen[kind]["k"] > 1 and chosen[kind]["asked"] != OWN_LABELS
    ]
    cells = list(itertools.product(tables, TRANSFORMS, SCALERS, kinds))

    def job(cell: tuple[str, str, str, str]) -> list[dict[str, Any]]:
        returns, transform, scaler, kind = cell
        table = tables[returns]
        group = prepare.prepare_group(
            table, kind, names=parameters.features,
            **prepare.preparing(parameters) | {"transform": transform, "scaler": scaler},
        )  # fmt: skip
        setting = {"segment_type": kind, "returns": returns, "transform": transform,
                   "scaler": scaler}  # fmt: skip
        return _cells(group, table, reference, chosen[kind]["k"], setting, parameters)

    rows = in_parallel(
        job, cells, customers=len(segments), progress="sensitivity" if progress else ""
    )
    table = pd.DataFrame([row for part in rows for row in part])
    return {"sensitivity": stacked([table], SENSITIVITY_COLUMNS)}


def _cells(
    group: PreparedGroup,
    table: pd.DataFrame,
    reference: pd.DataFrame,
    k_used: int,
    setting: dict[str, Any],
    parameters: Parameters,
) -> list[dict[str, Any]]:
    customers = table.iloc[group.rows]
    before = reference["cluster"].reindex(customers["customer_id"]).to_numpy()
    spent = customers["total_spent"].to_numpy()
    noise = fit_dbscan(
        group.flag_values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
    ).is_noise
    own = {"returns": parameters.returns, "transform": parameters.transform,
           "scaler": parameters.scaler}  # fmt: skip
    rows = []
    for treatment, k in itertools.product(("in", "out"), (k_used - 1, k_used, k_used + 1)):
        if k < 2 or (treatment == "out" and not noise.any()):
            continue
        fitted_on = ~noise if treatment == "out" else np.ones(len(noise), dtype=bool)
        labels = labels_of(group.values, spent, fitted_on, k, parameters)
        if labels is None:
            continue
        known = np.isfinite(before)
        mean, low, high = agreement_interval(
            before[known].astype(int), labels[known], seed=parameters.random_state
        )
        top = labels == k - 1
        total = float(spent.sum())
        rows.append(
            setting
            | {
                "anomalies": treatment,
                "k": k,
                "is_chosen": treatment == ("in" if parameters.anomalies_in_fit else "out")
                and k == k_used
                and all(setting[name] == value for name, value in own.items()),
                "customers": len(customers),
                "agreement": mean,
                "agreement_low": low,
                "agreement_high": high,
                "top_customers": int(top.sum()),
                "top_share": float(top.mean()),
                "top_revenue": float(spent[top].sum()),
                "top_revenue_share": float(spent[top].sum() / total) if total else 0.0,
            }
        )
    return rows
