"""Points in time with a zone count to the shop's own day, on every engine and any machine."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tzdata
from conftest import SHOP_SQL, TinyShop, assert_refused, order, ordinary_orders
from mariadb import MariaDbServer, _program

from segmentation.book import words
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import parameters_from
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.snapshot import Snapshot

ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kolkata")
ON_SERVERS = ("UTC", "Europe/Berlin", "America/Sao_Paulo")
EDGES = (
    "2024-03-31 00:59:59", "2024-03-31 01:00:00", "2024-03-30 22:59:59", "2024-03-30 23:00:00",
    "2024-03-31 21:59:59", "2024-03-31 22:00:00", "2024-10-27 00:30:00", "2024-10-27 01:30:00",
    "2024-10-26 22:00:00", "2024-10-27 22:59:59", "2024-10-27 23:00:00",  # Berlin's changes
    "2018-11-04 02:59:59", "2018-11-04 03:00:00",  # a day in São Paulo that began at one
    "2018-02-18 01:59:59", "2018-02-18 02:30:00", "2018-02-18 03:00:00",  # and an hour twice
    "2023-12-31 14:59:59", "2023-12-31 15:00:00", "2023-12-31 18:29:59", "2023-12-31 18:30:00",
    "2023-12-31 23:59:59", "2024-01-01 00:00:00", "2024-02-29 23:30:00",
)  # fmt: skip
POINTS = [dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in EDGES]
OFFSETS = ("Z", "+01:00", "-0330", "+09", "+05:30")
SQL = """
SELECT
    customer_id,
    order_id,
    CAST(sold AS DATE) AS order_date,
    quantity,
    amount,
    TRUE AS is_valid,
    CAST(said AS DATE) AS registered_date,
    CAST(CAST(TO_TIMESTAMP(counted) AS DATE) AS VARCHAR) AS product,
    CAST(CAST(CAST(plain AS TIMESTAMP) AS DATE) AS VARCHAR) || ' '
        || CAST(CAST(EPOCH_MS(milliseconds) AS DATE) AS VARCHAR) AS category
FROM orders
"""


def with_offset(point: dt.datetime, offset: str) -> str:
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:]) if offset != "Z" else 0
    shift = dt.timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    return (point + shift).strftime("%Y-%m-%dT%H:%M:%S") + offset


def rows_of_points() -> list[dict]:
    return [
        {
            "customer_id": f"c{n}",
            "order_id": f"{n:03d}",
            "sold": point,
            "said": with_offset(point, OFFSETS[n % len(OFFSETS)]),
            "counted": int(point.timestamp()),
            "milliseconds": int(point.timestamp()) * 1000,
            "plain": point.strftime("%Y-%m-%d %H:%M:%S"),
            "quantity": 1,
            "amount": 2,
        }
        for n, point in enumerate(POINTS)
    ]


def shop_of_points(shop: TinyShop) -> TinyShop:
    table = pa.Table.from_pylist(rows_of_points())
    table = table.cast(table.schema.set(2, pa.field("sold", pa.timestamp("us", "UTC"))))
    pq.write_table(table, shop.folder / "orders.parquet")
    return shop.sql(SQL)


def days_found(shop: TinyShop, **changed: object) -> tuple[list[list[str]], tuple[str, ...]]:
    """Days of every point, made of each kind of column, and the columns that carry a zone."""
    parameters = parameters_from(shop.parameters | changed)
    snapshot = Snapshot(parameters, scratch=shop.folder / "scratch")
    with snapshot.opened() as engine:
        source = ingest.ingest(engine, snapshot.source)
        found = engine.query(
            "SELECT CAST(order_date AS VARCHAR) AS a, CAST(registered_date AS VARCHAR) AS b, "
            "product, category FROM transactions ORDER BY order_id"
        )
    snapshot.close()
    return found.astype(str).to_numpy().tolist(), source.zoned


def days_wanted(zone: str) -> list[list[str]]:
    own = [point.astimezone(ZoneInfo(zone)).date().isoformat() for point in POINTS]
    return [
        [day, day, day, f"{text[:10]} {text[:10]}"] for day, text in zip(own, EDGES, strict=True)
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_every_kind_of_point_in_time_counts_to_the_shops_day(shop, zone):
    days, zoned = days_found(shop_of_points(shop), time_zone=zone)

    assert days == days_wanted(zone)
    assert zoned == ("counted", "said", "sold")


@pytest.mark.parametrize("zone", ON_SERVERS)
def test_spark_counts_the_same_days(spark, shop, zone):
    days, zoned = days_found(shop_of_points(shop), time_zone=zone, engine="spark")

    assert days == days_wanted(zone)
    assert zoned == ("counted", "said", "sold")


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"USER": "root", "PASSWORD": ""}.items():
        monkeypatch.setenv(f"MYSQL_{name}", value)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def database(mariadb_server: MariaDbServer) -> str:
    """The points in a server that knows the zones of these tests, one of them wrongly."""
    mariadb_server.new_database(
        "points",
        "CREATE TABLE orders (customer_id VARCHAR(9), order_id VARCHAR(9), sold TIMESTAMP NULL, "
        "said VARCHAR(40), counted BIGINT, milliseconds BIGINT, plain VARCHAR(40), quantity BIGINT, "
        "amount DECIMAL(18, 2))",
    )
    with (
        contextlib.closing(mariadb_server.connect("points", time_zone="+00:00")) as connection,
        connection.cursor() as cursor,
    ):
        values = [tuple(row.values()) for row in rows_of_points()]
        cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", values)
    files = {zone: Path("/usr/share/zoneinfo", zone) for zone in ("Asia/Tokyo", *ON_SERVERS[1:])}
    # a file of today's short form, of which the server reads nothing but the name
    files["Pacific/Auckland"] = Path(tzdata.__file__).parent / "zoneinfo/Pacific/Auckland"
    for zone, file in files.items():
        tables = subprocess.run(
            [_program("mariadb-tzinfo-to-sql"), file, zone], capture_output=True, check=True
        )
        command = [_program("mariadb"), f"--socket={mariadb_server.socket}", "mysql"]
        subprocess.run(command, input=tables.stdout, check=True, capture_output=True)
    return mariadb_server.location("points")


@pytest.mark.parametrize("zone", ON_SERVERS)
def test_database_counts_the_same_days(as_root, database, shop, zone):
    days, zoned = days_found(shop.sql(SQL), time_zone=zone, engine="mysql", location=database)

    assert days == days_wanted(zone)
    assert zoned == ("counted", "said", "sold")


def test_checksum_of_a_database_does_not_depend_on_the_zone(as_root, database, shop):
    shop.sql(SQL)

    def inputs(zone: str) -> dict:
        values = shop.parameters | {"engine": "mysql", "location": database, "time_zone": zone}
        snapshot = Snapshot(parameters_from(values), scratch=shop.folder)
        found = snapshot.inputs
        snapshot.close()
        return found

    assert inputs("UTC") == inputs("Asia/Tokyo")


def test_server_without_the_zone_is_one_sentence(as_root, database, shop):
    shop.sql(SQL)
    outcome = shop.run(engine="mysql", location=database, time_zone="Pacific/Chatham")
    assert_refused(outcome, "lacks the tables of time zones", "tzinfo", "time_zone: UTC")


def test_server_with_wrong_times_for_a_zone_is_one_sentence(as_root, database, shop):
    shop.sql(SQL)
    outcome = shop.run(engine="mysql", location=database, time_zone="Pacific/Auckland")
    assert_refused(outcome, "holds wrong times for Pacific/Auckland", "anew", "time_zone: UTC")


_PROGRAM = """
import sys
from segmentation.sources.engine import DuckDbEngine
engine = DuckDbEngine()
print(engine.query("SELECT CAST(CAST(TO_TIMESTAMP(0) AS DATE) AS VARCHAR) AS day")["day"].item())
"""


@pytest.mark.parametrize("machine", ["Asia/Tokyo", "America/Los_Angeles"])
def test_zone_of_the_machine_decides_nothing(machine):
    said = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | {"TZ": machine},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "1970-01-01"


def test_another_zone_never_reuses_days_of_this_one(shop):
    shop_of_points(shop)

    def run_in(zone: str) -> Run:
        return Run(parameters_from(shop.parameters | {"time_zone": zone}), shop.runs_dir)

    assert run_in("UTC").key("orders") != run_in("Asia/Tokyo").key("orders")
    assert run_in("UTC").key("cut") != run_in("Asia/Tokyo").key("cut")


def test_page_and_manifest_say_by_whose_days_a_zone_was_counted(shop):
    lines = [
        line | {"order_date": f"{line['order_date']}T23:30:00Z"} for line in ordinary_orders(9)
    ]
    outcome = shop.lines(lines).run(time_zone="Asia/Tokyo")

    assert outcome.code == 0, outcome.said
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert manifest["time_zone"] == "Asia/Tokyo"
    said = "order_date by days of Asia/Tokyo"
    assert manifest["database"]["points in time"] == said
    assert "by days of Asia/Tokyo" in words.reading_sentence(manifest)
    last = max(line["order_date"][:10] for line in lines)
    assert manifest["as_of"] == (pd.Timestamp(last) + pd.Timedelta(days=1)).date().isoformat()


def test_days_without_a_zone_are_left_as_they_are_and_the_select_too(shop):
    shop.lines(ordinary_orders(5))
    snapshot = Snapshot(parameters_from(shop.parameters), scratch=shop.folder / "scratch")
    with snapshot.opened() as engine:
        source = ingest.ingest(engine, snapshot.source)

    assert (source.zoned, source.sql) == ((), SHOP_SQL)


@pytest.mark.parametrize("text", ["2023-01-05T23:30:00+1:00", "2023-01-05T23:30:00+01:0"])
def test_offset_that_is_none_is_refused(shop, text):
    shop.lines([*ordinary_orders(5), order("B", 1, text, 1, "2.00")])
    assert_refused(shop.run(), "order_date is not a date (YYYY-MM-DD) in 1 row(s)", text)


@pytest.mark.parametrize(
    ("zone", "needed"),
    [
        ("Europe/berlin", "did you mean Europe/Berlin?"),
        ("localtime", "there is no such zone"),
        ("+09:00", "IANA name"),
        ("../../etc/passwd", "IANA name"),
        ("", "IANA name"),
    ],
)
def test_zone_that_is_none_is_refused_by_name(shop, zone, needed):
    shop.lines(ordinary_orders(5))
    assert_refused(shop.run(time_zone=zone), "time_zone is", needed)


def test_text_made_by_another_part_of_the_select_is_a_point_in_time_too(shop):
    shop.lines([order("A", n, f"2023-01-0{n}T23:30:00-05:00", 1, "2.00") for n in (1, 2)])
    inner = "WITH o AS (SELECT *, TRIM(order_date) AS written FROM orders)"
    outer = SHOP_SQL.replace("FROM orders", "FROM o").replace("(order_date", "(written")
    shop.sql(inner + outer)
    snapshot = Snapshot(parameters_from(shop.parameters), scratch=shop.folder / "scratch")
    with snapshot.opened() as engine:
        source = ingest.ingest(engine, snapshot.source)
        days = engine.query("SELECT CAST(order_date AS VARCHAR) AS day FROM transactions")["day"]

    assert (sorted(days), source.zoned) == (["2023-01-02", "2023-01-03"], ("order_date",))


def test_engine_that_is_asked_for_a_zone_it_lacks_says_so():
    with pytest.raises(ParameterError, match="DuckDB knows no zone Mars/Phobos"):
        DuckDbEngine(time_zone="Mars/Phobos")
