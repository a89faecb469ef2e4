"""Segments -> what to do about each, with its own numbers and a break-even, not a promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

_PLAYS_FILE = Path(__file__).parent / "plays.yaml"


def load_plays(path: Path = _PLAYS_FILE) -> list[dict[str, Any]]:
    """The ordered list of plays, as data."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))["plays"]


def break_even_response(contact_cost: float, gross_margin: float, order_value: float) -> float:
    """Share of contacted customers who must place one order they would not have placed.

    One contact costs `contact_cost`; one extra order brings ``gross_margin *
    order_value``. Doubling the margin halves the break-even. Above 1 a contact cannot
    pay for itself with one order; infinite where an order is worth nothing.

    Examples
    --------
    >>> break_even_response(1.0, 0.25, 40.0)
    0.1
    >>> break_even_response(1.0, 0.5, 40.0)
    0.05
    """
    worth = gross_margin * order_value
    return contact_cost / worth if worth > 0 else float("inf")


def recommend(
    customers: pd.DataFrame,
    *,
    gross_margin: float,
    contact_cost: float,
    plays: list[dict[str, Any]] | None = None,
) -> pd.DataFrame:
    """One row per segment: who they are, what they are worth, the play, its break-even.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        All features the source allows, ``segment_type``, ``cluster``, ``segment``,
        ``is_anomaly``.
    gross_margin : float
        Share of revenue left after the cost of goods; an assumption of the profile.
    contact_cost : float
        Account currency per contact; an assumption of the profile.

    Returns
    -------
    DataFrame sorted by revenue, largest first
        ``segment_type, segment, play, why, do, measure, customers, revenue,
        revenue_share, revenue_per_customer, one_time_share, median_recency,
        typical_order, break_even_response, campaign_cost, anomalies``. Missing where the
        source cannot tell.
    """
    plays = plays or load_plays()
    total = customers["total_spent"].sum()
    rows = []
    for (kind, _, segment), members in customers.groupby(["segment_type", "cluster", "segment"]):
        group = customers[customers["segment_type"] == kind]
        facts = _facts(members, group)
        play = next(item for item in plays if _fits(facts, item["when"]))
        response = break_even_response(contact_cost, gross_margin, facts["typical_order"])
        rows.append(
            {
                "segment_type": kind,
                "segment": segment,
                "play": play["play"],
                "why": play["why"],
                "do": play["do"],
                "measure": play["measure"],
                "customers": len(members),
                "revenue": members["total_spent"].sum(),
                "revenue_share": members["total_spent"].sum() / total if total else 0.0,
                "revenue_per_customer": members["total_spent"].mean(),
                "one_time_share": facts["one_time_share"],
                "median_recency": facts["median_recency"],
                "typical_order": facts["typical_order"],
                "break_even_response": response,
                "campaign_cost": len(members) * contact_cost,
                "anomalies": int(members["is_anomaly"].sum()),
            }
        )
    table = pd.DataFrame(rows).sort_values(
        ["revenue", "segment_type", "segment"], ascending=[False, True, True]
    )
    return table.reset_index(drop=True)


def _facts(members: pd.DataFrame, group: pd.DataFrame) -> dict[str, Any]:
    ratios = {}
    for name in ("total_spent", "total_unit"):
        if name in group.columns and group[name].mean() > 0:
            ratios[name] = members[name].mean() / group[name].mean()
    one_time = np.nan
    if "frequency" in members.columns:
        one_time = float((members["frequency"] == 1).mean())
    elif "first_to_last_order" in members.columns:
        one_time = float((members["first_to_last_order"] == 0).mean())
    recency = members["recency"].median() if "recency" in members.columns else np.nan
    group_recency = group["recency"].median() if "recency" in group.columns else np.nan
    order = "average_order_value" if "average_order_value" in members.columns else "total_spent"
    return {
        "customers": len(members),
        "ratios": ratios,
        "one_time_share": one_time,
        "median_recency": recency,
        "recency_over_group": recency / group_recency if group_recency > 0 else np.nan,
        "typical_order": float(members[order].median()),
    }


def _fits(facts: dict[str, Any], when: dict[str, Any]) -> bool:
    if "customers_below" in when and not facts["customers"] < when["customers_below"]:
        return False
    ratios = facts["ratios"]
    for name, least in when.get("ratio_at_least", {}).items():
        if not ratios.get(name, 0.0) >= least:
            return False
    outgrow = when.get("units_outgrow_spend")
    if outgrow and not ratios["total_unit"] >= outgrow * ratios.get("total_spent", 0.0):
        return False
    if "recency_over_group" in when and not (
        facts["recency_over_group"] >= when["recency_over_group"]
    ):
        return False
    return not (
        "one_time_share_at_least" in when
        and not facts["one_time_share"] >= when["one_time_share_at_least"]
    )
