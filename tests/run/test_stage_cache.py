"""Results are remembered as long as nothing that decides them has changed, and never longer."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from conftest import TinyShop, call_cli, contents_of, ordinary_orders

from segmentation.core.own_folders import MARK
from segmentation.core.parameters import resolve
from segmentation.deliver import run_folder
from segmentation.run import cache as stage_cache
from segmentation.run.cache import StageCache, is_sealed
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

BEFORE_CLUSTERING = {
    "orders",
    "dates",
    "findings",
    "cut",
    "prepared",
    "tuning",
    "structure",
    "anomalies",
    "history",
}


def stages_of(folder: Path) -> dict[str, bool]:
    """Whether each stage was reused, by the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return {entry["stage"]: entry["reused"] for entry in manifest["stages"]}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    shop = TinyShop(tmp_path_factory.mktemp("made")).lines(ordinary_orders(12))
    assert shop.run(n_clusters=2).code == 0
    return shop


@pytest.fixture
def finished(shop, made_once):
    """A small shop after its run: no stage needs computing again to have one."""
    shop.lines(ordinary_orders(12))
    shop.arguments(n_clusters=2)  # writes the profile
    shutil.copytree(made_once.runs_dir, shop.runs_dir)
    return shop


def test_run_says_what_it_computed_and_what_it_reused(finished):
    again = finished.run(n_clusters=3)

    line = next(one for one in again.out.splitlines() if one.startswith("stages: "))
    computed, reused = line.removeprefix("stages: ").split("; ")
    assert reused == (
        "reused orders, dates, findings, cut, prepared, tuning, structure, anomalies, history"
    )
    assert computed.startswith("computed segments ")
    assert {s for s, was in stages_of(finished.result).items() if was} == BEFORE_CLUSTERING


def test_another_currency_computes_nothing_but_what_says_money(finished):
    assert finished.run(n_clusters=2, currency="GBP").code == 0
    computed = {stage for stage, was in stages_of(finished.result).items() if not was}
    assert computed == {"findings", "recommendations", "next_steps"}


def test_changed_input_is_read_again(finished):
    finished.lines(ordinary_orders(13))
    assert finished.run(n_clusters=2).code == 0
    assert not any(stages_of(finished.result).values())


def test_other_code_never_reuses(finished, monkeypatch):
    monkeypatch.setattr("segmentation.run.run.code_fingerprint", lambda: "other")
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


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    if not content:
        content = bytearray(b"1")
    content[place % len(content)] ^= 1
    path.write_bytes(bytes(content))


def swap(path: Path) -> None:
    """Exchange a file with its neighbour."""
    mine, other = path.read_bytes(), next(p for p in sorted(path.parent.iterdir()) if p != path)
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)


DAMAGES = {
    "bit at the start": lambda path: flip(path, 0),
    "bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "bit at the end": lambda path: flip(path, -1),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "without its last byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "zero length": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "as long, all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "other JSON": lambda path: path.write_text("{}"),
    "deep JSON": lambda path: path.write_text("[" * 5000),
    "deleted": Path.unlink,
    "renamed": lambda path: path.rename(path.with_name(f"{path.name}.old")),
    "twin of another kind": lambda path: path.with_suffix(".parquet.json").write_text("1"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link to nowhere": lambda path: (path.unlink(), path.symlink_to("gone")),
    "a link to its content": lambda path: path.symlink_to(path.rename(path.parents[2] / path.name)),
    "swapped": swap,
    "not to be read": lambda path: path.chmod(0),
}
FOLDER_DAMAGES = {
    "another stage's": lambda one, other: (
        one.rename(f"{one}.x"),
        shutil.copytree(other, one, symlinks=True),
    ),
    "gone": lambda one, _: shutil.rmtree(one),
    "emptied": lambda one, _: (shutil.rmtree(one), one.mkdir()),
    "a file": lambda one, _: (shutil.rmtree(one), one.write_text("1")),
    "a pipe": lambda one, _: (shutil.rmtree(one), os.mkfifo(one)),
    "a link": lambda one, other: (shutil.rmtree(one), one.symlink_to(other)),
    "a folder more": lambda one, _: (one / "again.parquet").mkdir(),
    "not to be entered": lambda one, _: one.chmod(0),
}


def files_in(stage: Path) -> list[Path]:
    return sorted(path for path in stage.rglob("*") if path.is_file())


@pytest.mark.parametrize("stage", ["prepared", "segments"])  # tables, arrays, JSON and a model
def test_every_damage_of_every_file_is_noticed(made_once, tmp_path, stage):
    (whole,) = (made_once.runs_dir / ".cache").glob(f"{stage}-*")
    copied, before = tmp_path / ".cache" / whole.name, contents_of(whole)
    for file in before:
        for name, damage in DAMAGES.items():
            if name == "not to be read" and os.geteuid() == 0:  # nothing is closed to root
                continue
            shutil.copytree(whole, copied)
            assert is_sealed(copied)
            damage(copied / file)
            assert not is_sealed(copied), (file, name)
            shutil.rmtree(copied)


@pytest.mark.parametrize("turn", range(3))
def test_no_damage_gives_a_wrong_output_or_a_traceback(finished, made_once, turn):
    """Each stage is damaged in another way, and in yet another in the next turn."""
    finished.parameters |= made_once.parameters  # paths are told in the run's folder
    expected = contents_of(finished.result)
    cache = finished.runs_dir / ".cache"
    stages = sorted(cache.glob("[a-z]*-*"))
    for number, stage in enumerate(stages):
        kind = number + turn * len(stages)
        if kind % 4 == 3:
            damage = list(FOLDER_DAMAGES.values())[kind // 4 % len(FOLDER_DAMAGES)]
            damage(stage, stages[number - 1])
        else:
            files = files_in(cache / stage)
            list(DAMAGES.values())[kind % len(DAMAGES)](files[kind % len(files)])

    again = finished.run(n_clusters=2)

    assert (again.code, again.said) == (0, [])
    found = contents_of(finished.result)
    assert {name for name in found if found[name] != expected[name]} == {
        "manifest.json",
        "openlineage.json",  # says when
        MARK,  # has the hashes of both
    }
    assert set(found) == set(expected)
    assert finished.run(n_clusters=2).code == 0  # healed
    assert all(stages_of(finished.result).values())


def test_a_stage_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def noted(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        assert not (tmp_path / "orders-key").exists() or synced[-1] == tmp_path.name
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    StageCache(tmp_path).get_or_compute("orders", "key", lambda f: (f / "one.json").write_text("1"))
    assert {"one.json", stage_cache.SEAL, tmp_path.name} < set(synced)


def test_a_result_is_verified_once_and_what_was_read_stays(tmp_path, monkeypatch):
    StageCache(tmp_path).get_or_compute("orders", "key", lambda f: (f / "one.json").write_text("1"))
    verified, verify = [], stage_cache.is_sealed
    monkeypatch.setattr(stage_cache, "is_sealed", lambda f: verified.append(f) or verify(f))
    cache = StageCache(tmp_path)
    for _ in range(3):
        assert cache.find("orders", "key") == tmp_path / "orders-key"
    assert len(verified) == 1


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
    for name in (
        ".orders-key.0123abcd.tmp",
        ".orders-key.89abcdef.tmp",
        ".orders-other.0123abcd.tmp",
    ):
        (tmp_path / name).mkdir()
    StageCache(tmp_path).get_or_compute("orders", "key", lambda folder: None)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")) == [
        ".orders-other.0123abcd.tmp",
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
    assert found == [{"half", "whole", stage_cache.SEAL}] * 2


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
    named = {name for stage in STAGES.values() for name in (*stage.uses, *stage.inputs)}
    only_written = {"cluster_output"}
    # the SQL, the bytes of the files, and how both are to be read, are in the key
    by_hash = {"source", "location", "tables", "columns", "own_features", "feature_labels"}
    by_range = {"k_max"}  # in the key as the range that is scanned, and as part of the model's card
    assert set(parameters.as_plain()) - named == only_written | by_hash | by_range
