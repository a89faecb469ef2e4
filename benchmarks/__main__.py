"""`python -m benchmarks [--quick]`: measure every case and write results.json."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import clustering, data, features, flagging, grid
from benchmarks.harness import Case, machine, measure

RESULTS = Path(__file__).parent / "results.json"
CLEAR_LOSS = 2.0
CASES = (
    Case(
        "features",
        "Order lines to customers",
        "features",
        ("hand_written", "pandas_groupby"),
        data.order_lines,
        (1_000_000, 3_000_000, 10_000_000),
        1_000_000,
        5,
        features.agree,
        "within 1.25 times of the best hand-written query; at least 10 times faster than pandas",
        0.8,
    ),
    Case(
        "kmeans",
        "K-Means, k = 3, 10 starts",
        "clustering",
        ("scikit_learn",),
        data.prepared_customers,
        (250_000, 500_000, 1_000_000),
        300_000,
        5,
        clustering.agree,
        "at least 5 times faster than scikit-learn, inertia equal or lower to 0.01%",
        5.0,
    ),
    Case(
        "dbscan",
        "DBSCAN flags, exact",
        "flagging",
        ("scikit_learn",),
        data.prepared_customers,
        (20_000, 50_000, 100_000),
        20_000,
        5,
        flagging.agree,
        "identical flags; 100,000 customers at least 3 times faster than scikit-learn",
        3.0,
    ),
    Case(
        "dbscan_grid",
        "All settings of eps and min_samples",
        "grid",
        ("single",),
        data.prepared_customers,
        (100_000, 300_000, 1_000_000),
        100_000,
        3,
        grid.agree,
        "the whole grid costs at most 2 times one flagging",
        0.5,
    ),
)


def main() -> int:
    """Measure; with --quick compare with the committed results and fail on a clear loss."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, compare only")
    parser.add_argument("--only", help="measure one case by its name")
    asked = parser.parse_args()
    cases = [case for case in CASES if asked.only in (None, case.name)]
    if not cases:
        print(f"no case {asked.only}; there are {', '.join(c.name for c in CASES)}.")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        results = {case.name: measure(case, Path(folder), quick=asked.quick) for case in cases}
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if asked.quick:
        return _compare(kept.get("quick", {}), results)
    kept["machine"] = machine()
    kept["cases"] = kept.get("cases", {}) | results
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 0


def _compare(committed: dict[str, dict[str, float]], results: dict[str, dict]) -> int:
    lost = 0
    for name, result in results.items():
        for rival, found in result["rivals"].items():
            now, before = found["times_faster_median"], committed.get(name, {}).get(rival)
            is_lost = before is not None and now < before / CLEAR_LOSS
            lost += is_lost
            said = "no committed result" if before is None else f"committed {before}"
            print(f"{name} against {rival}: {now} times ({said}){' LOST' if is_lost else ''}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
