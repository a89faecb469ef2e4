"""Sentences about who comes back: each segment's customers who ordered in the quarter after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from segmentation.actions.campaign import response_uplift
from segmentation.book.words.text import inert, listed, longer_silent, named, told
from segmentation.core.columns import format_percent, format_value
from segmentation.core.limits import LEAST_CUSTOMERS, LEAST_PUBLISHED


def retention_sentence(
    retention: pd.DataFrame, *, names: Sequence[str], profile: pd.DataFrame | None = None
) -> str:
    """Who of each segment ordered in the last quarter, and what changed beyond chance before.

    It is compared with the same quarter a year earlier, else with the first there is.

    Parameters
    ----------
    names : sequence of text
        Segments in ascending order of value.
    profile : DataFrame, one row per segment, optional
        A segment of one group only bears the group's name, where there are several.
    """
    called = _called(profile)
    kept = retention[retention["customers"] >= LEAST_CUSTOMERS]
    if kept["as_of"].nunique() < 2:
        return ""
    last, day = _days_compared(kept)
    now, then = (kept[kept["as_of"] == each].set_index("segment") for each in (last, day))
    ordered = [name for name in reversed(names) if name in now.index]
    said, moved, unlike = [], [], []
    for name in ordered:
        count, of = int(now.at[name, "ordered"]), int(now.at[name, "customers"])
        said.append(
            f"{format_percent(count / of)} of {inert(called.get(name, name))} ({count:,} of {of:,})"
            if not 0 < count < LEAST_PUBLISHED
            else f"{told(count)} of the {of:,} of {inert(called.get(name, name))}"
        )
        if change := came_back_then(kept, name):
            whom = inert(called.get(name, name))
            moved.append(
                f"{format_percent(change.before)} of {whom} (n = {int(then.at[name, 'customers']):,})"
            )
            if longer_silent(change.silent, change.silent_before):
                silent = (
                    format_value(days, "recency") for days in (change.silent, change.silent_before)
                )
                unlike.append(f"{whom} for {' or longer, then for '.join(silent)}")
    text = f"In the quarter after {last}, {listed(said)} ordered."
    if moved:
        season = "" if _is_year(day, last) else ", though of another season"
        text += f" In the quarter after {day}, {listed(moved)} did: a change beyond chance{season}."
        if unlike:
            text += (
                f" But they were not alike: half had been silent, of {'; of '.join(unlike)}. Whoever is "
                "silent for longer orders more rarely, so this says little of how the shop does."
            )
        return text
    return f"{text} No segment differs beyond chance from the quarter after {day}."


class CameBack(NamedTuple):
    """Share of a segment that ordered in the last quarter and before, and days half were silent for."""

    now: float
    before: float
    is_year: bool
    silent: float
    silent_before: float


def came_back_then(retention: pd.DataFrame, name: str) -> CameBack | None:
    """Who of a segment ordered in the last quarter, and a year before (else at first).

    None where the two do not differ beyond chance, or too few customers were in it.
    """
    kept = retention[retention["customers"] >= LEAST_CUSTOMERS]
    if kept["as_of"].nunique() < 2:
        return None
    last, day = _days_compared(kept)
    own = kept[kept["segment"] == name].set_index("as_of")
    if not {last, day} <= set(own.index):
        return None
    (came, of), (first, all_then) = (
        own.loc[each, ["ordered", "customers"]].astype(int) for each in (last, day)
    )
    change = response_uplift(came, of, first, all_then)
    if change.low <= 0 <= change.high:
        return None
    silent = (float(own.at[each, "median_recency"]) for each in (last, day))
    return CameBack(came / of, first / all_then, _is_year(day, last), *silent)


def _days_compared(retention: pd.DataFrame) -> tuple[str, str]:
    """The last quarter's end, and the one a year before it, else the first."""
    days = sorted(retention["as_of"].unique())
    return days[-1], next((day for day in days if _is_year(day, days[-1])), days[0])


def _is_year(day: str, last: str) -> bool:
    return day.startswith(f"{int(last[:4]) - 1}{last[4:7]}")


def _called(profile: pd.DataFrame | None) -> dict[str, str]:
    """Segments that only one of several groups has, with their group."""
    if profile is None:
        return {}
    kinds, once = list(profile["segment_type"]), ~profile["segment"].duplicated(keep=False)
    own = profile[once].itertuples()
    return {row.segment: named(row.segment, row.segment_type, kinds) for row in own}
