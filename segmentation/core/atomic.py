"""Whatever the project writes appears complete or not at all.

A reader, the next run or a colleague's open spreadsheet sees the old result or the new
one, never half of one: after a crash, a full disk, Ctrl-C or ``kill -9``. Work happens
under a hidden name beside the target (``.<name>.<8 hex digits>.tmp``, same file system)
and takes the target's name in one step, once it is safely on the disk. A hidden name
that a killed process left behind goes away the next time the same target is written.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segmentation.core.errors import OutputError
from segmentation.core.interruption import signals_held_back

_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space or choose a place on another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another place"),
    errno.EROFS: ("the folder is read-only", "choose a folder that can be written to"),
    errno.EACCES: (
        "the folder is read-only for this user",
        "ask for write permission or choose another folder",
    ),
    errno.EPERM: (
        "the folder is read-only for this user",
        "ask for write permission or choose another folder",
    ),
    errno.ENOENT: ("the folder does not exist", "create it or correct the path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "correct the path"),
    errno.EISDIR: ("a folder of that name is in the way", "remove it or choose another name"),
    errno.EXDEV: ("the new folder is on another disk", "build it beside the place it goes to"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EFBIG: ("the file is too large for this disk", "choose a place on another disk"),
    errno.EBUSY: ("another program holds it", "close that program and try again"),
    errno.EIO: ("the disk reports an error", "check the disk or choose a place on another one"),
}
_TOKEN = r"[0-9a-f]{8}"
HIDDEN = re.compile(rf"\..+\.{_TOKEN}\.tmp")
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def atomic_path(target: Path | str, *, replace: bool = True) -> Iterator[Path]:
    """Write one file so that it is there complete, or the previous one still is.

    Parameters
    ----------
    target : Path
        Where the file is to appear. Its folder must exist. A symbolic link is followed:
        the file that it points to is replaced, the link stays.
    replace : bool
        False: a file that is there already stays, and the block is not even begun.

    Yields
    ------
    Path
        An empty temporary file in the same folder. Write to it, close it, leave the block:
        it is flushed to the disk and takes the name of `target` in one step. If the block
        raises anything, ``KeyboardInterrupt`` included, the temporary file is removed and
        `target` stays as it was.

    Raises
    ------
    OutputError
        If the disk is full, the folder missing or read-only, and so on: what cannot be
        written, why, and what to do. Other exceptions of the block pass unchanged.

    Notes
    -----
    Two processes writing the same target do not disturb each other; the last one to
    finish stays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     target = Path(folder, "ledger.csv")
    ...     with atomic_path(target) as temporary:
    ...         _ = temporary.write_text("rule,rows")
    ...         print(target.exists())
    ...     print(target.read_text(), [path.name for path in Path(folder).iterdir()])
    False
    rule,rows ['ledger.csv']
    """
    target = Path(os.path.realpath(target))
    with in_words(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        if not replace:
            refuse_existing(target)
        remove_leftovers(target)
        temporary, lock = _claim(target, folder=False)
        try:
            if target.exists():
                # Customer lists are personal data: a closed file must not open up.
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield temporary
            _fsync(temporary)
            if not replace:
                refuse_existing(target)
            with signals_held_back(target) as came:
                temporary.replace(target)
            for number in came[:1]:
                signal.raise_signal(number)
            _fsync(target.parent)
        finally:
            os.close(lock)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def refuse_existing(target: Path) -> None:
    """A file that is there may be somebody's: only ``--replace`` lets it go.

    Raises
    ------
    OutputError
        If the file is there.
    """
    if target.is_file():
        raise OutputError(
            f"{target}: is there already and would be lost; name another file, or add --replace."
        )


@contextmanager
def scratch_folder(target: Path | str, *, follow: bool = True) -> Iterator[Path]:
    """Give an empty hidden folder beside `target`, gone when the block ends.

    For working files as large as the result, and for building a folder that
    :func:`swap_folder` then puts in its place: same disk, so moving is one step.
    Where `target` is a symbolic link, it is beside what the link points to, or with `follow`
    false beside the link.

    Raises
    ------
    OutputError
        If the folder cannot be made or the block cannot write into it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as runs:
    ...     target = Path(runs, "cdnow")
    ...     with scratch_folder(target) as new:
    ...         _ = Path(new, "params.yaml").write_text("n_clusters: 4")
    ...         swap_folder(new, target)
    ...     print([path.name for path in Path(runs).rglob("*")])
    ['cdnow', 'params.yaml']
    """
    target = Path(os.path.realpath(target)) if follow else Path(target)
    with in_words(target):
        remove_leftovers(target)
        folder, lock = _claim(target, folder=True)
        try:
            yield folder
        finally:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)


def write_text_atomic(target: Path | str, text: str) -> None:
    r"""Write a text file (UTF-8, line ends as given) complete or not at all.

    Raises
    ------
    OutputError
        If it cannot be written; the previous file is untouched.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_text_atomic(Path(folder, "params.yaml"), "currency: GBP\n")
    ...     Path(folder, "params.yaml").read_text()
    'currency: GBP\n'
    """
    with atomic_path(target) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def swap_folder(new: Path | str, target: Path | str) -> None:
    """Put a finished folder in the place of another, and delete what was there.

    Whoever calls this knows that the other folder is this program's own: outputs go
    through `placing`, which asks first.
    The new one, on the same disk, is flushed to the disk first, and is gone afterwards.

    Raises
    ------
    OutputError
        If `new` is not a folder, `target` is a file, or the disk refuses; `target` is
        then what it was.
    """
    new, target = Path(os.path.realpath(new)), Path(os.path.realpath(target))
    with in_words(target, also=new):
        flush_folder(new)
        take_place(new, target)
        shutil.rmtree(new, ignore_errors=True)


def take_place(new: Path, target: Path) -> None:
    """Put a folder in its place; what was there has the name of the new one afterwards.

    On Linux the two exchange names in one step (``renameat2``), so at every moment
    `target` is the complete old or the complete new folder. Where the system cannot, the
    old folder is aside for the instant between two renames.
    """
    if not new.is_dir():
        raise OutputError(f"Cannot write {target}: the finished folder {new} is not there.")
    if target.exists() and not target.is_dir():
        raise OutputError(
            f"Cannot write {target}: a file of that name is in the way; "
            "remove it or choose another name."
        )
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        with scratch_folder(target) as aside:
            target.rename(aside)
            try:
                new.rename(target)
            except BaseException:
                aside.rename(target)
                raise
            aside.rename(new)
    _fsync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system has no such call."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    done = renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _claim(target: Path, *, folder: bool) -> tuple[Path, int]:
    """Make a hidden file or folder beside `target` and lock it as long as we live."""
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        if folder:
            path.mkdir()
            lock = os.open(path, os.O_RDONLY)
        else:
            lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        # A file system without locks keeps leftovers, nothing worse.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have taken the name for a leftover before it was locked.
        if path.exists():
            return path, lock
        os.close(lock)


def remove_leftovers(target: Path) -> None:
    """Delete hidden names of `target` whose process is dead: nobody holds their lock."""
    leftover = re.compile(rf"\.{re.escape(target.name)}\.{_TOKEN}\.tmp")
    for path in target.parent.iterdir():
        if not leftover.fullmatch(path.name):
            continue
        with suppress(OSError):
            if path.is_symlink():
                path.unlink()
                continue
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            finally:
                os.close(lock)


def flush_folder(folder: Path) -> None:
    """Bring every file of a folder safely to the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                _fsync(path)
        _fsync(Path(parent))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; renaming is their best.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def in_words(target: Path, also: Path | None = None) -> Iterator[None]:
    """Turn what the operating system refuses about `target` into one clear sentence."""
    try:
        yield
    except OSError as error:
        if not _concerns(error, target, also):
            raise
        reason, remedy = _REASONS.get(
            error.errno or 0, ((error.strerror or str(error)).lower(), "choose another place")
        )
        raise OutputError(f"Cannot write {target}: {reason}; {remedy}.") from None


def _concerns(error: OSError, target: Path, also: Path | None) -> bool:
    """Whether the error is about `target`, not about something else the block opened."""
    if error.filename is None:
        return error.errno in _REASONS
    path = Path(os.path.realpath(os.fsdecode(error.filename)))
    ours = [target, target.parent] + ([also] if also else [])
    hidden = f".{target.name}."
    return (
        path in ours
        or any(
            part.parent == target.parent and part.name.startswith(hidden)
            for part in (path, *path.parents)
        )
        or (also is not None and also in path.parents)
    )
