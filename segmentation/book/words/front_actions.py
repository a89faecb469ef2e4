"""What to do first, on a data set's first screen: for whom, what it costs, when it pays, what is to be approved."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from segmentation.actions.campaign import TREATMENT
from segmentation.actions.next_steps import with_given_back
from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.actions.slipping import SILENT, Slipped, kept_of, most_slipped
from segmentation.book.words.break_even import one_in
from segmentation.book.words.calling import calls_needed
from segmentation.book.words.front_numbers import is_rough
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.slipping import anyway
from segmentation.book.words.text import listed, named, of_one, plural
from segmentation.book.words.warnings import cost_beside_orders, exchanged
from segmentation.core.columns import format_money, format_percent
from segmentation.core.limits import (
    CUSTOMER_SHARE,
    LEAST_CALLED,
    LEAST_PUBLISHED,
    MEAN_OF_FEW,
    MUCH_CALLED,
    ONE_CUSTOMER,
    PLAUSIBLE_RISE,
    TEN_LARGEST_SHARE,
    UNREACHABLE,
)
from segmentation.deliver.workbook.sheets import list_name

MOST_ACTIONS = 3
COLUMNS = ("costs", "order anyway", "to pay", "to prove it")
FIRST, ONCE_RIGHT = "What to do first", "What to do once the dates are put right"
_MEANINGS = (
    (
        "Order anyway",
        "Share expected to order without any campaign; of who slipped, who came back a quarter earlier.",
    ),
    (
        "To pay",
        "So many must order for the margin of orders that would not have come to cover the contacts; "
        f"by the typical order in all segments, if the mean is {MEAN_OF_FEW:g} times that or more in any one.",
    ),
    (
        "To prove it",
        "If so many order, the comparison shows 4 times of 5 that it paid; none, where that asks for more "
        f"than {1 + PLAUSIBLE_RISE:g} times as many as come anyway.",
    ),
)
_NOTHING = ("", "")


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


def to_do(run: Any, link: str) -> str:
    """The actions, whom to leave alone and what is to be approved, as HTML.

    Parameters
    ----------
    run : Run or mapping of its results, with ``parameters``
    link : str
        The folder of the data set's chapters, seen from the page.
    """
    rows = [
        _row(one.what, html.escape(f"{one.how} Sheet {one.sheet}"), one.cells)
        for one in actions(run)
    ]
    if not rows:
        return f'<p class="front-head">{FIRST}</p><p>No action is supported by these data.</p>'
    title = ONCE_RIGHT if exchanged(run) else FIRST
    why = f'<a class="follow" href="{link}/08_recommendations.html">why</a>'
    heads = "".join(f'<span aria-hidden="true">{name}</span>' for name in COLUMNS)
    return (
        f'<p class="front-head do"><b>{title} {why}</b>{heads}</p>'
        f"<ol>{''.join(rows)}{left_alone(run)}{whole_plan(run)}</ol>"
    )


def _row(what: str, how: str, cells: Sequence[tuple[str, str]], kind: str = "") -> str:
    told = "".join(
        f'<span class="cell{"" if value else " empty"}"><i>{label}</i> <b>{html.escape(value)}</b>'
        + (f"<small> {html.escape(note)}</small></span>" if note else "</span>")
        for label, (value, note) in zip(COLUMNS, cells, strict=True)
    )
    said = f"<span>{how}</span>" if how else ""
    of = f" class={kind}" if kind else ""
    return f"<li{of}><div><b>{html.escape(what)}</b>{said}</div>{told}</li>"


def actions(run: Any) -> list[Action]:
    """The first three, as many as a glance takes in; each of at most 15 words.

    Who slipped and whom to call come first where they spent much, then what a test can show to pay,
    then what it cannot.
    """
    parameters, profile = run.parameters, run["profile"]
    kinds = list(profile["segment_type"])
    sheets, found = _sheets(profile), []
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
        costs = (format_money(cost, parameters.currency), half) if cost > 0 else _NOTHING
        shares = _shares(row, float("nan") if is_one else proved.get(key, float("nan")))
        unknown = (("not known", "yet"), _NOTHING, ("not known", "yet"), _NOTHING)
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
    if (
        dearest and not wait and dearest.money > sum(map(_money, shown))
    ):  # most of what is to be approved
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


def _shares(row: Any, proof: float) -> tuple[tuple[str, str], ...]:
    """Who orders anyway, how many must for it to pay, and how many for a test to prove that."""
    needed, base = row.break_even_response, row.base
    known = base >= 0
    anyway_ = (format_percent(base), "") if known else ("not known", "")
    if row.campaign_cost == 0:
        return anyway_, ("any more", "at no cost"), _NOTHING
    if not needed <= UNREACHABLE:
        return anyway_, ("never", "by one order"), _NOTHING
    if needed * row.customers <= 1:
        pays = "one order", "pays for all"
    elif known:
        pays = format_percent(min(base + needed, 1.0)), f"+{_so_many(needed)}"
    else:
        pays = f"{_so_many(needed)}", "more"
    is_proof = proof > 0 and known and proof <= PLAUSIBLE_RISE * base
    return anyway_, pays, (format_percent(base + proof), "") if is_proof else ("none", "")


def _so_many(share: float) -> str:
    return (
        one_in(share)
        .removesuffix(" customers orders")
        .removesuffix(" customers order")
        .removesuffix(" orders")
    )


def _most_slipped(run: Any) -> Slipped | None:
    found = most_slipped(
        *(run[name] for name in ("slipping", "slipped_before", "campaign_arms", "recommendations")),
        contact_cost=run.parameters.contact_cost,
    )
    return None if found is None or found.customers < LEAST_CALLED else found


def _spent_words(found: Slipped, currency: str) -> str:
    spent = f"{format_money(found.spent, currency)} spent so far{of_one(found.each)}"
    much = found.given_back.sum() >= CUSTOMER_SHARE * found.spent
    return f"{spent}{given_back_words(found.given_back, currency)}" if much else spent


def _slipped(run: Any) -> tuple[float, Action] | None:
    """Customers who fell from the segment that lost most so, or fell silent in it."""
    currency, found = run.parameters.currency, _most_slipped(run)
    if found is None:
        return None
    written = found.customers - found.alone
    how = f"Write to {f'{written:,} of ' if found.alone else ''}them with a reason to return."
    before = ""
    came, pays = _NOTHING, _NOTHING
    if anyway(found):
        before = f"; {found.before:,} did a quarter earlier"
        came = format_percent(found.ordered / found.before), "came back"
    whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
    is_told = 0 < found.needed <= UNREACHABLE and not cost_beside_orders(run)
    if is_told and found.needed * written <= 1:
        pays = "one order", "pays for all"
    elif is_told:
        more = _so_many(found.needed)
        share = found.ordered / found.before + found.needed if came != _NOTHING else 0.0
        pays = (format_percent(min(share, 1.0)), f"+{more}") if share else (more, "more")
    cost = format_money(found.cost, currency), "included below" if found.is_planned else ""
    return (
        found.spent - float(found.given_back.sum()),
        Action(
            f"Win back {found.customers:,} of {whom} who slipped last quarter",
            f"They fell silent or fell a segment{before}. {how} {_spent_words(found, currency)}.",
            (cost if is_told else _NOTHING, came, pays, _NOTHING),
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
            (_NOTHING,) * 4
            if dear
            else ((cost, "for all"), _NOTHING, (f"{needed:,}", "of them"), ("none", "")),
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


def left_alone(run: Any) -> str:
    """Whom a contact costs more than it can bring back, and what leaving them alone saves."""
    plays = run["recommendations"]
    plays = plays[plays["play"] == NOT_AT_THIS_COST]
    if plays.empty or cost_beside_orders(run):
        return ""
    profile = run["profile"]
    names = list(dict.fromkeys(plays["segment"]))
    if profile["segment"].isin(names).sum() > len(plays):  # a name is left alone in one group only
        kinds = list(profile["segment_type"])
        names = [named(row.segment, row.segment_type, kinds) for row in plays.itertuples()]
    saved = format_money(float(plays["campaign_cost"].sum()), run.parameters.currency)
    shares: tuple[tuple[str, str], ...] = (_NOTHING,) * 3
    if len(plays) == 1:
        (row,) = plays.itertuples()
        shares = (*_shares(row, float("nan"))[:2], ("too far", ""))
    what = f"Leave alone: {listed(names)}, {plural(int(plays['customers'].sum()), 'customer')}"
    return _row(what, "", ((saved, "unspent"), *shares), "alone")


def whole_plan(run: Any) -> str:
    """What is to be approved, what may be lost, when one knows more; calls are beside it."""
    arms, called, parameters = run["campaign_arms"], run["call_first"], run.parameters
    written = arms[arms["arm"] == TREATMENT]
    if cost_beside_orders(run) or written.empty:
        return ""
    currency = parameters.currency
    sizes = written.groupby(["segment_type", "segment"], observed=True).size()
    costs = sizes * parameters.contact_cost
    sheets, shown = _sheets(run["profile"]), {one.sheet for one in actions(run)}
    above = costs[[f"“{sheets[key].split()[0]} …”" in shown for key in costs.index]].sum()
    others = format_money(costs.sum() - above, currency) if above < costs.sum() else ""
    of = f" ({others} of it for other segments)" if others else ""
    text = f"At worst it is lost{of}. {_then_known(run)}{_calls_besides(run, len(called))}"
    total = f"To approve: {format_money(costs.sum(), currency)}"
    return f'<li class="total"><div><b>{total}</b><span>{html.escape(text)}</span></div></li>'


def _then_known(run: Any) -> str:
    """When the halves are compared, where that can tell anything."""
    plays = run["recommendations"]
    keys = ["segment_type", "segment"]
    tested = plays[plays["is_campaign"]].merge(run["campaign_sizes"][[*keys, "pays_from"]], on=keys)
    is_proof = tested["pays_from"] <= PLAUSIBLE_RISE * tested["base"]
    days = tested.loc[is_proof, "outcome_days"]
    if days.empty:
        return "No test can prove that it paid."
    ends = " to ".join(dict.fromkeys(f"{end:.0f}" for end in (days.min(), days.max())))
    return f"After {ends} days the halves are compared; less than “{COLUMNS[-1]}” proves nothing."


def _calls_besides(run: Any, called: int) -> str:
    """What calling costs besides: no halves are drawn for it, so nobody learns what it brings."""
    if called < LEAST_CALLED:
        return ""
    cost = format_money(called * run.parameters.cost_of_a_call, run.parameters.currency)
    return f" {called:,} calls (“Call first”): {cost} more, not measurable."


def besides(run: Any) -> Iterator[tuple[str, str]]:
    """What is told on demand beneath the page: what *pays if* means, who else is worth a look."""
    if not (shown := actions(run)):
        return
    yield from _MEANINGS
    yield (
        "Sheet",
        "Of the workbook customer_segmentation_output.xlsx, which the run writes; ids are not published.",
    )
    found = _most_slipped(run)
    if found and not exchanged(run) and not any(one.sheet == "“Slipping”" for one in shown):
        whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
        spent = _spent_words(found, run.parameters.currency)
        yield "Slipped", f"{found.customers:,} of {whom} last quarter, {spent} (“Slipping”)."
    if said := ten_largest(run):
        yield "Know by name", said


def ten_largest(run: Any) -> str:
    """That ten customers bring much, where they do, and which lists they head."""
    customers = with_given_back(run["customers"], run["given_back"])
    spent = kept_of(customers)
    largest = customers.loc[spent.nlargest(10).index]
    share = spent.nlargest(10).sum() / spent.sum() if spent.sum() > 0 else 0.0
    if share < TEN_LARGEST_SHARE or TEN_LARGEST_SHARE * len(customers) < 10:
        return ""
    sheets = _sheets(run["profile"])
    heads = sorted(
        {sheets[key] for key in zip(largest["segment_type"], largest["segment"], strict=True)}
    )
    lists = (
        ", ".join(f"“{name}”" for name in heads)
        if len(heads) < 3
        else "the lists of their segments"
    )
    sums = run["ledger"].set_index("rule")["amount"]
    after = " after returns" if float(sums.get("returned") or 0) else ""
    return f"The 10 largest brought {format_percent(share)} of revenue{after} (in {lists})."


def _sheets(profile: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The workbook's sheet of each segment."""
    ranked = profile.assign(revenue=profile["revenue"].astype(float)).sort_values(
        ["revenue", "segment_type", "cluster"], ascending=[False, True, True]
    )
    return {
        (row.segment_type, row.segment): list_name(number, row.segment)(1)
        for number, row in enumerate(ranked.itertuples(), start=1)
    }
