"""What a step answers from a run or from memory is what it would compute, whatever it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TinyShop

import segmentation
from segmentation.actions.recommend import who_orders_anyway
from segmentation.run import answers
from segmentation.run import run as run_module

FEATURES = ["recency", "frequency", "total_spent"]
COMPUTING = (
    "fit_range",
    "fit_kmeans",
    "fit_without",
    "fit_dbscan",
    "resample_stability",
    "recommend",
)


def _labels(scaled: pd.DataFrame) -> np.ndarray:
    return (scaled.iloc[:, 0] > scaled.iloc[:, 0].median()).to_numpy(dtype=int)


# Each step as a notebook calls it, and what of its answer is compared.
STEPS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "score_k": lambda scaled: segmentation.score_k(scaled, range(2, 4), n_init=2),
    "kmeans": lambda scaled: _of_model(segmentation.kmeans(scaled, 3, n_init=2)),
    "kmeans without some": lambda scaled: _of_model(
        segmentation.kmeans(scaled, 3, n_init=2, left_out=scaled.iloc[:, -1] > 1)
    ),
    "dbscan": lambda scaled: _of_flags(segmentation.dbscan(scaled)),
    "stability": lambda scaled: segmentation.stability(scaled, _labels(scaled)),
}
# What an analyst does to a table between two steps.
CHANGED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda scaled: scaled,
    "filtered": lambda scaled: scaled[scaled.iloc[:, 0] < 1],
    "sorted": lambda scaled: scaled.sort_values(list(scaled.columns)[::-1], ascending=False),
    "renamed": lambda scaled: scaled.rename(columns={scaled.columns[0]: "other"}),
    "columns turned": lambda scaled: scaled.iloc[:, ::-1],
    "overwritten": lambda scaled: scaled.assign(**{scaled.columns[0]: scaled.iloc[:, 0] ** 2}),
    "one value": lambda scaled: scaled.add((scaled.index == scaled.index[3]) * 0.5, axis=0),
}


def _of_model(model: Any) -> list[Any]:
    return [list(model.feature_names_in_), model.labels_, model.cluster_centers_, model.inertia_]


def _of_flags(fit: Any) -> list[Any]:
    return [
        fit.eps,
        fit.min_samples,
        fit.is_noise,
        fit.core_points,
        fit.grid,
        fit.curve,
        fit.reason,
    ]


def assert_same(found: Any, expected: Any) -> None:
    """Equal, but for the last digits: a run numbers its clusters otherwise while it scores."""
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-9)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    else:
        assert (
            found == pytest.approx(expected) if isinstance(expected, float) else found == expected
        )


def open_run(shop: TinyShop, **changed: object) -> segmentation.Run:
    """A run of the shop as a notebook opens it."""
    where = {"source": str(shop.folder / "shop.sql"), "location": str(shop.folder)}
    return segmentation.open_run(where | changed | {"runs_dir": str(shop.runs_dir)})


@pytest.fixture(scope="module")
def opened(shop_of_60):
    """A run with every stage that answers a step."""
    run = open_run(shop_of_60, n_init=2, k_max=4)
    for result in ("k_evidence", "flags", "segments", "recommendations"):
        run[result]
    yield run
    run_module._OPENED.clear()


@pytest.fixture(scope="module")
def uncached(opened):
    """Answers of every step for every table, with no run open: computed."""
    run_module._OPENED.clear()
    scaled = prepared(opened)
    found = {
        (step, change): call(changed(scaled))
        for step, call in STEPS.items()
        for change, changed in CHANGED.items()
    }
    return found


def prepared(run: segmentation.Run) -> pd.DataFrame:
    return segmentation.scale(run["features"], FEATURES)


@pytest.fixture
def in_notebook(opened, monkeypatch):
    monkeypatch.setattr(run_module, "_OPENED", [lambda: opened])
    return opened


def refuse_to_compute(monkeypatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    for name in COMPUTING:
        monkeypatch.setattr(answers, name, refused)


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_is_what_would_be_computed_and_is_kept(
    uncached, in_notebook, monkeypatch, step, change
):
    table = CHANGED[change](prepared(in_notebook))
    first = STEPS[step](table)
    refuse_to_compute(monkeypatch)
    again = STEPS[step](table.copy())

    assert_same(first, uncached[step, change])
    assert_same(again, uncached[step, change])


def test_a_run_answers_what_it_was_asked_itself(in_notebook, monkeypatch):
    """In any order of rows, and under any names of columns: nothing is computed."""
    refuse_to_compute(monkeypatch)
    customers = in_notebook["features"].sample(frac=1, random_state=4)
    scaled = segmentation.scale(customers, FEATURES)
    published = in_notebook["segments"].set_index("customer_id").loc[customers["customer_id"]]

    model = segmentation.kmeans(scaled, 3, numbered_by=customers["total_spent"], n_init=2)
    assert model.labels_.tolist() == published["cluster"].tolist()
    scores = segmentation.score_k(scaled.set_axis(list("abc"), axis=1), range(2, 5), n_init=2)
    pd.testing.assert_frame_equal(
        scores, in_notebook["k_evidence"].drop(columns="segment_type"), check_like=True
    )
    flags = segmentation.dbscan(segmentation.scale(customers, FEATURES, for_flags=True))
    assert flags.is_noise.tolist() == published["is_anomaly"].tolist()
    assert flags.reason == in_notebook["dbscan_choice"]["normal"]["reason"]
    stable = segmentation.stability(scaled, model.labels_)
    assert stable["jaccard"].tolist() == in_notebook["stability"]["jaccard"].tolist()


def test_stability_of_the_run_is_what_would_be_computed(in_notebook, monkeypatch):
    customers = in_notebook["customers"]
    asked = segmentation.scale(customers, FEATURES), customers["cluster"]
    found = segmentation.stability(*asked)
    monkeypatch.setattr(run_module, "_OPENED", [])
    pd.testing.assert_frame_equal(found, segmentation.stability(*asked))
    other = segmentation.stability(*asked, own_labels=True)
    assert not other["jaccard"].equals(found["jaccard"]), "whose resamples are not clustered"


@pytest.mark.parametrize(
    "call",
    [
        lambda s: segmentation.score_k(s, range(2, 5), n_init=3),
        lambda s: segmentation.score_k(s, range(2, 5), n_init=2, random_state=1),
        lambda s: segmentation.score_k(s, range(2, 7), n_init=2),
        lambda s: segmentation.kmeans(s, 3, n_init=2, random_state=1),
        lambda s: segmentation.kmeans(s, 7, n_init=2),
        lambda s: segmentation.dbscan(s, eps=0.3),
        lambda s: segmentation.dbscan(s, min_samples=5),
        lambda s: segmentation.stability(s, _labels(s), random_state=1),
    ],
)
def test_another_setting_is_computed_anew(in_notebook, monkeypatch, call):
    refuse_to_compute(monkeypatch)
    with pytest.raises(AssertionError, match="computed"):
        call(prepared(in_notebook))


def test_steps_of_another_preparation_are_not_those_of_the_run(in_notebook, monkeypatch):
    refuse_to_compute(monkeypatch)
    other = segmentation.scale(in_notebook["features"], FEATURES, scaler="robust")
    with pytest.raises(AssertionError, match="computed"):
        segmentation.kmeans(other, 3, n_init=2)


def advised(run: segmentation.Run, **changed: Any) -> pd.DataFrame:
    """Advice as the chapter of recommendations asks for it, but for what is changed."""
    asked: dict[str, Any] = {
        "customers": run["customers"],
        "responses": who_orders_anyway(run["holdout_responses"], run["order_anyway"]),
        "plays": run.rules["plays"]["plays"],
        "naming_rules": run.rules["naming_rules"],
        **{"gross_margin": 0.3, "contact_cost": 1.0, "currency": "USD", "random_state": 42},
    }
    asked |= changed
    return segmentation.recommend(asked.pop("customers"), **asked)


def test_advice_is_the_runs_own_and_what_would_be_computed(in_notebook, monkeypatch):
    computed = advised(in_notebook, contact_cost=1)
    run_module._OPENED.clear()
    monkeypatch.setattr(run_module, "_OPENED", [])
    pd.testing.assert_frame_equal(computed, advised(in_notebook))
    monkeypatch.setattr(run_module, "_OPENED", [lambda: in_notebook])
    refuse_to_compute(monkeypatch)
    pd.testing.assert_frame_equal(computed, advised(in_notebook), check_dtype=False)


@pytest.mark.parametrize(
    "changed",
    [
        lambda run: {"gross_margin": 0.25},
        lambda run: {"responses": None},
        lambda run: {"plays": run.rules["plays"]["plays"][1:]},
        lambda run: {"customers": run["customers"].iloc[1:]},
        lambda run: {"customers": run["customers"].assign(total_spent=1.0)},
    ],
)
def test_advice_on_anything_else_is_computed_anew(in_notebook, monkeypatch, changed):
    refuse_to_compute(monkeypatch)
    with pytest.raises(AssertionError, match="computed"):
        advised(in_notebook, **changed(in_notebook))


def test_a_step_computes_no_stage_of_the_run(shop_of_60):
    """A clustering alone is not worth a scan of every number of clusters."""
    run = open_run(shop_of_60, random_state=5)
    segmentation.kmeans(prepared(run), 3, random_state=5)
    assert set(run.reused) == {"prepared"}
    run_module._OPENED.clear()


def test_an_opened_run_is_let_go_with_the_notebooks_name_for_it(shop_of_60):
    run = open_run(shop_of_60)
    assert run_module.opened_run() is run
    del run
    assert run_module.opened_run() is None


@pytest.mark.parametrize("outliers", ["none", "winsor"])
def test_rows_that_became_alike_are_in_an_order_of_what_they_became(outliers):
    """Else a step that sees prepared values alone could not ask for the same partition."""
    generator = np.random.default_rng(8)
    spent = generator.lognormal(3, 2, 400)
    table = pd.DataFrame({"total_spent": spent, "frequency": generator.integers(1, 9, 400)})
    group = answers.PreparedGroup
    found = segmentation.run.steps.prepare_group(
        table.assign(segment_type="normal"), "normal", names=("total_spent", "frequency"),
        outliers=outliers, winsor_quantile=0.8, transform="log", scaler="standard",
    )  # fmt: skip
    assert isinstance(found, group)
    ordered = found.values[answers.canonical_order(found.values)]
    np.testing.assert_array_equal(found.values, ordered)
    rows = table.iloc[found.rows]["frequency"].to_numpy()
    assert np.unique(np.column_stack([rows, found.values[:, 1]]), axis=0).shape[0] == 8
