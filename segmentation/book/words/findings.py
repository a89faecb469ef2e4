"""Sentences and tables about what is wrong with the data, and what to do about it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation.book.words.text import Html, listed, plural, with_code
from segmentation.core.columns import format_money, format_percent

UNITS = {
    "date_gap": "day",
    "coarse_registration": "customer",
    "dominating_customer": "customer",
    "value_over_lines": "row",
}
"""What a finding counts, where it is not lines."""

MEANING = "what it means, and what to do"

Facts = Mapping[str, Any]
Words = Callable[[Any, Facts, str], str]


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


def _gap(row: Any, facts: Facts, currency: str) -> str:
    share = format_percent(facts["usual_share"])
    return (
        f"No kept line from {facts['first']} to {facts['last']}, though {share} of "
        f"{facts['span']:,} days have one. Closed, or an export that failed? If it failed, load "
        "those days before reading recency."
    )


def _swapped(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"Day and month look exchanged ({facts['strength']} sign): "
        f"{plural(facts['months_outside'], 'month')} outside the true range hold only days 1 to "
        "12. See the section Dates for what it moves, and have the export write YYYY-MM-DD."
    )


def _coarse(row: Any, facts: Facts, currency: str) -> str:
    when = (
        "always the first of a month"
        if facts["last_day"] == 1
        else f"never after day {facts['last_day']}"
    )
    return (
        f"The day of registration is {when}, where about {facts['expected_late']:.0f} of "
        f"{facts['n']:,} should fall after the 28th: the day was filled in. Trust the month, not "
        "the day, and with it no lead of a few weeks before registration."
    )


def _far(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"Dated {facts['first']} to {facts['last']}, more than a year from all others: a "
        "placeholder of some system. Find the true day or leave it empty."
    )


def _over_lines(row: Any, facts: Facts, currency: str) -> str:
    return (
        f"A quoted value of these rows goes on over {plural(facts['lines'], 'further line')} of the "
        "file: a note with line breaks, as a rule. Where it holds orders, a quote was not closed; "
        "close it."
    )


def _says(text: str) -> Words:
    return lambda row, facts, currency: text


SAID: dict[str, tuple[str, Words]] = {
    "missing_customer_id": (
        "no customer id",
        _says("Revenue that belongs to nobody. Ask whether guests' orders carry another mark."),
    ),
    "missing_order_id": (
        "no order id",
        _says("Orders cannot be counted from these lines. Ask the shop system for the id."),
    ),
    "missing_order_date": (
        "no order date",
        _says("When it was bought is unknown. Ask the shop system for the day."),
    ),
    "missing_quantity_or_amount": (
        "no quantity or amount",
        _says("Units or revenue are unknown. Ask the shop system for them."),
    ),
    "orphan": ("no row to look up", _orphan),
    "duplicate_line": (
        "exact copies of another line",
        _says(
            "A second purchase of the same article, or an export that ran twice? If twice, set "
            "`duplicates: drop`."
        ),
    ),
    "zero_amount": (
        "amount of zero",
        _says(
            "A gift, a full discount or an error? Kept, they count as orders that brought nothing; "
            "`zero_amount: exclude` sets them aside."
        ),
    ),
    "repeated_line_id": ("id repeats across lines", _repeated),
    "order_of_several_customers": (
        "orders of several customers",
        _says(
            "One order id under two or more customers: ids are used again, or orders change hands. "
            "Make the id of an order unique, for instance with its year."
        ),
    ),
    "amount_arithmetic": ("amount is not price x quantity less discount", _arithmetic),
    "narrow_money": ("too large for DECIMAL(10,2)", _narrow),
    "money_at_limit": (
        "amount at the limit of a type",
        _says(
            "Exactly the largest number that a narrow column holds: the true amount was larger and "
            "was cut off when it was loaded. Load these lines again into a wider column."
        ),
    ),
    "dominating_line": ("one line of outlandish size", _dominating),
    "dominating_customer": ("one customer of outlandish size", _dominating),
    "customer_without_kept_line": (
        "customers of whom no line counts",
        _says(
            "They ordered, but nothing that counts as a sale, so they are in no segment. Whoever "
            "wins customers should know how many are lost between order and sale."
        ),
    ),
    "garbled_text": (
        "garbled text",
        _says(
            "UTF-8 read as another encoding, or letters lost on the way. Names stay readable here "
            "as found; export them again as UTF-8."
        ),
    ),
    "stray_blanks": (
        "blanks before or after a text",
        _says("Equal names look different. TRIM them in the SELECT."),
    ),
    "spelling_variants": (
        "spellings that differ in capitals or blanks only",
        _says("Counted as different. If they mean the same, make them alike in the SELECT."),
    ),
    "order_after_as_of": (
        "dated after the last day of observation",
        _says("Not known on that day, so set aside. If many, set `as_of` to a later day."),
    ),
    "registered_after_as_of": (
        "registered after the last day of observation",
        _says("They ordered before the day of their registration. Check how that day is written."),
    ),
    "order_before_any_registration": (
        "ordered before anybody had registered",
        _says(
            "Either guests could order before accounts existed, or dates are wrong: see the "
            "section Dates."
        ),
    ),
    "far_off_date": ("dates far from all others", _far),
    "date_gap": ("days without any line", _gap),
    "swapped_dates": ("day and month exchanged", _swapped),
    "coarse_registration": ("days of registration filled in", _coarse),
    "value_over_lines": ("values that go on over several lines", _over_lines),
}
_NEEDS = {
    "amount_arithmetic": "unit_price",
    "orphan": "a joined table",
    "registered_after_as_of": "registered_date",
}
REFUSED = "impossible dates and values that are no number (they stop a run before it begins)"


def _money(value: Any, currency: str) -> str:
    return format_money(float(value), currency)


def findings_table(findings: pd.DataFrame, *, currency: str) -> Html:
    """Everything that was found, with count, money, customers and what to do about it."""
    rows = []
    for row in findings[findings["rows"] > 0].itertuples():
        title, words = SAID[row.finding]
        unit = UNITS.get(row.finding, "line")
        rows.append(
            {
                "finding": f"{title}: `{row.place}`" if row.place else title,
                "how many": plural(row.rows, unit),
                "customers": f"{row.customers:,}" if row.customers else "–",
                "money": _money(row.amount, currency) if row.amount else "–",
                "in this report": row.treatment,
                MEANING: words(row, json.loads(row.facts), currency),
            }
        )
    return _two_storeys(pd.DataFrame(rows))


def _two_storeys(rows: pd.DataFrame) -> Html:
    """Figures in one row, words across the page below them: no column is squeezed or cut off."""
    caption = (
        "What was found. Set aside: left out of every figure; kept: in every figure; reported: the "
        "check changes nothing. Findings overlap, so they do not add up."
    )
    if rows.empty:
        return Html("", "")
    figures = [name for name in rows.columns if name != MEANING]
    numeric = ("how many", "customers", "money")

    def cell(tag: str, name: str, text: object) -> str:
        kind = ' class="num"' if name in numeric else ""
        return f"<{tag}{kind}>{with_code(text)}</{tag}>"

    head = "".join(cell("th", name, name) for name in figures)
    body = "".join(
        f'<tr class="figures">{"".join(cell("td", name, row[name]) for name in figures)}</tr>'
        f'<tr class="meaning"><td colspan="{len(figures)}">{with_code(row[MEANING])}</td></tr>'
        for row in rows.to_dict("records")
    )
    name = html.escape(caption)
    markup = (
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="report-table findings"><caption>{name}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Html(markup, rows.to_string(index=False))


def findings_sentence(findings: pd.DataFrame) -> str:
    """What was looked for and not found, and what could not be looked for."""
    found = set(findings.loc[findings["rows"] > 0, "finding"])
    tried = set(findings["finding"])
    clean = [SAID[name][0] for name in SAID if name in tried - found]
    checks = plural(len(tried), "check")
    text = (
        f"{plural(len(found), 'kind')} of finding in {checks}."
        if found
        else f"Nothing was found in {checks}."
    )
    if clean:
        refused = [REFUSED] if "missing_order_date" in tried else []
        text += f" **Looked for and not found:** {listed([*clean, *refused])}."
    lacking: dict[str, list[str]] = {}
    for name, need in _NEEDS.items():
        if name not in tried:
            lacking.setdefault(need, []).append(SAID[name][0])
    untried = [f"{listed(names)} (needs {need})" for need, names in lacking.items()]
    if untried:
        text += f" **Could not be looked for** in this source: {listed(untried)}."
    return text
