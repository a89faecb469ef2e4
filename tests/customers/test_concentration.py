"""Concentration of revenue against answers by hand and by slow, plain recomputation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from segmentation.customers.concentration import by_segment, concentration, gini


def measures(spent, **more) -> dict[tuple[str, float], pd.Series]:
    table = concentration(pd.DataFrame({"total_spent": spent}), **({"random_state": 1} | more))
    return {(row["measure"], row["at"]): row for _, row in table.iterrows()}


def plain_gini(values) -> float:
    """Half the relative mean difference, over all pairs."""
    values = np.asarray(values, dtype=float)
    return float(np.abs(values[:, None] - values[None, :]).mean() / (2 * values.mean()))


def test_gini_is_half_the_relative_mean_difference():
    values = np.random.default_rng(2).lognormal(3, 1.4, 400)
    assert gini(values) == pytest.approx(plain_gini(values), rel=1e-12)
    assert gini(np.array([7.0] * 9)) == pytest.approx(0)


def test_ten_customers_by_hand():
    """60 + 10 + 10 + 5 + 5 + 4 + 3 + 2 + 1 + 0 = 100."""
    found = measures([5, 60, 10, 10, 5, 4, 3, 2, 1, 0])
    assert found["top_share", 0.01]["value"] == 0.6
    assert found["top_share", 0.1]["value"] == 0.6
    assert found["top_share", 0.2]["value"] == 0.7
    assert found["customers_for_half", 0.5]["value"] == 1
    assert found["lost_if_top_leave", 1.0]["value"] == 0.6
    assert ("lost_if_top_leave", 10.0) not in found, "nobody would be left"


def test_half_of_revenue_counts_equal_customers_one_by_one():
    assert measures([1.0] * 10)["customers_for_half", 0.5]["value"] == 5
    assert measures([1.0] * 11)["customers_for_half", 0.5]["value"] == 6
    assert measures([2.0] + [1.0] * 9)["customers_for_half", 0.5]["value"] == 5


def test_no_revenue_has_no_concentration():
    assert concentration(pd.DataFrame({"total_spent": [0.0, 0.0]}), random_state=1).empty
    assert math.isnan(gini(np.zeros(4)))


@pytest.mark.parametrize(
    "spent",
    [[5], [5, 0], [0, 0, 7], [1] * 40, [-5, 10, 20], [*range(50)], [1e-9] * 3 + [1e9],
     [0] * 60 + [8]],
)  # fmt: skip
def test_few_or_equal_customers_have_values_and_no_false_interval(spent):
    for (measure, _), row in measures(np.array(spent, dtype=float)).items():
        assert math.isfinite(row["value"])
        of = len(spent) if measure == "customers_for_half" else 1
        assert math.isnan(row["low"]) or 0 <= row["low"] <= row["high"] <= of


def test_row_order_changes_nothing_and_the_interval_holds_the_value():
    spent = np.random.default_rng(4).lognormal(3, 1, 500)
    one, other = measures(spent), measures(spent[::-1])
    for key, row in one.items():
        np.testing.assert_array_equal(row.tolist(), other[key].tolist())
        # no resample holds a customer larger than the largest, so these have no interval
        few = key in {
            ("lost_if_top_leave", 1.0),
            ("lost_if_top_leave", 10.0),
            ("top_share", 0.01),
            ("top_share", 0.05),
        }
        assert few or row["low"] <= row["value"] <= row["high"]
        assert few == math.isnan(row["low"]) == math.isnan(row["high"])


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_interval_of_the_gini_covers_the_true_value_as_often_as_it_says(sigma):
    """Lognormal: Gini = 2 * Phi(sigma / sqrt 2) - 1; quantiles of resamples hold 0.8 at 1.5."""
    truth = math.erf(sigma / 2)
    chance, covered, trials = np.random.default_rng(6), 0, 100
    for _ in range(trials):
        row = measures(chance.lognormal(3, sigma, 400))["gini", 1.0]
        covered += row["low"] <= truth <= row["high"]
    assert 0.88 <= covered / trials <= 0.99


def test_shipped_runs_equal_the_plain_recomputation(shipped_run):
    _, folder = shipped_run
    customers = pd.read_parquet(folder / "features.parquet")
    ranked = sorted(customers["total_spent"].tolist(), reverse=True)
    total, n = math.fsum(ranked), len(ranked)
    found = measures(customers["total_spent"])
    for share in (0.01, 0.05, 0.1, 0.2):
        best = math.fsum(ranked[: math.ceil(share * n)]) / total
        assert found["top_share", share]["value"] == pytest.approx(best, rel=1e-9)
    for leavers in (1, 10, 100):
        lost = math.fsum(ranked[:leavers]) / total
        assert found["lost_if_top_leave", float(leavers)]["value"] == pytest.approx(lost, rel=1e-9)
    running, half = 0.0, 0
    while running < total / 2:
        running += ranked[half]
        half += 1
    assert found["customers_for_half", 0.5]["value"] == half
    ascending = ranked[::-1]
    area = 2 * math.fsum(i * x for i, x in enumerate(ascending, start=1)) / (n * total)
    assert found["gini", 1.0]["value"] == pytest.approx(area - (n + 1) / n, rel=1e-9)


def test_a_segment_of_one_whale_is_seen():
    customers = pd.DataFrame(
        {
            "segment_type": "normal",
            "cluster": [0] * 10 + [1] * 10 + [2],
            "segment": ["even"] * 10 + ["whale"] * 10 + ["nothing"],
            "total_spent": [10.0] * 10 + [1.0] * 9 + [91.0] + [0.0],
        }
    )
    table = by_segment(customers).set_index("segment")
    assert table["largest_share"].to_dict() == pytest.approx(
        {"even": 0.1, "whale": 0.91, "nothing": math.nan}, nan_ok=True
    )
    assert table.at["whale", "gini"] == pytest.approx(plain_gini([1.0] * 9 + [91.0]))
    assert table["customers"].tolist() == [10, 10, 1]
