"""More order lines than memory: they go to the run's scratch folder, and nothing stays there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import assert_refused, leftovers_in, ordinary_orders

from segmentation.core.errors import OutputError, ParameterError, SourceError
from segmentation.core.parameters import resolve
from segmentation.run.run import Run
from segmentation.sources.engine import MEMORY_VARIABLE, DuckDbEngine

MANY = "SELECT i, md5(CAST(i AS VARCHAR)) AS text FROM range(1500000) AS r(i)"  # about 90 MB


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setenv(MEMORY_VARIABLE, "60MB")


def test_what_does_not_fit_goes_to_scratch_and_comes_back(little_memory, tmp_path):
    engine = DuckDbEngine(scratch=tmp_path / "scratch")
    engine.lock()
    engine.create("many", MANY)
    spilled = sum(path.stat().st_size for path in (tmp_path / "scratch").iterdir())
    counted = engine.query("SELECT COUNT(*) AS n, SUM(LENGTH(text)) AS letters FROM many")
    engine.close()
    assert spilled > 2_000_000
    assert counted.iloc[0].tolist() == [1_500_000, 1_500_000 * 32]


def test_without_scratch_nothing_touches_the_disk_and_the_remedy_is_said(
    little_memory, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    engine = DuckDbEngine()
    with pytest.raises(OutputError, match=MEMORY_VARIABLE):
        engine.create("many", MANY)
    engine.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["lots", "-1GB", "4 bananas"])
def test_limit_that_is_no_amount_of_memory_is_refused(shop, monkeypatch, limit):
    monkeypatch.setenv(MEMORY_VARIABLE, limit)
    with pytest.raises(ParameterError, match="such as 4GB"):
        DuckDbEngine()
    shop.lines(ordinary_orders(5))
    assert_refused(shop.run(), MEMORY_VARIABLE)


def test_scratch_of_a_run_is_gone_when_the_orders_are_read(shop):
    shop.lines(ordinary_orders(12))
    _, parameters = resolve(str(shop.arguments()[1]))
    run = Run(parameters, shop.runs_dir)
    with run.snapshot.opened() as engine:
        setting = engine.query("SELECT current_setting('temp_directory') AS place")
        place = Path(setting["place"].item())
        assert place.is_dir()
        assert place.parent == shop.runs_dir / ".cache"
    assert not place.exists()
    assert leftovers_in(shop.runs_dir) == []


def test_parquet_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "orders.parquet"
    pd.DataFrame({"a": [1, 2]}).to_parquet(path)
    engine = DuckDbEngine()
    engine.bind("orders", path)
    engine.lock()
    engine.check_unchanged()
    pd.DataFrame({"a": [1, 2, 3]}).to_parquet(path)
    with pytest.raises(SourceError, match=r"orders\.parquet: changed while it was read"):
        engine.check_unchanged()


def test_locked_engine_reads_its_own_parquet_files_and_no_other(tmp_path):
    for name in ("orders", "secret"):
        pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / f"{name}.parquet")
    engine = DuckDbEngine()
    engine.bind("orders", tmp_path / "orders.parquet")
    engine.lock()
    assert engine.count("orders") == 2
    with pytest.raises(engine.error):
        engine.connection.read_parquet(str(tmp_path / "secret.parquet"))
