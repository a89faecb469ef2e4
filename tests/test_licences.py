"""Every dependency's licence is known, and permissive or named with a reason."""

from __future__ import annotations

import importlib.util
from email.message import Message
from types import ModuleType

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def about(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


def test_the_table_is_that_of_the_lock_files(licences):
    before = (ROOT / "LICENSES.md").read_text("utf-8")
    text, faults = licences.table(before)
    assert faults == []
    assert text == before, "python tools/licences.py"


def test_a_licence_without_a_row_is_unknown(licences):
    _, faults = licences.table("")
    for fault in faults:  # those of other systems and versions of Python
        assert "no licence is known" in fault


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0", "License": "x"}, "MIT OR Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "UNKNOWN", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "line\nline", "Classifier": "License :: OSI Approved :: BSD License"}, "BSD"),
        ({"Classifier": "Topic :: Software"}, "unknown"),
        (
            {"Classifier": ["License :: Public Domain", "License :: X :: Other Licence"]},
            "Public Domain AND Other Licence",
        ),
    ],
)
def test_the_licence_is_what_the_distribution_tells(licences, told, licence):
    assert licences.licence_told(about(**told)) == licence


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND LGPL-2.1", "unknown", "Proprietary"])
def test_what_is_unknown_or_not_permissive_needs_a_reason(licences, licence):
    assert "novel" in licences.fault_of("novel", licence)
    assert licences.fault_of("novel", f"{licence} OR MIT") is None


def test_reasons_are_of_packages_that_need_one(licences):
    rows = (ROOT / "LICENSES.md").read_text("utf-8")
    for name in licences.NAMED:
        (row,) = [line for line in rows.splitlines() if line.startswith(f"| {name} |")]
        assert not licences.is_permissive(row.split(" | ")[1])


def test_the_licence_that_is_not_permissive_at_run_time_is_said_in_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8").split("## Licence")[1]
    assert "mysql-connector-python" in readme and "GPL" in readme and "LICENSES.md" in readme


def test_the_image_holds_only_what_serves(licences):
    """Nothing of notebooks, books, tests and figures; the versions are those of everything else."""
    purposes = licences.locked()
    serving = {name for name, found in purposes.items() if "serve" in found}
    assert {"flask", "gunicorn", "pydantic", "scipy"} <= serving
    assert len(serving) < 25
    assert not serving & {
        "pytest", "jupyter-book", "papermill", "ipykernel", "playwright", "matplotlib", "sphinx",
        "pandas", "pyarrow", "duckdb", "mysql-connector-python", "hypothesis", "ruff", "uv", "pip",
    }  # fmt: skip
    everything = (ROOT / "requirements.txt").read_text("utf-8")
    for line in (ROOT / "requirements-serve.txt").read_text("utf-8").splitlines():
        if "==" in line:
            assert line in everything.splitlines(), line
