"""Run ours and its rival alternately, each time in a fresh process, and report ratios.

A single timing on a shared machine means nothing; two processes that follow each other
meet about the same machine, and the median of several such pairs is worth comparing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
OPTIONAL = ("polars",)
"""Rivals that are named as the package they need."""


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name, title : str
    module : str
        Module of ``benchmarks`` with one function per side: it loads its input and
        returns a callable that does the work and returns a small answer.
    make : callable (folder, size) -> path
        Writes (or finds) the seeded input of that size.
    agree : callable (our answer, rival's answer) -> bool
        Whether both sides did the same work.
    sizes, quick_size : int
        Rows; three sizes show how the cost grows.
    pairs : int
        Alternating pairs at the largest size.
    rivals : tuple of str
        Names of the other sides' functions; ``own`` is ours.
    bar : str
        What the case is held to, in words; ``least`` is the ratio it needs against a
        rival, ``most_mb`` the memory that ours may take.
    """

    name: str
    title: str
    module: str
    make: Callable[[Path, int], Path]
    agree: Callable[[Any, Any], bool]
    sizes: tuple[int, ...]
    quick_size: int
    pairs: int
    bar: str
    rivals: tuple[str, ...] = ()
    least: dict[str, float] = field(default_factory=dict)
    most_mb: int | None = None
    own: str = "ours"
    settings: dict[str, Any] = field(default_factory=dict)


def run_side(case: Case, side: str, path: Path, size: int) -> dict[str, Any]:
    """Seconds, peak memory and answer of one side in a fresh process."""
    request = json.dumps({"path": str(path), "size": size, **case.settings})
    command = [sys.executable, "-m", "benchmarks.worker", case.module, side, request]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ.copy(), check=False
    )
    if done.returncode:
        raise RuntimeError(f"{case.name}, {side}: {done.stderr.strip().splitlines()[-1:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(
    case: Case, folder: Path, *, quick: bool = False, pairs: int | None = None
) -> dict[str, Any]:
    """Results of one case: growth of ours, and the ratio to every rival at the top size."""
    sizes = (case.quick_size,) if quick else case.sizes
    growth = [
        _grown(size, [run_side(case, case.own, case.make(folder, size), size)])
        for size in sizes[:-1]
    ]
    top, rivals = sizes[-1], _installed(case.rivals)
    path = case.make(folder, top)
    n_pairs = pairs or (3 if quick else case.pairs)
    rounds: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {r: [] for r in rivals}
    owns = []
    with tqdm(total=n_pairs * max(1, len(rivals)), desc=case.name, unit="pair") as bar:
        for _ in range(n_pairs):
            for rival in rivals:
                rounds[rival].append(_pair(case, rival, path, top))
                owns.append(rounds[rival][-1][0])
                bar.update()
            if not rivals:
                owns.append(run_side(case, case.own, path, top))
                bar.update()
    growth.append(_grown(top, owns))
    return {
        "title": case.title,
        "bar": case.bar,
        "least": case.least,
        "most_mb": case.most_mb,
        "rows": top,
        "pairs": n_pairs,
        "load": round(os.getloadavg()[1], 1),
        "growth": growth,
        "exponent": _exponent(growth),
        "answer": owns[-1]["answer"],
        "rivals": {rival: _compared(found) for rival, found in rounds.items()},
    }


def _pair(case: Case, rival: str, path: Path, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    own, other = run_side(case, case.own, path, size), run_side(case, rival, path, size)
    if not case.agree(own["answer"], other["answer"]):
        raise RuntimeError(
            f"{case.name}: ours answers {own['answer']}, {rival} {other['answer']}; "
            "times of different work are not compared."
        )
    return own, other


def _installed(rivals: tuple[str, ...]) -> list[str]:
    """Rivals that can run here: a package that is a rival only is no dependency."""
    return [r for r in rivals if r not in OPTIONAL or importlib.util.find_spec(r) is not None]


def _grown(size: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rows": size,
        "seconds": round(statistics.median(run["seconds"] for run in runs), 3),
        "processor_seconds": round(statistics.median(run["processor"] for run in runs), 3),
        "peak_mb": max(run["peak_mb"] for run in runs),
    }


def _compared(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    ratios = [other["seconds"] / own["seconds"] for own, other in pairs]
    processor = [other["processor"] / max(own["processor"], 1e-3) for own, other in pairs]
    return {
        "times_faster_median": round(statistics.median(ratios), 2),
        "times_faster_min": round(min(ratios), 2),
        "times_faster_max": round(max(ratios), 2),
        "times_less_processor_median": round(statistics.median(processor), 2),
        "ours_seconds": [round(own["seconds"], 3) for own, _ in pairs],
        "rival_seconds": [round(other["seconds"], 3) for _, other in pairs],
        "ours_peak_mb": max(own["peak_mb"] for own, _ in pairs),
        "rival_peak_mb": max(other["peak_mb"] for _, other in pairs),
        "rival_answer": pairs[-1][1]["answer"],
    }


def _exponent(growth: list[dict[str, Any]]) -> float | None:
    """Slope of log processor seconds over log rows: 1 grows in step with the data."""
    if len(growth) < 2:
        return None
    rows = np.log([point["rows"] for point in growth])
    seconds = np.log([max(point["processor_seconds"], 1e-3) for point in growth])
    return round(float(np.polyfit(rows, seconds, 1)[0]), 2)


def machine() -> dict[str, Any]:
    """What the run was measured on."""
    packages = ("duckdb", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "xlsxwriter")
    versions = {name: metadata.version(name) for name in packages}
    for name in ("polars", "openpyxl"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }
