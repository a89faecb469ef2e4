"""Campaign kit: a split that can be made again, sizes and intervals that hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from conftest import assert_refused, call_cli
from scipy.stats import norm, ttest_ind

from segmentation.actions.campaign import (
    balance,
    blocks_of,
    customers_needed,
    detectable_effect,
    power_of,
    response_in_blocks,
    response_uplift,
    rise_shown_to_pay,
    sizes_by_segment,
    split,
    uplift_in_blocks,
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


def drawn_in_blocks(spent: np.ndarray, share: float, chance: np.random.Generator) -> np.ndarray:
    """Arms as `split` draws them: within tens of like spend."""
    treated = np.zeros(len(spent), dtype=bool)
    for ten in np.array_split(np.argsort(spent), len(spent) // 10):
        treated[chance.permutation(ten)[: round(len(ten) * share)]] = True
    return treated


@pytest.mark.parametrize(("share", "least", "narrower"), [(0.5, 0.94, 0.95), (0.2, 0.9, 1.0)])
@pytest.mark.parametrize("effect", [0.0, 3.0])
def test_the_read_out_by_blocks_covers_the_truth_and_knows_how_exact_it_is(
    share, least, narrower, effect
):
    """Customers buy as they did, with heavy tails; without effect it is an A/A trial.

    Of 80 contacted of 400 the tail is not always seen: 91% there, as by Welch's interval.
    """
    chance, trials, n = np.random.default_rng(14), 300, 400
    spent = chance.lognormal(3, 1, n)
    after = spent * chance.gamma(0.5, 2, n) * (chance.random(n) < 0.6)
    ordered = after > 0
    covered = same = 0
    widths, welch, found_gaps = [], [], []
    for _ in range(trials):
        treated = drawn_in_blocks(spent, share, chance)
        block = blocks_of(spent, treated)
        money = after + effect * treated
        found = uplift_in_blocks(money, treated, block)
        plain = ttest_ind(money[treated], money[~treated], equal_var=False).confidence_interval()
        response = response_in_blocks(ordered, treated, block)
        covered += found.low <= effect <= found.high
        same += response.low <= 0 <= response.high
        widths.append(found.high - found.low)
        welch.append(plain.high - plain.low)
        found_gaps.append(found.uplift)
    assert covered / trials >= least
    assert same / trials >= 0.93
    assert np.mean(widths) < narrower * np.mean(welch)
    assert np.mean(widths) / 2 / 1.96 == pytest.approx(np.std(found_gaps), rel=0.2)


def test_blocks_hold_five_of_each_arm_and_like_spend():
    chance = np.random.default_rng(3)
    spent = chance.lognormal(3, 1, 237)
    for share in (0.5, 0.1):
        treated = drawn_in_blocks(spent, share, chance)
        block = blocks_of(spent, treated)
        table = pd.DataFrame({"block": block, "treated": treated, "spent": spent})
        counts = table.groupby(["block", "treated"]).size().unstack(fill_value=0)
        assert counts.to_numpy().min() >= 5
        ends = table.groupby("block")["spent"].agg(["min", "max"])
        assert (ends["max"].to_numpy()[:-1] <= ends["min"].to_numpy()[1:]).all()
    assert set(blocks_of(np.ones(3), np.array([True, False, False]))) == {0}


def test_without_any_difference_nothing_is_shown():
    same = response_uplift(10, 100, 10, 100)
    assert (same.uplift, same.is_shown) == (0.0, False)
    treated = np.arange(10) < 5
    assert not uplift_in_blocks(np.zeros(10), treated, np.zeros(10, dtype=int)).is_shown


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
    is_treated = (arms["arm"] == "treatment").to_numpy()
    block = blocks_of(arms["total_spent"].astype(float).to_numpy(), is_treated)
    bought = arms["customer_id"].map(results["customer_id"].value_counts()).fillna(0)
    found = response_in_blocks((bought > 0).to_numpy(), is_treated, block)
    plain = 100 * (found.treatment - found.control)
    assert f"uplift {plain:+.2f} percentage points; among" in outcome.out
    assert f"like past spend {100 * found.uplift:+.2f}, 95% interval" in outcome.out
    assert f"{100 * found.low:+.2f} to {100 * found.high:+.2f}: a change is shown" in outcome.out
    table = pd.DataFrame({"block": block, "arm": is_treated, "money": 10.5 * bought})
    means = table.groupby(["block", "arm"])["money"].mean().unstack()
    gap = np.average(means[True] - means[False], weights=table["block"].value_counts().sort_index())
    assert f"among customers of like past spend {gap:+,.2f}, 95%" in outcome.out
    assert "1 customer(s) of the results are in neither arm" in outcome.out
    assert not set(arms["customer_id"]) & set(outcome.out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--break-even", 0.05), "+5.00 points: shown to pay"),
        (("--break-even", 0.25), "+25.00 points: cannot tell whether it pays"),
        (("--break-even", 0.6), "+60.00 points: shown not to pay"),
        (("--gross-margin", 0.5, "--contact-cost", 0.5), "+1.00: shown to pay"),
        (("--gross-margin", 0.5, "--contact-cost", 4.0), "+8.00: shown not to pay"),
    ],
)
def test_the_read_out_speaks_about_break_even(arms_file, tmp_path, options, words):
    arms = pd.read_csv(arms_file, dtype=str)
    parts = [arms.loc[arms["arm"] == arm, "customer_id"] for arm in ("treatment", "control")]
    who = pd.concat(
        [ids.head(len(ids) * part // 10) for ids, part in zip(parts, (5, 2), strict=True)]
    )
    who.to_frame().assign(amount="10").to_csv(tmp_path / "orders.csv", index=False)
    outcome = call_cli("campaign", "readout", arms_file, tmp_path / "orders.csv", *options)
    assert words in outcome.out, outcome.out


def test_the_read_out_refuses_half_of_what_pays(arms_file, tmp_path):
    pd.read_csv(arms_file, dtype=str)[["customer_id"]].head(3).to_csv(
        tmp_path / "orders.csv", index=False
    )
    readout = ("campaign", "readout", arms_file, tmp_path / "orders.csv")
    assert_refused(call_cli(*readout, "--gross-margin", 0.3), "both or neither")
    costs = ("--gross-margin", 0.3, "--contact-cost", 1)
    assert_refused(call_cli(*readout, *costs), "lacks the column amount")
    assert_refused(call_cli(*readout, "--break-even", -1), "--break-even -1")


@pytest.mark.parametrize("needed", [0.0, 0.05])
def test_the_rise_shown_to_pay_is_shown_in_four_of_five_trials(needed):
    chance, n, base = np.random.default_rng(2), 2000, 0.2
    rise = rise_shown_to_pay(n, n, base=base, needed=needed)
    treated = chance.binomial(n, base + rise, 4000)
    control = chance.binomial(n, base, 4000)
    shown = [
        response_uplift(int(t), n, int(c), n).verdict(needed) == "shown to pay"
        for t, c in zip(treated, control, strict=True)
    ]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("half", [12, 37, 110])
def test_no_rise_is_shown_to_pay_that_is_too_small_to_be_found(half):
    found = detectable_effect(half, half, base=0.11)
    assert rise_shown_to_pay(half, half, base=0.11, needed=0.0001) >= found
    # a handful of customers: above break-even is more than above zero
    few = detectable_effect(12, 12, base=0.2)
    assert rise_shown_to_pay(12, 12, base=0.2, needed=0.02) >= few + 0.02


ARMS = pd.DataFrame(
    {
        "customer_id": [f"{n:05d}" for n in range(76, 116)],
        "arm": ["treatment", "control"] * 20,
    }
)
BOUGHT = [*ARMS["customer_id"][::2][:12], *ARMS["customer_id"][1::2][:3]]
UPLIFT = "uplift +45.00 percentage points"


def read_out_of(folder, text: str):
    ARMS.to_csv(folder / "arms.csv", index=False)
    (folder / "orders.csv").write_text(text, encoding="utf-8")
    return call_cli("campaign", "readout", folder / "arms.csv", folder / "orders.csv")


def orders_text(ids, separator=",", amount="43.90", header="customer_id{}amount") -> str:
    lines = [header.format(separator), *(f"{one}{separator}{amount}" for one in ids)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(orders_text(BOUGHT, ";", "43,90"), id="semicolons-and-commas"),
        pytest.param(orders_text(BOUGHT, "\t"), id="tabs"),
        pytest.param(orders_text(BOUGHT, ",", '"1,043.90"'), id="thousands"),
        pytest.param(orders_text(BOUGHT, header="Customer_ID{} AMOUNT "), id="capitals-in-header"),
        pytest.param(orders_text([f" {one}\u00a0" for one in BOUGHT]), id="blanks"),
    ],
)
def test_results_are_read_as_programs_write_them(tmp_path, text):
    outcome = read_out_of(tmp_path, text)
    assert outcome.code == 0, outcome.err
    assert UPLIFT in outcome.out


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([f"{int(one)}.0" for one in BOUGHT], ("15 of 15", "'76.0' for '00076'")),
        ([str(int(one)) for one in BOUGHT], ("15 of 15", "'76' for '00076'")),
        ([f"0{one}" for one in BOUGHT], ("15 of 15", "'000076' for '00076'")),
        ([*BOUGHT[:14], str(int(BOUGHT[14]))], ("1 of 15",)),
        ([f"000\u200b{one[3:]}" for one in BOUGHT], ("15 of 15",)),
        ([f"X{one}" for one in BOUGHT], ("0 of 15 customer ids are in arms.csv", "'X00076'")),
        ([*BOUGHT[:5], *(f"Y{one}" for one in BOUGHT)], ("5 of 20 customer ids",)),
    ],
)
def test_ids_that_are_not_those_of_the_list_stop_the_read_out(tmp_path, ids, words):
    assert_refused(read_out_of(tmp_path, orders_text(ids)), "orders.csv", *words)


def test_results_without_an_order_stop_the_read_out(tmp_path):
    outcome = read_out_of(tmp_path, "customer_id,amount\n")
    assert_refused(outcome, "orders.csv: holds no order", "none of 40 customers")


def test_who_only_sent_something_back_did_not_respond(tmp_path):
    returned = orders_text(ARMS["customer_id"][20:30], amount="-43.90").split("\n", 1)[1]
    outcome = read_out_of(tmp_path, orders_text(BOUGHT) + returned)
    assert outcome.code == 0, outcome.err
    assert UPLIFT in outcome.out


def test_the_size_of_a_test_is_said_both_ways():
    outcome = call_cli("campaign", "size", "--base", "0.05", "--effect", "0.02", "--customers", 500)
    assert "each half needs 2,213 customers" in outcome.out
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
    listed = pd.read_csv(arms_file, dtype=str).at[0, "customer_id"]
    (tmp_path / "bad.csv").write_text(f"customer_id,amount\n{listed},x\n", "utf-8")
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
        "base_customers", "break_even_response", "break_even_mean",
    ]  # fmt: skip
    row = ("normal", "A", 100, 60, *[float("nan")] * 4, 0.1, float("nan"))
    sizes = sizes_by_segment(pd.DataFrame([row], columns=columns))
    said = insights.sample_size_sentence(sizes, no_holdout="the source has no dates")
    assert "not known (the source has no dates)" in said
    assert "–" in insights.sample_size_table(sizes).text
