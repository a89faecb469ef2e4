"""The evidence of a run, put together from the stage modules, group by group."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from segmentation import anomalies, cluster, evidence, naming, prepare
from segmentation.anomalies import fit_dbscan
from segmentation.evidence import btyd, holdout
from segmentation.features import add_segment_type
from segmentation.geometry import centre_distances
from segmentation.params import Parameters
from segmentation.prepare import PreparedGroup
from segmentation.schema import FEATURES, SEGMENT_TYPES

TRANSFORMS = ("none", "log", "yeo-johnson")
SCALERS = ("standard", "robust")
LEAST_CUSTOMERS = 30
"""A group smaller than this is too small to resample, to follow or to explain."""

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
    groups: dict[str, PreparedGroup],
    tuning_k: pd.DataFrame,
    silhouettes: dict[str, dict[int, np.ndarray]],
    *,
    random_state: int,
    progress: bool,
) -> dict[str, Any]:
    """How many clusters, if any: every score of every k, and the rule's answer."""
    tables, rules = [], {}
    for kind, group in groups.items():
        scores = tuning_k[tuning_k["segment_type"] == kind].drop(columns="segment_type")
        table = _k_evidence(
            group.values,
            scores,
            silhouettes[kind],
            random_state=random_state,
            progress=kind if progress else "",
        )
        rules[kind] = evidence.choose_k(table).as_plain()
        rules[kind]["scanned"] = [int(k) for k in scores["k"]]
        tables.append(table.assign(segment_type=kind))
    return {"k_evidence": stacked(tables, K_COLUMNS), "k_rule": rules}


def _k_evidence(
    values: np.ndarray,
    scores: pd.DataFrame,
    silhouettes: dict[int, np.ndarray],
    *,
    random_state: int,
    progress: str,
) -> pd.DataFrame:
    inertia = {1: float(((values - values.mean(axis=0)) ** 2).sum()) if values.size else 0.0}
    inertia |= {int(row.k): float(row.inertia) for row in scores.itertuples()}
    k_values = [int(k) for k in scores["k"]]
    intervals = {k: evidence.silhouette_interval(silhouettes[k], len(values)) for k in k_values}
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
        evidence.gap_statistic(values, inertia, **seed, progress=label("gap")),
        evidence.silhouette_without_structure(values, k_values, **seed, progress=label("null")),
        evidence.split_half_agreement(values, k_values, **seed, progress=label("halves")),
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
    groups: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    *,
    random_state: int,
    progress: bool,
) -> dict[str, Any]:
    """Clusters, names and margins under resampling, and what single starts would say."""
    whole, clusters, bands, starts = [], [], [], []
    for kind, group in groups.items():
        own = segments.iloc[group.rows]
        labels = own["cluster"].to_numpy()
        if len(own) < LEAST_CUSTOMERS or labels.max() == 0:
            continue
        label = kind if progress else ""
        found = evidence.resample_stability(
            group.values, labels, own["margin"].to_numpy(),
            random_state=random_state, progress=label and f"resamples, {label}",
        )  # fmt: skip
        names = evidence.name_stability(
            group.values, own["segment"].to_numpy(), int(labels.max()) + 1,
            _naming(features.iloc[group.rows], group),
            random_state=random_state, progress=label and f"names, {label}",
        )  # fmt: skip
        sizes = own.groupby(["cluster", "segment"]).size().rename("customers").reset_index()
        clusters.append(
            found.clusters.merge(sizes, on="cluster").merge(names, on="segment").assign(
                segment_type=kind
            )
        )
        whole.append(found.whole.assign(segment_type=kind))
        bands.append(found.margins.assign(segment_type=kind))
        starts.append(
            evidence.seed_sensitivity(
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
    customers: pd.DataFrame, group: PreparedGroup
) -> Callable[[np.ndarray, np.ndarray], dict[int, str]]:
    """The naming rules, ready for any partition of the group's customers."""
    available = tuple(name for name in FEATURES if name in customers.columns)
    used = group.preparation.features

    def name(labels: np.ndarray, centers: np.ndarray) -> dict[int, str]:
        table = pd.DataFrame(centers, columns=list(used))
        profiles = naming.cluster_profiles(customers.assign(cluster=labels), available, table)
        return naming.name_clusters(profiles, used)[0]

    return name


DBSCAN_COLUMNS = (
    "segment_type", "eps", "min_samples", "noise_share", "dense_groups", "stability",
    "stability_low", "stability_high",
)  # fmt: skip
PLANTED_COLUMNS = ("segment_type", "kind", "planted", "flagged")
EFFECT_COLUMNS = (
    "segment_type", "segment", "customers", "stay", "moved", "moved_low", "moved_high", "anomalies",
)  # fmt: skip


def anomaly_evidence(
    groups: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    grid: pd.DataFrame,
    choice: dict[str, Any],
    core_points: dict[str, np.ndarray],
    *,
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """Is the DBSCAN setting a good one, and what do anomalies do to K-Means?"""
    tuned, planted, effects, overall = [], [], [], {}
    for kind, group in groups.items():
        cells = grid[grid["segment_type"] == kind]
        tuned.append(
            anomalies.tune_dbscan(
                group.values, cells, random_state=parameters.random_state,
                progress=f"flags, {kind}" if progress else "",
            ).assign(segment_type=kind)
        )  # fmt: skip
        if cells.empty:
            continue
        planted.append(
            anomalies.injected_recall(
                group.values, core_points[kind], choice[kind]["eps"],
                random_state=parameters.random_state,
            ).assign(segment_type=kind)
        )  # fmt: skip
        own = segments.iloc[group.rows]
        without = _fit_without(group, features, own, parameters)
        if without is not None:
            effects.append(_who_moves(own, without).assign(segment_type=kind))
            overall[kind] = evidence.agreement_of(own["cluster"].to_numpy(), without)
    return {
        "dbscan_evidence": stacked(tuned, DBSCAN_COLUMNS),
        "planted": stacked(planted, PLANTED_COLUMNS),
        "anomaly_effect": stacked(effects, EFFECT_COLUMNS),
        "anomaly_agreement": overall,
    }


def _fit_without(
    group: PreparedGroup, features: pd.DataFrame, own: pd.DataFrame, parameters: Parameters
) -> np.ndarray | None:
    """Clusters of everybody by centres that were fitted without the flagged customers."""
    flagged, k = own["is_anomaly"].to_numpy(), int(own["cluster"].max()) + 1
    if k < 2 or not flagged.any():
        return None
    spent = features["total_spent"].to_numpy()[group.rows]
    return _labels(group.values, spent, ~flagged, k, parameters)


def _labels(
    values: np.ndarray, spent: np.ndarray, fitted_on: np.ndarray, k: int, parameters: Parameters
) -> np.ndarray | None:
    fit = cluster.fit_kmeans(
        values[fitted_on], spent[fitted_on], n_clusters=k, n_init=parameters.n_init,
        random_state=parameters.random_state,
    )  # fmt: skip
    if fit.n_clusters != k:
        return None
    labels = centre_distances(values, fit.centers).argmin(axis=1)
    # everybody is assigned now, so the clusters are numbered anew
    order = cluster.number_by_spend(labels, spent, fit.centers)
    return np.argsort(order)[labels]


def _who_moves(own: pd.DataFrame, without: np.ndarray) -> pd.DataFrame:
    labels = own["cluster"].to_numpy()
    again = evidence.matched(labels, without, int(max(labels.max(), without.max())) + 1)
    rows = []
    for (_, segment), members in own.assign(_again=again).groupby(["cluster", "segment"]):
        gone = int((members["_again"] != members["cluster"]).sum())
        low, high = evidence.wilson(gone, len(members))
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


SENSITIVITY_COLUMNS = (
    "segment_type", "returns", "transform", "scaler", "anomalies", "k", "is_chosen", "customers",
    "agreement", "agreement_low", "agreement_high", "top_customers", "top_share", "top_revenue",
    "top_revenue_share",
)  # fmt: skip


def sensitivity(
    tables: dict[str, pd.DataFrame],
    segments: pd.DataFrame,
    chosen: dict[str, Any],
    *,
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """What other reasonable settings would have said, cell by cell.

    Parameters
    ----------
    tables : dict of returns policy to features table
        The policy in use, and the other one where the source knows returns.
    """
    reference = segments.set_index("customer_id")
    kinds = [kind for kind in SEGMENT_TYPES if kind in chosen and chosen[kind]["k"] > 1]
    cells = list(itertools.product(tables, TRANSFORMS, SCALERS, kinds))

    def job(cell: tuple[str, str, str, str]) -> list[dict[str, Any]]:
        returns, transform, scaler, kind = cell
        table = tables[returns]
        group = prepare.prepare_group(
            table, kind, names=parameters.features, outliers=parameters.outliers,
            winsor_quantile=parameters.winsor_quantile, transform=transform, scaler=scaler,
        )  # fmt: skip
        setting = {"segment_type": kind, "returns": returns, "transform": transform,
                   "scaler": scaler}  # fmt: skip
        return _cells(group, table, reference, chosen[kind]["k"], setting, parameters)

    rows = evidence.in_parallel(job, cells, progress="sensitivity" if progress else "")
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
        group.values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
    ).is_noise
    own = {"returns": parameters.returns, "transform": parameters.transform,
           "scaler": parameters.scaler}  # fmt: skip
    rows = []
    for treatment, k in itertools.product(("in", "out"), (k_used - 1, k_used, k_used + 1)):
        if k < 2 or (treatment == "out" and not noise.any()):
            continue
        fitted_on = ~noise if treatment == "out" else np.ones(len(noise), dtype=bool)
        labels = _labels(group.values, spent, fitted_on, k, parameters)
        if labels is None:
            continue
        known = np.isfinite(before)
        mean, low, high = evidence.agreement_interval(
            before[known].astype(int), labels[known], seed=parameters.random_state
        )
        top = labels == k - 1
        total = float(spent.sum())
        rows.append(
            setting
            | {
                "anomalies": treatment,
                "k": k,
                "is_chosen": treatment == "in"
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


EXPLAIN_COLUMNS = ("segment_type", "cluster", "segment", "customers", "faithful")
RANKING_COLUMNS = ("segment_type", "feature", "separation")


def explanation(
    groups: dict[str, PreparedGroup],
    features: pd.DataFrame,
    segments: pd.DataFrame,
    projection: pd.DataFrame,
    *,
    random_state: int,
) -> dict[str, Any]:
    """Segments as rules in words, with their fidelity, and what the map hides."""
    rules, rankings, fidelity, maps = [], [], {}, {}
    for kind, group in groups.items():
        own = segments.iloc[group.rows]
        labels = own["cluster"].to_numpy()
        if labels.max() == 0 or len(own) < LEAST_CUSTOMERS:
            continue
        raw = features.iloc[group.rows][list(group.preparation.features)]
        found = evidence.explain(raw, group.values, labels, random_state=random_state)
        names = dict(zip(own["cluster"], own["segment"], strict=True))
        rules.append(
            found.rules.assign(segment_type=kind, segment=found.rules["cluster"].map(names))
        )
        rankings.append(found.ranking.assign(segment_type=kind))
        fidelity[kind] = found.fidelity
        points = projection.loc[projection["segment_type"] == kind, ["pc1", "pc2"]].to_numpy()
        maps[kind] = {"agreement": evidence.map_agreement(points, labels), "customers": len(own)}
    limits = [f"{name}_{end}" for name in FEATURES for end in ("above", "upto")]
    used = [name for name in limits if any(name in table.columns for table in rules)]
    filled = [table.reindex(columns=[*EXPLAIN_COLUMNS, *used]) for table in rules]
    return {
        "rules": stacked(filled, [*EXPLAIN_COLUMNS, *used]),
        "separation": stacked(rankings, RANKING_COLUMNS),
        "fidelity": fidelity,
        "map_agreement": maps,
    }


def middle_of(first: dt.date, last: dt.date) -> dt.date:
    """Middle of the observation window, the earlier day where there are two.

    Examples
    --------
    >>> middle_of(dt.date(1997, 1, 1), dt.date(1998, 6, 30)).isoformat()
    '1997-09-30'
    """

    return first + (last - first) // 2


HOLDOUT_KEYS = ["customer_id", "segment_type", "cluster", "segment"]


def known_at_cut(table: pd.DataFrame, *, split_pre_register: bool) -> pd.DataFrame:
    """Features as they were known at the cut, with the group of each customer.

    A registration after the cut was not known then: such a customer counts as not
    registered.
    """
    if "register_to_order" in table.columns:
        later = table["register_to_order"] < -table["tenure"]
        table = table.assign(register_to_order=table["register_to_order"].mask(later))
        if table["register_to_order"].isna().all():
            table = table.drop(columns="register_to_order")
    return add_segment_type(table, split_pre_register=split_pre_register)


def segments_at_cut(
    table: pd.DataFrame,
    *,
    parameters: Parameters,
    clusters_of: Callable[[PreparedGroup, np.ndarray], cluster.Clustering],
) -> pd.DataFrame:
    """Segments made of what was known at the cut, by the run's own parameters.

    Parameters
    ----------
    clusters_of : callable
        Gets a prepared group and its spend, gives its clusters.

    Returns
    -------
    DataFrame, in an order derived from the customers' values
        Every feature, ``segment_type, cluster, segment`` and ``tier``: mean past spend of
        the customer's segment, by which segments are ranked.
    """
    available = tuple(name for name in FEATURES if name in table.columns)
    parts = []
    for kind in [k for k in SEGMENT_TYPES if (table["segment_type"] == k).any()]:
        group = prepare.prepare_group(
            table, kind, names=tuple(n for n in parameters.features if n in table.columns),
            outliers=parameters.outliers, winsor_quantile=parameters.winsor_quantile,
            transform=parameters.transform, scaler=parameters.scaler,
        )  # fmt: skip
        customers = table.iloc[group.rows]
        fit = clusters_of(group, customers["total_spent"].to_numpy())
        customers = customers.assign(cluster=fit.labels)
        centers = pd.DataFrame(fit.centers, columns=list(group.preparation.features))
        profiles = naming.cluster_profiles(customers, available, centers)
        names = naming.name_clusters(profiles, group.preparation.features)[0]
        customers["segment"] = customers["cluster"].map(names)
        customers["tier"] = customers.groupby("cluster")["total_spent"].transform("mean")
        parts.append(customers)
    return pd.concat(parts, ignore_index=True)


def clusters_at_cut(
    group: PreparedGroup, spent: np.ndarray, *, parameters: Parameters
) -> cluster.Clustering:
    """Clusters of one group at the cut; with ``auto`` the rule is asked again on them.

    The number of clusters that the whole window speaks for was not known at the cut.
    """
    fixed = {"n_init": parameters.n_init, "random_state": parameters.random_state}
    k = parameters.n_clusters
    if k == "auto":
        low, high = evidence.AUTO_K_RANGE
        fits = cluster.fit_range(group.values, spent, k_values=range(low, high + 1), **fixed)
        scored = evidence.score_fits(group.values, fits, random_state=parameters.random_state)
        table = _k_evidence(
            group.values, scored.scores, scored.silhouettes,
            random_state=parameters.random_state, progress="",
        )  # fmt: skip
        k = evidence.choose_k(table).k
        if k in fits:
            return fits[k]
    return cluster.fit_kmeans(group.values, spent, n_clusters=int(k), **fixed)


def scores_at_cut(
    customers: pd.DataFrame, *, horizon_days: int
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """Rankings of the customers by what was known at the cut, higher = sooner chosen.

    Parameters
    ----------
    customers : DataFrame
        Features at the cut, ``tier``, and ``days_before, spent_first_day``.

    Returns
    -------
    (dict of name to scores, parameters of the probabilistic model or None)
    """
    spent, recency = customers["total_spent"].to_numpy(), customers["recency"].to_numpy()
    scores = {
        holdout.SEGMENTS: customers["tier"].to_numpy(),
        holdout.SPEND: spent,
        holdout.RECENCY: -recency.astype(float),
        holdout.RFM: holdout.rfm_score(recency, customers["frequency"].to_numpy(), spent),
    }
    predicted = btyd.predicted_revenue(
        customers["days_before"].to_numpy(),
        customers["first_to_last_order"].to_numpy(dtype=float),
        customers["tenure"].to_numpy(dtype=float),
        spent,
        customers["spent_first_day"].to_numpy(dtype=float),
        horizon_days=float(horizon_days),
    )
    if predicted is None:
        return scores, None
    revenue, buying, worth = predicted
    scores[holdout.MODEL] = revenue
    fitted = {
        "r": buying.r, "alpha": buying.alpha, "a": buying.a, "b": buying.b,
        "log_likelihood": buying.log_likelihood,
        "p": worth.p, "q": worth.q, "gamma": worth.gamma,
        "predicted_revenue": float(revenue.sum()),
    }  # fmt: skip
    return scores, fitted


SEGMENT_COLUMNS = (
    "segment_type", "cluster", "segment", "customers", "bought_again", "orders", "revenue",
    *(f"{name}{end}" for name in ("share_again", "orders_per_customer", "revenue_per_customer",
      "revenue_share", "lift") for end in ("", "_low", "_high")),
)  # fmt: skip
MEASURES = ("revenue_share", "lift", "share_again", "rank_correlation", "difference")
HOLDOUT_RANKING_COLUMNS = (
    "ranking", "customers_share", "customers",
    *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")),
)  # fmt: skip
CURVE_COLUMNS = ("ranking", "customers_share", "revenue_share")


def no_holdout(reason: str) -> dict[str, Any]:
    """Results of a hold-out that the data do not allow, with the reason."""
    return {
        "holdout_segments": pd.DataFrame(columns=list(SEGMENT_COLUMNS)),
        "holdout_rankings": pd.DataFrame(columns=list(HOLDOUT_RANKING_COLUMNS)),
        "holdout_curve": pd.DataFrame(columns=list(CURVE_COLUMNS)),
        "holdout": {"possible": False, "reason": reason},
    }


def hold_out(
    at_cut: pd.DataFrame,
    followed: pd.DataFrame,
    *,
    parameters: Parameters,
    cut: dt.date,
    last_day: dt.date,
    progress: bool,
) -> dict[str, Any]:
    """Segment on what was known at the cut and follow the same customers afterwards.

    Parameters
    ----------
    at_cut : DataFrame, one row per customer
        Features from orders up to the cut alone.
    followed : DataFrame, one row per customer who had bought by the cut
        ``customer_id, days_before, spent_first_day, orders_after, revenue_after`` (exact).
    """
    if len(at_cut) < LEAST_CUSTOMERS:
        return no_holdout(f"only {len(at_cut):,} customer(s) had bought by {cut}")
    table = known_at_cut(at_cut, split_pre_register=parameters.split_pre_register)
    if not any(name in table.columns for name in parameters.features):
        return no_holdout(f"none of the features was known on {cut}")
    customers = segments_at_cut(
        table,
        parameters=parameters,
        clusters_of=lambda group, spent: clusters_at_cut(group, spent, parameters=parameters),
    ).merge(followed, on="customer_id", how="left", validate="one_to_one")
    if not (customers["orders_after"] > 0).any():
        return no_holdout(f"nobody bought between {cut} and {last_day}")
    horizon = (last_day - cut).days
    scores, model = scores_at_cut(customers, horizon_days=horizon)
    found = evidence.follow(
        customers, scores, random_state=parameters.random_state,
        progress="hold-out" if progress else "",
    )  # fmt: skip
    keys = ["segment_type", "cluster", "segment"]
    exact = customers.groupby(keys)["revenue_after"].agg(lambda money: sum(money))
    by_segment = found.segments.assign(
        revenue=[exact[tuple(key)] for key in found.segments[keys].itertuples(index=False)]
    )
    return {
        "holdout_segments": by_segment[list(SEGMENT_COLUMNS)],
        "holdout_rankings": found.rankings[list(HOLDOUT_RANKING_COLUMNS)],
        "holdout_curve": found.curve[list(CURVE_COLUMNS)],
        "holdout": {
            "possible": True,
            "reason": "",
            "cut": cut.isoformat(),
            "last_day": last_day.isoformat(),
            "days_after": horizon,
            "customers": len(customers),
            "bought_again": int((customers["orders_after"] > 0).sum()),
            "orders": int(customers["orders_after"].sum()),
            "revenue": str(sum(customers["revenue_after"])),
            "model": model,
        },
    }
