"""Agreement and stability against cases worked by hand, and intervals against simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from segmentation.book.words import flips_sentence, stability_sentence, starts_sentence
from segmentation.core.intervals import wilson
from segmentation.evidence.agreement import agreement_interval, agreement_of
from segmentation.evidence.resampling import matched
from segmentation.evidence.stability import (
    jaccard_of_clusters,
    margin_bands,
    name_stability,
    resample_stability,
    seed_sensitivity,
    stability_word,
)
from segmentation.segments.distances import centre_distances, margins

A = np.array


@pytest.mark.parametrize(
    ("labels", "found", "expected"),
    [
        pytest.param([0, 0, 1, 1], [1, 1, 0, 0], [1.0, 1.0], id="renamed-is-the-same"),
        pytest.param([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [2 / 3, 2 / 3], id="one-of-five-moves"),
        pytest.param([0, 0, 1, 1], [0, 1, 0, 1], [1 / 3, 1 / 3], id="cut-across"),
        pytest.param([0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [4 / 5, 1 / 5], id="all-in-one"),
    ],
)
def test_jaccard_worked_by_hand(labels, found, expected):
    assert jaccard_of_clusters(A(labels), A(found), 2).tolist() == pytest.approx(expected)


def test_jaccard_of_a_cluster_with_nobody_in_the_resample_is_unknown():
    found = jaccard_of_clusters(A([0, 0]), A([0, 0]), 2)

    assert found[0] == 1
    assert np.isnan(found[1])


def test_adjusted_rand_worked_by_hand():
    # 10 pairs; 2 + 1 together in both rows and columns by 3 + 2; expected 4 * 4 / 10
    labels, found = A([0, 0, 0, 1, 1]), A([0, 0, 1, 1, 1])

    assert agreement_of(labels, found) == pytest.approx((2 - 1.6) / (4 - 1.6))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_adjusted_rand_equals_sklearn(pairs):
    first, second = A(pairs).T

    assert agreement_of(first, second) == pytest.approx(adjusted_rand_score(first, second))


def test_clusters_are_matched_by_most_customers_in_common():
    assert matched(A([0, 0, 1, 1, 2]), A([2, 2, 0, 0, 1]), 3).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("jaccard", "word"),
    [(0.59, "unstable"), (0.6, "uncertain"), (0.749, "uncertain"), (0.75, "stable"),
     (float("nan"), "unstable")],
)  # fmt: skip
def test_a_cluster_below_sixty_percent_is_called_unstable(jaccard, word):
    assert stability_word(jaccard, 30) == word


def test_a_segment_of_one_is_never_called_stable():
    chance = np.random.default_rng(1)
    values = np.vstack([chance.normal(0, 1, (200, 2)), [[40.0, 40.0]]])
    labels, margin = clusters_of(values, np.array([[0.0, 0.0], [40.0, 40.0]]))
    found = resample_stability(values, labels, margin, random_state=1).clusters
    assert found["jaccard"].iloc[1] == 1.0
    assert found["verdict"].tolist() == ["stable", "too few to say"]


def clusters_of(values, centers):
    labels = centre_distances(values, centers).argmin(axis=1)
    return labels, margins(centre_distances(values, centers))


@pytest.fixture(scope="module")
def two_groups():
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(-5, 1, (150, 2)), random.normal(5, 1, (60, 2))])
    return values, *clusters_of(values, A([[-5.0, -5.0], [5.0, 5.0]]))


@pytest.fixture(scope="module")
def one_cloud_cut_in_four():
    random = np.random.default_rng(2)
    values = random.normal(size=(400, 2))
    return values, *clusters_of(values, A([[1.0, 1], [-1, 1], [1, -1], [-1, -1]]) * 0.7)


def test_groups_far_apart_come_back_whole(two_groups):
    found = resample_stability(*two_groups, random_state=42)

    assert (found.clusters["jaccard"] > 0.99).all()
    assert set(found.clusters["verdict"]) == {"stable"}
    assert (found.whole["agreement"] > 0.99).all()
    assert (found.clusters["dissolved"] == 0).all()


def test_a_cloud_cut_in_four_does_not_come_back(one_cloud_cut_in_four):
    found = resample_stability(*one_cloud_cut_in_four, random_state=42)

    assert (found.clusters["jaccard"] < 0.8).all()
    assert "unstable" in set(found.clusters["verdict"])
    assert (found.whole["agreement"] < 0.7).all()


def test_resampling_gives_the_same_figures_twice(one_cloud_cut_in_four):
    first, second = (resample_stability(*one_cloud_cut_in_four, random_state=7) for _ in "ab")

    for name in ("whole", "clusters", "margins"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def test_customers_between_two_clusters_flip_more_often(one_cloud_cut_in_four):
    bands = resample_stability(*one_cloud_cut_in_four, random_state=42).margins

    assert bands["customers"].sum() == 400
    assert bands["flips"].iloc[0] > 2 * bands["flips"].iloc[-1]


def test_margin_bands_worked_by_hand():
    flips = A([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    bands = margin_bands(A([0.0, 0.09, 0.1, 1.0]), flips)

    assert bands["margin_from"].tolist() == [0.0, 0.1, 0.9]
    assert bands["customers"].tolist() == [2, 1, 1]
    assert bands["flips"].tolist() == pytest.approx([0.375, 0.25, 0.0])
    own = A([0.5, 1.0, 0.0, 0.0])  # of each resample: customers of one border change together
    half = 1.96 * own.std(ddof=1) / 2
    assert bands["flips_high"].iloc[0] == pytest.approx(0.375 + half, abs=1e-3)


def test_every_start_finds_two_groups_far_apart(two_groups):
    values, labels, _ = two_groups
    best = sum(((v - v.mean(0)) ** 2).sum() for v in (values[labels == 0], values[labels == 1]))

    starts = seed_sensitivity(values, labels, best, random_state=42)

    assert len(starts) == 50
    assert starts["reached_best"].all()
    assert (starts["moved"] == 0).all()


def test_starts_that_end_in_a_poor_solution_are_counted():
    # three tight groups, two of them near each other: some starts split the far one
    random = np.random.default_rng(3)
    values = np.concatenate(
        [random.normal(c, 0.4, (n, 2)) for c, n in ((0, 100), (3, 100), (60, 4))]
    )
    labels = np.repeat([0, 1, 2], [100, 100, 4])
    best = sum(((v - v.mean(0)) ** 2).sum() for v in (values[labels == k] for k in range(3)))

    starts = seed_sensitivity(values, labels, best, random_state=42)

    assert starts["reached_best"].any()
    assert (starts.loc[starts["reached_best"], "moved"] == 0).all()
    assert (starts.loc[~starts["reached_best"], "excess"] > 1e-4).all()


def test_names_that_do_not_depend_on_the_data_are_kept(two_groups):
    values, labels, _ = two_groups
    names = np.where(labels == 0, "low", "high")

    def by_size(found, centers):
        order = np.argsort(-np.bincount(found, minlength=2))
        return {int(order[0]): "low", int(order[1]): "high"}

    table = name_stability(values, names, 2, by_size, random_state=1).set_index("segment")
    assert (table["same_name"] == 1).all()

    other = name_stability(
        values, names, 2, lambda found, centers: {0: "low", 1: "other"}, random_state=1
    ).set_index("segment")
    assert other.at["high", "same_name"] == 0


@pytest.mark.parametrize(("share", "n"), [(0.5, 50), (0.1, 50), (0.02, 200), (0.9, 1000)])
def test_wilson_interval_covers_a_share_about_as_often_as_it_says(share, n):
    drawn = np.random.default_rng(1).binomial(n, share, 3000)
    ends = A([wilson(count, n) for count in drawn])

    covered = ((ends[:, 0] <= share) & (share <= ends[:, 1])).mean()

    assert 0.92 <= covered <= 0.985


def test_interval_of_agreement_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(2)
    chances = A([[0.4, 0.1], [0.1, 0.4]])
    many = random.multinomial(4_000_000, chances.ravel())
    truth = agreement_of(*_unfold(many))

    hits = 0
    for seed in range(300):
        low, high = agreement_interval(
            *_unfold(random.multinomial(300, chances.ravel())), seed=seed
        )[1:]
        hits += low <= truth <= high

    assert 0.91 <= hits / 300 <= 0.985


def _unfold(counts):
    first, second = np.divmod(np.repeat(np.arange(4), counts), 2)
    return first, second


def table_of(verdict, jaccard, customers=30):
    row = {"segment_type": "normal", "segment": "Some", "jaccard": jaccard, "verdict": verdict}
    return pd.DataFrame([row | {"customers": customers}])


WHOLE = pd.DataFrame(
    [
        {"segment_type": "normal", "method": method, "resamples": 100, "agreement": 0.5,
         "agreement_low": 0.4, "agreement_high": 0.6}
        for method in ("bootstrap", "subsample")
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "jaccard", "words"),
    [
        ("stable", 0.9, "Every segment is stable"),
        ("uncertain", 0.7, "No segment is unstable"),
        ("unstable", 0.4, "**Unstable:** Some (0.40)"),
    ],
)
def test_the_verdict_on_stability_follows_the_figures(verdict, jaccard, words):
    assert words in stability_sentence(table_of(verdict, jaccard), WHOLE, ["normal"])


def test_no_segment_of_few_customers_is_called_stable():
    alone = table_of("too few to say", 0.9, customers=29)
    assert "too small to say more" in stability_sentence(alone, WHOLE, ["normal"])
    both = pd.concat([table_of("stable", 0.95), alone.assign(segment="Few")])
    said = stability_sentence(both, WHOLE, ["normal"])
    assert (
        "**Every other segment is stable**: the lowest overlap (Jaccard) is 0.95, of Some." in said
    )
    assert "Few (n = 29) is too small to say." in said


def starts_of(moved):
    return pd.DataFrame(
        [
            {"segment_type": "normal", "reached_best": i < 4, "moved": 0.0 if i < 4 else moved,
             "agreement": 0.5, "excess": 0.02}
            for i in range(50)
        ]
    )  # fmt: skip


def test_the_sentence_on_starts_tells_a_harmless_from_a_harmful_one():
    assert "4 of 50" in starts_sentence(starts_of(0.4), ["normal"])
    assert "not to be trusted" in starts_sentence(starts_of(0.4), ["normal"])
    assert "not to be trusted" not in starts_sentence(starts_of(0.02), ["normal"])


def flips_of(low, high):
    rows = [(0.0, 0.1, low), (0.5, 0.6, high)]
    return pd.DataFrame(
        [
            {"segment_type": "normal", "margin_from": a, "margin_to": b, "customers": 30,
             "flips": f, "flips_low": f - 0.01, "flips_high": f + 0.01}
            for a, b, f in rows
        ]
    )  # fmt: skip


def test_the_sentence_on_margins_admits_where_they_say_nothing():
    assert "means what it says" in flips_sentence(flips_of(0.3, 0.01), ["normal"])
    few = flips_of(0.3, 0.01).assign(customers=[29, 500])
    assert flips_sentence(few, ["normal"]).startswith("Too few of 529 customers are borderline")
    assert "does not tell" in flips_sentence(flips_of(0.1, 0.1), ["normal"])
