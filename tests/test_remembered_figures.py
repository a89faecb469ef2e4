"""A picture is given from memory only where drawing it would give the same one."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.pylabtools import print_figure
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from segmentation import remembered_figures, style
from segmentation.notebooks_at_work import execute_notebook
from segmentation.remembered_figures import FOLDER_VARIABLE, RememberingCanvas, digest_of

TABLE = pd.DataFrame({"name": ["a", "b"], "value": [1.0, 2.0]})


@style.report_figure
def bars(table: pd.DataFrame, *, title: str = "") -> Figure:
    fig = mpl.pyplot.figure(figsize=(2, 1))
    ax = fig.add_subplot()
    ax.bar(table["name"], table["value"])
    ax.set_title(title)
    return fig


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "figures"))
    return tmp_path / "figures"


@pytest.fixture
def drawn(monkeypatch) -> list[int]:
    """One entry for each time that matplotlib itself makes a picture."""
    times: list[int] = []
    draw = FigureCanvasBase.print_figure

    def counted(self, *args, **kwargs):
        times.append(1)
        return draw(self, *args, **kwargs)

    monkeypatch.setattr(FigureCanvasBase, "print_figure", counted)
    return times


def test_same_figure_is_drawn_once_and_shown_the_same(folder, drawn):
    first = print_figure(bars(TABLE, title="$5"))
    again = print_figure(bars(TABLE.copy(), title="$5"))
    assert first == again
    assert first.startswith(b"\x89PNG")
    assert len(drawn) == 1
    assert [path.suffix for path in folder.iterdir()] == [".png"]


def test_picture_from_memory_is_the_one_that_is_drawn_without_memory(folder, monkeypatch):
    remembered = [print_figure(bars(TABLE, title="x")) for _ in range(2)]
    monkeypatch.delenv(FOLDER_VARIABLE)
    plain = bars(TABLE, title="x")
    assert not isinstance(plain.canvas, RememberingCanvas)
    assert [print_figure(plain)] * 2 == remembered


@pytest.mark.parametrize(
    "other",
    [
        lambda: bars(TABLE.assign(value=[1.0, 2.5]), title="x"),
        lambda: bars(TABLE, title="y"),
        lambda: bars(TABLE.rename(columns={"name": "n"}).assign(name=["b", "a"]), title="x"),
    ],
    ids=["a number", "a label", "an order"],
)
def test_other_arguments_are_drawn_anew(folder, drawn, other):
    before = print_figure(bars(TABLE, title="x"))
    assert print_figure(other()) != before
    assert len(drawn) == 2


def test_figure_that_was_changed_after_drawing_is_drawn_with_the_change(folder, drawn):
    before = print_figure(bars(TABLE))
    changes = (
        lambda fig: fig.axes[0].set_title("my own title"),
        lambda fig: fig.axes[0].patches[0].set_color("red"),
        lambda fig: fig.axes[0].set_ylim(0, 9),
        lambda fig: fig.set_size_inches(3, 2),
        lambda fig: fig.text(0.1, 0.1, "mine"),
    )
    for change in changes:
        fig = bars(TABLE)
        change(fig)
        assert print_figure(fig) != before
    assert len(drawn) == 1 + len(changes)
    assert print_figure(bars(TABLE)) == before, "no change was remembered as the original"


@pytest.mark.parametrize("what", ["settings", "resolution", "code"])
def test_other_settings_or_code_are_drawn_anew(folder, drawn, monkeypatch, what):
    print_figure(bars(TABLE))
    if what == "code":
        monkeypatch.setattr(remembered_figures, "drawing_code", lambda: "other")
    figure = bars(TABLE)
    if what == "settings":
        monkeypatch.setitem(mpl.rcParams, "savefig.facecolor", "red")
    print_figure(figure, **({"dpi": 50} if what == "resolution" else {}))
    assert len(drawn) == 2


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n half a pic", b"something else"])
def test_broken_picture_is_drawn_anew_and_mended(folder, drawn, content):
    whole = print_figure(bars(TABLE))
    (path,) = folder.iterdir()
    path.write_bytes(content)
    assert print_figure(bars(TABLE)) == whole
    assert path.read_bytes() == whole
    assert len(drawn) == 2


def test_folder_that_cannot_be_written_costs_no_figure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "figures"))
    assert print_figure(bars(TABLE)).startswith(b"\x89PNG")


def test_arguments_that_cannot_be_told_apart_are_drawn_each_time(folder, drawn):
    @style.report_figure
    def curve(rule) -> Figure:
        fig = mpl.pyplot.figure(figsize=(2, 1))
        fig.add_subplot().plot([rule(x) for x in range(3)])
        return fig

    one, two = print_figure(curve(lambda x: x)), print_figure(curve(lambda x: -x))
    assert one != two
    assert len(drawn) == 2


def test_a_picture_saved_to_a_file_is_drawn(folder, drawn, tmp_path):
    bars(TABLE).savefig(tmp_path / "own.png")
    bars(TABLE).savefig(tmp_path / "own.svg")
    buffer = io.BytesIO()
    bars(TABLE).savefig(buffer, format="svg")
    assert (tmp_path / "own.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "own.svg").read_bytes()
    assert b"<svg" in buffer.getvalue()
    assert not folder.exists()


def test_kernels_remember_where_they_are_told_to_and_nowhere_else(tmp_path):
    cell = (
        "import segmentation.plots\n"
        "from segmentation.plots.common import sentence_figure\n"
        "from segmentation.style import report_figure\n"
        "report_figure(sentence_figure)('nothing to chart')"
    )
    parameters = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    made = nbformat.v4.new_notebook(
        cells=[parameters, nbformat.v4.new_code_cell(cell)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(made, tmp_path / "own.ipynb")
    figures, shown = tmp_path / "figures", []
    for place in (None, figures, figures):
        execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {}, figures=place)
        outputs = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs
        shown.append([dict(output["data"]) for output in outputs])
        assert figures.exists() == (place is not None)
    assert shown[0] == shown[1] == shown[2]
    assert "image/png" in shown[0][0]
    (picture,) = figures.iterdir()
    before = picture.stat().st_mtime_ns
    execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {}, figures=figures)
    assert picture.stat().st_mtime_ns == before


def test_equal_arguments_have_one_digest_and_others_another():
    table = pd.DataFrame({"name": ["a", None], "value": [1.0, np.nan], "n": [1, 2]})
    again = pd.DataFrame({"name": ["a", None], "value": [1.0, np.nan], "n": [1, 2]})
    assert digest_of([table, {"k": 3}]) == digest_of([again, {"k": 3}])
    others = [
        table.assign(name=["a", "b"]),
        table.assign(value=[1.0, 0.0]),
        table.assign(n=[1.0, 2.0]),
        table.rename(columns={"n": "m"}),
        table[["value", "name", "n"]],
        table[::-1],
        table.set_axis([5, 6]),
        table["n"],
        table.head(1),
        table.head(0),
        None,
        np.array([1, 2]),
        np.array([1, 2], dtype="float64"),
        np.array([[1, 2]]),
        np.array([1, "2"], dtype=object),
        {"n": 1},
        {"n": True},
        {"n": "1"},
        {"n": Decimal(1)},
        ["n", 1],
        [["n"], 1],
    ]
    assert len({digest_of(other) for other in [table, *others]}) == len(others) + 1
    with pytest.raises(TypeError):
        digest_of([table, object()])
