"""What segments buy more than others: by hand, and against the lines of a shipped shop."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
from conftest import ROOT

from segmentation.actions.break_even import margin_used, own_margin
from segmentation.book.words.preferences import (
    margins_sentence,
    preferences_sentence,
    preferences_table,
)
from segmentation.book.words.recommendations import _by_own_margin, break_even_sentence
from segmentation.book.words.warnings import cost_words
from segmentation.core.limits import ASSUMED_MARGIN
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.evidence.preferences import _WITHOUT_ONE, compared
from segmentation.run.run import Run


def members(**sizes) -> pd.DataFrame:
    names = [name for name, size in sizes.items() for _ in range(size)]
    return pd.DataFrame({"segment_type": "normal", "segment": names})


def found(*rows) -> pd.DataFrame:
    columns = ["value", "segment", "buyers", "total", "squares", "revenue"]
    return pd.DataFrame(rows, columns=columns).assign(segment_type="normal")


def test_shares_are_means_over_customers_and_only_what_is_beyond_chance_differs():
    sums = found(
        ("tea", "High", 100, 50.0, 25.0, 900.0),  # each puts half into tea
        ("tea", "Low", 40, 40.0, 40.0, 90.0),  # 40 of 400 put all into it
        ("jam", "High", 10, 3.0, 1.0, 20.0),  # 3% of each: as Low
        ("jam", "Low", 40, 12.0, 4.0, 80.0),
        ("one", "High", 29, 29.0, 29.0, 9e9),  # of too few customers, however much they spent
    )
    table = compared(sums, members(High=100, Low=400)).set_index(["value", "segment"])

    assert set(table.index.get_level_values("value")) == {"tea", "jam"}
    high = table.loc[("tea", "High")]
    assert (high["share"], high["others"], high["customers"], high["buyers"]) == (
        0.5,
        0.1,
        100,
        100,
    )
    assert table.loc["tea", "differs"].all() and not table.loc["jam", "differs"].any()


def test_a_segment_too_small_to_conclude_of_is_not_compared():
    sums = found(
        ("tea", "High", 29, 29.0, 29.0, 9.0), ("tea", "Low", 50, 5.0, 5.0, 9.0),
        ("jam", "Low", 50, 45.0, 45.0, 9.0),
    )  # fmt: skip
    assert compared(sums, members(High=29, Low=50)).empty


@pytest.fixture(scope="module")
def run(marketplace_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(marketplace_run / "params.yaml")), runs_dir)


def test_the_margin_is_that_of_the_files(run):
    raw = ROOT / "data" / "raw_data" / "marketplace"
    lines = pd.read_csv(raw / "order_detail.csv", dtype={"customer_id": str})
    goods = pd.read_csv(raw / "sku_detail.csv").set_index("id")["cogs"]
    margins = run["margins"]

    kept = run["ledger"].set_index("rule").loc["kept"]
    assert margins["lines"].sum() == margins["with_cost"].sum() == kept["rows"]
    assert margins["revenue"].sum() == pytest.approx(float(kept["amount"]))
    sold = lines[(lines["is_valid"] == 1) & (lines["qty_ordered"] > 0)]
    sold = sold.dropna(subset=["customer_id", "order_date"])
    cost = (sold["sku_id"].map(goods) * sold["qty_ordered"]).sum()
    assert margins["cost"].sum() == pytest.approx(cost, abs=0.005)
    assert margins["without_one"].nunique() == 1
    carried = margins.assign(without_one=margins["without_one"] + 0.02)
    assert " (27% without one order) of revenue" in margins_sentence(
        carried, assumed=0.3, currency="USD"
    )
    said = margins_sentence(margins, assumed=0.3, currency="USD")
    assert "25% of revenue is left" in said and "assume a gross margin of 30%" in said
    as_set = margins_sentence(margins, assumed=0.246, currency="USD")
    assert as_set.endswith("; what is said of when a campaign pays counts with it.")


def test_the_order_that_moves_the_margin_most_is_left_out_whole():
    lines = pd.DataFrame(
        {"customer_id": list("aabc"), "order_id": list("1123"), "amount": [50.0, 50, 100, 40],
         "cost": [40.0, 35, 75, 39], "rule": "kept"}
    )  # fmt: skip
    members = pd.DataFrame({"customer_id": list("abc")})
    with duckdb.connect() as connection:
        connection.register("classified", lines)
        connection.register("members", members)
        assert connection.sql(_WITHOUT_ONE).fetchall() == [(0.25,)], "21.25% with the order of c"
    own = pd.DataFrame({"revenue": [240.0], "cost": [189.0], "without_one": [0.25]})
    said, _ = one_play(own)
    assert "own gross margin is 21%** (25% without one order)" in said
    assert "without one" not in one_play(own.assign(without_one=0.22))[0]


def test_break_evens_count_with_the_shops_own_margin_unless_one_is_set(run):
    margins = run["margins"]
    own = round(1 - margins["cost"].sum() / margins["revenue"].sum(), 3)
    assert own != ASSUMED_MARGIN and run.parameters.gross_margin == "auto"
    assert run["call_first_facts"]["gross_margin"] == own
    plays = run["recommendations"]
    cost = run.parameters.contact_cost
    expected = cost / (own * plays["response_value"])
    assert plays["break_even_response"].to_numpy() == pytest.approx(expected.to_numpy())
    asked = run.with_parameters(gross_margin=0.5)
    doubled = asked["recommendations"]["break_even_response"] * 0.5 / own
    assert plays["break_even_response"].to_numpy() == pytest.approx(doubled.to_numpy())


@pytest.mark.parametrize(
    ("costs", "used"),
    [
        ({"with_cost": [80, 0], "cost": [60.0, 0.0]}, 0.25),
        ({"with_cost": [79, 0], "cost": [60.0, 0.0]}, ASSUMED_MARGIN),  # a fifth has no cost
        ({"with_cost": [80, 20], "cost": [60.0, 30.0]}, ASSUMED_MARGIN),  # nothing is left
        ({"with_cost": [80, 20], "cost": [60.0, 19.99]}, ASSUMED_MARGIN),  # 0.01%
    ],
)
def test_a_margin_of_part_of_the_lines_or_of_nothing_is_not_used(costs, used):
    table = pd.DataFrame({"lines": [80, 20], "revenue": [80.0, 0.0]} | costs)
    assert margin_used("auto", table) == pytest.approx(used)
    assert margin_used(0.4, table) == 0.4


def one_play(margins, **changed):
    row = {"segment_type": "normal", "segment": "High", "is_campaign": True, "customers": 400}
    plays = pd.DataFrame(
        [
            row
            | {
                "break_even_response": 0.03,
                "break_even_mean": float("nan"),
                "campaign_cost": 400,
                "typical_order": 60.0,
            }
            | changed
        ]
    )
    said = break_even_sentence(plays, margins, gross_margin=0.3, contact_cost=1.0, currency="USD")
    return said, _by_own_margin(next(plays.itertuples()), 0.3, own_margin(margins))


def test_break_even_stands_there_by_the_assumed_margin_and_by_the_own():
    """Of $100 that cost $80 a fifth is left, and 0.03 x 0.3 / 0.2 = 0.045."""
    own = pd.DataFrame({"revenue": [60.0, 40.0], "cost": [50.0, 30.0]})
    said, card = one_play(own)
    assert "own gross margin is 20%" in said
    assert "a campaign to High pays if 4.5% order because of it, instead of 3.0%" in said
    assert "margin of 20%, not the 30% assumed: 1 in 22 customers orders." in card
    assert "a single order still does" in one_play(own, break_even_response=0.001)[1]
    assert "one extra order does not pay" in one_play(own, break_even_response=0.9)[1]


def test_a_cost_that_looks_like_another_currency_tells_no_break_even():
    own = pd.DataFrame({"revenue": [60.0, 40.0], "cost": [50.0, 30.0]})
    said, _ = one_play(own, typical_order=20_000.0)
    assert "looks like another currency" in said and "own gross margin is 20%" in said
    assert "per contact beside typical orders of \\$20.0K looks" in said
    plays = pd.DataFrame(
        {"typical_order": [20_000.0, 90_000.0, 60_000.0], "campaign_cost": 1.0, "customers": 1}
    )
    assert "beside typical orders of $20.0K to $90.0K looks" in cost_words(plays, 1.0, "USD")
    assert "pays if" not in said


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ([], "Both are assumptions, not findings"),
        ([70.0], "the shop's own by its costs"),
        ([130.0], "then no campaign pays for itself"),
    ],
)
def test_without_costs_of_another_margin_no_second_break_even_is_told(cost, words):
    said, card = one_play(pd.DataFrame({"revenue": [100.0] * len(cost), "cost": cost}))
    assert words in said and card == ""


def test_planted_habits_are_found_and_few_buyers_hidden(run):
    table = run["preferences"]
    assert set(table["dimension"]) == {"category", "product", "payment_method", "season"}
    bulk = table[(table["segment"] == "Extreme High Volume Buyers") & table["differs"]]
    assert {"Packaging", "Stationery"} <= set(bulk.loc[bulk["share"] > bulk["others"], "value"])
    assert "fewer than 5 of" in repr(preferences_table(table))
    assert "Packaging" in preferences_sentence(table)


def test_seasons_need_two_years_and_nothing_is_said_of_nothing(run):
    without = run["preferences"].query("dimension != 'season'").assign(differs=False)
    said = preferences_sentence(without)
    assert said.startswith(
        "In category and product and payment no segment differs by 2 points or more, beyond chance."
    )
    assert "less than two years" in said
    assert preferences_sentence(without.head(0)) == "" == preferences_table(without).markup


def test_products_that_nobody_spends_much_on_are_said_to_tell_nothing(run):
    """Where the largest product takes 1.3% of anybody's spend, no two shares part by two points."""
    table = run["preferences"].query("dimension in ('category', 'product')").assign(differs=False)
    is_product = table["dimension"] == "product"
    small = table.assign(share=table["share"].mask(is_product, 0.013), others=0.001)

    said = preferences_sentence(small)

    assert said.startswith(
        "In category no segment differs by 2 points or more, beyond chance. No single product "
        "takes 2 points of spend in any segment (1.3% at most), so by product segments cannot be "
        "told apart here."
    )
    assert preferences_sentence(small[is_product]).startswith("No single product")
    large = small.assign(share=small["share"].mask(is_product, 0.021))
    assert "In category and product no segment" in preferences_sentence(large)


def test_a_season_is_said_to_tell_when_customers_came(run):
    table = run["preferences"]
    seasonal = table.assign(differs=table["dimension"] == "season")
    assert "tell when customers came" in preferences_sentence(seasonal)
    other = table.assign(differs=table["dimension"] == "category")
    assert "tell when customers came" not in preferences_sentence(other)
