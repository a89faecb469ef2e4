"""The house as DESIGN.md draws it: who may import whom, and what no file may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot
from conftest import ROOT
from sqlglot import exp

PACKAGE = ROOT / "segmentation"
LAYERS = {
    "foundation": "errors schema params style geometry reasons group_model model_checks model interruption atomic own_folders placing "
    "engine stage_cache cache_bounds source_sql source_links source_checks shop_days date_swap yaml_text mysql "
    "mysql_dialect mysql_answers mysql_session mysql_tables forgotten engine_mysql engine_spark spark_place spark_dialect spark_session "
    "spark_tables snapshot rule_files drift guarded_csv side_by_side large_kmeans "
    "child_process figure_words csv_checks raw_files text_encoding zip_member workbook_reader",
    "stages": "ingest clean features findings date_findings explore prepare cluster anomalies evidence "
    "naming recommend compare concentration campaign support special_lines portraits",
    "presentation": "plots insights workbook",
    "assembling": "campaign_plan segments evidence_stages holdout_stage sensitivity_stage returns_stage "
    "findings_stage order_stages model_stages stage_table pipeline run_comparison",
    "top": "forks warm_kernels notebooks_at_work remembered_notebooks api cluster_outputs explorer reduce run_places customer_rows forget run_folder single_run page_checks book report score_parts score scoring_sql campaign_files cli "
    "notebook_pairs document_links demo materialize publish fetch __main__",
}
PACKAGES_OF_MODULES = ("plots", "insights", "evidence", "anomalies", "workbook")
HEIGHT = {name: height for height, layer in enumerate(LAYERS.values()) for name in layer.split()}
LONG_MODULES = {
    "cli.py": (640, "every command of the contract, each with its options and their help"),
    "engine_mysql.py": (640, "one engine: its snapshot, checks and queries share the connection"),
    "params.py": (640, "the one definition of every parameter, a field with its help each"),
    "plots/data.py": (520, "one short function per figure of the first three chapters"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOK_SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def name_of(path: Path) -> str:
    """First name below the package: ``plots`` for ``plots/data.py``."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def trees(paths: list[Path]) -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in paths}


TREES = trees(MODULES)


def imported(tree: ast.Module) -> set[tuple[str, str]]:
    """(module, name) of every import, lazy ones included; name is empty for ``import x``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            found |= {(node.module, alias.name) for alias in node.names}
    return found


def own_imports(tree: ast.Module) -> set[tuple[str, str]]:
    """(module of the package, name) of every import from the package itself."""
    found = set()
    for module, name in imported(tree):
        if module == "segmentation":
            if name in HEIGHT:
                found.add((name, ""))
        elif module.startswith("segmentation."):
            found.add((module.split(".")[1], name))
    return found


EVERY_MODULE = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)


def test_every_module_has_its_layer():
    assert {name_of(path) for path in MODULES} - {"__init__"} == set(HEIGHT)


@EVERY_MODULE
def test_nothing_imports_upwards(path):
    own = name_of(path)
    if own == "__init__":
        assert own_imports(TREES[path]) == set()
        return
    for module, _ in own_imports(TREES[path]):
        assert HEIGHT[module] <= HEIGHT[own], f"{own} imports {module}"


@EVERY_MODULE
def test_stages_and_presentation_do_not_import_their_neighbours(path):
    own = name_of(path)
    if HEIGHT.get(own) not in (1, 2):
        return
    for module, name in own_imports(TREES[path]):
        if (own, module, name) == ("insights", "naming", "fact_sentence"):
            continue
        assert HEIGHT[module] == 0 or (module == own and own in PACKAGES_OF_MODULES), (
            f"{own} imports {module}"
        )


def test_foundation_has_no_circle():
    edges = {
        name_of(path): {module for module, _ in own_imports(tree)}
        for path, tree in TREES.items()
        if HEIGHT.get(name_of(path)) == 0
    }
    done: set[str] = set()
    while remaining := set(edges) - done:
        ready = {name for name in remaining if edges[name] <= done}
        assert ready, f"a circle among {sorted(remaining)}"
        done |= ready


MODEL_MODULES = ("model", "group_model", "geometry", "reasons", "model_checks")


def test_model_needs_errors_schema_and_three_libraries_only():
    """What serves a model must not drag the pipeline along."""
    own, libraries = set(), set()
    for name in MODEL_MODULES:
        tree = TREES[PACKAGE / f"{name}.py"]
        own |= {module for module, _ in own_imports(tree)}
        libraries |= {module.split(".")[0] for module, _ in imported(tree)}
    assert own - set(MODEL_MODULES) == {"errors", "schema"}
    libraries -= {"segmentation", "__future__"} | set(sys.stdlib_module_names)
    assert libraries == {"numpy", "pandas", "scipy"}


def test_api_needs_model_schema_and_errors_only():
    for path, tree in TREES.items():
        if name_of(path) == "api":
            assert {module for module, _ in own_imports(tree)} <= {
                "api",
                "errors",
                "model",
                "schema",
            }, path


def test_serving_a_model_loads_neither_pandas_nor_the_pipeline():
    """Start-up time and memory of every worker are those of NumPy, SciPy and Flask."""
    code = "import sys, segmentation.api.server; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "flask" in loaded
    assert not loaded & {"pandas", "pyarrow", "duckdb", "sklearn", "matplotlib", "IPython"}


def test_errors_and_schema_need_nothing_of_the_package():
    for name in ("errors", "schema"):
        assert own_imports(TREES[PACKAGE / f"{name}.py"]) == set()


@EVERY_MODULE
def test_nothing_imports_notebooks_or_tests(path):
    for module, _ in imported(TREES[path]):
        assert module.split(".")[0] not in ("notebooks", "tests", "conftest")


def test_the_recomputation_is_independent_of_the_package():
    tree = ast.parse((ROOT / "tests" / "independent.py").read_text("utf-8"))
    used = {module.split(".")[0] for module, _ in imported(tree)}
    assert used == {"__future__", "datetime", "decimal", "pathlib", "pandas"}


# --- what no file may do --------------------------------------------------------------

CLOCKS = {"now", "today", "utcnow", "time_ns", "localtime", "gmtime"}
MAY_ASK = "cache_bounds.py"
"""Decides how long a result is kept, never what it is."""
SQL_CLOCK = re.compile(
    r"\b(current_date|current_timestamp|localtimestamp|now\s*\(|today\s*\(|getdate)\b", re.I
)


@pytest.mark.parametrize(
    "path", MODULES + NOTEBOOK_SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_nothing_asks_what_day_it_is(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            asks = node.func.attr in CLOCKS or (owner == "time" and node.func.attr == "time")
            assert not asks or path.name == MAY_ASK, f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"\bSELECT\b", node.value) or not SQL_CLOCK.search(node.value)


SQL_FILES = sorted(PACKAGE.rglob("*.sql"))
EVERY_SQL = pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.name)


def test_sql_files_are_found():
    wanted = {
        "cdnow",
        "marketplace",
        "customer_segmentation_data",
        "clean",
        "returns",
        "features",
        "ledger",
    }
    assert wanted <= {path.stem for path in SQL_FILES}


@EVERY_SQL
def test_sql_file_is_one_select_with_a_comment_that_names_its_columns(path):
    text = path.read_text("utf-8")
    (query,) = sqlglot.parse(text, dialect="duckdb")
    assert isinstance(query, exp.Select)
    assert text.startswith("--")
    assert not any(isinstance(value, exp.Star) for value in query.expressions), "SELECT *"


@EVERY_SQL
def test_sql_file_does_not_ask_what_day_it_is(path):
    assert not SQL_CLOCK.search(path.read_text("utf-8"))


@EVERY_SQL
def test_no_query_takes_the_largest_or_smallest_of_a_whole_partition(path):
    """MariaDB looks through the partition again for every row: 48 times the time for 10 times
    the rows. A sum does not, and a GROUP BY gives the largest once."""
    (query,) = sqlglot.parse(path.read_text("utf-8"), dialect="duckdb")
    for window in query.find_all(exp.Window):
        whole = window.args.get("spec") is None
        assert not (whole and isinstance(window.this, exp.Max | exp.Min)), window.sql()


STATEMENT = re.compile(
    r"^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|DROP|COPY|DESCRIBE|ATTACH)\s", re.I
)


@EVERY_MODULE
def test_no_sql_is_put_together_as_text(path):
    """Values are bound by the driver, names are built by sqlglot: nothing is injected."""
    for node in ast.walk(TREES[path]):
        text = None
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            text = node.values[0].value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            text = getattr(node.left, "value", None)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
            text = getattr(node.func.value, "value", None)
        if isinstance(text, str):
            assert not STATEMENT.match(text), f"line {node.lineno}: {ast.unparse(node)[:60]}"


@EVERY_MODULE
def test_every_random_draw_has_a_seed(path):
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert not called.startswith("random."), f"line {node.lineno}"
        if called.startswith(("np.random.", "numpy.random.")):
            assert called.endswith(("default_rng", "Generator", "SeedSequence")), called
            assert node.args or node.keywords, f"line {node.lineno}: no seed"


@EVERY_MODULE
def test_nothing_runs_text_as_code(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "os.system", "yaml.load", "__import__"}
            assert not any(k.arg == "shell" for k in node.keywords), f"line {node.lineno}"


# --- form -----------------------------------------------------------------------------


@EVERY_MODULE
def test_module_is_of_a_readable_length(path):
    name = path.relative_to(PACKAGE).as_posix()
    limit, _ = LONG_MODULES.get(name, (450, ""))
    assert len(path.read_text("utf-8").splitlines()) <= limit


def test_every_exception_from_the_length_is_still_needed_and_has_its_reason():
    for name, (_, reason) in LONG_MODULES.items():
        assert reason
        assert len((PACKAGE / name).read_text("utf-8").splitlines()) > 450, name


@EVERY_MODULE
def test_public_names_have_docstrings(path):
    def public(body: list[ast.stmt]) -> list[ast.AST]:
        kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
        return [n for n in body if isinstance(n, kinds) and not n.name.startswith("_")]

    tree = TREES[path]
    assert ast.get_docstring(tree) or path.stat().st_size == 0
    missing = []
    for node in public(tree.body):
        inner = public(node.body) if isinstance(node, ast.ClassDef) else []
        missing += [each.name for each in (node, *inner) if not ast.get_docstring(each)]
    assert missing == []
