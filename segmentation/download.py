"""One file over HTTP into a file beside its place, continued where it was broken off."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from segmentation.atomic import in_words
from segmentation.errors import ParameterError, SourceError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two downloads at once are then not noticed
    fcntl = None  # type: ignore[assignment]

MAX_BYTES = 1 << 30
LEAST_BYTES_PER_SECOND = 1024
"""A server slower than that over the whole time-out does not deliver."""
_CHUNK = 1 << 16
_PAUSES = (0.5, 2.0)
"""Seconds before the second and the third attempt."""
_ELSEWHERE = "name another address with --url, or import a copy with --from-file"


class _BrokenOffError(Exception):
    """What may go better at the next attempt; says why."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an open connection."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:  # fmt: skip
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise SourceError(
                f"{_shown(req.full_url)}: redirects from https to {newurl.split(':')[0]}, which "
                f"nobody could trust; {_ELSEWHERE}."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, part: Path, *, timeout: float, label: str) -> None:
    """Bring a file to `part`, going on with what an earlier attempt left there.

    Interrupted by a fault, it is tried again twice; what has arrived stays in `part` for
    the next call, together with the mark by which the server knows the same file. With a
    full disk, an address that is wrong, or a file that is too large nothing stays.

    Raises
    ------
    ParameterError
        If the address is none.
    SourceError
        If the server is absent, refuses, is slower than `LEAST_BYTES_PER_SECOND` over
        `timeout` seconds, breaks off, or redirects without end; in one sentence.
    OutputError
        If `part` cannot be written.
    """
    check_address(url)
    with in_words(part), _only_one(part):
        try:
            _try_again(url, part, timeout=timeout, label=label)
        except (SourceError, OSError):
            remove_part(part)
            raise
        except _BrokenOffError as broken:
            kept = part.stat().st_size if part.exists() else 0
            rest = (
                f"{kept:,} bytes are kept, and the same command goes on from there"
                if kept
                else _ELSEWHERE
            )
            raise SourceError(f"{_shown(url)}: {broken}; {rest}.") from None
    _mark_of(part).unlink(missing_ok=True)


def check_address(url: str) -> None:
    """Refuse what is no address of a file on a server, or holds a password.

    Raises
    ------
    ParameterError
        In one sentence that does not repeat a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ParameterError("--url: give https://host/file; a file of this machine: --from-file.")
    if parts.username or parts.password:
        raise ParameterError("--url: holds a user or password; give an address without.")


def remove_part(part: Path) -> None:
    """Remove what a download left behind."""
    part.unlink(missing_ok=True)
    _mark_of(part).unlink(missing_ok=True)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _mark_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


@contextlib.contextmanager
def _only_one(part: Path) -> Iterator[None]:
    lock_file = part.with_name(part.name + ".lock")
    with lock_file.open("ab") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceError(
                    f"{part.parent}: another download is running there; wait for it."
                ) from None
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)


def _try_again(url: str, part: Path, *, timeout: float, label: str) -> None:
    for pause in (*_PAUSES, None):
        try:
            _attempt(url, part, timeout=timeout, label=label)
            return
        except _BrokenOffError:
            if pause is None:
                raise
            time.sleep(pause)


def _attempt(url: str, part: Path, *, timeout: float, label: str) -> None:
    headers = {"User-Agent": "segmentation-report", "Accept-Encoding": "identity"}
    have, mark = _kept(part, url)
    if have and mark:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    response = _answer(urllib.request.Request(url, headers=headers), part, timeout=timeout)
    with contextlib.closing(response):
        if response.status != 206 or not _begins_at(response, have):
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if (total or 0) > MAX_BYTES:
            raise SourceError(f"{_shown(url)}: offers {total:,} bytes, which this data set is not.")
        _remember(part, url, response.headers.get("ETag"), response.headers.get("Last-Modified"))
        have = _receive(response, part, have, total, timeout=timeout, label=label, url=url)
    if total is not None and have < total:
        raise _BrokenOffError(f"the answer ended after {have:,} of {total:,} bytes")


def _kept(part: Path, url: str) -> tuple[int, str]:
    """Bytes that are there, and the mark of the file that they belong to."""
    try:
        remembered = json.loads(_mark_of(part).read_text(encoding="utf-8"))
        if remembered["url"] == url:
            return part.stat().st_size, str(remembered["mark"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _remember(part: Path, url: str, etag: str | None, modified: str | None) -> None:
    mark = etag if etag and not etag.startswith("W/") else modified
    _mark_of(part).write_text(json.dumps({"url": url, "mark": mark}), encoding="utf-8")


def _begins_at(response: Any, place: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {place}-")


def _answer(request: urllib.request.Request, part: Path, *, timeout: float) -> Any:
    shown = _shown(request.full_url)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            remove_part(part)
        if error.code in (416, 429) or error.code >= 500:
            raise _BrokenOffError(f"the server answers {error.code}") from None
        if 300 <= error.code < 400:
            raise SourceError(f"{shown}: redirects without end; {_ELSEWHERE}.") from None
        said = f"{error.code} {http.client.responses.get(error.code, '')}".strip()
        raise SourceError(f"{shown}: the server answers {said}; {_ELSEWHERE}.") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise SourceError(
                f"{shown}: the server cannot prove who it is (certificate); {_ELSEWHERE}."
            ) from None
        why = error.reason
        said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
        raise _BrokenOffError(f"the server cannot be reached ({said.lower()})") from None
    except (OSError, http.client.HTTPException):
        raise _BrokenOffError("the server accepts and does not answer") from None


def _receive(
    response: Any, part: Path, have: int, total: int | None, *, timeout: float, label: str, url: str
) -> int:
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=label) as bar,
    ):
        pace = _Pace(timeout, have)
        while total is None or have < total:
            try:
                chunk = response.read1(_CHUNK)
            except TimeoutError:
                raise _BrokenOffError(f"the server sent nothing for {timeout:g} seconds") from None
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                raise _BrokenOffError(f"the connection broke after {have:,} bytes") from None
            if not chunk:
                break
            file.write(chunk)
            have += len(chunk)
            if have > MAX_BYTES:
                raise SourceError(f"{_shown(url)}: does not end, which this data set does.")
            bar.update(len(chunk))
            pace.check(have)
        file.flush()
        os.fsync(file.fileno())
    return have


class _Pace:
    """Gives up on a server that sends a byte now and then."""

    def __init__(self, seconds: float, have: int) -> None:
        self.seconds = seconds
        self.since, self.bytes = time.monotonic(), have

    def check(self, have: int) -> None:
        passed = time.monotonic() - self.since
        if passed < self.seconds:
            return
        if have - self.bytes < passed * LEAST_BYTES_PER_SECOND:
            raise _BrokenOffError(
                f"the server sends less than {LEAST_BYTES_PER_SECOND:,} bytes a second"
            )
        self.since, self.bytes = time.monotonic(), have
