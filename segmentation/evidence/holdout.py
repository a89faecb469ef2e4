"""The hold-out proof of a run: segment at a cut, follow the same customers after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.columns import FEATURES
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.limits import AUTO_K_RANGE, EVERYBODY_ALIVE, LEAST_CUSTOMERS
from segmentation.core.parameters import Parameters
from segmentation.customers import prepare
from segmentation.customers.features import add_segment_type, without_later_registrations
from segmentation.customers.prepare import PreparedGroup
from segmentation.evidence import buying as btyd
from segmentation.evidence import rankings as holdout
from segmentation.evidence.by_group import k_scores_of
from segmentation.evidence.choose_k import choose_k
from segmentation.evidence.k_scores import score_fits
from segmentation.evidence.rankings import follow
from segmentation.orders.days_unsure import LOOK_EXCHANGED, is_cut_alike
from segmentation.segments import kmeans
from segmentation.segments import names as naming
from segmentation.segments.dbscan import fit_dbscan
from segmentation.segments.model import SegmentModel
from segmentation.segments.own_labels import OWN_LABELS


def known_at_cut(table: pd.DataFrame, *, split_pre_register: bool) -> pd.DataFrame:
    """Features as they were known at the cut, with the group of each customer.

    A registration after the cut was not known then: such a customer counts as not
    registered.
    """
    if "register_to_order" in table.columns:
        table = without_later_registrations(table)
        if table["register_to_order"].isna().all():
            table = table.drop(columns="register_to_order")
    return add_segment_type(table, split_pre_register=split_pre_register)


def segments_at_cut(
    table: pd.DataFrame,
    *,
    parameters: Parameters,
    rules: dict[str, Any],
    clusters_of: Callable[[PreparedGroup, np.ndarray], kmeans.Clustering],
) -> pd.DataFrame:
    """Segments made of what was known at the cut, by the run's own parameters.

    Parameters
    ----------
    rules : dict
        The naming rules.
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
    largest = int(table["segment_type"].value_counts().max())
    for kind in [k for k in SEGMENT_TYPES if (table["segment_type"] == k).any()]:
        group = prepare.prepare_group(
            table, kind, names=tuple(n for n in parameters.features if n in table.columns),
            **prepare.preparing(parameters),
        )  # fmt: skip
        customers = table.iloc[group.rows]
        spent = customers["total_spent"].to_numpy()
        fit = clusters_of(group, spent)
        if kmeans.too_small_beside(len(spent), largest=largest, n_clusters=fit.n_clusters):
            fit = kmeans.fit_kmeans(group.values, spent, n_clusters=1, n_init=1, random_state=0)
        customers = customers.assign(cluster=fit.labels)
        centers = pd.DataFrame(fit.centers, columns=list(group.preparation.features))
        profiles = naming.cluster_profiles(customers, available, centers)
        names = naming.name_clusters(profiles, group.preparation.features, rules=rules)[0]
        customers["segment"] = customers["cluster"].map(names)
        customers["tier"] = customers.groupby("cluster")["total_spent"].transform("mean")
        parts.append(customers)
    return pd.concat(parts, ignore_index=True)


def clusters_at_cut(
    group: PreparedGroup, spent: np.ndarray, *, parameters: Parameters
) -> kmeans.Clustering:
    """Clusters of one group at the cut; with ``auto`` the rule is asked again on them.

    The number of clusters that the whole window speaks for was not known at the cut.
    """
    fixed: dict[str, Any] = {
        "n_init": parameters.n_init,
        "random_state": parameters.random_state,
    }
    k = parameters.n_clusters
    left_out = np.zeros(len(spent), dtype=bool)
    if not parameters.anomalies_in_fit:
        left_out = fit_dbscan(
            group.flag_values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
        ).is_noise
    if k == "auto":
        low, high = AUTO_K_RANGE
        fits = kmeans.fit_range(group.values, spent, k_values=range(low, high + 1), **fixed)
        scored = score_fits(group.values, fits, random_state=parameters.random_state)
        table = k_scores_of(
            group.values, scored.scores, scored.silhouettes,
            random_state=parameters.random_state, progress="",
        )  # fmt: skip
        k = choose_k(table).k
        if k in fits and not left_out.any():
            return fits[k]
    if left_out.any():
        return kmeans.fit_without(group.values, spent, left_out, n_clusters=int(k), **fixed)
    return kmeans.fit_kmeans(group.values, spent, n_clusters=int(k), **fixed)


def labelled_at_cut(model: SegmentModel, customers: pd.DataFrame) -> pd.DataFrame:
    """As `segments_at_cut`, where segments are labels of the analyst's own.

    Nobody had them at the cut: the nearest of today's segment centres stands for them.
    """
    placed = standing_by(model, customers).dropna(subset="segment")
    keys = ["segment_type", "segment"]
    number = {(kind, n): i for kind, g in model.groups.items() for i, n in enumerate(g.names)}
    placed["cluster"] = [number[key] for key in placed[keys].itertuples(index=False, name=None)]
    placed["tier"] = placed.groupby(keys)["total_spent"].transform("mean")
    by_values = [*keys, *model.features, "total_spent"]
    return placed.sort_values(list(dict.fromkeys(by_values)), ignore_index=True)


def scores_at_cut(
    customers: pd.DataFrame, *, horizon_days: int
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """Rankings of the customers by what was known at the cut, higher = sooner chosen.

    Parameters
    ----------
    customers : DataFrame
        Features at the cut, ``tier``, and ``days_before``.

    Returns
    -------
    (dict of name to scores, parameters of the probabilistic model or None)
        The first is how the workbook lists them: segment by segment, each by spend.
    """
    spent, recency = customers["total_spent"].to_numpy(), customers["recency"].to_numpy()
    places = customers["tier"].rank(method="dense") + customers["total_spent"].rank(pct=True) / 2
    scores = {
        holdout.LISTS: places.to_numpy(),
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
        horizon_days=float(horizon_days),
    )
    if predicted is None:
        return scores, None
    revenue, buying, worth = predicted
    scores[holdout.MODEL if worth else holdout.ORDERS_MODEL] = revenue
    fitted = {
        "r": buying.r, "alpha": buying.alpha, "a": buying.a, "b": buying.b,
        "everybody_alive": buying.a / (buying.a + buying.b) < EVERYBODY_ALIVE,
        "log_likelihood": buying.log_likelihood,
        **({"p": worth.p, "q": worth.q, "gamma": worth.gamma} if worth else {}),
        "predicted_revenue": float(revenue.sum()),
    }  # fmt: skip
    return scores, fitted


SEGMENT_COLUMNS = (
    "segment_type", "cluster", "segment", "customers", "bought_again", "orders", "revenue",
    *(f"{name}{end}" for name in ("share_again", "orders_per_customer", "revenue_per_customer",
      "revenue_share", "lift") for end in ("", "_low", "_high")), "as_today",
)  # fmt: skip
MEASURES = ("revenue_share", "lift", "share_again", "rank_correlation", "difference")
HOLDOUT_RANKING_COLUMNS = (
    "ranking", "customers_share", "customers",
    *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")),
)  # fmt: skip
TODAY_COLUMNS = ("customer_id", "segment_type", "segment", "total_spent", "days_to_order")
"""What a trial without a campaign divides: customers of the cut by today's borders."""
CURVE_COLUMNS = ("ranking", "customers_share", "revenue_share", "customers")


def no_holdout(reason: str) -> dict[str, Any]:
    """Results of a hold-out that the data do not allow, with the reason."""
    return {
        "holdout_segments": pd.DataFrame(columns=list(SEGMENT_COLUMNS)),
        "holdout_rankings": pd.DataFrame(columns=list(HOLDOUT_RANKING_COLUMNS)),
        "holdout_curve": pd.DataFrame(columns=list(CURVE_COLUMNS)),
        "holdout_responses": pd.DataFrame(columns=list(holdout.RESPONSE_COLUMNS)),
        "holdout_today": pd.DataFrame(columns=list(TODAY_COLUMNS)),
        "holdout": {"possible": False, "reason": reason, "unfollowed": reason},
    }


def standing_by(model: SegmentModel, customers: pd.DataFrame) -> pd.DataFrame:
    """Segment that a model gives to customers as they were at the cut; missing in groups it lacks.

    Segments made at the cut may bear a name of today for other customers: names follow the
    profile of a cluster, and clusters are drawn anew. What "such customers" did after the cut
    is asked of those whom today's borders put into today's segment.
    """
    values = customers.reindex(columns=list(model.features)).to_numpy(dtype=np.float64)
    kinds = customers["segment_type"].to_numpy(dtype=object)
    known = np.zeros(len(customers), dtype=bool)
    for kind, group in model.groups.items():
        used = [model.features.index(name) for name in group.preparation.features]
        known |= (kinds == kind) & np.isfinite(values[:, used]).all(axis=1)
    segments = np.full(len(customers), None, dtype=object)
    if known.any():
        segments[known] = model.assign_values(values[known], kinds[known]).segment
    return customers.assign(segment=segments)


def hold_out(
    *,
    cut: dict[str, Any],
    cut_features: pd.DataFrame,
    followed: pd.DataFrame,
    model: SegmentModel,
    naming_rules: dict[str, Any],
    days_unsure: str,
    order_days: pd.DataFrame,
    parameters: Parameters,
    progress: bool,
) -> dict[str, Any]:
    """Segment on what was known at the cut and follow the same customers afterwards.

    Where days of orders are unsure, who ordered within some days of the cut is not told; who
    ordered after it at all is, if the other reading of the dates divides orders alike.

    Parameters
    ----------
    cut : dict
        ``cut`` and ``last_day``; or the ``reason`` why there is none. ``left_out`` are
        features that nobody knows for that day.
    cut_features : DataFrame, one row per customer
        Features from orders up to the cut alone.
    followed : DataFrame, one row per customer who had bought by the cut
        ``customer_id, days_before, spent_first_day, orders_after, revenue_after`` (exact),
        ``days_to_order``.
    model : SegmentModel
        That of the whole window, by which customers of the cut are likened to today's.
    days_unsure : str
        Why days of orders are not to be counted with, or nothing.
    """
    if cut["reason"]:
        return no_holdout(cut["reason"])
    day, last_day = (dt.date.fromisoformat(cut[name]) for name in ("cut", "last_day"))
    if days_unsure and not is_cut_alike(order_days, day, as_of=parameters.as_of):
        return no_holdout(days_unsure)
    if len(cut_features) < LEAST_CUSTOMERS:
        return no_holdout(f"only {len(cut_features):,} customer(s) had bought by {day}")
    table = known_at_cut(cut_features, split_pre_register=parameters.split_pre_register)
    if not any(name in table.columns for name in parameters.features):
        return no_holdout(f"none of the features was known on {day}")
    by_borders = OWN_LABELS in model.info
    if by_borders:
        customers = labelled_at_cut(model, table)
    else:
        customers = segments_at_cut(
            table,
            parameters=parameters,
            rules=naming_rules,
            clusters_of=lambda group, spent: clusters_at_cut(group, spent, parameters=parameters),
        )
    customers = customers.merge(followed, on="customer_id", how="left", validate="one_to_one")
    if not (customers["orders_after"] > 0).any():
        return no_holdout(f"nobody bought between {day} and {last_day}")
    horizon = (last_day - day).days
    scores, fitted = scores_at_cut(customers, horizon_days=horizon)
    found = follow(
        customers, scores, random_state=parameters.random_state,
        progress="hold-out" if progress else "",
    )  # fmt: skip
    keys = ["segment_type", "cluster", "segment"]
    exact = customers.groupby(keys)["revenue_after"].agg(lambda money: sum(money))
    today = standing_by(model, customers)
    same = (today["segment"] == customers["segment"]).groupby([customers[k] for k in keys]).mean()
    there_are = {(kind, name) for kind, group in model.groups.items() for name in group.names}
    same[[key[::2] not in there_are for key in same.index]] = np.nan  # a name of the cut alone
    by_segment = found.segments.assign(
        revenue=[exact[tuple(key)] for key in found.segments[keys].itertuples(index=False)],
        as_today=[same[tuple(key)] for key in found.segments[keys].itertuples(index=False)],
    )
    unfollowed = {name: no_holdout("")[name] for name in ("holdout_responses", "holdout_today")}
    within = {
        "holdout_responses": holdout.responses(today, observed_days=horizon),
        "holdout_today": today.dropna(subset="segment")[list(TODAY_COLUMNS)],
    }
    return {
        "holdout_segments": by_segment[list(SEGMENT_COLUMNS)],
        "holdout_rankings": found.rankings[list(HOLDOUT_RANKING_COLUMNS)],
        "holdout_curve": found.curve[list(CURVE_COLUMNS)],
        **(unfollowed if days_unsure else within),
        "holdout": {
            "possible": True,
            "reason": "",
            "unfollowed": LOOK_EXCHANGED if days_unsure else "",
            "cut": day.isoformat(),
            "last_day": last_day.isoformat(),
            "days_after": horizon,
            "customers": len(customers),
            "bought_again": int((customers["orders_after"] > 0).sum()),
            "orders": int(customers["orders_after"].sum()),
            "revenue": str(sum(customers["revenue_after"])),
            "model": fitted,
            "left_out": cut["left_out"],
            **({"by_borders": True} if by_borders else {}),
        },
    }
