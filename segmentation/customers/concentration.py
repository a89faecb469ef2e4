"""How much of the revenue hangs on how few customers, with intervals and by segment."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.core.intervals import MIDDLE_95, Z95
from segmentation.core.limits import LEAST_CUSTOMERS, REVENUE_DRAWS, TOP_SHARES
from segmentation.sources.engine import Engine

LEAVERS = (1, 10, 100)
CONCENTRATION_SQL = (Path(__file__).parent / "sql" / "concentration.sql").read_text("utf-8")
MEASURE_COLUMNS = ("measure", "at", "value", "low", "high")


def gini(spent: np.ndarray) -> float:
    """Inequality of spend: 0 = all spent the same, near 1 = one customer spent everything.

    NaN where nothing was spent. Source: Gini (1912), as half the relative mean difference.

    Examples
    --------
    >>> gini(np.array([5.0, 5.0])), gini(np.array([0.0, 0.0, 0.0, 8.0]))
    (0.0, 0.75)
    """
    return float(_gini(np.sort(spent), np.ones(len(spent))))


def _gini(ascending: np.ndarray, weights: np.ndarray) -> float:
    """Gini of values that count ``weights`` times: one minus twice the Lorenz curve's area."""
    heads, money = weights.sum(), float(weights @ ascending)
    if not money > 0:
        return float("nan")
    running = np.cumsum(weights * ascending)
    area = float(weights @ (running - weights * ascending / 2)) / (heads * money)
    return 1 - 2 * area


def concentration(customers: pd.DataFrame, *, random_state: int) -> pd.DataFrame:
    """Concentration of revenue, each figure with a 95% bootstrap interval.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        ``total_spent`` in account currency.
    random_state : int
        Seed of the resamples. The order of rows plays no part.

    Returns
    -------
    DataFrame of `MEASURE_COLUMNS`
        ``gini``; ``top_share`` of revenue at 1, 5, 10 and 20% of customers (rounded up to
        whole customers); ``customers_for_half`` of revenue; ``lost_if_top_leave``, the
        share of revenue that the ``at`` largest customers brought. Empty where there is no
        revenue.

    Notes
    -----
    Percentile bootstrap (Efron and Tibshirani 1993) over customers. It says how much the
    figure would differ in another sample of the same kind of customers, not what happens
    next year. What the largest few brought has no interval: no resample holds a customer larger
    than the largest seen, so that its quantiles say too little (Bickel and Freedman 1981).
    """
    ascending = np.sort(customers["total_spent"].to_numpy(dtype=np.float64))
    if not ascending.sum() > 0:
        return pd.DataFrame(columns=list(MEASURE_COLUMNS))
    observed = _measures(ascending, np.ones(len(ascending)))
    chance = np.random.default_rng(random_state)
    draws = []
    for _ in range(REVENUE_DRAWS):
        drawn = np.bincount(chance.integers(len(ascending), size=len(ascending)))
        weights = np.zeros(len(ascending))
        weights[: len(drawn)] = drawn
        draws.append(list(_measures(ascending, weights).values()))
    low, high = np.nanquantile(np.array(draws), MIDDLE_95, axis=0)
    few = [name == "lost_if_top_leave" and at < LEAST_CUSTOMERS for name, at in observed]
    low[few] = high[few] = np.nan
    rows = [
        (*key, value, float(bottom), float(top))
        for (key, value), bottom, top in zip(observed.items(), low, high, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(MEASURE_COLUMNS))


def _measures(ascending: np.ndarray, weights: np.ndarray) -> dict[tuple[str, float], float]:
    """Every figure of a weighted sample; nobody is counted in parts."""
    counts, money = weights[::-1], (weights * ascending)[::-1]
    heads, total = np.cumsum(counts), np.cumsum(money)
    values = {("gini", 1.0): _gini(ascending, weights)}

    def brought(leavers: int) -> float:
        place = int(np.searchsorted(heads, leavers))
        spare = heads[place] - leavers
        return float((total[place] - spare * ascending[::-1][place]) / total[-1])

    n = int(heads[-1])
    for share in TOP_SHARES:
        values["top_share", share] = brought(max(1, int(np.ceil(share * n - 1e-9))))
    place = int(np.argmax(total >= total[-1] / 2 * (1 - 1e-12)))
    before = total[place] - money[place]
    each = ascending[::-1][place]
    extra = np.ceil((total[-1] / 2 - before) / each - 1e-9) if each > 0 else 0.0
    values["customers_for_half", 0.5] = float(heads[place] - counts[place] + extra)
    for leavers in LEAVERS:
        if leavers < n:
            values["lost_if_top_leave", float(leavers)] = brought(leavers)
    return values


def by_segment(customers: pd.DataFrame) -> pd.DataFrame:
    """Concentration within each segment, so that a segment of one whale is seen.

    Returns
    -------
    DataFrame, one row per segment: ``segment_type, cluster, segment, customers, gini,
    top_10_share, largest_share``
        ``largest_share`` is the part of the segment's revenue that its largest customer
        brought; empty where a segment has no revenue.
    """
    keys = ["segment_type", "cluster", "segment"]
    rows = []
    for values, members in customers.groupby(keys, sort=True):
        spent = np.sort(members["total_spent"].to_numpy(dtype=np.float64))
        total = float(spent.sum())
        best = spent[::-1][: max(1, int(np.ceil(len(spent) / 10)))]
        rows.append(
            dict(zip(keys, values, strict=True))
            | {
                "customers": len(members),
                "gini": gini(spent),
                "top_10_share": float(best.sum()) / total if total > 0 else float("nan"),
                "largest_share": float(spent[-1]) / total if total > 0 else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def by_quarter(engine: Engine) -> pd.DataFrame:
    """Concentration of spend in every calendar quarter, by ``concentration.sql``.

    Returns
    -------
    DataFrame: ``quarter`` (first day), ``customers, revenue, gini, gini_error, top_share,
    top_error, largest_share``
        Standard errors are analytic (Davidson 2009, Journal of Econometrics 150; for the
        share of the best tenth by its influence function). Customers of a quarter are those
        who spent in it.
    """
    table = engine.query(CONCENTRATION_SQL)
    numbers = [name for name in table.columns if name not in ("quarter", "customers")]
    number = table["quarter"].astype("int64")
    starts = pd.to_datetime({"year": number // 4, "month": number % 4 * 3 + 1, "day": 1})
    # sums of floats differ in their last digits with the order of the threads
    exact = {name: table[name].astype("float64").round(10) for name in numbers}
    return table.assign(quarter=starts, customers=table["customers"].astype("int64"), **exact)


def over_time(
    quarters: pd.DataFrame, *, first_day: dt.date | str, last_day: dt.date | str
) -> pd.DataFrame:
    """Quarters with 95% intervals, and whether each was observed from end to end.

    Returns
    -------
    DataFrame
        `quarters` of 30 customers or more, with ``gini_low, gini_high, top_low, top_high``
        (normal approximation, kept within 0 and 1) and ``is_complete``.
    """
    if quarters.empty:
        return quarters
    kept = quarters[quarters["customers"] >= LEAST_CUSTOMERS].reset_index(drop=True)
    starts = pd.DatetimeIndex(kept["quarter"])
    ends = starts + pd.offsets.QuarterEnd(0)
    intervals = {}
    for name, value in (("gini", "gini"), ("top", "top_share")):
        reach = Z95 * kept[f"{name}_error"]
        intervals[f"{name}_low"] = (kept[value] - reach).clip(0, 1)
        intervals[f"{name}_high"] = (kept[value] + reach).clip(0, 1)
    complete = (starts >= pd.Timestamp(first_day)) & (ends <= pd.Timestamp(last_day))
    return kept.assign(**intervals, is_complete=complete)
