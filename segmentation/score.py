"""Customers in a file -> segments table, with a run's model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from segmentation.atomic import atomic_path
from segmentation.drift import (
    PSI_REFIT,
    PSI_WATCH,
    SHIFTED,
    SHIFTING,
    TOO_FEW,
    counts_between,
    finding,
    index_by_chance,
    stability_index,
)
from segmentation.engine import DuckDbEngine
from segmentation.errors import OutputError, SourceError, first_three
from segmentation.model import SegmentModel, load_model
from segmentation.schema import FEATURES, group_labels
from segmentation.stage_cache import write_parquet


@dataclass(frozen=True)
class Scored:
    """What scoring a file gave: how many customers, and how far they are from the fitted ones.

    ``drift`` has one row per group and feature: ``segment_type, feature, customers, psi,
    by_chance, finding``; none where the model keeps no distributions.
    """

    customers: int
    drift: pd.DataFrame


DRIFT_COLUMNS = ("segment_type", "feature", "customers", "psi", "by_chance", "finding")


def score_file(model_folder: Path, customers: Path, output: Path) -> Scored:
    """Assign every customer of a CSV or Parquet file and write the segments table.

    Returns
    -------
    Scored

    Raises
    ------
    ModelError, SourceError, OutputError
        In one sentence; an existing output stays as it was.
    """
    if output.suffix not in (".csv", ".parquet"):
        raise OutputError(f"--output {output.name}: its ending must be .csv or .parquet.")
    model = load_model(model_folder)
    segments = model.assign(read_customers(customers))
    with atomic_path(output) as temporary:
        if output.suffix == ".csv":
            segments.to_csv(temporary, index=False, lineterminator="\n")
        else:
            table = pa.Table.from_pandas(segments, preserve_index=False)
            write_parquet(table.replace_schema_metadata(None), temporary)
    return Scored(len(segments), drift_from(model, segments))


def drift_from(model: SegmentModel, customers: pd.DataFrame) -> pd.DataFrame:
    """How far customers have drifted from those that a model was fitted on.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        ``segment_type`` and the model's features.

    Returns
    -------
    DataFrame of `DRIFT_COLUMNS`
        ``psi`` is the population stability index; ``by_chance`` what samples of these
        sizes stay below without any drift. ``finding`` is ``stable`` below 0.1,
        ``shifting`` below 0.25, else ``shifted``, and ``too few to tell`` where chance
        alone reaches 0.1.
    """
    rows = []
    for kind, group in model.groups.items():
        own = customers[customers["segment_type"] == kind]
        for name, (edges, counts) in group.distributions.items():
            if own.empty:
                continue
            fitted = np.array(counts)
            now = counts_between(own[name].to_numpy(dtype=np.float64), np.array(edges))
            index = stability_index(fitted, now)
            bins = int(((fitted > 0) | (now > 0)).sum())
            chance = index_by_chance(int(fitted.sum()), len(own), bins=bins)
            word = TOO_FEW if chance >= PSI_WATCH else finding(index)
            rows.append((kind, name, len(own), index, chance, word))
    return pd.DataFrame(rows, columns=list(DRIFT_COLUMNS))


def drift_sentences(drift: pd.DataFrame) -> list[str]:
    """Drift for a terminal: one line per group and feature, then what to do."""
    if drift.empty:
        return ["Drift: not known, this model keeps no distributions; run again to get one."]
    labels = group_labels(drift["segment_type"])
    several = drift["segment_type"].nunique() > 1
    lines = []
    for row in drift.itertuples():
        who = f" ({labels[row.segment_type]})" if several else ""
        lines.append(
            f"Drift of {FEATURES[row.feature].label.lower()}{who}: index {row.psi:.3f}, "
            f"{row.finding} (n = {row.customers:,}; chance alone reaches {row.by_chance:.3f})."
        )
    found = set(drift["finding"])
    if SHIFTED in found:
        lines.append(f"Refit: a feature has an index of {PSI_REFIT} or more.")
    elif SHIFTING in found:
        lines.append(f"Watch: a feature has an index of {PSI_WATCH} or more.")
    elif found == {TOO_FEW}:
        lines.append("Too few customers to tell whether they have drifted.")
    else:
        lines.append(f"Keep the model: no feature has an index of {PSI_WATCH} or more.")
    return lines


def read_customers(path: Path) -> pd.DataFrame:
    """Customers of a CSV or Parquet file, ids as text.

    Raises
    ------
    SourceError
        If the file is missing, of another kind, or not readable as a table.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    if path.suffix not in (".csv", ".parquet"):
        raise SourceError(f"{path.name}: give a .csv or .parquet file of customers.")
    engine = DuckDbEngine()
    try:
        engine.bind_file("customers", path)
        table = engine.query("SELECT * FROM customers")
    finally:
        engine.close()
    if "customer_id" in table.columns:
        _check_ids(table["customer_id"], path.name)
        table["customer_id"] = table["customer_id"].astype(str)
    return table


def _check_ids(ids: pd.Series, name: str) -> None:
    blank = ids.isna() | (ids.astype(str).str.strip() == "")
    if blank.any():
        rows = first_three(f"row {row + 1:,}" for row in np.flatnonzero(blank))
        raise SourceError(
            f"{name}: {int(blank.sum()):,} customer(s) have no customer_id ({rows}); "
            "give every row one."
        )
    twice = ids[ids.duplicated()].drop_duplicates()
    if len(twice):
        raise SourceError(
            f"{name}: {len(twice):,} customer(s) are listed more than once "
            f"({first_three(twice)}); give one row per customer."
        )
