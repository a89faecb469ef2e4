"""Files that change while they are read: what was hashed gives the money, or nothing does."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from conftest import TinyShop, leftovers_in, order

from segmentation.core.errors import SourceError
from segmentation.core.parameters import resolve
from segmentation.customers import features
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.sources import files as raw_files
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RawFiles

KINDS = ("csv", "latin.csv", "txt", "xlsx", "zip", "parquet")
CHANGED = r"orders\.\w+: changed while it was read; run it again\."


def orders(amount: str) -> list[dict]:
    return [order(f"{n:02d}", n, f"2023-01-{n:02d}", 1, amount) for n in range(1, 9)]


def write(folder: Path, kind: str, amount: str) -> Path:
    """Eight lines of one amount in a file of some kind; of equal size for amounts alike."""
    path = folder / f"orders.{kind.split('.')[-1]}"
    table = pd.DataFrame(orders(amount))
    text = table.to_csv(index=False)
    if kind == "latin.csv":
        path.write_bytes(text.replace("registered_date", "caf\xe9").encode("latin-1"))
    elif kind in ("csv", "txt"):
        path.write_text(text)
    elif kind == "parquet":
        table.replace("", None).to_parquet(path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("orders.csv", text)
    else:
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for number, row in enumerate([list(table), *table.to_numpy().tolist()]):
                sheet.write_row(number, 0, row)
    return path


def change(path: Path, kind: str, *, with_its_time: bool = False) -> None:
    before = path.stat()
    write(path.parent, kind, "6.00")
    if with_its_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", ["before it is copied", "when it is bound"])
def test_file_of_any_kind_that_changes_after_it_was_hashed_is_refused(tmp_path, kind, moment):
    path = write(tmp_path, kind, "5.00")
    files = RawFiles(tmp_path / "scratch")
    recorded = files.fingerprint(path)
    assert recorded["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    engine = DuckDbEngine(files)

    def read() -> None:
        if moment == "before it is copied":
            change(path, kind, with_its_time=True)
        engine.bind("orders", path)
        if moment == "when it is bound":
            change(path, kind, with_its_time=True)
        engine.check_unchanged()

    with pytest.raises(SourceError, match=CHANGED):
        read()
    files.close()
    engine.close()
    assert not list((tmp_path / "scratch").glob("*"))


def run_of(shop: TinyShop) -> Run:
    return Run(resolve(str(shop.arguments()[1]))[1], shop.runs_dir)


def revenue(run: Run) -> Decimal:
    return run["ledger"].set_index("rule").loc["kept", "amount"]


MOMENTS = {
    "when the key is made": (RawFiles, "readable"),
    "when it is bound": (ingest, "check_raw_columns"),
    "when customers are counted": (features, "customer_features"),
    "when the cut is looked at": (features, "followed_customers"),
}


@pytest.mark.parametrize(
    ("kind", "moment"),
    [*(("csv", moment) for moment in MOMENTS), ("parquet", "when customers are counted")],
)
def test_results_are_never_kept_under_the_hash_of_another_version(
    tmp_path, monkeypatch, kind, moment
):
    shop = TinyShop(tmp_path)
    path = write(tmp_path, kind, "5.00")
    place, name = MOMENTS[moment]
    real = getattr(place, name)

    def changing(*given, **named):
        change(path, kind, with_its_time=True)
        return real(*given, **named)

    monkeypatch.setattr(place, name, changing)
    run, asked = run_of(shop), "cut" if moment == "when the cut is looked at" else "orders"
    with pytest.raises(SourceError, match="changed while"):
        run.stage(asked)
    assert not run.cache.folder(asked, run.key(asked)).exists()


def test_each_version_of_a_file_has_its_own_money_and_hash(tmp_path):
    shop = TinyShop(tmp_path)
    for amount, money in (("5.00", "40.00"), ("6.00", "48.00"), ("5.00", "40.00")):
        path = write(tmp_path, "csv", amount)
        run = run_of(shop)
        assert revenue(run) == Decimal(money)
        assert run.input_hashes == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_file_that_grows_all_the_time_is_refused_or_counted_as_hashed(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id,amount\n" + "x,1.00\n" * 2_000)
    stop = threading.Event()

    def export() -> None:
        while not stop.is_set():
            with path.open("a") as file:
                file.write("x,1.00\n")

    exporter = threading.Thread(target=export, daemon=True)
    exporter.start()
    try:
        for _ in range(6):
            files = RawFiles(tmp_path / "scratch")
            recorded = files.fingerprint(path)
            engine = DuckDbEngine(files)
            try:
                engine.bind("orders", path)
            except SourceError as refusal:
                assert "changed while it was read" in str(refusal)
            else:
                version = path.read_bytes()[: recorded["bytes"]]
                assert hashlib.sha256(version).hexdigest() == recorded["sha256"]
                assert engine.count("orders") == version.count(b"\n") - 1
            finally:
                files.close()
                engine.close()
    finally:
        stop.set()
        exporter.join()


def another_table(shop: TinyShop) -> None:
    (shop.folder / "orders.txt").touch()


def another_select(shop: TinyShop) -> None:
    path = shop.folder / "shop.sql"
    path.write_text(path.read_text().replace("AS amount", "* 2 AS amount"))


def another_amount(shop: TinyShop) -> None:
    change(shop.folder / "orders.csv", "csv", with_its_time=True)


@pytest.mark.parametrize("changing", [another_table, another_select, another_amount])
def test_whatever_a_source_is_made_of_may_not_change_while_it_is_read(
    tmp_path, monkeypatch, changing: Callable
):
    shop = TinyShop(tmp_path)
    write(tmp_path, "csv", "5.00")
    real = ingest.check_raw_columns
    monkeypatch.setattr(
        ingest, "check_raw_columns", lambda *given: (changing(shop), real(*given))[1]
    )

    run = run_of(shop)
    with pytest.raises(SourceError, match=r"changed while|has 2 files for table orders"):
        run.stage("orders")
    assert not run.cache.folder("orders", run.key("orders")).exists()
    run.snapshot.close()
    assert leftovers_in(shop.runs_dir) == []


@pytest.mark.parametrize("changing", [another_table, another_select, another_amount])
def test_notebooks_of_a_report_read_what_it_began_with_or_nothing(tmp_path, changing: Callable):
    shop = TinyShop(tmp_path)
    write(tmp_path, "csv", "5.00")
    begun = run_of(shop)
    with begun.snapshot.pinned():
        key = begun.key("orders")
        assert run_of(shop).key("orders") == key
        changing(shop)
        notebook = run_of(shop)
        with pytest.raises(SourceError, match=r"since this report began|2 files"):
            _ = notebook["ledger"]
    assert not begun.cache.folder("orders", key).exists()


def test_two_profiles_of_a_report_may_read_the_same_files(tmp_path):
    shop = TinyShop(tmp_path)
    write(tmp_path, "csv", "5.00")
    before = dict(os.environ)
    with run_of(shop).snapshot.pinned(), run_of(shop).snapshot.pinned():
        assert len(os.environ) == len(before) + 1
    assert dict(os.environ) == before


def test_copy_of_a_large_file_is_not_held_in_memory(tmp_path):
    path = tmp_path / "orders.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * (6 << 20))
    files = RawFiles(tmp_path / "scratch")
    tracemalloc.start()
    try:
        copy = files.readable(path, "orders")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert copy.stat().st_size == path.stat().st_size > 20 << 20
    assert peak < 8 << 20
    files.close()


def test_folder_of_parts_that_gets_another_part_is_noticed(tmp_path):
    parts = tmp_path / "orders"
    parts.mkdir()
    write(parts, "parquet", "5.00").rename(parts / "part-0.parquet")
    files = RawFiles(tmp_path / "scratch")
    recorded = files.fingerprint(parts)
    assert files.readable(parts, "orders") == parts
    files.check_unchanged()
    write(parts, "parquet", "5.00").rename(parts / "part-1.parquet")
    with pytest.raises(SourceError, match="orders: changed while it was read"):
        files.check_unchanged()
    assert raw_files.path_fingerprint(parts)["sha256"] != recorded["sha256"]
