"""What separates a segment from the next better one: orders, units per order or money per unit."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from segmentation.core.limits import (
    MOSTLY_ONCE,
)

GAPS = {
    "frequency": "orders per customer",
    "breadth": "units per order",
    "price": "money per unit",
}
"""What the spend of two segments can differ in; `gap` in a play's condition names the largest."""


def ordered_once(customers: pd.DataFrame) -> pd.Series:
    """1 for who ordered on one occasion only; NaN where the source cannot tell."""
    if "first_to_last_order" in customers.columns:  # two orders of one day are one occasion
        return (customers["first_to_last_order"] == 0).astype(float)
    if "frequency" in customers.columns:
        return (customers["frequency"] == 1).astype(float)
    return pd.Series(np.nan, index=customers.index)


def gap_to_next(
    members: pd.DataFrame, group: pd.DataFrame
) -> tuple[str, dict[str, tuple[float, float]]]:
    """The next better segment, and own and its factors of what a customer spends.

    Money per customer is orders per customer x units per order x money per unit, each a
    ratio of sums, so the three gaps multiply to the gap in spend. Only segments most of
    whose customers came back are looked up to; none where there is no such segment.
    """
    if not {"frequency", "total_unit"} <= set(group.columns):
        return "", {}
    tiers = group.groupby("segment").agg(
        spent=("total_spent", "mean"),
        once=("frequency", lambda orders: (orders == 1).mean()),
    )
    others = tiers.index != members["segment"].iloc[0]
    above = tiers[
        others & (tiers["spent"] > members["total_spent"].mean()) & (tiers["once"] < MOSTLY_ONCE)
    ]
    if above.empty:
        return "", {}
    better = str(above["spent"].idxmin())

    def factors(of: pd.DataFrame) -> list[float]:
        orders, units, spent = (
            float(of[name].sum()) for name in ("frequency", "total_unit", "total_spent")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return [orders / len(of), units / np.float64(orders), spent / np.float64(units)]

    own, other = factors(members), factors(group[group["segment"] == better])
    if not all(np.isfinite(own + other)) or min(own + other) <= 0:
        return better, {}
    return better, dict(zip(GAPS, zip(own, other, strict=True), strict=True))


def gap_words(better: str, apart: dict[str, tuple[float, float]]) -> str:
    """What `gap_to_next` found, as a phrase."""
    if not apart:
        return ""
    parts = [
        f"{GAPS[name]} {_short(own)} against {_short(other)}"
        for name, (own, other) in apart.items()
    ]
    return f"next better segment {better}: {', '.join(parts)}"


def _short(value: float) -> str:
    """Three digits, as far as two such figures are compared by eye."""
    return f"{Decimal(f'{value:.2e}'):,f}"
