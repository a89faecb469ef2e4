"""The OpenAPI 3.1 document, made from the validators that judge the requests."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from segmentation import __version__
from segmentation.deliver.api.contract import (
    CALL_FIRST,
    FORECAST,
    MAX_BODY_BYTES,
    MAX_BULK_ROWS,
    MAX_ROWS,
)
from segmentation.deliver.api.orders import ORDERS
from segmentation.deliver.api.problems import MAX_LISTED, PROBLEM_JSON
from segmentation.deliver.api.store import Serving

_REF = "#/components/schemas/{model}"
_MEANINGS = {
    "400": "No JSON or CSV text in UTF-8, truncated, a key twice, or an unknown query parameter",
    "401": "No API key, or not one of those accepted",
    "404": "No such page, or a model that forecasts no customer; the reason is named",
    "405": "The page does not answer that method",
    "408": "The body did not arrive in time",
    "413": f"More than {MAX_BODY_BYTES:,} bytes or {MAX_BULK_ROWS:,} customers",
    "415": "Another content type than those accepted",
    "422": "A value is missing, of another type or out of range; its place is named",
    "503": "Overloaded, or no model is loaded; see Retry-After",
}
_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}


def openapi_document(serving: Serving, *, with_keys: bool) -> dict[str, Any]:
    """OpenAPI 3.1 document of the API as it serves this very model."""
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Customer segments",
            "version": __version__,
            "description": (
                "Assigns customers to the segments of a published report, flags unusual ones and "
                f"says why. The model was fitted as of {serving.reference['as_of']} on the source "
                f"{serving.reference['source']}. Errors are RFC 9457 problem details."
            ),
        },
        "servers": [{"url": "/"}],
        "paths": {**_scoring_paths(serving), **_other_paths()},
        "components": {"schemas": _schemas(serving)},
    }
    if with_keys:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
        for path in ("/health/live", "/health/ready", "/openapi.json", "/docs"):
            document["paths"][path]["get"]["security"] = []
    return document


def example_customer(serving: Serving) -> dict[str, Any]:
    """A customer in the middle of the largest segment: the medians of this very model."""
    group = max(serving.model.groups.values(), key=_largest_cluster)
    profile = max(group.profiles, key=lambda p: p["customers"]) if group.profiles else group.medians
    customer: dict[str, Any] = {"customer_id": "C-001"}
    for name in serving.contract.features:
        customer[name] = profile.get(name)
    if serving.contract.needs_segment_type:
        customer["segment_type"] = group.segment_type
    return customer


def _example_line(serving: Serving) -> dict[str, Any]:
    day = serving.reference["as_of"]
    return {
        "customer_id": "C-001",
        "order_id": "A-1",
        "order_date": day,
        "quantity": 2,
        "amount": "39.90",
        "registered_date": day,
        "is_non_product": False,
    }


def _largest_cluster(group: Any) -> float:
    return max((profile["customers"] for profile in group.profiles), default=0.0)


def _scoring_paths(serving: Serving) -> dict[str, Any]:
    segments = _operation(
        "Segment of each customer",
        f"Up to {MAX_ROWS:,} customers as JSON rows or columns, up to {MAX_BULK_ROWS:,} as NDJSON "
        "(one customer a line) or CSV (the first line names the columns). Answered in the order "
        "and in the form asked. The group (segment_type) follows from the registration.",
        _in_every_form("Segments", "SegmentColumns"),
        "400 401 408 413 415 422 503",
        query=("distances", "true adds the distance to every centre of the customer's group"),
        body=_customers_body(example_customer(serving), ""),
    )
    forecast = _operation(
        "What each customer is expected to do next",
        "Chance to order within outcome_days, orders expected and their value (a ranking; sums are "
        "no promise of revenue), by the run's fit of MBG/NBD. Needs no feature of the model: days "
        "since the last and the first order, orders and money. 404 where the run's calibration "
        "withholds forecasts.",
        _in_every_form("Expected", "ExpectedColumns"),
        "400 401 404 408 413 415 422 503",
        body=_customers_body(_FORECAST_EXAMPLE, FORECAST.prefix),
    )
    call_first = _operation(
        "Customers who may be lost, who have most to lose first",
        "Value at risk is the mean order times the fall of the chance to order since a quarter ago: "
        "a ranking, no promise of revenue. For the same places as in call_first.csv give total_spent after "
        "what was given back. Whoever has nothing at risk is not in the answer; leave "
        "out whom a test leaves alone. 404 where the run's calibration withholds forecasts.",
        _in_every_form("AtRisk", "AtRiskColumns"),
        "400 401 404 408 413 415 422 503",
        body=_customers_body(_FORECAST_EXAMPLE | {"chance_before": 0.5}, CALL_FIRST.prefix),
    )
    for one in (segments, forecast, call_first):
        one["responses"]["200"]["headers"] = {
            "X-Model-Sha256": {
                "schema": _TEXT,
                "description": "Checksum of the model that answered",
            }
        }
    features = _operation(
        "Features from raw order lines",
        "The definitions and cleaning rules of the run. The customers of the answer can be sent to "
        "/v1/segments as they are.",
        {"application/json": {"schema": _ref("Features")}},
        "400 401 408 413 415 422 503",
        query=("all", "true gives all eight features and the group instead of those needed"),
        body={
            "application/json": {
                "schema": _ref("Orders"),
                "examples": {"one": {"value": {"orders": [_example_line(serving)]}}},
            }
        },
    )
    return {
        "/v1/segments": {"post": segments},
        "/v1/forecast": {"post": forecast},
        "/v1/call-first": {"post": call_first},
        "/v1/features": {"post": features},
    }


_FORECAST_EXAMPLE = {
    "customer_id": "C-001", "recency": 20, "frequency": 3, "tenure": 200, "total_spent": 90.0,
}  # fmt: skip


def _in_every_form(rows: str, columns: str) -> dict[str, Any]:
    return {
        "application/json": {"schema": {"oneOf": [_ref(rows), _ref(columns)]}},
        "application/x-ndjson": {"schema": _TEXT},
        "text/csv": {"schema": _TEXT},
    }


def _customers_body(one: dict[str, Any], prefix: str) -> dict[str, Any]:
    columns = {name: [value] for name, value in one.items()}
    csv_text = ",".join(one) + "\n" + ",".join("" if v is None else str(v) for v in one.values())
    return {
        "application/json": {
            "schema": {"oneOf": [_ref(f"{prefix}Customers"), _ref(f"{prefix}CustomerColumns")]},
            "examples": {
                "rows": {"value": {"customers": [one]}},
                "columns": {"value": {"columns": columns}},
            },
        },
        "application/x-ndjson": {"schema": _TEXT},
        "text/csv": {"schema": _TEXT, "examples": {"csv": {"value": csv_text}}},
    }


def _other_paths() -> dict[str, Any]:
    def page(summary: str, content: dict[str, Any], refusals: str) -> dict[str, Any]:
        return {"get": _operation(summary, "", content, refusals)}

    json_object = {"application/json": {"schema": {"type": "object"}}}
    return {
        "/v1/model": page(
            "Model card: features with units and ranges, segments with their facts, versions",
            {"application/json": {"schema": _ref("ModelCard")}},
            "400 401 503",
        ),
        "/health/live": page("The process answers", json_object, "400"),
        "/health/ready": page("A model is loaded", json_object, "400 503"),
        "/metrics": page("Metrics for Prometheus", {"text/plain": {"schema": _TEXT}}, "400 401"),
        "/openapi.json": page("This document", json_object, "400 503"),
        "/docs": page("This document as a page", {"text/html": {"schema": _TEXT}}, "400 503"),
    }


def _operation(
    summary: str,
    description: str,
    content: dict[str, Any],
    refusals: str,
    *,
    query: tuple[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "Answered", "content": content}}
    for status in refusals.split():
        responses[status] = {
            "description": _MEANINGS[status],
            "content": {PROBLEM_JSON: {"schema": _ref("Problem")}},
        }
    operation: dict[str, Any] = {
        "summary": summary,
        "description": description,
        "responses": responses,
    }
    if query:
        name, words = query
        operation["parameters"] = [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": words,
                "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
            }
        ]
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _schemas(serving: Serving) -> dict[str, Any]:
    contract = serving.contract
    adapters: list[tuple[str, TypeAdapter[Any]]] = [
        ("Customers", contract.rows),
        ("CustomerColumns", contract.table),
        ("ForecastCustomers", FORECAST.rows),
        ("ForecastCustomerColumns", FORECAST.table),
        ("CallFirstCustomers", CALL_FIRST.rows),
        ("CallFirstCustomerColumns", CALL_FIRST.table),
        ("Orders", ORDERS),
    ]
    _, made = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters], ref_template=_REF
    )
    return {**made["$defs"], **_answer_schemas(serving)}


def _answer_schemas(serving: Serving) -> dict[str, Any]:
    groups = list(serving.model.groups)
    margin = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    columns: dict[str, Any] = {
        "customer_id": _TEXT,
        "segment_type": {"type": "string", "enum": groups},
        "cluster": _COUNT,
        "segment": _TEXT,
        "margin": margin,
        "is_anomaly": _FLAG,
        "anomaly_reasons": {**_TEXT, "description": "Joined by '; '; empty where not anomalous"},
        "distances": _list_of(_NUMBER),
        "extrapolated": {
            "type": "array",
            "items": {"type": "string", "enum": list(serving.contract.features)},
            "description": "Features beyond every fitted value; rows leave it out where there are none",
        },
    }
    rows = _object(columns, optional=("distances", "extrapolated"))
    table = _object({n: _list_of(s) for n, s in columns.items()}, optional=("distances",))
    reference = _object({"source": _TEXT, "as_of": _TEXT, "sha256": _TEXT})
    expected: dict[str, Any] = {
        "customer_id": _TEXT,
        "chance": {"type": "number", "minimum": 0, "maximum": 1},
        "expected_orders": {"type": "number", "minimum": 0},
        "expected_value": {"type": "number", "minimum": 0},
        "outcome_days": {"type": "integer", "minimum": 1},
    }
    expected_table = _object({n: _list_of(s) for n, s in expected.items()})
    at_risk = {n: expected[n] for n in ("customer_id", "chance", "outcome_days")} | {
        "value_at_risk": {"type": "number", "minimum": 0},
        "chance_before": expected["chance"],
    }
    at_risk_table = _object({n: _list_of(s) for n, s in at_risk.items()})
    feature_row = {"type": "object", "required": ["customer_id"]}
    error = _object({"pointer": _TEXT, "detail": _TEXT})
    return {
        "Model": reference,
        "Segment": rows,
        "Segments": _object({"model": _ref("Model"), "customers": _list_of(_ref("Segment"))}),
        "SegmentColumns": _object({"model": _ref("Model"), "columns": table}),
        "Expected": _object({"model": _ref("Model"), "customers": _list_of(_object(expected))}),
        "ExpectedColumns": _object({"model": _ref("Model"), "columns": expected_table}),
        "AtRisk": _object({"model": _ref("Model"), "customers": _list_of(_object(at_risk))}),
        "AtRiskColumns": _object({"model": _ref("Model"), "columns": at_risk_table}),
        "Features": _object(
            {
                "model": _ref("Model"),
                "as_of": {"type": "string", "format": "date"},
                "customers": _list_of(feature_row),
                "set_aside": {"type": "object", "additionalProperties": _COUNT},
            }
        ),
        "ModelCard": {
            "type": "object",
            "required": ["model", "versions", "features", "groups", "limits", "personal_data"],
        },
        "Problem": _object(
            {
                "type": _TEXT,
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": _TEXT,
                "request_id": _TEXT,
                "error_count": _COUNT,
                "errors": {"type": "array", "maxItems": MAX_LISTED, "items": error},
            },
            optional=("error_count", "errors"),
        ),
    }
