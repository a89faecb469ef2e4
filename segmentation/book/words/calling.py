"""Whom to call first: what it costs, when it pays, and what it cannot teach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from segmentation.actions.break_even import dearer_than_typical
from segmentation.actions.slipping import order_kept
from segmentation.book.words.front_numbers import guessed_and_came, is_rough
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.text import dollars, inert, listed, named, of_one, plural, told
from segmentation.book.words.warnings import ONCE_RIGHT
from segmentation.core.columns import format_money, format_percent, format_points
from segmentation.core.limits import LEAST_PUBLISHED, LEAST_RESPONSES, MOST_CONTACTS_AN_ORDER


def call_first_sentence(
    call_first: pd.DataFrame,
    found: Mapping[str, Any],
    facts: Mapping[str, Any],
    kinds: Sequence[str],
    *,
    currency: str,
    dates_hold: bool = True,
    calibration: pd.DataFrame | None = None,
    campaigns: pd.DataFrame | None = None,
) -> str:
    """Who is on the list of whom to call first, what calling costs, when it pays, what it teaches.

    Parameters
    ----------
    found : mapping
        ``call_first_facts`` of the run: costs, and who is not on the list.
    facts : mapping
        ``forecast_facts`` of the run: whether a chance to order is known.
    calibration : DataFrame, optional
        ``forecast_calibration`` of the run: how the same forecast turned out a period ago.
    campaigns : DataFrame, optional
        What campaigns need with the calls, as `with_calls` gives it.
    dates_hold : bool
        Whether day and month of orders are what they seem; else nobody is called for silence.
    """
    if not found:
        return f"Nobody is on the list of whom to call first: {facts['reason']}."
    each = dollars(format_money(found["cost_of_a_call"], currency, exact=True))
    some = f"{each} a call (an assumption: `call_cost`)"
    fell = (
        "whose chance to order fell" if facts["possible"] else "who fell a segment or fell silent"
    )
    if call_first.empty:
        return (
            f"Nobody is on the list of whom to call first: of {plural(found['at_risk'], 'customer')} {fell} in the "
            f"last quarter, {found['worth_a_call'] or 'none'} may be worth {some}."
        )
    sizes = call_first.groupby(["segment_type", "segment"], observed=True).size()
    largest = sizes.sort_values(ascending=False, kind="stable")
    names = [inert(named(segment, kind, kinds)) for kind, segment in largest.index]
    parts = [f"{n:,} of {name}" for n, name in zip(largest.iloc[:3], names, strict=False)]
    rest = int(largest.iloc[3:].sum())
    of = listed([*parts, *([f"{rest:,} of other segments"] if rest else [])])
    if min(*largest.iloc[:3], rest or LEAST_PUBLISHED) < LEAST_PUBLISHED:  # the sum would tell
        of = f"most of {names[0]}" if names[1:] else f"all of {names[0]}"
    n, margin = len(call_first), found["gross_margin"]
    spent = format_money(float(call_first["total_spent"].sum()), currency)
    spent += of_one(call_first["total_spent"])
    back = given_back_words(call_first.get("given_back"), currency)
    spent = dollars(f"{spent} since their first orders{back}")
    cost = n * found["cost_of_a_call"]
    order = float(order_kept(call_first).mean())
    after = " after returns" if back else ""
    who = (
        f"**{plural(n, 'customer')}** {'is' if n == 1 else 'are'} on the list *Call first* ({of}); "
        f"they have spent {spent}."
    )
    points = [f"Calling all of them costs {dollars(format_money(cost, currency))} at {some}."]
    mean = dollars(format_money(order, currency))
    if order > MOST_CONTACTS_AN_ORDER * found["cost_of_a_call"] > 0:
        points.append(
            f"Beside an order of one of them, {mean} on average, that looks like another currency: when it pays cannot "
            "be said until it is set."
        )
    else:
        points.append(
            f"It {calls_pay(call_first, found)} because of it: their mean order so far{after} is {mean}, of which "
            f"{format_percent(margin)} is margin."
        )
    rest = found["worth_writing"] - found["worth_a_call"]
    if facts["possible"]:
        risk = float(call_first["value_at_risk"].sum())
        points.append(
            f"The chance of each to order within {facts['outcome_days']} days fell in the last quarter. Orders worth "
            f"{dollars(format_money(risk, currency))} are at risk (that fall times the own mean order{after}), "
            f"{dollars(format_money(risk * margin, currency))} of it margin; for each of them the margin at risk is "
            f"more than a call costs. The calls pay if they win back {format_percent(cost / (risk * margin))} of it. "
            f"{_each_pays(call_first)}"
            f"{_rough_words(calibration)}"
        )
        if rest:
            points.append(
                f"{rest:,} more {'has' if rest == 1 else 'have'} enough at risk for a written contact "
                f"({dollars(format_money(found['contact_cost'], currency, exact=True))}), but not for a call"
                f"{_alone(found.get('left_alone', 0))}."
            )
    else:
        why = str(facts["reason"]).split(" (")[0]
        points.append(
            "Each fell a segment or fell silent in the last quarter, and the margin of one order "
            "of each is more than a call costs. How many of the calls are worth it cannot be said: "
            f"no customer's own chance to order is told, because {why}."
        )
    left = risk * margin if facts["possible"] else 0.0
    earlier = _earlier_words(
        found.get("earlier") or {}, found["worth_a_call"], currency, cost, left
    )
    points += [earlier, _calls_teach(found, n, campaigns, kinds)]
    told_ = "\n".join(f"- {point.strip()}" for point in points if point)
    return f"{'' if dates_hold else ONCE_RIGHT}{who}\n\n{told_}"


def _each_pays(call_first: pd.DataFrame) -> str:
    """How many of the calls pay for themselves where all together just do.

    Examples
    --------
    >>> risks = pd.DataFrame({"value_at_risk": [400.0] * 10 + [60.0] * 30})
    >>> _each_pays(risks)
    'If so much of each is won back, 10 of the 40 calls bring what they cost. '
    """
    stakes, n = call_first["value_at_risk"].astype(float), len(call_first)
    pay = int((stakes >= stakes.mean() * (1 - 1e-9)).sum())  # just all pay, so the mean does
    if n - pay < LEAST_PUBLISHED:
        return ""
    return f"If so much of each is won back, {told(pay)} of the {n:,} calls bring what they cost. "


def _earlier_words(
    earlier: Mapping[str, Any], today: int, currency: str, cost: float, left: float
) -> str:
    """Who of such a list of a quarter ago came without a call, and what that leaves to win back.

    Parameters
    ----------
    today : int
        Whom the list names now, before those whom campaigns leave alone are taken off.
    cost, left : float
        Money that all calls cost, and margin at risk (0 where nothing is forecast).
    """
    n = earlier.get("customers", 0)
    if n < LEAST_RESPONSES:
        return ""
    came, expected = earlier["came"], earlier["expected"]
    said = f", where {expected:,.0f} were expected" if expected is not None else ""
    text = (
        f"So made on {earlier['as_of']}, the list would have named {n:,} customers (today {today:,}, before those "
        f"left alone are taken off); {came:,} of them ({format_percent(came / n)}) ordered in the quarter after, "
        f"uncalled{said}."
    )
    if came >= LEAST_RESPONSES:
        own, placed = (
            dollars(format_money(earlier[name], currency)) for name in ("own_order", "next_order")
        )
        text += f" They ordered for {placed} on average, beside {own} an order before."
    return f"{text}{_back_words(earlier, cost, left)}"


def cannot_pay(called: pd.DataFrame, facts: Mapping[str, Any]) -> bool:
    """Whether calls cost more than is left of the margin at risk, if as much as last time comes back."""
    earlier = facts.get("earlier") or {}
    back = earlier.get("back")
    if back is None or earlier["came"] < LEAST_RESPONSES or "value_at_risk" not in called:
        return False
    left = float(called["value_at_risk"].astype(float).sum()) * facts["gross_margin"]
    return bool(len(called) * facts["cost_of_a_call"] > left * (1 - min(max(back, 0.0), 1.0)))


def _back_words(earlier: Mapping[str, Any], cost: float, left: float) -> str:
    """What part of the money of such a fall came back uncalled, and what calls must bring if so again.

    Nothing where few came, whose orders say little of money.

    Examples
    --------
    >>> seen = {"came": 40, "back": 0.5, "back_low": 0.2, "back_high": 0.6}
    >>> _back_words(seen, 80.0, 400.0).partition(": ")[2]
    'if so again, the calls must win back 40% of the rest (25% to 50%).'
    """
    told_ = [earlier.get(name) for name in ("back_low", "back", "back_high")]
    back = [float(one) for one in told_ if one is not None]
    if earlier["came"] < LEAST_RESPONSES or not left > 0 or not back or math.isnan(back[0]):
        return ""
    low, share, high = (min(max(one, 0.0), 1.0) for one in back)
    if high == 0:
        return ""
    best, likely, worst = (
        cost / (left * (1 - one)) if one < 1 else math.inf for one in (low, share, high)
    )
    if best > 1:
        needs = "the calls cannot pay"
    elif worst <= 1:
        needs = (
            f"the calls must win back {format_percent(likely)} of the rest ({format_percent(best)} "
            f"to {format_percent(worst)})"
        )
    elif likely > 1:
        needs = f"the calls cannot pay; at the lower end they must win back {format_percent(best)} of the rest"
    else:
        needs = (
            f"the calls must win back {format_percent(likely)} of the rest, {format_percent(best)} at best, "
            "and may be unable to pay"
        )
    return (
        f" Of the money of such a fall about {'all' if share == 1 else format_percent(share)} (95% interval {format_percent(low)} to "
        f"{format_percent(high)}) came back by itself: if so again, {needs}."
    )


def _alone(n: int) -> str:
    return f"; {told(n)} of them {'is' if n == 1 else 'are'} left alone to compare" if n else ""


def _rough_words(calibration: pd.DataFrame | None) -> str:
    """That the money at risk rests on a forecast that missed much last time."""
    if calibration is None or not is_rough(calibration):
        return ""
    guessed, came = guessed_and_came(calibration)
    return (
        f"But the same forecast expected {guessed:,.0f} customers last time, and {came:,.0f} came: take it as "
        "an order of whom to ring, not as money. "
    )


def calls_needed(call_first: pd.DataFrame, found: Mapping[str, Any]) -> tuple[int, int]:
    """How many of those on the list must order for calling all of them to pay; and by the mean order.

    They differ where the mean order lies far above the typical one, which counts then.
    """
    cost = len(call_first) * found["cost_of_a_call"]
    orders = order_kept(call_first)
    order = float(orders.mean())
    exact = cost / (found["gross_margin"] * order) if order > 0 else 0.0
    by_mean = max(math.ceil(exact - 1e-9), 1)
    typical = math.ceil(exact * dearer_than_typical(order, orders.median()) - 1e-9)
    return max(typical, by_mean), by_mean


def calls_pay(call_first: pd.DataFrame, found: Mapping[str, Any]) -> str:
    """`calls_needed` as people say it."""
    needed, by_mean = calls_needed(call_first, found)
    said = f"pays if {needed:,} of them {'orders' if needed == 1 else 'order'}"
    if by_mean < needed:
        return f"{said} ({by_mean:,} by the mean order)"
    middle = order_kept(call_first).median() * found["gross_margin"]
    typical = (
        math.ceil(len(call_first) * found["cost_of_a_call"] / middle - 1e-9) if middle > 0 else 0
    )
    return f"{said} ({typical:,} by the typical order)" if typical > needed else said


def _calls_teach(
    found: Mapping[str, Any], listed_: int, campaigns: pd.DataFrame | None, kinds: Sequence[str]
) -> str:
    """What calling can and cannot teach, by who is left alone and who is written to as well."""
    control = found["worth_a_call"] - listed_
    both = _with_letters(campaigns, listed_, kinds)
    if not control:
        return f"Nobody is left uncalled to compare with, so what the calls bring cannot be measured.{both}"
    text = (
        f"{plural(control, 'more customer')} would be on the list, but {'belongs' if control == 1 else 'belong'} to the "
        "halves that are left alone below: not called, not written to. Compared with them, calls "
        f"cannot be told apart from letters: **what the calls alone add cannot be learnt**.{both}"
    )
    if found["without_control"]:
        n = found["without_control"]
        text += (
            f" Of the list {told(n)} belong to segments of which nobody is left "
            "alone: their answer proves nothing."
        )
    return text


def _with_letters(campaigns: pd.DataFrame | None, listed_: int, kinds: Sequence[str]) -> str:
    """How many of the list are written to as well, and from what a campaign pays that bears its calls.

    Named is where they change most, unless so few are called that the figure would tell of persons.

    Examples
    --------
    >>> own = {"segment_type": ["normal"], "segment": ["High"], "calls": [9], "needed": [0.02]}
    >>> _with_letters(pd.DataFrame(own).assign(needed_with_calls=0.054), 20, ["normal"])
    ' 9 of the 20 are in halves that are written to: where both are done, their campaigns pay only from more (High from 5.4 of 100, not 2.0).'
    """
    if campaigns is None or campaigns.empty:
        return ""
    n = int(campaigns["calls"].sum())
    some = f"{told(n).capitalize()} of the {listed_:,}"
    if listed_ - n < LEAST_PUBLISHED:  # the difference would tell
        some = f"{'Nearly all' if n < listed_ else 'All'} of the {listed_:,}"
    text = f" {some} are in halves that are written to: where both are done, their campaigns pay only from more"
    seen = campaigns[campaigns["calls"] >= LEAST_PUBLISHED]
    if seen.empty:
        return f"{text}."
    most = seen.loc[(seen["needed_with_calls"] - seen["needed"]).astype(float).idxmax()]
    before, after = (format_points(float(most[name])) for name in ("needed", "needed_with_calls"))
    if before == after:
        return f"{text}."
    name = inert(named(most["segment"], most["segment_type"], kinds))
    if most["needed_with_calls"] > 1:
        return f"{text} ({name} then by no order of each, else from {before} of 100)."
    return f"{text} ({name} from {after} of 100, not {before})."
