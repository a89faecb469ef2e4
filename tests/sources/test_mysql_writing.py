"""Writing a table into a real MariaDB server that fails in the middle: the old one stays."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import Outcome, TinyShop, assert_refused, call_cli, order, ordinary_orders
from disks import mounted
from mariadb import MariaDbServer, private_server

from segmentation.core.errors import SourceError
from segmentation.deliver import materialize, mysql_tables
from segmentation.deliver.mysql_tables import NewTable, replace_tables
from segmentation.sources.mysql.address import parse_location
from segmentation.sources.mysql.engine import MySqlEngine

TABLE = "customer_segmentation_data"
ORDERS = """
    CREATE TABLE orders (
        customer_id VARCHAR(64), order_id VARCHAR(64), order_date DATE, quantity DECIMAL(18, 2),
        amount DECIMAL(18, 2), is_valid TINYINT(1), is_return TINYINT(1), registered_date DATE
    ) ENGINE=InnoDB CHARACTER SET=utf8mb4
"""


pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_tables, "ROWS_AT_ONCE", 5)


def load(server: MariaDbServer, name: str, lines: list[dict] | None = None) -> str:
    lines = lines or ordinary_orders()
    server.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    server.execute(ORDERS, database=name)
    rows = [[{"true": 1, "false": 0, "": None}.get(v, v) for v in line.values()] for line in lines]
    with contextlib.closing(server.connect(name)) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
    return name


def materialized(shop: TinyShop, location: str, **changed: object) -> Outcome:
    profile = shop.arguments(engine="mysql", location=location, **changed)[1]
    return call_cli("materialize", profile, "--runs-dir", shop.runs_dir)


def strike_in_the_middle(monkeypatch: pytest.MonkeyPatch, strike: Callable[[], None]) -> None:
    """Let something happen to the server when half of the rows have been sent."""
    real = materialize._plain_rows

    def rows(frame: pd.DataFrame) -> Iterator[tuple]:
        plain = list(real(frame))
        yield from plain[: len(plain) // 2]
        strike()
        yield from plain[len(plain) // 2 :]

    monkeypatch.setattr(materialize, "_plain_rows", rows)


def checksum(server: MariaDbServer, name: str) -> list[tuple]:
    return server.execute(f"CHECKSUM TABLE {TABLE}", database=name)


def tables_of(server: MariaDbServer, name: str) -> set[str]:
    return {row[0] for row in server.execute("SHOW TABLES", database=name)}


# --- the server dies ------------------------------------------------------------------


def test_server_killed_in_mid_write_keeps_the_table_before(tmp_path, monkeypatch):
    shop = TinyShop(tmp_path)
    with private_server() as server:
        name = load(server, "dying")
        location = server.location(name)
        assert materialized(shop, location).code == 0
        before = checksum(server, name)
        with monkeypatch.context() as patch:
            strike_in_the_middle(patch, server.kill)
            assert_refused(materialized(shop, location), "MySQL at", "previous outputs")
        server.start()
        assert checksum(server, name) == before
        assert materialized(shop, location).code == 0  # and clears away what was half written
        assert tables_of(server, name) == {"orders", TABLE}
        assert checksum(server, name) == before


# --- the disk is full -----------------------------------------------------------------


def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than any small disk holds."""
    real = materialize._plain_rows

    def rows(frame: pd.DataFrame) -> Iterator[tuple]:
        plain = list(real(frame))
        for number, row in itertools.product(range(20_000), plain):
            yield (f"{number}-{row[0]}", *row[1:])

    monkeypatch.setattr(materialize, "_plain_rows", rows)
    monkeypatch.setattr(mysql_tables, "ROWS_AT_ONCE", 2_000)


def test_full_disk_of_the_server_is_said_and_the_table_before_stays(tmp_path, monkeypatch):
    disk = Path(tempfile.mkdtemp(prefix="disk-"))
    options = ["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=1"]
    shop = TinyShop(tmp_path)
    with mounted(disk, "size=320m,mode=1777"), monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(disk))
        with private_server(*options) as server:
            name = load(server, "crowded")
            location = server.location(name, read_timeout=60)
            assert materialized(shop, location).code == 0
            before = checksum(server, name)
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            (disk / "filler").write_bytes(bytes(max(0, free - (6 << 20))))
            endless(patch)
            assert_refused(materialized(shop, location), "MySQL at", "space")
            (disk / "filler").unlink()
            assert checksum(server, name) == before
            assert tables_of(server, name) == {"orders", TABLE}
    disk.rmdir()


# --- the connection stalls ------------------------------------------------------------


class StallingProxy:
    """Passes bytes between a client and the server until it is told to fall silent."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.is_silent = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.server_port))
        other = {client: server, server: client}
        with client, server, contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select(list(other), [], [], 0.1)
                if self.is_silent.is_set():
                    time.sleep(0.1)  # both ends stay open, and nothing comes through
                    continue
                for end in ready:
                    content = end.recv(1 << 16)
                    if not content:
                        return
                    other[end].sendall(content)

    def close(self) -> None:
        self.is_silent.clear()
        self.listening.close()


@pytest.fixture
def proxy(mariadb_server: MariaDbServer) -> Iterator[StallingProxy]:
    between = StallingProxy(mariadb_server.port)
    yield between
    between.close()


def test_connection_that_stalls_in_mid_write_ends_in_time(shop, mariadb_server, proxy, monkeypatch):
    name = load(mariadb_server, "stalling")
    assert materialized(shop, mariadb_server.location(name)).code == 0
    before = checksum(mariadb_server, name)
    strike_in_the_middle(monkeypatch, proxy.is_silent.set)
    location = f"mysql://127.0.0.1:{proxy.port}/{name}?read_timeout=2&lock_timeout=2"
    started = time.monotonic()
    assert_refused(materialized(shop, location), f"127.0.0.1:{proxy.port} did not answer")
    assert time.monotonic() - started < 60
    assert checksum(mariadb_server, name) == before


def test_connection_that_stalls_in_mid_read_ends_in_time(mariadb_server, proxy):
    name = load(mariadb_server, "stalling")
    location = f"mysql://127.0.0.1:{proxy.port}/{name}?read_timeout=2"
    engine = MySqlEngine(parse_location(location))
    engine.bind("orders")
    proxy.is_silent.set()
    started = time.monotonic()
    with pytest.raises(SourceError, match="did not answer"):
        engine.query("SELECT COUNT(*) AS n FROM orders")
    assert time.monotonic() - started < 20
    engine.close()


# --- privileges -----------------------------------------------------------------------


def test_privilege_revoked_between_two_queries_is_said(mariadb_server, monkeypatch):
    name = load(mariadb_server, "revoked")
    mariadb_server.execute(
        "CREATE OR REPLACE USER leaving", f"GRANT SELECT ON {name}.orders TO leaving"
    )
    monkeypatch.setenv("MYSQL_USER", "leaving")
    engine = MySqlEngine(parse_location(mariadb_server.location(name)))
    engine.bind("orders")
    mariadb_server.execute(f"REVOKE SELECT ON {name}.orders FROM leaving")  # noqa: S608
    with pytest.raises(SourceError, match="permit reading"):
        engine.query("SELECT COUNT(*) AS n FROM orders")
    engine.close()


def test_user_who_may_only_read_is_told_what_writing_needs(shop, mariadb_server, monkeypatch):
    name = load(mariadb_server, "readable")
    mariadb_server.execute("CREATE OR REPLACE USER reader", f"GRANT SELECT ON {name}.* TO reader")
    monkeypatch.setenv("MYSQL_USER", "reader")
    outcome = materialized(shop, mariadb_server.location(name))
    sentence = assert_refused(
        outcome, "does not permit writing", "GRANT CREATE, INSERT, ALTER, DROP"
    )
    assert "correct the SELECT" not in sentence
    assert tables_of(mariadb_server, name) == {"orders"}


def test_privilege_revoked_in_mid_write_keeps_the_table_before(shop, mariadb_server, monkeypatch):
    name = load(mariadb_server, "withdrawn")
    location = mariadb_server.location(name)
    assert materialized(shop, location).code == 0
    before = checksum(mariadb_server, name)
    mariadb_server.execute(
        "CREATE OR REPLACE USER writer",
        f"GRANT SELECT ON {name}.* TO writer",
        *(
            # on tables, since a server looks at these anew for every statement
            f"GRANT CREATE, INSERT, ALTER, DROP ON {name}.{TABLE}{end} TO writer"
            for end in ("", "__new", "__old")
        ),
    )
    monkeypatch.setenv("MYSQL_USER", "writer")
    assert materialized(shop, location).code == 0  # these privileges are enough
    revoke = f"REVOKE INSERT ON {name}.{TABLE}__new FROM writer"
    with monkeypatch.context() as patch:
        strike_in_the_middle(patch, lambda: mariadb_server.execute(revoke))
        assert_refused(materialized(shop, location), "does not permit writing")
    assert checksum(mariadb_server, name) == before
    assert tables_of(mariadb_server, name) == {"orders", TABLE}


# --- what is written ------------------------------------------------------------------


def test_repaired_dates_reach_the_table(shop, mariadb_server):
    """Written 2023-03-07, meant 3 July: recency counts from the repaired day."""
    lines = [
        order("a", 1, "2023-03-07", 1, "5.00"),
        order("b", 2, "2023-07-20", 1, "6.00"),
        *[order(f"c{n}", f"c{n}", "2023-07-13", 1 + n, f"{7 + n}.00") for n in range(8)],
    ]
    name = load(mariadb_server, "repaired", lines)
    location = mariadb_server.location(name)
    days = {}
    for repair in ("off", "swap_day_month"):
        assert materialized(shop, location, date_repair=repair).code == 0
        rows = mariadb_server.execute(f"SELECT customer_id, recency FROM {TABLE}", database=name)  # noqa: S608
        days[repair] = dict(rows)["a"]
    assert days == {"off": 135, "swap_day_month": 17}


# --- what others have made of the server ------------------------------------------------


def write(location: str, *, n_rows: int = 3, width: int = 1) -> None:
    """Write a table of so many rows as every command writes its own."""
    definition = f"CREATE TABLE {TABLE} (customer_id VARCHAR(191) NOT NULL, INDEX (customer_id))"
    rows = [(f"{n:0{width}d}",) for n in range(n_rows)]
    table = NewTable(definition, "segmentation materialize", ("customer_id",), rows, n_rows)
    replace_tables(parse_location(location), [table], progress=False)


def referring(server: MariaDbServer, child: str, name: str) -> None:
    """A table whose foreign key is onto the table that is written."""
    server.execute(
        f"CREATE TABLE {child} (customer_id VARCHAR(191), "
        f"CONSTRAINT onto FOREIGN KEY (customer_id) REFERENCES {name}.{TABLE} (customer_id))"
    )


def test_table_that_a_foreign_key_refers_to_is_named_and_left_alone(mariadb_server):
    name = load(mariadb_server, "referred")
    location = mariadb_server.location(name)
    write(location)
    referring(mariadb_server, f"{name}.letters", name)
    before = checksum(mariadb_server, name)

    for _ in range(2):
        with pytest.raises(
            SourceError, match=rf"key onto of {name}\.letters refers.*drop that key"
        ):
            write(location, n_rows=4)

    assert checksum(mariadb_server, name) == before
    assert tables_of(mariadb_server, name) == {"orders", "letters", TABLE}
    mariadb_server.execute(f"ALTER TABLE {name}.letters DROP FOREIGN KEY onto")
    write(location, n_rows=4)
    assert checksum(mariadb_server, name) != before
    assert tables_of(mariadb_server, name) == {"orders", "letters", TABLE}


def test_foreign_key_that_the_user_may_not_see_stays_on_the_table(mariadb_server, monkeypatch):
    name = load(mariadb_server, "unseen")
    location = mariadb_server.location(name)
    mariadb_server.new_database("others")
    mariadb_server.execute(
        "CREATE OR REPLACE USER here@'%' IDENTIFIED BY 'word'",
        f"GRANT ALL ON {name}.* TO here@'%'",
    )
    monkeypatch.setenv("MYSQL_USER", "here")
    monkeypatch.setenv("MYSQL_PASSWORD", "word")
    write(location)
    referring(mariadb_server, "others.letters", name)
    before = checksum(mariadb_server, name)

    for _ in range(2):
        with pytest.raises(SourceError, match=r"a foreign key refers to.*drop that key"):
            write(location, n_rows=4)

    assert checksum(mariadb_server, name) == before
    assert tables_of(mariadb_server, name) == {"orders", TABLE}
    of_key = "SELECT referenced_table_name FROM information_schema.referential_constraints "
    where = "WHERE constraint_schema = 'others'"
    assert mariadb_server.execute(of_key + where) == [(TABLE,)]


@contextlib.contextmanager
def settings_of(server: MariaDbServer, **settings: int) -> Iterator[None]:
    """Another setting of a server for all who connect from now on."""
    before = {name: server.execute(f"SELECT @@global.{name}")[0][0] for name in settings}
    server.execute(*(f"SET GLOBAL {name} = {value}" for name, value in settings.items()))
    try:
        yield
    finally:
        server.execute(*(f"SET GLOBAL {name} = {value}" for name, value in before.items()))


def test_server_that_is_set_for_short_visits_does_not_end_a_run(mariadb_server):
    name = load(mariadb_server, "hasty")
    short = ("wait_timeout", "idle_transaction_timeout", "idle_readonly_transaction_timeout")
    with settings_of(mariadb_server, **dict.fromkeys(short, 1)):
        engine = MySqlEngine(parse_location(mariadb_server.location(name)))
    engine.bind("orders")
    time.sleep(1.5)

    assert engine.count("orders") == len(ordinary_orders())
    engine.close()


def test_statement_larger_than_the_server_takes_names_the_setting(mariadb_server, monkeypatch):
    location = mariadb_server.location(load(mariadb_server, "narrow"))
    monkeypatch.setattr(mysql_tables, "ROWS_AT_ONCE", 1000)
    with (
        settings_of(mariadb_server, max_allowed_packet=1024),
        pytest.raises(SourceError, match=r"no statement that large.*raise max_allowed_packet"),
    ):
        write(location, n_rows=1000, width=150)
    write(location)  # and clears away what was half written
    assert tables_of(mariadb_server, "narrow") == {"orders", TABLE}
