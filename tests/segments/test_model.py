"""A saved model answers as the run did, or refuses to be loaded."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, assert_refused, call_cli, process_cli

from segmentation.core.errors import ModelError, SourceError
from segmentation.segments.model import document_checksum, load_model

JUDGED = ["segment_type", "cluster", "segment", "margin", "is_anomaly", "anomaly_reasons"]


@pytest.fixture
def model_copy(marketplace_run, tmp_path) -> Path:
    return shutil.copytree(marketplace_run / "model", tmp_path / "model")


@pytest.fixture(scope="module")
def features(marketplace_run) -> pd.DataFrame:
    return pd.read_parquet(marketplace_run / "features.parquet")


def rewrite(model: Path, change) -> None:
    """Change the JSON document of a saved model."""
    path = model / "model.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def flip_bit(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


# --- round trip -----------------------------------------------------------------------


def test_loaded_model_assigns_every_customer_as_the_run_did(shipped_run):
    folder = shipped_run[1]
    segments = pd.read_parquet(folder / "segments.parquet")

    assigned = load_model(folder / "model").assign(pd.read_parquet(folder / "features.parquet"))

    pd.testing.assert_frame_equal(assigned, segments, check_exact=True)


def test_a_model_of_the_version_without_rooms_answers_as_it_did():
    """The bookshop's model and answers as that version wrote them."""
    folder = Path(__file__).parent / "model_of_earlier_version"
    said = pd.read_parquet(folder / "segments.parquet")

    assigned = load_model(folder / "model").assign(pd.read_parquet(folder / "features.parquet"))

    # the last bit of a distance is the processor's
    pd.testing.assert_frame_equal(assigned, said, check_exact=False, rtol=1e-12, atol=1e-12)


def test_model_saved_again_is_the_same_bytes(marketplace_run, tmp_path):
    load_model(marketplace_run / "model").save(tmp_path)

    for path in (marketplace_run / "model").iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_group_follows_from_registration_where_it_is_not_given(marketplace_run, features):
    model = load_model(marketplace_run / "model")

    assigned = model.assign(features.drop(columns="segment_type"))

    assert assigned["segment_type"].tolist() == features["segment_type"].tolist()


def test_one_customer_alone_is_assigned_as_among_all(marketplace_run, features):
    model = load_model(marketplace_run / "model")
    together = model.assign(features)

    for place in (0, 7, 1234, len(features) - 1):
        alone = model.assign(features.iloc[[place]])
        expected = together.iloc[[place]].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def test_customers_are_answered_in_the_order_asked(marketplace_run, features):
    model = load_model(marketplace_run / "model")
    shuffled = features.sample(frac=1, random_state=1)

    assigned = model.assign(shuffled)

    assert assigned["customer_id"].tolist() == shuffled["customer_id"].tolist()
    expected = model.assign(features).set_index("customer_id").loc[shuffled["customer_id"]]
    assert assigned["segment"].tolist() == expected["segment"].tolist()


def test_assignment_leaves_its_input_as_it_was(marketplace_run, features):
    before = features.copy()
    load_model(marketplace_run / "model").assign(features)
    pd.testing.assert_frame_equal(features, before)


# --- damage ---------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.8, 0.99])
def test_flipped_bit_in_the_core_points_is_refused(model_copy, share):
    path = model_copy / "core_points.npz"
    flip_bit(path, int(path.stat().st_size * share))
    with pytest.raises(ModelError, match=r"core_points\.npz"):
        load_model(model_copy)


def digits_of(path: Path, word: str) -> int:
    """Place of a digit in the number that follows a word of the JSON file."""
    text = path.read_bytes()
    return re.compile(rb"\d").search(text, text.index(word.encode())).start()


@pytest.mark.parametrize("word", ['"centers"', '"scale"', '"center"', '"eps"', '"medians"'])
def test_flipped_bit_in_a_number_of_the_json_is_refused(model_copy, word):
    """A digit that turned into another digit is still JSON: only a checksum notices."""
    path = model_copy / "model.json"
    place = digits_of(path, word)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x01
    path.write_bytes(content)
    json.loads(content)

    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(model_copy)


@pytest.mark.parametrize("word", ['"names"', '"reason_limits"', '"transform"', '"features"'])
def test_flipped_bit_in_a_word_of_the_json_is_refused(model_copy, word):
    path = model_copy / "model.json"
    flip_bit(path, path.read_bytes().index(word.encode()) + 2)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(model_copy)


@pytest.mark.parametrize("name", ["model.json", "core_points.npz"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file_is_refused(model_copy, name, share):
    path = model_copy / name
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ModelError, match=name):
        load_model(model_copy)


@pytest.mark.parametrize("name", ["model.json", "core_points.npz"])
def test_missing_file_is_refused(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_model(model_copy)


def test_core_points_of_another_model_are_refused(model_copy, cdnow_run):
    shutil.copy(cdnow_run / "model" / "core_points.npz", model_copy)
    with pytest.raises(ModelError, match="checksum"):
        load_model(model_copy)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_refused_with_both_versions_and_what_to_do(model_copy, version):
    rewrite(model_copy, lambda document: document.update(schema_version=version))
    with pytest.raises(
        ModelError, match=f"version {version!r}.* reads 1; run again, or score with"
    ):
        load_model(model_copy)


def set_number(name: str, value: object):
    def change(document: dict) -> None:
        group = document["groups"]["normal"]
        if name == "centers":
            group["centers"][0][0] = value
        elif name in group["preparation"]:
            group["preparation"][name][0] = value
        else:
            group[name] = value

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("centers", float("nan")),
        ("centers", float("inf")),
        ("centers", "far"),
        ("center", float("nan")),
        ("scale", 0.0),
        ("scale", -1.0),
        ("lambdas", float("inf")),
        ("low", float("nan")),
        ("eps", float("nan")),
        ("eps", -1.0),
        ("min_samples", 0),
        ("names", ["one name too few"]),
        ("transform", "sqrt"),
    ],
)
def test_number_that_cannot_be_a_model_is_refused(model_copy, name, value):
    def change(document: dict) -> None:
        if name == "transform":
            document["groups"]["normal"]["preparation"]["transform"] = value
        else:
            set_number(name, value)(document)

    rewrite(model_copy, change)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(model_copy)


def reseal(model: Path, change) -> None:
    """Change the document and give it the checksum that fits, as a forger would."""

    def sealed(document: dict) -> None:
        change(document)
        document["sha256"] = document_checksum(document)

    rewrite(model, sealed)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("centers", "far", "could not convert"),
        ("center", None, "center is not finite"),
        ("scale", 0.0, "scale is not positive"),
        ("scale", -1.0, "scale is not positive"),
        ("lambdas", None, "lambdas is not finite"),
        ("low", 1e9, None),
        ("eps", -1.0, "eps is not a finite distance"),
        ("eps", 0.0, "eps is 0"),
        ("min_samples", 1, "min_samples is below 2"),
        ("names", ["one"], "names do not match centres"),
        ("names", [1, 2, 3], "names do not match centres"),
        ("transform", "sqrt", "unknown transform"),
        ("medians", {}, "KeyError"),
        ("reason_limits", {"total_unit": [3, 1]}, "reason limits of total_unit"),
        ("reason_limits", {"colour": [1, 3]}, "reason limits of colour"),
    ],
)
def test_model_with_a_fitting_checksum_is_still_checked(model_copy, name, value, said):
    def change(document: dict) -> None:
        group = document["groups"]["normal"]
        if name == "low":
            group["preparation"]["high"][0] = -1.0
        if name == "transform":
            group["preparation"]["transform"] = value
        else:
            set_number(name, value)(document)

    reseal(model_copy, change)
    with pytest.raises(ModelError, match=rf"model\.json.*{said or 'low is above high'}"):
        load_model(model_copy)


@pytest.mark.parametrize("date", [[9, 1.0, 1.0], [0, 1.0, 0.0], [0, 1.0]])
def test_dates_of_another_shape_are_refused(model_copy, date):
    def change(document: dict) -> None:
        document["groups"]["normal"]["preparation"]["dates"] = [date]

    reseal(model_copy, change)
    with pytest.raises(ModelError, match="is not a complete model"):
        load_model(model_copy)


@pytest.mark.parametrize("numbers", [{"r": -1.0}, {"r": 1.0}, {"r": "1"}, {"colour": 1.0}])
def test_a_forecast_of_another_shape_is_refused(model_copy, numbers):
    given = {"r": 1.0, "alpha": 2.0, "a": 1.0, "b": 1.0, "outcome_days": 90}
    whole = given | numbers if numbers != {"r": 1.0} else numbers
    reseal(model_copy, lambda document: document["info"].update(forecast=whole))
    with pytest.raises(ModelError, match="forecast of another shape"):
        load_model(model_copy)


@pytest.mark.parametrize("name", ["low", "high", "lambdas", "center", "scale"])
def test_constants_of_another_shape_are_refused(model_copy, name):
    reseal(
        model_copy,
        lambda document: document["groups"]["normal"]["preparation"][name].append(1.0),
    )
    with pytest.raises(ModelError, match=f"{name} of another shape"):
        load_model(model_copy)


def test_order_of_reasons_is_part_of_the_checksum(model_copy):
    def reverse(document: dict) -> None:
        group = document["groups"]["normal"]
        group["reason_limits"] = dict(reversed(group["reason_limits"].items()))

    rewrite(model_copy, reverse)
    with pytest.raises(ModelError, match="checksum"):
        load_model(model_copy)


def test_rare_combination_is_said_with_units(marketplace_run):
    segments = pd.read_parquet(marketplace_run / "segments.parquet")
    rare = segments["anomaly_reasons"][segments["anomaly_reasons"].str.startswith("rare")]
    assert len(rare)
    labels = (
        r"((registration to first order|first to last order) \(days\)|units bought|total spent)"
    )
    part = labels + r" -?[\d,.]+"
    assert rare.str.fullmatch(f"rare combination: {part} with {part}").all()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '{"schema_version": 1}'])
def test_json_that_is_no_model_is_refused(model_copy, text):
    (model_copy / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(model_copy)


def test_pickled_array_is_never_loaded(model_copy):
    """Even with a checksum that fits: objects are code."""
    buffer = io.BytesIO()
    np.savez(buffer, normal=np.array([{"a": 1}], dtype=object))
    (model_copy / "core_points.npz").write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    rewrite(model_copy, lambda document: document["core_points"].update(sha256=digest))
    with pytest.raises(ModelError):
        load_model(model_copy)


def test_file_that_unpacks_to_more_than_a_model_can_be_is_refused(model_copy, monkeypatch):
    monkeypatch.setattr("segmentation.segments.model.MAX_ARRAY_BYTES", 100)
    with pytest.raises(ModelError, match="larger"):
        load_model(model_copy)


def test_no_code_of_the_package_pickles():
    forbidden = re.compile(r"\b(import|from)\s+(pickle|joblib|dill|cloudpickle|shelve|marshal)\b")
    allowed = re.compile(r"allow_pickle\s*=\s*True")
    for path in (ROOT / "segmentation").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not forbidden.search(text), path
        assert not allowed.search(text), path
        loads = re.findall(r"np\.load\([^\n]*", text)
        assert all("allow_pickle=False" in call for call in loads), path


def test_model_folder_holds_numbers_and_words_only(shipped_run):
    folder = shipped_run[1] / "model"
    assert sorted(path.name for path in folder.iterdir()) == ["core_points.npz", "model.json"]
    with zipfile.ZipFile(folder / "core_points.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    document = json.loads((folder / "model.json").read_text())
    assert not [text for text in _texts(document) if text.startswith(("/", "C:\\"))]


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


# --- segmentation score ---------------------------------------------------------------


def refused_score(model: Path, table: pd.DataFrame, folder: Path, *needed: str, kind: str = "csv"):
    """One sentence, and an output that was there before stays."""
    source, target = folder / f"given.{kind}", folder / "scored.csv"
    table.to_csv(source, index=False) if kind == "csv" else table.to_parquet(source)
    target.write_text("previous")
    assert_refused(call_cli("score", model, source, "--output", target, "--replace"), *needed)
    assert target.read_text() == "previous"


def scored(model: Path, table: pd.DataFrame, folder: Path, given: str, wanted: str):
    source, target = folder / f"given.{given}", folder / f"scored.{wanted}"
    if given == "csv":
        table.to_csv(source, index=False)
    else:
        table.to_parquet(source)
    outcome = call_cli("score", model, source, "--output", target, "--raw-values")
    assert outcome.code == 0, outcome.said
    if wanted == "parquet":
        return pd.read_parquet(target)
    return pd.read_csv(target, dtype={"customer_id": str}, keep_default_na=True)


def assert_scores_equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found.columns.tolist() == expected.columns.tolist()
    for name in ("customer_id", "segment_type", "cluster", "segment", "is_anomaly"):
        assert found[name].tolist() == expected[name].tolist(), name
    reasons = found["anomaly_reasons"].fillna("")
    assert reasons.tolist() == expected["anomaly_reasons"].tolist()
    np.testing.assert_array_equal(found["margin"], expected["margin"])


@pytest.mark.parametrize("given", ["csv", "parquet"])
@pytest.mark.parametrize("wanted", ["csv", "parquet"])
def test_score_gives_every_customer_the_segment_of_the_run(
    marketplace_run, features, tmp_path, given, wanted
):
    found = scored(marketplace_run / "model", features, tmp_path, given, wanted)

    assert_scores_equal(found, pd.read_parquet(marketplace_run / "segments.parquet"))


def test_score_gives_every_cdnow_customer_the_segment_of_the_run(cdnow_run, tmp_path):
    target = tmp_path / "scored.parquet"

    outcome = process_cli(
        "score", cdnow_run / "model", cdnow_run / "features.parquet", "--output", target
    )

    assert outcome.code == 0, outcome.err
    assert target.read_bytes() == (cdnow_run / "segments.parquet").read_bytes()


def test_order_of_columns_and_columns_unknown_to_the_model_change_nothing(
    marketplace_run, features, tmp_path
):
    permuted = features[features.columns[::-1]].assign(colour="red")

    found = scored(marketplace_run / "model", permuted, tmp_path, "csv", "parquet")

    assert_scores_equal(found, pd.read_parquet(marketplace_run / "segments.parquet"))


@pytest.mark.parametrize("given", ["csv", "parquet"])
def test_ids_with_leading_zeros_quotes_and_signs_survive_scoring(
    marketplace_run, features, tmp_path, given
):
    ids = ["007", "=1+1", 'say "hi"', "<b>x</b>", "1e5", "ключ", "🛒", "a,b", "NA", "null"]
    table = features.head(len(ids)).assign(customer_id=ids)

    for wanted in ("csv", "parquet"):
        scored(marketplace_run / "model", table, tmp_path, given, wanted)
    found = pd.read_parquet(tmp_path / "scored.parquet")
    text = pd.read_csv(tmp_path / "scored.csv", dtype=str, keep_default_na=False)

    assert found["customer_id"].tolist() == ids
    assert text["customer_id"].tolist() == ids


def one_wrong(features: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    table = features.head(5).astype({column: object})
    table.loc[2, column] = value
    return table


@pytest.mark.parametrize("value", ["many", "NaN", "inf", "-Infinity", ""])
def test_score_refuses_a_value_that_is_no_finite_number(marketplace_run, features, tmp_path, value):
    table = one_wrong(features, "total_unit", value)

    refused_score(
        marketplace_run / "model",
        table,
        tmp_path,
        "total_unit",
        "1 customer(s)",
        features["customer_id"][2],
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_score_refuses_such_a_value_in_parquet_too(marketplace_run, features, tmp_path, value):
    table = features.head(5).copy()
    table.loc[2, "total_spent"] = value
    refused_score(
        marketplace_run / "model", table, tmp_path, "total_spent", "1 customer(s)", kind="parquet"
    )


def test_score_names_the_column_that_is_missing_and_those_needed(
    marketplace_run, features, tmp_path
):
    table = features.drop(columns="total_unit")
    refused_score(
        marketplace_run / "model", table, tmp_path, "total_unit", "customer_id", "total_spent"
    )


def test_score_refuses_a_group_that_the_model_does_not_know(marketplace_run, features, tmp_path):
    table = one_wrong(features, "segment_type", "wholesale")
    refused_score(
        marketplace_run / "model", table, tmp_path, "1 customer(s)", "wholesale", "normal"
    )


def test_score_refuses_a_customer_without_id(marketplace_run, features, tmp_path):
    table = one_wrong(features, "customer_id", None)
    refused_score(
        marketplace_run / "model", table, tmp_path, "1 customer(s)", "customer_id", "row 3"
    )


def test_score_refuses_customers_listed_twice(marketplace_run, features, tmp_path):
    table = pd.concat([features.head(5), features.head(2)])
    refused_score(
        marketplace_run / "model", table, tmp_path, "2 customer(s)", features["customer_id"][0]
    )


@pytest.mark.parametrize(
    ("content", "needed"),
    [(b"", "is empty"), (b"customer_id,total_unit\n", "no rows"), (b"\xff\xfe\x00", "given.csv")],
)
def test_score_refuses_a_file_without_customers(marketplace_run, tmp_path, content, needed):
    (tmp_path / "given.csv").write_bytes(content)
    arguments = ["score", marketplace_run / "model", tmp_path / "given.csv"]
    assert_refused(call_cli(*arguments, "--output", tmp_path / "x.csv"), "given.csv", needed)


def test_score_refuses_files_and_models_that_are_not_there(marketplace_run, tmp_path):
    model, features = marketplace_run / "model", marketplace_run / "features.parquet"
    target = tmp_path / "x.csv"
    assert_refused(call_cli("score", model, tmp_path / "no.csv", "--output", target), "no.csv")
    assert_refused(call_cli("score", model, tmp_path, "--output", target), tmp_path.name)
    assert_refused(call_cli("score", tmp_path, features, "--output", target), "model")
    assert_refused(
        call_cli("score", model, features, "--output", tmp_path / "x.xlsx"), ".csv", ".parquet"
    )
    assert_refused(call_cli("score", model, features, "--output", tmp_path / "no" / "x.csv"), "no")
    assert list(tmp_path.iterdir()) == []


def test_model_of_several_groups_needs_to_know_the_group(tmp_path, marketplace_run, features):
    model = load_model(marketplace_run / "model")
    table = features.drop(columns=["segment_type", "register_to_order"])
    with pytest.raises(SourceError, match="register_to_order"):
        model.assign(table)
