"""Comparison of runs: zero where nothing happened, exact where something was planted."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, TinyShop, assert_refused, call_cli, order, ordinary_orders

from segmentation.actions.compare import (
    _verdict,
    compare,
    customer_movements,
    migration,
    population_stability,
)
from segmentation.actions.matching import RunResult
from segmentation.book import words
from segmentation.core.errors import SourceError
from segmentation.core.parameters import resolve
from segmentation.customers.preparation import Preparation
from segmentation.run.compare_runs import compare_folders, open_changes, read_run, result_of
from segmentation.run.run import Run
from segmentation.segments.model import GroupModel, SegmentModel

NAMES = ("Low", "Middle", "High")
CENTRES = (10.0, 100.0, 1000.0)


def run_of(spent: dict[str, float], centres=CENTRES, names=NAMES) -> RunResult:
    """A run on spend alone: whoever is nearest to a centre belongs to it."""
    one = np.ones(1)
    preparation = Preparation(
        ("total_spent",), -np.inf * one, np.inf * one, "log", one, 0 * one, one
    )
    places = preparation.apply(np.array(centres).reshape(-1, 1))
    group = GroupModel("normal", preparation, places, tuple(names), 1.0, 2, np.empty((0, 1)))
    model = SegmentModel(("total_spent",), False, {"normal": group})
    table = pd.DataFrame({"customer_id": list(spent), "total_spent": list(spent.values())})
    table["segment_type"] = "normal"
    assigned = model.assign(table)[["cluster", "segment"]]
    return RunResult(table.join(assigned), model, amount_scale=2)


def population(n: int = 60) -> dict[str, float]:
    """So many customers, a third near each centre, all amounts different."""
    return {f"{i:03d}": round(CENTRES[i % 3] * (0.8 + 0.4 * i / n), 2) for i in range(n)}


def cells(changes) -> dict[tuple, tuple[int, Decimal, Decimal]]:
    def plain(value):
        return None if pd.isna(value) else value

    return {
        (plain(r.segment_before), plain(r.segment_after), r.movement): (
            r.customers,
            r.revenue_before,
            r.revenue_after,
        )
        for r in changes.migration.itertuples()
    }


# --- planted ----------------------------------------------------------------------------


def test_a_planted_migration_is_recovered_exactly_though_numbers_and_names_were_exchanged():
    earlier = population()
    later = dict(earlier)
    lost = ["000", "001"]
    for customer in lost:
        del later[customer]
    later |= {"900": 950.25, "901": 11.05, "902": 9.95}
    climbers = ["003", "006", "009", "012"]  # were near 10
    later |= dict.fromkeys(climbers, 105.55)
    fallen = ["005"]  # was near 1000
    later |= {"005": 12.34}

    changes = compare(
        run_of(earlier),
        run_of(later, centres=(1010.0, 9.9, 101.0), names=("Low", "Best", "Other")),
    )

    def money(table, customers):
        return sum((Decimal(f"{table[c]:.2f}") for c in customers), Decimal(0))

    stay = {
        name: [c for i, c in enumerate(earlier) if i % 3 == index and c in later]
        for index, name in enumerate(NAMES)
    }
    stay["Low"] = [c for c in stay["Low"] if c not in climbers]
    stay["High"] = [c for c in stay["High"] if c not in fallen]
    expected = {
        ("Low", "Best", "stayed"): stay["Low"],
        ("Middle", "Other", "stayed"): stay["Middle"],
        ("High", "Low", "stayed"): stay["High"],
        ("Low", "Other", "moved"): climbers,
        ("High", "Best", "moved"): fallen,
        ("Low", None, "lost"): ["000"],
        ("Middle", None, "lost"): ["001"],
        (None, "Low", "new"): ["900"],
        (None, "Best", "new"): ["901", "902"],
    }
    assert cells(changes) == {
        key: (
            len(customers),
            money(earlier, [c for c in customers if c in earlier]),
            money(later, [c for c in customers if c in later]),
        )
        for key, customers in expected.items()
    }
    assert changes.matching.set_index("segment_before")["segment_after"].to_dict() == {
        "Low": "Best",
        "Middle": "Other",
        "High": "Low",
    }
    assert changes.matching["is_same"].all()


def test_a_border_drawn_elsewhere_is_not_a_movement_of_the_customer():
    earlier = population() | {"500": 30.0}  # between Low and Middle, a little nearer to Low
    before = run_of(earlier)
    after = run_of(earlier, centres=(8.0, 95.0, 1000.0))

    changes = compare(before, after)

    assert before.customers.set_index("customer_id").at["500", "segment"] == "Low"
    moved = cells(changes)
    assert {key[2] for key in moved} == {"stayed", "redrawn"}
    assert moved["Low", "Middle", "redrawn"][0] == 1
    assert changes.elsewhere == {"redrawn": 1}


def test_whom_the_earlier_model_places_elsewhere_is_told_by_what_became_of_them():
    earlier = population() | {str(500 + i): 30.0 for i in range(6)}  # a little nearer to Low
    earlier |= {str(600 + i): 33.0 for i in range(7)}  # a little nearer to Middle
    later = earlier | {str(600 + i): 30.0 for i in range(7)}  # fell, but for the new border
    changes = compare(run_of(earlier), run_of(later, centres=(8.0, 95.0, 1000.0)))
    assert changes.elsewhere == {"stayed": 7, "redrawn": 6}
    said = words.refit_sentence(changes)
    assert (
        "The later run's borders alone place 13 customers: 7 stayed where they would have moved by the earlier borders and "
        "6 changed segment only by that" in said
    )
    few = words.refit_sentence(replace(changes, elsewhere={"redrawn": 4, "new": 7}))
    assert few.endswith(" The later run's borders alone place 11 customers.")


def test_a_segment_that_splits_has_one_heir_and_the_rest_is_without_counterpart():
    before = run_of(population())
    after = run_of(population(), centres=(10.0, 100.0, 900.0, 1120.0), names=(*NAMES, "Top"))

    changes = compare(before, after)

    without = changes.matching[changes.matching["segment_before"].isna()]
    assert len(changes.matching) == 4
    assert len(without) == 1
    assert without["segment_after"].item() in ("High", "Top")
    assert changes.verdict == "refit"
    assert any("resemble no earlier one" in reason for reason in changes.reasons)


def test_a_group_that_the_earlier_model_does_not_know_is_counted_and_asks_for_a_new_fit():
    before = run_of(population())
    after = run_of(population())
    unregistered = after.customers.assign(
        segment_type=["unregistered" if i < 10 else "normal" for i in range(60)]
    )
    changes = compare(before, RunResult(unregistered, after.model, 2))
    assert changes.not_assignable == 10
    assert changes.verdict == "refit"
    assert changes.migration["customers"].sum() == 60


def test_who_stands_in_another_group_and_bought_nothing_is_counted_apart():
    """Of three who registered, one bought as well: two changed group only."""
    moved = pd.DataFrame(
        {"segment_type_before": "normal", "cluster_before": 0, "segment_before": "A",
         "segment_type_after": ["pre_register"] * 3 + ["normal"], "cluster_after": 1, "segment_after": "B",
         "movement": "moved", "revenue_before": [Decimal(5)] * 4,
         "revenue_after": [Decimal(5), Decimal(5), Decimal(9), Decimal(5)]}
    )  # fmt: skip
    table = migration(moved).set_index("segment_type_after")
    assert table["group_only"].to_dict() == {"normal": 0, "pre_register": 2}
    assert table["customers"].to_dict() == {"normal": 1, "pre_register": 3}


def test_margins_are_exact_where_the_runs_count_money_in_other_units():
    before = run_of(population())
    rounded = run_of({c: float(round(v)) for c, v in population().items()})
    after = RunResult(rounded.customers, rounded.model, amount_scale=0)
    table = compare(before, after).migration
    assert sum(table["revenue_after"]) == sum(round(v) for v in population().values())
    assert sum(table["revenue_before"]) == sum(Decimal(f"{v:.2f}") for v in population().values())


# --- drift ------------------------------------------------------------------------------


def test_stability_index_of_two_halves_is_the_formula_worked_by_hand():
    """Two of the bins <=0, (0, 0.5], (0.5, 1], >1, missing are filled: half a customer to each."""
    reference = np.array([0.0] * 50 + [1.0] * 50)
    current = np.array([0.0] * 75 + [1.0] * 25)
    by_hand = (75.5 - 50.5) / 101 * math.log(75.5 / 50.5)
    by_hand += (25.5 - 50.5) / 101 * math.log(25.5 / 50.5)
    assert population_stability(reference, current) == pytest.approx(by_hand, rel=1e-12)


def test_values_that_go_missing_are_drift():
    full, gone = np.arange(100.0), np.array([np.nan] * 40 + list(range(60)))
    assert population_stability(full, gone) > 0.25
    assert population_stability(gone, gone) == 0.0
    assert population_stability(np.full(5, np.nan), np.full(5, np.nan)) == 0.0


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "keep"), (1.02, "keep"), (1.6, "watch")], ids=str
)
def test_the_verdict_follows_the_drift_of_features_in_use(factor, verdict):
    before = run_of(population(300))
    after = run_of({c: v * factor for c, v in population(300).items()})
    changes = compare(before, after)
    assert changes.verdict == verdict, changes.reasons
    assert changes.reasons


@pytest.mark.parametrize(
    ("feature", "agreement", "verdict"),
    [("recency", 0.998, "keep"), ("recency", 0.85, "refit"),
     ("total_spent", 0.998, "watch"), ("total_spent", 0.85, "refit")],
)  # fmt: skip
def test_drift_asks_for_no_new_fit_where_nobody_would_move(feature, agreement, verdict):
    drifted = pd.DataFrame({"feature": [feature], "in_use": [True], "finding": ["shifted"]})
    found, reasons = _verdict((0, 0.0), drifted, agreement, (0, 0.0))
    assert found == verdict
    assert (verdict != "refit") == (reasons[-1].endswith("to 99.8% of customers"))
    if verdict == "keep":
        assert reasons == (
            "days since last order moved, as days do with time and season, and the earlier model gives today's "
            "segment to 99.8% of customers",
        )


@pytest.mark.parametrize(("share", "verdict"), [(0.01, "watch"), (0.06, "refit")])
def test_a_few_unknown_customers_or_renamed_profiles_ask_for_no_new_fit(share, verdict):
    none = pd.DataFrame({"feature": [], "in_use": np.array([], bool), "finding": []})
    assert _verdict((0, 0.0), none, 0.998, (3, share))[0] == verdict
    assert _verdict((1, 0.5), none, 1 - share, (0, 0.0))[0] == verdict


def test_agreement_is_the_share_of_equal_answers():
    before = run_of(population(), centres=CENTRES)
    after = run_of(population(), centres=(10.0, 1000.0, 1001.0))
    changes = compare(before, after)
    partner = changes.matching.set_index("segment_before")["segment_after"].to_dict()
    equal = [
        partner[a] == b
        for a, b in zip(before.customers["segment"], after.customers["segment"], strict=True)
    ]
    assert changes.agreement == sum(equal) / 60
    assert changes.agreement < 0.9
    assert changes.verdict == "refit"


# --- shipped runs -----------------------------------------------------------------------


def test_a_run_compared_with_itself_shows_no_movement_at_all(shipped_run):
    _, folder = shipped_run
    run = read_run(folder)

    changes = compare(run, run)

    assert set(changes.migration["movement"]) == {"stayed"}
    assert changes.migration["revenue_before"].equals(changes.migration["revenue_after"])
    assert (changes.matching["distance"] == 0).all()
    assert changes.matching["is_same"].all()
    assert (changes.drift["psi"] == 0).all()
    assert (changes.agreement, changes.not_assignable, changes.verdict) == (1.0, 0, "keep")


def result_with(profile: str, runs_dir: Path, **changed: object) -> RunResult:
    """What is compared of a run, without the folder that it would write."""
    _, parameters = resolve(profile, overrides={"k_max": 3, **changed})
    return result_of(Run(parameters, runs_dir))


def test_a_reseeded_run_shows_no_movement(marketplace_run, runs_dir):
    later = result_with("marketplace", runs_dir, random_state=7)
    changes = compare(read_run(marketplace_run), later)
    assert set(changes.migration["movement"]) <= {"stayed", "redrawn"}
    redrawn = changes.migration.loc[changes.migration["movement"] == "redrawn", "customers"].sum()
    assert redrawn / changes.migration["customers"].sum() < 0.002
    assert (changes.drift["psi"] == 0).all()
    assert changes.verdict != "refit"


def shop_run(shop, name: str, rows: list[dict]) -> Path:
    shop.lines(rows)
    outcome = call_cli(*shop.arguments(), "--name", name)
    assert outcome.code == 0, outcome.err
    return shop.runs_dir / name


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> tuple[Path, Path]:
    """A shop before and after a year in which three customers left and two came."""
    shop, rows = TinyShop(tmp_path_factory.mktemp("two_runs")), ordinary_orders(60)
    before = shop_run(shop, "before", rows)
    gone = {"0001", "0002", "0003"}
    later = [row for row in rows if row["customer_id"] not in gone]
    later += [order(f"N{i}", f"N{i}-1", "2023-12-01", 2, f"{700 + i}.25") for i in range(2)]
    later += [order("0010", "0010-9", "2023-12-02", 5, "999.99")]
    return before, shop_run(shop, "after", later)


def test_margins_equal_both_runs_in_customers_and_to_the_cent(two_runs):
    table = compare(*map(read_run, two_runs)).migration
    for side, folder in zip(("before", "after"), two_runs, strict=True):
        with (folder / "profile.csv").open(encoding="utf-8") as file:
            wanted = {
                row["segment"]: (int(row["customers"]), Decimal(row["revenue"]))
                for row in csv.DictReader(file)
            }
        counted: dict[str, list] = defaultdict(lambda: [0, Decimal(0)])
        for row in table.to_dict("records"):
            if not pd.isna(row[f"segment_{side}"]):
                counted[row[f"segment_{side}"]][0] += row["customers"]
                counted[row[f"segment_{side}"]][1] += row[f"revenue_{side}"]
        assert {name: tuple(value) for name, value in counted.items()} == wanted


def test_new_and_lost_customers_are_the_difference_of_the_two_lists(two_runs):
    earlier, later = (
        set(pd.read_parquet(folder / "segments.parquet")["customer_id"]) for folder in two_runs
    )
    runs = [read_run(folder) for folder in two_runs]
    movements = customer_movements(*runs, compare(*runs).matching)
    by_kind = movements.groupby("movement")["customer_id"].agg(set)
    assert by_kind["new"] == later - earlier == {"N0", "N1"}
    assert by_kind["lost"] == earlier - later == {"0001", "0002", "0003"}
    assert Counter(movements["customer_id"]).most_common(1)[0][1] == 1


def test_the_command_says_what_changed_without_naming_anybody(two_runs, tmp_path):
    output = tmp_path / "changes"
    outcome = call_cli("compare", *two_runs, "--output", output)
    assert outcome.code == 0, outcome.err
    assert "Fewer than 5 new customers" in outcome.out
    assert "Fewer than 5 customers of the earlier run" in outcome.out
    ids = {"0001", "0002", "0003", "N0", "N1"}
    assert not ids & set(outcome.out.split())
    listed = pd.read_csv(output / "customers.csv", dtype=str)
    assert {"0001", "N0"} <= set(listed["customer_id"])
    assert json.loads((output / "comparison.json").read_text())["verdict"] in outcome.out.lower()


def test_an_output_folder_of_somebody_else_is_left_alone(two_runs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me", "utf-8")
    outcome = call_cli("compare", *two_runs, "--output", tmp_path / "mine")
    assert_refused(outcome, "is no comparison")
    assert (tmp_path / "mine" / "notes.txt").read_text("utf-8") == "keep me"


def test_a_comparison_may_be_written_again(two_runs, tmp_path):
    for _ in range(2):
        assert call_cli("compare", *two_runs, "--output", tmp_path / "c").code == 0


def test_differing_parameters_are_named(marketplace_run, tmp_path):
    other = shutil.copytree(marketplace_run, tmp_path / "other")
    values = yaml.safe_load((other / "params.yaml").read_text("utf-8"))
    values |= {"k_max": 3, "random_state": 7}
    (other / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    said = words.folders_text(compare_folders(marketplace_run, other))
    assert "differ in their parameters: k_max, random_state" in said


@pytest.mark.parametrize("broken", ["nothing", "no-profile", "other-customers", "other-money"])
def test_what_is_no_run_is_refused_in_one_sentence(two_runs, tmp_path, broken):
    folder = tmp_path / "broken"
    if broken == "nothing":
        folder.mkdir()
    else:
        shutil.copytree(two_runs[0], folder)
    if broken == "no-profile":
        (folder / "profile.csv").unlink()
    if broken == "other-customers":
        shutil.copy(two_runs[1] / "segments.parquet", folder / "segments.parquet")
    if broken == "other-money":
        shutil.copy(two_runs[1] / "profile.csv", folder / "profile.csv")
    assert_refused(call_cli("compare", folder, two_runs[1]), "broken")


def test_runs_of_other_features_are_refused(marketplace_run, cdnow_run):
    outcome = call_cli("compare", marketplace_run, cdnow_run)
    assert_refused(outcome, "register_to_order", "later run")


# --- the chapter ------------------------------------------------------------------------


def test_a_first_report_is_compared_with_itself_90_days_earlier(cdnow_run):
    """CDNOW ends on 1998-06-30; recomputed here from the orders that were known by then."""
    _, parameters = resolve("cdnow", overrides={"n_init": 2, "k_max": 3})
    changes = open_changes(Run(parameters, cdnow_run.parent))
    assert changes.with_what == "the same report as of 1998-04-01, 90 days earlier"
    table = changes.comparison.migration
    day, before, after = pd.Timestamp("1998-04-01"), Decimal(0), Decimal(0)
    for line in (ROOT / "data/raw_data/cdnow/CDNOW_master.txt").read_text().splitlines()[1:]:
        _, date, _, amount = line.split()
        after += Decimal(amount)
        before += Decimal(amount) if pd.Timestamp(date) <= day else 0
    assert (sum(table["revenue_before"]), sum(table["revenue_after"])) == (before, after)
    assert table["customers"].sum() == 23_570
    assert changes.comparison.migration["movement"].isin(["stayed", "moved", "redrawn"]).all()


def test_a_named_earlier_run_is_read_and_a_wrong_one_refused(marketplace_run, tmp_path):
    _, parameters = resolve("marketplace")
    run = Run(parameters, marketplace_run.parent)
    changes = open_changes(run, str(marketplace_run))
    assert changes.with_what == f"the earlier run {marketplace_run.name}"
    assert set(changes.comparison.migration["movement"]) == {"stayed"}
    with pytest.raises(SourceError, match=r"is no run's folder"):
        open_changes(run, str(tmp_path))


def test_a_window_shorter_than_90_days_has_nothing_earlier(shop):
    shop.lines([row for row in ordinary_orders() if row["order_date"].startswith("2023-01")])
    assert shop.run().code == 0
    _, parameters = resolve(str(shop.folder / "shop.yaml"))
    changes = open_changes(Run(parameters, shop.runs_dir))
    assert changes.comparison is None
    assert "nothing to compare with" in words.compared_sentence(changes)
    assert words.migration_table(None, currency="USD").markup == ""
