"""The recipes of `deploy/`: a real Airflow runs its DAG, GitHub's own schema reads the workflow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from integrations import program, surroundings

DAG = ROOT / "deploy" / "airflow_renew.py"


@pytest.fixture
def airflow(tmp_path):
    """Airflow with the DAG in a home of its own, where our command writes down how it is called."""
    folder, commands = tmp_path / "shop", tmp_path / "bin"
    for made in (folder, commands, tmp_path / "dags"):
        made.mkdir()
    command = commands / "segmentation"
    command.write_text('#!/bin/sh\necho "$PWD: $*" >> "$CALLS"\nexit "${FAILS:-0}"\n', "utf-8")
    command.chmod(0o755)
    text = DAG.read_text("utf-8")
    for old, new in (("/opt/segmentation/.venv/bin", commands), ("/srv/segments", folder)):
        assert text.count(f'"{old}"') == 1
        text = text.replace(old, str(new))
    (tmp_path / "dags" / "renew.py").write_text(text, "utf-8")
    settings = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "CALLS": str(tmp_path / "calls"),
    }

    def call(*words: str) -> str:
        done = subprocess.run(
            [program("airflow", "airflow"), *words],
            env=surroundings(**settings),
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout + done.stderr

    program("airflow", "python")
    call("db", "migrate")
    return call, tmp_path / "calls", folder


def test_airflow_calls_the_command_line_for_the_month_before_and_nothing_else(airflow):
    call, calls, folder = airflow

    said = call("dags", "test", "segmentation_renew", "2026-03-01")

    assert calls.exists(), said[-3000:]
    assert calls.read_text("utf-8").splitlines() == [
        f"{folder}: renew shop.yaml --keep-runs 12 -p as_of 2026-02-28",
        f"{folder}: summary runs/shop --format text",
    ]


def test_github_reads_the_workflow():
    done = subprocess.run(
        [
            program("workflow", "check-jsonschema"),
            "--builtin-schema",
            "vendor.github-workflows",
            ROOT / "deploy" / "github-renew.yaml",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_cron_means_the_first_of_the_month(tmp_path: Path):
    """As croniter, which comes with Airflow, reads the recipes' one time."""
    lines = (ROOT / "deploy" / "segmentation-renew.cron").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if line[:1].isdigit()]
    when = " ".join(line.split()[:5])
    code = (
        "import sys, datetime, croniter\n"
        "c = croniter.croniter(sys.argv[1], datetime.datetime(2026, 1, 15))\n"
        "print(*(c.get_next(datetime.datetime) for _ in range(3)), sep='\\n')\n"
    )
    told = subprocess.run(
        [program("airflow", "python"), "-c", code, when], capture_output=True, text=True, check=True
    ).stdout
    assert told.split("\n")[:3] == [f"2026-0{month}-01 04:15:00" for month in (2, 3, 4)]
    for other in ("github-renew.yaml", "airflow_renew.py"):
        assert f'"{when}"' in (ROOT / "deploy" / other).read_text("utf-8")
