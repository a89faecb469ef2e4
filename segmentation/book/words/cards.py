"""One card per segment: everything about its customers on one screen."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from segmentation.book.words.other_dates import stay_words
from segmentation.book.words.text import (
    Html,
    customers_of,
    highest_first,
    in_colour,
    label,
    named,
    plural,
)
from segmentation.core.columns import FEATURES, format_money, format_percent, format_value
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.limits import (
    LARGE_DIFFERENCE,
    LEAST_ALIKE,
    LEAST_PUBLISHED,
    LEAST_SAME_NAME,
    NAME_OF_MONEY,
    NEGLIGIBLE_DIFFERENCE,
)

SHORT_SCALE = 2.0
"""Bars of all cards reach to the largest standardised difference, but at least to this one."""
MOST_JOURNEY_MARKS = 24
DAYS_A_MONTH, WEEK = 30.0, 7.0


def segment_cards(
    profile: pd.DataFrame,
    differences: pd.DataFrame,
    journeys: pd.DataFrame,
    cohorts: pd.DataFrame,
    facts: pd.DataFrame,
    stability: pd.DataFrame,
    *,
    currency: str,
    colours: Mapping[str, str],
    other_dates: pd.DataFrame | None = None,
) -> Html:
    """Size, typical customer, differences, journeys and cohorts of every segment.

    Parameters
    ----------
    profile : DataFrame, one row per segment; the cards begin with the highest value
    differences, journeys, cohorts : DataFrame
        As ``portraits`` gives them.
    facts, stability : DataFrame
        Why each name, and how well the segment holds under resampling.
    colours : mapping of segment to colour
    other_dates : DataFrame, optional
        Who would stay with the dates put right, where days of orders are unsure.
    """
    kinds = list(profile["segment_type"].unique())
    several = len(kinds) > 1
    total = int(profile["customers"].sum())
    markup, texts = [], []
    full = _largest(differences, "difference", least=SHORT_SCALE)
    for row in highest_first(profile).itertuples():
        parts = {
            "typical": _of(differences, row),
            "journeys": _of(journeys, row),
            "cohorts": _of(cohorts, row),
            "facts": _of(facts, row),
            "stability": _of(stability, row),
        }
        who = customers_of(row.segment_type, kinds) if several else ""
        sections = [
            _tiles(row, parts["stability"], total, currency),
            _stay(other_dates, row),
            _typical(parts["typical"], currency, full=full),
            _journeys(parts["journeys"], currency),
            _cohorts(parts["cohorts"]),
            _names(parts["facts"], row.customers),
        ]
        colour = colours.get(str(row.segment), "")
        name = named(row.segment, row.segment_type, kinds)
        later = "" if row.segment_type == SEGMENT_TYPES[0] else " of-later-group"
        markup.append(
            f'<section class="profile-card{later}"{in_colour(colour)} aria-label="{html.escape(name)}">'
            f'<p class="profile-name">{html.escape(row.segment)}<span>{html.escape(who)}</span></p>'
            f"{''.join(sections)}</section>"
        )
        texts.append(_text(row, name, parts, currency))
    return Html("".join(markup), "\n\n".join(texts))


def _largest(table: pd.DataFrame, name: str, *, least: float) -> float:
    """End of the scale that all cards share."""
    values = table[name].abs().max() if len(table) else least
    return max(float(values), least) if pd.notna(values) else least


def _of(table: pd.DataFrame, row: Any) -> pd.DataFrame:
    return table[(table["segment_type"] == row.segment_type) & (table["cluster"] == row.cluster)]


def _tiles(row: Any, stability: pd.DataFrame, total: int, currency: str) -> str:
    tiles = [
        (f"{row.customers:,}", "customers", f"{format_percent(row.customers_share)} of {total:,}"),
        (
            format_money(float(row.revenue), currency),
            "revenue",
            f"{format_percent(row.revenue_share)} of all revenue",
        ),
        (
            format_money(row.total_spent_mean, currency),
            "spent each",
            f"mean; the median customer {format_money(row.total_spent_median, currency)}",
        ),
    ]
    if len(stability):
        found = stability.iloc[0]
        more = f"overlap {found['jaccard']:.2f} of 1, on average"
        if found["same_name"] < LEAST_SAME_NAME:
            more += (
                f"; its name is kept by {format_percent(found['same_name'])} of them only "
                f"({format_percent(found['same_name_low'])} to {format_percent(found['same_name_high'])})"
            )
        tiles.append((found["verdict"], "in other samples", more))
    else:
        tiles.append(("not tested", "in other samples", "one segment or too few customers"))
    cells = "".join(
        f"<li><span>{html.escape(what)}</span><b>{html.escape(value)}</b>"
        f"<small>{html.escape(more)}</small></li>"
        for value, what, more in tiles
    )
    return f'<ul class="profile-tiles">{cells}</ul>'


def _stay(other_dates: pd.DataFrame | None, row: Any) -> str:
    """Who would still be in the segment if the dates of orders were put right."""
    said = "" if other_dates is None else stay_words(_of(other_dates, row))
    return f'<p class="profile-why">{html.escape(said)}</p>' if said else ""


def _typical(table: pd.DataFrame, currency: str, *, full: float) -> str:
    """Feature by feature: typical values, everybody else, and a bar of the difference."""
    if table.empty:
        return ""
    if table["customers"].max() < LEAST_ALIKE:
        return (
            f'<p class="profile-key">Fewer than {LEAST_ALIKE} customers: typical values would be those of '
            "single people, so none are shown.</p>"
        )
    compared = bool(table["difference"].notna().any())
    title = (
        "Typical customer, and what differs most from everyone else of the group"
        if compared
        else "Typical customer"
    )
    items = "".join(_feature(row, currency, full=full) for row in table.itertuples())
    key = (
        '<p class="profile-key">Median, in brackets the middle half of the customers. Bar: standardised '
        f"difference of means on a log scale; above {LARGE_DIFFERENCE:g} is called large.</p>"
        if compared
        else '<p class="profile-key">Median, in brackets the middle half of the customers.</p>'
    )
    return f'<p class="profile-part">{title}</p><ul class="profile-features">{items}</ul>{key}'


def _feature(row: Any, currency: str, *, full: float) -> str:
    name = row.feature
    own = format_value(row.median, name, currency)
    to = " to " if row.lower < 0 else "–"
    middle = f"{_bare(row.lower, name, currency)}{to}{_bare(row.upper, name, currency)}"
    column = html.escape(FEATURES[name].label)
    text = f"<b>{html.escape(own)}</b>"
    if row.lower < row.upper:
        text += f" <small>({html.escape(middle)})</small>"
    if not np.isfinite(row.difference):
        return f'<li><span class="what">{column}</span><span class="value">{text}</span></li>'
    part = abs(row.difference) / full * 50
    side = "left: 50%" if row.difference >= 0 else f"left: {50 - part:.1f}%"
    quiet = " quiet" if abs(row.difference) < NEGLIGIBLE_DIFFERENCE else ""
    other = html.escape(format_value(row.median_else, name, currency))
    return (
        f'<li><span class="what">{column}</span><span class="value">{text}</span>'
        f'<span class="other">others {other}</span>'
        f'<span class="bar{quiet}" aria-hidden="true"><i style="{side}; width: {part:.1f}%"></i></span>'
        f'<span class="size">{_signed(row.difference)}</span></li>'
    )


def _signed(difference: float) -> str:
    return f"{round(difference, 2) + 0.0:+.2f}"


def _bare(value: float, name: str, currency: str) -> str:
    """A value without its unit, which stands beside the median."""
    column = FEATURES[name]
    text = format_value(value, name, currency)
    return text if column.kind == "money" or not column.unit else text.split(" ")[0]


def _journeys(table: pd.DataFrame, currency: str) -> str:
    if table.empty:
        return ""
    items = "".join(
        f"<li>{_timeline(row, table)}<span><b>{html.escape(_part(row))}</b> "
        f"{html.escape(journey_words(row, currency))}</span></li>"
        for row in table.to_dict("records")
    )
    return (
        f'<p class="profile-part">Journeys, from the first order to the last day of observation</p><ul class="profile-journeys">{items}</ul>'
        '<p class="profile-key">Nobody in particular: each is the middle of '
        f"{int(table['customers'].iloc[0])} customers alike, rounded. Orders are drawn at even steps."
        "</p>"
    )


def _part(row: Mapping[str, Any]) -> str:
    part = str(row["part"])
    return "" if part == "all" else f"{part[0].upper()}{part[1:]}:"


def _timeline(row: Mapping[str, Any], table: pd.DataFrame) -> str:
    """First order to the last day of observation, the orders as marks; same scale per card."""
    if not {"tenure", "frequency", "first_to_last_order"} <= set(table.columns):
        return ""
    longest = max(float(table["tenure"].max()), 1.0)
    start = 100 * (1 - row["tenure"] / longest)
    active = min(100 * row["first_to_last_order"] / longest, 100 - start)
    n = max(int(row["frequency"]), 1)
    shown = min(n, MOST_JOURNEY_MARKS)
    places = [start + active * step / max(shown - 1, 1) for step in range(shown)]
    marks = "".join(
        f'<i style="left: {min(place, 100):.1f}%"></i>' for place in dict.fromkeys(places)
    )
    return f'<span class="timeline" aria-hidden="true"><u style="left: {start:.1f}%"></u>{marks}</span>'


def journey_words(row: Mapping[str, Any], currency: str) -> str:
    """One journey in words, from the features there are.

    Examples
    --------
    >>> journey_words({"frequency": 3.0, "first_to_last_order": 90.0, "average_order_value": 35.0,
    ...                "recency": 35.0}, "USD")
    '3 orders in 3 months, about $35 each; quiet for the last 5 weeks.'
    >>> journey_words({"frequency": 1.0, "first_to_last_order": 0.0, "average_order_value": 14.0,
    ...                "recency": 510.0}, "USD")
    '1 order, about $14; quiet for the last 17 months.'
    """
    known = {name: value for name, value in row.items() if pd.notna(value)}
    parts = []
    if "frequency" in known:
        n = int(known["frequency"])
        active = known.get("first_to_last_order", 0.0)
        period = f" in {_period(active)}" if n > 1 and active else ""
        each = " each" if n > 1 else ""
        value = known.get("average_order_value")
        money = f", about {_round_money(value, currency)}{each}" if value is not None else ""
        parts.append(f"{n:,} order{'' if n == 1 else 's'}{period}{money}")
    else:
        units = known.get("total_unit")
        text = f"about {_round_money(known['total_spent'], currency)} spent"
        if units is not None:
            text += f" on {units:,.0f} unit{'' if units == 1 else 's'}"
        if known.get("first_to_last_order"):
            text += f", from first to last order {_period(known['first_to_last_order'])}"
        parts.append(text)
    if "recency" in known:
        quiet = known["recency"]
        parts.append(
            f"quiet for the last {_period(quiet).removeprefix('1 ')}"
            if quiet
            else "ordered only just now"
        )
    return "; ".join(parts) + "."


def _period(days: float) -> str:
    unit, size = ("week", WEEK) if days < 2 * DAYS_A_MONTH else ("month", DAYS_A_MONTH)
    n = round(days / size)
    return f"{n} {unit}{'' if n == 1 else 's'}"


def _round_money(value: float, currency: str) -> str:
    return format_money(value, currency).removesuffix(".00")


def _cohorts(table: pd.DataFrame) -> str:
    """Bars on a track that is the whole cohort, so that each reads as the share that it is."""
    if len(table) < 2:
        return ""
    few = table["inside"].between(1, LEAST_PUBLISHED - 1).any()
    bars = "".join(
        f'<li><i style="height: {100 * row.share:.0f}%"></i><b>{_inside(row)}</b>'
        f"<span>{html.escape(str(row.cohort))}</span><small>n = {row.customers:,}</small></li>"
        for row in table.itertuples()
    )
    return (
        '<p class="profile-part">Share of each cohort in this segment today, by first order</p>'
        f'<ol class="profile-cohorts" style="--cohorts: {len(table)}" tabindex="0">{bars}</ol>'
        + (
            f'<p class="profile-key">Few: fewer than {LEAST_PUBLISHED} customers.</p>'
            if few
            else ""
        )
    )


def _inside(row: Any) -> str:
    """Share of a cohort, or that it is of few."""
    return "few" if 0 < row.inside < LEAST_PUBLISHED else format_percent(row.share)


def truth_sentence(facts: pd.DataFrame, customers: int) -> str:
    """Of how many members a name is true; empty where it says nothing of them.

    Examples
    --------
    >>> truth_sentence(pd.DataFrame({"true_of": [0.84]}), 312)
    'true of 84% of its 312 customers'
    >>> truth_sentence(pd.DataFrame({"true_of": [0.92], "true_money": [0.48]}), 220)
    'true of 92% of its 220 customers, who brought 48% of its revenue'
    """
    if facts.empty or not np.isfinite(facts["true_of"].iloc[0]):
        return ""
    heads = float(facts["true_of"].iloc[0])
    money = float(facts["true_money"].iloc[0]) if "true_money" in facts else np.nan
    text = f"true of {format_percent(heads)} of its {customers:,} customers"
    if abs(heads - money) > NAME_OF_MONEY:
        text += f", who brought {format_percent(money)} of its revenue"
    return text


def _names(facts: pd.DataFrame, customers: int) -> str:
    truth = "" if facts.empty else truth_sentence(facts, customers)
    if not truth:
        return ""
    return (
        f'<p class="profile-why">The name is {html.escape(truth)}; what earned it stands under '
        "<em>Why these names</em>.</p>"
    )


def _text(row: Any, name: str, parts: Mapping[str, pd.DataFrame], currency: str) -> str:
    lines = [f"{name}, {plural(row.customers, 'customer')}"]
    lines += [
        f"  {label(one.feature)}: {format_value(one.median, one.feature, currency)}, others "
        f"{format_value(one.median_else, one.feature, currency)}, difference {_signed(one.difference)}"
        for one in parts["typical"].itertuples()
        if one.customers >= LEAST_ALIKE
    ]
    lines += [f"  {journey_words(one, currency)}" for one in parts["journeys"].to_dict("records")]
    return "\n".join(lines)
