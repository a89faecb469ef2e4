"""All findings of a run: those of lines, those of dates, and both outcomes of a repair."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from segmentation.core.parameters import Parameters
from segmentation.customers import features
from segmentation.orders import dates as date_findings
from segmentation.orders.days_unsure import why_unsure
from segmentation.orders.finding_words import told

OUTCOMES = ("off", "swap_day_month")


def both_repairs(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Both outcomes of a repair of dates, whichever is in use."""
    return {outcome: {"date_repair": outcome} for outcome in OUTCOMES}


def judged_dates(
    *, order_days: pd.DataFrame, registration_days: pd.DataFrame, parameters: Parameters
) -> dict[str, Any]:
    """Whether day and month of dates were exchanged, as found before any repair.

    Parameters
    ----------
    order_days, registration_days : DataFrame
        As the stage of orders gives them; empty for a customer table.

    Returns
    -------
    dict
        ``swap``, the evidence per column of dates; ``days_unsure``, why days of orders are not
        to be counted with, or nothing; ``days_found``, lines per day as found.
    """
    if order_days.empty:
        return {"swap": {}, "days_unsure": "", "days_found": pd.DataFrame()}
    days = date_findings.days_as_found(order_days, date_repair=parameters.date_repair)
    swap = date_findings.evidence_of(days, registration_days)
    why = why_unsure(swap, date_repair=parameters.date_repair)
    return {"swap": swap, "days_unsure": why, "days_found": days}


def all_findings(
    *,
    line_findings: pd.DataFrame,
    days_found: pd.DataFrame,
    registration_days: pd.DataFrame,
    ledger: pd.DataFrame,
    swap: dict[str, Any],
    others: dict[str, Callable[[str], Any]],
    parameters: Parameters,
) -> dict[str, Any]:
    """Findings of lines and dates; where dates look exchanged, both outcomes too.

    Parameters
    ----------
    days_found, swap
        As `judged_dates` gives them; empty for a customer table.
    ledger : DataFrame
        Its last row is the revenue that a finding's money is weighed with.
    others : dict of ``date_repair`` to what gives results of the same run under it
        Asked for features and overview.

    Returns
    -------
    dict
        ``findings``, all of them, with how grave each is and what to do; ``repair``, both
        outcomes; ``group_moves``, who would change registration group. The last two are
        empty without a sign.
    """
    date_repair = parameters.date_repair
    revenue = ledger["amount"].iloc[-1]
    words = partial(told, currency=parameters.currency, revenue=revenue)
    results: dict[str, Any] = {"findings": words(line_findings)}
    results |= {name: pd.DataFrame() for name in ("repair", "group_moves")}
    if days_found.empty:
        return results
    days = days_found
    changed = 0
    if date_repair != "off" or swap["order_date"]["strength"] != "none":
        tables, as_of = {}, {}
        for name, result_of in others.items():
            table, overview = result_of("customer_features"), result_of("overview")
            tables[name] = features.add_segment_type(table, split_pre_register=True)
            as_of[name] = pd.Timestamp(overview["as_of"])
        scale = overview["amount_scale"]
        results["repair"] = date_findings.repair_outcomes(
            tables, days, swap["order_date"], as_of=as_of, scale=scale
        )
        results["group_moves"] = date_findings.group_moves(*tables.values(), scale=scale)
        changed = date_findings.customers_changed(*tables.values(), as_of=as_of)
    dates = date_findings.date_findings(
        days, registration_days, swap, customers_changed=changed, date_repair=date_repair
    )
    return results | {"findings": words(pd.concat([line_findings, dates], ignore_index=True))}
