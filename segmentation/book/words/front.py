"""The first screen of a data set: four numbers, one chart, three actions, how far to trust it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from segmentation.actions.campaign import TREATMENT
from segmentation.actions.next_steps import with_given_back
from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.actions.slipping import Slipped, kept_of, most_slipped
from segmentation.book.words.break_even import SINGLE_ORDER, pays_if
from segmentation.book.words.calling import calls_pay
from segmentation.book.words.front_numbers import (
    groups_meant,
    half_meant,
    headline,
    is_rough,
    numbers,
    sparkline,
    unfinished,
)
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.slipping import anyway, writing_pays
from segmentation.book.words.text import (
    as_sentence,
    highest_first,
    in_colour,
    listed,
    named,
    of_one,
    plural,
)
from segmentation.book.words.trust import trust_of
from segmentation.book.words.warnings import cost_beside_orders, exchanged, warnings
from segmentation.core.columns import format_money, format_percent
from segmentation.core.groups import short_groups
from segmentation.core.limits import (
    LEAST_CALLED,
    MEAN_OF_FEW,
    MUCH_CALLED,
    ONE_CUSTOMER,
    TEN_LARGEST_SHARE,
    UNREACHABLE,
    WIDE,
)
from segmentation.deliver.workbook.sheets import list_name

MOST_BARS, MOST_ACTIONS, MOST_WARNINGS = 4, 3, 3
TRIAL = "try half of them first"
PAYS_IF = (
    "One in so many contacted (rounded down) must order because of it for the margin to cover the contacts; "
    f"by the typical customer's order where means lie {MEAN_OF_FEW:g} times above it."
)
_BY_MEAN = re.compile(r" \(1 in [\d,]+ by the mean order\)")
"""The milder of two figures: the segment's card has both."""


@dataclass(frozen=True)
class Action:
    """What to do for whom, what it costs and when it pays, what else is to be known, whose list."""

    what: str
    facts: tuple[str, ...]
    more: str
    sheet: str

    @property
    def said(self) -> str:
        """The facts as a sentence."""
        return as_sentence(" · ".join(self.facts))


def front_page(run: Any, *, title: str, link: str, colours: Mapping[str, str]) -> str:
    """One screen, as HTML: who the customers are, what to do, how far to believe it.

    Parameters
    ----------
    run : Run or mapping of its results, with ``parameters``
    link : str
        The folder of the data set's chapters, seen from the page.
    """
    warned = list(warnings(run))
    tiles = "".join(
        f'<div class="tile"><span>{html.escape(what)}</span><b>{html.escape(value)}</b>'
        f"<small>{html.escape(change)}</small>{sparkline(line, what)}</div>"
        for what, value, change, line, _ in numbers(run)
    )
    listed_actions = "".join(
        f"<li><b>{html.escape(one.what)}</b><em>{html.escape(_BY_MEAN.sub('', one.said))}</em>"
        f"<span>{html.escape(one.more)} {html.escape(one.sheet)}"
        f'<span class="follow">&nbsp;· <a href="{link}/08_recommendations.html">why</a></span></span></li>'
        for one in _actions(run)
    )
    meanings = "".join(
        f"<dt>{html.escape(what)}</dt><dd>{html.escape(meaning)}</dd>"
        for what, meaning in [
            *groups_meant(run),
            *half_meant(run),
            *((what, meaning) for what, *_, meaning in numbers(run)),
            *([("Pays if", PAYS_IF)] if listed_actions else []),
        ]
    )
    light, lead, grounds = trust_of(run)
    grounds = f"As the dates stand: {grounds}" if exchanged(run) else grounds
    grounds = re.sub(r" \((?:agreement|silhouette) [^)]*\)", "", grounds)  # chapter 07 has them
    return (
        f'<section class="front" aria-label="{html.escape(title)}">'
        f'<p class="front-headline">{html.escape(headline(run))}</p>'
        f'<p class="front-about">{html.escape(_about(run))}</p>'
        + (
            f'<div class="front-warning"><b>Read first</b>'
            f"{_listed(warned[:MOST_WARNINGS])}{_more(warned[MOST_WARNINGS:])}</div>"
            if warned
            else ""
        )
        + f'<div class="tiles">{tiles}</div>'
        f'<div class="front-two"><div>{_chart(run, colours, link)}</div>'
        f'<div><p class="front-head">What to do first</p>'
        f"<ol>{listed_actions or '<li>No action is supported by these data.</li>'}</ol>"
        f"{left_alone(run)}{slipped_too(run)}{whole_plan(run)}{ten_largest(run)}</div></div>"
        f'<p class="front-trust"><i class="{light}" role="img" aria-label="{light}"></i>'
        f"<span><b>{lead}</b> {grounds} "
        f'<a href="{link}/07_do_the_segments_hold_up.html">Evidence</a></span></p>'
        f"<details><summary>What the numbers mean</summary><dl>{meanings}</dl></details></section>"
    )


def _listed(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text}</li>' for text in items)}</ul>"


def _more(items: Sequence[str]) -> str:
    """The less grave ones, folded, so that the page stays one screen."""
    if not items:
        return ""
    return f"<details><summary>{len(items)} more</summary>{_listed(items)}</details>"


def _about(run: Any) -> str:
    overview = run["overview"]
    if not overview["first_order"]:
        return "A customer table without orders"
    seen = overview["last_order"], overview["as_of"]
    cut = unfinished(run)
    return (
        f"Orders {'dated' if exchanged(run) else 'from'} {overview['first_order']} to {seen[0]}"
        + (f", observed up to {seen[1]}" if seen[0] != seen[1] else "")
        + (f"; {cut} is not over and not compared" if cut else "")
    )


def _chart(run: Any, colours: Mapping[str, str], link: str) -> str:
    """Shares of customers and revenue, the highest value first; all bars on one scale."""
    profile, currency = run["profile"], run.parameters.currency
    kinds = list(profile["segment_type"])
    shown = profile.assign(revenue=profile["revenue"].astype(float)).nlargest(
        MOST_BARS, "revenue", keep="first"
    )
    best = shown.iloc[0]
    most = max(float(shown[["customers_share", "revenue_share"]].max().max()), 1e-9)
    rows = "".join(
        f"<li{'' if row.segment_type == kinds[0] else ' class=hatched'}"
        f"{in_colour(colours.get(row.segment, ''))}>"
        f"<b>{html.escape(str(row.segment))}{_group(row.segment_type, kinds)}</b>"
        f'<span><i class="hollow" style="width: {65 * row.customers_share / most:.1f}%"></i>'
        f"{format_percent(row.customers_share)} of customers</span>"
        f'<span><i style="width: {65 * row.revenue_share / most:.1f}%"></i>'
        f"{format_percent(row.revenue_share)} of revenue</span></li>"
        for row in highest_first(shown).itertuples()
    )
    rest = len(profile) - len(shown)
    return (
        f'<p class="front-head">{format_percent(best["customers_share"])} of customers bring '
        f"{format_percent(best['revenue_share'])} of revenue</p>"
        f'<ul class="front-bars">{rows}</ul>'
        f'<p class="front-foot">n = {profile["customers"].sum():,} customers, '
        f"{format_money(float(sum(profile['revenue'])), currency)}"
        + (f"; {plural(rest, 'segment')} with less revenue not drawn" if rest else "")
        + f'. <a href="{link}/06_segments.html">Segments</a></p>'
    )


def _group(kind: str, kinds: Sequence[str]) -> str:
    return f"<small>{html.escape(short_groups(kinds)[kind])}</small>" if len(set(kinds)) > 1 else ""


def actions(run: Any) -> list[tuple[str, str]]:
    """At most three actions of at most 15 words, each with money, break-even and where its list is."""
    return [(one.what, f"{one.said} {one.more} {one.sheet}") for one in _actions(run)]


def _actions(run: Any) -> list[Action]:
    """The first three, as many as a glance takes in.

    Who slipped and whom to call come first where they spent much, then what a test can show to pay,
    then what it cannot.
    """
    parameters, profile = run.parameters, run["profile"]
    kinds = list(profile["segment_type"])
    sheets, found = _sheets(profile), []
    wait = ("only once the dates are put right",) if exchanged(run) else ()
    plays = run["recommendations"]
    pays = (lambda _: "break-even not known yet") if cost_beside_orders(run) else _pays
    plays = plays[plays["is_campaign"]].sort_values("is_supported", ascending=False, kind="stable")
    first = run["campaign_plan"].set_index(["segment_type", "segment"])["treatment"].to_dict()
    for row in plays.itertuples():
        name = named(row.segment, row.segment_type, kinds)
        is_one = row.largest_share >= ONE_CUSTOMER
        tried = is_one or not row.is_supported
        cost = row.campaign_cost / row.customers * first.get((row.segment_type, row.segment), 0)
        start = [TRIAL] if tried else []
        if cost > 0 and not cost_beside_orders(run):
            half = f"half for {format_money(cost, parameters.currency)}"
            start = [f"try {half} (no proof)" if tried else f"contact {half}"]
        brought = f"{format_money(float(row.revenue), parameters.currency)} of revenue"
        brought += f", {format_percent(row.largest_share)} of it one customer's" if is_one else ""
        found.append(
            Action(
                f"{row.play}: {name}, {plural(row.customers, 'customer')}",
                (*wait, *start, pays(row)),
                f"{row.do} {brought}.",
                f"Workbook: “{sheets[row.segment_type, row.segment]}”",
            )
        )
    total, place = float(sum(profile["revenue"])), 0
    for money, action in filter(None, (_slipped(run), _called_first(run))):
        if wait:
            action = replace(action, facts=(*wait, *action.facts))
            found.insert(max(place, MOST_ACTIONS - 1), action)
        elif money >= MUCH_CALLED * total:
            found.insert(place, action)
            place += 1
        else:
            found.append(action)
    return found[:MOST_ACTIONS]


def _most_slipped(run: Any) -> Slipped | None:
    found = most_slipped(
        *(run[name] for name in ("slipping", "slipped_before", "campaign_arms", "recommendations")),
        contact_cost=run.parameters.contact_cost,
    )
    return None if found is None or found.customers < LEAST_CALLED else found


def _spent_words(found: Slipped, currency: str) -> str:
    spent = f"{format_money(found.spent, currency)} spent so far{of_one(found.each)}"
    return f"{spent}{given_back_words(found.given_back, currency)}"


def _slipped(run: Any) -> tuple[float, Action] | None:
    """Customers who fell from the segment that lost most so, or fell silent in it."""
    currency, found = run.parameters.currency, _most_slipped(run)
    if found is None:
        return None
    but = f"; {found.alone:,} are left alone to compare" if found.alone else ""
    spent = _spent_words(found, currency)
    back = f"; {share} of a quarter earlier came back anyway" if (share := anyway(found)) else ""
    whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
    return (
        found.spent - float(found.given_back.sum()),
        Action(
            f"Win back {found.customers:,} of {whom} who slipped last quarter",
            () if cost_beside_orders(run) else writing_pays(found, currency),
            f"Write with a reason to return{but}. {spent}{back}.",
            "Workbook: “Slipping”",
        ),
    )


def left_alone(run: Any) -> str:
    """Whom a contact costs more than it can bring back, and what leaving them alone saves."""
    plays = run["recommendations"]
    plays = plays[plays["play"] == NOT_AT_THIS_COST]
    if plays.empty or cost_beside_orders(run):
        return ""
    profile = run["profile"]
    names = list(dict.fromkeys(plays["segment"]))
    if profile["segment"].isin(names).sum() > len(plays):  # a name is left alone in one group only
        kinds = list(profile["segment_type"])
        names = [named(row.segment, row.segment_type, kinds) for row in plays.itertuples()]
    saved = format_money(float(plays["campaign_cost"].sum()), run.parameters.currency)
    return (
        f'<p class="front-alone"><b>Leave alone, saves {saved}:</b> {html.escape(listed(names))}, '
        f"{plural(int(plays['customers'].sum()), 'customer')}.</p>"
    )


def slipped_too(run: Any) -> str:
    """Who slipped, where that is not among the actions and dates hold: their list is worth a look."""
    found = _most_slipped(run)
    if found is None or exchanged(run) or "“Slipping”" in str(_actions(run)):
        return ""
    whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
    return (
        f'<p class="front-alone"><b>Slipped:</b> {found.customers:,} of {html.escape(whom)} last '
        f"quarter, {_spent_words(found, run.parameters.currency)} (“Slipping”).</p>"
    )


def whole_plan(run: Any) -> str:
    """What is to be approved, what may be lost, when one knows more; calls are beside it."""
    arms, called, parameters = run["campaign_arms"], run["call_first"], run.parameters
    written = arms[arms["arm"] == TREATMENT]
    if cost_beside_orders(run) or written.empty:
        return ""
    currency = parameters.currency
    sizes = written.groupby(["segment_type", "segment"], observed=True).size()
    costs = sizes * parameters.contact_cost
    sheets, shown = _sheets(run["profile"]), {one.sheet for one in _actions(run)}
    above = costs[[f"Workbook: “{sheets[key]}”" in shown for key in costs.index]].sum()
    parts = [format_money(cost, currency) for cost in (above, costs.sum() - above)]
    of = f" ({parts[0]} above, {parts[1]} for others)" if above < costs.sum() else ""
    text = f"at worst it is lost{of}. {_then_known(run)}{_calls_besides(run, len(called))}"
    total = format_money(costs.sum(), currency)
    return f'<p class="front-alone"><b>To approve, {total}:</b> {html.escape(text)}</p>'


def _then_known(run: Any) -> str:
    """When the halves are compared, where that can tell anything."""
    plays = run["recommendations"]
    tested = plays.loc[plays["is_campaign"] & plays["is_supported"], "outcome_days"]
    if tested.empty:
        return "No test can prove that it paid."
    days = " to ".join(dict.fromkeys(f"{end:.0f}" for end in (tested.min(), tested.max())))
    return f"After {days} days the comparison says whether to contact the other halves."


def _calls_besides(run: Any, called: int) -> str:
    """What calling costs besides: no halves are drawn for it, so nobody learns what it brings."""
    if called < LEAST_CALLED:
        return ""
    cost = format_money(called * run.parameters.cost_of_a_call, run.parameters.currency)
    return f" {called:,} calls (“Call first”): {cost} more, effect not measurable."


def ten_largest(run: Any) -> str:
    """That ten customers bring much, where they do, and which lists they head."""
    customers = with_given_back(run["customers"], run["given_back"])
    spent = kept_of(customers)
    largest = customers.loc[spent.nlargest(10).index]
    share = spent.nlargest(10).sum() / spent.sum() if spent.sum() > 0 else 0.0
    if share < TEN_LARGEST_SHARE or TEN_LARGEST_SHARE * len(customers) < 10:
        return ""
    sheets = _sheets(run["profile"])
    heads = sorted(
        {sheets[key] for key in zip(largest["segment_type"], largest["segment"], strict=True)}
    )
    lists = (
        ", ".join(f"“{name}”" for name in heads)
        if len(heads) < 3
        else "the lists of their segments"
    )
    sums = run["ledger"].set_index("rule")["amount"]
    after = " after returns" if float(sums.get("returned") or 0) else ""
    return (
        f'<p class="front-alone"><b>Know by name:</b> the 10 largest brought {format_percent(share)} '
        f"of revenue{after} (in {html.escape(lists)}).</p>"
    )


def _sheets(profile: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The workbook's sheet of each segment."""
    ranked = profile.assign(revenue=profile["revenue"].astype(float)).sort_values(
        ["revenue", "segment_type", "cluster"], ascending=[False, True, True]
    )
    return {
        (row.segment_type, row.segment): list_name(number, row.segment)(1)
        for number, row in enumerate(ranked.itertuples(), start=1)
    }


def _pays(row: Any) -> str:
    """When a contact pays; how many more orders that takes where it is much (`WIDE`)."""
    if row.campaign_cost == 0:
        return "any extra order pays"
    if not row.break_even_response <= UNREACHABLE:
        return "one extra order does not pay for one contact"
    if row.break_even_response * row.customers <= 1:
        return SINGLE_ORDER
    said = pays_if(row.break_even_response, row.break_even_mean)
    more = row.break_even_response / row.base if row.base > 0 else 0.0
    return f"{said}: {format_percent(more)} more than come anyway" if more >= WIDE else said


def _called_first(run: Any) -> tuple[float, Action] | None:
    """Customers who have most to lose; money as they spent it, for nobody knows what they will.

    It is none where the list rests on a forecast that is too rough to plan with: then it does not lead.
    """
    listed_first = run["call_first"]
    if len(listed_first) < LEAST_CALLED:
        return None
    money = float(listed_first["total_spent"].sum())
    left = float(kept_of(listed_first).sum())
    possible = run["forecast_facts"]["possible"]
    why = "whose chance to order fell" if possible else "who fell or fell silent"
    back = given_back_words(listed_first.get("given_back"), run.parameters.currency)
    first = "the largest value at risk" if possible else "the largest spender"
    first += " after returns" if back else ""
    currency, facts = run.parameters.currency, run["call_first_facts"]
    cost = format_money(len(listed_first) * facts["cost_of_a_call"], currency)
    pays = () if cost_beside_orders(run) else (f"{calls_pay(listed_first, facts)} because of it",)
    spent = f"{format_money(money, currency)} spent so far{of_one(listed_first['total_spent'])}"
    at_stake = _at_risk(listed_first, facts, currency) if possible else spent + back
    return (
        0.0 if possible and is_rough(run["forecast_calibration"]) else left,
        Action(
            f"Call first: {plural(len(listed_first), 'customer')} {why} in the last quarter",
            (f"calling all costs {cost}", *pays),
            f"Ring each, {first} first. {at_stake}.",
            "Workbook: “Call first”",
        ),
    )


def _at_risk(called: pd.DataFrame, facts: Mapping[str, Any], currency: str) -> str:
    margin = float(called["value_at_risk"].sum()) * facts["gross_margin"]
    return f"{format_money(margin, currency)} of margin at risk"
