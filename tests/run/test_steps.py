"""The method's steps called one by one give what a run gives, whatever the order of rows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering

import segmentation
from segmentation.core.errors import ParameterError, SegmentationError
from segmentation.run import order_steps, steps

SETTINGS = {"n_clusters": 3, "n_init": 2, "k_max": 4}


@pytest.fixture(scope="module")
def lines(shop_of_60) -> pd.DataFrame:
    return segmentation.read_orders(shop_of_60.folder / "shop.sql", shop_of_60.folder)


@pytest.fixture(scope="module")
def run(shop_of_60) -> segmentation.Run:
    where = {"source": str(shop_of_60.folder / "shop.sql"), "location": str(shop_of_60.folder)}
    return segmentation.Run(
        segmentation.Parameters(**where, **SETTINGS), shop_of_60.folder / "runs"
    )


def test_steps_one_by_one_give_what_a_run_gives(run, lines):
    shuffled = lines.sample(frac=1, random_state=3)
    cleaned = segmentation.clean(shuffled)
    customers = segmentation.customer_features(cleaned.lines)
    scaled = segmentation.scale(customers)
    spent = customers["total_spent"]
    model = segmentation.kmeans(scaled, 3, numbered_by=spent, n_init=2)

    pd.testing.assert_frame_equal(cleaned.ledger, run["ledger"])
    pd.testing.assert_frame_equal(customers, run["customer_features"], check_dtype=False)
    published = run["segments"].set_index("customer_id").loc[customers["customer_id"]]
    assert model.labels_.tolist() == published["cluster"].tolist()
    names = segmentation.name_segments(customers, model.labels_, scaled)
    assert names.tolist() == published["segment"].tolist()
    flags = segmentation.dbscan(segmentation.scale(customers, for_flags=True)).is_noise
    assert flags.tolist() == published["is_anomaly"].tolist()


def test_scores_and_choice_are_those_of_the_run(run, lines):
    customers = segmentation.customer_features(segmentation.clean(lines).lines)
    scores = segmentation.score_k(segmentation.scale(customers), range(2, 5), n_init=2)

    ours = run["k_evidence"].set_index("k").loc[scores["k"]]
    np.testing.assert_allclose(scores["silhouette"], ours["silhouette"], rtol=1e-9)
    np.testing.assert_allclose(scores["inertia"], ours["inertia"], rtol=1e-9)
    assert segmentation.choose_k(scores).k >= 1


def test_what_followed_a_day_is_what_the_lines_say(lines):
    cut = pd.to_datetime(lines["order_date"]).sort_values().iloc[len(lines) // 2].date()
    found = segmentation.hold_out(lines, cut).set_index("customer_id")

    later = lines[pd.to_datetime(lines["order_date"]).dt.date > cut]
    money = later.groupby("customer_id")["amount"].sum()
    for customer, amount in found["revenue_after"].items():
        assert amount == money.get(customer, 0)
    known = lines[pd.to_datetime(lines["order_date"]).dt.date <= cut]["customer_id"]
    assert set(found.index) <= set(known)
    assert 0 < (found["revenue_after"] > 0).sum() < len(found)


def test_model_is_an_estimator_in_every_respect(lines):
    customers = segmentation.customer_features(segmentation.clean(lines).lines)
    scaled = segmentation.scale(customers)
    model = segmentation.kmeans(scaled, 3, n_init=2)
    turned = scaled.sample(frac=1, random_state=1)

    assert list(model.feature_names_in_) == list(scaled.columns)
    assert (model.predict(turned) == model.labels_[turned.index]).all()
    assert model.set_output(transform="pandas").transform(scaled).shape == (len(scaled), 3)
    again = clone(model).fit(turned)
    assert (again.predict(scaled) == model.labels_).all()
    other = segmentation.kmeans(turned, 3, n_init=2)
    assert (other.predict(scaled) == model.labels_).all()


def test_loaded_model_predicts_like_an_estimator(run, lines, tmp_path):
    customers = segmentation.customer_features(segmentation.clean(lines).lines)
    run["model"].save(tmp_path)
    model = segmentation.load_model(str(tmp_path))
    published = run["segments"].set_index("customer_id").loc[customers["customer_id"], "segment"]
    found = model.predict(customers[list(model.feature_names_in_)])
    assert found.tolist() == published.tolist()


def test_labels_of_anybody_get_names_and_a_verdict(lines):
    customers = segmentation.customer_features(segmentation.clean(lines).lines)
    scaled = segmentation.scale(customers)
    labels = AgglomerativeClustering(3).fit_predict(scaled)
    names = segmentation.name_segments(customers, labels, scaled)

    assert names.groupby(labels).nunique().tolist() == [1, 1, 1]
    assert names.nunique() == 3
    found = segmentation.stability(scaled, labels)
    assert found.groupby("cluster").size().index.tolist() == [0, 1, 2]
    assert found["jaccard"].between(0, 1).all()


def test_amounts_typed_as_floats_are_the_decimals_they_are_written_as(lines):
    typed = lines.assign(amount=lines["amount"].astype(float))
    ours, exact = segmentation.clean(typed).ledger, segmentation.clean(lines).ledger
    assert ours["amount"].tolist() == exact["amount"].tolist()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda _: segmentation.clean([1]), "is given a list; a DataFrame is accepted"),
        (
            lambda _: segmentation.clean(pd.DataFrame({"amount": [1]})),
            "lacks customer_id, order_id",
        ),
        (lambda c: segmentation.scale(c, ["no_such"]), "lacks no_such"),
        (lambda c: segmentation.scale(c.assign(age=1.0), ["age"]), "age is no feature"),
        (
            lambda c: segmentation.scale(
                c.assign(recency=c["recency"].where(c.index > 0)), ["recency"]
            ),
            "recency is empty for 1 customer",
        ),
        (
            lambda c: segmentation.kmeans(
                segmentation.scale(c.assign(recency=np.nan), ["recency"]), 2
            ),
            "no feature tells these customers apart|too few",
        ),
        (lambda c: segmentation.kmeans(c[["recency"]].iloc[:2], 3), "too few"),
        (lambda c: segmentation.kmeans(c[["recency"]] / 0.0, 3), "no finite numbers"),
        (lambda c: segmentation.choose_k(c), "lacks k, silhouette"),
    ],
)
def test_wrong_input_is_told_in_one_sentence(lines, call, said):
    customers = segmentation.customer_features(segmentation.clean(lines).lines)
    with pytest.raises(SegmentationError, match=said):
        call(customers)


def test_source_that_is_a_table_of_customers_is_refused_with_what_to_do(tmp_path):
    columns = "customer_id,register_to_order,first_to_last_order,total_unit,total_spent"
    path = tmp_path / "customer_segmentation_data.csv"
    path.write_text(f"{columns}\na,1,2,3,4.50\n")
    with pytest.raises(ParameterError, match="go on with scale"):
        segmentation.read_orders("customer_segmentation_data", tmp_path)


def test_every_public_name_is_on_the_books_page_and_its_example_runs(capsys):
    page = (ROOT / "book" / "step_by_step.md").read_text("utf-8")
    for name in segmentation.__all__:
        assert f"`{name}" in page, name
    for name in (steps.__dict__ | order_steps.__dict__).keys() & set(segmentation.__all__):
        assert getattr(segmentation, name).__doc__ or name in ("plots", "words")
    example, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "step_by_step.md", "exec"), {})
    assert "High value" in capsys.readouterr().out
