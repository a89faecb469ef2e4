"""Labels of the analyst's own in the place of K-Means: a run follows them, its model may not."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from conftest import ROOT, TinyShop, assert_refused, call_cli, ordinary_orders

import segmentation
from segmentation.book import words
from segmentation.core.errors import ParameterError, SegmentationError
from segmentation.core.parameters import Parameters, parameters_from, profile_values, resolve
from segmentation.deliver.api.store import ModelStore
from segmentation.deliver.run_folder import WORKBOOK
from segmentation.evidence.resampling import follow_labels
from segmentation.run.run import Run
from segmentation.segments.model import load_model
from segmentation.segments.own_labels import in_order_of, read_labels

PAGE = (ROOT / "book" / "step_by_step.md").read_text("utf-8").split("## Segments of your own")[1]
BOOKSHOP = "examples/bookshop/bookshop.yaml"
WORDS = ("Idle", "Casual", "Regular", "Patron")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where the page's commands are typed: a run of the bookshop, and labels made from it."""
    place = tmp_path_factory.mktemp("labels")
    (place / "examples").symlink_to(ROOT / "examples")
    with contextlib.chdir(place):
        assert call_cli("run", BOOKSHOP).code == 0
        (recipe,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
        exec(compile(f"import segmentation\n{recipe}", "step_by_step.md", "exec"), {})
        customers = pd.read_parquet("runs/bookshop/features.parquet")
        scaled = segmentation.scale(customers, ["total_spent"])
        found = segmentation.kmeans(scaled, 4, numbered_by=customers["total_spent"]).labels_
        customers["label"] = np.array(WORDS)[found]
        customers[["customer_id", "label"]].to_csv("words.csv", index=False)
    return place


@pytest.fixture(scope="module")
def of_clusterer(place) -> Path:
    """The run that the page makes of another clusterer's labels."""
    (command,) = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    with contextlib.chdir(place):
        outcome = call_cli(*shlex.split(command)[1:], "--name", "clusterer")
    assert outcome.code == 0, outcome.said
    assert "own labels: no model is exported: the nearest segment centre gives" in outcome.out
    return Path(place, outcome.out.splitlines()[-1])


@pytest.fixture(scope="module")
def of_words(place) -> tuple[Path, Run]:
    """A run of labels in words, which one feature tells apart: the folder, and the run."""
    profile = place / "words.yaml"
    values = resolve(str(ROOT / BOOKSHOP))[1].as_plain()
    asked = {"own_labels": "words.csv", "features": ["total_spent"], "transform": "log"}
    values |= asked | {"split_pre_register": False}
    profile.write_text(json.dumps(values), encoding="utf-8")  # JSON is YAML
    with contextlib.chdir(place):
        outcome = call_cli("run", "words.yaml")
    assert outcome.code == 0, outcome.said
    return place / "runs" / "words", Run(resolve(str(profile))[1], place / "runs")


def labels_in(path: Path) -> pd.Series:
    return pd.read_csv(path, dtype=str).set_index("customer_id")["label"]


def test_segments_are_the_labels_of_another_clusterer(place, of_clusterer):
    segments = pd.read_parquet(of_clusterer / "segments.parquet")
    labels = segments["customer_id"].map(labels_in(place / "labels.csv"))

    pairs = pd.DataFrame({"kind": segments["segment_type"], "label": labels})
    numbered = segments.groupby([pairs["kind"], pairs["label"]])["cluster"]
    assert (numbered.nunique() == 1).all(), "one cluster for each label of a group"
    assert len(numbered) == len(pd.read_csv(of_clusterer / "profile.csv"))
    assert not set(segments["segment"]) & set(labels), "numbers are named by the rules"


def test_centres_are_the_means_of_the_labels(of_clusterer):
    model, segments = load_model(of_clusterer / "model"), pd.read_parquet(
        of_clusterer / "segments.parquet"
    )  # fmt: skip
    for kind, group in model.groups.items():
        own = segments[segments["segment_type"] == kind]
        prepared = group.preparation.apply(own[list(group.preparation.features)].to_numpy(float))
        for cluster, center in enumerate(group.centers):
            mean = prepared[(own["cluster"] == cluster).to_numpy()].mean(axis=0)
            np.testing.assert_allclose(center, mean, rtol=1e-12, atol=1e-12)


def test_agreement_is_that_of_the_nearest_centre(of_clusterer):
    model = load_model(of_clusterer / "model")
    segments = pd.read_parquet(of_clusterer / "segments.parquet")
    nearest = model.assign(segments[["customer_id", *model.features, "segment_type"]])
    alike = (nearest["cluster"] == segments["cluster"]).to_numpy()

    counted = {"customers": len(segments), "followed": int(alike.sum())}
    assert counted == model.info["own_labels"]
    assert counted == json.loads((of_clusterer / "manifest.json").read_text())["own_labels"]
    assert 0 < alike.mean() < 0.99
    assert (segments["margin"][~alike] == 0).all(), "another centre is nearer than the own"
    np.testing.assert_allclose(segments["margin"][alike], nearest["margin"][alike])


@pytest.mark.parametrize(
    "command",
    [
        ("sql", "model", "--dialect", "mysql"),
        ("score", "model", "features.parquet", "--output", "scored.csv"),
        ("export", ".", "--mlflow", "mlflow"),
        ("reduce", "model", "--tolerance", "0.1", "--output", "reduced"),
    ],
    ids=lambda command: command[0],
)
def test_a_model_that_does_not_follow_the_labels_is_not_exported(of_clusterer, command):
    with contextlib.chdir(of_clusterer):
        outcome = call_cli(*command)
    assert_refused(outcome, "the label of your own", "99%", "segments.parquet")
    assert not {"scored.csv", "mlflow", "reduced"} & {p.name for p in of_clusterer.iterdir()}


def test_nor_is_it_served(of_clusterer):
    with pytest.raises(SegmentationError, match="the label of your own that they have"):
        ModelStore(of_clusterer / "model").load()


def test_words_name_segments_recommendations_and_lists(of_words):
    folder, _ = of_words
    segments = pd.read_parquet(folder / "segments.parquet").set_index("customer_id")
    pd.testing.assert_series_equal(
        segments["segment"], labels_in(folder.parents[1] / "words.csv").sort_index(),
        check_names=False, check_dtype=False, check_index_type=False,
    )  # fmt: skip
    assert set(pd.read_csv(folder / "recommendations.csv")["segment"]) == set(WORDS)
    ladder = segments.groupby("segment")["cluster"].first().sort_values()
    assert tuple(ladder.index) == WORDS, "numbered by mean spend"
    sheets = openpyxl.load_workbook(folder / WORKBOOK, read_only=True).sheetnames
    assert all(any(name in sheet for sheet in sheets) for name in WORDS)


def test_words_that_the_features_tell_apart_are_a_model(of_words, place):
    folder, _ = of_words
    labels = load_model(folder / "model").info["own_labels"]
    assert labels["followed"] == labels["customers"]
    with contextlib.chdir(place):
        scored = call_cli(
            "score", folder / "model", folder / "features.parquet", "--output", "s.csv"
        )
    assert scored.code == 0, scored.said
    again = pd.read_csv(place / "s.csv", dtype=str).set_index("customer_id")["segment"]
    assert again.to_dict() == labels_in(place / "words.csv").to_dict()


def test_evidence_is_of_the_labels_or_left_out(of_words):
    _, run = of_words
    kinds, chosen = list(run["chosen"]), run["chosen"]
    for name in ("starts", "sensitivity", "anomaly_effect", "returns_migration"):
        assert run[name].empty, name
    assert "labels of your own" in run["returns_choice"]["why_not"]
    assert run["verdict"]["normal"]["natural_kinds"] is None
    assert "labels of the analyst's own" in words.starts_sentence(run["starts"], kinds)
    assert "labels of the analyst's own" in words.k_choice(run["k_evidence"], run["k_rule"], chosen)
    assert set(run["stability"]["segment"]) == set(WORDS)
    assert (run["stability"]["jaccard"] > 0.8).all(), "centres come back from other customers"
    assert set(run["holdout_segments"]["segment"]) <= set(WORDS)
    said = words.holdout_sentence(run["holdout"], run["holdout_segments"], currency="EUR")
    assert "Nobody had the analyst's own labels then" in said
    assert set(run["facts"]["segment"]) == set(WORDS)
    assert run["facts"]["true_of"].isna().all(), "the analyst's word is tried on nobody"


def file(tmp_path: Path, text: str) -> Parameters:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return parameters_from({"own_labels": str(path)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("customer_id,label\na,1\na,2\nb,1\n", r"1 customer\(s\) are listed more than once \(a\)"),
        ("customer_id,label\na,1\nb,1\n", r"1 different label\(s\) \(1\); write 2 to 50"),
        ("customer_id,label\na,1\nb,\n,2\n", r"2 row\(s\) lack customer_id or label"),
        ("customer_id,label\na,=1+1\nb,x\n", r"label '=1\+1' is no name"),
        ("customer_id,segment\na,1\nb,2\n", "lacks the column label; add it there"),
        ("customer_id,label\n", "no rows"),
    ],
)
def test_mistakes_in_the_file_are_told_in_one_sentence(tmp_path, text, said):
    with pytest.raises(SegmentationError, match=said):
        read_labels(file(tmp_path, text))


def test_more_labels_than_clusters_may_be_are_refused(tmp_path):
    rows = "".join(f"c{number},{number}\n" for number in range(51))
    with pytest.raises(SegmentationError, match=r"51 different label\(s\) \(0, 1, 2, …\)"):
        read_labels(file(tmp_path, f"customer_id,label\n{rows}"))


def test_ids_that_match_nobody_and_customers_without_a_label_are_named():
    labels = pd.DataFrame({"customer_id": ["a", "b", "x", "y"], "label": [1, 2, 1, 2]})
    with pytest.raises(SegmentationError, match=r"2 of 4 customer ids match no .*\(x, y\)"):
        in_order_of(pd.Series(["a", "b"]), labels)
    with pytest.raises(SegmentationError, match=r"2 of 6 customers have no label \(c, d\)"):
        in_order_of(pd.Series(["a", "b", "c", "d", "x", "y"]), labels)
    assert in_order_of(pd.Series(["y", "x", "b", "a"]), labels).tolist() == [2, 1, 2, 1]


def test_a_sample_has_no_labels_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match="give fit_on: all"):
        read_labels(parameters_from({"own_labels": "labels.csv", "fit_on": 100}))
    with pytest.raises(ParameterError, match="no such file"):
        read_labels(parameters_from({"own_labels": str(tmp_path / "labels.csv")}))


def test_parquet_and_csv_of_any_order_are_the_same_labels(tmp_path):
    read = read_labels(file(tmp_path, "label;customer_id;more\n2;b;x\n1;00a;y\n"))
    table = pd.DataFrame({"customer_id": ["00a", "b"], "label": [1.0, 2.0]})
    table.to_parquet(tmp_path / "labels.parquet")
    again = read_labels(parameters_from({"own_labels": str(tmp_path / "labels.parquet")}))
    pd.testing.assert_frame_equal(read, again)
    assert read["label"].tolist() == [1, 2]


def test_the_content_decides_what_is_computed_again(tmp_path):
    shop = TinyShop(tmp_path)
    shop.lines(ordinary_orders(8))
    labels = tmp_path / "labels.csv"
    rows = [f"{number:04d},{number % 2}" for number in range(8)]
    labels.write_text("\n".join(["customer_id,label", *rows]))
    (_, profile, *_) = shop.arguments(own_labels="labels.csv")
    assert profile_values(str(profile))[1]["own_labels"] == str(labels), "beside its profile"

    def keys() -> dict[str, str]:
        run = Run(resolve(str(profile))[1], shop.runs_dir)
        return {stage: run.key(stage) for stage in ("prepared", "tuning", "segments", "stability")}

    first = keys()
    labels.write_text("\n".join(["customer_id,label", *reversed(rows)]))
    assert keys() == first
    labels.write_text("\n".join(["customer_id,label", "0000,1", *rows[1:]]))
    changed = keys()
    assert [stage for stage in first if first[stage] != changed[stage]] == ["segments", "stability"]


def test_a_forgotten_customer_needs_no_row_and_leaves_none(tmp_path):
    shop = TinyShop(tmp_path)
    shop.lines(ordinary_orders(40))
    labels = ["customer_id,label", *(f"{n:04d},{'High' if n > 19 else 'Low'}" for n in range(40))]
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    assert shop.run(own_labels="labels.csv").code == 0
    assert call_cli("forget", "0003", "--runs-dir", shop.runs_dir).code == 0
    outcome = shop.run(own_labels="labels.csv")
    assert outcome.code == 0, outcome.said
    left = pd.read_parquet(shop.result / "segments.parquet")["customer_id"]
    assert len(left) == 39
    assert "0003" not in set(left)


def test_a_label_that_no_resample_drew_is_given_to_nobody():
    values = np.array([[0.0], [1.0], [8.0], [9.0]])
    found = follow_labels(values, np.array([0, 0, 1, 2]), np.array([0, 1, 2, 2]))
    assert found.tolist() == [0, 0, 1, 1]
