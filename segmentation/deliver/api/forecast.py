"""Customers -> what each is expected to do next, or whom to call first, in the form asked in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
from pydantic_core import to_json

from segmentation.core.errors import ModelError
from segmentation.deliver.api.bodies import Customers
from segmentation.deliver.api.contract import CALL_FIRST, FORECAST
from segmentation.deliver.api.problems import MAX_LISTED, FieldError, Problem
from segmentation.deliver.api.store import Serving
from segmentation.segments.forecast import value_at_risk

ANSWER_COLUMNS = ("customer_id", "chance", "expected_orders", "expected_value", "outcome_days")
CALL_COLUMNS = ("customer_id", "value_at_risk", "chance_before", "chance", "outcome_days")


def forecast(serving: Serving, customers: Customers) -> tuple[bytes, str]:
    """Body and content type of the answer, customers in the order asked.

    Raises
    ------
    Problem
        404 where the model forecasts nobody, with the reason; 422 where a last order lies before
        the first.
    """
    found = [column.tolist() for column in _expected(serving, customers)]
    return _answered(serving, customers.form, ANSWER_COLUMNS, [customers.ids, *found])


def call_first(serving: Serving, customers: Customers) -> tuple[bytes, str]:
    """Those who may be lost, who have most to lose first; nobody else is in the answer.

    What is at risk is what the run's list ranks by (`value_at_risk`); whom a test leaves alone,
    and what a call costs, the caller knows.
    """
    chance, _, _ = _expected(serving, customers)
    frequency, spent, before = (
        customers.values[:, CALL_FIRST.features.index(name)]
        for name in ("frequency", "total_spent", "chance_before")
    )
    risk = value_at_risk(spent / frequency, before, chance)
    order = [row for row in np.argsort(-risk, kind="stable").tolist() if risk[row] > 0]
    found = [column[order].tolist() for column in (risk, before, chance)]
    ids = [customers.ids[row] for row in order]
    return _answered(serving, customers.form, CALL_COLUMNS, [ids, *found])


def _expected(serving: Serving, customers: Customers) -> tuple[np.ndarray, ...]:
    recency, frequency, tenure, spent = customers.values[:, : len(FORECAST.features)].T
    try:
        known = np.column_stack([np.minimum(recency, tenure), frequency, tenure, spent])
        found = serving.model.forecast(known)
    except ModelError as error:
        raise Problem(404, str(error)) from None
    if (early := np.flatnonzero(recency > tenure)).size:
        errors = [
            FieldError(f"/customers/{row}/recency", "must not be above tenure")
            for row in early[:MAX_LISTED].tolist()
        ]
        said = f"{early.size:,} customer(s) ordered last before they ordered first."
        raise Problem(422, said, errors, error_count=early.size)
    return found


def _answered(
    serving: Serving, form: str, names: Sequence[str], known: Sequence[Sequence[object]]
) -> tuple[bytes, str]:
    days = serving.model.info["forecast"]["outcome_days"]
    values = [*known, [days] * len(known[0])]
    if form == "columns":
        columns = dict(zip(names, values, strict=True))
        return to_json({"model": serving.reference, "columns": columns}), "application/json"
    rows = zip(*values, strict=True)
    if form == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([names, *rows])
        return out.getvalue().encode(), "text/csv; charset=utf-8"
    named = [dict(zip(names, row, strict=True)) for row in rows]
    if form == "ndjson":
        return b"".join(to_json(row) + b"\n" for row in named), "application/x-ndjson"
    return to_json({"model": serving.reference, "customers": named}), "application/json"
