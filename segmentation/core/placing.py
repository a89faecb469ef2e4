"""Several outputs take their places together: all of them or none, whenever a process dies.

Everything is finished under hidden names first. Then one small file, the journal, appears by
one rename: from there on the new outputs count. What it lists is done at once with signals
held back; if the process is killed before the end, the next command that opens the folder
does the rest. Before the journal nothing was touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segmentation.core.atomic import (
    HIDDEN,
    flush_folder,
    in_words,
    scratch_folder,
    take_place,
    write_text_atomic,
)
from segmentation.core.errors import OutputError
from segmentation.core.interruption import interrupt, note_too_late, signals_held_back
from segmentation.core.own_folders import MARK, mark_folder, refuse_foreign

JOURNAL = ".outputs-in-progress.json"
LOCK = ".outputs.lock"


@dataclass(frozen=True)
class NewFolder:
    """A finished folder, and its place; ``like`` is the folder whose permissions it takes."""

    new: Path
    place: Path
    kind: str
    remedy: str
    like: Path | None = None

    def finish(self) -> None:
        """Permissions, the mark, and everything on the disk."""
        mark_folder(self.new, self.kind)
        keep_modes(self.like or self.place, self.new)
        flush_folder(self.new)

    def check(self) -> None:
        """Whether it may take its place."""
        refuse_foreign(self.place, self.kind, self.remedy)

    def entry(self, home: Path) -> list[str]:
        """How the journal names it."""
        mark = (self.new / MARK).read_text(encoding="utf-8")
        return ["folder", _from(home, self.new), _from(home, self.place), self.kind, mark]


@dataclass(frozen=True)
class NewFile:
    """A finished file, its place, and what refuses to replace the one that is there."""

    new: Path
    place: Path
    check: Callable[[], None]

    def finish(self) -> None:
        """Permissions, and on the disk."""
        keep_modes(self.place, self.new)
        flush_folder(self.new.parent)

    def entry(self, home: Path) -> list[str]:
        """How the journal names it."""
        return ["file", _from(home, self.new), _from(home, self.place)]


@dataclass(frozen=True)
class NewLink:
    """A symbolic link to a folder beside it, by its name."""

    to: str
    place: Path
    aside: str = ""
    """Name that a plain folder in its place gets, which an earlier version made."""

    def finish(self) -> None:
        """See whether this disk has links."""
        probe = _beside(self.place)
        probe.symlink_to(self.to)
        probe.unlink()

    def check(self) -> None:
        """A plain folder goes aside, nothing is replaced."""
        if self.aside and (self.place.parent / self.aside).exists():
            raise OutputError(f"{self.place.parent / self.aside}: is in the way; move it.")

    def entry(self, home: Path) -> list[str]:
        """How the journal names it."""
        return ["link", self.to, _from(home, self.place), self.aside]


@contextlib.contextmanager
def opened(home: Path) -> Iterator[None]:
    """Hold a folder of outputs for a moment, first finishing what a killed command began."""
    lock = None
    try:
        while lock is None:
            with signals_held_back() as came:  # else an interruption here leaves the file behind
                lock = _lock(home)
            _interrupt_if(came)
            if lock is None:
                time.sleep(0.02)
        if (home / JOURNAL).exists():
            with signals_held_back() as came:
                _roll_forward(home)
            _interrupt_if(came)
        yield
    finally:
        with signals_held_back() as came:
            if lock is not None:
                (home / LOCK).unlink(missing_ok=True)
                os.close(lock)
        _interrupt_if(came)


def _interrupt_if(came: list[int]) -> None:
    if came:
        interrupt()


def _lock(home: Path) -> int | None:
    """Lock a folder of outputs, by a file that is gone afterwards; None where another has it.

    The folder itself is locked for as long as runs compute (`forgotten.held`).
    """
    with in_words(home):
        lock = os.open(home / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        pass  # a file system without locks
    with contextlib.suppress(OSError):  # else its holder removed it meanwhile
        if os.path.samestat(os.fstat(lock), (home / LOCK).stat()):
            return lock
    os.close(lock)
    return None


def finish_what_was_begun(home: Path) -> None:
    """Do the rest of what a killed command left undone, if any did."""
    if (home / JOURNAL).exists():
        with opened(home):
            pass


def put_in_place(home: Path, outputs: Sequence[NewFolder | NewFile | NewLink]) -> None:
    """Put finished outputs in their places together.

    An interruption that comes after the point where they count changes nothing any more.

    Parameters
    ----------
    home : Path
        Folder of the journal, on which commands wait for each other.

    Raises
    ------
    OutputError
        If one may not or cannot be replaced; all are then as they were.
    """
    for output in outputs:
        with in_words(output.place):
            output.finish()
    with opened(home):
        for output in outputs:
            output.check()
        text = json.dumps([output.entry(home) for output in outputs], ensure_ascii=False)
        with signals_held_back(*(output.place for output in outputs)) as came:
            try:
                write_text_atomic(home / JOURNAL, text)
            except BaseException:
                (home / JOURNAL).unlink(missing_ok=True)
                raise
            _roll_forward(home)
    note_too_late(came)


@contextlib.contextmanager
def new_folder(place: Path, kind: str, remedy: str) -> Iterator[Path]:
    """Give an empty folder that takes its place when the block ends well.

    Raises
    ------
    OutputError
        At once, if what is there is not this program's own or holds something foreign.
    """
    place = Path(os.path.realpath(place))
    refuse_foreign(place, kind, remedy)
    with contextlib.ExitStack() as stack:
        with in_words(place), opened(place.parent):
            working = stack.enter_context(scratch_folder(place))
        yield working
        put_in_place(place.parent, [NewFolder(working, place, kind, remedy)])


def keep_modes(old: Path, new: Path) -> None:
    """Give a new folder or file, and all in it, the permissions that the old one has."""
    for path in (*new.rglob("*"), new):
        before = old / path.relative_to(new)
        if before.exists() and before.is_dir() == path.is_dir():
            path.chmod(stat.S_IMODE(before.stat().st_mode))


def _from(home: Path, path: Path) -> str:
    return os.path.relpath(path.parent.resolve() / path.name, home.resolve())


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")


def _roll_forward(home: Path) -> None:
    """Do what the journal lists, as far as it is not done yet."""
    journal = home / JOURNAL
    if journal.stat().st_uid not in (os.geteuid(), home.stat().st_uid):
        raise OutputError(f"{journal}: another user's command left it; ask them to run it again.")
    try:
        entries = json.loads(journal.read_text(encoding="utf-8"))
        if not all(e[0] == "link" or any(map(HIDDEN.fullmatch, Path(e[1]).parts)) for e in entries):
            raise ValueError("no working file of ours")
    except (ValueError, LookupError, TypeError):
        raise OutputError(f"{journal}: is damaged; remove it and run again.") from None
    for entry in entries:
        place = Path(os.path.normpath(home / entry[2]))
        with in_words(place):
            _do(home, entry, place)
    journal.unlink()
    for entry in entries:  # what was there before has the new one's hidden name now
        if entry[0] == "folder":
            shutil.rmtree(home / entry[1], ignore_errors=True)


def _do(home: Path, entry: list[str], place: Path) -> None:
    kind, new = entry[0], home / entry[1]
    if kind == "link":
        if entry[3] and place.is_dir() and not place.is_symlink():
            place.rename(place.parent / entry[3])
        link = _beside(place)
        link.symlink_to(entry[1])
        link.replace(place)
    elif not new.exists():
        return  # done before the process was killed
    elif kind == "file":
        new.replace(place)
    elif _mark_of(place) != entry[4]:
        refuse_foreign(place, entry[3], "remove them")
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
        take_place(new, place)


def _mark_of(folder: Path) -> str:
    try:
        return (folder / MARK).read_text(encoding="utf-8")
    except OSError:
        return ""
