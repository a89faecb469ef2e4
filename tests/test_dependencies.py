"""What the package imports is declared, with a reason; what is declared is used."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from importlib import metadata

from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
# Declared, but not imported by name: why it is needed all the same.
NOT_IMPORTED = {
    "jupyter-book": "builds the book in a process of its own (book/pages.py)",
    "jupytext": "keeps notebooks and scripts in step (tools/notebook_pairs.py)",
    "openpyxl": "pandas.read_excel and the tests read workbooks with it",
    "tzdata": "zoneinfo reads it where the system has no files of time zones",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    return normal(re.match(r"[A-Za-z0-9._-]+", requirement).group())


def imported_packages() -> set[str]:
    """Distributions that modules and notebooks of the project import, anywhere in a module."""
    files = [*(ROOT / "segmentation").rglob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    modules = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module.split(".")[0])
    installed = metadata.packages_distributions()
    outside = modules - set(sys.stdlib_module_names) - {"segmentation"}
    absent = outside - set(installed)  # an extra that this environment does without
    assert absent <= {name_of(line).split("[")[0] for line in optional()}, absent
    return {normal(installed[module][0]) for module in outside - absent}


DECLARED = {name_of(line) for line in PROJECT["project"]["dependencies"]}


def test_every_imported_package_is_declared():
    assert imported_packages() - optional() <= DECLARED
    assert len(imported_packages()) > 10


def optional() -> set[str]:
    groups = PROJECT["project"].get("optional-dependencies", {})
    return {name_of(line) for lines in groups.values() for line in lines}


def test_every_declared_package_is_imported_or_has_its_reason_here():
    assert DECLARED - imported_packages() == set(NOT_IMPORTED)


def test_every_declared_package_has_its_row_in_contributing():
    table = CONTRIBUTING.split("## Dependencies")[1]
    rows = set(re.findall(r"^\| ([\w-]+)", table, re.MULTILINE))

    assert rows >= DECLARED | optional()


def test_every_declared_package_is_locked_with_a_hash():
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    pinned = re.findall(r"^([\w.-]+)==\S+(?: ;[^\\]*)? \\\n    --hash=sha256:", lock, re.MULTILINE)

    spark = (ROOT / "requirements-spark.txt").read_text("utf-8")
    assert re.search(r"^pyspark==\S+ \\\n    --hash=sha256:", spark, re.MULTILINE)
    lab = (ROOT / "requirements-lab.txt").read_text("utf-8")
    assert re.search(r"^jupyterlab==\S+ \\\n    --hash=sha256:", lab, re.MULTILINE)
    development = {name_of(line) for line in PROJECT["dependency-groups"]["dev"]}
    assert {normal(name) for name in pinned} >= DECLARED | development


def test_commands_of_the_development_container_are_those_of_the_readme():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (setup,) = [command for name, command in container.items() if name.endswith("Command")]

    assert f"`{setup}`" in readme
    for extra in re.findall(r"EXTRAS=(\w+)", setup):
        assert extra in PROJECT["project"]["optional-dependencies"]
        assert (ROOT / f"requirements-{extra}.txt").exists()
    for target in re.findall(r"`make ([a-z-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "$(LAB)" in makefile and set(container["containerEnv"]) == {"LAB"}
