"""Customers in a file -> segments table, with a run's model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.core.atomic import atomic_path, refuse_existing, scratch_folder
from segmentation.core.columns import FEATURES
from segmentation.core.drift import (
    SHIFTED,
    SHIFTING,
    TOO_FEW,
    counts_between,
    finding,
    index_by_chance,
    stability_index,
)
from segmentation.core.errors import OutputError, SourceError
from segmentation.core.groups import group_labels
from segmentation.core.limits import PSI_REFIT, PSI_WATCH
from segmentation.deliver.score_parts import assigned_parts, write_parts
from segmentation.segments.model import SegmentModel, load_model
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RawFiles


@dataclass(frozen=True)
class Scored:
    """What scoring a file gave: how many customers, and how far they are from the fitted ones.

    ``drift`` has one row per group and feature: ``segment_type, feature, customers, psi,
    by_chance, finding``; none where the model keeps no distributions.
    """

    customers: int
    drift: pd.DataFrame


DRIFT_COLUMNS = ("segment_type", "feature", "customers", "psi", "by_chance", "finding")


def score_file(
    model_folder: Path,
    customers: Path,
    output: Path,
    *,
    raw_values: bool = False,
    replace: bool = False,
) -> Scored:
    """Assign every customer of a CSV or Parquet file and write the segments table.

    Customers pass through part by part, so that memory does not grow with the file. A CSV
    file is guarded against spreadsheets that run formulas, unless ``raw_values`` are asked for.

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
    if not replace:
        refuse_existing(output)
    model = load_model(model_folder, to_export=True)
    if not customers.is_file():
        raise SourceError(f"{customers}: no such file.")
    if customers.suffix not in (".csv", ".parquet"):
        raise SourceError(f"{customers.name}: give a .csv or .parquet file of customers.")
    drift = DriftCounts(model)
    with scratch_folder(output) as scratch, atomic_path(output, replace=replace) as temporary:
        engine = DuckDbEngine(RawFiles(scratch), scratch=scratch)
        try:
            engine.bind_file("customers", customers)
            parts = map(drift.counted, assigned_parts(engine, model, customers.name))
            count = write_parts(parts, temporary, output.suffix, raw_values=raw_values)
            engine.check_unchanged()
        finally:
            engine.files.close()
            engine.close()
    return Scored(count, drift.table())


class DriftCounts:
    """Customers counted into the bins of a model's distributions, part by part."""

    def __init__(self, model: SegmentModel) -> None:
        self.model = model
        self._found: dict[tuple[str, str], np.ndarray] = {}
        self._customers: dict[str, int] = {}

    def counted(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Count more customers; the same table, for a chain."""
        for kind, group in self.model.groups.items():
            own = customers[customers["segment_type"] == kind]
            self._customers[kind] = self._customers.get(kind, 0) + len(own)
            for name, (edges, _) in group.distributions.items():
                now = counts_between(own[name].to_numpy(dtype=np.float64), np.array(edges))
                self._found[kind, name] = self._found.get((kind, name), 0) + now
        return customers

    def table(self) -> pd.DataFrame:
        """How far those counted have drifted from those that the model was fitted on.

        Returns
        -------
        DataFrame of `DRIFT_COLUMNS`
            ``psi`` is the population stability index; ``by_chance`` what samples of these
            sizes stay below without any drift. ``finding`` is ``stable`` below 0.1,
            ``shifting`` below 0.25, else ``shifted``, and ``too few to tell`` where chance
            alone reaches 0.1.
        """
        rows = []
        for (kind, name), now in self._found.items():
            size = self._customers[kind]
            if not size:
                continue
            fitted = np.array(self.model.groups[kind].distributions[name][1])
            index = stability_index(fitted, now)
            bins = int(((fitted > 0) | (now > 0)).sum())
            chance = index_by_chance(int(fitted.sum()), size, bins=bins)
            word = TOO_FEW if chance >= PSI_WATCH else finding(index)
            rows.append((kind, name, size, index, chance, word))
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
        lines.append(
            f"Look before you go on: a feature has an index of {PSI_REFIT} or more. Run the profile "
            "again; `segmentation compare` says who would move, and whether to refit."
        )
    elif SHIFTING in found:
        lines.append(f"Watch: a feature has an index of {PSI_WATCH} or more.")
    elif found == {TOO_FEW}:
        lines.append("Too few customers to tell whether they have drifted.")
    else:
        lines.append(f"Keep the model: no feature has an index of {PSI_WATCH} or more.")
    return lines
