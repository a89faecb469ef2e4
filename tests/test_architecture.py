"""The house as DESIGN.md draws it: who may import whom, and what no file may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlglot
from conftest import ROOT
from sqlglot import exp

import segmentation
from segmentation.run.cache import PRESENTATION

PACKAGE = ROOT / "segmentation"
ROOMS = (
    *("core", "sources", "orders", "customers", "segments", "evidence", "actions", "run"),
    *("deliver", "book"),
)
"""In the order the data flows: a room imports only rooms above it in this list."""
LONG_MODULES = {
    "core/limits.py": (
        535,
        "every threshold of the method once, each with its reason and source",
    ),
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


def own_imports(tree: ast.Module) -> set[str]:
    """Modules of the package, or names in them, that a module imports: ``core.errors.SourceError``."""
    return {
        f"{module}.{name}".removeprefix("segmentation.").rstrip(".")
        for module, name in imported(tree)
        if module.split(".")[0] == "segmentation"
    }


def rooms_of(tree: ast.Module) -> set[str]:
    """Rooms that a module imports from; the package itself only for its version."""
    return {name.split(".")[0] for name in own_imports(tree)} - {"__version__"}


def of_each(paths: list[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test of a rule for all files, which names those that break it.

    A test for each would take ten times as long to begin as to run.
    """

    def told(rule: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            broken = []
            for path in paths:
                try:
                    rule(path)
                except Exception as error:  # the others are looked at all the same
                    broken.append(f"{path.relative_to(ROOT)}: {error}")
            assert not broken, "\n".join(broken)

        return test

    return told


EVERY_MODULE = of_each(MODULES)


def test_the_package_is_its_rooms_and_the_command():
    found = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")} | {
        path.name for path in PACKAGE.iterdir() if path.is_file()
    }
    assert found == {*ROOMS, "__init__.py", "__main__.py", "cli.py", "py.typed"}


def test_what_decides_a_remembered_result_is_every_room_up_to_run():
    assert [room for room in ROOMS if room not in PRESENTATION] == list(ROOMS[:-2])


@EVERY_MODULE
def test_a_room_imports_only_rooms_above_it(path):
    own = name_of(path)
    if own in ROOMS:
        above = set(ROOMS[: ROOMS.index(own) + 1])
        assert rooms_of(TREES[path]) <= above, f"{own} imports {rooms_of(TREES[path]) - above}"


def test_only_the_command_and_the_public_names_know_the_book():
    for path, tree in TREES.items():
        if name_of(path) not in ("book", "cli", "__init__"):
            assert "book" not in rooms_of(tree), path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_no_circle(room):
    names = {
        path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in TREES
        if name_of(path) == room and path.stem != "__init__"
    }
    edges = {
        name: {
            other
            for other in names.values()
            if other != name
            and any(f"{one}.".startswith(f"{other}.") for one in own_imports(TREES[path]))
        }
        for path, name in names.items()
    }
    done: set[str] = set()
    while remaining := set(edges) - done:
        ready = {name for name in remaining if edges[name] <= done}
        assert ready, f"a circle among {sorted(remaining)}"
        done |= ready


SERVED = (
    *("segments.model", "segments.group_model", "segments.distances", "segments.reasons"),
    *("segments.model_checks", "segments.forecast", "customers.preparation"),
)
"""What a served model is made of."""


def test_model_needs_errors_columns_and_three_libraries_only():
    """What serves a model must not drag the pipeline along."""
    own, libraries = set(), set()
    for name in SERVED:
        tree = TREES[PACKAGE / f"{name.replace('.', '/')}.py"]
        own |= {".".join(one.split(".")[:2]) for one in own_imports(tree)}
        libraries |= {module.split(".")[0] for module, _ in imported(tree)}
    # its own features are described in it, and read by what reads a profile's
    needed = {"core.errors", "core.columns", "core.groups", "core.limits", "core.own_features"}
    assert own - set(SERVED) == needed
    libraries -= {"segmentation", "__future__"} | set(sys.stdlib_module_names)
    assert libraries == {"numpy", "pandas", "scipy"}


def test_api_needs_model_orders_and_core_only():
    for path, tree in TREES.items():
        if path.is_relative_to(PACKAGE / "deliver" / "api"):
            for name in own_imports(tree):
                allowed = (
                    "core.",
                    "orders.",
                    "segments.model.",
                    "segments.forecast.",
                    "deliver.api.",
                )
                is_known = f"{name}.".startswith((*allowed, "__version__"))
                assert is_known, f"{path.name} imports {name}"


def test_serving_a_model_loads_neither_pandas_nor_the_pipeline():
    """Start-up time and memory of every worker are those of NumPy, SciPy and Flask."""
    code = "import sys, segmentation.deliver.api.server; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "flask" in loaded
    assert not loaded & {"pandas", "pyarrow", "duckdb", "sklearn", "matplotlib", "IPython"}


def test_errors_and_columns_need_nothing_of_the_package():
    for name in ("errors", "columns"):
        assert own_imports(TREES[PACKAGE / "core" / f"{name}.py"]) == set()


def test_public_names_are_loaded_when_asked_for():
    code = "import sys, segmentation; print('pandas' in sys.modules, *segmentation.__all__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, *names = done.stdout.split()
    assert loaded == "False"
    for name in names:
        assert getattr(segmentation, name), name
    with pytest.raises(AttributeError, match="no attribute 'kmean'"):
        segmentation.kmean  # noqa: B018


@EVERY_MODULE
def test_nothing_imports_notebooks_or_tests(path):
    for module, _ in imported(TREES[path]):
        assert module.split(".")[0] not in ("notebooks", "tests", "conftest")


def test_the_recomputation_is_independent_of_the_package():
    tree = ast.parse((ROOT / "tests" / "support" / "independent.py").read_text("utf-8"))
    used = {module.split(".")[0] for module, _ in imported(tree)}
    assert used == {"__future__", "datetime", "decimal", "pathlib", "pandas"}


# --- what no file may do --------------------------------------------------------------

CLOCKS = {"now", "today", "utcnow", "time_ns", "localtime", "gmtime"}
MAY_ASK = "cache_bounds.py"
"""Decides how long a result is kept, never what it is."""
SQL_CLOCK = re.compile(
    r"\b(current_date|current_timestamp|localtimestamp|now\s*\(|today\s*\(|getdate)\b", re.I
)


@of_each(MODULES + NOTEBOOK_SCRIPTS)
def test_nothing_asks_what_day_it_is(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            asks = node.func.attr in CLOCKS or (owner == "time" and node.func.attr == "time")
            assert not asks or path.name == MAY_ASK, f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"\bSELECT\b", node.value) or not SQL_CLOCK.search(node.value)


SQL_FILES = sorted(PACKAGE.rglob("*.sql"))
EVERY_SQL = of_each(SQL_FILES)


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
