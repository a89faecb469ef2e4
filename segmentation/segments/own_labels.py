"""Labels of the analyst's own in the place of K-Means: read, checked and put into clusters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.core.guarded_csv import unguarded_ids
from segmentation.core.parameter_fields import MOST_CLUSTERS, NONE
from segmentation.core.parameters import Parameters, resolve_path
from segmentation.core.rule_files import is_name
from segmentation.segments.distances import centre_distances
from segmentation.segments.kmeans import Clustering, number_by_spend
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RawFiles

OWN_LABELS = "own_labels"
COLUMNS = ("customer_id", "label")


def read_labels(parameters: Parameters) -> pd.DataFrame | None:
    """Customers and their labels as a file has them; None where K-Means makes the segments.

    Whole numbers name nothing, so their segments are named by the rules; any other label is
    the name of its segment.

    Raises
    ------
    ParameterError, SourceError
        In one sentence: how many, the first three, and where to mend it.
    """
    if parameters.own_labels == NONE:
        return None
    called = f"{OWN_LABELS} {parameters.own_labels}"
    if parameters.fit_on != "all":
        raise ParameterError(f"{called}: every customer has a label; give fit_on: all.")
    path = resolve_path(parameters.own_labels)
    if not path.is_file():
        raise ParameterError(f"{called}: no such file.")
    with tempfile.TemporaryDirectory() as scratch:
        engine = DuckDbEngine(RawFiles(Path(scratch)), scratch=Path(scratch))
        try:
            engine.bind_file(OWN_LABELS, path)
            table = engine.query("SELECT * FROM own_labels")
        finally:
            engine.files.close()
            engine.close()
    if lacking := [name for name in COLUMNS if name not in table]:
        raise SourceError(f"{called}: lacks the column {first_three(lacking)}; add it there.")
    return _checked(table[list(COLUMNS)], called)


def _checked(table: pd.DataFrame, called: str) -> pd.DataFrame:
    ids, labels = (_as_text(table[name]) for name in COLUMNS)
    ids = unguarded_ids(ids)
    if (empty := (ids == "") | (labels == "")).any():
        raise SourceError(
            f"{called}: {int(empty.sum()):,} row(s) lack customer_id or label "
            f"({first_three((ids + ', ' + labels)[empty])}); fill or remove them there."
        )
    if (twice := ids.duplicated()).any():
        raise SourceError(
            f"{called}: {ids[twice].nunique():,} customer(s) are listed more than once "
            f"({first_three(ids[twice])}); keep one row each there."
        )
    different = labels.drop_duplicates()
    if not 2 <= len(different) <= MOST_CLUSTERS:
        raise SourceError(
            f"{called}: has {len(different):,} different label(s) ({first_three(different)}); "
            f"write 2 to {MOST_CLUSTERS} there."
        )
    if different.str.fullmatch(r"-?\d{1,15}").all():
        labels = labels.astype("int64")
    else:
        for name in different:
            try:
                is_name(name)
            except ValueError as error:
                raise SourceError(f"{called}: label {name[:80]!r} is no name: {error}.") from None
    read = pd.DataFrame({"customer_id": ids, "label": labels})
    return read.sort_values("customer_id", ignore_index=True)


def _as_text(column: pd.Series) -> pd.Series:
    """Values as texts; a whole number that a program keeps as 2.0 is 2."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype("string").fillna("").str.strip().astype(object)


def in_order_of(customers: pd.Series, labels: pd.DataFrame) -> np.ndarray:
    """Label of each customer of a run.

    Raises
    ------
    SourceError
        If a label belongs to nobody, or somebody has none.
    """
    nobodys = labels["customer_id"][~labels["customer_id"].isin(customers)]
    if len(nobodys):
        raise SourceError(
            f"{OWN_LABELS}: {len(nobodys):,} of {len(labels):,} customer ids match no customer of "
            f"the run ({first_three(nobodys)}); write them there as features.parquet of a run "
            "does, or remove them."
        )
    without = customers[~customers.isin(labels["customer_id"])]
    if len(without):
        raise SourceError(
            f"{OWN_LABELS}: {len(without):,} of {len(customers):,} customers have no label "
            f"({first_three(without)}); add them there."
        )
    return labels.set_index("customer_id")["label"].loc[customers].to_numpy()


def cluster_by(
    prepared: np.ndarray, total_spent: np.ndarray, labels: np.ndarray
) -> tuple[Clustering, dict[int, str] | None]:
    """Labels as the clusters of one group, and their names where they are words.

    Centres are means in prepared space; clusters are numbered by ascending mean spend.

    Examples
    --------
    >>> spent = np.array([9.0, 1.0, 5.0])
    >>> found, names = cluster_by(spent[:, None], spent, np.array(["b", "a", "b"], dtype=object))
    >>> found.labels.tolist(), found.centers.tolist(), names
    ([1, 0, 1], [[1.0], [7.0]], {0: 'a', 1: 'b'})
    """
    found, labelled = np.unique(labels, return_inverse=True)
    centers = np.array([prepared[labelled == one].mean(axis=0) for one in range(len(found))])
    order = number_by_spend(labelled, total_spent, centers)
    numbered, centers = np.argsort(order)[labelled], centers[order]
    inertia = float(((prepared - centers[numbered]) ** 2).sum())
    words = labels.dtype == object
    names = dict(enumerate(found[order].tolist())) if words else None
    return Clustering(numbered, centers, inertia), names


def margin_of(prepared: np.ndarray, fit: Clustering) -> np.ndarray:
    """How much nearer the own centre is than any other: 1 - d1/d2, and 0 where it is not nearer.

    Examples
    --------
    >>> fit = Clustering(np.array([0, 0]), np.array([[0.0], [4.0]]), 0.0)
    >>> margin_of(np.array([[1.0], [3.0]]), fit).round(2).tolist()
    [0.67, 0.0]
    """
    distances = centre_distances(prepared, fit.centers)
    if fit.n_clusters < 2:
        return np.full(len(prepared), np.nan)
    rows = np.arange(len(prepared))
    own = distances[rows, fit.labels]
    distances[rows, fit.labels] = np.inf
    other = distances.min(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(other > 0, 1 - own / other, 0.0).clip(0)
