"""Strict JSON: pydantic on the raw bytes, and no key twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from pydantic import TypeAdapter, ValidationError

from segmentation.api.problems import MAX_LISTED, FieldError, Problem

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


def parse(adapter: TypeAdapter[Any], body: bytes, *, accepted: Accepted) -> Any:
    """Value of a JSON body, validated.

    Parameters
    ----------
    adapter : TypeAdapter
        Of closed TypedDicts, so that every key is known after validation.
    body : bytes
        As received.
    accepted : function of a field's name
        Words for what the field accepts, or an empty string.

    Raises
    ------
    Problem
        400 where the body is no JSON (not UTF-8, truncated, nested too deeply, a key
        given twice), 422 where it is JSON of another shape.
    """
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

    After validation each key of `value` is there at least once. It is there exactly
    once if its text occurs as often as it was read; only where the count differs (a
    value may equal a key) or text is escaped, a slow exact reading decides.
    """
    if b"\\" not in body and all(
        body.count(b'"%s"' % name.encode()) == count for name, count in _key_counts(value).items()
    ):
        return
    try:
        json.loads(body, object_pairs_hook=_once)
    except RepeatedKeyError:
        raise Problem(400, "an object of the body has a key twice.") from None


class RepeatedKeyError(Exception):
    """A JSON object has a key twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedKeyError
    return found


def _key_counts(value: Any) -> Counter[str]:
    """How often each key was read, over all objects."""
    counts: Counter[str] = Counter()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            item = [item]
        if item and isinstance(item[0], dict):
            counts.update(chain.from_iterable(item))
            values = chain.from_iterable(row.values() for row in item)
            stack.extend(inner for inner in values if isinstance(inner, dict | list))
    return counts
