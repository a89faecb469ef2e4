"""What is wrong with dates, and what exchanging day and month would change.

Works on lines per day and on one row per customer, both ways: as found and repaired.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.limits import (
    FAR_OFF_DAYS,
    FAR_OFF_SHARE,
    LEAST_EXPECTED,
    LONE_GAP_DAYS,
    LONE_LEAST_DAYS,
    PRECISION_DAYS,
    SURPRISING_GAP,
    SWAP_LEFT,
)
from segmentation.orders.counting import COUNTED_COLUMNS, named_examples
from segmentation.orders.date_swap import SwapEvidence, swap_evidence, swapped

LAST_DAY_OF_EVERY_MONTH = 28
LAST_EARLY_DAY = 12
"""The last day that can be read as a month."""
OUTCOME_COLUMNS = (
    "date_repair", "first_order", "last_order", "lines_outside", "days_missing", "early_share",
    "customers", "pre_register", "pre_register_revenue", "pre_register_median_spent",
    "within_precision", "same_month", "median_wait", "longest_early",
)  # fmt: skip


def days_as_found(order_days: pd.DataFrame, *, date_repair: str) -> pd.DataFrame:
    """Lines per day before any repair: exchanging twice gives the dates back."""
    if date_repair == "off":
        return order_days
    days = swapped(pd.to_datetime(order_days["day"]))
    return order_days.assign(day=days).sort_values("day", ignore_index=True)


def evidence_of(order_days: pd.DataFrame, registration_days: pd.DataFrame) -> dict[str, Any]:
    """The sign of exchanged days and months in both columns of dates, as found.

    Returns
    -------
    dict of ``order_date`` and ``registered_date`` to the fields of `SwapEvidence`
        A column that the source does not have is left out.
    """
    columns = {
        "order_date": order_days.rename(columns={"lines": "rows"}),
        "registered_date": registration_days.rename(columns={"customers": "rows"}),
    }
    return {
        name: asdict(swap_evidence(table[["day", "rows"]]))
        for name, table in columns.items()
        if len(table)
    }


def date_findings(
    order_days: pd.DataFrame,
    registration_days: pd.DataFrame,
    evidence: Mapping[str, Any],
    *,
    customers_changed: int,
    date_repair: str,
) -> pd.DataFrame:
    """Findings about dates, in the shape of all findings.

    Parameters
    ----------
    order_days : DataFrame ``day, lines, kept, amount``, as found
    customers_changed : int
        Customers whose first or last order the repair moves.
    """
    rows = [_far_off(order_days), _gap(order_days, evidence["order_date"])]
    rows.append(_swapped_month(order_days, evidence["order_date"]))
    for name, found in evidence.items():
        days = order_days if name == "order_date" else None
        rows.append(_swap(name, SwapEvidence(**found), days, customers_changed, date_repair))
    if len(registration_days):
        rows.append(_coarse(registration_days))
    table = pd.DataFrame(rows)
    table["facts"] = [json.dumps(facts) for facts in table["facts"]]
    return table[list(COUNTED_COLUMNS)]


def _row(
    name: str, place: str, rows: int, amount: Decimal | int = 0, **more: Any
) -> dict[str, Any]:
    base = {"finding": name, "place": place, "rows": rows, "amount": Decimal(amount)}
    plain = {"customers": 0, "treatment": "reported", "examples": "", "facts": {}}
    return base | plain | more


def _days(place: str, days: pd.Series) -> str:
    """Three of the days of a finding, as it names examples."""
    return named_examples(place, days.sort_values().map(_text))


def _far_off(order_days: pd.DataFrame) -> dict[str, Any]:
    """Lines of few days that lie more than a year from all others, such as 1970-01-01."""
    days = pd.to_datetime(order_days["day"])
    lines = order_days["lines"].to_numpy()
    if not len(days):
        return _row("far_off_date", "order_date", 0)
    block = (days.diff().dt.days > FAR_OFF_DAYS).cumsum()
    sizes = pd.Series(lines).groupby(block.to_numpy()).sum()
    small = sizes.index[sizes <= FAR_OFF_SHARE * lines.sum()]
    far = block.isin(small).to_numpy()
    amount = sum(order_days.loc[far, "amount"], Decimal(0))
    facts = {"first": _text(days[far].min()), "last": _text(days[far].max())} if far.any() else {}
    more = {"examples": _days("order_date", days[far]), "facts": facts}
    return _row("far_off_date", "order_date", int(lines[far].sum()), amount, **more)


def last_day_of_many(order_days: pd.DataFrame) -> dt.date:
    """The last day of order that a line dated ahead does not move.

    Days beyond a gap of `LONE_GAP_DAYS` or more, which by chance no quiet days of the days
    before make, do not count where they hold no more than `FAR_OFF_SHARE` of the kept lines and
    at least `LONE_LEAST_DAYS` with a line lie before.

    Parameters
    ----------
    order_days : DataFrame ``day, kept``, in the order of days

    Examples
    --------
    >>> days = [*pd.date_range("2024-01-01", "2024-04-30"), pd.Timestamp("2024-12-24")]
    >>> last_day_of_many(pd.DataFrame({"day": days, "kept": 3})).isoformat()
    '2024-04-30'
    """
    kept = order_days[order_days["kept"] > 0]
    days = pd.to_datetime(kept["day"]).reset_index(drop=True)
    lines = kept["kept"].reset_index(drop=True)
    few = max(1, int(FAR_OFF_SHARE * lines.sum()))
    last = len(days) - 1
    for place in range(len(days) - 1, LONE_LEAST_DAYS - 1, -1):
        if lines[place:].sum() > few:
            break
        apart = (days[place] - days[place - 1]).days
        before = (days[place - 1] - days[0]).days + 1
        by_chance = before * (1 - place / before) ** (apart - 1)
        if apart > LONE_GAP_DAYS and by_chance < SURPRISING_GAP:
            last = place - 1
    return days[last].date() if last >= 0 else dt.date.max


def _gap(order_days: pd.DataFrame, found: Mapping[str, Any]) -> dict[str, Any]:
    """The longest run of days without a kept line, where it is longer than chance makes it.

    With a share p of days that have a line, a run of g days without begins by chance
    on about n (1 - p)^g of n days. Exchanged dates are put right first: they leave gaps
    that are none.
    """
    kept = order_days.loc[order_days["kept"] > 0, "day"]
    days = pd.to_datetime(kept)
    if found["strength"] != "none":
        days = swapped(days)
    days = days.sort_values()
    if len(days) < 2:
        return _row("date_gap", "order_date", 0)
    apart = days.diff().dt.days - 1
    longest = int(apart.max())
    span = (days.iloc[-1] - days.iloc[0]).days + 1
    quiet = 1 - len(days) / span
    if longest < 2 or span * quiet**longest >= SURPRISING_GAP:
        return _row("date_gap", "order_date", 0)
    end = days[apart.idxmax()] - pd.Timedelta(days=1)
    first = end - pd.Timedelta(days=longest - 1)
    facts = {
        "first": _text(first),
        "last": _text(end),
        "usual_share": round(1 - quiet, 4),
        "span": span,
    }
    few = _days("order_date", pd.Series(pd.date_range(first, end)))
    return _row("date_gap", "order_date", longest, examples=few, facts=facts)


def _swap(
    name: str,
    found: SwapEvidence,
    order_days: pd.DataFrame | None,
    customers_changed: int,
    date_repair: str,
) -> dict[str, Any]:
    if found.strength == "none":
        return _row("swapped_dates", name, 0)
    amount, customers, treatment, few = Decimal(0), 0, "reported", ""
    if order_days is not None:
        months = pd.to_datetime(order_days["day"]).dt.to_period("M").astype(str)
        outside = (months < found.first_month) | (months > found.last_month)
        amount = sum(order_days.loc[outside.to_numpy(), "amount"], Decimal(0))
        few = _days(name, pd.to_datetime(order_days.loc[outside.to_numpy(), "day"]))
        customers = customers_changed
        treatment = "kept" if date_repair == "off" else "repaired"
    more = {"customers": customers, "treatment": treatment, "examples": few}
    more |= {"facts": asdict(found)}
    return _row("swapped_dates", name, found.rows_outside, amount, **more)


def _swapped_month(order_days: pd.DataFrame, found: Mapping[str, Any]) -> dict[str, Any]:
    """One month whose early days are nearly empty and lie on the same day of other months.

    Where the file of one month was read with day and month exchanged, its 1st to 12th are
    found on the day of the month's number, in all months of the year.
    """
    nothing = _row("swapped_month", "order_date", 0)
    if found["strength"] != "none":
        return nothing  # the whole column is looked at there
    lines = pd.Series(order_days["lines"].to_numpy(), pd.to_datetime(order_days["day"]))
    for month in pd.period_range(lines.index.min(), lines.index.max(), freq="M"):
        own = lines[month.start_time : month.end_time]
        late = own[own.index.day > LAST_EARLY_DAY].sum()
        expected = 11 * late / (month.days_in_month - LAST_EARLY_DAY)
        early = own[(own.index.day <= LAST_EARLY_DAY) & (own.index.day != month.month)].sum()
        if expected < LEAST_EXPECTED or early > SWAP_LEFT * expected:
            continue
        days = [
            pd.Timestamp(month.year, other, month.month)
            for other in range(1, 13)
            if other != month.month
        ]
        there = lines.reindex(days, fill_value=0)
        usual = [lines[lines.index.to_period("M") == day.to_period("M")].median() for day in days]
        if there.sum() - np.nansum(usual) < (expected - early) / 2:
            continue
        at = pd.to_datetime(order_days["day"]).isin(days).to_numpy()
        amount = sum(order_days.loc[at, "amount"], Decimal(0))
        more = {"examples": _days("order_date", there[there > 0].index.to_series())}
        facts = {"month": str(month), "early": int(early), "expected": round(expected, 1)}
        return _row("swapped_month", "order_date", int(there.sum()), amount, facts=facts, **more)
    return nothing


def _coarse(registration_days: pd.DataFrame) -> dict[str, Any]:
    """Registration days that no clock wrote: never after the 28th, or always the first."""
    days = pd.to_datetime(registration_days["day"])
    people = registration_days["customers"].to_numpy()
    late = days.dt.day.to_numpy() > LAST_DAY_OF_EVERY_MONTH
    share_late = 1 - LAST_DAY_OF_EVERY_MONTH / days.dt.days_in_month.to_numpy()
    expected = float((people * share_late).sum())
    last_day = int(days.dt.day.max())
    if late.any() or expected < LEAST_EXPECTED:
        return _row("coarse_registration", "registered_date", 0)
    facts = {"expected_late": round(expected, 1), "last_day": last_day, "n": int(people.sum())}
    n, few = int(people.sum()), _days("registered_date", days)
    return _row("coarse_registration", "registered_date", n, customers=n, examples=few, facts=facts)


def repair_outcomes(
    tables: Mapping[str, pd.DataFrame],
    order_days: pd.DataFrame,
    evidence: Mapping[str, Any],
    *,
    as_of: Mapping[str, pd.Timestamp],
    scale: int,
) -> pd.DataFrame:
    """Both outcomes side by side: dates as found, and with day and month exchanged.

    Parameters
    ----------
    tables : mapping of ``off`` and ``swap_day_month`` to features with ``segment_type``
    order_days : DataFrame ``day, lines, kept, amount``, as found
    as_of : mapping of the same to the last day of observation
    scale : int
        Decimals of the source's money.

    Returns
    -------
    DataFrame, one row per outcome (`OUTCOME_COLUMNS`)
        ``early_share`` is the share of the lines inside the true range that lie on days
        1 to 12. ``within_precision`` counts customers who ordered before registering by
        at most `PRECISION_DAYS` days, ``same_month`` those who did so in the calendar
        month of their registration. ``longest_early`` is the longest such lead in days.
    """
    repaired = order_days.assign(day=swapped(pd.to_datetime(order_days["day"])))
    days = {"off": order_days, "swap_day_month": repaired}
    low, high = evidence["first_month"], evidence["last_month"]
    rows = []
    for repair, table in tables.items():
        lines = days[repair]
        dates = pd.to_datetime(lines["day"])
        months = dates.dt.to_period("M").astype(str)
        inside = ((months >= low) & (months <= high)).to_numpy()
        early = inside & (dates.dt.day <= 12).to_numpy()
        counts = lines["lines"].to_numpy()
        row = {
            "date_repair": repair,
            "first_order": _text(dates.min()),
            "last_order": _text(dates.max()),
            "lines_outside": int(counts[~inside].sum()),
            "days_missing": int((dates.max() - dates.min()).days + 1 - len(dates)),
            "early_share": float(counts[early].sum() / max(counts[inside].sum(), 1)),
            "customers": len(table),
        }
        rows.append(row | _early_customers(table, as_of[repair], scale))
    return pd.DataFrame(rows)[list(OUTCOME_COLUMNS)]


def _early_customers(table: pd.DataFrame, as_of: pd.Timestamp, scale: int) -> dict[str, Any]:
    early = table[table["segment_type"] == "pre_register"]
    if "register_to_order" not in table.columns:
        nothing = dict.fromkeys(("pre_register", "within_precision", "same_month"), 0)
        empty = dict.fromkeys(("pre_register_median_spent", "median_wait", "longest_early"))
        return nothing | empty | {"pre_register_revenue": Decimal(0)}
    lead = -early["register_to_order"]
    first = as_of - pd.to_timedelta(early["tenure"], unit="D")
    registered = first + pd.to_timedelta(lead, unit="D")
    same = first.dt.to_period("M") == registered.dt.to_period("M")
    return {
        "pre_register": len(early),
        "pre_register_revenue": _exact_sum(early["total_spent"], scale),
        "pre_register_median_spent": float(early["total_spent"].median()),
        "within_precision": int((lead <= PRECISION_DAYS).sum()),
        "same_month": int(same.sum()),
        "median_wait": float(table["register_to_order"].median()),
        "longest_early": float(lead.max()),
    }


def group_moves(off: pd.DataFrame, repaired: pd.DataFrame, *, scale: int) -> pd.DataFrame:
    """Who would change registration group under the repair, in customers and exact money.

    Returns
    -------
    DataFrame ``as_found, repaired, customers, revenue``, one row per pair that occurs
        Money is the customers' spend, which dates do not change.
    """
    both = off[["customer_id", "segment_type", "total_spent"]].merge(
        repaired[["customer_id", "segment_type"]], on="customer_id", suffixes=("", "_repaired")
    )
    rows = [
        {
            "as_found": before,
            "repaired": after,
            "customers": len(members),
            "revenue": _exact_sum(members["total_spent"], scale),
        }
        for (before, after), members in both.groupby(["segment_type", "segment_type_repaired"])
    ]
    columns = ["as_found", "repaired", "customers", "revenue"]
    return pd.DataFrame(rows, columns=columns)


def customers_changed(
    off: pd.DataFrame, repaired: pd.DataFrame, *, as_of: Mapping[str, pd.Timestamp]
) -> int:
    """Customers whose first or last order falls on another day under the repair."""
    days = [
        table.set_index("customer_id")[["tenure", "recency"]].rsub(end.toordinal())
        for table, end in ((off, as_of["off"]), (repaired, as_of["swap_day_month"]))
    ]
    common = days[0].index.intersection(days[1].index)
    return int((days[0].loc[common] != days[1].loc[common]).any(axis="columns").sum())


def _exact_sum(amounts: pd.Series, scale: int) -> Decimal:
    """Sum of money that each float holds exactly to `scale` decimals."""
    minor = (amounts * 10.0**scale).round().astype("int64").sum()
    return Decimal(int(minor)).scaleb(-scale)


def _text(day: pd.Timestamp) -> str:
    return f"{day:%Y-%m-%d}"
