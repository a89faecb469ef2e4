"""A shop's own features are features: everything that shows or assigns customers has them."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from api_server import client_of
from conftest import TinyShop, assert_refused, call_cli, ordinary_orders
from python_calamine import CalamineWorkbook

from segmentation.book.explorer_page import browser_model
from segmentation.book.report import make_report
from segmentation.book.words.prediction import holdout_sentence
from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import parameters_from, resolve
from segmentation.deliver.run_places import Asked
from segmentation.deliver.scoring_sql import scoring_sql
from segmentation.run.run import Run
from segmentation.segments.model import load_model

CUSTOMERS = [f"{number:04d}" for number in range(40)]
OPENS = {customer: int(customer) * 7 % 11 for customer in CUSTOMERS}
LABELS = {"newsletter_opens": {"label": "Newsletter opens", "unit": "opens", "format": "count"}}
SQL = """
SELECT c.customer_id, COUNT(m.opened_on) AS newsletter_opens
FROM (SELECT DISTINCT customer_id FROM orders) AS c
LEFT JOIN mails AS m ON m.customer_id = c.customer_id AND CAST(m.opened_on AS DATE) <= :as_of
GROUP BY c.customer_id
"""


def with_mails(folder: Path, sql: str = SQL, **parameters: object) -> TinyShop:
    """The ordinary shop, and a file of who opened its newsletter on the n-th of each month."""
    shop = TinyShop(folder, parameters).lines(ordinary_orders())
    mails = [
        {"customer_id": customer, "opened_on": f"2023-{1 + opened % 7:02d}-05"}
        for customer, times in OPENS.items()
        for opened in range(times)
    ]
    shop.lines(mails, name="mails.csv")
    (folder / "features.sql").write_text(sql, encoding="utf-8")
    shop.parameters |= {
        "own_features": "features.sql",
        "feature_labels": LABELS,
        "features": ["recency", "frequency", "total_spent", "newsletter_opens"],
    } | parameters
    return shop


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    shop = with_mails(tmp_path_factory.mktemp("mails"))
    outcome = shop.run()
    assert outcome.code == 0, outcome.said
    return shop.result


@pytest.fixture(scope="module")
def customers(made) -> pd.DataFrame:
    return pd.read_parquet(made / "features.parquet")


def test_values_are_those_of_the_select_at_the_last_day(customers):
    assert customers.set_index("customer_id")["newsletter_opens"].to_dict() == OPENS


def test_tables_dictionary_and_model_have_its_label(made):
    profile = pd.read_csv(made / "profile.csv")
    sheets = CalamineWorkbook.from_path(made / "customer_segmentation_output.xlsx")
    first_rows = [sheets.get_sheet_by_name(n).to_python()[0] for n in sheets.sheet_names]
    model = load_model(made / "model")
    document = json.loads((made / "model" / "model.json").read_text("utf-8"))

    assert {"newsletter_opens_mean", "newsletter_opens_median"} <= set(profile)
    assert sum("Newsletter opens" in row for row in first_rows) >= 4  # every list of customers
    assert document["info"]["parameters"]["feature_labels"] == LABELS
    assert "own_features" not in document["info"]["parameters"]  # a path of this machine
    assert browser_model(model)["labels"]["newsletter_opens"] == "Newsletter opens (opens)"


def test_file_sql_and_server_assign_it_alike(made, customers, tmp_path):
    segments = pd.read_parquet(made / "segments.parquet").set_index("customer_id")["segment"]
    asked = tmp_path / "asked.csv"
    customers.to_csv(asked, index=False)
    scored = call_cli("score", made / "model", asked, "--output", tmp_path / "scored.csv")
    assert scored.code == 0, scored.said
    by_file = pd.read_csv(tmp_path / "scored.csv", dtype={"customer_id": str})
    with duckdb.connect() as database:
        database.register("features", customers)
        by_sql = database.sql(scoring_sql(made / "model", dialect="duckdb")).df()
    client = client_of(made / "model")
    columns = ["customer_id", "recency", "frequency", "total_spent", "newsletter_opens"]
    answer = client.post(
        "/v1/segments", json={"customers": customers[columns].to_dict(orient="records")}
    ).json
    card = client.get("/v1/model").json

    for table in (by_file, by_sql, pd.DataFrame(answer["customers"])):
        assert table.set_index("customer_id")["segment"].to_dict() == segments.to_dict()
    described = {feature["name"]: feature for feature in card["features"]}
    assert described["newsletter_opens"]["label"] == "Newsletter opens"
    assert described["newsletter_opens"]["unit"] == "opens"


def test_a_server_says_that_order_lines_do_not_tell_it(made):
    client = client_of(made / "model")
    line = {"customer_id": "1", "order_id": "1", "order_date": "2023-02-03"}
    answer = client.post("/v1/features", json={"orders": [line | {"quantity": 1, "amount": "5"}]})

    assert answer.status_code == 422
    assert "newsletter_opens" in answer.get_data(as_text=True)


def opened(shop: TinyShop) -> Run:
    shop.arguments()
    return Run(resolve(str(shop.folder / "shop.yaml"))[1], shop.runs_dir)


def test_a_select_with_a_day_is_asked_again_at_the_cut(tmp_path):
    run = opened(with_mails(tmp_path))
    known = run["cut_features"]
    cut = run["cut"]["cut"]
    mails = pd.read_csv(tmp_path / "mails.csv", dtype=str)
    then = mails[mails["opened_on"] <= cut].groupby("customer_id").size()

    assert run["cut"]["left_out"] == []
    assert known["newsletter_opens"].tolist() == [then.get(c, 0) for c in known["customer_id"]]
    assert known["newsletter_opens"].sum() < sum(OPENS.values())


def test_without_a_day_it_is_left_out_of_the_proof_and_the_run_says_so(tmp_path):
    shop = with_mails(tmp_path, SQL.replace("AND CAST(m.opened_on AS DATE) <= :as_of", ""))
    run = opened(shop)
    known = run["cut_features"]

    assert run["cut"]["left_out"] == ["newsletter_opens"]
    assert "newsletter_opens" not in known
    said = holdout_sentence(run["holdout"], run["holdout_segments"], currency="USD")
    assert "without newsletter opens, of which no day is known" in said
    assert len(run["recommendations"]) and run["order_anyway"].empty  # nobody can be followed


def test_another_select_or_label_is_another_result(tmp_path):
    shop = with_mails(tmp_path)
    keys = set()
    other = {"newsletter_opens": {"label": "Mails opened", "unit": "mails"}}
    for sql, labels in ((SQL, LABELS), (SQL + "-- changed", LABELS), (SQL, other)):
        (tmp_path / "features.sql").write_text(sql, encoding="utf-8")
        shop.parameters["feature_labels"] = labels
        keys.add(opened(shop).key("orders"))
    assert len(keys) == 3


ROWS = "SELECT customer_id, {} AS newsletter_opens FROM (SELECT DISTINCT customer_id FROM orders)"
WRONG = {
    "customers missing": (
        ROWS.format("1") + " WHERE customer_id > '0004'",
        ("5 customer(s) are not in its result of 2023-07-28 (0000, 0001, 0002, …)", "COALESCE"),
    ),
    "customers twice": (
        ROWS.format("1") + " UNION ALL SELECT '0007', 1 UNION ALL SELECT '0003', 1",
        ("2 customer(s) are listed more than once (0003, 0007)",),
    ),
    "text": (ROWS.format("'many'"), ("newsletter_opens is VARCHAR", "must be a number")),
    "empty": (
        ROWS.format("CASE WHEN customer_id > '0035' THEN 1 END"),
        ("newsletter_opens is empty or not a finite number for 36", "0000, 0001, 0002, …"),
    ),
    "infinite": (
        ROWS.format("CASE WHEN customer_id = '0009' THEN EXP(400) * EXP(400) ELSE 1e0 END"),
        ("newsletter_opens",),
    ),
    "not described": (
        ROWS.format("1 AS other, 2"),
        ("gives other", "feature_labels"),
    ),
    "lacking": ("SELECT customer_id FROM orders", ("lacks newsletter_opens",)),
    "no such column": ("SELECT who AS customer_id, 1 AS newsletter_opens FROM mails",
                       ("mails.csv: has no column who",)),
    "no such table": ("SELECT customer_id, 1 AS newsletter_opens FROM clicks", ("clicks",)),
    "writing": ("DELETE FROM orders", ("own_features: ", "exactly one SELECT")),
    "reading a file": (
        "SELECT * FROM read_csv('/etc/passwd')",
        ("own_features: ", "reads only tables"),
    ),
    "another marker": (SQL.replace(":as_of", ":today"), ("$today is not known", ":as_of")),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_select_is_one_sentence(tmp_path, case):
    sql, needed = WRONG[case]
    with pytest.raises(SourceError) as refused:
        opened(with_mails(tmp_path, sql))["customer_features"]
    assert all(word in str(refused.value) for word in needed), str(refused.value)


def test_a_run_stops_at_a_wrong_select_with_exit_code_2(tmp_path):
    assert_refused(with_mails(tmp_path, WRONG["text"][0]).run(), *WRONG["text"][1])


@pytest.mark.parametrize(
    ("labels", "needed"),
    [
        ({"recency": {"label": "R", "unit": "days"}}, "recency is the name of another column"),
        ({"cluster": {"label": "C", "unit": "c"}}, "cluster is the name of another column"),
        ({"order": {"label": "Order", "unit": "o"}}, "order is a word of SQL"),
        ({"x_mean": {"label": "X", "unit": "x"}}, "x_mean is the name of another column"),
        ({"Opens!": {"label": "O", "unit": "o"}}, "'Opens!' is no name"),
        ({"opens": {"label": "<b>Opens</b>", "unit": "o"}}, "opens: label is"),
        ({"opens": {"label": "Opens"}}, "opens: unit is missing"),
        ({"opens": {"label": "Opens", "unit": "o", "format": "money!"}}, "opens: format is"),
        ({"opens": {"label": "Opens", "unit": "o", "colour": "red"}}, "unknown colour"),
    ],
)
def test_a_wrong_label_is_one_sentence(labels, needed):
    with pytest.raises(ParameterError, match="feature_labels") as refused:
        parameters_from({"feature_labels": labels})
    assert needed in str(refused.value)


def test_engine_spark_says_that_it_reads_none(tmp_path):
    shop = with_mails(tmp_path, engine="spark")
    with pytest.raises(ParameterError, match="own_features is read by the engines"):
        _ = opened(shop).source


def test_a_book_describes_a_feature_once(tmp_path):
    asked = {}
    for name, label in (("one", "Newsletter opens"), ("two", "Mails opened")):
        labels = {"newsletter_opens": {"label": label, "unit": "opens"}}
        asked[name] = Asked(name, parameters_from({"feature_labels": labels}))
    with pytest.raises(ParameterError, match="two: feature_labels describes newsletter_opens"):
        make_report(asked, runs_dir=tmp_path)


CUSTOMER_SQL = """
SELECT customer_id, CAST(recency AS DOUBLE) AS recency, CAST(frequency AS DOUBLE) AS frequency,
    CAST(monetary AS DECIMAL(18, 2)) AS total_spent, CAST(opens AS DOUBLE) AS newsletter_opens
FROM rfm
"""


def rfm(folder: Path, **parameters: object) -> TinyShop:
    rows = [
        {"customer_id": c, "recency": 5 + i * 3, "frequency": 1 + i % 7, "monetary": f"{9 + i * i}.50",
         "opens": OPENS[c]}
        for i, c in enumerate(CUSTOMERS)
    ]  # fmt: skip
    features = ["recency", "frequency", "total_spent", "newsletter_opens"]
    given = {"feature_labels": LABELS, "features": features} | parameters
    return TinyShop(folder, given).sql(CUSTOMER_SQL).lines(rows, name="rfm.csv")


def test_a_further_number_of_a_customer_table_is_a_feature(tmp_path):
    run = opened(rfm(tmp_path))
    found = run["customer_features"].set_index("customer_id")
    assert found["newsletter_opens"].to_dict() == OPENS
    assert "newsletter_opens_mean" in run["profile"]


def test_a_number_that_no_profile_describes_is_none_though_another_profile_does(tmp_path):
    shop = rfm(tmp_path, feature_labels={}, features=["recency", "total_spent"])
    run = opened(shop)
    assert list(run["customer_features"]) == ["customer_id", "total_spent", "recency", "frequency"]


def test_a_customer_table_may_call_its_columns_otherwise(tmp_path):
    sql = CUSTOMER_SQL.replace("monetary", "total_spent").replace("opens AS", "newsletter_opens AS")
    names = {"total_spent": "Monetary", "newsletter_opens": "opens", "recency": "Recency"}
    shop = rfm(tmp_path, columns=names).sql(sql)
    run = opened(shop)
    found = run["customer_features"].set_index("customer_id")
    assert found["newsletter_opens"].to_dict() == OPENS
    assert found["total_spent"].tolist() == [9.5 + i * i for i in range(len(CUSTOMERS))]


@pytest.mark.parametrize(
    ("columns", "needed"),
    [
        (
            {"total_spent": "Umsatz"},
            ("no table of source shop has Umsatz (total_spent)", "monetary"),
        ),
        ({"recency": "monetary"}, ("recency is called monetary", "has both")),
    ],
)
def test_a_wrong_name_of_a_column_is_one_sentence(tmp_path, columns, needed):
    with pytest.raises(SourceError) as refused:
        opened(rfm(tmp_path, columns=columns))["customer_features"]
    assert all(word in str(refused.value) for word in needed), str(refused.value)


def test_labels_without_a_column_are_refused(tmp_path):
    other = LABELS | {"visits": {"label": "Visits", "unit": "visits"}}
    with pytest.raises(SourceError, match="its SELECT lacks visits"):
        opened(rfm(tmp_path, feature_labels=other))["customer_features"]
    with pytest.raises(SourceError, match="newsletter_opens, but no SELECT gives it"):
        opened(with_mails(tmp_path, own_features="none"))["customer_features"]
