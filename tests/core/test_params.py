"""One definition of every parameter: profiles, options and notebooks agree with it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
import yaml
from conftest import ROOT, assert_refused, call_cli
from IPython.core.interactiveshell import InteractiveShell
from notebook_pairs import scripts, synchronise

from segmentation.core.errors import ParameterError
from segmentation.core.notebook_parameters import (
    RUN_FOLDER,
    parameters_cell,
    parameters_from_notebook,
)
from segmentation.core.parameters import (
    SHIPPED_PROFILES,
    Parameters,
    accepted_values,
    describe,
    parameters_from,
    resolve,
)
from segmentation.deliver.scoring_sql import DIALECTS

NOTEBOOKS = ROOT / "notebooks"
CONTRACT = [
    "source",
    "location",
    "tables",
    "columns",
    "engine",
    "fit_on",
    "cluster_output",
    "time_zone",
    "as_of",
    "returns",
    "zero_amount",
    "duplicates",
    "non_product",
    "date_repair",
    "guest_ids",
    "id_cleaning",
    "own_features",
    "feature_labels",
    "features",
    "split_pre_register",
    "outliers",
    "winsor_quantile",
    "transform",
    "scaler",
    "anomalies_in_fit",
    "own_labels",
    "n_clusters",
    "k_max",
    "n_init",
    "random_state",
    "dbscan_eps",
    "dbscan_min_samples",
    "calibration_end",
    "outcome_days",
    "currency",
    "gross_margin",
    "contact_cost",
    "call_cost",
    "naming_rules",
    "plays",
]
PROFILES = sorted(path.stem for path in (NOTEBOOKS / "params").glob("*.yaml"))


def test_parameters_are_exactly_those_of_the_contract():
    assert list(Parameters.model_fields) == CONTRACT


@pytest.mark.parametrize(
    ("name", "default"),
    [("n_clusters", 3), ("random_state", 42), ("as_of", "auto"), ("returns", "exclude"),
     ("dbscan_eps", "auto"), ("dbscan_min_samples", "auto"), ("zero_amount", "keep")],
)  # fmt: skip
def test_default_is_the_promised_one(name, default):
    assert getattr(Parameters(), name) == default


@pytest.mark.parametrize("name", CONTRACT)
def test_default_passes_its_own_check(name):
    value = Parameters().as_plain()[name]
    assert parameters_from({name: value}).as_plain()[name] == value


def test_description_has_value_unit_range_and_meaning_of_every_parameter():
    table = describe()
    assert table["name"].tolist() == CONTRACT
    assert table.columns.tolist() == ["name", "value", "unit", "accepted", "meaning"]
    assert (table.map(str.strip) != "").all(axis=None)


def test_command_lists_every_parameter_with_the_values_of_the_profile():
    outcome = call_cli("params", "marketplace")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [line.split(" = ")[0] for line in lines if " = " in line[:25]] == CONTRACT
    assert "source = marketplace" in lines


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("n_clusters", "a whole number from 1 to 50, or auto"),
        ("k_max", "a whole number from 2 to 50"),
        ("winsor_quantile", "a number above 0.5 and below 1"),
        ("dbscan_eps", "a number above 0, or auto"),
        ("gross_margin", "a number above 0 and up to 1, or auto"),
        ("contact_cost", "a number from 0"),
        ("transform", "none or log or yeo-johnson"),
        ("split_pre_register", "true or false"),
        ("as_of", "a date YYYY-MM-DD, or auto"),
        ("currency", "a code of three capital letters"),
    ],
)
def test_accepted_values_are_said_in_words(name, sentence):
    assert accepted_values(name) == sentence


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("n_clusters", [1, 50], [0, 51]),
        ("k_max", [2, 50], [1, 51]),
        ("n_init", [1, 1000], [0, 1001]),
        ("random_state", [0, 2**32 - 1], [-1, 2**32]),
        ("dbscan_min_samples", [2, 10_000], [1, 10_001]),
        ("dbscan_eps", [1e-12, 3], [0, -1]),
        ("winsor_quantile", [0.51, 0.999], [0.5, 1.0]),
        ("gross_margin", [0.01, 1, "auto"], [0, 1.01]),
        ("contact_cost", [0, 100], [-0.01]),
        ("call_cost", [0, 12.5, "auto"], [-0.01, "none"]),
    ],
)
def test_said_range_is_the_range_that_is_checked(name, inside, outside):
    for value in inside:
        assert getattr(parameters_from({name: value}), name) == value
    for value in outside:
        with pytest.raises(ParameterError, match=name):
            parameters_from({name: value})


def test_parameters_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Parameters().n_clusters = 4


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_profile_is_valid_and_names_its_source(profile):
    name, parameters = resolve(profile)
    assert name == profile
    assert parameters.source == profile
    assert yaml.safe_dump(parameters.as_plain())


def test_profiles_of_the_report_are_shipped_with_their_data():
    for profile in SHIPPED_PROFILES:
        assert (ROOT / resolve(profile)[1].location).is_dir()


# --- precedence -----------------------------------------------------------------------


def test_option_overrides_file_and_file_overrides_profile(tmp_path):
    file = tmp_path / "more.yaml"
    file.write_text("n_clusters: 4\nk_max: 6\n")

    _, parameters = resolve("cdnow", file=file, overrides={"n_clusters": 5})

    assert (parameters.n_clusters, parameters.k_max) == (5, 6)
    assert parameters.transform == resolve("cdnow")[1].transform


def shown_by(*asked: object) -> dict[str, str]:
    """What ``segmentation params`` says of the parameters that a command with these has."""
    outcome = call_cli("params", *asked, "--json")
    assert outcome.code == 0, outcome.said
    return {row["name"]: row["value"] for row in json.loads(outcome.out)}


def test_command_line_options_override_in_that_order(shop):
    file = shop.folder / "more.yaml"
    file.write_text("n_clusters: 4\nn_init: 3\n")
    _, profile, *_ = shop.arguments(n_clusters=2)

    found = shown_by(profile, "-f", file, "-p", "n_clusters", "5")

    assert (found["n_clusters"], found["n_init"], found["k_max"]) == ("5", "3", "3")


def test_written_parameters_are_complete_and_can_be_run_again(shipped_run):
    written = yaml.safe_load((shipped_run[1] / "params.yaml").read_text())
    assert list(written) == CONTRACT
    assert parameters_from(written) == resolve(shipped_run[0])[1]


def test_list_on_the_command_line_may_be_written_with_commas():
    for text in ("recency, total_spent", "[recency, total_spent]"):
        assert shown_by("-p", "features", text)["features"] == "recency, total_spent"


# --- notebooks ------------------------------------------------------------------------


def test_notebooks_are_in_step_with_their_scripts_and_the_definition():
    assert synchronise(write=False) == ([], [])


def test_pairs_are_complete_and_numbered_without_a_gap():
    numbers = [path.name[:2] for path in scripts()]
    assert numbers == [f"{n:02d}" for n in range(1, len(numbers) + 1)]
    assert len(numbers) >= 8
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == [p.stem for p in scripts()]


SCRIPTS = pytest.mark.parametrize("script", scripts(), ids=lambda path: path.stem)


def parameter_cells(script: Path) -> list[str]:
    notebook = jupytext.read(script)
    return [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]


@SCRIPTS
def test_parameters_cell_has_the_definition_of_those_that_the_chapter_uses_alone(script):
    cells = [cell.source for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    (own,) = parameter_cells(script)
    code = ast.walk(ast.parse("\n".join(cell for cell in cells if cell != own)))
    known = {*Parameters.model_fields, RUN_FOLDER}
    used = {node.id for node in code if isinstance(node, ast.Name)} & known
    assert own == parameters_cell({"source", *used})


def test_parameters_that_a_chapter_does_not_list_reach_its_run_and_typos_are_refused(notebook):
    few = parameters_cell({"source", "transform"})
    assert notebook(few) == Parameters()
    assert notebook(few, "# Parameters\nn_clusters = 5\n").n_clusters == 5
    placed = "# Parameters\nn_clusters = 5\nrun_folder = 'cdnow'\n"  # where it is, as a report says
    assert notebook(few, placed).n_clusters == 5
    with pytest.raises(ParameterError, match="n_cluster"):
        notebook(few, "# Parameters\nn_cluster = 5\n")


@SCRIPTS
def test_script_defines_no_function_and_no_class(script):
    tree = ast.parse(script.read_text("utf-8"))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, defined)]


@SCRIPTS
def test_notebook_holds_no_output_and_no_machine_path(script):
    text = script.with_suffix(".ipynb").read_text("utf-8")
    for cell in json.loads(text)["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert str(ROOT) not in text


@SCRIPTS
def test_every_figure_has_a_caption_and_alternative_text(script):
    for cell in jupytext.read(script).cells:
        if "plots.plot_" in cell.source:
            about = cell.metadata.get("mystnb", {})
            assert about.get("figure", {}).get("caption", "").strip(), cell.source
            assert about.get("image", {}).get("alt", "").strip(), cell.source


def test_values_of_the_parameters_cell_are_the_defaults():
    namespace: dict = {}
    exec(parameters_cell(), namespace)
    namespace = {k: v for k, v in namespace.items() if not k.startswith("__")}

    parameters, runs_dir = parameters_from_notebook(namespace)

    assert parameters == Parameters()
    assert runs_dir == "runs"


@pytest.fixture
def notebook():
    """Runs cells in a real IPython, as a kernel does, and gives what its variables ask for."""
    shell = InteractiveShell()

    def run(*cells: str) -> Parameters:
        for cell in cells:
            assert shell.run_cell(cell, store_history=True).success
        return parameters_from_notebook(shell.user_ns)[0]

    return run


@pytest.mark.parametrize("cell", ["%time x = 1", "top_n: int = 5", "a, b = 1, 'x'"])
def test_notebook_holds_variables_of_its_own_before_and_after_and_runs_its_cells_again(
    notebook, cell
):
    assert notebook(parameters_cell(), cell) == Parameters()
    assert notebook("shown = {'rows': 3}\nfor row in range(3): pass") == Parameters()
    assert notebook("n_clusters = 5").n_clusters == 5
    assert notebook(parameters_cell(), cell).n_clusters == 3


def test_result_that_takes_the_name_of_a_parameter_changes_nothing_when_a_cell_runs_again(notebook):
    assert notebook("features = ['recency', 'frequency']").features == ("recency", "frequency")
    assert notebook("import pandas\nfeatures = pandas.DataFrame()").features[1:] == ("frequency",)


def test_variable_that_hides_a_parameter_is_named(notebook):
    with pytest.raises(ParameterError, match=r"returns is a set, accepted is exclude or net; give"):
        notebook("returns = {1, 2}")


INJECTED = "# Parameters\nn_clusters = 4\n{} = 4"


@pytest.mark.parametrize("cells", [(), ("",), ("top_n = 3",), ("x = 1", "broken = 'a'")])
def test_parameter_that_papermill_injects_but_nobody_knows_is_refused(notebook, cells):
    with pytest.raises(ParameterError, match=r"unknown parameter n_cluster \(did you mean n_clus"):
        notebook(*cells, INJECTED.format("n_cluster"), "after = 1")
    assert notebook(INJECTED.format("k_max")).n_clusters == 4  # mended, and run again


def test_parameter_of_the_notebook_itself_may_be_injected(notebook):
    assert notebook("top_n: int = 3", INJECTED.format("top_n")).n_clusters == 4


def test_every_one_of_values_given_without_a_notebook_must_be_a_parameter():
    assert parameters_from_notebook({"n_clusters": 4, "runs_dir": Path("here")})[1] == "here"
    with pytest.raises(ParameterError, match="did you mean n_clusters"):
        parameters_from_notebook({"n_cluster": 4})


# --- whose orders a profile is for ------------------------------------------------------


@pytest.fixture
def own_profile(tmp_path):
    """A profile with its SELECT and its folder of files beside it, and one of that name here."""
    folder = tmp_path / "myshop"
    (folder / "data").mkdir(parents=True)
    (folder / "my.sql").write_text("SELECT 1 FROM orders")
    path = folder / "my.yaml"
    path.write_text("source: my.sql\nlocation: data\nnaming_rules: names.yaml\n")
    return path


def test_paths_of_a_profile_are_relative_to_it_wherever_the_command_is_typed(
    own_profile, tmp_path, monkeypatch
):
    (tmp_path / "data").mkdir()
    found = []
    for place, given in ((tmp_path, own_profile), (own_profile.parent, Path("my.yaml"))):
        monkeypatch.chdir(place)
        found.append(resolve(str(given))[1])

    folder = own_profile.parent
    assert found[0] == found[1]
    assert (found[0].source, found[0].location) == (str(folder / "my.sql"), str(folder / "data"))
    assert found[0].naming_rules == str(folder / "names.yaml")


def test_a_parameter_file_has_its_paths_beside_it_and_an_option_from_here(own_profile, tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text("location: other\nplays: ../plays.yaml\n")

    _, by_file = resolve(str(own_profile), file=more)
    _, by_option = resolve(str(own_profile), file=more, overrides={"location": "elsewhere"})

    assert by_file.location == str(tmp_path / "other")
    assert by_file.plays == str(tmp_path.parent / "plays.yaml")
    assert by_option.location == "elsewhere"


def test_a_profile_of_the_project_s_folder_is_read_as_before_but_nothing_from_here(
    own_profile, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    own_profile.write_text("source: cdnow\nlocation: data/raw_data/cdnow\n")
    assert resolve(str(own_profile))[1].location == str(ROOT / "data" / "raw_data" / "cdnow")

    # one word never meant the project's folder, which has one of that name
    (own_profile.parent / "data").rmdir()
    own_profile.write_text("source: cdnow\nlocation: data\n")
    assert resolve(str(own_profile))[1].location == str(own_profile.parent / "data")
    own_profile.write_text("source: cdnow\nlocation: here\n")
    assert resolve(str(own_profile))[1].location == str(own_profile.parent / "here")


@pytest.mark.parametrize(
    "location", ["mysql://127.0.0.1:3306/shop", "s3a://bucket/orders", "/data/orders", "~/orders"]
)
def test_a_place_that_is_no_relative_path_stays_as_it_is(own_profile, location):
    own_profile.write_text(f"source: cdnow\nlocation: {location}\n")
    assert resolve(str(own_profile))[1].location == location


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "source and no location"),
        ("currency: EUR\nlocation: data\n", "source"),
        ("source: my.sql\n", "location"),
    ],
)
@pytest.mark.parametrize("command", ["run", "report", "params"])
def test_profile_that_does_not_say_whose_orders_is_refused(own_profile, command, text, missing):
    own_profile.write_text(text)
    assert_refused(call_cli(command, own_profile), "my.yaml", f"names no {missing};")


def test_what_a_profile_lacks_may_be_given_beside_it(own_profile):
    own_profile.write_text("currency: EUR\n")
    outcome = call_cli("params", own_profile, "-p", "source", "cdnow", "-p", "location", "data")
    assert outcome.code == 0 and "currency = EUR" in outcome.out


def test_params_prints_one_name_the_values_of_options_and_json():
    one = call_cli("params", "cdnow", "k_max", "-p", "k_max", "7")
    assert one.out.splitlines()[0] == "k_max = 7" and one.out.count(" = ") == 1

    rows = json.loads(call_cli("params", "--json").out)
    assert [row["name"] for row in rows] == CONTRACT
    assert [*rows[0]] == ["name", "value", "unit", "accepted", "meaning"]
    assert_refused(call_cli("params", "k_mx"), "unknown profile")
    assert_refused(call_cli("params", "cdnow", "k_mx"), "k_mx", "one profile")


@pytest.mark.parametrize(
    ("words", "number", "some"),
    [
        ("segmentation run cd", 2, {"cdnow"}),
        ("segmentation report notebooks/params/cd", 2, {"notebooks/params/cdnow.yaml"}),
        ("segmentation run cdnow -p n_cl", 4, {"n_clusters"}),
        ("segmentation run cdnow -p returns ", 5, {"exclude", "net"}),
        ("segmentation params k_", 2, {"k_max"}),
    ],
)
def test_a_shell_completes_profiles_parameters_and_their_words(words, number, some):
    asked = {"_SEGMENTATION_COMPLETE": "bash_complete", "COMP_CWORD": str(number)}
    done = subprocess.run(
        [Path(sys.executable).with_name("segmentation")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | asked | {"COMP_WORDS": words},
        check=False,
    )
    assert {line.split(",", 1)[1] for line in done.stdout.splitlines()} == some, done.stderr


def test_help_names_dialects_and_examples():
    said = call_cli("sql", "--help").out
    assert all(name in said for name in DIALECTS)
    for command in ("run", "report", "params", "sql", "score"):
        assert f"segmentation {command} " in call_cli(command, "--help").out.split("Examples:")[1]
