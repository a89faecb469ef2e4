"""segmentation.core.atomic: complete or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disks import mounted

from segmentation.core import atomic
from segmentation.core.atomic import atomic_path, scratch_folder, swap_folder, write_text_atomic
from segmentation.core.errors import OutputError


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.csv"
    path.write_text("old")
    return path


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 64 KB."""
    (tmp_path / "small_disk").mkdir()
    with mounted(tmp_path / "small_disk", "size=64k") as folder:
        yield folder


def folder_of(path: Path, text: str, n_files: int = 3) -> Path:
    path.mkdir()
    for number in range(n_files):
        (path / f"part_{number}.txt").write_text(text)
    return path


def texts_in(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.iterdir())]


def test_old_file_is_there_until_the_new_one_is_complete(target):
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent

    assert target.read_text() == "new"
    assert names_in(target.parent) == ["ledger.csv"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(target, error):
    with pytest.raises(type(error)), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error

    assert target.read_text() == "old"
    assert names_in(target.parent) == ["ledger.csv"]


def test_text_is_written_as_given(tmp_path):
    write_text_atomic(tmp_path / "note.txt", "é\r\n\n")

    assert (tmp_path / "note.txt").read_bytes() == b"\xc3\xa9\r\n\n"


def test_permissions_of_the_file_replaced_are_kept(target):
    target.chmod(0o600)

    write_text_atomic(target, "new")

    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_new_file_gets_the_permissions_the_user_asks_for(tmp_path):
    before = os.umask(0o027)
    try:
        write_text_atomic(tmp_path / "new.txt", "new")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o640


def test_symbolic_link_stays_and_its_file_is_replaced(target):
    link = target.with_name("latest.csv")
    link.symlink_to(target)

    write_text_atomic(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"


def test_full_disk_is_said_in_words_and_leaves_the_old_file(small_disk):
    target = small_disk / "table.csv"
    target.write_text("old")

    with pytest.raises(OutputError, match=r"table\.csv: the disk is full; free some space") as told:
        write_text_atomic(target, "x" * 200_000)

    assert told.value.__suppress_context__
    assert target.read_text() == "old"
    assert names_in(small_disk) == ["table.csv"]


def test_read_only_disk_is_said_in_words(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(OutputError, match="the folder is read-only; choose"):
        write_text_atomic(small_disk / "table.csv", "x")


def test_folder_without_permission_is_said_in_words(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o500)
    before = os.geteuid()
    if before == 0:  # root may write anywhere: be somebody else for this
        for above in (tmp_path, *tmp_path.parents[:2]):
            above.chmod(0o711)
        folder.chmod(0o555)
        os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match="read-only for this user"):
            write_text_atomic(folder / "table.csv", "x")
    finally:
        os.seteuid(before)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ledger.csv/table.csv", "a part of the path is a file, not a folder"),
        ("missing/table.csv", "the folder does not exist; create it"),
        ("x" * 300, "the name is too long"),
        (".", "a folder of that name is in the way"),
    ],
)
def test_impossible_place_is_said_in_words(target, name, words):
    with pytest.raises(OutputError, match=words):
        write_text_atomic(target.parent / name, "x")


def test_error_about_another_file_is_not_blamed_on_the_target(target):
    with pytest.raises(FileNotFoundError), atomic_path(target):
        (target.parent / "elsewhere.csv").read_text()


def test_leftover_of_a_killed_run_goes_at_the_next_write(target):
    dead_file = target.with_name(".ledger.csv.0123abcd.tmp")
    dead_file.write_text("half")
    dead_folder = target.with_name(".ledger.csv.89abcdef.tmp")
    folder_of(dead_folder, "half")
    others = target.with_name(".other.csv.0123abcd.tmp")
    others.write_text("someone else's")

    write_text_atomic(target, "new")

    assert names_in(target.parent) == [others.name, "ledger.csv"]


def test_two_writers_of_one_target_do_not_disturb_each_other(target):
    with atomic_path(target) as one:
        one.write_text("one")
        with atomic_path(target) as other, scratch_folder(target) as scratch:
            other.write_text("other")
            assert one.exists()
            write_text_atomic(target, "third")
            assert other.exists() and scratch.exists()
        assert target.read_text() == "other"

    assert target.read_text() == "one"
    assert names_in(target.parent) == ["ledger.csv"]


WRITER = """
import sys, time
from pathlib import Path
from segmentation.core.atomic import atomic_path
print("ready", flush=True)
for number in range(100_000):
    with atomic_path(Path(sys.argv[1])) as temporary, temporary.open("w") as file:
        for _ in range(50):
            file.write(str(number % 10) * 2_000)
            file.flush()
"""


@pytest.mark.parametrize("delay", [0.001, 0.004, 0.013, 0.037, 0.071])
def test_kill_at_any_moment_leaves_a_complete_file(target, delay):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)

    text = target.read_text()
    assert text == "old" or (len(text) == 100_000 and len(set(text)) == 1)
    write_text_atomic(target, "new")
    assert names_in(target.parent) == ["ledger.csv"]


@pytest.fixture(params=["one step", "two renames"])
def way_to_swap(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    return request.param


def test_swapped_folder_replaces_the_old_one(tmp_path, way_to_swap):
    target = folder_of(tmp_path / "run", "old")
    new = folder_of(tmp_path / "run_new", "new", n_files=2)

    swap_folder(new, target)

    assert texts_in(target) == ["new", "new"]
    assert names_in(tmp_path) == ["run"]


def test_first_folder_needs_nothing_to_replace(tmp_path, way_to_swap):
    swap_folder(folder_of(tmp_path / "run_new", "new"), tmp_path / "run")

    assert texts_in(tmp_path / "run") == ["new"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_linux_exchanges_in_one_step(tmp_path):
    old, new = folder_of(tmp_path / "a", "old"), folder_of(tmp_path / "b", "new")

    if not atomic._exchange(new, old):
        pytest.skip("this file system has no RENAME_EXCHANGE")

    assert (texts_in(old), texts_in(new)) == (["new"] * 3, ["old"] * 3)


def test_failure_between_the_two_renames_puts_the_old_folder_back(tmp_path, monkeypatch):
    target, new = folder_of(tmp_path / "run", "old"), folder_of(tmp_path / "new", "new")
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    rename = Path.rename

    def refuse_new(path, to):
        if path == new and to == target:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse_new)

    with pytest.raises(OutputError, match="the disk reports an error"):
        swap_folder(new, target)

    assert texts_in(target) == ["old"] * 3


def test_swapping_onto_a_file_or_from_nothing_is_refused(tmp_path, target):
    new = folder_of(tmp_path / "new", "new")

    with pytest.raises(OutputError, match="a file of that name is in the way"):
        swap_folder(new, target)
    with pytest.raises(OutputError, match=r"the finished folder .* is not there"):
        swap_folder(tmp_path / "missing", tmp_path / "run")

    assert target.read_text() == "old"


SWAPPER = """
import itertools, sys
from pathlib import Path
from segmentation.core import atomic
target = Path(sys.argv[1])
print("ready", flush=True)
for number in itertools.count():
    with atomic.scratch_folder(target) as new:
        for part in range(3):
            (new / f"part_{part}.txt").write_text(str(number))
        atomic.swap_folder(new, target)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_reader_never_misses_the_folder_during_swaps(tmp_path):
    target = folder_of(tmp_path / "run", "old")
    with subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        missed = sum(not target.is_dir() for _ in range(20_000))
        process.send_signal(signal.SIGKILL)

    assert missed == 0
