"""What a customer will do next, by four numbers that were fitted to all of them (MBG/NBD).

Customers order at random at a rate of their own and may stop for good after any order, the
first included (Batislam, Denizel and Filiztekin 2007, International Journal of Research in
Marketing 24; formulas as corrected by Wagner and Hoppe 2008, ibid. 25). BG/NBD, its elder
sister, holds every customer of one order to be alive, however long ago that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv, hyp2f1

DAYS_PER_WEEK = 7.0
_SINGULAR = 1e-6  # the formula for orders has a removable gap at a = 1
_NODES = 160


@dataclass(frozen=True)
class MbgNbd:
    """Fitted MBG/NBD: order rates are Gamma(r, alpha), chances to stop Beta(a, b).

    ``alpha`` is in the unit of time of the data; ``log_likelihood`` is of all customers.
    ``x`` below are orders after the first, ``t_x`` the time from the first to the last of
    them, ``observed`` the time from the first order to the last day known.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = float("nan")

    def alive(self, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Chance that a customer has not stopped."""
        longer = (self.r + x) * np.log((self.alpha + observed) / (self.alpha + t_x))
        return np.asarray(1 / (1 + self.a / (self.b + x) * np.exp(np.minimum(longer, 700.0))))

    def chance(
        self, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray, horizon: float
    ) -> np.ndarray:
        """Chance of at least one order in the time ahead."""
        still = self.alpha + observed
        silent = np.exp((self.r + x) * np.log(still / (still + horizon)))
        return np.asarray(self.alive(x, t_x, observed) * (1 - silent))

    def expected_orders(
        self, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray, horizon: float
    ) -> np.ndarray:
        """Orders expected in the time ahead.

        Examples
        --------
        Somebody who came back twice, by the fit of the literature's CDNOW sample, in weeks:

        >>> model = MbgNbd(0.525, 6.183, 0.891, 1.614)
        >>> one = model.expected_orders(*(np.array([v]) for v in (2, 30.43, 38.86)), 39.0)
        >>> round(one.item(), 2)
        1.26
        """
        a = self.a if abs(self.a - 1) > _SINGULAR else 1 + _SINGULAR
        z = horizon / (self.alpha + observed + horizon)
        # Wagner and Hoppe's formula after Euler's transformation, which keeps its terms small
        with np.errstate(invalid="ignore", over="ignore"):
            series = hyp2f1(a + self.b - self.r, a - 1, a + self.b + x, z)
            gone = np.exp((a - 1) * np.log1p(-z)) * series
        of_alive = (a + self.b + x) / (a - 1) * (1 - gone)
        left = ~np.isfinite(of_alive)
        if left.any():  # outside the range of the series: over the chances to stop, by quantiles
            nodes, weights = np.polynomial.legendre.leggauss(_NODES)
            stop = betaincinv(a, self.b + x[left][:, None] + 1, (nodes + 1) / 2)
            stop, share = np.maximum(stop, 1e-12), z[left] / (1 - z[left])
            orders = -np.expm1(-(self.r + x[left])[:, None] * np.log1p(stop * share[:, None]))
            of_alive[left] = orders / stop @ weights / 2
        return np.asarray(self.alive(x, t_x, observed) * of_alive)

    def expected(
        self,
        recency: np.ndarray,
        frequency: np.ndarray,
        tenure: np.ndarray,
        spent: np.ndarray,
        *,
        days: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chance to order within some days, orders expected, and their value, of each customer.

        Value is the mean of the customer's own orders, the first included, times the orders.
        """
        known = times_of(recency, frequency, tenure)
        orders = self.expected_orders(*known, days / DAYS_PER_WEEK)
        worth = np.maximum(spent / frequency, 0.0)
        return self.chance(*known, days / DAYS_PER_WEEK), orders, worth * orders


def value_at_risk(order_value: Any, before: Any, chance: Any) -> Any:
    """What a customer's mean order is worth times the fall of the chance to order.

    Examples
    --------
    >>> value_at_risk(np.array([40.0, 40.0]), np.array([0.5, 0.1]), np.array([0.25, 0.2])).tolist()
    [10.0, 0.0]
    """
    return order_value.clip(0) * (before - chance).clip(0)


def times_of(
    recency: np.ndarray, frequency: np.ndarray, tenure: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders after the first, and weeks from the first order to the last and to the day known."""
    return frequency - 1, (tenure - recency) / DAYS_PER_WEEK, tenure / DAYS_PER_WEEK
