"""The campaign kit for a whole run: who is contacted in each segment, and a trial without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions import campaign
from segmentation.actions.break_even import margin_used
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import recommend, who_orders_anyway
from segmentation.core.limits import LEAST_ARM, QUARTER_DAYS
from segmentation.core.parameters import Parameters
from segmentation.orders.customer_ids import perhaps_guests

ARM = "arm"
ARM_COLUMNS = ("customer_id", "segment_type", "segment", ARM, "total_spent")
PLAN_COLUMNS = (
    "segment_type", "segment", "play", "treatment", "control", "spend_difference", "outcome_days",
    "base", "detectable", "break_even_response", "break_even_mean",
)  # fmt: skip
AA_COLUMNS = (
    "segment_type", "segment", "days", "n_treatment", "n_control", "treatment", "control",
    "uplift", "low", "high", "is_shown",
)  # fmt: skip


def arms_of_run(
    customers: pd.DataFrame, recommendations: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """Both lists of every segment that a campaign is recommended for, in two equal arms.

    The same lists as ``segmentation campaign split`` with this seed writes one by one.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        ``customer_id, segment_type, segment, total_spent``.
    recommendations : DataFrame, one row per segment
        ``segment_type, segment, is_campaign``.

    Returns
    -------
    DataFrame of `ARM_COLUMNS`, sorted by group, segment and id
        Personal data: for files and the workbook, never for a page.
    """
    parts = []
    for row in recommendations[recommendations["is_campaign"]].itertuples():
        own = (customers["segment_type"] == row.segment_type) & (
            customers["segment"] == row.segment
        )
        if own.sum() < LEAST_ARM:
            continue
        arms = campaign.split(customers[own], seed=seed)
        parts.append(arms.assign(segment_type=row.segment_type, segment=row.segment))
    if not parts:
        return pd.DataFrame(columns=list(ARM_COLUMNS))
    keys = ["segment_type", "segment", "customer_id"]
    return pd.concat(parts)[list(ARM_COLUMNS)].sort_values(keys, ignore_index=True)


def plan(arms: pd.DataFrame, recommendations: pd.DataFrame) -> pd.DataFrame:
    """One row per segment with a campaign: sizes of the arms, balance, what the test shows.

    Returns
    -------
    DataFrame of `PLAN_COLUMNS`, in the order of the recommendations
        ``spend_difference`` of the arms' means in standard deviations (below 0.1 is called
        balanced); the rest as in the recommendations.
    """
    rows = []
    for row in recommendations.to_dict("records"):
        own = arms[
            (arms["segment_type"] == row["segment_type"]) & (arms["segment"] == row["segment"])
        ]
        if own.empty:
            continue
        contacted = int((own[ARM] == campaign.TREATMENT).sum())
        found = {
            "treatment": contacted,
            "control": len(own) - contacted,
            "spend_difference": campaign.balance(own),
        }
        rows.append({name: (row | found)[name] for name in PLAN_COLUMNS})
    return pd.DataFrame(rows, columns=list(PLAN_COLUMNS))


def read_out_nothing(
    *, holdout: dict[str, Any], holdout_today: pd.DataFrame, parameters: Parameters
) -> dict[str, Any]:
    """Whether a read-out shows an effect where nobody was contacted."""
    if not holdout["possible"]:
        return {"holdout_aa": pd.DataFrame(columns=list(AA_COLUMNS))}
    days = min(QUARTER_DAYS, holdout["days_after"])
    trial = trial_without_campaign(holdout_today, days=days, seed=parameters.random_state)
    return {"holdout_aa": trial}


def advise(
    *,
    customers: pd.DataFrame,
    stability: pd.DataFrame,
    holdout: dict[str, Any],
    holdout_responses: pd.DataFrame,
    line_findings: pd.DataFrame,
    order_anyway: pd.DataFrame,
    naming_rules: dict[str, Any],
    plays: dict[str, Any],
    margins: pd.DataFrame,
    parameters: Parameters,
) -> dict[str, Any]:
    """One play per segment with audience, money and break-even; the lists of a test."""
    table = recommend(
        customers,
        gross_margin=margin_used(parameters.gross_margin, margins),
        contact_cost=parameters.contact_cost,
        currency=parameters.currency,
        responses=who_orders_anyway(holdout_responses, order_anyway),
        random_state=parameters.random_state,
        plays=plays["plays"],
        naming_rules=naming_rules,
    )
    sizes = campaign.sizes_by_segment(table)
    table = add_limits(table, sizes, stability, no_holdout=holdout["unfollowed"])
    listed = customers[~customers["customer_id"].isin(perhaps_guests(line_findings))]
    arms = arms_of_run(listed, table, seed=parameters.random_state)
    return {
        "recommendations": table,
        "campaign_sizes": sizes,
        "campaign_arms": arms,
        "campaign_plan": plan(arms, table),
    }


def trial_without_campaign(customers: pd.DataFrame, *, days: int, seed: int) -> pd.DataFrame:
    """Divide the customers of a cut by lot, contact nobody, and read out what followed.

    An A/A test: there is no effect, so a read-out that shows one is a false alarm, of
    which 95% intervals allow one in twenty.

    Parameters
    ----------
    customers : DataFrame, one row per customer known at the cut
        ``customer_id, segment_type, segment, total_spent`` and ``days_to_order``.
    days : int
        Period after the cut in which an order counts.

    Returns
    -------
    DataFrame of `AA_COLUMNS`, one row per segment of two customers or more
    """
    rows = []
    groups = customers.groupby(["segment_type", "segment"], sort=True)
    for (kind, segment), members in sorted(
        groups, key=lambda one: (one[0][0], -one[1]["total_spent"].mean())
    ):
        if len(members) < LEAST_ARM:
            continue
        arms = campaign.split(members, seed=seed).merge(
            members[["customer_id", "days_to_order"]], on="customer_id", validate="one_to_one"
        )
        treated = (arms["arm"] == campaign.TREATMENT).to_numpy()
        ordered = (arms["days_to_order"] <= days).to_numpy()
        if min(treated.sum(), (~treated).sum()) == 0:
            continue
        block = campaign.blocks_of(arms["total_spent"].to_numpy(dtype=np.float64), treated)
        found = campaign.response_in_blocks(ordered, treated, block)
        rows.append(
            (kind, segment, days, found.n_treatment, found.n_control, found.treatment,
             found.control, found.uplift, found.low, found.high, found.is_shown)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(AA_COLUMNS))
