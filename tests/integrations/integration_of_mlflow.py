"""`segmentation export --mlflow`: the real MLflow serves the folder and answers as the run did."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import call_cli
from integrations import program, surroundings


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """`mlflow models serve`, in the folder's own directory and with nothing of ours on its path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [program("mlflow", "python"), "-m", "mlflow", "models", "serve"]
    options = ["--model-uri", str(folder), "--env-manager", "local", "--port", port]
    log = folder.with_name("server.log")
    with log.open("wb") as told:
        server = subprocess.Popen(
            [*command, *options, "--host", "127.0.0.1", "--workers", "1"],
            cwd=folder.parent,
            env=surroundings(PATH=f"{Path(command[0]).parent}:{os.environ['PATH']}"),  # uvicorn's
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(900):
            time.sleep(0.2)
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/ping", timeout=5):
                break
            assert server.poll() is None, log.read_text("utf-8")[-3000:]
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def answer(url: str, customers: pd.DataFrame) -> pd.DataFrame:
    """What the server says of customers; nothing is lost in the texts of doubles."""
    table = {"columns": list(customers.columns), "data": customers.to_numpy(object).tolist()}
    body = json.dumps({"dataframe_split": table}).replace("NaN", "null").encode()
    request = urllib.request.Request(
        f"{url}/invocations", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as said:
        return pd.DataFrame(json.loads(said.read())["predictions"])


@pytest.fixture
def exported(shipped_run, tmp_path) -> tuple[Path, Path]:
    _, run = shipped_run
    done = call_cli("export", run, "--mlflow", tmp_path / "exported")
    assert done.code == 0, done.said
    return run, tmp_path / "exported"


def test_mlflow_serves_every_customer_the_segment_of_the_run(exported):
    run, folder = exported
    features = pd.read_parquet(run / "features.parquet")
    segments = pd.read_parquet(run / "segments.parquet")

    with served(folder) as url:
        found = answer(url, features)
        nameless = answer(url, features.drop(columns="customer_id").head(50))
        refused = None
        try:
            answer(url, features.drop(columns="total_spent").head(1))
        except urllib.error.HTTPError as error:
            refused = error

    same = found[list(segments.columns)]
    pd.testing.assert_frame_equal(same, segments, check_dtype=False, check_exact=True)
    assert list(nameless["segment"]) == list(segments["segment"][:50])
    assert refused is not None and refused.code == 400 and b"total_spent" in refused.read()
    # what MLflow left beside the code is nobody's: the next export takes the place
    assert list(folder.rglob("__pycache__"))
    assert call_cli("export", run, "--mlflow", folder).code == 0


def test_what_the_folder_asks_for_is_there(exported):
    """Its own list of packages, satisfied by what MLflow's newest version asks for."""
    _, folder = exported
    code = (
        "import sys\nfrom importlib.metadata import version\n"
        "from packaging.requirements import Requirement as R\n"
        "for line in open(sys.argv[1]):\n"
        "    r = R(line.strip())\n"
        "    assert r.specifier.contains(version(r.name)), line\n"
        "    print(r.name)\n"
    )
    told = subprocess.run(
        [program("mlflow", "python"), "-c", code, folder / "requirements.txt"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(told.split()) == {"mlflow", "numpy", "pandas", "pydantic", "scipy"}
