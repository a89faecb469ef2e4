"""A run's model -> a folder that MLflow loads and serves: code and data, no pickle.

Nothing of MLflow is needed to write it: ``MLmodel`` is a small YAML file, and "models from
code" a Python file that MLflow runs. The run's own model decides, and no other code does.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
from importlib import metadata
from pathlib import Path

import yaml

from segmentation.core.own_folders import MLFLOW_MODEL
from segmentation.core.placing import new_folder
from segmentation.segments.model import SegmentModel, load_model

MLFLOW = "3.17.2"
"""Version that `make test-integrations` serves the folder with."""
NEEDED = ("numpy", "pandas", "pydantic", "scipy")
CODE = '''"""Segments of customers, by the model in `artifacts`."""

import mlflow

from segmentation.segments.model import load_model


class Segments(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = load_model(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        if "customer_id" not in model_input:
            model_input = model_input.assign(customer_id=range(len(model_input)))
        return self.model.assign(model_input)


mlflow.models.set_model(Segments())
'''
_GIVES = {
    "segment_type": "string",
    "cluster": "long",
    "segment": "string",
    "margin": "double",
    "is_anomaly": "boolean",
    "anomaly_reasons": "string",
}


def export_mlflow(run: Path, output: Path) -> SegmentModel:
    """Write the model of a run (or a model's folder, as of `reduce`) for MLflow.

    Raises
    ------
    ModelError, OutputError
        In one sentence; what was there stays.
    """
    folder = run / "model" if (run / "model").is_dir() else run
    with new_folder(output, MLFLOW_MODEL, "give --mlflow a new folder") as working:
        model = load_model(folder, to_export=True)
        _write(model, folder, working)
    return model


def _write(model: SegmentModel, folder: Path, working: Path) -> None:
    shutil.copytree(folder, working / "artifacts" / "model")
    shutil.copytree(
        Path(__file__).parents[1],
        working / "code" / "segmentation",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (working / "segments.py").write_text(CODE, encoding="utf-8")
    ranges = metadata.requires("segmentation-report") or ()
    packages = [f"mlflow=={MLFLOW}", *(line for line in ranges if _name_of(line) in NEEDED)]
    (working / "requirements.txt").write_text("\n".join(packages) + "\n", encoding="utf-8")
    python = platform.python_version()
    described = {
        "MLmodel": _described(model, python),
        "python_env.yaml": {"python": python, "dependencies": ["-r requirements.txt"]},
        "conda.yaml": {
            "name": "segments",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": packages}],
        },
    }
    for name, content in described.items():
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (working / name).write_text(text, encoding="utf-8")


def _name_of(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0]


def _described(model: SegmentModel, python: str) -> dict[str, object]:
    """What ``MLmodel`` says: how to load the folder, and which columns go in and come out."""
    values = dict.fromkeys(model.features, "double")
    optional = {"register_to_order": "double", "segment_type": "string", "customer_id": "string"}
    takes = [
        {"name": name, "type": kind, "required": name in values}
        for name, kind in (optional | values).items()
    ]
    gives = [
        {"name": name, "type": kind, "required": True}
        for name, kind in ({"customer_id": "string"} | values | _GIVES).items()
    ]
    return {
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.pyfunc.loaders.code_model",
                "model_code_path": "segments.py",
                "artifacts": {"model": {"path": "artifacts/model", "uri": "model"}},
                "code": "code",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": python,
                "streamable": False,
            }
        },
        "mlflow_version": MLFLOW,
        "model_uuid": model.sha256[:32],
        "signature": {"inputs": json.dumps(takes), "outputs": json.dumps(gives), "params": None},
        "metadata": {"model_sha256": model.sha256, "as_of": model.info.get("as_of")},
    }
