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
import re
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import SourceError, first_three
from segmentation.core.readings import TableReading
from segmentation.sources.csv_checks import COMMA, separator_of
from segmentation.sources.excel import read_workbook
from segmentation.sources.text_encoding import UTF_8, encoding_of, write_as_utf8
from segmentation.sources.texts import (
    objects_as_parquet,
    one_below_the_other,
    rows_as_parquet,
    unpack_gzip,
)
from segmentation.sources.zip_member import unpack_member

OBJECTS = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".txt", ".parquet", ".xlsx", ".tsv", *OBJECTS)
RAW_SUFFIXES = (
    *TABLE_SUFFIXES,
    ".zip",
    *(f"{suffix}.gz" for suffix in (".csv", ".tsv", ".txt", *OBJECTS)),
)
"""Kinds of files that hold raw tables."""
IGNORED = (".md", ".crc", "")
"""What lies beside the parts of a table and is none."""
HOLD_SEVERAL_TABLES = (".xlsx", ".zip")
"""A sheet or a member of an archive is then found by the table's name."""
_SEPARATOR_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright lines"}
_CHUNK = 1 << 20


class RawFiles:
    """The raw files of one snapshot, made readable when they are first asked for.

    ``scratch`` is the folder for what is made, else that of temporary files; ``readings`` is
    what the profile states of tables. ``notes`` says
    how a file was read where that was a finding and not a matter of course: file name to
    words, for the page and the manifest. ``spanning`` counts, per table, rows with a value
    that goes on over further lines, and those lines.
    """

    def __init__(
        self, scratch: Path | None = None, readings: Mapping[str, TableReading] | None = None
    ) -> None:
        self.scratch = scratch
        self._readings = readings or {}
        self.notes: dict[str, str] = {}
        self.spanning: dict[str, tuple[int, int]] = {}
        self.hidden: dict[str, int] = {}
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
        self._states.setdefault(path, _state_of(path))
        if is_one_file(path):
            ready, notes = self._one(path, table)
        elif path.is_dir() and {kind_of(part) for part in parts_of(path)} <= {".parquet", *IGNORED}:
            return path  # an engine may read it as it is
        else:
            ready, notes = self.one_below_the_other(path, table)
        if notes:
            self.notes[path.name] = ", ".join(notes)
        return ready

    def one_below_the_other(self, path: Path, table: str) -> tuple[Path, list[str]]:
        """Several files of one table as one, and how they were read.

        Raises
        ------
        SourceError
            If one is of a kind that is not read, or two hold the same bytes.
        """
        parts: dict[str, Path] = {}
        digests: dict[str, str] = {}
        said: list[str] = []
        for part in parts_of(path):
            kind = kind_of(part)
            if kind not in RAW_SUFFIXES:
                if kind in IGNORED or part.name.startswith((".", "_")):
                    continue
                raise SourceError(
                    f"{path.name}: {part.name} is of a kind that is not read; take it out, or name "
                    "the files of the table in the profile (tables)."
                )
            ready, notes = self._one(part, table)
            twin = digests.setdefault(self.fingerprint(part)["sha256"], part.name)
            if twin != part.name:
                raise SourceError(
                    f"{path.name}: {twin} and {part.name} hold the same bytes, so that their "
                    "lines would count twice; take one of them out."
                )
            parts[part.name] = ready
            said += [note for note in notes if note not in said]
        if not parts:
            raise SourceError(f"{path.name}: holds no file of a kind that is read.")
        target = self._new_folder() / f"{table}.parquet"
        spanning = one_below_the_other(parts, target)
        rows, lines = (sum(counts) for counts in zip((0, 0), *spanning.values(), strict=True))
        self.spanning[table] = rows, lines
        return target, [f"{len(parts):,} files ({first_three(parts)})", *said]

    def _one(self, path: Path, table: str) -> tuple[Path, list[str]]:
        """One file made readable, and how that was done."""
        notes = []
        asked = self._readings.get(table, TableReading())
        ready = self._as_recorded(path)
        if path.suffix.lower() == ".zip":
            ready = unpack_member(ready, table, self._new_folder(), TABLE_SUFFIXES)
            notes.append(f"{ready.suffix[1:]} file in a ZIP archive")
        elif path.suffix.lower() == ".gz":
            target = self._new_folder() / path.stem
            unpack_gzip(ready, target)
            ready = target
        kind = ready.suffix.lower()
        if kind == ".xlsx":
            target = self._new_folder() / f"{table}.parquet"
            said, hidden = read_workbook(
                ready, table, target, sheet=asked.sheet, header_row=asked.header_row
            )
            notes.append(said)
            self.hidden[table] = self.hidden.get(table, 0) + hidden
            return target, notes
        if kind == ".parquet":
            return ready, notes
        encoding = asked.encoding or encoding_of(ready)
        first_line = asked.header_row or (2 if _names_separator(ready, encoding) else 1)
        if encoding != UTF_8 or first_line > 1 or _has_returns(ready):
            target = self._new_folder() / ready.name
            write_as_utf8(ready, encoding, target, first_line=first_line)
            ready.unlink()
            ready = target
        if asked.encoding:
            notes.append(f"text in {encoding}, as the profile says")
        elif encoding != UTF_8:
            notes.append(f"text in {encoding}, as its bytes are not UTF-8")
        target = self._new_folder() / f"{table}.parquet"
        if kind in OBJECTS:
            objects_as_parquet(ready, target)
            return target, [*notes, "one JSON object a line"]
        if kind == ".txt" and not asked.separator:
            return ready, notes
        separator = asked.separator or separator_of(ready)
        if separator == COMMA and kind == ".csv":
            return ready, notes
        self.spanning[table] = rows_as_parquet(ready, separator, target)
        return target, [*notes, f"values separated by {_SEPARATOR_WORDS[separator]}"]

    def _as_recorded(self, path: Path) -> Path:
        """The bytes of a file that were recorded, whatever is written into it meanwhile."""
        if path.suffix.lower() == ".parquet":
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
    if is_one_file(path):
        return file_fingerprint(path)
    parts = {str(part.relative_to(path.parent)): file_fingerprint(part) for part in parts_of(path)}
    named = [(name, part["sha256"]) for name, part in parts.items()]
    digest = hashlib.sha256(repr(named).encode()).hexdigest()
    return {"sha256": digest, "bytes": sum(part["bytes"] for part in parts.values())}


def is_one_file(path: Path) -> bool:
    """Whether a path is a file, and neither a folder of parts nor a pattern of names."""
    return path.is_file() or not (path.is_dir() or "*" in path.name or "?" in path.name)


def parts_of(path: Path) -> list[Path]:
    """The files of a table by name: one, those of a folder, or those that fit a pattern."""
    if is_one_file(path):
        return [path]
    found = path.rglob("*") if path.is_dir() else path.parent.glob(path.name)
    return sorted(part for part in found if part.is_file())


def kind_of(path: Path) -> str:
    """Ending of a file's name in small letters; of a packed one with what is packed.

    Examples
    --------
    >>> kind_of(Path("orders.2024.CSV.gz")), kind_of(Path("orders.2024.csv"))
    ('.csv.gz', '.csv')
    """
    own = path.suffix.lower()
    return Path(path.stem).suffix.lower() + own if own == ".gz" else own


def _state_of(path: Path) -> object:
    """Sizes and times by which a change is noticed; ``ctime`` is nobody's to set back."""
    with contextlib.suppress(OSError):
        states = [(part, part.stat()) for part in parts_of(path)]
        return [(part, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for part, s in states]
    return None


def _has_returns(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b"\r" in chunk for chunk in iter(lambda: file.read(_CHUNK), b""))


def _names_separator(path: Path, encoding: str) -> bool:
    """Whether a text begins with the line by which spreadsheets tell each other a separator."""
    with path.open(encoding=encoding, errors="replace") as file:
        start = file.read(12)
    return bool(re.match(r'\ufeff?"?sep=.', start, re.I))


def _words(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{path.name}: cannot be copied or unpacked, for the disk of temporary files is full; "
            "free some space or set --runs-dir, else TMPDIR, to a folder on another disk."
        )
    return f"{path.name}: cannot be read ({(error.strerror or str(error)).lower()})."
