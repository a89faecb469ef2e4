"""Every notebook on its own, executed by papermill as the README says."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
import yaml
from conftest import ROOT
from leaks import ids_of, leaks_in, plain_text
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from segmentation.book.words.data import NO_ORDERS
from segmentation.book.words.dates import NO_DATES

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NO_CATEGORIES = "The source has no categories, payment methods or countries to compare."
# Notebooks that read order lines, and what they say of a table without any. All the others are
# run on such a table by the test of the book.
WITHOUT_ORDERS = {
    "01": [NO_ORDERS, NO_DATES, "cleaning and feature steps were done elsewhere"],
    "02": [NO_ORDERS, NO_ORDERS],
    "03": [NO_ORDERS, NO_CATEGORIES],
}
LIFECYCLE = ["register_to_order", "first_to_last_order", "total_unit", "total_spent"]

# One changed parameter per notebook: what the page must say then, and what it said before.
CHANGED = {
    "01": ("currency", "EUR", r"worth \*\*€", r"\$"),
    "02": ("zero_amount", "exclude", r"`zero_amount` = `exclude`", r"`zero_amount` = `keep`"),
    "03": ("transform", "none", r"the model uses them untransformed", r"works on logarithms"),
    "04": (
        "n_clusters",
        4,
        r"This report uses \*\*4 segments\*\*",
        r"This report uses \*\*3 segments\*\*",
    ),
    "05": ("dbscan_min_samples", 12, r"min_samples = 12\b", r"min_samples = 8\b"),
    "06": (
        "features",
        ["recency", "total_spent"],
        r"Two components show \*\*100%",
        r"most of all first to",
    ),
    "07": ("currency", "EUR", r"€[0-9]", r"\$[0-9]"),
    "08": ("contact_cost", 2.5, r"and \\\$2\.50 per contact", r"and \\\$1\.00 per contact"),
    "09": ("currency", "EUR", r"they have spent €", r"they have spent \\\$"),
    "10": ("gross_margin", 0.45, r"gross_margin +0\.45\b", r"gross_margin +auto\b"),
}

# What a changed parameter has to compute anew, in less than half the time.
QUICK = {"04": {"k_max": 4, "n_init": 2}, "06": {"k_max": 3, "n_init": 2}}


@dataclass(frozen=True)
class Executed:
    """An executed notebook: how papermill ended and what the notebook's outputs show."""

    code: int
    err: str
    path: Path

    @property
    def outputs(self) -> list[dict]:
        notebook = nbformat.read(self.path, as_version=4)
        return [o for cell in notebook.cells for o in cell.get("outputs", [])]

    @property
    def text(self) -> str:
        """Everything that the outputs say, images left out."""
        said = []
        for output in self.outputs:
            said += ["".join(output.get("traceback", [])), output.get("text", "")]
            for kind, value in output.get("data", {}).items():
                if kind == "text/html":
                    said.append(re.sub(r"\s+", " ", plain_text(value)))
                elif kind.startswith("text/"):
                    said.append(value)
        return "\n".join(said)


def alone(name: str, target: Path, values: dict[str, object]) -> Executed:
    """papermill's own function, with a kernel that has imported nothing.

    Two that start side by side may be given the same port; sockets in a folder cannot be.
    """
    with tempfile.TemporaryDirectory(prefix="k-") as sockets:
        manager = {"transport": "ipc", "ip": f"{sockets}/k"}
        try:
            papermill.execute_notebook(
                f"notebooks/{name}", target, parameters=values, progress_bar=False,
                config=Config(KernelManager=manager),
            )  # fmt: skip
        except PapermillExecutionError as error:
            return Executed(1, str(error), target)
    return Executed(0, "", target)


def by_command(name: str, target: Path, profile: str, *pairs: object) -> Executed:
    """The README's command line."""
    command = [Path(sys.executable).with_name("papermill"), "--no-progress-bar"]
    command += [f"notebooks/{name}", target, "-f", f"notebooks/params/{profile}.yaml"]
    for pair in zip(pairs[::2], pairs[1::2], strict=True):
        command += ["-p", *pair]
    texts = [str(part) for part in command]
    done = subprocess.run(texts, capture_output=True, text=True, cwd=ROOT, timeout=300)
    return Executed(done.returncode, done.stderr, target)


def profile_of(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "notebooks" / "params" / f"{name}.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def customer_table(marketplace_run, tmp_path_factory) -> Path:
    """A table as another team would hand it over: one row per customer, no orders."""
    customers = pd.read_parquet(marketplace_run / "features.parquet")
    path = tmp_path_factory.mktemp("handed_over") / "customers.csv"
    customers[["customer_id", *LIFECYCLE]].dropna().head(600).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def executed(
    cdnow_run, marketplace_run, customer_table, runs_dir, tmp_path_factory
) -> dict[str, Executed]:
    """All notebooks executed, two at a time; the stages they share are already computed."""
    folder = tmp_path_factory.mktemp("executed")
    shared = {"runs_dir": str(runs_dir)}
    table = profile_of("customer_segmentation_data") | {"location": str(customer_table)}
    jobs = {}
    with contextlib.chdir(ROOT), ThreadPoolExecutor(2) as pool:
        for name in NOTEBOOKS:
            number = name[:2]
            parameter, value, *_ = CHANGED[number]
            changed = profile_of("marketplace") | shared | QUICK.get(number, {})
            changed |= {parameter: value}
            target = folder / f"m{number}.ipynb"
            jobs[f"marketplace {number}"] = pool.submit(alone, name, target, changed)
            if number in WITHOUT_ORDERS:
                target = folder / f"t{number}.ipynb"
                jobs[f"table {number}"] = pool.submit(alone, name, target, table | shared)
        jobs["cdnow 03"] = pool.submit(
            alone, NOTEBOOKS[2], folder / "c03.ipynb", profile_of("cdnow") | shared
        )
        return {key: job.result() for key, job in jobs.items()}


EVERY_NUMBER = pytest.mark.parametrize("number", [name[:2] for name in NOTEBOOKS])


def test_every_notebook_has_a_changed_parameter_here():
    assert [name[:2] for name in NOTEBOOKS] == list(CHANGED)


@EVERY_NUMBER
def test_notebook_alone_shows_the_changed_parameter(executed, number):
    done = executed[f"marketplace {number}"]

    _, _, now, before = CHANGED[number]
    assert done.code == 0, done.err
    assert re.search(now, done.text), done.text
    assert not re.search(before, done.text)


def test_notebook_alone_runs_with_the_command_of_the_readme(cdnow_run, runs_dir, tmp_path):
    readme = (ROOT / "README.md").read_text("utf-8")
    command = "papermill notebooks/04_choosing_k.ipynb out.ipynb -f notebooks/params/cdnow.yaml -p n_clusters 4"
    assert command in readme

    done = by_command(
        "04_choosing_k.ipynb", tmp_path / "out.ipynb", "cdnow",
        "n_clusters", 4, "runs_dir", runs_dir,
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "of 23,570 customers" in done.text
    assert "This report uses **4 segments**, set in the profile" in done.text
    assert not leaks_in(done.text, ids_of(cdnow_run))


def test_misspelt_parameter_stops_the_notebook_with_one_sentence(runs_dir, tmp_path):
    done = by_command(
        "04_choosing_k.ipynb", tmp_path / "out.ipynb", "cdnow",
        "n_cluster", 4, "runs_dir", runs_dir,
    )  # fmt: skip

    sentence = (
        "ParameterError: notebook parameters: unknown parameter n_cluster "
        "(did you mean n_clusters?); `segmentation params` lists all."
    )
    assert done.code != 0
    assert done.err.strip().splitlines()[-1] == sentence
    (error,) = [o for o in done.outputs if o["output_type"] == "error"]
    assert "".join(error["traceback"]) == sentence
    assert {o["output_type"] for o in done.outputs} <= {"error", "display_data"}


def test_no_notebook_alone_leaks_anything(executed, marketplace_run, customer_table):
    ids = ids_of(marketplace_run) | {customer_table.parent.name}
    for key in executed.keys() - {"cdnow 03"}:
        assert not leaks_in(executed[key].text, ids), key
        kinds = {(o["output_type"], o.get("name")) for o in executed[key].outputs}
        assert kinds <= {("execute_result", None), ("display_data", None)}, key


def test_ids_with_leading_zeros_do_not_reach_the_exploration_of_real_orders(executed, cdnow_run):
    assert executed["cdnow 03"].code == 0, executed["cdnow 03"].err
    assert not leaks_in(executed["cdnow 03"].text, ids_of(cdnow_run))


@pytest.mark.parametrize("number", WITHOUT_ORDERS)
def test_notebook_says_in_words_that_a_customer_table_has_no_orders(executed, number):
    done = executed[f"table {number}"]

    assert done.code == 0, done.err
    for sentence in WITHOUT_ORDERS[number]:
        assert done.text.count(sentence) == WITHOUT_ORDERS[number].count(sentence), done.text
    assert not re.search(r"\bnan\b|\bNaT\b|\bNone\b", done.text), done.text
