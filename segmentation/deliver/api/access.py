"""Who may ask: API keys."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from pathlib import Path

from segmentation.core.errors import ParameterError

MIN_KEY_LENGTH = 16
MAX_KEYS_BYTES = 1024 * 1024
logger = logging.getLogger("segmentation.deliver.api")


class ApiKeys:
    """Keys of a file, one per line (``#`` starts a comment), read again when it changes.

    To rotate: add the new key, move the clients, remove the old one; nothing restarts.
    Keys are compared as hashes, all of them, in constant time. Whatever the file comes
    to be, a key that is not in it is not accepted: with a mistake in it the other lines
    count, and without it no key does.

    Attributes
    ----------
    failure : str
        What is wrong with the file now; empty if nothing.

    Raises
    ------
    ParameterError
        If the file is unreadable, empty, or a key is shorter than 16 characters.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure = ""
        self._digests: tuple[bytes, ...] = ()
        self._seen: object = None
        self._lock = threading.Lock()
        self.refresh()
        if self.failure:
            raise ParameterError(f"--keys {path}: {self.failure}")

    def accepts(self, key: str) -> bool:
        """Whether the key is one of those in the file, as it was read last."""
        given = _digest(key)
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, given)
        return found

    def refresh(self) -> None:
        """Read the file again if it changed; what is wrong with it is logged and kept."""
        with self._lock:
            seen = self._stamp()
            if seen is not None and seen == self._seen:
                return
            keys, failure = self._read()
            self._digests, self._seen = tuple(map(_digest, keys)), seen
            if failure and failure != self.failure:
                fields = {"reason": failure, "accepted": len(keys)}
                logger.error("keys_refused", extra={"fields": fields})
            elif self.failure and not failure:
                logger.info("keys_loaded", extra={"fields": {"accepted": len(keys)}})
            self.failure = failure

    def _stamp(self) -> object:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[list[str], str]:
        """Keys that may be used, and what is wrong."""
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_KEYS_BYTES + 1)
            if len(content) > MAX_KEYS_BYTES:
                return [], "is larger than a file of keys."
            lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError):
            return [], "cannot be read."
        given = [line for line in lines if line and not line.startswith("#")]
        keys = [key for key in given if len(key) >= MIN_KEY_LENGTH]
        if not given or len(keys) < len(given):
            return keys, f"give one key per line, each at least {MIN_KEY_LENGTH} characters long."
        return keys, ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
