"""Who slipped: what writing to them costs, when it pays, and who comes back unasked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from segmentation.actions.next_steps import NEW
from segmentation.actions.slipping import Slipped
from segmentation.book.words.break_even import SINGLE_ORDER, pays_if
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.text import (
    as_sentence,
    dollars,
    inert,
    listed,
    named,
    of_one,
    plural,
    told,
)
from segmentation.book.words.warnings import ONCE_RIGHT
from segmentation.core.columns import format_money, format_percent
from segmentation.core.limits import LEAST_CUSTOMERS, LEAST_PUBLISHED, UNREACHABLE


def writing_pays(found: Slipped, currency: str) -> tuple[str, ...]:
    """What writing to those who slipped costs, and when it pays."""
    if not 0 < found.needed <= UNREACHABLE:
        return ()
    planned = " (within the campaigns)" if found.is_planned else ""
    cost = f"writing costs {format_money(found.cost, currency)}{planned}"
    written = found.customers - found.alone
    if found.needed * written <= 1:
        return cost, SINGLE_ORDER
    return cost, pays_if(found.needed, found.by_mean)


def anyway(found: Slipped) -> str:
    """How many who slipped a quarter earlier ordered in the quarter since, where these are enough."""
    if found.before < LEAST_CUSTOMERS:
        return ""
    return f"{format_percent(found.ordered / found.before)} of {found.before:,}"


def _others_came(found: Slipped) -> str:
    """How many ordered of those who had not slipped, where these are enough."""
    if found.others < LEAST_CUSTOMERS:
        return ""
    share = format_percent(found.others_ordered / found.others)
    if found.is_sign:
        return f", and {share} of the {found.others:,} who had ordered and not slipped"
    return (
        f", and no clearly greater part of the {found.others:,} who had ordered ({share}): "
        "a slip was no clear sign of a loss"
    )


def parts_of(found: Slipped) -> list[str]:
    """How many fell a segment and how many fell silent; nothing where one are too few to be told."""
    counts = {"fell a segment": found.customers - found.silent, "fell silent": found.silent}
    if any(0 < n < LEAST_PUBLISHED for n in counts.values()):
        return []
    if 0 in counts.values():
        return [f"all {what}" for what, n in counts.items() if n]
    return [f"{n:,} {what}" for what, n in counts.items()]


def _came_in(found: Slipped, movement: pd.DataFrame) -> str:
    """Customers who were in another segment or in none a quarter ago and are in this one now."""
    last = movement[movement["as_of"] == movement["as_of"].max()]
    now = last[(last["segment_to"] == found.segment) & (last["segment_from"] != found.segment)]
    count = int(now["customers"].sum())
    if not count:
        return ""
    new = ", new ones too" if (now["segment_from"] == NEW).any() else ""
    return f" In the same quarter {told(count)} others came into it{new}."


def slipped_sentence(
    found: Slipped | None,
    movement: pd.DataFrame,
    *,
    kinds: Sequence[str],
    currency: str,
    is_told: bool,
    dates_hold: bool = True,
    no_history: str = "",
) -> str:
    """Who slipped from the segment that lost most so, and what it takes to win them back.

    Parameters
    ----------
    movement : DataFrame of the run
        Names no groups: who came in is told where there is one group.
    is_told : bool
        Whether it can be said when a contact pays.
    dates_hold : bool
        Whether day and month of orders are what they seem; else nobody is written to for silence.
    no_history : str
        Why no earlier quarter is known, or nothing.
    """
    if no_history:
        return f"Who slipped is not known: {no_history}."
    if found is None:
        return "Nobody fell a segment or fell silent in the last quarter."
    name = inert(named(found.segment, found.segment_type, kinds))
    did = f": {listed(parts_of(found))}" if parts_of(found) else ""
    spent = f"{format_money(found.spent, currency)}{of_one(found.each)} so far"
    spent += given_back_words(found.given_back, currency)
    came = _came_in(found, movement) if len(set(kinds)) == 1 else ""
    text = "" if dates_hold else ONCE_RIGHT
    text += f"**{plural(found.customers, 'customer')} of {name}** slipped in the last quarter{did}. They have spent {spent}.{came} "
    if is_told and (pays := writing_pays(found, currency)):
        text += f"{as_sentence(': '.join(pays))} "
    if found.alone:
        alone = told(found.alone)
        text += f"{alone[0].upper()}{alone[1:]} of them belong to the halves that are left alone below. "
    if said := anyway(found):
        text += (
            f"Some come back whatever is done: {said} who had slipped from it a quarter earlier ordered "
            f"in the quarter since{_others_came(found)}. "
        )
    return dollars(
        f"{text}They are in the workbook's sheet *Slipping*, with those of other segments."
    )
