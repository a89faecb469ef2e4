"""A notebook is given from memory only where executing it would show the same."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, ordinary_orders

from segmentation.book import remembered_notebooks
from segmentation.book.notebooks import NotebooksAtWork, execute_notebook, notebook_values
from segmentation.book.remembered_notebooks import RememberedNotebooks, code_of, is_reviewed
from segmentation.core.notebook_parameters import parameters_cell
from segmentation.core.parameters import resolve
from segmentation.run.cache import StageCache
from segmentation.run.run import Run

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SETUP = "from segmentation.run.run import open_run\nrun = open_run(globals())"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_shipped_notebook_is_reviewed(path):
    """Else it is executed every time: see that it reads nothing but its run, then run
    ``python -m segmentation.book.remembered_notebooks``."""
    assert is_reviewed(path, code_of(nbformat.read(path, as_version=4)))


def run_of(shop, **changed) -> Run:
    _, parameters = resolve(str(shop.folder / "shop.yaml"), overrides=changed)
    return Run(parameters, shop.runs_dir)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small shop, its notebooks executed and remembered once."""
    from conftest import TinyShop

    shop = TinyShop(tmp_path_factory.mktemp("remembered"))
    shop.lines(ordinary_orders())
    assert shop.run(n_clusters=2).code == 0
    chapters = report_notebooks(run_of(shop), shop.folder / "first")
    assert chapters.reused == []
    return shop


def report_notebooks(run: Run, folder: Path):
    """All notebooks of a run as a report executes them, with its memory."""
    with NotebooksAtWork(run.cache.root.parent) as work:
        remembered = RememberedNotebooks(run)
        chapters = work.of_profile(run.parameters, folder, remembered=remembered)
        chapters.begin_all()
        work.finish()
    remembered.keep()
    return chapters


def shown(path: Path) -> list[dict]:
    """All that is published of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in notebook.cells]
    return [*cells, dict(notebook.metadata)]


def recalled(made, folder: Path, **changed):
    """What is given from memory for a run with other parameters, and its notebooks."""
    run = run_of(made, **changed)
    run.stage("recommendations")
    (folder / "recalled").mkdir()
    with NotebooksAtWork(made.runs_dir) as work:
        chapters = work.of_profile(
            run.parameters, folder / "recalled" / "notebooks", remembered=RememberedNotebooks(run)
        )
    notebooks = {
        n: shown(folder / "recalled" / "notebooks" / f"{n}.ipynb") for n in chapters.reused
    }
    return run, notebooks


def numbers(notebooks: dict[str, list[dict]]) -> str:
    return " ".join(name[:2] for name in notebooks)


@pytest.mark.parametrize(
    ("changed", "reused"),
    [
        ({"n_clusters": 3}, "01 03"),
        ({"dbscan_eps": 0.4}, "01 03"),
        ({"random_state": 7}, "01"),
        ({"as_of": "2023-12-01"}, ""),
    ],
    ids=str,
)
def test_what_a_parameter_may_change_is_executed(made, tmp_path, changed, reused):
    assert numbers(recalled(made, tmp_path, **changed)[1]) == reused


def test_what_is_remembered_is_what_was_executed(made, tmp_path):
    _, notebooks = recalled(made, tmp_path)
    assert numbers(notebooks) == "01 02 03 04 05 06 07 08 10"
    for name, cells in notebooks.items():
        assert cells == shown(made.folder / "first" / f"{name}.ipynb"), name


@pytest.mark.parametrize(
    ("changed", "reused"),
    [
        ({"n_clusters": 3, "dbscan_eps": 0.4, "random_state": 7}, "01"),
        ({"currency": "EUR"}, ""),
        ({"gross_margin": 0.5}, "01 02 03 04 05 07"),
    ],
    ids=str,
)
def test_what_is_remembered_is_what_would_be_executed(made, tmp_path, changed, reused):
    run, notebooks = recalled(made, tmp_path, **changed)
    assert numbers(notebooks) == reused
    values = notebook_values(run.parameters) | {"runs_dir": str(made.runs_dir)}
    for name, cells in notebooks.items():
        execute_notebook(ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "executed.ipynb", values)
        assert cells == shown(tmp_path / "executed.ipynb"), name


def test_a_page_that_prints_the_runs_folder_is_remembered_for_that_folder_alone(made):
    """Else the page of an experiment led to the current run, whose model is another."""
    memory = RememberedNotebooks(run_of(made))
    last, other = NOTEBOOKS[-1], NOTEBOOKS[0]
    assert memory.key(last, "shop") != memory.key(last, "shop.1a2b3c4d")
    assert memory.key(other, "shop") == memory.key(other, "shop.1a2b3c4d")


def test_what_was_executed_is_remembered_and_told_of(made, tmp_path):
    chapters = report_notebooks(run_of(made, gross_margin=0.5), tmp_path / "half")
    assert sorted({path.stem for path in NOTEBOOKS} - set(chapters.executed)) == chapters.reused
    assert [name[:2] for name in chapters.reused] == ["01", "02", "03", "04", "05", "07"]
    again = report_notebooks(run_of(made, gross_margin=0.5), tmp_path / "again")
    assert again.executed == ["09_what_changed"]
    advice = "08_recommendations.ipynb"
    assert shown(tmp_path / "half" / advice) == shown(tmp_path / "again" / advice)
    assert "gross margin of 50%" in (tmp_path / "again" / advice).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "cell",
    [
        "open('prices.csv').read()",
        "import pandas as pd; pd.read_csv('prices.csv')",
        "run['customers'].query('total_spent > @contact_cost')",
        "import my_module",
        "%run other.py",
        "!ls",
        "run.with_parameters(n_clusters=2)['segments']",
        "1 + 1",
    ],
)
@pytest.mark.parametrize("place", ["last", "first", "in the parameters"])
def test_a_fork_is_executed_every_time(made, tmp_path, cell, place):
    """Whatever it does: nobody can tell from its text that it reads nothing but its run."""
    fork, path = nbformat.read(NOTEBOOKS[3], as_version=4), tmp_path / NOTEBOOKS[3].name
    assert RememberedNotebooks(run_of(made)).recall(NOTEBOOKS[3], {"n_init": 2}) is not None
    if place == "in the parameters":
        (known,) = (c for c in fork.cells if "parameters" in c.metadata.get("tags", []))
        known.source += f"\n{cell}"
    else:
        fork.cells.insert(1 if place == "first" else 99, nbformat.v4.new_code_cell(cell))
    nbformat.write(fork, path)
    assert RememberedNotebooks(run_of(made)).recall(path, {"n_init": 2}) is None
    nbformat.write(nbformat.read(NOTEBOOKS[3], as_version=4), tmp_path / "04_own.ipynb")
    assert RememberedNotebooks(run_of(made)).recall(tmp_path / "04_own.ipynb", {}) is None


def test_other_words_around_the_same_code_are_shown_at_once(made, tmp_path):
    path = tmp_path / NOTEBOOKS[5].name
    path.write_text(NOTEBOOKS[5].read_text("utf-8").replace("# Segments", "# Groups"), "utf-8")
    known = RememberedNotebooks(run_of(made)).recall(path, {"n_init": 2})
    assert any(cell.source.startswith("# Groups") for cell in known.cells)


@pytest.mark.parametrize("other", ["rules", "program", "version", "settings"])
def test_other_rules_or_code_reuse_nothing(made, monkeypatch, other):
    assert RememberedNotebooks(run_of(made)).recall(NOTEBOOKS[5], {"n_init": 2}) is not None
    run = run_of(made)
    if other == "rules":
        run.rules = run.rules | {"naming_rules": dict(run.rules["naming_rules"]) | {"more": 1}}
    elif other == "program":
        monkeypatch.setattr(remembered_notebooks, "package_fingerprint", lambda: "other")
    elif other == "version":
        monkeypatch.setattr(remembered_notebooks.metadata, "version", lambda _: "0.0")
    else:
        monkeypatch.setitem(remembered_notebooks.mpl.rcParams, "lines.linewidth", 9.0)
    assert RememberedNotebooks(run).recall(NOTEBOOKS[5], {"n_init": 2}) is None


def test_what_was_damaged_in_memory_is_executed(made):
    run = run_of(made)
    shown = run.cache.find("notebook", RememberedNotebooks(run).key(NOTEBOOKS[3])) / "shown.json"
    whole = shown.read_bytes()
    shown.write_bytes(whole.replace(b"silhouette", b"silhouettf", 1))
    assert RememberedNotebooks(run_of(made)).recall(NOTEBOOKS[3], {"n_init": 2}) is None
    shown.write_bytes(whole)
    assert RememberedNotebooks(run_of(made)).recall(NOTEBOOKS[3], {"n_init": 2}) is not None


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a notebook with one cell, and takes it for reviewed."""
    monkeypatch.setattr(remembered_notebooks, "REVIEWED", tmp_path / "reviewed.json")

    def make(cell: str) -> Path:
        path = tmp_path / "own.ipynb"
        cells = [nbformat.v4.new_code_cell(text) for text in (parameters_cell(), SETUP, cell)]
        cells[0].metadata["tags"] = ["parameters"]
        kernel = {"name": "python3", "display_name": "", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, path)
        remembered_notebooks.REVIEWED.write_text(
            json.dumps({"own": remembered_notebooks._fingerprint(path)})
        )
        return path

    return make


def is_kept(run: Run, source: Path, change=lambda: None) -> bool:
    """Whether a notebook is remembered if something changes before it is executed."""
    memory = RememberedNotebooks(run)
    values = notebook_values(run.parameters) | {"runs_dir": str(run.cache.root.parent)}
    assert memory.recall(source, values) is None
    change()
    memory.executed(source, *execute_notebook(source, source.with_suffix(".out.ipynb"), values))
    memory.keep()
    return RememberedNotebooks(run).recall(source, values) is not None


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("len(run['segments']), n_clusters", True),
        ("name = 'segments'; len(run[name])", False),
        ("len(run['ledger']), len(run[str('segments')])", False),
        ("len(run['segments']), len(run.with_parameters(n_clusters=3)['segments'])", False),
    ],
)
def test_a_notebook_that_asks_for_what_was_not_foreseen_is_not_remembered(made, own, cell, kept):
    """Even if somebody reviewed it and did not see."""
    assert is_kept(run_of(made), own(cell)) is kept


def test_what_changes_while_a_notebook_is_executed_is_not_remembered(own, shop):
    """Cells, rules or data: its outputs would be those of after, under the key of before."""
    shop.lines(ordinary_orders(12))
    rules = shop.folder / "names.yaml"
    shipped = (ROOT / "segmentation" / "segments" / "naming_rules.yaml").read_text(encoding="utf-8")
    rules.write_text(shipped)
    shop.arguments(n_clusters=2, naming_rules=str(rules))
    source = own("len(run['features']), len(str(run.rules['naming_rules']))")
    other = shipped.replace("min_step: 1.25", "min_step: 1.4")
    assert not is_kept(run_of(shop), source, lambda: rules.write_text(other))
    assert not is_kept(run_of(shop), source, lambda: shop.lines(ordinary_orders(13)))
    text = source.read_text()
    changed = text.replace("len(run", "sum(run")
    assert not is_kept(
        run_of(shop), source, lambda: source.write_text(changed.replace("sum", "id"))
    )
    source.write_text(text)
    assert is_kept(run_of(shop), source)


def test_without_belief_everything_is_executed_and_kept_anew(made, own):
    """``--no-cache`` heals a memory that holds something wrong."""
    source, values = own("'right'"), {"runs_dir": str(made.runs_dir)}
    for reuse, text in ((True, "wrong"), (False, "right")):
        run = run_of(made)
        run.cache = StageCache(run.cache.root, reuse=reuse)
        memory = RememberedNotebooks(run)
        assert memory.recall(source, values) is None
        executed = nbformat.read(source, as_version=4)
        executed.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        executed.cells.insert(
            1, nbformat.v4.new_code_cell("", metadata={"tags": ["injected-parameters"]})
        )
        memory.executed(source, executed, {run.rules_fingerprint})
        memory.keep()
        found = RememberedNotebooks(run_of(made)).recall(source, values)
        assert found.cells[-1].outputs[0].text == text


def test_memory_that_cannot_be_written_fails_nothing(made, own, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run, source = run_of(made), own("'x'")
    monkeypatch.setattr("segmentation.run.cache.seal", refuse)
    assert not is_kept(run, source)
