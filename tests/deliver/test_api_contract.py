"""The served OpenAPI document is the truth about the server: Schemathesis tries it."""

from __future__ import annotations

import json
import os

import pytest
import schemathesis
from api_server import client_of
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as with_seed
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CASES = int(os.environ.get("API_CASES", "2000"))
"""Cases in all; `API_CASES=20000 pytest tests/test_api_contract.py` for a long look."""
SHARES = {
    "POST /v1/segments": {GenerationMode.POSITIVE: 0.14, GenerationMode.NEGATIVE: 0.28},
    "POST /v1/forecast": {GenerationMode.POSITIVE: 0.03, GenerationMode.NEGATIVE: 0.05},
    "POST /v1/call-first": {GenerationMode.POSITIVE: 0.03, GenerationMode.NEGATIVE: 0.05},
    "POST /v1/features": {GenerationMode.POSITIVE: 0.18, GenerationMode.NEGATIVE: 0.18},
}
"""Of the cases; a second half of valid customers brought no kind of answer that the first had not."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def app(marketplace_run) -> Flask:
    return client_of(marketplace_run / "model").application


def operations() -> list[str]:
    pages = ["/v1/model", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"]
    return [*SHARES, *(f"GET {page}" for page in pages)]


def test_document_lists_every_route_of_the_application(app):
    document = app.test_client().get("/openapi.json").json
    listed = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    routed = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert listed == routed == set(operations())
    assert document["openapi"] == "3.1.0"


@pytest.mark.parametrize("operation", operations())
def test_no_generated_request_gets_an_undocumented_answer(app, operation):
    method, path = operation.split()
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    answered: list[int] = []
    for mode, share in SHARES.get(operation, {GenerationMode.POSITIVE: 0.0}).items():
        refusing = mode is GenerationMode.NEGATIVE and path == "/v1/segments"
        checks = [*CHECKS, negative_data_rejection] if refusing else CHECKS
        run = settings(
            max_examples=max(1, int(CASES * share)),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(
            with_seed(42)(
                _tried(schema[path][method].as_strategy(generation_mode=mode), checks, answered)
            )
        )
        run()
    assert answered
    assert max(answered) < 500
    assert 200 in answered or path == "/v1/features"  # dates and rules of a random order


def _tried(strategy, checks, answered):
    @given(case=strategy)
    def attempt(case) -> None:
        response = case.call()
        answered.append(response.status_code)
        case.validate_response(response, checks=checks)

    return attempt


def test_examples_of_the_document_are_answered(shipped_run):
    """Another team starts by copying them."""
    client = client_of(shipped_run[1] / "model")
    document = client.get("/openapi.json").json
    tried = 0
    for path, methods in document["paths"].items():
        contents = methods.get("post", {}).get("requestBody", {}).get("content", {})
        for content_type, content in contents.items():
            for example in content.get("examples", {}).values():
                value = example["value"]
                body = value if isinstance(value, str) else json.dumps(value)
                answered = client.post(path, data=body, content_type=content_type)
                assert answered.status_code == 200, (path, answered.text)
                tried += 1
    assert tried == 10


def test_documentation_page_stands_alone(app):
    page = app.test_client().get("/docs").text
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for operation in operations():
        method, path = operation.split()
        assert f"{method} {path}" in page
