"""Customers -> answers, in the form that was asked in."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import to_json

from segmentation.deliver.api.bodies import Customers
from segmentation.deliver.api.contract import MAX_ROWS
from segmentation.deliver.api.problems import FieldError, Problem
from segmentation.deliver.api.store import Serving
from segmentation.segments.model import Assignment

ANSWER_COLUMNS = (
    "customer_id",
    "segment_type",
    "cluster",
    "segment",
    "margin",
    "is_anomaly",
    "anomaly_reasons",
)


def assign(serving: Serving, customers: Customers) -> Assignment:
    """Assign the customers of a request.

    Raises
    ------
    Problem
        422 where a customer belongs to a group that the model was not fitted on.
    """
    kinds = kinds_of(serving, customers)
    unknown = np.flatnonzero(~np.isin(kinds, list(serving.model.groups)))
    if len(unknown):
        groups = ", ".join(serving.contract.groups)
        errors = [FieldError(f"/customers/{row}", f"accepted groups: {groups}") for row in unknown]
        raise Problem(422, f"{len(unknown):,} customer(s) belong to a group unknown here.", errors)
    return serving.model.assign_values(customers.values, kinds)


def kinds_of(serving: Serving, customers: Customers) -> np.ndarray:
    """``segment_type`` of each customer, by the run's own split."""
    model = serving.model
    if customers.kinds is not None:
        return np.array(customers.kinds, dtype=object)
    if "register_to_order" in model.features:
        days = customers.values[:, model.features.index("register_to_order")]
        return model.group_by_registration(days)
    return np.full(len(customers.ids), next(iter(model.groups)), dtype=object)


@dataclass
class Answer:
    """What a request is answered with, and what the metrics count of it."""

    content: bytes
    content_type: str
    anomalies: int
    extrapolated: int


def answer(serving: Serving, customers: Customers, *, distances: bool) -> Answer:
    """The answer, customers in the order asked.

    Extras are given only where they say something: ``extrapolated`` names the features
    beyond every fitted value, ``distances`` is given on request. NDJSON and CSV hold more
    customers than memory should be asked for at once; they are assigned part by part.
    """
    parts, anomalies, extrapolated, content_type = [], 0, 0, ""
    for start in range(0, len(customers.ids), MAX_ROWS):
        part = customers.part(slice(start, start + MAX_ROWS))
        found = assign(serving, part)
        content, content_type = _written(
            serving, part, found, distances=distances, with_header=start == 0
        )
        parts.append(content)
        anomalies += int(found.is_anomaly.sum())
        extrapolated += int(found.outside.any(axis=1).sum())
    return Answer(b"".join(parts), content_type, anomalies, extrapolated)


def _written(
    serving: Serving, customers: Customers, found: Assignment, *, distances: bool, with_header: bool
) -> tuple[bytes, str]:
    columns = answer_columns(serving, customers, found, distances=distances)
    if customers.form == "columns":
        document = {"model": serving.reference, "columns": columns}
        return to_json(document, inf_nan_mode="null"), "application/json"
    if customers.form == "csv":
        return _csv(columns, with_header=with_header), "text/csv; charset=utf-8"
    extrapolated = columns.pop("extrapolated")
    names = tuple(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for row in np.flatnonzero(found.outside.any(axis=1)).tolist():
        rows[row]["extrapolated"] = extrapolated[row]
    if customers.form == "ndjson":
        lines = [to_json(row, inf_nan_mode="null") for row in rows]
        return b"\n".join(lines) + b"\n", "application/x-ndjson"
    whole = {"model": serving.reference, "customers": rows}
    return to_json(whole, inf_nan_mode="null"), "application/json"


def answer_columns(
    serving: Serving, customers: Customers, found: Assignment, *, distances: bool
) -> dict[str, list[Any]]:
    """The answer as columns of plain values."""
    columns: dict[str, list[Any]] = dict(
        zip(
            ANSWER_COLUMNS,
            (
                customers.ids,
                found.segment_type.tolist(),
                found.cluster.tolist(),
                found.segment.tolist(),
                found.margin.tolist(),
                found.is_anomaly.tolist(),
                found.reasons.tolist(),
            ),
            strict=True,
        )
    )
    if distances:
        columns["distances"] = [
            [value for value in row if value == value] for row in found.distances.tolist()
        ]
    columns["extrapolated"] = _outside_names(serving, found)
    return columns


def _outside_names(serving: Serving, found: Assignment) -> list[list[str]]:
    named: list[list[str]] = [[]] * len(found.cluster)
    features = serving.model.features
    for row in np.flatnonzero(found.outside.any(axis=1)).tolist():
        named[row] = [features[place] for place in np.flatnonzero(found.outside[row])]
    return named


def _csv(columns: dict[str, list[Any]], *, with_header: bool) -> bytes:
    columns["extrapolated"] = [" ".join(names) for names in columns["extrapolated"]]
    if "distances" in columns:
        columns["distances"] = [" ".join(map(repr, row)) for row in columns["distances"]]
    columns["margin"] = ["" if value != value else repr(value) for value in columns["margin"]]
    columns["is_anomaly"] = ["true" if flag else "false" for flag in columns["is_anomaly"]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if with_header:
        writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().encode()
