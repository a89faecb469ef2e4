"""Engine spark against the embedded engine: the same ledger, features and segments."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, TinyShop, assert_refused, call_cli, order, ordinary_orders

from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import parameters_from, resolve
from segmentation.customers import features
from segmentation.customers.read_orders import reading_of, rules_of
from segmentation.deliver.run_folder import _table
from segmentation.orders import clean, customer_ids
from segmentation.orders import transactions as ingest
from segmentation.run.cache import write_parquet
from segmentation.run.run import Run
from segmentation.segments.model import load_model
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.source import find_source
from segmentation.sources.spark.engine import SparkEngine
from segmentation.sources.spark.place import SparkPlace, parse_place
from segmentation.sources.spark.session import explained, session_for

ONLINE_RETAIL = ROOT / "data" / "raw_data" / "online_retail" / "online_retail.parquet"
CDNOW = ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt"
ENGINES = ("spark", "duckdb")
RESULTS = ("ledger", "customer_features", "findings", "raw_columns", "lines", "monthly")
SUMMARIES = ("cohorts", "categories", "quarters", "returned_lines", "special_lines")


def on_spark(profile, folder, **changed) -> Run:
    return Run(resolve(profile, overrides={"engine": "spark", **changed})[1], folder)


def assert_same_results(ours: Run, reference: Run) -> None:
    for name in (*RESULTS, *SUMMARIES):
        other = reference[name]
        pd.testing.assert_frame_equal(ours[name], other, check_exact=True, obj=name)


def shop_on(engine: str, shop: TinyShop, **changed) -> Run:
    values = shop.parameters | {"engine": engine} | changed
    return Run(parameters_from(values), shop.folder / "runs")


def accounts(run: Run) -> tuple[pd.DataFrame, pd.DataFrame, list[dict]]:
    """Ledger, features and what was found of ids alone, without the tables of the book."""
    asked = run.parameters
    with run.snapshot.opened() as engine:
        source = ingest.ingest(engine, run.source, **reading_of(asked))
        clean.clean(engine, **rules_of(asked), as_of=None)
        as_of = features.last_valid_order(engine)
        ledger = clean.ledger(engine, left_out=source.left_out)
        return ledger, features.customer_features(engine, as_of=as_of), list(source.found)


def assert_same_accounts(ours: Run, reference: Run) -> tuple[pd.DataFrame, list[dict]]:
    """The same to the last digit; gives the ledger and what was found of ids."""
    *tables, found = accounts(ours)
    *others, expected = accounts(reference)
    for one, other in zip(tables, others, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert found == expected
    return tables[0], found


# --- the same rows, to the cent ---------------------------------------------------------


def test_cd_sales_are_equal_to_the_cent(spark, tmp_path):
    """Every tenth line: all columns of the text are read, and the whole adds no kind of value."""
    lines = CDNOW.read_text("ascii").splitlines(keepends=True)
    (tmp_path / CDNOW.name).write_text("".join(lines[:1] + lines[1::10]), "ascii")
    place = {"location": str(tmp_path)}
    reference = Run(resolve("cdnow", overrides=place)[1], tmp_path)

    ledger, _ = assert_same_accounts(on_spark("cdnow", tmp_path, **place), reference)

    assert ledger.at[0, "rows"] == len(lines[1::10]) > 6_000


def test_a_whole_shop_is_equal_to_the_embedded_engine_byte_by_byte(spark, tmp_path):
    """The example's joins, cents, returns and orphans, and every table of the book.

    Its 827 lines have what the larger shops have; what their numbers add is compared above
    and below to the cent.
    """
    bookshop = str(ROOT / "examples" / "bookshop" / "bookshop.yaml")
    reference, ours = Run(resolve(bookshop)[1], tmp_path), on_spark(bookshop, tmp_path)

    assert_same_results(ours, reference)
    for name in ("features", "segments"):
        for run, file in ((ours, "ours"), (reference, "reference")):
            write_parquet(_table(run[name]), tmp_path / file)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "reference").read_bytes()
    assert ours["overview"]["database"]["engine"] == "spark"


AWKWARD = [
    {"customer_id": '0007, "the Ä"', "amount": "0.10"},
    {"customer_id": " 0007\nsecond line", "amount": "0.20"},
    {"customer_id": "", "amount": "5"},
    {"customer_id": "back\\slash", "amount": "19999999999.99"},
    {"customer_id": "back\\slash", "amount": "0", "is_return": "true", "quantity": "-1"},
]


def test_text_quotes_line_feeds_and_missing_values_are_read_alike(spark, shop):
    plain = ordinary_orders(12)
    shop.lines(plain + [plain[0] | {"order_id": f"x{n}"} | more for n, more in enumerate(AWKWARD)])

    as_given = {"id_cleaning": "off", "guest_ids": []}
    assert_same_accounts(*(shop_on(engine, shop, **as_given) for engine in ENGINES))


def test_forgotten_customers_are_left_out_alike(spark, shop):
    ids = ["0001", " Ünï-日本 ", "=1+1", "back\\slash 'quoted'"]
    odd = [order(each, f"odd-{each}", "2023-02-03", 1, "7.25") for each in ids]
    shop.lines([*ordinary_orders(12), *odd, order("", "nobody", "2023-02-03", 1, "1.00")])
    shop.runs_dir.mkdir()
    assert call_cli("forget", *ids, "--runs-dir", shop.runs_dir).code == 0

    ledger, _ = assert_same_accounts(*(shop_on(engine, shop) for engine in ENGINES))

    assert ledger.loc[1].tolist()[:3] == ["forgotten", 5, 4]


def test_lines_swallowed_by_an_open_quote_and_changed_files_are_refused_on_spark_too(
    spark, shop, monkeypatch
):
    shop.lines(ordinary_orders(12))
    path = shop.folder / "orders.csv"
    whole = path.read_text()
    header, first, second, *rest = whole.splitlines(keepends=True)
    path.write_text("".join([header, first[:-1] + '"x\n', second[:-1] + '"\n', *rest]))
    with pytest.raises(SourceError, match=r"orders\.csv: .* at line 2 holds 1 line"):
        accounts(shop_on("spark", shop))

    path.write_text(whole)
    monkeypatch.setattr(
        clean, "ledger", lambda engine, **_: path.write_text(whole.replace("5", "6"))
    )
    with pytest.raises(SourceError, match=r"orders\.csv: changed while it was read"):
        accounts(shop_on("spark", shop))


def test_parts_of_a_parquet_table_are_read_in_the_order_of_their_names(spark, shop):
    shop.sql(
        "SELECT customer_id, order_id, order_date, quantity, amount, TRUE AS is_valid, "
        "CAST(ROW_NUMBER() OVER () AS VARCHAR) AS product FROM orders"
    )
    rows = pd.DataFrame(ordinary_orders(9))[["customer_id", "order_id", "order_date"]]
    table = pa.table(
        {
            "customer_id": rows["customer_id"],
            "order_id": rows["order_id"],
            "order_date": pd.to_datetime(rows["order_date"]).dt.date,
            "quantity": pa.array(range(len(rows)), pa.int32()),
            "amount": pa.array([f"{n}.05" for n in range(len(rows))]).cast(pa.decimal128(18, 2)),
        }
    )
    (shop.folder / "orders.parquet").mkdir()
    for start in range(0, len(rows), 4):
        name = f"part-{start:05d}.parquet"
        pq.write_table(table.slice(start, 4), shop.folder / "orders.parquet" / name)
    engine = SparkEngine(SparkPlace())
    engine.bind("orders", shop.folder / "orders.parquet")

    found = engine.query("SELECT ROW_NUMBER() OVER () AS n, quantity FROM orders ORDER BY n")

    assert (found["n"] - 1).tolist() == found["quantity"].tolist() == list(range(len(rows)))
    assert accounts(shop_on("spark", shop))[0].at[0, "amount"] == sum(
        table["amount"].to_pylist(), 0 * table["amount"][0].as_py()
    )


def test_folder_in_storage_gives_the_same_and_keys_the_cache_by_its_rows(spark, shop):
    shop.lines(ordinary_orders(12))
    stored = shop_on("spark", shop, location=shop.folder.as_uri())

    assert_same_accounts(stored, shop_on("duckdb", shop))
    before = stored.input_hashes
    assert list(before) == ["table orders"]
    shop.lines(ordinary_orders(13))
    assert shop_on("spark", shop, location=shop.folder.as_uri()).input_hashes != before


def test_table_of_a_catalogue_is_read_by_its_name(spark, shop):
    shop.lines(ordinary_orders(6))
    frame = spark.createDataFrame(ordinary_orders(6))
    spark.sql("CREATE DATABASE tiny")
    frame.write.format("parquet").saveAsTable("tiny.orders")
    engine = SparkEngine(SparkPlace(database="tiny"))

    engine.bind("orders")

    assert engine.count("orders") == len(ordinary_orders(6))
    with pytest.raises(SourceError, match=r"table nothing: there is none in database tiny; it has"):
        engine.bind("nothing")
    spark.sql("DROP DATABASE tiny CASCADE")


def test_dates_are_counted_and_numbers_rounded_as_the_embedded_engine_does(spark):
    engine = SparkEngine(SparkPlace())
    found = engine.query(
        "SELECT DATE_DIFF('month', DATE '2023-01-31', DATE '2023-02-01') AS months, "
        "DATE_DIFF('year', DATE '2022-12-31', DATE '2023-01-01') AS years, "
        "CAST('2.5' AS INTEGER) AS rounded, CAST($amount AS DECIMAL(18, 2)) AS exact",
        {"amount": "0.07"},
    )

    assert found.iloc[0].astype(str).tolist() == ["1", "1", "3", "0.07"]


def test_online_retail_is_equal_to_the_penny(spark, tmp_path):
    """Every sixteenth invoice: cancellations, special lines and lines without price or customer."""
    lines = pq.read_table(ONLINE_RETAIL)
    number = lines["InvoiceNo"].dictionary_encode().combine_chunks().indices
    part = lines.filter(pc.equal(pc.bit_wise_and(number, 15), 0))
    pq.write_table(part, tmp_path / ONLINE_RETAIL.name)
    place = {"location": str(tmp_path / ONLINE_RETAIL.name)}
    reference = Run(resolve("online_retail", overrides=place)[1], tmp_path)

    ledger, _ = assert_same_accounts(on_spark("online_retail", tmp_path, **place), reference)

    rows = ledger.set_index("rule")["rows"]
    assert rows["raw"] == len(part) > 20_000
    assert (rows[["missing_customer_id", "returned", "zero_amount"]] > 0).all()


# --- customers who stay on the cluster ----------------------------------------------------


def classified(engine, rows, folder):
    """An engine with the table ``classified`` of a tiny shop."""
    shop = TinyShop(folder).lines(rows)
    source = ingest.ingest(engine, find_source(shop.parameters["source"], str(folder)))
    rules = dict.fromkeys(("zero_amount", "duplicates", "non_product"), "keep")
    clean.clean(engine, **rules, returns="exclude", as_of=None)
    return engine, source


def test_sample_depends_on_what_customers_did_and_on_nothing_else(tmp_path):
    """Other ids in another order: the same values are drawn, twins in their proportion."""
    rows = ordinary_orders(200)
    twins = [row | {"customer_id": "t" + row["customer_id"]} for row in rows]
    twins = [row | {"order_id": "t" + row["order_id"]} for row in twins]
    renamed = [r | {"customer_id": r["customer_id"][::-1] + "z"} for r in [*twins, *rows]][::-1]
    drawn = []
    for place, shop_rows in (("a", rows + twins), ("b", renamed)):
        (tmp_path / place).mkdir()
        engine, _ = classified(DuckDbEngine(), shop_rows, tmp_path / place)
        as_of = features.last_valid_order(engine)
        drawn.append(features.customer_sample(engine, as_of=as_of, n_customers=150))

    values = [
        t.drop(columns="customer_id").sort_values([*t.columns[1:]], ignore_index=True)
        for t in drawn
    ]
    pd.testing.assert_frame_equal(*values, check_exact=True)
    assert len(drawn[0]) == 150
    assert 40 < drawn[0]["customer_id"].str.startswith("t").sum() < 110


def test_customers_who_stay_are_assigned_by_the_model_and_add_up_to_the_cent(spark, shop):
    rows = ordinary_orders(200)
    shop.lines(rows)
    outcome = shop.run(engine="spark", fit_on=120, k_max=2)
    assert outcome.code == 0, outcome.err

    made = pd.read_parquet(shop.result / "segments.parquet")
    reference = shop_on("duckdb", shop)["features"]
    model = load_model(shop.result / "model")
    expected = model.assign(reference)
    made = made.set_index("customer_id").loc[reference["customer_id"]].reset_index()
    pd.testing.assert_frame_equal(made[list(reference.columns)], reference, check_dtype=False)
    assert made["cluster"].tolist() == expected["cluster"].tolist()
    assert made["segment"].tolist() == expected["segment"].tolist()

    profile = pd.read_csv(shop.result / "profile.csv", dtype={"revenue": str})
    ledger = pd.read_csv(shop.result / "ledger.csv", dtype={"amount": str})
    assert profile["customers"].sum() == 200
    assert str(sum(map(Decimal, profile["revenue"]))) == ledger["amount"].iloc[-1]
    assert profile["revenue_share"].sum() == pytest.approx(1)
    spent = made.groupby("segment")["total_spent"]
    for row in profile.itertuples():
        assert row.total_spent_median == pytest.approx(spent.median()[row.segment])
        assert row.total_spent_mean == pytest.approx(spent.mean()[row.segment])
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert manifest["rows"]["customers"] == 200
    assert manifest["rows"]["fitted_on"] == 120
    assert not (shop.result / "customer_segmentation_output.xlsx").exists()


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({"engine": "duckdb"}, "set engine: spark"),
        ({"engine": "spark", "location": "sc://127.0.0.1:9/shop"}, "cluster_output is run"),
    ],
)
def test_fit_on_a_sample_without_a_cluster_or_a_place_is_refused(shop, changed, needed):
    shop.lines(ordinary_orders(5))

    assert_refused(shop.run(fit_on=500, **changed), needed)


# --- mistakes, in one sentence ----------------------------------------------------------


def test_missing_column_is_named_with_those_there_are(spark, shop):
    rows = [{k: v for k, v in row.items() if k != "amount"} for row in ordinary_orders(5)]
    shop.lines(rows)

    assert_refused(shop.run(engine="spark"), "orders.csv", "no column amount", "order_date")


def test_value_that_is_no_number_is_counted_and_shown(spark, shop):
    shop.lines([row | {"amount": "12.5O"} for row in ordinary_orders(5)])

    assert_refused(shop.run(engine="spark"), "orders.csv", "amount is not a number", "'12.5O'")


def test_ragged_line_is_refused_and_not_shifted(spark, shop):
    shop.lines(ordinary_orders(5))
    path = shop.folder / "orders.csv"
    path.write_text(path.read_text("utf-8") + "a,b,2023-01-01,1,5,true,false,,one too many\n")

    assert_refused(shop.run(engine="spark"), "orders.csv", "has 9 fields at line 11")


def test_missing_file_is_named(spark, shop):
    shop.lines(ordinary_orders(5), name="sales.csv")

    assert_refused(shop.run(engine="spark"), "no file for table orders")
    assert_refused(
        shop.run(engine="spark", location=shop.folder.as_uri()), "no file for table orders"
    )


def test_select_reads_tables_of_its_location_only(spark, shop):
    shop.lines(ordinary_orders(5)).sql("SELECT * FROM other.orders")

    assert_refused(shop.run(engine="spark"), "other.orders", "location")


@pytest.mark.parametrize("kind", ["spark", "sc"])
def test_cluster_that_does_not_answer_is_named_at_once(shop, kind):
    pytest.importorskip("pyspark", reason="not installed: make setup EXTRAS=spark")
    place = f"{kind}://127.0.0.1:9/shop"

    assert_refused(
        shop.run(engine="spark", location=place), f"{kind}://127.0.0.1:9", "cannot be reached"
    )


def test_missing_pyspark_is_one_sentence_with_the_command(shop, monkeypatch):
    shop.lines(ordinary_orders(5))
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)

    assert_refused(shop.run(engine="spark"), "PySpark is not installed", "make setup EXTRAS=spark")


def test_missing_java_is_one_sentence_with_the_command(monkeypatch, tmp_path):
    pytest.importorskip("pyspark", reason="not installed: make setup EXTRAS=spark")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(SourceError, match=r"no Java 17.*apt-get install"):
        session_for(SparkPlace())


@pytest.mark.parametrize(
    ("engine", "location", "needed"),
    [
        ("duckdb", "s3a://bucket/orders", "engine: spark"),
        ("spark", "mysql://127.0.0.1/shop", "engine: mysql, or export its tables to Parquet"),
        ("spark", "jdbc:mysql://127.0.0.1/shop", "export its tables to Parquet or CSV"),
        ("duckdb", "jdbc:oracle:thin:@db:1521:shop", "no database is read through JDBC"),
        ("spark", "sc://127.0.0.1:15002/jdbc:mariadb://db/shop", "set engine: mysql"),
        ("mysql", "JDBC:mysql://127.0.0.1/shop", "give mysql://host:port/database"),
        ("spark", "sc://127.0.0.1:15002/", "names no place"),
        ("spark", "sc://127.0.0.1:99999/shop", "no host:port"),
        ("spark", "sc://127.0.0.1:15002/shop;token=hidden", "never is a parameter"),
    ],
)
def test_location_that_does_not_fit_the_engine_is_refused(shop, engine, location, needed):
    sentence = assert_refused(shop.run(engine=engine, location=location), needed)
    assert "hidden" not in sentence


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("Job aborted: ExecutorLostFailure (executor 1 exited)", "lost the connection or its"),
        ("java.lang.OutOfMemoryError: Java heap space", "ran out of memory"),
        ("[DIVIDE_BY_ZERO] Division by zero. Use x. SQLSTATE: 22012\n== SQL ==", "Division by"),
    ],
)
def test_fault_of_a_cluster_is_one_sentence(said, needed):
    sentence = str(explained(RuntimeError(said), parse_place("sc://db/shop")))

    assert needed in sentence
    assert sentence.startswith("Spark at sc://db:15002 ")
    assert "SQLSTATE" not in sentence and "\n" not in sentence


def test_page_shows_the_place_and_not_the_machine():
    assert parse_place("sc://db7.internal:15002/shop").shown == "sc://…/shop"
    assert parse_place("s3a://bucket/private/orders").shown == "s3a://…/orders"
    with pytest.raises(ParameterError):
        parse_place("spark://")


@pytest.mark.parametrize(
    "asked",
    [{}, {"id_cleaning": "match"}, {"id_cleaning": "off", "guest_ids": ["walk-in", "C1"]}],
    ids=["auto", "match", "off"],
)
def test_ids_are_looked_through_as_in_files(spark, tmp_path, asked):
    odd = [
        *(["17", "17.0", "0017", " 17", "C1", "c1", "C 1", "C1\u200b", "4.00021E+15"]),
        *(["Ann@Example.com", "ann@example.com", "NULL", "#N/A", "0"] + ["walk-in"] * 3),
        *(f"{n}00000000000000" for n in range(10, 17)),
    ]
    ids = [*odd, *["K4711"] * 60, *["0"] * 50, *(f"{n:05}" for n in range(100, 180))] * 2
    pd.DataFrame({"customer": ids, "number": [str(n) for n in range(len(ids))]}).to_csv(
        tmp_path / "orders.csv", index=False
    )
    (tmp_path / "shop.sql").write_text(
        "SELECT customer AS customer_id, number AS order_id, DATE '2024-03-05' AS order_date, "
        "1 AS quantity, CAST(2.50 AS DECIMAL(18, 2)) AS amount, TRUE AS is_valid FROM orders"
    )
    values = {"source": str(tmp_path / "shop.sql"), "location": str(tmp_path), **asked}
    tables = {}
    for engine in ("duckdb", "spark"):
        run = Run(parameters_from({**values, "engine": engine}), tmp_path / engine)
        tables[engine] = [run[name] for name in ("line_findings", "customer_features", "ledger")]
    found = tables["duckdb"][0]
    assert "guest_id" in set(found.loc[found["rows"] > 0, "finding"])
    for ours, reference in zip(tables["spark"], tables["duckdb"], strict=True):
        pd.testing.assert_frame_equal(ours, reference, check_exact=True)


def test_column_of_ids_that_nobody_cleaned_is_too_much_for_one_machine(
    spark, tmp_path, monkeypatch
):
    monkeypatch.setattr(customer_ids, "MOST_ODD_IDS", 1)
    shop = TinyShop(tmp_path)
    shop.lines([order(f" {n}", n, "2024-03-05", 1, "2.50") for n in range(3)])
    with pytest.raises(SourceError, match="3 customer ids would have to be repaired"):
        shop_on("spark", shop)["ledger"]
