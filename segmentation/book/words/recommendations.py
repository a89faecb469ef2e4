"""Sentences about what to do: the play of each segment, its money, its break-even, its limits."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from segmentation.actions.recommend import FIRST_ORDER, FORECAST, NOT_AT_THIS_COST, WINDOW_ORDER
from segmentation.book.words.preferences import differs, own_margin
from segmentation.book.words.text import (
    Html,
    as_sentence,
    customers_of,
    dollars,
    in_colour,
    inert,
    interval,
    listed,
    named,
    plural,
    with_code,
)
from segmentation.book.words.warnings import cost_words
from segmentation.core.columns import format_money, format_percent, format_points, format_value
from segmentation.core.limits import LONGER_SILENT, MEAN_OF_FEW, UNREACHABLE, WIDE


def recommendation_cards(
    recommendations: pd.DataFrame,
    *,
    currency: str,
    customers: int,
    cut: str,
    colours: Mapping[str, str],
    gross_margin: float,
    margins: pd.DataFrame,
) -> Html:
    """One card per segment: who, why, what to do, what it takes to pay, what stands against it."""
    own = own_margin(margins)
    kinds = list(recommendations["segment_type"].unique())
    cards, texts = [], []
    for row in recommendations.itertuples():
        group = customers_of(row.segment_type, kinds) if len(kinds) > 1 else ""
        told = {
            "Break-even": break_even_words(row, currency, cut)
            + _by_own_margin(row, gross_margin, own),
            "Order anyway": anyway_words(row, cut),
        }
        lines = {
            "Who": _who(row, currency, customers),
            "In the window": stake_words(row, currency),
            "Why this play": " ".join(as_sentence(text) for text in (row.why, row.gap) if text),
            **(told if row.is_campaign or row.play == NOT_AT_THIS_COST else {}),
            "Measure": as_sentence(row.measure),
            "Limits": limit_words(row),
        }
        items = "".join(
            f"<dt>{html.escape(name)}</dt><dd>{with_code(text)}</dd>"
            for name, text in lines.items()
        )
        colour = colours.get(str(row.segment), "")
        cards.append(
            f'<div class="segment-card"{in_colour(colour)}><p class="segment-name">{html.escape(row.segment)}'
            f"<span>{html.escape(group)}</span></p>"
            f"<p><strong>{html.escape(row.play)}.</strong> {html.escape(row.do)}</p>"
            f"<dl>{items}</dl></div>"
        )
        texts.append(f"{row.segment}: {row.play}. {row.do} {lines}")
    return Html("".join(cards), "\n".join(texts))


def _who(row: Any, currency: str, customers: int) -> str:
    parts = [
        f"{plural(row.customers, 'customer')} ({format_percent(row.customers / customers)} of "
        f"{customers:,}), {format_money(row.revenue_per_customer, currency)} each on average."
    ]
    if row.one_time_share > 0:
        parts.append(f"{format_percent(row.one_time_share)} ordered on one occasion only.")
    if pd.notna(row.median_recency):
        parts.append(
            f"The median customer last ordered {format_value(row.median_recency, 'recency')} "
            "before the last day of observation."
        )
    if row.anomalies and row.is_campaign:
        parts.append(f"{plural(row.anomalies, 'customer')} flagged as unusual: look at them first.")
    return " ".join(parts)


def stake_words(row: Any, currency: str) -> str:
    """The money that a segment brought: booked, so without an interval."""
    return (
        f"{format_money(row.revenue, currency)}, {format_percent(row.revenue_share)} of revenue in "
        "the window."
    )


def anyway_words(row: Any, cut: str) -> str:
    """Who orders without a campaign, and what a campaign must make of it."""
    if pd.isna(row.base):
        return "Not known from these data."
    text = (
        f"{format_percent(row.base)} of its {row.base_customers:,.0f} customers are expected to order "
        f"within {row.outcome_days} days without any campaign of this report ("
        f"{interval(row.base_low, row.base_high)}, by what earlier quarters missed)."
        if row.base_is == FORECAST
        else f"Of the {row.base_customers:,.0f} customers whom the borders of this segment held on {cut}, "
        f"{format_percent(row.base)} ordered within {row.outcome_days} days after, without any "
        f"campaign of this report ("
        f"{interval(row.base_low, row.base_high)}).{_silent_words(row)}"
    )
    if row.base + row.break_even_response <= 1:
        points = format_points(row.break_even_response)
        text += f" A campaign pays when it raises this share by {points} percentage points."
    return text


def _silent_words(row: Any) -> str:
    """Whether today's customers have been silent for much longer, or shorter, than those."""
    then, now = row.base_recency, row.median_recency
    if pd.isna(then) or pd.isna(now) or max(then, now) < LONGER_SILENT * max(min(then, now), 1.0):
        return ""
    return (
        f" Half of those had been silent for {format_value(then, 'recency')} or longer, of today's "
        f"customers for {format_value(now, 'recency')}: expect {'less' if now > then else 'more'} today."
    )


def limit_words(row: Any) -> str:
    """What stands against a recommendation, or that nothing was found."""
    if not row.limits:
        more = row.break_even_response / row.base if row.base else float("nan")
        needs = (
            f"It pays only if {format_percent(more)} more order than come anyway. "
            if more >= WIDE
            else ""
        )
        return (
            f"{needs}A test of this segment notices a rise that pays, and proves that it pays only "
            "of a larger one, as the table below says."
        )
    said = as_sentence(row.limits)
    if row.is_supported or not row.is_campaign:
        return said
    return f"{said} The data cannot support more than a trial, half of them contacted and half left alone: it limits what may be lost, and need not prove anything."


def break_even_words(row: Any, currency: str, cut: str) -> str:
    """What a campaign to a segment needs before it pays, in words."""
    cost = format_money(row.campaign_cost, currency)
    if row.campaign_cost == 0:
        return "Contacting costs nothing under the profile's contact cost, so any extra order pays."
    told = f"Contacting all of them once costs {cost}. {_worth_words(row, currency, cut)}"
    if not row.break_even_response <= UNREACHABLE:
        return f"{told} One extra order does not pay for one contact."
    orders = math.ceil(row.break_even_response * row.customers - 1e-9)
    if orders <= 1:
        return f"{told} So a single order that comes because of it pays for all of them."
    text = (
        f"{told} So it pays if {one_in(row.break_even_response)} because of it "
        f"({format_percent(row.break_even_response)}, at least {plural(orders, 'customer')})."
    )
    if row.response_is == FIRST_ORDER and row.value_in_period > row.response_value:
        enough = row.break_even_response * row.response_value / row.value_in_period
        text += (
            f" Counting all that they spent in those days "
            f"({format_money(row.value_in_period, currency)} each), {format_percent(enough)} would do."
        )
    return text


def _by_own_margin(row: Any, assumed: float, own: float | None) -> str:
    """The same break-even by the shop's own costs, where these say another margin."""
    if own is None or own <= 0 or not differs(own, assumed) or row.campaign_cost == 0:
        return ""
    needed = row.break_even_response * assumed / own
    if needed > 1:
        then = "one extra order does not pay for one contact"
    elif needed * row.customers <= 1:
        then = "a single order still pays for all of them"
    else:
        then = f"it pays if {one_in(needed)} because of it ({format_percent(needed)})"
    return (
        f" That assumes a gross margin of {format_percent(assumed)}; by the shop's own costs it is "
        f"{format_percent(own)}, and then {then}."
    )


def one_in(share: float) -> str:
    """Who must order, as people say it; rounded so that it hardly sounds easier than it is.

    Examples
    --------
    >>> one_in(0.077), one_in(0.6), one_in(1.0)
    ('1 in 13 customers orders', '60 in 100 customers order', 'everybody orders')
    """
    if share >= 1:
        return "everybody orders"
    if share > 0.5:
        return f"{math.ceil(100 * share - 1e-9)} in 100 customers order"
    return f"1 in {math.floor(1 / share + 0.1):,} customers orders"


def _worth_words(row: Any, currency: str, cut: str) -> str:
    """What a response is taken to be worth, and why it may be worth less."""
    value = format_money(row.response_value, currency)
    if row.response_is == FIRST_ORDER:
        said = (
            f"An order counts {value}: the mean first order of the {row.base_ordered:,.0f} who "
            f"ordered within {row.outcome_days} days after {cut}"
            f"{_carried_words(row, currency)}."
        )
    elif row.response_is == WINDOW_ORDER:
        said = (
            f"An order counts {value}: the mean order of this segment so far"
            f"{_carried_words(row, currency)}."
        )
    else:
        return (
            f"An order counts {value}: all that a customer spent, because these data hold no single "
            "orders. What is needed is really more."
        )
    return f"{said} Orders that come only because of a contact may be smaller."


def _carried_words(row: Any, currency: str) -> str:
    """Where the mean lies far above the order of the typical customer, what that one is."""
    if not row.response_value > MEAN_OF_FEW * row.typical_order:
        return ""
    typical = format_money(row.typical_order, currency)
    needed = row.break_even_response * row.response_value / row.typical_order
    by_it = f": by it, it pays if {one_in(needed)}" if 0 < needed <= 1 else ""
    return f", which a few large ones raise (the order of the typical customer is {typical}{by_it})"


def call_first_sentence(
    call_first: pd.DataFrame, facts: dict[str, Any], kinds: Sequence[str], *, currency: str
) -> str:
    """Who is on the list of whom to call first, why, and why no test is spoilt by it."""
    if call_first.empty:
        return "Nobody is on the list of whom to call first."
    sizes = call_first.groupby(["segment_type", "segment"], observed=True).size()
    of = listed(
        [
            f"{n:,} of {inert(named(segment, kind, kinds))}"
            for (kind, segment), n in sizes.sort_values(ascending=False, kind="stable").items()
        ]
    )
    spent = dollars(format_money(float(call_first["total_spent"].sum()), currency))
    text = (
        f"**{plural(len(call_first), 'customer')}** are on the list *Call first* ({of}); they have "
        f"spent {spent} so far. "
    )
    if facts["possible"]:
        text += (
            "The chance of each to order fell in the last quarter, and what this puts at risk (the fall "
            "times the customer's own mean order) leaves more margin than one contact costs. "
        )
    else:
        text += (
            "Each fell a segment or fell silent in the last quarter; no chance to order is told, "
            f"because {facts['reason']}. "
        )
    return text + (
        "Customers of the control groups below are not on it: they stay untouched, and a test then "
        "measures calls and mailing together."
    )


def stakes_sentence(recommendations: pd.DataFrame, *, currency: str) -> str:
    """Where the money is, and what to do there."""
    row = recommendations.loc[recommendations["revenue"].astype(float).idxmax()]
    name = named(row["segment"], row["segment_type"], list(recommendations["segment_type"]))
    share = row["customers"] / recommendations["customers"].sum()
    return (
        f"**{inert(name)}** brought {dollars(format_money(float(row['revenue']), currency))}, "
        f"{format_percent(row['revenue_share'])} of revenue, from {format_percent(share)} of "
        f"customers: {inert(row['play'].lower())}."
    )


def break_even_sentence(
    recommendations: pd.DataFrame,
    margins: pd.DataFrame,
    *,
    gross_margin: float,
    contact_cost: float,
    currency: str,
) -> str:
    """The two assumptions behind every break-even, and what the shop's own margin makes of it."""
    own = own_margin(margins)
    cost = f"{dollars(format_money(contact_cost, currency))} per contact"
    text = (
        f"Break-even figures assume a gross margin of {format_percent(gross_margin)} and {cost}. "
    )
    if own is None:
        text += "Both are assumptions, not findings: replace them with your own."
    elif not differs(own, gross_margin):
        text += "The margin is the shop's own by its costs; what a contact costs is an assumption."
    elif own <= 0:
        text += "By the costs in the source nothing is left of revenue: then no campaign pays for itself."
    else:
        text += (
            f"By the costs in the source the shop's **own gross margin is {format_percent(own)}**"
            f"{_first_by_own(recommendations, gross_margin, own)}. Each card below says both."
        )
    if other := cost_words(recommendations, contact_cost, currency):
        text += f" {dollars(re.sub('</?code>', '`', other))}"
    return f"{text} No rise is promised anywhere; a control group tells whether a campaign worked."


def _first_by_own(recommendations: pd.DataFrame, assumed: float, own: float) -> str:
    """What the own margin makes of the first campaign's break-even."""
    needed = recommendations["break_even_response"]
    campaigns = recommendations[recommendations["is_campaign"] & needed.between(0, 1, "right")]
    if campaigns.empty:
        return ""
    row = campaigns.iloc[0]
    name = inert(named(row["segment"], row["segment_type"], list(recommendations["segment_type"])))
    ends = [row["break_even_response"], row["break_even_response"] * assumed / own]
    one, other = (format_percent(share) for share in ends)
    if one == other:
        return ""
    return f": with it a campaign to {name} pays if {other} order because of it, instead of {one}"
