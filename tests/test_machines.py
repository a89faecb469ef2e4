"""The environment of a machine: which Python fits, and what is said where none does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

SUPPORTED = [f"3.{minor}" for minor in range(11, 16)]
OTHER = '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.18\nexit $([ "$1" = -V ])\n'
"""An interpreter that is too old: it tells its version and fails whatever it is asked."""


@pytest.fixture
def machine(tmp_path: Path):
    """Call `make` on a machine that has only the interpreters named."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("sh", "grep"):
        (programs / tool).symlink_to(shutil.which(tool))

    def make(*arguments: str, fitting: tuple[str, ...] = (), other: tuple[str, ...] = ()):
        for name, text in [
            *((name, f'#!/bin/sh\nexec {sys.executable} "$@"\n') for name in fitting),
            *((name, OTHER) for name in other),
        ]:
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        return subprocess.run(
            [shutil.which("make"), "--no-print-directory", *arguments, f"VENV={tmp_path / 'venv'}"],
            cwd=ROOT,
            env={"PATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )

    return make


def assert_told(done: subprocess.CompletedProcess, *needed: str) -> None:
    sentence, *rest = done.stderr.splitlines()
    assert done.returncode == 2
    assert all(line.startswith("make: ***") for line in rest), rest
    for word in ("Python 3.11 to 3.15 is needed", *needed):
        assert word in sentence, (word, sentence)


def test_an_interpreter_that_fits_is_named_where_python3_does_not(machine):
    done = machine("report", fitting=("python3.12", "python3.14"), other=("python3", "python3.15"))
    assert_told(done, "python3 is Python 3.9.18", "make report PYTHON=python3.14")


def test_where_no_interpreter_fits_it_is_said_how_to_get_one(machine):
    assert_told(machine("setup", other=("python3",)), "apt-get install python3 python3-venv")
    assert_told(machine("setup", "PYTHON=snake"), "snake is not found", "uv python install")


def test_an_interpreter_that_fits_is_accepted_in_silence():
    done = subprocess.run(
        ["sh", "tools/check_python.sh", sys.executable, "setup"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert done.stdout + done.stderr == b""


def test_the_same_versions_stand_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [line.split(" :: ")[-1] for line in project["classifiers"] if "Python ::" in line]
    assert named == SUPPORTED
    oldest, newest = SUPPORTED[0], SUPPORTED[-1]
    after = f"3.{int(newest.split('.')[1]) + 1}"
    assert project["requires-python"] == f">={oldest},<{after}"
    script = (ROOT / "tools" / "check_python.sh").read_text("utf-8")
    assert re.findall(r"^(?:oldest|newest)=(\d+)$", script, re.MULTILINE) == ["11", "15"]
    for page in ("README.md", "CONTRIBUTING.md", "Makefile"):
        assert f"Python {oldest} to {newest}" in (ROOT / page).read_text("utf-8"), page
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == [oldest, newest]


def test_the_lock_serves_every_version():
    """A pin either holds for all of them, or its markers leave none of them out or in twice."""
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ").splitlines()
    pins = [Requirement(line.split(" --hash")[0]) for line in lines if re.match(r"\w", line)]
    several = {pin.name for pin in pins if [p.name for p in pins].count(pin.name) > 1}
    assert len(pins) > 100
    for version in SUPPORTED:
        place = {"python_version": version, "python_full_version": f"{version}.9"}
        for name in several:
            valid = [p for p in pins if p.name == name and p.marker.evaluate(place)]
            assert len(valid) == 1, (name, version)


def test_scripts_of_tools_are_shell_that_parses():
    for path in [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]:
        done = subprocess.run(
            ["bash", "-n", path], capture_output=True, env=os.environ, check=False
        )
        assert done.returncode == 0, done.stderr
