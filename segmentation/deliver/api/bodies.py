"""Request bodies -> customers as numbers: JSON rows, JSON columns, NDJSON and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from pydantic import ValidationError

from segmentation.deliver.api.contract import MAX_BULK_ROWS, MAX_ID_LENGTH, MAX_ROWS, Contract
from segmentation.deliver.api.problems import MAX_LISTED, FieldError, Problem
from segmentation.deliver.api.strict_json import (
    holds_more_values,
    parse,
    problem_of,
    refuse_repeated_keys,
)

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
MAX_RECORD = 1000
"""Values of one customer, by far; an id may hold 200 commas or line breaks."""
BLOCK = 4096
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_VISIBLE = re.compile(r"[^\x00-\x20\x7f-\xa0]")


@dataclass(frozen=True)
class Customers:
    """Customers of one request.

    Attributes
    ----------
    ids : list of str
    values : array of shape (n_customers, n_features)
        In the order of the model's features; NaN = never registered.
    kinds : list of str or None
        ``segment_type`` where the model has to be told.
    form : str
        ``rows``, ``columns``, ``ndjson`` or ``csv``: answers come in the same form.
    """

    ids: list[str]
    values: np.ndarray
    kinds: list[str] | None
    form: str

    def part(self, rows: slice) -> Customers:
        """Some of them."""
        kinds = self.kinds[rows] if self.kinds is not None else None
        return Customers(self.ids[rows], self.values[rows], kinds, self.form)


def read_customers(media_type: str, body: bytes, contract: Contract) -> Customers:
    """Customers of a request's body, checked to the last value.

    Raises
    ------
    Problem
        4xx: what is wrong, where, and what is accepted.
    """
    if media_type == NDJSON:
        return _from_ndjson(body, contract)
    if media_type == CSV:
        return _from_csv(body, contract)
    by_columns = _first_key(body) == b"columns"
    value = parse(
        contract.table if by_columns else contract.rows,
        body,
        accepted=contract_words(contract),
        most_values=(MAX_ROWS + 1) * (len(contract.columns) + 1),
    )
    if by_columns:
        return _from_columns(value, contract)
    return _from_rows(value["customers"], contract)


def contract_words(contract: Contract) -> Any:
    """Words for what a field of the contract accepts, by its name."""

    def accepted(name: str) -> str:
        if name in contract.columns:
            return contract.accepted(name)
        if name in ("customers", "columns", ""):
            return '{"customers": [...]} or {"columns": {...}} with ' + ", ".join(contract.columns)
        return ", ".join(contract.columns)

    return accepted


def _first_key(body: bytes) -> bytes:
    found = re.match(rb'\s*\{\s*"([a-z]{1,20})"', body[:200])
    return found.group(1) if found else b""


def _from_rows(rows: list[dict[str, Any]], contract: Contract) -> Customers:
    values = np.empty((len(rows), len(contract.features)))
    for place, name in enumerate(contract.features):
        values[:, place] = [row[name] for row in rows]  # None becomes NaN
    kinds = [row["segment_type"] for row in rows] if contract.needs_segment_type else None
    return Customers([row["customer_id"] for row in rows], values, kinds, "rows")


def _from_columns(value: dict[str, Any], contract: Contract) -> Customers:
    columns = value["columns"]
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        n_ids = lengths["customer_id"]
        errors = [
            FieldError(f"/columns/{name}", "must be as long as customer_id")
            for name, length in lengths.items()
            if length != n_ids
        ]
        raise Problem(422, "the columns are not of one length.", errors)
    values = np.array([columns[name] for name in contract.features], dtype=np.float64).T
    return Customers(columns["customer_id"], values, columns.get("segment_type"), "columns")


def _from_ndjson(body: bytes, contract: Contract) -> Customers:
    n_rows = body.count(b"\n") + bool(body[body.rfind(b"\n") + 1 :].strip())
    _check_count(n_rows)
    ids: list[str] = []
    kinds: list[str] = []
    values = np.empty((n_rows, len(contract.features)))
    errors: list[FieldError] = []
    count = 0
    accepted = contract_words(contract)
    for number, line in zip(range(n_rows), io.BytesIO(body), strict=False):
        if holds_more_values(line, MAX_RECORD):
            raise Problem(413, f"line {number + 1} holds more values than a customer has.")
        try:
            row = contract.row.validate_json(line, strict=True)
            refuse_repeated_keys(line, row)
        except ValidationError as error:
            if len(errors) == MAX_LISTED and error.error_count() > 1:
                count += error.error_count()
                continue
            problem = problem_of(error, accepted=accepted, before=(number,))
            if problem.status == 400:
                raise problem from None
            count += problem.error_count or 1
            errors += problem.errors[: MAX_LISTED - len(errors)]
            continue
        ids.append(row["customer_id"])
        values[number] = [row[name] for name in contract.features]
        if contract.needs_segment_type:
            kinds.append(row["segment_type"])
    if count:
        raise Problem(422, f"{count:,} value(s) are not accepted.", errors, error_count=count)
    return Customers(ids, values, kinds if contract.needs_segment_type else None, "ndjson")


def _check_count(n_rows: int) -> None:
    if n_rows == 0:
        raise Problem(422, "there is no customer in the body; give at least one.")
    if n_rows > MAX_BULK_ROWS:
        raise Problem(
            413, f"there are more than {MAX_BULK_ROWS:,} customers; send them in several requests."
        )


def _from_csv(body: bytes, contract: Contract) -> Customers:
    mistakes = _Mistakes(contract)
    ids: list[str] = []
    kinds: list[str] = []
    values: list[np.ndarray] = []
    ragged: list[int] = []
    n_rows = 0
    try:
        records = _csv_records(body)
        header = next(records, [])
        if sorted(header) != sorted(contract.columns):
            said = f"the first line must name each of {', '.join(contract.columns)} once."
            raise Problem(422, said)
        while block := list(islice(records, BLOCK)):
            mistakes.first_row = n_rows
            ragged += [n for n, row in enumerate(block, n_rows) if len(row) != len(header)]
            n_rows += len(block)
            _check_count(n_rows)
            if ragged:
                continue
            columns = dict(zip(header, zip(*block, strict=True), strict=True))
            ids += mistakes.texts("customer_id", columns["customer_id"])
            if contract.needs_segment_type:
                kinds += mistakes.kinds(columns["segment_type"])
            numbers = [mistakes.numbers(name, columns[name]) for name in contract.features]
            values.append(np.column_stack(numbers))
    except (UnicodeDecodeError, csv.Error):
        raise Problem(400, "the body is not CSV text in UTF-8 (or a quote is open).") from None
    _check_count(n_rows)
    if ragged:
        errors = [
            FieldError(f"/{n}", f"must have {len(header)} fields") for n in ragged[:MAX_LISTED]
        ]
        raise Problem(422, f"{len(ragged):,} line(s) are ragged.", errors, error_count=len(ragged))
    mistakes.raise_if_any()
    named = kinds if contract.needs_segment_type else None
    return Customers(ids, np.concatenate(values), named, "csv")


def _csv_records(body: bytes) -> Iterator[list[str]]:
    """Records one by one; one that is too long to be a customer's is not read to its end."""
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        for line in io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline=""):
            length += 1 + line.count(",")
            if length > MAX_RECORD:
                raise Problem(413, "a line of the body holds more values than a customer has.")
            if "\x00" in line:
                raise csv.Error("NUL")
            yield line

    for record in csv.reader(lines(), strict=True):
        length = 0
        yield record


class _Mistakes:
    """Collects what is wrong in the columns of a CSV body, block by block."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.first_row = 0
        self.found: list[FieldError] = []
        self.count = 0

    def _note(self, name: str, rows: list[int]) -> None:
        self.count += len(rows)
        said = f"accepted: {self.contract.accepted(name)}"
        self.found += [
            FieldError(f"/{self.first_row + row}/{name}", said)
            for row in rows[: MAX_LISTED - len(self.found)]
        ]

    def texts(self, name: str, column: tuple[str, ...]) -> list[str]:
        """Customer ids."""
        good = [len(text) <= MAX_ID_LENGTH and bool(_VISIBLE.search(text)) for text in column]
        self._note(name, [row for row, ok in enumerate(good) if not ok])
        return list(column)

    def kinds(self, column: tuple[str, ...]) -> list[str]:
        """Groups."""
        known = set(self.contract.groups)
        self._note("segment_type", [row for row, kind in enumerate(column) if kind not in known])
        return list(column)

    def numbers(self, name: str, column: tuple[str, ...]) -> np.ndarray:
        """Numbers in JSON's own notation; an empty field is null."""
        bounds = self.contract.bounds[name]
        written = [
            text if _NUMBER.fullmatch(text) else ("nan" if not text and bounds.nullable else None)
            for text in column
        ]
        wrong = [row for row, text in enumerate(written) if text is None]
        values = np.array([float(text or 0) for text in written])
        beyond = (values < bounds.low) | (values > bounds.high)
        if bounds.high_excluded:
            beyond |= values == bounds.high
        beyond[wrong] = True
        self._note(name, np.flatnonzero(beyond).tolist())
        return values

    def raise_if_any(self) -> None:
        """Refuse the body if anything was noted."""
        if self.count:
            said = f"{self.count:,} value(s) are not accepted."
            raise Problem(422, said, self.found, error_count=self.count)
