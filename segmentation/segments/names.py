"""Clusters -> names earned from their profile, each with the facts that earned it.

The rules are data (`naming_rules.yaml`). Names depend on profiles alone: never on a
cluster's number, the seed or the order of rows. They compare a cluster with its own group,
so two groups may have a segment of the same name: group and name together say who is
meant, and whatever shows a name of a run with several groups shows the group beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core import rule_files
from segmentation.core.columns import (
    FEATURES,
    LIFECYCLE_FEATURES,
    column_of,
    format_value,
)
from segmentation.core.limits import LEAST_PUBLISHED, NAME_TRUE_OF
from segmentation.core.own_features import low_and_high

FACT_COLUMNS = [
    "cluster", "segment", "feature", "mean", "median", "group_mean", "ratio", "true_of",
    "true_money",
]  # fmt: skip
NOT_SEGMENTED = "All customers (not segmented)"


def load_rules() -> dict[str, Any]:
    """The shipped naming rules, as data."""
    return rule_files.load_rules("naming_rules")


def feature_family(features: tuple[str, ...]) -> str:
    """``lifecycle`` or ``rfm``: which words the features in use speak.

    Examples
    --------
    >>> feature_family(("recency", "frequency", "total_spent"))
    'rfm'
    >>> feature_family(("first_to_last_order", "total_unit", "total_spent"))
    'lifecycle'
    """
    lifecycle_only = set(LIFECYCLE_FEATURES) - {"total_spent"}
    rfm_only = {"recency", "frequency"}
    used = set(features)
    return "lifecycle" if len(used & lifecycle_only) > len(used & rfm_only) else "rfm"


@dataclass(frozen=True)
class ClusterProfile:
    """What naming looks at: one cluster against its group.

    ``mean``, ``median`` and ``group_mean`` are keyed by feature in the feature's own
    unit; ``position`` is the cluster's centre in prepared space by feature. ``members`` are
    the values of each customer of the cluster and ``group_median`` those of the middle of the
    group: a mean may be one customer's, so a name is tried on the members too.
    """

    cluster: int
    customers: int
    mean: dict[str, float]
    median: dict[str, float]
    group_mean: dict[str, float]
    position: dict[str, float]
    members: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    group_median: Mapping[str, float] = field(default_factory=dict, compare=False)

    def ratio(self, feature: str) -> float:
        """Cluster mean over group mean; NaN where that means nothing."""
        if feature not in self.mean or not self.group_mean[feature] > 0:
            return np.nan
        return self.mean[feature] / self.group_mean[feature]


def cluster_profiles(
    customers: pd.DataFrame, names: tuple[str, ...], centers: pd.DataFrame
) -> list[ClusterProfile]:
    """Profile every cluster of one group.

    Parameters
    ----------
    customers : DataFrame, one row per customer of the group
        Features and ``cluster``.
    names : tuple of str
        Features to profile (those available, in use or not).
    centers : DataFrame indexed by cluster, one column per feature in use
        Centres in prepared space.
    """
    filled = [name for name in names if customers[name].notna().any()]
    group_mean = customers[filled].mean().to_dict()
    group_median = customers[filled].median().to_dict()
    values = {name: customers[name].to_numpy(dtype=np.float64) for name in filled}
    labels = customers["cluster"].to_numpy()
    grouped = customers.groupby("cluster", sort=True)[filled]
    means, medians, sizes = grouped.mean(), grouped.median(), grouped.size()
    return [
        ClusterProfile(
            cluster=int(cluster),
            customers=int(sizes[cluster]),
            mean=means.loc[cluster].to_dict(),
            median=medians.loc[cluster].to_dict(),
            group_mean=group_mean,
            position=centers.loc[cluster].to_dict(),
            members={name: column[labels == cluster] for name, column in values.items()},
            group_median=group_median,
        )
        for cluster in means.index
    ]


def name_clusters(
    profiles: list[ClusterProfile],
    features: tuple[str, ...],
    *,
    rules: dict[str, Any] | None = None,
) -> tuple[dict[int, str], pd.DataFrame]:
    """Name every cluster of one group, with the facts that earned each name.

    Returns
    -------
    (dict, DataFrame)
        Cluster to name, all different; and one row per fact with ``cluster, segment,
        feature, mean, median, group_mean, ratio`` (`fact_sentence` puts it in words) and
        ``true_of``: the share of the members of whom the whole name is true; ``true_money``: of
        what the members spent (missing where that is of few, or of all but few).

    Notes
    -----
    A name is given only if it is true of `NAME_TRUE_OF` of the members. Of a rule's name:
    the member is on the named side of the group's mean in each figure of the rule. Of a value
    tier: the member spends more than the median customer of the tier below and less than
    that of the tier above. Of a description: each figure is on the named side of the group's
    median.
    """
    rules = rules or load_rules()
    true: dict[int, np.ndarray] = {}
    if len(profiles) == 1:
        names = {profiles[0].cluster: NOT_SEGMENTED}
        evidence: dict[int, list[str]] = {profiles[0].cluster: []}
    else:
        names, evidence = _value_tiers(profiles, features, rules, true)
        if not names:
            names, evidence = _by_rules(profiles, features, rules, true)
            _describe_rest(profiles, names, evidence, rules, true)
    facts = [
        {
            "cluster": profile.cluster,
            "segment": names[profile.cluster],
            "feature": feature,
            "mean": profile.mean[feature],
            "median": profile.median[feature],
            "group_mean": profile.group_mean[feature],
            "ratio": profile.ratio(feature),
            "true_of": _share(true.get(profile.cluster)),
            "true_money": _share_of_money(profile, true.get(profile.cluster)),
        }
        for profile in profiles
        for feature in evidence[profile.cluster]
        if feature in profile.mean
    ]
    return names, pd.DataFrame(facts, columns=FACT_COLUMNS)


def _value_tiers(
    profiles: list[ClusterProfile],
    features: tuple[str, ...],
    rules: dict[str, Any],
    true: dict[int, np.ndarray],
) -> tuple[dict[int, str], dict[int, list[str]]]:
    tiers = rules["value_tiers"]
    ladder = tiers["names"].get(len(profiles))
    if feature_family(features) != "rfm" or ladder is None:
        return {}, {}
    ordered = sorted(profiles, key=lambda profile: profile.mean["total_spent"])
    for statistic in ("mean", "median"):
        spent = [getattr(profile, statistic)["total_spent"] for profile in ordered]
        if any(
            upper < tiers["min_step"] * max(lower, 0) or upper <= lower
            for lower, upper in itertools.pairwise(spent)
        ):
            return {}, {}
    top, bottom = ordered[-1].ratio("total_spent"), ordered[0].ratio("total_spent")
    if not (top >= tiers["top_at_least"] and bottom <= tiers["bottom_at_most"]):
        return {}, {}
    limits = [-np.inf, *(profile.median["total_spent"] for profile in ordered), np.inf]
    within = {}
    for rank, profile in enumerate(ordered):
        own = np.asarray(profile.members.get("total_spent", ()), dtype=np.float64)
        within[profile.cluster] = (own > limits[rank]) & (own < limits[rank + 2])
    if any(_share(is_true) < NAME_TRUE_OF for is_true in within.values()):
        return {}, {}
    true |= within
    names = {p.cluster: name for p, name in zip(ordered, ladder, strict=True)}
    used = ["total_spent", *(name for name in features if name != "total_spent")]
    return names, {profile.cluster: used for profile in ordered}


def _by_rules(
    profiles: list[ClusterProfile],
    features: tuple[str, ...],
    rules: dict[str, Any],
    true: dict[int, np.ndarray],
) -> tuple[dict[int, str], dict[int, list[str]]]:
    names: dict[int, str] = {}
    evidence: dict[int, list[str]] = {}
    for rule in rules["rules"]:
        if rule["family"] != feature_family(features):
            continue
        met = [
            p
            for p in profiles
            if p.cluster not in names
            and _meets(p, rule["when"])
            and not _share(_true_of_rule(p, rule["when"])) < NAME_TRUE_OF
        ]
        if not met:
            continue
        sign = -1 if rule.get("smallest") else 1
        best = max(met, key=lambda profile: _strength(profile, rule["decides"], sign))
        names[best.cluster] = rule["name"]
        true[best.cluster] = _true_of_rule(best, rule["when"])
        evidence[best.cluster] = list(dict.fromkeys(part["feature"] for part in rule["when"]))
    return names, evidence


def _share(is_true: np.ndarray | None) -> float:
    return float(is_true.mean()) if is_true is not None and len(is_true) else np.nan


def _share_of_money(profile: ClusterProfile, is_true: np.ndarray | None) -> float:
    """Part of what the members spent that is of those of whom a name is true."""
    if is_true is None or "total_spent" not in profile.members:
        return np.nan
    spent = np.asarray(profile.members["total_spent"], dtype=np.float64)
    few = (np.count_nonzero(each) for each in (is_true, ~is_true))
    if any(0 < n < LEAST_PUBLISHED for n in few) or not spent.sum() > 0:
        return np.nan
    return float(spent[is_true].sum() / spent.sum())


def _true_of_rule(profile: ClusterProfile, conditions: list[dict[str, Any]]) -> np.ndarray:
    """Which members are on the named side of the average customer in each figure."""
    if not profile.members:
        return np.array([], dtype=bool)
    is_true = np.ones(profile.customers, dtype=bool)
    for condition in conditions:
        feature = condition["feature"]
        ratio = profile.members[feature] / profile.group_mean[feature]
        if other := condition.get("at_least_ratio_of"):
            is_true &= ratio >= profile.members[other] / profile.group_mean[other]
        elif "at_least" in condition:
            is_true &= ratio >= min(condition["at_least"], 1.0)
        else:
            is_true &= ratio <= max(condition["at_most"], 1.0)
    return is_true


def _true_of_words(profile: ClusterProfile, chosen: list[str]) -> np.ndarray:
    """Which members are on the side of the group's median that each word names."""
    if not profile.members:
        return np.array([], dtype=bool)
    is_true = np.ones(profile.customers, dtype=bool)
    for name in chosen:
        own, middle = profile.members[name], profile.group_median[name]
        is_true &= own > middle if profile.position[name] > 0 else own <= middle
    return is_true


def _strength(profile: ClusterProfile, decides: str, sign: int) -> tuple[float, ...]:
    """How clearly a cluster earns a name: one ratio, then all others, never its number."""
    ratios = [profile.ratio(name) for name in (decides, *FEATURES)]
    return (*(sign * float(np.nan_to_num(ratio)) for ratio in ratios), *profile.position.values())


def _meets(profile: ClusterProfile, conditions: list[dict[str, Any]]) -> bool:
    for condition in conditions:
        ratio = profile.ratio(condition["feature"])
        if "at_least_ratio_of" in condition:
            met = ratio >= condition["times"] * profile.ratio(condition["at_least_ratio_of"])
        elif "at_least" in condition:
            met = ratio >= condition["at_least"]
        else:
            met = ratio <= condition["at_most"]
        if not met:
            return False
    return True


def _describe_rest(
    profiles: list[ClusterProfile],
    names: dict[int, str],
    evidence: dict[int, list[str]],
    rules: dict[str, Any],
    true: dict[int, np.ndarray],
) -> None:
    """Name what no rule named by what sets it apart, with as few words as stay distinct."""
    rest = [profile for profile in profiles if profile.cluster not in names]
    ranked = {profile.cluster: _words_that_hold(profile, rules) for profile in rest}
    for profile in rest:
        for length in range(2, len(FEATURES) + 1):
            chosen = ranked[profile.cluster][:length]
            name = _described(profile, chosen, rules)
            rivals = [
                _described(other, ranked[other.cluster][:length], rules)
                for other in rest
                if other is not profile
            ]
            if name not in rivals and name not in names.values():
                break
        evidence[profile.cluster] = chosen or ["total_spent"]
        names[profile.cluster] = name
        if chosen:
            true[profile.cluster] = _true_of_words(profile, chosen)
    _part_equals(profiles, names)


def _words_that_hold(profile: ClusterProfile, rules: dict[str, Any]) -> list[str]:
    """What stands apart, the furthest first, as far as it is true of the members together."""
    apart = sorted(
        (name for name in profile.position if abs(profile.position[name]) >= rules["apart"]),
        key=lambda name: (-abs(profile.position[name]), name),
    )
    held: list[str] = []
    for name in apart:
        if not _share(_true_of_words(profile, [*held, name])) < NAME_TRUE_OF:
            held.append(name)
    return held


def _described(profile: ClusterProfile, chosen: list[str], rules: dict[str, Any]) -> str:
    words = []
    for name in chosen:
        # before zero, the larger of two values is the one nearer to it, not the later one
        below_zero = profile.group_median.get(name, 0.0) < 0
        pair = (rules.get("words_below_zero") or {}) if below_zero else {}
        pair = pair if name in pair else rules["words"]
        own = low_and_high(name)  # of a feature that the rules have no words for
        words.append(pair.get(name, own)[int(profile.position[name] > 0)])
    text = ", ".join(words) if words else rules["no_word"]
    return f"{text[0].upper()}{text[1:]} customers"


def _part_equals(profiles: list[ClusterProfile], names: dict[int, str]) -> None:
    """Two clusters alike in every word are told apart by their rank in spend."""
    for name in sorted({n for n in names.values() if list(names.values()).count(n) > 1}):
        alike = sorted(
            (p for p in profiles if names[p.cluster] == name),
            key=lambda profile: (profile.mean["total_spent"], tuple(profile.position.values())),
        )
        for rank, profile in enumerate(alike, start=1):
            names[profile.cluster] = f"{name}, spend level {rank} of {len(alike)}"


def fact_sentence(fact: pd.Series, *, currency: str) -> str:
    """One fact in words, with the group's figure beside it.

    Examples
    --------
    >>> fact = pd.Series({"feature": "total_spent", "mean": 388.0, "median": 240.0,
    ...                   "group_mean": 106.0, "ratio": 3.66})
    >>> fact_sentence(fact, currency="USD")
    'total spent: mean $388, 3.7 times the group mean of $106; median $240'
    >>> "under 0.01 times" in fact_sentence(fact.replace(3.66, 0.002), currency="USD")
    True
    """
    name = fact["feature"]
    ratio = fact["ratio"]
    against = f"the group mean of {format_value(fact['group_mean'], name, currency)}"
    times = f"{ratio:,.0f}" if np.isfinite(ratio) and ratio >= 9.95 else f"{ratio:.1f}"
    times = f"{ratio:.2f}" if np.isfinite(ratio) and ratio < 0.95 else times
    times = "under 0.01" if 0 < ratio < 0.005 else times
    comparison = f"{times} times {against}" if np.isfinite(ratio) else f"against {against}"
    return (
        f"{column_of(name).label.lower()}: mean {format_value(fact['mean'], name, currency)}, "
        f"{comparison}; median {format_value(fact['median'], name, currency)}"
    )
