"""Several outputs take their places together, whenever the process dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segmentation.core import atomic, placing
from segmentation.core.errors import OutputError
from segmentation.core.interruption import begin_command, came_too_late, outputs_replaced
from segmentation.core.own_folders import BOOK, RUN
from segmentation.core.placing import (
    JOURNAL,
    LOCK,
    NewFile,
    NewFolder,
    NewLink,
    opened,
    put_in_place,
)

WRITER = """
import contextlib, os, signal, sys
from pathlib import Path
from segmentation.core import atomic, placing
from segmentation.core.atomic import scratch_folder

home, text, stop, way = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
if way == "two renames":
    atomic._exchange = lambda one, other: False
with contextlib.ExitStack() as stack:
    with placing.opened(home):
        run, book, file = (
            stack.enter_context(scratch_folder(home / name)) for name in ("run", "book", "file")
        )
    for folder, name in ((run, "a"), (run, "b"), (book, "index.html"), (file, "workbook")):
        (folder / name).write_text(text)
    outputs = [
        placing.NewFolder(run, home / f"run.{text}", "run", "x"),
        placing.NewLink(f"run.{text}", home / "run"),
        placing.NewFolder(book, home / "book", "book", "x"),
        placing.NewFile(file / "workbook", home / "workbook", lambda: None),
    ]
    count = 0
    def count_and_die(event, arguments):
        global count
        if event in ("os.rename", "os.remove", "os.symlink", "os.rmdir"):
            count += 1
            if count == stop:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count_and_die)
    placing.put_in_place(home, outputs)
print("done", count)
"""


def write(home: Path, text: str, *, stop: int = 0, way: str = "one step"):
    command = [sys.executable, "-c", WRITER, str(home), text, str(stop), way]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def texts_of(home: Path) -> list[str]:
    paths = ("run/a", "run/b", "book/index.html", "workbook")
    return [(home / name).read_text() for name in paths]


@pytest.mark.parametrize("way", ["one step", "two renames"])
def test_killed_at_any_step_old_and_new_never_mix_for_good(tmp_path, way):
    seen, before = set(), tmp_path / "before"
    before.mkdir()
    assert write(before, "00000000").returncode == 0
    for stop in range(1, 40):
        home = shutil.copytree(before, tmp_path / str(stop), symlinks=True)
        died = write(home, "11111111", stop=stop, way=way)
        with opened(home):  # what the next command does
            found = set(texts_of(home))
        assert len(found) == 1, (stop, found, died.stderr)
        seen |= found
        assert not (home / JOURNAL).exists()
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.returncode == 0
    assert seen == {"00000000", "11111111"}
    assert write(home, "22222222").returncode == 0
    assert set(texts_of(home)) == {"22222222"}
    assert sorted(p.name for p in home.iterdir() if p.name.startswith(".")) == []


def finished(home: Path, name: str, text: str) -> Path:
    folder = home / f".{name}.0123abcd.tmp"
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_among_the_swaps_comes_too_late(tmp_path, monkeypatch, kind):
    outputs = [
        NewFolder(finished(tmp_path, name, "new"), tmp_path / name, RUN, "x") for name in "ab"
    ]
    take, begun = placing.take_place, []

    def interrupted(new, place):
        begun.append(place.name)
        os.kill(os.getpid(), kind)
        take(new, place)

    monkeypatch.setattr(placing, "take_place", interrupted)
    begin_command()

    put_in_place(tmp_path, outputs)

    assert begun == ["a", "b"]
    assert came_too_late() and outputs_replaced()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_interruption_before_changes_nothing_and_nothing_else_is_said(tmp_path, monkeypatch):
    new = finished(tmp_path, "a", "new")
    begin_command()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(placing, "write_text_atomic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put_in_place(tmp_path, [NewFolder(new, tmp_path / "a", RUN, "x")])
    assert not (tmp_path / "a").exists()
    assert not outputs_replaced()


@pytest.mark.parametrize("step", ["open", "unlink"])
def test_an_interruption_at_the_lock_leaves_no_lock(tmp_path, monkeypatch, step):
    where, name = (os, "open") if step == "open" else (Path, "unlink")
    usual, reached = getattr(where, name), []

    def interrupted(*arguments, **options):
        if LOCK in str(arguments[0]):
            reached.append(step)
            os.kill(os.getpid(), signal.SIGINT)
        return usual(*arguments, **options)

    monkeypatch.setattr(where, name, interrupted)
    with pytest.raises(KeyboardInterrupt), opened(tmp_path):
        pass
    assert reached == [step]
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_for_the_lock_can_be_interrupted(tmp_path, monkeypatch):
    def interrupted(_):
        os.kill(os.getpid(), signal.SIGINT)

    with opened(tmp_path):
        monkeypatch.setattr(placing.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt), opened(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()  # the holder's
    assert list(tmp_path.iterdir()) == []


def test_one_that_may_not_be_replaced_holds_back_all(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    outputs = [
        NewFolder(finished(tmp_path, "a", "new"), tmp_path / "a", RUN, "x"),
        NewFolder(finished(tmp_path, "b", "new"), tmp_path / "b", BOOK, "x"),
    ]
    with pytest.raises(OutputError, match="no book that this program made"):
        put_in_place(tmp_path, outputs)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b" / "mine.txt").read_text() == "mine"


def test_a_journal_that_names_anything_but_working_files_is_refused(tmp_path):
    """Whoever can write there must not make the next command move other files."""
    (tmp_path / "home").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    for entries in (
        [["file", "../mine.txt", "taken.txt"]],
        [["folder", "..", "x", "run", ""]],
        [["folder"]],
        {"a": 1},
        [3],
    ):
        (tmp_path / "home" / JOURNAL).write_text(json.dumps(entries))
        with pytest.raises(OutputError, match="is damaged; remove it"), opened(tmp_path / "home"):
            pass
        assert (tmp_path / "mine.txt").read_text() == "mine"


def test_permissions_a_person_set_stay(tmp_path):
    for name, text in (("old", "old"), ("new", "new")):
        folder = finished(tmp_path, name, text)
        (folder / "model").mkdir()
        (folder / "model" / "model.json").write_text(text)
    old = (tmp_path / ".old.0123abcd.tmp").rename(tmp_path / "old")
    old.chmod(0o700)
    (old / "model").chmod(0o750)
    (old / "model" / "model.json").chmod(0o600)
    new = tmp_path / ".new.0123abcd.tmp"
    put_in_place(tmp_path, [NewFolder(new, tmp_path / "own", RUN, "x", like=old)])
    modes = [oct((tmp_path / "own" / n).stat().st_mode & 0o777) for n in ("", "model")]
    assert modes == ["0o700", "0o750"]
    assert (tmp_path / "own" / "model" / "model.json").stat().st_mode & 0o777 == 0o600


def test_a_link_moves_in_one_step_and_a_plain_folder_goes_aside(tmp_path):
    (tmp_path / "cdnow").mkdir()
    (tmp_path / "cdnow" / "manifest.json").write_text("earlier")
    put_in_place(tmp_path, [NewLink("cdnow.2", tmp_path / "cdnow", "cdnow.1")])
    assert (tmp_path / "cdnow.1" / "manifest.json").read_text() == "earlier"
    assert (tmp_path / "cdnow").readlink() == Path("cdnow.2")
    put_in_place(tmp_path, [NewLink("cdnow.1", tmp_path / "cdnow")])
    assert (tmp_path / "cdnow" / "manifest.json").read_text() == "earlier"


def test_a_new_file_keeps_the_permissions_of_the_one_before(tmp_path):
    new = finished(tmp_path, "workbook", "new") / "file"
    (tmp_path / "workbook").write_text("old")
    (tmp_path / "workbook").chmod(0o600)
    put_in_place(tmp_path, [NewFile(new, tmp_path / "workbook", lambda: None)])
    assert (tmp_path / "workbook").read_text() == "new"
    assert (tmp_path / "workbook").stat().st_mode & 0o777 == 0o600


def test_atomic_files_say_when_they_are_in_place(tmp_path):
    begin_command()
    (tmp_path / ".run.0123abcd.tmp").mkdir()
    atomic.write_text_atomic(tmp_path / ".run.0123abcd.tmp" / "a.csv", "x")
    assert not outputs_replaced()
    atomic.write_text_atomic(tmp_path / "a.csv", "x")
    assert outputs_replaced()
