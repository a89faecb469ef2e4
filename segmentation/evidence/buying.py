"""BG/NBD with Gamma-Gamma: a published model of buying, as a yardstick for the segments.

BG/NBD (Fader, Hardie and Lee 2005, Marketing Science 24) says how often a customer will
buy again; Gamma-Gamma (Fader and Hardie 2013, after Colombo and Jiang 1999) how much an
order will be worth. Both are fitted by maximum likelihood on what was known at the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from segmentation.core.limits import LEAST_CUSTOMERS, MOST_RESAMPLED, WORTH_FACTOR
from segmentation.evidence.resampling import sample_rows
from segmentation.segments.forecast import DAYS_PER_WEEK, MbgNbd

_LOG_LIMIT = 15.0  # parameters stay between exp(-15) and exp(15)


@dataclass(frozen=True)
class BgNbd:
    """Fitted BG/NBD: purchase rates are Gamma(r, alpha), dropout chances Beta(a, b).

    ``alpha`` is in the unit of time of the data; ``log_likelihood`` is of all customers.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def expected_purchases(
        self, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray, horizon: float
    ) -> np.ndarray:
        """Purchases expected of each customer in the time ahead (equation 10).

        Parameters
        ----------
        x : array, repeat purchases (days with an order after the first day)
        t_x : array, time from first to last purchase
        observed : array, time from first purchase to the cut
        horizon : float, length of the time ahead
        """
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        z = horizon / (alpha + observed + horizon)
        tail = hyp2f1(r + x, b + x, a + b + x - 1, z)
        shrink = np.exp((r + x) * (np.log(alpha + observed) - np.log(alpha + observed + horizon)))
        top = (a + b + x - 1) / (a - 1) * (1 - shrink * tail)
        return top / (1 + _dropout_odds(self, x, t_x, observed))


def _dropout_odds(model: BgNbd, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    repeat = np.maximum(x, 1)
    logs = np.log(model.a / (model.b + repeat - 1)) + (model.r + x) * np.log(
        (model.alpha + observed) / (model.alpha + t_x)
    )
    return np.where(x > 0, np.exp(logs), 0.0)


def bgnbd_log_likelihood(
    parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Log-likelihood of each customer under (r, alpha, a, b); equation 6."""
    r, alpha, a, b = parameters
    still = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + observed)
    repeat = np.maximum(x, 1)
    gone = betaln(a + 1, b + repeat - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    both = np.where(x > 0, np.logaddexp(still, gone), still)
    return gammaln(r + x) - gammaln(r) + r * np.log(alpha) + both


def fit_bgnbd(x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> BgNbd:
    """Maximum likelihood fit; customers alike in all three numbers are weighed, not repeated.

    Parameters
    ----------
    x, t_x, observed : arrays of shape (n_customers,)
        As in `BgNbd.expected_purchases`, times in one unit.
    """
    (r, alpha, a, b), value = _fitted(bgnbd_log_likelihood, x, t_x, observed, polish=True)
    return BgNbd(r, alpha, a, b, value)


def mbgnbd_log_likelihood(
    parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Log-likelihood of each customer under (r, alpha, a, b) of `MbgNbd` (Wagner and Hoppe 2008)."""
    r, alpha, a, b = parameters
    counts, own = np.unique(x, return_inverse=True)  # few, and gamma functions are dear
    still, gone = betaln(a, b + counts + 1), betaln(a + 1, b + counts)
    prior = gammaln(r + counts) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    return prior[own] + np.logaddexp(
        still[own] - (r + x) * np.log(alpha + observed), gone[own] - (r + x) * np.log(alpha + t_x)
    )


def fit_mbgnbd(x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> MbgNbd:
    """Maximum likelihood fit, as `fit_bgnbd`."""
    (r, alpha, a, b), value = _fitted(mbgnbd_log_likelihood, x, t_x, observed)
    return MbgNbd(r, alpha, a, b, value)


def _fitted(
    log_likelihood: Callable[..., np.ndarray],
    x: np.ndarray,
    t_x: np.ndarray,
    observed: np.ndarray,
    *,
    polish: bool = False,
) -> tuple[list[float], float]:
    """Parameters of most likelihood, and the log-likelihood of all customers.

    Of very many customers a sample drawn by their values decides (`MOST_RESAMPLED`).
    """
    groups = pd.DataFrame({"x": x, "t_x": t_x, "observed": observed}).value_counts().sort_index()
    alike, weight = groups.index.to_frame().to_numpy(dtype=float), groups.to_numpy()
    every = np.repeat(np.arange(len(alike)), weight) if len(alike) > MOST_RESAMPLED else None
    if every is not None:  # customers in the order of their values: rows and ids play no part
        drawn = every[sample_rows(len(every), MOST_RESAMPLED, seed=0)]
        kept, weight = np.unique(drawn, return_counts=True)
        alike = alike[kept]

    def loss(logs: np.ndarray) -> float:
        each = log_likelihood(np.exp(logs), alike[:, 0], alike[:, 1], alike[:, 2])
        return -float(weight @ each) / float(weight.sum())

    start = np.array([0.0, np.log(np.median(observed[observed > 0]) / 4), 0.0, 0.0])
    # a and b above exp(7) mean one chance to stop for all, and leave the hypergeometric's range
    best, value = _minimum(loss, start, largest=[_LOG_LIMIT, _LOG_LIMIT, 7.0, 7.0], polish=polish)
    return [float(parameter) for parameter in np.exp(best)], -value * len(x)


@dataclass(frozen=True)
class GammaGamma:
    """Fitted Gamma-Gamma: order values are Gamma(p, nu), and nu is Gamma(q, gamma)."""

    p: float
    q: float
    gamma: float
    log_likelihood: float

    def expected_value(self, x: np.ndarray, mean_value: np.ndarray) -> np.ndarray:
        """Expected value of an order, given x orders of that mean value (x may be 0)."""
        known = np.where(x > 0, mean_value, 0.0)
        return self.p * (self.gamma + x * known) / (self.p * x + self.q - 1)

    def is_credible(self, mean_values: np.ndarray) -> bool:
        """Whether the mean order value it implies is within a factor of two of the seen one.

        As q comes near 1 the mean of the fitted distribution grows without bound, while
        its likelihood hardly changes: customers with one order would then be worth
        hundreds of times what anybody has spent.

        Parameters
        ----------
        mean_values : array
            Mean order value of each customer the model was fitted on.
        """
        implied = self.p * self.gamma / (self.q - 1)
        seen = float(mean_values.mean())
        return seen / WORTH_FACTOR <= implied <= seen * WORTH_FACTOR


def gamma_gamma_log_likelihood(
    parameters: np.ndarray, x: np.ndarray, mean_value: np.ndarray
) -> np.ndarray:
    """Log-likelihood of each customer's mean order value under (p, q, gamma)."""
    p, q, gamma = parameters
    return (
        gammaln(p * x + q)
        - gammaln(p * x)
        - gammaln(q)
        + q * np.log(gamma)
        + (p * x - 1) * np.log(mean_value)
        + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + x * mean_value)
    )


def fit_gamma_gamma(x: np.ndarray, mean_value: np.ndarray) -> GammaGamma:
    """Maximum likelihood fit on customers with at least one repeat order worth something."""
    used = (x > 0) & (mean_value > 0)
    counts, values = x[used], mean_value[used]

    def loss(logs: np.ndarray) -> float:
        p, q, gamma = np.exp(logs)
        # q above 1: a mean order value must exist
        each = gamma_gamma_log_likelihood(np.array([p, 1 + q, gamma]), counts, values)
        return -float(each.mean())

    start = np.log([2.0, 2.0, float(np.median(values))])
    best, value = _minimum(loss, start)
    p, q, gamma = np.exp(best)
    return GammaGamma(float(p), float(1 + q), float(gamma), -value * len(counts))


def _minimum(
    loss: Callable[[np.ndarray], float],
    start: np.ndarray,
    *,
    largest: Sequence[float] | None = None,
    polish: bool = True,
) -> tuple[np.ndarray, float]:
    """Bounded quasi-Newton, then, to polish, a simplex search from its end for the last digits."""
    bounds = [(-_LOG_LIMIT, end) for end in largest or [_LOG_LIMIT] * len(start)]
    rough = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    if rough.success and not polish:
        return rough.x, float(rough.fun)
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000}
    fine = minimize(loss, rough.x, method="Nelder-Mead", bounds=bounds, options=options)
    best = fine if fine.fun <= rough.fun else rough
    return best.x, float(best.fun)


def predicted_revenue(
    days: np.ndarray,
    first_to_last: np.ndarray,
    observed: np.ndarray,
    spent: np.ndarray,
    *,
    horizon_days: float,
) -> tuple[np.ndarray, BgNbd, GammaGamma | None] | None:
    """Revenue that BG/NBD and Gamma-Gamma expect of each customer after the cut.

    Gamma-Gamma draws each customer's mean order, the first included, towards everybody's; where
    it is not credible (`GammaGamma.is_credible`), expected orders are valued at that mean itself.

    Parameters
    ----------
    days : array of shape (n_customers,)
        Days with an order up to the cut, the first included.
    first_to_last, observed : arrays, days
        From the first order to the last, and to the cut.
    spent : array, account currency
        Up to the cut.

    Returns
    -------
    (revenue, BgNbd, GammaGamma or None), or None where too few customers bought again.

    Notes
    -----
    The published model leaves the first order out; a customer who ordered once is then worth
    what all others are, whatever the order was.
    """
    orders = days.astype(float)
    x, value = orders - 1, np.maximum(spent, 0.0) / orders
    if (x > 0).sum() < LEAST_CUSTOMERS or (value > 0).sum() < LEAST_CUSTOMERS:
        return None
    t_x, weeks = first_to_last / DAYS_PER_WEEK, observed / DAYS_PER_WEEK
    buying = fit_bgnbd(x, t_x, weeks)
    worth = fit_gamma_gamma(orders, value)
    purchases = buying.expected_purchases(x, t_x, weeks, horizon_days / DAYS_PER_WEEK)
    if worth.is_credible(value[value > 0]):
        return purchases * worth.expected_value(orders, value), buying, worth
    return purchases * value, buying, None
