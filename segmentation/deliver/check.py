"""What a profile reads, before any model: for whoever has just written its SELECT."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
from sqlglot import exp

from segmentation.core.columns import RULE_WORDS
from segmentation.run.run import Run
from segmentation.sources.source import one_select, shown_path

FIRST_CUSTOMERS = 10


def check_text(run: Run) -> str:
    """Everything up to the features of a run, as text for a terminal.

    Raises
    ------
    SourceError
        Whatever would stop the run: the place, three values and where to mend it.
    """
    overview, currency = run["overview"], run.parameters.currency
    parts = {
        "Read": _read(run, overview),
        "Ledger": _table(_ledger(run["ledger"], currency)),
        "Findings": _findings(findings_found(run["findings"])),
        f"First {FIRST_CUSTOMERS} of {overview['customers']:,} customers": _table(
            run["customer_features"].head(FIRST_CUSTOMERS)
        ),
        "SQL as run": _sql(run["sql"]),
    }
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" for title, text in parts.items())


def findings_found(findings: pd.DataFrame) -> pd.DataFrame:
    """What was found, severe ones first; without the facts that the pages put into words."""
    found = findings[(findings["rows"] > 0) | (findings["customers"] > 0)]
    if "severity" in found:
        found = found.sort_values("severity", key=lambda s: s != "severe", kind="stable")
    first = [name for name in ("severity", "finding", "place") if name in found]
    return found[[*first, *(n for n in found if n not in (*first, "facts"))]]


def _findings(found: pd.DataFrame) -> str:
    """Counts in a table, and below it what each means and what to do."""
    if found.empty:
        return "none"
    said = [
        f"{row.title}{f' ({row.place})' if row.place else ''}: {row.what_to_do}"
        for row in found.itertuples()
    ]
    return "\n".join([_table(found.drop(columns=["title", "what_to_do"])), "", *said])


def _read(run: Run, overview: dict[str, Any]) -> str:
    source = run.source
    query = one_select(source.sql)
    casts, joins = (len(list(query.find_all(kind))) for kind in (exp.Cast, exp.Join))
    tables = run["raw_columns"].groupby("file", sort=False)
    lines = [
        f"{file}: {rows['rows'].iloc[0]:,} rows; columns {', '.join(rows['column'])}"
        for file, rows in tables
    ]
    read = {"location": shown_path(run.parameters.location)} | overview["database"]
    lines += [f"{name}: {words}" for name, words in read.items()]
    lines.append(f"source {source.name}: {casts} cast(s) and {joins} join(s) tried, none refused")
    if not overview["is_customer_table"]:
        lines.append(f"orders from {overview['first_order']} to {overview['last_order']}")
        lines.append(f"observed until {overview['as_of']}")
    return "\n".join(lines)


def _ledger(ledger: pd.DataFrame, currency: str) -> pd.DataFrame:
    used = ledger[(ledger["rows"] > 0) | ledger["rule"].isin(["raw", "kept"])]
    return pd.DataFrame(
        {
            "rule": used["rule"].map(lambda rule: RULE_WORDS.get(rule, rule)),
            "lines": used["rows"],
            "customers": used["customers"],
            currency: used["amount"],
        }
    )


def _table(frame: pd.DataFrame) -> str:
    def cell(value: Any) -> str:
        if value is None or value is pd.NaT or value is pd.NA or value != value:
            return ""
        if isinstance(value, float):
            return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
        if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return f"{value:,}"
        return str(value).replace(" 00:00:00", "")

    return frame.map(cell).to_string(index=False, justify="left")


def _sql(sql: dict[str, Any]) -> str:
    parts = [(name, sql[name].strip()) for name in ("source", "clean", "features") if sql[name]]
    said = [f"-- {name}\n{text}" for name, text in parts]
    values = "\n".join(f"-- ${name} = {value}" for name, value in sql["values"].items())
    return "\n\n".join([*said, *([values] if values else [])])
