"""Whom the choice between `returns: exclude` and `returns: net` moves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation.actions.compare import customer_movements, migration
from segmentation.actions.matching import RunResult, match_segments
from segmentation.core.errors import SegmentationError
from segmentation.core.parameters import Parameters
from segmentation.segments.model import SegmentModel
from segmentation.segments.own_labels import OWN_LABELS

TOP_MOVERS = 5
MOVED_KINDS = ("moved", "redrawn")
MOVER_COLUMNS = (
    "orders", "units_exclude", "units_net", "spent_exclude", "spent_net",
    "segment_type_exclude", "segment_exclude", "segment_type_net", "segment_net", "movement",
)  # fmt: skip


def no_choice(why: str) -> dict[str, Any]:
    """The stage's results where there is nothing to choose, and why."""
    return {
        "returns_choice": {"why_not": why},
        "returns_migration": pd.DataFrame(),
        "returns_movers": pd.DataFrame(columns=list(MOVER_COLUMNS)),
    }


def other_policy(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """The other choice about returns, fitted anew."""
    changed: dict[str, Any] = {"returns": "net" if parameters.returns == "exclude" else "exclude"}
    if parameters.n_clusters != "auto":
        changed["k_max"] = 2  # other numbers of clusters are not looked at
    return {changed["returns"]: changed}


def whom_it_moves(
    *,
    returned_lines: pd.DataFrame,
    customers: pd.DataFrame,
    model: SegmentModel,
    overview: dict[str, Any],
    others: dict[str, Callable[[str], Any]],
    parameters: Parameters,
) -> dict[str, Any]:
    """Compare with the other choice, where there is one to make."""
    if returned_lines.empty:
        return no_choice("the source marks no line of a customer as a return")
    if OWN_LABELS in model.info:
        return no_choice("the segments are labels of your own, which no choice moves")
    if parameters.fit_on != "all":
        return no_choice("all but a sample of the customers stay on the cluster")
    found: dict[str, RunResult] = {
        parameters.returns: RunResult(customers, model, overview["amount_scale"])
    }
    try:
        for policy, result_of in others.items():
            found[policy] = RunResult(
                result_of("customers"), result_of("model"), result_of("overview")["amount_scale"]
            )
    except SegmentationError as error:
        return no_choice(str(error).rstrip("."))
    return returns_choice(found["exclude"], found["net"])


def returns_choice(excluded: RunResult, net: RunResult) -> dict[str, Any]:
    """Compare the segments of the same data with returns set aside and with returns deducted.

    Parameters
    ----------
    excluded, net : RunResult
        The same run under ``returns: exclude`` and ``returns: net``, each fitted anew.

    Returns
    -------
    dict
        ``returns_choice``: customers of both, how many change segment (segments recognised
        by their profile), and the exact money that returns take away, in all and from
        those who change. ``returns_migration``: as ``compare.migration``.
        ``returns_movers``: the `TOP_MOVERS` customers whose spend changes most, by facts
        and without ids.
    """
    matching = match_segments(excluded, net)
    customers = customer_movements(excluded, net, matching)
    both = customers.dropna(subset=["revenue_before", "revenue_after"])
    change = [b - a for b, a in zip(both["revenue_before"], both["revenue_after"], strict=True)]
    both = both.assign(change=change)
    moved = both[both["movement"].isin(MOVED_KINDS)]
    emptied = ((both["revenue_before"] > 0) & (both["revenue_after"] <= 0)).sum()
    facts = {
        "why_not": "",
        "customers": len(both),
        "with_returns": sum(value != 0 for value in both["change"]),
        "changed": len(moved),
        "redrawn": int((moved["movement"] == "redrawn").sum()),
        "nothing_left": int(emptied),
        "money": str(sum(both["change"], Decimal(0))),
        "money_of_changed": str(sum(moved["change"], Decimal(0))),
        "not_alike": int((~matching["is_same"]).sum()),
    }
    return {
        "returns_choice": facts,
        "returns_migration": migration(customers),
        "returns_movers": _movers(both, excluded, net),
    }


def _movers(both: pd.DataFrame, excluded: RunResult, net: RunResult) -> pd.DataFrame:
    size = [-abs(value) for value in both["change"]]
    # equal changes are listed by their facts, never by id
    keyed = both.assign(size=size).sort_values(
        ["size", "revenue_before", "segment_before"], ascending=[True, False, True]
    )
    top = keyed[keyed["change"] != 0].head(TOP_MOVERS)
    before = excluded.customers.set_index("customer_id").loc[top["customer_id"]]
    after = net.customers.set_index("customer_id").loc[top["customer_id"]]
    return pd.DataFrame(
        {
            "orders": before["frequency"].astype("int64").to_list(),
            "units_exclude": before["total_unit"].to_list(),
            "units_net": after["total_unit"].to_list(),
            "spent_exclude": top["revenue_before"].to_list(),
            "spent_net": top["revenue_after"].to_list(),
            "segment_type_exclude": top["segment_type_before"].to_list(),
            "segment_exclude": top["segment_before"].to_list(),
            "segment_type_net": top["segment_type_after"].to_list(),
            "segment_net": top["segment_after"].to_list(),
            "movement": top["movement"].to_list(),
        },
        columns=list(MOVER_COLUMNS),
    )
