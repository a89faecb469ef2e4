"""Tables and sentences of what to do: concentration risk, and what a test can show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.break_even import plausible_rise
from segmentation.book.behind import FEW, HIDDEN
from segmentation.book.words.text import Html, inert, listed, named, plural, table_of
from segmentation.core.columns import format_money, format_percent, format_points
from segmentation.core.groups import short_groups
from segmentation.core.intervals import Z95
from segmentation.core.limits import (
    BALANCED,
    FALSE_ALARM,
    LEAST_CUSTOMERS,
    LEAST_PUBLISHED,
    MEAN_OF_FEW,
    PLAUSIBLE_PART,
    PLAUSIBLE_RISE,
)
from segmentation.orders.days_unsure import LOOK_EXCHANGED


def concentration_table(table: pd.DataFrame, *, customers: int) -> Html:
    """Each figure of concentration with its 95% interval."""
    rows = [
        {
            "figure": _figure_words(row.measure, row.at),
            "value": _figure(row.measure, row.value),
            "95% interval": f"{_figure(row.measure, row.low)} to {_figure(row.measure, row.high)}"
            if np.isfinite(row.low)
            else "–",
        }
        for row in table.itertuples()
    ]
    shown = pd.DataFrame(rows, columns=["figure", "value", "95% interval"])
    caption = (
        f"How much of the revenue hangs on how few of {customers:,} customers. The interval says how far "
        f"chance may move the figure; what fewer than {LEAST_CUSTOMERS} customers brought has none."
    )
    return table_of(shown, caption=caption, numeric=("value", "95% interval"))


def few_sentence(table: pd.DataFrame, *, customers: int) -> str:
    """How much hangs on few: the ten largest customers, and who brings half."""
    found = table.set_index(["measure", "at"])["value"]
    half = float(found["customers_for_half", 0.5])
    text = f"{half:,.0f} of {plural(customers, 'customer')} bring half of the revenue"
    if ("lost_if_top_leave", 10.0) in found.index:
        lost = float(found["lost_if_top_leave", 10.0])
        text += f"; the ten largest alone bring {format_percent(lost)}"
    return f"{text}."


def _figure_words(measure: str, at: float) -> str:
    if measure == "gini":
        return "inequality (Gini coefficient: 0 = all alike, 1 = one customer brings all)"
    if measure == "top_share":
        return f"share of revenue from the largest {at:.0%} of customers"
    if measure == "customers_for_half":
        return "customers who bring half of the revenue"
    few = "largest customer" if round(at) == 1 else f"{round(at)} largest customers"
    return f"share of revenue lost if the {few} had not come"


def _figure(measure: str, value: float) -> str:
    if measure == "gini":
        return f"{value:.3f}"
    return f"{value:,.0f}" if measure == "customers_for_half" else format_percent(value)


def dependence_table(table: pd.DataFrame) -> Html:
    """Concentration within each segment, the most dependent on one customer first."""
    ordered = table.sort_values(
        ["largest_share", "segment_type", "cluster"], ascending=[False, True, True]
    )
    rows = pd.DataFrame(
        {
            "group": ordered["segment_type"].map(short_groups(ordered["segment_type"])),
            "segment": ordered["segment"],
            "customers": [f"{n:,}" for n in ordered["customers"]],
            "inequality (Gini)": [
                f"{value:.2f}" if np.isfinite(value) else "–" for value in ordered["gini"]
            ],
            "from the largest 10%": [format_percent(value) for value in ordered["top_10_share"]],
            "from the largest customer": [format_percent(v) for v in ordered["largest_share"]],
        }
    )
    if table["segment_type"].nunique() < 2:
        rows = rows.drop(columns="group")
    caption = f"How each segment's revenue is spread. n = {int(table['customers'].sum()):,}."
    return table_of(rows, caption=caption, numeric=rows.columns[-4:])


def sample_size_table(sizes: pd.DataFrame) -> Html:
    """What a test of each whole segment could show, and whether that is enough."""
    carried = sizes["break_even_mean"].notna() & sizes["break_even"].notna()
    rows = pd.DataFrame(
        {
            "group": sizes["segment_type"].map(short_groups(sizes["segment_type"])),
            "segment": sizes["segment"],
            "customers": [f"{n:,}" for n in sizes["customers"]],
            "order anyway": [base_words(row) for row in sizes.itertuples()],
            "a test notices": [
                _points(row.detectable) if np.isfinite(row.base) else "–"
                for row in sizes.itertuples()
            ],
            "it pays from": [
                "–"
                if pd.isna(row.break_even)
                else f"{_points(row.break_even)} ({_points(row.break_even_mean)})"
                if carried[row.Index] and _points(row.break_even_mean) != _points(row.break_even)
                else _points(row.break_even)
                for row in sizes.itertuples()
            ],
            "proved to pay from": [
                "–"
                if pd.isna(row.base) or pd.isna(row.break_even)
                else _points(row.pays_from)
                + ", unlikely" * (row.pays_from > plausible_rise(row.base))
                for row in sizes.itertuples()
            ],
            "noticed if it pays": [
                "–" if pd.isna(shown) else "yes" if shown else "no" for shown in sizes["can_show"]
            ],
        }
    )
    if sizes["segment_type"].nunique() < 2:
        rows = rows.drop(columns="group")
    anyway = (
        "order anyway: the share expected to order without any campaign of this report, in brackets its "
        "95% interval"
        if sizes["base"].notna().any()
        else "who orders anyway is not known without a hold-out"
    )
    caption = (
        "Half of each segment contacted, half left alone. The last figures are percentage points, "
        f"which is customers more of 100; {anyway}. A test notices: the smallest rise that it finds 4 "
        "times of 5 (95% confidence). Proved to pay: the whole interval lies above what pays, 4 times of 5; "
        f"unlikely: more than {1 + PLAUSIBLE_RISE:g} times as many as come anyway, or than "
        f"{format_percent(PLAUSIBLE_PART)} of those who would stay away."
        + (
            " It pays from: by the typical order, because in some segment the mean is "
            f"{MEAN_OF_FEW:g} times that or more; in brackets by the mean."
            if carried.any()
            else ""
        )
    )
    return table_of(rows, caption=caption, numeric=rows.columns[-6:-1])


def base_words(row: Any) -> str:
    """Share that orders anyway, in how many days, and its interval; n where it is of others."""
    if not np.isfinite(row.base):
        return f"not known in {row.days} days"
    n = f", n = {row.base_customers:,.0f}" if row.base_customers != row.customers else ""
    return (
        f"{format_percent(row.base)} in {row.days} days "
        f"({format_percent(row.base_low)}–{format_percent(row.base_high)}{n})"
    )


def sample_size_sentence(sizes: pd.DataFrame, *, no_holdout: str) -> str:
    """For how many segments the data can tell whether a campaign paid."""
    known = sizes[sizes["base"].notna()]
    if known.empty:
        why = no_holdout or "nobody belonged to today's segments when customers were followed"
        return (
            f"How many customers order anyway is not known ({why}), so nothing can be said about "
            "the size of a test. Run a first one and leave half of the segment alone: the share of "
            "these who order is the figure that is missing."
            if no_holdout != LOOK_EXCHANGED
            else f"How many customers order anyway is not known ({LOOK_EXCHANGED}), so nothing can be said "
            "about the size of a test **until the dates are put right**."
        )
    if known["break_even"].isna().all():
        return (
            "When a campaign pays is not known until `contact_cost` is set, so nor is whether half "
            "against half would notice it: the table says which rise it notices."
        )
    enough = int(known["can_show"].sum())
    text = (
        f"In {enough or 'none'} of {plural(len(known), 'segment')} would half against half notice "
        "the smallest rise that pays."
        if enough < len(known)
        else "In every segment half against half would notice the smallest rise that pays."
    )
    if enough < len(known):
        text += (
            " Where it would not, a campaign may pay and nobody could tell: **the data cannot support "
            "contacting everybody there**."
        )
    if len(proved := known["pays_from"].dropna()):
        ends = dict.fromkeys(map(format_points, (proved.min(), proved.max())))
        text += f" That it pays is proved 4 times of 5 by a true rise of {' to '.join(ends)} points (*proved to pay from*)."
    if len(known) < len(sizes):
        missing = len(sizes) - len(known)
        text += (
            f" For {plural(missing, 'segment')} more it is not known who orders anyway: nobody "
            "belonged to them when customers were followed."
        )
    return text


def _points(value: float) -> str:
    return format_points(value) if np.isfinite(value) else "none"


def plan_table(
    plan: pd.DataFrame, *, contact_cost: float, currency: str, is_told: bool = True
) -> Html:
    """How each segment with a campaign is divided, at what cost, and how alike both halves are.

    No cost where it is not ``is_told``, because it looks like another currency.
    """
    kinds = set(plan["segment_type"])
    rows = pd.DataFrame(
        {
            "group": plan["segment_type"].map(short_groups(kinds)),
            "segment": plan["segment"],
            "what to do": plan["play"],
            "contact": [f"{n:,}" for n in plan["treatment"]],
            "leave alone": [f"{n:,}" for n in plan["control"]],
            "cost": [format_money(n * contact_cost, currency) for n in plan["treatment"]],
            "difference in spend": [f"{round(v, 3) + 0.0:+.3f}" for v in plan["spend_difference"]],
            "compare after": [f"{days} days" for days in plan["outcome_days"]],
        }
    )
    if len(kinds) < 2:
        rows = rows.drop(columns="group")
    numbers = list(rows.columns[-5:])
    if not is_told:
        rows = rows.drop(columns="cost")
        numbers.remove("cost")
    n = int(plan["treatment"].sum() + plan["control"].sum())
    cost = f" Cost at {format_money(contact_cost, currency)} a contact (assumed)." * is_told
    caption = (
        f"Both lists of every segment with a campaign, {n:,} customers: `campaign_arms.csv` of the run's "
        f"folder.{cost} Difference of both halves' mean spend in "
        f"standard deviations; below {BALANCED:g} they count as alike. Whatever it is, customers of like past "
        "spend are compared with each other."
    )
    return table_of(rows, caption=caption, numeric=numbers)


def plan_sentence(plan: pd.DataFrame) -> str:
    """In which segments both halves have not spent alike, where there are any, in Markdown."""
    kinds = list(plan["segment_type"])
    unlike = plan[plan["spend_difference"].abs() >= BALANCED]
    if unlike.empty:
        return ""
    each = [
        f"{inert(named(row.segment, row.segment_type, kinds))} ({row.spend_difference:+.3f})"
        for row in unlike.itertuples()
    ]
    return (
        f"**Both halves are not alike in mean spend** of {listed(each)}, in standard deviations, the half to be "
        "contacted less the other: chance has not divided the largest customers evenly. Read the comparison "
        "by customers of like spend, as the read-out makes it, and no plain means."
    )


def trial_table(trial: pd.DataFrame) -> Html:
    """Read-outs of a campaign that there was not, segment by segment."""
    kinds = set(trial["segment_type"])
    trial = trial.astype(dict.fromkeys(("treatment", "control", "uplift", "low", "high"), float))
    few = trial[["n_treatment", "n_control"]].min(axis=1) < LEAST_PUBLISHED
    trial.loc[few, ["treatment", "control", "uplift"]] = float("nan")
    rows = pd.DataFrame(
        {
            "group": trial["segment_type"].map(short_groups(kinds)),
            "segment": trial["segment"],
            "one half": [_half(row.treatment, row.n_treatment) for row in trial.itertuples()],
            "other half": [_half(row.control, row.n_control) for row in trial.itertuples()],
            "difference": [
                HIDDEN if pd.isna(v) else f"{round(100 * v, 2) + 0.0:+.2f}" for v in trial["uplift"]
            ],
            "95% interval": [
                HIDDEN if pd.isna(row.uplift) else f"{100 * row.low:+.2f} to {100 * row.high:+.2f}"
                for row in trial.itertuples()
            ],
        }
    )
    if len(kinds) < 2:
        rows = rows.drop(columns="group")
    days = int(trial["days"].iloc[0]) if len(trial) else 0
    caption = (
        f"Share that ordered within the {days} days after, in two halves that were treated "
        "alike; differences in percentage points."
    )
    return table_of(rows, caption=caption, numeric=rows.columns[-4:])


def _half(share: float, n: int) -> str:
    return (
        f"n {FEW[0]} {LEAST_PUBLISHED}"
        if pd.isna(share)
        else f"{format_percent(share)} (n = {n:,})"
    )


def trial_sentence(trial: pd.DataFrame, *, no_holdout: str) -> str:
    """Whether the read-out keeps quiet where there was no campaign."""
    halves = trial.reindex(columns=["n_treatment", "n_control"])
    shown = trial[halves.min(axis=1) >= LEAST_PUBLISHED]
    if shown.empty:
        return (
            f"The comparison could not be tried without a campaign: {no_holdout or 'no segment'}."
        )
    alarms, of = int(shown["is_shown"].sum()), len(shown)
    told = (
        "In none of them does the comparison show a change"
        if alarms == 0
        else f"In {alarms} of them the comparison shows a change that nobody made"
    )
    text = (
        f"Both halves of {plural(of, 'segment')} were treated alike, so every difference is "
        f"chance. {told}; one false alarm in twenty is to be expected{_more_than_chance(alarms, of)}."
    )
    widest = shown.loc[(shown["high"] - shown["low"]).idxmax()]
    return (
        f"{text} The widest interval shown spans {100 * (widest['high'] - widest['low']):.1f} points "
        f"(n = {widest['n_treatment'] + widest['n_control']:,})."
    )


def _more_than_chance(alarms: int, of: int) -> str:
    """How seldom chance gives so many false alarms, where that is once in twenty or less."""
    fewer = sum(
        math.comb(of, n) * FALSE_ALARM**n * (1 - FALSE_ALARM) ** (of - n) for n in range(alarms)
    )
    if not alarms or 1 - fewer > FALSE_ALARM:
        return ""
    return f", {alarms} or more of {of} only once in {1 / (1 - fewer):,.0f}: take no single comparison for proof"


def _rise(share: float) -> str:
    points = 100 * share
    return f"{points:+.2f}" if 0.005 <= abs(points) < 0.05 else f"{round(points, 1) + 0.0:+.1f}"


def _between(shares: pd.Series[float]) -> str:
    """What a share was in the quarters between two: a difference of ends is no trend."""
    if len(shares) < 3:
        return ""
    ends = dict.fromkeys(map(format_percent, (shares.iloc[1:-1].min(), shares.iloc[1:-1].max())))
    return f", {' to '.join(ends)} in between"


def concentration_trend(quarters: pd.DataFrame, days_unsure: str = "") -> str:
    """Whether spend is more concentrated in the last whole quarter than in the first compared.

    ``days_unsure`` says why no quarter of an order is known, or nothing.
    """
    if days_unsure:
        return f"Whether it has is not told: {LOOK_EXCHANGED}."
    whole = quarters.iloc[1:]  # in the first quarter of the data everybody is new
    whole = whole[whole["is_complete"]] if len(whole) else whole
    if len(whole) < 2:
        return (
            f"After the first quarter, in which everybody is new, there are no two whole ones with "
            f"{LEAST_CUSTOMERS} customers or more, so no trend is told."
        )
    first, last = whole.iloc[0], whole.iloc[-1]
    names = [f"{q.year} Q{q.quarter}" for q in (first["quarter"], last["quarter"])]
    gap = float(last["top_share"] - first["top_share"])
    reach = Z95 * float(np.hypot(first["top_error"], last["top_error"]))
    word = "more" if gap > 0 else "less"
    few = 0.1 * min(first["customers"], last["customers"]) < LEAST_CUSTOMERS
    rest = [(q["top_share"] - q["largest_share"]) / (1 - q["largest_share"]) for q in (first, last)]
    turned = float(last["gini"] - first["gini"])
    if abs(gap) > reach >= abs(rest[1] - rest[0]):
        verdict = "**One customer makes the change**"
    elif few:
        verdict = "**Whether it is more than chance cannot be said of so few**"
    elif abs(gap) > reach:
        verdict = f"Revenue of the last quarter was **{word}** concentrated"
    elif abs(turned) > Z95 * float(np.hypot(first["gini_error"], last["gini_error"])):
        ends = f"{first['gini']:.2f} to {last['gini']:.2f}"
        less = "less" if turned > 0 else "more"
        verdict = (
            f"**Spend is spread {less} evenly** (Gini coefficient {ends}), though the share of the "
            "largest moved by no more than chance"
        )
    else:
        verdict = "**No change is shown**"
    ns = [f"{row['customers']:,}" for row in (first, last)]
    ends = "" if few else f"95% interval {_rise(gap - reach)} to {_rise(gap + reach)}; "
    return (
        f"{verdict}: the largest 10% of a quarter's customers brought "
        f"{format_percent(first['top_share'])} of its revenue in {names[0]} and "
        f"{format_percent(last['top_share'])} in {names[1]}{_between(whole['top_share'])}.\n\nThe difference is {_rise(gap)} "
        f"points ({ends}n = {ns[0]} and {ns[1]}). "
        f"The largest customer of the quarter brought "
        f"{format_percent(first['largest_share'])} and {format_percent(last['largest_share'])}. The "
        "first quarter of the data, in which everybody is new, is not compared."
    )
