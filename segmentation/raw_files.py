"""Files as people have them -> files that the embedded engine reads as they are.

A workbook becomes a Parquet file of texts, a ZIP archive the one file in it, a text in
ISO-8859-1 a text in UTF-8. Each is made once, in a folder that goes away with the object.
"""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from segmentation.errors import SourceError
from segmentation.text_encoding import UTF_8, encoding_of, write_as_utf8
from segmentation.workbook_reader import read_workbook
from segmentation.zip_member import unpack_member

TABLE_SUFFIXES = (".csv", ".txt", ".parquet", ".xlsx")
RAW_SUFFIXES = (*TABLE_SUFFIXES, ".zip")
"""Kinds of files that hold raw tables, in the order in which a folder is searched."""
HOLD_SEVERAL_TABLES = (".xlsx", ".zip")
"""A sheet or a member of an archive is then found by the table's name."""


class RawFiles:
    """The raw files of one snapshot, made readable when they are first asked for.

    ``notes`` says how a file was read where that was a finding and not a matter of course:
    file name to words, for the page and the manifest. ``spanning`` counts, per table, rows
    with a value that goes on over further lines, and those lines.
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.spanning: dict[str, tuple[int, int]] = {}
        self._ready: dict[tuple[Path, str], Path] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def readable(self, path: Path, table: str) -> Path:
        """A file with the rows of a table: UTF-8 text or Parquet.

        Raises
        ------
        SourceError
            If the file is damaged, locked, too large or in no encoding that is read, or
            the disk of temporary files is full; in one sentence.
        """
        key = path, table
        if key not in self._ready:
            try:
                self._ready[key] = self._made(path, table)
            except OSError as error:
                raise SourceError(_words(path, error)) from None
        return self._ready[key]

    def _made(self, path: Path, table: str) -> Path:
        notes = []
        ready = path
        if path.suffix.lower() == ".zip":
            ready = unpack_member(path, table, self._scratch(), TABLE_SUFFIXES)
            notes.append(f"{ready.suffix[1:]} file in a ZIP archive")
        kind = ready.suffix.lower()
        if kind == ".xlsx":
            target = self._scratch() / f"{table}.parquet"
            notes.append(read_workbook(ready, table, target))
            ready = target
        elif kind != ".parquet":
            encoding = encoding_of(ready)
            if encoding != UTF_8:
                target = self._scratch() / ready.name
                write_as_utf8(ready, encoding, target)
                notes.append(f"text in {encoding}, as its bytes are not UTF-8")
                ready = target
        if notes:
            self.notes[path.name] = ", ".join(notes)
        return ready

    def _scratch(self) -> Path:
        """A new folder of our own, readable by nobody else."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="segmentation-")
        return Path(tempfile.mkdtemp(dir=self._folder.name))

    def close(self) -> None:
        """Remove what was made; it is made again if it is asked for again."""
        self._ready.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _words(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{path.name}: cannot be unpacked, for the disk of temporary files is full; "
            "free some space or set TMPDIR to a folder on another disk."
        )
    return f"{path.name}: cannot be read ({(error.strerror or str(error)).lower()})."
