"""A month of nightly `segmentation renew` on a database that is away in the middle of it.

Thirty nights, each a day of the shop's own time with new orders, source and published table in
one private MariaDB. Run by `make test-integrations`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from conftest import (
    SHOP_COLUMNS,
    TinyShop,
    assert_refused,
    call_cli,
    leftovers_in,
    order,
    ordinary_orders,
)
from mariadb import private_server

from segmentation.run.cache_bounds import clean

NIGHTS, AWAY, KEPT = 30, 15, 4
FIRST = dt.date(2023, 9, 1)
ORDERS = """
    CREATE TABLE orders (
        customer_id VARCHAR(64), order_id VARCHAR(64), order_date DATE, quantity DECIMAL(18, 2),
        amount DECIMAL(18, 2), is_valid TINYINT(1), is_return TINYINT(1), registered_date DATE
    ) ENGINE=InnoDB
"""


@pytest.fixture
def database(monkeypatch, tmp_path):
    """A server of its own, because it is stopped."""
    monkeypatch.setenv("MYSQL_USER", "root")
    monkeypatch.setenv("MYSQL_PASSWORD", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    with private_server() as server:
        server.new_database("shop", ORDERS)
        yield server


def sell(server, lines: list[dict]) -> None:
    flags = {"true": 1, "false": 0, "": None}
    rows = [[flags.get(line[name], line[name]) for name in SHOP_COLUMNS] for line in lines]
    places = ", ".join(["%s"] * len(SHOP_COLUMNS))
    with contextlib.closing(server.connect("shop")) as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO orders VALUES ({places})", rows)  # noqa: S608


def sold_on(night: int) -> list[dict]:
    """Orders of one day: of somebody new and of two who were there."""
    day = (FIRST + dt.timedelta(days=night)).isoformat()
    who = (f"n{night:03d}", f"{night:04d}", f"{(7 * night) % 40:04d}")
    return [
        order(name, f"{night}-{name}", day, 1 + night % 3, f"{10 + night}.25")
        for name in dict.fromkeys(who)
    ]


def bytes_in(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def history_of(shop: TinyShop) -> pd.DataFrame:
    return pd.read_csv(shop.runs_dir / "shop.history.csv", dtype=str, keep_default_na=False)


def test_a_month_of_nights_with_the_database_away_in_the_middle(tmp_path, database, monkeypatch):
    shop = TinyShop(tmp_path)
    profile = shop.arguments(engine="mysql", location=database.location("shop"))[1]
    renew = ["renew", profile, "--runs-dir", shop.runs_dir, "--changes", tmp_path / "moved"]
    renew += ["--mysql", "segments", "--keep-runs", KEPT]
    sell(database, ordinary_orders())
    late: list[dict] = []
    sizes: list[int] = []
    for night in range(NIGHTS):
        late += sold_on(night)
        if night == AWAY:
            before = history_of(shop), shop.result.readlink()
            database.kill()
            assert_refused(call_cli(*renew), "cannot be reached")
            assert history_of(shop).equals(before[0]) and shop.result.readlink() == before[1]
            database.start()
            continue
        sell(database, late)
        late = []
        done = call_cli(*renew)
        assert done.code == 0, done.said

        manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
        assert manifest["as_of"] == (FIRST + dt.timedelta(days=night)).isoformat()
        ((money, people),) = database.execute(
            "SELECT SUM(amount), COUNT(DISTINCT customer_id) FROM orders", database="shop"
        )
        assert Decimal(manifest["amount"]["kept"]) == money
        ((count, runs, days),) = database.execute(
            "SELECT COUNT(*), COUNT(DISTINCT run_id), MAX(as_of) FROM segments", database="shop"
        )
        assert (count, runs, days.isoformat()) == (people, 1, manifest["as_of"])
        moved = pd.read_csv(tmp_path / "moved" / "customers.csv") if night else ()
        assert len(moved) in (people, 0)
        sizes.append(bytes_in(shop.runs_dir))
        if night == 2 * KEPT:  # as on a disk that is full of results by now
            results = bytes_in(shop.runs_dir / ".cache")
            monkeypatch.setitem(clean.__kwdefaults__, "largest_bytes", results)

    told = history_of(shop)
    assert len(told) == NIGHTS - 1
    assert list(told["before"][1:]) == list(told["after"][:-1]) and told["before"][0] == ""
    assert told["as_of"].is_monotonic_increasing and told["as_of"].is_unique
    assert set(told["verdict"][1:]) <= {"keep", "watch", "refit"}
    assert told["moved"][1:].str.isdigit().all()
    assert told["after"].iloc[-1] == str(shop.result.readlink())

    runs = {path.name for path in shop.runs_dir.glob("shop.????????") if path.is_dir()}
    assert runs == set(told["after"].iloc[-KEPT - 1 :])
    assert max(sizes[2 * KEPT :]) < 1.2 * sizes[2 * KEPT], sizes
    assert leftovers_in(shop.runs_dir) == []

    seen = {path: path.stat().st_mtime_ns for path in shop.result.rglob("*")}
    again = call_cli(*renew)
    assert again.code == 0 and "nothing has changed" in again.out
    assert {path: path.stat().st_mtime_ns for path in shop.result.rglob("*")} == seen
    assert history_of(shop).equals(told)
