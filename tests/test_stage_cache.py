"""Results are remembered as long as nothing that decides them has changed, and never longer."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from conftest import call_cli, ordinary_orders

from segmentation import stage_cache
from segmentation.params import resolve
from segmentation.pipeline import Run
from segmentation.stage_cache import StageCache
from segmentation.stage_table import STAGES

BEFORE_CLUSTERING = {"orders", "findings", "cut", "prepared", "tuning", "structure", "anomalies"}


def stages_of(folder: Path) -> dict[str, bool]:
    """Whether each stage was reused, by the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return {entry["stage"]: entry["reused"] for entry in manifest["stages"]}


@pytest.fixture
def finished(shop):
    shop.lines(ordinary_orders(12))
    assert shop.run(n_clusters=2).code == 0
    return shop


def test_run_says_what_it_computed_and_what_it_reused(finished):
    again = finished.run(n_clusters=3)

    line = again.out.splitlines()[0]
    computed, reused = line.removeprefix("stages: ").split("; ")
    assert reused == "reused orders, findings, cut, prepared, tuning, structure, anomalies"
    assert computed.startswith("computed segments ")
    assert {s for s, was in stages_of(finished.result).items() if was} == BEFORE_CLUSTERING


def test_another_currency_computes_nothing(finished):
    assert finished.run(n_clusters=2, currency="GBP").code == 0
    assert all(stages_of(finished.result).values())


def test_changed_input_is_read_again(finished):
    finished.lines(ordinary_orders(13))
    assert finished.run(n_clusters=2).code == 0
    assert not any(stages_of(finished.result).values())


def test_other_code_never_reuses(finished, monkeypatch):
    monkeypatch.setattr("segmentation.pipeline.code_fingerprint", lambda: "other")
    _, parameters = resolve(str(finished.folder / "shop.yaml"))
    run = Run(parameters, finished.runs_dir)
    run.stage("prepared")
    assert run.reused == {"orders": False, "prepared": False}


def test_other_version_of_a_package_that_computes_is_other_code(monkeypatch):
    before = stage_cache.code_fingerprint.__wrapped__()
    monkeypatch.setattr(stage_cache.metadata, "version", lambda name: "0.0")
    assert stage_cache.code_fingerprint.__wrapped__() != before


def test_no_cache_computes_every_stage_once_and_gives_the_same_bytes(finished):
    first = (finished.result / "segments.parquet").read_bytes()
    cached = sorted(path.name for path in (finished.runs_dir / ".cache").glob("[a-z]*"))

    again = call_cli(*finished.arguments(n_clusters=2), "--no-cache")

    assert again.code == 0, again.said
    assert not any(stages_of(finished.result).values())
    assert "reused" not in again.out
    assert (finished.result / "segments.parquet").read_bytes() == first
    kept = sorted(path.name for path in (finished.runs_dir / ".cache").glob("[a-z]*"))
    assert kept == cached


def test_two_at_once_compute_a_stage_once_and_read_it_whole(tmp_path):
    began, may_end, computed = threading.Event(), threading.Event(), []

    def compute(folder: Path) -> None:
        computed.append(folder)
        (folder / "half").write_text("1")
        began.set()
        assert may_end.wait(10)
        (folder / "whole").write_text("2")

    found: list[set[str]] = []

    def ask() -> None:
        folder = StageCache(tmp_path).get_or_compute("orders", "key", compute)
        found.append({path.name for path in folder.iterdir()})

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert began.wait(10)
    threads[1].start()
    assert not (tmp_path / "orders-key").exists()  # nothing half done can be read
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert len(computed) == 1
    assert found == [{"half", "whole"}] * 2


def test_failed_stage_leaves_nothing_and_keeps_what_was_there(tmp_path):
    def good(folder: Path) -> None:
        (folder / "result").write_text("1")

    def bad(folder: Path) -> None:
        (folder / "result").write_text("2")
        raise ValueError("no")

    StageCache(tmp_path).get_or_compute("orders", "key", good)
    with pytest.raises(ValueError, match="no"):
        StageCache(tmp_path, reuse=False).get_or_compute("orders", "key", bad)
    assert (tmp_path / "orders-key" / "result").read_text() == "1"
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["orders-key"]


def test_every_parameter_but_labels_decides_some_stage():
    """A parameter that no stage names would be answered from results of another value."""
    _, parameters = resolve("cdnow")
    named = {name for stage in STAGES.values() for name in stage.uses}
    only_said = {"currency"}
    only_written = {"cluster_output"}
    by_hash = {"source", "location"}  # the SQL and the bytes of the files are in the key
    by_range = {"k_max"}  # in the key as the range that is scanned
    assert set(parameters.as_plain()) - named == only_said | only_written | by_hash | by_range
