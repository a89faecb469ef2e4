"""Who orders anyway, what a segment's revenue hangs on, and what the data cannot support."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TinyShop, ordinary_orders
from independent import cdnow_lines
from test_recommend import REST, segment

from segmentation.actions.campaign import sizes_by_segment
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import (
    FOLLOWED,
    FORECAST,
    recommend,
    revenue_interval,
    who_orders_anyway,
)
from segmentation.book.words import (
    first_round_sentence,
    holdout_sentence,
    plan_table,
    recommendation_cards,
)
from segmentation.core.intervals import wilson
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.evidence.forecast import ANYWAY_COLUMNS
from segmentation.evidence.rankings import RESPONSE_COLUMNS, responses
from segmentation.run.run import Run
from segmentation.segments.model import load_model

STABILITY = pd.DataFrame(columns=["segment_type", "segment", "verdict", "jaccard"])


# --- who orders anyway ------------------------------------------------------------------


@pytest.fixture(scope="module")
def cdnow(cdnow_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)


def test_who_orders_anyway_equals_an_independent_recomputation(cdnow):
    """Orders after the cut, from the raw file; today's borders on features up to the cut."""
    cut = dt.date(1997, 9, 30)
    lines = cdnow_lines(ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt")
    after = lines[lines["day"] > cut]
    later = after.groupby("customer_id")["day"].min()
    first = after[after["day"] == after["customer_id"].map(later)]
    first_order = first.groupby("customer_id")["amount"].sum().astype(float)
    days = later.map(lambda day: (day - cut).days)
    known = cdnow.with_parameters(as_of=cut, calibration_end="auto")["features"]
    at_cut = load_model(cdnow.stage("segments") / "model").assign(known)
    waited = at_cut["customer_id"].map(days)
    table = cdnow["holdout_responses"].set_index(["segment", "days"])

    assert set(table.index.get_level_values("days")) == {30, 60, 90, 180}
    for (name, period), row in table.iterrows():
        own = waited[at_cut["segment"] == name]
        assert (row["customers"], row["ordered"]) == (len(own), (own <= period).sum())
        assert row["share"] == pytest.approx((own <= period).mean())
        assert (row["low"], row["high"]) == pytest.approx(wilson((own <= period).sum(), len(own)))
        recency = known.loc[(at_cut["segment"] == name).to_numpy(), "recency"]
        assert row["median_recency"] == recency.median()
        who = at_cut["customer_id"][(at_cut["segment"] == name) & (waited <= period)]
        assert row["value"] == pytest.approx(who.map(first_order).mean())
        within = after[after["day"] <= cut + dt.timedelta(days=period)]
        money = within.groupby("customer_id")["amount"].sum().astype(float)
        assert row["value_in_period"] == pytest.approx(who.map(money).mean())


def test_who_orders_anyway_is_asked_of_those_within_todays_borders(marketplace_run, runs_dir):
    """At the cut most members of the segment with most units were no bulk buyers: no such name."""
    run = Run(parameters_from(load_yaml(marketplace_run / "params.yaml")), runs_dir)
    name = "Extreme High Volume Buyers"
    today = run["customers"].query("segment_type == 'normal' and segment == @name")
    by_name = run["holdout_segments"].query("segment_type == 'normal'").set_index("segment")
    followed = run["holdout_responses"].query("segment_type == 'normal' and days == 90")
    followed = followed.set_index("segment").loc[name]
    assert name not in by_name.index
    assert by_name["as_today"].isna().sum() == 2, "names of the cut that nobody has today"
    at_cut = run["cut_features"]
    normal = at_cut[at_cut["register_to_order"] >= 0]
    inside = load_model(run.stage("segments") / "model").assign(
        normal.assign(segment_type="normal")
    )
    held = inside["segment"] == name
    assert held.sum() == followed["customers"]
    units = inside.loc[held, "total_unit"]
    assert units.median() > 0.5 * today["total_unit"].median(), "bulk buyers, as today's are"
    card = recommendation_cards(
        run["recommendations"],
        run["campaign_plan"],
        currency="USD",
        overview=run["overview"],
        cut=run["holdout"]["cut"],
        colours={},
        gross_margin=0.3,
        margins=run["margins"],
    ).text
    assert f"of its {len(today)} customers are expected to order within" in card
    said = holdout_sentence(run["holdout"], run["holdout_segments"], currency="USD")
    assert "by today's borders only" not in said and "today no segment is called" in said
    known = run["holdout_segments"].assign(as_today=1.0)
    assert "not always that" not in holdout_sentence(run["holdout"], known, currency="USD")
    other = run["holdout_segments"].assign(as_today=0.5)
    few = run["holdout_segments"].assign(revenue_per_customer_high=float("nan"))
    told = holdout_sentence(run["holdout"], few, currency="USD")
    worst = "Normal Low Engagement Customers (registered first)"
    assert f"So few of {worst} brought most of their money that it has no interval" in told
    assert "not always that" in holdout_sentence(run["holdout"], other, currency="USD")


def test_a_segment_of_the_long_absent_still_orders_sometimes(cdnow):
    """Recency made the segments: counting in their own window would give nothing at all."""
    table = cdnow["recommendations"].set_index("segment")
    absent = table["median_recency"].idxmax()
    customers = cdnow["customers"]
    window = customers.loc[customers["segment"] == absent, "recency"] < 60
    assert window.mean() < 0.005
    assert table.at[absent, "base"] > 0.02


def test_no_period_is_answered_beyond_what_was_observed():
    followed = pd.DataFrame(
        {"segment_type": "normal", "segment": "A", "days_to_order": [1.0, np.nan]}
    )
    assert responses(followed, observed_days=89)["days"].tolist() == [30, 60]
    assert responses(followed, observed_days=29).empty


def test_base_is_the_forecast_of_todays_customers(cdnow):
    today = cdnow["order_anyway"].set_index(["segment", "days"])
    followed = cdnow["holdout_responses"].set_index(["segment", "days"])
    for row in cdnow["recommendations"].itertuples():
        at = (row.segment, row.outcome_days)
        assert row.base_is == FORECAST
        assert (row.base, row.base_low, row.base_high) == tuple(
            today.loc[at, ["share", "low", "high"]]
        )
        assert row.base_customers == row.customers
        assert row.base_ordered > followed.at[at, "ordered"], "four quarters, not one cut"


def test_worth_of_an_order_is_that_of_the_last_four_quarters_recomputed(cdnow):
    """One cut nine months back said $40.21 of Medium value, where the last quarter's were $34."""
    lines = cdnow_lines(ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt")
    daily = lines.assign(amount=lines["amount"].astype(float))
    daily = daily.groupby(["customer_id", "day"])["amount"].sum().reset_index()
    model, found = load_model(cdnow.stage("segments") / "model"), []
    for end in ("1997-06-30", "1997-09-30", "1997-12-31", "1998-03-31"):
        cut = dt.date.fromisoformat(end)
        known = cdnow.with_parameters(as_of=cut, calibration_end="auto")["features"]
        placed = model.assign(known)[["customer_id", "segment"]]
        after = daily[daily["day"] > cut].merge(placed, on="customer_id").sort_values("day")
        after["days"] = [(day - cut).days for day in after["day"]]
        spent = after[after["days"] <= 90].groupby("customer_id")["amount"].sum()
        first = after.drop_duplicates("customer_id")
        found.append(first.assign(as_of=end, within=first["customer_id"].map(spent)))
    orders = pd.concat(found)
    table = cdnow["order_anyway"].set_index(["segment", "days"])
    for (name, days), own in [(key, table.loc[key]) for key in table.index if key[1] <= 90]:
        came = orders[(orders["segment"] == name) & (orders["days"] <= days)]
        assert (own["ordered"], own["quarters"]) == (len(came), 4)
        lately = came[came["as_of"] == "1998-03-31"]
        each = came.groupby("as_of")["amount"].mean()
        counted = lately if (each.diff().dropna() < 0).all() else came
        assert own["value"] == pytest.approx(counted["amount"].mean())
        assert own["typical"] == pytest.approx(counted["amount"].median(), abs=0.005)
        assert (own["latest"], own["latest_value"]) == (
            "1998-03-31", pytest.approx(lately["amount"].mean()),
        )  # fmt: skip
        if days == 90:
            assert own["value_in_period"] == pytest.approx(counted["within"].mean(), rel=1e-3)
    row = cdnow["recommendations"].set_index("segment").loc["Medium value"]
    assert round(row["mean_value"], 2) == round(row["latest_value"], 2) == 34.35
    card = recommendation_cards(
        cdnow["recommendations"], cdnow["campaign_plan"], currency="USD",
        overview=cdnow["overview"], cut="", colours={}, gross_margin=0.3, margins=cdnow["margins"],
    ).text  # fmt: skip
    assert (
        "the first day's orders within 60 days after 1998-03-31, the last quarter followed: they were worth "
        "less in each quarter than in the one before" in card
    )
    low = cdnow["order_anyway"].query("segment == 'Low value' and days == 90")
    ordered = f"{int(low['ordered'].iloc[0]):,}"
    assert (
        f"{ordered} times that a customer who stood here came within 90 days after the end of one of the "
        "last 4 quarters" in card
    )
    assert "from 1998-03-31, they were worth $28.79: by these it pays if 1 in 8" in card
    assert (
        "Of those who stood here on 1998-03-31, 11% did, where the same forecast said 13%." in card
    )


def test_a_cost_of_another_currency_stands_on_no_card_and_in_no_list(cdnow):
    """The first page says that costs are not known yet: then no page tells any."""
    shown = {
        "currency": "USD", "overview": cdnow["overview"], "cut": "", "colours": {},
        "gross_margin": 0.3, "margins": cdnow["margins"],
    }  # fmt: skip
    plays, plan = cdnow["recommendations"], cdnow["campaign_plan"]
    assert "<dt>Costs</dt>" in recommendation_cards(plays, plan, **shown).markup
    dear = plays.assign(typical_order=150_000.0)
    assert "<dt>Costs</dt>" not in recommendation_cards(dear, plan, **shown).markup
    costs = [
        plan_table(plan, contact_cost=1.0, currency="USD", is_told=is_told).markup
        for is_told in (True, False)
    ]
    assert ["$" in text for text in costs] == [True, False]
    assert ["ost" in text for text in costs] == [True, False]
    assert [text.count('scope="col" class="num"') + text.count('class="num" scope="col"')
            for text in costs] == [5, 4]  # fmt: skip


def test_without_a_forecast_base_is_of_those_followed():
    followed = pd.DataFrame(
        {"segment_type": "normal", "segment": "A", "days": [60], "customers": 100, "ordered": 20,
         "share": 0.2, "low": 0.1, "high": 0.3, "median_recency": 40.0}
    )  # fmt: skip
    none = pd.DataFrame(columns=list(ANYWAY_COLUMNS))
    (row,) = who_orders_anyway(followed, none).to_dict("records")
    assert (row["share"], row["customers"], row["base_is"]) == (0.2, 100, FOLLOWED)
    assert who_orders_anyway(followed.iloc[:0], none).empty


def test_base_is_that_of_the_plays_own_period():
    rates = pd.DataFrame(
        {"segment_type": "normal", "segment": "S", "days": [60, 90], "customers": 10,
         "ordered": [1, 2], "share": [0.1, 0.2], "low": 0.0, "high": 0.5, "median_recency": 9.0,
         "value": 9.0, "value_in_period": 9.0}
    )  # fmt: skip
    customers = pd.concat([segment("S", spent=400.0, units=12.0), REST], ignore_index=True)
    customers["cluster"] = (customers["segment"] == "S").astype(int)
    table = recommend(customers, gross_margin=0.3, contact_cost=1.0, responses=rates)
    table = table.set_index("segment")
    assert (table.at["S", "play"], table.at["S", "outcome_days"]) == ("Retain", 90)
    assert table.at["S", "base"] == 0.2
    assert "90 days" in table.at["S", "measure"]
    assert np.isnan(table.at["Rest", "base"]), "no segment of that name at the cut"


def test_a_source_without_hold_out_says_so(tmp_path):
    shop = TinyShop(tmp_path).lines(ordinary_orders(12))
    run = Run(parameters_from(shop.parameters | {"n_clusters": 2}), shop.runs_dir)
    assert not run["holdout"]["possible"]
    table = run["recommendations"]
    assert table["base"].isna().all()
    assert not table["is_supported"].any()


# --- money at stake ---------------------------------------------------------------------


def test_revenue_interval_covers_the_expected_revenue_as_often_as_it_says():
    chance, covered, trials = np.random.default_rng(5), 0, 400
    truth = 900 * 0.3 * np.exp(3 + 0.5)  # share of customers in the segment, mean of lognormal
    for trial in range(trials):
        inside = chance.random(900) < 0.3
        spent = chance.lognormal(3, 1, 900)[inside]
        low, high = revenue_interval(spent, 900, random_state=trial)
        covered += low <= truth <= high
    assert 0.91 <= covered / trials <= 0.98


def test_revenue_interval_is_that_of_the_normal_approximation_where_customers_are_many():
    chance = np.random.default_rng(3)
    spent = chance.gamma(2.0, 50.0, 20_000)
    low, high = revenue_interval(spent, 50_000, random_state=1)
    everybody = np.append(spent, np.zeros(30_000))
    reach = 1.96 * everybody.std() * np.sqrt(50_000)
    assert (high - low) / 2 == pytest.approx(reach, rel=0.15)
    assert low < spent.sum() < high


def test_revenue_interval_does_not_depend_on_the_order_of_rows():
    spent = np.arange(50.0)
    assert revenue_interval(spent, 90, random_state=1) == revenue_interval(
        spent[::-1], 90, random_state=1
    )


def test_revenue_lies_within_its_interval_in_every_segment(shipped_run):
    table = pd.read_csv(shipped_run[1] / "recommendations.csv")
    assert (table["revenue_low"] <= table["revenue"]).all()
    assert (table["revenue"] <= table["revenue_high"]).all()


# --- what the data cannot support -------------------------------------------------------


def limits_of(*, n: int = 5000, base: float = 0.2, cost: float = 1.0, spent: float = 60.0, **more):
    """Limits of one large segment of one-time buyers; more = verdict, jaccard, whale."""
    customers = pd.concat([segment("S", n, orders=1, spent=spent), segment("Rest", n, spent=80.0)])
    customers = customers.reset_index(drop=True)
    if "whale" in more:
        customers.loc[0, "total_spent"] = more["whale"]
    customers["cluster"] = (customers["segment"] == "S").astype(int)
    rates = pd.DataFrame(
        [
            ("normal", "S", days, 900, 900 * base, base, base, base, 9.0, spent, spent, spent)
            for days in (60, 90)
        ],
        columns=list(RESPONSE_COLUMNS),
    )
    table = recommend(customers, gross_margin=0.3, contact_cost=cost, responses=rates)
    tried = STABILITY
    if "verdict" in more:
        tried = pd.DataFrame(
            {"segment_type": ["normal"], "segment": ["S"], "verdict": [more["verdict"]],
             "jaccard": [0.41]}
        )  # fmt: skip
    made = add_limits(table, sizes_by_segment(table), tried, no_holdout="").set_index("segment")
    return made.at["S", "is_supported"], made.at["S", "limits"]


def test_a_large_stable_segment_with_a_known_base_has_nothing_against_it():
    assert limits_of() == (True, "")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"n": 29}, "campaign to 29 customers cannot be measured", id="too-few"),
        pytest.param({"cost": 100.0}, "does not pay for one contact", id="contact-too-dear"),
        pytest.param({"base": 0.96}, "96% order anyway", id="nobody-left-to-win"),
        pytest.param({"n": 100}, "nobody could tell", id="test-too-small"),
        pytest.param({"verdict": "unstable"}, "41% of them are the same", id="unstable"),
        pytest.param({"base": float("nan")}, "order anyway is not known", id="no-base"),
    ],
)
def test_each_reason_against_is_said_and_takes_the_support_away(changed, words):
    supported, limits = limits_of(**changed)
    assert words in limits
    assert not supported


def test_one_customer_who_brings_a_fifth_is_named_but_forbids_nothing():
    supported, limits = limits_of(whale=100_000.0)
    assert "one customer brought 25% of its revenue" in limits
    assert supported


def test_a_comparison_is_not_said_to_prove_what_it_only_notices():
    rows = pd.DataFrame(
        {"segment_type": "normal", "segment": ["High", "Low"], "is_campaign": True,
         "is_supported": [True, False], "base": 0.1, "break_even_response": [0.02, 0.03]}
    )  # fmt: skip
    said = first_round_sentence(rows)
    assert "0.7 more of 100 (here 2.0 to 3.0 are needed)" in said
    assert "For High the comparison notices a rise as large as what pays; to prove" in said
    assert "For Low it is no more than **a trial**" in said
    assert "can show whether" not in said
