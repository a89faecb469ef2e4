"""Refusals as RFC 9457 problem details: what is wrong and what is accepted, no values."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Response
from pydantic_core import to_json

MAX_LISTED = 20
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """One mistake in the input: where it is (JSON pointer) and what is accepted."""

    pointer: str
    detail: str


@dataclass
class Problem(Exception):  # noqa: N818 - the RFC calls it a problem
    """A refusal that the client can act on.

    Attributes
    ----------
    status : int
        HTTP status.
    detail : str
        One sentence; never holds a value that the client sent.
    errors : list of FieldError
        At most the first 20 are listed; ``error_count`` says how many there are.
    error_count : int or None
        None where the input could not be judged field by field.
    retry_after : int or None
        Seconds after which trying again makes sense.
    """

    status: int
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    error_count: int | None = None
    retry_after: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem details object."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.error_count is not None or self.errors:
            listed = self.errors[:MAX_LISTED]
            found["error_count"] = self.error_count or len(self.errors)
            found["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in listed]
        return found


def problem_response(problem: Problem, request_id: str) -> Response:
    """The HTTP answer that carries a problem."""
    response = Response(
        to_json(problem.document(request_id)), status=problem.status, content_type=PROBLEM_JSON
    )
    for name, value in problem.headers.items():
        response.headers[name] = value
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response
