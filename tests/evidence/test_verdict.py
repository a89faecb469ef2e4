"""Cuts through one smooth population are told from kinds."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.false_alarms import KINDS
from benchmarks.false_alarms import judged as alarm
from segmentation.core.own_features import labels_from
from segmentation.core.parameters import resolve
from segmentation.core.threads import one_thread
from segmentation.customers.prepare import prepare_group, preparing
from segmentation.evidence import verdict
from segmentation.evidence.forecast import fitted
from segmentation.evidence.resampling import fit
from segmentation.evidence.stability import TOO_FEW
from segmentation.evidence.verdict import (
    _predicts,
    _sentence,
    against_smooth,
    smooth_buyers,
    smooth_customers,
)
from segmentation.segments.forecast import MbgNbd
from segmentation.segments.silhouettes import silhouettes

PARAMETERS = resolve("cdnow")[1]


def judged(customers: pd.DataFrame, k: int) -> dict:
    names = PARAMETERS.features
    values = prepare_group(customers, "normal", names=names, **preparing(PARAMETERS)).values
    with one_thread():
        labels = fit(values, k, seed=1).assign(values)
    own = float(silhouettes(values, [labels], np.arange(len(values)))[0].mean())
    return against_smooth(customers, "normal", k, own, PARAMETERS)


USUAL = MbgNbd(0.6, 8.0, 0.7, 1.2)


def buyers(n: int, seed: int, model: MbgNbd = USUAL) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    seen = pd.DataFrame(
        {
            "segment_type": "normal",
            "tenure": random.integers(200, 540, n),
            "frequency": random.geometric(0.5, n),
            "total_spent": random.lognormal(3.5, 0.8, n),
        }
    )
    return smooth_buyers(seen, model, seed=seed, n=n)


@pytest.mark.parametrize(
    "model",
    [MbgNbd(0.6, 8.0, 0.7, 1.2), MbgNbd(1.5, 10.0, 2.0, 3.0), MbgNbd(0.3, 3.0, 0.5, 2.0)],
    ids=["as-cdnow", "frequent", "rare"],
)
def test_one_smooth_population_is_no_set_of_kinds(model, monkeypatch):
    monkeypatch.setattr(verdict, "SMOOTH_SETS", 4)
    customers = buyers(1_000, 1, model)
    assert [judged(customers, k)["natural_kinds"] for k in (2, 3, 4)] == [False] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_no_continuum_is_called_natural_kinds(kind, monkeypatch):
    # `make evidence` judges 200 of them, of 2,000 and of 10,000 customers
    monkeypatch.setattr(verdict, "SMOOTH_SETS", 4)
    assert [alarm(kind, n=600, number=number) for number in range(2)] == [False] * 2


def test_planted_kinds_of_buyers_are_told_from_a_smooth_population():
    random = np.random.default_rng(3)
    parts = []
    for orders, silent, value in ((1, 500, 10.0), (12, 20, 60.0), (4, 250, 900.0)):
        frequency = np.maximum(random.poisson(orders, 700), 1)
        recency = np.clip(random.normal(silent, silent / 10, 700), 1, None)
        parts.append(
            pd.DataFrame({"segment_type": "normal", "frequency": frequency, "recency": recency,
                          "tenure": recency + 30.0 * (frequency - 1) + 1,
                          "total_spent": frequency * random.lognormal(np.log(value), 0.15, 700)})
        )  # fmt: skip
    kinds = pd.concat(parts, ignore_index=True)
    kinds["average_order_value"] = kinds["total_spent"] / kinds["frequency"]
    kinds["first_to_last_order"] = kinds["tenure"] - kinds["recency"]
    kinds["customer_id"] = kinds.index.astype(str)
    assert judged(kinds, 3)["natural_kinds"] is True


def test_a_smooth_population_has_the_buying_of_the_customers_it_is_fitted_to():
    customers = buyers(4_000, 5)
    clones = smooth_buyers(customers, fitted(customers), seed=9, n=4_000)
    for name in ("frequency", "recency", "total_spent"):
        assert clones[name].mean() == pytest.approx(customers[name].mean(), rel=0.1)
    assert (clones["frequency"] == 1).mean() == pytest.approx(
        (customers["frequency"] == 1).mean(), abs=0.03
    )


def test_without_a_silhouette_nothing_is_said_of_kinds():
    found = against_smooth(buyers(200, 2), "normal", 3, float("nan"), PARAMETERS)
    assert found["natural_kinds"] is None


def rfm_table(kinds: bool) -> pd.DataFrame:
    """Customers of whom recency, frequency and money are known, and nothing else."""
    random = np.random.default_rng(4)
    if kinds:
        values = [
            random.multivariate_normal(middle, np.diag([0.04, 0.03, 0.04]), 400)
            for middle in ((1.0, 2.5, 6.5), (5.5, 0.5, 3.0), (3.5, 1.5, 8.5))
        ]
    else:
        tied = [[1.0, -0.4, -0.3], [-0.4, 0.8, 0.6], [-0.3, 0.6, 1.2]]
        values = [random.multivariate_normal((4.0, 1.0, 5.0), tied, 1_200)]
    table = pd.DataFrame(np.exp(np.vstack(values)), columns=["recency", "frequency", "total_spent"])
    table["frequency"] = np.ceil(table["frequency"])
    return table.assign(segment_type="normal", customer_id=table.index.astype(str))


@pytest.mark.parametrize("kinds", [True, False])
def test_features_alone_are_compared_with_a_smooth_population_of_them(kinds):
    assert judged(rfm_table(kinds), 3)["natural_kinds"] is kinds


def test_smooth_customers_have_the_features_of_those_they_are_fitted_to():
    customers = rfm_table(kinds=False).assign(always=1.0)
    names = ("recency", "frequency", "total_spent", "always")
    clones = smooth_customers(customers, names, seed=2, n=20_000)
    ours, theirs = customers[list(names[:3])], clones[list(names[:3])]
    assert (clones["always"] == 1.0).all()
    np.testing.assert_allclose(
        theirs.quantile([0.1, 0.5, 0.9]), ours.quantile([0.1, 0.5, 0.9]), rtol=0.08
    )
    np.testing.assert_allclose(theirs.corr("spearman"), ours.corr("spearman"), atol=0.04)


def test_a_feature_of_ones_own_is_compared_too():
    customers = buyers(600, 2)
    labels_from({"shelves": {"label": "Shelves", "unit": "shelves"}})
    customers["shelves"] = np.random.default_rng(1).poisson(2 * customers["frequency"])
    own = resolve("cdnow")[1].model_copy(update={"features": ("recency", "shelves")})
    found = against_smooth(customers, "normal", 3, 0.3, own)
    assert found["natural_kinds"] is False


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-0.03, -0.01, "better"), (0.01, 0.03, "worse"), (-0.01, 0.01, "equal")],
)
def test_prediction_is_judged_by_the_interval_beside_past_spend(low, high, word):
    row = {"ranking": "past spend", "customers_share": 0.2}
    table = pd.DataFrame([row | {"difference_low": low, "difference_high": high}])
    assert _predicts(table) == word
    assert _predicts(table.iloc[:0]) is None


@pytest.mark.parametrize(
    ("words", "stable"),
    [(["stable", TOO_FEW], True), ([TOO_FEW], None), (["unstable", TOO_FEW], False)],
)
def test_a_cluster_of_too_few_customers_is_neither_stable_nor_not(words, stable):
    found = verdict.verdict(
        features=pd.DataFrame({"segment_type": ["normal"] * 2}), k_rule={},
        tuning_k=pd.DataFrame({"segment_type": [], "k": [], "silhouette": []}),
        chosen={"normal": {"k": 1}}, holdout_rankings=pd.DataFrame(
            {"ranking": [], "customers_share": []}
        ), stability=pd.DataFrame({"segment_type": "normal", "verdict": words}),
        parameters=resolve("cdnow")[1],
    )  # fmt: skip
    assert found["verdict"]["normal"]["stable"] is stable


def test_a_stable_cut_is_not_called_a_kind():
    one = {"k_used": 3, "stable": True, "natural_kinds": False, "smooth": 0.46, "silhouette": 0.48}
    said = _sentence(one)
    assert "the cut comes back, not the kinds" in said and "Use them to act" in said
    assert "not natural" not in _sentence(one | {"natural_kinds": True})


def test_cdnow_is_a_smooth_population_cut_into_three(cdnow_run):
    found = json.loads((cdnow_run / "verdict.json").read_text("utf-8"))["normal"]
    wanted = ["k_used", "k_evidence", "natural_kinds", "stable", "predicts", "sentence"]
    assert set(wanted) <= set(found)
    assert (found["k_used"], found["natural_kinds"], found["stable"]) == (3, False, True)
    assert abs(found["silhouette"] - found["smooth"]) < 0.05
