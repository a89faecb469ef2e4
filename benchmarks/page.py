"""results.json -> the book's page and the README's table: `python -m benchmarks.page`.

Both are written, never typed: a test says when they are not what the results give.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
SERVING = ROOT / "benchmarks" / "serving.json"
PAGE = ROOT / "book" / "performance.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- performance: make bench -->", "<!-- end of performance -->"
RIVALS = {
    "hand_written": "hand-written query",
    "hand_written_two_steps": "hand-written query, orders first",
    "polars": "polars",
    "pandas_groupby": "pandas",
    "windows": "one window over all lines",
    "scikit_learn": "scikit-learn",
    "scikit_learn_float32": "scikit-learn, float32",
    "mini_batch": "mini-batch K-Means",
    "single": "one flagging",
    "scipy_query": "plain scipy",
    "first": "the first run",
    "bare": "kernel starts, imports and build alone",
}
HEAD = """(performance)=
# How fast, against whom

Every figure is a ratio measured in one run: ours and the rival take turns, each in a fresh
process, on the same generated input, after their answers were compared; single timings mean
nothing on a shared machine. *Times faster* is the rival's seconds divided by ours (median of
the pairs, smallest and largest beside it): below 1 the rival is faster. *Processor* is the same
ratio of processor time, which other work on the machine disturbs less. Inputs are seeded and
skewed like real shops. `make bench` measures again; `make bench-quick` compares with these
results and fails where a ratio fell below half.
"""


def holds(result: dict[str, Any]) -> dict[str, bool]:
    """Whether each bar of a case is held: by rival, and ``memory``."""
    verdicts = {
        rival: result["rivals"][rival]["times_faster_median"] >= least
        for rival, least in result["least"].items()
        if rival in result["rivals"]
    }
    if result["most_mb"]:
        verdicts["memory"] = peak(result) <= result["most_mb"]
    return verdicts


def peak(result: dict[str, Any]) -> int:
    """Megabytes of our side at the largest size."""
    return int(result["growth"][-1]["peak_mb"])


def verdict(result: dict[str, Any], rival: str) -> str:
    """Held, missed, or that the rival is there for reference."""
    held = holds(result)
    return {True: "held", False: "**missed**", None: "reference"}[held.get(rival)]


def rows_of(results: dict[str, Any]) -> list[list[str]]:
    """One row per case and rival."""
    rows = []
    for result in results["cases"].values():
        size = f"{result['rows']:,}" if result["rows"] > 1 else "shipped data"
        for rival, found in result["rivals"].items():
            rows.append(
                [
                    result["title"],
                    size,
                    RIVALS[rival],
                    f"{found['times_faster_median']:g} ({found['times_faster_min']:g} to "
                    f"{found['times_faster_max']:g})",
                    _number(found["times_less_processor_median"]),
                    verdict(result, rival),
                ]
            )
        if not result["rivals"]:
            said = {"held": "held", "**missed**": "**missed**"}.get(verdict(result, "memory"), "–")
            rows.append([result["title"], size, "–", "–", "–", said])
    return rows


def _number(value: float | None) -> str:
    """A ratio, or a dash where it could not be taken."""
    return "–" if value is None else f"{value:g}"


COLUMNS = ["what", "rows", "against", "times faster", "processor", "bar"]


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(results: dict[str, Any]) -> str:
    """The book's page."""
    bars = [[r["title"], r["bar"]] for r in results["cases"].values()]
    growth = [
        [
            result["title"],
            ", ".join(f"{point['rows']:,}" for point in result["growth"]),
            ", ".join(f"{point['processor_seconds']:g}" for point in result["growth"]),
            "–" if result["exponent"] is None else f"{result['exponent']:g}",
            f"{peak(result):,}",
        ]
        for result in results["cases"].values()
    ]
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    loads = [result["load"] for result in results["cases"].values()]
    parts = [
        HEAD,
        "## Ratios\n\n" + table(COLUMNS, rows_of(results)),
        "## What each was held to\n\n" + table(["what", "bar"], bars),
        "## Growth and memory\n\nExponent 1: twice the rows take twice the processor time.\n\n"
        + table(["what", "rows", "processor seconds", "exponent", "peak MB"], growth),
    ]
    if "large" in results:
        parts.append("## A hundred million order lines\n\n" + _large(results["large"]))
    if SERVING.exists():
        served = json.loads(SERVING.read_text(encoding="utf-8"))
        parts.append("## Serving\n\n" + _serving(served))
    parts.append(
        f"## Machine\n\n{machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"{machine['system']}, Python {machine['python']}, {versions}. Other work ran beside: "
        f"load average {min(loads):g} to {max(loads):g} while measuring."
    )
    return "\n\n".join(parts) + "\n"


def _serving(served: dict[str, Any]) -> str:
    """The scoring API against mlflow; their answers hold the cluster only."""
    rows = [
        [row["what"], f"{row['median']:g} ({row['least']:g} to {row['most']:g})", row["bar"]]
        for row in served["ratios"]
    ]
    soak, one = served["soak"], served["ours"]["loads"]["one, c=1"]
    versions = served["versions"]
    return (
        f"Ratios of ours to `mlflow models serve -w 2` (mlflow {versions['mlflow']}) with the same "
        "scikit-learn pipeline, both up at once and driven in turns; our answers include margin, "
        "anomaly flag and reasons.\n\n"
        + table(["what", "ours to theirs", "bar"], rows)
        + f"\n\nOne connection: half of the answers within {one['p50_ms']:g} ms, 99% within "
        f"{one['p99_ms']:g} ms. Soak: {soak['requests/s']} requests a second, {soak['errors']} "
        f"errors, memory {soak['memory growth']}."
    )


def _large(found: dict[str, Any]) -> str:
    rows = [
        [name.replace("_", " "), value if isinstance(value, str) else f"{value:,}"]
        for name, value in found.items()
    ]
    return table(["what", "measured"], rows)


def readme(text: str, results: dict[str, Any]) -> str:
    """README with its performance table written anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    rows = [row for row in rows_of(results) if row[5] != "reference"]
    return f"{before}{BEGIN}\n{table(COLUMNS, rows)}\n{END}{after}"


def main() -> None:
    """Write both."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(results), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
