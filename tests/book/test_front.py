"""The first screen of a data set: what it says is what the run's tables say."""

from __future__ import annotations

import re
from functools import partial

import pandas as pd
import pytest

from segmentation.book.words import front, front_actions, front_numbers, front_plan
from segmentation.book.words.calibration import spend_wins
from segmentation.book.words.calling import call_first_sentence, cannot_pay
from segmentation.book.words.coming_back import came_back_then
from segmentation.book.words.trust import trust
from segmentation.book.words.warnings import warnings
from segmentation.core.columns import format_money, format_percent
from segmentation.core.errors import ParameterError
from segmentation.core.notebook_parameters import parameters_from_notebook
from segmentation.core.parameters import load_yaml, parameters_from, profile_title, resolve
from segmentation.evidence.stability import TOO_FEW
from segmentation.run.run import Run


@pytest.fixture(scope="module", params=["cdnow", "marketplace"])
def run(request, runs_dir) -> Run:
    folder = request.getfixturevalue(f"{request.param}_run")
    return Run(parameters_from(load_yaml(folder / "params.yaml")), runs_dir)


class Given(dict):
    """Results of a run, some of them exchanged."""

    def __init__(self, run, **changed):
        super().__init__(changed)
        self.run, self.parameters = run, run.parameters

    def __missing__(self, name):
        return self.run[name]


def test_an_action_has_at_most_fifteen_words_and_names_its_list(run):
    found = front_actions.actions(run)

    assert 1 <= len(found) <= 3
    assert [one.what for one in found if len(one.what.split()) > 15] == []
    page = front_plan.to_do(run, "x")
    assert all(f"Sheet {one.sheet}" in page for one in found)


def test_whom_to_call_comes_first_where_they_spent_much(run):
    total = run["customers"]["total_spent"].sum()
    row = {"customer_id": list("abcdef"), "total_spent": total / 60, "average_order_value": 50.0}
    row["value_at_risk"] = 20.0
    facts = {
        "forecast_facts": {"possible": True},
        "call_first_facts": {"cost_of_a_call": 4.0, "gross_margin": 0.3},
    }
    facts["slipping"] = run["slipping"].head(0)
    near = run["forecast_calibration"].assign(predicted=0.1, observed=0.1)
    facts["forecast_calibration"] = near
    much = Given(run, call_first=pd.DataFrame(row), **facts)

    one = front_actions.actions(much)[0]

    assert one.what == "Call first: 6 customers whose chance to order fell in the last quarter"
    money = format_money(6 * 20 * 0.3, run.parameters.currency)
    assert one.how == f"Ring each, the largest value at risk first. {money} of margin at risk."
    assert one.cost == front_actions.whole(24, run.parameters.currency)
    assert one.terms == "It pays if 2 of them order because of it, which nobody will know."
    assert one.sheet == "“Call first”"
    rough = run["forecast_calibration"].assign(predicted=1.0, observed=0.1)
    missed = Given(run, call_first=pd.DataFrame(row), **facts | {"forecast_calibration": rough})
    assert "Call first" not in front_actions.actions(missed)[0].what
    little = Given(run, call_first=pd.DataFrame(row | {"total_spent": total / 6000}), **facts)
    assert "Call first" not in front_actions.actions(little)[0].what
    few = Given(run, call_first=pd.DataFrame(row).head(4), **facts)
    assert "Call first" not in str(front_actions.actions(few))
    withheld = Given(
        run, call_first=pd.DataFrame(row), **facts | {"forecast_facts": {"possible": False}}
    )
    one = front_actions.actions(withheld)[0]
    assert one.what == "Call first: 6 customers who fell or fell silent in the last quarter"
    assert "at risk" not in one.how
    silent = pd.DataFrame({"customer_id": list("abcdef"), "what": "fell silent"})
    assert front_actions._fell(silent, pd.DataFrame(row)) == "who fell silent"


def test_who_slipped_comes_first_where_they_spent_much(run):
    profile, sum_of = run["profile"], float(run["customers"]["total_spent"].sum())
    kind, best = profile.iloc[0][["segment_type", "segment"]]
    lost = {"segment_type": kind, "segment_from": best, "average_order_value": 50.0}
    lost |= {"what": ["fell silent", *["fell a segment"] * 5], "total_spent": sum_of / 60}
    lost |= {"customer_id": list("abcdef"), "segment": best}
    arms = pd.DataFrame({"customer_id": list("abc"), "arm": ["control", "control", "treatment"]})
    arms = arms.assign(segment_type=kind, segment=best)
    set_to = {"contact_cost": 1.0}
    much = Given(run, slipping=pd.DataFrame(lost), call_first=run["call_first"].head(0))
    much["campaign_arms"] = arms
    plays = run["recommendations"].assign(break_even_response=0.5, break_even_mean=float("nan"))
    much["recommendations"] = plays
    much.parameters = run.parameters.model_copy(update=set_to)

    one, *_ = front_actions.actions(much)

    assert re.fullmatch(rf"Win back: 4 of the 6 who left {best}.* or fell silent", one.what)
    money = format_money(sum_of / 10, run.parameters.currency)
    assert one.cost == front_actions.whole(4, run.parameters.currency)
    assert "It pays from 50.0 more." in one.terms
    assert f"they slipped last quarter. They have bought for {money}" in one.how
    planned = arms.reindex(range(6)).assign(customer_id=list("abcdef"))
    all_in = Given(much, campaign_arms=planned.fillna({"arm": "treatment"}))
    first, *_ = front_actions.actions(all_in)
    assert first.cost == f"({front_actions.whole(4, run.parameters.currency)})"
    assert first.terms.endswith("They are in the campaigns, measured with these.")
    little = Given(much, slipping=pd.DataFrame(lost | {"total_spent": sum_of / 6000}))
    found = front_actions.actions(little)
    assert "fell silent" not in found[0].what
    besides = dict(front_plan.besides(little))
    assert (f"6 of {best}" in besides.get("Slipped", "")) == ("“Slipping”" not in str(found))
    assert "Slipped" not in dict(front_plan.besides(much))
    late = Given(much, swap={"order_date": {"strength": "strong"}})
    assert "fell silent" in front_actions.actions(late)[2].what
    assert "Slipped" not in dict(front_plan.besides(late))


def test_where_dates_look_exchanged_no_quarter_stands_on_the_page(run):
    """Orders of one quarter stand in another then; the last may be none at all."""
    wrong = Given(run, swap={"order_date": {"strength": "strong"}})
    said = " ".join(" ".join(map(str, number)) for number in front_numbers.numbers(wrong))
    assert not re.search(r"\d{4} Q\d", said) and "Bring half of it" in said
    assert re.search(r"\d{4} Q\d", str(list(front_numbers.numbers(run))))
    about = front._about(wrong)
    assert about.startswith("Orders dated ") and "not over" not in about
    assert re.fullmatch(r"[^;]+ half of the revenue", front_numbers.headline(wrong))


def test_the_fourth_number_is_the_forecast_beside_how_it_turned_out_before(run):
    what, value, change, _, meaning = list(front_numbers.numbers(run))[3]

    assert what == f"Expected back, {run.parameters.outcome_days} days"
    anyway = run["order_anyway"].query("days == @run.parameters.outcome_days")
    assert value == f"{(anyway['share'] * anyway['customers']).sum():,.0f}"
    tried = run["forecast_calibration"]
    came = (tried["observed"] * tried["customers"]).sum()
    expected = (tried["predicted"] * tried["customers"]).sum()
    assert f"so {expected:,.0f}, and {came:,.0f} came in the" in meaning
    track = run["order_anyway_before"].query("days == @run.parameters.outcome_days")
    track = track.assign(share=track["share"] * track["customers"]).groupby("as_of")
    missed = track["share"].sum() / track["ordered"].sum() - 1
    if abs(expected - came) > 0.2 * came or abs(missed.iloc[-1]) > 0.2:
        worst = f"{missed.abs().max():.0%}"
        assert change == f"too rough to plan with: earlier ones missed by up to {worst}"
    else:
        ends = f"{-missed.min():.0%} too low to {missed.max():.0%} too high"
        assert change == f"the last one {missed.iloc[-1]:.0%} too high; all {len(missed)}: {ends}"
    withheld = Given(run, forecast_facts={"possible": False, "reason": "too few came back"})
    what, *_, meaning = list(front_numbers.numbers(withheld))[3]
    assert what.startswith("From the best tenth") and "too few came back" in meaning


def test_a_margin_that_the_costs_contradict_is_said_beside_the_assumed_one(run):
    costs = {"revenue": [100.0, 100.0], "cost": [80.0, 70.0]}
    costs |= {"lines": [100, 100], "with_cost": [100, 20]}
    part = Given(run, margins=pd.DataFrame(costs))
    known = Given(run, margins=pd.DataFrame(costs | {"with_cost": [100, 100]}))
    none = Given(run, margins=pd.DataFrame(costs).head(0))

    assert any("A margin of 30% (own costs: 25%), " in said for said in warnings(part))
    (said,) = [said for said in warnings(known) if "assumptions" in said]
    assert "the margin, 25%, is this shop's own: try yours" in said
    assert not any("own costs" in said for said in warnings(none))


def test_costs_of_another_currency_are_set_and_not_tried(run):
    """The sliders are left out then: nothing is to be tried where the first page sends readers."""
    plays = run["recommendations"].assign(typical_order=150_000.0)
    (said,) = [one for one in warnings(Given(run, recommendations=plays)) if "assumptions" in one]
    assert said.endswith(": set yours.")
    (usual,) = [one for one in warnings(run) if "assumptions" in one]
    assert "try yours in" in usual


def test_a_rise_that_hides_fewer_of_the_best_coming_back_is_told(run):
    quarters, best = (
        run["quarters"],
        run["profile"].pipe(lambda p: p.loc[p["revenue"].astype(float).idxmax(), "segment"]),
    )
    rows = [("2024-03-31", 500, 300), ("2024-06-30", 500, 250), ("2025-03-31", 500, 200)]
    came = pd.DataFrame(rows, columns=["as_of", "customers", "ordered"])
    came = came.assign(segment=best, median_recency=[40.0, 45.0, 50.0])
    assert came_back_then(came, best) == (0.4, 0.6, True, 50.0, 40.0)
    told = Given(run, retention=came, quarters=quarters)
    assert front_numbers._best_fell(told, True) == f"; of {best} 40% came back, 60% a year before"
    assert front_numbers._best_fell(told, False) == ""
    same = Given(run, retention=came.assign(ordered=[300, 250, 290]))
    assert front_numbers._best_fell(same, True) == ""
    older = Given(run, retention=came.assign(median_recency=[40.0, 70.0, 107.0]))
    assert front_numbers._best_fell(older, True) == ""


def test_what_is_to_be_approved_counts_everybody_once_and_says_when_one_knows(run):
    arms, called, plays = run["campaign_arms"], run["call_first"], run["recommendations"]
    money = partial(format_money, currency=run.parameters.currency)
    cost = (arms["arm"] == "treatment").sum() * run.parameters.contact_cost
    said = front_plan.whole_plan(run)
    assert (
        f"<b>To approve for the test</b> <b class=cost>{money(cost)}</b>" in said
        and "At worst it is lost" in said
    )
    others = re.search(r"<span>(\S+) of it for other segments", said)
    listed = [one.cost for one in front_actions.actions(run) if one.money]
    parts = [*listed, *([others[1]] if others else [])]
    assert sum(float(x.strip("$£").replace(",", "")) for x in parts) == pytest.approx(cost, abs=2)
    calls = front_actions.whole(
        len(called) * run.parameters.cost_of_a_call, run.parameters.currency
    )
    not_advised = ", and not advised" if cannot_pay(called, run["call_first_facts"]) else ""
    assert f"Not in it{not_advised}: {len(called):,} calls (“Call first”, {calls})" in said
    needed = plays[plays["is_campaign"]]["break_even_response"]
    part = format_percent((0.0125 - 0.0057) / needed.max())
    assert f"0.7 more of 100, would bring back {part} to" in said
    assert ("what it buys is the answer" in said) == (needed.min() > 0.0068)
    tested = plays[plays["is_campaign"]].assign(is_supported=True)
    tested["outcome_days"] = [60, *[90] * (len(tested) - 1)]
    sizes = run["campaign_sizes"].assign(pays_from=0.1)
    told = Given(run, recommendations=tested, campaign_sizes=sizes)
    days = "60 to 90" if len(tested) > 1 else "60"
    assert f"After {days} days the halves are compared" in front_plan.whole_plan(told)
    terms = " ".join(one.terms for one in front_actions.actions(told) if one.money)
    assert "; 10.0 more would prove it" in terms or "only 10.0 more, unlikely, would" in terms
    none = Given(run, campaign_sizes=sizes.assign(pays_from=float("nan")))
    assert "Only an unlikely rise would prove" in front_plan.whole_plan(none)
    terms = [one.terms for one in front_actions.actions(none) if one.money]
    assert all("no test of them can prove it" in one for one in terms)


def test_assumed_costs_are_called_assumptions_until_they_are_set(run):
    assert any("are assumptions" in said for said in warnings(run))
    own = Given(run)
    own.parameters = run.parameters.model_copy(update={"gross_margin": 0.224})
    assert not any("are assumptions" in said for said in warnings(own))


def test_one_customer_of_a_large_share_is_told_with_the_headline_without(run):
    customers = run["customers"].copy()
    total = customers["total_spent"].sum()
    row = customers["total_spent"].idxmax()
    customers.loc[row, "total_spent"] += total  # now more than half
    (said,) = [s for s in warnings(Given(run, customers=customers)) if "One customer" in s]

    shares = [float(share) for share in re.findall(r"([\d.]+)%", said)]
    assert shares[0] >= 50 and shares[1] > shares[2]
    assert not any("One customer" in said for said in warnings(run))


def test_exchanged_dates_are_told_first_after_what_is_made_up(run):
    swap = {"order_date": {"strength": "strong"}}
    said = list(warnings(Given(run, swap=swap)))

    assert "exchanged" in said[1 if run["overview"]["synthetic"] else 0]


def test_what_makes_figures_wrong_is_told_on_the_first_page(run):
    found = run["findings"].copy()
    wrong = found["finding"] == "zero_amount"
    found.loc[wrong, ["severity", "rows", "amount"]] = ["severe", 7, 1234.0]
    filled = found[wrong].assign(finding="coarse_registration", severity="notable")
    said = list(warnings(Given(run, findings=pd.concat([found, filled]))))

    money = format_money(1234.0, run.parameters.currency)
    assert sum(text.startswith(f"Amount of zero: 7 lines, {money}.") for text in said) == 1
    filled_in = [text for text in said if "registration were filled in (7 customers)" in text]
    assert len(filled_in) == (len(run["chosen"]) > 1)
    assert not any("Amount of zero" in text for text in warnings(run))
    swapped = found.assign(finding="swapped_dates")
    assert len(list(warnings(Given(run, findings=swapped)))) == len(list(warnings(run)))


def test_the_numbers_are_those_of_the_last_whole_quarter(run):
    found = {
        what.split(",")[0]: (value, change)
        for what, value, change, *_ in front_numbers.numbers(run)
    }
    last, before = (run["quarters"].iloc[n] for n in (-1, -2))
    monthly = run["monthly"]

    assert len(found) == 4
    active = last["customers"] / monthly["new_customers"].sum()
    assert found["Active"][0] == format_percent(active)
    change = float(last["revenue"]) / float(before["revenue"]) - 1
    assert found["Revenue"][1].startswith(
        ("▼\u00a0" if change < 0 else "▲\u00a0") + f"{abs(change):.0%}"
    )
    assert "one customer" not in found["Revenue"][1]
    mostly = run["quarters"].assign(largest_share=0.57)
    (revenue,) = [
        n for n in front_numbers.numbers(Given(run, quarters=mostly)) if "Revenue" in n[0]
    ]
    assert revenue[2].endswith("; 57% from one customer")


def test_the_headline_says_how_few_bring_half_and_whether_fewer_came_back(run):
    spent = sorted(run["customers"]["total_spent"].astype(float), reverse=True)
    half = next(n for n in range(1, len(spent)) if sum(spent[:n]) >= sum(spent) / 2)
    last, before = (int(run["quarters"].iloc[n]["customers"]) for n in (-1, -2))
    change = f"{abs(last / before - 1):.0%} {'fewer' if last < before else 'more'}"
    few = f"1 in {len(spent) / half:.0f} customers brings half"

    said = front_numbers.headline(run)

    months = run["monthly"]
    new = (
        months[months["month"] >= run["quarters"].iloc[-1]["quarter"]]["new_customers"].sum() / last
    )
    mostly = f", {new:.0%} of them new" if new >= 0.5 else ""
    fell = front_numbers._best_fell(run, last > before)
    year = front_numbers._on_year(front_numbers.whole_quarters(run)["customers"])
    split = front_numbers._old_and_new(front_numbers.whole_quarters(run))
    year, mostly, fell = (f": {split}", "", "") if split and not year else (year, mostly, fell)
    assert said == f"{few} the revenue; {change} ordered than a quarter earlier{year}{mostly}{fell}"
    same = run["quarters"].assign(customers=last)
    told = front_numbers.headline(Given(run, quarters=same))
    assert told == f"{few} the revenue; about as many ordered as a quarter earlier"
    swap = {"order_date": {"strength": "strong"}}
    assert front_numbers.headline(Given(run, swap=swap)) == f"{few} of the revenue"
    equal = run["customers"].assign(total_spent=1.0)
    assert front_numbers.headline(Given(run, customers=equal)).startswith("50% of customers bring")


def test_trust_turns_red_with_an_unstable_segment_and_green_without_a_doubt(run):
    names = ("stability", "stability_whole", "chosen", "k_rule", "k_evidence", "holdout")
    given = {name: run[name] for name in (*names, "holdout_rankings", "verdict", "sensitivity")}
    given["cuts"] = run["holdout_cuts"].head(0)

    def light(**changed):
        return trust(*{**given, **changed}.values())[0]

    assert light() == "amber"
    panel = run["holdout_cuts"]
    least = panel.assign(revenue_share=0.5 + 0.1 * (panel["ranking"] == "past spend"))
    quarters = spend_wins(least)
    said = trust(*{**given, "cuts": least}.values())[2]
    assert (
        quarters >= 4
        and f"more later revenue at each of {quarters} quarters: choose whom by it" in said
    )
    assert light(stability=given["stability"].assign(verdict="unstable")) == "red"
    few = trust(*{**given, "stability": given["stability"].assign(verdict=TOO_FEW)}.values())
    assert few[0] == "amber" and "has too few customers to say" in few[2]
    assert "uncertain" not in few[2]
    kinds = {"natural_kinds": True}
    clear = {
        "verdict": {kind: one | kinds for kind, one in given["verdict"].items()},
        "k_rule": {kind: {"failed": {}} for kind in given["chosen"]},
        "k_evidence": given["k_evidence"].assign(silhouette=0.9),
        "stability": given["stability"].assign(verdict="stable"),
        "holdout_rankings": given["holdout_rankings"].assign(difference_high=-1.0),
    }
    assert light(**clear) in {"amber", "green"}
    assert "give the same groups" in trust(*{**given, **clear}.values())[2]
    clear["stability_whole"] = given["stability_whole"].assign(agreement=0.7)
    assert light(**clear) == "amber"
    assert "give groups that differ" in trust(*{**given, **clear}.values())[2]
    panel = given["sensitivity"]
    own = panel[panel["is_chosen"].astype(bool)].set_index("segment_type")["k"]
    n = int((panel["k"] == panel["segment_type"].map(own)).sum()) - len(own)
    settled = {**given, **clear, "stability_whole": given["stability_whole"].assign(agreement=0.9)}
    same = trust(*{**settled, "sensitivity": panel.assign(agreement=0.9)}.values())
    assert "settings" not in same[2]
    light_, _, why = trust(*{**settled, "sensitivity": panel.assign(agreement=0.3)}.values())
    assert (
        light_ == "amber"
        and f"the same groups, but {n} of {n} other settings with as many groups do not." in why
    )
    clear["verdict"] = {
        kind: one | {"natural_kinds": False} for kind, one in given["verdict"].items()
    }
    found = trust(*{**given, **clear}.values())
    assert found[0] == "amber" and "one smooth range of customers, not kinds" in found[2]


def test_a_profile_names_its_part_and_a_title_is_no_parameter(tmp_path):
    assert profile_title("cdnow") == "CDNOW"
    path = tmp_path / "mine.yaml"
    path.write_text("title: My shop\nsource: cdnow\nlocation: .\nn_clusters: 4\n", "utf-8")
    assert profile_title(str(path)) == "My shop"
    assert resolve(str(path))[1].n_clusters == 4
    as_papermill = load_yaml(path)
    assert parameters_from_notebook(as_papermill)[0].n_clusters == 4
    path.write_text("title: [1]\n", "utf-8")
    with pytest.raises(ParameterError, match="title is a text"):
        resolve(str(path))


def test_an_intake_that_ages_is_warned_of_and_newcomers_are_not(run):
    monthly = run["monthly"].assign(new_customers=1)
    aging = monthly.assign(new_customers=[1] + [0] * (len(monthly) - 1))

    (said,) = [s for s in warnings(Given(run, monthly=aging)) if s.startswith("These customers")]

    assert said.startswith(f"These customers were all won by {monthly['month'].iloc[0]:%B %Y}: ")
    assert not any("all won by" in s for s in warnings(Given(run, monthly=monthly)))


def test_a_cost_that_is_no_part_of_an_order_is_taken_for_another_currency(run):
    plays = run["recommendations"]
    dear = Given(run, recommendations=plays.assign(typical_order=3e6))

    assert any("looks like another currency" in said for said in warnings(dear))
    assert not any("another currency" in said for said in warnings(run))
    lists = ("Call first", "Win back ")
    campaigns = [one for one in front_actions.actions(dear) if not one.what.startswith(lists)]
    assert campaigns and {one.cost for one in campaigns} == {""}
    assert not any("pays from" in one.terms for one in campaigns)
    assert "(costs not known yet)" in front_plan.to_do(dear, "x")


def test_whom_to_leave_alone_stands_beneath_the_actions_with_what_it_saves(run):
    plays = run["recommendations"].assign(play="Retain")
    last = plays.index[-1]
    alone = plays.assign(play=plays["play"].where(plays.index != last, front_plan.NOT_AT_THIS_COST))
    saved = front_actions.whole(plays.at[last, "campaign_cost"] / 2, run.parameters.currency)

    said = front_plan.left_alone(Given(run, recommendations=alone))

    assert f"Leave alone: {plays.at[last, 'segment']}" in said
    assert f"<b class=cost>{saved} not spent</b>" in said and "Left alone, " in said
    assert front_plan.left_alone(Given(run, recommendations=plays)) == ""


def test_what_half_of_a_segment_costs_stands_beside_what_pays(run):
    plan = run["campaign_plan"].set_index(["segment_type", "segment"])["treatment"]
    row = (
        run["recommendations"]
        .query("is_campaign")
        .sort_values("is_supported", ascending=False, kind="stable")
    )
    quiet = Given(run, slipping=run["slipping"].head(0), call_first=run["call_first"].head(0))

    one, *_ = front_actions.actions(quiet)

    half = plan[row.iloc[0]["segment_type"], row.iloc[0]["segment"]]
    assert one.cost == front_actions.whole(
        half * run.parameters.contact_cost, run.parameters.currency
    )
    first = row.iloc[0]
    base, low, high = (round(100 * first[name]) for name in ("base", "base_low", "base_high"))
    assert f"Left alone, {base} of 100 ({low} to {high}" in one.terms
    assert f" order in {first['outcome_days']} days. It pays from " in one.terms
    assert f"It pays from {100 * first['break_even_response']:.1f} more" in one.terms


def test_most_of_what_is_to_be_approved_is_among_the_actions(run):
    plays = run["recommendations"].assign(is_campaign=True, is_supported=True, largest_share=0.0)
    plays["campaign_cost"] = [1.0] * (len(plays) - 1) + [1e6]
    plan = run["campaign_plan"].iloc[[0] * len(plays)].reset_index(drop=True)
    plan[["segment_type", "segment", "treatment"]] = plays[["segment_type", "segment", "customers"]]
    dear = front_actions.actions(Given(run, recommendations=plays, campaign_plan=plan))
    assert plays.iloc[-1]["segment"] in dear[-1].what


def test_the_number_of_customers_says_how_many_are_new(run):
    _, value, change, course, _ = next(front_numbers.numbers(run))
    last = front_numbers.whole_quarters(run).iloc[-1]["quarter"].to_period("Q")
    months = run["monthly"]
    new = months.loc[months["month"].dt.to_period("Q") == last, "new_customers"].sum()

    assert value == f"{len(run['customers']):,}"
    assert change.endswith(f"; {f'{new:,}' if new else 'none'} new in {last.year} Q{last.quarter}")
    assert course == sorted(course) and len(course) > 2


def test_the_ten_largest_are_to_be_known_by_name_from_a_tenth_of_all_revenue_on(run):
    customers = run["customers"].copy()
    spent = customers["total_spent"].astype(float)
    assert front_plan.ten_largest(run) == ""
    top = spent.nlargest(10).index
    rest = spent.sum() - spent[top].sum()
    customers.loc[top, "total_spent"] = rest / 30  # a third of the others: a quarter of all
    said = front_plan.ten_largest(Given(run, customers=customers))
    assert "The 10 largest brought 25% of revenue" in said and " (in " in said
    assert front_plan.ten_largest(Given(run, customers=customers.loc[top])) == ""


def test_where_days_look_exchanged_every_action_waits_for_the_dates(run):
    late = Given(run, swap={"order_date": {"strength": "strong"}})
    page = front.front_page(late, title="Shop", link="x", colours={})
    assert (
        "Put the dates right and run again; as they stand:" in page
        and f'<p class="front-headline">{front.NOT_YET}</p>' in page
        and "What to do first" not in page
    )
    assert "As the dates stand: Other samples" in page or "As the dates stand: Whether" in page


def test_one_customer_behind_a_sum_is_told_beside_it(run):
    called = run["call_first"].head(6).assign(total_spent=[940.0, *[12.0] * 5])
    facts = run["call_first_facts"] | {"worth_a_call": 6, "without_control": 0}
    withheld = {"possible": False, "reason": "too few came back"}
    said = call_first_sentence(called, facts, withheld, list(run["chosen"]), currency="USD")
    assert "they have spent \\$1,000 (94% of it one customer)" in said
    rough = run["forecast_calibration"].assign(customers=100, predicted=0.4, observed=0.1)
    known = {"possible": True, "outcome_days": 90}
    called = called.assign(value_at_risk=50.0)
    told = call_first_sentence(
        called, facts, known, list(run["chosen"]), currency="USD", calibration=rough
    )
    assert "take it as an order of whom to ring, not as money" in told
    near = rough.assign(predicted=0.1)
    assert "whom to ring" not in call_first_sentence(
        called, facts, known, list(run["chosen"]), currency="USD", calibration=near
    )


def test_where_who_orders_anyway_is_not_known_nothing_is_told_of_it(run):
    """A table of customers without orders: the page stood still on a missing share."""
    row = run["recommendations"].query("is_campaign").iloc[0]
    unknown = dict.fromkeys(("base", "base_low", "base_high", "latest_base"), float("nan"))
    said = front_actions.terms_of(pd.Series(row.to_dict() | unknown), float("nan"))
    assert said.startswith("Who orders anyway is not known. It pays from ")
