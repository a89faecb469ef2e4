"""Are the segments kinds of customers, or cuts through one smooth population of buyers?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from segmentation.core.columns import SHIPPED_FEATURES
from segmentation.core.limits import (
    CAMPAIGN_SHARES,
    LEAST_CUSTOMERS,
    LEAST_EXCESS,
    SMOOTH_CUSTOMERS,
    SMOOTH_SETS,
    SURE,
)
from segmentation.core.parameters import Parameters
from segmentation.core.threads import in_parallel
from segmentation.customers.prepare import prepare_group, preparing
from segmentation.evidence.forecast import fitted
from segmentation.evidence.resampling import fit, seed_of
from segmentation.evidence.stability import TOO_FEW
from segmentation.segments.forecast import DAYS_PER_WEEK, MbgNbd
from segmentation.segments.own_labels import OWN_LABELS
from segmentation.segments.silhouettes import silhouettes

BUYING = ("recency", "frequency", "tenure", "total_spent")


def smooth_buyers(customers: pd.DataFrame, model: MbgNbd, *, seed: int, n: int) -> pd.DataFrame:
    """Customers of one smooth population: no kinds, only more or less of everything.

    Each has a rate and a chance to stop of its own, drawn as MBG/NBD fits them, and orders of
    lognormal value around a mean of its own; values do not depend on rates. The time each has
    been a customer, units per money and days since registration are those of real customers.

    Parameters
    ----------
    customers : DataFrame
        Features of the customers that are cloned.
    n : int
        Customers to draw.

    Returns
    -------
    DataFrame with the columns of `customers` that are features, and ``segment_type``
    """
    chance = np.random.default_rng(seed)
    like = customers.iloc[np.sort(chance.integers(0, len(customers), n))]
    weeks = like["tenure"].to_numpy(dtype=float) / DAYS_PER_WEEK
    rate = np.maximum(chance.gamma(model.r, 1 / model.alpha, n), 1e-12)
    stop = chance.beta(model.a, model.b, n)
    time, last, orders = np.zeros(n), np.zeros(n), np.ones(n, dtype=np.int64)
    going = np.flatnonzero(chance.random(n) > stop)
    while len(going):
        time[going] += chance.exponential(1 / rate[going])
        going = going[time[going] <= weeks[going]]
        orders[going] += 1
        last[going] = time[going]
        going = going[chance.random(len(going)) > stop[going]]
    between, within, middle = _spread_of_values(customers)
    own = middle + between * chance.standard_normal(n)
    of = np.repeat(np.arange(n), orders)
    worth = np.exp(own[of] + within * chance.standard_normal(len(of)))
    spent = np.bincount(of, weights=worth, minlength=n)
    days = np.floor(last * DAYS_PER_WEEK)
    table = pd.DataFrame(
        {
            "customer_id": [f"{number:07d}" for number in range(n)],
            "segment_type": like["segment_type"].to_numpy(),
            "frequency": orders,
            "first_to_last_order": days,
            "recency": like["tenure"].to_numpy(dtype=float) - days,
            "tenure": like["tenure"].to_numpy(dtype=float),
            "total_spent": spent,
            "average_order_value": spent / orders,
        }
    )
    paid = customers["total_spent"] > 0
    if "total_unit" in customers.columns and paid.any():
        ratio = (customers["total_unit"] / customers["total_spent"])[paid].to_numpy()
        table["total_unit"] = np.maximum(np.round(spent * chance.choice(ratio, n)), orders)
    if "register_to_order" in customers.columns:
        table["register_to_order"] = chance.choice(customers["register_to_order"].to_numpy(), n)
    return table


def _spread_of_values(customers: pd.DataFrame) -> tuple[float, float, float]:
    """Deviations of log order values between and within customers, and their middle.

    Means of many orders spread less than single ones; by how much less tells the two apart.
    """
    known = customers[customers["total_spent"] > 0]
    logs = np.log(known["total_spent"] / known["frequency"]).to_numpy()
    one_in = 1 / known["frequency"].to_numpy(dtype=float)
    squares = (logs - logs.mean()) ** 2
    design = np.column_stack([np.ones(len(logs)), one_in])
    between, within = np.linalg.lstsq(design, squares, rcond=None)[0]
    return float(np.sqrt(max(between, 0.0))), float(np.sqrt(max(within, 0.0))), float(logs.mean())


def smooth_customers(
    customers: pd.DataFrame, names: tuple[str, ...], *, seed: int, n: int
) -> pd.DataFrame:
    """Customers of one smooth population where features are all that is known of them.

    A Gaussian copula (Nelsen 2006, chapter 2): each feature keeps its values and how often
    they occur, each pair its rank correlation, and nothing else ties customers together.

    Parameters
    ----------
    customers : DataFrame
        Features of the customers that are cloned.
    names : tuple of str
        Features to draw.
    n : int
        Customers to draw.

    Returns
    -------
    DataFrame with the columns `names`, and ``segment_type``
    """
    known = customers[list(names)].dropna().astype(np.float64)
    scores = norm.ppf((known.rank() - 0.5) / len(known))
    with np.errstate(invalid="ignore"):  # a feature that never varies
        tied = np.nan_to_num(np.atleast_2d(np.corrcoef(scores, rowvar=False)))
    np.fill_diagonal(tied, 1.0)
    chance = np.random.default_rng(seed)
    places = norm.cdf(chance.multivariate_normal(np.zeros(len(names)), tied, n, method="eigh"))
    table = pd.DataFrame(
        {
            name: np.quantile(known[name], places[:, j], method="inverted_cdf")
            for j, name in enumerate(names)
        }
    )
    kind = customers["segment_type"].iloc[0]
    return table.assign(segment_type=kind, customer_id=[f"{number:07d}" for number in range(n)])


def against_smooth(
    customers: pd.DataFrame, kind: str, k: int, silhouette: float, parameters: Parameters
) -> dict[str, float | bool | None]:
    """Whether one group is more clustered than smooth populations fitted to it.

    They are buyers where orders are known and all features come of them, else customers with
    the same features. ``natural_kinds`` is None where no such population can be fitted.
    """
    nothing: dict[str, float | bool | None] = {"smooth": None, "smooth_sd": None}
    names = tuple(name for name in parameters.features if name in customers.columns)
    by_orders = {*BUYING} <= {*customers.columns} and {*names} <= {*SHIPPED_FEATURES}
    model = fitted(customers) if by_orders else None
    known = k >= 2 and np.isfinite(silhouette)
    if (by_orders and model is None) or not known or len(customers) < LEAST_CUSTOMERS:
        return nothing | {"natural_kinds": None}
    n = min(len(customers), SMOOTH_CUSTOMERS)

    def as_distinct(number: int) -> float:
        seed = seed_of(parameters.random_state, number, 4)
        clones = (
            smooth_customers(customers, names, seed=seed, n=n)
            if model is None
            else smooth_buyers(customers, model, seed=seed, n=n)
        )
        values = prepare_group(clones, kind, names=names, **preparing(parameters)).values
        labels = fit(values, k, seed=seed).assign(values)
        return float(silhouettes(values, [labels], np.arange(len(values)))[0].mean())

    found = in_parallel(as_distinct, range(SMOOTH_SETS), customers=n)
    mean, sd = float(np.mean(found)), float(np.std(found, ddof=1))
    natural = silhouette - mean >= max(LEAST_EXCESS, SURE * sd)
    return {"smooth": mean, "smooth_sd": sd, "natural_kinds": bool(natural)}


def verdict(
    *,
    features: pd.DataFrame,
    tuning_k: pd.DataFrame,
    k_rule: dict[str, Any],
    chosen: dict[str, Any],
    stability: pd.DataFrame,
    holdout_rankings: pd.DataFrame,
    parameters: Parameters,
) -> dict[str, Any]:
    """What may be believed of each group's segments, and the sentence that says so."""
    predicts = _predicts(holdout_rankings)
    verdicts = {}
    for kind in chosen:
        k = int(chosen[kind]["k"])
        scores = tuning_k[tuning_k["segment_type"] == kind].set_index("k")["silhouette"]
        given = chosen[kind].get("asked") == OWN_LABELS  # they are not what was scored
        silhouette = np.nan if given else float(scores.get(k, np.nan))
        own = features[features["segment_type"] == kind]
        found = against_smooth(own, kind, k, silhouette, parameters)
        tried = stability[stability["segment_type"] == kind]["verdict"]
        tried = tried[tried != TOO_FEW]
        one = {
            "k_used": k,
            "k_evidence": int(k_rule[kind]["k"]) if kind in k_rule else None,
            "silhouette": silhouette if np.isfinite(silhouette) else None,
            **found,
            "stable": bool((tried == "stable").all()) if len(tried) else None,
            "predicts": predicts,
        }
        verdicts[kind] = one | {"sentence": _sentence(one)}
    return {"verdict": verdicts}


def _predicts(rankings: pd.DataFrame) -> str | None:
    """Whether the lists by segment choose a fifth of the customers better than spend alone."""
    rows = rankings[
        (rankings["ranking"] == "past spend") & (rankings["customers_share"] == CAMPAIGN_SHARES[-1])
    ]
    if rows.empty:
        return None
    low, high = rows["difference_low"].item(), rows["difference_high"].item()
    return "better" if high < 0 else "worse" if low > 0 else "equal"


def beside_smooth(one: dict[str, Any]) -> str:
    """What a smooth population of buyers, made up without kinds, gives beside these, in words."""
    if one["natural_kinds"] is None:
        return "whether they are natural kinds cannot be told from these data"
    return (
        f"made-up customers without any kinds divide into {one['k_used']} groups "
        f"{'less' if one['natural_kinds'] else 'about as'} distinct (silhouette "
        f"{one['smooth']:.2f}, these customers {one['silhouette']:.2f})"
    )


def _sentence(one: dict[str, Any]) -> str:
    """The verdict in plain words."""
    if one["k_used"] < 2:
        return "One group: nothing was divided."
    steady = {True: "Stable", False: "Not stable", None: "Stability not tested"}[one["stable"]]
    found = beside_smooth(one)
    if one["natural_kinds"] is None:
        return f"{steady}; {found}."
    if one["natural_kinds"]:
        return f"{steady}, {'and' if one['stable'] else 'but'} more than cuts: {found}."
    came = "the cut comes back, not the kinds; " if one["stable"] else ""
    return (
        f"{steady}, {'but' if one['stable'] else 'and'} not natural kinds: {came}{found}. "
        "Use them to act, not to explain."
    )
