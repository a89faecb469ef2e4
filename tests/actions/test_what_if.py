"""Sliders: the browser's formula, the package's and the recommendations themselves are one."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from test_recommend import segment

from segmentation.actions.campaign import sizes_by_segment
from segmentation.actions.campaign_plan import arms_of_run, plan
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import NOT_AT_THIS_COST, recommend
from segmentation.actions.what_if import parts_of, what_if
from segmentation.book.words import first_round_sentence, sample_size_table, what_if_sliders
from segmentation.book.words.calling import calls_pay
from segmentation.book.words.front_actions import terms_of
from segmentation.book.words.recommendations import limit_words, pays_words
from segmentation.deliver.workbook.sheets import Sheet

SETTINGS = 200
SEED = 11
CUSTOMERS = pd.concat(
    [
        segment("High", 400, spent=900.0, orders=9),
        segment("Middle", 700, spent=200.0, orders=4),
        segment("Low", 900, spent=20.0, recency=700.0),
        segment("Tiny", 3, spent=5.0),
        segment("Unsure", 300, spent=150.0),
    ],
    ignore_index=True,
).assign(
    cluster=lambda t: t["segment"].map({"High": 0, "Middle": 1, "Low": 2, "Tiny": 3, "Unsure": 4}),
    customer_id=lambda t: t.index.astype(str),
)
RESPONSES = pd.DataFrame(
    [
        {
            "segment_type": "normal", "segment": name, "days": days, "share": share,
            "low": share * 0.8, "high": share * 1.2, "customers": 400, "ordered": 200,
            "median_recency": 90.0, "value": value, "value_in_period": 2 * value, "base_is": "x",
        }
        for name, share, value in (("High", 0.6, 100.0), ("Middle", 0.2, 50.0), ("Low", 0.03, 7.0))
        for days in (30, 60, 90, 180)
    ]
)  # fmt: skip
STABILITY = pd.DataFrame(
    [("normal", "Middle", "unstable", 0.4)],
    columns=["segment_type", "segment", "verdict", "jaccard"],
)


def recommended(margin: float, cost: float) -> pd.DataFrame:
    advice = recommend(CUSTOMERS, gross_margin=margin, contact_cost=cost, responses=RESPONSES)
    return add_limits(advice, sizes_by_segment(advice), STABILITY, no_holdout="")


def settings(seed: int) -> list[tuple[float, float, float]]:
    chance = random.Random(seed)
    return [
        (
            round(chance.choice([0.0, 1.0]) or chance.random(), 3),
            round(chance.choice([0.0, 0.05, 1, 5, 50]) * chance.random(), 2),
            float(chance.randrange(0, 4000)),
        )
        for _ in range(SETTINGS)
    ]


@pytest.fixture(scope="module")
def parts() -> pd.DataFrame:
    return parts_of(recommended(0.3, 1.0), STABILITY, CUSTOMERS, seed=SEED)


@pytest.fixture(scope="module")
def found(parts):
    return [
        what_if(parts, gross_margin=margin, contact_cost=cost, budget=budget)
        for margin, cost, budget in settings(7)
    ]


def test_what_if_equals_the_recommendations_at_those_settings(parts, found):
    seen = set()
    for (margin, cost, _), own in list(zip(settings(7), found, strict=True))[::10]:
        told = recommended(margin, cost).set_index("segment").loc[own["segment"]]
        assert own["break_even"].tolist() == told["break_even_response"].tolist()
        assert own["contact"].tolist() == told["is_campaign"].tolist()
        assert own["supported"].tolist() == told["is_supported"].tolist()
        seen |= set(zip(own["segment"], own["contact"], own["supported"], strict=True))
    assert ("High", True, True) in seen and ("High", False, False) in seen
    assert ("Middle", True, False) in seen


def test_a_budget_is_spent_on_whole_contacts_in_the_order_of_actions(found):
    for (_, cost, budget), own in zip(settings(7), found, strict=True):
        spent = cost * own["contacts"].sum()
        assert spent <= budget + 1e-6
        waiting = own[own["contact"] & (own["contacts"] < own["first"])]
        assert waiting.empty or budget - spent < cost * (1 + 1e-6)
        assert (own.loc[waiting.index[1:], "contacts"] == 0).all()
        assert own["contact"].is_monotonic_decreasing


def test_the_browser_computes_the_same_at_200_random_settings(found):
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node: apt-get install --no-install-recommends nodejs")
    sliders = what_if_sliders(
        recommended(0.3, 1.0), STABILITY, CUSTOMERS,
        seed=SEED, gross_margin=0.3, contact_cost=1.0, currency="USD",
    )  # fmt: skip
    embedded = sliders.markup.split('<script type="application/json">')[1].split("</script>")[0]
    program = (
        f"const w = require({json.dumps(str(ROOT / 'book/_static/what_if.js'))});"
        "const [parts, all] = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(all.map(([m, c, b]) => w.table(parts, m, c, b).map((row) =>"
        " ({...row, cells: w.cells(row, c, '$')})))))"
    )
    run_own = (0.3, 1.0, 1e9)
    given = f"[{embedded}, {json.dumps([*settings(7), run_own])}]"
    done = subprocess.run([node, "-e", program], input=given, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr

    *answers, of_run = json.loads(done.stdout)
    assert [row["cells"] for row in of_run] == sliders.data.astype(str).to_numpy().tolist()
    for own, rows in zip(found, answers, strict=True):
        assert [row["name"] for row in rows] == own["segment"].tolist()
        for name in ("contact", "supported", "contacts", "needed"):
            assert [row[name] for row in rows] == own[name].tolist(), name
        shares = [np.inf if row["breakEven"] is None else row["breakEven"] for row in rows]
        assert shares == pytest.approx(own["break_even"].tolist(), rel=1e-12)


def test_the_page_promises_no_rise_and_shows_the_runs_own_settings_without_a_script():
    html = what_if_sliders(
        recommended(0.3, 1.0),
        STABILITY,
        CUSTOMERS,
        seed=SEED,
        gross_margin=0.3,
        contact_cost=1.0,
        currency="USD",
    )
    assert "none is promised" in html.markup
    assert '<div class="what-if-sliders" hidden>' in html.markup
    own = what_if(
        parts_of(recommended(0.3, 1.0), STABILITY, CUSTOMERS, seed=SEED),
        gross_margin=0.3, contact_cost=1.0, budget=1e9,
    )  # fmt: skip
    assert html.data["segment"].tolist() == own["segment"].tolist()
    assert html.data["contacted first"].iloc[0] == "200 of 400"
    assert html.data["cost"].iloc[0] == "$200" and html.data["all would cost"].iloc[0] == "$400"


def test_a_cost_of_another_currency_has_nothing_to_be_worked_out():
    """Orders of 150,000 beside a contact of 1.00: "pays from under 0.1%" would not be true."""
    advice = recommended(0.3, 1.0).assign(typical_order=150_000.0)
    said = what_if_sliders(
        advice, STABILITY, CUSTOMERS, seed=SEED, gross_margin=0.3, contact_cost=1.0, currency="USD"
    )
    assert (
        "not known until" in said.markup and "%" not in said.markup and "table" not in said.markup
    )


def test_the_runs_own_settings_contact_whom_the_plan_contacts(found):
    """Also where nobody may be divided evenly, and where an id of many people is on no list."""
    advice, listed = recommended(0.3, 1.0), CUSTOMERS.iloc[5:]
    planned = plan(arms_of_run(listed, advice, seed=SEED), advice).set_index("segment")
    parts = parts_of(advice, STABILITY, listed, seed=SEED)
    own = what_if(parts, gross_margin=0.3, contact_cost=1.0, budget=1e9).set_index("segment")
    assert len(planned) and not planned["treatment"].equals(planned["control"])
    assert own.loc[planned.index, "contacts"].tolist() == planned["treatment"].tolist()
    assert not own.loc[own.index.difference(planned.index), "contacts"].any()


def test_where_one_mean_lies_far_above_the_typical_order_the_typical_one_counts_for_all():
    """On cards, sliders, the table of tests, the first page and in the workbook alike."""
    dear = RESPONSES.assign(value=RESPONSES["value"].where(RESPONSES["segment"] != "High", 300.0))
    dear["typical"] = dear["value"].where(dear["segment"] != "High", 100.0)
    advice = recommend(CUSTOMERS, gross_margin=0.3, contact_cost=1.0, responses=dear)
    advice = add_limits(advice, sizes_by_segment(advice), STABILITY, no_holdout="")
    rows = advice.set_index("segment")
    high, alike = (
        next(row for row in advice.itertuples() if row.segment == name)
        for name in ("High", "Middle")
    )
    assert (high.response_value, high.mean_value) == (high.typical_order, 300.0)
    assert high.break_even_response == pytest.approx(1 / 30)
    assert high.break_even_mean == pytest.approx(1 / 90)
    worth = rows[["mean_value", "typical_order"]].min(axis=1)
    assert rows["response_value"].tolist() == worth.tolist(), "one footing, the smaller for all"
    assert (rows["break_even_response"] * rows["response_value"] * 0.3).round(9).eq(1).all()
    assert (
        "1 in 30 customers orders because of it (3.3%, 14 if all are contacted), each worth what the "
        "typical such order is; by the mean one 1 in 90 customers orders" in pays_words(high)
    )
    assert np.isnan(alike.break_even_mean) == (alike.mean_value <= alike.typical_order)
    assert "It pays from 3.3 more" in terms_of(high, float("nan"))
    sliders = what_if_sliders(
        advice, STABILITY, CUSTOMERS, seed=SEED, gross_margin=0.3, contact_cost=1.0, currency="USD"
    ).data.set_index("segment")["must order because of it"]
    assert sliders["High"] == "3.3% (1.1% by the mean order)"
    tests = sample_size_table(sizes_by_segment(advice)).data.set_index("segment")
    assert tests.at["High", "it pays from"] == "3.3 (1.1)"
    shown = Sheet("recommendations", "recommendations", advice).shown
    assert "break_even_mean" in shown
    usual = recommend(CUSTOMERS, gross_margin=0.3, contact_cost=1.0, responses=RESPONSES)
    assert usual["break_even_mean"].isna().all()
    assert usual["response_value"].tolist() == usual["mean_value"].tolist()
    none = advice.assign(break_even_mean=np.nan)
    assert "break_even_mean" not in Sheet("recommendations", "recommendations", none).shown
    called = pd.DataFrame({"average_order_value": [10.0, 10.0, 100.0]})
    costs = {"cost_of_a_call": 5.0, "gross_margin": 0.3}
    assert calls_pay(called, costs) == "pays if 5 of them order (2 by the mean order)"


def test_the_rule_that_decides_stands_beside_its_decisions():
    """What a rise may be at most, where one is too much and where one is much but within it."""
    advice = recommended(0.3, 1.0)
    low = advice.set_index("segment").loc["Low"]
    assert low["play"] == NOT_AT_THIS_COST
    assert low["limits"].startswith(
        "break-even asks for 47.6 points more where 3.0% order anyway: 16.9 times as many, and 2 times"
    )
    much = next(row for row in recommended(0.3, 2.5).itertuples() if row.segment == "Middle")
    assert much.is_campaign
    assert "It takes 83% more orders than come anyway (69% to 104%): near 100%, beyond" in (
        limit_words(SimpleNamespace(**much._asdict() | {"limits": ""}))
    )
    assert first_round_sentence(advice).startswith(
        "A campaign is advised where break-even asks for no more than 2 times as many orders as"
    )
