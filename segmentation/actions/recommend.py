"""Segments -> what to do about each, with its own numbers and a break-even, not a promise.

The share that orders anyway is the forecast of today's customers or, where there is none,
comes from customers followed after a cut; never from the window that made the segments: there
a segment of the long absent orders nothing because of how it was made.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.break_even import (
    break_even_response,
    dearer_than_typical,
    sensible_cost,
)
from segmentation.actions.gaps import gap_to_next, gap_words, ordered_once
from segmentation.core import rule_files
from segmentation.core.columns import format_money
from segmentation.core.intervals import MIDDLE_95
from segmentation.core.limits import (
    FEW_DRAWS,
    LEAST_RESPONSES,
    MANY_CUSTOMERS,
    REVENUE_DRAWS,
)

RESPONSE_VALUES = {
    "base": "share",
    "base_low": "low",
    "base_high": "high",
    "base_customers": "customers",
    "base_ordered": "ordered",
    "base_recency": "median_recency",
    "base_is": "base_is",
    "first_order": "value",
    "typical_first": "typical",
    "value_in_period": "value_in_period",
    "base_quarters": "quarters",
    "latest": "latest",
    "latest_base": "latest_share",
    "latest_value": "latest_value",
    "latest_forecast": "latest_forecast",
}
FIRST_ORDER, WINDOW_ORDER, ALL_SPENT = "first order", "order in the window", "all they spent"
"""What a response is taken to be worth: which mean it is."""
FORECAST, FOLLOWED = "forecast of today's customers", "customers followed after the cut"
"""Whose share of orders without a campaign it is."""
AT_LEAST = {
    "median_recency_at_least": "median_recency",
    "recency_over_group": "recency_over_group",
    "one_time_share_at_least": "one_time_share",
}
"""Conditions of a play that a fact of the segment has to reach; one not known does not."""
NOT_AT_THIS_COST = "Do not contact at this cost"


def load_plays() -> list[dict[str, Any]]:
    """The shipped plays in their order, as data."""
    return rule_files.load_rules("plays")["plays"]


def revenue_interval(
    spent: np.ndarray, customers: int, *, random_state: int
) -> tuple[float, float]:
    """95% interval of a segment's revenue, from the customers it has.

    Parameters
    ----------
    spent : array of shape (n_members,)
        Money of each customer of the segment; the order plays no part.
    customers : int
        Customers of the whole run, of whom the segment is a part.

    Notes
    -----
    Percentile bootstrap (Efron and Tibshirani 1993) over all customers: how many of a
    resample fall into the segment is binomial, and who they are is drawn with
    replacement. Borders of segments stay where they are. It says how much the sum hangs
    on who happened to be a customer, not what will be spent next year.
    """
    members = np.sort(np.asarray(spent, dtype=np.float64))
    chance = np.random.default_rng(random_state)
    draws = REVENUE_DRAWS if customers <= MANY_CUSTOMERS else FEW_DRAWS
    sizes = chance.binomial(customers, len(members) / customers, size=draws)
    sums = [members[chance.integers(len(members), size=size)].sum() for size in sizes]
    low, high = np.quantile(sums, MIDDLE_95)
    return float(low), float(high)


def recommend(
    customers: pd.DataFrame,
    *,
    gross_margin: float,
    contact_cost: float,
    currency: str = "",
    responses: pd.DataFrame | None = None,
    random_state: int = 0,
    plays: list[dict[str, Any]] | None = None,
    naming_rules: dict[str, Any] | None = None,
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
    currency : str
        Its code, for the sentence that says at what cost a contact would make sense.
    responses : DataFrame, as `who_orders_anyway` gives it
        Who orders anyway; none where neither forecast nor hold-out tells.
    random_state : int
        Seed of the resamples behind the interval of revenue.
    plays, naming_rules : as ``rule_files.load_rules`` gives them
        The shipped ones unless given. A name's own plays are tried before the others.

    Returns
    -------
    DataFrame sorted by revenue, largest first
        ``segment_type, segment, play, is_campaign, why, gap, do, measure, customers, revenue,
        revenue_low, revenue_high, revenue_share, largest_share, revenue_per_customer,
        one_time_share, median_recency, response_value, mean_value, response_is, typical_order, value_in_period,
        break_even_response, break_even_mean, cost_limit, campaign_cost, outcome_days, base, base_low, base_high,
        base_customers, base_ordered, base_recency, base_is, base_quarters, latest, latest_base,
        latest_value, latest_forecast, anomalies``. ``mean_value`` is the mean first order of those who ordered
        within ``outcome_days``; of fewer than `LEAST_RESPONSES`, the mean order of the segment in the
        window (``response_is`` says which); ``typical_order`` the median of the
        same orders. ``response_value``, by which break-evens count, is the mean; where that of any
        segment is `MEAN_OF_FEW` times its typical order or more, the smaller of the two for all
        segments, and ``break_even_mean`` tells the other break-even.
        ``value_in_period`` all that they spent within those days. ``cost_limit`` as
        `sensible_cost` gives it: where a contact costs more, the play is not to contact.
        ``base`` is the share of ``base_customers`` that orders within ``outcome_days``
        without any campaign, with its 95% interval: of today's customers as forecast, or of
        those whom the segment's borders held at the cut (``base_is`` says which).
        ``base_ordered`` ordered after the cut, or so many times one of them did within the
        last ``base_quarters`` quarters; ``base_recency`` is the median of days since the last
        order at the cut. ``latest_base`` ordered, for ``latest_value`` each, in the last quarter
        that was followed, from the day ``latest``, where the same forecast had said ``latest_forecast``. Missing where the source cannot tell.
    """
    plays = plays or load_plays()
    given = rule_files.with_names(naming_rules or rule_files.load_rules("naming_rules"))
    total = customers["total_spent"].sum()
    found = []
    for (kind, _, segment), members in customers.groupby(["segment_type", "cluster", "segment"]):
        group = customers[customers["segment_type"] == kind]
        facts = _facts(members, group)
        own_plays = given.get(segment, {}).get("plays", [])
        play = next(item for item in in_order(plays, own_plays) if _fits(facts, item["when"]))
        anyway = _ordered_anyway(responses, kind, segment, play["outcome_days"])
        worth = anyway.pop("first_order"), anyway.pop("typical_first"), FIRST_ORDER
        if not anyway["base_ordered"] >= LEAST_RESPONSES or not np.isfinite(worth[0]):
            worth = facts["mean_order"], facts["typical_order"], facts["order_is"]
        found.append((kind, segment, members, facts, play, anyway, *worth))
    # one footing for all: else a segment would seem to pay more easily for its lower bar
    by_typical = any(dearer_than_typical(mean, typical) for *_, mean, typical, _ in found)
    rows = []
    for kind, segment, members, facts, play, anyway, mean, typical, mean_is in found:
        spent = members["total_spent"]
        low, high = revenue_interval(spent.to_numpy(), len(customers), random_state=random_state)
        days, value = play["outcome_days"], mean
        if by_typical and 0 < typical < mean:
            value = typical
        limits = [
            sensible_cost(gross_margin, worth, base=anyway["base"]) for worth in (value, mean)
        ]
        is_campaign = play.get("is_campaign", True)
        if is_campaign and contact_cost > limits[0]:
            is_campaign, play = False, _left_alone(play, limits[0], limits[1], currency)
        rows.append(
            {
                "segment_type": kind,
                "segment": segment,
                "play": play["play"],
                "is_campaign": is_campaign,
                "why": play["why"],
                "gap": facts["gap_words"],
                "do": play["do"],
                "measure": play["measure"].replace("{days}", str(days)),
                "customers": len(members),
                "revenue": spent.sum(),
                "revenue_low": low,
                "revenue_high": high,
                "revenue_share": spent.sum() / total if total else 0.0,
                "largest_share": spent.max() / spent.sum() if spent.sum() > 0 else np.nan,
                "revenue_per_customer": spent.mean(),
                "one_time_share": facts["one_time_share"],
                "median_recency": facts["median_recency"],
                "response_value": value,
                "mean_value": mean,
                "response_is": mean_is,
                "typical_order": typical,
                "value_in_period": anyway.pop("value_in_period"),
                "break_even_response": break_even_response(contact_cost, gross_margin, value),
                "break_even_mean": np.nan
                if value == mean
                else break_even_response(contact_cost, gross_margin, mean),
                "cost_limit": limits[0],
                "campaign_cost": len(members) * contact_cost,
                "outcome_days": days,
                **anyway,
                "anomalies": int(members["is_anomaly"].sum()),
            }
        )
    table = pd.DataFrame(rows).sort_values(
        ["revenue", "segment_type", "segment"], ascending=[False, True, True]
    )
    return table.reset_index(drop=True)


def in_order(plays: list[dict[str, Any]], of_name: list[str]) -> list[dict[str, Any]]:
    """Plays in the order in which they are tried for a segment of a name.

    First those for too few customers, then the name's own in its order, then the rest.

    Examples
    --------
    >>> [play["play"] for play in in_order(load_plays(), ["Retain", "Win back"])][:4]
    ['Watch', 'Retain', 'Win back', 'Look after bulk buyers']
    """

    def place(play: dict[str, Any]) -> int:
        if "customers_below" in play["when"]:
            return -1
        return of_name.index(play["play"]) if play["play"] in of_name else len(of_name)

    return sorted(plays, key=place)


def who_orders_anyway(followed: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """Those who were followed after the cut, with the share forecast of today's customers.

    Parameters
    ----------
    followed, forecast : DataFrame, one row per segment and period
        ``holdout_responses`` and ``order_anyway`` of a run.

    Returns
    -------
    DataFrame
        `followed`; where there is a forecast ``customers, share, low, high`` are of today, and
        what an order is worth is of the last four quarters: of one cut long ago it may be another.
    """
    keys = ["segment_type", "segment", "days"]
    today = forecast.set_index(keys).drop(columns=["modelled", "median_recency", "cuts"])
    then = followed.set_index(keys).assign(base_is=FOLLOWED)
    return today.assign(base_is=FORECAST).combine_first(then).reset_index()


def _ordered_anyway(
    responses: pd.DataFrame | None, kind: str, segment: str, days: int
) -> dict[str, Any]:
    """The row that answers for a segment and a period; NaN without one."""
    if responses is None or responses.empty:
        return dict.fromkeys(RESPONSE_VALUES, np.nan)
    own = responses[
        (responses["segment_type"] == kind)
        & (responses["segment"] == segment)
        & (responses["days"] == days)
    ]
    if own.empty:
        return dict.fromkeys(RESPONSE_VALUES, np.nan)
    return own.rename(columns={old: new for new, old in RESPONSE_VALUES.items()}).reindex(
        columns=list(RESPONSE_VALUES)
    ).to_dict("records")[0]  # fmt: skip


def _left_alone(
    play: dict[str, Any], limit: float, by_mean: float, currency: str
) -> dict[str, Any]:
    """A play whose contacts cost more than they can bring back, and when it would be one.

    `by_mean` is the limit by the mean order; it is said where it is another one.
    """
    most, more = (
        format_money(cost, currency, exact=True) if currency else f"{cost:,.2f}"
        for cost in (math.floor(100 * each + 1e-9) / 100 for each in (limit, by_mean))
    )
    most += f" ({more} by the mean order)" if more != most else ""
    at = (
        f" A contact that costs {most} or less may pay: {play['play'].lower()}."
        if limit > 0
        else ""
    )
    return play | {
        "play": NOT_AT_THIS_COST,
        "do": f"Spend nothing on contacts here.{at}",
        "why": f"more would have to order than a campaign can move; at a lower cost: {play['play']}",
        "measure": "nothing: nobody is contacted",
    }


def _facts(members: pd.DataFrame, group: pd.DataFrame) -> dict[str, Any]:
    ratios = {}
    for name in ("total_spent", "total_unit"):
        if name in group.columns and group[name].mean() > 0:
            ratios[name] = members[name].mean() / group[name].mean()
    once = ordered_once(members)
    recency = members["recency"].median() if "recency" in members.columns else np.nan
    # the silence of those who never came back says nothing about when to expect an order
    repeating = group[~ordered_once(group).fillna(True).astype(bool)]
    against = repeating if len(repeating) else group
    usual = against["recency"].median() if "recency" in group.columns else np.nan
    known = "average_order_value" in members.columns
    order = members["average_order_value" if known else "total_spent"]
    better, apart = gap_to_next(members, group)
    return {
        "customers": len(members),
        "ratios": ratios,
        "one_time_share": float(once.mean()),
        "median_recency": recency,
        "recency_over_group": recency / usual if usual > 0 else np.nan,
        "mean_order": float(order.mean()),
        "typical_order": float(order.median()),
        "order_is": WINDOW_ORDER if known else ALL_SPENT,
        "gap": max(apart, key=lambda name: apart[name][1] / apart[name][0]) if apart else "",
        "gap_words": gap_words(better, apart),
    }


def _fits(facts: dict[str, Any], when: dict[str, Any]) -> bool:
    if "gap" in when and facts["gap"] != when["gap"]:
        return False
    if "customers_below" in when and not facts["customers"] < when["customers_below"]:
        return False
    ratios = facts["ratios"]
    for name, least in when.get("ratio_at_least", {}).items():
        if not ratios.get(name, 0.0) >= least:
            return False
    outgrow = when.get("units_outgrow_spend")
    if outgrow and not ratios.get("total_unit", 0.0) >= outgrow * ratios.get("total_spent", 0.0):
        return False
    return all(facts[fact] >= when[name] for name, fact in AT_LEAST.items() if name in when)
