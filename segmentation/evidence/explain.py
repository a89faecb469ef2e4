"""Clusters as rules in words: a shallow decision tree, and how faithful it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from segmentation.core.intervals import wilson
from segmentation.core.limits import EXPLAIN_FOLDS, LEAST_LEAF_SHARE, TREE_DEPTH


@dataclass(frozen=True)
class Explanation:
    """Rules of one group.

    Attributes
    ----------
    rules : DataFrame, one row per leaf of the tree, largest first within a cluster
        ``cluster, customers, faithful`` (share of the leaf's customers who are in that
        cluster) and per feature ``<feature>_above, <feature>_upto`` (NaN = no limit).
    fidelity : dict
        ``customers``; ``own`` share of customers whom the printed rules put where
        K-Means did; ``held_out`` the same for customers left out of the tree, with
        ``held_out_low`` and ``held_out_high``; ``largest`` share of the largest cluster,
        which a rule for nobody would reach.
    ranking : DataFrame with columns ``feature, separation``
        Share of a feature's variance (in prepared space) that lies between clusters.
    """

    rules: pd.DataFrame
    fidelity: dict[str, float]
    ranking: pd.DataFrame


def explain(
    raw: pd.DataFrame, prepared: np.ndarray, labels: np.ndarray, *, random_state: int
) -> Explanation:
    """Describe clusters by a decision tree of depth 3 on features in their own units.

    Thresholds are rounded to what a person would say before fidelity is measured, so it
    is that of the rules as printed.

    Parameters
    ----------
    raw : DataFrame of shape (n_customers, n_features), features in use, own units
    prepared : array of the same shape, prepared space
    labels : int array, clusters from 0
    """
    values = raw.to_numpy(dtype=float)
    tree = _tree(values, labels)
    inside = rules_of(tree, list(raw.columns))
    assigned = apply_rules(inside, raw)
    right = 0
    generator = np.random.default_rng(random_state)
    order = generator.permutation(len(values))
    for fold in range(EXPLAIN_FOLDS):
        held = order[fold::EXPLAIN_FOLDS]
        rest = np.setdiff1d(order, held)
        if len(rest) == 0 or len(held) == 0:
            continue
        learnt = rules_of(_tree(values[rest], labels[rest]), list(raw.columns))
        right += int((apply_rules(learnt, raw.iloc[held]) == labels[held]).sum())
    low, high = wilson(right, len(values))
    fidelity = {
        "customers": len(values),
        "own": float((assigned == labels).mean()),
        "held_out": right / len(values),
        "held_out_low": low,
        "held_out_high": high,
        "largest": float(np.bincount(labels).max() / len(labels)),
    }
    return Explanation(
        _with_counts(inside, raw, labels), fidelity, separation(prepared, labels, raw.columns)
    )


def _tree(values: np.ndarray, labels: np.ndarray) -> DecisionTreeClassifier:
    least = max(1, int(LEAST_LEAF_SHARE * len(values)))
    return DecisionTreeClassifier(max_depth=TREE_DEPTH, min_samples_leaf=least, random_state=0).fit(
        values, labels
    )


def rules_of(tree: DecisionTreeClassifier, names: list[str]) -> pd.DataFrame:
    """One row per leaf: its cluster and, per feature, the limits on the way to it."""
    nodes = tree.tree_
    rows = []

    def walk(node: int, limits: dict[str, float]) -> None:
        if nodes.children_left[node] == -1:
            cluster = int(tree.classes_[nodes.value[node][0].argmax()])
            rows.append({"cluster": cluster} | limits)
            return
        name = names[nodes.feature[node]]
        cut = rounded_cut(float(nodes.threshold[node]))
        upto = min(cut, limits.get(f"{name}_upto", np.inf))
        above = max(cut, limits.get(f"{name}_above", -np.inf))
        walk(int(nodes.children_left[node]), limits | {f"{name}_upto": upto})
        walk(int(nodes.children_right[node]), limits | {f"{name}_above": above})

    walk(0, {})
    columns = ["cluster", *(f"{name}_{end}" for name in names for end in ("above", "upto"))]
    return pd.DataFrame(rows).reindex(columns=columns).astype({"cluster": "int64"})


def rounded_cut(value: float) -> float:
    """A threshold as a person would say it: three significant digits, never below 0.01 steps.

    Half-way thresholds of whole numbers (60.5) become the whole number below: "up to 60".

    Examples
    --------
    >>> rounded_cut(60.5), rounded_cut(412.378), rounded_cut(1234.5), rounded_cut(0.5)
    (60.0, 412.0, 1230.0, 0.0)
    """
    if value == np.floor(value) + 0.5 and abs(value) < 1000:
        return float(np.floor(value))
    return float(f"{value:.3g}")


def apply_rules(rules: pd.DataFrame, raw: pd.DataFrame) -> np.ndarray:
    """Cluster that the rules give each customer; -1 where rounding leaves a customer out."""
    assigned = np.full(len(raw), -1, dtype=np.int64)
    for _, rule in rules.iterrows():
        assigned[_inside(rule, raw)] = int(rule["cluster"])
    return assigned


def _inside(rule: pd.Series, raw: pd.DataFrame) -> np.ndarray:
    inside = np.ones(len(raw), dtype=bool)
    for name in raw.columns:
        above, upto = rule[f"{name}_above"], rule[f"{name}_upto"]
        values = raw[name].to_numpy(dtype=float)
        if np.isfinite(above):
            inside &= values > above
        if np.isfinite(upto):
            inside &= values <= upto
    return inside


def _with_counts(rules: pd.DataFrame, raw: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    members = [labels[_inside(rule, raw)] for _, rule in rules.iterrows()]
    clusters = rules["cluster"]
    counted = rules.assign(
        customers=[len(own) for own in members],
        faithful=[
            float((own == c).mean()) if len(own) else np.nan
            for own, c in zip(members, clusters, strict=True)
        ],
    )
    counted = counted[counted["customers"] > 0]
    return counted.sort_values(
        ["cluster", "customers"], ascending=[True, False], kind="stable"
    ).reset_index(drop=True)


def separation(prepared: np.ndarray, labels: np.ndarray, names: pd.Index) -> pd.DataFrame:
    """Features ranked by the share of their variance that lies between clusters.

    1 = the feature alone tells the clusters apart, 0 = it says nothing about them.

    Examples
    --------
    >>> prepared = np.array([[0.0, 1.0], [0.0, 2.0], [4.0, 1.0], [4.0, 2.0]])
    >>> separation(prepared, np.array([0, 0, 1, 1]), pd.Index(["a", "b"]))["separation"].tolist()
    [1.0, 0.0]
    """
    total = ((prepared - prepared.mean(axis=0)) ** 2).sum(axis=0)
    within = np.zeros(prepared.shape[1])
    for label in np.unique(labels):
        own = prepared[labels == label]
        within += ((own - own.mean(axis=0)) ** 2).sum(axis=0)
    share = np.where(total > 0, 1 - within / np.where(total > 0, total, 1), 0.0)
    table = pd.DataFrame({"feature": list(names), "separation": share})
    return table.sort_values(["separation", "feature"], ascending=[False, True]).reset_index(
        drop=True
    )
