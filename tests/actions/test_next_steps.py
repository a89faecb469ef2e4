"""Movement adds up, slipping customers slipped, and whom to call first is worth it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from segmentation.actions.next_steps import (
    NEW,
    at_risk,
    back_by_itself,
    call_first,
    called_before,
    movement,
    retention,
    with_calls,
    with_given_back,
)
from segmentation.actions.slipping import FELL, SILENT, came_back, most_slipped, slipping_customers
from segmentation.book.words.calling import _earlier_words, call_first_sentence
from segmentation.book.words.campaign_steps import campaign_steps
from segmentation.book.words.changes import movement_sentence
from segmentation.book.words.coming_back import retention_sentence
from segmentation.book.words.slipping import slipped_sentence
from segmentation.book.words.warnings import ONCE_RIGHT
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


def test_retention_counts_who_orders_in_the_quarter_that_follows(run):
    table, history = run["retention"], run["history"]

    sizes = table.groupby("as_of")[["customers", "ordered"]].sum()
    assert sizes["customers"].to_dict() == history.groupby("as_of").size().to_dict()
    came = history[history["orders_next"] > 0].groupby("as_of").size()
    assert sizes["ordered"].to_dict() == came.to_dict()
    ends = run["movement"].groupby(["as_of", "segment_to"])["customers"].sum()
    for row in table.itertuples():
        assert ends[row.as_of, row.segment] == row.customers
    day = pd.DataFrame(
        {"segment": ["Low", "High", "High"], "orders_next": [0, 2, 0], "recency": [9, 20, 40]}
    )
    by_hand = retention({"2023-03-31": day}).set_index("segment")
    assert by_hand.loc["High", ["customers", "ordered", "median_recency"]].tolist() == [2, 1, 30]
    assert by_hand.loc["Low", ["customers", "ordered", "median_recency"]].tolist() == [1, 0, 9]


LADDER = pd.DataFrame(
    {"segment_type": "normal", "cluster": [1, 0], "segment": ["High", "Low"]}
)  # fmt: skip


def test_a_rise_is_one_in_every_group_that_has_both_segments():
    """Bulk spends more than High in the first group and less in the second: no step up."""
    both = {"segment_type": ["normal"] * 3 + ["pre_register"] * 3, "cluster": [0, 1, 2] * 2}
    profile = pd.DataFrame(both | {"segment": ["Low", "High", "Bulk", "Low", "Bulk", "High"]})
    flows = pd.DataFrame(
        [("2023-03-31", NEW, "Low", 50, 1.0), ("2023-06-30", "Low", "High", 7, 80.0),
         ("2023-06-30", "Bulk", "High", 6, 90.0), ("2023-06-30", NEW, "High", 9, 10.0)],
        columns=["as_of", "segment_from", "segment_to", "customers", "revenue"],
    )  # fmt: skip
    nobody = pd.DataFrame({"what": [], "segment_from": [], "segment": [], "total_spent": []})
    said = movement_sentence(flows, nobody, profile=profile, currency="GBP")
    assert "7 customers rose a segment and spent £80.00 in the quarter." in said
    assert said.endswith("Here segments of one name count together, whichever group they are of.")


def test_the_fall_that_cost_most_leads_with_its_share_and_money():
    flows = pd.DataFrame(
        [("2023-03-31", NEW, "High", 10, 900.0), ("2023-03-31", NEW, "Low", 5, 50.0),
         ("2023-06-30", "High", "High", 60, 10.0), ("2023-06-30", "High", "Low", 40, 0.0),
         ("2023-06-30", "Low", "High", 10, 80.0), ("2023-06-30", "Low", "Low", 40, 0.0)],
        columns=["as_of", "segment_from", "segment_to", "customers", "revenue"],
    )  # fmt: skip
    slipped = pd.DataFrame(
        {"what": [FELL] * 40 + [SILENT] * 10, "segment_from": "High", "total_spent": 2_000.0,
         "segment": ["Low"] * 40 + ["High"] * 10}
    )  # fmt: skip
    said = movement_sentence(flows, slipped, profile=LADDER, currency="GBP")

    assert said.startswith(
        "40 of 100 customers of High (40%) fell to Low between 2023-03-31 and 2023-06-30; "
        "they have spent £80.0K so far. 10 further customers fell silent; they have spent £20.0K so far. "
        "10 customers rose a segment and spent £80.00 in the quarter."
    )
    few = movement_sentence(flows, slipped.head(4), profile=LADDER, currency="GBP")
    assert few.startswith("Fewer than 5 of 100 customers of High fell to Low between")
    silent = movement_sentence(flows, slipped.tail(10), profile=LADDER, currency="GBP")
    assert silent.startswith(
        "10 customers fell silent between 2023-03-31 and 2023-06-30; they have spent £20.0K so far. "
        "Nobody fell a segment."
    )
    nobody = movement_sentence(flows, slipped.head(0), profile=LADDER, currency="GBP")
    assert nobody.startswith("Nobody fell a segment between")


def came_back_of(rows, silent=30.0):
    table = pd.DataFrame(rows, columns=["as_of", "segment", "customers", "ordered"])
    return table.assign(median_recency=silent)


def test_a_segment_silent_for_longer_is_not_told_to_come_back_less_without_saying_so():
    """In a shop of nine months nobody can have been silent for a year: the segment grew older."""
    rows = [("2023-09-30", "High", 131, 61), ("2024-09-30", "High", 558, 143)]
    told = retention_sentence(came_back_of(rows, [43.0, 107.0]), names=["High"])
    assert told.endswith(
        "47% of High (n = 131) did: a change beyond chance. But they were not alike: half had been silent, "
        "of High for 107 days or longer, then for 43 days. Whoever is silent for longer orders more "
        "rarely, so this says little of how the shop does."
    )
    assert "not alike" not in retention_sentence(came_back_of(rows, [43.0, 50.0]), names=["High"])


def test_retention_is_told_with_what_changed_beyond_chance():
    rows = [("2023-03-31", "High", 100, 80), ("2023-03-31", "Low", 100, 10),
            ("2023-06-30", "High", 100, 50), ("2023-06-30", "Low", 100, 12),
            ("2023-06-30", "Few", 29, 29)]  # fmt: skip
    table = came_back_of(rows)
    said = retention_sentence(table, names=["Low", "Few", "High"])

    assert said == (
        "In the quarter after 2023-06-30, 50% of High (50 of 100) and 12% of Low (12 of 100) "
        "ordered. In the quarter after 2023-03-31, 80% of High (n = 100) did: a change beyond chance, "
        "though of another season."
    )
    years = [("2022-03-31", "High", 100, 20), ("2022-06-30", "High", 100, 90), *rows]
    told = retention_sentence(came_back_of(years), names=["Low", "High"])
    assert "In the quarter after 2022-06-30, 90% of High" in told
    assert told.endswith(
        "a change beyond chance. From the quarter just before, after 2023-03-31, the last one differs "
        "beyond chance, though of another season: High 80% then, 50% now."
    )
    assert retention_sentence(table.head(2), names=["Low", "High"]) == ""


def test_quarters_that_do_not_differ_are_not_said_to_be_alike():
    """Autumn with spring: no change, but of another season and of customers silent for longer."""
    rows = [("2011-03-09", "Low", 944, 402, 57.0), ("2011-06-09", "Low", 1432, 438, 93.0),
            ("2011-09-09", "Low", 1716, 669, 143.0)]  # fmt: skip
    columns = ["as_of", "segment", "customers", "ordered", "median_recency"]
    table = pd.DataFrame(rows, columns=columns)

    told = retention_sentence(table, names=["Low"])

    assert (
        "No segment differs beyond chance from the quarter after 2011-03-09, though of another season. "
        "Nor were they alike: half had been silent, of Low for 143 days or longer, then for 57 days."
    ) in told
    assert told.endswith("Low 31% then, 39% now.")
    like = retention_sentence(table.assign(median_recency=50.0), names=["Low"])
    assert "alike" not in like
    same = retention_sentence(table.assign(ordered=[402, 610, 731]), names=["Low"])
    assert same.endswith("Nor does any differ from the quarter just before, after 2011-06-09.")


def test_longer_silence_does_not_explain_that_more_came_back():
    rows = [("2023-09-30", "High", 558, 143), ("2024-09-30", "High", 131, 61)]
    more = retention_sentence(came_back_of(rows, [43.0, 107.0]), names=["High"])
    assert "a change beyond chance" in more and "not alike" not in more
    assert "not alike" in retention_sentence(came_back_of(rows, [107.0, 43.0]), names=["High"])


def test_who_fell_but_ordered_and_who_fell_silent_lower_down_are_told():
    """Beside 40 who fell 22 moved as far and ordered; 30 more of the lowest segment fell silent."""
    flows = pd.DataFrame(
        [("2023-03-31", NEW, "High", 10, 900.0), ("2023-06-30", "High", "High", 60, 10.0),
         ("2023-06-30", "High", "Low", 62, 0.0)],
        columns=["as_of", "segment_from", "segment_to", "customers", "revenue"],
    )  # fmt: skip
    ids = [f"c{n}" for n in range(100)]
    slipped = pd.DataFrame(
        {"customer_id": ids[:50], "what": [FELL] * 40 + [SILENT] * 10, "segment_from": "High",
         "segment": ["Low"] * 40 + ["High"] * 10, "total_spent": 2_000.0,
         "recency": [90] * 22 + [91] * 18 + [120] * 10}
    )  # fmt: skip
    history = pd.DataFrame(
        {"as_of": "2023-03-31", "customer_id": ids, "orders_next": [1] * 22 + [0] * 78,
         "recency": [10] * 80 + [200] * 20}
    )  # fmt: skip

    said = movement_sentence(flows, slipped, profile=LADDER, currency="GBP", history=history)
    assert "so far. 22 more moved there and ordered in the quarter. " in said
    assert "10 further customers above the lowest segment fell silent (40 in all); they" in said
    few = flows.assign(customers=[10, 60, 43])
    told_ = movement_sentence(few, slipped, profile=LADDER, currency="GBP")
    assert "Fewer than 5 more moved there" in told_
    two = pd.concat([LADDER, LADDER.assign(segment_type="pre_register")])
    silent = movement_sentence(
        flows, slipped.tail(10), profile=two, currency="GBP", history=history
    )
    assert silent.startswith("10 customers above the lowest segment of their group fell silent")


def test_a_change_beyond_chance_is_judged_by_the_interval_of_the_difference():
    """Intervals of 53% and of 50% touch; that of their difference, 0.4 to 5.2 points, is above 0."""
    rows = [("2023-03-31", "High", 2917, 1554), ("2023-06-30", "High", 3493, 1763)]
    table = came_back_of(rows)
    assert "53% of High (n = 2,917) did: a change beyond chance" in retention_sentence(
        table, names=["High"]
    )


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
THEN = "2023-06-30"


def test_slipping_is_who_fell_or_fell_silent_in_the_last_quarter():
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    table = slipping_customers(BEFORE, customers(), ladder, as_of=THEN)
    # "long" had been silent for longer than the quarter before; that had 91 days, this one may have more
    for days, is_so in ((90.0, True), (91.0, False)):
        lately = BEFORE.assign(recency=[60.0, days, 20.0, 160.0])
        found = slipping_customers(lately, customers(), ladder, as_of=THEN)
        assert ("silent" in set(found["customer_id"])) == is_so
    assert table[["customer_id", "what"]].values.tolist() == [
        ["silent", "fell silent"], ["fell", "fell a segment"],
    ]  # fmt: skip


def test_who_ordered_lately_has_not_fallen_though_the_new_segment_spends_less():
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    again = customers(recency=[10.0, 120.0, 10.0, 250.0])
    before = BEFORE.assign(orders_next=[1, 0, 2, 0])
    assert slipping_customers(before, again, ladder, as_of=THEN)["customer_id"].tolist() == [
        "silent"
    ]


def test_who_had_slipped_a_quarter_ago_is_followed_for_the_quarter_since():
    """`fell` and `silent` had slipped; of them `silent` ordered since. The others had not."""
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    then = customers().assign(orders_next=[0, 3, 0, 0])
    later = customers(recency=[240.0, 20.0, 100.0, 340.0]).assign(orders_next=0)
    found = came_back({"2023-06-30": BEFORE, "2023-09-30": then}, ladder)
    assert found.to_dict("records") == [
        {"as_of": "2023-09-30", "segment_type": "normal", "segment_from": "High", "customers": 2,
         "ordered": 1, "others": 1, "others_ordered": 0}
    ]  # fmt: skip
    assert came_back({"2023-09-30": then}, ladder).empty
    three = {"2023-09-30": then, "2023-12-31": later, "2023-06-30": BEFORE}
    assert came_back(three, ladder)["as_of"].unique().tolist() == ["2023-12-31"]


FLOWS = pd.DataFrame(
    [("2023-06-30", "Low", "High", 99), ("2023-09-30", "Low", "High", 30), ("2023-09-30", NEW, "High", 12),
     ("2023-09-30", "High", "High", 500), ("2023-09-30", "High", "Low", 50)],
    columns=["as_of", "segment_from", "segment_to", "customers"],
)  # fmt: skip


def test_who_slipped_is_told_with_what_writing_costs_and_who_comes_back_anyway():
    """What pays is what the card of the segment that each stands in now says."""
    kind = {"segment_type": "normal", "segment_from": "High"}
    lost = pd.DataFrame([kind] * 60).assign(
        customer_id=[f"c{n}" for n in range(60)], total_spent=50.0, average_order_value=20.0,
        segment=["Low"] * 50 + ["High"] * 10,
        what=[FELL] * 50 + [SILENT] * 10,
    )  # fmt: skip
    other = lost.head(1).assign(segment_from="Low", total_spent=2.0)
    arms = pd.DataFrame(
        {"customer_id": lost["customer_id"], "arm": ["control"] * 20 + ["treatment"] * 40}
    )
    before = pd.DataFrame(
        [kind | {"customers": 80, "ordered": 24, "others": 90, "others_ordered": 60}]
    )
    plays = pd.DataFrame({"segment_type": "normal", "segment": ["High", "Low"],
                          "break_even_response": [0.2, 0.2], "break_even_mean": float("nan")})  # fmt: skip
    costs = {"plays": plays, "contact_cost": 1.0}
    found = most_slipped(pd.concat([other, lost]), before, arms, **costs)
    said = slipped_sentence(found, FLOWS, kinds=["normal"], currency="USD", is_told=True)
    assert (
        "**60 customers of High** slipped in the last quarter: 50 fell a segment and 10 fell silent."
        in said
    )
    assert (
        "They have spent \\$3,000 so far. In the same quarter 42 others came into it, new ones too. "
        in said
    )
    assert (
        "Writing costs \\$40.00 (within the campaigns): pays if 1 in 5 orders because of it. "
        in said
    )
    assert "20 of them belong to the halves that are left alone" in said and "30% of 80 " in said
    assert (
        "in the quarter since, and 67% of the 90 who had ordered and not slipped." in said
        and found.is_sign
    )
    alike = most_slipped(lost, before.assign(others_ordered=30), arms, **costs)
    assert not alike.is_sign and "(33%): a slip was no clear sign of a loss." in slipped_sentence(
        alike, FLOWS, kinds=["normal"], currency="USD", is_told=True
    )
    apart = plays.assign(break_even_response=[0.1, 0.25])
    mixed = most_slipped(lost, before, arms, **costs | {"plays": apart})
    assert mixed.needed == pytest.approx(60 / (50 / 0.25 + 10 / 0.1)), "an order of each its own"
    dear = plays.assign(break_even_response=0.06, break_even_mean=0.02)
    one = most_slipped(lost, before, arms, **costs | {"plays": dear})
    how = {"kinds": ["normal"], "currency": "USD", "is_told": True}
    both = "pays if 1 in 16 orders because of it (1 in 50 by the mean order)."
    assert both in slipped_sentence(one, FLOWS, **how)
    late = slipped_sentence(found, FLOWS, **how, dates_hold=False)
    assert late == f"{ONCE_RIGHT}{said}"
    untold = slipped_sentence(found, FLOWS, kinds=["normal"], currency="USD", is_told=False)
    assert "pays" not in untold
    few = most_slipped(lost.head(53), before.assign(customers=20), arms, **costs)
    said = slipped_sentence(few, FLOWS, kinds=["normal"], currency="USD", is_told=True)
    assert "fell" not in said.split(".")[0] and "whatever is done" not in said
    assert most_slipped(lost.head(0), before, arms, **costs) is None
    assert slipped_sentence(None, FLOWS, kinds=["normal"], currency="USD", is_told=True).startswith(
        "Nobody"
    )


FACTS = {"possible": True, "r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6, "outcome_days": 90}


def test_first_is_called_who_has_most_to_lose_and_no_control_arm():
    arms = pd.DataFrame({"customer_id": ["fell"], "arm": ["control"]})
    risks = at_risk(BEFORE, customers(), pd.DataFrame(), FACTS)
    table = call_first(risks, arms)
    assert "fell" not in set(table["customer_id"])
    assert table["value_at_risk"].is_monotonic_decreasing and (table["value_at_risk"] > 0).all()
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    first = table.iloc[0]
    drop = first["chance_before"] - first["chance"]
    assert first["value_at_risk"] == pytest.approx(drop * first["average_order_value"])
    assert "chance to order fell from" in first["why"]
    least = table["value_at_risk"].iloc[1]  # a call must be worth more than it costs
    dear = call_first(risks, arms, least=least)
    assert dear["customer_id"].tolist() == table["customer_id"].tolist()[:1]


def test_who_of_such_a_list_came_by_themselves_is_counted_a_quarter_ago():
    """Of whom the list would have named on 2023-09-30, `silent` ordered since; nobody was called."""
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    then = customers().assign(orders_next=[0, 3, 0, 0], next_amount=[np.nan, 30.0, np.nan, np.nan])
    placed = {"2023-06-30": BEFORE, "2023-09-30": then}
    withheld = called_before(placed, ladder, {"possible": False}, least=0.0)
    assert withheld == {
        "as_of": "2023-09-30", "customers": 2, "expected": None, "came": 1, "back": None,
        "back_low": None, "back_high": None, "own_order": 40.0, "next_order": 30.0,
    }  # fmt: skip
    known = called_before(placed, ladder, FACTS, least=0.0)
    risks = at_risk(BEFORE, then, pd.DataFrame(), FACTS)
    assert known["customers"] == len(risks)
    assert known["expected"] == pytest.approx(risks["chance"].sum())
    assert known["back"] == back_by_itself(risks)[0] and np.isfinite(known["back_low"])
    assert called_before({"2023-09-30": then}, ladder, FACTS, least=0.0) == {}
    many = {"as_of": "2023-09-30", "customers": 100, "expected": 29.3, "came": 38, "back": 0.25,
            "back_low": 0.1, "back_high": 0.4, "own_order": 106.0, "next_order": 104.2}  # fmt: skip
    said = _earlier_words(many, 88, "USD", 235.0, 408.0)
    assert (
        "100 customers (today 88, before those left alone are taken off); 38 of them (38%)" in said
    )
    assert "They ordered for \\$104 on average, beside \\$106 an order before." in said
    assert _earlier_words(many | {"customers": 10}, 88, "USD", 235.0, 408.0) == ""


def test_what_came_back_by_itself_is_money_and_not_heads():
    """One of two came, as chances say of heads; but hers is nine tenths of the money at risk."""
    named = pd.DataFrame({"average_order_value": [90.0, 10.0], "chance_before": 0.9, "chance": 0.5,
                          "orders_next": [2, 0]})  # fmt: skip
    share, low, high = back_by_itself(named)
    assert share == pytest.approx(1.0), "(90 x 0.5 - 10 x 0.5) / (100 x 0.4), by heads it is 0"
    error = np.sqrt(45**2 + 5**2) / 40
    assert (low, high) == pytest.approx((1 - 1.96 * error, 1 + 1.96 * error), abs=1e-3)
    assert np.isnan(back_by_itself(named.assign(chance_before=0.5))).all(), "nothing fell"
    back = named.assign(total_spent=[180.0, 20.0], given_back=[160.0, 0.0])
    assert back_by_itself(back)[0] == pytest.approx(0.0), "(10 - 10) / 2 of what was not given back"


def test_calls_must_win_back_what_does_not_come_by_itself_within_its_interval():
    """They cost 100 of 400 at risk; a half came back, or between a tenth and as many as is said."""
    seen = {"as_of": "2023-09-30", "customers": 100, "expected": 29.3, "came": 38, "back": 0.5,
            "back_low": 0.1, "back_high": 0.68, "own_order": 106.0, "next_order": 104.2}  # fmt: skip

    def said(cost=100.0, **changed):
        return _earlier_words(seen | changed, 88, "USD", cost, 400.0)

    assert said().endswith(
        "before. Of the money of such a fall about 50% (95% interval 10% to 68%) came back by itself: if "
        "so again, the calls must win back 50% of the rest (28% to 78%)."
    )
    assert said(back_high=0.89).endswith(
        "(95% interval 10% to 89%) came back by itself: if so again, the calls must win back 50% of the "
        "rest, 28% at best, and may be unable to pay."
    )
    assert said(back=1.3, back_low=-0.4, back_high=3.0).endswith(
        "about all (95% interval 0% to 100%) came back by itself: if so again, the calls cannot pay; at the "
        "lower end they must win back 25% of the rest."
    )
    assert said(cost=361.0).endswith("(95% interval 10% to 68%) came back by itself: if so again, the "
                                     "calls cannot pay.")  # fmt: skip
    assert said(cost=360.0).endswith("at the lower end they must win back 100% of the rest.")
    assert "by itself" not in said(back=-0.5, back_low=-0.9, back_high=-0.1), "fewer came than fell"
    assert "by itself" not in said(came=19), "too few orders to say anything of money"
    assert "by itself" not in said(back=None, back_low=None, back_high=None)


def test_where_forecasts_are_withheld_slipping_customers_are_called_by_spend():
    ladder = {("normal", "Low"): 0, ("normal", "High"): 1}
    slipping = slipping_customers(BEFORE, customers(), ladder, as_of=THEN)
    none = pd.DataFrame(columns=["customer_id", "arm"])
    risks = at_risk(BEFORE, customers(), slipping, {"possible": False})
    table = call_first(risks, none)
    assert table["customer_id"].tolist() == ["silent", "fell"]
    orders = dict(zip(table["customer_id"], table["average_order_value"], strict=True))
    assert orders == {"silent": 40.0, "fell": 20.0}, "one order of hers must pay for the call"
    assert call_first(risks, none, least=30.0)["customer_id"].tolist() == ["silent"]
    assert table["chance"].isna().all() and "chance" not in table["why"].iloc[0]


def test_what_was_given_back_is_told_and_does_not_lead_the_calls():
    """A large order booked twice and given back is not whom to ring first."""
    back = pd.DataFrame({"customer_id": ["silent", "gone"], "given_back": [190.0, 7.0]})
    listed = with_given_back(customers(), back)
    assert listed["given_back"].tolist() == [0.0, 190.0, 0.0, 0.0]
    above = with_given_back(customers(), back.assign(given_back=999.0))
    assert above["given_back"].max() == 200.0, "of purchases before the data begin"
    assert with_given_back(customers(), back.head(0))["given_back"].isna().all()

    slipping = slipping_customers(
        BEFORE, listed, {("normal", "Low"): 0, ("normal", "High"): 1}, as_of=THEN
    )
    assert slipping["customer_id"].tolist() == ["fell", "silent"]
    risks = at_risk(BEFORE, listed, slipping, {"possible": False})
    none = pd.DataFrame({"customer_id": [], "arm": []})
    table = call_first(risks, none)
    assert table[["customer_id", "given_back"]].values.tolist() == [
        ["fell", 0.0],
        ["silent", 190.0],
    ]
    assert call_first(risks, none, least=3.0)["customer_id"].tolist() == ["fell"], "2 an order left"
    known, plain = (at_risk(BEFORE, one, slipping, FACTS) for one in (listed, customers()))
    known, plain = (t.set_index("customer_id")["value_at_risk"] for t in (known, plain))
    assert known["silent"] == pytest.approx(plain["silent"] * 0.05)
    assert known["fell"] == plain["fell"]

    many = pd.concat([slipping] * 6).assign(what=FELL, segment_from="High")
    moved = pd.DataFrame({"as_of": ["2023-09-30", "2023-12-31"], "segment_from": "High",
                          "segment_to": "High", "customers": 90, "revenue": 0.0})  # fmt: skip
    profile = pd.DataFrame(
        {"segment_type": "normal", "cluster": [0, 1], "segment": ["Low", "High"]}
    )
    said = movement_sentence(moved, many, profile=profile, currency="USD")
    assert "they have spent \\$1,200 so far, \\$1,140 of it given back." in said
    called = pd.concat([table] * 6).assign(segment="High")
    told = call_first_sentence(called, FOUND, {"possible": False, "reason": "x"}, ["normal"],
                               currency="USD")  # fmt: skip
    assert "\\$1,680 since their first orders, \\$1,140 of it given back." in told
    assert "mean order so far after returns is \\$11.00" in told
    plays = pd.DataFrame([{"segment_type": "normal", "segment": "High", "break_even_response": 0.2,
                           "break_even_mean": float("nan")}])  # fmt: skip
    before = pd.DataFrame(
        [{"segment_type": "normal", "segment_from": "High", "customers": 0, "ordered": 0,
          "others": 0, "others_ordered": 0}]
    )  # fmt: skip
    found = most_slipped(many, before, none, plays, contact_cost=1.0)
    text = slipped_sentence(found, FLOWS, kinds=["normal"], currency="USD", is_told=True)
    assert "\\$1,680 so far, \\$1,140 of it given back." in text
    few = most_slipped(many.head(8), before, none, plays, contact_cost=1.0)
    assert "\\$1,120 so far, before returns." in slipped_sentence(
        few, FLOWS, kinds=["normal"], currency="USD", is_told=True
    )


def test_lists_of_a_run_leave_out_its_control_arms(run, cdnow_run):
    first = pd.read_csv(cdnow_run / "call_first.csv", dtype={"customer_id": str})
    arms = run["campaign_arms"]
    assert len(first) and not set(first["customer_id"]) & set(
        arms.loc[arms["arm"] == "control", "customer_id"]
    )
    slipping = pd.read_csv(cdnow_run / "slipping.csv", dtype={"customer_id": str})
    assert len(slipping) and set(slipping["what"]) <= {"fell a segment", "fell silent"}


def test_a_call_has_its_own_cost_which_decides_the_list(cdnow_run, runs_dir):
    own = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)
    dear = own.with_parameters(call_cost=10.0)
    assert own["call_first_facts"]["cost_of_a_call"] == 5.0, (
        "five written contacts, until it is set"
    )
    for run, cost in ((own, 5.0), (dear, 10.0)):
        worth = run["call_first"]["value_at_risk"] * run["call_first_facts"]["gross_margin"]
        assert len(worth) and (worth > cost).all()
    assert len(dear["call_first"]) < len(own["call_first"])
    found = own["call_first_facts"]
    held_out = found["worth_a_call"] - len(own["call_first"])
    assert 0 < held_out < found["worth_a_call"] < found["worth_writing"] < found["at_risk"]
    assert own["recommendations"].equals(dear["recommendations"]), "a mailing costs what it did"


FOUND = {"contact_cost": 1.0, "cost_of_a_call": 5.0, "gross_margin": 0.5, "at_risk": 90,
         "worth_writing": 43, "worth_a_call": 8, "without_control": 0}  # fmt: skip


def test_the_list_is_told_with_its_cost_when_it_pays_and_what_it_cannot_teach():
    rows = {"segment_type": "normal", "segment": ["High"] * 5 + ["Low"], "total_spent": 50.0,
            "average_order_value": 10.0, "value_at_risk": 12.0}  # fmt: skip
    table = pd.DataFrame(rows)

    def said(table, found=(), **facts):
        facts = {"outcome_days": 90} | facts
        return call_first_sentence(table, FOUND | dict(found), facts, ["normal"], currency="GBP")

    forecast = said(table, possible=True)
    assert forecast.startswith(
        "**6 customers** are on the list *Call first* (most of High); they have spent £300"
    )
    assert "Calling all of them costs £30.00 at £5.00 a call (an assumption" in forecast
    assert "It pays if 6 of them order because of it" in forecast, "30 / (0.5 x 10)"
    assert "Orders worth £72.00 are at risk" in forecast and "£36.00 of it margin" in forecast
    assert "35 more have enough" in forecast
    assert "2 more customers would be on the list" in forecast
    assert "what the calls alone add cannot be learnt" in forecast
    assert "The calls pay if they win back 83% of it." in forecast, "30 of 36"
    assert "if they win back all" not in forecast, "some of it comes back uncalled"
    assert "of the 6 calls" not in forecast, "all are at risk of the same"
    uneven = table.loc[[0] * 12].assign(value_at_risk=[48.0] * 6 + [12.0] * 6)
    told = said(uneven, possible=True)
    assert "The calls pay if they win back 33% of it" in told, "60 of 180"
    assert "6 of the 12 calls bring what they cost" in told, "33% of 24 is 8, and of 6 is 2"
    withheld = said(table, possible=False, reason="too few came back (3 of 9)")
    assert "because too few came back." in withheld and "at risk" not in withheld
    assert "cannot be measured" in said(table, {"worth_a_call": 6}, possible=True)
    assert "Of the list fewer than 5 belong to segments" in said(
        table, {"without_control": 1}, possible=True
    )
    nobody = said(table.head(0), {"worth_a_call": 0}, possible=True)
    assert nobody.startswith("Nobody is on the list") and "none may be worth £5.00 a call" in nobody
    late = call_first_sentence(table, FOUND, FACTS, ["normal"], currency="GBP", dates_hold=False)
    assert late == f"{ONCE_RIGHT}{forecast}"
    assert "no earlier quarter" in call_first_sentence(
        table.head(0),
        {},
        {"possible": False, "reason": "no earlier quarter"},
        ["normal"],
        currency="GBP",
    )


def campaigns_of_calls(contacts=20, calls=6, value=100.0):
    """Plays, arms and list: of High all arms are of both halves, Low has two calls in its own."""
    plays = pd.DataFrame(
        {"segment_type": "normal", "segment": ["High", "Low", "None"], "is_campaign": [True, True, False],
         "response_value": value, "break_even_response": 1 / (0.5 * value),
         "campaign_cost": 40.0, "customers": 40, "typical_order": 90.0}
    )  # fmt: skip
    high, low = ([f"{name}{n}" for n in range(2 * contacts)] for name in "hl")
    arms = pd.DataFrame(
        {"customer_id": high + low, "segment_type": "normal",
         "segment": ["High"] * len(high) + ["Low"] * len(low),
         "arm": (["treatment"] * contacts + ["control"] * contacts) * 2}
    )  # fmt: skip
    called = pd.DataFrame({"customer_id": high[:calls] + low[:2] + ["elsewhere"]})
    return plays, arms, called


def test_a_campaign_whose_contacted_half_is_called_pays_only_from_more():
    """High: 20 contacts at 1 and 6 calls at 5 are 50 money; an order brings 0.5 x 100."""
    plays, arms, called = campaigns_of_calls()
    table = with_calls(plays, arms, called, FOUND)
    assert table[["segment", "contacts", "calls"]].values.tolist() == [
        ["High", 20, 6],
        ["Low", 20, 2],
    ]
    assert table["needed"].tolist() == [0.02, 0.02]
    assert table["needed_with_calls"].tolist() == pytest.approx([50 / (20 * 50), 30 / (20 * 50)])
    free = with_calls(
        plays.assign(break_even_response=0.0), arms, called, FOUND | {"contact_cost": 0.0}
    )
    assert free["needed_with_calls"].tolist() == pytest.approx([0.03, 0.01]), "calls alone cost"
    assert with_calls(plays.assign(typical_order=3e6), arms, called, FOUND).empty, (
        "another currency"
    )
    assert with_calls(plays, arms, called[:0], FOUND).empty
    assert with_calls(plays, arms[:0], called, {}).empty


def test_calls_are_not_told_apart_from_letters_and_raise_what_pays():
    plays, arms, called = campaigns_of_calls()
    listed = pd.DataFrame({"segment_type": "normal", "segment": ["High"] * 9, "total_spent": 50.0,
                           "average_order_value": 10.0, "value_at_risk": 12.0})  # fmt: skip

    def said(table, worth=20):
        return call_first_sentence(
            listed, FOUND | {"worth_a_call": worth}, {"outcome_days": 90, "possible": True},
            ["normal"], currency="GBP", campaigns=table,
        )  # fmt: skip

    table = with_calls(plays, arms, called, FOUND)
    text = said(table)
    both = (
        "Nearly all of the 9 are in halves that are written to: where both are done, their campaigns pay only "
        "from more (High from 5.0 of 100, not 2.0)."
    )
    assert "measured together" not in text
    assert "calls cannot be told apart from letters: **what the calls alone add" in text
    assert text.endswith(both)
    assert said(table, worth=9).endswith(f"what the calls bring cannot be measured. {both}")
    assert " All of the 9 are in" in said(table.assign(calls=[7, 2]))
    assert " Nearly" in text and " 8 of the 9" not in text, "the difference would be of one person"
    assert said(table[table["segment"] == "Low"]).endswith(
        "Fewer than 5 of the 9 are in halves that are written to: where both are done, their campaigns "
        "pay only from more."
    ), "a figure of two calls is of persons"
    assert said(table.assign(needed_with_calls=1.2)).endswith(
        "(High then by no order of each, else from 2.0 of 100)."
    )
    assert said(table[:0]).endswith("cannot be learnt**.")


def test_the_read_out_names_what_pays_with_the_calls():
    plays, arms, called = campaigns_of_calls()
    plan = pd.DataFrame(
        [{"segment_type": "normal", "segment": "High", "play": "Retain", "treatment": 20, "control": 20,
          "outcome_days": 60, "break_even_response": 0.02, "base": np.nan, "detectable": np.nan}]
    )  # fmt: skip
    calls = with_calls(plays, arms, called, FOUND)
    said = campaign_steps(plan, "shop", calls=calls)
    assert "--break-even 0.0200\n" in said
    assert (
        "If those of its contacted half on the list *Call first* are called too, it pays only from more: "
        "then give `--break-even 0.0500`."
    ) in said
    for none in (None, calls[:0], calls.assign(calls=4), calls.assign(segment="Other")):
        assert "called too" not in campaign_steps(plan, "shop", calls=none)
    assert "called too" not in campaign_steps(plan, "shop", calls=calls, is_told=False)
