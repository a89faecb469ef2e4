"""The hold-out proof: recomputed independently on CDNOW, without leakage, with honest verdicts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TinyShop, assert_refused, order, ordinary_orders
from scipy.integrate import dblquad, quad
from scipy.special import beta as beta_function
from scipy.stats import spearmanr

from segmentation.book.words import holdout_sentence, holdout_table, ranking_sentence
from segmentation.book.words.prediction import _model_words
from segmentation.core.parameters import load_yaml, parameters_from, resolve
from segmentation.evidence import buying as btyd
from segmentation.evidence.holdout import scores_at_cut
from segmentation.evidence.rankings import Ranking, follow, rfm_score, weighted_correlation
from segmentation.run.run import Run

CDNOW = ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt"
CUT = dt.date(1997, 12, 31)


@pytest.fixture(scope="module")
def cut_run(runs_dir) -> Run:
    _, parameters = resolve("cdnow", overrides={"calibration_end": CUT.isoformat()})
    return Run(parameters, runs_dir)


@pytest.fixture(scope="module")
def histories() -> dict[str, dict[dt.date, Decimal]]:
    """Each customer's days with their money, read with the standard library alone."""
    found: dict[str, dict[dt.date, Decimal]] = {}
    for line in CDNOW.read_text("ascii").splitlines()[1:]:
        customer, day, _, dollars = line.split()
        days = found.setdefault(customer, {})
        date = dt.datetime.strptime(day, "%Y%m%d").date()
        days[date] = days.get(date, Decimal(0)) + Decimal(dollars)
    return found


def test_cdnow_after_1997_is_that_of_the_literature(cut_run):
    holdout = cut_run["holdout"]

    assert (holdout["customers"], holdout["bought_again"]) == (23_570, 5_374)
    assert holdout["revenue"] == "476154.37"


def test_hold_out_by_segment_equals_an_independent_recomputation(cut_run, histories):
    table = cut_run["holdout_segments"]
    at_cut = cut_run.with_parameters(as_of=CUT, calibration_end="auto")["segments"]
    segment = dict(zip(at_cut["customer_id"], at_cut["segment"], strict=True))
    expected: dict[str, list] = {}
    for customer, days in histories.items():
        later = {day: money for day, money in days.items() if day > CUT}
        row = expected.setdefault(segment[customer], [0, 0, 0, Decimal(0)])
        row[0] += 1
        row[1] += bool(later)
        row[2] += len(later)
        row[3] += sum(later.values(), Decimal(0))

    assert set(table["segment"]) == set(expected)
    for row in table.itertuples():
        found = [row.customers, row.bought_again, row.orders, row.revenue]
        assert found == expected[row.segment], row.segment
    assert sum(table["revenue"]) == Decimal("476154.37")


def test_naive_rankings_equal_an_independent_recomputation(cut_run, histories):
    known = {
        c: (sum(m for d, m in days.items() if d <= CUT), max(d for d in days if d <= CUT))
        for c, days in histories.items()
    }
    later = {c: float(sum(m for d, m in days.items() if d > CUT)) for c, days in histories.items()}
    table = cut_run["holdout_rankings"].set_index(["ranking", "customers_share"])
    spent = pd.Series({c: float(s) for c, (s, _) in known.items()})
    last = pd.Series({c: d.toordinal() for c, (_, d) in known.items()})
    revenue = pd.Series(later)[spent.index]
    for name, score in (("past spend", spent), ("recency", last)):
        expected = spearmanr(score, revenue).statistic
        assert table.at[(name, 0.1), "rank_correlation"] == pytest.approx(expected)
        n = 2_357
        order_by = score.sort_values(ascending=False)
        edge = order_by.iloc[n - 1]
        sure, tied = score > edge, score == edge
        part = (n - sure.sum()) / tied.sum()
        caught = revenue[sure].sum() + part * revenue[tied].sum()
        assert table.at[(name, 0.1), "revenue_share"] == pytest.approx(caught / revenue.sum())
        assert table.at[(name, 0.1), "lift"] == pytest.approx(10 * caught / revenue.sum())


def test_auto_cut_is_the_middle_of_the_window(cdnow_run, runs_dir):
    run = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)

    assert run["holdout"]["cut"] == "1997-09-30"
    assert run["holdout"]["days_after"] == 273


def visits(days: list[str], n_customers: int = 40) -> list[dict]:
    return [
        order(f"{c:03d}", f"{c}-{v}", day, 1 + c % 4, f"{5 + 7 * c + v}.25")
        for c in range(n_customers)
        for v, day in enumerate(days)
        if v == 0 or c % (v + 1) == 0
    ]


BEFORE = ["2023-01-05", "2023-02-10", "2023-03-20"]


def tables_at_cut(shop: TinyShop, rows: list[dict]) -> pd.DataFrame:
    shop.lines(rows)
    parameters = parameters_from(
        shop.parameters | {"calibration_end": "2023-04-01", "as_of": "2023-12-31"}
    )
    run = Run(parameters, shop.runs_dir)
    assert run["holdout"]["possible"], run["holdout"]["reason"]
    return run["holdout_segments"]


def test_an_order_after_the_cut_changes_no_segment_made_at_the_cut(shop):
    keys = ["segment_type", "cluster", "segment", "customers"]
    usual = [*visits(BEFORE), order("000", "late", "2023-06-01", 1, "9.00")]
    wild = [
        *visits(BEFORE),
        *(order(f"{c:03d}", f"wild-{c}", "2023-08-01", 500, "99999.00") for c in range(0, 40, 3)),
        order("new", "n1", "2023-09-01", 900, "123456.00"),
    ]

    first, second = tables_at_cut(shop, usual), tables_at_cut(shop, wild)

    pd.testing.assert_frame_equal(first[keys], second[keys])
    assert first["customers"].sum() == 40  # who first bought after the cut was not known then
    assert sum(first["revenue"]) == Decimal("9.00")
    assert sum(second["revenue"]) == 14 * Decimal("99999.00")


def test_a_registration_after_the_cut_was_not_known_at_the_cut(shop):
    rows = visits([*BEFORE, "2023-06-01"])
    for row in rows:
        number = int(row["customer_id"])
        row["registered_date"] = "2022-12-01" if number < 35 else "2023-07-01"

    table = tables_at_cut(shop, rows)

    sizes = table.groupby("segment_type")["customers"].sum()
    assert sizes.to_dict() == {"normal": 35, "unregistered": 5}


@pytest.mark.parametrize("day", ["2022-12-31", "2023-12-31"])
def test_a_cut_outside_the_window_is_refused_in_one_sentence(shop, day):
    shop.lines(ordinary_orders())

    outcome = shop.run(calibration_end=day)

    assert_refused(outcome, "calibration_end", day)


def test_too_few_customers_give_a_reason_and_no_figures(shop):
    shop.lines(ordinary_orders(12))

    assert shop.run().code == 0
    table = pd.read_csv(shop.result / "evidence_holdout_segments.csv")
    assert table.empty


# --- rankings worked by hand -----------------------------------------------------------


def test_a_ranking_takes_equals_by_lot():
    ranking = Ranking.by(np.array([3.0, 1, 1, 1, 1]))
    ones, money = np.ones(5), np.array([10.0, 4, 0, 0, 6])

    assert ranking.caught(ones, money, 0.2) == pytest.approx(0.5)
    assert ranking.caught(ones, money, 0.4) == pytest.approx(0.5 + 0.25 * 0.5)
    assert ranking.caught(ones, money, 1.0) == 1


@pytest.mark.parametrize("seed", range(5))
def test_weighted_rank_correlation_equals_scipy_on_repeated_customers(seed):
    random = np.random.default_rng(seed)
    score, outcome = random.integers(0, 6, 40), random.integers(0, 6, 40)
    weight = random.integers(0, 4, 40)
    a, b = Ranking.by(score.astype(float)), Ranking.by(outcome.astype(float))

    found = weighted_correlation(a.midranks(weight), b.midranks(weight), weight.astype(float))

    expected = spearmanr(np.repeat(score, weight), np.repeat(outcome, weight)).statistic
    assert found == pytest.approx(expected)


def test_rfm_score_is_the_sum_of_three_quintiles():
    values = np.arange(1, 11)

    score = rfm_score(11 - values, values, values * 10.0)

    assert score.tolist() == [3, 3, 6, 6, 9, 9, 12, 12, 15, 15]


def customers_after(revenue, tier, orders=None):
    n = len(revenue)
    return pd.DataFrame(
        {
            "segment_type": "normal", "cluster": tier, "segment": [f"tier {t}" for t in tier],
            "orders_after": orders if orders is not None else (np.array(revenue) > 0).astype(int),
            "revenue_after": [Decimal(str(round(r, 2))) for r in revenue],
        },
        index=range(n),
    )  # fmt: skip


def test_intervals_of_revenue_per_customer_cover_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(5)
    hits = given = 0
    for trial in range(120):
        revenue = random.gamma(0.5, 20.0, 200)  # mean 10
        tier = np.repeat([0, 1], 100)
        table = follow(
            customers_after(revenue, tier), {"segments": tier.astype(float)}, random_state=trial
        ).segments
        low, high = table["revenue_per_customer_low"], table["revenue_per_customer_high"]
        hits += int(((low <= 10) & (high >= 10)).sum())
        given += int(low.notna().sum())

    assert given > 180
    assert 0.9 <= hits / given <= 0.98


@pytest.mark.parametrize("heavy", ["lognormal, sigma 2.5", "Pareto, alpha 1.5"])
def test_intervals_of_money_with_heavy_tails_hold_the_truth_where_they_are_given(heavy):
    """Of 600 or 2,000 with heavy tails they held it in 26% to 84% where they were given."""
    random = np.random.default_rng(6)
    mean = 0.3 * np.exp(2.5**2 / 2) if heavy.startswith("log") else 3.0
    given = held = shares = 0
    for trial in range(100):
        if heavy.startswith("log"):
            wild = np.where(random.random(600) < 0.3, random.lognormal(0, 2.5, 600), 0)
        else:
            wild = random.random(600) ** (-1 / 1.5)
        calm = random.gamma(2.0, mean / 2, 600)
        tier = np.repeat([0, 1], 600)
        table = follow(
            customers_after(np.concatenate([wild, calm]), tier), {"segments": tier.astype(float)},
            random_state=trial,
        ).segments  # fmt: skip
        assert table["revenue_per_customer"].notna().all()
        assert pd.notna(table.at[1, "revenue_per_customer_low"])
        given += pd.notna(table.at[0, "revenue_per_customer_low"])
        for name, truth in (("revenue_per_customer", mean), ("revenue_share", 0.5)):
            low, high = table.at[0, f"{name}_low"], table.at[0, f"{name}_high"]
            held += name == "revenue_per_customer" and low <= truth <= high
            shares += name == "revenue_share" and low <= truth <= high
    assert given > 60
    assert held >= 0.8 * given and shares >= 0.8 * given


@pytest.mark.parametrize("few", [1, 4, 12])
def test_no_interval_is_given_for_money_that_hangs_on_few_customers(few):
    random = np.random.default_rng(6)
    revenue = np.concatenate([np.full(few, 2_000.0), random.normal(10, 3, 200 - few)])
    tier = np.repeat([0, 1], 100)
    found = follow(
        customers_after(revenue, tier), {"segments": tier.astype(float)}, random_state=1
    ).segments
    of_money = [f"{name}_low" for name in ("revenue_per_customer", "revenue_share", "lift")]
    assert found.loc[0, of_money].isna().all() and found.loc[1, of_money].notna().all()
    said = holdout_table(found.assign(as_today=1.0), currency="USD")
    assert "(hangs on few)" in str(said) and "nan" not in str(said)
    rare = np.where(np.arange(200) % 100 < 29, revenue, 0)
    found = follow(
        customers_after(rare, tier), {"segments": tier.astype(float)}, random_state=1
    ).segments
    assert found[of_money].isna().all(axis=None)


def verdict(segment_score, spend_score, revenue):
    tier = pd.Series(segment_score).rank(method="dense").astype(int).to_numpy() - 1
    found = follow(
        customers_after(revenue, tier),
        {"segments": np.array(segment_score, float), "past spend": np.array(spend_score, float)},
        random_state=1,
    )
    holdout = {"possible": True, "revenue": str(sum(revenue)), "model": None}
    stability = pd.DataFrame(
        {"customers": [400, 100], "jaccard": [0.9, 0.8], "verdict": ["stable", "stable"]}
    )
    return found, ranking_sentence(holdout, found.rankings, stability)


def test_the_verdict_names_the_better_ranking_whichever_it_is():
    random = np.random.default_rng(6)
    truth = random.permutation(np.repeat([0.0, 1.0], [400, 100]))
    revenue = truth * 50 + random.uniform(0, 5, 500)
    noise = random.normal(size=500)

    _, segments_win = verdict(truth, noise, revenue)
    _, spend_wins = verdict(np.round(noise > 1), revenue, revenue)

    assert "Lists by segment and spend chose better" in segments_win
    assert "a plain spend ranking does better" in spend_wins
    assert (
        "few (2 segments), alike in other samples (every overlap at least 0.80) and actionable"
        in spend_wins
    )


def test_segments_that_foretell_nothing_are_called_that():
    random = np.random.default_rng(7)
    found, _ = verdict(np.repeat([0, 1], 200), random.normal(size=400), random.uniform(0, 9, 400))
    holdout = {"possible": True, "customers": 400, "bought_again": 400, "revenue": "1800",
               "cut": "2023-01-01", "last_day": "2023-06-30", "days_after": 180}  # fmt: skip

    segments = found.segments.assign(as_today=[1.0, 0.4])
    sentence = holdout_sentence(holdout, segments, currency="USD")

    assert "foretell who spends cannot be told" in sentence
    other = segments.at[1, "segment"]
    assert f"only 40% of {other} at the cut would have been in the segment of that name" in sentence
    alike = holdout_sentence(holdout, segments.assign(as_today=0.8), currency="USD")
    assert "not always that of today" not in alike


# --- BG/NBD and Gamma-Gamma ------------------------------------------------------------

PUBLISHED = (0.243, 4.414, 0.793, 2.426)


@pytest.mark.parametrize(
    ("x", "t_x", "observed"), [(0, 0.0, 38.86), (2, 30.43, 38.86), (1, 1.71, 20.0)]
)
def test_bgnbd_likelihood_equals_numerical_integration(x, t_x, observed):
    r, alpha, a, b = 1.4, 4.4, 1.8, 2.4  # smooth at zero, so that quadrature is exact

    def density(p, rate):
        gamma = alpha**r * rate ** (r - 1) * np.exp(-alpha * rate) / np.exp(btyd.gammaln(r))
        dropout = p ** (a - 1) * (1 - p) ** (b - 1) / beta_function(a, b)
        still = (1 - p) ** x * rate**x * np.exp(-rate * observed)
        gone = p * (1 - p) ** (x - 1) * rate**x * np.exp(-rate * t_x) if x else 0.0
        return gamma * dropout * (still + gone)

    expected = dblquad(density, 0, 12, 0, 1, epsabs=1e-12)[0]

    found = btyd.bgnbd_log_likelihood(
        np.array([r, alpha, a, b]), np.array([x]), np.array([t_x]), np.array([observed])
    )
    assert found[0] == pytest.approx(np.log(expected), abs=1e-6)


def test_gamma_gamma_likelihood_equals_numerical_integration():
    p, q, gamma, x, mean = 6.25, 3.74, 15.44, 3, 30.0

    def density(nu):
        prior = gamma**q * nu ** (q - 1) * np.exp(-gamma * nu) / np.exp(btyd.gammaln(q))
        shape, rate = p * x, nu * x
        logs = shape * np.log(rate) + (shape - 1) * np.log(mean) - rate * mean - btyd.gammaln(shape)
        return prior * np.exp(logs)

    expected = quad(density, 0, 5, epsabs=1e-14, limit=200)[0]

    found = btyd.gamma_gamma_log_likelihood(
        np.array([p, q, gamma]), np.array([float(x)]), np.array([mean])
    )
    assert found[0] == pytest.approx(np.log(expected), abs=1e-7)


def test_expected_purchases_under_the_published_parameters_are_the_published_ones():
    model = btyd.BgNbd(*PUBLISHED, log_likelihood=-9582.4)

    found = model.expected_purchases(np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)

    assert found[0] == pytest.approx(1.226, abs=0.0005)


def test_parameters_are_recovered_from_customers_simulated_with_the_published_ones():
    r, alpha, a, b = PUBLISHED
    random = np.random.default_rng(8)
    n, weeks = 12_000, 39.0
    rate, dropout = random.gamma(r, 1 / alpha, n), random.beta(a, b, n)
    x, t_x = np.zeros(n), np.zeros(n)
    for i in range(n):
        time = 0.0
        while random.random() > (dropout[i] if x[i] else 0.0):
            time += random.exponential(1 / rate[i]) if rate[i] > 1e-12 else np.inf
            if time > weeks:
                break
            x[i], t_x[i] = x[i] + 1, time

    model = btyd.fit_bgnbd(x, t_x, np.full(n, weeks))

    published = btyd.bgnbd_log_likelihood(np.array(PUBLISHED), x, t_x, np.full(n, weeks)).sum()
    assert model.log_likelihood >= published
    assert model.r == pytest.approx(r, rel=0.15)
    assert model.r / model.alpha == pytest.approx(r / alpha, rel=0.1)


def test_all_of_cdnow_at_the_literatures_cut_is_close_to_its_published_sample(histories):
    cut = dt.date(1997, 9, 30)
    rows = []
    for days in histories.values():
        known = sorted(day for day in days if day <= cut)
        rows.append((len(known) - 1, (known[-1] - known[0]).days / 7, (cut - known[0]).days / 7))
    x, t_x, observed = np.array(rows, dtype=float).T

    model = btyd.fit_bgnbd(x, t_x, observed)

    # the sample is a tenth of these customers; its log-likelihood is -9,582.4
    assert model.log_likelihood / 10 == pytest.approx(-9_582.4, rel=0.01)
    at_published = btyd.bgnbd_log_likelihood(np.array(PUBLISHED), x, t_x, observed).sum()
    assert at_published <= model.log_likelihood <= at_published * 0.999
    assert model.r == pytest.approx(0.243, rel=0.1)
    assert model.alpha == pytest.approx(4.414, rel=0.15)


def test_too_few_repeat_customers_give_no_model():
    ones = np.ones(100)

    assert btyd.predicted_revenue(ones, ones * 0, ones, ones, horizon_days=30) is None


def test_gamma_gamma_whose_mean_has_run_away_is_not_used():
    """Order values so skewed that q comes near 1: a new customer would be worth millions."""
    rng = np.random.default_rng(3)
    n = 600
    x = rng.integers(0, 4, n).astype(float)
    value = rng.pareto(0.4, n) * 10 + 10
    first_to_last = np.where(x > 0, rng.integers(7, 200, n), 0).astype(float)

    revenue, buying, worth = btyd.predicted_revenue(
        x + 1, first_to_last, np.full(n, 220.0), (x + 1) * value, horizon_days=90
    )

    assert worth is None
    assert not btyd.fit_gamma_gamma(x + 1, value).is_credible(value)
    weeks = np.full(n, 220.0) / 7
    orders = buying.expected_purchases(x, first_to_last / 7, weeks, 90 / 7)
    np.testing.assert_allclose(revenue, orders * value)


def test_who_ordered_once_is_worth_more_for_a_larger_order():
    rng = np.random.default_rng(4)
    days = rng.integers(1, 6, 2000).astype(float)
    value = rng.gamma(6.0 * days, 1 / (rng.gamma(4.0, 1 / 15.0, 2000) * days))
    days[:2], value[:2] = 1, (10.0, 1000.0)
    first_to_last = np.where(days > 1, rng.integers(7, 200, 2000), 0).astype(float)
    known = (days, first_to_last, np.full(2000, 220.0), days * value)

    revenue, _, worth = btyd.predicted_revenue(*known, horizon_days=90)

    assert worth is not None and revenue[0] < revenue[1] < 100 * revenue[0], "drawn to the mean"


def test_lists_of_the_workbook_are_ranked_by_segment_then_spend():
    customers = pd.DataFrame(
        {"tier": [50.0, 50, 9, 9], "total_spent": [20.0, 80, 30, 6], "frequency": 1,
         "recency": 5, "days_before": 1, "first_to_last_order": 0, "tenure": 9}
    )  # fmt: skip
    scores, fitted = scores_at_cut(customers, horizon_days=30)
    assert next(iter(scores)) == "segment, then spend" and fitted is None
    assert np.argsort(-scores["segment, then spend"]).tolist() == [1, 0, 2, 3]


def test_a_fit_by_which_nobody_stops_is_said_to_be_one():
    rows = pd.DataFrame(
        {
            "revenue_share": [0.5, 0.6], "difference": [0, 0.1],
            "difference_low": [0, 0.05], "difference_high": [0, 0.2],
        },
        index=["segments", "recency"],
    )  # fmt: skip
    model = {"predicted_revenue": 9.0, "gamma": 1.0, "everybody_alive": True}
    said = _model_words({"model": model, "revenue": "10"}, rows, "recency")
    assert "nobody ever stops buying, so it learns nothing" in said
    assert "(60%; beside the lists by segment +10.0 points, 95% interval +5.0 to +20.0)" in said
    model["everybody_alive"] = False
    assert "nobody" not in _model_words({"model": model, "revenue": "10"}, rows, "recency")


def test_gamma_gamma_of_ordinary_order_values_is_used():
    rng = np.random.default_rng(4)
    nu = rng.gamma(4.0, 1 / 15.0, 2000)
    x = rng.integers(1, 5, 2000).astype(float)
    value = rng.gamma(6.0 * x, 1 / (nu * x))

    fitted = btyd.fit_gamma_gamma(x, value)

    assert fitted.is_credible(value)
    assert fitted.q == pytest.approx(4.0, rel=0.15)
