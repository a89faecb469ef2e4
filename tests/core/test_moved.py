"""Modules of the version without rooms: an import says where they are now."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from conftest import ROOT

from segmentation.core.moved import MOVED

PAGE = ROOT / "book" / "upgrading.md"


@pytest.mark.parametrize("place", sorted(set(MOVED.values())))
def test_every_new_place_is_a_module(place):
    assert find_spec(f"segmentation.{place}").origin


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("from segmentation.pipeline import open_run", "pipeline", "run.run"),
        ("import segmentation.insights.text", "insights", "book.words"),
        ("from segmentation import insights, plots", "insights", "book.words"),
        ("from segmentation.plots.common import grid", "plots", "book.plots"),
        ("from segmentation.evidence.btyd import fit", "evidence.btyd", "evidence.buying"),
        pytest.param(
            "from segmentation.segments import segments_table",
            "segments",
            "segments.table",
            id="now-the-name-of-a-room",
        ),
    ],
)
def test_an_import_of_a_moved_module_says_its_new_place(statement, old, new):
    with pytest.raises(ModuleNotFoundError) as refused:
        exec(statement, {})

    assert str(refused.value).startswith(f"segmentation.{old} is now segmentation.{new};")


def test_a_folder_that_git_left_of_a_package_is_not_that_package(tmp_path):
    shutil.copytree(ROOT / "segmentation" / "core", tmp_path / "segmentation" / "core")
    shutil.copy(ROOT / "segmentation" / "__init__.py", tmp_path / "segmentation")
    (tmp_path / "segmentation" / "insights" / "__pycache__").mkdir(parents=True)

    ended = subprocess.run(
        [sys.executable, "-c", "from segmentation import insights"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "segmentation.insights is now segmentation.book.words;" in ended.stderr


@pytest.mark.parametrize("name", ["nothing", "core.nothing"])
def test_a_module_that_never_was_is_said_by_python_itself(name):
    with pytest.raises(ModuleNotFoundError, match=r"^No module named"):
        exec(f"import segmentation.{name}", {})


def test_the_page_upgrading_lists_every_moved_module_with_its_place():
    rows = re.findall(r"^\| `([a-z_0-9.]+)` \| `([a-z_0-9.]+)` \|$", PAGE.read_text("utf-8"), re.M)

    assert dict(rows) == MOVED
    assert len(rows) == len(MOVED)
