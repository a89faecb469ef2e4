"""The rule for the number of clusters: structure is found, noise is refused, ranges do not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from benchmarks.false_alarms import blobs
from segmentation.evidence import gap
from segmentation.evidence.by_group import k_scores_of
from segmentation.evidence.choose_k import Choice, choose_k
from segmentation.evidence.k_scores import score_fits
from segmentation.segments import silhouettes
from segmentation.segments.kmeans import fit_range
from segmentation.segments.silhouettes import silhouette_interval


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def evidence_of(values: np.ndarray, *, scan_to: int = 8) -> pd.DataFrame:
    fits = fit_range(
        values, values[:, 0], k_values=range(2, scan_to + 1), n_init=10, random_state=42
    )
    scored = score_fits(values, fits, random_state=42)
    return k_scores_of(values, scored.scores, scored.silhouettes, random_state=42, progress="")


def chosen(values: np.ndarray) -> Choice:
    return choose_k(evidence_of(scaled(values)))


@pytest.mark.parametrize("k", range(2, 8))
def test_planted_blobs_of_unequal_size_and_spread_are_recovered(k):
    assert chosen(blobs(k, seed=1)).k == k


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("n", [150, 500])
def test_evenly_spread_customers_have_no_cluster_structure(width, n):
    values = np.random.default_rng(n + width).uniform(size=(n, width))

    assert chosen(values).k == 1


@pytest.mark.parametrize("shape", [[1, 1, 1], [1, 3, 9]], ids=["round", "stretched"])
@pytest.mark.parametrize("n", [150, 500])
def test_one_normal_cloud_has_no_cluster_structure(shape, n):
    random = np.random.default_rng(n)
    turned = random.normal(size=(n, 3)) * shape @ np.linalg.qr(random.normal(size=(3, 3)))[0]

    assert chosen(turned).k == 1


@pytest.fixture(scope="module")
def five_blobs() -> np.ndarray:
    return scaled(blobs(5, seed=3)[::3])


@pytest.fixture(scope="module")
def widest_scan(five_blobs) -> pd.DataFrame:
    return evidence_of(five_blobs, scan_to=20)


@pytest.mark.parametrize("scan_to", [8, 10, 15])
def test_the_choice_does_not_move_with_the_range_scanned(five_blobs, widest_scan, scan_to):
    narrower = evidence_of(five_blobs, scan_to=scan_to)

    expected = widest_scan[widest_scan["k"] <= scan_to].reset_index(drop=True)
    pd.testing.assert_frame_equal(narrower, expected, check_exact=True)
    assert choose_k(narrower) == choose_k(widest_scan)
    assert choose_k(narrower).k == 5


def row(k, silhouette, gap_value, agreement, null=0.3):
    return {
        "k": k, "silhouette": silhouette, "gap": gap_value, "gap_se": 0.01,
        "silhouette_null": null, "silhouette_null_sd": 0.01, "agreement": agreement,
    }  # fmt: skip


ONE = row(1, np.nan, 0.2, np.nan, np.nan)


@pytest.mark.parametrize(
    ("rows", "k", "failed"),
    [
        pytest.param([row(2, 0.6, 0.24, 0.9)], 1, {2: ["gap"]}, id="gap-within-three-errors"),
        pytest.param([row(2, 0.34, 0.9, 0.9)], 1, {2: ["excess"]}, id="little-above-one-cloud"),
        pytest.param([row(2, 0.6, 0.9, 0.79)], 1, {2: ["agreement"]}, id="halves-disagree"),
        pytest.param([row(2, 0.6, 0.9, 0.9), row(3, 0.6, 0.95, 0.9)], 2, {}, id="finer-adds-little"),
        pytest.param([row(2, 0.6, 0.9, 0.9), row(3, 0.58, 1.2, 0.9)], 3, {}, id="finer-adds-much"),
        pytest.param([row(2, 0.6, 0.9, 0.9), row(3, 0.5, 1.2, 0.9)], 2, {}, id="finer-loses-excess"),
    ],
)  # fmt: skip
def test_the_rule_against_scores_worked_by_hand(rows, k, failed):
    choice = choose_k(pd.DataFrame([ONE, *rows]))

    assert choice.k == k
    assert choice.failed == failed


def test_the_rule_says_how_close_the_runner_up_was():
    choice = choose_k(pd.DataFrame([ONE, row(2, 0.62, 0.9, 0.95), row(3, 0.60, 0.92, 0.9)]))

    assert (choice.k, choice.runner_up, choice.is_narrow) == (2, 3, True)
    assert choice.lead == pytest.approx(0.02)


def test_scores_of_every_k_equal_sklearn(five_blobs, widest_scan):
    fits = fit_range(five_blobs, five_blobs[:, 0], k_values=range(2, 6), n_init=10, random_state=42)
    table = widest_scan.set_index("k")
    for k, fit in fits.items():
        assert table.at[k, "silhouette"] == pytest.approx(silhouette_score(five_blobs, fit.labels))
        expected = calinski_harabasz_score(five_blobs, fit.labels)
        assert table.at[k, "calinski_harabasz"] == pytest.approx(expected)
        expected = davies_bouldin_score(five_blobs, fit.labels)
        assert table.at[k, "davies_bouldin"] == pytest.approx(expected)
    center = five_blobs.mean(axis=0)
    assert table.at[1, "inertia"] == pytest.approx(((five_blobs - center) ** 2).sum())


def test_gap_of_evenly_spread_points_with_one_cluster_is_about_zero():
    values = np.random.default_rng(0).uniform(size=(4_000, 2)) - 0.5
    inertia = {1: float(((values - values.mean(axis=0)) ** 2).sum())}

    table = gap.gap_statistic(values, inertia, random_state=1)

    # the box along the components of a square may be turned, which only makes it larger
    assert 0 <= table["gap"].item() + 0.02 < 0.8


def test_gap_of_a_group_larger_than_the_reference_is_the_same_quantity(monkeypatch):
    values = scaled(blobs(3, seed=4))
    inertia = {1: float(((values - values.mean(axis=0)) ** 2).sum())}
    whole = gap.gap_statistic(values, inertia, random_state=1)

    monkeypatch.setattr(gap, "REFERENCE_CUSTOMERS", 150)
    part = gap.gap_statistic(values, inertia, random_state=1)

    assert part["gap"].item() == pytest.approx(whole["gap"].item(), abs=0.05)


def test_sampled_silhouette_estimates_the_exact_one_and_its_interval_covers(monkeypatch):
    values = scaled(blobs(3, seed=5))
    fits = fit_range(values, values[:, 0], k_values=[4], n_init=5, random_state=0)
    exact = silhouette_score(values, fits[4].labels)
    monkeypatch.setattr(silhouettes, "EXACT_SILHOUETTE_CUSTOMERS", 10)
    monkeypatch.setattr(silhouettes, "SAMPLED_SILHOUETTE_CUSTOMERS", 80)

    found = []
    for seed in range(200):
        scored = score_fits(values, fits, random_state=seed)
        assert len(scored.measured) == 80
        found.append(silhouette_interval(scored.silhouettes[4]))

    means, lows, highs = np.array(found).T
    assert means.mean() == pytest.approx(exact, abs=0.01)
    # drawn without replacement, so the interval covers at least as often as it says
    assert ((lows <= exact) & (exact <= highs)).mean() >= 0.92


def test_an_exact_silhouette_has_no_interval_and_an_estimated_one_has(monkeypatch):
    values = scaled(blobs(3, seed=2))
    fits = fit_range(values, values[:, 0], k_values=range(2, 4), n_init=2, random_state=42)

    def ends(measured: int) -> pd.Series:
        monkeypatch.setattr(silhouettes, "EXACT_SILHOUETTE_CUSTOMERS", measured)
        monkeypatch.setattr(silhouettes, "SAMPLED_SILHOUETTE_CUSTOMERS", 80)
        scored = score_fits(values, fits, random_state=1)
        table = k_scores_of(values, scored.scores, scored.silhouettes, random_state=1, progress="")
        return table.set_index("k")[["silhouette_low", "silhouette_high"]].loc[[2, 3]]

    assert ends(len(values)).isna().all(axis=None)
    assert ends(50).notna().all(axis=None)
