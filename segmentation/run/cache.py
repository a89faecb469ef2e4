"""Results of stages, remembered by what decided them.

The key of a stage is a hash of its own parameters, the keys of the stages it needs and
the package's code; so a changed parameter, input file or line of code never reuses an
old result. A result appears in the cache by one rename, once it is safely on the disk: it is
complete or not there. What has been damaged since is computed anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import weakref
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.core.atomic import scratch_folder, swap_folder
from segmentation.core.errors import OutputError, in_one_sentence
from segmentation.run import arrays
from segmentation.segments.model import SegmentModel, load_model

PRESENTATION = ("deliver", "book", "cli.py")
"""What only shows results; editing it recomputes nothing."""
SEAL = "sha256.json"
"""Written last into a stage's folder: a result without it, or unlike it, is computed anew."""
NO_FILE = "no file"
COMPUTING_PACKAGES = ("duckdb", "numpy", "pandas", "scikit-learn", "scipy", "sqlglot")


class StageCache:
    """A folder of stage results, safe for two processes at once.

    With ``reuse`` false nothing that was there before is believed: each stage is computed
    once more and takes the place of its remembered result.
    """

    def __init__(self, root: Path, *, reuse: bool = True) -> None:
        self.root = root
        self.reuse = reuse
        self._sound: set[Path] = set()
        self._held: list[int] = []
        weakref.finalize(self, _close, self._held)

    def folder(self, stage: str, key: str) -> Path:
        """Where a stage's result is, or will be."""
        return self.root / f"{stage}-{key}"

    def find(self, stage: str, key: str) -> Path | None:
        """Folder of a stage's result, if every file in it is as it was written.

        Files are read for that once in the life of this object.
        """
        target = self.folder(stage, key)
        if target not in self._sound and self.reuse and self._hold(target) and is_sealed(target):
            self._sound.add(target)
            with contextlib.suppress(OSError):  # a cache that may only be read
                os.utime(target / SEAL)  # says when it was last used
        return target if target in self._sound and target.is_dir() else None

    def get_or_compute(self, stage: str, key: str, compute: Callable[[Path], None]) -> Path:
        """Folder of a stage's result; computed under a lock where it is not there, or damaged.

        Parameters
        ----------
        compute : callable
            Gets an empty folder to write the result into.

        Raises
        ------
        OutputError
            If the cache cannot be written.
        """
        target = self.folder(stage, key)
        if self.find(stage, key):
            return target
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(lock_of(target), fcntl.LOCK_EX, create=True):
                if self.find(stage, key):
                    return target
                if target.is_symlink() or not target.is_dir():
                    target.unlink(missing_ok=True)
                with scratch_folder(target) as working:
                    compute(working)
                    seal(working, target.name)
                    swap_folder(working, target)
                self._hold(target)
                self._sound.add(target)
        except OSError as error:
            number = error.errno or getattr(error.__cause__, "errno", None)
            reason = os.strerror(number) if number else in_one_sentence(error).rstrip(".")
            raise OutputError(
                f"cannot write to {self.root}: {reason}; free the disk or choose another "
                "--runs-dir."
            ) from None
        return target

    def _hold(self, target: Path) -> bool:
        """Let nobody remove a result as long as we may read it; False where there is none."""
        try:
            self._held.append(_open_locked(target, fcntl.LOCK_SH))
        except OSError as error:
            return error.errno in (errno.ENOLCK, errno.ENOTSUP)  # no locks on this disk
        return True

    def release(self) -> None:
        """Let results be removed again; what is asked for after this is verified anew."""
        _close(self._held)
        self._sound.clear()


def _close(handles: list[int]) -> None:
    while handles:
        os.close(handles.pop())


def lock_of(target: Path) -> Path:
    """The file whose lock is held by who computes or removes a result."""
    return target.with_name(f".{target.name}.lock")


@contextlib.contextmanager
def locked(path: Path, how: int, *, create: bool = False) -> Iterator[None]:
    """Hold a lock on the file or folder of that name."""
    handle = _open_locked(path, how, os.O_CREAT | os.O_RDWR if create else os.O_RDONLY)
    try:
        yield
    finally:
        os.close(handle)


def _open_locked(path: Path, how: int, flags: int = os.O_RDONLY) -> int:
    while True:
        handle = os.open(path, flags | os.O_NONBLOCK, 0o666)  # a pipe in its place: no waiting
        try:
            fcntl.flock(handle, how)
            with contextlib.suppress(FileNotFoundError):  # another took its place meanwhile
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def seal(folder: Path, name: str) -> None:
    """Write down what a finished folder holds, and the name that it will have."""
    text = json.dumps({"name": name, "files": _content_of(folder)}, indent=1)
    (folder / SEAL).write_text(text, encoding="utf-8")


def is_sealed(folder: Path) -> bool:
    """Whether a folder holds what was in it when it was finished, and nothing else."""
    try:
        content = _content_of(folder)
        if content.pop(SEAL, NO_FILE) == NO_FILE:
            return False
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(sealed == {"name": folder.name, "files": content})


def _content_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by its name; what is no file is said to be none."""
    content = {}
    for path in sorted(folder.rglob("*")):
        content[path.relative_to(folder).as_posix()] = NO_FILE
        if stat.S_ISREG(path.lstat().st_mode):  # not a link, nor a pipe that nobody writes to
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            content[path.relative_to(folder).as_posix()] = digest
    return content


def save_results(folder: Path, results: dict[str, Any]) -> None:
    """Write a stage's results: tables as Parquet, what holds arrays as .npz, a
    model as its folder, the rest as JSON."""
    for name, value in results.items():
        if isinstance(value, pd.DataFrame):
            table = pa.Table.from_pandas(value, preserve_index=False)
            write_parquet(table, folder / f"{name}.parquet")
        elif isinstance(value, SegmentModel):
            (folder / name).mkdir()
            value.save(folder / name)
        elif isinstance(value, dict) and any(is_dataclass(part) for part in value.values()):
            arrays.save(folder / f"{name}.npz", value)
        else:
            text = json.dumps(value, indent=1, sort_keys=False, default=str)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")


def write_parquet(table: pa.Table, path: Path) -> None:
    """Parquet with page checksums, so that a flipped bit is refused and not summed."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def load_result(folder: Path, name: str) -> Any:
    """Read one result of a stage back.

    Raises
    ------
    KeyError
        If the stage has no such result.
    """
    if (path := folder / f"{name}.parquet").exists():
        table = pq.read_table(path, page_checksum_verification=True)
        return table.to_pandas(date_as_object=False)
    if (path := folder / f"{name}.npz").exists():
        return arrays.load(path)
    if (path := folder / name).is_dir():
        return load_model(path)
    if (path := folder / f"{name}.json").exists():
        return json.loads(path.read_text(encoding="utf-8"))
    raise KeyError(name)


@cache
def code_fingerprint() -> str:
    """Hash of the code and rules that decide results (not of what only shows them).

    The packages that compute are code too: another version may give other numbers.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in COMPUTING_PACKAGES:
        digest.update(name.encode() + b"\0" + metadata.version(name).encode() + b"\0")
    files = [*package.rglob("*.py"), *package.rglob("*.sql"), *package.rglob("*.yaml")]
    for path in sorted(files):
        relative = path.relative_to(package)
        if relative.parts[0] not in PRESENTATION:
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


@cache
def package_fingerprint() -> str:
    """Hash of every module of the package, those that only show results included."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
