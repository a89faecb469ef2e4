"""Two run folders -> what changed, in words for a terminal and in files for the next step."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.actions.compare import Comparison, compare, customer_movements
from segmentation.actions.matching import RunResult
from segmentation.core.columns import amount_scale
from segmentation.core.errors import ParameterError, SourceError, in_one_sentence
from segmentation.core.guarded_csv import write_guarded_csv
from segmentation.core.limits import QUARTER_DAYS
from segmentation.core.own_folders import COMPARISON, refuse_foreign
from segmentation.core.parameters import load_yaml, resolve_path
from segmentation.core.placing import new_folder
from segmentation.orders.days_unsure import LOOK_EXCHANGED
from segmentation.run.run import Run
from segmentation.segments.model import load_model

OTHER_OUTPUT = "give --output a new folder"


@dataclass(frozen=True)
class Changes:
    """What a report says about an earlier run: ``with_what`` in words, and the comparison.

    ``comparison`` is missing where there is nothing to compare with, and ``with_what`` then
    says why.
    """

    with_what: str
    comparison: Comparison | None


def open_changes(run: Run, previous_run: str = "") -> Changes:
    """Compare a report's run with an earlier one.

    Parameters
    ----------
    previous_run : str
        Folder of the earlier run. Left out, the same report is computed on the same data
        as they were known 90 days before its last day of observation, so that even a
        first report can say who moved.

    Raises
    ------
    SourceError, ModelError
        If ``previous_run`` names a folder that is no intact run.
    """
    later = result_of(run)
    if previous_run:
        earlier = read_run(resolve_path(previous_run))
        return Changes(f"the earlier run {Path(previous_run).name}", compare(earlier, later))
    if run.own_labels is not None:
        return Changes("the segments are labels of your own, and nobody had them earlier", None)
    if run["days_unsure"]:
        return Changes(LOOK_EXCHANGED, None)
    overview = run["overview"]
    if overview["as_of"] is None:
        return Changes("the source has no order dates, so nothing earlier is known", None)
    day = dt.date.fromisoformat(overview["as_of"]) - dt.timedelta(days=QUARTER_DAYS)
    if day <= dt.date.fromisoformat(overview["first_order"]):
        return Changes(f"the data begin less than {QUARTER_DAYS} days before their end", None)
    try:
        earlier = result_of(_earlier(run, day))
    except SourceError as error:
        return Changes(f"{QUARTER_DAYS} days earlier no report is possible: {error}", None)
    return Changes(
        f"the same report as of {day.isoformat()}, {QUARTER_DAYS} days earlier",
        compare(earlier, later),
    )


def result_of(run: Run) -> RunResult:
    """What a comparison needs of a run."""
    return RunResult(run["customers"], run["model"], run["overview"]["amount_scale"])


def _earlier(run: Run, day: dt.date) -> Run:
    changed: dict[str, object] = {"as_of": day}
    if run.parameters.n_clusters != "auto":
        changed["k_max"] = 2  # other numbers of clusters are not looked at
    parameters = run.parameters.model_copy(update=changed)
    return Run(parameters, run.cache.root.parent, snapshot=run.snapshot)


def read_run(folder: Path) -> RunResult:
    """A finished run, checked to hold exactly the money of its own profile.

    Raises
    ------
    SourceError, ModelError
        If the folder is no run, or a file in it is missing, damaged or of another run.
    """
    try:
        features = _table(folder / "features.parquet")
        segments = _table(folder / "segments.parquet")
        profile = pd.read_csv(folder / "profile.csv", dtype={"revenue": str})
        revenue = [Decimal(text) for text in profile["revenue"]]
    except FileNotFoundError as error:
        name = Path(error.filename or "").name
        raise SourceError(f"{folder}: is no run's folder (it has no {name}).") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, InvalidOperation) as error:
        raise SourceError(f"{folder}: is damaged: {in_one_sentence(error)}") from None
    if not features["customer_id"].equals(segments["customer_id"]):
        raise SourceError(f"{folder}: features and segments list other customers; run again.")
    customers = features.drop(columns="segment_type").join(
        segments[["segment_type", "cluster", "segment"]]
    )
    scale = amount_scale(pd.Series(revenue, dtype=object))
    result = RunResult(customers, load_model(folder / "model"), scale)
    _check_money(result, sum(revenue, Decimal(0)), folder)
    return result


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(2, "missing", str(path))
    return pq.read_table(path, page_checksum_verification=True).to_pandas()


def _check_money(run: RunResult, revenue: Decimal, folder: Path) -> None:
    minor = (run.customers["total_spent"] * 10**run.amount_scale).round().astype("int64").sum()
    if Decimal(int(minor)).scaleb(-run.amount_scale) != revenue:
        raise SourceError(
            f"{folder}: profile.csv holds {revenue}, its customers {minor} minor units; run again."
        )


def parameters_that_differ(before: Path, after: Path) -> list[str]:
    """Names of parameters that two runs do not share; a change of method is no movement."""
    values = []
    for folder in (before, after):
        try:
            values.append(load_yaml(folder / "params.yaml"))
        except ParameterError:
            return []
    names = dict.fromkeys([*values[0], *values[1]])
    return [name for name in names if values[0].get(name) != values[1].get(name)]


@dataclass(frozen=True)
class Compared:
    """Two run folders compared: what changed, the later one's currency, parameters that differ."""

    changes: Comparison
    currency: str
    differing: list[str]


def compare_folders(
    before: Path, after: Path, *, output: Path | None = None, raw_values: bool = False
) -> Compared:
    """Compare two run folders; files are written where asked.

    Those are guarded against spreadsheets that run formulas, unless ``raw_values`` are asked for.

    Returns
    -------
    Compared
        Who moved, in customers and money; drift; whether to refit. No customer id.
    """
    if output is not None:
        refuse_foreign(output, COMPARISON, OTHER_OUTPUT)
    earlier, later = read_run(before), read_run(after)
    changes = compare(earlier, later)
    if output is not None:
        moved = customer_movements(earlier, later, changes.matching)
        _write(changes, moved, output, raw_values=raw_values)
    return Compared(changes, _currency(after), parameters_that_differ(before, after))


def _currency(folder: Path) -> str:
    try:
        return str(load_yaml(folder / "params.yaml")["currency"])
    except (ParameterError, KeyError):
        return ""


def _write(changes: Comparison, customers: pd.DataFrame, output: Path, *, raw_values: bool) -> None:
    with new_folder(output, COMPARISON, OTHER_OUTPUT) as working:
        tables = {
            "matching": changes.matching,
            "migration": changes.migration,
            "drift": changes.drift,
            "customers": customers,
        }
        for name, table in tables.items():
            write_guarded_csv(table, working / f"{name}.csv", raw_values=raw_values)
        summary = {
            "verdict": changes.verdict,
            "reasons": list(changes.reasons),
            "agreement": None if pd.isna(changes.agreement) else changes.agreement,
            "not_assignable": changes.not_assignable,
        }
        text = json.dumps(summary, indent=2) + "\n"
        (working / "comparison.json").write_text(text, encoding="utf-8")
