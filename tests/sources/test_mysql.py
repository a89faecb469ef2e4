"""Orders in a real MariaDB server: the same results as from files, and every fault in words."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import sqlglot
import yaml
from conftest import (
    ROOT,
    SHOP_SQL,
    Outcome,
    TinyShop,
    assert_refused,
    call_cli,
    contents_of,
    order,
    ordinary_orders,
    process_cli,
)
from mariadb import MariaDbServer, private_server

from segmentation.core.errors import SourceError
from segmentation.core.parameters import parameters_from, resolve
from segmentation.deliver import materialize
from segmentation.orders import clean
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.run.stages import STAGES
from segmentation.sources.demo_export import write_marketplace
from segmentation.sources.mysql.address import parse_location
from segmentation.sources.mysql.engine import MySqlEngine
from segmentation.sources.mysql.server import (
    Credentials,
    _tls,
    find_credentials,
    parse_option_file,
)

REAL_MARKETPLACE = ROOT.parent / "shared" / "data" / "marketplace"
PASSWORD = "s3cret@:/%#'\" word"
FILES = ("features.parquet", "segments.parquet", "ledger.csv", "findings.csv", "profile.csv")
ORDERS = """
    CREATE TABLE orders (
        customer_id VARCHAR(64), order_id VARCHAR(64), order_date DATE, quantity DECIMAL(18, 2),
        amount DECIMAL(18, 2), is_valid TINYINT(1), is_return TINYINT(1), registered_date DATE
    ) ENGINE=InnoDB CHARACTER SET=utf8mb4
"""


BIG_TABLES = (
    "CREATE TABLE a AS SELECT seq AS a FROM seq_1_to_30000",
    "CREATE TABLE b AS SELECT seq AS b FROM seq_1_to_30000",
)


pytestmark = pytest.mark.usefixtures("as_root")


def database(server: MariaDbServer, name: str, *statements: str) -> str:
    server.new_database(name, *statements)
    return name


def fill(server: MariaDbServer, name: str, table: str, columns: list[str], rows: list) -> None:
    places = ", ".join(["%s"] * len(columns))
    with contextlib.closing(server.connect(name)) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
            [[value if value != "" else None for value in row] for row in rows],
        )


def load_orders(server: MariaDbServer, name: str, lines: list[dict], create: str = ORDERS) -> str:
    database(server, name, create)
    flags = {"true": 1, "false": 0}
    columns = list(lines[0])
    rows = [[flags.get(line[c], line[c]) for c in columns] for line in lines]
    fill(server, name, "orders", columns, rows)
    return name


def load_csv(server: MariaDbServer, name: str, file: Path, definition: str) -> None:
    server.execute(definition, database=name)
    with file.open(encoding="utf-8", newline="") as text:
        header, *rows = list(csv.reader(text))
    fill(server, name, file.stem, header, rows)


def run_in(shop: TinyShop, location: str, **changed: object) -> Outcome:
    return shop.run(engine="mysql", location=location, **changed)


def both(shop: TinyShop, server: MariaDbServer, name: str, **changed: object) -> tuple[Path, Path]:
    """Run folders of the same shop from its file and from the database."""
    assert shop.run(**changed).code == 0
    from_file = shop.folder / "from_file"
    shutil.copytree(shop.result, from_file)  # what it names is a link
    outcome = run_in(shop, server.location(name), **changed)
    assert outcome.code == 0, outcome.said
    return from_file, shop.result


def assert_equal_files(one: Path, other: Path) -> None:
    tables = {path.name for path in (*one.glob("*.csv"), *one.glob("*.parquet"))}
    assert tables >= set(FILES)
    for file in sorted(tables):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


READING = tuple(name for name, stage in STAGES.items() if "snapshot" in stage.inputs)


def assert_equal_readings(
    shop_or_profile: TinyShop | str, folder: Path, *places: dict, stages: Sequence[str] = READING
) -> Run:
    """Everything that is read of the same orders in two places is the same; gives the last run.

    All other results are made of these alone (`Stage.inputs`).
    """
    runs = []
    for place in places:
        if isinstance(shop_or_profile, TinyShop):
            parameters = parameters_from(shop_or_profile.parameters | place)
        else:
            parameters = resolve(shop_or_profile, overrides=place)[1]
        runs.append(Run(parameters, folder))
    own = {"sql", "raw_columns", "overview"}  # how it was read
    own |= STAGES["preferences"].gives.keys()  # made from files alone
    for stage in stages:
        for name in STAGES[stage].gives.keys() - own:
            one, other = (run[name] for run in runs)
            if isinstance(one, pd.DataFrame):
                assert one.to_csv() == other.to_csv(), name
            else:
                assert one == other, name
    one, other = (run["overview"] | {"database": None} for run in runs)
    assert one == other
    for run in runs:
        run.snapshot.close()
    return runs[-1]


@pytest.fixture
def small(mariadb_server: MariaDbServer) -> tuple[MariaDbServer, str]:
    """A database with an ordinary small shop."""
    return mariadb_server, load_orders(mariadb_server, "small", ordinary_orders())


# --- the same results as from files ---------------------------------------------------


@pytest.fixture(scope="module")
def demo_database(mariadb_server: MariaDbServer) -> str:
    """The demonstration with an eighth of its customers, and every defect that it has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYSQL_USER", "root")
        materialize.load_marketplace(mariadb_server.location("demo"), n_customers=500)
    return "demo"


def test_demonstration_marketplace_agrees_exactly(mariadb_server, demo_database, tmp_path):
    write_marketplace(tmp_path / "demo", n_customers=500)
    here = {"location": str(tmp_path / "demo")}
    there = {"engine": "mysql", "location": mariadb_server.location(demo_database)}
    assert_equal_readings("marketplace", tmp_path, here, there)


def test_demonstration_tables_are_wide_enough_and_say_that_they_are_synthetic(
    mariadb_server, demo_database
):
    kinds = dict(
        mariadb_server.execute(
            "SELECT column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = 'demo' AND table_name = 'order_detail'"
        )
    )
    assert kinds["after_discount"] == kinds["price"] == "decimal(18,2)"
    keys = mariadb_server.execute(
        "SELECT column_name FROM information_schema.key_column_usage WHERE "
        "table_schema = 'demo' AND table_name = 'order_detail' AND constraint_name = 'PRIMARY'"
    )
    assert keys == [("line_id",)]
    engine = MySqlEngine(parse_location(mariadb_server.location("demo")))
    engine.bind("order_detail")
    assert engine.is_synthetic
    engine.close()


def test_real_marketplace_agrees_exactly(mariadb_server, tmp_path):
    """All that is read; with day and month exchanged, its findings and both outcomes."""
    if not REAL_MARKETPLACE.is_dir():
        pytest.skip("the real marketplace is not on this machine: ../shared/data/marketplace")
    name = database(mariadb_server, "real_marketplace")
    for table, definition in materialize._DEMO_TABLES.items():
        load_csv(mariadb_server, name, REAL_MARKETPLACE / f"{table}.csv", definition)
    there = {"engine": "mysql", "location": mariadb_server.location(name)}
    places = [{"location": str(REAL_MARKETPLACE)}, there]

    run = assert_equal_readings("marketplace", tmp_path, *places)

    assert len(run["customer_features"]) == 2864
    names = ("findings", "ledger", "customer_features", "days_found", "repair", "group_moves")
    for repair in ("off", "swap_day_month"):
        values = [place | {"date_repair": repair} for place in places]
        runs = [Run(resolve("marketplace", overrides=each)[1], tmp_path) for each in values]
        for name in names:
            one, other = (run[name] for run in runs)
            assert one.to_csv() == other.to_csv(), (repair, name)
        assert (runs[1]["findings"]["rows"] > 0).sum() == 14


def test_text_lines_of_cdnow_agree_exactly(mariadb_server, tmp_path):
    name = database(
        mariadb_server,
        "cdnow",
        "CREATE TABLE CDNOW_master (line_number BIGINT PRIMARY KEY, line VARCHAR(120)) "
        "CHARACTER SET latin1",
    )
    file = ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt"
    lines = file.read_text("utf-8").splitlines()[:1500]
    fill(mariadb_server, name, "CDNOW_master", ["line_number", "line"], list(enumerate(lines, 1)))
    (tmp_path / "CDNOW_master.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    here = {"engine": "duckdb", "location": str(tmp_path)}
    there = {"engine": "mysql", "location": mariadb_server.location(name)}
    assert_equal_readings("cdnow", tmp_path / "runs", here, there)


OPENED_SQL = """
SELECT o.customer_id, COUNT(m.opened_on) AS opens, SUM(COALESCE(m.seconds, 0)) AS reading
FROM (SELECT DISTINCT customer_id FROM orders) AS o
LEFT JOIN mails AS m ON m.customer_id = o.customer_id AND CAST(m.opened_on AS DATE) <= :as_of
GROUP BY o.customer_id
"""


def test_features_of_the_shops_own_are_the_same_from_a_database(shop, mariadb_server):
    lines = ordinary_orders()
    name = load_orders(mariadb_server, "own_features", lines)
    mariadb_server.execute(
        "CREATE TABLE mails AS SELECT customer_id, order_date AS opened_on, 7 AS seconds "
        "FROM orders WHERE quantity > 2",
        database=name,
    )
    mails = [
        {"customer_id": one["customer_id"], "opened_on": one["order_date"], "seconds": 7}
        for one in lines
        if int(one["quantity"]) > 2
    ]
    own = OPENED_SQL.replace("m.seconds, 0", "CAST(m.seconds AS DECIMAL(9, 0)), 0")
    shop.lines(lines).lines(mails, name="mails.csv")
    (shop.folder / "own.sql").write_text(own, encoding="utf-8")
    labels = {n: {"label": n.title(), "unit": n} for n in ("opens", "reading")}
    shop.parameters |= {"own_features": "own.sql", "feature_labels": labels, "as_of": "2023-05-01"}

    found = []
    for changed in ({}, {"engine": "mysql", "location": mariadb_server.location(name)}):
        shop.arguments(**changed)
        run = Run(resolve(str(shop.folder / "shop.yaml"))[1], shop.runs_dir)
        with contextlib.closing(run.snapshot):
            found.append(run["customer_features"])

    pd.testing.assert_frame_equal(*found)
    assert 0 < found[0]["opens"].sum() < len(mails)
    assert (found[0]["reading"] == 7 * found[0]["opens"]).all()


@pytest.mark.parametrize(
    "collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "latin1_swedish_ci"]
)
def test_ids_that_differ_in_capitals_stay_two_customers_and_blanks_at_the_ends_are_none(
    shop, mariadb_server, collation
):
    lines = ordinary_orders()
    for number, customer in enumerate(("a", "A", "a ", "á", "A  ")):
        lines.append(order(customer, f"o{number}", "2023-05-01", 1, f"{10 + number}.10"))
    charset = collation.split("_")[0]
    create = ORDERS.replace("utf8mb4", f"{charset} COLLATE={collation}")
    name = load_orders(mariadb_server, "collated", lines, create)
    place = {"engine": "mysql", "location": mariadb_server.location(name)}
    run = assert_equal_readings(shop.lines(lines), shop.runs_dir, {}, place, stages=["orders"])
    assert len(run["customer_features"]) == 40 + len({"a", "A", "á"})


def test_forgotten_customers_are_left_out_alike(shop, mariadb_server):
    ids = ["0001", " Ünï-日本 ", "=1+1", "back\\slash 'quoted' %s %(a)s"]
    same = [ids[0] + " ", ids[1].strip()]  # blanks at the ends are no part of an id
    others = [ids[1].upper(), *same]  # the first equal in most collations, and another customer
    odd = [order(each, f"odd-{each}", "2023-02-03", 1, "7.25") for each in (*ids, *others)]
    lines = [*ordinary_orders(12), *odd, order("", "nobody", "2023-02-03", 1, "1.00")]
    lines = [line | {"registered_date": "2023-01-01"} for line in lines]
    name = load_orders(mariadb_server, "forgotten", lines)
    shop.lines(lines).runs_dir.mkdir()
    assert call_cli("forget", *ids, "--runs-dir", shop.runs_dir).code == 0
    location = {"engine": "mysql", "location": mariadb_server.location(name)}

    ours, reference = (
        Run(parameters_from(shop.parameters | changed), shop.runs_dir) for changed in (location, {})
    )

    for result in ("ledger", "customer_features", "findings", "special_lines"):
        pd.testing.assert_frame_equal(ours[result], reference[result], check_exact=True)
    assert ours["ledger"].loc[1].tolist()[:3] == ["forgotten", 7, 4]
    left = set(ours["customer_features"]["customer_id"])
    assert ids[1].upper().strip() in left and left.isdisjoint({*ids, *same})


@pytest.mark.parametrize(
    ("returns", "duplicates"), [("exclude", "drop"), ("net", "drop"), ("net", "keep")]
)
def test_rules_set_the_same_lines_aside(shop, mariadb_server, returns, duplicates):
    lines = ordinary_orders()
    lines += [
        order("", "n1", "2023-01-05", 1, "1.00"),
        order("B", "", "2023-01-05", 1, "1.00"),
        order("B", "n2", "", 1, "1.00"),
        order("B", "n3", "2023-01-05", "", "1.00"),
        order("B", "n4", "2023-01-05", 1, "5.00", is_valid="false"),
        order("B", "n5", "2023-01-05", 0, "5.00"),
        order("B", "n6", "2023-01-05", 1, "-5.00"),
        order("B", "n7", "2023-01-05", 1, "0.00"),
        order("0000", "n8", "2023-02-05", -1, "-2.00", is_return="true"),
        order("C", "n9", "2023-02-05", -1, "-2.00", is_return="true"),
        *[order("D", "n10", "2023-02-05", 3, "0.01", registered_date="2023-03-01")] * 2,
    ]
    name = load_orders(mariadb_server, "ruled", lines)
    settings = {"returns": returns, "zero_amount": "exclude", "duplicates": duplicates}
    place = {"engine": "mysql", "location": mariadb_server.location(name)}
    assert_equal_readings(shop.lines(lines), shop.runs_dir, settings, settings | place)


COPIED = "v_classified copied_orders"


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
@pytest.mark.parametrize("returns", ["exclude", "net"])
def test_lines_are_compared_only_where_somebody_asks_for_copies(
    mariadb_server, shop, returns, duplicates
):
    """Comparing all lines with one another took most of a run's time in the database."""
    twice = [order("D", "n10", "2023-01-15", 3, "0.01")] * 3
    name = load_orders(mariadb_server, "copies", ordinary_orders() + twice)
    location = mariadb_server.location(name)
    run = Run(
        parameters_from(shop.parameters | {"engine": "mysql", "location": location}), shop.folder
    )
    rules = {"returns": returns, "zero_amount": "keep", "duplicates": duplicates}
    queries = {
        "SELECT rule, COUNT(*) AS n FROM classified GROUP BY rule ORDER BY rule": False,
        "WITH own AS (SELECT customer_id, amount FROM classified) SELECT own.* FROM own": False,
        "SELECT MAX(copy_number) AS n FROM classified": True,
        "SELECT * FROM classified": True,
        "SELECT classified.* FROM classified WHERE amount > 1": True,
    }
    with run.snapshot.opened() as engine:
        ingest.ingest(engine, run.source)
        clean.clean(engine, **rules, non_product="keep", as_of=None)
        for sql, asks in queries.items():
            text, _ = engine._views.assembled(sqlglot.parse_one(sql, dialect="duckdb"), {})
            assert (COPIED in text) == (asks or duplicates == "drop"), sql
        counted = engine.query("SELECT rule, COUNT(*) AS n FROM classified GROUP BY rule")
        whole = engine.query("SELECT rule, copy_number FROM classified")
    assert whole["copy_number"].max() == 3
    assert counted.set_index("rule")["n"].to_dict() == whole["rule"].value_counts().to_dict()


# --- fresh data, one snapshot ---------------------------------------------------------


def test_changed_rows_are_never_answered_from_the_cache(shop, small):
    server, name = small

    def read() -> tuple[pd.DataFrame, bool]:
        place = {"engine": "mysql", "location": server.location(name)}
        run = Run(parameters_from(shop.parameters | place), shop.runs_dir)
        with contextlib.closing(run.snapshot):
            return run["ledger"], run.reused["orders"]

    first, _ = read()
    assert read()[1]
    server.execute("UPDATE orders SET amount = amount + 0.01 LIMIT 1", database=name)
    changed, reused = read()
    assert not reused
    assert not changed.equals(first)


def test_two_rows_that_swap_values_change_the_fingerprint(small):
    server, name = small

    def fingerprint() -> str:
        engine = MySqlEngine(parse_location(server.location(name)))
        try:
            engine.bind("orders")
            return engine.fingerprint("orders")["sha256"]
        finally:
            engine.close()

    before = fingerprint()
    server.execute("ALTER TABLE orders ORDER BY amount DESC", database=name)
    assert fingerprint() == before
    server.execute(
        "UPDATE orders SET customer_id = CASE customer_id WHEN '0001' THEN '0002' ELSE '0001' END "
        "WHERE customer_id IN ('0001', '0002')",
        database=name,
    )
    assert fingerprint() != before


def test_all_queries_of_a_run_see_one_snapshot_that_cannot_be_written(small):
    server, name = small
    engine = MySqlEngine(parse_location(server.location(name)))
    try:
        server.execute("DELETE FROM orders WHERE customer_id = '0001'", database=name)
        engine.bind("orders")
        found = engine.query("SELECT COUNT(*) AS n FROM orders WHERE customer_id = '0001'")
        assert found["n"].item() == 1
        with pytest.raises(SourceError, match="read-only"):
            engine._rows("DELETE FROM orders")
    finally:
        engine.close()


def test_stages_of_a_run_see_one_snapshot_while_the_shop_sells(shop, small):
    server, name = small
    values = {**shop.parameters, "engine": "mysql", "location": server.location(name)}
    run = Run(parameters_from(values), shop.runs_dir)
    with contextlib.closing(run.snapshot):
        raw = run["ledger"].set_index("rule").loc["raw"]
        server.execute("INSERT INTO orders SELECT * FROM orders", database=name)
        earlier = run.with_parameters(as_of=dt.date(2023, 6, 30))
        assert earlier["ledger"].set_index("rule").loc["raw"].equals(raw)


def test_notebooks_of_a_report_read_its_snapshot_and_never_a_later_one(shop, small):
    server, name = small
    values = {**shop.parameters, "engine": "mysql", "location": server.location(name)}
    parameters = parameters_from(values)
    run = Run(parameters, shop.runs_dir)
    ledger = run["ledger"]
    with run.snapshot.pinned():
        server.execute("UPDATE orders SET amount = amount + 1", database=name)
        kernel = Run(parameters, shop.runs_dir)
        pd.testing.assert_frame_equal(kernel["ledger"], ledger)
        assert kernel.snapshot._engine is None  # it never asked the database
        shutil.rmtree(shop.runs_dir / ".cache")
        with pytest.raises(SourceError, match="table orders: changed since this report began"):
            Run(parameters, shop.runs_dir)["ledger"]
    run.snapshot.close()
    assert Run(parameters, shop.runs_dir)["ledger"]["amount"].iloc[0] > ledger["amount"].iloc[0]


def test_only_select_is_needed(shop, small):
    server, name = small
    server.execute(
        "CREATE OR REPLACE USER reader IDENTIFIED BY 'x'",
        f"GRANT SELECT ON {name}.orders TO reader",
    )
    options = shop.folder / "reader.cnf"
    options.write_text("[client]\nuser=reader\npassword=x\n")
    options.chmod(0o600)
    assert run_in(shop, server.location(name, option_file=options)).code == 0


def test_rows_stream_in_bounded_memory(mariadb_server):
    """300,000 customers: the driver holds one batch, not the result."""
    name = database(
        mariadb_server, "many", "CREATE TABLE many (customer_id BIGINT, spent DECIMAL(18,2))"
    )
    mariadb_server.execute(
        "INSERT INTO many SELECT seq, seq / 100 FROM seq_1_to_300000", database=name
    )
    code = (
        "import sys, _mysql_connector, resource, threading, time, pathlib\n"
        "from segmentation.sources.mysql.engine import MySqlEngine\n"
        "from segmentation.sources.mysql.address import parse_location\n"
        "import segmentation.sources.mysql.server as m; import segmentation.sources.mysql.engine as e, sqlglot\n"
        "engine = MySqlEngine(parse_location(sys.argv[1])); engine.bind('many')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "table = engine._arrow(sqlglot.parse_one('SELECT * FROM many', dialect='duckdb'), {})\n"
        "print(table.num_rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,"
        " table.nbytes >> 20, m.has_fast_driver())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, mariadb_server.location(name)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, grown, size, fast = done.stdout.split()
    assert int(rows) == 300_000
    assert int(grown) < int(size) + 60  # as Python objects these rows take over 150 MB
    assert fast == "True"


# --- classic flow ---------------------------------------------------------------------


def test_classic_flow_materialises_and_starts_from_the_table(shop, mariadb_server, demo_database):
    location = mariadb_server.location(demo_database)
    arguments = ["-p", "engine", "mysql", "-p", "location", location, "--runs-dir", shop.runs_dir]
    for _ in range(2):  # idempotent
        assert (
            call_cli("materialize", "marketplace", *arguments).out == "customer_segmentation_data\n"
        )
    tables = [row[0] for row in mariadb_server.execute("SHOW TABLES", database=demo_database)]
    assert not [name for name in tables if "__" in name]
    quick = ["-p", "k_max", "3", "-p", "n_init", "2"]
    table_run = ("run", "customer_segmentation_data", *arguments, *quick, "--make-current")
    outcome = call_cli(*table_run)
    assert outcome.code == 0, outcome.said
    table = pd.read_parquet(shop.runs_dir / "customer_segmentation_data" / "segments.parquet")
    asked = {"engine": "mysql", "location": location, "k_max": 3, "n_init": 2}
    orders = Run(resolve("marketplace", overrides=asked)[1], shop.runs_dir)["segments"]
    shared = ["customer_id", "register_to_order", "total_unit", "total_spent", "cluster", "segment"]
    pd.testing.assert_frame_equal(orders[shared], table[shared])


def test_table_of_somebody_else_is_never_overwritten(shop, small):
    server, name = small
    server.execute("CREATE TABLE customer_segmentation_data (mine INT)", database=name)
    profile = shop.arguments(engine="mysql", location=server.location(name))[1]
    assert_refused(
        call_cli("materialize", profile, "--runs-dir", shop.runs_dir), "never overwritten"
    )
    server.execute("CREATE TABLE order_detail (mine INT)", database=name)
    assert_refused(call_cli("demo", "--mysql", server.location(name)), "order_detail", "rename it")
    assert server.execute("SHOW COLUMNS FROM order_detail", database=name)[0][0] == "mine"


def test_writing_that_breaks_off_leaves_the_table_before(shop, small, monkeypatch):
    server, name = small
    profile = shop.arguments(engine="mysql", location=server.location(name))[1]
    arguments = ["materialize", profile, "--runs-dir", shop.runs_dir]
    assert call_cli(*arguments).code == 0
    before = server.execute("CHECKSUM TABLE customer_segmentation_data", database=name)
    monkeypatch.setattr(
        "segmentation.deliver.mysql_tables._rename",
        lambda *_: (_ for _ in ()).throw(SourceError("the server broke the connection off.")),
    )
    assert_refused(call_cli(*arguments), "broke")
    assert server.execute("CHECKSUM TABLE customer_segmentation_data", database=name) == before
    tables = {row[0] for row in server.execute("SHOW TABLES", database=name)}
    assert tables == {"orders", "customer_segmentation_data"}


# --- faults ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good_run(mariadb_server: MariaDbServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of an ordinary small shop, made once and copied to where a fault is tried."""
    shop = TinyShop(tmp_path_factory.mktemp("good"))
    name = load_orders(mariadb_server, "good", ordinary_orders())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYSQL_USER", "root")
        assert run_in(shop, mariadb_server.location(name)).code == 0
    return shop.result


@pytest.fixture
def kept(shop: TinyShop, small: tuple[MariaDbServer, str], good_run: Path) -> Iterator[TinyShop]:
    """A shop with a good run; whatever the test does, its outputs stay as they are."""
    shutil.copytree(good_run, shop.result)
    before = contents_of(shop.result)
    yield shop
    assert contents_of(shop.result) == before


def test_absent_server_is_said(kept):
    sentence = assert_refused(run_in(kept, "mysql://127.0.0.1:1/shop"), "127.0.0.1:1")
    assert "cannot be reached" in sentence


def test_unknown_host_is_said(kept):
    assert_refused(run_in(kept, "mysql://no-such-host.invalid/shop"), "no-such-host.invalid")


def test_wrong_password_is_said_and_repeated_nowhere(kept, small, monkeypatch):
    monkeypatch.setenv("MYSQL_PASSWORD", PASSWORD)
    server, name = small
    outcome = run_in(kept, server.location(name))
    assert_refused(outcome, "refuses the user or the password")
    assert PASSWORD not in outcome.err + outcome.out


def test_missing_database_is_said(kept, small):
    assert_refused(run_in(kept, small[0].location("nothing")), "no database nothing")


def test_missing_table_is_said_with_those_there_are(kept, small):
    server, name = small
    server.execute("RENAME TABLE orders TO sales", database=name)
    assert_refused(run_in(kept, server.location(name)), "table orders", "sales")


def test_missing_column_is_said(kept, small):
    server, name = small
    server.execute("ALTER TABLE orders DROP COLUMN amount", database=name)
    assert_refused(run_in(kept, server.location(name)), "table orders", "no column", "amount")


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        pytest.param("GRANT USAGE ON *.* TO limited", ("limited", "GRANT SELECT"), id="database"),
        pytest.param("GRANT SELECT ON small.other TO limited", ("table orders",), id="table"),
        pytest.param(
            "GRANT SELECT (customer_id, order_id) ON small.orders TO limited",
            ("no column", "order_date"),
            id="column",
        ),
    ],
)
def test_missing_privilege_is_said(kept, small, monkeypatch, grant, words):
    server, name = small
    server.execute(
        "CREATE OR REPLACE USER limited", "CREATE TABLE other (a INT)", grant, database=name
    )
    monkeypatch.setenv("MYSQL_USER", "limited")
    outcome = run_in(kept, server.location(name))
    assert_refused(outcome, *(word for word in words if word != "limited"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            ["ALTER TABLE orders MODIFY amount FLOAT", "UPDATE orders SET amount = 19.99"],
            ("amount", "more decimals"),
            id="money-in-float",
        ),
        pytest.param(
            ["SET sql_mode = ''", "UPDATE orders SET order_date = '0000-00-00' LIMIT 2"],
            ("order_date", "2 row(s)", "0000-00-00"),
            id="zero-dates",
        ),
        pytest.param(
            ["SET sql_mode = ''", "UPDATE orders SET order_date = '2023-00-10' LIMIT 1"],
            ("order_date", "1 row(s)", "2023-00-10"),
            id="partial-date",
        ),
        pytest.param(
            ["ALTER TABLE orders MODIFY amount VARCHAR(20)", "UPDATE orders SET amount = '12,50'"],
            ("amount", "is not a number", "12,50"),
            id="text-that-is-no-number",
        ),
        pytest.param(
            ["ALTER TABLE orders MODIFY order_date VARCHAR(20)",
             "UPDATE orders SET order_date = '2023-02-30' LIMIT 3"],
            ("order_date", "3 row(s)", "2023-02-30"),
            id="text-that-is-no-date",
        ),
        pytest.param(
            ["ALTER TABLE orders MODIFY amount DECIMAL(40, 2)",
             "UPDATE orders SET amount = 123456789012345678901.25 LIMIT 1"],
            ("amount", "123456789012345678901.25"),
            id="money-too-wide",
        ),
        pytest.param(["DELETE FROM orders"], ("table orders", "no rows"), id="empty-table"),
    ],
)  # fmt: skip
def test_unexpected_values_are_counted_and_shown(kept, small, change, words):
    server, name = small
    server.execute(*change, database=name)
    assert_refused(run_in(kept, server.location(name)), *words)


def test_a_whole_run_with_ids_beyond_63_bits_gives_the_same_bytes_and_says_what_the_database_held(
    shop, mariadb_server
):
    lines = ordinary_orders(20)
    for line in lines:
        line["customer_id"] = str(2**64 - 1 - int(line["customer_id"]))
    create = ORDERS.replace("customer_id VARCHAR(64)", "customer_id BIGINT UNSIGNED")
    name = load_orders(mariadb_server, "wide_ids", lines, create)
    assert_equal_files(*both(shop.lines(lines), mariadb_server, name))
    plain = yaml.safe_load((shop.result / "params.yaml").read_text("utf-8"))
    assert (plain["engine"], plain["location"]) == ("mysql", mariadb_server.location(name))
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert manifest["inputs"]["table orders"]["rows"] == len(lines)
    assert "MariaDB" in manifest["database"]["server"]
    assert "mysql-connector-python" in manifest["database"]["driver"]


@pytest.mark.parametrize(
    ("more", "values"), [("", {}), (' AND "a%(b)s" > $b', {"b": 1})], ids=["no-value", "a-value"]
)
def test_names_and_texts_that_look_like_the_drivers_values_stay_what_they_are(
    mariadb_server, more, values
):
    database(
        mariadb_server,
        "odd",
        "CREATE TABLE notes (`a%(b)s` INT, `100%(x)d` INT, `%s %%` INT, said VARCHAR(40))",
        "INSERT INTO notes VALUES (2, 3, 4, 'a (gift) %(b)s'), (5, 6, 7, 'none')",
    )
    engine = MySqlEngine(parse_location(mariadb_server.location("odd")))
    engine.bind("notes")
    select = 'SELECT "a%(b)s", "100%(x)d", "%s %%", said FROM notes WHERE said LIKE \'%(gift)%\''

    found = engine.query(select + more, values)

    assert found.to_numpy().tolist() == [[2, 3, 4, "a (gift) %(b)s"]]
    assert list(engine.columns("SELECT * FROM notes")) == ["a%(b)s", "100%(x)d", "%s %%", "said"]
    assert engine.fingerprint("notes")["rows"] == 2
    engine.close()


def test_locked_table_is_said_in_time(kept, small):
    server, name = small
    location = server.location(name, lock_timeout=1)
    with contextlib.closing(server.connect(name)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES orders WRITE")
        started = time.monotonic()
        assert_refused(run_in(kept, location), "locked by somebody else", "1 seconds")
        assert time.monotonic() - started < 30


def slow_shop(shop: TinyShop) -> TinyShop:
    """A SELECT that the server works on for long."""
    return shop.sql(
        (shop.folder / "shop.sql").read_text("utf-8").replace("FROM orders", "FROM orders, a, b")
    )


@pytest.fixture
def slow(small: tuple[MariaDbServer, str]) -> str:
    server, name = small
    server.execute(*BIG_TABLES, database=name)
    return name


def test_slow_query_ends_after_read_timeout(kept, small, slow):
    started = time.monotonic()
    location = small[0].location(slow, read_timeout=2)
    assert_refused(run_in(slow_shop(kept), location), "2")
    assert time.monotonic() - started < 40


def test_query_that_is_killed_is_said(kept, small, slow):
    server, _ = small
    killed = []

    def kill_query() -> None:
        for _ in range(200):
            time.sleep(0.1)
            for number, text in server.execute(
                "SELECT id, info FROM information_schema.processlist "
                "WHERE info LIKE '%v_orders%' AND info NOT LIKE '%processlist%' AND time_ms > 300"
            ):
                server.execute(f"KILL {number}")
                killed.append(text)
                return

    killer = threading.Thread(target=kill_query)
    killer.start()
    outcome = run_in(slow_shop(kept), server.location(slow, read_timeout=60))
    killer.join()
    assert killed
    assert_refused(outcome, "MySQL at", "previous outputs are unchanged")


@pytest.mark.parametrize("fault", ["dies", "stalls"])
def test_server_that_dies_or_stalls_in_mid_query_is_said(tmp_path, good_run, fault):
    """Its own server, and the command as a user starts it: with the fast driver."""
    with private_server() as server:
        shop = TinyShop(tmp_path)
        name = load_orders(server, "breaking", ordinary_orders())
        location = server.location(name, read_timeout=3 if fault == "stalls" else 60)
        shutil.copytree(good_run, shop.result)
        before = contents_of(shop.result)
        server.execute(*BIG_TABLES, database=name)
        command = slow_shop(shop).arguments(engine="mysql", location=location)

        def strike() -> None:
            for _ in range(300):
                time.sleep(0.1)
                if server.execute(
                    "SELECT 1 FROM information_schema.processlist WHERE info LIKE '%v_orders%' "
                    "AND info NOT LIKE '%processlist%' AND time_ms > 200"
                ):
                    break
            server.pause() if fault == "stalls" else server.kill()

        striker = threading.Thread(target=strike)
        striker.start()
        outcome = process_cli(*command)
        striker.join()
        assert_refused(outcome, "MySQL at", "previous outputs are unchanged")
        assert contents_of(shop.result) == before


def test_server_that_accepts_and_says_nothing_times_out(kept):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        started = time.monotonic()
        outcome = run_in(kept, f"mysql://127.0.0.1:{port}/shop?connect_timeout=2&read_timeout=2")
        assert_refused(outcome, f"127.0.0.1:{port}")
        assert time.monotonic() - started < 30


# --- secrets and encryption -----------------------------------------------------------


def test_password_is_in_no_file_and_no_output(shop, small, monkeypatch):
    server, name = small
    server.execute(
        "CREATE OR REPLACE USER keeper IDENTIFIED BY '{}'".format(PASSWORD.replace("'", "''")),
        f"GRANT SELECT ON {name}.* TO keeper",
    )
    monkeypatch.setenv("MYSQL_USER", "keeper")
    monkeypatch.setenv("MYSQL_PASSWORD", PASSWORD)
    outcome = run_in(shop, server.location(name))
    assert outcome.code == 0, outcome.said
    assert PASSWORD not in outcome.out + outcome.err
    for path in shop.folder.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
    assert PASSWORD not in repr(find_credentials(parse_location(server.location(name))))


def test_password_in_the_location_is_refused_with_the_place_for_it(shop):
    outcome = shop.run(engine="mysql", location=f"mysql://me:{PASSWORD}@127.0.0.1/shop")
    assert_refused(outcome, "password", "option file")
    assert PASSWORD not in outcome.err


def test_password_of_an_option_file_with_every_odd_character_works(shop, small):
    server, name = small
    server.execute(
        "CREATE OR REPLACE USER odd IDENTIFIED BY '{}'".format(PASSWORD.replace("'", "''")),
        f"GRANT SELECT ON {name}.* TO odd",
    )
    options = shop.folder / "odd.cnf"
    quoted = PASSWORD.replace('"', '\\"')
    options.write_text(f'[client]\nuser=nobody\n[warehouse]\nuser = odd\npassword = "{quoted}"\n')
    options.chmod(0o600)
    location = server.location(name, option_file=options, group="warehouse")
    assert run_in(shop, location).code == 0
    assert_refused(run_in(shop, server.location(name, option_file=options, group="no")), "[no]")
    missing = server.location(name, option_file=shop.folder / "absent.cnf")
    assert_refused(run_in(shop, missing), "absent.cnf", "cannot be read")


def test_option_files_are_read_as_mysql_reads_them():
    text = "[client]\nuser=a # me\npassword='x # \\\\ y'\nskip-name\n; no\n!include z\n[b]\nport=1"
    assert parse_option_file(text) == {
        "client": {"user": "a", "password": "x # \\ y", "skip-name": ""},
        "b": {"port": "1"},
    }


def test_no_user_at_all_is_said(shop, monkeypatch):
    monkeypatch.delenv("MYSQL_USER")
    assert_refused(shop.run(engine="mysql", location="mysql://127.0.0.1/x"), "MYSQL_USER")


@pytest.mark.parametrize(
    ("engine", "location", "word"),
    [
        ("mysql", "data/raw_data/cdnow", "mysql://host"),
        ("duckdb", "mysql://127.0.0.1/x", "engine: mysql"),
        ("mysql", "mysql://127.0.0.1", "database is missing"),
        ("mysql", "mysql://127.0.0.1/x?tls=maybe", "verify"),
        ("mysql", "mysql://127.0.0.1/x?read_timeout=0", "read_timeout"),
        ("mysql", "mysql://127.0.0.1/x?colour=red", "colour"),
        ("mysql", "mysql://127.0.0.1:99999/x", "mysql://host"),
    ],
)
def test_location_that_cannot_be_meant_is_refused(shop, engine, location, word):
    assert_refused(shop.run(engine=engine, location=location), word)


def test_other_hosts_must_prove_who_they_are():
    address = parse_location("mysql://db.example.com/shop")
    settings = _tls(address, Credentials("me", "x", ssl_ca=__file__))
    assert settings["ssl_verify_cert"] and settings["ssl_verify_identity"]
    local = _tls(parse_location("mysql://127.0.0.1/shop"), Credentials("me", "x"))
    assert "ssl_verify_cert" not in local


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subject = "/CN=127.0.0.1"
    for name in ("good", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
             subject, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key",
             "-out", folder / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    for path in (folder, *folder.parents[:3], *folder.iterdir()):
        with contextlib.suppress(PermissionError):
            path.chmod(0o755)
    return folder


def test_server_is_verified_by_its_authority(tmp_path, certificates):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install -y openssl")
    shop = TinyShop(tmp_path)
    keys = [f"--ssl-cert={certificates}/good.pem", f"--ssl-key={certificates}/good.key"]
    with private_server(*keys) as server:
        name = load_orders(server, "sealed", ordinary_orders())
        for authority, code in (("good", 0), ("other", 2)):
            options = tmp_path / f"{authority}.cnf"
            options.write_text(f"[client]\nuser=root\nssl-ca={certificates}/{authority}.pem\n")
            options.chmod(0o600)
            outcome = run_in(shop, server.location(name, tls="verify", option_file=options))
            assert outcome.code == code, outcome.said
        assert_refused(outcome, "ssl-ca")


def test_server_without_encryption_is_refused_where_it_is_asked_for(kept, small, certificates):
    server, name = small
    options = kept.folder / "ca.cnf"
    options.write_text(f"[client]\nuser=root\nssl-ca={certificates}/good.pem\n")
    options.chmod(0o600)
    assert_refused(run_in(kept, server.location(name, tls="verify", option_file=options)), "TLS")


# --- what a column may hold that it was not made for ------------------------------------------


@pytest.mark.parametrize("flag", ["is_valid", "is_return"])
def test_a_tinyint_flag_that_holds_two_is_refused(shop, mariadb_server, flag):
    lines = [line | {flag: str(n % 3)} for n, line in enumerate(ordinary_orders())]
    sql = SHOP_SQL.replace(f"CAST({flag} AS BOOLEAN)", flag)

    outcome = run_in(
        shop.sql(sql), mariadb_server.location(load_orders(mariadb_server, flag, lines))
    )

    assert_refused(outcome, flag, "not a flag", "22 row(s)")


@pytest.mark.parametrize("day", ["2024-02-31", "2023-02-29", "2023-04-31"])
def test_a_stored_day_that_no_calendar_has_is_refused(shop, small, day):
    server, name = small
    server.execute(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        f"UPDATE orders SET order_date = '{day}' WHERE order_id = '0-0'",  # noqa: S608
        database=name,
    )

    outcome = run_in(shop, server.location(name))

    assert_refused(outcome, "order_date", "no day of the calendar", "1 row(s)", day)
