"""Forecasts against published figures, numerical integration, simulation and earlier quarters."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.integrate import dblquad
from scipy.special import beta, betaincinv, gammaln

from segmentation.book import words
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.evidence import buying
from segmentation.evidence.forecast import calibration, interval_of, predict, why_not
from segmentation.run.run import Run
from segmentation.segments.forecast import MbgNbd

PUBLISHED = (0.525, 6.183, 0.891, 1.614)
"""MBG/NBD of the CDNOW sample as BTYDplus and Lifetimes print it (r, alpha, a, b; weeks)."""
CUT = dt.date(1997, 9, 30)


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat days, last of them and weeks known of the literature's 2,357 customers."""
    gaps = (ROOT / "tests" / "support" / "cdnow_sample.txt").read_text("ascii").splitlines()[1:]
    chosen = set(np.cumsum([int(gap) for line in gaps for gap in line.split()]).tolist())
    days: dict[int, set[dt.date]] = {}
    master = ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt"
    for line in master.read_text("ascii").splitlines()[1:]:
        customer, day, *_ = line.split()
        if int(customer) in chosen:
            date = dt.datetime.strptime(day, "%Y%m%d").date()
            days.setdefault(int(customer), set()).add(date)
    rows = []
    for own in days.values():
        known = sorted(day for day in own if day <= CUT)
        first, last = known[0], known[-1]
        rows.append((len(known) - 1, (last - first).days / 7, (CUT - first).days / 7))
    assert len(rows) == 2_357
    x, t_x, observed = np.array(rows, dtype=float).T
    return x, t_x, observed


def test_bgnbd_of_the_cdnow_sample_is_the_published_one(sample):
    model = buying.fit_bgnbd(*sample)

    assert model.log_likelihood == pytest.approx(-9_582.4, abs=0.05)
    found = (model.r, model.alpha, model.a, model.b)
    assert found == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.001)


def test_mbgnbd_of_the_cdnow_sample_is_the_published_one(sample):
    model = buying.fit_mbgnbd(*sample)

    found = (model.r, model.alpha, model.a, model.b)
    assert found == pytest.approx(PUBLISHED, abs=0.002)
    at_published = buying.mbgnbd_log_likelihood(np.array(PUBLISHED), *sample).sum()
    assert model.log_likelihood == pytest.approx(at_published, abs=0.01)


@pytest.mark.parametrize(
    ("x", "t_x", "observed"), [(0, 0.0, 38.86), (2, 30.43, 38.86), (1, 1.71, 20.0)]
)
def test_mbgnbd_likelihood_equals_numerical_integration(x, t_x, observed):
    r, alpha, a, b = 1.4, 4.4, 1.8, 2.4  # smooth at zero, so that quadrature is exact

    def density(p, rate):
        gamma = alpha**r * rate ** (r - 1) * np.exp(-alpha * rate) / np.exp(gammaln(r))
        dropout = p ** (a - 1) * (1 - p) ** (b - 1) / beta(a, b)
        still = (1 - p) ** (x + 1) * rate**x * np.exp(-rate * observed)
        gone = p * (1 - p) ** x * rate**x * np.exp(-rate * t_x)
        return gamma * dropout * (still + gone)

    expected = dblquad(density, 0, 12, 0, 1, epsabs=1e-12)[0]

    one = (np.array([value], dtype=float) for value in (x, t_x, observed))
    found = buying.mbgnbd_log_likelihood(np.array([r, alpha, a, b]), *one)
    assert found[0] == pytest.approx(np.log(expected), abs=1e-6)


@pytest.mark.parametrize("r", [0.05, 5.0])
@pytest.mark.parametrize("alpha", [0.02, 300.0])
@pytest.mark.parametrize("a", [1e-4, 0.3, 1.0, 1.5, 1_000.0])
@pytest.mark.parametrize("b", [0.01, 1.6, 1_000.0])
def test_expected_orders_equal_an_average_over_chances_to_stop(r, alpha, a, b):
    model = MbgNbd(r, alpha, a, b)
    x, t_x, observed = np.array([[0, 0, 30], [3, 10, 38], [150, 50, 60], [0, 0, 0]], float).T
    nodes, weights = np.polynomial.legendre.leggauss(400)
    for each in range(len(x)):
        stop = np.maximum(betaincinv(a, b + x[each] + 1, (nodes + 1) / 2), 1e-13)
        gained = np.log1p(stop * 13.0 / (alpha + observed[each]))
        orders = -np.expm1(-(r + x[each]) * gained) / stop @ weights / 2
        alive = model.alive(x[each], t_x[each], observed[each])
        found = model.expected_orders(x, t_x, observed, 13.0)[each]
        assert found == pytest.approx(alive * orders, rel=2e-3, abs=1e-12)


def test_customers_of_one_order_may_have_stopped():
    """BG/NBD holds them alive for ever; here silence counts."""
    model = MbgNbd(*PUBLISHED)
    alive = model.alive(np.zeros(2), np.zeros(2), np.array([1.0, 70.0]))
    assert 0 < alive[1] < alive[0] < 1


def simulated(n: int, weeks: float, ahead: float, *, seed: int) -> tuple[np.ndarray, ...]:
    """Orders after the first and their last before a cut, weeks known, orders ahead; by the book."""
    random = np.random.default_rng(seed)
    r, alpha, a, b = PUBLISHED
    rate, stop = random.gamma(r, 1 / alpha, n), random.beta(a, b, n)
    joined = random.uniform(0, weeks / 2, n)
    x, t_x, later = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        time = joined[i]
        while random.random() > stop[i]:
            time += random.exponential(1 / max(rate[i], 1e-12))
            if time > weeks + ahead:
                break
            if time > weeks:
                later[i] += 1
            else:
                x[i], t_x[i] = x[i] + 1, time - joined[i]
    return x, t_x, weeks - joined, later


def test_forecasts_of_simulated_customers_come_true():
    *known, later = simulated(12_000, 52, 13, seed=5)
    model = buying.fit_mbgnbd(*known)

    orders = model.expected_orders(*known, 13.0)
    table = calibration(model.chance(*known, 13.0), later > 0)

    assert orders.sum() == pytest.approx(later.sum(), rel=0.05)
    inside = (table["predicted"] >= table["low"]) & (table["predicted"] <= table["high"])
    assert inside.sum() >= 8
    assert why_not(table) == ""


def test_of_very_many_customers_a_sample_decides(monkeypatch):
    *known, _ = simulated(4_000, 52, 1, seed=6)
    whole = buying.fit_mbgnbd(*known)
    monkeypatch.setattr(buying, "MOST_RESAMPLED", 2_000)
    part = buying.fit_mbgnbd(*known)
    turned = buying.fit_mbgnbd(*(column[::-1] for column in known))
    assert part == turned
    assert part.r / part.alpha == pytest.approx(whole.r / whole.alpha, rel=0.15)


def test_a_forecast_that_missed_its_last_period_is_withheld():
    predicted = np.repeat(np.linspace(0.05, 0.6, 10), 400)
    random = np.random.default_rng(1)
    right = random.random(4_000) < predicted
    assert why_not(calibration(predicted, right)) == ""
    season = random.random(4_000) < predicted + 0.15
    assert "of 10 tenths" in why_not(calibration(predicted, season))
    rare = random.random(4_000) < 0.02
    assert "were expected to order" in why_not(calibration(np.full(4_000, 0.04), rare))


def test_an_interval_is_wider_where_earlier_ones_missed_and_holds_counts():
    before = pd.DataFrame({"as_of": ["a", "b", "c"], "customers": 2_000, "share": 0.1})
    good = interval_of(0.1, 2_000, before.assign(ordered=[200, 210, 190]))
    bad = interval_of(0.1, 2_000, before.assign(ordered=[60, 500, 90]))
    assert bad[0] < good[0] < 0.1 < good[1] < bad[1]
    assert interval_of(0.1, 4, before.assign(ordered=200))[0] == 0.0


@pytest.fixture(scope="module")
def run(cdnow_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)


def test_history_equals_each_quarter_alone(run):
    history = run["history"]
    ends = sorted(set(history["as_of"]))
    assert ends == ["1997-06-30", "1997-09-30", "1997-12-31", "1998-03-31"]
    day = "1997-12-31"
    own = history[history["as_of"] == day]
    alone = run.with_parameters(as_of=dt.date.fromisoformat(day))["customer_features"]
    pd.testing.assert_frame_equal(own[list(alone.columns)].reset_index(drop=True), alone)
    assert (own["orders_next"] > 0).sum() == (own["days_to_order"] <= 90).sum()
    assert (own["days_to_order"] > 0).sum() == 5_374  # whoever bought after 1997


def test_forecast_of_a_run_is_the_ranking_that_the_contract_names(run, cdnow_run):
    table = pd.read_parquet(cdnow_run / "forecast.parquet")
    customers = run["features"]

    assert list(table.columns) == [
        "customer_id", "chance", "expected_orders", "expected_value", "outcome_days",
    ]  # fmt: skip
    assert set(table["customer_id"]) == set(customers["customer_id"])
    assert (table["outcome_days"] == 90).all() and table["chance"].between(0, 1).all()
    assert (table["expected_orders"] >= table["chance"] - 1e-9).all()
    own = customers.set_index("customer_id").loc[table["customer_id"]]
    mean = (own["total_spent"] / own["frequency"]).to_numpy()
    np.testing.assert_allclose(table["expected_value"], mean * table["expected_orders"])
    deciles = pd.read_csv(cdnow_run / "forecast_calibration.csv")
    assert list(deciles.columns) == ["decile", "customers", "predicted", "observed", "low", "high"]
    assert deciles["customers"].sum() == 23_570
    facts = json.loads((cdnow_run / "manifest.json").read_text("utf-8"))["forecast"]
    assert facts["possible"] and facts["cut"] == "1998-03-31"


@pytest.mark.parametrize("profile", ["cdnow", "marketplace"])
def test_intervals_of_who_orders_anyway_held_in_the_back_tests(profile, request):
    folder = request.getfixturevalue(f"{profile}_run")
    before = pd.read_csv(folder / "evidence_order_anyway.csv")
    held = (before["came"] >= before["low"]) & (before["came"] <= before["high"])
    assert len(before) >= 40 and held.mean() >= 0.85


def test_shares_corrected_by_their_own_errors_miss_less_than_the_model(marketplace_run):
    """Regular buyers were foretold too low at each of six quarters, by a third of those who came."""
    before = pd.read_csv(marketplace_run / "evidence_order_anyway.csv")
    loyal = before[(before["days"] == 90) & before["segment"].str.startswith("Loyal")]
    assert loyal["modelled"].mean() < 0.7 * loyal["came"].mean()
    later = before[before["as_of"] > before["as_of"].min()]
    missed = {
        name: ((later[name] - later["came"]).abs() * later["customers"]).sum()
        for name in ("modelled", "share")
    }
    assert missed["share"] < 0.85 * missed["modelled"]


def test_nothing_is_corrected_by_a_quarter_that_the_day_did_not_know(marketplace_run):
    before = pd.read_csv(marketplace_run / "evidence_order_anyway.csv")
    first = before[before["as_of"] == before["as_of"].min()]
    assert first["share"].tolist() == first["modelled"].tolist()
    second = before[(before["days"] == 180) & (before["as_of"] == "2023-09-30")]
    assert second["share"].tolist() == second["modelled"].tolist()  # 92 days later


def test_a_customer_of_returns_only_is_worth_nothing_not_less():
    one = pd.DataFrame(
        {"customer_id": ["a"], "recency": [10], "tenure": [90], "frequency": [2],
         "total_spent": [-5.0]}
    )  # fmt: skip
    assert predict(MbgNbd(*PUBLISHED), one, 90)["expected_value"].item() == 0.0


def test_calibration_is_told_with_its_tenths_and_the_reason_to_abstain():
    table = calibration(np.linspace(0.1, 0.5, 1_000), np.arange(1_000) % 10 < 3)
    facts = {"possible": True, "reason": "", "cut": "1998-03-31", "days_after": 90}
    said = words.calibration_sentence(table, facts)
    within = ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).sum()
    assert "300 were expected to order within 90 days and 300 did" in said
    assert f"in {within} of 10 tenths" in said
    assert "rank customers by it; the chance" in said
    low_first = table.assign(low=[0.5, 0.05, 0.1, *[0.2] * 7], high=[0.6, 0.2, 0.3, *[0.7] * 7])
    assert "though not among the lowest 3 tenths, of which" in words.calibration_sentence(
        low_first, facts
    )
    withheld = words.calibration_sentence(
        table, facts | {"possible": False, "reason": why_not(table)}
    )
    assert "**No customer is forecast**: " in withheld and "tenths of the customers" in withheld
    assert words.calibration_sentence(table.iloc[:0], {"reason": "too short"}).endswith(
        "too short."
    )
