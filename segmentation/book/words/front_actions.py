"""The first three actions of a data set's first screen: for whom, what each costs and when it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from segmentation.actions.next_steps import with_given_back
from segmentation.actions.slipping import SILENT, Slipped, kept_of, most_slipped
from segmentation.book.words.break_even import one_in
from segmentation.book.words.calling import calls_needed
from segmentation.book.words.front_numbers import is_rough
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.slipping import anyway
from segmentation.book.words.text import named, of_one, plural
from segmentation.book.words.warnings import cost_beside_orders, exchanged
from segmentation.core.columns import format_money, format_percent, format_points
from segmentation.core.limits import (
    CUSTOMER_SHARE,
    LEAST_CALLED,
    LEAST_PUBLISHED,
    MUCH_CALLED,
    ONE_CUSTOMER,
    PLAUSIBLE_RISE,
    UNREACHABLE,
)
from segmentation.deliver.workbook.sheets import list_name

MOST_ACTIONS = 3
COLUMNS = ("costs", "order anyway", "pays from", "proved from")
FIRST, ONCE_RIGHT = "What to do first", "Put the dates right and run again; as they stand:"
NOTHING = ("", "")


@dataclass(frozen=True)
class Action:
    """What to do for whom and how, figures for `COLUMNS`, each with a note, and whose list.

    ``of``: group and segment that they are, or were, customers of, where that is one; ``money``
    that contacting the half costs, of a campaign.
    """

    what: str
    how: str
    cells: tuple[tuple[str, str], ...]
    sheet: str
    of: tuple[str, str] = ("", "")
    money: float = 0.0


def actions(run: Any) -> list[Action]:
    """The first three, as many as a glance takes in; each of at most 15 words.

    Who slipped and whom to call come first where they spent much, then what a test can show to pay,
    then what it cannot.
    """
    parameters, profile = run.parameters, run["profile"]
    kinds = list(profile["segment_type"])
    sheets, found = sheets_of(profile), []
    wait, dear = exchanged(run), cost_beside_orders(run)
    plays = run["recommendations"]
    plays = plays[plays["is_campaign"]].sort_values("is_supported", ascending=False, kind="stable")
    keys = ["segment_type", "segment"]
    first = run["campaign_plan"].set_index(keys)["treatment"].to_dict()
    proved = run["campaign_sizes"].set_index(keys)["pays_from"].to_dict()
    back = with_given_back(run["customers"], run["given_back"]).groupby(keys, observed=True)
    gave = {key: own["given_back"] for key, own in back}
    slipped = _slipped(run)
    for row in plays.itertuples():
        name = named(row.segment, row.segment_type, kinds)
        is_one = row.largest_share >= ONE_CUSTOMER
        key = row.segment_type, row.segment
        cost = row.campaign_cost / row.customers * first.get(key, 0)
        brought = f"{format_money(float(row.revenue), parameters.currency)} of revenue"
        returned = gave[key].fillna(0.0).sum() if key in gave else 0.0
        if returned >= CUSTOMER_SHARE * float(row.revenue):
            brought += given_back_words(gave[key], parameters.currency, is_short=True)
        brought += f", {format_percent(row.largest_share)} of it one customer's" if is_one else ""
        half = "for half" if row.is_supported and not is_one else "trial of half"
        costs = (format_money(cost, parameters.currency), half) if cost > 0 else NOTHING
        shares = shares_of(row, float("nan") if is_one else proved.get(key, float("nan")))
        unknown = (("not known", "yet"), NOTHING, ("not known", "yet"), NOTHING)
        found.append(
            Action(
                f"{row.play}: {name}, {plural(row.customers, 'customer')}",
                f"{row.do} {brought}.",
                unknown if dear else (costs, *shares),
                f"“{sheets[key].split()[0]} …”",
                key,
                cost,
            )
        )
    campaigns = list(found)
    total, place = float(sum(profile["revenue"])), 0
    for money, action in filter(None, (slipped, _called_first(run))):
        if wait:
            found.insert(max(place, MOST_ACTIONS - 1), action)
        elif money >= MUCH_CALLED * total:
            found.insert(place, action)
            place += 1
        else:
            found.append(action)
    shown = found[:MOST_ACTIONS]
    dearest = max((one for one in campaigns if one not in shown), key=_money, default=None)
    # most of what is to be approved is not left untold
    if dearest and not wait and dearest.money > sum(map(_money, shown)):
        shown[-1] = dearest
    if slipped and slipped[1] in shown:
        shown = [_to_the_others(one, slipped[1], run) for one in shown]
    return shown


def _money(one: Action) -> float:
    return one.money


def _to_the_others(one: Action, slipped: Action, run: Any) -> Action:
    """A campaign beside the action for who slipped from its segment: nobody gets both messages."""
    if one is slipped or one.of != slipped.of:
        return one
    table, profile = run["slipping"], run["profile"]
    kind, name = one.of
    own = table["segment_type"] == kind
    both = own & (table["segment_from"] == name) & (table["segment"] == name)
    size = profile[(profile["segment_type"] == kind) & (profile["segment"] == name)]
    few = 0 < both.sum() < LEAST_PUBLISHED  # a difference would tell how many
    n = "" if few or size.empty else f"{int(size['customers'].iloc[0] - both.sum()):,} "
    return replace(one, how=f"To the {n}others: {one.how[:1].lower()}{one.how[1:]}")


def shares_of(row: Any, proof: float) -> tuple[tuple[str, str], ...]:
    """Who orders anyway, how many must for it to pay, and how many for a test to prove that."""
    needed, base = row.break_even_response, row.base
    known = base >= 0
    ends = f"{format_percent(row.base_low)}–{format_percent(row.base_high)}, "
    days = f"{ends if row.base_high > 0 else ''}{row.outcome_days:.0f} days"
    anyway_ = (format_percent(base), days) if known else ("not known", "")
    if row.campaign_cost == 0:
        return anyway_, ("any more", "at no cost"), NOTHING
    if not needed <= UNREACHABLE:
        return anyway_, ("never", "by one order"), NOTHING
    pays = ("one order", "pays for all") if needed * row.customers <= 1 else _rise(needed)
    is_proof = proof > 0 and known and proof <= PLAUSIBLE_RISE * base
    return anyway_, pays, (f"+{format_points(proof)}", "of 100") if is_proof else ("none", "")


def _rise(needed: float) -> tuple[str, str]:
    """How many more of 100 must order, with the same as one in so many."""
    return f"+{format_points(needed)}", f"of 100, {so_many(needed)}"


def so_many(share: float) -> str:
    """`one_in` without of whom.

    Examples
    --------
    >>> so_many(0.077), so_many(0.6)
    ('1 in 13', '60 in 100')
    """
    return (
        one_in(share)
        .removesuffix(" customers orders")
        .removesuffix(" customers order")
        .removesuffix(" orders")
    )


def most_slipped_of(run: Any) -> Slipped | None:
    """`most_slipped` of a run, where they are enough for a list."""
    found = most_slipped(
        *(run[name] for name in ("slipping", "slipped_before", "campaign_arms", "recommendations")),
        contact_cost=run.parameters.contact_cost,
    )
    return None if found is None or found.customers < LEAST_CALLED else found


def spent_words(found: Slipped, currency: str) -> str:
    """What they have spent; what they gave back where that is much."""
    spent = f"{format_money(found.spent, currency)} spent so far{of_one(found.each)}"
    much = found.given_back.sum() >= CUSTOMER_SHARE * found.spent
    return f"{spent}{given_back_words(found.given_back, currency)}" if much else spent


def _slipped(run: Any) -> tuple[float, Action] | None:
    """Customers who fell from the segment that lost most so, or fell silent in it."""
    currency, found = run.parameters.currency, most_slipped_of(run)
    if found is None:
        return None
    written = found.customers - found.alone
    how = f"Write to {f'{written:,} of ' if found.alone else ''}them with a reason to return."
    before = ""
    came, pays = NOTHING, NOTHING
    if anyway(found):
        before = f"; {found.before:,} did a quarter earlier"
        came = format_percent(found.ordered / found.before), "came back, 3 months"
    whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
    is_told = 0 < found.needed <= UNREACHABLE and not cost_beside_orders(run)
    if is_told and found.needed * written <= 1:
        pays = "one order", "pays for all"
    elif is_told:
        pays = _rise(found.needed)
    cost = format_money(found.cost, currency), "included below" if found.is_planned else ""
    return (
        found.spent - float(found.given_back.sum()),
        Action(
            f"Win back {found.customers:,} of {whom} who slipped last quarter",
            f"They fell silent or fell a segment{before}. {how} {spent_words(found, currency)}.",
            (cost if is_told else NOTHING, came, pays, NOTHING),
            "“Slipping”",
            (found.segment_type, found.segment) if found.is_planned else ("", ""),
        ),
    )


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
    why = "whose chance to order fell" if possible else _fell(run["slipping"], listed_first)
    back = given_back_words(listed_first.get("given_back"), run.parameters.currency)
    first = "the largest value at risk" if possible else "the largest spender"
    first += " after returns" if back else ""
    currency, facts = run.parameters.currency, run["call_first_facts"]
    cost = format_money(len(listed_first) * facts["cost_of_a_call"], currency)
    needed, _ = calls_needed(listed_first, facts)
    spent = f"{format_money(money, currency)} spent so far{of_one(listed_first['total_spent'])}"
    at_stake = _at_risk(listed_first, facts, currency) if possible else spent + back
    dear = cost_beside_orders(run)
    return (
        0.0 if possible and is_rough(run["forecast_calibration"]) else left,
        Action(
            f"Call first: {plural(len(listed_first), 'customer')} {why} in the last quarter",
            f"Ring each, {first} first. {at_stake}.",
            (NOTHING,) * 4
            if dear
            else ((cost, "for all"), NOTHING, (f"{needed:,}", "of them"), ("none", "")),
            "“Call first”",
        ),
    )


def _fell(slipping: pd.DataFrame, called: pd.DataFrame) -> str:
    own = slipping[slipping["customer_id"].isin(set(called["customer_id"]))]
    return (
        "who fell silent"
        if (own["what"] == SILENT).all() and len(own)
        else "who fell or fell silent"
    )


def _at_risk(called: pd.DataFrame, facts: Mapping[str, Any], currency: str) -> str:
    margin = float(called["value_at_risk"].sum()) * facts["gross_margin"]
    return f"{format_money(margin, currency)} of margin at risk"


def sheets_of(profile: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The workbook's sheet of each segment."""
    ranked = profile.assign(revenue=profile["revenue"].astype(float)).sort_values(
        ["revenue", "segment_type", "cluster"], ascending=[False, True, True]
    )
    return {
        (row.segment_type, row.segment): list_name(number, row.segment)(1)
        for number, row in enumerate(ranked.itertuples(), start=1)
    }
