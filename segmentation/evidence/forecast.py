"""What each customer is expected to do next, and how such forecasts turned out before."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.columns import RESPONSE_DAYS
from segmentation.core.intervals import MIDDLE_95, wilson
from segmentation.core.limits import (
    DRIFT,
    DRIFT_WEIGHT,
    EVERYBODY_ALIVE,
    LEAST_CUSTOMERS,
    LEAST_PUBLISHED,
    LEAST_RESPONSES,
    MISSED_DECILE,
    MISSED_TOTAL,
)
from segmentation.core.parameters import Parameters
from segmentation.evidence.buying import fit_mbgnbd
from segmentation.evidence.holdout import known_at_cut, standing_by
from segmentation.segments import forecast as buying
from segmentation.segments.forecast import DAYS_PER_WEEK, MbgNbd
from segmentation.segments.model import SegmentModel

FORECAST_COLUMNS = ("customer_id", "chance", "expected_orders", "expected_value", "outcome_days")
CALIBRATION_COLUMNS = ("decile", "customers", "predicted", "observed", "low", "high")
WORTH = ("value", "value_in_period")
ANYWAY_COLUMNS = (
    *("segment_type", "segment", "days", "customers", "modelled", "share", "low", "high"),
    *("median_recency", "cuts", "ordered", *WORTH, "typical", "quarters", "latest"),
    *("latest_share", "latest_value", "latest_forecast"),
)
TRACK_COLUMNS = (
    "as_of", "segment_type", "segment", "days", "customers", "ordered", "modelled", "share",
    "low", "high", "came", *WORTH,
)  # fmt: skip
KNOWN = ("recency", "frequency", "tenure", "total_spent")
"""What is asked of a customer for a forecast."""
DRAWS = 5_000
_YEAR, LEAST_FALLS = 4, 3
"""Quarters whose orders say what one is worth: one of each season; from the second on each being
worth less than the one before is no chance: 1 in 6 of three, 1 in 24 of four."""
_EVEN = 7
"""Days by which a period may be shorter than asked and still answers for it: quarters differ."""


def times_of(customers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders after the first, and weeks from the first order to the last and to the day known."""
    return buying.times_of(*(customers[n].to_numpy(dtype=float) for n in KNOWN[:3]))


def fitted(customers: pd.DataFrame) -> MbgNbd | None:
    """MBG/NBD of some customers; None where too few bought again or all are new."""
    x, t_x, observed = times_of(customers)
    if (x > 0).sum() < LEAST_CUSTOMERS or not (observed > 0).any():
        return None
    return fit_mbgnbd(x, t_x, observed)


def chances(model: MbgNbd, customers: pd.DataFrame, days: float) -> np.ndarray:
    """Chance of each customer to order within some days."""
    return model.chance(*times_of(customers), days / DAYS_PER_WEEK)


def predict(model: MbgNbd, customers: pd.DataFrame, days: int) -> pd.DataFrame:
    """`FORECAST_COLUMNS` of every customer: a ranking; its sums are no promise of revenue."""
    known = (customers[n].to_numpy(dtype=float) for n in KNOWN)
    chance, orders, value = model.expected(*known, days=days)
    return pd.DataFrame(
        {
            "customer_id": customers["customer_id"].to_numpy(dtype=object),
            "chance": chance,
            "expected_orders": orders,
            "expected_value": value,
            "outcome_days": days,
        }
    )


def calibration(predicted: np.ndarray, came: np.ndarray) -> pd.DataFrame:
    """`CALIBRATION_COLUMNS`: customers by tenths of their predicted chance, and what came.

    Parameters
    ----------
    predicted : array, chance of each customer
    came : boolean array, whether an order came

    Examples
    --------
    >>> table = calibration(np.repeat([0.1, 0.6], 50), np.arange(100) % 2 == 0)
    >>> table["predicted"].round(2).tolist()[::9], table["observed"].tolist()[::9]
    ([0.1, 0.6], [0.5, 0.5])
    """
    order = np.argsort(predicted, kind="stable")
    rows = []
    for number, own in enumerate(np.array_split(order, 10), start=1):
        n, ordered = len(own), int(came[own].sum())
        if n:
            rows.append((number, n, predicted[own].mean(), ordered / n, *wilson(ordered, n)))
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def why_not(table: pd.DataFrame) -> str:
    """Why a forecast is withheld, or nothing where its calibration holds."""
    outside = np.maximum(table["low"] - table["predicted"], table["predicted"] - table["high"])
    missed = table[outside > MISSED_DECILE]
    sums = [(table[name] * table["customers"]).sum() for name in ("predicted", "observed")]
    if not sums[1] / MISSED_TOTAL <= sums[0] <= sums[1] * MISSED_TOTAL:
        return f"{sums[0]:,.0f} customers were expected to order and {sums[1]:,.0f} did"
    if len(missed):
        worst = table.loc[outside.idxmax()]
        ends = {1: "the least likely tenth", len(table): "the most likely tenth"}
        tenth = ends.get(int(worst["decile"]), f"tenth {worst['decile']:.0f}")
        return (
            f"{len(missed)} of {len(table)} tenths of the customers "
            f"{'was' if len(missed) == 1 else 'were'} missed by more than "
            f"{100 * MISSED_DECILE:.0f} points beyond chance (of {tenth}, "
            f"{worst['predicted']:.1%} were expected to order and {worst['observed']:.1%} did)"
        )
    return ""


def forecast(
    *,
    features: pd.DataFrame,
    history: pd.DataFrame,
    no_history: str,
    segments: pd.DataFrame,
    model: SegmentModel,
    overview: dict[str, Any],
    parameters: Parameters,
) -> dict[str, Any]:
    """Forecast of every customer, its calibration on the last period, and its rule to abstain.

    Who orders anyway is answered for each of today's segments whether or not single customers
    are forecast: its interval holds what back-tests of the same kind missed by.
    """
    days = parameters.outcome_days
    nothing = {
        "forecast": pd.DataFrame(columns=list(FORECAST_COLUMNS)),
        "forecast_calibration": pd.DataFrame(columns=list(CALIBRATION_COLUMNS)),
        "order_anyway": pd.DataFrame(columns=list(ANYWAY_COLUMNS)),
        "order_anyway_before": pd.DataFrame(columns=list(TRACK_COLUMNS)),
    }
    last = dt.date.fromisoformat(overview["as_of"]) if overview["as_of"] else None
    ends = sorted(set(history["as_of"])) if len(history) else []
    if not ends or last is None:
        return nothing | {"forecast_facts": {"possible": False, "reason": no_history}}
    now = fitted(features)
    past = {day: history[history["as_of"] == day] for day in ends}
    fits = {day: fitted(customers) for day, customers in past.items()}
    if now is None or all(fit is None for fit in fits.values()):
        reason = f"fewer than {LEAST_CUSTOMERS} customers bought again"
        return nothing | {"forecast_facts": {"possible": False, "reason": reason}}
    found = nothing | _anyway(
        features.merge(segments[["customer_id", "segment"]], on="customer_id"),
        now, past, fits, model, last=last, split=parameters.split_pre_register,
    )  # fmt: skip
    seen = {day: (last - dt.date.fromisoformat(day)).days for day in ends}
    long_enough = [day for day in ends if seen[day] >= days - _EVEN and fits[day] is not None]
    if not long_enough:
        reason = f"no {days} days of orders follow a quarter in which customers bought again"
        return found | {"forecast_facts": {"possible": False, "reason": reason}}
    cut = long_enough[-1]
    ahead, fit = min(days, seen[cut]), fits[cut]
    assert fit is not None
    then = past[cut]
    came = (then["days_to_order"] <= ahead).to_numpy()
    table = calibration(chances(fit, then, ahead), came)
    reason = why_not(table)
    facts = {
        "possible": not reason,
        "reason": reason and f"a forecast made on {cut} was tried, and {reason}",
        "outcome_days": days,
        "cut": cut,
        "days_after": ahead,
        "r": now.r, "alpha": now.alpha, "a": now.a, "b": now.b,
        "log_likelihood": now.log_likelihood,
        "everybody_alive": now.a / (now.a + now.b) < EVERYBODY_ALIVE,
    }  # fmt: skip
    return found | {
        "forecast": nothing["forecast"] if reason else predict(now, features, days),
        "forecast_calibration": table,
        "forecast_facts": facts,
    }


def _anyway(
    today: pd.DataFrame,
    now: MbgNbd,
    past: dict[str, pd.DataFrame],
    fits: dict[str, MbgNbd | None],
    model: SegmentModel,
    *,
    last: dt.date,
    split: bool,
) -> dict[str, Any]:
    """Share of each segment's customers of today who order anyway, and the back-tests."""
    before, orders = [], []
    for day, customers in past.items():
        if (fit := fits[day]) is None:
            continue
        placed = standing_by(model, known_at_cut(customers, split_pre_register=split))
        for days in RESPONSE_DAYS:
            own = placed.dropna(subset="segment")
            shares = _shares(own, fit, days)
            first = own.loc[
                own["days_to_order"] <= days, ["segment_type", "segment", "next_amount"]
            ]
            orders.append(first.assign(as_of=day, days=days))
            seen = (last - dt.date.fromisoformat(day)).days
            known = seen >= days - _EVEN
            before.append(shares.assign(as_of=day, known=known))
    track = pd.concat(before, ignore_index=True)
    track = track[track["known"]].drop(columns="known").sort_values("as_of", ignore_index=True)
    track = track.assign(share=np.nan, low=np.nan, high=np.nan)
    for row in track.itertuples():
        begin = dt.date.fromisoformat(row.as_of) - dt.timedelta(days=row.days - _EVEN)
        earlier = track[(track["days"] == row.days) & (track["as_of"] <= begin.isoformat())]
        share = corrected(row.modelled, _of_segment(earlier, row))
        track.loc[row.Index, ["share", "low", "high"]] = (
            share, *interval_of(share, row.customers, earlier),
        )  # fmt: skip
    track["came"] = track["ordered"] / track["customers"]
    answers = []
    for days in RESPONSE_DAYS:
        own = track[track["days"] == days]
        if own.empty:
            continue
        shares = _shares(today, now, days)
        shares["share"] = [
            corrected(row.modelled, _of_segment(own, row)) for row in shares.itertuples()
        ]
        ends = np.array([interval_of(r.share, r.customers, own) for r in shares.itertuples()])
        shares = shares.assign(low=ends[:, 0], high=ends[:, 1], cuts=own["as_of"].nunique())
        shares = shares.drop(columns=["ordered", *WORTH])
        firsts = pd.concat(orders, ignore_index=True).query("days == @days")
        answers.append(
            shares.merge(of_a_year(own, firsts), on=["segment_type", "segment"], how="left")
        )
    table = pd.concat(answers, ignore_index=True) if answers else pd.DataFrame()
    return {
        "order_anyway": table.reindex(columns=list(ANYWAY_COLUMNS)),
        "order_anyway_before": track[list(TRACK_COLUMNS)],
    }


def _shares(customers: pd.DataFrame, fit: MbgNbd, days: int) -> pd.DataFrame:
    """Share of each segment that orders within some days, how many did, and what for."""
    table = customers.assign(chance=chances(fit, customers, days))
    table["came"] = table["days_to_order"] <= days if "days_to_order" in table else False
    for name, money in zip(WORTH, ("next_amount", f"revenue_{days}"), strict=True):
        table[name] = table[money].where(table["came"]) if money in table else np.nan
    groups = table.groupby(["segment_type", "segment"], sort=True)
    shares = groups.agg(
        customers=("chance", "size"), modelled=("chance", "mean"), ordered=("came", "sum"),
        median_recency=("recency", "median"), **{name: (name, "mean") for name in WORTH},
    )  # fmt: skip
    return shares.reset_index().assign(days=days)


def of_a_year(before: pd.DataFrame, firsts: pd.DataFrame) -> pd.DataFrame:
    """What orders were worth that came anyway in the last four quarters, and the last of these.

    Parameters
    ----------
    before : DataFrame
        Back-tests of one period, as `TRACK_COLUMNS`.
    firsts : DataFrame
        ``segment_type, segment, as_of, next_amount`` of each who came within that period.

    Returns
    -------
    DataFrame, one row per segment
        ``ordered`` times customers came, ``value`` and ``value_in_period`` their means,
        ``typical`` the median of the first orders (all three of the last quarter alone, where the
        mean fell in every one), ``quarters``; ``latest`` day from which the
        last quarter was followed, with its own ``latest_share`` and ``latest_value`` (missing where
        few came) and ``latest_forecast``, what the same rule had said of it.

    Examples
    --------
    >>> quarters = pd.DataFrame({"segment_type": "all", "segment": "A", "as_of": list("1234"),
    ...     "ordered": [30, 0, 30, 60], "came": 0.2, "value": [50.0, np.nan, 50.0, 35.0],
    ...     "value_in_period": 90.0, "share": 0.3})
    >>> firsts = quarters[["segment_type", "segment", "as_of"]].assign(next_amount=[20.0, 30, 31, 90])
    >>> told = ["ordered", "value", "typical", "quarters", "latest", "latest_value", "latest_forecast"]
    >>> of_a_year(quarters, firsts)[told].values.tolist()
    [[120, 42.5, 30.5, 4, '4', 35.0, 0.3]]
    """
    days = sorted(before["as_of"].unique())[-_YEAR:]
    year = before[before["as_of"].isin(days)].sort_values("as_of")
    keys = ["segment_type", "segment"]
    groups = year.groupby(keys)
    found = groups.agg(ordered=("ordered", "sum"), quarters=("as_of", "nunique"))
    for name in WORTH:
        known = year[(year["ordered"] > 0) & year[name].notna()]
        sums = (known[name] * known["ordered"]).groupby([known[key] for key in keys]).sum()
        found[name] = sums / known.groupby(keys)["ordered"].sum()
    own = firsts[firsts["as_of"].isin(days)]
    found["typical"] = own.groupby(keys)["next_amount"].median()
    last = groups.tail(1).set_index(keys)
    lately = own[own["as_of"] == days[-1]].groupby(keys)["next_amount"].median()
    fell = groups.apply(_always_fell, include_groups=False).reindex(found.index)
    for name in WORTH:
        found[name] = found[name].mask(fell, last[name])
    found["typical"] = found["typical"].mask(fell, lately)
    came = last["ordered"]
    return found.assign(
        latest=last["as_of"],
        latest_share=last["came"].where((came == 0) | (came >= LEAST_PUBLISHED)),
        latest_value=last["value"].where(came >= LEAST_RESPONSES),
        latest_forecast=last["share"],
    ).reset_index()


def _always_fell(quarters: pd.DataFrame) -> bool:
    """Whether an order was worth less in each quarter than in the one before: then the last counts.

    Examples
    --------
    >>> quarters = pd.DataFrame({"value": [43.0, 40.0, 37.0, 34.0], "ordered": 900})
    >>> _always_fell(quarters), _always_fell(quarters.tail(2)), _always_fell(quarters.assign(ordered=9))
    (True, False, False)
    """
    known = len(quarters) >= LEAST_FALLS and (quarters["ordered"] >= LEAST_RESPONSES).all()
    return bool(known and (quarters["value"].diff().iloc[1:] < 0).all())


def _of_segment(before: pd.DataFrame, row: Any) -> pd.DataFrame:
    same = (before["segment_type"] == row.segment_type) & (before["segment"] == row.segment)
    return before[same]


def corrected(modelled: float, before: pd.DataFrame) -> float:
    """Share of a segment that will order: the model's, by what it missed of that segment before.

    One model of all customers may say too few of regular buyers, and too many of others, at
    every quarter. The mean error in log odds is taken off, as if one quarter more had missed
    nothing; chance weighs small segments down.

    Parameters
    ----------
    before : DataFrame
        Back-tests of the segment known by then: ``customers, ordered, modelled``.

    Examples
    --------
    >>> before = {"customers": [500] * 4, "ordered": [180, 190, 170, 175], "modelled": [0.2] * 4}
    >>> round(corrected(0.15, pd.DataFrame(before)), 2)
    0.25
    >>> corrected(0.15, pd.DataFrame(before).head(0))
    0.15
    """
    if before.empty:
        return float(modelled)
    said = before["modelled"] * (1 - before["modelled"])
    missed = _log_odds(before["ordered"], before["customers"]) - _odds(before["modelled"])
    weight = 1 / (1 / (before["customers"] * said) + DRIFT**2)
    shift = (weight * missed).sum() / (weight.sum() + 1 / DRIFT**2)
    return float(1 / (1 + np.exp(-_odds(modelled) - shift)))


def interval_of(share: float, customers: int, before: pd.DataFrame) -> tuple[float, float]:
    """95% interval of the share of some customers who will order, by what was missed before.

    Parameters
    ----------
    share : float
        As predicted.
    before : DataFrame
        Back-tests known by then, of all segments: ``as_of, customers, ordered, share``.

    Notes
    -----
    Errors are of log odds, chance taken away; those of one quarter move together, so quarters
    are counted and not segments. `DRIFT` stands in as `DRIFT_WEIGHT` quarters more.
    """
    squares, quarters = DRIFT_WEIGHT * DRIFT**2, DRIFT_WEIGHT
    for _, own in before.groupby("as_of"):
        missed = _log_odds(own["ordered"], own["customers"]) - _odds(own["share"])
        noise = 1 / (own["customers"] * own["share"] * (1 - own["share"]))
        large = own["customers"].to_numpy(dtype=float)
        squares += max(float(np.average(missed**2 - noise, weights=np.sqrt(large))), 0.0)
        quarters += 1
    chance = np.random.default_rng(0)  # the same draws for every segment
    drift = chance.standard_t(quarters, DRAWS) * np.sqrt(squares / quarters)
    odds = _odds(share) + drift
    came = chance.binomial(customers, 1 / (1 + np.exp(-odds))) / customers
    low, high = np.quantile(came, MIDDLE_95)
    return float(low), float(high)


def _log_odds(ordered: pd.Series, customers: pd.Series) -> pd.Series:
    return pd.Series(_odds((ordered + 0.5) / (customers + 1)))


def _odds(share: Any) -> Any:
    return np.log(share / (1 - share))
