"""When a contact pays for itself: by the mean order, by the typical one, and what is in reach."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from segmentation.core.limits import (
    ASSUMED_MARGIN,
    LEAST_COSTED,
    MEAN_OF_FEW,
    PLAUSIBLE_PART,
    PLAUSIBLE_RISE,
)

BEST_KNOWN_RISE = 0.0125 - 0.0057
"""Rise of the share that bought, of the best e-mail of a published experiment: from 0.57% to 1.25%
within two weeks (Hillstrom 2008, MineThatData e-mail challenge)."""


def own_margin(margins: pd.DataFrame) -> float | None:
    """Share of revenue left after the costs that the source names; None where it names none."""
    revenue = float(margins["revenue"].sum())
    return 1 - float(margins["cost"].sum()) / revenue if revenue > 0 else None


def margin_used(asked: float | Literal["auto"], margins: pd.DataFrame) -> float:
    """Gross margin that every break-even counts with: as set, else the shop's own, else assumed.

    Parameters
    ----------
    margins : DataFrame
        ``lines, with_cost, revenue, cost``; costs count where nearly all lines have one
        (`LEAST_COSTED`) and something is left of revenue. In steps of 0.1%, as the sliders have.

    Examples
    --------
    >>> costs = pd.DataFrame({"lines": [9], "with_cost": [9], "revenue": [80.0], "cost": [60.0]})
    >>> margin_used("auto", costs), margin_used(0.4, costs), margin_used("auto", costs[:0])
    (0.25, 0.4, 0.3)
    """
    if asked != "auto":
        return float(asked)
    return round(own_margin(margins) or 0.0, 3) if _own_counts(margins) else ASSUMED_MARGIN


def margin_words(asked: float | Literal["auto"], margins: pd.DataFrame) -> str:
    """Where `margin_used` has its margin from.

    Examples
    --------
    >>> costs = pd.DataFrame({"lines": [9], "with_cost": [9], "revenue": [80.0], "cost": [60.0]})
    >>> margin_words("auto", costs), margin_words(0.4, costs), margin_words("auto", costs[:0])
    ("the shop's own, by its costs", 'as set', 'an assumption')
    """
    if asked != "auto":
        return "as set"
    return "the shop's own, by its costs" if _own_counts(margins) else "an assumption"


def _own_counts(margins: pd.DataFrame) -> bool:
    """Whether nearly all lines have a cost, and something is left of revenue."""
    own = own_margin(margins)
    if own is None or round(own, 3) <= 0:
        return False
    return int(margins["with_cost"].sum()) >= LEAST_COSTED * int(margins["lines"].sum())


def break_even_response(contact_cost: float, gross_margin: float, order_value: float) -> float:
    """Share of contacted customers who must place one order they would not have placed.

    One contact costs `contact_cost`; one extra order brings ``gross_margin *
    order_value``. Doubling the margin halves the break-even. Above 1 a contact cannot
    pay for itself with one order; infinite where an order is worth nothing.

    Examples
    --------
    >>> break_even_response(1.0, 0.25, 40.0)
    0.1
    >>> break_even_response(1.0, 0.5, 40.0)
    0.05
    """
    worth = gross_margin * order_value
    return contact_cost / worth if worth > 0 else float("inf")


def dearer_than_typical(mean: float, typical: float) -> float:
    """How many times the typical order the mean of the same orders is, where that is much; else 0.

    Examples
    --------
    >>> dearer_than_typical(90.0, 30.0), dearer_than_typical(40.0, 30.0)
    (3.0, 0.0)
    """
    return mean / typical if typical > 0 and mean > MEAN_OF_FEW * typical else 0.0


def sensible_cost(gross_margin: float, order_value: float, *, base: float) -> float:
    """Most that a contact may cost for its break-even to be within reach.

    Parameters
    ----------
    base : float
        Share that orders anyway; NaN where not known, and everybody contacted is then taken to be
        within reach.

    Examples
    --------
    >>> round(sensible_cost(0.3, 20.0, base=0.07), 2)
    0.42
    """
    return max(gross_margin * order_value, 0.0) * plausible_rise(base)


def plausible_rise(base: float) -> float:
    """Rise of the share that orders which a contact may be expected to bring at most.

    As many again as come anyway, and no more than half of those who would stay away.

    Examples
    --------
    >>> plausible_rise(0.07), round(plausible_rise(0.9), 3), plausible_rise(float("nan"))
    (0.07, 0.05, 1.0)
    """
    return 1.0 if np.isnan(base) else min(PLAUSIBLE_RISE * base, PLAUSIBLE_PART * (1 - base))
