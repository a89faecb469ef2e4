"""Where Spark begins to pay: raw Parquet to customers on both engines, on this machine.

`python -m benchmarks.spark_local [ROWS…]` runs the embedded engine and Spark alternately in
fresh processes, compares their answers, and writes ``spark.json`` beside this file. Needs the
extra: ``make setup EXTRAS=spark``, and Java 17.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import Case, _exponent, machine, run_side

RESULTS = Path(__file__).parent / "spark.json"
SIZES = (300_000, 1_000_000, 3_000_000, 10_000_000)
PAIRS = 3
SOURCE = """
SELECT customer_id, order_id, order_date, quantity, amount, is_valid FROM lines
"""


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The embedded engine."""
    return lambda: _customers(path, "duckdb")


def spark(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """Spark on all cores of this machine; its start counts apart."""
    from segmentation.sources.spark.place import SparkPlace
    from segmentation.sources.spark.session import session_for

    started = time.perf_counter()
    session_for(SparkPlace())
    seconds = time.perf_counter() - started
    return lambda: _customers(path, "spark") | {"start_seconds": round(seconds, 1)}


def _customers(path: str, engine: str) -> dict[str, Any]:
    from segmentation.core.parameters import parameters_from
    from segmentation.customers import features
    from segmentation.orders import clean
    from segmentation.orders import transactions as ingest
    from segmentation.sources.snapshot import Snapshot

    with tempfile.TemporaryDirectory() as folder:
        sql = Path(folder) / "lines.sql"
        sql.write_text(SOURCE, encoding="utf-8")
        values = {"source": str(sql), "location": path, "engine": engine}
        with Snapshot(parameters_from(values)).opened() as opened:
            source = Snapshot(parameters_from(values)).source
            ingest.ingest(opened, source)
            rules = dict.fromkeys(("zero_amount", "duplicates", "non_product"), "keep")
            clean.clean(opened, **rules, returns="exclude", as_of=None)
            ledger = clean.ledger(opened)
            as_of = features.last_valid_order(opened)
            customers = features.customer_features(opened, as_of=as_of)
    return {
        "kept": str(ledger["amount"].iloc[-1]),
        "customers": len(customers),
        "spent": float(customers["total_spent"].sum()),
    }


def main() -> None:
    """Measure every size and keep the results."""
    sizes = tuple(int(text) for text in sys.argv[1:]) or SIZES
    before = json.loads(RESULTS.read_text("utf-8"))["sizes"] if RESULTS.exists() else []
    found: list[dict[str, Any]] = [each for each in before if each["rows"] not in sizes]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for size in sizes:
            found.append(_measured(Path(folder), size))
            kept = {"machine": machine(), "sizes": found, "exponents": _growth(found)}
            RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
            print(json.dumps(found[-1]), flush=True)


def _measured(folder: Path, size: int) -> dict[str, Any]:
    case = Case(
        "spark", "", "spark_local", ("spark",), data.order_lines, sizes=(), quick_size=0,
        pairs=PAIRS, agree=lambda own, other: own == other, bar="", least=0,
    )  # fmt: skip
    path = data.order_lines(folder, size)
    sides: dict[str, list[float]] = {"ours": [], "spark": []}
    starts: list[float] = []
    loads = [os.getloadavg()[0]]
    for _ in range(PAIRS):
        answers = {}
        for side, seconds in sides.items():
            done = run_side(case, side, path, size)
            answers[side] = done["answer"]
            seconds.append(round(done["seconds"], 2))
        starts.append(answers["spark"].pop("start_seconds"))
        loads.append(os.getloadavg()[0])
        if answers["ours"] != answers["spark"]:
            raise RuntimeError(f"{size} rows: the engines answer {answers}.")
    ratios = [s / o for o, s in zip(sides["ours"], sides["spark"], strict=True)]
    return {
        "rows": size,
        "pairs": PAIRS,
        "load_average": round(statistics.mean(loads), 1),
        "duckdb_seconds": sides["ours"],
        "spark_seconds": sides["spark"],
        "spark_start_seconds": starts,
        "duckdb_times_faster_median": round(statistics.median(ratios), 1),
        "duckdb_times_faster_range": [round(min(ratios), 1), round(max(ratios), 1)],
    }


def _growth(found: list[dict[str, Any]]) -> dict[str, float | None]:
    return {
        name: _exponent(
            [{"rows": f["rows"], "seconds": statistics.median(f[f"{name}_seconds"])} for f in found]
        )
        for name in ("duckdb", "spark")
    }


if __name__ == "__main__":
    main()
