"""Strict JSON: pydantic on the raw bytes, and no key twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from segmentation.deliver.api.problems import MAX_LISTED, FieldError, Problem

_SPEAKABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not of the accepted form",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "less_than": "is too large",
    "too_long": "has too many entries",
    "too_short": "has too few entries",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "date_from_datetime_parsing": "must be a date, YYYY-MM-DD",
    "date_parsing": "must be a date, YYYY-MM-DD",
    "date_type": "must be a date, YYYY-MM-DD",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "literal_error": "is not one of the accepted words",
}
Accepted = Callable[[str], str]
_PIECE = 1 << 20
_FEW = 1000
"""Values that a body may hold whatever they are."""


def parse(
    adapter: TypeAdapter[Any],
    body: bytes,
    *,
    accepted: Accepted,
    most_values: int,
    most_keys: int | None = None,
) -> Any:
    """Value of a JSON body, validated.

    Parameters
    ----------
    adapter : TypeAdapter
        Of closed TypedDicts, so that every key is known after validation.
    body : bytes
        As received.
    accepted : function of a field's name
        Words for what the field accepts, or an empty string.
    most_values : int
        More values than any body that is accepted holds; their objects are not made.
    most_keys : int or None
        The same for the keys of one object, on the average; every wrong one is a mistake
        that has to be held.

    Raises
    ------
    Problem
        413 where there are more values, 400 where the body is no JSON (not UTF-8, truncated, nested too deeply, a key
        given twice), 422 where it is JSON of another shape.
    """
    if holds_more_values(body, most_values) or _has_swollen_objects(body, most_keys):
        raise Problem(413, "the body holds more values than are accepted; send several requests.")
    try:
        value = adapter.validate_json(body, strict=True)
    except ValidationError as error:
        raise problem_of(error, accepted=accepted) from None
    refuse_repeated_keys(body, value)
    return value


def problem_of(
    error: ValidationError, *, accepted: Accepted, before: tuple[str | int, ...] = ()
) -> Problem:
    """What a failed validation says to the client: places and accepted values only.

    ``before`` is put in front of every place (the line of an NDJSON body).
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        where = f"line {before[0] + 1}" if before and isinstance(before[0], int) else "the body"
        return Problem(400, f"{where} is not JSON text in UTF-8, or is nested too deeply.")
    errors = field_errors(found, accepted=accepted, before=before)
    count = error.error_count()
    return Problem(422, f"{count:,} value(s) are not accepted.", errors, error_count=count)


def field_errors(
    found: Iterable[Any], *, accepted: Accepted, before: tuple[str | int, ...] = ()
) -> list[FieldError]:
    """The first mistakes that pydantic found, in our own words."""
    errors: list[FieldError] = []
    for mistake in found:
        if len(errors) == MAX_LISTED:
            break
        place = [*before, *mistake["loc"]]
        name = next((part for part in reversed(place) if isinstance(part, str)), "")
        said = _MESSAGES.get(mistake["type"], "is not of the accepted form")
        words = accepted(name)
        errors.append(
            FieldError(pointer_of(place), f"{said}; accepted: {words}" if words else said)
        )
    return errors


def pointer_of(place: Iterable[str | int]) -> str:
    """JSON pointer; a key that is no plain name is not repeated to the log or the client."""
    parts = [
        str(part) if isinstance(part, int) or _SPEAKABLE.fullmatch(part) else "(another key)"
        for part in place
    ]
    return "/" + "/".join(parts) if parts else ""


def refuse_repeated_keys(body: bytes, value: Any) -> None:
    """Refuse a JSON text in which an object has a key twice; readers disagree on those.

    Every key has its colon, and after validation `value` has every key once: more colons
    than keys means that one was given again. A text may hold colons too, so only where
    there are more of them than keys does the exact count decide. Either takes one pass.
    """
    n_keys = _n_keys(value)
    if body.count(b":") != n_keys and _outside_texts(body, b":") != n_keys:
        raise Problem(400, "an object of the body has a key twice.")


def holds_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text has more commas between values, told before any value is made.

    A value takes two bytes as text and a hundred as an object. All but the first of each
    list or object have their comma, and what nests deeply is refused anyway.
    """
    return body.count(b",") > most and _outside_texts(body, b",") > most


def _has_swollen_objects(body: bytes, most_keys: int | None) -> bool:
    if most_keys is None or body.count(b",") <= _FEW:
        return False
    return holds_more_values(body, _FEW + (most_keys + 1) * _outside_texts(body, b"{"))


def _n_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(
            _n_keys(inner) for inner in value.values() if isinstance(inner, dict | list)
        )
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(map(_n_keys, value))
    return 0


def _outside_texts(body: bytes, mark: bytes) -> int:
    """How often a character stands outside the texts of a JSON body."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    count = inside = 0
    for start in range(0, len(body), _PIECE):
        piece = np.frombuffer(body, np.uint8, min(_PIECE, len(body) - start), start)
        quotes = np.cumsum(piece == ord('"'), dtype=np.uint8) + np.uint8(inside)
        count += int(np.count_nonzero((piece == mark[0]) & (quotes % 2 == 0)))
        inside = int(quotes[-1]) % 2
    return count
