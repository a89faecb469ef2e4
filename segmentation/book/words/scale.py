"""Sentences and tables about how far one machine reaches."""

from __future__ import annotations

import statistics
from typing import Any

_NOT_MEASURED = (
    "Nothing was measured where this book was built: `python -m benchmarks.spark_local` does it."
)


def crossover(measured: dict[str, Any] | None) -> str:
    """Both engines on one machine, as a table and the sentence that it allows.

    Parameters
    ----------
    measured : dict or None
        What ``benchmarks/spark_local.py`` wrote; None where it was not run.
    """
    if not measured or not measured["sizes"]:
        return _NOT_MEASURED
    sizes = sorted(measured["sizes"], key=lambda each: each["rows"])
    lines = [
        "| order lines | DuckDB, seconds | Spark, seconds | DuckDB is faster by | start of Spark, "
        "seconds | pairs | load |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(each) for each in sizes),
    ]
    return "\n".join([_about(measured["machine"]), "", *lines, "", _verdict(sizes)])


def _about(machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    return (
        f"Measured on {machine['cores']} cores and {machine['memory_gib']:.0f} GiB, Python "
        f"{machine['python']}, DuckDB {versions['duckdb']}: from a Parquet file to the features of "
        "every customer, checks and ledger included. The engines take turns in fresh processes; "
        "medians, and what they answered was compared first. *Load* is how many processes wanted "
        "the cores meanwhile: above the number of cores, seconds are longer than on an idle "
        "machine, and the ratio is what to read."
    )


def _row(size: dict[str, Any]) -> str:
    low, high = size["duckdb_times_faster_range"]
    load = f"{size['load_average']:.0f}" if "load_average" in size else "not recorded"
    cells = [
        f"{size['rows']:,}",
        f"{statistics.median(size['duckdb_seconds']):.1f}",
        f"{statistics.median(size['spark_seconds']):.1f}",
        f"{size['duckdb_times_faster_median']:.1f} ({low:.1f} to {high:.1f})",
        f"{statistics.median(size['spark_start_seconds']):.0f}",
        f"{size['pairs']}",
        load,
    ]
    return "| " + " | ".join(cells) + " |"


def _verdict(sizes: list[dict[str, Any]]) -> str:
    ahead = [each for each in sizes if each["duckdb_times_faster_median"] < 1]
    largest = sizes[-1]
    if ahead:
        return f"On this machine Spark is ahead from **{ahead[0]['rows']:,}** lines on."
    ratios = [each["duckdb_times_faster_median"] for each in sizes]
    trend = ""
    if len(ratios) > 1:
        moved = "narrows" if ratios[-1] < ratios[0] else "does not narrow"
        trend = f" The distance {moved} as the data grow, from {ratios[0]:.1f} to {ratios[-1]:.1f}."
    return (
        f"Up to **{largest['rows']:,}** lines, the largest size measured, DuckDB is faster on the "
        f"same cores.{trend} Where Spark overtakes it on this machine was not reached, so it is "
        "not stated."
    )
