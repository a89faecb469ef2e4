"""Sentences about what to do: the play of each segment, its money, its break-even, its limits."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from segmentation.actions.break_even import BEST_KNOWN_RISE, own_margin
from segmentation.actions.campaign import another_currency
from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.book.behind import told_parts
from segmentation.book.words.break_even import one_in
from segmentation.book.words.preferences import differs, without_one_order
from segmentation.book.words.text import (
    Html,
    as_sentence,
    customers_of,
    dollars,
    in_colour,
    inert,
    listed,
    named,
    plural,
    with_code,
)
from segmentation.book.words.warnings import ONCE_RIGHT, cost_words
from segmentation.book.words.worth import anyway_words, worth_words
from segmentation.core.columns import format_money, format_percent, format_points, format_value
from segmentation.core.limits import PLAUSIBLE_RISE, UNREACHABLE, WIDE


def recommendation_cards(
    recommendations: pd.DataFrame,
    plan: pd.DataFrame,
    *,
    currency: str,
    overview: Mapping[str, Any],
    cut: str,
    colours: Mapping[str, str],
    gross_margin: float,
    margins: pd.DataFrame,
    dates_hold: bool = True,
) -> Html:
    """One card per segment: what to do, for whom, at what cost, and when it pays; more is folded.

    Parameters
    ----------
    plan : DataFrame
        ``campaign_plan`` of the run: how many of each segment are contacted first.
    overview : mapping
        Of the run: money is of the time from ``first_order`` to ``as_of``.
    cut : str
        Day after which customers were followed.
    dates_hold : bool
        Whether day and month of orders are what they seem; else no campaign is ready to be sent.
    """
    own = own_margin(margins)
    kinds = list(recommendations["segment_type"].unique())
    everybody = int(recommendations["customers"].sum())
    keys = ["segment_type", "segment"]
    first = plan.set_index(keys)["treatment"].to_dict()
    is_told = not another_currency(recommendations)
    flagged = told_parts(recommendations["anomalies"].to_dict(), "customer")
    cards, texts = [], []
    for row in recommendations.itertuples():
        group = customers_of(row.segment_type, kinds) if len(kinds) > 1 else ""
        is_asked = row.is_campaign or row.play == NOT_AT_THIS_COST
        lines = {
            "Who": who_words(row, everybody, dates_hold=dates_hold),
            "Brought": stake_words(row, currency, overview),
            **({"Costs": contacts_words(row, currency, first.get((row.segment_type, row.segment)))}
               if is_asked and is_told else {}),
            **({"Pays if": pays_words(row) + _by_own_margin(row, gross_margin, own)}
               if is_asked and is_told and row.break_even_response <= UNREACHABLE else {}),
            "Proof" if row.is_campaign else "Against it": limit_words(row),
        }  # fmt: skip
        more = {
            "Why this": " ".join(as_sentence(text) for text in (row.why, row.gap) if text),
            **({"An extra order": worth_words(row, currency, gross_margin, cut)} if is_asked else {}),
            **({"Order anyway": anyway_words(row, cut, is_told=is_told)} if is_asked else {}),
            "What counts": as_sentence(row.measure),
            **({"Unusual": _unusual_words(flagged[row.Index])} if row.anomalies and row.is_campaign else {}),
        }  # fmt: skip
        do = f"{ONCE_RIGHT}{row.do}" if row.is_campaign and not dates_hold else row.do
        colour = colours.get(str(row.segment), "")
        cards.append(
            f'<div class="segment-card"{in_colour(colour)}><p class="segment-name">{html.escape(row.segment)}'
            f"<span>{html.escape(group)}</span></p>"
            f"<p><strong>{html.escape(row.play)}.</strong> {html.escape(do)}</p>{_items(lines)}"
            f'<details class="fold"><summary>Why, and how it is worked out</summary>{_items(more)}'
            "</details></div>"
        )
        texts.append(f"{row.segment}: {row.play}. {do} {lines | more}")
    return Html("".join(cards), "\n".join(texts))


def _items(lines: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{with_code(text)}</dd>" for name, text in lines.items()
    )
    return f"<dl>{items}</dl>"


def who_words(row: Any, everybody: int, *, dates_hold: bool = True) -> str:
    """How many customers, what part of all, and how long they have been silent, if days are sure."""
    text = (
        f"{plural(row.customers, 'customer')}, {format_percent(row.customers / everybody)} of all"
    )
    if row.one_time_share > 0:
        text += f"; {format_percent(row.one_time_share)} ordered on one occasion only"
    if dates_hold and pd.notna(row.median_recency):
        text += f"; half last ordered {format_value(row.median_recency, 'recency')} ago or longer"
    return f"{text}."


def period_words(overview: Mapping[str, Any]) -> str:
    """The time that money of a page is of.

    Examples
    --------
    >>> period_words({"first_order": "1997-01-01", "as_of": "1998-06-30"})
    'from January 1997 to June 1998'
    >>> period_words({"first_order": "", "as_of": ""})
    'in all the time the source covers'
    """
    if not overview.get("first_order") or not overview.get("as_of"):
        return "in all the time the source covers"
    first, last = (f"{pd.Timestamp(overview[day]):%B %Y}" for day in ("first_order", "as_of"))
    return f"from {first} to {last}" if first != last else f"in {first}"


def stake_words(row: Any, currency: str, overview: Mapping[str, Any]) -> str:
    """The money that a segment brought: booked, so without an interval."""
    return (
        f"{format_money(row.revenue, currency)} {period_words(overview)}, "
        f"{format_percent(row.revenue_share)} of revenue; "
        f"{format_money(row.revenue_per_customer, currency)} a customer."
    )


def contacts_words(row: Any, currency: str, first: float | None) -> str:
    """What the contacts cost: of those the plan contacts first, and of everybody."""
    if row.campaign_cost == 0:
        return "Nothing, by the profile's contact cost of zero."
    each = format_money(row.campaign_cost / row.customers, currency)
    everybody = f"{format_money(row.campaign_cost, currency)} for all {row.customers:,}"
    if first is None or pd.isna(first):
        return f"{everybody}, at {each} a contact (assumed)."
    part = format_money(row.campaign_cost / row.customers * first, currency)
    return (
        f"{part} for the {first:,.0f} chosen at random to be contacted first, at {each} each (assumed); "
        f"{everybody}."
    )


def pays_words(row: Any) -> str:
    """Who must order because of a contact, and who orders anyway."""
    needed, mean = row.break_even_response, row.break_even_mean
    if row.campaign_cost == 0:
        text = "Any extra order comes"
    elif needed * row.customers <= 1:
        text = "A single order comes because of it: that pays for contacting all of them"
    else:
        orders = math.ceil(needed * row.customers - 1e-9)
        text = (
            f"{one_in(needed)} because of it "
            f"({format_percent(needed)}, {orders:,} if all are contacted)"
        )
        if mean > 0:
            by_mean = "a single order is enough" if mean * row.customers <= 1 else one_in(mean)
            same = by_mean == one_in(needed)
            text += (
                ""
                if same
                else f", each worth what the typical such order is; by the mean one {by_mean}"
            )
    text = f"{text[0].upper()}{text[1:]}"
    if row.base > 0:
        text += f"; {format_percent(row.base)} order within {row.outcome_days} days anyway"
        if pd.notna(row.latest_base) and differs(row.latest_base, row.base):
            text += f" (lately {format_percent(row.latest_base)})"
    return f"{text}."


def _unusual_words(flagged: str) -> str:
    return (
        f"{flagged.capitalize()} of them are unlike all others (sheet Unusual): "
        "look at the largest before writing to them."
    )


def more_words(row: Any) -> str:
    """How many more must order than come anyway, where that is much (`WIDE`), as far as that is known.

    Examples
    --------
    >>> row = {"break_even_response": 0.1, "base": 0.125, "base_low": 0.08, "base_high": 0.2}
    >>> more_words(pd.Series(row)), more_words(pd.Series(row | {"base": 0.5}))
    ('80% more orders than come anyway (50% to 125%)', '')
    """
    more = row.break_even_response / row.base if row.base > 0 else 0.0
    if more < WIDE:
        return ""
    ends = [row.break_even_response / end for end in (row.base_high, row.base_low) if end > 0]
    range_ = [" to ".join(map(format_percent, ends))] * (len(ends) == 2)
    known = "; ".join([*range_, *_as_lately(row)])
    return f"{format_percent(more)} more orders than come anyway{f' ({known})' if known else ''}"


def _as_lately(row: Any) -> list[str]:
    """The same by the shares and orders of the last quarter followed, where that asks for more."""
    value, base = (
        getattr(row, "latest_value", float("nan")),
        getattr(row, "latest_base", float("nan")),
    )
    if not (value > 0 and base > 0):
        return []
    more = row.break_even_response * row.response_value / value / base
    before = row.break_even_response / row.base
    return [f"by the last quarter {format_percent(more)}"] * (
        differs(more, before) and more > before
    )


def limit_words(row: Any) -> str:
    """Whether a test can prove that it pays, or what stands against acting on it at all."""
    if row.limits and not row.is_supported:
        return as_sentence(row.limits)
    more = more_words(row)
    needs = (
        f"It takes {more}: near {format_percent(PLAUSIBLE_RISE)}, beyond which none is advised. "
        if more
        else ""
    )
    text = (
        f"{needs}Half against half notices a rise of {format_points(row.detectable)} percentage "
        f"points, and {format_points(row.break_even_response)} pay; to be sure of proving that it pays takes a "
        "larger one, see below."
    )
    return f"{text} {as_sentence(row.limits)}" if row.limits else text


def _needed_of_100(plays: pd.DataFrame) -> str:
    needed = plays["break_even_response"]
    if plays.empty or not (needed <= UNREACHABLE).all():
        return ""
    ends = dict.fromkeys(map(format_points, (needed.min(), needed.max())))
    return f" (here {' to '.join(ends)} are needed)"


def first_round_sentence(recommendations: pd.DataFrame) -> str:
    """Whom the plan contacts first, and what may then be learnt; said once for all cards."""
    plays = recommendations[recommendations["is_campaign"]]
    kinds = list(recommendations["segment_type"])
    named_ = [inert(named(row.segment, row.segment_type, kinds)) for row in plays.itertuples()]
    shown = [name for name, ok in zip(named_, plays["is_supported"], strict=True) if ok]
    tried = [name for name, ok in zip(named_, plays["is_supported"], strict=True) if not ok]
    rule = (
        f"A campaign is advised where break-even asks for no more than {1 + PLAUSIBLE_RISE:g} times as "
        f"many orders as come anyway: the best "
        f"e-mail of a published experiment took them to 2.2 times, from 0.57% to 1.25% in two weeks, {100 * BEST_KNOWN_RISE:.1f} more of 100"
        f"{_needed_of_100(plays)}; where more order anyway so much is harder. "
        if recommendations["base"].notna().any() and not another_currency(recommendations)
        else ""
    )
    if not named_:
        return f"{rule}No segment is worth a campaign at these costs."
    text = (
        f"{rule}Every campaign first contacts one half of its segment, chosen at random, and leaves the other "
        "half alone. "
    )
    if shown:
        whom = f"For {listed(shown)} the" if tried else "The"
        text += (
            f"{whom} comparison notices a rise as large as what pays; to prove that it pays, the rise "
            "must be larger (*proved to pay from*, below). Contact the other half once it is. "
        )
    if tried:
        whom = f"For {listed(tried)} it" if shown else "It"
        text += (
            f"{whom} is no more than **a trial**: it halves what may be lost"
            f"{'' if another_currency(recommendations) else ', and cannot prove that so small a rise paid'}. "
        )
    return text.strip()


def _by_own_margin(row: Any, assumed: float, own: float | None) -> str:
    """The same break-even by the shop's own costs, where these say another margin."""
    if own is None or own <= 0 or not differs(own, assumed) or row.campaign_cost == 0:
        return ""
    needed = row.break_even_response * assumed / own
    if needed > 1:
        then = "one extra order does not pay for one contact"
    elif needed * row.customers <= 1:
        then = "a single order still does"
    else:
        then = one_in(needed)
    return f" At the shop's own margin of {format_percent(own)}, not the {format_percent(assumed)} assumed: {then}."


def stakes_sentence(
    recommendations: pd.DataFrame, *, overview: Mapping[str, Any], currency: str
) -> str:
    """Where the money is, what to do there, whom to contact and whom to leave alone."""
    row = recommendations.loc[recommendations["revenue"].astype(float).idxmax()]
    name = named(row["segment"], row["segment_type"], list(recommendations["segment_type"]))
    share = row["customers"] / recommendations["customers"].sum()
    return (
        f"**{inert(name)}** brought {dollars(format_money(float(row['revenue']), currency))} "
        f"{period_words(overview)}, {format_percent(row['revenue_share'])} of revenue, from "
        f"{format_percent(share)} of customers: {inert(row['play'].lower())}.{_whom_words(recommendations)}"
    )


def _whom_words(recommendations: pd.DataFrame) -> str:
    """Of which segments a half is contacted first, and which are left alone."""
    kinds = list(recommendations["segment_type"])
    is_left = recommendations["play"] == NOT_AT_THIS_COST
    contacted, left = (
        [inert(named(row.segment, row.segment_type, kinds)) for row in rows.itertuples()]
        for rows in (recommendations[recommendations["is_campaign"]], recommendations[is_left])
    )
    if not contacted or another_currency(recommendations):
        return ""
    whom, alone = (
        listed(names) if len(names) <= 3 else f"{len(names)} of {len(kinds)} segments"
        for names in (contacted, left)
    )
    alone = f"; leave {alone} alone" if left else ""
    return f" Contact half of {whom} and compare with the other half{alone}."


def break_even_sentence(
    recommendations: pd.DataFrame,
    margins: pd.DataFrame,
    *,
    gross_margin: float,
    contact_cost: float,
    currency: str,
) -> str:
    """The two assumptions behind every break-even, and what the shop's own margin makes of it."""
    own, one = own_margin(margins), without_one_order(margins)
    if wrong := cost_words(recommendations, contact_cost, currency):
        text = f"**{dollars(re.sub('</?code>', '`', wrong))}** No card below says when a campaign pays."
        if own is not None and differs(own, gross_margin):
            text += f" The shop's **own gross margin is {format_percent(own)}**{one} by the costs in the source."
        return text
    cost = f"{dollars(format_money(contact_cost, currency))} per contact"
    margin = format_percent(gross_margin)
    text = f"What it takes to pay assumes a gross margin of {margin} and {cost}. "
    if own is None:
        text += "Both are assumptions, not findings: replace them by your own (`gross_margin`, `contact_cost`)."
    elif not differs(own, gross_margin):
        text = (
            f"What it takes to pay counts with a gross margin of {margin}{one}, the shop's own by its costs of "
            f"goods, and {cost}, an assumption (`contact_cost`)."
        )
    elif own <= 0:
        text += "By the costs in the source nothing is left of revenue: then no campaign pays for itself."
    else:
        text += (
            f"By the costs in the source the shop's **own gross margin is {format_percent(own)}**{one}"
            f"{_first_by_own(recommendations, gross_margin, own)}. Each card below says both."
        )
    return f"{text} No rise is promised anywhere: only customers left alone show whether a campaign worked."


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
