"""Recommendations: each play's condition, the break-even, and every figure recomputed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from segmentation.actions.limits_of_advice import _of_money
from segmentation.actions.recommend import (
    FIRST_ORDER,
    FOLLOWED,
    NOT_AT_THIS_COST,
    WINDOW_ORDER,
    _left_alone,
    break_even_response,
    load_plays,
    recommend,
)
from segmentation.book.words.worth import worth_words
from segmentation.core.limits import ASSUMED_MARGIN
from segmentation.evidence.rankings import responses


def segment(
    name: str,
    n: int = 50,
    *,
    spent: float = 100.0,
    units: float = 10.0,
    recency: float = 100.0,
    orders: int = 3,
    kind: str = "normal",
) -> pd.DataFrame:
    """So many customers alike, as one segment."""
    row = {
        "total_unit": units,
        "total_spent": spent,
        "recency": recency,
        "frequency": orders,
        "average_order_value": spent / orders,
        "segment_type": kind,
        "segment": name,
        "is_anomaly": False,
    }
    return pd.DataFrame([row] * n)


def recommended(*parts: pd.DataFrame, gross_margin: float = 0.25, contact_cost: float = 1.0):
    customers = pd.concat(parts, ignore_index=True)
    customers["cluster"] = customers["segment"].astype("category").cat.codes.astype("int64")
    return recommend(customers, gross_margin=gross_margin, contact_cost=contact_cost).set_index(
        "segment"
    )


REST = segment("Rest", 200, spent=80.0, units=8.0)
BEST = segment("Best", 20, spent=900.0, units=90.0, orders=9)
REACHED = {
    "Watch": segment("S", 29),
    "Look after bulk buyers": segment("S", units=100.0, spent=120.0),
    "Win back": segment("S", spent=200.0, recency=400.0),
    "Retain": segment("S", spent=400.0, units=12.0),
    "Wake up cheaply": segment("S", orders=1, spent=60.0, recency=180.0),
    "Win a second order": segment("S", orders=1, spent=60.0, recency=179.0),
    "Remind": segment("S", spent=70.0, recency=125.0),
    "Order more often": segment("S", spent=70.0, units=7.0, orders=2),
    "Grow the basket": segment("S", spent=70.0, units=7.0, orders=7),
    "Show better lines": segment("S", spent=45.0, units=9.0, orders=6),
    "Keep in touch": segment("S", spent=100.0),
}
LOOKED_UP_TO = dict.fromkeys(("Order more often", "Grow the basket"), BEST)
LOOKED_UP_TO["Show better lines"] = segment("Best", 20, spent=900.0, units=15.0, orders=7)
"""Who is better than the segment, where that decides the play."""


@pytest.mark.parametrize("play", REACHED)
def test_each_play_is_reached_by_the_segment_it_is_for(play):
    others = [LOOKED_UP_TO[play]] if play in LOOKED_UP_TO else []
    assert recommended(REACHED[play], REST, *others).at["S", "play"] == play


def test_the_gap_is_that_to_the_next_better_segment_and_its_factors_are_said():
    found = recommended(segment("S", spent=70.0, units=7.0, orders=2), REST, BEST).loc["S", "gap"]
    assert found == (
        "next better segment Rest: orders per customer 2.00 against 3.00, "
        "units per order 3.50 against 2.67, money per unit 10.0 against 10.0"
    )


def test_one_time_buyers_are_no_reference_for_how_long_others_are_silent():
    once = segment("Once", 900, spent=20.0, units=2.0, orders=1, recency=500.0)
    away = segment("S", spent=120.0, recency=260.0)
    assert recommended(away, REST, once).at["S", "play"] == "Win back"


def test_every_play_is_tried():
    assert [play["play"] for play in load_plays()] == list(REACHED)


def test_every_play_says_why_what_and_how_it_is_measured():
    for play in load_plays():
        assert all(play[part].strip() for part in ("play", "why", "do", "measure"))


@pytest.mark.parametrize(
    ("play", "nearly"),
    [
        pytest.param("Watch", segment("S", 30), id="thirty-customers"),
        pytest.param("Retain", segment("S", spent=110.0), id="hardly-above-the-group"),
        pytest.param("Win back", segment("S", spent=60.0, recency=400.0), id="not-worth-more"),
        pytest.param("Win back", segment("S", spent=200.0), id="not-away-longer"),
        pytest.param(
            "Look after bulk buyers", segment("S", units=100.0, spent=900.0), id="spend-explains"
        ),
        pytest.param("Win a second order", segment("S", orders=2), id="everybody-came-back"),
        pytest.param(
            "Wake up cheaply", segment("S", orders=2, spent=60.0, recency=400.0), id="came-back"
        ),
    ],
)
def test_play_is_not_recommended_just_short_of_its_condition(play, nearly):
    assert recommended(nearly, REST).at["S", "play"] != play


def test_segment_is_compared_with_its_own_group_only():
    others = segment("Other group", 500, spent=10_000.0, kind="pre_register")
    table = recommended(REACHED["Retain"], REST, others)
    assert table.at["S", "play"] == "Retain"


@pytest.mark.parametrize(
    ("cost", "margin", "order_value", "response"),
    [(1.0, 0.25, 40.0, 0.1), (1.0, 0.5, 40.0, 0.05), (2.0, 0.25, 40.0, 0.2), (0.0, 0.3, 9.0, 0.0)],
)
def test_break_even_is_cost_over_margin_times_order(cost, margin, order_value, response):
    assert break_even_response(cost, margin, order_value) == pytest.approx(response)


def test_break_even_halves_when_the_margin_doubles():
    parts = [REACHED["Retain"], REST]
    thin, fat = (recommended(*parts, gross_margin=margin) for margin in (0.2, 0.4))
    assert (thin["break_even_response"] / 2).tolist() == pytest.approx(
        fat["break_even_response"].tolist()
    )


def test_break_even_of_an_order_worth_nothing_is_infinite():
    assert break_even_response(1.0, 0.3, 0.0) == float("inf")


def followed(segment_name: str, *, ordered: int, of: int, first: list[float], all_in: float):
    """What a hold-out says of customers of whom some ordered on the tenth day."""
    table = pd.DataFrame({"segment_type": "normal", "segment": segment_name}, index=range(of))
    table["days_to_order"] = [10.0] * ordered + [float("nan")] * (of - ordered)
    amounts = (first * ordered)[:ordered] + [float("nan")] * (of - ordered)
    table["next_amount"] = amounts
    for days in (30, 60, 90, 180):
        table[f"revenue_{days}"] = table["next_amount"].fillna(0) * all_in
    return responses(table, observed_days=200)


def advised(rates: pd.DataFrame, **costs: float) -> pd.Series:
    customers = pd.concat([segment("S", 100, orders=1, spent=30.0), REST], ignore_index=True)
    customers["cluster"] = (customers["segment"] == "S").astype(int)
    assumed = {"gross_margin": 0.25, "contact_cost": 1.0} | costs
    return recommend(customers, responses=rates, **assumed).set_index("segment").loc["S"]


def test_a_response_is_worth_the_mean_first_order_that_followed_not_the_median():
    row = advised(followed("S", ordered=40, of=100, first=[10.0, 30.0, 40.0, 80.0], all_in=3.0))
    assert (row["response_value"], row["response_is"]) == (40.0, "first order")
    assert row["typical_order"] == 35.0, "of the same orders"
    few = advised(followed("S", ordered=40, of=100, first=[10.0, 10.0, 10.0, 130.0], all_in=3.0))
    assert (few["response_value"], few["mean_value"], few["typical_order"]) == (10.0, 40.0, 10.0)
    assert row["break_even_response"] == pytest.approx(1 / (0.25 * 40))
    assert row["value_in_period"] == 120.0


def test_of_too_few_responses_the_mean_order_of_the_window_is_taken():
    row = advised(followed("S", ordered=19, of=100, first=[400.0], all_in=1.0))
    assert (row["response_value"], row["response_is"]) == (30.0, "order in the window")


def test_a_rise_beyond_twice_as_many_is_not_worth_a_contact_and_the_cost_that_is_stands_by():
    rates = followed("S", ordered=40, of=1000, first=[20.0], all_in=1.0)
    nobody = _left_alone({"play": "Win back"}, 0.0, 0.0, "USD")["do"]
    assert nobody == "Spend nothing on contacts here.", "where nobody is expected to order"
    none = SimpleNamespace(break_even_response=0.1, base=0.0, play=NOT_AT_THIS_COST)
    assert _of_money(none)[0].startswith("none of them is expected to order, and a campaign is not")
    row = advised(rates)  # break-even 20 points, where 4% order anyway
    assert (row["play"], row["is_campaign"]) == (NOT_AT_THIS_COST, False)
    limit = 0.25 * 20 * 0.04
    assert row["cost_limit"] == pytest.approx(limit)
    assert f"A contact that costs {limit:,.2f} or less may pay: win a second order." in row["do"]
    told = _left_alone({"play": "Win back"}, 0.34, 0.63, "USD")["do"]
    assert told.endswith(
        "A contact that costs $0.34 ($0.63 by the mean order) or less may pay: win back."
    )
    assert advised(rates, contact_cost=limit * 0.999)["play"] == "Win a second order"
    assert advised(rates, contact_cost=limit * 1.001)["play"] == NOT_AT_THIS_COST


def test_segments_are_listed_by_revenue_with_shares_of_the_whole():
    table = recommended(segment("A", 10, spent=10.0), segment("B", 40, spent=22.5))
    assert table.index.tolist() == ["B", "A"]
    assert table["revenue"].tolist() == [900.0, 100.0]
    assert table["revenue_share"].tolist() == [0.9, 0.1]
    assert table["campaign_cost"].tolist() == [40.0, 10.0]


# --- both shipped profiles, recomputed ------------------------------------------------


@pytest.fixture(scope="module")
def published(shipped_run):
    folder = shipped_run[1]
    features = pd.read_parquet(folder / "features.parquet").set_index("customer_id")
    segments = pd.read_parquet(folder / "segments.parquet").set_index("customer_id")
    customers = features.join(segments[["cluster", "segment", "is_anomaly"]])
    table = pd.read_csv(folder / "recommendations.csv").set_index(["segment_type", "segment"])
    return customers, table, yaml.safe_load((folder / "params.yaml").read_text())


def expected_play(own: pd.DataFrame, group: pd.DataFrame, row: pd.Series, cost: float) -> str:
    """Recomputed; what a contact may cost at most is that of the row, recomputed elsewhere."""
    play = play_of_figures(own, group)
    return NOT_AT_THIS_COST if play != "Watch" and cost > row["cost_limit"] else play


def play_of_figures(own: pd.DataFrame, group: pd.DataFrame) -> str:
    spend = own["total_spent"].mean() / group["total_spent"].mean()
    units = own["total_unit"].mean() / group["total_unit"].mean()
    again = group.loc[group["frequency"] > 1, "recency"].median()
    is_away = own["recency"].median() >= 1.25 * again
    if len(own) < 30:
        return "Watch"
    if units >= 3 and units >= 1.5 * spend:
        return "Look after bulk buyers"
    if spend >= 1 and is_away:
        return "Win back"
    if spend >= 1.5:
        return "Retain"
    if (own["first_to_last_order"] == 0).mean() >= 0.5:
        asleep = is_away and own["recency"].median() >= 180
        return "Wake up cheaply" if asleep else "Win a second order"
    assert is_away, "no shipped segment is told by its gap"
    return "Remind"


def test_every_segment_has_exactly_one_recommendation(published):
    customers, table, _ = published
    assert table.index.is_unique
    assert set(table.index) == set(customers.groupby(["segment_type", "segment"]).groups)
    assert table["revenue"].is_monotonic_decreasing


def test_every_figure_of_the_recommendations_equals_the_recomputation(published):
    customers, table, parameters = published
    total = customers["total_spent"].sum()
    assert (
        parameters["gross_margin"] == "auto"
    )  # CDNOW names no costs; the other is recomputed elsewhere
    margin = 0.246 if parameters["source"] == "marketplace" else ASSUMED_MARGIN
    usual = table["typical_order"].where(table["typical_order"] > 0)
    one_footing = (table["mean_value"] > 1.5 * usual).any()
    for (kind, name), row in table.iterrows():
        group = customers[customers["segment_type"] == kind]
        own = group[group["segment"] == name]
        value, mean = row["response_value"], row["mean_value"]
        assert value == (min(mean, row["typical_order"] or mean) if one_footing else mean), name
        if row["response_is"] == "order in the window":
            typical = own["average_order_value"].median()
            assert row["typical_order"] == pytest.approx(typical, rel=1e-9)
            assert mean == pytest.approx(own["average_order_value"].mean(), rel=1e-9)
            assert not row["base_ordered"] >= 30
        within = 1.0 if pd.isna(row["base"]) else min(row["base"], 0.5 * (1 - row["base"]))
        expected = {
            "cost_limit": margin * value * within,
            "customers": len(own),
            "revenue": own["total_spent"].sum(),
            "revenue_share": own["total_spent"].sum() / total,
            "revenue_per_customer": own["total_spent"].mean(),
            "one_time_share": (own["first_to_last_order"] == 0).mean(),
            "median_recency": own["recency"].median(),
            "campaign_cost": len(own) * parameters["contact_cost"],
            "anomalies": own["is_anomaly"].sum(),
            "largest_share": own["total_spent"].max() / own["total_spent"].sum()
            if own["total_spent"].sum()
            else float("nan"),
        }
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, rel=1e-9, nan_ok=True), (name, column)
        worth = margin * row["response_value"]
        response = parameters["contact_cost"] / worth if worth else float("inf")
        assert row["break_even_response"] == pytest.approx(response, rel=1e-9), name
        assert row["play"] == expected_play(own, group, row, parameters["contact_cost"]), name


def test_revenue_shares_of_all_recommendations_add_up_to_one(published):
    assert published[1]["revenue_share"].sum() == pytest.approx(1)


def test_a_mean_above_all_that_customers_spent_is_told_of_other_customers():
    """The 80 who came back ordered for 379 where all of the segment have spent 96 so far."""
    row = pd.Series(
        {"response_value": 52.7, "mean_value": 379.0, "response_is": FIRST_ORDER, "base_ordered": 80,
         "base_is": FOLLOWED, "latest_value": np.nan, "base_quarters": np.nan, "outcome_days": 90,
         "revenue_per_customer": 96.23, "value_in_period": np.nan}
    )  # fmt: skip

    def said(**other):
        return worth_words(pd.Series({**row, **other}), "USD", 0.25, "2024-01-01")

    assert "It counts $52.70, of which 25%, $13.18, is margin: the typical one (half are" in said()
    assert (
        "Their mean is $379, where customers of this segment have spent $96.23 in all on" in said()
    )
    assert "Their mean is $379. An order" in said(revenue_per_customer=400.0)
    assert "in all on" not in said(response_is=WINDOW_ORDER)
    assert "typical" not in said(response_value=379.0)
