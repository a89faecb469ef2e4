"""Files as people have them -> files that the embedded engine reads as they are.

What is read is what was hashed: a private copy, made while its bytes are summed up, or a
Parquet file in its place that must not change. A workbook becomes a Parquet file of texts,
a ZIP archive the one file in it, a text UTF-8 with line feeds. Each is made once, in a
folder that goes away with the object.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import SourceError, first_three
from segmentation.sources.excel import read_workbook
from segmentation.sources.text_encoding import UTF_8, encoding_of, write_as_utf8
from segmentation.sources.zip_member import unpack_member

TABLE_SUFFIXES = (".csv", ".txt", ".parquet", ".xlsx")
RAW_SUFFIXES = (*TABLE_SUFFIXES, ".zip")
"""Kinds of files that hold raw tables."""
HOLD_SEVERAL_TABLES = (".xlsx", ".zip")
"""A sheet or a member of an archive is then found by the table's name."""
_CHUNK = 1 << 20


class RawFiles:
    """The raw files of one snapshot, made readable when they are first asked for.

    ``scratch`` is the folder for what is made, else that of temporary files. ``notes`` says
    how a file was read where that was a finding and not a matter of course: file name to
    words, for the page and the manifest. ``spanning`` counts, per table, rows with a value
    that goes on over further lines, and those lines.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self.scratch = scratch
        self.notes: dict[str, str] = {}
        self.spanning: dict[str, tuple[int, int]] = {}
        self._recorded: dict[Path, dict[str, Any]] = {}
        self._states: dict[Path, object] = {}
        self._copies: dict[Path, Path] = {}
        self._ready: dict[tuple[Path, str], Path] = {}
        self._folder: Path | None = None
        self._open = contextlib.ExitStack()
        weakref.finalize(self, self._open.close)  # a notebook's kernel closes nothing

    def fingerprint(self, path: Path) -> dict[str, Any]:
        """Checksum and size of a file, or of the folder of its parts, as the manifest records them.

        Raises
        ------
        SourceError
            If it cannot be read.
        """
        if path not in self._recorded:
            self._states[path] = _state_of(path)
            try:
                self._recorded[path] = path_fingerprint(path)
            except OSError as error:
                raise SourceError(_words(path, error)) from None
        return self._recorded[path]

    def readable(self, path: Path, table: str) -> Path:
        """A file with the rows of a table: UTF-8 text with line feeds, or Parquet.

        Raises
        ------
        SourceError
            If the file is damaged, locked, too large, in no encoding that is read or no
            longer the one recorded, or the disk of temporary files is full; in one sentence.
        """
        key = path, table
        if key not in self._ready:
            try:
                self._ready[key] = self._made(path, table)
            except OSError as error:
                raise SourceError(_words(path, error)) from None
        return self._ready[key]

    def check_unchanged(self) -> None:
        """Refuse results over files that changed since they were recorded.

        Raises
        ------
        SourceError
            Names them.
        """
        changed = [path.name for path, before in self._states.items() if _state_of(path) != before]
        if changed:
            raise SourceError(f"{first_three(changed)}: changed while it was read; run it again.")

    def _made(self, path: Path, table: str) -> Path:
        notes = []
        ready = self._as_recorded(path)
        if path.suffix.lower() == ".zip":
            ready = unpack_member(ready, table, self._new_folder(), TABLE_SUFFIXES)
            notes.append(f"{ready.suffix[1:]} file in a ZIP archive")
        kind = ready.suffix.lower()
        if kind == ".xlsx":
            target = self._new_folder() / f"{table}.parquet"
            notes.append(read_workbook(ready, table, target))
            ready = target
        elif kind != ".parquet" and not ready.is_dir():
            encoding = encoding_of(ready)
            if encoding != UTF_8 or _has_returns(ready):
                target = self._new_folder() / ready.name
                write_as_utf8(ready, encoding, target)
                ready.unlink()
                ready = target
            if encoding != UTF_8:
                notes.append(f"text in {encoding}, as its bytes are not UTF-8")
        if notes:
            self.notes[path.name] = ", ".join(notes)
        return ready

    def _as_recorded(self, path: Path) -> Path:
        """The bytes of a file that were recorded, whatever is written into it meanwhile."""
        self._states.setdefault(path, _state_of(path))
        if path.suffix.lower() == ".parquet" or path.is_dir():
            return path  # may be larger than the disk has room for; see check_unchanged
        if path not in self._copies:
            copy = self._new_folder() / path.name
            found = file_fingerprint(path, copy)
            if found != self._recorded.setdefault(path, found):
                raise SourceError(f"{path.name}: changed while it was read; run it again.")
            self._copies[path] = copy
        return self._copies[path]

    def _new_folder(self) -> Path:
        """A new folder of our own, readable by nobody else."""
        if self._folder is None:
            if self.scratch is None:
                made = self._open.enter_context(tempfile.TemporaryDirectory(prefix="segmentation-"))
            else:
                self.scratch.mkdir(parents=True, exist_ok=True)
                made = str(self._open.enter_context(scratch_folder(self.scratch / "raw")))
            self._folder = Path(made)
        return Path(tempfile.mkdtemp(dir=self._folder))

    def close(self) -> None:
        """Remove what was made; it is made again if it is asked for again."""
        self._ready.clear()
        self._copies.clear()
        self._folder = None
        self._open.close()


def file_fingerprint(path: Path, copy: Path = Path(os.devnull)) -> dict[str, Any]:
    """SHA-256 and number of a file's bytes, each written to `copy` as it was summed up."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file, copy.open("wb") as target:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += target.write(chunk)
    return {"sha256": digest.hexdigest(), "bytes": size}


def path_fingerprint(path: Path) -> dict[str, Any]:
    """Checksum and size of a raw table's file, or of the folder of its parts."""
    if not path.is_dir():
        return file_fingerprint(path)
    parts = {part.relative_to(path).as_posix(): file_fingerprint(part) for part in _parts(path)}
    named = [(name, part["sha256"]) for name, part in parts.items()]
    digest = hashlib.sha256(repr(named).encode()).hexdigest()
    return {"sha256": digest, "bytes": sum(part["bytes"] for part in parts.values())}


def _parts(path: Path) -> list[Path]:
    return sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]


def _state_of(path: Path) -> object:
    """Sizes and times by which a change is noticed; ``ctime`` is nobody's to set back."""
    with contextlib.suppress(OSError):
        states = [(part, part.stat()) for part in _parts(path)]
        return [(part, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for part, s in states]
    return None


def _has_returns(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b"\r" in chunk for chunk in iter(lambda: file.read(_CHUNK), b""))


def _words(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{path.name}: cannot be copied or unpacked, for the disk of temporary files is full; "
            "free some space or set --runs-dir, else TMPDIR, to a folder on another disk."
        )
    return f"{path.name}: cannot be read ({(error.strerror or str(error)).lower()})."
