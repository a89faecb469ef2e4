"""The API answers as the run did: every customer, every form of request."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from api_server import client_of
from flask.testing import FlaskClient

from segmentation.core.parameters import resolve
from segmentation.customers import features
from segmentation.deliver.api import orders
from segmentation.deliver.api.problems import Problem
from segmentation.orders import clean
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.segments.model import load_model
from segmentation.sources.engine import DuckDbEngine

JUDGED = ["segment_type", "cluster", "segment", "margin", "is_anomaly", "anomaly_reasons"]
ROWS_AT_ONCE = 10_000


def rows_of(table: pd.DataFrame, columns: list[str]) -> list[dict]:
    rows = table[columns].astype(object).where(table[columns].notna(), None)
    return rows.to_dict("records")


def ask(client: FlaskClient, rows: list[dict], **query: str) -> list[dict]:
    answered = client.post("/v1/segments", json={"customers": rows}, query_string=query)
    assert answered.status_code == 200, answered.text
    return answered.json["customers"]


@pytest.fixture(scope="module")
def marketplace(marketplace_run) -> FlaskClient:
    return client_of(marketplace_run / "model")


@pytest.fixture(scope="module")
def customers(marketplace_run) -> tuple[list[dict], pd.DataFrame]:
    """Rows to ask with, and what the run said."""
    segments = pd.read_parquet(marketplace_run / "segments.parquet")
    columns = ["customer_id", *load_model(marketplace_run / "model").features]
    return rows_of(segments, columns), segments


# --- same answers ---------------------------------------------------------------------


def test_every_customer_of_the_run_gets_the_segment_of_the_run(shipped_run):
    folder = shipped_run[1]
    segments = pd.read_parquet(folder / "segments.parquet")
    columns = ["customer_id", *load_model(folder / "model").features]
    client, rows = client_of(folder / "model"), rows_of(segments, columns)

    answers = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        answers += ask(client, rows[start : start + ROWS_AT_ONCE])

    assert list(answers[0]) == ["customer_id", *JUDGED]
    assert all(list(answer) == list(answers[0]) for answer in answers)
    found = pd.DataFrame(answers)
    for name in ("customer_id", *JUDGED):
        expected = segments[name]
        if name == "margin":
            np.testing.assert_array_equal(found[name].astype(float), expected)
        else:
            assert found[name].tolist() == expected.tolist(), name


@pytest.mark.parametrize("form", ["columns", "ndjson", "csv"])
def test_every_form_of_request_gives_the_same_answers(marketplace, customers, form):
    rows, segments = customers

    found = FORMS[form](marketplace, rows)

    for name in ("cluster", "segment", "is_anomaly", "segment_type"):
        assert found[name] == segments[name].tolist(), name
    np.testing.assert_array_equal(np.array(found["margin"], dtype=float), segments["margin"])


def by_columns(client: FlaskClient, rows: list[dict]) -> dict:
    body = {"columns": {name: [row[name] for row in rows] for name in rows[0]}}
    answered = client.post("/v1/segments", json=body)
    assert answered.json["columns"]["anomaly_reasons"]
    return answered.json["columns"]


def by_ndjson(client: FlaskClient, rows: list[dict]) -> dict:
    body = "\n".join(json.dumps(row) for row in rows)
    answered = client.post("/v1/segments", data=body, content_type="application/x-ndjson")
    lines = [json.loads(line) for line in answered.text.splitlines()]
    return {name: [line[name] for line in lines] for name in lines[0]}


def by_csv(client: FlaskClient, rows: list[dict]) -> dict:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    answered = client.post("/v1/segments", data=out.getvalue(), content_type="text/csv")
    assert answered.mimetype == "text/csv"
    lines = list(csv.DictReader(io.StringIO(answered.text)))
    found = {name: [line[name] for line in lines] for name in lines[0]}
    found["cluster"] = [int(text) for text in found["cluster"]]
    found["margin"] = [float(text or "nan") for text in found["margin"]]
    found["is_anomaly"] = [text == "true" for text in found["is_anomaly"]]
    return found


FORMS = {"columns": by_columns, "ndjson": by_ndjson, "csv": by_csv}


def test_order_of_keys_and_size_of_batch_change_nothing(marketplace, customers):
    rows = customers[0][:200]
    together = ask(marketplace, rows)
    backwards = [dict(reversed(row.items())) for row in rows]

    assert ask(marketplace, backwards) == together
    alone = [ask(marketplace, [row])[0] for row in rows[:50]]
    assert alone == together[:50]
    assert ask(marketplace, rows[::-1]) == together[::-1]


def test_answers_come_in_the_order_asked_whatever_the_groups(marketplace, customers):
    rows = random.Random(1).sample(customers[0], 500)

    answers = ask(marketplace, rows)

    assert [answer["customer_id"] for answer in answers] == [row["customer_id"] for row in rows]
    assert len({answer["segment_type"] for answer in answers}) == 3


def test_distances_are_given_on_request_and_explain_the_margin(marketplace, customers):
    answers = ask(marketplace, customers[0][:300], distances="true")

    for answer in answers:
        nearest, *others = sorted(answer["distances"])
        assert answer["distances"][answer["cluster"]] == nearest
        if answer["segment_type"] == "unregistered":  # too few: one segment, so no margin
            assert (answer["margin"], others) == (None, [])
        else:
            assert answer["margin"] == pytest.approx(1 - nearest / others[0])


def test_customer_far_outside_the_fitted_range_is_answered_and_flagged(marketplace, customers):
    usual = dict(customers[0][0], register_to_order=10)
    beyond = dict(usual, total_spent=5e9, total_unit=8e8)

    plain, flagged = ask(marketplace, [usual, beyond])

    assert "extrapolated" not in plain
    assert flagged["extrapolated"] == ["total_unit", "total_spent"]
    assert flagged["is_anomaly"]
    assert flagged["anomaly_reasons"].startswith("extreme quantity (800,000,000, median")
    assert 0 <= flagged["margin"] <= 1


def test_ids_come_back_letter_by_letter(marketplace, customers):
    ids = ["007", "=1+1", 'say "hi"', "<b>x</b>", "a\nb", "ключ", "🛒", "a,b", "segment_type", "\\"]
    rows = [dict(customers[0][0], customer_id=text) for text in ids]

    assert [answer["customer_id"] for answer in ask(marketplace, rows)] == ids
    assert by_csv(marketplace, rows)["customer_id"] == ids


# --- features from orders -----------------------------------------------------------------


TEXTS = ["product", "category", "payment_method", "country"]
FLAGS = ["is_valid", "is_return", "is_non_product", "is_listed_twice"]


def as_sent(table: pd.DataFrame) -> list[dict]:
    """Transactions as a client would send them."""
    lines = []
    for row in table.to_dict("records"):
        line = {name: str(row[name]) for name in ("customer_id", "order_id", "quantity", "amount")}
        line["order_date"] = str(row["order_date"])[:10]
        line |= {name: bool(row[name]) for name in FLAGS if not pd.isna(row[name])}
        line |= {name: None if pd.isna(row[name]) else row[name] for name in TEXTS}
        registered = row["registered_date"]
        line["registered_date"] = None if pd.isna(registered) else str(registered)[:10]
        lines.append(line)
    return lines


NEEDED = ["customer_id", "order_id", "order_date", "quantity", "amount"]


def lines_of(profile: str, runs_dir: Path) -> list[dict]:
    """All complete transactions of a shipped profile."""
    run = Run(resolve(profile)[1], runs_dir)
    engine = DuckDbEngine()
    ingest.ingest(engine, run.source)
    table = engine.query("SELECT * FROM transactions")
    engine.close()
    return as_sent(table.dropna(subset=NEEDED))


def test_features_from_orders_equal_those_of_the_run(shipped_run, runs_dir):
    profile, folder = shipped_run
    client, expected = client_of(folder / "model"), pd.read_parquet(folder / "features.parquet")
    keep = set(expected["customer_id"][::3])
    sent = [line for line in lines_of(profile, runs_dir) if line["customer_id"] in keep]

    answered = client.post("/v1/features?all=true", json={"orders": sent})

    assert answered.status_code == 200, answered.text
    found = pd.DataFrame(answered.json["customers"]).sort_values("customer_id")
    expected = expected[expected["customer_id"].isin(keep)].sort_values("customer_id")
    for name in expected.columns.drop("customer_id"):
        if name == "segment_type" and profile == "cdnow":
            continue  # nobody registers there: the model has one group and does not ask
        wanted, got = expected[name], found[name]
        if name != "segment_type":
            wanted, got = wanted.astype(float), got.astype(float)
        pd.testing.assert_series_equal(
            got.reset_index(drop=True), wanted.reset_index(drop=True), check_names=False
        )


def test_customers_of_features_can_be_sent_on_as_they_are(marketplace, marketplace_run, runs_dir):
    lines = [line for line in lines_of("marketplace", runs_dir) if line["is_valid"]][:2000]

    made = marketplace.post("/v1/features", json={"orders": lines}).json["customers"]

    assert len(ask(marketplace, made)) == len(made) > 100


RULE_SETS = [
    {"returns": returns, "zero_amount": zero, "duplicates": copies, "non_product": postage}
    for returns in ("exclude", "net")
    for zero in ("keep", "exclude")
    for copies in ("keep", "drop")
    for postage in ("keep", "exclude")
]


@pytest.fixture(scope="module")
def shop_with_every_kind_of_line(runs_dir):
    """The marketplace's lines, some marked by a seeded hand and some copied."""
    run = Run(resolve("marketplace")[1], runs_dir)
    engine = DuckDbEngine()
    ingest.ingest(engine, run.source)
    engine.create(
        "transactions",
        """
        SELECT * REPLACE (
            hash(order_id) % 17 > 0 AS is_valid,
            hash(order_id, product, 'listed') % 23 = 0 AS is_listed_twice,
            hash(order_id, product, 'postage') % 11 = 0 AS is_non_product,
            is_return OR hash(order_id) % 13 = 0 AS is_return,
            CASE hash(order_id, 'sum') % 19 WHEN 0 THEN 0 WHEN 1 THEN -amount ELSE amount END
            AS amount
        )
        FROM transactions, range(2) AS copies(n)
        WHERE hash(customer_id, 'some') % 12 = 0 AND (n = 0 OR hash(order_id, 'twice') % 7 = 0)
        """,
    )
    engine.create(
        "transactions",
        "SELECT * FROM transactions WHERE COLUMNS(['customer_id', 'order_id', 'order_date', "
        "'quantity', 'amount']) IS NOT NULL AND TRIM(customer_id) <> ''",
    )
    sent = as_sent(engine.query("SELECT * FROM transactions ORDER BY hash(order_id, product)"))
    yield engine, orders.ORDERS.validate_json(json.dumps({"orders": sent}))
    engine.close()


@pytest.mark.parametrize("rules", RULE_SETS, ids=lambda rules: "-".join(rules.values()))
def test_features_from_orders_follow_every_cleaning_rule(
    marketplace_run, shop_with_every_kind_of_line, rules
):
    """The same orders through the stages of a run, and sent to the API."""
    engine, sent = shop_with_every_kind_of_line
    as_of = dt.date(2024, 6, 15)
    model = load_model(marketplace_run / "model")
    model.info["parameters"] |= rules
    model.info["as_of"] = as_of.isoformat()

    made = orders.features_of(sent, model, columns=None)

    clean.clean(engine, **rules, as_of=as_of)
    expected, ledger = features.customer_features(engine, as_of=as_of), clean.ledger(engine)
    found = pd.DataFrame(made["customers"]).drop(columns="segment_type")
    pd.testing.assert_frame_equal(
        found.set_index("customer_id").sort_index().astype(float),
        expected.set_index("customer_id").sort_index().astype(float),
        check_index_type=False,
        check_exact=True,
    )
    assert list(found["customer_id"]) == [
        name
        for name in dict.fromkeys(line["customer_id"] for line in sent["orders"])
        if name in set(expected["customer_id"])
    ]
    set_aside = ledger[~ledger["rule"].isin(["raw", "kept"])].set_index("rule")["rows"]
    assert made["set_aside"] == {k: int(v) for k, v in sorted(set_aside.items()) if v}
    assert {"listed_twice", "invalid_order", "after_as_of"} <= set(made["set_aside"])


def test_marks_that_the_run_used_must_be_given(marketplace_run):
    """A line that does not say what it is would silently count as a product."""
    model = load_model(marketplace_run / "model")
    model.info["parameters"] |= {"non_product": "exclude"}
    line = {"customer_id": "c", "order_id": "o", "order_date": "2024-03-01"}
    line |= {"quantity": 1, "amount": "2.50"}
    sent = orders.ORDERS.validate_json(json.dumps({"orders": [line]}))
    with pytest.raises(Problem, match="is_non_product"):
        orders.features_of(sent, model, columns=None)


KNOWN = ["customer_id", "recency", "frequency", "tenure", "total_spent"]


@pytest.mark.parametrize("form", ["rows", "columns", "csv", "ndjson"])
def test_forecasts_of_the_api_are_those_of_the_run(cdnow_run, form):
    client = client_of(cdnow_run / "model")
    asked = pd.read_parquet(cdnow_run / "features.parquet").sample(500, random_state=1)[KNOWN]
    rows = rows_of(asked, KNOWN)
    bodies = {
        "rows": (json.dumps({"customers": rows}), "application/json"),
        "columns": (json.dumps({"columns": asked.to_dict("list")}), "application/json"),
        "csv": (asked.to_csv(index=False), "text/csv"),
        "ndjson": ("\n".join(map(json.dumps, rows)), "application/x-ndjson"),
    }
    answered = client.post("/v1/forecast", data=bodies[form][0], content_type=bodies[form][1])
    assert answered.status_code == 200, answered.text
    read = {
        "rows": lambda: pd.DataFrame(answered.json["customers"]),
        "columns": lambda: pd.DataFrame(answered.json["columns"]),
        "csv": lambda: pd.read_csv(io.StringIO(answered.text), dtype={"customer_id": str}),
        "ndjson": lambda: pd.DataFrame(map(json.loads, answered.text.splitlines())),
    }
    found = read[form]()

    wanted = pd.read_parquet(cdnow_run / "forecast.parquet").set_index("customer_id")
    wanted = wanted.loc[asked["customer_id"]].reset_index()
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-9)


def test_a_model_that_withholds_forecasts_says_why(cdnow_run, tmp_path):
    model = load_model(cdnow_run / "model")
    said = model.info | {"forecast": {"reason": "the window is too short"}}
    replace(model, info=said, sha256="").save(tmp_path)
    row = {"customer_id": "a", "recency": 3, "frequency": 2, "tenure": 90, "total_spent": 20}
    client = client_of(tmp_path)

    answered = client.post("/v1/forecast", json={"customers": [row]})

    assert answered.status_code == 404
    assert "forecasts no customer: the window is too short" in answered.json["detail"]
    assert client.get("/v1/model").json["forecast"] == {"reason": "the window is too short"}


@pytest.mark.parametrize("form", ["rows", "csv"])
def test_whom_to_call_first_by_the_api_are_those_on_the_list_of_the_run(cdnow_run, form):
    client = client_of(cdnow_run / "model")
    called = pd.read_csv(cdnow_run / "call_first.csv", dtype={"customer_id": str})
    known = pd.read_parquet(cdnow_run / "features.parquet").set_index("customer_id")
    chance = pd.read_parquet(cdnow_run / "forecast.parquet").set_index("customer_id")["chance"]
    other = [one for one in known.index if one not in set(called["customer_id"])][:300]
    before = pd.concat([called.set_index("customer_id")["chance_before"], chance[other] - 1e-9])
    asked = known.loc[before.index, KNOWN[1:]].assign(chance_before=before.clip(lower=0))
    asked = asked.reset_index().sample(frac=1, random_state=1)
    columns = [*KNOWN, "chance_before"]
    body = {
        "rows": (json.dumps({"customers": rows_of(asked, columns)}), "application/json"),
        "csv": (asked[columns].to_csv(index=False), "text/csv"),
    }[form]

    answered = client.post("/v1/call-first", data=body[0], content_type=body[1])

    assert answered.status_code == 200, answered.text
    found = (
        pd.DataFrame(answered.json["customers"])
        if form == "rows"
        else pd.read_csv(io.StringIO(answered.text), dtype={"customer_id": str})
    )
    assert found["customer_id"].tolist() == called["customer_id"].tolist()
    names = ["value_at_risk", "chance_before", "chance"]
    pd.testing.assert_frame_equal(found[names], called[names], rtol=1e-9)


@pytest.mark.parametrize("path", ["/v1/forecast", "/v1/call-first"])
def test_a_last_order_before_the_first_is_refused_before_anything_is_computed(cdnow_run, path):
    row = {"customer_id": "a", "recency": 999, "frequency": 2, "tenure": 90, "total_spent": 20}
    row |= {"chance_before": 0.5} if path.endswith("first") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answered = client_of(cdnow_run / "model").post(path, json={"customers": [row]})
    assert answered.status_code == 422
    assert answered.json["errors"][0]["pointer"] == "/customers/0/recency"


def test_nobody_with_nothing_at_risk_is_called(cdnow_run):
    row = {"customer_id": "a", "recency": 1, "frequency": 9, "tenure": 90, "total_spent": 20}
    asked = {"customers": [row | {"chance_before": 0.0}]}
    answered = client_of(cdnow_run / "model").post("/v1/call-first", json=asked)
    assert (answered.status_code, answered.json["customers"]) == (200, [])


def test_forecasts_of_extreme_customers_are_numbers(cdnow_run):
    rows = [
        {"customer_id": str(n), "recency": r, "frequency": f, "tenure": t, "total_spent": s}
        for n, (r, f, t, s) in enumerate(
            [(0, 1, 0, 0), (0, 1e6, 1e5, 1e12), (1e5, 1, 1e5, -1e12), (0, 1e6, 0, 1), (1e5, 1e6, 1e5, 1)]
        )
    ]  # fmt: skip
    answered = client_of(cdnow_run / "model").post("/v1/forecast", json={"customers": rows})
    found = pd.DataFrame(answered.json["customers"]).drop(columns="customer_id")
    assert np.isfinite(found.to_numpy(dtype=float)).all()
    assert found["chance"].between(0, 1).all() and (found >= 0).all().all()
