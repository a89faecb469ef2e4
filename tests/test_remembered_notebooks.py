"""A notebook is given from memory only where executing it would show the same."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, ordinary_orders
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from segmentation import remembered_notebooks
from segmentation.notebooks_at_work import NotebooksAtWork, execute_notebook, notebook_values
from segmentation.params import Parameters, resolve
from segmentation.pipeline import Run
from segmentation.remembered_notebooks import Reads, RememberedNotebooks, reads_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SETUP = (
    "from IPython.display import Markdown\n"
    "from segmentation import concentration, insights, plots, portraits\n"
    "from segmentation.pipeline import open_run\n"
    "run = open_run(globals())"
)


def notebook_of(*cells: str) -> nbformat.NotebookNode:
    parameters = nbformat.v4.new_code_cell(
        'currency: str = "USD"\nprice = -1.5', metadata={"tags": ["parameters"]}
    )
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    return nbformat.v4.new_notebook(cells=[parameters, *made], metadata={"kernelspec": kernel})


@pytest.mark.parametrize(
    ("cell", "results", "rules", "parameters"),
    [
        ("1 + 1", set(), set(), set()),
        ('insights.banner(run["overview"])', {"overview"}, set(), set()),
        ('Markdown(insights.swap_sentence(run["swap"]))', {"swap"}, set(), set()),
        ('x = run["holdout"]["reason"]; len(x)', {"holdout"}, set(), set()),
        ('plots.colours_of(run["profile"], run.rules["plays"])', {"profile"}, {"plays"}, set()),
        ("[currency for each in range(3) if each]", set(), set(), {"currency"}),
        ("(lambda table: table)(as_of)", set(), set(), {"as_of"}),
        ("f'{currency}: {run[\"lines\"]!r}'", {"lines"}, set(), {"currency"}),
        ("for part in run['ledger']:\n    print\n", None, set(), set()),
        ("run.parameters_table()", set(), set(), set(Parameters.model_fields)),
    ],
)
def test_what_a_cell_reads_is_noted(cell, results, rules, parameters):
    expected = None if results is None else Reads(results, rules, parameters)
    assert reads_of(notebook_of(SETUP, cell)) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "import os",
        "import pandas as pd",
        "from pathlib import Path",
        "from segmentation import pipeline",
        "from segmentation import *",
        "from segmentation.insights import banner",
        "from IPython.display import Image",
        "from IPython.display import HTML as Markdown",
        "from . import plots",
        "open('prices.csv').read()",
        "eval('1')",
        "globals()",
        "getattr(insights, 'banner')",
        "__builtins__",
        "runs_dir",
        "not_known_anywhere",
        "run",
        "insights.banner(run)",
        "other = run",
        "run = {}",
        "run: dict = {}",
        "run = open_run({})",
        "run = open_run(globals(), 1)",
        "run = other = open_run(globals())",
        "open_run(globals())",
        "run[currency]",
        "run['led' + 'ger']",
        "run['ledger'] = 1",
        "del run['ledger']",
        "run.rules",
        "run.rules[currency]",
        "run.parameters.n_clusters",
        "run.with_parameters(n_clusters=2)",
        "run.stage('segments')",
        "run.parameters_table(1)",
        "f'{run}'",
        "Markdown('notes.md')",
        "Markdown(currency)",
        "Markdown(filename='notes.md')",
        "Markdown(insights.banner(run['overview']), filename='notes.md')",
        "Markdown",
        "insights",
        "insights.data",
        "insights.nothing_of_that_name",
        "insights.__dict__",
        "insights.banner.__globals__",
        "plots.Figure",
        "run['ledger']._repr_html_()",
        "plots = 1",
        "for insights in []: pass",
        "list = 1",
        "def show(x): return x\nshow(1)",
        "def insights(): pass",
        "class plots: pass",
        "lambda run: run['ledger']",
        "lambda insights: insights.banner(1)",
        "import pandas",
        "try:\n    1\nexcept ValueError as plots:\n    2",
        "with currency as plots: pass",
        "match currency:\n    case plots: 1",
        "(plots := 1)",
        "await currency",
        "run['customers'].query('total_spent > @contact_cost')",
        "run['customers'].eval('x = total_spent')",
        "run['customers'].to_csv('export.csv')",
        "run['customers'].sample(3)",
        "run['customers'].iloc[0].to_json('export.json')",
        "plots.plot_shares(run['profile']).savefig('own.png')",
        "'{0.__globals__}'.format(insights.banner)",
        "naming_rules = 'names.yaml'",
        "runs_dir = 'elsewhere'",
        "[0 for get_ipython in []]\nget_ipython().run_line_magic('cat', 'x')",
        "display = print",
        "%matplotlib inline",
        "!ls",
        "print('a'",
    ],
)
def test_a_cell_that_may_read_anything_else_is_executed_every_time(cell):
    assert reads_of(notebook_of(SETUP, "x = 1", cell)) is None


def test_every_shipped_chapter_but_one_can_be_remembered():
    """What changed reads another run besides; the others must not fall back unnoticed."""
    never = [p.stem for p in NOTEBOOKS if reads_of(nbformat.read(p, as_version=4)) is None]
    assert never == ["09_what_changed"]


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "x = float(os.environ['X'])",
        "x: int",
        "x = [open('y')]",
        "print(1)",
        "x = f'{1}'",
    ],
)
def test_parameters_that_are_no_plain_values_are_read_every_time(text):
    made = notebook_of(SETUP)
    made.cells[0].source = text
    assert reads_of(made) is None


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
        remembered = RememberedNotebooks(run.cache.root / "notebooks", run)
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


@pytest.mark.parametrize(
    ("changed", "reused"),
    [
        ({}, "01 02 03 04 05 06 07 08 10"),
        ({"n_clusters": 3}, "01 03"),
        ({"currency": "EUR"}, "04"),
        ({"gross_margin": 0.5}, "01 02 03 04 05 06 07"),
        ({"dbscan_eps": 0.4}, "01 03"),
        ({"random_state": 7}, "01 03"),
        ({"as_of": "2023-12-01"}, ""),
    ],
    ids=str,
)
def test_what_is_remembered_is_what_would_be_executed(made, tmp_path, changed, reused):
    run = run_of(made, **changed)
    run.stage("recommendations")
    remembered = RememberedNotebooks(run.cache.root / "notebooks", run)
    values = notebook_values(run.parameters) | {"runs_dir": str(made.runs_dir)}
    with NotebooksAtWork(made.runs_dir) as work:
        (tmp_path / "recalled").mkdir()
        chapters = work.of_profile(
            run.parameters, tmp_path / "recalled" / "notebooks", remembered=remembered
        )
    assert [name[:2] for name in chapters.reused] == reused.split()
    for name in chapters.reused:
        execute_notebook(ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "executed.ipynb", values)
        recalled = shown(tmp_path / "recalled" / "notebooks" / f"{name}.ipynb")
        assert recalled == shown(tmp_path / "executed.ipynb"), name


def test_what_was_executed_is_remembered_and_told_of(made, tmp_path):
    chapters = report_notebooks(run_of(made, currency="GBP"), tmp_path / "pounds")
    assert sorted({path.stem for path in NOTEBOOKS} - set(chapters.executed)) == chapters.reused
    assert chapters.reused == ["04_choosing_k"]
    again = report_notebooks(run_of(made, currency="GBP"), tmp_path / "again")
    assert again.executed == ["09_what_changed"]
    first = "03_exploration.ipynb"
    assert shown(tmp_path / "pounds" / first) == shown(tmp_path / "again" / first)
    assert "GBP" in (tmp_path / "again" / first).read_text(encoding="utf-8")


def test_a_changed_notebook_rule_or_program_reuses_nothing(made, tmp_path, monkeypatch):
    run = run_of(made)
    memory = RememberedNotebooks(run.cache.root / "notebooks", run)
    segments = next(path for path in NOTEBOOKS if path.stem == "06_segments")
    assert memory.recall(segments, {}) is not None
    other = tmp_path / segments.name
    other.write_text(segments.read_text(encoding="utf-8").replace("# Segments", "# Groups"))
    assert memory.recall(other, {}) is None
    rules = dict(run.rules["naming_rules"])
    run.rules = run.rules | {"naming_rules": rules | {"more": 1}}
    assert memory.recall(segments, {}) is None
    monkeypatch.setattr(remembered_notebooks, "executing_code", lambda: "other")
    run = run_of(made)
    assert RememberedNotebooks(run.cache.root / "notebooks", run).recall(segments, {}) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "no text"])
def test_damaged_memory_is_not_shown(made, tmp_path, damage):
    run = run_of(made)
    (whole,) = (run.cache.root / "notebooks").glob(
        f"04_choosing_k-{RememberedNotebooks(tmp_path, run).key(NOTEBOOKS[3])}.json"
    )
    content = whole.read_bytes()
    spoilt = {
        "cut": content[:-100],
        "flipped": content.replace(b"silhouette", b"silhouettf", 1),
        "emptied": b"",
        "no text": b"\xff" + content,
    }[damage]
    (tmp_path / whole.name).write_bytes(content)
    assert RememberedNotebooks(tmp_path, run).recall(NOTEBOOKS[3], {"n_init": 2}) is not None
    (tmp_path / whole.name).write_bytes(spoilt)
    assert RememberedNotebooks(tmp_path, run).recall(NOTEBOOKS[3], {"n_init": 2}) is None


def test_memory_that_cannot_be_written_fails_nothing(made, tmp_path):
    run = run_of(made)
    (tmp_path / "taken").write_text("a file, no folder")
    memory = RememberedNotebooks(tmp_path / "taken", run)
    assert memory.recall(NOTEBOOKS[0], {}) is None
    memory.executed(NOTEBOOKS[0], nbformat.read(NOTEBOOKS[0], as_version=4))
    memory.keep()
    assert memory.recall(NOTEBOOKS[0], {}) is None
    assert (tmp_path / "taken").read_text() == "a file, no folder"


def in_folder(path: Path, *cells: str) -> Path:
    nbformat.write(notebook_of(SETUP, *cells), path)
    return path


def test_a_notebook_changed_while_it_is_executed_is_not_remembered(made, tmp_path):
    """Its outputs may be those of before, under a text of after."""
    run, source = run_of(made), in_folder(tmp_path / "own.ipynb", "'before'")
    memory = RememberedNotebooks(tmp_path / "kept", run)
    assert memory.recall(source, {}) is None
    before = nbformat.read(source, as_version=4)
    in_folder(source, "'after'")
    memory.executed(source, before)
    memory.keep()
    assert not (tmp_path / "kept").exists()
    in_folder(source, "'before'")  # and taken back: what was executed is another text
    memory.executed(source, notebook_of(SETUP, "'after'"))
    memory.keep()
    assert not (tmp_path / "kept").exists()
    memory.executed(source, before)
    memory.keep()
    assert len(list((tmp_path / "kept").iterdir())) == 1
    source.unlink()
    memory.keep()


def test_rules_or_data_changed_while_notebooks_are_executed_are_not_remembered(tmp_path, shop):
    shop.lines(ordinary_orders(12))
    rules = tmp_path / "names.yaml"
    shipped = (ROOT / "segmentation" / "naming_rules.yaml").read_text(encoding="utf-8")
    rules.write_text(shipped)
    shop.arguments(n_clusters=2, naming_rules=str(rules))
    source = in_folder(
        tmp_path / "own.ipynb", 'plots.colours_of(run["profile"], run.rules["naming_rules"])'
    )

    def kept(change) -> bool:
        memory = RememberedNotebooks(tmp_path / "kept", run_of(shop))
        assert memory.recall(source, {}) is None
        change()
        memory.executed(source, nbformat.read(source, as_version=4))
        memory.keep()
        return (tmp_path / "kept").exists()

    assert not kept(lambda: rules.write_text(shipped.replace("min_step: 1.25", "min_step: 1.4")))
    assert not kept(lambda: shop.lines(ordinary_orders(13)))
    assert kept(lambda: None)


def test_without_belief_everything_is_executed_and_kept_anew(made, tmp_path):
    """``--no-cache`` heals a memory that holds something wrong."""
    run, source = run_of(made), in_folder(tmp_path / "own.ipynb", "'right'")
    for reuse, text in ((True, "wrong"), (False, "right")):
        memory = RememberedNotebooks(tmp_path / "kept", run, reuse=reuse)
        assert memory.recall(source, {}) is None
        executed = parameterize_notebook(load_notebook_node(str(source)), {})
        output = nbformat.v4.new_output("stream", name="stdout", text=text)
        executed.cells[-1].outputs = [output]
        memory.executed(source, executed)
        memory.keep()
        found = RememberedNotebooks(tmp_path / "kept", run).recall(source, {})
        assert found.cells[-1].outputs[0].text == text
