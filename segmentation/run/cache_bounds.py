"""The cache does not grow without end: what was not used for long goes, then the oldest.

What the clock says decides only what is kept, never a result. What a running process uses
stays, and so does whatever the cache did not write itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from segmentation.core.errors import OutputError
from segmentation.run.cache import SEAL, StageCache, lock_of, locked

LARGEST_BYTES = 5_000_000_000
LONGEST_DAYS = 90
"""Bounds of a cache: the size of all results, and the days since each was last used."""
SECONDS_A_DAY = 86_400
RESULT_NAME = re.compile(r"[a-z_]+-[0-9a-f]{20}")
_LEFT = re.compile(r"\.(orders|raw|[a-z_]+-[0-9a-f]{20})(\.[0-9a-f]{8}\.tmp)+")
_LOCK = re.compile(r"\.([a-z_]+-[0-9a-f]{20})\.lock")
_EARLIER = {
    "figures": re.compile(r"[0-9a-f]{40}\.png"),
    "notebooks": re.compile(r".+-\w{20}\.json"),
}
"""What earlier versions kept beside results; nothing reads it."""


@dataclass
class Cleaned:
    """What a clean-up removed and what it left, in results and bytes."""

    removed: int = 0
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    in_use: int = 0

    def count_removed(self, size: int) -> None:
        """Count one more result as removed."""
        self.removed += 1
        self.removed_bytes += size

    def __str__(self) -> str:
        said = f"removed {self.removed:,} results, {self.removed_bytes / 1e6:,.1f} MB"
        used = f", {self.in_use:,} of them in use by a running process" if self.in_use else ""
        return f"{said}; kept {self.kept:,}, {self.kept_bytes / 1e6:,.1f} MB{used}"


def clean(
    root: Path, *, largest_bytes: float = LARGEST_BYTES, longest_days: float = LONGEST_DAYS
) -> Cleaned:
    """Remove from a cache what is beyond its bounds, and what killed processes left.

    Parameters
    ----------
    root : Path
        The ``.cache`` of a folder of runs; it need not exist.
    """
    cleaned, results = Cleaned(), []
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        with contextlib.suppress(OSError):  # removed meanwhile, or not to be read by us
            if _is_result(path):
                seal = path / SEAL
                used = (seal if seal.exists() else path).stat().st_mtime
                results.append((used, _size(path), path))
            elif _is_left(path):
                _remove(path)
            elif path.name in _EARLIER and path.is_dir():
                for file in [f for f in path.iterdir() if _EARLIER[path.name].fullmatch(f.name)]:
                    cleaned.count_removed(file.stat().st_size)
                    file.unlink()
    total = sum(size for _, size, _ in results)
    oldest = time.time() - longest_days * SECONDS_A_DAY
    for used, size, path in sorted(results):
        is_beyond = used < oldest or total > largest_bytes
        if is_beyond and _remove(path):
            cleaned.count_removed(size)
            total -= size
        else:
            cleaned.kept += 1
            cleaned.kept_bytes += size
            cleaned.in_use += is_beyond
    return cleaned


def clean_runs(runs_dir: Path, *, everything: bool = False) -> Cleaned:
    """What ``segmentation clean`` does with a folder of runs.

    Raises
    ------
    OutputError
        If there is no such folder.
    """
    if not runs_dir.is_dir():
        raise OutputError(
            f"--runs-dir {runs_dir}: there is no such folder; name that of your runs."
        )
    bounds = {"largest_bytes": -1} if everything else {}
    return clean(runs_dir / ".cache", **bounds)


def keep_in_bounds(cache: StageCache) -> None:
    """What a run or report does at its end; nobody fails for a cache that stays too large."""
    cache.release()
    with contextlib.suppress(OSError):
        clean(cache.root)


def _is_result(path: Path) -> bool:
    is_ours = RESULT_NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    return bool(is_ours) and any((path / name).is_file() for name in (SEAL, "cost.json"))


def _is_left(path: Path) -> bool:
    """Whether this is the working folder of who may be dead, or the lock of no result."""
    lock = _LOCK.fullmatch(path.name)
    if lock:
        return not path.with_name(lock[1]).exists()
    return bool(_LEFT.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _remove(path: Path) -> bool:
    """Remove a result, a working folder or a lock; False where a process uses it."""
    alone = fcntl.LOCK_EX | fcntl.LOCK_NB
    try:
        with contextlib.ExitStack() as held:
            if _is_result(path):
                held.enter_context(locked(lock_of(path), alone, create=True))
            held.enter_context(locked(path, alone))
            if path.suffix == ".lock":
                path.unlink()
                return True
            gone = path.with_name(f".{path.name.strip('.')}.{secrets.token_hex(4)}.tmp")
            path.rename(gone)
            lock_of(path).unlink(missing_ok=True)
    except OSError:
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True
