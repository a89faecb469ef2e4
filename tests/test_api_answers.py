"""The API answers as the run did: every customer, every form of request."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

from segmentation import clean, features, ingest
from segmentation.api import orders
from segmentation.api.app import Surroundings, create_app
from segmentation.api.store import ModelStore
from segmentation.engine import DuckDbEngine
from segmentation.model import load_model
from segmentation.params import resolve
from segmentation.pipeline import Run

JUDGED = ["segment_type", "cluster", "segment", "margin", "is_anomaly", "anomaly_reasons"]
ROWS_AT_ONCE = 10_000


def client_of(model: Path) -> FlaskClient:
    store = ModelStore(model)
    store.load()
    return create_app(Surroundings(store)).test_client()


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


def lines_of(profile: str, runs_dir: Path) -> list[dict]:
    """All complete transactions of a shipped profile, as a client would send them."""
    run = Run(resolve(profile)[1], runs_dir)
    engine = DuckDbEngine()
    ingest.ingest(engine, run.source)
    table = engine.query("SELECT * FROM transactions")
    engine.close()
    needed = ["customer_id", "order_id", "order_date", "quantity", "amount"]
    table, lines = table.dropna(subset=needed), []
    for row in table.to_dict("records"):
        line = {name: str(row[name]) for name in ("customer_id", "order_id", "quantity", "amount")}
        line["order_date"] = str(row["order_date"])[:10]
        line["is_valid"] = bool(row["is_valid"])
        line["is_return"] = bool(row["is_return"])
        registered = row["registered_date"]
        line["registered_date"] = None if pd.isna(registered) else str(registered)[:10]
        lines.append(line)
    return lines


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


@pytest.mark.parametrize("returns", ["exclude", "net"])
@pytest.mark.parametrize("zero_amount", ["keep", "exclude"])
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_features_from_orders_follow_every_cleaning_rule(
    marketplace_run, tmp_path, returns, zero_amount, duplicates
):
    """Random orders through clean.sql and features.sql, and through the API's own code."""
    rules = {"returns": returns, "zero_amount": zero_amount, "duplicates": duplicates}
    lines = random_lines(random.Random(f"{rules}"), 600)
    model = load_model(marketplace_run / "model")
    model.info["parameters"] |= rules
    model.info["as_of"] = "2024-06-15"

    made = orders.features_of({"orders": lines}, model, columns=None)

    expected, ledger = by_sql(lines, rules, tmp_path)
    found = pd.DataFrame(made["customers"]).drop(columns="segment_type")
    found = found.sort_values("customer_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        found.set_index("customer_id").astype(float),
        expected.set_index("customer_id").astype(float),
        check_index_type=False,
        check_like=True,
    )
    set_aside = ledger[~ledger["rule"].isin(["raw", "kept"])].set_index("rule")["rows"]
    assert made["set_aside"] == {k: int(v) for k, v in set_aside.items() if v}


def random_lines(chance: random.Random, count: int) -> list[dict]:
    body = {"orders": []}
    for _ in range(count):
        returned = chance.random() < 0.15
        size = chance.choice([1, 2, 3, 0, -1]) if not returned else -1
        line = {
            "customer_id": f"c{chance.randrange(60):02d}",
            "order_id": f"o{chance.randrange(150)}",
            "order_date": f"2024-{chance.randrange(1, 8):02d}-{chance.randrange(1, 29):02d}",
            "quantity": size,
            "amount": str(chance.choice(["0", "9.99", "120.5", "-3", "7.25"])),
            "is_valid": chance.random() < 0.9,
            "is_return": returned,
            "registered_date": chance.choice([None, "2024-02-01", "2023-12-24"]),
        }
        body["orders"] += [line] * chance.choice([1, 1, 1, 2])
    return orders.ORDERS.validate_json(json.dumps(body))["orders"]


def by_sql(
    lines: list[dict], rules: dict[str, str], folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.DataFrame(lines).assign(
        quantity=lambda t: t["quantity"].astype(float), product=None, category=None
    )
    table = table.assign(payment_method=None, country=None, is_non_product=False)
    table = table.assign(unit_price=None, discount=None, is_listed_twice=False)
    table.to_parquet(folder / "lines.parquet")
    engine = DuckDbEngine()
    try:
        engine.bind_file("lines", folder / "lines.parquet")
        engine.create(
            "transactions",
            "SELECT * REPLACE (CAST(amount AS DECIMAL(18, 2)) AS amount, "
            "CAST(quantity AS DECIMAL(18, 2)) AS quantity, "
            "CAST(order_date AS DATE) AS order_date, "
            "CAST(registered_date AS DATE) AS registered_date) FROM lines",
        )
        as_of = pd.Timestamp("2024-06-15").date()
        clean.clean(engine, **rules, non_product="keep", as_of=as_of)
        return features.customer_features(engine, as_of=as_of), clean.ledger(engine)
    finally:
        engine.close()
