"""Sentences and tables about what is bought, by segment too, and what the goods cost the shop."""

from __future__ import annotations

import pandas as pd

from segmentation.actions.break_even import own_margin
from segmentation.book.words.text import (
    Html,
    dollars,
    inert,
    named,
    plural,
    table_of,
    told,
)
from segmentation.core.columns import format_money, format_percent
from segmentation.core.limits import LEAST_PUBLISHED, ONE_ORDER_MARGIN, PREFERENCE_POINTS
from segmentation.core.phrases import shorten
from segmentation.evidence.preferences import SEASON
from segmentation.orders.days_unsure import LOOK_EXCHANGED

NOTHING = Html("", "")
MOST_ROWS = 20
DIMENSION_WORDS = {
    "category": "category",
    "product": "product",
    "country": "country",
    "payment_method": "payment",
    SEASON: "season",
}
SPENT = {"payment_method": "is paid by", SEASON: "falls in", "country": "comes from"}
QUARTERS = {
    "Q1": "January to March",
    "Q2": "April to June",
    "Q3": "July to September",
    "Q4": "October to December",
}


def preferences_sentence(preferences: pd.DataFrame, days_unsure: str = "") -> str:
    """The largest difference of each kind, in Markdown; or that there is none.

    ``days_unsure`` says why no season of an order is known, or nothing.
    """
    if preferences.empty:
        return ""
    found = _largest_first(preferences)
    kinds = list(preferences["segment_type"])
    spread = preferences.groupby("dimension", sort=False)[["share", "others"]].max().max(axis=1)
    tiny = spread[spread < PREFERENCE_POINTS]
    compared = [DIMENSION_WORDS[name] for name in spread.index if name not in tiny.index]
    least = f"{100 * PREFERENCE_POINTS:.0f} points"
    if found.empty:
        said = [
            f"In {' and '.join(compared)} no segment differs by {least} or more, beyond chance."
        ] * bool(compared)
    else:
        said = [
            f"{inert(named(row.segment, row.segment_type, kinds))}: {format_percent(row.share)} of "
            f"a customer's own spend {SPENT.get(row.dimension, 'goes to')} {inert(_value(row))}, "
            f"{format_percent(row.others)} among the others (n = {row.customers:,})."
            for row in found.drop_duplicates("dimension").itertuples()
        ]
    for name, most in tiny.items():  # a share that is less than the difference asked for
        one = DIMENSION_WORDS[str(name)]
        said.append(
            f"No single {one} takes {least} of spend in any segment ({format_percent(most)} at most), "
            f"so by {one} segments cannot be told apart here."
        )
    if SEASON not in set(preferences["dimension"]):
        said.append(
            f"Seasons are not compared: {LOOK_EXCHANGED}."
            if days_unsure
            else "Seasons are not compared: the orders go over less than two years, and whoever came "
            "late would seem to love the last season."
        )
    elif (found["dimension"] == SEASON).any():
        said.append(
            "A season may tell when customers came rather than what they like: whoever came lately "
            "has had fewer of them."
        )
    return dollars(" ".join(said))


def preferences_table(preferences: pd.DataFrame) -> Html:
    """What segments buy more or less than the others, beyond chance, the largest first."""
    every = _largest_first(preferences)
    if every.empty:
        return NOTHING
    best = every.drop_duplicates("dimension").index  # which the sentence names
    others = every.drop(index=best).head(max(MOST_ROWS - len(best), 0)).index
    found = every[every.index.isin(best.union(others))]
    kinds = list(preferences["segment_type"])
    rows = [
        {
            "kind": DIMENSION_WORDS[row.dimension],
            "what": _value(row),
            "segment": named(row.segment, row.segment_type, kinds),
            "more or less": "▲ more" if row.share > row.others else "▼ less",
            "its share": format_percent(row.share),
            "others": format_percent(row.others),
            "customers who did": f"{row.buyers:,} of {row.customers:,}"
            if row.buyers >= LEAST_PUBLISHED
            else f"fewer than {LEAST_PUBLISHED} of {row.customers:,}",
        }
        for row in found.itertuples()
    ]
    caption = (
        "Mean share of a customer's own spend, in the segment and among all others of its group, "
        "where both differ beyond chance; each customer counts alike, whatever they spend."
    )
    if len(found) < len(every):
        caption += f" The largest of {len(every):,} such differences, and the largest of each kind."
    numeric = ("its share", "others", "customers who did")
    return table_of(pd.DataFrame(rows), caption=caption, numeric=numeric)


def _largest_first(preferences: pd.DataFrame) -> pd.DataFrame:
    found = preferences[preferences["differs"].astype(bool)]
    size = (found["share"] - found["others"]).astype(float).abs()
    return found.loc[size.sort_values(ascending=False, kind="stable").index]


def _value(row: pd.Series) -> str:
    return QUARTERS.get(row.value, row.value) if row.dimension == SEASON else str(row.value)


def differs(own: float, assumed: float) -> bool:
    """Whether an own margin is another one than that which is assumed."""
    return abs(own - assumed) >= 0.005


def without_one_order(margins: pd.DataFrame) -> str:
    """What the own margin is without the order that moves it most, where that is much; in brackets.

    Examples
    --------
    >>> own = pd.DataFrame({"revenue": [100.0], "cost": [78.0], "without_one": [0.25]})
    >>> without_one_order(own), without_one_order(own.assign(without_one=0.224))
    (' (25% without one order)', '')
    """
    own = own_margin(margins)
    if own is None or "without_one" not in margins.columns:
        return ""
    without = float(margins["without_one"].iloc[0])
    moved = abs(without - own) >= ONE_ORDER_MARGIN
    return f" ({format_percent(without)} without one order)" if moved else ""


def margins_sentence(margins: pd.DataFrame, *, assumed: float, currency: str) -> str:
    """The shop's own gross margin beside the assumed one, in Markdown."""
    own = own_margin(margins)
    if own is None:
        return ""
    lines, priced = int(margins["lines"].sum()), int(margins["with_cost"].sum())
    revenue = format_money(float(margins["revenue"].sum()), currency)
    text = (
        f"By the costs in the source {format_percent(own)}{without_one_order(margins)} of revenue is left after the cost of "
        f"goods ({priced:,} of {plural(lines, 'line')}, {revenue})"
    )
    if not differs(own, assumed):
        return dollars(f"{text}; what is said of when a campaign pays counts with it.")
    return dollars(
        f"{text}; break-even figures assume a gross margin of {format_percent(assumed)}, and the "
        "recommendations say what the shop's own makes of them."
    )


def category_sentence(categories: pd.DataFrame, *, currency: str) -> str:
    """The largest value of each dimension that the source has."""
    if categories.empty:
        return "The source has no categories, payment methods or countries to compare."
    parts = []
    for dimension, rows in categories.groupby("dimension", sort=False):
        best = rows.loc[rows["revenue"].idxmax()]
        total = rows["revenue"].sum()
        share = format_percent(best["revenue"] / total) if total else "0%"
        parts.append(
            f"By {str(dimension).replace('_', ' ')}, **{inert(shorten(str(best['value']), 60))}** leads "
            f"{len(rows)} values with {dollars(format_money(best['revenue'], currency))} ({share} of "
            f"revenue, {told(int(best['customers']), 'customer')})."
        )
    return " ".join(parts)
