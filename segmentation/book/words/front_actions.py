"""The first three actions of a data set's first screen: for whom, what each costs and when it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segmentation.actions.break_even import plausible_rise
from segmentation.actions.next_steps import with_given_back
from segmentation.actions.slipping import SILENT, Slipped, kept_of, most_slipped
from segmentation.book.words.calling import calls_needed
from segmentation.book.words.front_numbers import is_rough
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.slipping import anyway
from segmentation.book.words.text import as_sentence, listed, named, of_one, plural
from segmentation.book.words.warnings import cost_beside_orders, exchanged
from segmentation.core.columns import format_money, format_percent, format_points
from segmentation.core.intervals import wilson
from segmentation.core.limits import (
    CUSTOMER_SHARE,
    LEAST_CALLED,
    MUCH_CALLED,
    ONE_CUSTOMER,
    UNREACHABLE,
)
from segmentation.deliver.workbook.sheets import list_name

MOST_ACTIONS = 3
FIRST, ONCE_RIGHT = "What to do first", "Put the dates right and run again; as they stand:"


@dataclass(frozen=True)
class Action:
    """What to do for whom and how, what comes anyway and from when it pays, and whose list.

    ``of``: group and segment that they are, or were, customers of, where that is one; ``money``
    that contacting the half costs, of a campaign; ``cost``: the same as it stands on the page.
    """

    what: str
    how: str
    terms: str
    sheet: str
    of: tuple[str, str] = ("", "")
    money: float = 0.0
    cost: str = ""


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
    slipped, customers = _slipped(run), run["customers"]
    for row in plays.itertuples():
        name = named(row.segment, row.segment_type, kinds)
        is_one = row.largest_share >= ONE_CUSTOMER
        key = row.segment_type, row.segment
        cost = row.campaign_cost / row.customers * first.get(key, 0)
        brought = f" {format_money(float(row.revenue), parameters.currency)} of revenue"
        said = []
        if key in gave and gave[key].fillna(0.0).sum() >= CUSTOMER_SHARE * float(row.revenue):
            said.append(given_back_words(gave[key], parameters.currency, is_short=True)[2:])
        if is_one:
            own = customers[
                (customers["segment_type"] == key[0]) & (customers["segment"] == key[1])
            ]
            said.append(f"{format_percent(row.largest_share)} of it one customer's{_once(own)}")
        money = f"{brought}, {listed(said)}." if said else ""
        proof = float("nan") if is_one else proved.get(key, float("nan"))
        found.append(
            Action(
                f"{row.play}: {first.get(key, 0):,} of the {row.customers:,} of {name}",
                f"{row.do}{money}",
                _stay(run, key) if wait else "" if dear else terms_of(row, proof),
                f"“{sheets[key]}”",
                key,
                cost,
                "" if dear else whole(cost, parameters.currency),
            )
        )
    campaigns = list(found)
    total, place = float(sum(profile["revenue"])), 0
    for money_, action in filter(None, (slipped, _called_first(run))):
        if wait:
            found.insert(max(place, MOST_ACTIONS - 1), action)
        elif money_ >= MUCH_CALLED * total:
            found.insert(place, action)
            place += 1
        else:
            found.append(action)
    shown = found[:MOST_ACTIONS]
    dearest = max((one for one in campaigns if one not in shown), key=_money, default=None)
    # most of what is to be approved is not left untold
    if dearest and not wait and dearest.money > sum(map(_money, shown)):
        shown[-1] = dearest
    return shown


def _stay(run: Any, key: tuple[str, str]) -> str:
    """How many of a segment are still in it once the dates are put right, where that is known."""
    table = run["other_dates"]
    own = table[(table["segment_type"] == key[0]) & (table["segment"] == key[1])]
    if own.empty:
        return ""
    share = format_percent(own["stay"].sum() / own["customers"].sum())
    return f"Once the dates are right {share} of them are still in it."


def _once(customers: pd.DataFrame) -> str:
    """That whoever spent most of some customers ordered on one day only."""
    if "frequency" not in customers:
        return ""
    most = customers["total_spent"].astype(float).idxmax()
    return ", who ordered once" if customers.at[most, "frequency"] == 1 else ""


def _money(one: Action) -> float:
    return one.money


def whole(money: float, currency: str) -> str:
    """Money without cents where it has none; nothing for nothing.

    Examples
    --------
    >>> whole(78.0, "USD"), whole(0.0, "USD"), whole(3.25, "USD")
    ('$78', '', '$3.25')
    """
    return format_money(money, currency).removesuffix(".00") if money > 0 else ""


def terms_of(row: Any, proof: float) -> str:
    """Who of 100 orders anyway, how many more must for it to pay, and for a test to prove that."""
    needed, base = row.break_even_response, row.base
    told = []
    if row.base_high > 0:
        told.append(f"{_of_100(row.base_low)} to {_of_100(row.base_high)}")
    lately = getattr(row, "latest_base", float("nan"))
    if base >= 0 and lately >= 0 and _of_100(lately) != _of_100(base):
        told.append(f"lately {_of_100(lately)}")
    ends = f" ({'; '.join(told)})" if told else ""
    anyway_ = (
        f"Left alone, {_of_100(base)} of 100{ends} order in {row.outcome_days:.0f} days"
        if base >= 0
        else "Who orders anyway is not known"
    )
    if row.campaign_cost == 0:
        return f"{anyway_}. Contacts cost nothing."
    if not needed <= UNREACHABLE:
        return f"{anyway_}. No single order pays for a contact."
    pays = f"{anyway_}. {_pays(needed, row.customers)}"
    if not row.is_campaign:
        return f"{pays}."
    if not proof > 0:
        return f"{pays}; no test of them can prove it."
    if base >= 0 and proof > plausible_rise(base):
        return f"{pays}; only {more_of_100(proof)}, unlikely, would prove it."
    return f"{pays}; {more_of_100(proof)} would prove it 4 times of 5."


def _pays(needed: float, customers: int) -> str:
    if needed * customers <= 1:
        return "One more order pays for all"
    return f"It pays from {more_of_100(needed)}"


def _of_100(share: float) -> str:
    """A share as customers of 100.

    Examples
    --------
    >>> _of_100(0.532), _of_100(0.003), _of_100(0.0)
    ('53', 'under 1', '0')
    """
    return "under 1" if 0 < share < 0.005 else f"{round(100 * share):,}"


def more_of_100(rise: float) -> str:
    """A rise as customers more of 100.

    Examples
    --------
    >>> more_of_100(0.0779), more_of_100(0.0084)
    ('7.8 more', '0.8 more')
    """
    return f"{format_points(rise)} more"


def most_slipped_of(run: Any) -> Slipped | None:
    """`most_slipped` of a run, where they are enough for a list."""
    found = most_slipped(
        *(run[name] for name in ("slipping", "slipped_before", "campaign_arms", "recommendations")),
        contact_cost=run.parameters.contact_cost,
    )
    return None if found is None or found.customers < LEAST_CALLED else found


def bought_words(found: Slipped, currency: str) -> str:
    """For how much they have bought; what they gave back where that is much."""
    spent = f"They have bought for {format_money(found.spent, currency)}{of_one(found.each)}"
    much = found.given_back.sum() >= CUSTOMER_SHARE * found.spent
    return f"{spent}{given_back_words(found.given_back, currency)}" if much else spent


def _slipped(run: Any) -> tuple[float, Action] | None:
    """Customers who fell from the segment that lost most so, or fell silent in it.

    It does not lead where such customers came back as often as those who had not slipped.
    """
    currency, found = run.parameters.currency, most_slipped_of(run)
    if found is None:
        return None
    written = found.customers - found.alone
    whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
    some = f"{written:,} of the " if found.alone else ""
    is_told = 0 < found.needed <= UNREACHABLE and not cost_beside_orders(run)
    said = []
    if anyway(found):
        low, high = map(_of_100, wilson(found.ordered, found.before))
        came = f"{_of_100(found.ordered / found.before)} of 100 ({low} to {high})"
        said.append(f"Of those a quarter earlier {came} came back unasked")
    if is_told:
        said.append(_pays(found.needed, written))
    # they are no arm of their own: their halves are compared within the campaigns
    said += (
        ["They are in the campaigns, measured with these"] if is_told and found.is_planned else []
    )
    return (
        found.spent - float(found.given_back.sum()) if found.is_sign else 0.0,
        Action(
            f"Win back: {some}{found.customers:,} who left {whom} or fell silent",
            f"Write with a reason to return: they slipped last quarter. {bought_words(found, currency)}.",
            " ".join(as_sentence(one) for one in said),
            "“Slipping”",
            (found.segment_type, found.segment) if found.is_planned else ("", ""),
            cost=f"({whole(found.cost, currency)})"
            if is_told and found.is_planned
            else whole(found.cost, currency)
            if is_told
            else "",
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
    cost = whole(len(listed_first) * facts["cost_of_a_call"], currency)
    needed, _ = calls_needed(listed_first, facts)
    bought = (
        f"They have bought for {format_money(money, currency)}{of_one(listed_first['total_spent'])}"
    )
    at_stake = _at_risk(listed_first, facts, currency) if possible else bought + back
    dear = cost_beside_orders(run)
    return (
        0.0 if possible and is_rough(run["forecast_calibration"]) else left,
        Action(
            f"Call first: {plural(len(listed_first), 'customer')} {why} in the last quarter",
            f"Ring each, {first} first. {at_stake}.",
            ""
            if dear
            else f"It pays if {needed:,} of them order because of it, which nobody will know.",
            "“Call first”",
            cost="" if dear else cost,
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
