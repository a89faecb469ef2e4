"""The campaign kit of a whole run: lists, plan, and a read-out where nothing was done."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli, order, ordinary_orders

from segmentation.actions.campaign_plan import arms_of_run, plan, trial_without_campaign
from segmentation.book import words
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.run.run import Run

IDS = {"customer_id": str}


@pytest.fixture(scope="module")
def published(shipped_run):
    folder = shipped_run[1]
    return (
        folder,
        pd.read_csv(folder / "campaign_arms.csv", dtype=IDS),
        pd.read_csv(folder / "campaign_plan.csv"),
        pd.read_csv(folder / "recommendations.csv"),
    )


def test_everybody_of_a_segment_with_a_campaign_is_in_exactly_one_arm(published):
    folder, arms, _, table = published
    segments = pd.read_parquet(folder / "segments.parquet")
    wanted = table[table["is_campaign"] & (table["customers"] > 1)]
    keys = set(zip(wanted["segment_type"], wanted["segment"], strict=True))
    inside = [
        key in keys for key in zip(segments["segment_type"], segments["segment"], strict=True)
    ]
    assert sorted(arms["customer_id"]) == sorted(segments.loc[inside, "customer_id"])
    assert arms["customer_id"].is_unique
    assert set(arms["arm"]) == {"treatment", "control"}


def test_the_lists_are_those_of_the_command(published, tmp_path):
    folder, arms, planned, _ = published
    row = planned.iloc[0]
    done = call_cli(
        "campaign", "split", folder, "--segment", row["segment"], "--group", row["segment_type"],
        "--output", tmp_path / "arms.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    single = pd.read_csv(tmp_path / "arms.csv", dtype=IDS).set_index("customer_id")["arm"]
    own = arms[
        (arms["segment"] == row["segment"]) & (arms["segment_type"] == row["segment_type"])
    ].set_index("customer_id")["arm"]
    assert own.sort_index().tolist() == single.sort_index().tolist()


def test_the_plan_is_counted_again_from_the_lists(published):
    _, arms, planned, table = published
    assert len(planned) == (table["is_campaign"] & (table["customers"] > 1)).sum()
    for row in planned.itertuples():
        own = arms[(arms["segment"] == row.segment) & (arms["segment_type"] == row.segment_type)]
        spent = {arm: part["total_spent"] for arm, part in own.groupby("arm")}
        assert row.treatment == len(spent["treatment"])
        assert row.control == len(spent["control"])
        spread = np.sqrt((spent["treatment"].var() + spent["control"].var()) / 2)
        gap = (spent["treatment"].mean() - spent["control"].mean()) / spread
        assert row.spend_difference == pytest.approx(gap)
        assert abs(row.spend_difference) < 0.25


def test_arms_depend_on_the_seed_and_not_on_the_order_of_rows():
    customers = pd.DataFrame(
        {
            "customer_id": [f"{i:03d}" for i in range(100)],
            "segment_type": "normal",
            "segment": "S",
            "total_spent": np.arange(100.0),
        }
    )
    table = pd.DataFrame({"segment_type": ["normal"], "segment": ["S"], "is_campaign": [True]})
    first = arms_of_run(customers, table, seed=1)
    again = arms_of_run(customers.sample(frac=1, random_state=5), table, seed=1)
    pd.testing.assert_frame_equal(first, again)
    other = arms_of_run(customers, table, seed=2)
    assert not other["arm"].equals(first["arm"])


def test_an_id_that_may_be_many_people_is_on_no_list_until_it_is_named(shop, tmp_path):
    many = [order("K4711", f"g{n}", f"2023-{1 + n % 4:02}-08", 1, "0.50") for n in range(90)]
    done = shop.lines([*ordinary_orders(), *many]).run(features=["total_spent"], n_clusters=2)
    assert done.code == 0, done.err
    found = pd.read_csv(shop.result / "findings.csv").set_index("finding")
    assert found.loc["many_orders_under_one_id", "severity"] == "severe"
    customers = pd.read_parquet(shop.result / "segments.parquet")
    assert "K4711" in set(customers["customer_id"])

    (own,) = customers.loc[customers["customer_id"] == "K4711", "segment"]
    listed = set(pd.read_csv(shop.result / "campaign_arms.csv", dtype=IDS)["customer_id"])
    path = tmp_path / "arms.csv"
    split = call_cli("campaign", "split", shop.result, "--segment", own, "--output", path)
    assert split.code == 0, split.err
    others = set(customers.loc[customers["segment"] == own, "customer_id"]) - {"K4711"}
    assert set(pd.read_csv(path, dtype=IDS)["customer_id"]) == others
    assert "K4711" not in listed
    for name in ("call_first.csv", "slipping.csv"):
        assert "K4711" not in (shop.result / name).read_text("utf-8"), name

    assert call_cli("forget", "K4711", "--runs-dir", shop.result.parent).code == 0
    assert "K4711" not in (shop.result / "findings.csv").read_text("utf-8")


def test_without_a_campaign_there_is_no_list():
    customers = pd.DataFrame(
        {"customer_id": ["1"], "segment_type": "normal", "segment": "S", "total_spent": [1.0]}
    )
    watch = pd.DataFrame({"segment_type": ["normal"], "segment": ["S"], "is_campaign": [False]})
    arms = arms_of_run(customers, watch, seed=1)
    assert arms.empty
    assert plan(arms, watch).empty


def test_the_workbook_lists_say_the_same_arms(marketplace_run):
    """Every list of a segment with a campaign, read back as a CRM team would filter it."""
    arms = pd.read_csv(marketplace_run / "campaign_arms.csv", dtype=IDS)
    path = marketplace_run / "customer_segmentation_output.xlsx"
    book = pd.read_excel(path, sheet_name=None, dtype=str, keep_default_na=False, engine="calamine")
    told: dict[str, str] = {}
    for sheet in [sheet for name, sheet in book.items() if name[0].isdigit()]:
        told |= dict(zip(sheet["Customer"], sheet["Message"], strict=True))
    wanted = dict(zip(arms["customer_id"], arms["arm"], strict=True))
    asked = dict.fromkeys(("call", "win back", "campaign"), "treatment") | {
        "leave alone": "control"
    }
    found = {customer: asked[said] for customer, said in told.items() if said}
    assert {customer: arm for customer, arm in found.items() if customer in wanted} == wanted
    extra = {told[customer] for customer in found if customer not in wanted}
    assert extra <= {"call"}, "who is in no campaign may be called, but gets no letter"
    planned = pd.read_csv(marketplace_run / "campaign_plan.csv")
    assert book["Campaign"][["To contact", "To leave alone"]].astype(float).values.tolist() == (
        planned[["treatment", "control"]].values.tolist()
    )


# --- a read-out where nothing was done --------------------------------------------------


def test_false_alarms_are_as_rare_as_the_interval_promises():
    """The same 600 customers, divided 300 times; who orders has nothing to do with the lot."""
    chance = np.random.default_rng(9)
    customers = pd.DataFrame(
        {
            "customer_id": [f"{i:04d}" for i in range(600)],
            "segment_type": "normal",
            "segment": "S",
            "total_spent": chance.lognormal(3, 1, 600),
            "days_to_order": np.where(chance.random(600) < 0.2, 10.0, np.nan),
        }
    )
    shown = [
        trial_without_campaign(customers, days=60, seed=seed)["is_shown"].item()
        for seed in range(300)
    ]
    assert np.mean(shown) <= 0.08


def test_the_trial_counts_the_customers_of_the_cut(cdnow_run, runs_dir):
    run = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)
    trial = run["holdout_aa"].set_index("segment")
    rates = run["holdout_responses"].query("days == 90").set_index("segment")
    for name, row in trial.iterrows():
        assert row["n_treatment"] + row["n_control"] == rates.at[name, "customers"]
        ordered = row["treatment"] * row["n_treatment"] + row["control"] * row["n_control"]
        assert ordered == pytest.approx(rates.at[name, "ordered"])
        assert row["uplift"] == pytest.approx(row["treatment"] - row["control"], abs=0.01)
    said = words.trial_sentence(run["holdout_aa"], no_holdout="")
    assert said.startswith(f"Both halves of {len(trial)} segments ")


def test_more_false_alarms_than_chance_gives_are_said_to_be():
    """2 or more of 6 at one in twenty: 1 - 0.95^6 - 6 x 0.05 x 0.95^5 = 3.3%."""
    trial = pd.DataFrame({"is_shown": [True, True, False, False, False, False], "n_treatment": 9,
                          "n_control": 9, "low": 0.0, "high": 1.0})  # fmt: skip
    said = words.trial_sentence(trial, no_holdout="")
    assert (
        "one false alarm in twenty is to be expected, 2 or more of 6 only once in 31: take no single "
        "comparison for proof." in said
    )
    hidden = pd.concat([trial, trial.head(1).assign(n_control=4)])  # its row in the table is hidden
    assert words.trial_sentence(hidden, no_holdout="") == said
    one = words.trial_sentence(trial.iloc[1:], no_holdout="")
    assert "one false alarm in twenty is to be expected. " in one


def test_without_a_hold_out_the_trial_is_said_to_be_impossible():
    empty = pd.DataFrame(columns=["segment_type", "segment", "is_shown"])
    assert "no dates" in words.trial_sentence(empty, no_holdout="no dates")
