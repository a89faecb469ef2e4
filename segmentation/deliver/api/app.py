"""The WSGI application: routes, what surrounds each of them, and nothing else."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, request
from pydantic_core import to_json
from werkzeug.exceptions import ClientDisconnected, HTTPException

from segmentation.deliver.api import forecast as expected
from segmentation.deliver.api import orders
from segmentation.deliver.api.access import ApiKeys
from segmentation.deliver.api.bodies import CSV, JSON, NDJSON, read_customers
from segmentation.deliver.api.contract import (
    CALL_FIRST,
    FORECAST,
    LARGE_BODY_WAIT_SECONDS,
    MAX_BODY_BYTES,
    MOST_LARGE_BODIES,
    ORDINARY_BODY_BYTES,
    Contract,
)
from segmentation.deliver.api.documentation import documentation_page
from segmentation.deliver.api.metrics import ENDPOINTS, EXPOSITION, Metrics
from segmentation.deliver.api.model_card import model_card
from segmentation.deliver.api.openapi import openapi_document
from segmentation.deliver.api.problems import Problem, problem_response
from segmentation.deliver.api.scoring import answer
from segmentation.deliver.api.store import ModelStore, Serving
from segmentation.deliver.api.strict_json import parse

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]
_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_OPEN = {"live", "ready", "openapi"}
"""Endpoints that need no key: they tell nothing about customers."""
logger = logging.getLogger("segmentation.deliver.api")


@dataclass
class Surroundings:
    """What the routes share.

    ``max_in_flight`` bounds the requests of one worker that compute at the same time;
    the next is told to come back (503, Retry-After) instead of waiting in a queue.
    """

    store: ModelStore
    metrics: Metrics = field(default_factory=Metrics)
    keys: ApiKeys | None = None
    max_in_flight: int = 16
    slots: threading.BoundedSemaphore = field(init=False)
    large: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        self.slots = threading.BoundedSemaphore(self.max_in_flight)
        self.large = threading.BoundedSemaphore(MOST_LARGE_BODIES)

    def serving(self) -> Serving:
        """The model to answer this request with, taken once."""
        serving = self.store.current
        if serving is None:
            raise Problem(503, "no model is loaded.", retry_after=5)
        return serving

    @contextmanager
    def slot(self) -> Iterator[None]:
        """One of the places in which a worker computes."""
        if not self.slots.acquire(blocking=False):
            raise Problem(503, "too many requests are being answered.", retry_after=1)
        self.metrics.count("in_flight", 1)
        try:
            yield
        finally:
            self.metrics.count("in_flight", -1)
            self.slots.release()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Memory for this request's body: an ordinary one has it, large ones take turns."""
        announced = request.content_length
        if announced is not None and announced <= ORDINARY_BODY_BYTES:
            yield
            return
        if not self.large.acquire(timeout=LARGE_BODY_WAIT_SECONDS):
            raise Problem(503, "too many large bodies are being read.", retry_after=1)
        try:
            yield
        finally:
            self.large.release()


def create_app(around: Surroundings) -> Flask:
    """The scoring API for one model store.

    Parameters
    ----------
    around : Surroundings
        Model store, metrics, keys, how many requests at once.
    """
    app = Flask("segmentation.deliver.api", static_folder=None)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.wsgi_app = _with_security_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    _add_hooks(app, around)
    _add_scoring(app, around)
    _add_information(app, around)
    return app


def _with_security_headers(application: WSGIApplication) -> WSGIApplication:
    """Around every answer, and cheaper there than five headers set one by one in Flask."""

    def answered(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            has_policy = any(name == _POLICY[0] for name, _ in headers)
            added = _SECURITY_HEADERS if has_policy else [*_SECURITY_HEADERS, _POLICY]
            return start_response(status, headers + added, *rest)

        return application(environ, start)

    return answered


# --- what surrounds every request -------------------------------------------------------


def _add_hooks(app: Flask, around: Surroundings) -> None:
    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        g.customers = 0
        _let_in(around)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        seconds = time.perf_counter() - g.started
        around.metrics.observe(_metric_name(request.endpoint), response.status_code, seconds)
        logger.info("request", extra={"fields": _log_entry(response, seconds)})
        return response

    @app.errorhandler(Problem)
    def refuse(problem: Problem) -> Response:
        return problem_response(problem, g.request_id)

    @app.errorhandler(HTTPException)
    def refuse_http(error: HTTPException) -> Response:
        return problem_response(_problem_of_http(error), g.request_id)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        # the message may hold a customer's values: only the kind and the place are logged
        place = _place_of(error)
        fields = {"request_id": g.request_id, "error": type(error).__name__, "place": place}
        logger.error("defect", extra={"fields": fields})
        return problem_response(
            Problem(500, "a defect of this program; see its log."), g.request_id
        )


def _let_in(around: Surroundings) -> None:
    if around.keys is None or _metric_name(request.endpoint) in _OPEN:
        return
    if not around.keys.accepts(_given_key()):
        raise Problem(
            401,
            "an API key is needed: Authorization: Bearer <key>, or X-API-Key: <key>.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _given_key() -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key", "")


def _metric_name(endpoint: str | None) -> str:
    endpoint = "openapi" if endpoint == "docs" else endpoint
    return endpoint if endpoint in ENDPOINTS else "other"


def _log_entry(response: Response, seconds: float) -> dict[str, Any]:
    rule = request.url_rule
    return {
        "request_id": g.request_id,
        "method": request.method if rule else "-",
        "route": rule.rule if rule else "-",
        "status": response.status_code,
        "ms": round(1000 * seconds, 2),
        "customers": g.customers,
        "bytes": response.calculate_content_length(),
    }


def _problem_of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    said = {
        404: "there is no such page; see /openapi.json.",
        405: "this page does not answer that method.",
    }.get(status, "the request cannot be read." if status < 500 else "it cannot be answered now.")
    methods = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(methods))} if methods else {}
    return Problem(status, said, headers=headers)


def _place_of(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "-"
    return f"{trace.tb_frame.f_globals.get('__name__', '-')}:{trace.tb_lineno}"


def _body(*accepted: str) -> tuple[str, bytes]:
    """Media type and bytes of the request's body, complete and of bounded size."""
    media_type, charset = request.mimetype, request.mimetype_params.get("charset", "utf-8")
    if media_type not in accepted or charset.lower() != "utf-8":
        raise Problem(415, f"give Content-Type {' or '.join(accepted)} (UTF-8).")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "give the body without Content-Encoding.")
    body = _read(request.content_length)
    if request.content_length is not None and len(body) != request.content_length:
        raise Problem(400, "the body is shorter than Content-Length says.")
    if not body:
        raise Problem(400, "the body is empty.")
    return media_type, body


def _read(announced: int | None) -> bytes:
    """The whole body, never a part of it: a part may be a batch with customers missing."""
    too_large = Problem(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes.")
    if announced is not None and announced > MAX_BODY_BYTES:
        raise too_large
    size = MAX_BODY_BYTES + 1 if announced is None else announced
    try:
        body = request.environ["wsgi.input"].read(size)
    except (ClientDisconnected, OSError):
        raise Problem(408, "the body did not arrive in time.") from None
    except Exception as error:  # the server's parser: chunks that are none
        raise Problem(400, "the body is not sent as HTTP wants it.") from error
    if len(body) > MAX_BODY_BYTES:
        raise too_large
    return body


def _flag(name: str) -> bool:
    value = request.args.get(name, "false")
    if value not in ("true", "false") or len(request.args.getlist(name)) > 1:
        raise Problem(400, f"the query parameter {name} is true or false.")
    return value == "true"


def _only(*names: str) -> None:
    if set(request.args) - set(names):
        said = f"the query parameters are {', '.join(names)}" if names else "there are none"
        raise Problem(400, f"a query parameter is not known here; {said}.")


def _json(document: Any) -> Response:
    return Response(to_json(document), content_type="application/json")


# --- routes ---------------------------------------------------------------------------


def _add_scoring(app: Flask, around: Surroundings) -> None:
    @app.post("/v1/segments", provide_automatic_options=False)
    def segments() -> Response:
        _only("distances")
        distances = _flag("distances")
        with around.room():
            media_type, body = _body(JSON, NDJSON, CSV)
            with around.slot():
                serving = around.serving()
                customers = read_customers(media_type, body, serving.contract)
                found = answer(serving, customers, distances=distances)
        g.customers = len(customers.ids)
        around.metrics.count("customers_total", g.customers)
        around.metrics.count("anomalies_total", found.anomalies)
        around.metrics.count("extrapolated_total", found.extrapolated)
        response = Response(found.content, content_type=found.content_type)
        response.headers["X-Model-Sha256"] = serving.sha256
        return response

    def of_next(contract: Contract, answered: Callable[..., tuple[bytes, str]]) -> Response:
        _only()
        with around.room():
            media_type, body = _body(JSON, NDJSON, CSV)
            with around.slot():
                serving = around.serving()
                customers = read_customers(media_type, body, contract)
                content, content_type = answered(serving, customers)
        g.customers = len(customers.ids)
        response = Response(content, content_type=content_type)
        response.headers["X-Model-Sha256"] = serving.sha256
        return response

    @app.post("/v1/forecast", provide_automatic_options=False)
    def forecast() -> Response:
        return of_next(FORECAST, expected.forecast)

    @app.post("/v1/call-first", provide_automatic_options=False)
    def call_first() -> Response:
        return of_next(CALL_FIRST, expected.call_first)

    @app.post("/v1/features", provide_automatic_options=False)
    def features() -> Response:
        _only("all")
        everything = _flag("all")
        with around.room():
            _, body = _body(JSON)
            with around.slot():
                serving = around.serving()
                value = parse(
                    orders.ORDERS,
                    body,
                    accepted=orders.accepted,
                    most_values=orders.MAX_LINES * orders.MAX_KEYS,
                    most_keys=orders.MAX_KEYS,
                )
                columns = None if everything else serving.contract.columns
                made = orders.features_of(value, serving.model, columns=columns)
        g.customers = len(made["customers"])
        return _json({"model": serving.reference, **made})

    @app.get("/v1/model", provide_automatic_options=False)
    def model() -> Response:
        _only()
        return _json(model_card(around.serving()))


def _add_information(app: Flask, around: Surroundings) -> None:
    @app.get("/health/live", provide_automatic_options=False)
    def live() -> Response:
        _only()
        return _json({"status": "alive"})

    @app.get("/health/ready", provide_automatic_options=False)
    def ready() -> Response:
        _only()
        serving = around.serving()
        said: dict[str, Any] = {"status": "ready", "model": serving.reference}
        said["is_newest"] = not around.store.failure
        if around.keys is not None:
            said["keys_are_good"] = not around.keys.failure
        return _json(said)

    @app.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        _only()
        around.metrics.put("model_loaded", float(around.store.current is not None))
        around.metrics.put("keys_faulty", float(bool(around.keys and around.keys.failure)))
        return Response(around.metrics.exposition(), content_type=EXPOSITION)

    @app.get("/openapi.json", provide_automatic_options=False)
    def openapi() -> Response:
        _only()
        return _json(openapi_document(around.serving(), with_keys=around.keys is not None))

    @app.get("/docs", provide_automatic_options=False)
    def docs() -> Response:
        _only()
        document = openapi_document(around.serving(), with_keys=around.keys is not None)
        response = Response(documentation_page(document), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response
