"""One table's file out of a ZIP archive, without trusting the archive."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from segmentation.core.errors import SourceError, first_three

MAX_UNPACKED = 8 << 30
"""Bytes that a member may unpack to."""
RATIO_CHECKED_FROM = 64 << 20
MAX_RATIO = 200
"""Orders shrink to a tenth or a fiftieth; only made-up repetition shrinks further."""
_ENCRYPTED = 0x1


def unpack_member(path: Path, table: str, folder: Path, suffixes: tuple[str, ...]) -> Path:
    """Unpack the member that holds a table; its name below `folder` is ours, not the archive's.

    The member is the one named after the table, or the only one of a kind that is read.

    Raises
    ------
    SourceError
        If the file is no ZIP archive or damaged, encrypted, names files outside of itself,
        would unpack to far more than it should, or holds no or several such members.
    """
    with _opened(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        check_members(path, members)
        member = _chosen(path, members, table, suffixes)
        target = folder / f"{table}{PurePosixPath(member.filename).suffix.lower()}"
        with archive.open(member) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    return target


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(
            f"{path.name}: is no complete ZIP archive ({type(error).__name__}); "
            "download or export it again."
        ) from None


def check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that would do harm when unpacked.

    Raises
    ------
    SourceError
        If it is encrypted, names files outside of itself, or is a bomb.
    """
    outside = [m.filename for m in members if _leads_outside(m)]
    if outside:
        raise SourceError(
            f"{path.name}: names {len(outside):,} file(s) outside of the archive "
            f"({first_three(repr(name[:60]) for name in outside)}); do not use it."
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise SourceError(f"{path.name}: is locked with a password; unpack it first.")
    unpacked = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_CHECKED_FROM and unpacked / packed > MAX_RATIO):
        raise SourceError(
            f"{path.name}: would unpack from {packed:,} to {unpacked:,} bytes, which no table of "
            "orders does; it is not unpacked."
        )


def _leads_outside(member: zipfile.ZipInfo) -> bool:
    name = member.filename.replace("\\", "/")
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    has_drive = name[1:2] == ":" and name[:1].isalpha()
    return is_link or has_drive or name.startswith("/") or ".." in PurePosixPath(name).parts


def _chosen(
    path: Path, members: list[zipfile.ZipInfo], table: str, suffixes: tuple[str, ...]
) -> zipfile.ZipInfo:
    readable = [
        member
        for member in members
        if PurePosixPath(member.filename).suffix.lower() in suffixes
        and not any(
            part.startswith((".", "__MACOSX")) for part in PurePosixPath(member.filename).parts
        )
    ]
    named = [m for m in readable if PurePosixPath(m.filename).stem.casefold() == table.casefold()]
    found = named or readable
    if len(found) == 1:
        return found[0]
    if not found:
        held = first_three(member.filename[:60] for member in members) or "nothing"
        raise SourceError(
            f"{path.name}: holds no file of a kind that is read ({', '.join(suffixes)}); "
            f"it holds {held}."
        )
    raise SourceError(
        f"{path.name}: holds {len(found):,} files that could be table {table} "
        f"({first_three(member.filename[:60] for member in found)}); "
        f"name one of them {table}{PurePosixPath(found[0].filename).suffix.lower()}."
    )
