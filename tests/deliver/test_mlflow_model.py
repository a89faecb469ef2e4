"""`segmentation export --mlflow`: what is in the folder. MLflow itself: tests/integrations."""

from __future__ import annotations

import json
import re
import shutil

import yaml
from conftest import ROOT, assert_refused, call_cli, contents_of

from segmentation.deliver.mlflow_model import MLFLOW


def test_the_folder_is_code_and_data_and_the_same_each_time(ordinary_run, tmp_path):
    for name in ("one", "two"):
        assert call_cli("export", ordinary_run, "--mlflow", tmp_path / name).code == 0
    one = contents_of(tmp_path / "one")
    assert one == contents_of(tmp_path / "two")
    kinds = {"MLmodel", "txt", "yaml", "py", "json", "npz", "sql", "typed"}
    assert {name.rpartition(".")[2] for name in one} <= kinds
    for name in ("model.json", "core_points.npz"):
        assert one[f"artifacts/model/{name}"] == (ordinary_run / "model" / name).read_bytes()
    assert b"0001" not in one["MLmodel"]


def test_the_signature_names_what_goes_in_and_what_comes_out(ordinary_run, tmp_path):
    assert call_cli("export", ordinary_run, "--mlflow", tmp_path / "out").code == 0
    described = yaml.safe_load((tmp_path / "out" / "MLmodel").read_text("utf-8"))
    model = json.loads((ordinary_run / "model" / "model.json").read_text("utf-8"))
    takes = json.loads(described["signature"]["inputs"])
    assert [one["name"] for one in takes if one["required"]] == model["features"]
    assert described["metadata"]["model_sha256"] == model["sha256"]
    pinned = (ROOT / "tests" / "integrations" / "requirements-mlflow.txt").read_text("utf-8")
    assert f"\nmlflow=={MLFLOW}\n" in pinned
    asked = (tmp_path / "out" / "requirements.txt").read_text("utf-8").splitlines()
    assert [re.split("[<>=]", line)[0] for line in asked] == [
        *("mlflow", "numpy", "pandas", "pydantic", "scipy")
    ]


def test_byte_code_is_nobodys_and_a_note_is_somebodys(ordinary_run, tmp_path):
    place = tmp_path / "out"
    assert call_cli("export", ordinary_run, "--mlflow", place).code == 0
    (place / "code" / "__pycache__").mkdir()
    (place / "code" / "__pycache__" / "x.pyc").write_bytes(b"")
    assert call_cli("export", ordinary_run / "model", "--mlflow", place).code == 0
    (place / "note.txt").write_text("mine", encoding="utf-8")
    assert_refused(call_cli("export", ordinary_run, "--mlflow", place), "note.txt", "--mlflow")
    assert (place / "note.txt").exists()


def test_a_damaged_model_is_refused_and_the_earlier_export_stays(ordinary_run, tmp_path):
    place = tmp_path / "out"
    assert call_cli("export", ordinary_run, "--mlflow", place).code == 0
    before = contents_of(place)
    shutil.copytree(ordinary_run, tmp_path / "run")
    (tmp_path / "run" / "model" / "core_points.npz").write_bytes(b"")
    assert_refused(call_cli("export", tmp_path / "run", "--mlflow", place), "core_points.npz")
    assert contents_of(place) == before
