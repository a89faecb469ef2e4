"""Campaign kit: a split that can be made again, sizes and intervals that hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from conftest import assert_refused, call_cli
from scipy.stats import norm

from segmentation.actions.campaign import (
    balance,
    customers_needed,
    detectable_effect,
    money_uplift,
    power_of,
    response_uplift,
    sizes_by_segment,
    split,
)
from segmentation.book import words as insights

HOSTILE = ["=1+1", "'; DROP TABLE x; --", "<b>é😀</b>", "00123", 'a,b\n"c"', "‮abc", "x" * 10_000]


def customers(n: int = 1003, seed: int = 1) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    ids = [f"{i:05d}" for i in range(n)]
    return pd.DataFrame({"customer_id": ids, "total_spent": chance.lognormal(3, 1.5, n).round(2)})


# --- split ------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.9])
@pytest.mark.parametrize("n", [0, 1, 2, 9, 10, 11, 1003])
def test_everybody_is_in_exactly_one_arm(n, share):
    table = customers(n)
    arms = split(table, seed=42, treatment_share=share)
    assert arms["customer_id"].tolist() == sorted(table["customer_id"])
    assert set(arms["arm"]) <= {"treatment", "control"}
    spent = table.set_index("customer_id")["total_spent"]
    assert arms.set_index("customer_id")["total_spent"].equals(spent.sort_index())


def test_the_share_is_kept():
    for share in (0.1, 0.25, 0.5, 0.9):
        arms = split(customers(2000), seed=42, treatment_share=share)
        assert (arms["arm"] == "treatment").mean() == pytest.approx(share, abs=0.02)


def test_row_order_changes_nothing_and_another_seed_does():
    table = customers()
    first = split(table, seed=42)
    assert split(table.sample(frac=1, random_state=3), seed=42).equals(first)
    assert not split(table, seed=43)["arm"].equals(first["arm"])


def test_the_split_is_the_same_on_every_machine():
    """Pinned: a list made once must come out again years later."""
    arms = split(customers(20), seed=42)
    marks = "".join("T" if arm == "treatment" else "c" for arm in arms["arm"])
    assert marks == PINNED


PINNED = "TTcTcTccTccTcTTcTTcc"


def test_arms_are_balanced_on_spend_for_every_seed():
    table = customers(3000)
    gaps = [abs(balance(split(table, seed=seed))) for seed in range(50)]
    assert max(gaps) < 0.1
    chance = np.random.default_rng(0)
    loose = [
        abs(balance(table.assign(arm=chance.permutation(["treatment", "control"] * 1500))))
        for _ in range(50)
    ]
    assert np.mean(gaps) < np.mean(loose) / 2, "no better than drawing lots"


def test_each_customer_has_the_asked_chance_of_being_contacted():
    table = customers(57)
    contacted = np.zeros(57)
    for seed in range(400):
        contacted += (split(table, seed=seed, treatment_share=0.3)["arm"] == "treatment").to_numpy()
    spread = math.sqrt(0.3 * 0.7 / 400)
    assert np.abs(contacted / 400 - 0.3).max() < 5 * spread


def test_hostile_ids_stay_the_same_characters():
    table = pd.DataFrame({"customer_id": HOSTILE, "total_spent": range(len(HOSTILE))})
    assert sorted(split(table, seed=1)["customer_id"]) == sorted(HOSTILE)


def test_balance_is_the_difference_in_standard_deviations():
    arms = pd.DataFrame({"arm": ["treatment"] * 2 + ["control"] * 2, "total_spent": [1, 3, 3, 5]})
    assert balance(arms) == pytest.approx(-2 / math.sqrt(2))


# --- size and power ---------------------------------------------------------------------


def test_sample_size_is_that_of_the_formula_worked_by_hand():
    """5% against 7%: Fleiss without correction gives 2,213 per arm."""
    p, q, both = 0.05, 0.07, 0.06
    z, w = norm.ppf(0.975), norm.ppf(0.8)
    n = (z * math.sqrt(2 * both * (1 - both)) + w * math.sqrt(p * (1 - p) + q * (1 - q))) ** 2
    assert customers_needed(base=0.05, effect=0.02) == math.ceil(n / 0.02**2) == 2213


def test_power_is_what_simulated_campaigns_show():
    chance, n, base, effect = np.random.default_rng(8), 800, 0.1, 0.045
    treated = chance.binomial(n, base + effect, 20_000) / n
    control = chance.binomial(n, base, 20_000) / n
    pooled = (treated + control) / 2
    z = (treated - control) / np.sqrt(pooled * (1 - pooled) * 2 / n)
    shown = (np.abs(z) > 1.959964).mean()
    assert power_of(n, n, base=base, effect=effect) == pytest.approx(shown, abs=0.015)


def test_the_detectable_effect_has_just_the_power_asked_for():
    effect = detectable_effect(500, 700, base=0.08)
    assert power_of(500, 700, base=0.08, effect=effect) == pytest.approx(0.8, abs=1e-9)
    assert math.isnan(detectable_effect(2, 2, base=0.5))


@pytest.mark.parametrize(("base", "effect"), [(0.9, 0.2), (-0.1, 0.2), (0.1, -0.2)])
def test_rates_beyond_0_and_1_are_refused(base, effect):
    with pytest.raises(ValueError, match="between 0 and 1"):
        power_of(10, 10, base=base, effect=effect)


# --- read-out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "interval"),
    [((56, 70, 48, 80), (0.0524, 0.3339)), ((9, 10, 3, 10), (0.1705, 0.8090)),
     ((10, 10, 0, 20), (0.6791, 1.0)), ((10, 10, 0, 10), (0.6075, 1.0))],
)  # fmt: skip
def test_interval_equals_the_published_examples_of_newcombe(counts, interval):
    found = response_uplift(*counts)
    assert (found.low, found.high) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(
    ("n", "m", "base", "effect"),
    [(400, 400, 0.05, 0.02), (60, 40, 0.03, 0.0), (900, 100, 0.2, 0.05)],
)
def test_response_interval_covers_the_truth_as_often_as_it_says(n, m, base, effect):
    chance, trials = np.random.default_rng(12), 3000
    treated, control = chance.binomial(n, base + effect, trials), chance.binomial(m, base, trials)
    covered = 0
    for a, b in zip(treated, control, strict=True):
        found = response_uplift(int(a), n, int(b), m)
        covered += found.low <= effect <= found.high
    # few and rare responses make any exact-count interval wider than it says, never narrower
    assert 0.935 <= covered / trials <= (0.985 if n * base > 10 else 0.995)


def test_money_interval_covers_the_truth_as_often_as_it_says():
    """One in five orders, the sizes lognormal; the contact adds 10% to who orders."""
    chance, trials, covered = np.random.default_rng(13), 1500, 0
    mean = math.exp(3 + 0.5**2 / 2)
    for _ in range(trials):
        arms = [
            chance.lognormal(3, 0.5, n) * (chance.random(n) < rate)
            for n, rate in ((600, 0.3), (400, 0.2))
        ]
        found = money_uplift(*arms)
        covered += found.low <= 0.1 * mean <= found.high
    assert 0.935 <= covered / trials <= 0.965


def test_without_any_difference_nothing_is_shown():
    same = response_uplift(10, 100, 10, 100)
    assert (same.uplift, same.is_shown) == (0.0, False)
    assert not money_uplift(np.zeros(5), np.zeros(5)).is_shown


# --- the commands -----------------------------------------------------------------------


@pytest.fixture
def arms_file(marketplace_run, tmp_path):
    path = tmp_path / "arms.csv"
    outcome = call_cli(
        "campaign", "split", marketplace_run, "--segment", "Loyal High-Value Customers",
        "--group", "normal", "--share", "0.4", "--output", path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    return path


def test_the_list_holds_exactly_the_customers_of_the_segment(arms_file, marketplace_run):
    segments = pd.read_parquet(marketplace_run / "segments.parquet")
    wanted = segments[
        (segments["segment"] == "Loyal High-Value Customers")
        & (segments["segment_type"] == "normal")
    ]
    arms = pd.read_csv(arms_file, dtype={"customer_id": str})
    assert sorted(arms["customer_id"]) == sorted(wanted["customer_id"])
    assert (arms["arm"] == "treatment").mean() == pytest.approx(0.4, abs=0.03)


def test_the_read_out_says_what_was_planted(arms_file, tmp_path):
    arms = pd.read_csv(arms_file, dtype=str)
    treated = arms.loc[arms["arm"] == "treatment", "customer_id"].tolist()
    control = arms.loc[arms["arm"] == "control", "customer_id"].tolist()
    orders = treated[:60] + control[:20] + treated[:1]  # one ordered twice
    results = pd.DataFrame({"customer_id": [*orders, "stranger"], "amount": "10.50"})
    results.to_csv(tmp_path / "orders.csv", index=False)

    outcome = call_cli("campaign", "readout", arms_file, tmp_path / "orders.csv")

    assert outcome.code == 0, outcome.err
    found = response_uplift(60, len(treated), 20, len(control))
    assert f"uplift {100 * found.uplift:+.2f} percentage points" in outcome.out
    assert f"{100 * found.low:+.2f} to {100 * found.high:+.2f}: a change is shown" in outcome.out
    gap = 61 * 10.5 / len(treated) - 20 * 10.5 / len(control)
    assert f"uplift {gap:+,.2f}, 95% interval" in outcome.out
    assert "1 customer(s) of the results are in neither arm" in outcome.out
    assert not set(arms["customer_id"]) & set(outcome.out.split())


def test_the_size_of_a_test_is_said_both_ways():
    outcome = call_cli("campaign", "size", "--base", "0.05", "--effect", "0.02", "--customers", 500)
    assert "each arm needs 2,213 customers" in outcome.out
    effect = detectable_effect(250, 250, base=0.05)
    assert f"a rise of {100 * effect:.2f} percentage points" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--segment", "Nobody"), ("Nobody", "no such segment")),
        (("--segment", "Loyal High-Value Customers"), ("normal, pre_register", "--group")),
        (("--segment", "Loyal High-Value Customers", "--group", "x"), ("--group x",)),
    ],
)
def test_a_segment_that_is_not_one_is_refused(marketplace_run, tmp_path, arguments, words):
    output = ("--output", tmp_path / "a.csv")
    assert_refused(call_cli("campaign", "split", marketplace_run, *arguments, *output), *words)


def test_wrong_files_and_rates_are_refused(arms_file, tmp_path):
    (tmp_path / "bad.csv").write_text("customer_id,amount\n1,x\n", "utf-8")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", "utf-8")
    readout = ("campaign", "readout")
    assert_refused(call_cli(*readout, arms_file, tmp_path / "bad.csv"), "row 2")
    assert_refused(call_cli(*readout, arms_file, tmp_path / "other.csv"), "customer_id")
    assert_refused(call_cli(*readout, tmp_path / "none.csv", arms_file), "no such file")
    assert_refused(call_cli("campaign", "size", "--base", "1.5", "--effect", "0.1"), "--base 1.5")


# --- by segment -------------------------------------------------------------------------


def test_what_a_test_of_each_segment_can_show_is_recomputed(shipped_run):
    _, folder = shipped_run
    table = pd.read_csv(folder / "recommendations.csv")
    sizes = sizes_by_segment(table)
    assert len(sizes) == len(table)
    for found, row in zip(sizes.itertuples(), table.itertuples(), strict=True):
        halves = row.customers // 2, row.customers - row.customers // 2
        if math.isnan(row.base):
            assert math.isnan(found.detectable)
            assert pd.isna(found.can_show)
            continue
        if math.isnan(found.detectable):
            assert power_of(*halves, base=row.base, effect=1 - row.base) < 0.8
        else:
            power = power_of(*halves, base=row.base, effect=found.detectable)
            assert power == pytest.approx(0.8)
        assert found.can_show == (found.detectable <= row.break_even_response)
        assert row.detectable == pytest.approx(found.detectable, nan_ok=True)


def test_without_a_hold_out_no_size_is_claimed():
    columns = [
        "segment_type", "segment", "customers", "outcome_days", "base", "base_low", "base_high",
        "base_customers", "break_even_response",
    ]  # fmt: skip
    row = ("normal", "A", 100, 60, *[float("nan")] * 4, 0.1)
    sizes = sizes_by_segment(pd.DataFrame([row], columns=columns))
    said = insights.sample_size_sentence(sizes, no_holdout="the source has no dates")
    assert "not known (the source has no dates)" in said
    assert "–" in insights.sample_size_table(sizes, cut="").text
