"""Sentences say no more than their numbers do: ties, zeros, few customers, wide ranges."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pandas as pd
import pytest

from segmentation.actions import campaign
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import FOLLOWED, FORECAST
from segmentation.book import plots, words
from segmentation.book.words import structure, trust
from segmentation.book.words.cards import _tiles
from segmentation.book.words.in_short import _foretold
from segmentation.book.words.recommendations import limit_words
from segmentation.book.words.worth import anyway_words
from segmentation.core.intervals import wilson


@pytest.mark.parametrize("n", [5, 25, 181, 13_423])
def test_an_interval_of_none_and_of_all_ends_where_the_share_does(n):
    assert wilson(0, n)[0] == 0.0
    assert wilson(n, n)[1] == 1.0


def effect(moved: float) -> str:
    row = {"segment_type": "normal", "segment": "A", "customers": 25, "stay": 25 * (1 - moved)}
    row |= {"moved": moved, "moved_low": 0.0, "moved_high": 0.2, "anomalies": 3}
    return words.effect_sentence(pd.DataFrame([row]), {"normal": 1.0}, ["normal"])


def test_nobody_is_named_where_nobody_moves():
    assert "moves out of" not in effect(0.0)
    assert "The largest share moves out of **A**: 4.0% of its 25 customers" in effect(0.04)


def monthly(last_day: str) -> pd.DataFrame:
    months = pd.to_datetime(["2011-10-01", "2011-11-01", "2011-12-01"])
    days = pd.to_datetime(["2011-10-31", "2011-11-30", last_day])
    table = {"month": months, "last_day": days, "new_customers": [5, 5, 5], "orders": 9}
    return pd.DataFrame(table | {"revenue": [100.0, 300.0, 20.0]})


def line_of(largest: float) -> pd.DataFrame:
    return pd.DataFrame({"largest_line": [largest]})


def test_a_month_that_is_not_complete_is_no_ordinary_month():
    said = words.month_sentence(monthly("2011-12-09"), line_of(9.0), currency="GBP")
    assert "the median whole month brings £200" in said
    assert "the median month brings £100" in words.month_sentence(
        monthly("2011-12-31"), line_of(9.0), currency="GBP"
    )
    cohorts = pd.DataFrame(
        [("2011-10-01", 0, 100, 100), ("2011-10-01", 1, 100, 30), ("2011-10-01", 2, 100, 5),
         ("2011-11-01", 0, 100, 100), ("2011-11-01", 1, 100, 2)],
        columns=["cohort", "months_since", "cohort_size", "customers"],
    )  # fmt: skip
    cohorts["cohort"] = pd.to_datetime(cohorts["cohort"])
    said = words.cohort_sentence(cohorts, last_day="2011-12-09")
    assert "30% in month 1 (n = 100)" in said
    assert "December 2011 is not complete" in said
    assert "16% in month 1 (n = 200)" in words.cohort_sentence(cohorts, last_day="2011-12-31")


def test_a_month_that_one_line_made_the_best_is_told_as_such():
    """Of months of 100, 300 and 20 a line of 250 can be the second month's only; one of 90 need not."""
    months = monthly("2011-12-31")
    said = words.month_sentence(months, line_of(250.0), currency="GBP")
    assert "**November 2011** with £300 from 9 orders, £250 of it one line; the median" in said
    assert "one line" not in words.month_sentence(months, line_of(90.0), currency="GBP")


def test_a_fall_after_the_last_newcomers_is_not_called_a_fall_of_everybody():
    table = monthly("2011-12-31").assign(new_customers=[9, 0, 0])
    said = words.month_sentence(table, line_of(9.0), currency="GBP")
    assert "a fall in revenue among those months is customers who come back or spend less" in said


def ranked(model: float, spend: float = 0.02) -> pd.DataFrame:
    rows = [("segment, then spend", 0.55, 0.0, 0.0, 0.0),
            ("segments", 0.5, -0.05, -0.1, 0.0),
            ("past spend", 0.57, spend, spend - 0.05, spend + 0.05),
            ("BG/NBD and mean order", 0.64, model, model - 0.05, model + 0.05)]  # fmt: skip
    named = ["ranking", "revenue_share", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=named).assign(customers_share=0.2)


def test_a_list_that_beats_the_groups_is_said_though_spend_only_equals_them():
    holdout = {"possible": True}
    assert trust.beaten(holdout, ranked(0.09), pd.DataFrame()) == [
        "a list by a published model of buying finds more later revenue: its first fifth brought 64% of it, "
        "that of the lists by group 55%"
    ]
    assert (
        "by past spend finds later revenue just as well"
        in trust.beaten(holdout, ranked(0.03), pd.DataFrame())[0]
    )
    steady = pd.DataFrame({"verdict": ["stable"], "jaccard": [0.9]})
    model = {"model": {"predicted_revenue": 1.0, "everybody_alive": False}, "revenue": 1}
    said = words.ranking_sentence(holdout | model, ranked(0.09), steady)
    assert "sorting by spend is enough" not in said
    assert "whom to contact, BG/NBD and mean order does better" in said
    assert "sorting by spend is enough" in words.ranking_sentence(
        holdout | model, ranked(0.03), steady
    )


def test_a_list_that_was_never_ahead_is_not_ahead_by_a_minus():
    cuts = pd.DataFrame(
        [(list_, day, 100, share) for day in ("a", "b")
         for list_, share in (("segment, then spend", 0.5), ("past spend", 0.6))],
        columns=["ranking", "as_of", "customers", "revenue_share"],
    )  # fmt: skip
    assert "ahead of past spend at 0 of 2 and found 10.0 points less of" in words.cuts_sentence(
        cuts
    )


def test_days_that_look_exchanged_are_said_on_every_page():
    swap = {"order_date": {"strength": "strong"}, "registered_date": {"strength": "none"}}
    overview = {"synthetic": False, "date_repair": "off"}
    assert "`order_date` look exchanged" in words.banner(overview, swap).text
    assert words.banner(overview | {"date_repair": "swap_day_month"}, swap).markup == ""
    assert words.banner(overview).markup == ""
    found = pd.DataFrame(
        [{"finding": "unused_flag", "severity": "severe", "place": "lines.is_net",
          "facts": '{"value": "0", "share": 0.54}'}]
    )  # fmt: skip
    flagged = words.banner(overview, {}, found)
    assert flagged.text.startswith("`is_net` is 0 on 54% of kept revenue")
    assert words.banner(overview, {}, found.assign(severity="note")).markup == ""


def test_one_order_is_no_change_of_the_whole_shop():
    quarters = pd.DataFrame(
        {"quarter": pd.to_datetime(["2021-04-01", "2022-07-01"]), "customers": [158, 379],
         "top_share": [0.65, 0.87], "top_error": 0.06, "gini": [0.75, 0.9], "gini_error": 0.02,
         "largest_share": [0.12, 0.57], "is_complete": True}
    )  # fmt: skip
    quarters = pd.concat([quarters.head(1), quarters])  # in the first everybody is new
    assert words.concentration_trend(quarters).startswith("**One customer makes the change**")
    few = quarters.assign(largest_share=0.05)
    said = words.concentration_trend(few)
    assert said.startswith("**Whether it is more than chance cannot be said of so few**")
    assert "interval" not in said
    many = few.assign(customers=400)
    assert words.concentration_trend(many).startswith("Revenue of the last quarter was **more**")
    told = pd.concat([many.iloc[:2], many.iloc[1:2].assign(top_share=0.7), many.iloc[2:]])
    assert (
        "65% of its revenue in 2021 Q2 and 87% in 2022 Q3, 70% in between."
        in words.concentration_trend(told)
    )


def grid(*shares: float, customers: int = 1000) -> str:
    cells = zip((0.8, 0.9, 1.1, 1.2), shares, strict=True)
    table = pd.DataFrame(
        [("normal", eps, 6, share) for eps, share in cells],
        columns=["segment_type", "eps", "min_samples", "noise_share"],
    )
    flagged = round(0.05 * customers)
    chosen = {"eps": 1.0, "min_samples": 6, "anomalies": flagged, "customers": customers}
    return words.grid_sentence(table, {"normal": chosen})


def test_the_share_of_flags_is_compared_with_the_next_radius_on_each_side():
    assert "it would be 6.0% at eps 0.9 and 4.0% at eps 1.1" in grid(0.3, 0.06, 0.04, 0.001)
    assert "changes little" in grid(0.3, 0.06, 0.04, 0.001)
    assert "depends strongly" in grid(0.3, 0.06, 0.01, 0.001)
    assert "depends strongly" in grid(0.3, 0.11, 0.05, 0.001)
    assert "too few to say" in grid(0.3, 0.12, 0.05, 0.05, customers=40)


def flags(low: float, groups: int, anomalies: int = 50) -> str:
    cell = {"segment_type": "normal", "eps": 1.0, "min_samples": 6, "dense_groups": groups}
    cell |= {"stability": 0.86, "stability_low": low, "stability_high": 0.98}
    return words.dbscan_evidence_sentence(
        pd.DataFrame([cell]), {"normal": {"eps": 1.0, "min_samples": 6, "anomalies": anomalies}}
    )


def test_flags_are_settled_where_they_stay_in_nearly_every_trial():
    assert "depend little on" in flags(0.8, 3)
    assert "**86%** are flagged both times" in flags(0.8, 3), "of those flagged either time"
    assert "depends noticeably" in flags(0.71, 3)
    assert "sees 19 dense groups. Of the customers flagged" in flags(0.8, 19)


def test_a_name_that_is_kept_on_average_only_is_not_called_kept():
    row = {"segment_type": "normal", "segment": "A", "same_name": 0.88, "same_name_low": 0.0}
    said = words.names_sentence(pd.DataFrame([row | {"same_name_high": 1.0}]), ["normal"])
    assert "on average 88%" in said
    assert "from 0% to 100%" in said
    assert "In some resamples most of them lose it" in said


def anyway(**changed: float) -> str:
    row = {"base": 0.074, "base_low": 0.07, "base_high": 0.079, "base_customers": 13_820.0}
    row |= {"base_is": FOLLOWED}
    row |= {"latest": "1998-03-31", "latest_base": 0.036, "latest_forecast": 0.045}
    row |= {"base_recency": 228.0, "median_recency": 300.0, "outcome_days": 90}
    row |= {"break_even_response": 0.178, "break_even_mean": float("nan")}
    return anyway_words(SimpleNamespace(**row | changed), "1997-09-30")


def test_who_ordered_anyway_is_likened_to_todays_customers_only_where_they_are_alike():
    assert "7.4% of the 13,820 customers who belonged here on 1997-09-30 ordered" in anyway()
    assert "expect" not in anyway()
    assert "expect less today" in anyway(median_recency=498.0)
    assert "expect more today" in anyway(median_recency=100.0)
    assert "expect" not in anyway(median_recency=float("nan"))
    assert "raises this share by 17.8 percentage points" in anyway()
    assert "A campaign pays" not in anyway(break_even_response=0.95)


def test_where_the_cost_cannot_be_right_no_card_says_from_when_it_pays():
    segments = pd.DataFrame(
        {"segment_type": "normal", "segment": ["A"], "customers": 400, "outcome_days": 90,
         "base": 0.1, "base_low": 0.05, "base_high": 0.2, "base_customers": 400, "anomalies": 0,
         "break_even_response": 0.00001, "break_even_mean": float("nan"),
         "campaign_cost": 400.0, "typical_order": 150_000.0,
         "is_campaign": True, "play": "Retain", "largest_share": 0.41, "revenue": 1e9,
         "revenue_low": 0.9e9, "revenue_high": 1.1e9}
    )  # fmt: skip
    sizes = campaign.sizes_by_segment(segments)
    tried = pd.DataFrame(columns=["segment_type", "segment", "verdict", "jaccard"])
    (row,) = add_limits(segments, sizes, tried, no_holdout="").itertuples()
    assert limit_words(row) == (
        "When it pays is not known, so nor is whether a test shows it; one customer brought 41% of "
        "its revenue."
    )
    shown = words.sample_size_table(sizes).text.splitlines()[-1]
    assert shown.split()[-3:] == ["–", "–", "–"] and "under" not in shown
    said = words.sample_size_sentence(sizes, no_holdout="")
    assert "not known until `contact_cost` is set" in said and "none of" not in said
    known = segments.assign(campaign_cost=4e6)
    assert campaign.sizes_by_segment(known)["can_show"].tolist() == [False]


def test_up_and_down_are_told_by_what_customers_spend_and_not_by_numbers_of_segments():
    """Number 1 of the second group spends less than number 0 of the first."""
    rows = [("normal", 0, "normal", 0, "stayed", 100, 9_000), ("normal", 1, "normal", 1, "stayed", 50, 9_900),
            ("pre_register", 1, "pre_register", 1, "stayed", 40, 800),
            ("normal", 0, "pre_register", 1, "moved", 8, 100),
            ("pre_register", 1, "normal", 0, "moved", 6, 400)]  # fmt: skip
    sides = ["segment_type_before", "cluster_before", "segment_type_after", "cluster_after"]
    moves = pd.DataFrame(rows, columns=[*sides, "movement", "customers", "revenue_after"])
    money = moves["revenue_after"].map(Decimal).astype(object)
    moves = moves.assign(revenue_before=money, revenue_after=money)
    said = words.changes_sentence(SimpleNamespace(migration=moves), currency="USD")
    assert "6 to one that spends more on average and 8 to one that spends less" in said
    registered = moves.assign(group_only=[0, 0, 0, 8, 0])
    said = words.changes_sentence(SimpleNamespace(migration=registered), currency="USD")
    assert (
        ": 8 only by registering (another group, nothing bought); of the others 6 to one that spends more on "
        "average and 0 to one that spends less; together they have spent"
    ) in said
    few = {(0, 0, 0, 2, 0): "fewer than 5 only by registering (another group, nothing bought); of the others "
           "to one that spends more on average or to one that spends less;",
           (0, 0, 0, 8, 3): ": all but fewer than 5 only by registering",
           (0, 0, 0, 8, 6): ": all only by registering",
           (0, 0, 0, 6, 0): "6 only by registering (another group, nothing bought); of the others most to one "
           "that spends more on average;"}  # fmt: skip
    for only, needed in few.items():
        some = SimpleNamespace(migration=moves.assign(group_only=only))
        assert needed in words.changes_sentence(some, currency="USD")
    drawn = moves.assign(
        movement=["stayed", "stayed", "stayed", "redrawn", "redrawn"],
        customers=[100, 50, 40, 41, 3],
    )
    told = words.changes_sentence(SimpleNamespace(migration=drawn), currency="USD")
    assert "About 45 further customers did not move" in told, (
        "41 of the table and 44 would tell of 3"
    )


def test_who_orders_anyway_is_said_of_today_where_it_is_forecast():
    said = anyway(base_is=FORECAST, median_recency=498.0)
    assert "7.4% of its 13,820 customers are expected to order within 90 days" in said
    assert (
        "Of those who stood here on 1998-03-31, 3.6% did, where the same forecast said 4.5%."
        in said
    )
    alone = anyway(base_is=FORECAST, latest_forecast=float("nan"))
    assert "Of those who stood here on 1998-03-31, 3.6% did." in alone
    assert "stood here" not in anyway(base_is=FORECAST, latest_base=float("nan"))
    assert "borders" not in said and "expect less today" not in said
    assert "raises this share by 17.8 percentage points" in said


def test_the_rule_names_all_numbers_that_pass_its_tests():
    scores = {"silhouette": 0.5, "silhouette_low": 0.4, "silhouette_high": 0.6}
    scores |= {
        "silhouette_null": 0.3,
        "agreement": 0.9,
        "agreement_low": 0.85,
        "agreement_high": 1.0,
    }
    by_k = pd.DataFrame([scores] * 3, index=[2, 3, 4])
    rule = {"k": 3, "runner_up": 2, "lead": -0.02, "is_narrow": True, "scanned": list(range(2, 11))}
    rule["failed"] = {str(k): ["gap"] for k in (5, 6, 7, 8)}
    said = structure._what_stands(by_k, rule)
    assert "the numbers from 2 to 8 that pass the three tests (2, 3 and 4)" in said
    assert "silhouette 0.500 (estimated, 95% interval 0.400 to 0.600) against 0.300" in said
    exact = by_k.assign(silhouette_low=float("nan"), silhouette_high=float("nan"))
    assert "silhouette 0.500 against 0.300" in structure._what_stands(exact, rule)
    assert said.startswith(
        "The scores favour **3 segments**: they lie further apart than pieces of"
    )
    assert "may lie as far apart" in said and "k = " not in said
    assert "two halves of the customers give nearly the same ones (" in said
    spread = structure._what_stands(by_k.assign(agreement_low=0.42), rule)
    assert "much the same ones, though not at every cut: 0.42 to 1.00 (" in spread
    assert "A coarser split, 2 segments (" in said
    finer = structure._what_stands(by_k, rule | {"runner_up": 4})
    assert "A finer split, 4 segments (" in finer


def test_a_score_stands_behind_what_it_means():
    scores = pd.DataFrame({"segment_type": "normal", "k": [2, 3], "silhouette": [0.58, 0.48]})
    said = words.scores_sentence(scores, {"normal": {"k": 3}})
    assert said.endswith(
        "2 sets them furthest apart (silhouette 0.58; 3, the number in use, 0.48)."
    )
    said = words.scores_sentence(scores, {"normal": {"k": 2}})
    assert said.endswith("2 sets them furthest apart (silhouette 0.58), the number in use.")
    rows = {"segment_type": "normal", "segment": ["A", "A", "B"], "silhouette": [0.4, -0.1, 0.6]}
    measured = {"normal": {"measured": 3, "customers": 3}}
    said = words.silhouette_sentence(pd.DataFrame(rows), measured)
    assert "33% of 3 customers are, on average, more like the customers of another segment" in said
    assert "lie closer" not in said, "K-Means gives everybody the nearest centre"


def test_money_given_back_is_not_all_goods():
    lines = {"kind": ["matched"], "rows": [3], "amount": [Decimal("-12.50")]}
    said = words.returns_sentence(pd.DataFrame(lines), policy="exclude", currency="GBP")
    assert said.startswith("3 lines give back £12.50, for goods or otherwise.")


def test_a_quarter_of_another_season_is_said_where_no_other_is_known():
    assert "other seasons" in words.season_sentence(["2011-03-09", "2011-09-09"], "2011-12-09")
    assert words.season_sentence(["1997-06-30", "1998-03-31"], "1998-06-30") == ""
    assert words.season_sentence([], "1998-06-30") == words.season_sentence([], None) == ""


def test_no_month_is_called_whole_or_compared_while_dates_look_exchanged():
    swap = {"order_date": {"strength": "strong", "first_month": "2011-10", "last_month": "2011-11"}}
    outside = words.true_months({"date_repair": "off"}, swap)
    assert words.true_months({"date_repair": "swap_day_month"}, swap) is None
    assert words.true_months({"date_repair": "off"}, {"order_date": {"strength": "none"}}) is None
    said = words.month_sentence(
        monthly("2011-12-09"), line_of(9.0), currency="GBP", true_months=outside
    )
    assert said.startswith("As the dates stand: the best of") and "median" not in said
    assert "outside October 2011 to November 2011 are days 1 to 12 alone" in said
    assert "**No month is whole**" in said and "last month ends" not in said
    figure = plots.plot_monthly(monthly("2011-12-31"), currency="GBP", true_months=outside)
    assert any("no month is whole" in text.get_text() for text in figure.texts)


def of_the_cut(**changed: object) -> pd.DataFrame:
    """Two segments of 100 customers, of whom 60% and 10% bought again."""
    rows = {"segment_type": "normal", "segment": ["Many units", "Low"], "customers": 100,
            "revenue_per_customer": [50.0, 5.0], "share_again": [0.6, 0.1], "as_today": [0.9, 1.0],
            "share_again_low": [0.5, 0.06], "share_again_high": [0.69, 0.17]}  # fmt: skip
    return pd.DataFrame(rows | changed)


def test_groups_of_the_cut_that_are_none_of_todays_foretell_nothing_of_these():
    assert _foretold(of_the_cut()).startswith("foretold: of Many units 60% did after the cut")
    gone = _foretold(of_the_cut(as_today=[float("nan"), 1.0]))
    assert gone.startswith(
        "at the cut other groups formed, so of today's segments nothing is foretold; of those of the cut"
    )
    assert "of Many units 60% did after the cut, of Low 10%" in gone


@pytest.mark.parametrize(("same_name", "is_told"), [(0.88, True), (0.95, False)])
def test_a_stable_group_whose_name_is_lost_says_so_on_its_card(same_name, is_told):
    row = pd.Series(
        {"customers": 75, "customers_share": 0.1, "revenue": 900.0, "revenue_share": 0.5,
         "total_spent_mean": 12.0, "total_spent_median": 9.0}
    )  # fmt: skip
    found = {"verdict": "stable", "jaccard": 0.99, "same_name": same_name}
    found |= {"same_name_low": 0.0, "same_name_high": 1.0}
    said = _tiles(row, pd.DataFrame([found]), 750, "USD")
    assert "overlap 0.99 of 1, on average" in said
    assert ("its name is kept by 88% of them only (0% to 100%)" in said) == is_told


def test_halves_that_are_not_alike_in_spend_are_named():
    plan = pd.DataFrame(
        {"segment_type": "normal", "segment": ["High", "Low"], "spend_difference": [0.161, -0.03]}
    )
    said = words.plan_sentence(plan)
    assert said.startswith("**Both halves are not alike in mean spend** of High (+0.161)")
    assert "Low" not in said
    assert words.plan_sentence(plan.assign(spend_difference=0.05)) == ""
