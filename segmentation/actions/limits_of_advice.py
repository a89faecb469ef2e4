"""What the data cannot support of a recommendation, in words with the figures behind them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.core.columns import format_percent, format_points
from segmentation.core.limits import ONE_CUSTOMER, PLAUSIBLE_RISE, WIDE
from segmentation.core.phrases import plural

UNSTABLE = "unstable"
ADDED = ("detectable", "is_supported", "limits")
"""Columns that recommendations get here."""


def add_limits(
    recommendations: pd.DataFrame,
    sizes: pd.DataFrame,
    stability: pd.DataFrame,
    *,
    no_holdout: str,
) -> pd.DataFrame:
    """Say beside each recommendation what stands against acting on it.

    Parameters
    ----------
    recommendations, sizes : DataFrame, one row per segment in the same order
        As ``recommend`` and ``campaign.sizes_by_segment`` give them.
    stability : DataFrame
        ``segment_type, segment, verdict, jaccard`` of the segments that were tried.
    no_holdout : str
        Why nobody could be followed after a cut; empty where they were.

    Returns
    -------
    DataFrame
        `recommendations` with ``detectable`` (smallest rise that a test of the whole
        segment finds), ``is_supported`` and ``limits``: sentences without a full stop,
        separated by semicolons. A play that is no campaign asks for no support.
    """
    tried = stability.set_index(["segment_type", "segment"])
    limits, supported = [], []
    for row, size in zip(recommendations.itertuples(), sizes.itertuples(), strict=True):
        against = [*_of_money(row), *_of_response(row, size, no_holdout)]
        key = (row.segment_type, row.segment)
        if key in tried.index and tried.at[key, "verdict"] == UNSTABLE:
            against.append(
                "its members change when customers are drawn again: "
                f"{format_percent(tried.at[key, 'jaccard'])} of them are the same"
            )
        notes = _of_concentration(row)
        limits.append("; ".join([*against, *notes]))
        supported.append(bool(row.is_campaign) and not against)
    return recommendations.assign(
        detectable=sizes["detectable"].to_numpy(), is_supported=supported, limits=limits
    )


def _of_money(row: Any) -> list[str]:
    """Whether a contact can pay for itself at all."""
    needed, base = row.break_even_response, row.base
    if row.play != NOT_AT_THIS_COST:
        if row.is_campaign:
            return []
        return [
            f"the outcome of a campaign to {plural(row.customers, 'customer')} cannot be measured"
        ]
    if not needed <= 1:
        return ["one extra order does not pay for one contact"]
    if base + needed > 1:
        return [
            f"{format_percent(base)} order anyway, so no campaign can add the "
            f"{format_percent(needed)} that it needs"
        ]
    if not base:
        return [
            "none of them is expected to order, and a campaign is not held to bring more than "
            f"{1 + PLAUSIBLE_RISE:g} times as many as come anyway"
        ]
    times = f"{(base + needed) / base:.1f} times as many, and "
    return [
        f"break-even asks for {format_points(needed)} points more where {format_percent(base)} order "
        f"anyway: {times}{1 + PLAUSIBLE_RISE:g} times is held possible"
    ]


def _of_response(row: Any, size: Any, no_holdout: str) -> list[str]:
    """Whether it is known who orders anyway, and whether a test would tell."""
    if not row.is_campaign:
        return []
    if not np.isfinite(row.base):
        why = no_holdout or (
            "nobody belonged to this segment when customers were followed, or nobody was followed "
            f"for {row.outcome_days} days"
        )
        return [f"how many order anyway is not known: {why}"]
    if pd.isna(size.can_show):
        return ["when it pays is not known, so nor is whether a test shows it"]
    if size.can_show:
        return []
    smallest = size.detectable
    found = (
        f"a test of the whole segment notices {math.ceil(smallest * row.customers):,} or more"
        if np.isfinite(smallest)
        else "a test of the whole segment notices no rise, however large"
    )
    extra = math.ceil(row.break_even_response * row.customers - 1e-9)
    return [
        f"it pays from {extra:,} order{'' if extra == 1 else 's'} because of it, {found}: a campaign may "
        "pay and nobody could tell"
    ]


def _of_concentration(row: Any) -> list[str]:
    """What makes the money at stake uncertain; no reason not to act."""
    notes = []
    if row.largest_share >= ONE_CUSTOMER:
        notes.append(f"one customer brought {format_percent(row.largest_share)} of its revenue")
    half = (row.revenue_high - row.revenue_low) / 2
    if row.revenue > 0 and half >= WIDE * row.revenue:
        notes.append(f"chance alone may move its revenue by {format_percent(half / row.revenue)}")
    return notes
