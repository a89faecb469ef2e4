"""What every finding means, how grave it is, what to do about it and which parameter decides."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation.core import phrases
from segmentation.core.columns import format_money, format_percent
from segmentation.core.limits import GRAVE_SHARE, LARGE_SHARE
from segmentation.core.phrases import plural
from segmentation.orders import date_words
from segmentation.orders.id_words import ID_WORDS

FINDING_COLUMNS = (
    *("finding", "place", "severity", "rows", "customers", "amount", "treatment"),
    *("title", "examples", "what_to_do", "parameter", "facts"),
)
"""A check as a person acts on it; as it counted: `counting.COUNTED_COLUMNS`."""
Facts = Mapping[str, Any]
Words = str | Callable[[Any, Facts, str], str]
IsSevere = Callable[[Facts, float], bool]
"""Of what else was counted, and of the money as a share of the revenue that is kept."""


@dataclass(frozen=True)
class Kind:
    """One kind of finding, as people are told of it.

    ``words`` say what it means and what to do; ``parameter`` decides how it is treated, and
    ``unit`` is what its rows are. It is severe from that share of the revenue on, or where a
    test of the facts says so.
    """

    title: str
    words: Words
    parameter: str = ""
    is_severe: float | IsSevere = math.inf
    unit: str = "line"


def told(counted: pd.DataFrame, *, currency: str, revenue: Decimal) -> pd.DataFrame:
    """Findings as a person acts on them: how grave each is, what to do, and where to decide.

    Parameters
    ----------
    counted : DataFrame of `COUNTED_COLUMNS`
    revenue : Decimal
        What is kept: the money of a finding is grave or not beside it.

    Returns
    -------
    DataFrame of `FINDING_COLUMNS`
        ``severity`` is ``severe`` where figures of this report may be wrong by it,
        ``notable`` for everything else that was found, ``none`` where nothing was; the
        gravest first.
    """
    rows = []
    for row in counted.itertuples():
        kind, facts = KINDS[row.finding], json.loads(row.facts)
        money, severity, what = abs(float(row.amount)), "none", ""
        if row.rows or row.customers:
            share = money / float(revenue) if revenue > 0 else float(money > 0)
            known = {**facts, "treatment": row.treatment}
            least = kind.is_severe
            is_severe = least(known, share) if callable(least) else share >= least
            severity = "severe" if is_severe and row.treatment != "repaired" else "notable"
            what = kind.words if isinstance(kind.words, str) else kind.words(row, facts, currency)
        rows.append((kind.title, severity, what, kind.parameter))
    columns = ["title", "severity", "what_to_do", "parameter"]
    more = pd.DataFrame(rows, columns=columns, index=counted.index, dtype="object")
    table = counted.assign(**{name: more[name] for name in columns})[list(FINDING_COLUMNS)]
    grave = table["severity"].map({"severe": 0, "notable": 1, "none": 2})
    return table.loc[grave.sort_values(kind="stable").index].reset_index(drop=True)


def _orphan(row: Any, facts: Facts, currency: str) -> str:
    named = row.rows - facts["unnamed"]
    known = (
        "None of these lines names one. "
        if named == 0
        else f"{named:,} name one that is not in the table, {facts['unnamed']:,} name none. "
    )
    kept = (
        "The SELECT's join leaves these lines out altogether: use a LEFT JOIN to keep them."
        if facts["is_dropped"]
        else "What the table says of them stays empty. Load the table again, whole, or find out "
        "who deletes from it."
    )
    return known + kept


def _repeated(row: Any, facts: Facts, currency: str) -> str:
    most = _money(Decimal(facts["amount_most"]), currency)
    return (
        f"Named like the id of a line, but {facts['lines']:,} lines share {facts['ids']:,} ids (up "
        f"to {facts['most_lines']} lines each): it is the id of an order. A table keyed on it would "
        f"lose {plural(row.rows, 'line')} worth between {_money(row.amount, currency)} and {most}, "
        "depending on which line of an order survives. This report counts every line; give the "
        "table a key of its own."
    )


def _arithmetic(row: Any, facts: Facts, currency: str) -> str:
    total = Decimal(facts["sum_of_differences"])
    more = "above" if total > 0 else "below"
    return (
        "Amount is not unit price x quantity less discount: by at most "
        f"{_money(Decimal(facts['largest_difference']), currency)} on one line, together "
        f"{_money(abs(total), currency)} {more}. The amount is believed. Ask which of the columns "
        "is rounded, and where."
    )


def _narrow(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"Amounts up to {_money(Decimal(facts.get('largest_amount', '0')), currency)} do not fit "
        "DECIMAL(10,2), which ends at 99,999,999.99: a database would refuse them or cut them off. "
        "Read here in full. Declare money as DECIMAL(18,2)."
        if facts
        else "Totals that do not fit DECIMAL(10,2), which ends at 99,999,999.99. Declare money as "
        "DECIMAL(18,2)."
    )


def _dominating(row: Any, facts: Facts, currency: str) -> str:
    what = "line" if row.finding == "dominating_line" else "customer"
    return (
        f"One {what} holds {format_percent(facts['share'])} of all revenue (n = "
        f"{plural(facts['n'], what)}). Without it "
        f"the mean {what} is {_money(facts['mean_without'], currency)} instead of "
        f"{_money(facts['mean'], currency)}. Look at the order itself before believing any total, "
        "mean or segment that it is part of."
    )


def _over_lines(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"A quoted value of these rows goes on over {plural(facts['lines'], 'further line')} of the "
        "file: a note with line breaks, as a rule. Where it holds orders, a quote was not closed; "
        "close it."
    )


def _repeated_total(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"In {facts['orders']:,} of {facts['of_orders']:,} orders whose lines differ, all lines have "
        "one and the same amount: the order's total, as it seems, which then counts "
        f"{_money(row.amount, currency)} too much. Take the line's own amount, or count the total "
        "on one line only: `CASE WHEN ROW_NUMBER() OVER (PARTITION BY order_id) = 1 THEN total ELSE "
        "0 END AS amount`."
    )


def _in_part(row: Any, facts: Facts, currency: str) -> str:
    what = {
        "is_valid": "count as sales with some of their lines only",
        "customer_id": "name their customer on some of their lines only",
        "order_date": "have a date on some of their lines only",
    }[row.place]
    alone = (
        f"In {facts['on_one_line']:,} it is one line: the export writes it on the first line of an "
        "order. "
        if facts["is_sure"]
        else ""
    )
    return (
        f"{facts['in_part']:,} of {plural(facts['orders'], 'order')} of several lines {what}. {alone}"
        f"Where it holds for the whole order, give each line `MAX({row.place}) OVER (PARTITION BY "
        "order_id)` in the SELECT."
    )


def unused_flag(place: str, facts: Facts) -> str:
    """What a flag that is not used says of how much of the kept revenue, with its name as code.

    Examples
    --------
    >>> unused_flag("order_detail.is_net", {"value": "0", "share": 0.54})
    '`is_net` is 0 on 54% of kept revenue and is not used'
    """
    name = place.rpartition(".")[2]
    share = format_percent(facts["share"])
    return f"`{name}` is {facts['value']} on {share} of kept revenue and is not used"


def _unused(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"{unused_flag(row.place, facts)}: ask what it means before believing any revenue. If such "
        "lines are no sales, or were given back, say so in the SELECT by `is_valid` or `is_return`."
    )


def _left_out(row: Any, facts: Facts, currency: str) -> str:
    how = "WHERE leaves" if facts["is_chosen"] else "joins leave"
    return (
        f"Of {facts['lines']:,} rows of the table with an amount, the SELECT's {how} these out, so "
        "that they are in no ledger. Keep them as lines and say by `is_valid` which count, or join "
        "by LEFT JOIN."
    )


def _cancelled(row: Any, facts: Facts, currency: str) -> str:
    return (
        "No purchase was left by the evening, yet under `returns: exclude` they count as sales and "
        f"orders (the largest {_money(Decimal(facts['largest']), currency)}); "
        f"of {phrases.told(facts['nothing_else'], 'customer')} nothing else counts. `returns: net` takes "
        "the money off again."
    )


def _always(facts: Facts, share: float) -> bool:
    return True


def _sure(facts: Facts, share: float) -> bool:
    return bool(facts["is_sure"])


def _money(value: Any, currency: str) -> str:
    return format_money(float(value), currency, exact=True)


KINDS: dict[str, Kind] = {
    "missing_customer_id": Kind(
        "no customer id",
        "Revenue that belongs to nobody. Ask whether guests' orders carry another mark.",
        is_severe=LARGE_SHARE,
    ),
    "missing_order_id": Kind(
        "no order id",
        "Orders cannot be counted from these lines. Ask the shop system for the id.",
        is_severe=GRAVE_SHARE,
    ),
    "missing_order_date": Kind(
        "no order date",
        "When it was bought is unknown. Ask the shop system for the day.",
        is_severe=GRAVE_SHARE,
    ),
    "missing_quantity_or_amount": Kind(
        "no quantity or amount",
        "Units or revenue are unknown. Ask the shop system for them.",
        is_severe=GRAVE_SHARE,
    ),
    "orphan": Kind(
        "no row to look up",
        _orphan,
        is_severe=lambda facts, share: facts["is_dropped"] and share >= GRAVE_SHARE,
    ),
    "duplicate_line": Kind(
        "exact copies of another line",
        "A second purchase of the same article, or an export that ran twice? If twice, set "
        "`duplicates: drop`.",
        parameter="duplicates",
        is_severe=GRAVE_SHARE,
    ),
    "zero_amount": Kind(
        "amount of zero",
        "A gift, a full discount or an error? Kept, they count as orders that brought nothing; "
        "`zero_amount: exclude` sets them aside.",
        parameter="zero_amount",
    ),
    "repeated_total": Kind("order's total on each of its lines", _repeated_total, is_severe=_sure),
    "known_in_part": Kind("orders known in part", _in_part, is_severe=_sure),
    "return_with_positive_amount": Kind(
        "returns with a positive amount",
        "Under `returns: net` they add to revenue instead of lowering it. If the export writes "
        "refunds as positive numbers, give `-amount` for them in the SELECT.",
        parameter="returns",
        is_severe=lambda facts, share: facts["treatment"] == "kept",
    ),
    "return_with_positive_quantity": Kind(
        "returns with a positive quantity",
        "Under `returns: net` their units count as bought. If goods came back, give `-quantity` "
        "for them in the SELECT; if money only, give 0.",
        parameter="returns",
    ),
    "unmarked_return": Kind(
        "money given back, not marked as a return",
        "Set aside, so that it lowers nobody's spend. If these are refunds or cancellations, "
        "say so by a column `is_return` in the SELECT, and by `returns` what becomes of them.",
        parameter="returns",
        is_severe=GRAVE_SHARE,
    ),
    "refund_as_invalid": Kind(
        "money given back, filed as no valid sale",
        "Set aside whatever `returns` says, so that it lowers nobody's spend. If these are "
        "refunds, let `is_valid` be true of them and `is_return` too.",
        parameter="returns",
        is_severe=GRAVE_SHARE,
    ),
    "cancelled_same_day": Kind(
        "bought and given back on the same day", _cancelled, "returns", GRAVE_SHARE
    ),
    "mixed_currencies": Kind(
        "several currencies",
        "Amounts of several currencies are added as if they were one. Convert them in the "
        "SELECT, or let `is_valid` be true of one currency only.",
        parameter="currency",
        is_severe=_always,
        unit="row",
    ),
    "left_out": Kind(
        "rows of which the SELECT makes no line",
        _left_out,
        is_severe=lambda facts, share: not facts["is_chosen"] and share >= GRAVE_SHARE,
        unit="row",
    ),
    "unused_flag": Kind("flag of the lines that is not used", _unused, is_severe=_always),
    "repeated_line_id": Kind("id repeats across lines", _repeated),
    "order_of_several_customers": Kind(
        "orders of several customers",
        "One order id under two or more customers: ids are used again, or orders change hands. "
        "Make the id of an order unique, for instance with its year.",
        is_severe=GRAVE_SHARE,
    ),
    "amount_arithmetic": Kind("amount is not price x quantity less discount", _arithmetic),
    "narrow_money": Kind("too large for DECIMAL(10,2)", _narrow),
    "money_at_limit": Kind(
        "amount at the limit of a type",
        "Exactly the largest number that a narrow column holds: the true amount was larger and "
        "was cut off when it was loaded. Load these lines again into a wider column.",
        is_severe=_always,
    ),
    "dominating_line": Kind("one line of outlandish size", _dominating, is_severe=LARGE_SHARE),
    "dominating_customer": Kind(
        "one customer of outlandish size", _dominating, is_severe=LARGE_SHARE, unit="customer"
    ),
    "customer_without_kept_line": Kind(
        "customers of whom no line counts",
        "They ordered, but nothing that counts as a sale, so they are in no segment. Whoever "
        "wins customers should know how many are lost between order and sale.",
    ),
    "garbled_text": Kind(
        "garbled text",
        "UTF-8 read as another encoding, or letters lost on the way. Names stay readable here "
        "as found; export them again as UTF-8.",
    ),
    "stray_blanks": Kind(
        "blanks before or after a text", "Equal names look different. TRIM them in the SELECT."
    ),
    **{n: Kind(t, w, p, least) for n, (t, w, p, least) in ID_WORDS.items()},
    "spelling_variants": Kind(
        "spellings that differ in capitals or blanks only",
        "Counted as different. If they mean the same, make them alike in the SELECT.",
    ),
    "order_after_as_of": Kind(
        "dated after the last day of observation",
        "Not known on that day, so set aside. `as_of: auto` is the last day that no month "
        "without orders parts from the days before; if these dates are right, set `as_of` to "
        "a later day, else correct them.",
        parameter="as_of",
        is_severe=LARGE_SHARE,
    ),
    "registered_after_as_of": Kind(
        "registered after the last day of observation",
        "They ordered before the day of their registration. Check how that day is written.",
    ),
    "order_before_any_registration": Kind(
        "ordered before anybody had registered",
        "Either guests could order before accounts existed, or dates are wrong: see the "
        "section Dates.",
    ),
    "far_off_date": Kind("dates far from all others", date_words.far),
    "date_gap": Kind("days without any line", date_words.gap, unit="day"),
    "swapped_dates": Kind(
        "day and month exchanged",
        date_words.swapped,
        parameter="date_repair",
        is_severe=lambda facts, share: facts["strength"] == "strong",
    ),
    "swapped_month": Kind(
        "day and month exchanged in one month", date_words.swapped_month, is_severe=_always
    ),
    "coarse_registration": Kind(
        "days of registration filled in", date_words.coarse, unit="customer"
    ),
    "rounded_money": Kind(
        "money with more decimals than a cent",
        "Rounded to the cent. If it is an average, give the sum; if another unit, convert it "
        "in the SELECT.",
        unit="customer",
    ),
    "value_over_lines": Kind("values that go on over several lines", _over_lines, unit="row"),
}
