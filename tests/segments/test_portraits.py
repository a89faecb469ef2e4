"""Profile cards: recomputed figures, journeys that are nobody's, and what a card may show."""

from __future__ import annotations

import datetime as dt
import math
import statistics

import numpy as np
import pandas as pd
import pytest

from segmentation.book import words as insights
from segmentation.book.words.text import highest_first
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.run.run import Run
from segmentation.segments import portraits


@pytest.fixture(scope="module")
def run(shipped_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(shipped_run[1] / "params.yaml")), runs_dir)


def cards_of(run: Run) -> insights.text.Html:
    customers = run["customers"]
    return insights.segment_cards(
        run["profile"],
        portraits.differences(customers),
        portraits.journeys(customers),
        portraits.cohort_shares(customers, as_of=run["overview"]["as_of"]),
        run["facts"],
        run["stability"],
        currency=run.parameters.currency,
        colours={},
    )


# --- differences ------------------------------------------------------------------------


def shape(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def test_every_difference_equals_the_recomputation(run):
    """Standard library alone: medians, quartiles and the standardised difference."""
    customers = run["customers"]
    table = portraits.differences(customers)
    for row in table.itertuples():
        group = customers[customers["segment_type"] == row.segment_type]
        inside = group["cluster"] == row.cluster
        own = group.loc[inside, row.feature].dropna().tolist()
        other = group.loc[~inside, row.feature].dropna().tolist()
        assert row.median == pytest.approx(statistics.median(own))
        if not other:
            assert math.isnan(row.difference)
        elif len(own) > 1:
            quarters = statistics.quantiles(own, n=4, method="inclusive")
            assert (row.lower, row.upper) == pytest.approx((quarters[0], quarters[2]))
            scaled = [[shape(value) for value in side] for side in (own, other)]
            spread = sum(statistics.variance(side) for side in scaled) / 2
            gap = statistics.fmean(scaled[0]) - statistics.fmean(scaled[1])
            assert row.difference == pytest.approx(gap / math.sqrt(spread), abs=1e-6)


def test_differences_are_ranked_within_each_segment(run):
    table = portraits.differences(run["customers"])
    for _, own in table.groupby(["segment_type", "cluster"]):
        assert own["difference"].dropna().abs().is_monotonic_decreasing


def test_one_segment_has_nobody_to_differ_from():
    customers = pd.DataFrame(
        {"segment_type": "normal", "cluster": 0, "segment": "All", "total_spent": [1.0, 2.0, 4.0]}
    )
    table = portraits.differences(customers)
    assert table["median"].tolist() == [2.0]
    assert table[["median_else", "difference"]].isna().all().all()


# --- journeys ---------------------------------------------------------------------------


def regulars(n: int) -> pd.DataFrame:
    chance = np.random.default_rng(4)
    orders = chance.integers(1, 9, n).astype(float)
    spent = orders * chance.uniform(20, 40, n)
    return pd.DataFrame(
        {
            "customer_id": [f"{i:06d}" for i in range(n)],
            "segment_type": "normal",
            "cluster": 0,
            "segment": "S",
            "total_spent": spent,
            "frequency": orders,
            "average_order_value": spent / orders,
            "recency": chance.integers(0, 300, n).astype(float),
            "first_to_last_order": np.where(orders > 1, 90.0, 0.0),
            "tenure": 400.0,
        }
    )


@pytest.mark.parametrize(("n", "parts"), [(9, 0), (10, 1), (29, 1), (30, 3), (500, 3)])
def test_a_journey_needs_ten_customers_and_three_need_thirty(n, parts):
    found = portraits.journeys(regulars(n))
    assert len(found) == parts
    assert (found["customers"] == 10).all()


def test_a_journey_is_the_rounded_middle_of_the_ten_nearest():
    ten = regulars(10)
    found = portraits.journeys(ten).iloc[0]
    for name in ("total_spent", "average_order_value"):
        assert found[name] == float(f"{ten[name].median():.2g}")
    assert found["frequency"] == round(ten["frequency"].median())


def test_journeys_depend_neither_on_row_order_nor_on_ids():
    customers = regulars(200)
    shuffled = customers.sample(frac=1, random_state=2).assign(
        customer_id=[f"z{i}" for i in range(200)]
    )
    pd.testing.assert_frame_equal(portraits.journeys(customers), portraits.journeys(shuffled))


def test_thirds_by_spend_rise_in_spend():
    spent = portraits.journeys(regulars(500))["total_spent"].tolist()
    assert spent == sorted(spent)
    assert spent[0] < spent[2]


def test_no_journey_repeats_the_exact_figures_of_a_customer(run):
    """Rounded medians of ten: the exact spend and days of a customer do not come out."""
    customers = run["customers"].drop_duplicates(["total_spent", "recency", "tenure"])
    known = set(
        zip(customers["total_spent"], customers["recency"], customers["tenure"], strict=True)
    )
    for row in portraits.journeys(run["customers"]).itertuples():
        assert (row.total_spent, row.recency, row.tenure) not in known


# --- cohorts ----------------------------------------------------------------------------


def test_cohort_shares_are_counted_by_hand():
    customers = pd.DataFrame(
        {
            "segment_type": "normal",
            "cluster": [0] * 12 + [1] * 15,
            "segment": ["A"] * 12 + ["B"] * 15,
            "tenure": [40] * 6 + [10] * 6 + [40] * 9 + [10] * 4 + [75] * 2,
        }
    )
    found = portraits.cohort_shares(customers, as_of=dt.date(2023, 3, 20))
    rows = found[["segment", "cohort", "customers", "inside", "share"]].values.tolist()
    assert rows == [
        ["A", "2023-02", 15, 6, 0.4],
        ["A", "2023-03", 10, 6, 0.6],
        ["B", "2023-02", 15, 9, 0.6],
        ["B", "2023-03", 10, 4, 0.4],
    ], "two customers of January are too few to be told"


def test_cohorts_add_up_over_the_segments_of_a_group(run):
    found = portraits.cohort_shares(run["customers"], as_of=run["overview"]["as_of"])
    added = found.groupby(["segment_type", "cohort"])["share"].sum()
    assert added.tolist() == pytest.approx([1.0] * len(added))


def test_without_dates_there_are_no_cohorts():
    assert portraits.cohort_shares(regulars(20), as_of=None).empty


# --- the card ---------------------------------------------------------------------------


def test_each_segment_has_one_card_without_any_id(run):
    markup = cards_of(run).markup
    assert markup.count('<section class="profile-card') == len(run["profile"])
    words = set(markup.replace("<", " ").replace(">", " ").split())
    assert not words & set(run["customers"]["customer_id"])


def test_a_segment_of_few_customers_shows_no_typical_values(run):
    markup = cards_of(run).markup
    cards = markup.split('<section class="profile-card')[1:]
    for card, customers in zip(cards, highest_first(run["profile"])["customers"], strict=True):
        assert ("profile-features" in card) == (customers >= 10)
        assert ("single people" in card) == (customers < 10)


def test_a_hostile_name_stays_text(run):
    profile = run["profile"].assign(segment="<script>alert(1)</script>")
    empty = pd.DataFrame(columns=["segment_type", "cluster"])
    html = insights.segment_cards(
        profile, empty, empty, empty, empty, empty, currency="USD", colours={}
    ).markup
    assert "<script>" not in html
