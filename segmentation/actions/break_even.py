"""When a contact pays for itself: by the mean order, by the typical one, and what is in reach."""

from __future__ import annotations

import numpy as np

from segmentation.core.limits import MEAN_OF_FEW, PLAUSIBLE_RISE


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
    """How many times the typical customer's order the mean is, where that is much; else 0.

    Examples
    --------
    >>> dearer_than_typical(90.0, 30.0), dearer_than_typical(40.0, 30.0)
    (3.0, 0.0)
    """
    return mean / typical if typical > 0 and mean > MEAN_OF_FEW * typical else 0.0


def sensible_cost(gross_margin: float, order_value: float, *, base: float, high: float) -> float:
    """Most that a contact may cost for its break-even to be within reach.

    Parameters
    ----------
    base, high : float
        Share that orders anyway and the upper end of its interval; NaN where not known, and
        everybody contacted is then taken to be within reach.

    Examples
    --------
    >>> round(sensible_cost(0.3, 20.0, base=0.07, high=0.08), 2)
    0.48
    """
    rise = 1.0 if np.isnan(base) else min(PLAUSIBLE_RISE * high, 1 - base)
    return max(gross_margin * order_value, 0.0) * rise
