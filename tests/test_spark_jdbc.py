"""Tables that Spark reads through JDBC from a real MariaDB: the same results as from files."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, Outcome, TinyShop, assert_refused, ordinary_orders
from mariadb import MariaDbServer
from spark_session import QUICK, skip_without_spark

from segmentation import clean, features, ingest, jdbc_place, materialize
from segmentation.engine_spark import SparkEngine
from segmentation.errors import ParameterError, SourceError
from segmentation.jdbc_place import (
    INSTALL,
    credentials_for,
    fault_of,
    parse_jdbc,
    properties_for,
)
from segmentation.params import parameters_from, resolve
from segmentation.pipeline import Run
from segmentation.spark_place import parse_place

USER, PASSWORD = "reader", "s3cret@:/%#'\" word"
ORDERS = """
    CREATE TABLE orders (
        customer_id VARCHAR(64), order_id VARCHAR(64), order_date DATE, quantity DECIMAL(18, 2),
        amount DECIMAL(18, 2), is_valid TINYINT(1), is_return TINYINT(1), registered_date DATE
    ) ENGINE=InnoDB CHARACTER SET=utf8mb4
"""
AWKWARD = """
    CREATE TABLE awkward (
        `select` VARCHAR(20) COLLATE utf8mb4_general_ci, code CHAR(6), is_valid TINYINT(1),
        big BIGINT UNSIGNED, small INT, price DECIMAL(18, 2), wide DECIMAL(60, 20), ratio DOUBLE,
        bits BIT(8), raw VARBINARY(4), day DATE, moment TIMESTAMP(6) NULL, wall DATETIME
    ) ENGINE=InnoDB CHARACTER SET=utf8mb4
"""


def jdbc(server: MariaDbServer, name: str, kind: str = "mariadb", options: str = "") -> str:
    return f"jdbc:{kind}://{server.host}:{server.port}/{name}{options}"


@pytest.fixture(scope="module")
def server(mariadb_server: MariaDbServer) -> MariaDbServer:
    skip_without_spark()
    if parse_jdbc("jdbc:mariadb://localhost/shop").jar is None:
        pytest.skip(f"the JDBC driver is not installed: {INSTALL['mariadb']}")
    quoted = PASSWORD.replace("'", "''")
    mariadb_server.execute(
        f"CREATE OR REPLACE USER {USER}@'%' IDENTIFIED BY '{quoted}'",
        f"GRANT SELECT ON *.* TO {USER}@'%'",
    )
    return mariadb_server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MYSQL_USER", USER)
    monkeypatch.setenv("MYSQL_PASSWORD", PASSWORD)


def load_orders(server: MariaDbServer, name: str, lines: list[dict]) -> str:
    server.new_database(name, ORDERS)
    flags = {"true": 1, "false": 0, "": None}
    with server.connect(name) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [[flags.get(value, value) for value in line.values()] for line in lines],
        )
    return name


def run_of(shop: TinyShop, **changed: object) -> Run:
    return Run(parameters_from(shop.parameters | changed), shop.folder / "runs")


def accounts(run: Run) -> tuple[tuple[pd.DataFrame, pd.DataFrame], dict[str, str]]:
    """Ledger and features alone, without the tables of the book; and what keys the cache."""
    rules = {n: getattr(run.parameters, n) for n in ("returns", "zero_amount", "duplicates")}
    with run.snapshot.opened() as engine:
        ingest.ingest(engine, run.source)
        clean.clean(engine, **rules, non_product=run.parameters.non_product, as_of=None)
        as_of = features.last_valid_order(engine)
        made = clean.ledger(engine), features.customer_features(engine, as_of=as_of)
    hashes = run.input_hashes
    run.snapshot.close()
    return made, hashes


def refused(shop: TinyShop, location: str, *needed: str) -> str:
    outcome: Outcome = shop.run(engine="spark", location=location)
    sentence = assert_refused(outcome, *needed)
    assert PASSWORD not in outcome.out + outcome.err
    assert not shop.result.exists()
    return sentence


# --- the same rows, to the cent ---------------------------------------------------------


def test_demonstration_marketplace_is_equal_to_the_embedded_engine(spark, server, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYSQL_USER", "root")
        patch.delenv("MYSQL_PASSWORD")
        materialize.load_marketplace(server.location("through_jdbc"))
    changed = {"engine": "spark", "location": jdbc(server, "through_jdbc")}
    found, hashes = accounts(Run(resolve("marketplace", overrides=changed)[1], tmp_path))
    expected, _ = accounts(Run(resolve("marketplace")[1], tmp_path))

    assert "table order_detail" in hashes
    for ours, theirs in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_run_of_the_command_uses_the_driver_that_the_system_has(server, shop, tmp_path):
    """As a user starts it: a process of its own, in which Spark is told of no driver."""
    lines = ordinary_orders(12)
    place = jdbc(server, load_orders(server, "small", lines))
    environment = {k: v for k, v in os.environ.items() if k != "PYSPARK_SUBMIT_ARGS"}
    environment |= {n: v for n, v in QUICK.items() if n != "PYSPARK_SUBMIT_ARGS"}
    script = (
        "import sys; from segmentation.spark_place import parse_place; "
        "from segmentation.engine_spark import SparkEngine; "
        "engine = SparkEngine(parse_place(sys.argv[1])); engine.bind('orders'); "
        "print(engine.count('orders'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, place], capture_output=True, text=True, cwd=ROOT,
        env=environment, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.strip() == str(len(lines)), done.stderr[-2000:]
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_shop_of_either_kind_is_equal_to_its_file_and_changed_rows_are_read_anew(
    spark, server, shop, kind
):
    lines = ordinary_orders(12)
    shop.lines(lines)
    place = jdbc(server, load_orders(server, "small", lines), kind)
    found, hashes = accounts(run_of(shop, engine="spark", location=place))
    for ours, expected in zip(found, accounts(run_of(shop))[0], strict=True):
        pd.testing.assert_frame_equal(ours, expected, check_exact=True)

    server.execute("UPDATE orders SET amount = amount + 0.01 LIMIT 1", database="small")
    after, other_hashes = accounts(run_of(shop, engine="spark", location=place))

    assert other_hashes != hashes
    spent = [Decimal(ledger["amount"].iloc[-1]) for ledger, _ in (found, after)]
    assert spent[1] - spent[0] == Decimal("0.01")


def test_values_arrive_as_the_server_holds_them(spark, server):
    """Flags, unsigned and exact numbers, bytes, points in time in UTC; text to the last byte."""
    server.new_database(
        "awkward",
        AWKWARD,
        "INSERT INTO awkward VALUES ('Ä\"a`b\\\\', ' 7', 1, 18446744073709551615, -5, "
        "12345678901234.07, 1234567890123456789012345678901234567890.00000000000000000001, "
        "0.1, b'101', x'00FF', '2024-02-29', FROM_UNIXTIME(1700000000.123456), "
        "'2024-03-31 02:30:00')",
        "INSERT INTO awkward (`select`, is_valid) VALUES ('ä\"A`B\\\\', 0)",
    )
    engine = SparkEngine(parse_place(jdbc(server, "awkward")))
    engine.bind("awkward")

    row = engine.query('SELECT * FROM awkward WHERE "select" = \'Ä"a`b\\\'').iloc[0]

    assert engine.columns("SELECT is_valid, big, price, day, wall FROM awkward") == {
        "is_valid": "BOOLEAN",
        "big": "DECIMAL(20, 0)",
        "price": "DECIMAL(18, 2)",
        "day": "DATE",
        "wall": "TIMESTAMP",
    }
    assert (row["code"], row["is_valid"], row["small"]) == (" 7", True, -5)
    assert row["big"] == Decimal(18446744073709551615)
    assert row["price"] == Decimal("12345678901234.07")
    assert row["wide"] == "1234567890123456789012345678901234567890.00000000000000000001"
    assert (row["ratio"], row["bits"], row["raw"]) == (0.1, 5, "00ff")
    assert str(row["day"])[:10] == "2024-02-29"
    assert row["moment"] == pd.Timestamp("2023-11-14 22:13:20.123456")
    assert row["wall"] == pd.Timestamp("2024-03-31 02:30:00")
    assert engine.count("awkward") == 2
    engine.close()


def test_table_that_changes_while_it_is_read_is_refused(spark, server):
    load_orders(server, "moving", ordinary_orders(5))
    engine = SparkEngine(parse_place(jdbc(server, "moving")))
    engine.bind("orders")
    engine.check_unchanged()

    server.execute("UPDATE orders SET quantity = 77 LIMIT 1", database="moving")

    assert engine.query("SELECT MAX(quantity) AS most FROM orders")["most"][0] < 77
    with pytest.raises(SourceError, match="table orders: changed while it was read"):
        engine.check_unchanged()
    engine.close()


# --- mistakes, in one sentence ------------------------------------------------------------


def test_day_that_no_calendar_has_is_counted_and_shown(spark, server, shop):
    load_orders(server, "zero", ordinary_orders(5))
    server.execute("SET sql_mode = ''", "UPDATE orders SET order_date = 0 LIMIT 2", database="zero")

    refused(shop, jdbc(server, "zero"), "order_date is no day", "in 2 row(s)", "0000-00-00")


def test_missing_table_and_database_are_named(spark, server, shop):
    server.new_database("bare", "CREATE TABLE sales (id INT)")

    refused(shop, jdbc(server, "bare"), "table orders: there is none", "it has sales")
    refused(shop, jdbc(server, "nowhere"), "has no database nowhere")


def test_empty_table_is_refused(spark, server, shop):
    server.new_database("empty", ORDERS)

    refused(shop, jdbc(server, "empty"), "table orders", "no rows")


def test_wrong_password_is_one_sentence_without_it(spark, server, shop, monkeypatch):
    load_orders(server, "small", ordinary_orders(5))
    monkeypatch.setenv("MYSQL_PASSWORD", "wr0ng-word")

    said = refused(shop, jdbc(server, "small"), "refuses the user or the password")

    assert "wr0ng-word" not in said


def test_server_that_does_not_answer_is_named(spark, server, shop):
    refused(shop, "jdbc:mariadb://127.0.0.1:9/shop", "MariaDB at 127.0.0.1:9 cannot be reached")


def test_missing_driver_is_one_sentence_with_the_command(spark, server, shop, monkeypatch):
    monkeypatch.setitem(jdbc_place.DRIVERS, "mariadb", (("mariadb", "org.absent.Driver"),))

    refused(shop, jdbc(server, "small"), "JDBC driver", "spark.jars", "libmariadb-java")


@pytest.mark.parametrize(
    ("location", "needed"),
    [
        ("jdbc:mysql://me:hidden@db/shop", "never is a parameter"),
        ("jdbc:mysql://db/shop?user=me&password=hidden", "never is a parameter"),
        ("jdbc:mysql://db/shop?useSSL=hidden", "unknown option useSSL"),
        ("jdbc:oracle://db/shop", "jdbc:postgresql://"),
        ("jdbc:mysql://db", "host or database is missing; it is jdbc:mysql://"),
        ("sc://127.0.0.1:15002/jdbc:mysql://me:hidden@db/shop", "never is a parameter"),
    ],
)
def test_location_with_a_password_or_without_a_part_is_refused(shop, location, needed):
    assert "hidden" not in assert_refused(shop.run(engine="spark", location=location), needed)


def test_other_engines_are_told_who_reads_it(shop):
    place = "jdbc:mysql://127.0.0.1/shop"

    assert_refused(shop.run(engine="duckdb", location=place), "set engine: spark")
    assert_refused(shop.run(engine="mysql", location=place), "give mysql://host:port/database")


# --- addresses and credentials --------------------------------------------------------------


def test_place_is_shown_without_machine_user_or_file():
    place = parse_place("sc://c7:15002/jdbc:mysql://me@db7.internal/shop?option_file=/home/me/x")

    assert place.shown == "sc://…/jdbc:mysql://…/shop"
    assert place.is_elsewhere
    assert place.server == "sc://c7:15002"


def test_password_is_in_no_representation(tmp_path):
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nuser = ann\npassword = topsecret\n")
    file.chmod(0o600)
    place = parse_jdbc(f"jdbc:mysql://127.0.0.1/shop?option_file={file}")

    told = properties_for(place, "mysql")

    assert (told["user"], told["password"]) == ("ann", "topsecret")
    assert told["useCursorFetch"] == "true"
    assert "topsecret" not in repr(place) + repr(credentials_for(place)) + place.url("mysql")


def test_server_elsewhere_must_prove_who_it_is():
    for kind, proof in (("mariadb", "verify-full"), ("mysql", "VERIFY_IDENTITY")):
        told = properties_for(parse_jdbc(f"jdbc:{kind}://db.example.com/shop"), kind)
        assert told["sslMode"] == proof
    near = properties_for(parse_jdbc("jdbc:mariadb://127.0.0.1/shop"), "mariadb")
    assert "sslMode" not in near


def test_postgresql_takes_its_own_password_file_and_environment(tmp_path):
    file = tmp_path / ".pgpass"
    file.write_text("# a note\nother:*:*:x:1\n127.0.0.1:5432:shop:ann:with\\:colon\n")
    file.chmod(0o600)
    place = parse_jdbc("jdbc:postgresql://127.0.0.1/shop")

    found = credentials_for(place, {})
    assert (found.user, found.password) == ("ann", "with:colon")
    found = credentials_for(place, {"PGUSER": "bob", "PGPASSWORD": "own"})
    assert (found.user, found.password) == ("bob", "own")
    file.chmod(0o644)
    with pytest.raises(ParameterError, match="chmod 600"):
        credentials_for(place, {})


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("org.postgresql.util.PSQLException: FATAL: password authentication failed", "refuses"),
        ('org.postgresql.util.PSQLException: FATAL: database "shop" does not exist', "database"),
        ("java.sql.SQLException: SELECT command denied to user 'x'@'y'", "GRANT SELECT"),
        ("java.sql.SQLException: unexpected end of stream, read 0 bytes", "broke the connection"),
        ("java.sql.SQLException: (conn=4) Something else\n\tat a.b", "reports: Something else."),
    ],
)
def test_fault_of_a_server_is_one_sentence(said, needed):
    sentence = str(fault_of(said, parse_jdbc("jdbc:postgresql://db/shop")))

    assert sentence.startswith("PostgreSQL at db:5432 ")
    assert needed in sentence and "\n" not in sentence
    assert fault_of("[DIVIDE_BY_ZERO] Division by zero", parse_jdbc("jdbc:mysql://db/s")) is None
