"""Seconds and memory of every evidence stage on CDNOW, from an empty cache.

python benchmarks/evidence.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from segmentation.core.parameters import resolve
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

EVIDENCE = ("structure", "stability", "anomaly_evidence", "sensitivity", "explanation", "holdout")


def main() -> None:
    _, parameters = resolve("cdnow")
    with tempfile.TemporaryDirectory() as folder:
        run = Run(parameters, Path(folder), progress=True)
        for stage in STAGES:
            run.stage(stage)
        costs = {s: json.loads((run.stage(s) / "cost.json").read_text()) for s in STAGES}
    print(f"{'stage':<18}{'seconds':>9}{'peak MB':>9}")
    for stage, cost in costs.items():
        print(f"{stage:<18}{cost['seconds']:>9.2f}{cost['peak_memory_mb']:>9}")
    total = sum(costs[stage]["seconds"] for stage in EVIDENCE)
    print(f"evidence stages together: {total:.1f} s on 23,570 customers (bar: 120 s)")


if __name__ == "__main__":
    main()
