"""Why a customer is an anomaly, in words, from the customer's own values."""

from __future__ import annotations

import numpy as np

from segmentation.core.columns import FEATURES
from segmentation.core.own_features import low_and_high

REASON_WORDS = {
    "register_to_order": ("ordered long before registering", "registered long before ordering"),
    "first_to_last_order": ("unusually short activity", "unusually long activity"),
    "total_unit": ("unusually few units", "extreme quantity"),
    "total_spent": ("unusually small spender", "extreme spender"),
    "recency": ("unusually recent order", "unusually long absence"),
    "frequency": ("unusually few orders", "extremely frequent buyer"),
    "average_order_value": ("unusually small basket", "unusually large basket"),
    "tenure": ("unusually new customer", "unusually old customer"),
}
"""Words for a value below, and above, the limits of its group."""


def limit_reasons(
    values: np.ndarray,
    features: tuple[str, ...],
    limits: dict[str, tuple[float, float]],
    medians: dict[str, float],
) -> list[str]:
    """Reasons of each customer whose single values are beyond the group's limits.

    Parameters
    ----------
    values : array of shape (n_customers, n_features)
        In the features' own units.
    limits : dict of feature to (low, high)
        Reasons appear in the order of this dict.

    Returns
    -------
    list of str, one per customer
        Joined by ``"; "``; empty where every value is within its limits.

    Examples
    --------
    >>> limit_reasons(
    ...     np.array([[500.0], [9.0]]), ("recency",), {"recency": (1.0, 400.0)}, {"recency": 30.0}
    ... )
    ['unusually long absence (500, median 30)', '']
    """
    found: list[list[str]] = [[] for _ in range(len(values))]
    for name, (low, high) in limits.items():
        column = values[:, features.index(name)]
        below, above = REASON_WORDS.get(name) or (f"unusually {w}" for w in low_and_high(name))
        for beyond, words in ((column > high, above), (column < low, below)):
            for row in np.flatnonzero(beyond):
                number = _number(float(column[row]))
                found[row].append(f"{words} ({number}, median {_number(medians[name])})")
    return ["; ".join(reasons) for reasons in found]


def _measured(name: str) -> str:
    """A feature in words, with its unit where that is not said by the words."""
    feature = FEATURES[name]
    label = feature.label.lower()
    said = feature.unit is None or feature.unit == "currency" or feature.unit in label
    return label if said else feature.axis.lower()


def rare_combination(
    values: np.ndarray, features: tuple[str, ...], gaps: np.ndarray, *, named: int = 2
) -> list[str]:
    """Reason of a customer whose values are ordinary one by one, but not together.

    Parameters
    ----------
    values : array of shape (n_customers, n_features)
        In the features' own units.
    gaps : array of shape (n_customers, n_features)
        Distance in prepared space to the nearest core point, feature by feature; the
        features with the widest gaps are named.

    Examples
    --------
    >>> rare_combination(
    ...     np.array([[3.0, 900.0]]), ("frequency", "recency"), np.array([[0.1, 2.0]])
    ... )
    ['rare combination: days since last order 900 with orders 3']
    """
    widest = np.argsort(-gaps, axis=1, kind="stable")[:, :named]
    texts = []
    for customer, columns in zip(values, widest, strict=True):
        parts = [
            f"{_measured(features[column])} {_number(float(customer[column]))}"
            for column in columns
        ]
        texts.append("rare combination: " + " with ".join(parts))
    return texts


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < 0.005 else f"{value:,.2f}"
