"""Customers as they stood at the end of each quarter of the data, and what they did next."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from segmentation.core.columns import RESPONSE_DAYS
from segmentation.core.limits import MOST_QUARTERS, QUARTER_DAYS
from segmentation.core.parameters import Parameters
from segmentation.customers import features
from segmentation.customers.read_orders import read_lines, rules_of
from segmentation.orders import clean
from segmentation.sources.snapshot import Snapshot

WITHIN = tuple(f"revenue_{days}" for days in RESPONSE_DAYS if days <= QUARTER_DAYS)


def quarter_ends(first: dt.date, last: dt.date) -> list[dt.date]:
    """Days that end a quarter, counted back from the last day of observation, newest first.

    Where that ends a month, so does each of them. The first has a quarter of orders before it.

    Examples
    --------
    >>> ends = quarter_ends(dt.date(1997, 6, 1), dt.date(1998, 6, 30))
    >>> [day.isoformat() for day in ends]
    ['1998-06-30', '1998-03-31', '1997-12-31', '1997-09-30']
    """
    end = pd.Timestamp(last)
    found = [end - pd.DateOffset(months=3 * number) for number in range(MOST_QUARTERS + 1)]
    if end.is_month_end:
        found = [day + pd.offsets.MonthEnd(0) for day in found]
    begin = pd.Timestamp(first) + pd.DateOffset(months=3)
    return [day.date() for number, day in enumerate(found) if number == 0 or day >= begin]


TOO_SHORT = "orders of less than half a year, or none, were read"


def read_history(
    *,
    snapshot: Snapshot,
    overview: dict[str, Any],
    cut: dict[str, Any],
    days_unsure: str,
    parameters: Parameters,
) -> dict[str, Any]:
    """Features at the end of each quarter, from orders up to it alone, and what followed.

    ``history``: one row per quarter's end (``as_of``, the last day of observation left out)
    and customer, with every feature, ``days_to_order`` (to the next order, however late; NaN
    where none came), ``next_amount`` (money of that day's orders), ``orders_next, revenue_next``
    up to the next quarter's end, and of that ``revenue_30`` and so on within so many days
    (NaN where no order came). Where it is empty ``no_history`` says why; so it is where days of
    orders are unsure: what would be told by quarters' ends then tells of the days, not of customers.
    """
    if why := days_unsure or ("" if cut.get("cut") else cut["reason"]):
        return {"history": pd.DataFrame(), "no_history": why}
    first, last = (dt.date.fromisoformat(overview[name]) for name in ("first_order", "as_of"))
    newest, *ends = quarter_ends(first, last)
    parts: list[pd.DataFrame] = []
    with snapshot.opened() as engine:
        source = read_lines(engine, snapshot, parameters)
        clean.clean(engine, **rules_of(parameters), as_of=newest)
        until, later = newest, pd.DataFrame(columns=["days_to_order", "next_amount"], dtype=float)
        for day in ends:
            after = features.followed_customers(
                engine, cut=day, last=until, returns=parameters.returns
            ).set_index("customer_id")
            clean.clean(engine, **rules_of(parameters), as_of=day)
            known = features.known_on(engine, source, day)
            after = after.reindex(known["customer_id"])
            then = later.reindex(after.index)
            then["days_to_order"] += (until - day).days
            following = after[list(later)].fillna(then)
            spent = after[list(WITHIN)].where(after["orders_after"] > 0)
            parts.append(
                known.assign(
                    as_of=day.isoformat(),
                    **{name: following[name].to_numpy() for name in following},
                    **{name: spent[name].to_numpy() for name in WITHIN},
                    orders_next=after["orders_after"].fillna(0).to_numpy(dtype="int64"),
                    revenue_next=after["revenue_after"].fillna(0).to_numpy(dtype=float),
                )
            )
            until, later = day, following
    if not parts:
        return {"history": pd.DataFrame(), "no_history": TOO_SHORT}
    return {"history": pd.concat(parts[::-1], ignore_index=True), "no_history": ""}
