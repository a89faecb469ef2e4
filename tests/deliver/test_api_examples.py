"""What the book shows for other programs runs as it stands, against the real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from api_server import Server, serving
from conftest import ROOT

from segmentation.book.words import api_examples
from segmentation.segments.model import load_model

RUNNERS = {
    "bash": ["bash", "-euc"],
    "python": [sys.executable, "-c"],
    "javascript": ["node", "-e"],
}
NEEDS = {"bash": ("curl", "curl"), "javascript": ("node", "nodejs"), "python": (sys.executable, "")}


@pytest.fixture(scope="module")
def servers(cdnow_run, marketplace_run, tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    with (
        serving(cdnow_run / "model", "--workers", 1, log=logs / "cdnow") as cdnow,
        serving(marketplace_run / "model", "--workers", 1, log=logs / "marketplace") as marketplace,
    ):
        yield {"cdnow": cdnow, "marketplace": marketplace}


def examples_of(folder: Path) -> tuple[str, str]:
    """The page's text, and the segment its example must get."""
    customers = pd.read_parquet(folder / "segments.parquet")
    text = api_examples(customers, list(load_model(folder / "model").features), "run")
    return text, re.search(r"largest segment \((.+?), n = ", text)[1]


def run_example(language: str, code: str, server: Server) -> str:
    program, package = NEEDS[language]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install {package}")
    code = code.replace("http://127.0.0.1:8000", server.address)
    done = subprocess.run(
        [*RUNNERS[language], code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("language", RUNNERS)
def test_example_of_the_book_answers_the_segment_it_promises(shipped_run, servers, language):
    profile, folder = shipped_run
    text, segment = examples_of(folder)
    (code,) = re.findall(rf"```{language}\n(.*?)\n```", text, re.S)

    printed = run_example(language, code, servers[profile])

    if language == "bash":
        assert json.loads(printed)["customers"][0]["segment"] == segment
    else:
        assert printed.strip() == segment


def test_examples_show_no_customer(shipped_run):
    folder = shipped_run[1]
    ids = pd.read_parquet(folder / "segments.parquet")["customer_id"]
    words = set(re.findall(r"[\w.@-]+", examples_of(folder)[0]))
    assert not words & {name for name in ids if len(name) > 3}


def test_readme_serves_and_calls_in_three_commands(servers):
    """`segmentation run cdnow`, `serve`, `curl`: the last one is run here as it is written."""
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.split("## Serving the model", 1)[1]
    commands = re.search(r"```bash\n(.*?)\n```", section, re.S)[1].splitlines()
    assert [command.split()[:2] for command in commands[:2]] == [
        ["segmentation", "run"],
        ["segmentation", "serve"],
    ]
    answer = json.loads(run_example("bash", commands[2], servers["cdnow"]))
    assert answer["customers"][0]["segment"]
    assert len(commands) == 3
