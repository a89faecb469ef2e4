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
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
from tqdm import tqdm

from segmentation.segments.model import load_model

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


WORKLOADS = (("one", 8), ("one", 1), ("rows", 4), ("columns", 4))
"""Body, and connections over which it is sent."""


def name_of(workload: tuple[str, int]) -> str:
    return f"{workload[0]}, c={workload[1]}"


def measure(
    servers: dict[str, Running], bodies: dict[str, dict[str, bytes]], *, seconds: int, pairs: int
) -> dict[str, dict[str, list[Load]]]:
    """Loads of each server, one after the other in every pair, so that both meet one machine."""
    found: dict[str, dict[str, list[Load]]] = {side: {} for side in servers}
    steps = tqdm(total=pairs * len(WORKLOADS) * len(servers), desc="loads", unit="load")
    for _ in range(pairs):
        for workload in WORKLOADS:
            for side, server in servers.items():
                steps.update()
                body = bodies[side].get(workload[0])
                if body is not None:
                    load = wrk(server.url, body, connections=workload[1], seconds=seconds)
                    found[side].setdefault(name_of(workload), []).append(load)
    steps.close()
    return found


def middle(loads: list[Load]) -> Load:
    """The median of each number; errors are summed."""
    return Load(
        per_second=statistics.median(load.per_second for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        errors=sum(load.errors for load in loads),
    )


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


def shown(load: Load, *, rows: int) -> str:
    many = f", {rows * load.per_second:,.0f} rows/s" if rows > 1 else ""
    return (
        f"{load.per_second:,.0f} requests/s{many}, p50 {load.p50_ms:.2f} ms, "
        f"p99 {load.p99_ms:.1f} ms, errors {load.errors}"
    )


def report(side: str, server: Running, loads: dict[str, list[Load]]) -> dict[str, object]:
    """Print and return what one server did."""
    memory = [round(value) for value in memory_mb(server.process.pid)]
    print(f"\n{side}\n  cold start: {server.start_seconds:.2f} s")
    for workload in WORKLOADS:
        if name_of(workload) in loads:
            rows = 1 if workload[0] == "one" else 1000
            print(f"  {name_of(workload)}: {shown(middle(loads[name_of(workload)]), rows=rows)}")
    print(f"  memory: {memory} MB")
    medians = {name: asdict(middle(several)) for name, several in loads.items()}
    return {"cold_start_s": round(server.start_seconds, 2), "memory_mb": memory, "loads": medians}


def ratios(
    loads: dict[str, dict[str, list[Load]]], results: dict[str, Any]
) -> list[dict[str, object]]:
    """Ours to theirs, pair by pair: median, least and most, beside the bar."""
    ours, theirs = loads["ours"], loads["mlflow"]

    def of_pairs(name: str, value: Callable[[Load], float]) -> list[float]:
        pairs = zip(ours[name], theirs[name], strict=True)
        return [value(one) / value(other) for one, other in pairs]

    memory = [
        float(np.median(results["ours"]["memory_mb"])) / max(results["mlflow"]["memory_mb"]),
    ]
    cold = [results["ours"]["cold_start_s"] / results["mlflow"]["cold_start_s"]]
    measured = (
        ("one row, 8 connections: requests/s", "at least 10", of_pairs("one, c=8", _speed)),
        ("one row, 8 connections: p99", "at most 0.33", of_pairs("one, c=8", _tail)),
        ("1,000 rows, 4 connections: rows/s", "at least 2", of_pairs("rows, c=4", _speed)),
        ("cold start", "at most 0.25", cold),
        ("memory of a worker", "at most 0.5", memory),
    )
    print("\nratios, ours to theirs: median (least to most)")
    found = []
    for what, bar, values in measured:
        three = statistics.median(values), min(values), max(values)
        print(f"  {what} (bar: {bar}): {three[0]:.2f} ({three[1]:.2f} to {three[2]:.2f})")
        names = ("median", "least", "most")
        found.append(
            {"what": what, "bar": bar}
            | dict(zip(names, (round(value, 3) for value in three), strict=True))
        )
    return found


def _speed(load: Load) -> float:
    return load.per_second


def _tail(load: Load) -> float:
    return load.p99_ms


def our_command(run: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "segmentation", "serve", str(run / "model")]
    return [*command, "--port", str(port)]


def their_command(python: str, folder: str, numbers: pd.DataFrame, k: int, port: int) -> list[str]:
    """Fit the same k with scikit-learn, save it as mlflow does, and say how to serve it."""
    numbers.to_csv(f"{folder}/table.csv", index=False)
    fit = [python, "-c", FIT, f"{folder}/table.csv", f"{folder}/model", str(k)]
    subprocess.run(fit, check=True, capture_output=True)
    os.environ["PATH"] = f"{Path(python).parent}:{os.environ['PATH']}"
    command = [python, "-m", "mlflow", "models", "serve", "-m", f"{folder}/model"]
    return [*command, "--env-manager", "local", "-w", "2", "-p", str(port)]


def versions(mlflow_python: str | None) -> dict[str, str]:
    """What was measured with."""
    found = {name: metadata.version(name) for name in ("gunicorn", "flask", "numpy")}
    if mlflow_python:
        code = "import importlib.metadata as m; print(m.version('mlflow'))"
        done = subprocess.run(
            [mlflow_python, "-c", code], capture_output=True, text=True, check=True
        )
        found["mlflow"] = done.stdout.strip()
    return found | {"python": platform.python_version(), "cores": str(os.cpu_count())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--mlflow-python", help="Python of an environment with mlflow")
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement")
    parser.add_argument("--pairs", type=int, default=5, help="how often both are measured")
    parser.add_argument("--soak", type=int, default=60, help="length of the soak; 0 = none")
    parser.add_argument("--out", type=Path, help="also write the results as JSON")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("needs wrk: apt-get install wrk")
    ours, theirs, numbers, k = bodies_of(chosen.run)
    bodies = {"ours": ours, "mlflow": theirs}
    with contextlib.ExitStack() as stack:
        port = free_port()
        command = our_command(chosen.run, port)
        servers = {"ours": stack.enter_context(running(command, port, "/v1/segments", ours["one"]))}
        if chosen.mlflow_python:
            folder, port = stack.enter_context(tempfile.TemporaryDirectory()), free_port()
            command = their_command(chosen.mlflow_python, folder, numbers, k, port)
            served = running(command, port, "/invocations", theirs["one"])
            servers["mlflow"] = stack.enter_context(served)
        loads = measure(servers, bodies, seconds=chosen.seconds, pairs=chosen.pairs)
        results: dict[str, Any] = {"versions": versions(chosen.mlflow_python)}
        for side, server in servers.items():
            results[side] = report(side, server, loads[side])
        if "mlflow" in servers:
            results["ratios"] = ratios(loads, results)
        if chosen.soak:
            peak = middle(loads["ours"]["one, c=8"])
            results["soak"] = soak(servers["ours"], ours["one"], seconds=chosen.soak, peak=peak)
            print(f"\nsoak of {chosen.soak} s: {results['soak']}")
    if chosen.out:
        chosen.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
