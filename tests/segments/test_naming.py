"""Names are earned by numbers: clear ladders, lifecycle rules, and no name twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segmentation.book.words.cards import truth_sentence
from segmentation.core.columns import FEATURES, LIFECYCLE_FEATURES
from segmentation.segments.names import (
    ClusterProfile,
    _share_of_money,
    cluster_profiles,
    fact_sentence,
    load_rules,
    name_clusters,
)

RULES = load_rules()
RFM = ("recency", "frequency", "total_spent")
TIERS = {2: ["Low value", "High value"], 3: ["Low value", "Medium value", "High value"]}
LOYAL, BULK, LOW = (
    "Loyal High-Value Customers",
    "Extreme High Volume Buyers",
    "Normal Low Engagement Customers",
)
GROUP = {"register_to_order": 20.0, "first_to_last_order": 100.0, "total_unit": 10.0,
         "total_spent": 100.0, "recency": 200.0, "frequency": 2.0,
         "average_order_value": 50.0, "tenure": 300.0}  # fmt: skip


def cluster_of(number: int, *, used=LIFECYCLE_FEATURES, median=None, **times: float):
    """A cluster whose mean is so many times the group's; 1 where nothing is said."""
    mean = {name: value * times.get(name, 1.0) for name, value in GROUP.items()}
    middle = mean | {name: GROUP[name] * times for name, times in (median or {}).items()}
    position = {name: times.get(name, 1.0) - 1.0 for name in used}
    return ClusterProfile(number, 100, mean, middle, GROUP, position)


def ladder(*spent: float, medians: tuple[float, ...] | None = None) -> list[ClusterProfile]:
    medians = medians or spent
    return [
        cluster_of(number, used=RFM, total_spent=mean, median={"total_spent": median})
        for number, (mean, median) in enumerate(zip(spent, medians, strict=True))
    ]


# --- value tiers ----------------------------------------------------------------------


@pytest.mark.parametrize("spent", [(0.3, 1.0, 3.0), (0.5, 1.5), (0.9, 1.2, 1.6), (0.0, 0.5, 2.0)])
def test_clear_ladder_of_spend_gives_value_tiers(spent):
    names, _ = name_clusters(ladder(*spent), RFM)
    assert list(names.values()) == TIERS[len(spent)]


@pytest.mark.parametrize(
    ("spent", "medians"),
    [
        pytest.param((0.9, 1.0, 1.1), None, id="steps-too-small"),
        pytest.param((0.8, 1.0, 1.4), None, id="top-hardly-above-the-group"),
        pytest.param((1.1, 1.5, 2.0), None, id="bottom-above-the-group"),
        pytest.param((0.3, 1.0, 3.0), (0.5, 0.4, 2.0), id="medians-do-not-climb"),
        pytest.param((0.3, 1.0, 3.0), (0.9, 1.0, 1.1), id="medians-hardly-climb"),
    ],
)
def test_without_a_clear_ladder_names_describe_the_features(spent, medians):
    names, _ = name_clusters(ladder(*spent, medians=medians), RFM)
    assert not set(names.values()) & {"Low value", "Medium value", "High value"}
    assert len(set(names.values())) == 3


def test_four_clusters_are_described_not_tiered():
    names, _ = name_clusters(ladder(0.2, 0.5, 1.0, 3.0), RFM)
    assert not {name for name in names.values() if name.endswith(" value")}


def test_tiers_follow_spend_and_not_the_number_of_the_cluster():
    high, low, medium = ladder(3.0, 0.3, 1.0)
    names, _ = name_clusters([high, low, medium], RFM)
    assert names == {0: "High value", 1: "Low value", 2: "Medium value"}


def test_lifecycle_features_never_give_value_tiers():
    names, _ = name_clusters(ladder(0.3, 1.0, 3.0), LIFECYCLE_FEATURES)
    assert not {name for name in names.values() if name.endswith(" value")}


# --- lifecycle names ------------------------------------------------------------------


def lifecycle_names(*profiles: ClusterProfile) -> dict[int, str]:
    return name_clusters(list(profiles), LIFECYCLE_FEATURES)[0]


def test_lifecycle_names_are_earned_where_the_numbers_say_so():
    names = lifecycle_names(
        cluster_of(0, total_spent=0.2, total_unit=0.1, first_to_last_order=0.3),
        cluster_of(1, total_spent=1.2, total_unit=9.0, first_to_last_order=0.2),
        cluster_of(2, total_spent=3.0, total_unit=2.0, first_to_last_order=2.5),
    )
    assert names == {0: LOW, 1: BULK, 2: LOYAL}


@pytest.mark.parametrize(
    ("name", "nearly"),
    [
        pytest.param(BULK, {"total_unit": 3.9, "total_spent": 1.0}, id="not-4-times-the-units"),
        pytest.param(BULK, {"total_unit": 6.0, "total_spent": 4.1}, id="spend-explains-the-units"),
        pytest.param(BULK, {"total_unit": 9.0, "total_spent": 0.4}, id="does-not-pay-for-them"),
        pytest.param(LOYAL, {"total_spent": 1.4, "first_to_last_order": 3.0}, id="spends-little"),
        pytest.param(LOYAL, {"total_spent": 3.0, "first_to_last_order": 1.4}, id="not-long-active"),
        pytest.param(LOW, {"total_spent": 0.95, "total_unit": 0.5, "first_to_last_order": 0.5},
                     id="spends-as-others-do"),
        pytest.param(LOW, {"total_spent": 0.5, "total_unit": 1.1, "first_to_last_order": 0.5},
                     id="buys-more-units"),
        pytest.param(LOW, {"total_spent": 0.5, "total_unit": 0.5, "first_to_last_order": 0.95},
                     id="stays-as-long"),
    ],
)  # fmt: skip
def test_lifecycle_name_is_not_given_just_short_of_its_rule(name, nearly):
    names = lifecycle_names(cluster_of(0, **nearly), cluster_of(1, total_spent=1.1))
    assert name not in names.values()


def test_when_two_clusters_meet_a_rule_the_stronger_one_takes_the_name():
    names = lifecycle_names(
        cluster_of(0, total_spent=2.0, first_to_last_order=2.0),
        cluster_of(1, total_spent=4.0, first_to_last_order=2.0),
    )
    assert names[1] == LOYAL
    assert names[0] != LOYAL


def test_tie_for_a_name_is_broken_by_the_figures_and_not_by_the_number():
    takers = []
    for longer, shorter in ((0, 1), (1, 0)):
        names = lifecycle_names(
            *sorted(
                (
                    cluster_of(longer, total_spent=2.0, first_to_last_order=3.0),
                    cluster_of(shorter, total_spent=2.0, first_to_last_order=2.0),
                ),
                key=lambda cluster: cluster.cluster,
            )
        )
        takers.append("longer" if names[longer] == LOYAL else "shorter")
    assert takers[0] == takers[1]


RATIOS = [0.0, 0.1, 0.5, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5, 2.0, 4.0, 6.5, 20.0]


@st.composite
def profiles(draw, used: tuple[str, ...]) -> list[ClusterProfile]:
    width = len(used)
    times = st.tuples(*[st.sampled_from(RATIOS)] * (2 * width))
    return [
        cluster_of(
            number,
            used=used,
            median=dict(zip(used, drawn[width:], strict=True)),
            **dict(zip(used, drawn[:width], strict=True)),
        )
        for number, drawn in enumerate(draw(st.lists(times, min_size=2, max_size=12)))
    ]


FAMILIES = st.sampled_from(
    [RFM, (*RFM, "average_order_value", "tenure"), LIFECYCLE_FEATURES, ("total_spent",)]
)
PROFILES = FAMILIES.flatmap(lambda used: st.tuples(st.just(used), profiles(used)))


@settings(max_examples=120, deadline=None)
@given(PROFILES)
def test_two_clusters_never_share_a_name(case):
    used, clusters = case
    names, _ = name_clusters(clusters, used, rules=RULES)
    assert sorted(names) == [cluster.cluster for cluster in clusters]
    assert len(set(names.values())) == len(names)
    assert all(name and name[0].isupper() for name in names.values())


@settings(max_examples=120, deadline=None)
@given(PROFILES, st.randoms(use_true_random=False))
def test_names_do_not_change_when_clusters_are_numbered_and_ordered_otherwise(case, random):
    used, clusters = case
    for name in {"total_spent", "total_unit"} & set(used):
        assume(len({cluster.mean[name] for cluster in clusters}) == len(clusters))
    order = list(range(len(clusters)))
    random.shuffle(order)
    renumbered = [
        ClusterProfile(new, 100, old.mean, old.median, old.group_mean, old.position)
        for new, old in enumerate(clusters[place] for place in order)
    ]

    before, _ = name_clusters(clusters, used, rules=RULES)
    after, _ = name_clusters(renumbered, used, rules=RULES)

    assert {place: after[new] for new, place in enumerate(order)} == before


@settings(max_examples=120, deadline=None)
@given(PROFILES)
def test_name_never_contradicts_the_numbers(case):
    used, clusters = case
    names, _ = name_clusters(clusters, used, rules=RULES)
    spends = {cluster.cluster: cluster.mean["total_spent"] for cluster in clusters}
    richest = max(spends, key=spends.get)
    if sorted(spends.values())[-1] > sorted(spends.values())[-2]:
        assert names[richest] not in {"Low value", "Medium value"}
        if spends[richest] > GROUP["total_spent"]:
            assert "low-spending" not in names[richest].lower()
            assert names[richest] != LOW
    for cluster in clusters:
        if names[cluster.cluster] == BULK:
            assert cluster.mean["total_unit"] >= 4 * GROUP["total_unit"]
        if names[cluster.cluster] == LOYAL:
            assert cluster.mean["total_spent"] >= 1.5 * GROUP["total_spent"]


def test_single_cluster_is_not_called_a_segment():
    names, facts = name_clusters([cluster_of(0)], RFM)
    assert names == {0: "All customers (not segmented)"}
    assert facts.empty


def test_clusters_alike_in_every_word_are_told_apart_by_spend():
    names, _ = name_clusters([cluster_of(0, used=RFM), cluster_of(1, used=RFM)], RFM)
    assert sorted(names.values()) == [
        "Mixed customers, spend level 1 of 2",
        "Mixed customers, spend level 2 of 2",
    ]


def test_description_names_the_features_that_stand_furthest_from_the_group():
    away = cluster_of(0, used=RFM, recency=3.0, frequency=0.5, total_spent=0.9)
    names, facts = name_clusters([away, cluster_of(1, used=RFM, total_spent=1.1)], RFM)
    assert names[0] == "Long absent, rarely ordering customers"
    assert facts.loc[facts["cluster"] == 0, "feature"].tolist() == ["recency", "frequency"]


# --- facts ----------------------------------------------------------------------------


def test_every_name_has_its_facts_and_they_are_the_clusters_own_figures():
    clusters = ladder(0.3, 1.0, 3.0)
    _, facts = name_clusters(clusters, RFM)
    assert facts.groupby("cluster").size().to_dict() == {0: 3, 1: 3, 2: 3}
    top = facts[(facts["cluster"] == 2) & (facts["feature"] == "total_spent")].iloc[0]
    assert (top["segment"], top["mean"], top["group_mean"]) == ("High value", 300.0, 100.0)
    assert top["ratio"] == pytest.approx(3.0)


# --- true of the members -----------------------------------------------------------------


def shop_of(*parts: tuple[int, dict[str, float]], **more) -> tuple[dict[int, str], pd.DataFrame]:
    """Names of clusters of customers alike; `more` changes single customers of the first."""
    rows = [
        {"register_to_order": 20.0, "first_to_last_order": 10.0, "total_unit": 10.0,
         "total_spent": 100.0, "cluster": number} | values
        for number, (n, values) in enumerate(parts)
        for _ in range(n)
    ]  # fmt: skip
    customers = pd.DataFrame(rows)
    for name, value in more.items():
        customers.loc[0, name] = value
    used = LIFECYCLE_FEATURES
    scaled = (customers[list(used)] - customers[list(used)].mean()) / customers[list(used)].std()
    centers = scaled.fillna(0).groupby(customers["cluster"]).mean()
    return name_clusters(cluster_profiles(customers, used, centers), used, rules=RULES)


def test_one_bulk_buyer_makes_no_segment_of_bulk_buyers():
    ordinary, few = (250, {"total_unit": 12.0}), (750, {"total_unit": 9.0, "total_spent": 130.0})
    names, _ = shop_of(ordinary, few, total_unit=100_000.0)
    assert BULK not in names.values()
    names, facts = shop_of((250, {"total_unit": 400.0}), (2250, {}))
    assert names[0] == BULK
    assert facts.query("cluster == 0")["true_of"].unique() == [1.0]


def test_a_name_of_the_mean_that_most_members_do_not_earn_is_not_given():
    """A fifth of the cluster spends nearly everything: the mean is loyal and rich, members are not."""
    rich = [(50, {"total_spent": 5000.0, "first_to_last_order": 300.0})]
    names, facts = shop_of(*rich, (950, {}))
    assert names[0] == LOYAL
    assert facts.query("cluster == 0")["true_of"].iloc[0] == 1.0
    customers = {"total_spent": 60.0, "first_to_last_order": 300.0}
    names, facts = shop_of((50, customers), (950, {}), total_spent=900_000.0)
    assert LOYAL not in names.values()
    assert facts["true_of"].min() >= 0.7


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_every_name_is_true_of_seventy_in_a_hundred_members_or_says_nothing(seed, k):
    chance = np.random.default_rng(seed)
    used = RFM if seed % 2 else LIFECYCLE_FEATURES
    customers = pd.DataFrame({name: chance.lognormal(2, 1.5, 400) for name in used})
    customers["cluster"] = chance.integers(0, k, 400)
    customers["total_spent"] *= 1 + 3 * customers["cluster"] * chance.integers(0, 2)
    logs = np.log(customers[list(used)])
    centers = ((logs - logs.mean()) / logs.std()).groupby(customers["cluster"]).mean()
    profiles = cluster_profiles(customers, used, centers)
    names, facts = name_clusters(profiles, used, rules=RULES)
    known = facts.dropna(subset="true_of")
    assert (known["true_of"] >= 0.7).all()
    said = {names[number] for number in facts.loc[facts["true_of"].isna(), "cluster"]}
    assert all(name.startswith("Mixed customers") for name in said)


def test_before_zero_a_larger_value_is_nearer_and_not_later():
    early = {"register_to_order": -100.0, "total_spent": 90.0}
    names, _ = shop_of((100, early), (100, {"register_to_order": -6.0, "total_unit": 9.0}))
    said = " ".join(names.values()).lower()
    assert "registered soon after ordering" in said
    assert "late first order" not in said


def test_profiles_compare_with_the_mean_of_the_group():
    customers = pd.DataFrame({"total_spent": [1.0, 3.0, 20.0], "cluster": [0, 0, 1]})
    centers = pd.DataFrame({"total_spent": [-1.0, 1.0]})

    low, high = cluster_profiles(customers, ("total_spent",), centers)

    assert (low.customers, low.mean["total_spent"], low.median["total_spent"]) == (2, 2.0, 2.0)
    assert low.group_mean["total_spent"] == 8.0
    assert high.ratio("total_spent") == 2.5


def test_ratio_to_a_group_mean_of_zero_or_less_is_not_a_number():
    cluster = ClusterProfile(0, 1, {"total_spent": 5.0}, {}, {"total_spent": 0.0}, {})
    assert np.isnan(cluster.ratio("total_spent"))


@pytest.mark.parametrize("feature", list(FEATURES))
def test_fact_is_a_sentence_about_its_feature(feature):
    fact = pd.Series(
        {"feature": feature, "mean": 10.0, "median": 5.0, "group_mean": 4.0, "ratio": 2.5}
    )
    text = fact_sentence(fact, currency="GBP")
    assert text.startswith(FEATURES[feature].label.lower())
    assert "2.5 times the group mean" in text
    assert ("£10.00" in text) == (FEATURES[feature].kind == "money")


# --- the shipped runs -----------------------------------------------------------------


def test_cdnow_at_three_clusters_has_value_tiers(cdnow_run):
    profile = pd.read_csv(cdnow_run / "profile.csv")
    assert profile["segment"].tolist() == ["Low value", "Medium value", "High value"]


def test_names_of_the_shipped_runs_are_different_within_each_group(shipped_run):
    profile = pd.read_csv(shipped_run[1] / "profile.csv")
    for _, group in profile.groupby("segment_type"):
        assert group["segment"].is_unique


def test_lifecycle_names_of_the_marketplace_are_true_of_its_figures(marketplace_run):
    profile = pd.read_csv(marketplace_run / "profile.csv")
    for kind, group in profile.groupby("segment_type"):
        if kind == "unregistered":  # too few for clusters of 30: one segment
            assert group["segment"].tolist() == ["All customers (not segmented)"]
            continue
        weight = group["customers"] / group["customers"].sum()
        mean = {n: (group[f"{n}_mean"] * weight).sum() for n in ("total_spent", "total_unit")}
        rows = group.set_index("segment")
        assert LOW in rows.index
        assert rows.at[LOW, "total_spent_mean"] <= 0.9 * mean["total_spent"]
        if LOYAL in rows.index:
            assert rows.at[LOYAL, "total_spent_mean"] >= 1.5 * mean["total_spent"]
        if BULK in rows.index:
            assert rows.at[BULK, "total_unit_mean"] >= 4 * mean["total_unit"]


def test_money_of_those_whom_a_name_is_not_true_of_is_said_where_it_is_much():
    """92 of 100 are on the named side of the mean, and the other 8 brought half of the money."""
    spent = np.r_[np.full(92, 10.0), np.full(8, 115.0)]
    profile = ClusterProfile(
        0, 100, {}, {}, {}, {}, members={"total_spent": spent, "total_unit": spent}
    )
    is_true = np.arange(100) < 92
    money = _share_of_money(profile, is_true)
    assert money == 0.5
    facts = pd.DataFrame({"true_of": [0.92], "true_money": [money]})
    assert truth_sentence(facts, 100).endswith("customers, who brought 50% of its revenue")
    alike = truth_sentence(facts.assign(true_money=0.8), 100)
    assert alike == "true of 92% of its 100 customers"
    for few in (np.arange(100) < 97, np.arange(100) < 3):
        assert np.isnan(_share_of_money(profile, few)), "what few spent is theirs"
