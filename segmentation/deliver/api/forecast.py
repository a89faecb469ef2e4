"""Customers -> what each is expected to do next, in the form that was asked in."""

from __future__ import annotations

import csv
import io

import numpy as np
from pydantic_core import to_json

from segmentation.core.errors import ModelError
from segmentation.deliver.api.bodies import Customers
from segmentation.deliver.api.contract import FORECAST
from segmentation.deliver.api.problems import MAX_LISTED, FieldError, Problem
from segmentation.deliver.api.store import Serving

ANSWER_COLUMNS = ("customer_id", "chance", "expected_orders", "expected_value", "outcome_days")


def forecast(serving: Serving, customers: Customers) -> tuple[bytes, str]:
    """Body and content type of the answer, customers in the order asked.

    Raises
    ------
    Problem
        404 where the model forecasts nobody, with the reason; 422 where a last order lies before
        the first.
    """
    recency, tenure = (
        customers.values[:, FORECAST.features.index(n)] for n in ("recency", "tenure")
    )
    try:
        found = serving.model.forecast(customers.values)
    except ModelError as error:
        raise Problem(404, str(error)) from None
    if (early := np.flatnonzero(recency > tenure)).size:
        errors = [
            FieldError(f"/customers/{row}/recency", "must not be above tenure")
            for row in early[:MAX_LISTED].tolist()
        ]
        said = f"{early.size:,} customer(s) ordered last before they ordered first."
        raise Problem(422, said, errors, error_count=early.size)
    days = [serving.model.info["forecast"]["outcome_days"]] * len(recency)
    values = (customers.ids, *(column.tolist() for column in found), days)
    if customers.form == "columns":
        columns = dict(zip(ANSWER_COLUMNS, values, strict=True))
        return to_json({"model": serving.reference, "columns": columns}), "application/json"
    rows = zip(*values, strict=True)
    if customers.form == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([ANSWER_COLUMNS, *rows])
        return out.getvalue().encode(), "text/csv; charset=utf-8"
    named = [dict(zip(ANSWER_COLUMNS, row, strict=True)) for row in rows]
    if customers.form == "ndjson":
        return b"".join(to_json(row) + b"\n" for row in named), "application/x-ndjson"
    return to_json({"model": serving.reference, "customers": named}), "application/json"
