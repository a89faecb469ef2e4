"""Bad requests: each a 4xx of the right kind, as problem details, telling no value."""

from __future__ import annotations

import json
import logging
import random
import re
from pathlib import Path

import pandas as pd
import pytest
from flask.testing import FlaskClient

from segmentation.core.errors import ParameterError
from segmentation.deliver.api import app as api_app
from segmentation.deliver.api.access import ApiKeys
from segmentation.deliver.api.app import Surroundings, create_app
from segmentation.deliver.api.store import ModelStore
from segmentation.deliver.api.strict_json import holds_more_values

SECRET = "secret-4711"
GOOD = {
    "customer_id": "c1",
    "register_to_order": 10,
    "first_to_last_order": 30.5,
    "total_unit": 4,
    "total_spent": 99.5,
}
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
ORDER = {
    "customer_id": "c1",
    "order_id": "o1",
    "order_date": "2024-03-01",
    "quantity": 1,
    "amount": "9.99",
}


def rows(*customers: dict) -> bytes:
    return json.dumps({"customers": list(customers)}).encode()


def one(**changed: object) -> bytes:
    return rows({**GOOD, **changed})


def raw(name: str, text: str) -> bytes:
    """A customer with one value written as given, JSON or not."""
    return one(**{name: "@"}).replace(b'"@"', text.encode())


def without(name: str) -> bytes:
    return rows({key: value for key, value in GOOD.items() if key != name})


def columns(**changed: object) -> bytes:
    table = {name: [value, value] for name, value in GOOD.items()} | changed
    return json.dumps({"columns": table}).encode()


def order(**changed: object) -> bytes:
    return json.dumps({"orders": [{**ORDER, **changed}]}).encode()


CSV_HEADER = ",".join(GOOD)
CSV_ROW = "c1,10,30.5,4,99.5"
SEGMENTS, FEATURES = "/v1/segments", "/v1/features"
AT = "/customers/0/"
LONG = "9" * 400

BAD = {
    # no JSON at all
    "empty body": (SEGMENTS, JSON, b"", 400, "empty"),
    "white space": (SEGMENTS, JSON, b"   ", 400, "JSON"),
    "truncated": (SEGMENTS, JSON, one()[:-3], 400, "JSON"),
    "truncated in a number": (SEGMENTS, JSON, one()[:60], 400, "JSON"),
    "text after the end": (SEGMENTS, JSON, one() + b"x", 400, "JSON"),
    "two documents": (SEGMENTS, JSON, one() + one(), 400, "JSON"),
    "not UTF-8": (SEGMENTS, JSON, one(customer_id="@").replace(b"@", b"\xff\xfe"), 400, "UTF-8"),
    "UTF-16": (SEGMENTS, JSON, one().decode().encode("utf-16"), 400, "UTF-8"),
    "byte order mark": (SEGMENTS, JSON, b"\xef\xbb\xbf" + one(), 400, "JSON"),
    "overlong UTF-8": (SEGMENTS, JSON, one(customer_id="@").replace(b"@", b"\xc0\xaf"), 400, ""),
    "lone surrogate": (SEGMENTS, JSON, one(customer_id="@").replace(b"@", rb"\ud800"), 400, ""),
    "control character": (SEGMENTS, JSON, one(customer_id="@").replace(b"@", b"\x01"), 400, ""),
    "nested 100,000 deep": (SEGMENTS, JSON, b"[" * 100_000, 400, "nested"),
    "nested and closed": (SEGMENTS, JSON, b"[" * 50_000 + b"]" * 50_000, 400, "nested"),
    "objects nested": (SEGMENTS, JSON, b'{"customers":' * 10_000, 400, "nested"),
    "nested in a value": (SEGMENTS, JSON, raw("total_unit", "[" * 5000 + "]" * 5000), 400, ""),
    "trailing comma": (SEGMENTS, JSON, raw("total_unit", "1,"), 400, "JSON"),
    "single quotes": (SEGMENTS, JSON, b"{'customers': []}", 400, "JSON"),
    "comment": (SEGMENTS, JSON, raw("total_unit", "1/*x*/"), 400, "JSON"),
    "leading zero": (SEGMENTS, JSON, raw("total_unit", "01"), 400, "JSON"),
    "plus sign": (SEGMENTS, JSON, raw("total_unit", "+1"), 400, "JSON"),
    "hexadecimal": (SEGMENTS, JSON, raw("total_unit", "0x10"), 400, "JSON"),
    "bare word": (SEGMENTS, JSON, raw("total_unit", "many"), 400, "JSON"),
    "key twice": (SEGMENTS, JSON, raw("total_unit", '1, "total_spent": 5'), 400, "twice"),
    "key twice, escaped": (
        SEGMENTS,
        JSON,
        raw("total_unit", '1, "total\\u005fspent": 5'),
        400,
        "twice",
    ),
    "key twice at the top": (
        SEGMENTS,
        JSON,
        one()[:-1] + b', "customers": ' + one()[14:-1] + b"}",
        400,
        "twice",
    ),
    "key twice in columns": (
        SEGMENTS,
        JSON,
        columns()[:-2] + b', "total_unit": [1, 2]}}',
        400,
        "twice",
    ),
    # JSON of another shape
    "a list": (SEGMENTS, JSON, b"[]", 422, ""),
    "null": (SEGMENTS, JSON, b"null", 422, ""),
    "a number": (SEGMENTS, JSON, b"5", 422, ""),
    "an empty object": (SEGMENTS, JSON, b"{}", 422, "/customers"),
    "customers null": (SEGMENTS, JSON, b'{"customers": null}', 422, "/customers"),
    "customers an object": (SEGMENTS, JSON, b'{"customers": {}}', 422, "/customers"),
    "no customer": (SEGMENTS, JSON, rows(), 422, "/customers"),
    "customer null": (SEGMENTS, JSON, b'{"customers": [null]}', 422, "/customers/0"),
    "customer a list": (SEGMENTS, JSON, b'{"customers": [[1]]}', 422, "/customers/0"),
    "unknown key at the top": (SEGMENTS, JSON, one()[:-1] + b', "x": 1}', 422, "/x"),
    "10,001 customers": (SEGMENTS, JSON, rows(*[GOOD] * 10_001), 422, "/customers"),
    # values
    "number as text": (SEGMENTS, JSON, one(total_unit="4"), 422, AT + "total_unit"),
    "true": (SEGMENTS, JSON, one(total_unit=True), 422, AT + "total_unit"),
    "false": (SEGMENTS, JSON, one(recency=False), 422, AT + "recency"),
    "null value": (SEGMENTS, JSON, one(total_unit=None), 422, AT + "total_unit"),
    "a list as value": (SEGMENTS, JSON, one(total_unit=[4]), 422, AT + "total_unit"),
    "an object as value": (SEGMENTS, JSON, one(total_unit={"a": 4}), 422, AT + "total_unit"),
    "NaN": (SEGMENTS, JSON, raw("total_unit", "NaN"), 422, AT + "total_unit"),
    "Infinity": (SEGMENTS, JSON, raw("total_unit", "Infinity"), 422, AT + "total_unit"),
    "minus infinity": (SEGMENTS, JSON, raw("total_unit", "-Infinity"), 422, AT + "total_unit"),
    "1e400": (SEGMENTS, JSON, raw("total_unit", "1e400"), 422, AT + "total_unit"),
    "1e308": (SEGMENTS, JSON, raw("total_unit", "1e308"), 422, AT + "total_unit"),
    "400 digits": (SEGMENTS, JSON, raw("total_unit", LONG), 422, AT + "total_unit"),
    "beyond the range": (SEGMENTS, JSON, one(total_spent=1.1e12), 422, "1,000,000,000,000"),
    "negative units": (SEGMENTS, JSON, one(total_unit=-1), 422, "from 0"),
    "negative days": (SEGMENTS, JSON, one(first_to_last_order=-0.5), 422, "from 0"),
    "feature missing": (SEGMENTS, JSON, without("total_spent"), 422, AT + "total_spent"),
    "id missing": (SEGMENTS, JSON, without("customer_id"), 422, AT + "customer_id"),
    "feature misspelt": (SEGMENTS, JSON, one(total_spend=1), 422, AT + "total_spend"),
    "segment_type given": (SEGMENTS, JSON, one(segment_type="normal"), 422, AT + "segment_type"),
    "unspeakable key": (SEGMENTS, JSON, one(**{f"<{SECRET}>": 1}), 422, AT + "(another key)"),
    "id a number": (SEGMENTS, JSON, one(customer_id=7), 422, AT + "customer_id"),
    "id empty": (SEGMENTS, JSON, one(customer_id=""), 422, AT + "customer_id"),
    "id blank": (SEGMENTS, JSON, one(customer_id=" \t\u00a0"), 422, AT + "customer_id"),
    "id null": (SEGMENTS, JSON, one(customer_id=None), 422, AT + "customer_id"),
    "id too long": (SEGMENTS, JSON, one(customer_id="x" * 201), 422, AT + "customer_id"),
    "secret as number": (SEGMENTS, JSON, one(total_unit=SECRET), 422, AT + "total_unit"),
    # columns
    "columns of two lengths": (SEGMENTS, JSON, columns(total_unit=[1]), 422, "/columns/total_unit"),
    "column empty": (SEGMENTS, JSON, columns(total_unit=[]), 422, "/columns/total_unit"),
    "column a number": (SEGMENTS, JSON, columns(total_unit=5), 422, "/columns/total_unit"),
    "column with text": (
        SEGMENTS,
        JSON,
        columns(total_unit=[1, "2"]),
        422,
        "/columns/total_unit/1",
    ),
    "unknown column": (SEGMENTS, JSON, columns(colour=[1, 2]), 422, "/columns/colour"),
    "columns and customers": (SEGMENTS, JSON, columns()[:-1] + b', "customers": []}', 422, ""),
    # NDJSON and CSV
    "ndjson line truncated": (SEGMENTS, NDJSON, json.dumps(GOOD).encode()[:-2], 400, "line 1"),
    "ndjson second line": (SEGMENTS, NDJSON, json.dumps(GOOD).encode() + b"\n{}", 422, "/1/"),
    "ndjson blank line": (SEGMENTS, NDJSON, json.dumps(GOOD).encode() + b"\n\n{}", 400, "line 2"),
    "ndjson key twice": (
        SEGMENTS,
        NDJSON,
        json.dumps(GOOD).encode()[:-1] + b', "total_unit": 4}',
        400,
        "twice",
    ),
    "csv header only": (SEGMENTS, CSV, CSV_HEADER.encode(), 422, "customer"),
    "csv without header": (SEGMENTS, CSV, CSV_ROW.encode(), 422, "first line"),
    "csv header twice": (SEGMENTS, CSV, f"{CSV_HEADER},total_unit\n".encode(), 422, "first line"),
    "csv ragged": (SEGMENTS, CSV, f"{CSV_HEADER}\n{CSV_ROW},1".encode(), 422, "/0"),
    "csv open quote": (SEGMENTS, CSV, f'{CSV_HEADER}\n"c1,1,2,3'.encode(), 400, "quote"),
    "csv not UTF-8": (SEGMENTS, CSV, CSV_HEADER.encode() + b"\n\xff", 400, "UTF-8"),
    "csv nan": (SEGMENTS, CSV, f"{CSV_HEADER}\nc1,1,nan,2,3".encode(), 422, "first_to_last_order"),
    "csv underscore": (SEGMENTS, CSV, f"{CSV_HEADER}\nc1,1,1_0,2,3".encode(), 422, "/0/"),
    "csv other digits": (SEGMENTS, CSV, f"{CSV_HEADER}\nc1,1,١,2,3".encode(), 422, "/0/"),
    "csv 1e999": (SEGMENTS, CSV, f"{CSV_HEADER}\nc1,1,1e999,2,3".encode(), 422, "/0/"),
    "csv id blank": (SEGMENTS, CSV, f"{CSV_HEADER}\n ,1,1,2,3".encode(), 422, "/0/customer_id"),
    "csv NUL": (SEGMENTS, CSV, f"{CSV_HEADER}\nc\x00,1,1,2,3".encode(), 400, "CSV"),
    # content type, size, page, method, query
    "no content type": (SEGMENTS, None, one(), 415, JSON),
    "form": (SEGMENTS, "application/x-www-form-urlencoded", one(), 415, JSON),
    "text": (SEGMENTS, "text/plain", one(), 415, JSON),
    "another charset": (SEGMENTS, "application/json; charset=latin-1", one(), 415, "UTF-8"),
    "almost JSON": (SEGMENTS, "application/jsonx", one(), 415, JSON),
    "too large": (SEGMENTS, JSON, b" " * (16 * 1024 * 1024 + 1), 413, "16,777,216"),
    "100,001 lines": (SEGMENTS, NDJSON, b"{}\n" * 100_001, 413, "100,000"),
    "unknown query": (f"{SEGMENTS}?colour=red", JSON, one(), 400, "query"),
    "query of another kind": (f"{SEGMENTS}?distances=yes", JSON, one(), 400, "distances"),
    "query twice": (f"{SEGMENTS}?distances=true&distances=true", JSON, one(), 400, "distances"),
    "unknown page": ("/v1/segment", JSON, one(), 404, "openapi"),
    "page with a slash": ("/v1/segments/", JSON, one(), 404, "openapi"),
    "path upwards": ("/v1/../../etc/passwd", JSON, one(), 404, "openapi"),
    # orders
    "orders empty": (FEATURES, JSON, b'{"orders": []}', 422, "/orders"),
    "order without date": (FEATURES, JSON, order(order_date=None), 422, "order_date"),
    "date of the wrong form": (FEATURES, JSON, order(order_date="01.03.2024"), 422, "YYYY-MM-DD"),
    "date that is none": (FEATURES, JSON, order(order_date="2024-02-30"), 422, "YYYY-MM-DD"),
    "date as number": (FEATURES, JSON, order(order_date=1709251200), 422, "YYYY-MM-DD"),
    "date too early": (FEATURES, JSON, order(order_date="0001-01-01"), 422, "1900-01-01"),
    "amount as word": (FEATURES, JSON, order(amount=SECRET), 422, "/orders/0/amount"),
    "amount NaN": (FEATURES, JSON, order(amount="NaN"), 422, "/orders/0/amount"),
    "amount 1e999999": (FEATURES, JSON, order(amount="1e999999"), 422, "/orders/0/amount"),
    "seven decimals": (FEATURES, JSON, order(amount="0.0000001"), 422, "6 decimals"),
    "amount with underscore": (FEATURES, JSON, order(amount="1_000"), 422, "/orders/0/amount"),
    "amount with blanks": (FEATURES, JSON, order(amount=" 12 "), 422, "/orders/0/amount"),
    "amount in other digits": (FEATURES, JSON, order(amount="١٢"), 422, "/orders/0/amount"),
    "amount with exponent": (FEATURES, JSON, order(amount="1e3"), 422, "/orders/0/amount"),
    "amount with plus": (FEATURES, JSON, order(amount="+12"), 422, "/orders/0/amount"),
    "amount of 13 digits": (FEATURES, JSON, order(amount="1000000000000"), 422, "/orders/0/am"),
    "amount too large": (FEATURES, JSON, order(amount=10**12), 422, "/orders/0/amount"),
    "amount true": (FEATURES, JSON, order(amount=True), 422, "/orders/0/amount"),
    "quantity in other digits": (FEATURES, JSON, order(quantity="３"), 422, "/orders/0/quantity"),
    "quantity with line break": (FEATURES, JSON, order(quantity="3\n"), 422, "/orders/0/quantity"),
    "is_return as text": (FEATURES, JSON, order(is_return="no"), 422, "true or false"),
    "unknown order field": (FEATURES, JSON, order(colour=1), 422, "/orders/0/colour"),
    "no purchase left": (FEATURES, JSON, order(quantity=0), 422, "cleaning rules"),
    "order key twice": (FEATURES, JSON, order()[:-3] + b',"amount":1}]}', 400, "twice"),
}


@pytest.fixture(scope="module")
def store(marketplace_run) -> ModelStore:
    made = ModelStore(marketplace_run / "model")
    made.load()
    return made


@pytest.fixture(scope="module")
def client(store) -> FlaskClient:
    return create_app(Surroundings(store)).test_client()


def assert_problem(answered, status: int, word: str) -> dict:
    assert answered.status_code == status, answered.text
    assert answered.content_type == "application/problem+json"
    assert len(answered.data) <= 16 * 1024
    assert SECRET not in answered.text
    assert not re.search(r"Traceback|File \"|\.py|/tmp/|/home/|site-packages", answered.text)
    document = answered.json
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["detail"].endswith(".")
    assert document["request_id"] == answered.headers["X-Request-Id"]
    assert len(document.get("errors", [])) <= 20
    assert word in json.dumps(document, ensure_ascii=False), document
    return document


@pytest.mark.parametrize("case", BAD)
def test_bad_request_is_refused_with_its_place_and_what_is_accepted(client, case):
    path, content_type, body, status, word = BAD[case]
    answered = client.post(path, data=body, content_type=content_type)
    assert_problem(answered, status, word)


def test_good_requests_beside_the_bad_ones_are_answered(client):
    """The bad requests differ from these in one thing only."""
    assert client.post(SEGMENTS, data=one(), content_type=JSON).status_code == 200
    assert client.post(SEGMENTS, data=columns(), content_type=JSON).status_code == 200
    assert client.post(FEATURES, data=order(), content_type=JSON).status_code == 200
    for content_type, body in (
        (NDJSON, json.dumps(GOOD)),
        (CSV, f"{CSV_HEADER}\n{CSV_ROW}\n"),
        ("application/json; charset=UTF-8", one()),
    ):
        assert client.post(SEGMENTS, data=body, content_type=content_type).status_code == 200
    assert len(BAD) >= 60


def test_value_that_equals_a_key_is_no_repeated_key(client):
    body = rows(dict(GOOD, customer_id="total_unit"), dict(GOOD, customer_id="customer_id"))
    assert client.post(SEGMENTS, data=body, content_type=JSON).status_code == 200


NASTY = ['a"b', "\\", "\\\\", ':,{"x": 1, "x": 2}', '\\"', '":', "{[,:", '"total_unit":1', "🛒:"]


@pytest.mark.parametrize("kind", [JSON, NDJSON])
def test_keys_are_counted_outside_texts_only(client, kind):
    """Texts may hold whatever looks like a key; a key given twice is found beside them."""
    customers = [dict(GOOD, customer_id=text) for text in NASTY]
    for last, status in (("", 200), (', "total_unit": 4', 400)):
        lines = [json.dumps(one, ensure_ascii=False) for one in customers]
        lines[-1] = lines[-1][:-1] + last + "}"
        body = "\n".join(lines) if kind == NDJSON else f'{{"customers": [{", ".join(lines)}]}}'
        answered = client.post(SEGMENTS, data=body.encode(), content_type=kind)
        assert answered.status_code == status, answered.text
        assert status == 200 or "twice" in answered.text


@pytest.mark.parametrize("size", [24, 1 << 20, (1 << 20) + 8, 3 << 20])
def test_marks_are_counted_exactly_wherever_a_piece_of_the_body_ends(size):
    rng = random.Random(size)
    texts = ["".join(rng.choices(',:"\\é x', k=rng.randrange(9))) for _ in range(20)]
    values = [rng.choice(texts) for _ in range(size // 8)]
    body = json.dumps(values).encode()
    assert holds_more_values(body, len(values) - 2)
    assert not holds_more_values(body, len(values) - 1)


def test_twenty_mistakes_of_many_are_listed_and_all_are_counted(client):
    bad = dict(GOOD, total_unit=SECRET, total_spent=-1)
    body = rows(*[bad] * 5000)
    document = assert_problem(client.post(SEGMENTS, data=body, content_type=JSON), 422, "10,000")
    assert document["error_count"] == 10_000
    assert len(document["errors"]) == 20


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "trace"])
def test_other_methods_are_refused_with_those_allowed(client, method):
    answered = client.open(SEGMENTS, method=method.upper())
    assert_problem(answered, 405, "method")
    assert answered.headers["Allow"] == "POST"


def test_compressed_body_is_refused(client):
    answered = client.post(
        SEGMENTS, data=one(), content_type=JSON, headers={"Content-Encoding": "gzip"}
    )
    assert_problem(answered, 415, "Content-Encoding")


def test_without_a_model_nothing_but_health_is_answered(tmp_path):
    app = create_app(Surroundings(ModelStore(tmp_path))).test_client()
    assert app.get("/health/live").status_code == 200
    assert app.get("/metrics").status_code == 200
    for path in ("/health/ready", "/v1/model", "/openapi.json", "/docs"):
        answered = app.get(path)
        assert_problem(answered, 503, "no model")
        assert answered.headers["Retry-After"]
    assert_problem(app.post(SEGMENTS, data=one(), content_type=JSON), 503, "no model")


def test_defect_is_answered_without_saying_more(store, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("segmentation.deliver.api.app.answer", broken)
    app = create_app(Surroundings(store)).test_client()
    assert_problem(app.post(SEGMENTS, data=one(), content_type=JSON), 500, "defect")
    assert SECRET not in caplog.text


# --- who may ask ----------------------------------------------------------------------

KEY, OTHER_KEY = "k" * 16, "another-key-of-some-length"


def keys_file(folder: Path, *keys: str) -> Path:
    path = folder / "keys"
    path.write_text("# keys of the CRM\n" + "\n".join(keys) + "\n", encoding="utf-8")
    return path


def test_key_is_needed_where_keys_are_set(store, tmp_path):
    keys = ApiKeys(keys_file(tmp_path, KEY, OTHER_KEY))
    app = create_app(Surroundings(store, keys=keys)).test_client()

    for given in ({}, {"X-API-Key": "x" * 16}, {"Authorization": f"Basic {KEY}"}):
        answered = app.post(SEGMENTS, data=one(), content_type=JSON, headers=given)
        assert_problem(answered, 401, "API key")
        assert answered.headers["WWW-Authenticate"] == "Bearer"
        assert app.get("/metrics", headers=given).status_code == 401
    for given in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {OTHER_KEY}"}):
        answered = app.post(SEGMENTS, data=one(), content_type=JSON, headers=given)
        assert answered.status_code == 200
    assert app.get("/health/ready").status_code == 200
    assert app.get("/openapi.json").json["security"]


def test_keys_are_rotated_without_a_restart(tmp_path):
    path = keys_file(tmp_path, KEY)
    keys = ApiKeys(path)
    assert keys.accepts(KEY)
    assert not keys.accepts(OTHER_KEY)

    keys_file(tmp_path, OTHER_KEY)
    keys.refresh()
    assert keys.accepts(OTHER_KEY)
    assert not keys.accepts(KEY)
    assert not keys.failure


@pytest.mark.parametrize("fault", ["mistake", "empty", "deleted", "comments", "no text", "huge"])
def test_key_that_was_removed_is_refused_whatever_else_the_file_became(
    store, tmp_path, caplog, fault
):
    """Fail closed: the old keys stayed valid, without a word, while the file had a mistake."""
    path = keys_file(tmp_path, KEY, OTHER_KEY)
    keys = ApiKeys(path)
    app = create_app(Surroundings(store, keys=keys)).test_client()
    logging.getLogger("segmentation.deliver.api").propagate = True

    path.write_bytes(
        {
            "mistake": f"short\n{OTHER_KEY}\n".encode(),
            "comments": b"# none left\n",
            "no text": OTHER_KEY.encode() + b"\n\xff\n",
            "huge": OTHER_KEY.encode() + b"\n" + b"x" * (1 << 20),
        }.get(fault, b"")
    )
    if fault == "deleted":
        path.unlink()
    keys.refresh()
    keys.refresh()

    assert app.get("/v1/model", headers={"X-API-Key": KEY}).status_code == 401
    still = app.get("/v1/model", headers={"X-API-Key": OTHER_KEY}).status_code
    assert still == (200 if fault == "mistake" else 401)
    assert app.get("/health/ready").json["keys_are_good"] is False
    assert [record.msg for record in caplog.records].count("keys_refused") == 1
    keys_file(tmp_path, KEY)
    keys.refresh()
    assert app.get("/health/ready").json["keys_are_good"] is True
    metrics = app.get("/metrics", headers={"X-API-Key": KEY}).text
    assert "segmentation_keys_faulty 0" in metrics


def test_byte_order_mark_and_comments_are_no_keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"\ufeff{KEY}\n   # an indented comment, long enough\n", encoding="utf-8")
    keys = ApiKeys(path)
    assert keys.accepts(KEY)
    assert not keys.accepts("# an indented comment, long enough")
    path.write_text("\ufeff# a comment that is long enough\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="16 characters"):
        ApiKeys(path)


def test_more_requests_than_a_worker_computes_are_sent_away(store):
    around = Surroundings(store, max_in_flight=1)
    app = create_app(around).test_client()
    with around.slot():
        answered = app.post(SEGMENTS, data=one(), content_type=JSON)
    assert_problem(answered, 503, "too many")
    assert answered.headers["Retry-After"] == "1"
    assert app.post(SEGMENTS, data=one(), content_type=JSON).status_code == 200


def test_large_bodies_take_turns_and_ordinary_ones_pass_them(store, monkeypatch):
    monkeypatch.setattr(api_app, "LARGE_BODY_WAIT_SECONDS", 0.01)
    around = Surroundings(store)
    app = create_app(around).test_client()
    large = b" " * 2_000_000 + one()
    for _ in range(3):  # what is refused gives its turn back
        assert app.post(SEGMENTS, data=b"[" * 2_000_000, content_type=JSON).status_code == 400
    assert app.post(SEGMENTS, data=large, content_type=JSON).status_code == 200
    for _ in range(2):
        around.large.acquire()
    answered = app.post(SEGMENTS, data=large, content_type=JSON)
    assert_problem(answered, 503, "large bodies")
    assert answered.headers["Retry-After"] == "1"
    assert app.post(SEGMENTS, data=one(), content_type=JSON).status_code == 200
    around.large.release()
    assert app.post(SEGMENTS, data=large, content_type=JSON).status_code == 200


# --- what surrounds an answer ---------------------------------------------------------


def test_every_answer_has_the_security_headers(client):
    for answered in (client.get("/docs"), client.get("/no"), client.get("/v1/model")):
        assert answered.headers["X-Content-Type-Options"] == "nosniff"
        assert answered.headers["X-Frame-Options"] == "DENY"
        assert answered.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"]


def test_log_has_one_line_a_request_and_no_value_of_a_customer(client, caplog):
    caplog.set_level("INFO", logger="segmentation.deliver.api")
    logging.getLogger("segmentation.deliver.api").propagate = True
    given = {"X-Request-Id": "order-42"}
    client.post(SEGMENTS, data=one(customer_id=SECRET), content_type=JSON, headers=given)
    client.get("/no/" + SECRET, headers={"X-Request-Id": "two lines"})

    first, second = [record.fields for record in caplog.records if record.msg == "request"]
    assert first["request_id"] == "order-42"
    assert (first["route"], first["status"], first["customers"]) == (SEGMENTS, 200, 1)
    assert re.fullmatch(r"[0-9a-f]{16}", second["request_id"])
    assert SECRET not in json.dumps([first, second])


def test_metrics_count_requests_customers_and_refusals(store):
    app = create_app(Surroundings(store)).test_client()
    app.post(SEGMENTS, data=rows(GOOD, dict(GOOD, total_spent=9e9)), content_type=JSON)
    app.post(SEGMENTS, data=b"{}", content_type=JSON)

    text = app.get("/metrics").text

    assert 'segmentation_requests_total{endpoint="segments",status="200"} 1' in text
    assert 'segmentation_requests_total{endpoint="segments",status="422"} 1' in text
    assert "segmentation_customers_total 2" in text
    assert "segmentation_extrapolated_total 1" in text
    assert "segmentation_model_loaded 1" in text
    assert 'segmentation_request_seconds_count{endpoint="segments"} 2' in text
    sample = re.compile(r"(# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"[^\"]*\",?)+\})? [0-9.]+)")
    assert all(sample.fullmatch(line) for line in text.splitlines())


def test_model_card_says_what_the_files_hold(client, marketplace_run):
    card = client.get("/v1/model").json
    assert "personal data" in card["personal_data"]
    assert [f["unit"] for f in card["features"]] == ["days", "days", "units", "currency"]
    assert card["model"]["as_of"] == "2024-12-31"
    sizes = [s["customers"] for group in card["groups"] for s in group["segments"]]
    assert sum(sizes) == len(pd.read_parquet(marketplace_run / "segments.parquet"))
