"""Customers in a file -> segments table, with a run's model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from segmentation.atomic import atomic_path
from segmentation.engine import DuckDbEngine
from segmentation.errors import OutputError, SourceError, first_three
from segmentation.model import load_model
from segmentation.stage_cache import write_parquet


def score_file(model_folder: Path, customers: Path, output: Path) -> int:
    """Assign every customer of a CSV or Parquet file and write the segments table.

    Returns
    -------
    int
        Number of customers assigned.

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
    return len(segments)


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
