"""The scoring API against `mlflow models serve -w 2`, measured in one run on one machine.

mlflow serves the cluster only, from scikit-learn's own pipeline of the same k; our answers
include margin, anomaly flag and reasons. mlflow is no dependency: give the Python of an
environment that has it. Needs wrk (apt-get install wrk).

    python benchmarks/serving.py runs/marketplace --mlflow-python /tmp/mlflow/bin/python
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd

from segmentation.model import load_model

FIT = """
import sys, pandas as pd, mlflow.sklearn
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
table = pd.read_csv(sys.argv[1])
pipeline = make_pipeline(StandardScaler(), KMeans(int(sys.argv[3]), random_state=42))
mlflow.sklearn.save_model(pipeline.fit(table), sys.argv[2])
"""


@dataclass
class Running:
    """A server being measured."""

    process: subprocess.Popen
    url: str
    start_seconds: float


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], port: int, path: str, body: bytes) -> Iterator[Running]:
    """Start a server, wait for its first answer, end it with all its processes."""
    url = f"http://127.0.0.1:{port}{path}"
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        while not answers(url, body):
            if process.poll() is not None or time.perf_counter() - started > 120:
                raise SystemExit(f"{command[:3]} did not start")
            time.sleep(0.02)
        yield Running(process, url, time.perf_counter() - started)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def answers(url: str, body: bytes) -> bool:
    request = Request(url, body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def wrk(url: str, body: bytes, *, connections: int, seconds: int, delay_ms: float = 0) -> Load:
    """Drive a server with one body over keep-alive connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n')
        script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        if delay_ms:
            script.write(f"function delay() return {delay_ms:.3f} end\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", script.name]
        text = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return Load(per_second, milliseconds(text, "50%"), milliseconds(text, "99%"), errors)


def milliseconds(text: str, quantile: str) -> float:
    number, unit = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def memory_mb(process: int, *, field: str = "Rss") -> list[float]:
    """Megabytes of a process and all below it."""
    found, stack = [], [process]
    while stack:
        one = stack.pop()
        with contextlib.suppress(OSError, TypeError):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            found.append(int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1]) / 1024)
            stack += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def measure(server: Running, bodies: dict[str, bytes], seconds: int) -> dict[str, object]:
    found: dict[str, object] = {"cold start, s": round(server.start_seconds, 2)}
    for name, connections in (("one", 8), ("one", 1), ("rows", 4), ("columns", 4)):
        if name in bodies:
            load = wrk(server.url, bodies[name], connections=connections, seconds=seconds)
            found[f"{name}, c={connections}"] = load
    found["memory, MB"] = [round(value) for value in memory_mb(server.process.pid)]
    found["memory in all (Pss), MB"] = round(sum(memory_mb(server.process.pid, field="Pss")))
    return found


def soak(server: Running, body: bytes, *, seconds: int, peak: Load) -> dict[str, object]:
    """Eighty per cent of the peak for a while: no error, no growth."""
    connections, target = 16, 0.8 * peak.per_second
    delay = 1000 * connections / target - peak.p50_ms
    for _ in range(3):  # settle, and find the pause that gives the rate
        delay = max(0.1, delay)
        tried = wrk(server.url, body, connections=connections, seconds=4, delay_ms=delay)
        delay += 1000 * connections * (1 / target - 1 / tried.per_second)
    delay = max(0.1, delay)
    before = sum(memory_mb(server.process.pid, field="Pss"))
    load = wrk(server.url, body, connections=connections, seconds=seconds, delay_ms=delay)
    after = sum(memory_mb(server.process.pid, field="Pss"))
    return {
        "requests/s": f"{load.per_second:,.0f} ({load.per_second / peak.per_second:.0%} of peak)",
        "errors": load.errors,
        "memory growth": f"{after / before - 1:+.1%}",
        "p99, ms": load.p99_ms,
    }


def bodies_of(run: Path) -> tuple[dict[str, bytes], dict[str, bytes], pd.DataFrame, int]:
    """The same customers for both servers: ours as rows and columns, mlflow's as a frame."""
    model = load_model(run / "model")
    names = list(model.features)
    table = pd.read_parquet(run / "features.parquet")[["customer_id", *names]].dropna()
    table = table.sample(1000, random_state=1, replace=len(table) < 1000)
    rows = table.to_dict("records")
    ours = {
        "one": json.dumps({"customers": rows[:1]}).encode(),
        "rows": json.dumps({"customers": rows}).encode(),
        "columns": json.dumps({"columns": table.to_dict("list")}).encode(),
    }
    numbers = table[names].astype(float)
    theirs = {
        name: json.dumps(
            {"dataframe_split": {"columns": names, "data": numbers[:count].values.tolist()}}
        ).encode()
        for name, count in (("one", 1), ("rows", 1000))
    }
    n_clusters = max(len(group.centers) for group in model.groups.values())
    return ours, theirs, numbers, n_clusters


def shown(title: str, found: dict[str, object]) -> None:
    print(f"\n{title}")
    for name, value in found.items():
        if isinstance(value, Load):
            rows = 1000 * value.per_second if name.startswith(("rows", "columns")) else None
            many = f", {rows:,.0f} rows/s" if rows else ""
            value = (
                f"{value.per_second:,.0f} requests/s{many}, p50 {value.p50_ms:.2f} ms, "
                f"p99 {value.p99_ms:.1f} ms, errors {value.errors}"
            )
        print(f"  {name}: {value}")


def ratios(ours: dict, theirs: dict) -> dict[str, object]:
    worker, other = np.median(ours["memory, MB"]), max(theirs["memory, MB"])
    checks: dict[str, Callable[[], str]] = {
        "single row, requests/s (bar 10x)": lambda: (
            f"{ours['one, c=8'].per_second / theirs['one, c=8'].per_second:.1f}x"
        ),
        "single row, p99 (bar 1/3)": lambda: (
            f"{ours['one, c=8'].p99_ms / theirs['one, c=8'].p99_ms:.2f}"
        ),
        "1,000 rows, rows/s (bar 2x)": lambda: (
            f"{ours['rows, c=4'].per_second / theirs['rows, c=4'].per_second:.1f}x"
        ),
        "cold start (bar 1/4)": lambda: f"{ours['cold start, s'] / theirs['cold start, s']:.2f}",
        "memory per worker (bar 1/2)": lambda: f"{worker / other:.2f}",
    }
    return {name: check() for name, check in checks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--mlflow-python", help="Python of an environment with mlflow")
    parser.add_argument("--seconds", type=int, default=6, help="length of each measurement")
    parser.add_argument("--soak", type=int, default=60, help="length of the soak; 0 = none")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("needs wrk: apt-get install wrk")
    ours_bodies, their_bodies, numbers, n_clusters = bodies_of(chosen.run)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    port = free_port()
    command = [sys.executable, "-m", "segmentation", "serve", str(chosen.run / "model")]
    with running(
        [*command, "--port", str(port)], port, "/v1/segments", ours_bodies["one"]
    ) as server:
        ours = measure(server, ours_bodies, chosen.seconds)
        shown("segmentation serve, 2 workers", ours)
        if chosen.soak:
            peak = ours["one, c=8"]
            shown("soak", soak(server, ours_bodies["one"], seconds=chosen.soak, peak=peak))
    if not chosen.mlflow_python:
        return
    with tempfile.TemporaryDirectory() as folder:
        numbers.to_csv(f"{folder}/table.csv", index=False)
        fit = [chosen.mlflow_python, "-c", FIT, f"{folder}/table.csv", f"{folder}/model"]
        subprocess.run([*fit, str(n_clusters)], check=True, capture_output=True)
        port = free_port()
        command = [chosen.mlflow_python, "-m", "mlflow", "models", "serve", "-m", f"{folder}/model"]
        command += ["--env-manager", "local", "-w", "2", "-p", str(port)]
        path = dict(os.environ)["PATH"]
        os.environ["PATH"] = f"{Path(chosen.mlflow_python).parent}:{path}"
        with running(command, port, "/invocations", their_bodies["one"]) as server:
            theirs = measure(server, their_bodies, chosen.seconds)
    shown("mlflow models serve -w 2 (cluster only)", theirs)
    shown("ratios, ours to theirs", ratios(ours, theirs))


if __name__ == "__main__":
    main()
