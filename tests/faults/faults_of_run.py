"""`segmentation run`, killed at 30 points, started twice at once, on 15 sizes of a full disk.

Whoever reads the run's folder sees the old run or the new one, complete; the next command
gives the same bytes as if nothing had happened. Run by `make test-faults`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import COMMAND, Place, ended, orders, start

KILLS = 30
SIZES = 15


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished run of the shop of yesterday; today's orders are there, not yet computed."""
    folder = tmp_path_factory.mktemp("run") / "shop"
    folder.mkdir()
    place = Place(folder)
    place.shop.lines(orders(40))
    place.call("run", *place.arguments).ok()
    place.old = place.seen()
    place.shop.lines(orders(44))
    place.save()
    place.changes = {False: place.changes_of("run", *place.arguments)}
    place.new = place.seen()
    place.keep_cache()
    place.restore(computed=True)
    place.changes[True] = place.changes_of("run", *place.arguments)
    assert place.seen() == place.new != place.old
    return place


def point_of(point: int, changes: dict[bool, list[str]]) -> tuple[bool, int]:
    """A third of the points are spread over a run that computes; the others are the last changes."""
    computed = point >= KILLS // 3
    n = len(changes[computed])
    assert n > KILLS
    return computed, n - KILLS + point + 1 if computed else 1 + n * point // (KILLS // 3)


@pytest.mark.parametrize("point", range(KILLS))
def test_run_killed_at_any_point_leaves_the_old_run_or_the_new_one(place, point):
    computed, number = point_of(point, place.changes)
    place.restore(computed=computed)
    done = place.killed(number, "run", *place.arguments)

    assert done.code in (-9, 0), done.err[-3000:]  # 0: this time it changed a file less
    assert place.seen() in ([place.new] if done.code == 0 else [place.old, place.new])
    place.call("run", *place.arguments).ok()
    assert place.seen() == place.new
    assert place.leftovers() == []


def test_the_points_are_points_of_the_run(place):
    place.restore(computed=True)
    middle = len(place.changes[True]) // 2
    assert place.killed(middle, "run", *place.arguments).code == -9


def test_two_runs_at_once_both_end_well(place):
    place.restore()
    both = [start([*COMMAND, "run", *place.arguments]) for _ in range(2)]
    for process in both:
        ended(process).ok()
    assert place.seen() == place.new
    assert place.leftovers() == []


@pytest.fixture
def disk(place, size):
    """The folder of runs on a disk of its own; call it with the bytes that are left."""
    place.restore(computed=size % 3 > 0)
    moved = place.runs_dir.with_name("runs_moved")
    place.runs_dir.rename(moved)
    place.runs_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(place.runs_dir)]
    root = os.geteuid() == 0 and sys.platform == "linux"
    if not root or subprocess.run(mount, capture_output=True).returncode:
        place.runs_dir.rmdir()
        pytest.skip("a disk of a given size needs root and mount on Linux")
    subprocess.run(["cp", "-a", f"{moved}/.", str(place.runs_dir)], check=True)

    def leave(free: int) -> None:
        used = blocks_of(place.runs_dir)
        size = f"remount,size={used + free}"
        subprocess.run(["mount", "-o", size, str(place.runs_dir)], check=True)

    yield leave
    subprocess.run(["umount", str(place.runs_dir)], check=True)


def blocks_of(disk: Path) -> int:
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


@pytest.mark.parametrize("size", range(SIZES))
def test_run_on_a_full_disk_says_so_and_leaves_the_old_run(place, disk, size):
    """From no room at all to nearly enough; what is needed is about what the run takes."""
    needed = 2 * sum(len(content) for content in _bytes_of(place.new))
    disk(size * needed // SIZES)
    done = place.call("run", *place.arguments)

    assert "Traceback" not in done.err
    if done.code == 0:
        assert place.seen() == place.new
        return
    assert done.code == 2, done.err[-3000:]
    assert "space" in done.err.splitlines()[-1], done.err.splitlines()[-1]
    assert place.seen() == place.old
    disk(1 << 28)
    place.call("run", *place.arguments).ok()
    assert place.seen() == place.new
    assert place.leftovers() == []


def _bytes_of(files: dict[str, object]) -> list[bytes]:
    return [content for content in files.values() if isinstance(content, bytes)]
