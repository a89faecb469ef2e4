"""Whether days of orders can be trusted: one guard for all that is told by quarters and silence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pandas as pd

from segmentation.orders.date_swap import swapped

LOOK_EXCHANGED = "day and month of order_date look exchanged"
UNSURE = (
    f"{LOOK_EXCHANGED}, so who was silent when is not known until date_repair is set, "
    "as Data understanding says"
)
"""Why nothing is told by quarters, silence or days after a cut: in short, and what to do."""


def left_exchanged(overview: Mapping[str, Any], swap: Mapping[str, Any]) -> dict[str, str]:
    """Columns of dates whose day and month look exchanged and were left so, and how clearly."""
    if overview.get("date_repair", "off") != "off":
        return {}
    found = {column: facts["strength"] for column, facts in swap.items()}
    return {column: strength for column, strength in found.items() if strength != "none"}


def why_unsure(swap: Mapping[str, Any], *, date_repair: str) -> str:
    """Why days of orders are not to be counted with, or nothing: strong evidence, left as found.

    Examples
    --------
    >>> sign = {"order_date": {"strength": "strong"}}
    >>> why_unsure(sign, date_repair="off") == UNSURE
    True
    >>> why_unsure(sign, date_repair="swap_day_month")
    ''
    """
    left = left_exchanged({"date_repair": date_repair}, swap)
    return UNSURE if left.get("order_date") == "strong" else ""


def is_cut_alike(order_days: pd.DataFrame, cut: dt.date, *, as_of: dt.date | str = "auto") -> bool:
    """Whether every kept line stays on its side of a day if day and month are exchanged.

    The year stays, so a cut after the 12th of December divides orders alike. Where the last day
    of observation is set, every line must stay on its side of that as well.

    Examples
    --------
    >>> days = pd.DataFrame({"day": [pd.Timestamp("2021-03-07")], "kept": 1})
    >>> is_cut_alike(days, dt.date(2021, 12, 23)), is_cut_alike(days, dt.date(2021, 5, 1))
    (True, False)
    """
    every = pd.to_datetime(order_days["day"])
    kept = every[(order_days["kept"] > 0).to_numpy()]
    asked = [(kept, cut), *([(every, as_of)] if as_of != "auto" else [])]
    return all(
        bool(((days <= pd.Timestamp(end)) == (swapped(days) <= pd.Timestamp(end))).all())
        for days, end in asked
    )
