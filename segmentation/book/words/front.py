"""The first screen of a data set: four numbers, one chart, three actions, how far to trust it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.book.words.recommendations import one_in
from segmentation.book.words.text import (
    group_words,
    highest_first,
    in_colour,
    listed,
    named,
    plural,
)
from segmentation.book.words.trust import trust
from segmentation.book.words.warnings import cost_beside_orders, exchanged, warnings
from segmentation.core.columns import format_money, format_percent
from segmentation.core.intervals import Z95
from segmentation.core.limits import (
    LEAST_CALLED,
    MEAN_OF_FEW,
    MUCH_CALLED,
    ONE_CUSTOMER,
    UNREACHABLE,
)
from segmentation.customers import concentration
from segmentation.deliver.workbook.sheets import list_name

MOST_BARS, MOST_ACTIONS = 4, 3
TRIAL = "first a trial of half"


def front_page(run: Any, *, title: str, link: str, colours: Mapping[str, str]) -> str:
    """One screen, as HTML: who the customers are, what to do, how far to believe it.

    Parameters
    ----------
    run : Run or mapping of its results, with ``parameters``
    link : str
        The folder of the data set's chapters, seen from the page.
    """
    warned = list(warnings(run))
    first = re.sub("<[^>]*>", "", warned[0]) if warned else ""
    tiles = "".join(
        f'<div class="tile"><span>{html.escape(what)}</span><b>{html.escape(value)}</b>'
        f"<small>{html.escape(change)}</small>{_sparkline(line, what)}</div>"
        for what, value, change, line, _ in numbers(run)
    )
    meanings = "".join(
        f"<dt>{html.escape(what)}</dt><dd>{html.escape(meaning)}</dd>"
        for what, *_, meaning in numbers(run)
    )
    listed_actions = "".join(
        f"<li><b>{html.escape(what)}</b><em>{html.escape(' · '.join(facts))}</em>"
        f"<span>{html.escape(do)} List: {html.escape(sheet)} · "
        f'<a href="{link}/08_recommendations.html">why</a></span></li>'
        for what, do, *facts, sheet in _actions(run)
    )
    light, lead, grounds = trust(
        *(run[name] for name in ("stability", "stability_whole", "chosen", "k_rule", "k_evidence")),
        *(run[name] for name in ("holdout", "holdout_rankings", "verdict")),
    )
    grounds = re.sub(r" \((?:agreement|silhouette) [^)]*\)", "", grounds)  # chapter 07 has them
    return (
        f'<section class="front" aria-label="{html.escape(title)}">'
        f'<p class="front-about">{html.escape(_about(run))}</p>'
        + (
            f'<details class="front-warning" open><summary><b>Read first</b> <span>{first}</span></summary>'
            f"<ul>{''.join(f'<li>{text}</li>' for text in warned)}</ul></details>"
            if warned
            else ""
        )
        + f'<div class="tiles">{tiles}</div>'
        f'<div class="front-two"><div>{_chart(run, colours, link)}</div>'
        f'<div><p class="front-head">What to do first</p>'
        f"<ol>{listed_actions or '<li>No action is supported by these data.</li>'}</ol>"
        f"{left_alone(run)}</div></div>"
        f'<p class="front-trust"><i class="{light}" role="img" aria-label="{light}"></i>'
        f"<span><b>{lead}</b> {grounds} "
        f'<a href="{link}/07_do_the_segments_hold_up.html">Evidence</a></span></p>'
        f"<details><summary>What the numbers mean</summary><dl>{meanings}</dl></details></section>"
    )


def _about(run: Any) -> str:
    overview = run["overview"]
    if not overview["first_order"]:
        return "A customer table without orders"
    seen = overview["last_order"], overview["as_of"]
    return f"Orders from {overview['first_order']} to {seen[0]}" + (
        f", observed up to {seen[1]}" if seen[0] != seen[1] else ""
    )


def numbers(run: Any) -> Iterator[tuple[str, str, str, list[float], str]]:
    """Four numbers: what, value, change, its course, what it means."""
    customers, currency = run["customers"], run.parameters.currency
    once = int((customers["frequency"] == 1).sum()) if "frequency" in customers else 0
    yield (
        "Customers",
        f"{len(customers):,}",
        f"{once:,} ordered once" if once else "in this table",
        [],
        "Everybody with at least one order that counts.",
    )
    quarters = _whole_quarters(run)
    money = customers["total_spent"].astype(float)
    if len(quarters) < 2:
        yield (
            "Revenue",
            format_money(money.sum(), currency),
            "in the window",
            [],
            "All kept lines.",
        )
        ranked = money.sort_values(ascending=False).cumsum()
        half = int((ranked < money.sum() / 2).sum()) + 1
        yield (
            "Bring half of it",
            f"{half:,}",
            f"{format_percent(half / len(customers))} of customers",
            [],
            "The fewest customers who together bring half of all revenue.",
        )
        return
    last, before = quarters.iloc[-1], quarters.iloc[-2]
    name, earlier = _name(last), _name(before)
    yield (
        f"Revenue, {name}",
        format_money(last["revenue"], currency),
        f"{_change(last['revenue'] / before['revenue'] - 1)} on {earlier}",
        list(quarters["revenue"]),
        f"Kept lines of the last whole quarter, {name}, against the one before.",
    )
    yield (
        f"Active, {name}",
        format_percent(last["active"]),
        f"{last['customers']:,} of {last['known']:,}, {_change(last['customers'] / before['customers'] - 1)} on {earlier}",
        list(quarters["customers"]),
        f"Customers with an order in the quarter, of all {last['known']:,} who had ordered by its "
        "end: the share falls as that crowd grows, so the change is of their number.",
    )
    facts = run["forecast_facts"]
    if facts["possible"]:
        yield _expected(run["forecast"], run["forecast_calibration"], facts)
        return
    reach = Z95 * math.hypot(last["top_error"], before["top_error"])
    yield (
        f"From the best tenth, {name}",
        format_percent(last["top_share"]),
        f"of its revenue; {_moved(last['top_share'], before['top_share'], reach)}",
        list(quarters["top_share"]),
        "Share of the quarter's revenue from the tenth of its customers who spent most. It stands "
        f"here because nothing is forecast: {facts['reason']}.",
    )


def _expected(
    forecast: pd.DataFrame, calibration: pd.DataFrame, facts: Mapping[str, Any]
) -> tuple[str, str, str, list[float], str]:
    """Customers expected to order, beside how the same forecast turned out a period ago."""
    chance = forecast["chance"]
    guessed, came = (
        float((calibration[name] * calibration["customers"]).sum())
        for name in ("predicted", "observed")
    )
    return (
        f"Expected to order, {facts['outcome_days']} days",
        f"{chance.sum():,.0f}",
        f"{format_percent(chance.mean())}. Last time {guessed:,.0f} expected, {came:,.0f} came",
        [],
        f"Customers in the next {facts['outcome_days']} days, summed from each one's chance to order "
        "if nothing is done. The same forecast "
        f"made on {facts['cut']} is compared with the {facts['days_after']} days after it.",
    )


def _whole_quarters(run: Any) -> pd.DataFrame:
    overview = run["overview"]
    if not overview["first_order"] or run["quarters"].empty:
        return pd.DataFrame()
    quarters = concentration.over_time(
        run["quarters"], first_day=overview["first_order"], last_day=overview["as_of"]
    )
    ends = pd.DatetimeIndex(quarters["quarter"]) + pd.offsets.QuarterEnd(0)
    monthly = run["monthly"]
    known = [int(monthly.loc[monthly["month"] <= end, "new_customers"].sum()) for end in ends]
    found = quarters.assign(known=known, revenue=quarters["revenue"].astype(float))
    found = found[found["is_complete"] & (found["revenue"] > 0)]
    return found.assign(active=found["customers"] / found["known"])


def _name(row: pd.Series) -> str:
    return f"{row['quarter'].year} Q{row['quarter'].quarter}"


def _arrow(change: float) -> str:
    return "▲" if change > 0 else "▼" if change < 0 else "="


def _moved(now: float, before: float, reach: float = 0.0) -> str:
    """How a share moved, as far as its printed digits show it and beyond the ``reach`` of chance.

    Examples
    --------
    >>> _moved(0.244, 0.238), _moved(0.244, 0.31), _moved(0.54, 0.53, reach=0.09)
    ('as before', '▼ from 31%', '53% before, no more than chance')
    """
    said = format_percent(before)
    if abs(now - before) < reach:
        return f"{said} before, no more than chance"
    return "as before" if said == format_percent(now) else f"{_arrow(now - before)} from {said}"


def _change(share: float) -> str:
    return f"{_arrow(share)} {format_percent(abs(share))}"


def _sparkline(values: list[float], what: str) -> str:
    if len(values) < 3:
        return ""
    low, high = min(values), max(values)
    step, span = 100 / (len(values) - 1), max(high - low, high / 4) or 1.0
    points = " ".join(
        f"{n * step:.1f},{20 - 18 * (v - low) / span:.1f}" for n, v in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 100 22" preserveAspectRatio="none" role="img" aria-label="'
        f'{html.escape(what)}: course over {len(values)} quarters"><polyline fill="none" '
        f'stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke" '
        f'points="{points}"/></svg>'
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
        f"<li{in_colour(colours.get(row.segment, ''))}>"
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
    return f"<small>{html.escape(group_words(kind, kinds))}</small>" if len(set(kinds)) > 1 else ""


def actions(run: Any) -> list[tuple[str, str]]:
    """At most three actions of at most 15 words, each with money, break-even and where its list is."""
    return [(what, f"{do} {' · '.join(facts)}") for what, do, *facts in _actions(run)]


def _actions(run: Any) -> list[tuple[str, ...]]:
    """Each action in parts: what for whom, how, its money, what it takes to pay, its list.

    Whom to call first comes first where they spent much, then what a test can show to pay, then what
    it cannot.
    """
    parameters, profile = run.parameters, run["profile"]
    kinds = list(profile["segment_type"])
    ranked = profile.assign(revenue=profile["revenue"].astype(float)).sort_values(
        ["revenue", "segment_type", "cluster"], ascending=[False, True, True]
    )
    sheets = {
        (row.segment_type, row.segment): list_name(number, row.segment)(1)
        for number, row in enumerate(ranked.itertuples(), start=1)
    }
    slipped, found = _called_first(run), []
    plays = run["recommendations"]
    pays = (lambda _: "break-even not known yet") if cost_beside_orders(run) else _pays
    plays = plays[plays["is_campaign"]].sort_values("is_supported", ascending=False, kind="stable")
    for row in plays.itertuples():
        name = named(row.segment, row.segment_type, kinds)
        against = "" if row.is_supported else TRIAL
        if row.largest_share >= ONE_CUSTOMER:
            share = format_percent(row.largest_share)
            against = f"one customer brought {share} of this, so {TRIAL}"
        found.append(
            (
                f"{row.play}: {name}, {plural(row.customers, 'customer')}",
                row.do,
                f"{format_money(float(row.revenue), parameters.currency)} in the window",
                pays(row),
                *([against] if against else []),
                f"workbook sheet “{sheets[row.segment_type, row.segment]}”",
            )
        )
    if slipped is None:
        return found[:MOST_ACTIONS]
    money, what, do, *rest = slipped
    place = 0 if money >= MUCH_CALLED * float(sum(profile["revenue"])) else len(found)
    if exchanged(run):
        place = MOST_ACTIONS - 1
        do = f"Only once the dates are put right, for silence is read off them. {do}"
    found.insert(place, (what, do, *rest))
    return found[:MOST_ACTIONS]


def left_alone(run: Any) -> str:
    """Whom a contact costs more than it can bring back, and what leaving them alone saves."""
    plays = run["recommendations"]
    plays = plays[plays["play"] == NOT_AT_THIS_COST]
    if plays.empty or cost_beside_orders(run):
        return ""
    kinds = list(run["profile"]["segment_type"])
    names = listed([named(row.segment, row.segment_type, kinds) for row in plays.itertuples()])
    saved = format_money(float(plays["campaign_cost"].sum()), run.parameters.currency)
    return (
        f'<p class="front-alone"><b>Leave alone at this cost:</b> {html.escape(names)}, '
        f"{plural(int(plays['customers'].sum()), 'customer')}; saves {saved} a mailing.</p>"
    )


def _pays(row: Any) -> str:
    if row.campaign_cost == 0:
        return "any extra order pays"
    if not row.break_even_response <= UNREACHABLE:
        return "one extra order does not pay for one contact"
    if row.break_even_response * row.customers <= 1:
        return "a single order because of it pays for all"
    said = f"pays if {one_in(row.break_even_response)} because of it"
    if row.response_value > MEAN_OF_FEW * row.typical_order:
        typical = row.break_even_response * row.response_value / row.typical_order
        people = one_in(typical).removesuffix(" customers orders")
        said += f" ({people} by the typical order)" if typical <= UNREACHABLE else ""
    return f"{said}; {format_percent(row.base)} order anyway" if row.base > 0 else said


def _called_first(run: Any) -> tuple[Any, ...] | None:
    """Customers who have most to lose; money as they spent it, for nobody knows what they will."""
    listed_first = run["call_first"]
    if len(listed_first) < LEAST_CALLED:
        return None
    money = float(listed_first["total_spent"].sum())
    possible = run["forecast_facts"]["possible"]
    why = "whose chance to order fell" if possible else "who fell or fell silent"
    first = "the largest value at risk" if possible else "the largest spender"
    return (
        money,
        f"Call first: {plural(len(listed_first), 'customer')} {why} in the last quarter",
        f"Ring or write to each, {first} first; nobody of a control group is among them.",
        f"{format_money(money, run.parameters.currency)} spent in the window",
        "workbook sheet “Call first”",
    )
