"""How much of the revenue hangs on how few customers, with intervals and by segment."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.core.intervals import Z95, studentised
from segmentation.core.limits import (
    FEW_DRAWS,
    LEAST_CUSTOMERS,
    MANY_CUSTOMERS,
    MONEY_RESAMPLE,
    MOST_MEANS,
    REVENUE_DRAWS,
    TOP_SHARES,
)
from segmentation.sources.engine import Engine

LEAVERS = (1, 10, 100)
CONCENTRATION_SQL = (Path(__file__).parent / "sql" / "concentration.sql").read_text("utf-8")
MEASURES = ("gini", "top_share", "customers_for_half", "lost_if_top_leave")
MEASURE_COLUMNS = ("measure", "at", "value", "low", "high")


def gini(spent: np.ndarray) -> float:
    """Inequality of spend: 0 = all spent the same, near 1 = one customer spent everything.

    NaN where nothing was spent. Source: Gini (1912), as half the relative mean difference.

    Examples
    --------
    >>> gini(np.array([5.0, 5.0])), gini(np.array([0.0, 0.0, 0.0, 8.0]))
    (0.0, 0.75)
    """
    values = np.sort(np.asarray(spent, dtype=np.float64))
    if not values.sum() > 0:
        return float("nan")
    # one minus twice the Lorenz curve's area
    return float(1 - 2 * (np.cumsum(values) - values / 2).sum() / (len(values) * values.sum()))


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
    Studentised bootstrap over customers on log odds (`studentised`), the variances from the
    influence functions of the Gini coefficient and of a Lorenz curve's points (Davidson 2009,
    Journal of Econometrics 150; Cowell and Victoria-Feser 1996, Econometrica 64). It says how
    much a figure would differ in another sample of the same kind of customers, not what happens
    next year. What fewer than `LEAST_CUSTOMERS` brought has no interval: no resample holds a
    customer larger than the largest seen (Bickel and Freedman 1981).
    """
    spent = np.sort(customers["total_spent"].to_numpy(dtype=np.float64))
    n = len(spent)
    if not spent.sum() > 0:
        return pd.DataFrame(columns=list(MEASURE_COLUMNS))
    takers = {("top_share", share): max(1, int(np.ceil(share * n - 1e-9))) for share in TOP_SHARES}
    takers |= {("lost_if_top_leave", float(count)): count for count in LEAVERS if count < n}
    brought = spent[::-1].cumsum() / spent.sum()
    half = int(np.argmax(brought >= 0.5 * (1 - 1e-12))) + 1
    values = {("gini", 1.0): gini(spent)}
    values |= {key: float(brought[count - 1]) for key, count in takers.items()}
    values["customers_for_half", 0.5] = float(half)
    shares = np.array([count / n for count in takers.values()])
    chance = np.random.default_rng(random_state)
    draws = REVENUE_DRAWS if n <= MANY_CUSTOMERS else FEW_DRAWS
    size = int(np.ceil(MONEY_RESAMPLE * n))
    # few distinct values, or all money with one, leave nothing to draw
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = studentised(
            lambda counts: _log_odds(spent, counts, shares),
            np.ones(n),
            (np.bincount(chance.integers(n, size=size), minlength=n) for _ in range(draws)),
        )
        low, high = 1 / (1 + np.exp(-ends))
    few = [False, *(count < LEAST_CUSTOMERS for count in takers.values()), False]
    low[few] = high[few] = np.nan
    low[-1], high[-1] = low[-1] * n, high[-1] * n
    if not high[-1] <= MOST_MEANS * low[-1]:
        low[-1] = high[-1] = np.nan
    rows = [
        (*key, value, float(bottom), float(top))
        for (key, value), bottom, top in zip(values.items(), low, high, strict=True)
    ]
    rows.sort(key=lambda row: MEASURES.index(row[0]))
    return pd.DataFrame(rows, columns=list(MEASURE_COLUMNS))


def _log_odds(
    spent: np.ndarray, counts: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gini, money of the top ``shares``, share of customers who bring half; and their variances.

    Parameters
    ----------
    spent : array of shape (n_customers,), ascending
    counts : array of shape (n_customers,)
        How often each was drawn; a share takes its last customer in part.
    """
    seen = counts > 0
    money, weight = spent[seen], counts[seen] / counts.sum()
    mean = weight @ money
    below, rank = np.cumsum(weight * money), np.cumsum(weight)
    between = money * (2 * rank - weight - 1) + mean - (2 * below - weight * money)  # E|x - Y|
    apart = weight @ between
    inequality = apart / (2 * mean)
    found = [inequality]
    influence = [(between - apart - inequality * (money - mean)) / mean]
    for share in shares:
        last = money[min(int(np.searchsorted(rank, 1 - share, side="right")), len(money) - 1)]
        part = (weight @ np.maximum(money - last, 0) + share * last) / mean
        found.append(part)
        influence.append((np.maximum(money - last, 0) + share * last - part * money) / mean)
    last = money[min(int(np.searchsorted(below, mean / 2, side="right")), len(money) - 1)]
    share = (mean / 2 - weight @ np.maximum(money - last, 0)) / last
    found.append(share)
    influence.append((money / 2 - np.maximum(money - last, 0) - share * last) / last)
    value = np.array(found)
    variance = (np.array(influence) ** 2) @ weight / counts.sum()
    return np.log(value / (1 - value)), variance / (value * (1 - value)) ** 2


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
        `quarters` of 30 customers or more, with ``gini_low, gini_high, top_share_low,
        top_share_high`` (normal approximation, kept within 0 and 1) and ``is_complete``.
    """
    if quarters.empty:
        return quarters.reindex(
            columns=["quarter", "customers", "gini", "top_share", "is_complete"]
        )
    kept = quarters[quarters["customers"] >= LEAST_CUSTOMERS].reset_index(drop=True)
    starts = pd.DatetimeIndex(kept["quarter"])
    ends = starts + pd.offsets.QuarterEnd(0)
    intervals = {}
    for name, value in (("gini", "gini"), ("top", "top_share")):
        reach = Z95 * kept[f"{name}_error"]
        intervals[f"{value}_low"] = (kept[value] - reach).clip(0, 1)
        intervals[f"{value}_high"] = (kept[value] + reach).clip(0, 1)
    complete = (starts >= pd.Timestamp(first_day)) & (ends <= pd.Timestamp(last_day))
    return kept.assign(**intervals, is_complete=complete)
