"""Clusters -> names earned from their profile, each with the facts that earned it.

The rules are data (`naming_rules.yaml`). Names depend on profiles alone: never on a
cluster's number, the seed or the order of rows. They compare a cluster with its own group,
so two groups may have a segment of the same name: group and name together say who is
meant, and whatever shows a name of a run with several groups shows the group beside it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core import rule_files
from segmentation.core.columns import FEATURES, LIFECYCLE_FEATURES, column_of, format_value

FACT_COLUMNS = ["cluster", "segment", "feature", "mean", "median", "group_mean", "ratio"]
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
    unit; ``position`` is the cluster's centre in prepared space by feature.
    """

    cluster: int
    customers: int
    mean: dict[str, float]
    median: dict[str, float]
    group_mean: dict[str, float]
    position: dict[str, float]

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
        feature, mean, median, group_mean, ratio`` (`fact_sentence` puts it in words).
    """
    rules = rules or load_rules()
    if len(profiles) == 1:
        names = {profiles[0].cluster: NOT_SEGMENTED}
        evidence: dict[int, list[str]] = {profiles[0].cluster: []}
    else:
        names, evidence = _value_tiers(profiles, features, rules)
        if not names:
            names, evidence = _by_rules(profiles, features, rules)
            _describe_rest(profiles, names, evidence, rules)
    facts = [
        {
            "cluster": profile.cluster,
            "segment": names[profile.cluster],
            "feature": feature,
            "mean": profile.mean[feature],
            "median": profile.median[feature],
            "group_mean": profile.group_mean[feature],
            "ratio": profile.ratio(feature),
        }
        for profile in profiles
        for feature in evidence[profile.cluster]
        if feature in profile.mean
    ]
    return names, pd.DataFrame(facts, columns=FACT_COLUMNS)


def _value_tiers(
    profiles: list[ClusterProfile], features: tuple[str, ...], rules: dict[str, Any]
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
    names = {p.cluster: name for p, name in zip(ordered, ladder, strict=True)}
    used = ["total_spent", *(name for name in features if name != "total_spent")]
    return names, {profile.cluster: used for profile in ordered}


def _by_rules(
    profiles: list[ClusterProfile], features: tuple[str, ...], rules: dict[str, Any]
) -> tuple[dict[int, str], dict[int, list[str]]]:
    names: dict[int, str] = {}
    evidence: dict[int, list[str]] = {}
    for rule in rules["rules"]:
        if rule["family"] != feature_family(features):
            continue
        met = [p for p in profiles if p.cluster not in names and _meets(p, rule["when"])]
        if not met:
            continue
        sign = -1 if rule.get("smallest") else 1
        best = max(met, key=lambda profile: _strength(profile, rule["decides"], sign))
        names[best.cluster] = rule["name"]
        evidence[best.cluster] = list(dict.fromkeys(part["feature"] for part in rule["when"]))
    return names, evidence


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
) -> None:
    """Name what no rule named by what sets it apart, with as few words as stay distinct."""
    rest = [profile for profile in profiles if profile.cluster not in names]
    ranked = {
        profile.cluster: sorted(
            (n for n in profile.position if abs(profile.position[n]) >= rules["apart"]),
            key=lambda name: (-abs(profile.position[name]), name),
        )
        for profile in rest
    }
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
    _part_equals(profiles, names)


def _described(profile: ClusterProfile, chosen: list[str], rules: dict[str, Any]) -> str:
    words = [rules["words"][name][int(profile.position[name] > 0)] for name in chosen]
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
    'total spent: mean $388.00, 3.7 times the group mean of $106.00; median $240.00'
    """
    name = fact["feature"]
    ratio = fact["ratio"]
    against = f"the group mean of {format_value(fact['group_mean'], name, currency)}"
    times = f"{ratio:,.0f}" if np.isfinite(ratio) and ratio >= 9.95 else f"{ratio:.1f}"
    times = f"{ratio:.2f}" if np.isfinite(ratio) and ratio < 0.95 else times
    comparison = f"{times} times {against}" if np.isfinite(ratio) else f"against {against}"
    return (
        f"{column_of(name).label.lower()}: mean {format_value(fact['mean'], name, currency)}, "
        f"{comparison}; median {format_value(fact['median'], name, currency)}"
    )
