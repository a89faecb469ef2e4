"""The evidence of a run, put together from the stage modules, group by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.columns import FEATURES
from segmentation.core.intervals import wilson
from segmentation.core.limits import LEAST_CUSTOMERS
from segmentation.core.parameters import Parameters
from segmentation.customers.prepare import PreparedGroup
from segmentation.evidence.agreement import agreement_of
from segmentation.evidence.anomalies import injected_recall, tune_dbscan
from segmentation.evidence.choose_k import choose_k, split_half_agreement
from segmentation.evidence.explain import explain
from segmentation.evidence.gap import gap_statistic, silhouette_without_structure
from segmentation.evidence.resampling import matched
from segmentation.evidence.stability import name_stability, resample_stability, seed_sensitivity
from segmentation.segments import kmeans
from segmentation.segments import names as naming
from segmentation.segments.dbscan import GroupFlags
from segmentation.segments.map import map_agreement
from segmentation.segments.own_labels import OWN_LABELS
from segmentation.segments.silhouettes import silhouette_interval

K_COLUMNS = (
    "segment_type", "k", "inertia", "silhouette", "calinski_harabasz", "davies_bouldin",
    "silhouette_low", "silhouette_high", "silhouette_null", "silhouette_null_sd", "gap",
    "gap_se", "agreement", "agreement_low", "agreement_high",
)  # fmt: skip


def stacked(parts: list[pd.DataFrame], columns: tuple[str, ...] | list[str]) -> pd.DataFrame:
    """Tables of several groups as one; with its columns also where there is none."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True)[list(columns)]


def structure(
    *,
    scaled: dict[str, PreparedGroup],
    tuning_k: pd.DataFrame,
    fits: dict[str, kmeans.GroupFits],
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """How many clusters, if any: every score of every k, and the rule's answer."""
    tables, rules = [], {}
    for kind, group in scaled.items():
        scores = tuning_k[tuning_k["segment_type"] == kind].drop(columns="segment_type")
        table = k_scores_of(
            group.values,
            scores,
            fits[kind].silhouettes,
            random_state=parameters.random_state,
            progress=kind if progress else "",
        )
        rules[kind] = choose_k(table).as_plain()
        rules[kind]["scanned"] = [int(k) for k in scores["k"]]
        tables.append(table.assign(segment_type=kind))
    return {"k_evidence": stacked(tables, K_COLUMNS), "k_rule": rules}


def k_scores_of(
    values: np.ndarray,
    scores: pd.DataFrame,
    silhouettes: dict[int, np.ndarray],
    *,
    random_state: int,
    progress: str,
) -> pd.DataFrame:
    """Every score of every k of one group, k = 1 included; what the rule reads."""
    inertia = {1: float(((values - values.mean(axis=0)) ** 2).sum()) if values.size else 0.0}
    inertia |= {int(row.k): float(row.inertia) for row in scores.itertuples()}
    k_values = [int(k) for k in scores["k"]]
    # of all customers the mean is exact; where it is estimated, the interval says how well
    sampled = [k for k in k_values if len(silhouettes[k]) < len(values)]
    intervals = {k: silhouette_interval(silhouettes[k]) for k in sampled}
    table = pd.DataFrame({"k": list(inertia), "inertia": list(inertia.values())}).merge(
        scores.drop(columns="inertia"), on="k", how="left"
    )
    table["silhouette_low"] = [intervals[k][1] if k in intervals else np.nan for k in table["k"]]
    table["silhouette_high"] = [intervals[k][2] if k in intervals else np.nan for k in table["k"]]
    if not k_values:
        return table.reindex(columns=[name for name in K_COLUMNS if name != "segment_type"])

    def label(what: str) -> str:
        return f"{what}, {progress}" if progress else ""

    seed = {"random_state": random_state}
    for part in (
        gap_statistic(values, inertia, **seed, progress=label("gap")),
        silhouette_without_structure(values, k_values, **seed, progress=label("null")),
        split_half_agreement(values, k_values, **seed, progress=label("halves")),
    ):
        table = table.merge(part, on="k", how="left")
    return table


STABILITY_COLUMNS = (
    "segment_type", "cluster", "segment", "customers", "jaccard", "jaccard_low", "jaccard_high",
    "jaccard_subsample", "dissolved", "same_name", "same_name_low", "same_name_high", "verdict",
)  # fmt: skip
WHOLE_COLUMNS = (
    "segment_type", "method", "resamples", "customers", "agreement", "agreement_low",
    "agreement_high",
)  # fmt: skip
MARGIN_COLUMNS = (
    "segment_type", "margin_from", "margin_to", "customers", "flips", "flips_low", "flips_high",
)  # fmt: skip
START_COLUMNS = (
    "segment_type", "start", "inertia", "excess", "reached_best", "agreement", "moved",
)  # fmt: skip


def stability(
    *,
    scaled: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    chosen: dict[str, Any],
    naming_rules: dict[str, Any],
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """Clusters, names and margins under resampling, and what single starts would say.

    Resamples are drawn of the customers that the centres were fitted on. Labels of the
    analyst's own have no starts.
    """
    random_state = parameters.random_state
    whole, clusters, bands, starts = [], [], [], []
    for kind, group in scaled.items():
        own, given = segments.iloc[group.rows], chosen[kind]["asked"] == OWN_LABELS
        if not parameters.anomalies_in_fit and not given:
            fitted_on = ~own["is_anomaly"].to_numpy()
            some = {n: getattr(group, n)[fitted_on] for n in ("rows", "values", "flag_values")}
            group = replace(group, **some)
            own = own[fitted_on]
        labels = own["cluster"].to_numpy()
        if len(own) < LEAST_CUSTOMERS or labels.max() == 0:
            continue
        label = kind if progress else ""
        found = resample_stability(
            group.values, labels, own["margin"].to_numpy(),
            random_state=random_state, given=given, progress=label and f"resamples, {label}",
        )  # fmt: skip
        names = name_stability(
            group.values, own["segment"].to_numpy(), int(labels.max()) + 1,
            None if given else _naming(features.iloc[group.rows], group, naming_rules),
            random_state=random_state, progress=label and f"names, {label}",
        )  # fmt: skip
        sizes = own.groupby(["cluster", "segment"]).size().rename("customers").reset_index()
        clusters.append(
            found.clusters.merge(sizes, on="cluster")
            .merge(names, on="segment")
            .assign(segment_type=kind)
        )
        whole.append(found.whole.assign(segment_type=kind))
        bands.append(found.margins.assign(segment_type=kind))
        if given:
            continue
        starts.append(
            seed_sensitivity(
                group.values, labels, _inertia(group.values, labels),
                random_state=random_state, progress=label and f"starts, {label}",
            ).assign(segment_type=kind)
        )  # fmt: skip
    return {
        "stability": stacked(clusters, STABILITY_COLUMNS),
        "stability_whole": stacked(whole, WHOLE_COLUMNS),
        "margin_flips": stacked(bands, MARGIN_COLUMNS),
        "starts": stacked(starts, START_COLUMNS),
    }


def _inertia(values: np.ndarray, labels: np.ndarray) -> float:
    return sum(
        float(((own - own.mean(axis=0)) ** 2).sum())
        for own in (values[labels == label] for label in np.unique(labels))
    )


def _naming(
    customers: pd.DataFrame, group: PreparedGroup, rules: dict[str, Any]
) -> Callable[[np.ndarray, np.ndarray], dict[int, str]]:
    """The naming rules, ready for any partition of the group's customers."""
    available = tuple(name for name in FEATURES if name in customers.columns)
    used = group.preparation.features

    def name(labels: np.ndarray, centers: np.ndarray) -> dict[int, str]:
        table = pd.DataFrame(centers, columns=list(used))
        profiles = naming.cluster_profiles(customers.assign(cluster=labels), available, table)
        return naming.name_clusters(profiles, used, rules=rules)[0]

    return name


DBSCAN_COLUMNS = (
    "segment_type", "eps", "min_samples", "noise_share", "dense_groups", "stability",
    "stability_low", "stability_high", "customers",
)  # fmt: skip
PLANTED_COLUMNS = ("segment_type", "kind", "planted", "flagged", "low", "high")
EFFECT_COLUMNS = (
    "segment_type", "segment", "customers", "stay", "moved", "moved_low", "moved_high", "anomalies",
)  # fmt: skip


def anomaly_evidence(
    *,
    scaled: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    chosen: dict[str, Any],
    tuning_dbscan: pd.DataFrame,
    flags: dict[str, GroupFlags],
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """Is the DBSCAN setting a good one, and what do anomalies do to K-Means?"""
    tuned, planted, effects, overall = [], [], [], {}
    for kind, group in scaled.items():
        cells = tuning_dbscan[tuning_dbscan["segment_type"] == kind]
        tuned.append(
            tune_dbscan(
                group.flag_values, cells,
                knee_at=flags[kind].min_samples if parameters.dbscan_eps == "auto" else None,
                random_state=parameters.random_state, progress=f"flags, {kind}" if progress else "",
            ).assign(segment_type=kind, customers=len(group.rows))
        )  # fmt: skip
        if cells.empty:
            continue
        caught = injected_recall(
            group.flag_values, flags[kind].core_points, flags[kind].eps,
            random_state=parameters.random_state,
        )  # fmt: skip
        ends = [wilson(row.flagged, row.planted) for row in caught.itertuples()]
        caught[["low", "high"]] = np.array(ends)
        planted.append(caught.assign(segment_type=kind))
        own = segments.iloc[group.rows]
        given = chosen[kind]["asked"] == OWN_LABELS  # no anomaly moves them
        without = None if given else _fit_without(group, features, own, parameters)
        if without is not None:
            effects.append(_who_moves(own, without).assign(segment_type=kind))
            overall[kind] = agreement_of(own["cluster"].to_numpy(), without)
    return {
        "dbscan_evidence": stacked(tuned, DBSCAN_COLUMNS),
        "planted": stacked(planted, PLANTED_COLUMNS),
        "anomaly_effect": stacked(effects, EFFECT_COLUMNS),
        "anomaly_agreement": overall,
    }


def _fit_without(
    group: PreparedGroup, features: pd.DataFrame, own: pd.DataFrame, parameters: Parameters
) -> np.ndarray | None:
    """Clusters of everybody by centres fitted without the flagged customers, or with them.

    The other way than the run's own.
    """
    flagged, k = own["is_anomaly"].to_numpy(), int(own["cluster"].max()) + 1
    if k < 2 or not flagged.any():
        return None
    spent = features["total_spent"].to_numpy()[group.rows]
    fitted_on = ~flagged if parameters.anomalies_in_fit else np.ones(len(flagged), dtype=bool)
    return labels_of(group.values, spent, fitted_on, k, parameters)


def labels_of(
    values: np.ndarray, spent: np.ndarray, fitted_on: np.ndarray, k: int, parameters: Parameters
) -> np.ndarray | None:
    """Clusters of everybody by centres fitted on some, numbered by ascending mean spend.

    None where those are too few different customers for k clusters.
    """
    fit = kmeans.fit_without(
        values, spent, ~fitted_on, n_clusters=k, n_init=parameters.n_init,
        random_state=parameters.random_state,
    )  # fmt: skip
    return fit.labels if fit.n_clusters == k else None


def _who_moves(own: pd.DataFrame, without: np.ndarray) -> pd.DataFrame:
    labels = own["cluster"].to_numpy()
    again = matched(labels, without, int(max(labels.max(), without.max())) + 1)
    rows = []
    for (_, segment), members in own.assign(_again=again).groupby(["cluster", "segment"]):
        gone = int((members["_again"] != members["cluster"]).sum())
        low, high = wilson(gone, len(members))
        rows.append(
            {
                "segment": segment,
                "customers": len(members),
                "stay": len(members) - gone,
                "moved": gone / len(members),
                "moved_low": low,
                "moved_high": high,
                "anomalies": int(members["is_anomaly"].sum()),
            }
        )
    return pd.DataFrame(rows)


EXPLAIN_COLUMNS = ("segment_type", "cluster", "segment", "customers", "faithful")
RANKING_COLUMNS = ("segment_type", "feature", "separation")


def explanation(
    *,
    scaled: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    projection: pd.DataFrame,
    parameters: Parameters,
) -> dict[str, Any]:
    """Segments as rules in words, with their fidelity, and what the map hides."""
    rules, rankings, fidelity, maps = [], [], {}, {}
    for kind, group in scaled.items():
        own = segments.iloc[group.rows]
        labels = own["cluster"].to_numpy()
        if labels.max() == 0 or len(own) < LEAST_CUSTOMERS:
            continue
        raw = features.iloc[group.rows][list(group.preparation.features)]
        found = explain(raw, group.values, labels, random_state=parameters.random_state)
        names = dict(zip(own["cluster"], own["segment"], strict=True))
        rules.append(
            found.rules.assign(segment_type=kind, segment=found.rules["cluster"].map(names))
        )
        rankings.append(found.ranking.assign(segment_type=kind))
        fidelity[kind] = found.fidelity
        points = projection.loc[projection["segment_type"] == kind, ["pc1", "pc2"]].to_numpy()
        maps[kind] = {"agreement": map_agreement(points, labels), "customers": len(own)}
    limits = [f"{name}_{end}" for name in FEATURES for end in ("above", "upto")]
    used = [name for name in limits if any(name in table.columns for table in rules)]
    filled = [table.reindex(columns=[*EXPLAIN_COLUMNS, *used]) for table in rules]
    return {
        "rules": stacked(filled, [*EXPLAIN_COLUMNS, *used]),
        "separation": stacked(rankings, RANKING_COLUMNS),
        "fidelity": fidelity,
        "map_agreement": maps,
    }
