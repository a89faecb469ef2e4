"""What makes a first page less than true, said on it before anything else."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from segmentation.actions.break_even import margin_used, own_margin
from segmentation.actions.campaign import another_currency
from segmentation.book.words.preferences import differs, without_one_order
from segmentation.book.words.text import as_sentence, named, plural, with_code
from segmentation.core.columns import RULE_WORDS, format_money, format_percent
from segmentation.core.limits import (
    CUSTOMER_SHARE,
    MANY_SET_ASIDE,
    ONE_INTAKE,
)
from segmentation.core.parameters import Parameters
from segmentation.orders.days_unsure import left_exchanged
from segmentation.orders.finding_words import KINDS, unused_flag

WARNED = "data-warning"
"""Class of a paragraph that stands above a chapter's answer, which is not to be trusted."""
RESTS_ON_DAYS = {
    "order_date": "silence, quarters, forecasts and segments",
    "registered_date": "groups by registration",
}
"""What rests on the days of a column of dates, as every page says where they look exchanged."""
ONCE_RIGHT = "Only once the dates are put right and the run made again, for silence is read off them; as they stand: "
SAID_ELSEWHERE = ("swapped_dates", "dominating_customer")


def warnings(run: Any) -> Iterator[str]:
    """What makes the page less than true, each in one sentence of HTML, the gravest first."""
    parameters, currency = run.parameters, run.parameters.currency
    if run["overview"]["synthetic"]:
        yield "Synthetic data, made up by a seeded generator: nothing here is true of a real shop."
    yield from exchanged_words(exchanged(run))
    yield from _severe(run)
    if other := cost_beside_orders(run):
        yield other
    yield from _one_customer(run)
    yield from _filled_in(run)
    yield from _one_intake(run)
    ledger = run["ledger"].set_index("rule")["rows"]
    sums = run["ledger"].set_index("rule")["amount"]
    kept_money = format_money(float(sums.get("kept") or 0), currency)
    raw, kept = run["overview"]["raw_rows"], int(ledger.get("kept", 0))
    if raw and 1 - kept / raw > MANY_SET_ASIDE and not run["overview"]["is_customer_table"]:
        most = ledger[[name for name in ledger.index if name not in ("raw", "kept")]].idxmax()
        worth = format_money(abs(float(sums[most] or 0)), currency)
        yield (
            f"{format_percent(1 - kept / raw)} of {plural(raw, 'line')} are set aside, most of them as "
            f"<em>{RULE_WORDS.get(most, most)}</em> ({worth}); lines worth {kept_money} are kept."
        )
    back = -float(sums.get("returned") or 0)
    if back >= CUSTOMER_SHARE * float(sums.get("kept") or 0) > 0:
        yield (
            f"{format_money(back, currency)} given back is not taken off: returns are set aside."
        )
    plain, default = parameters.as_plain(), Parameters().as_plain()
    if all(plain[name] == default[name] for name in ("gross_margin", "contact_cost", "call_cost")):
        own = own_margin(run["margins"])
        used = margin_used(parameters.gross_margin, run["margins"])
        one = without_one_order(run["margins"])
        is_own = own is not None and not differs(own, used)
        but = (
            f" (own costs: {format_percent(own)}{one.replace(' (', ', ').rstrip(')')})"
            if own is not None
            else ""
        )
        costs = (
            f"{format_money(parameters.contact_cost, currency)} a contact and "
            f"{format_money(parameters.cost_of_a_call, currency)} a call are assumptions"
        )
        # sliders stand there only where costs and orders can be of one currency
        yours = "try yours in <em>Business recommendations</em>"
        if cost_beside_orders(run):
            yours = "set yours"
        if is_own:
            yield f"{costs}, the margin, {format_percent(used)}{one}, is this shop's own: {yours}."
        else:
            yield f"A margin of {format_percent(used)}{but}, {costs}: {yours}."


def _severe(run: Any) -> Iterator[str]:
    """Findings by which figures may be wrong, but those that have a sentence of their own here."""
    found = run["findings"]
    found = found[(found["severity"] == "severe") & ~found["finding"].isin(SAID_ELSEWHERE)]
    yield from flag_words(found)
    for row in found[found["finding"] != "unused_flag"].itertuples():
        worth = format_money(abs(float(row.amount)), run.parameters.currency)
        yield (
            f"{html.escape(as_sentence(row.title)).rstrip('.')}: "
            f"{plural(int(row.rows), KINDS[row.finding].unit)}, {worth}. "
            "<em>Data understanding</em> says what to do."
        )


def flag_words(findings: pd.DataFrame) -> Iterator[str]:
    """Flags of the lines that are not used and may halve all revenue, each in one sentence of HTML."""
    own = findings[(findings["finding"] == "unused_flag") & (findings["severity"] == "severe")]
    for row in own.itertuples():
        said = with_code(unused_flag(row.place, json.loads(row.facts)))
        yield f"{said}: ask what it means before believing any revenue."


def _filled_in(run: Any) -> Iterator[str]:
    """Days of registration that nobody entered, where customers are divided by them."""
    found = run["findings"].query("finding == 'coarse_registration' and rows > 0")
    if len(found) and len(run["chosen"]) > 1:
        known = "cannot be told" if exchanged(run) else "is certain by the month only"
        yield (
            f"Days of registration were filled in ({plural(int(found['rows'].iloc[0]), 'customer')}): who "
            f"<em>ordered before registering</em> {known}."
        )


def exchanged_words(columns: Mapping[str, str]) -> Iterator[str]:
    """What dates that look exchanged mean for everything that rests on them, in HTML."""
    for column, strength in columns.items():
        yield (
            f"Day and month of <code>{html.escape(column)}</code> look exchanged "
            f"({strength} evidence): {RESTS_ON_DAYS.get(column, 'what rests on it')} change when put right."
        )


def exchanged(run: Any) -> dict[str, str]:
    """`left_exchanged` of a run."""
    return left_exchanged(run["overview"], run["swap"])


def true_months(overview: dict[str, Any], swap: Mapping[str, Any]) -> tuple[str, str] | None:
    """First and last month that orders truly are of, where exchanged dates spread them further."""
    if "order_date" not in left_exchanged(overview, swap):
        return None
    return str(swap["order_date"]["first_month"]), str(swap["order_date"]["last_month"])


def true_period(overview: dict[str, Any], swap: Mapping[str, Any]) -> dict[str, Any]:
    """An overview from the first to the last month that orders truly are of."""
    if (months := true_months(overview, swap)) is None:
        return overview
    first, last = (pd.Period(month, "M") for month in months)
    days = {"first_order": f"{first.start_time:%F}", "as_of": f"{last.end_time:%F}"}
    return overview | days


def cost_beside_orders(run: Any) -> str:
    """`cost_words` of a run."""
    return cost_words(run["recommendations"], run.parameters.contact_cost, run.parameters.currency)


def cost_words(plays: pd.DataFrame, cost: float, currency: str) -> str:
    """Whether a contact costs so little beside an order that their currencies must differ."""
    if not another_currency(plays):
        return ""
    ends = (float(plays["typical_order"].min()), float(plays["typical_order"].max()))
    usual = " to ".join(dict.fromkeys(format_money(end, currency) for end in ends))
    return (
        f"{format_money(cost, currency)} per contact beside typical orders of {usual} "
        "looks like another currency: believe no break-even until <code>contact_cost</code> is set."
    )


def _one_customer(run: Any) -> Iterator[str]:
    """The headline with and without a customer who brings a large share of all revenue."""
    customers = run["customers"]
    spent = customers["total_spent"].astype(float)
    total, largest = float(spent.sum()), float(spent.max())
    if total <= 0 or largest / total < CUSTOMER_SHARE:
        return
    own = customers.loc[spent.idxmax()]
    same = (customers["segment_type"] == own["segment_type"]) & (
        customers["segment"] == own["segment"]
    )
    share = float(spent[same].sum())
    name = named(own["segment"], own["segment_type"], list(run["chosen"]))
    yield (
        f"One customer brings {format_percent(largest / total)} of revenue: "
        f"{html.escape(name)} {format_percent(share / total)}, "
        f"{format_percent((share - largest) / (total - largest))} without this one."
    )


def _one_intake(run: Any) -> Iterator[str]:
    """Nobody new for half of the window or longer: then what falls is an intake that ages."""
    monthly = run["monthly"] if run["overview"]["first_order"] else pd.DataFrame()
    if monthly.empty or exchanged(run):
        return
    came = monthly[monthly["new_customers"] > 0]["month"]
    if (monthly["month"] > came.max()).mean() >= ONE_INTAKE:
        yield (
            f"These customers were all won by {pd.Timestamp(came.max()):%B %Y}: such a crowd shrinks by "
            "itself, and new customers may behave otherwise."
        )
