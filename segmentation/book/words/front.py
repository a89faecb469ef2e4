"""The first screen of a data set: four numbers, one chart, three actions, how far to trust it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from segmentation.book.words.front_numbers import (
    groups_meant,
    half_meant,
    headline,
    numbers,
    sparkline,
    unfinished,
)
from segmentation.book.words.front_plan import besides, to_do
from segmentation.book.words.text import highest_first, in_colour, plural
from segmentation.book.words.trust import trust_of
from segmentation.book.words.warnings import exchanged, warnings
from segmentation.core.columns import format_money, format_percent
from segmentation.core.groups import short_groups

MOST_BARS, MOST_WARNINGS, LONGEST_TITLE = 4, 3, 30

NOT_YET = "Do not act on these figures yet: day and month of the dates look exchanged"


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
    todo = to_do(run, link)
    first, about = headline(run), _about(run)
    if exchanged(run):
        first, about = NOT_YET, f"{first}. {about}"
    meanings = "".join(
        f"<dt>{html.escape(what)}</dt><dd>{html.escape(meaning)}</dd>"
        for what, meaning in [
            *groups_meant(run),
            *half_meant(run),
            *((what, meaning) for what, *_, meaning in numbers(run)),
            *besides(run),
        ]
    )
    light, lead, grounds = trust_of(run)
    grounds = f"As the dates stand: {grounds}" if exchanged(run) else grounds
    return (
        f'<section class="front" aria-label="{html.escape(title)}">'
        f'<p class="front-headline">{html.escape(first)}</p>'
        f'<p class="front-about">{html.escape(about)}</p>'
        + (
            f'<div class="front-warning"><b>Read first</b>'
            f"{_listed(warned[:MOST_WARNINGS])}{_more(warned[MOST_WARNINGS:])}</div>"
            if warned
            else ""
        )
        + f'<div class="tiles">{tiles}</div>'
        f'<div class="front-two"><div>{_chart(run, colours, link)}</div>'
        f"<div>{todo}</div></div>"
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
        f'<span><i class="hollow" style="--part: {row.customers_share / most:.4f}"></i>'
        f"{format_percent(row.customers_share)} of customers</span>"
        f'<span><i style="--part: {row.revenue_share / most:.4f}"></i>'
        f"{format_percent(row.revenue_share)} of revenue</span></li>"
        for row in highest_first(shown).itertuples()
    )
    rest = len(profile) - len(shown)
    return (
        f'<p class="front-head">{html.escape(_short(best["segment"]))}: {format_percent(best["customers_share"])} '
        f"of customers, {format_percent(best['revenue_share'])} of revenue</p>"
        f'<ul class="front-bars">{rows}</ul>'
        f'<p class="front-foot">n = {profile["customers"].sum():,} customers, '
        f"{format_money(float(sum(profile['revenue'])), currency)}"
        + (f"; {plural(rest, 'segment')} with less revenue not drawn" if rest else "")
        + f'. <a href="{link}/06_segments.html">Segments</a></p>'
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_TITLE else "One segment"


def _group(kind: str, kinds: Sequence[str]) -> str:
    return f"<small>{html.escape(short_groups(kinds)[kind])}</small>" if len(set(kinds)) > 1 else ""
