"""Do segments made of what was known at a cut predict who buys after it?

Rankings of the same customers are compared by what they would have caught: the segments,
naive rules that need no model, and a published probabilistic model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from segmentation.core.columns import RESPONSE_DAYS
from segmentation.core.intervals import bootstrap_counts, spread_of, studentised, wilson
from segmentation.core.limits import (
    BOOTSTRAPS,
    CAMPAIGN_SHARES,
    FEW_DRAWS,
    LEAST_CUSTOMERS,
    LEAST_TOP,
    MANY_CUSTOMERS,
    MONEY_RESAMPLE,
    MOST_MEANS,
)
from segmentation.core.threads import in_parallel

SAME_SHARE = 0.001

RESPONSE_COLUMNS = (
    "segment_type",
    "segment",
    "days",
    "customers",
    "ordered",
    "share",
    "low",
    "high",
    "median_recency",
    "value",
    "value_in_period",
    "typical",
)

CURVE_POINTS = 101
LISTS, SEGMENTS, SPEND, RECENCY, RFM, MODEL, ORDERS_MODEL = (
    "segment, then spend",
    "segments",
    "past spend",
    "recency",
    "RFM quintile score",
    "BG/NBD and Gamma-Gamma",
    "BG/NBD and mean order",
)


def rfm_score(recency: np.ndarray, frequency: np.ndarray, total_spent: np.ndarray) -> np.ndarray:
    """Sum of three quintiles, 3 to 15: the naive RFM score.

    A customer's quintile comes from the mean rank of all customers with the same value,
    so equal customers get an equal score.

    Examples
    --------
    >>> rfm_score(np.array([1, 9]), np.array([5, 1]), np.array([80.0, 2.0])).tolist()
    [15.0, 9.0]
    """
    parts = (-np.asarray(recency, float), frequency, total_spent)
    ranks = [pd.Series(part).rank(pct=True, method="average") for part in parts]
    return np.sum([np.ceil(5 * rank.to_numpy() - 1e-9) for rank in ranks], axis=0)


@dataclass(frozen=True)
class Ranking:
    """Customers sorted by a score, best first, those of equal score taken together."""

    order: np.ndarray
    last: np.ndarray  # position of the last customer of each group of equals

    @classmethod
    def by(cls, score: np.ndarray) -> Ranking:
        """Rank by a score, higher is better."""
        order = np.argsort(-score, kind="stable")
        last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
        return cls(order, last)

    def curve(self, weight: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Share of customers taken and share of the value caught, from none to all.

        Among customers of equal score a part catches a proportional part: what a draw by
        lot would catch on average.
        """
        taken = np.cumsum(weight[self.order])[self.last]
        caught = np.cumsum((weight * values)[self.order])[self.last]
        total = caught[-1] if caught[-1] else 1.0
        return np.append(0.0, taken / taken[-1]), np.append(0.0, caught / total)

    def caught(self, weight: np.ndarray, values: np.ndarray, share: float) -> float:
        """Part of the value caught when this share of the customers is taken."""
        return float(np.interp(share, *self.curve(weight, values)))

    def midranks(self, weight: np.ndarray) -> np.ndarray:
        """Mean rank of each customer, best = low, when each counts ``weight`` times."""
        ends = np.cumsum(weight[self.order])[self.last]
        starts = np.append(0.0, ends[:-1])
        sizes = np.diff(np.append(-1, self.last))
        ranks = np.empty(len(self.order))
        ranks[self.order] = np.repeat((starts + ends) / 2, sizes)
        return ranks


def weighted_correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    """Correlation of two columns, each customer counted ``weight`` times; NaN if one is flat.

    Of midranks it is Spearman's rank correlation.

    Examples
    --------
    >>> weighted_correlation(np.array([1.0, 2, 3]), np.array([9.0, 5, 1]), np.ones(3))
    -1.0
    """
    total = weight.sum()
    a, b = a - (weight * a).sum() / total, b - (weight * b).sum() / total
    spread = np.sqrt((weight * a * a).sum() * (weight * b * b).sum())
    return float(round((weight * a * b).sum() / spread, 12)) if spread > 0 else float("nan")


@dataclass(frozen=True)
class HoldoutTables:
    """What became of the customers after the cut.

    Attributes
    ----------
    segments : DataFrame, one row per segment_type and cluster
        ``customers, bought_again, orders, revenue`` and shares with intervals. Those of money
        are withheld (NaN) where it hangs on few: fewer than 30 bought again, or the interval
        would reach beyond 20 times what a customer brought. A limit on how evenly money is spread
        would withhold where large customers were seen, and show where all are missing.
    rankings : DataFrame, one row per ranking and share of customers taken
        What each would have caught, with intervals, and its difference from the first.
    curve : DataFrame with columns ``ranking, customers_share, revenue_share, customers``
    """

    segments: pd.DataFrame
    rankings: pd.DataFrame
    curve: pd.DataFrame


def follow(
    customers: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    *,
    random_state: int,
    progress: str = "",
) -> HoldoutTables:
    """Compare rankings made at the cut by what happened afterwards.

    Parameters
    ----------
    customers : DataFrame, one row per customer known at the cut
        ``segment_type, cluster, segment, orders_after`` and ``revenue_after`` (account
        currency); rows in an order derived from the customers' values.
    scores : mapping of ranking name to array of shape (n_customers,), higher is better
        The first is compared with all others.
    random_state : int
        Seed of the bootstrap over customers, from which all 95% intervals come.
    """
    resamples = BOOTSTRAPS if len(customers) <= MANY_CUSTOMERS else FEW_DRAWS
    drawn = partial(bootstrap_counts, len(customers), resamples=resamples, seed=random_state)
    counts = drawn()
    return HoldoutTables(
        _by_segment(customers, counts, drawn(part=MONEY_RESAMPLE)),
        _by_ranking(customers, scores, counts, progress=progress),
        _curves(customers, scores),
    )


Sums = dict[str, np.ndarray]


def _by_segment(
    customers: pd.DataFrame, counts: np.ndarray, money_counts: np.ndarray
) -> pd.DataFrame:
    keys = ["segment_type", "cluster", "segment"]
    group = customers.groupby(keys, sort=True).ngroup().to_numpy()
    n_groups = int(group.max()) + 1
    revenue = customers["revenue_after"].to_numpy(dtype=float)
    columns = {
        "customers": np.ones(len(customers)),
        "bought_again": (customers["orders_after"] > 0).to_numpy(dtype=float),
        "orders": customers["orders_after"].to_numpy(dtype=float),
        "revenue": revenue,
        "squares": revenue**2,
    }

    def sums(weight: np.ndarray, *names: str) -> Sums:
        return {
            name: np.bincount(group, weights=weight * columns[name], minlength=n_groups)
            for name in names or columns
        }

    own = sums(np.ones(len(customers)))
    named = customers[keys].drop_duplicates().sort_values(keys).reset_index(drop=True)
    whole = {name: own[name].round().astype("int64") for name in ("customers", "bought_again")}
    table = named.assign(**whole, orders=own["orders"].round().astype("int64"))
    table["revenue"] = own["revenue"].round(6)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        table["share_again"] = own["bought_again"] / own["customers"]
        # the bootstrap sees no doubt where none or all of a few customers came back
        limits = [wilson(c, n) for c, n in zip(own["bought_again"], own["customers"], strict=True)]
        table[["share_again_low", "share_again_high"]] = np.array(limits)
        table["orders_per_customer"] = own["orders"] / own["customers"]
        drawn = [sums(weight, "customers", "orders") for weight in counts]
        again = np.array([each["orders"] / each["customers"] for each in drawn])
        _, low, high = np.array([spread_of(column) for column in again.T]).T
        table["orders_per_customer_low"], table["orders_per_customer_high"] = low, high
        drawn = [sums(weight, "customers", "revenue", "squares") for weight in money_counts]
        mean = own["revenue"] / own["customers"]
        ends = np.exp(studentised(_log_mean, own, drawn))
        few = (own["bought_again"] < LEAST_CUSTOMERS) | ~(ends[1] <= MOST_MEANS * mean)
        table["revenue_per_customer"] = mean
        low, high = np.where(few, np.nan, ends)
        table["revenue_per_customer_low"], table["revenue_per_customer_high"] = low, high
        share = own["revenue"] / max(own["revenue"].sum(), 1e-12)
        among = own["customers"] / own["customers"].sum()
        for name, measure, part, rest in (
            ("revenue_share", _log_odds, 1.0, 1.0),
            ("lift", _log_ratio, among, 1 - among),
        ):
            ends = 1 / (part + rest * np.exp(-studentised(measure, own, drawn)))
            table[name] = share / part
            low, high = np.where(few, np.nan, np.where(share == 1, 1 / part, ends))
            table[f"{name}_low"], table[f"{name}_high"] = low, high
    return table


def _others(sums: Sums) -> Sums:
    return {name: values.sum() - values for name, values in sums.items()}


def _log_mean(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the money of a customer, and its variance."""
    n, money = sums["customers"], sums["revenue"]
    return np.log(money / n), (sums["squares"] / money**2 - 1 / n).clip(0)


def _log_ratio(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the money of a customer beside that of all others, and its variance."""
    (own, variance), (other, its) = _log_mean(sums), _log_mean(_others(sums))
    return own - other, variance + its


def _log_odds(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of a segment's money beside all other, and its variance, sizes left to chance."""
    own, other = sums["revenue"], _others(sums)["revenue"]
    squares, others = sums["squares"], _others(sums)["squares"]
    return np.log(own / other), squares / own**2 + others / other**2


def _by_ranking(
    customers: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    counts: np.ndarray,
    *,
    progress: str,
) -> pd.DataFrame:
    revenue = customers["revenue_after"].to_numpy(dtype=float)
    again = (customers["orders_after"] > 0).to_numpy(dtype=float)
    rankings = {name: Ranking.by(score) for name, score in scores.items()}
    outcome = Ranking.by(revenue)
    sizes = _sizes(scores.get(SEGMENTS, next(iter(scores.values()))))

    def measure(weight: np.ndarray) -> np.ndarray:
        rows = []
        after = outcome.midranks(weight)
        for ranking in rankings.values():
            correlation = weighted_correlation(ranking.midranks(weight), after, weight)
            money, people = ranking.curve(weight, revenue), ranking.curve(weight, again)
            buyers = (weight * again).sum() / weight.sum()
            for share in sizes:
                caught = float(np.interp(share, *money))
                bought = float(np.interp(share, *people)) * buyers / share
                rows.append((caught, bought, correlation))
        return np.array(rows).reshape(len(rankings), len(sizes), 3)

    own = measure(np.ones(len(customers)))
    weights = (weight.astype(float) for weight in counts)
    drawn = np.array(in_parallel(measure, weights, customers=len(customers), progress=progress))
    rows = []
    for i, name in enumerate(rankings):
        for j, share in enumerate(sizes):
            difference = drawn[:, i, j, 0] - drawn[:, 0, j, 0]
            rows.append(
                {
                    "ranking": name,
                    "customers_share": share,
                    "customers": round(share * len(customers)),
                    **_with_interval("revenue_share", own[i, j, 0], drawn[:, i, j, 0]),
                    **_with_interval("lift", own[i, j, 0] / share, drawn[:, i, j, 0] / share),
                    **_with_interval("share_again", own[i, j, 1], drawn[:, i, j, 1]),
                    **_with_interval("rank_correlation", own[i, j, 2], drawn[:, i, j, 2]),
                    **_with_interval("difference", own[i, j, 0] - own[0, j, 0], difference),
                }
            )
    return pd.DataFrame(rows)


def _sizes(segment_score: np.ndarray) -> list[float]:
    """10%, 20%, and as many customers as the top segment has, where it is not tiny."""
    top = float((segment_score == segment_score.max()).mean())
    is_another = all(abs(top - share) > SAME_SHARE for share in CAMPAIGN_SHARES)
    return [*CAMPAIGN_SHARES, top] if LEAST_TOP <= top < 1 and is_another else list(CAMPAIGN_SHARES)


def _with_interval(name: str, value: float, drawn: np.ndarray) -> dict[str, float]:
    _, low, high = spread_of(drawn)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _curves(customers: pd.DataFrame, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    revenue = customers["revenue_after"].to_numpy(dtype=float)
    across = np.linspace(0, 1, CURVE_POINTS)
    parts = []
    for name, score in scores.items():
        taken, caught = Ranking.by(score).curve(np.ones(len(customers)), revenue)
        caught_at = np.interp(across, taken, caught)
        parts.append(
            pd.DataFrame(
                {
                    "ranking": name,
                    "customers_share": across,
                    "revenue_share": caught_at,
                    "customers": len(customers),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def responses(customers: pd.DataFrame, *, observed_days: int) -> pd.DataFrame:
    """How many of each segment order anyway: without a campaign, within so many days.

    Who is in a segment is decided by what was known before the days that are counted, so
    nobody is in it because of the order that is counted here.

    Parameters
    ----------
    customers : DataFrame, one row per customer known at the cut
        ``segment_type, segment`` (missing = in none), ``days_to_order`` (NaN where no order
        followed) and, where they are known, ``recency`` at the cut, ``next_amount`` (money of
        the first day of order after it) and ``revenue_30`` and so on.
    observed_days : int
        Days from the cut to the last day of observation; no longer period is answered.

    Returns
    -------
    DataFrame of `RESPONSE_COLUMNS`, one row per segment and period
        ``share`` is ``ordered / customers``, with its 95% interval (Wilson 1927);
        ``median_recency`` is that of the customers counted, at the cut. Means over those who
        ordered: ``value`` of their first order, ``value_in_period`` of all they spent in it;
        ``typical`` is the median of what ``value`` is the mean of.

    Examples
    --------
    >>> followed = pd.DataFrame({"segment_type": "normal", "segment": ["A"] * 4,
    ...                          "days_to_order": [5.0, 30.0, 31.0, np.nan]})
    >>> found = responses(followed, observed_days=60)
    >>> found[["days", "customers", "ordered", "share"]].values.tolist()
    [[30.0, 4.0, 2.0, 0.5], [60.0, 4.0, 3.0, 0.75]]
    """
    rows = []
    for (kind, segment), members in customers.groupby(["segment_type", "segment"], sort=True):
        recency = float(members["recency"].median()) if "recency" in members else np.nan
        for days in [period for period in RESPONSE_DAYS if period <= observed_days]:
            n, ordered = len(members), int((members["days_to_order"] <= days).sum())
            ends = wilson(ordered, n)
            who = members[members["days_to_order"] <= days]
            worth = [
                float(who[name].mean()) if name in who else np.nan
                for name in ("next_amount", f"revenue_{days}")
            ]
            typical = float(who["next_amount"].median()) if "next_amount" in who else np.nan
            rows.append(
                (kind, segment, days, n, ordered, ordered / n, *ends, recency, *worth, typical)
            )
    return pd.DataFrame(rows, columns=list(RESPONSE_COLUMNS))
