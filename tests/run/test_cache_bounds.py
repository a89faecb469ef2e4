"""What nobody used for long goes, then the oldest; what is in use or not ours stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import assert_refused, call_cli, contents_of, ordinary_orders

from segmentation.core.keys import key_of
from segmentation.run.cache import SEAL, StageCache
from segmentation.run.cache_bounds import LONGEST_DAYS, clean, clean_runs

IDLE = {"manifest.json", "openlineage.json", ".segmentation.json"}
"""Files of a run that say when and at what cost, and the checksums of those."""


def remember(root: Path, number: int, *, days_ago: float = 0, size: int = 1000) -> Path:
    """A result of ``size`` bytes or so that was last used some days ago."""
    cache = StageCache(root)
    made = cache.get_or_compute(
        "orders", key_of(number), lambda folder: (folder / "x.npy").write_bytes(bytes(size))
    )
    used = time.time() - days_ago * 86_400
    os.utime(made / SEAL, (used, used))
    return made


def names_in(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_old_results_go_and_then_the_oldest_until_the_rest_is_small_enough(tmp_path):
    made = [remember(tmp_path, n, days_ago=days) for n, days in enumerate((91, 80, 3, 2, 1))]
    cleaned = clean(tmp_path, largest_bytes=2_600)
    assert (cleaned.removed, cleaned.kept, cleaned.in_use) == (3, 2, 0)
    assert cleaned.removed_bytes > 3_000
    assert [path.exists() for path in made] == [False, False, False, True, True]
    assert {name.removeprefix(".").removesuffix(".lock") for name in names_in(tmp_path)} == {
        path.name for path in made[3:]
    }, "nor does anything hidden of them stay"
    assert clean(tmp_path).removed == 0


def test_a_result_that_is_read_is_young_again(tmp_path):
    made = remember(tmp_path, 1, days_ago=LONGEST_DAYS + 1)
    StageCache(tmp_path).find("orders", key_of(1))
    assert clean(tmp_path).removed == 0
    assert made.exists()


def test_what_a_process_uses_or_computes_stays_until_it_ends(tmp_path):
    made, user = remember(tmp_path, 1), StageCache(tmp_path)
    assert user.find("orders", key_of(1)) == made

    def compute(folder: Path) -> None:
        assert clean(tmp_path, largest_bytes=-1).in_use == 1
        (folder / "x.npy").write_bytes(b"1")

    other = user.get_or_compute("orders", key_of(2), compute)
    assert contents_of(other)["x.npy"] == b"1"
    assert clean(tmp_path, largest_bytes=-1).in_use == 2
    user.release()
    assert clean(tmp_path, largest_bytes=-1).removed == 2
    assert names_in(tmp_path) == set()


def test_nothing_foreign_is_removed(tmp_path):
    root = tmp_path / ".cache"
    remember(root, 1)
    foreign = ["notes.txt", "own-0123456789abcdef0123/mine.csv", "pip/x", "figures/own.png"]
    foreign += [".other.0123abcd.tmp/x", ".own.lock", "notebooks/own.ipynb"]
    for name in foreign:
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text("1")
    (root / f"orders-{key_of(3)}").symlink_to(tmp_path)
    before = set(contents_of(root)) | names_in(root)
    cleaned = clean(root, largest_bytes=-1)
    assert cleaned.removed == 1
    gone = before - set(contents_of(root)) - names_in(root)
    assert {name for name in gone if key_of(1) not in name} == set()
    assert all((root / name).read_text() == "1" for name in foreign)


def test_leftovers_of_killed_processes_and_earlier_versions_are_removed(tmp_path):
    for name in (f".segments-{key_of(1)}.0123abcd.tmp/x.npy", ".orders.0123abcd.tmp/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    (tmp_path / f".segments-{key_of(2)}.lock").touch()
    for name in (f"figures/{'a' * 40}.png", f"notebooks/04_choosing_k-{key_of(1)}.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    assert clean(tmp_path).removed == 2
    assert names_in(tmp_path) == {"figures", "notebooks"}


def test_a_run_keeps_its_cache_in_bounds(shop):
    shop.lines(ordinary_orders(12))
    assert shop.run(n_clusters=2).code == 0
    cache = shop.runs_dir / ".cache"
    before = {path.name for path in cache.glob("[a-z]*-*")}
    for name in before:
        os.utime(cache / name / SEAL, (0, 0))
    assert shop.run(n_clusters=3).code == 0
    kept = before & names_in(cache)
    assert {name.split("-")[0] for name in kept} == {
        "orders", "dates", "findings", "cut", "prepared", "tuning", "structure", "anomalies",
        "history",
    }  # fmt: skip
    found = contents_of(shop.result)
    said = call_cli("clean", "--runs-dir", shop.runs_dir)
    assert (said.code, said.out.split(",")[0]) == (0, "removed 0 results")
    said = call_cli("clean", "--runs-dir", shop.runs_dir, "--all")
    assert "kept 0" in said.out
    assert names_in(cache) == set()
    assert contents_of(shop.result) == found


def test_old_runs_are_removed_where_that_is_asked(shop):
    shop.lines(ordinary_orders(8))
    for k in (2, 3):
        assert shop.run(n_clusters=k).code == 0
    before = {path.name for path in shop.runs_dir.glob("shop*")}
    assert "removed 0 runs" in call_cli("clean", "--runs-dir", shop.runs_dir, "--keep-runs", 1).out
    said = call_cli("clean", "--runs-dir", shop.runs_dir, "--keep-runs", 0)
    (gone,) = before - {path.name for path in shop.runs_dir.glob("shop*")}
    assert said.out.splitlines()[1:] == ["removed 1 runs", f"  {gone}"]
    assert shop.result.exists()
    assert call_cli("clean", "--runs-dir", shop.runs_dir, "--keep-runs", -1).code == 2


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert_refused(call_cli("clean", "--runs-dir", tmp_path / "no"), "no such folder")
    assert clean_runs(tmp_path).removed == 0


@pytest.mark.parametrize("days_ago", [-400, 4000])
def test_a_wrong_clock_changes_what_is_kept_and_no_result(shop, days_ago):
    shop.lines(ordinary_orders(8))
    assert shop.run(n_clusters=2).code == 0
    first = contents_of(shop.result)
    moment = time.time() - days_ago * 86_400
    for seal in (shop.runs_dir / ".cache").glob(f"*/{SEAL}"):
        os.utime(seal, (moment, moment))
    assert shop.run(n_clusters=2).code == 0
    again = contents_of(shop.result)
    # the moment of a run is told to the second, and both may be in one
    assert {name for name in again if again[name] != first[name]} <= IDLE
