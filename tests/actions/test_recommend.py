"""Recommendations: each play's condition, the break-even, and every figure recomputed."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from segmentation.actions.recommend import break_even_response, load_plays, recommend


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
REACHED = {
    "Watch": segment("S", 29),
    "Look after bulk buyers": segment("S", units=100.0, spent=120.0),
    "Win back": segment("S", spent=200.0, recency=400.0),
    "Retain": segment("S", spent=400.0, units=12.0),
    "Wake up cheaply": segment("S", orders=1, spent=60.0, recency=180.0),
    "Win a second order": segment("S", orders=1, spent=60.0, recency=179.0),
    "Grow the basket": segment("S", spent=70.0),
}


@pytest.mark.parametrize("play", REACHED)
def test_each_play_is_reached_by_the_segment_it_is_for(play):
    assert recommended(REACHED[play], REST).at["S", "play"] == play


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


def expected_play(own: pd.DataFrame, group: pd.DataFrame) -> str:
    spend = own["total_spent"].mean() / group["total_spent"].mean()
    units = own["total_unit"].mean() / group["total_unit"].mean()
    if len(own) < 30:
        return "Watch"
    if units >= 3 and units >= 1.5 * spend:
        return "Look after bulk buyers"
    if spend >= 1 and own["recency"].median() >= 1.25 * group["recency"].median() > 0:
        return "Win back"
    if spend >= 1.5:
        return "Retain"
    if (own["frequency"] == 1).mean() < 0.5:
        return "Grow the basket"
    return "Wake up cheaply" if own["recency"].median() >= 180 else "Win a second order"


def test_every_segment_has_exactly_one_recommendation(published):
    customers, table, _ = published
    assert table.index.is_unique
    assert set(table.index) == set(customers.groupby(["segment_type", "segment"]).groups)
    assert table["revenue"].is_monotonic_decreasing


def test_every_figure_of_the_recommendations_equals_the_recomputation(published):
    customers, table, parameters = published
    total = customers["total_spent"].sum()
    for (kind, name), row in table.iterrows():
        group = customers[customers["segment_type"] == kind]
        own = group[group["segment"] == name]
        typical = own["average_order_value"].median()
        expected = {
            "customers": len(own),
            "revenue": own["total_spent"].sum(),
            "revenue_share": own["total_spent"].sum() / total,
            "revenue_per_customer": own["total_spent"].mean(),
            "one_time_share": (own["frequency"] == 1).mean(),
            "median_recency": own["recency"].median(),
            "typical_order": typical,
            "campaign_cost": len(own) * parameters["contact_cost"],
            "anomalies": own["is_anomaly"].sum(),
            "largest_share": own["total_spent"].max() / own["total_spent"].sum()
            if own["total_spent"].sum()
            else float("nan"),
        }
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, rel=1e-9, nan_ok=True), (name, column)
        worth = parameters["gross_margin"] * typical
        response = parameters["contact_cost"] / worth if worth else float("inf")
        assert row["break_even_response"] == pytest.approx(response, rel=1e-9), name
        assert row["play"] == expected_play(own, group), name


def test_revenue_shares_of_all_recommendations_add_up_to_one(published):
    assert published[1]["revenue_share"].sum() == pytest.approx(1)
