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

    It is compared with the same quarter a year earlier, else with the first there is, and with
    the one just before.

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
    now = kept[kept["as_of"] == last].set_index("segment")
    ordered = {name: inert(called.get(name, name)) for name in reversed(names) if name in now.index}
    said = []
    for name, whom in ordered.items():
        count, of = int(now.at[name, "ordered"]), int(now.at[name, "customers"])
        said.append(
            f"{format_percent(count / of)} of {whom} ({count:,} of {of:,})"
            if not 0 < count < LEAST_PUBLISHED
            else f"{told(count)} of the {of:,} of {whom}"
        )
    text = (
        f"In the quarter after {last}, {listed(said)} ordered.{_against(kept, ordered, last, day)}"
    )
    before = sorted(kept["as_of"].unique())[-2]
    return text if before == day else text + _since_quarter_before(kept, ordered, last, before)


def _against(kept: pd.DataFrame, ordered: dict[str, str], last: str, day: str) -> str:
    """The last quarter beside the one of a year earlier, else the first: what changed, and if alike."""
    then = kept[kept["as_of"] == day].set_index("segment")
    both = {name: pair for name in ordered if (pair := _pair(kept, name, last, day))}
    moved = {name: pair for name, pair in both.items() if pair.is_beyond_chance}
    season = "" if _is_year(day, last) else ", though of another season"
    if moved:
        said = [
            f"{format_percent(pair.came.before)} of {ordered[name]} (n = {int(then.at[name, 'customers']):,})"
            for name, pair in moved.items()
        ]
        text = f" In the quarter after {day}, {listed(said)} did: a change beyond chance{season}."
        unlike = _silences(
            {name: pair.came for name, pair in moved.items() if pair.is_explained}, ordered
        )
        if unlike:
            text += (
                f" But they were not alike: half had been silent, {unlike}. Whoever is "
                "silent for longer orders more rarely, so this says little of how the shop does."
            )
        return text
    text = f" No segment differs beyond chance from the quarter after {day}{season}."
    unlike = _silences(
        {
            name: pair.came
            for name, pair in both.items()
            if longer_silent(pair.came.silent, pair.came.silent_before)
        },
        ordered,
    )
    if unlike:
        text += (
            f" Nor were they alike: half had been silent, {unlike}. Whoever is silent for longer "
            "orders more rarely, so a change may hide behind this."
        )
    return text


def _silences(pairs: dict[str, CameBack], ordered: dict[str, str]) -> str:
    """For how long half of each segment had been silent, now and then."""
    said = []
    for name, pair in pairs.items():
        days = (format_value(each, "recency") for each in (pair.silent, pair.silent_before))
        said.append(f"of {ordered[name]} for {' or longer, then for '.join(days)}")
    return "; ".join(said)


def _since_quarter_before(
    kept: pd.DataFrame, ordered: dict[str, str], last: str, before: str
) -> str:
    """What changed beyond chance since the quarter just before the last."""
    pairs = {name: _pair(kept, name, last, before) for name in ordered}
    said = [
        f"{ordered[name]} {format_percent(pair.came.before)} then, {format_percent(pair.came.now)} now"
        for name, pair in pairs.items()
        if pair and pair.is_beyond_chance
    ]
    if not any(pairs.values()):
        return ""
    if not said:
        return f" Nor does any differ from the quarter just before, after {before}."
    return (
        f" From the quarter just before, after {before}, the last one differs beyond chance, though "
        f"of another season: {'; '.join(said)}."
    )


class CameBack(NamedTuple):
    """Share of a segment that ordered in the last quarter and before, and days half were silent for."""

    now: float
    before: float
    is_year: bool
    silent: float
    silent_before: float


class _Pair(NamedTuple):
    """Two quarters of a segment; whether they differ beyond chance, and only silence may be why."""

    came: CameBack
    is_beyond_chance: bool
    is_explained: bool


def came_back_then(retention: pd.DataFrame, name: str) -> CameBack | None:
    """Who of a segment ordered in the last quarter, and a year before (else at first).

    None where the two do not differ beyond chance, or too few customers were in it.
    """
    kept = retention[retention["customers"] >= LEAST_CUSTOMERS]
    if kept["as_of"].nunique() < 2:
        return None
    pair = _pair(kept, name, *_days_compared(kept))
    return pair.came if pair and pair.is_beyond_chance else None


def _pair(kept: pd.DataFrame, name: str, last: str, day: str) -> _Pair | None:
    """A segment in the quarters after two days; None where it was not there in both."""
    own = kept[kept["segment"] == name].set_index("as_of")
    if not {last, day} <= set(own.index):
        return None
    (came, of), (first, all_then) = (
        own.loc[each, ["ordered", "customers"]].astype(int) for each in (last, day)
    )
    change = response_uplift(came, of, first, all_then)
    silent, silent_before = (float(own.at[each, "median_recency"]) for each in (last, day))
    found = CameBack(came / of, first / all_then, _is_year(day, last), silent, silent_before)
    explained = longer_silent(silent, silent_before) and (
        (silent > silent_before) == (found.now < found.before)
    )
    return _Pair(found, not change.low <= 0 <= change.high, explained)


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
