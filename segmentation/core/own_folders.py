"""Which folders are this program's own, and may be replaced or removed.

A mark in a folder says what made it and lists every file with its checksum. A folder is
replaced only if it has that mark and holds nothing else: a file that a person put there,
or changed, is never lost.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from segmentation.core.errors import OutputError, first_three

MARK = ".segmentation.json"
RUN, BOOK, COMPARISON, REDUCED_MODEL = "run", "book", "comparison", "reduced model"
PROCESSED, MLFLOW_MODEL, AUDIENCE = "processed data", "MLflow model", "audience"
BYTE_CODE = "__pycache__"
"""What Python leaves beside code that it runs; nobody's."""


def mark_folder(folder: Path, kind: str, *, leave_out: Collection[str] = ()) -> None:
    """Write the mark of a finished folder: what it is, and every file as it is now.

    Parameters
    ----------
    leave_out : collection of str
        Files that are not ours, by their path in the folder.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): _checksum(path)
        for path in paths
        if path != folder / MARK and path.relative_to(folder).as_posix() not in leave_out
    }
    text = json.dumps({"kind": kind, "files": files}, indent=0, ensure_ascii=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")


def marked_files(folder: Path, kind: str) -> dict[str, str] | None:
    """Checksums of what a folder of this kind was made with; None if it has no such mark."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        files = mark["files"] if mark["kind"] == kind else None
        return files if isinstance(files, dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def foreign_in(folder: Path, files: Mapping[str, str | None]) -> list[str]:
    """What is in a folder and was not written there by this program, or was changed since.

    Parameters
    ----------
    files : mapping
        Files that belong there, each with its checksum; None: whatever is in it.
    """
    holding = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    found: list[str] = []
    unreadable: list[OSError] = []
    for above, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if name != BYTE_CODE]
        for path in (Path(above, name) for name in (*folders, *names)):
            name = path.relative_to(folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                is_own = name in holding
            else:
                is_own = name == MARK or (name in files and _is_as_made(path, files[name]))
            if not is_own:
                found.append(name)
    found += [str(error.filename) for error in unreadable]
    return sorted(found)


def is_own(folder: Path, kind: str) -> bool:
    """Whether a folder has our mark and holds nothing foreign."""
    files = marked_files(folder, kind)
    return files is not None and not foreign_in(folder, files)


def is_own_file(path: Path) -> bool:
    """Whether a file is as this program wrote it into a folder of processed data."""
    files = marked_files(path.parent, PROCESSED) or {}
    return path.name in files and _is_as_made(path, files[path.name])


def refuse_foreign(folder: Path, kind: str, remedy: str) -> None:
    """Refuse to replace a folder that is not ours, or holds what a person put there.

    Parameters
    ----------
    remedy : str
        What else to do, as ``name another folder``.

    Raises
    ------
    OutputError
        In one sentence.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: a file of that name is in the way; {remedy}.")
    files = marked_files(folder, kind)
    if files is None:
        raise OutputError(
            f"{folder}: is there already and is no {kind} that this program made; move it elsewhere, "
            f"or {remedy}."
        )
    refuse_listed(folder, foreign_in(folder, files), remedy)


def refuse_listed(folder: Path, foreign: list[str], remedy: str) -> None:
    """Refuse a folder for what it holds besides our own files, if anything."""
    if foreign:
        raise OutputError(
            f"{folder}: holds {len(foreign):,} file(s) or folder(s) that were added or changed "
            f"since it was made ({first_three(foreign)}); move them elsewhere, or {remedy}."
        )


def _is_as_made(path: Path, checksum: str | None) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        return checksum is None or _checksum(path) == checksum
    except OSError:
        return False


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
