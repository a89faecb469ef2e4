"""The workbook's first and last sheets: what is in it, segments and plays, where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.columns import (
    format_money,
    format_percent,
)
from segmentation.core.phrases import plural
from segmentation.deliver.workbook.definitions import TITLES
from segmentation.deliver.workbook.sheets import (
    ALL,
    SegmentList,
    is_anomaly,
    list_name,
    minor_units,
)

_LISTED = {
    "call_first": "to turn to one by one, by {}.",
    "slipping": "who fell a segment or fell silent in the last quarter, by what they spent.",
}


_ADVICE = ("play", "do", "break_even_response", "break_even_mean")


ABOUT = {
    "source": "source of the orders",
    "is_customer_table": "customers came as a ready table",
    "synthetic": "data are made up",
    "as_of": "days are counted to",
    "first_order": "first order",
    "last_order": "last order",
    "raw_rows": "order lines read",
    "sampled": "customers drawn from all",
    "amount_scale": "decimals of an amount",
    "database.engine": "database",
    "gross_margin": "gross margin",
    "margin_is": "gross margin is",
    "contact_cost": "cost of a contact",
    "outcome_days": "days that forecasts cover",
}
"""Facts about a run, as people call them."""


def summary(
    customers: pd.DataFrame,
    lists: list[SegmentList],
    recommendations: pd.DataFrame,
    scale: int,
) -> pd.DataFrame:
    """One row per segment, the most valuable first, and one of all customers.

    Revenue is added up exactly, in minor units of `scale` decimals.
    """
    minor, flagged = minor_units(customers, scale), is_anomaly(customers)
    total, rows = int(minor.sum()), []
    plays = _plays(recommendations)
    silent = dict.fromkeys(_ADVICE)
    everybody = SegmentList(0, ALL, np.arange(len(customers)))
    for each in [*lists, everybody]:
        kind = customers["segment_type"].iloc[each.rows[0]] if each.number else None
        revenue = int(minor[each.rows].sum())
        rows.append(
            {
                "segment_type": kind,
                "segment": each.segment,
                "customers": len(each.rows),
                "customers_share": len(each.rows) / len(customers) if len(customers) else None,
                "revenue": Decimal(revenue).scaleb(-scale),
                "revenue_share": revenue / total if total else None,
                "anomalies": int(flagged[each.rows].sum()),
                **plays.get((kind, each.segment), silent),
                "list": list_name(each.number, each.segment)(1)
                if each.number
                else TITLES["segments"],
            }
        )
    return pd.DataFrame(rows)


def _plays(recommendations: pd.DataFrame) -> dict[tuple[Any, str], dict[str, Any]]:
    if not {"segment_type", "segment", "play"} <= set(recommendations.columns):
        return {}
    table = recommendations.drop_duplicates(["segment_type", "segment"])
    keys = zip(table["segment_type"], table["segment"], strict=True)
    return dict(zip(keys, table.reindex(columns=list(_ADVICE)).to_dict("records"), strict=True))


def summary_notes(
    overview: Mapping[str, Any],
    currency: str,
    findings: pd.DataFrame | None,
    next_steps: Mapping[str, pd.DataFrame],
    *,
    is_told: bool = True,
) -> tuple[str, ...]:
    """What to read and do first, and what the first sheet is about: source, days, money.

    Where it is not told when a campaign pays, why not.
    """
    severe = () if findings is None else findings[findings["severity"] == "severe"].itertuples()
    said = [
        f"Read first: {row.title} ({row.rows:,} lines). The sheet {TITLES['findings']} says what to do."
        for row in severe
    ]
    if not is_told:
        said.append(
            "Read first: beside these orders the cost of a contact looks like another currency. When "
            "a campaign pays is not known until contact_cost is set."
        )
    for name, table in next_steps.items():
        known = table.reindex(columns=["value_at_risk"]).notna().any(axis=None)
        which = _LISTED[name].format("the money at risk" if known else "what they spent")
        if len(table):
            said.append(f"Sheet {TITLES[name]}: {plural(len(table), 'customer')} {which}")
    if any("message" in table for table in next_steps.values()):
        said.append(
            "Who stands on several lists gets one message, which the column Message says: a call before "
            "a letter."
        )
    source = (
        f"{overview.get('source', 'not named')}{' (made up)' if overview.get('synthetic') else ''}"
    )
    said.append(f"Source: {source}. Money in {currency}.")
    if overview.get("first_order"):
        said.append(
            f"Orders from {overview['first_order']} to {overview['last_order']}; days are counted "
            f"to {overview['as_of']}."
        )
    if is_told and "gross_margin" in overview:
        margin = format_percent(overview["gross_margin"])
        cost = format_money(overview["contact_cost"], currency)
        whose = f" ({overview['margin_is']})" if "margin_is" in overview else ""
        said.append(
            f"What pays is counted at a gross margin of {margin}{whose} and {cost} a contact; check both."
        )
    said.append("What every column means stands on the sheet Definitions.")
    return tuple(said)


def about(
    overview: Mapping[str, Any],
    currency: str,
    rows: Mapping[str, int],
    changed: Mapping[str, int],
    money: Mapping[str, Decimal],
) -> pd.DataFrame:
    """Key and value: the run, the sheets, and what had to change to fit a spreadsheet."""
    words = {True: "yes", False: "no", None: "no"}
    facts = {
        ABOUT.get(key, key): words[value] if value is None or isinstance(value, bool) else value
        for key, value in _flat(overview)
    }
    facts.setdefault("currency", currency)
    facts |= {f"rows on sheet {name}": count for name, count in rows.items()}
    facts |= money
    facts |= {name.replace("_", " "): count for name, count in changed.items()}
    facts["reading with pandas"] = (
        f'pandas.read_excel(path, sheet_name="{TITLES["segments"]}", dtype={{"Customer": str}}, '
        "keep_default_na=False) keeps ids as they are"
    )
    return pd.DataFrame(
        {"key": list(facts), "value": pd.Series(list(facts.values()), dtype=object)}
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
            # A set has no order of its own; sorted, it gives the same bytes each time.
            listed = sorted(map(str, value)) if isinstance(value, (set, frozenset)) else value
            yield f"{above}{key}", ", ".join(str(one) for one in listed)
        else:
            yield f"{above}{key}", value
