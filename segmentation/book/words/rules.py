"""Segments as rules in words, and what the map of two components hides."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.words.text import (
    dollars,
    from_the_top,
    in_group,
    interval,
    label,
    listed,
    named,
    of_kind,
    plural,
)
from segmentation.core.columns import FEATURES, format_percent, format_value
from segmentation.core.limits import HIDDEN_SPLIT, LEAST_PUBLISHED, LOOSE_RULES

NOT_TESTED = "There is one segment or too few customers, so there is no rule to find."


def rules_list(rules: pd.DataFrame, kinds: list[str], *, currency: str) -> str:
    """Every segment as rules in words; a rule of very few customers would be about persons."""
    parts = []
    for kind in kinds:
        own = of_kind(rules, kind)
        if own.empty:
            continue
        lines = [in_group(kind, kinds).strip()]
        for (_, segment), leaves in from_the_top(own).groupby(["cluster", "segment"], sort=False):
            lines.append(f"\n**{named(segment, kind, kinds)}**\n")
            for _, leaf in leaves[leaves["customers"] >= LEAST_PUBLISHED].iterrows():
                words = rule_words(leaf, currency)
                share = format_percent(leaf["faithful"])
                lines.append(
                    f"- {dollars(words)}: {share} of {plural(int(leaf['customers']), 'customer')} are in this segment"
                )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or NOT_TESTED


def rule_words(leaf: pd.Series, currency: str) -> str:
    """One rule of the tree as a person would say it.

    Examples
    --------
    >>> rule_words(pd.Series({"total_spent_above": 412.0, "recency_upto": 60.0}), "USD")
    'days since last order up to 60 days and total spent over $412.00'
    """
    words = []
    for name in FEATURES:
        above, upto = leaf.get(f"{name}_above"), leaf.get(f"{name}_upto")
        has_above, has_upto = (
            above is not None and pd.notna(above),
            upto is not None and pd.notna(upto),
        )
        if has_above and has_upto:
            words.append(
                f"{label(name)} over {format_value(above, name, currency, exact=True)} and up to "
                f"{format_value(upto, name, currency, exact=True)}"
            )
        elif has_above:
            words.append(f"{label(name)} over {format_value(above, name, currency, exact=True)}")
        elif has_upto:
            words.append(f"{label(name)} up to {format_value(upto, name, currency, exact=True)}")
    order = sorted(words, key=lambda text: "over" in text)
    return listed(order) or "everybody"


def fidelity_sentence(
    fidelity: dict[str, Any], separation: pd.DataFrame, kinds: list[str], days_unsure: str = ""
) -> str:
    """How far the rules can stand in for the segments, and which feature separates most.

    Segments that rest on unsure days are for no meeting yet, however faithful their rules.
    """
    parts, once = (
        [],
        ", **but of the dates as they stand: put right, they are to be learnt anew**"
        if days_unsure
        else "",
    )
    for kind in kinds:
        if kind not in fidelity:
            continue
        own, rows = fidelity[kind], of_kind(separation, kind)
        ranked = listed(
            [
                f"{label(row.feature)} ({format_percent(row.separation)})"
                for row in rows.itertuples()
            ]
        )
        judged = (
            f"good enough to describe segments in a meeting{once}"
            if own["held_out"] >= LOOSE_RULES
            else "**too loose to stand in for the segments**: use them as a first idea only"
        )
        parts.append(
            f"{in_group(kind, kinds)}These rules put {format_percent(own['own'])} of "
            f"{plural(own['customers'], 'customer')} where the segments do; learnt on four fifths and tried on the rest, "
            f"**{format_percent(own['held_out'])}** ({interval(own['held_out_low'], own['held_out_high'])}; "
            f"always naming the largest segment: "
            f"{format_percent(own['largest'])}). They are {judged}. Features by the share of their "
            f"differences that lies between segments: {ranked}."
        )
    return "\n\n".join(parts) or NOT_TESTED


def map_sentence(map_agreement: dict[str, Any], kinds: list[str]) -> str:
    """Does the two-dimensional map show the split, or hide it?"""
    parts = []
    for kind in kinds:
        if kind not in map_agreement:
            continue
        own = map_agreement[kind]
        share = f"{format_percent(own['agreement'])} of {plural(own['customers'], 'customer')}"
        text = (
            f"On the map {share} lie nearest to their own segment: it shows the split."
            if own["agreement"] >= HIDDEN_SPLIT
            else f"**Caution:** on the map only {share} lie nearest to their own "
            "segment. Two components hide a part of the split, so overlap on the map is not overlap "
            "of segments."
        )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts) or NOT_TESTED
