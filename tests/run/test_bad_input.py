"""Bad input: one clear sentence, exit code 2, previous outputs as they were."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import (
    ROOT,
    SHOP_COLUMNS,
    SHOP_SQL,
    Outcome,
    TinyShop,
    assert_refused,
    call_cli,
    contents_of,
    leftovers_in,
    order,
    ordinary_orders,
    process_cli,
)
from disks import mounted

from segmentation.core.errors import ParameterError
from segmentation.core.parameters import Parameters, parameters_from
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

HEADER = ",".join(SHOP_COLUMNS) + "\n"
GOOD = "C1,1,2023-01-01,1,5.00,true,false,\nC2,2,2023-01-02,2,6.00,true,false,\n"
AFTER = "C4,4,2023-01-04,1,7.00,true,false,\nC5,5,2023-01-05,1,8.00,true,false,\n"
MARKETPLACE = ROOT / "data" / "raw_data" / "marketplace"
OF_A_STEP_BEFORE = f"WITH few AS (SELECT customer_id FROM orders) {SHOP_SQL}"  # noqa: S608
OF_A_STEP_BEFORE = "FROM few".join(OF_A_STEP_BEFORE.rsplit("FROM orders", 1))
NO_ID = SHOP_SQL.replace("customer_id,\n", "", 1)


@pytest.fixture
def shop(tmp_path, ordinary_run) -> TinyShop:
    """An ordinary tiny shop that has been run before."""
    shop = TinyShop(tmp_path).lines(ordinary_orders())
    shutil.copytree(ordinary_run, shop.result)
    return shop


@pytest.fixture
def computed_shop(shop, ordinary_run) -> TinyShop:
    """The same with what its stages gave: what needs no other results computes none anew."""
    shutil.copytree(ordinary_run.parent / ".cache", shop.runs_dir / ".cache")
    return shop


def refused(shop: TinyShop, *needed: str, **changed: object) -> str:
    before = contents_of(shop.runs_dir)
    sentence = assert_refused(shop.run(**changed), *needed)
    assert contents_of(shop.runs_dir) == before
    assert leftovers_in(shop.runs_dir) == []
    return sentence


def read(shop: TinyShop) -> pd.DataFrame:
    """Customers as a run reads them, where nothing after the reading can differ."""
    run = Run(parameters_from(shop.parameters), shop.runs_dir)
    with contextlib.closing(run.snapshot), warnings.catch_warnings():
        warnings.simplefilter("error")
        return run["customer_features"]


def succeeded(outcome: Outcome, shop: TinyShop) -> pd.DataFrame:
    assert outcome.code == 0, outcome.said
    assert outcome.said == [], "a warning was printed"
    return pd.read_parquet(shop.result / "segments.parquet")


# --- files ----------------------------------------------------------------------------


def test_missing_folder_is_named(shop):
    refused(shop, "no_such_folder", "orders", location="no_such_folder")


def test_missing_file_of_a_table_is_named_with_what_was_looked_for(shop):
    (shop.folder / "orders.csv").unlink()
    refused(shop, "orders.csv", "orders.parquet")


def test_file_of_another_kind_is_named_with_the_kinds_accepted(shop):
    (shop.folder / "orders.ods").write_bytes(b"PK")
    refused(shop, "orders.ods", ".csv", location=str(shop.folder / "orders.ods"))


REST = ",3,2023-01-03,2,5.00,true,false,"
DAMAGED: dict[str, tuple[str | bytes, list[str]]] = {
    "empty": ("", ["is empty"]),
    "byte order mark only": ("\ufeff", ["orders.csv"]),
    "header only": (HEADER, ["header", "no rows"]),
    "header without newline": (HEADER.strip(), ["header", "no rows"]),
    "missing column": (HEADER.replace("amount", "amout") + GOOD, ["no column amount", "amout"]),
    "column twice": (HEADER.replace("order_id", "customer_id") + GOOD, ["customer_id twice"]),
    "twice but for capitals": (HEADER.replace("order_id", "Customer_ID") + GOOD, ["twice"]),
    "too many fields": (f"{HEADER}{GOOD}C3{REST},extra\n", ["9 fields", "line 4", "8"]),
    "too few fields": (f"{HEADER}{GOOD}C3,3,2023-01-03,2\n", ["4 fields", "line 4", "8"]),
    "text after a quote": (f'{HEADER}{GOOD}"C3"x{REST}\n{AFTER}', ["quote", "line 4"]),
    "damaged UTF-8": (f"{HEADER}{GOOD}Cé{REST}\n".encode() + b"D\xe9\n", ["UTF-8", "near byte"]),
    "NUL": (f"{HEADER}{GOOD}C\0{REST}\n", ["NUL byte", "offset"]),
}
"""A file and what is said of it; lines that a quote swallows are in test_csv_checks."""


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_file_is_refused(shop, damage):
    content, needed = DAMAGED[damage]
    shop.bytes(content.encode() if isinstance(content, str) else content)
    refused(shop, "orders.csv", *needed)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + (HEADER + GOOD).encode(), id="byte-order-mark"),
        pytest.param((HEADER + GOOD).replace("\n", "\r\n").encode(), id="windows-line-ends"),
        pytest.param((HEADER + GOOD).strip().encode(), id="no-newline-at-the-end"),
        pytest.param((HEADER + GOOD.replace("\n", "\n\n")).encode(), id="blank-lines"),
    ],
)
def test_harmless_variants_of_a_file_are_read_whole(shop, content):
    customers = read(shop.bytes(content))

    assert customers["customer_id"].tolist() == ["C1", "C2"]
    assert customers["total_spent"].tolist() == [5.0, 6.0]


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "no rows"])
def test_damaged_parquet_is_refused(shop, damage):
    (shop.folder / "orders.csv").unlink()
    path = shop.folder / "orders.parquet"
    table = pd.DataFrame(ordinary_orders())
    table.iloc[: 0 if damage == "no rows" else None].to_parquet(path)
    whole = bytearray(path.read_bytes())
    if damage == "text":
        path.write_text("customer_id,order_id\n")
    elif damage == "cut":
        path.write_bytes(whole[:-20])
    elif damage == "flipped":
        whole[-30] ^= 0xFF
        path.write_bytes(whole)
    refused(shop, "orders.parquet")


# --- values ---------------------------------------------------------------------------


def line(**changed: str) -> str:
    return ",".join((order("C3", 3, "2023-01-03", 2, "5.00") | changed).values()) + "\n"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", "abc"),
        ("amount", '"1,23,4.50"'),
        ("amount", "$5"),
        ("amount", "NaN"),
        ("amount", "inf"),
        ("amount", "-Infinity"),
        ("amount", "99999999999999999999"),
        ("quantity", "two"),
        ("quantity", "nan"),
        ("is_valid", "ja"),
        ("order_date", "31/12/2023"),
        ("order_date", "12/31/2023"),
        ("order_date", "31.12.2023"),
        ("order_date", "20231231"),
        ("order_date", "Dec 31 2023"),
        ("order_date", "1703980800"),
        ("order_date", "2023-13-01"),
        ("order_date", "2023-02-30"),
        ("order_date", "05-06-20"),
        ("order_date", "epoch"),
        ("order_date", "infinity"),
        ("order_date", "-infinity"),
        ("order_date", "294247-01-01"),
        ("order_date", "2023-01-03 (BC)"),
        ("registered_date", "yesterday"),
    ],
)
def test_value_of_another_kind_is_shown_with_file_column_and_count(shop, column, value):
    shop.bytes((HEADER + GOOD + line(**{column: value})).encode())
    refused(shop, "orders.csv", column, "1 row(s)", value.strip('"'))


def test_all_bad_values_are_counted_and_three_are_shown(shop):
    bad = "".join(line(amount=f"bad{n}") for n in range(5))
    shop.bytes((HEADER + GOOD + bad).encode())
    sentence = refused(shop, "amount", "5 row(s)", "…")
    assert sum(f"bad{n}" in sentence for n in range(5)) == 3


def test_money_with_more_decimals_than_declared_is_refused_not_rounded(shop):
    shop.bytes((HEADER + GOOD + line(amount="12.345")).encode())
    refused(shop, "orders.csv", "amount", "12.345", "1 row(s)", "DECIMAL(18, 2)")


def test_nothing_left_to_segment_is_said_with_the_rules_that_took_it(shop):
    shop.bytes((HEADER + GOOD.replace("true", "false")).encode())
    refused(shop, "2 lines", "not a valid sale 2")


def test_day_before_all_orders_leaves_nothing_and_says_so(shop):
    refused(shop, "68 lines", "as_of", as_of="2000-01-01")


@pytest.mark.parametrize("table", ["customer_detail", "sku_detail", "payment_detail"])
def test_line_listed_twice_in_a_lookup_table_multiplies_no_order(shop, table):
    """Refused, or counted once: never the same sale twice."""
    shutil.copytree(MARKETPLACE, shop.folder, dirs_exist_ok=True)
    path = shop.folder / f"{table}.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines + lines[1:100]), "utf-8")
    spends = ["first_to_last_order", "total_unit", "total_spent"]

    outcome = shop.run(source="marketplace", features=spends, n_init=1, k_max=2)

    if outcome.code:
        assert_refused(outcome, f"{table}.csv")
        return
    raw = pd.read_csv(shop.result / "ledger.csv").set_index("rule").loc["raw"]
    orders = (shop.folder / "order_detail.csv").read_text("utf-8").splitlines()
    assert raw["rows"] == len(orders) - 1


# --- small and degenerate shops -------------------------------------------------------


def one_order_each(n_customers: int) -> list[dict]:
    return [
        order(f"{n:02d}", n, f"2023-01-{1 + n % 28:02d}", 1 + n % 3, f"{10 + n * n}.00")
        for n in range(n_customers)
    ]


@pytest.mark.parametrize("n_customers", [1, 2, 3, 50])
def test_a_few_customers_have_a_clear_outcome(shop, n_customers):
    shop.lines(one_order_each(n_customers))
    for n_clusters in ("auto", 3):  # the second reads nothing again
        segments = succeeded(shop.run(n_clusters=n_clusters), shop)

        assert len(segments) == n_customers
        if n_customers <= 2:
            assert segments["segment"].unique().tolist() == ["All customers (not segmented)"]
            assert segments["margin"].isna().all()
            assert not segments["is_anomaly"].any()
        if n_customers == 50:
            # they lie on one curve: three pieces where asked for, no kinds by the rule
            assert segments["segment"].nunique() == (3 if n_clusters == 3 else 1)
    if n_customers == 2:
        note = (shop.result / "model" / "model.json").read_text()
        assert "2 customer(s), 2 of them different, are too few for 3 clusters" in note


@pytest.fixture(scope="module")
def one_rich_shop(tmp_path_factory) -> TinyShop:
    """200 customers who bought the same, but for one; what is read is read once for all tests."""
    orders = [order(f"{n:03d}", n, "2023-01-01", 1, "10.00") for n in range(200)]
    orders[0]["amount"] = "100000000.00"
    return TinyShop(tmp_path_factory.mktemp("one_rich")).lines(orders)


@pytest.mark.parametrize("transform", ["none", "log", "yeo-johnson"])
@pytest.mark.parametrize(("scaler", "outliers"), [("standard", "winsor"), ("robust", "none")])
def test_customers_equal_but_for_one_have_a_clear_outcome(
    one_rich_shop, transform, scaler, outliers
):
    changed = {"transform": transform, "scaler": scaler, "outliers": outliers}

    segments = succeeded(one_rich_shop.run(**changed), one_rich_shop)

    assert len(segments) == 200
    assert segments.groupby("total_spent")["segment"].nunique().eq(1).all()


@pytest.mark.parametrize("amount", ["10.00", "0.00"])
def test_customers_equal_in_everything_are_one_segment(shop, amount):
    shop.lines([order(f"{n:02d}", n, "2023-01-01", 1, amount) for n in range(30)])

    segments = succeeded(shop.run(), shop)

    assert segments["segment"].unique().tolist() == ["All customers (not segmented)"]
    assert not segments["is_anomaly"].any()


def test_shop_of_one_time_buyers_is_segmented_without_their_frequency(shop):
    succeeded(shop.lines(one_order_each(40)).run(), shop)

    profile = pd.read_csv(shop.result / "profile.csv")
    note = (shop.result / "model" / "model.json").read_text()

    assert profile["customers"].sum() == 40
    assert len(profile) == 3
    assert (profile["frequency_mean"] == 1).all()
    assert "orders is 1 for everybody and was left out" in note


def test_more_clusters_than_customers_leave_one_segment(computed_shop):
    segments = succeeded(computed_shop.run(n_clusters=50), computed_shop)

    assert segments["segment"].unique().tolist() == ["All customers (not segmented)"]


def test_amounts_too_large_for_exact_money_are_refused_in_words(shop):
    shop.lines([order(f"{n}", n, "2023-01-01", 1, f"{9 * 10**15 - n}.99") for n in range(9)])

    outcome = shop.run()

    if outcome.code:
        assert_refused(outcome, "amount")
    else:
        kept = pd.read_csv(shop.result / "ledger.csv", dtype=str).iloc[-1]["amount"]
        assert kept == "80999999999999972.91"


# --- customer tables ------------------------------------------------------------------


def customer_table(**changed: object) -> pd.DataFrame:
    """Thirty customers with lifecycle features; ``changed`` sets a value of the fourth."""
    numbers = np.arange(30)
    table = pd.DataFrame(
        {
            "customer_id": [f"{n:04d}" for n in numbers],
            "register_to_order": numbers % 9 + 0.0,
            "first_to_last_order": numbers * 3.0,
            "total_unit": numbers % 7 + 1.0,
            "total_spent": numbers * 2 + 0.25,
        }
    )
    for name, value in changed.items():
        table.loc[3, name] = value
    return table


@pytest.fixture
def table_shop(shop) -> TinyShop:
    shop.parameters |= {
        "source": "customer_segmentation_data",
        "features": ["register_to_order", "first_to_last_order", "total_unit", "total_spent"],
    }
    return shop


KINDS = pytest.mark.parametrize("kind", ["csv", "parquet"])


def give(shop: TinyShop, table: pd.DataFrame, kind: str) -> str:
    path = shop.folder / f"customer_segmentation_data.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    return path.name


@KINDS
def test_customer_table_enters_at_the_features_stage(table_shop, kind):
    """What follows is the same for both; `test_customer_without_registration…` runs to the end."""
    give(table_shop, customer_table(), kind)

    customers = read(table_shop)

    assert customers["customer_id"].tolist() == customer_table()["customer_id"].tolist()
    assert customers["total_spent"].tolist() == customer_table()["total_spent"].tolist()


@KINDS
def test_customers_listed_twice_are_counted_and_named(table_shop, kind):
    table = customer_table()
    give(table_shop, pd.concat([table, table.iloc[4:6]]), kind)
    refused(table_shop, "2 customer(s)", "more than once", "0004, 0005")


@KINDS
@pytest.mark.parametrize(
    ("column", "value"),
    [("first_to_last_order", np.nan), ("total_unit", np.inf), ("total_spent", -np.inf)],
)
def test_number_that_is_none_or_infinite_is_refused(table_shop, kind, column, value):
    give(table_shop, customer_table(**{column: value}), kind)
    refused(table_shop, "customer_segmentation_data", column, "1 ")


def test_customer_without_id_is_refused(table_shop):
    give(table_shop, customer_table(customer_id=""), "csv")
    refused(table_shop, "1 customer(s)", "customer_id")


def test_customer_without_registration_is_a_group_of_its_own(table_shop):
    give(table_shop, customer_table(register_to_order=np.nan), "csv")

    segments = succeeded(table_shop.run(), table_shop).set_index("customer_id")

    assert segments["segment_type"].value_counts().to_dict() == {"normal": 29, "unregistered": 1}
    assert segments.at["0003", "segment_type"] == "unregistered"


def test_text_in_a_customer_table_is_refused(table_shop):
    table = customer_table().astype({"total_unit": object})
    table.loc[3, "total_unit"] = "many"
    name = give(table_shop, table, "csv")
    refused(table_shop, name, "total_unit", "'many'", "1 row(s)")


def test_customer_table_without_a_column_is_refused(table_shop):
    name = give(table_shop, customer_table().drop(columns="total_spent"), "csv")
    refused(table_shop, name, "no column total_spent", "total_unit")


def test_feature_that_a_customer_table_cannot_give_is_refused(table_shop):
    give(table_shop, customer_table(), "csv")
    refused(table_shop, "recency", "available", "total_unit", features=["recency", "total_spent"])


def test_money_of_a_customer_table_as_double_is_exact_or_refused(table_shop):
    """As for order lines: an exact sum needs an exact type."""
    give(table_shop, customer_table(total_spent=0.1 + 0.2), "csv")
    columns = ("first_to_last_order", "total_unit", "total_spent")
    casts = ", ".join(f"CAST({name} AS DOUBLE) AS {name}" for name in columns)
    table_shop.sql(f"SELECT customer_id, {casts} FROM customer_segmentation_data")  # noqa: S608
    changed = {"source": str(table_shop.folder / "shop.sql"), "features": list(columns)}

    outcome = table_shop.run(**changed)

    if outcome.code:
        assert_refused(outcome, "total_spent", "DECIMAL")
    else:
        assert pd.read_csv(table_shop.result / "profile.csv")["customers"].sum() == 30


# --- the source's SQL -----------------------------------------------------------------


def changed_sql(old: str, new: str) -> str:
    assert old in SHOP_SQL
    return SHOP_SQL.replace(old, new)


MONEY = "DECIMAL(18, 2)) AS amount"
TWICE = "orders, (SELECT customer_id FROM orders) AS again"
STRPTIME = "CAST(STRPTIME(order_date, '%d/%m/%Y')"
BAD_SQL: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["one SELECT"]),
    "only a comment": ("-- nothing", ["one SELECT"]),
    "two selects": (SHOP_SQL + ";" + SHOP_SQL, ["one SELECT"]),
    "drop after select": (SHOP_SQL + "; DROP TABLE orders", ["one SELECT"]),
    "delete": ("DELETE FROM orders", ["one SELECT"]),
    "copy": ("COPY orders TO 'x.csv'", ["one SELECT"]),
    "misspelt": ("SELEC x FRM", ["SQL"]),
    "no table": ("SELECT 1 AS customer_id", ["no table"]),
    "lacks customer_id": (NO_ID, ["lacks customer_id", "required"]),
    "lacks is_valid": (changed_sql("AS is_valid", "AS valid"), ["lacks is_valid"]),
    "amount as double": (changed_sql(MONEY, "DOUBLE) AS amount"), ["amount is DOUBLE", "DECIMAL"]),
    "amount as text": (changed_sql(MONEY, "TEXT) AS amount"), ["amount is VARCHAR", "DECIMAL"]),
    "date as text": (changed_sql("AS DATE) AS order", "AS TEXT) AS order"), ["VARCHAR", "DATE"]),
    "unknown column": (changed_sql("order_id", "no_such AS order_id"), ["no column no_such"]),
    "column that a step before does not give": (OF_A_STEP_BEFORE, ["order_id"]),
    "unknown function": (changed_sql("order_id", "frobnicate(1) AS order_id"), ["frobnicate"]),
    "column of two tables": (changed_sql("orders", TWICE), ["customer_id"]),
    "other format of dates": (changed_sql("CAST(order_date", STRPTIME), ["order_date"]),
    "cast in where": (SHOP_SQL + "WHERE CAST(order_id AS INTEGER) > 0", ["order_id"]),
    "file that no hash covers": (SHOP_SQL + "JOIN read_csv('/x.csv') AS x ON TRUE", ["read_csv"]),
}


@pytest.mark.parametrize("mistake", BAD_SQL)
def test_source_sql_that_cannot_be_run_is_refused(shop, mistake):
    sql, needed = BAD_SQL[mistake]
    shop.sql(sql)
    refused(shop, *needed)


def test_cast_that_does_not_fit_is_counted_inside_a_group_by(shop):
    shop.sql(
        "SELECT customer_id, order_id, CAST(order_date AS DATE) AS order_date, "
        "SUM(CAST(quantity AS DECIMAL(18, 2))) AS quantity, "
        "SUM(CAST(amount AS DECIMAL(18, 2))) AS amount, TRUE AS is_valid "
        "FROM orders GROUP BY ALL"
    )
    shop.bytes((HEADER + GOOD + line(amount="abc")).encode())
    refused(shop, "orders.csv", "amount", "'abc'", "1 row(s)")


@pytest.mark.parametrize("source", ["no_such_source", "no_such.sql", "../cdnow"])
def test_unknown_source_is_named(shop, source):
    refused(shop, source, source=source)


# --- parameters -----------------------------------------------------------------------

BAD_VALUES = {
    "source": [5, "", None],
    "location": [""],
    "tables": [5, ["orders"], {"orders": {"seperator": ";"}}],
    "columns": [5, ["total_spent"], {"total_spent": 5}],
    "own_features": [5, "", "features.csv", None],
    "feature_labels": [5, {"recency": {"label": "R", "unit": "d"}}, {"opens": {"label": "O"}}],
    "id_cleaning": ["on", True],
    "guest_ids": [{"a": 1}, [[1]]],
    "engine": ["oracle", 1],
    "as_of": ["2023-2-1", "tomorrow", 20230101, "2023-02-30", True],
    "returns": ["maybe", True],
    "zero_amount": ["drop", 0],
    "duplicates": ["exclude", None],
    "non_product": ["drop", 1],
    "date_repair": ["on", True],
    "features": [[], "recency, spend", ["spend"], ["recency", "recency"], 5, [1]],
    "split_pre_register": ["yes", 1, None],
    "outliers": ["clip", 1],
    "winsor_quantile": [0.5, 1.0, "0.9", float("nan"), True],
    "transform": ["sqrt", 1],
    "scaler": ["minmax", None],
    "own_labels": [5, "", "labels.txt", None],
    "n_clusters": [0, 51, 2.5, "three", True, None, [3]],
    "k_max": [1, 51, 2.5, "auto", True, float("nan")],
    "n_init": [0, 1001, "ten", 1.5],
    "random_state": [-1, 2**32, 0.5, "seed"],
    "dbscan_eps": [0, -1, float("inf"), float("nan"), "knee", True],
    "dbscan_min_samples": [1, 10_001, 2.5, "all", True],
    "time_zone": ["Mars/Base", "", 1],
    "calibration_end": ["1/1/2023", 5, "end"],
    "outcome_days": [6, 366, 30.5, "auto", True],
    "currency": ["usd", "DOLLAR", "", 5],
    "gross_margin": [0, 1.01, -0.1, "half", float("nan"), True],
    "contact_cost": [-0.01, float("inf"), float("nan"), "free"],
    "call_cost": [-0.01, float("inf"), float("nan"), "free"],
    "fit_on": [99, 10_000_001, "some", 0.5, True],
    "cluster_output": [5, None],
    "anomalies_in_fit": ["no", 0, None],
    "naming_rules": [5, "", None],
    "plays": [5, "", None],
}


def test_every_parameter_is_tried_with_bad_values():
    assert set(BAD_VALUES) == set(Parameters.model_fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, bad, id=f"{name}={bad}")
        for name, all in BAD_VALUES.items()
        for bad in all
    ],
)
def test_parameter_out_of_its_range_is_refused_with_what_is_accepted(name, value):
    with pytest.raises(ParameterError, match=rf"{name} is .*accepted is .*\.$"):
        parameters_from({name: value})


@pytest.mark.parametrize("value", ["2023-02-30", "2023-13-01"])
def test_day_that_does_not_exist_is_refused_however_it_is_written(shop, value):
    before = contents_of(shop.runs_dir)
    by_option = call_cli(*shop.arguments(), "-p", "as_of", value)
    profile = shop.folder / "by_profile.yaml"
    profile.write_text(
        f"as_of: {value}\nsource: cdnow\nlocation: x\n"
    )  # not in quotes: YAML makes a date of it
    by_profile = call_cli("run", profile, "--runs-dir", shop.runs_dir)

    assert_refused(by_option, "as_of")
    assert_refused(by_profile, "by_profile.yaml")
    assert contents_of(shop.runs_dir) == before


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("n_cluster", "n_clusters"), ("kmax", "k_max"), ("feature", "features"), ("AS_OF", None)],
)
def test_misspelt_parameter_is_refused_with_the_one_meant(shop, misspelt, meant):
    sentence = refused(shop, f"unknown parameter {misspelt}", **{misspelt: 3})
    if meant:
        assert f"did you mean {meant}?" in sentence


def test_option_p_takes_the_same_checks_as_a_profile(shop):
    assert_refused(call_cli(*shop.arguments(), "-p", "n_clusters", "0"), "n_clusters is 0")
    assert_refused(call_cli(*shop.arguments(), "-p", "n_cluster", "4"), "did you mean n_clusters?")
    twice = ["-p", "k_max", "3", "-p", "k_max", "4"]
    assert_refused(call_cli(*shop.arguments(), *twice), "k_max is given twice")


ALIAS_BOMB = b"a: &b0 [x, x, x]\n" + b"".join(
    b"b%d: &b%d [%s]\n" % (n, n, b", ".join([b"*b%d" % (n - 1)] * 9)) for n in range(1, 30)
)


@pytest.mark.parametrize("value", ["9" * 10_000, "[" * 5_000, "0x" + "f" * 10_000, "&a [*a]"])
def test_option_p_with_a_value_beyond_all_bounds_is_refused(shop, value):
    assert_refused(call_cli(*shop.arguments(), "-p", "n_clusters", value), "n_clusters is")


@pytest.mark.parametrize("column", ["amount", "quantity", "order_id"])
def test_number_of_ten_thousand_digits_in_the_orders_is_one_sentence_or_a_text(shop, column):
    lines = ordinary_orders()
    lines[7][column] = "9" * 10_000

    shop.lines(lines)

    if column == "order_id":
        assert len(read(shop)) == 40
    else:
        assert len(assert_refused(shop.run(), "orders.csv")) < 600


@pytest.mark.parametrize(
    ("content", "needed"),
    [
        pytest.param(b"a: [1", "not YAML at line 1", id="bracket-not-closed"),
        pytest.param(b"k_max: 3\n\tn_init: 2", "not YAML at line 2", id="tab"),
        pytest.param(b"- 1\n- 2", "name: value", id="list"),
        pytest.param(b"just words", "name: value", id="words"),
        pytest.param(b"\x00\x01", "not YAML", id="binary"),
        pytest.param(b"\xff\xfe", "cannot be read", id="not-utf-8"),
        pytest.param(b"!!python/object/apply:os.getpid []", "not YAML", id="code"),
        pytest.param(b"k_max: " + b"[" * 5_000, "nested too deep", id="deep"),
        pytest.param(b"k_max: " + b"{a: " * 5_000, "nested too deep", id="deep-mapping"),
        pytest.param(ALIAS_BOMB, "has an alias at line 2", id="alias-bomb"),
        pytest.param(b"source: &a [*a]", "has an alias", id="alias-of-itself"),
        pytest.param(b"k_max: " + b"9" * 10_000, "too many digits, at line 1", id="digits"),
        pytest.param(b"contact_cost: " + b"9" * 400, "too many digits", id="larger-than-a-float"),
        pytest.param(b"k_max: 0x" + b"f" * 10_000, "too many digits", id="hexadecimal"),
        pytest.param(b"k_max: -" + b"9" * 300, "k_max is -999", id="three-hundred-digits"),
        pytest.param(
            b"contact_cost: " + b"9" * 10_000 + b".5", "contact_cost is inf", id="fraction"
        ),
        pytest.param(b"k_max: !!bool maybe", "not YAML", id="wrong-tag"),
        pytest.param(b"1: 2", "unknown parameter 1", id="number-as-name"),
        pytest.param(b"source: nope\nk_max: 3\nk_max: 4", "k_max", id="parameter-written-twice"),
    ],
)
def test_profile_that_is_not_a_list_of_parameters_is_refused(shop, content, needed):
    profile = shop.folder / "odd.yaml"
    profile.write_bytes(content)
    before = contents_of(shop.runs_dir)

    assert_refused(call_cli("run", profile, "--runs-dir", shop.runs_dir), needed, "odd")

    assert contents_of(shop.runs_dir) == before


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (command, name)
        for command in ("run", "report", "params")
        for name in ("nope", "../x", "notebooks/params/cdnow", "..", "", "/etc/passwd", "cdnow\n")
    ],
)
def test_unknown_or_path_like_profile_is_refused_with_those_there_are(tmp_path, command, name):
    where = [] if command == "params" else ["--runs-dir", tmp_path / "runs"]
    assert_refused(call_cli(command, name, *where), "unknown profile", "cdnow", "marketplace")
    assert list(tmp_path.iterdir()) == []


def test_profile_file_that_is_missing_is_named(tmp_path):
    assert_refused(call_cli("run", tmp_path / "no_such.yaml"), "no_such.yaml")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "/x", ".cache", ".", " a", "a ", "a\nb", pytest.param("x" * 300, id="long")],
)
def test_name_of_a_run_that_is_no_plain_name_is_refused(shop, name):
    before = contents_of(shop.runs_dir)
    assert_refused(call_cli(*shop.arguments(), "--name", name), "name")
    assert contents_of(shop.runs_dir) == before


def test_location_longer_than_any_path_is_refused(shop):
    refused(shop, "location", location="x" * 5000)


SECRET = "hunter2"


@pytest.mark.parametrize("parameter", ["location", "source"])
@pytest.mark.parametrize(
    "address",
    [
        f"mysql://me:{SECRET}@db:3306/shop",
        f"mysql://me:{SECRET}@x@db:3306/shop",
        f"MYSQL://me:{SECRET}@db:3306/shop",
        f"  mysql://me:{SECRET}@db:3306/shop",
        f"mysql://me:a/{SECRET}@db:3306/shop",
        f"mysql://db:3306/shop?user=me&password={SECRET}",
    ],
)
def test_password_in_an_address_is_refused_and_not_repeated(shop, parameter, address):
    sentence = refused(shop, parameter, "password", **{parameter: address})
    assert SECRET not in sentence


def test_password_is_not_written_anywhere_below_the_runs(shop):
    shop.run(location=f"mysql://me:{SECRET}@db:3306/shop")
    for path in shop.runs_dir.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["score"], ["nope"], ["run", "cdnow", "--nope"], ["run", "cdnow", "-p", "k_max"]],
)
def test_misuse_of_the_command_line_is_one_line(arguments):
    outcome = call_cli(*arguments)

    assert outcome.code == 2
    assert len(outcome.said) == 1


def test_refusal_is_the_same_in_a_process_of_its_own(shop):
    shop.bytes((HEADER + GOOD + line(amount="abc")).encode())
    before = contents_of(shop.runs_dir)

    outcome = process_cli(*shop.arguments())

    assert_refused(outcome, "orders.csv", "amount", "'abc'", "1 row(s)")
    assert outcome.out == ""
    assert contents_of(shop.runs_dir) == before


# --- where results go -----------------------------------------------------------------


@pytest.fixture
def small_disk(shop):
    """Mounts a small disk at the shop's runs folder, holding the finished run."""
    with contextlib.ExitStack() as stack:

        def mount(options: str) -> None:
            kept = shop.runs_dir.rename(shop.folder / "kept")
            shop.runs_dir.mkdir()
            stack.enter_context(mounted(shop.runs_dir, options))
            shutil.copytree(kept / "shop", shop.result)

        yield mount


def test_full_disk_is_said_and_the_previous_run_stays(shop, small_disk):
    small_disk("size=400k")
    free = shutil.disk_usage(shop.runs_dir).free
    (shop.runs_dir / "filler").write_bytes(b"x" * (free - 40_000))
    refused(shop, "runs", "disk")


def test_disk_that_fills_while_the_run_is_written_keeps_the_previous_run(shop, small_disk):
    small_disk("size=2m")
    assert shop.run().code == 0  # all stages are in the cache now
    free = shutil.disk_usage(shop.runs_dir).free
    (shop.runs_dir / "filler").write_bytes(b"x" * (free - 20_000))
    refused(shop, "runs", "disk")


def test_read_only_folder_is_said_and_the_previous_run_stays(shop, small_disk):
    small_disk("size=400k")
    subprocess.run(["mount", "-o", "remount,ro", str(shop.runs_dir)], check=True)
    refused(shop, "runs", "ead-only")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_runs_folder_that_cannot_be_one_is_named(shop, place):
    (shop.folder / "file").write_text("")
    outcome = call_cli(*shop.arguments()[:2], "--runs-dir", shop.folder / place)
    assert_refused(outcome, "--runs-dir", "file")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_demo_folder_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    assert_refused(call_cli("demo", "--output", tmp_path / place), "file")


# --- interruption ---------------------------------------------------------------------


def start_run(shop: TinyShop, *more: object, **environment: str) -> subprocess.Popen:
    """A run that somebody watches: its progress is shown on a terminal only."""
    terminal, command_side = os.openpty()
    termios.tcsetwinsize(terminal, (24, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "segmentation", *map(str, [*shop.arguments(), *more])],
        stdout=subprocess.PIPE,
        stderr=command_side,
        cwd=ROOT,
        env=os.environ | environment,
        # where the tests themselves run in the background, Ctrl-C is ignored and inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(command_side)
    process.terminal = terminal
    return process


def interrupt(process: subprocess.Popen, *, when: str, kind: int = signal.SIGINT) -> Outcome:
    """Send the signal as soon as ``when`` has been printed."""
    seen, is_sent = b"", False
    try:
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
            while chunk := os.read(process.terminal, 4096):
                seen += chunk
                if not is_sent and when.encode() in seen:
                    process.send_signal(kind)
                    is_sent = True
        assert is_sent, seen.decode()
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(process.terminal)
    return Outcome(process.returncode, out.decode(), seen.decode())


ALL_STAGES_DONE = f"| {len(STAGES)}/{len(STAGES)} ["


@pytest.mark.parametrize(
    ("when", "kind", "changed"),
    [
        pytest.param("reads the source", signal.SIGINT, ("as_of", "2023-06-30"), id="reading"),
        pytest.param("k-means, normal", signal.SIGINT, ("random_state", 7), id="clustering"),
        pytest.param(ALL_STAGES_DONE, signal.SIGINT, ("contact_cost", 2), id="writing"),
        pytest.param("k-means, normal", signal.SIGTERM, ("random_state", 7), id="by-a-scheduler"),
    ],
)
def test_ctrl_c_leaves_the_previous_run_and_nothing_half_done(computed_shop, when, kind, changed):
    shop = computed_shop
    before = contents_of(shop.runs_dir)

    outcome = interrupt(start_run(shop, "-p", *changed), when=when, kind=kind)

    assert_refused(outcome, "interrupted", "unchanged")
    assert outcome.out == ""
    assert contents_of(shop.runs_dir) == before
    assert leftovers_in(shop.runs_dir) == []


@pytest.mark.parametrize(
    "module",
    [
        pytest.param("numpy.version", id="the-command"),
        pytest.param("segmentation.core.atomic", id="its-stages"),
    ],
)
def test_ctrl_c_while_python_loads_is_one_sentence_too(shop, module):
    before = contents_of(shop.runs_dir)
    process = start_run(shop, PYTHONPROFILEIMPORTTIME="1")  # prints what is imported

    outcome = interrupt(process, when=module)

    err = re.sub(r"import time:[^\n]*\n", "", outcome.err)
    assert_refused(Outcome(outcome.code, outcome.out, err), "interrupted")
    assert contents_of(shop.runs_dir) == before


def test_run_after_an_interrupted_one_ends_as_if_nothing_had_been(shop):
    """After one that was killed: tests/faults, at thirty points."""
    before = (shop.result / "segments.parquet").read_bytes()
    shutil.rmtree(shop.result)
    interrupt(start_run(shop), when="flags customers")

    assert shop.run().code == 0

    assert (shop.result / "segments.parquet").read_bytes() == before
