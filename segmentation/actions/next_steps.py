"""Who moved between segments, who is slipping away, and whom to call first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions import campaign
from segmentation.actions.break_even import break_even_response, margin_used
from segmentation.actions.slipping import (
    SLIPPING_COLUMNS,
    came_back,
    kept_of,
    ladder_of,
    order_kept,
    slipping_customers,
)
from segmentation.core.intervals import Z95
from segmentation.core.parameters import Parameters
from segmentation.evidence.forecast import chances
from segmentation.evidence.holdout import known_at_cut, standing_by
from segmentation.orders.customer_ids import perhaps_guests
from segmentation.segments.forecast import MbgNbd, value_at_risk
from segmentation.segments.model import SegmentModel
from segmentation.segments.own_labels import OWN_LABELS

MOVEMENT_COLUMNS = ("as_of", "segment_from", "segment_to", "customers", "revenue")
RETENTION_COLUMNS = ("as_of", "segment", "customers", "ordered", "median_recency")
CALL_FIRST_COLUMNS = (
    "rank", "customer_id", "segment_type", "segment", "value_at_risk", "chance_before", "chance",
    "average_order_value", "total_spent", "given_back", "recency", "why",
)  # fmt: skip
WITH_CALLS_COLUMNS = ("segment_type", "segment", "contacts", "calls", "needed", "needed_with_calls")
NEW, NONE = "new customers", "in no segment"


def next_steps(
    *,
    history: pd.DataFrame,
    customers: pd.DataFrame,
    model: SegmentModel,
    campaign_arms: pd.DataFrame,
    line_findings: pd.DataFrame,
    forecast_facts: dict[str, Any],
    overview: dict[str, Any],
    margins: pd.DataFrame,
    given_back: pd.DataFrame,
    parameters: Parameters,
) -> dict[str, Any]:
    """Movement by quarters, and two lists of customers to turn to now.

    Lists hold personal data: for files and the workbook, never for a page. An id that may
    stand for many people is on none of them.
    """
    empty = {
        "movement": pd.DataFrame(columns=list(MOVEMENT_COLUMNS)),
        "retention": pd.DataFrame(columns=list(RETENTION_COLUMNS)),
        "slipping": pd.DataFrame(columns=list(SLIPPING_COLUMNS)),
        "slipped_before": came_back({}, {}),
        "call_first": pd.DataFrame(columns=list(CALL_FIRST_COLUMNS)),
        "call_first_facts": {},
    }
    if history.empty:
        return empty
    customers = with_given_back(customers, given_back)
    split = parameters.split_pre_register
    placed = {
        day: standing_by(model, known_at_cut(own, split_pre_register=split))
        for day, own in history.groupby("as_of", sort=True)
    }
    before, last = placed[max(placed)], max(placed)
    # own labels: earlier segments are by the nearest centre, so today's that are compared, too
    today = standing_by(model, customers) if OWN_LABELS in model.info else customers
    is_guest = customers["customer_id"].isin(perhaps_guests(line_findings))
    listed, alike = customers[~is_guest], today["segment"] == customers["segment"]
    slipping = slipping_customers(
        before, customers[~is_guest & alike], ladder_of(customers), as_of=last
    )
    risks = at_risk(before, listed, slipping, forecast_facts)
    costs = {name: getattr(parameters, name) for name in ("contact_cost", "cost_of_a_call")}
    gross_margin = margin_used(parameters.gross_margin, margins)
    least, written = (
        break_even_response(costs[name], gross_margin, 1.0)
        for name in ("cost_of_a_call", "contact_cost")
    )
    called = call_first(risks, campaign_arms, least=least)
    control = _left_alone(campaign_arms)
    is_written = (risks["stake"] > written) & (risks["stake"] <= least)
    return {
        "movement": movement({**placed, overview["as_of"]: today}),
        "retention": retention(placed),
        "slipping": slipping,
        "slipped_before": came_back(placed, ladder_of(customers)),
        "call_first": called,
        "call_first_facts": {
            **costs,
            "gross_margin": gross_margin,
            "at_risk": len(risks),
            "worth_writing": int((risks["stake"] > written).sum()),
            "left_alone": int((is_written & risks["customer_id"].isin(control)).sum()),
            "worth_a_call": int((risks["stake"] > least).sum()),
            "without_control": int((~_in_segments(called, campaign_arms)).sum()),
            "earlier": called_before(placed, ladder_of(customers), forecast_facts, least=least),
        },
    }


def called_before(
    placed: dict[str, pd.DataFrame],
    ladder: dict[tuple[str, str], int],
    facts: dict[str, Any],
    *,
    least: float,
) -> dict[str, Any]:
    """Whom the same list would have named a quarter ago, and who of them ordered in the quarter since.

    Nobody was called for it: what of a fall comes back by itself is no success of calls.

    Parameters
    ----------
    placed : dict of day to DataFrame
        Customers at the end of each quarter by today's borders, with ``orders_next``.
    least : float
        Money whose margin a call costs.

    Returns
    -------
    dict
        ``as_of, customers, expected, came``, and means of those who came: ``own_order`` so far and
        ``next_order``. ``expected`` by the chance after the fall, and what `back_by_itself` gives:
        missing where nothing is forecast.
    """
    days = sorted(placed)[-2:]
    if len(days) < 2:
        return {}
    then = placed[days[1]].dropna(subset="segment")
    standing = then.drop(columns="orders_next")
    slipped = slipping_customers(placed[days[0]], standing, ladder, as_of=days[0])
    risks = at_risk(placed[days[0]], then, slipped, facts)
    named = risks[risks["stake"] > least]
    came = named[named["orders_next"] > 0]
    back = back_by_itself(named) if facts["possible"] else (None,) * 3
    orders = {"own_order": came["average_order_value"], "next_order": came["next_amount"]}
    return {
        "as_of": days[1],
        "customers": len(named),
        "expected": float(named["chance"].sum()) if facts["possible"] else None,
        "came": len(came),
        **dict(zip(("back", "back_low", "back_high"), back, strict=True)),
        **{name: float(own.mean()) if len(came) else None for name, own in orders.items()},
    }


def back_by_itself(named: pd.DataFrame) -> tuple[float, float, float]:
    """Part of the money of a fall that came back uncalled, with its 95% interval; not cut at 0 or 1.

    Who came counts by the own mean order, as in the value at risk: a head is not money. The normal
    approximation, each customer's error as it was seen: a few large orders make it wide.

    Parameters
    ----------
    named : DataFrame, as `at_risk` gives it
        With ``orders_next``; of the money of a fall nothing came back where as many came as the
        chance after the fall says.

    Examples
    --------
    >>> named = pd.DataFrame({"average_order_value": [10.0, 10.0], "chance_before": 0.6,
    ...                       "chance": 0.1, "orders_next": [1, 0]})
    >>> [round(one, 3) for one in back_by_itself(named)]  # 10 (0.9 - 0.1) of 10 (0.5 + 0.5)
    [0.8, -0.975, 2.575]
    """
    worth = order_kept(named).clip(0)
    fall = float((worth * (named["chance_before"] - named["chance"])).sum())
    if not fall > 0:
        return (np.nan,) * 3
    more = worth * ((named["orders_next"] > 0) - named["chance"])
    share, error = float(more.sum()) / fall, float(np.sqrt((more**2).sum())) / fall
    return share, share - Z95 * error, share + Z95 * error


def _left_alone(arms: pd.DataFrame) -> set[str]:
    """Ids that a campaign leaves alone, to compare."""
    return set(arms.loc[arms["arm"] == campaign.CONTROL, "customer_id"]) if len(arms) else set()


def with_given_back(customers: pd.DataFrame, given_back: pd.DataFrame) -> pd.DataFrame:
    """Customers with ``given_back``, at most what they spent; empty where nobody gave anything back.

    What is above it is of a purchase before the data begin.
    """
    back = given_back.set_index("customer_id")["given_back"].astype(float)
    own = customers["customer_id"].map(back).astype(float)
    if len(back):
        own = own.fillna(0.0).clip(upper=customers["total_spent"].astype(float).clip(lower=0.0))
    return customers.assign(given_back=own)


def movement(placed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Customers and money by segment at the end of one quarter and of the next.

    Parameters
    ----------
    placed : dict of day to DataFrame, oldest first
        ``customer_id, segment, total_spent`` as of each day, by the same borders.

    Returns
    -------
    DataFrame of `MOVEMENT_COLUMNS`
        ``revenue`` is what these customers spent since the day before, so that it adds up to
        all revenue up to ``as_of``; newcomers come from `NEW`.
    """
    rows, last = [], pd.DataFrame({"customer_id": [], "segment": [], "total_spent": []})
    for day, now in placed.items():
        columns = ["customer_id", "segment", "total_spent"]
        both = now[columns].merge(last[columns], on="customer_id", how="left",
                                  suffixes=("", "_before"))  # fmt: skip
        newcomers = ~both["customer_id"].isin(last["customer_id"])
        both["segment_from"] = both["segment_before"].astype(object).mask(newcomers, NEW)
        both[["segment_from", "segment"]] = both[["segment_from", "segment"]].fillna(NONE)
        both["revenue"] = both["total_spent"] - both["total_spent_before"].fillna(0.0)
        flows = both.groupby(["segment_from", "segment"], sort=True)
        found = flows.agg(customers=("customer_id", "size"), revenue=("revenue", "sum"))
        rows.append(found.reset_index().assign(as_of=day))
        last = now
    table = pd.concat(rows, ignore_index=True).rename(columns={"segment": "segment_to"})
    return table.round({"revenue": 6})[list(MOVEMENT_COLUMNS)]


def retention(placed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Customers of each segment at a quarter's end, and how many order in the next quarter.

    Parameters
    ----------
    placed : dict of day to DataFrame, oldest first
        ``segment, orders_next`` and ``recency`` as of each day, by the same borders.

    Returns
    -------
    DataFrame of `RETENTION_COLUMNS`
        ``median_recency``: half of them had been silent for so many days or longer, for whoever
        is silent for longer orders more rarely.
    """
    rows = [
        now.assign(ordered=now["orders_next"] > 0)
        .groupby("segment", sort=True)
        .agg(
            customers=("ordered", "size"),
            ordered=("ordered", "sum"),
            median_recency=("recency", "median"),
        )
        .reset_index()
        .assign(as_of=day)
        for day, now in placed.items()
    ]
    return pd.concat(rows, ignore_index=True)[list(RETENTION_COLUMNS)]


def at_risk(
    before: pd.DataFrame, customers: pd.DataFrame, slipping: pd.DataFrame, facts: dict[str, Any]
) -> pd.DataFrame:
    """Customers who may be lost, with the money that a call could win back at most.

    Returns
    -------
    DataFrame, in no order
        `customers` with ``chance_before, chance, value_at_risk`` and ``stake``. The value at
        risk is the mean order, after what they gave back, times the fall of the chance to order
        since the quarter before, by one model of buying; it is the stake. Where forecasts are withheld these are the
        slipping customers, and the stake is one order of their own.
    """
    if not facts["possible"]:
        table = customers[customers["customer_id"].isin(set(slipping["customer_id"]))]
        return table.assign(
            chance_before=np.nan, chance=np.nan, value_at_risk=np.nan,
            stake=order_kept(table),
        )  # fmt: skip
    model = MbgNbd(*(facts[name] for name in ("r", "alpha", "a", "b")))
    days = facts["outcome_days"]
    earlier = pd.Series(chances(model, before, days), index=before["customer_id"].to_numpy())
    table = customers.assign(
        chance_before=customers["customer_id"].map(earlier).astype(float),
        chance=chances(model, customers, days),
    )
    value = value_at_risk(order_kept(table), table["chance_before"], table["chance"])
    return table.assign(value_at_risk=value, stake=value)[value > 0]


def call_first(risks: pd.DataFrame, arms: pd.DataFrame, *, least: float = 0.0) -> pd.DataFrame:
    """Customers whom a call may be worth, who have most to lose first.

    Parameters
    ----------
    risks : DataFrame, as `at_risk` gives it
    arms : DataFrame of a run's campaigns
        Customers of a control arm are left out: contacting them would spoil the test.
    least : float
        Money whose margin a call costs: who has no more at stake is left out.

    Returns
    -------
    DataFrame of `CALL_FIRST_COLUMNS`
        By value at risk; where no chance is known, by what they spent and did not give back.
    """
    control = _left_alone(arms)
    table = risks[(risks["stake"] > least) & ~risks["customer_id"].isin(control)]
    by = kept_of(table) if table["value_at_risk"].isna().all() else table["value_at_risk"]
    table = table.assign(_by=by).sort_values(
        ["_by", "recency", "customer_id"], ascending=[False, True, True]
    )
    table = table.assign(
        rank=range(1, len(table) + 1), why=[_why(row) for row in table.itertuples()]
    )
    return table.reindex(columns=list(CALL_FIRST_COLUMNS)).reset_index(drop=True)


def with_calls(
    recommendations: pd.DataFrame,
    arms: pd.DataFrame,
    called: pd.DataFrame,
    facts: dict[str, Any],
) -> pd.DataFrame:
    """What campaigns need to pay where the calls to their contacted halves are made, too.

    A read-out compares the halves as they were treated: what the calls cost, its rise has to pay.

    Parameters
    ----------
    recommendations, arms, called : DataFrame
        ``recommendations``, ``campaign_arms`` and ``call_first`` of a run.
    facts : dict
        ``call_first_facts`` of the run: costs and margin.

    Returns
    -------
    DataFrame of `WITH_CALLS_COLUMNS`, in the order of the recommendations
        A row a campaign of whose contacted half some are called; none where costs cannot be right.
        ``needed`` and ``needed_with_calls`` are shares who must order because of it.
    """
    rows = []
    written = arms[arms["arm"] == campaign.TREATMENT] if len(called) else arms[:0]
    if not len(written) or campaign.another_currency(recommendations):
        return pd.DataFrame(columns=list(WITH_CALLS_COLUMNS))
    for row in recommendations[recommendations["is_campaign"].astype(bool)].to_dict("records"):
        own = written[
            (written[["segment_type", "segment"]] == [row["segment_type"], row["segment"]]).all(
                axis=1
            )
        ]
        calls = int(own["customer_id"].isin(called["customer_id"]).sum())
        if calls:
            each = facts["contact_cost"] + facts["cost_of_a_call"] * calls / len(own)
            needed = break_even_response(each, facts["gross_margin"], row["response_value"])
            rows.append((row["segment_type"], row["segment"], len(own), calls,
                         row["break_even_response"], needed))  # fmt: skip
    return pd.DataFrame(rows, columns=list(WITH_CALLS_COLUMNS))


def _in_segments(called: pd.DataFrame, arms: pd.DataFrame) -> pd.Series:
    """Whether a segment's campaign has both arms, so that its customers can be compared."""
    keys = ["segment_type", "segment"]
    own = pd.MultiIndex.from_frame(called[keys].astype(object))
    return pd.Series(own.isin(pd.MultiIndex.from_frame(arms[keys].astype(object))))


def _why(row: Any) -> str:
    """Why a customer stands where it does, in words."""
    orders = int(row.frequency)
    past = f"{orders:,} orders" if orders > 1 else "one order"
    rhythm = ""
    if orders > 1 and row.tenure > row.recency:
        rhythm = f", one every {(row.tenure - row.recency) / (orders - 1):.0f} days"
    text = f"{past}{rhythm}; silent for {row.recency:,.0f} days"
    if np.isfinite(row.chance_before):
        text += f"; chance to order fell from {row.chance_before:.0%} to {row.chance:.0%}"
    return text
