"""Sentences on prediction: what segments and naive rules caught after a cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from segmentation.book.behind import ABOUT_FEW, rough, withheld, without_few
from segmentation.book.words.other_dates import CUT_HOLDS
from segmentation.book.words.text import (
    Html,
    customers_of,
    dollars,
    from_the_top,
    interval,
    listed,
    named,
    of_kind,
    percent_range,
    plural,
    points,
    score_range,
    table_of,
    told,
)
from segmentation.core.columns import column_of, format_money, format_percent
from segmentation.core.groups import short_groups
from segmentation.core.limits import LEAST_CUSTOMERS, LEAST_PUBLISHED, LIKE_TODAY
from segmentation.evidence.stability import TOO_FEW

VERDICTS = {
    "stable": "stable",
    "uncertain": "a pattern, but with uncertain borders",
    "unstable": "**unstable**",
}


def holdout_sentence(holdout: dict[str, Any], segments: pd.DataFrame, *, currency: str) -> str:
    """What happened after the cut, from the best to the worst segment."""
    if not holdout["possible"]:
        return f"No hold-out proof: {holdout['reason']}."
    n, again = holdout["customers"], holdout["bought_again"]
    money = dollars(format_money(float(holdout["revenue"]), currency))
    large = segments[segments["customers"] >= LEAST_CUSTOMERS]
    kinds = list(segments["segment_type"])
    best = worst = None
    if len(large) > 1:
        best = large.loc[large["revenue_per_customer"].idxmax()]
        worst = large.loc[large["revenue_per_customer"].idxmin()]
    own = listed([column_of(name).label.lower() for name in holdout.get("left_out", [])])
    left_out = f" and without {own}, of which no day is known" if own else ""
    made = f"Segments were made again from orders up to {holdout['cut']} alone{left_out}"
    if "by_borders" in holdout:
        made = (
            "Nobody had the analyst's own labels then: customers were put by orders up to "
            f"{holdout['cut']} alone into the segment whose centre of today is nearest"
        )
    text = (
        f"{made}, and the same "
        f"{n:,} customers followed for {plural(holdout['days_after'], 'day')}, up to "
        f"{holdout['last_day']}. {again:,} of them ({format_percent(again / n)}) bought again, for {money}."
    )
    if holdout.get("unfollowed"):
        return f"{text} {CUT_HOLDS} So what single segments did is not told here."
    if best is None or worst is None:
        return (
            f"{text} There are no two segments of {LEAST_CUSTOMERS} customers or more to compare."
        )
    if any(0 < row["bought_again"] < LEAST_PUBLISHED for row in (best, worst)):
        untold = f"bought again after {holdout['cut']}, of so few neither share nor money is told"
        return f"Of some segments {told(1, 'customer')} {untold}. {text}{_other_customers(large, kinds)}"
    compared = (
        f"Of **{named(best['segment'], best['segment_type'], kinds)}** {format_percent(best['share_again'])} bought again after {holdout['cut']} ("
        f"{interval(best['share_again_low'], best['share_again_high'])}, "
        f"n = {best['customers']:,}), {dollars(format_money(best['revenue_per_customer'], currency))} each "
        f"on average; of **{named(worst['segment'], worst['segment_type'], kinds)}** {format_percent(worst['share_again'])} "
        f"({format_percent(worst['share_again_low'])} to {format_percent(worst['share_again_high'])}, "
        f"n = {worst['customers']:,}), {dollars(format_money(worst['revenue_per_customer'], currency))} each."
    )
    low, high = best["revenue_per_customer_low"], worst["revenue_per_customer_high"]
    few = [
        named(row["segment"], row["segment_type"], kinds)
        for row, end in ((best, low), (worst, high))
        if pd.isna(end)
    ]
    compared += (
        " The intervals of this money do not touch: the segments made at the cut foretold who would spend."
        if low > high
        else " The intervals of this money overlap: **whether the segments made at the cut foretell who spends cannot be told.**"
        if low <= high
        else f" So few of {listed(few)} brought most of their money that it has no interval: **whether the segments made at the cut foretell who spends cannot be told.**"
    )
    return f"{compared} {text}{_other_customers(large, kinds)}"


def _other_customers(segments: pd.DataFrame, kinds: list[str]) -> str:
    """Segments of the cut whose customers would not bear their name by today's borders."""
    others = segments[segments["as_today"] < LIKE_TODAY]
    each = [
        f"{format_percent(row.as_today)} of {named(row.segment, row.segment_type, kinds)}"
        for row in others.itertuples()
    ]
    gone = segments[segments["as_today"].isna()]
    names = [named(row.segment, row.segment_type, kinds) for row in gone.itertuples()]
    said = []
    if each:
        said.append(
            f"by today's borders only {listed(each)} at the cut would have been in the segment of that name"
        )
    if names:
        said.append(
            f"today no segment is called {listed(names)}, so that says nothing of one of today's"
        )
    if not said:
        return ""
    return f" **A name at the cut is not always that of today's customers**: {'; '.join(said)}."


def followed_told(segments: pd.DataFrame) -> pd.DataFrame:
    """Segments followed after the cut, without those of which few customers bought again.

    One more is left out where the totals would tell of these; where that would be too many, lifts
    have two digits.
    """
    counts = segments["bought_again"]
    if not counts.between(1, LEAST_PUBLISHED - 1).any():
        return segments
    hidden, is_rounded = withheld(counts, segments[[]])
    shown = segments[~hidden]
    lifts = [name for name in shown.columns if name.startswith("lift")]
    return shown.assign(**{name: shown[name].map(rough) for name in lifts}) if is_rounded else shown


def holdout_table(segments: pd.DataFrame, *, currency: str) -> Html:
    """Every segment after the cut, with intervals."""
    segments = from_the_top(segments)
    rows = pd.DataFrame(
        {
            "group": segments["segment_type"].map(short_groups(segments["segment_type"])),
            "segment at the cut": segments["segment"],
            "customers": segments["customers"].map("{:,}".format),
            "same today": [format_percent(row.as_today) for row in segments.itertuples()],
            "bought again": [percent_range(row, "share_again") for row in segments.itertuples()],
            "orders": segments["orders"].map("{:,}".format),
            "revenue": [format_money(float(value), currency) for value in segments["revenue"]],
            "per customer": [
                f"{format_money(row.revenue_per_customer, currency)} "
                + (
                    f"({format_money(row.revenue_per_customer_low, currency)}–"
                    f"{format_money(row.revenue_per_customer_high, currency)})"
                    if pd.notna(row.revenue_per_customer_low)
                    else "(hangs on few)"
                )
                for row in segments.itertuples()
            ],
            "share of revenue": [
                percent_range(row, "revenue_share") for row in segments.itertuples()
            ],
            "lift": [score_range(row, "lift") for row in segments.itertuples()],
        }
    )
    given = rows
    figures = ["bought again", "orders", "revenue", "per customer", "share of revenue", "lift"]
    rows = without_few(rows, segments["bought_again"], figures)
    few = "" if rows is given else f" {ABOUT_FEW}"
    if segments["segment_type"].nunique() <= 1:
        rows = rows.drop(columns="group")
    return table_of(
        rows,
        caption="What each segment did after the cut; in brackets 95% bootstrap intervals; money that hangs on few customers is given without one. Same today: share of its customers whom today's borders would have put into the segment of the same name. Lift: share of revenue divided by share of customers."
        + few,
        numeric=[name for name in rows.columns if name not in ("group", "segment at the cut")],
    )


def ranking_table(rankings: pd.DataFrame) -> Html:
    """Segments beside naive rules and a probabilistic model."""
    rows = pd.DataFrame(
        {
            "customers taken": [
                f"{format_percent(row.customers_share)} ({row.customers:,})"
                for row in rankings.itertuples()
            ],
            "chosen by": rankings["ranking"],
            "bought again": [percent_range(row, "share_again") for row in rankings.itertuples()],
            "share of later revenue": [
                percent_range(row, "revenue_share") for row in rankings.itertuples()
            ],
            "lift": [score_range(row, "lift") for row in rankings.itertuples()],
            "rank correlation": [
                score_range(row, "rank_correlation") for row in rankings.itertuples()
            ],
        }
    )
    order = rankings["customers_share"].rank(method="dense").to_numpy().argsort(kind="stable")
    return table_of(
        rows.iloc[order],
        caption="The same number of customers chosen in different ways at the cut, and what they did after it; in brackets 95% bootstrap intervals. The workbook's lists go by segment, then spend; “segments” takes the customers of one segment at random, so its figures are averages over such choices. Rank correlation (Spearman) is of the whole ranking with later revenue.",
        numeric=("bought again", "share of later revenue", "lift", "rank correlation"),
    )


def ranking_sentence(
    holdout: dict[str, Any], rankings: pd.DataFrame, stability: pd.DataFrame
) -> str:
    """Plainly: did lists by segment choose better than sorting customers by past spend?"""
    if not holdout["possible"]:
        return "Without a period after the cut nothing can be compared."
    rows = rankings[rankings["customers_share"] == 0.2].set_index("ranking")
    used = rows.index[0]  # the lists as they are used, which all others are compared with
    own, spend = rows.loc[used], rows.loc["past spend"]
    best = rows["revenue_share"].drop([used, "segments"]).idxmax()
    gap = -spend["difference"]
    ends = f"95% interval {points(-spend['difference_high'])} to {points(-spend['difference_low'])}"
    text = (
        f"A fifth of the customers, chosen by {used}, brought **{format_percent(own['revenue_share'])}** "
        f"of later revenue; chosen by past spend alone, {format_percent(spend['revenue_share'])} "
        f"(the first minus the second: {points(gap)} percentage points, {ends})."
    )
    bare = rows["revenue_share"].get("segments", np.nan)
    if bare < rows["revenue_share"].drop("segments", errors="ignore").min():
        text += f" By segment alone, not ordered by spend inside it, the list finds least of all: {format_percent(bare)}."
    if spend["difference_high"] < 0:
        text += f" **Lists by segment and spend chose better than a plain spend ranking, by {points(gap)} points.**"
        return text + _model_words(holdout, rows, best)
    word = "better" if spend["difference_low"] > 0 else "as well"
    text += f" **At this cut a plain spend ranking does {word}.** "
    enough = "sorting by spend is enough" if _is_enough(rows, best) else f"{best} does better"
    text += _keep(stability, f"As a list of whom to contact, {enough}")
    return text + _model_words(holdout, rows, best)


def _is_enough(rows: pd.DataFrame, best: str) -> bool:
    """Whether no other list does better than lists by segment, beyond chance, or spend is best."""
    return best == "past spend" or not rows.at[best, "difference_low"] > 0


def _keep(stability: pd.DataFrame, lead: str) -> str:
    n = len(stability)
    if n == 0:
        return "With one segment there is nothing to act on beyond the list itself."
    stability = stability[stability["verdict"] != TOO_FEW]
    if stability.empty:
        return f"{lead}: every segment is too small."
    shaky = stability[stability["verdict"] != "stable"]
    few = f"few ({plural(n, 'segment')})"
    if shaky.empty:
        return (
            f"{lead}; the segments then earn their keep by being {few}, alike in other samples (every overlap at "
            f"least {stability['jaccard'].min():.2f}) and actionable: each can be described, named and "
            "given its own offer."
        )
    return (
        f"{lead}. The segments could earn their keep by being {few} and actionable, but {len(shaky)} of them "
        f"{'is' if len(shaky) == 1 else 'are'} not stable (lowest overlap "
        f"{stability['jaccard'].min():.2f}), so treat those with care."
    )


def _model_words(holdout: dict[str, Any], rows: pd.DataFrame, best: str) -> str:
    first = rows.loc[best]
    ends = f"{points(first['difference_low'])} to {points(first['difference_high'])}"
    text = (
        ""
        if best == "past spend"  # said above
        else f" Best of all other rankings at this size is {best} ({format_percent(first['revenue_share'])}; "
        f"beside the lists by segment {points(first['difference'])} points, 95% interval {ends})."
    )
    if holdout["model"] is None:
        return text + " Too few customers bought again before the cut to fit BG/NBD."
    expected = holdout["model"]["predicted_revenue"] / float(holdout["revenue"])
    came = f"expected {format_percent(expected)} of the revenue that came."
    if holdout["model"]["everybody_alive"]:
        came += " By its fit nobody ever stops buying, so it learns nothing from silence."
    if "gamma" not in holdout["model"]:
        return (
            f"{text} Gamma-Gamma found no credible mean order value in these data, so BG/NBD's "
            f"orders are valued at each customer's own mean: together they {came}"
        )
    return f"{text} BG/NBD with Gamma-Gamma, fitted on the orders before the cut, {came}"


def evidence_summary(
    stability: pd.DataFrame,
    whole: pd.DataFrame,
    holdout: dict[str, Any],
    rankings: pd.DataFrame,
    kinds: list[str],
) -> str:
    """Stability and prediction in a few lines, for the model card and the front page."""
    lines = []
    for kind in kinds:
        rows, overall = of_kind(stability, kind), of_kind(whole, kind)
        if rows.empty:
            lines.append(
                f"- Stability{_group_of(kind, kinds)}: not tested, one segment or too few customers."
            )
            continue
        one = overall[overall["method"] == "bootstrap"].iloc[0]
        each = listed(
            [
                f"{row.segment} {VERDICTS[row.verdict]} "
                f"({row.jaccard:.2f}; {row.jaccard_low:.2f} to {row.jaccard_high:.2f})"
                if row.verdict != TOO_FEW
                else f"{row.segment} too small to say (n = {row.customers})"
                for row in from_the_top(rows).itertuples()
            ]
        )
        lines.append(
            f"- Stability{_group_of(kind, kinds)}: adjusted Rand index over resamples "
            f"{one['agreement']:.2f} ({one['agreement_low']:.2f} to {one['agreement_high']:.2f}); "
            f"mean overlap and range: {each}."
        )
    if not holdout["possible"]:
        return "\n".join([*lines, f"- Prediction: not tested, {holdout['reason']}."])
    rows = rankings[rankings["customers_share"] == 0.2].set_index("ranking")
    caught = [f"{row.Index} {percent_range(row, 'revenue_share')}" for row in rows.itertuples()]
    lines.append(
        f"- Prediction, cut after {holdout['cut']}: share of later revenue in the fifth of customers "
        f"(n = {int(rows['customers'].iloc[0]):,} of {holdout['customers']:,}) chosen by "
        f"{listed(caught)}; in brackets 95% intervals."
    )
    return "\n".join(lines)


def _group_of(kind: str, kinds: list[str]) -> str:
    return f" ({customers_of(kind, kinds)})" if len(kinds) > 1 else ""
