"""Tables and sentences about what is wrong with the data."""

from __future__ import annotations

import html

import pandas as pd

from segmentation.book.behind import ABOUT_FEW, FEW, HIDDEN, hide_few, withheld
from segmentation.book.words.text import Html, listed, plural, table_of, with_code
from segmentation.core.columns import FORGOTTEN, RULE_WORDS, RULES, format_money
from segmentation.core.limits import LEAST_PUBLISHED
from segmentation.orders.finding_words import KINDS

MEANING = "what it means, and what to do"
_NEEDS = {
    "amount_arithmetic": "unit_price",
    "orphan": "a joined table",
    "registered_after_as_of": "registered_date",
}
REFUSED = "impossible dates and values that are no number (they stop a run before it begins)"


def findings_table(findings: pd.DataFrame, *, currency: str) -> Html:
    """Everything that was found, with count, money, customers and what to do about it."""
    rows = []
    for row in findings[findings["severity"] != "none"].itertuples():
        rows.append(
            {
                "finding": f"{row.title}: `{row.place}`" if row.place else row.title,
                "severity": row.severity,
                "how many": plural(row.rows, KINDS[row.finding].unit),
                "customers": f"{row.customers:,}" if row.customers else "–",
                "money": format_money(float(row.amount), currency, exact=True)
                if row.amount
                else "–",
                "in this report": row.treatment,
                MEANING: row.what_to_do,
            }
        )
    return _two_storeys(pd.DataFrame(rows))


def _two_storeys(rows: pd.DataFrame) -> Html:
    """Figures in one row, words across the page below them: no column is squeezed or cut off."""
    caption = (
        "What was found. Set aside: left out of every figure; kept: in every figure; reported: the "
        "check changes nothing. Severe: figures of this report may be wrong by it. Findings overlap, so "
        "they do not add up. `findings.csv` has three examples of each."
    )
    if rows.empty:
        return Html("", "")
    figures = [name for name in rows.columns if name != MEANING]
    numeric = ("how many", "customers", "money")
    rows = hide_few(rows, numeric, adds_up=False)

    def cell(tag: str, name: str, text: object) -> str:
        kind = ' class="num"' if name in numeric else ""
        kind += ' scope="col"' if tag == "th" else ""
        return f"<{tag}{kind}>{with_code(text)}</{tag}>"

    head = "".join(cell("th", name, name) for name in figures)
    body = "".join(
        f'<tr class="figures">{"".join(cell("td", name, row[name]) for name in figures)}</tr>'
        f'<tr class="meaning"><td colspan="{len(figures)}">{with_code(row[MEANING])}</td></tr>'
        for row in rows.to_dict("records")
    )
    name = with_code(caption)
    label = html.escape(caption.replace("`", ""))
    markup = (
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="report-table findings"><caption>{name}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Html(markup, rows.to_string(index=False), rows)


def findings_sentence(findings: pd.DataFrame) -> str:
    """What was looked for and not found, and what could not be looked for."""
    found = set(findings.loc[findings["severity"] != "none", "finding"])
    tried = set(findings["finding"])
    clean = [KINDS[name].title for name in KINDS if name in tried - found]
    refused = [REFUSED] if "missing_order_date" in tried else []
    checks = plural(len(tried) + len(refused), "check")
    text = (
        f"{plural(len(found), 'kind')} of finding in {checks}."
        if found
        else f"Nothing was found in {checks}."
    )
    without = ""
    if clean:
        kinds = "".join(f"\n- {name}" for name in [*clean, *refused])
        without = f"<details><summary>Looked for and not found: {plural(len(clean) + len(refused), 'kind')}</summary>"
        without = f"\n\n{without}\n{kinds}\n\n</details>"
    lacking: dict[str, list[str]] = {}
    for name, need in _NEEDS.items():
        if name not in tried:
            lacking.setdefault(need, []).append(KINDS[name].title)
    untried = [f"{listed(names)} (needs {need})" for need, names in lacking.items()]
    if untried:
        text += f" **Could not be looked for** in this source: {listed(untried)}."
    return text + without


def ledger_table(ledger: pd.DataFrame) -> Html:
    """The ledger to the cent, in the order of the rules."""
    why = {rule.name: rule.why for rule in (FORGOTTEN, *RULES)} | {
        "raw": "Everything the source holds.",
        "kept": "What features are computed from.",
    }
    rows = pd.DataFrame(
        {
            "step": ledger["rule"].map(RULE_WORDS),
            "lines": ledger["rows"].map("{:,}".format),
            "customers": ledger["customers"].map("{:,}".format),
            "amount": [f"{amount:,}" for amount in ledger["amount"]],
            "why": ledger["rule"].map(why),
        }
    )
    rules = ledger.iloc[1:-1]
    few = rules["customers"].between(1, LEAST_PUBLISHED - 1)
    hidden, _ = withheld(rules["customers"], rules[["rule"]])
    rows.loc[hidden.index[hidden], ["customers", "amount"]] = HIDDEN
    rows.loc[few.index[few], "customers"] = FEW
    return table_of(
        rows,
        caption=(
            "Ledger. A line counts under the first rule that it meets; lines and amount add up "
            "exactly, customers do not (one may have lines under several rules)."
            + (f" {ABOUT_FEW}" if few.any() else "")
        ),
        numeric=("lines", "customers", "amount"),
    )
