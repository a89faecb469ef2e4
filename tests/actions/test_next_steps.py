"""Movement adds up, slipping customers slipped, and whom to call first is worth it."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from segmentation.actions.next_steps import NEW, call_first, movement, slipping_customers
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.run.run import Run
from segmentation.segments.model import load_model


@pytest.fixture(scope="module")
def run(cdnow_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)


def test_movement_adds_up_to_customers_and_money_of_each_quarter_alone(run, cdnow_run):
    table = pd.read_csv(cdnow_run / "movement.csv")
    model = load_model(run.stage("segments") / "model")
    spent = 0.0
    for day, flows in table.groupby("as_of", sort=True):
        alone = run.with_parameters(as_of=dt.date.fromisoformat(day))["features"]
        sizes = model.assign(alone)["segment"].value_counts()
        assert flows.groupby("segment_to")["customers"].sum().to_dict() == sizes.to_dict()
        assert flows["revenue"].sum() == pytest.approx(alone["total_spent"].sum() - spent)
        spent = alone["total_spent"].sum()
    assert set(table.loc[table["as_of"] == "1997-06-30", "segment_from"]) == {NEW}


def test_who_was_there_before_comes_from_a_segment():
    day = pd.DataFrame({"customer_id": ["a", "b"], "segment": ["Low", "High"],
                        "total_spent": [5.0, 90.0]})  # fmt: skip
    later = pd.DataFrame({"customer_id": ["a", "b", "c"], "segment": ["High", "High", "Low"],
                          "total_spent": [50.0, 90.0, 1.0]})  # fmt: skip
    table = movement({"2023-03-31": day, "2023-06-30": later}).query("as_of == '2023-06-30'")
    found = {(r.segment_from, r.segment_to): (r.customers, r.revenue) for r in table.itertuples()}
    assert found == {("Low", "High"): (1, 45.0), ("High", "High"): (1, 0.0), (NEW, "Low"): (1, 1.0)}


def customers(**changed) -> pd.DataFrame:
    table = pd.DataFrame(
        {"customer_id": ["fell", "silent", "fine", "long"], "segment_type": "normal",
         "segment": ["Low", "High", "High", "High"], "cluster": [0, 1, 1, 1],
         "total_spent": [80.0, 200.0, 300.0, 400.0], "recency": [150.0, 120.0, 10.0, 250.0],
         "frequency": [4, 5, 6, 7], "tenure": [400.0] * 4, "average_order_value": [20.0, 40, 50, 57]}
    )  # fmt: skip
    return table.assign(**changed)


BEFORE = customers(segment=["High"] * 4, recency=[60.0, 30.0, 20.0, 160.0]).assign(
    orders_next=[0, 0, 2, 0], tenure=310.0
)


def test_slipping_is_who_fell_or_fell_silent_in_the_last_quarter():
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    table = slipping_customers(BEFORE, customers(), ladder)
    # "long" had been silent for longer than the quarter before
    assert table[["customer_id", "what"]].values.tolist() == [
        ["silent", "fell silent"], ["fell", "fell a segment"],
    ]  # fmt: skip


FACTS = {"possible": True, "r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6, "outcome_days": 90}


def test_first_is_called_who_has_most_to_lose_and_no_control_arm():
    arms = pd.DataFrame({"customer_id": ["fell"], "arm": ["control"]})
    table = call_first(BEFORE, customers(), pd.DataFrame(), arms, FACTS)
    assert "fell" not in set(table["customer_id"])
    assert table["value_at_risk"].is_monotonic_decreasing and (table["value_at_risk"] > 0).all()
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    first = table.iloc[0]
    drop = first["chance_before"] - first["chance"]
    assert first["value_at_risk"] == pytest.approx(drop * first["average_order_value"])
    assert "chance to order fell from" in first["why"]


def test_where_forecasts_are_withheld_slipping_customers_are_called_by_spend():
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    slipping = slipping_customers(BEFORE, customers(), ladder)
    none = pd.DataFrame(columns=["customer_id", "arm"])
    table = call_first(BEFORE, customers(), slipping, none, {"possible": False})
    assert table["customer_id"].tolist() == ["silent", "fell"]
    assert table["chance"].isna().all() and "chance" not in table["why"].iloc[0]


def test_lists_of_a_run_leave_out_its_control_arms(run, cdnow_run):
    first = pd.read_csv(cdnow_run / "call_first.csv", dtype={"customer_id": str})
    arms = run["campaign_arms"]
    assert len(first) and not set(first["customer_id"]) & set(
        arms.loc[arms["arm"] == "control", "customer_id"]
    )
    slipping = pd.read_csv(cdnow_run / "slipping.csv", dtype={"customer_id": str})
    assert len(slipping) and set(slipping["what"]) <= {"fell a segment", "fell silent"}
