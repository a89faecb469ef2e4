"""Clusters + flags + names -> the segments table, its profile and the model.

The segments table is made by the model itself (`SegmentModel.assign`), so what the book
shows is what the API will answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.columns import FEATURES
from segmentation.core.drift import counts_between, decile_edges
from segmentation.core.limits import REASON_QUANTILES
from segmentation.core.parameters import Parameters
from segmentation.customers.preparation import DATES
from segmentation.customers.prepare import PreparedGroup
from segmentation.segments.dbscan import GroupFlags
from segmentation.segments.kmeans import (
    Clustering,
    GroupFits,
    fit_kmeans,
    fit_without,
    too_small_beside,
)
from segmentation.segments.map import Projection, project
from segmentation.segments.model import GroupModel, SegmentModel
from segmentation.segments.model_checks import why_not_exported
from segmentation.segments.names import FACT_COLUMNS, cluster_profiles, name_clusters
from segmentation.segments.own_labels import OWN_LABELS, cluster_by, in_order_of, margin_of
from segmentation.segments.silhouettes import silhouettes


@dataclass(frozen=True)
class GroupInputs:
    """Everything known about one group before its segments are built.

    ``auto_k`` is the rule's answer where the profile leaves the number to it; ``labels`` are
    the analyst's own, where they take the place of K-Means.
    """

    group: PreparedGroup
    fits: GroupFits
    flags: GroupFlags
    auto_k: int | None
    labels: np.ndarray | None = None


def build(
    *,
    features: pd.DataFrame,
    scaled: dict[str, PreparedGroup],
    fits: dict[str, GroupFits],
    flags: dict[str, GroupFlags],
    ledger: pd.DataFrame,
    overview: dict[str, Any],
    naming_rules: dict[str, Any],
    own_labels: pd.DataFrame | None,
    of_the_model: dict[str, Any],
    parameters: Parameters,
    k_rule: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Assign and name segments: the table, profile, facts, silhouettes, map and model.

    Parameters
    ----------
    features : DataFrame, one row per customer, sorted by ``customer_id``
    scaled, fits, flags : dicts by segment_type
    overview : dict
        With ``amount_scale``: decimals of the source's money, in which revenue is added up
        exactly.
    naming_rules : dict
        As ``rule_files.load_rules`` gives them.
    own_labels : DataFrame, optional
        ``customer_id, label`` of the analyst's own: the segments are these, and the model is
        that of the nearest segment centre.
    of_the_model : dict
        Parameters, inputs and naming rules that the model's card shows.
    k_rule : dict, optional
        The rule's answer by segment_type, where the profile leaves the number to it.
    """
    given_by = None if own_labels is None else in_order_of(features["customer_id"], own_labels)
    inputs = {
        kind: GroupInputs(
            group, fits[kind], flags[kind], k_rule[kind]["k"] if k_rule else None,
            None if given_by is None else given_by[group.rows],
        )
        for kind, group in scaled.items()
    }  # fmt: skip
    info = {"source": overview["source"], "as_of": overview["as_of"]} | of_the_model
    available = tuple(name for name in FEATURES if name in features.columns)
    groups, chosen, facts, silhouette_rows, projections = {}, {}, [], [], []
    clusterings = {}
    silhouette = pd.Series(np.nan, index=features.index)
    largest = max(len(given.group.rows) for given in inputs.values())
    for kind, given in inputs.items():
        fit, words = _clustered(given, features, parameters, largest=largest)
        customers = features.iloc[given.group.rows].assign(cluster=fit.labels)
        names, group_facts = _names(customers, available, given, fit, naming_rules, words)
        clusterings[kind] = fit
        facts.append(group_facts.assign(segment_type=kind))
        groups[kind] = _group_model(kind, given, fit, names, customers)
        values = _silhouette(given, fit)
        silhouette.iloc[given.group.rows[given.fits.measured]] = values
        silhouette_rows.append(_silhouette_table(kind, given, fit, names, values))
        projections.append((kind, project(given.group.values, given.group.preparation.features)))
        chosen[kind] = {
            "k": fit.n_clusters,
            "asked": parameters.n_clusters if given.labels is None else OWN_LABELS,
            "customers": len(customers),
            "features": list(given.group.preparation.features),
            "note": fit.note,
            "left_out": list(given.group.notes),
        }
    model = SegmentModel(parameters.features, parameters.split_pre_register, groups, info)
    segments = model.assign(features[["customer_id", *parameters.features, "segment_type"]])
    _check_agreement(segments, inputs, groups)
    if own_labels is not None:
        followed = _as_labelled(segments, inputs, clusterings, groups)
        counted = {"customers": len(segments), "followed": sum(followed.values())}
        model = replace(model, info=info | {OWN_LABELS: counted})
        for kind, entry in chosen.items():
            entry |= {"followed": followed[kind], "exported": not why_not_exported(model.info)}
    extra = segments.drop(columns=["customer_id", *parameters.features, "segment_type"])
    customers = features.join(extra).assign(silhouette=silhouette)
    points, loadings, explained = _projection_tables(projections, inputs, segments)
    described = profile(customers, available, amount_scale=overview["amount_scale"])
    if parameters.fit_on == "all":
        reconcile(described, ledger)
    return {
        "segments": segments,
        "customers": customers,
        "profile": described,
        "facts": pd.concat(facts, ignore_index=True)[["segment_type", *FACT_COLUMNS]],
        "silhouettes": pd.concat(silhouette_rows, ignore_index=True),
        "projection": points,
        "loadings": loadings,
        "explained": explained,
        "chosen": chosen,
        "model": model,
    }


def _asked(parameters: Parameters, given: GroupInputs) -> int:
    if given.auto_k is not None:
        return given.auto_k
    return int(parameters.n_clusters)


def _clustered(
    given: GroupInputs, features: pd.DataFrame, parameters: Parameters, *, largest: int
) -> tuple[Clustering, dict[int, str] | None]:
    """Clusters as asked for; one, with the reason, where a group is too small for that.

    Beside them their names, where the analyst gave names.
    """
    if given.labels is not None:
        spent = features["total_spent"].to_numpy()[given.group.rows]
        return cluster_by(given.group.values, spent, given.labels)
    k = _asked(parameters, given)
    note = too_small_beside(len(given.group.rows), largest=largest, n_clusters=k)
    fit = _fit(given, features, 1 if note else k, parameters)
    return (replace(fit, note=note) if note else fit), None


def _as_labelled(
    segments: pd.DataFrame,
    inputs: dict[str, GroupInputs],
    clusterings: dict[str, Clustering],
    groups: dict[str, GroupModel],
) -> dict[str, int]:
    """Write labels over what the model says; to how many of each group it gave theirs."""
    followed = {}
    for kind, fit in clusterings.items():
        group = inputs[kind].group
        rows = segments.index[group.rows]
        followed[kind] = int((segments.loc[rows, "cluster"].to_numpy() == fit.labels).sum())
        segments.loc[rows, "cluster"] = fit.labels
        segments.loc[rows, "segment"] = np.array(groups[kind].names, dtype=object)[fit.labels]
        segments.loc[rows, "margin"] = margin_of(group.values, fit)
    return followed


def _fit(given: GroupInputs, features: pd.DataFrame, k: int, parameters: Parameters) -> Clustering:
    spent = features["total_spent"].to_numpy()[given.group.rows]
    settings = {"n_init": parameters.n_init, "random_state": parameters.random_state}
    if not parameters.anomalies_in_fit and given.flags.is_noise.any():
        return fit_without(
            given.group.values, spent, given.flags.is_noise, n_clusters=k, **settings
        )
    if k in given.fits.by_k:
        return given.fits.by_k[k]
    return fit_kmeans(given.group.values, spent, n_clusters=k, **settings)


def _names(
    customers: pd.DataFrame,
    available: tuple[str, ...],
    given: GroupInputs,
    fit: Clustering,
    rules: dict[str, Any],
    words: dict[int, str] | None,
) -> tuple[dict[int, str], pd.DataFrame]:
    """Names by the rules with what earned them; the analyst's own words with the same facts."""
    centers = pd.DataFrame(fit.centers, columns=list(given.group.preparation.features))
    profiles = cluster_profiles(customers, available, centers)
    names, facts = name_clusters(profiles, given.group.preparation.features, rules=rules)
    if words is None:
        return names, facts
    return words, facts.assign(
        segment=facts["cluster"].map(words), true_of=np.nan, true_money=np.nan
    )


def _group_model(
    kind: str,
    given: GroupInputs,
    fit: Clustering,
    names: dict[int, str],
    customers: pd.DataFrame,
) -> GroupModel:
    used = list(given.group.preparation.features)
    low, high = (customers[used].quantile(q) for q in REASON_QUANTILES)
    low[[name for name in used if name in DATES]] = 0.0  # a late date alone is no reason
    return GroupModel(
        segment_type=kind,
        preparation=given.group.preparation,
        centers=fit.centers,
        names=tuple(names[cluster] for cluster in range(fit.n_clusters)),
        eps=given.flags.eps,
        min_samples=given.flags.min_samples,
        core_points=given.flags.core_points,
        reason_limits={name: (float(low[name]), float(high[name])) for name in used},
        medians={name: float(customers[name].median()) for name in used},
        ranges={
            name: (float(customers[name].min()), float(customers[name].max())) for name in used
        },
        profiles=_profiles(customers, used, fit.n_clusters),
        note="; ".join(note for note in (fit.note, *given.group.notes) if note),
        distributions={name: _distribution(customers[name]) for name in used},
    )


def _distribution(values: pd.Series) -> tuple[tuple[float, ...], tuple[int, ...]]:
    numbers = values.to_numpy(dtype=np.float64)
    edges = decile_edges(numbers)
    return tuple(edges.tolist()), tuple(counts_between(numbers, edges).tolist())


def _profiles(
    customers: pd.DataFrame, used: list[str], n_clusters: int
) -> tuple[dict[str, float], ...]:
    described = []
    for cluster in range(n_clusters):
        members = customers[customers["cluster"] == cluster]
        medians = {name: float(members[name].median()) for name in used}
        described.append({"customers": len(members)} | medians)
    return tuple(described)


def _silhouette(given: GroupInputs, fit: Clustering) -> np.ndarray:
    if fit.n_clusters < 2:
        return np.full(len(given.fits.measured), np.nan)
    if fit is given.fits.by_k.get(fit.n_clusters):
        return given.fits.silhouettes[fit.n_clusters]
    return silhouettes(given.group.values, [fit.labels], given.fits.measured)[0]


def _silhouette_table(
    kind: str, given: GroupInputs, fit: Clustering, names: dict[int, str], values: np.ndarray
) -> pd.DataFrame:
    labels = fit.labels[given.fits.measured]
    named = np.array([names[cluster] for cluster in range(fit.n_clusters)], dtype=object)
    return pd.DataFrame(
        {"segment_type": kind, "cluster": labels, "segment": named[labels], "silhouette": values}
    )


def _projection_tables(
    projections: list[tuple[str, Projection]],
    inputs: dict[str, GroupInputs],
    segments: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    points, loadings, explained = [], [], []
    for kind, projection in projections:
        rows = segments.iloc[inputs[kind].group.rows]
        points.append(
            pd.DataFrame(
                {
                    "segment_type": kind,
                    "pc1": projection.points[:, 0],
                    "pc2": projection.points[:, 1],
                    "segment": rows["segment"].to_numpy(),
                    "is_anomaly": rows["is_anomaly"].to_numpy(),
                }
            )
        )
        loadings.append(projection.loadings.assign(segment_type=kind))
        explained.append(projection.explained.assign(segment_type=kind))
    stacked = [pd.concat(part, ignore_index=True) for part in (points, loadings, explained)]
    return stacked[0], stacked[1], stacked[2]


def _check_agreement(
    segments: pd.DataFrame, inputs: dict[str, GroupInputs], groups: dict[str, GroupModel]
) -> None:
    """The model must give every fitted customer the flag that DBSCAN gave."""
    for kind, given in inputs.items():
        flags = segments["is_anomaly"].to_numpy()[given.group.rows]
        if not np.array_equal(flags, given.flags.is_noise):
            differing = int((flags != given.flags.is_noise).sum())
            raise RuntimeError(
                f"{differing} of {len(flags)} anomaly flags of group {kind} differ between "
                f"DBSCAN and the model (eps {groups[kind].eps})."
            )


def profile(
    customers: pd.DataFrame, available: tuple[str, ...], *, amount_scale: int
) -> pd.DataFrame:
    """Size, revenue and typical values of every segment.

    Parameters
    ----------
    customers : DataFrame, one row per customer, with segment columns
    available : tuple of str
        Features to describe.
    amount_scale : int
        Revenue is added in integer minor units of this many decimals, so that segments
        add up to the ledger exactly.

    Returns
    -------
    DataFrame, one row per segment_type and cluster
        ``customers_share`` and ``revenue_share`` are of all customers of the run.
    """
    minor = np.round(customers["total_spent"].to_numpy() * 10**amount_scale).astype("int64")
    total = int(minor.sum())
    keys = ["segment_type", "cluster", "segment"]
    rows = []
    for values, members in customers.assign(_minor=minor).groupby(keys, sort=False):
        revenue = int(members["_minor"].sum())
        row = dict(zip(keys, values, strict=True)) | {
            "customers": len(members),
            "customers_share": len(members) / len(customers),
            "revenue": Decimal(revenue).scaleb(-amount_scale),
            "revenue_share": revenue / total if total else 0.0,
        }
        for name in available:
            row[f"{name}_mean"] = float(members[name].mean())
            row[f"{name}_median"] = float(members[name].median())
        rows.append(row)
    order = {"normal": 0, "pre_register": 1, "unregistered": 2}
    table = pd.DataFrame(rows)
    return table.sort_values(
        keys[:2], key=lambda c: c.map(order) if c.name == "segment_type" else c
    ).reset_index(drop=True)


def reconcile(profile_table: pd.DataFrame, ledger: pd.DataFrame) -> None:
    """Segments must hold exactly the customers and the money that the ledger kept.

    Raises
    ------
    RuntimeError
        If they do not: a defect of the program, not a mistake of the user's.
    """
    kept = ledger.iloc[-1]
    customers, revenue = int(profile_table["customers"].sum()), sum(profile_table["revenue"])
    if customers != kept["customers"] or revenue != kept["amount"]:
        raise RuntimeError(
            f"segments hold {customers} customers and {revenue}, "
            f"the ledger kept {kept['customers']} and {kept['amount']}."
        )
