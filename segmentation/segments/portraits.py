"""What a segment's customers are like: typical values, differences, journeys, cohorts.

Nobody can be recognised in it: a journey is that of ten alike customers together, and a
cohort of fewer is not told.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from segmentation.core.columns import FEATURES
from segmentation.core.limits import LEAST_ALIKE

KEYS = ["segment_type", "cluster", "segment"]
THIRDS = ("lower third", "middle third", "upper third")
"""Parts of a segment by spend."""
MOST_MONTHS = 12
"""Up to so many months of first orders cohorts are months, beyond quarters."""
DIFFERENCE_COLUMNS = (
    *KEYS, "feature", "customers", "median", "lower", "upper", "median_else", "difference",
)  # fmt: skip
JOURNEY_COLUMNS = (*KEYS, "part", "customers")
COHORT_COLUMNS = (*KEYS, "cohort", "customers", "inside", "share")


def differences(customers: pd.DataFrame) -> pd.DataFrame:
    """How each segment differs from everybody else of its group, largest difference first.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        Segment columns and every feature that the source allows.

    Returns
    -------
    DataFrame of `DIFFERENCE_COLUMNS`, one row per segment and feature
        ``median, lower, upper`` (quartiles) of the segment and ``median_else`` of the
        others, in the feature's unit. ``difference`` is the standardised difference of
        means, on the scale sign(x) * ln(1 + |x|), so that one large customer does not
        hide it: above 0.8 is commonly called large, below 0.2 negligible (Cohen 1988).
        Missing where a group has one segment or the feature does not vary.
    """
    names = [name for name in FEATURES if name in customers.columns]
    rows = []
    for kind, group in customers.groupby("segment_type", sort=False):
        values = group[names].to_numpy(dtype=np.float64)
        scaled = np.sign(values) * np.log1p(np.abs(values))
        for (cluster, segment), members in group.groupby(["cluster", "segment"]).indices.items():
            inside = np.zeros(len(group), dtype=bool)
            inside[members] = True
            for at, name in enumerate(names):
                own, other = values[inside, at], values[~inside, at]
                if np.isnan(own).all():
                    continue
                lower, median, upper = np.nanquantile(own, [0.25, 0.5, 0.75])
                rest = np.nan if np.isnan(other).all() else float(np.nanmedian(other))
                gap = _difference(scaled[inside, at], scaled[~inside, at])
                known = int((~np.isnan(own)).sum())
                rows.append((kind, cluster, segment, name, known, median, lower, upper, rest, gap))
    table = pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))
    order = table["difference"].abs().rename("_size")
    table = table.assign(_size=order).sort_values(
        [*KEYS, "_size"], ascending=[True, True, True, False], kind="stable"
    )
    return table.drop(columns="_size").reset_index(drop=True)


def _difference(own: np.ndarray, other: np.ndarray) -> float:
    """Standardised difference of means (Austin 2009); NaN where there is nothing to divide by.

    Examples
    --------
    >>> _difference(np.array([1.0, 3.0]), np.array([3.0, 5.0])) == -2 / 2**0.5
    True
    """
    own, other = own[~np.isnan(own)], other[~np.isnan(other)]
    if not len(own) or not len(other):
        return float("nan")
    parts = [part.var(ddof=1) if len(part) > 1 else 0.0 for part in (own, other)]
    spread = float(np.sqrt(sum(parts) / 2))
    return float((own.mean() - other.mean()) / spread) if spread > 0 else float("nan")


def journeys(customers: pd.DataFrame) -> pd.DataFrame:
    """Example journeys that are nobody's: each the middle of ten customers alike.

    A segment of 30 customers or more has three, one for each third by spend; a smaller
    one of ten or more has one. The ten are those nearest to the third's middle, on
    standardised logarithms; the journey is their median, feature by feature.

    Returns
    -------
    DataFrame, one row per journey
        `JOURNEY_COLUMNS` and every feature that all of the ten have, rounded so that no
        single value remains: days to weeks or months, money to two digits.
    """
    names = [name for name in FEATURES if name in customers.columns and name != "register_to_order"]
    rows = []
    for key, members in customers.groupby(KEYS, sort=True):
        parts = _thirds(members) if len(members) >= 3 * LEAST_ALIKE else {"all": members}
        for part, own in parts.items():
            if len(own) < LEAST_ALIKE:
                continue
            alike = _alike(own[names].to_numpy(dtype=np.float64))
            middle = dict(zip(names, np.median(alike, axis=0), strict=True))
            row = dict(zip(KEYS, key, strict=True)) | {"part": part, "customers": LEAST_ALIKE}
            rows.append(row | {name: rounded(value, name) for name, value in middle.items()})
    return pd.DataFrame(rows, columns=[*JOURNEY_COLUMNS, *names])


def _thirds(members: pd.DataFrame) -> dict[str, pd.DataFrame]:
    names = [name for name in FEATURES if name in members.columns]
    others = [name for name in names if name != "total_spent"]
    ordered = members.sort_values(["total_spent", *others], kind="stable")
    ends = [round(len(ordered) * part / 3) for part in range(4)]
    return {name: ordered.iloc[ends[at] : ends[at + 1]] for at, name in enumerate(THIRDS)}


def _alike(values: np.ndarray) -> np.ndarray:
    """The ten rows nearest to the middle of all, equal ones taken together by value."""
    known = values[~np.isnan(values).any(axis=1)]
    scaled = np.sign(known) * np.log1p(np.abs(known))
    spread = scaled.std(axis=0)
    scaled = (scaled - np.median(scaled, axis=0)) / np.where(spread > 0, spread, 1.0)
    distance = np.round((scaled**2).sum(axis=1), 9)
    order = np.lexsort((*known.T[::-1], distance))
    return known[order[:LEAST_ALIKE]]


def rounded(value: float, name: str) -> float:
    """A value as a journey tells it: too coarse to be looked up.

    Examples
    --------
    >>> rounded(38.0, "recency"), rounded(131.0, "tenure"), rounded(1234.5, "total_spent")
    (35.0, 120.0, 1200.0)
    """
    column = FEATURES[name]
    if column.kind == "days":
        step = 7.0 if abs(value) < 60 else 30.0
        return round(value / step) * step
    if column.kind in ("money", "share", "score"):
        return float(f"{value:.2g}")
    return float(round(value))


def cohort_shares(customers: pd.DataFrame, *, as_of: dt.date | None) -> pd.DataFrame:
    """Share of each cohort that is in each segment today.

    A cohort is the month of the first order (the quarter, where first orders span more
    than a year). Later cohorts have had less time to come back and to spend.

    Returns
    -------
    DataFrame of `COHORT_COLUMNS`, one row per segment and cohort, cohorts in order
        ``customers`` of the cohort within the group, ``inside`` of them in the segment.
        Cohorts of fewer than ten customers are left out. Empty where the source has no
        dates.
    """
    if as_of is None or "tenure" not in customers.columns:
        return pd.DataFrame(columns=list(COHORT_COLUMNS))
    first = pd.Timestamp(as_of) - pd.to_timedelta(customers["tenure"], unit="D")
    months = first.dt.to_period("M")
    span = (months.max() - months.min()).n + 1
    cohort = months if span <= MOST_MONTHS else first.dt.to_period("Q")
    table = customers[KEYS].assign(cohort=cohort)
    sizes = table.groupby(["segment_type", "cohort"], sort=True).size()
    counts = table.groupby([*KEYS, "cohort"], sort=True).size()
    rows = []
    for key in table.groupby(KEYS, sort=True).groups:
        for period, n in sizes[key[0]].items():
            if n >= LEAST_ALIKE:
                inside = int(counts.get((*key, period), 0))
                rows.append((*key, str(period), int(n), inside, inside / n))
    return pd.DataFrame(rows, columns=list(COHORT_COLUMNS))
