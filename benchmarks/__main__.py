"""`python -m benchmarks [--quick]`: measure every case and write results.json."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.harness import machine, measure

RESULTS = Path(__file__).parent / "results.json"
CLEAR_LOSS = 2.0


def main() -> int:
    """Measure; with --quick compare with the committed results and fail on a clear loss."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, compare only")
    parser.add_argument("--only", action="append", metavar="CASE", help="may be repeated")
    parser.add_argument("--pairs", type=int, help="alternating pairs instead of the case's own")
    parser.add_argument("--top", type=int, help="no size beyond this number of rows")
    parser.add_argument("--folder", type=Path, help="keep generated inputs here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to write")
    asked = parser.parse_args()
    cases = [case for case in CASES if not asked.only or case.name in asked.only]
    if asked.top:
        cases = [replace(c, sizes=tuple(n for n in c.sizes if n <= asked.top)) for c in cases]
    if not cases:
        print(f"no case {asked.only}; there are {', '.join(case.name for case in CASES)}.")
        return 2
    kept = _kept(asked.results)
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = asked.folder or Path(temporary)
        if asked.quick:
            quick = [case for case in cases if case.rivals and case.quick_size]
            found = {case.name: measure(case, folder, quick=True) for case in quick}
            return compare(kept.get("quick", {}), found)
        for case in cases:
            result = measure(case, folder, pairs=asked.pairs)
            _keep("cases", case.name, result, asked.results)
            if case.rivals and case.quick_size:
                again = measure(case, folder, quick=True)
                _keep("quick", case.name, _medians(again), asked.results)
    return 0


def _keep(part: str, name: str, found: dict[str, Any], path: Path) -> None:
    kept = _kept(path)  # another process may have written meanwhile
    kept["machine"] = machine()
    kept.setdefault(part, {})[name] = found
    write_results(kept, path)


def _kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write_results(results: dict[str, Any], path: Path = RESULTS) -> None:
    """Write results with the cases in the order of `CASES`, whatever was measured when."""
    for part in ("cases", "quick"):
        names = [case.name for case in CASES if case.name in results.get(part, {})]
        results[part] = {name: results[part][name] for name in names}
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _medians(result: dict[str, Any]) -> dict[str, float]:
    return {rival: r["times_faster_median"] for rival, r in result["rivals"].items()}


def compare(committed: dict[str, dict[str, float]], results: dict[str, dict[str, Any]]) -> int:
    """Say each ratio beside the committed one; 1 where any is less than half of it."""
    lost = 0
    for name, result in results.items():
        for rival, now in _medians(result).items():
            before = committed.get(name, {}).get(rival)
            is_lost = before is not None and now < before / CLEAR_LOSS
            lost += is_lost
            said = "no committed result" if before is None else f"committed {before}"
            print(f"{name} against {rival}: {now} times ({said}){' LOST' if is_lost else ''}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
