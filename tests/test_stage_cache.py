"""Results are remembered as long as nothing that decides them has changed, and never longer."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from conftest import call_cli, contents_of, ordinary_orders

from segmentation import run_folder, stage_cache
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


@pytest.fixture
def written(monkeypatch) -> list[int]:
    """One entry for each workbook that is really written."""
    times: list[int] = []
    write = run_folder.write_workbook

    def counted(*arguments, **settings):
        times.append(1)
        return write(*arguments, **settings)

    monkeypatch.setattr(run_folder, "write_workbook", counted)
    return times


def workbook_of(shop) -> dict[str, bytes]:
    """The workbook and its twins."""
    everything = contents_of(shop.result)
    return {name: everything[name] for name in everything if name.startswith(("work", "customer"))}


def test_the_same_workbook_is_written_once(finished, written):
    first = workbook_of(finished)
    assert "customer_segmentation_output.xlsx" in first
    assert len(first) > 5
    assert finished.run(n_clusters=2).code == 0
    assert workbook_of(finished) == first
    assert written == []
    assert call_cli(*finished.arguments(n_clusters=2), "--no-cache").code == 0
    assert workbook_of(finished) == first
    assert len(written) == 1


@pytest.mark.parametrize("changed", [{"currency": "GBP"}, {"gross_margin": 0.5}, {"n_clusters": 3}])
def test_another_workbook_is_written_where_anything_in_it_may_differ(finished, written, changed):
    first = workbook_of(finished)
    assert finished.run(**{"n_clusters": 2} | changed).code == 0
    assert len(written) == 1
    assert workbook_of(finished) != first


def test_other_code_writes_the_workbook_anew(finished, written, monkeypatch):
    monkeypatch.setattr(run_folder, "package_fingerprint", lambda: "other")
    assert finished.run(n_clusters=2).code == 0
    assert len(written) == 1


@pytest.mark.parametrize(
    "damage", ["flipped", "twin lost", "twin more", "twin nowhere", "digests lost", "no JSON"]
)
def test_a_damaged_workbook_is_not_put_into_a_run(finished, written, damage):
    first = workbook_of(finished)
    (kept,) = (finished.runs_dir / ".cache").glob("workbook-*")
    workbook, twin = kept / "customer_segmentation_output.xlsx", kept / "workbook_csv"
    if damage == "flipped":
        content = bytearray(workbook.read_bytes())
        content[len(content) // 2] ^= 1
        workbook.write_bytes(bytes(content))
    elif damage == "twin lost":
        next(twin.iterdir()).unlink()
    elif damage == "twin more":
        (twin / "more.csv").write_text("1")
    elif damage == "twin nowhere":
        (twin / "more.csv").symlink_to(twin / "gone.csv")
    elif damage == "digests lost":
        (kept / "sha256.json").unlink()
    else:
        (kept / "sha256.json").write_text("{")
    assert finished.run(n_clusters=2).code == 0
    assert len(written) == 1
    assert workbook_of(finished) == first
    assert finished.run(n_clusters=2).code == 0  # it was not left there
    assert finished.run(n_clusters=2).code == 0
    assert len(written) == 2
    assert workbook_of(finished) == first


def test_the_key_of_a_workbook_holds_every_stage_that_it_reads(finished, monkeypatch, tmp_path):
    _, parameters = resolve(str(finished.folder / "shop.yaml"))
    run, read, get = Run(parameters, finished.runs_dir), set(), Run.__getitem__

    def noted(self, result):
        read.add(result)
        return get(self, result)

    monkeypatch.setattr(Run, "__getitem__", noted)
    run_folder._write_workbook(run, tmp_path)
    stages = {stage.name for stage in STAGES.values() if read & set(stage.gives)}
    assert stages == set(run_folder.WORKBOOK_STAGES)


def test_what_a_killed_process_left_of_a_stage_is_removed(tmp_path):
    for name in (".orders-key.99999", ".orders-key.99998.old", ".orders-other.99999"):
        (tmp_path / name).mkdir()
    StageCache(tmp_path).get_or_compute("orders", "key", lambda folder: None)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")) == [
        ".orders-other.99999",
        "orders-key",
    ]


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
