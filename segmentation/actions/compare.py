"""Two runs -> who moved between their segments, what drifted, and whether to fit anew."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.matching import RunResult, match_segments
from segmentation.core.columns import FEATURES
from segmentation.core.drift import (
    counts_between,
    decile_edges,
    finding,
    stability_index,
)
from segmentation.core.errors import SourceError, first_three
from segmentation.core.limits import AGREEMENT_REFIT, CHANGED_SHARE_REFIT, PSI_REFIT, PSI_WATCH
from segmentation.core.phrases import listed
from segmentation.customers.preparation import DATES

STAYED, MOVED, REDRAWN, NEW, LOST = "stayed", "moved", "redrawn", "new", "lost"
SEGMENT_KEYS = ("segment_type", "cluster", "segment")
MEASURES = ("customers", "revenue_before", "revenue_after", "group_only")
MIGRATION_COLUMNS = (
    "segment_type_before",
    "cluster_before",
    "segment_before",
    "segment_type_after",
    "cluster_after",
    "segment_after",
    "movement",
    "customers",
    "revenue_before",
    "revenue_after",
    "group_only",
)


@dataclass(frozen=True)
class Comparison:
    """What changed from the earlier run to the later one.

    Attributes
    ----------
    matching : DataFrame, one row per segment of either run
    migration : DataFrame, one row per pair of segments that share customers
        The rows of one earlier segment add up to its customers and ``revenue_before``,
        those of one later segment to its customers and ``revenue_after``, exactly.
    drift : DataFrame, one row per feature of both runs
    agreement : float
        Share of the later run's customers to whom the earlier model gives the segment that
        the later run gave. NaN where the earlier model knows none of them.
    not_assignable : int
        Customers whose group the earlier model was not fitted on.
    elsewhere : dict of movement to customers
        Those of the later run to whom the earlier model gives another segment: `REDRAWN` are in
        another one only by the later run's borders, `STAYED` in their own only by them.
    verdict : str
        ``keep``, ``watch`` or ``refit``: what to do with the earlier model.
    reasons : tuple of str
        The measured facts behind the verdict.
    """

    matching: pd.DataFrame
    migration: pd.DataFrame
    drift: pd.DataFrame
    agreement: float
    not_assignable: int
    elsewhere: dict[str, int]
    verdict: str
    reasons: tuple[str, ...]


def compare(before: RunResult, after: RunResult) -> Comparison:
    """Compare an earlier run with a later one.

    Raises
    ------
    SourceError
        If the later run lacks a feature that the earlier model is made of.
    """
    missing = [name for name in before.model.features if name not in after.customers.columns]
    if missing:
        raise SourceError(
            f"the later run has no {first_three(missing)}, which the earlier model is made of; "
            "compare runs of the same kind of source."
        )
    matching = match_segments(before, after)
    drifted = drift(before, after)
    customers = customer_movements(before, after, matching)
    movements = customers.set_index("customer_id")["movement"]
    agreement, not_assignable, elsewhere = model_agreement(before, after, matching, movements)
    changed = _without_counterpart(after, matching)
    unknown = (not_assignable, not_assignable / max(len(after.customers), 1))
    verdict, reasons = _verdict(changed, drifted, agreement, unknown)
    return Comparison(
        matching,
        migration(customers),
        drifted,
        agreement,
        not_assignable,
        elsewhere,
        verdict,
        reasons,
    )


def customer_movements(before: RunResult, after: RunResult, matching: pd.DataFrame) -> pd.DataFrame:
    """Where each customer of either run was and is, one row each, sorted by id.

    Returns
    -------
    DataFrame
        ``customer_id``, segment columns of both runs, exact ``revenue_before`` and
        ``revenue_after`` (missing where the customer is not in that run), and
        ``movement``: ``stayed`` (in the matched segment), ``moved`` (their own figures
        changed: the earlier model, too, now gives another segment), ``redrawn`` (the
        earlier model would have left them where they were; the later run drew its border
        elsewhere), ``new`` or ``lost`` (in one run only). Personal data: for files, never
        for a page.
    """
    scale = max(before.amount_scale, after.amount_scale)
    joined = _side(before, scale, "_before").merge(
        _side(after, scale, "_after"), on="customer_id", how="outer"
    )
    joined = joined.merge(_by_earlier_model(before, after), on="customer_id", how="left")
    partner = {
        (row.segment_type, row.cluster_before): row.cluster_after
        for row in matching.itertuples()
        if not pd.isna(row.cluster_before)
    }
    joined["movement"] = [_movement(row, partner) for row in joined.itertuples()]
    joined = joined.drop(columns=["earlier_type", "earlier_cluster"])
    return joined.sort_values("customer_id", ignore_index=True)


def _side(side: RunResult, scale: int, suffix: str) -> pd.DataFrame:
    """Customers with the segment and exact money of one run."""
    table = side.customers[["customer_id", *SEGMENT_KEYS]].astype({"cluster": "Int64"})
    minor = np.round(side.customers["total_spent"].to_numpy() * 10**side.amount_scale)
    padding = 10 ** (scale - side.amount_scale)
    table["revenue"] = [Decimal(int(value) * padding).scaleb(-scale) for value in minor]
    return table.rename(columns={name: f"{name}{suffix}" for name in (*SEGMENT_KEYS, "revenue")})


def _by_earlier_model(before: RunResult, after: RunResult) -> pd.DataFrame:
    """What the earlier model says of the later figures, where it knows the group."""
    known = after.customers["segment_type"].isin(list(before.model.groups))
    columns = {"segment_type": "earlier_type", "cluster": "earlier_cluster"}
    if not known.any():
        return pd.DataFrame({"customer_id": [], "earlier_type": [], "earlier_cluster": []})
    assigned = before.model.assign(after.customers[known]).rename(columns=columns)
    return assigned[["customer_id", *columns.values()]].astype({"earlier_cluster": "Int64"})


def _movement(row: Any, partner: dict[tuple[str, int], Any]) -> str:
    if pd.isna(row.cluster_before):
        return NEW
    if pd.isna(row.cluster_after):
        return LOST
    was = (row.segment_type_before, row.cluster_before)
    expected = partner.get(was, pd.NA)
    same_group = row.segment_type_before == row.segment_type_after
    if same_group and not pd.isna(expected) and expected == row.cluster_after:
        return STAYED
    unmoved = not pd.isna(row.earlier_cluster) and was == (row.earlier_type, row.earlier_cluster)
    return REDRAWN if unmoved else MOVED


def migration(customers: pd.DataFrame) -> pd.DataFrame:
    """Who went where, in customers and in money, with nobody left out.

    Parameters
    ----------
    customers : DataFrame, as `customer_movements` gives it

    Returns
    -------
    DataFrame of `MIGRATION_COLUMNS`, one row per pair of segments and kind of movement
        ``revenue_before`` and ``revenue_after`` are exact decimals: what these customers
        had spent by either run; 0 where they were not in it. ``group_only`` is how many of them
        stand in another group, as by registering, and have spent just what they had.
    """
    keys = [name for name in MIGRATION_COLUMNS if name not in MEASURES]
    rows = []
    for values, members in customers.groupby(keys, dropna=False, sort=True):
        sizes: dict[str, Any] = {"customers": len(members)}
        for name in ("revenue_before", "revenue_after"):
            sizes[name] = sum(members[name].dropna(), Decimal(0))
        other = members["segment_type_before"] != members["segment_type_after"]
        same = members["revenue_before"] == members["revenue_after"]
        sizes["group_only"] = int((other & same).sum())
        rows.append(dict(zip(keys, values, strict=True)) | sizes)
    table = pd.DataFrame(rows, columns=list(MIGRATION_COLUMNS))
    return table.astype({"cluster_before": "Int64", "cluster_after": "Int64"})


def population_stability(reference: np.ndarray, current: np.ndarray) -> float:
    """How far a feature's distribution has moved: 0 = not at all, above 0.25 = a lot.

    The reference is cut at its deciles (fewer where values repeat); missing values are a
    bin of their own. The index is the sum over bins of ``(p - q) * ln(p / q)``. Half a
    customer is added to every bin of both sides, so that an empty one has a logarithm.

    Source: Siddiqi (2006), *Credit Risk Scorecards*, Wiley.

    Examples
    --------
    >>> ages = np.arange(100.0)
    >>> population_stability(ages, ages)
    0.0
    >>> population_stability(ages, ages + 50) > 0.25
    True
    """
    edges = decile_edges(reference)
    return stability_index(counts_between(reference, edges), counts_between(current, edges))


def drift(before: RunResult, after: RunResult) -> pd.DataFrame:
    """Population stability index of every feature that both runs have.

    Returns
    -------
    DataFrame: ``feature, in_use, psi, median_before, median_after, finding``
        ``in_use`` says whether the earlier model sees the feature; ``finding`` is
        ``stable`` below 0.1, ``shifting`` below 0.25, else ``shifted``.
    """
    rows = []
    for name in FEATURES:
        if name not in before.customers.columns or name not in after.customers.columns:
            continue
        old = before.customers[name].to_numpy(dtype=np.float64)
        new = after.customers[name].to_numpy(dtype=np.float64)
        index = population_stability(old, new)
        rows.append(
            {
                "feature": name,
                "in_use": name in before.model.features,
                "psi": index,
                "median_before": float(pd.Series(old).median()),
                "median_after": float(pd.Series(new).median()),
                "finding": finding(index),
            }
        )
    return pd.DataFrame(rows)


def model_agreement(
    before: RunResult, after: RunResult, matching: pd.DataFrame, movements: pd.Series
) -> tuple[float, int, dict[str, int]]:
    """How often the earlier model gives a customer the later run's segment.

    Parameters
    ----------
    movements : Series of movement by customer

    Returns
    -------
    (agreement, not_assignable, elsewhere)
        Share of the later run's customers that the earlier model can assign, how many it cannot
        (a group it was not fitted on), and the movements of those whom it places elsewhere.
    """
    assigned = _by_earlier_model(before, after)
    not_assignable = len(after.customers) - len(assigned)
    if assigned.empty:
        return float("nan"), not_assignable, {}
    partner = matching.dropna(subset=["cluster_before", "cluster_after"]).rename(
        columns={"segment_type": "earlier_type", "cluster_before": "earlier_cluster"}
    )
    keys = ["earlier_type", "earlier_cluster"]
    expected = assigned.merge(partner[[*keys, "cluster_after"]], on=keys, how="left")
    actual = after.customers[["customer_id", "cluster"]].astype({"cluster": "Int64"})
    both = expected.merge(actual, on="customer_id")
    equal = (both["cluster_after"] == both["cluster"]).fillna(False).astype(bool)
    elsewhere = both.loc[~equal, "customer_id"].map(movements).value_counts()
    return float(equal.mean()), not_assignable, {str(k): int(n) for k, n in elsewhere.items()}


def _without_counterpart(after: RunResult, matching: pd.DataFrame) -> tuple[int, float]:
    """Later segments that no earlier one resembles, and their share of customers."""
    changed = matching[~matching["is_same"] & matching["cluster_after"].notna()]
    keys = set(zip(changed["segment_type"], changed["cluster_after"], strict=True))
    customers = after.customers
    inside = [
        key in keys for key in zip(customers["segment_type"], customers["cluster"], strict=True)
    ]
    return len(changed), float(np.mean(inside)) if inside else 0.0


def _verdict(
    changed: tuple[int, float],
    drifted: pd.DataFrame,
    agreement: float,
    unknown: tuple[int, float],
) -> tuple[str, tuple[str, ...]]:
    """A new fit is asked for by who would move by it on the later day, and by nothing else.

    Features drift as time passes and as a shop grows; where the earlier model gives today's
    segments all the same, that is to be looked at and moves nobody. ``changed`` (segments)
    and ``unknown`` (customers) are numbers with their share of today's customers.
    """
    stays = agreement >= AGREEMENT_REFIT
    same = f"the earlier model gives today's segment to {agreement:.1%} of customers"
    refit: list[str] = []
    watch: list[str] = []
    if not stays:
        known = np.isfinite(agreement)
        refit.append(f"{same} only" if known else "the earlier model knows none of today's groups")
    if unknown[0]:
        reached = refit if unknown[1] >= CHANGED_SHARE_REFIT else watch
        reached.append(f"{unknown[0]:,} customers are of a group that it was not fitted on")
    if changed[0]:
        would_move = changed[1] if np.isnan(agreement) else min(changed[1], 1 - agreement)
        reached = refit if would_move >= CHANGED_SHARE_REFIT else watch
        reached.append(
            f"{changed[0]} of today's segments, with {changed[1]:.1%} of customers, resemble no "
            "earlier one"
        )
    used = drifted[drifted["in_use"]]
    aged = used["feature"].isin(DATES) & stays
    for found, least in (("shifted", PSI_REFIT), ("shifting", PSI_WATCH)):
        names = used.loc[~aged & (used["finding"] == found), "feature"]
        if len(names):
            words = listed([FEATURES[name].label.lower() for name in names])
            how = "has shifted" if found == "shifted" else "is shifting"
            reached = watch if stays else refit
            reached.append(f"the distribution of {words} {how} (index {least} or more)")
    if refit:
        return "refit", tuple(refit)
    if watch:
        return "watch", (*watch, same)
    older = used.loc[aged & (used["finding"].isin(["shifted", "shifting"])), "feature"]
    if len(older):
        words = listed([FEATURES[name].label.lower() for name in older])
        return "keep", (f"{words} moved, as days do with time and season, and {same}",)
    return "keep", (f"no feature in use has an index of {PSI_WATCH} or more, and {same}",)
