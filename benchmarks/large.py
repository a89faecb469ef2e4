"""A hundred million order lines through the project's own SQL under a memory limit.

    SEGMENTATION_MEMORY_LIMIT=4GB python -m benchmarks.large [LINES]

Source, cleaning with copies kept, ledger and features, as a run has them; the summaries of
the exploration chapter are left out. Writes what it found into results.json.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import RESULTS, write_results
from benchmarks.data import order_lines
from segmentation.core.parameters import Parameters
from segmentation.customers import features
from segmentation.orders import clean
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.sources.engine import MEMORY_VARIABLE

SOURCE = """
SELECT customer_id, order_id, order_date, quantity, amount, is_valid, product FROM lines
"""
RULES = {
    "returns": "exclude",
    "zero_amount": "keep",
    "duplicates": "keep",
    "non_product": "keep",
}


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000_000
    with tempfile.TemporaryDirectory(prefix="bench-large-") as name:
        folder = Path(name)
        order_lines(folder, size).rename(folder / "lines.parquet")
        (folder / "lines.sql").write_text(SOURCE, encoding="utf-8")
        found = _measured(folder, size)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    write_results(results | {"large": found})


def _measured(folder: Path, size: int) -> dict[str, object]:
    parameters = Parameters(source=str(folder / "lines.sql"), location=str(folder))
    run = Run(parameters, folder / "runs")
    started = time.perf_counter()
    with run.snapshot.opened() as engine:
        ingest.ingest(engine, run.source)
        clean.clean(engine, **RULES, as_of=None)
        ledger = clean.ledger(engine).set_index("rule")
        customers = features.customer_features(engine, as_of=features.last_valid_order(engine))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "order_lines": size,
        "kept_lines": int(ledger.at["kept", "rows"]),
        "customers": len(customers),
        "memory_limit": os.environ.get(MEMORY_VARIABLE, "none"),
        "peak_mb": usage.ru_maxrss // 1024,
        "seconds": round(time.perf_counter() - started),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime),
    }


if __name__ == "__main__":
    main()
