"""Who may ask, and how often: API keys and a rate limit."""

from __future__ import annotations

import hashlib
import hmac
import mmap
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np

from segmentation.errors import ParameterError

MIN_KEY_LENGTH = 16
MAX_KEYS_BYTES = 1024 * 1024
RATE_SLOTS = 4096
_CHECK_SECONDS = 1.0


class ApiKeys:
    """Keys of a file, one per line (``#`` starts a comment), read again when it changes.

    To rotate: add the new key, move the clients, remove the old one; nothing restarts.
    Keys are compared as hashes, all of them, in constant time.

    Raises
    ------
    ParameterError
        If the file is unreadable, empty, or a key is shorter than 16 characters.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digests: tuple[bytes, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        self._next_check = 0.0
        self._lock = threading.Lock()
        self._read()

    def accepts(self, key: str) -> bool:
        """Whether the key is one of those in the file now."""
        self._refresh()
        given = _digest(key)
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, given)
        return found

    def _refresh(self) -> None:
        if time.monotonic() < self._next_check:
            return
        with self._lock:
            self._next_check = time.monotonic() + _CHECK_SECONDS
            try:
                if self._stamp_now() != self._stamp:
                    self._read()
            except (OSError, ParameterError):
                return  # half-written or gone: the keys known so far stay valid

    def _stamp_now(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> None:
        try:
            stamp = self._stamp_now()
            if stamp[1] > MAX_KEYS_BYTES:
                raise ParameterError(f"--keys {self.path}: is larger than a file of keys.")
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise ParameterError(f"--keys {self.path}: cannot be read.") from None
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not keys or min(map(len, keys)) < MIN_KEY_LENGTH:
            raise ParameterError(
                f"--keys {self.path}: give one key per line, each at least "
                f"{MIN_KEY_LENGTH} characters long."
            )
        self._digests, self._stamp = tuple(_digest(key) for key in keys), stamp


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class RateLimit:
    """Requests per second and client, over all workers (token bucket in shared memory).

    Made before the workers fork. Clients are told apart by a hash into 4,096 slots; two
    clients in one slot share its allowance.

    Parameters
    ----------
    per_second : float
        Sustained rate; a burst of two seconds' worth is let through.
    """

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.burst = max(1.0, 2 * per_second)
        shared = mmap.mmap(-1, RATE_SLOTS * 16)
        self._slots = np.frombuffer(shared, dtype=np.float64).reshape(RATE_SLOTS, 2)
        self._slots[:, 0] = self.burst
        self._lock = multiprocessing.Lock()

    def wait_seconds(self, client: str) -> float:
        """Zero where the request may pass, else seconds until the next may."""
        slot = int.from_bytes(_digest(client)[:4], "big") % RATE_SLOTS
        if not self._lock.acquire(timeout=1.0):  # its holder was killed: do not block for ever
            return 0.0
        try:
            now = time.monotonic()
            tokens, before = self._slots[slot]
            tokens = min(
                self.burst, tokens + (now - before) * self.per_second if before else tokens
            )
            passed = tokens >= 1
            self._slots[slot] = (tokens - 1 if passed else tokens, now)
            return 0.0 if passed else (1 - tokens) / self.per_second
        finally:
            self._lock.release()
