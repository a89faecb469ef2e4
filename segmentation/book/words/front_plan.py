"""What a first page asks for: its actions in rows, whom to leave alone, what is to be approved."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from segmentation.actions.break_even import BEST_KNOWN_RISE, plausible_rise
from segmentation.actions.campaign import TREATMENT
from segmentation.actions.next_steps import with_given_back
from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.actions.slipping import kept_of
from segmentation.book.words.calling import cannot_pay
from segmentation.book.words.dates import season_sentence
from segmentation.book.words.front_actions import (
    FIRST,
    ONCE_RIGHT,
    actions,
    bought_words,
    most_slipped_of,
    sheets_of,
    terms_of,
    whole,
)
from segmentation.book.words.text import listed, named, plural
from segmentation.book.words.warnings import cost_beside_orders, exchanged
from segmentation.core.columns import format_percent
from segmentation.core.limits import (
    LEAST_CALLED,
    MEAN_OF_FEW,
    PLAUSIBLE_PART,
    PLAUSIBLE_RISE,
    TEN_LARGEST_SHARE,
)

_MEANINGS = (
    (
        "Left alone",
        "How many are expected to order in so many days without any campaign, with their 95% interval, by the "
        "forecast corrected segment by segment; of who slipped, how many came back a quarter earlier.",
    ),
    (
        "It pays from, would prove it",
        "How many more of 100 contacted customers must order than of 100 left alone: for the "
        "margin of those orders to cover the contacts (an order counts the mean; the typical one in all segments, "
        f"if the mean is {MEAN_OF_FEW:g} times that or more in any one; of who slipped, by the segments they stand "
        "in), and for the comparison to prove that 4 times of 5; a smaller rise may, if its whole interval lies "
        "above what pays. Unlikely: more than "
        f"{1 + PLAUSIBLE_RISE:g} times as many as come anyway, or than {format_percent(PLAUSIBLE_PART)} of those who "
        "stay away.",
    ),
)


def to_do(run: Any, link: str) -> str:
    """The actions, whom to leave alone and what is to be approved, as HTML.

    Parameters
    ----------
    run : Run or mapping of its results, with ``parameters``
    link : str
        The folder of the data set's chapters, seen from the page.
    """
    rows = [
        _row(one.what, one.cost, f"{one.how} {one.terms} Sheet {one.sheet}") for one in actions(run)
    ]
    if not rows:
        return f'<p class="front-head">{FIRST}</p><p>No action is supported by these data.</p>'
    title = ONCE_RIGHT if exchanged(run) else FIRST
    if cost_beside_orders(run):
        title = f"{title.removesuffix(':')} (costs not known yet):"
    why = f'<a class="follow" href="{link}/08_recommendations.html">why</a>'
    return (
        f'<p class="front-head">{title} {why}</p>'
        f"<ol>{''.join(rows)}{left_alone(run)}{whole_plan(run)}</ol>"
    )


def _row(what: str, cost: str, how: str, kind: str = "") -> str:
    of = f" class={kind}" if kind else ""
    money = f" <b class=cost>{html.escape(cost)}</b>" if cost else ""
    return (
        f"<li{of}><div><b>{html.escape(what)}</b>{money}</div><span>{html.escape(how)}</span></li>"
    )


def left_alone(run: Any) -> str:
    """Whom a contact costs more than it can bring back, and what a half of them would have cost."""
    plays = run["recommendations"]
    plays = plays[plays["play"] == NOT_AT_THIS_COST]
    if plays.empty or cost_beside_orders(run):
        return ""
    profile = run["profile"]
    names = list(dict.fromkeys(plays["segment"]))
    if profile["segment"].isin(names).sum() > len(plays):  # a name is left alone in one group only
        kinds = list(profile["segment_type"])
        names = [named(row.segment, row.segment_type, kinds) for row in plays.itertuples()]
    saved = whole(float(plays["campaign_cost"].sum() / 2), run.parameters.currency)
    why = "Too few would order because of a contact."
    if len(plays) == 1:
        (row,) = plays.itertuples()
        why = f"{row.do} {terms_of(row, float('nan'))}"
    what = f"Leave alone: {listed(names)}, {plural(int(plays['customers'].sum()), 'customer')}"
    return _row(what, f"{saved} not spent", why, "alone")


def whole_plan(run: Any) -> str:
    """What is to be approved, what may be lost, when one knows more; calls are beside it."""
    arms, called, parameters = run["campaign_arms"], run["call_first"], run.parameters
    written = arms[arms["arm"] == TREATMENT]
    if cost_beside_orders(run) or written.empty:
        return ""
    currency = parameters.currency
    costs = (
        written.groupby(["segment_type", "segment"], observed=True).size() * parameters.contact_cost
    )
    shown = {one.of for one in actions(run) if one.money}
    above = costs[[key in shown for key in costs.index]].sum()
    others = whole(costs.sum() - above, currency)
    of = f"{others} of it for other segments. " if others else ""
    text = f"{of}At worst it is lost; a discount would also go to who orders anyway. {_then_known(run)}{_other_season(run)}{_best_known(run)}{_calls_besides(run, len(called))}"
    return _row("To approve for the test", whole(costs.sum(), currency), text, "total")


def _then_known(run: Any) -> str:
    """When the halves are compared, where that can tell anything."""
    plays = run["recommendations"]
    keys = ["segment_type", "segment"]
    tested = plays[plays["is_campaign"]].merge(run["campaign_sizes"][[*keys, "pays_from"]], on=keys)
    is_proof = tested["pays_from"] <= tested["base"].map(plausible_rise)
    days = tested.loc[is_proof, "outcome_days"]
    if days.empty:
        return "Only an unlikely rise would prove that it paid."
    ends = " to ".join(dict.fromkeys(f"{end:.0f}" for end in (days.min(), days.max())))
    return f"After {ends} days the halves are compared."


def _other_season(run: Any) -> str:
    """That who orders anyway is told by other seasons than the next, where it is so."""
    other = season_sentence(run["retention"]["as_of"], run["overview"]["as_of"])
    return " Who orders anyway was seen in other seasons than the next." if other else ""


def _best_known(run: Any) -> str:
    """What part of it the best e-mail known to have paid would bring back."""
    plays = run["recommendations"]
    needed = plays.loc[plays["is_campaign"], "break_even_response"].astype(float)
    needed = needed[needed > 0]
    if needed.empty:
        return ""
    ends = dict.fromkeys(
        format_percent(BEST_KNOWN_RISE / end) for end in (needed.max(), needed.min())
    )
    learn = ": what it buys is the answer" if needed.min() > BEST_KNOWN_RISE else ""
    return (
        f" The best published e-mail test, {100 * BEST_KNOWN_RISE:.1f} more of 100, would bring back "
        f"{' to '.join(ends)} of it{learn}."
    )


def _calls_besides(run: Any, called: int) -> str:
    """What calling costs besides: no halves are drawn for it, so nobody learns what it brings."""
    if called < LEAST_CALLED:
        return ""
    cost = whole(called * run.parameters.cost_of_a_call, run.parameters.currency)
    calls = f"{called:,} calls (“Call first”, {cost})"
    if cannot_pay(run["call_first"], run["call_first_facts"]):
        return f" Not in it, and not advised: {calls}; too much came back by itself last time."
    return f" Not in it: {calls}, not measurable."


def besides(run: Any) -> Iterator[tuple[str, str]]:
    """What is told on demand beneath the page: what the columns mean, who else is worth a look."""
    if not (shown := actions(run)):
        return
    yield from _MEANINGS
    yield (
        "Sheet",
        "Of the workbook customer_segmentation_output.xlsx, which the run writes; ids are not published.",
    )
    found = most_slipped_of(run)
    if found and not exchanged(run) and not any(one.sheet == "“Slipping”" for one in shown):
        whom = named(found.segment, found.segment_type, list(run["profile"]["segment_type"]))
        bought = bought_words(found, run.parameters.currency)
        yield "Slipped", f"{found.customers:,} of {whom} last quarter. {bought} (“Slipping”)."
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
    sheets = sheets_of(run["profile"])
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
