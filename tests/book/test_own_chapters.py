"""Chapters that analysts change, copy and add: no work is lost, and the book shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT
from new_chapter import add_chapter
from notebook_pairs import METADATA, synchronise

from segmentation.book import pages
from segmentation.core.errors import ParameterError

SCRIPT = '# %% [markdown]\n# # A title\n\n# %% tags=["parameters"]\nx = 1\n\n# %%\nx + 1\n'


@pytest.fixture
def folder(tmp_path) -> Path:
    """Notebooks with one pair that is in step."""
    (tmp_path / "01_one.py").write_text(SCRIPT)
    assert synchronise(tmp_path) == (["01_one.py", "01_one.ipynb", "pairs.json"][1:], [])
    return tmp_path


def change_script(folder: Path, line: str) -> None:
    path = folder / "01_one.py"
    path.write_text(path.read_text().replace("x = 1", f"x = 1\n{line}"))


def change_notebook(folder: Path, source: str, **more: object) -> None:
    """As Jupyter saves it: a cell more, outputs, its own metadata."""
    path = folder / "01_one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(source, **more))
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="shown")]
    notebook.metadata["language_info"] = {"name": "python", "version": "3.99"}
    nbformat.write(notebook, path)


def both(folder: Path) -> list[str]:
    return [path.read_text() for path in (folder / "01_one.py", folder / "01_one.ipynb")]


def assert_in_step(folder: Path, *lines: str) -> None:
    assert synchronise(folder, write=False) == ([], [])
    for text in both(folder):
        assert all(line in text for line in lines), text
        assert "3.99" not in text and "shown" not in text


def test_script_that_was_changed_is_written_into_its_notebook(folder):
    change_script(folder, "own_line = 2  # beside the parameters")
    assert synchronise(folder) == (["01_one.ipynb", "pairs.json"], [])
    assert_in_step(folder, "own_line = 2  # beside the parameters")


def test_notebook_that_was_changed_is_written_into_its_script_again_and_again(folder):
    for line in ("own = 'cell'[0]", "second = 2"):
        change_notebook(folder, line)
        assert synchronise(folder)[1] == []
    assert_in_step(folder, "own = 'cell'[0]", "second = 2")
    assert both(folder)[0].startswith(SCRIPT.strip()) or SCRIPT.strip() in both(folder)[0]


def test_notebook_that_was_only_executed_changes_nothing(folder):
    before = both(folder)
    notebook = nbformat.read(folder / "01_one.ipynb", as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="shown")]
    nbformat.write(notebook, folder / "01_one.ipynb")
    assert synchronise(folder) == (["01_one.ipynb"], [])
    assert both(folder) == before


@pytest.mark.parametrize("known", [True, False])
def test_where_both_were_changed_neither_is_touched_and_both_are_named(folder, known):
    change_script(folder, "here = 1")
    change_notebook(folder, "there = 1")
    if not known:
        (folder / "pairs.json").unlink()
    before = both(folder)
    for _ in range(2):
        (said,) = synchronise(folder)[1]
        assert "01_one.py and 01_one.ipynb both changed" in said
        assert both(folder) == before
    (folder / "01_one.py").unlink()
    assert synchronise(folder)[1] == []
    assert_in_step(folder, "there = 1")


def test_the_same_change_on_both_sides_is_no_quarrel(folder):
    change_script(folder, "here = 1")
    shutil.copy(folder / "01_one.py", folder / "02_two.py")
    synchronise(folder)
    (folder / "pairs.json").unlink()
    assert synchronise(folder) == (["pairs.json"], [])
    assert_in_step(folder, "here = 1")


@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_side_that_is_missing_is_made(folder, side):
    (folder / f"01_one.{side}").unlink()
    changed, refused = synchronise(folder)
    assert (changed[0], refused) == (f"01_one.{side}", [])
    assert_in_step(folder, "# A title", "x = 1", "x + 1")
    assert METADATA["kernelspec"]["name"] in both(folder)[1]


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"cells": 3}'])
def test_notebook_that_is_none_is_named_and_its_script_stays(folder, text):
    (folder / "01_one.ipynb").write_text(text)
    (said,) = synchronise(folder)[1]
    assert said.startswith("01_one.ipynb is no notebook")
    assert both(folder) == [SCRIPT, text]


def test_picture_that_a_script_cannot_hold_is_not_dropped(folder):
    notebook = nbformat.read(folder / "01_one.ipynb", as_version=4)
    notebook.cells[0]["attachments"] = {"a.png": {"image/png": "AAAA"}}
    nbformat.write(notebook, folder / "01_one.ipynb")
    before = both(folder)
    assert "01_one.ipynb holds a pasted picture" in synchronise(folder)[1][0]
    assert both(folder) == before


# --- chapters of one's own --------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The chapters and the table of contents of this project, to be added to."""
    (tmp_path / "notebooks").mkdir()
    for path in (ROOT / "notebooks").iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path / "notebooks")
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    monkeypatch.setattr(pages, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(pages, "NOTEBOOK_FOLDER", tmp_path / "notebooks")
    return tmp_path


def listed(project: Path) -> list[list[str]]:
    toc = yaml.safe_load((project / "_toc.yml").read_text())
    return [[chapter["file"] for chapter in part["chapters"]] for part in toc["parts"]]


def test_chapter_of_ones_own_is_copied_and_listed_in_every_part(project):
    before = listed(project)
    last = int(Path(before[0][-1]).name[:2])
    names = [f"{last + 1:02d}_my_prices", f"{last + 2:02d}_more"]

    add_chapter("my_prices", "03_exploration", root=project)
    add_chapter("more", root=project)

    for part, old in zip(listed(project), before, strict=True):
        shipped = old[0].split("/")[0]
        own = [] if shipped == "book" else [f"{shipped}/{name}" for name in names]
        assert part == old + own
    assert "# One part per profile" in (project / "_toc.yml").read_text()
    assert synchronise(project / "notebooks", write=False) == ([], [])
    text = (project / "notebooks" / f"{names[0]}.ipynb").read_text()
    assert "# My prices" in text and "plots.plot_cohorts" in text
    assert pages.unlisted_chapters() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Own Prices",), "is no name"),
        (("",), "is no name"),
        (("../x",), "is no name"),
        (("exploration",), "there is 03_exploration already"),
        (("own", "03_explore"), "there is no chapter 03_explore; there are 01_"),
    ],
)
def test_chapter_that_cannot_be_made_changes_nothing(project, arguments, said):
    before = {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()}
    with pytest.raises(ValueError, match=said):
        add_chapter(*arguments, root=project)
    assert {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()} == before


def test_notebook_that_the_contents_do_not_list_is_told_of(project):
    for name in ("11_own.ipynb", "04_choosing_k-Copy1.ipynb"):
        shutil.copy(project / "notebooks" / "04_choosing_k.ipynb", project / "notebooks" / name)
    assert pages.unlisted_chapters() == ["04_choosing_k-Copy1", "11_own"]


def test_chapter_that_is_listed_but_not_there_is_refused_by_name(project):
    (project / "notebooks" / "06_segments.ipynb").unlink()
    with pytest.raises(ParameterError, match=r"_toc.yml lists 06_segments, .*`make notebooks`"):
        pages.unlisted_chapters()


def test_figures_of_a_copied_chapter_and_of_a_copied_cell_keep_labels_of_their_own():
    taken: set[str] = set()
    labels = []
    for chapter in ("04_choosing_k", "04_choosing_k", "11_own"):
        notebook = nbformat.read(ROOT / "notebooks" / "04_choosing_k.ipynb", as_version=4)
        pages.own_labels(notebook, "cdnow", chapter, taken)
        about = [cell.metadata.get("mystnb", {}).get("figure", {}) for cell in notebook.cells]
        labels += [figure["name"] for figure in about if figure]
    assert labels[0] == "fig-cdnow-k-evidence"
    assert len(set(labels)) == len(labels) == 9
