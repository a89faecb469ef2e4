"""gunicorn's worker with threads: no request may take for ever, and refusals are problems."""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import struct
import time
from http import HTTPStatus
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from segmentation.deliver.api.logs import configure_logs
from segmentation.deliver.api.problems import PROBLEM_JSON

SILENT_SECONDS = 10
"""A client that sends or takes nothing for so long is let go."""
REQUEST_SECONDS = 20
"""A request is read and answered within, or its connection is cut."""
NEXT_REQUEST_SECONDS = 0.005
"""How long a thread waits for its connection's next request before it lets go of it."""
REQUESTS_PER_THREAD = 16
"""Then other connections have their turn."""
_SILENCE = struct.pack("ll", SILENT_SECONDS, 0)
_STATUS = (
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.UnsupportedTransferCoding, 501),
    (errors.ExpectationFailed, 417),
    (errors.ParseException, 400),
)
logger = logging.getLogger("segmentation.deliver.api")


class JsonLogger(Logger):
    """gunicorn's own messages in the API's log."""

    def setup(self, cfg: Any) -> None:
        """Configure it, by ours and not by gunicorn's own settings."""
        super().setup(cfg)
        configure_logs()
        self.error_log.setLevel(logging.WARNING)
        self.access_log.setLevel(logging.CRITICAL)  # the application logs each request itself


class Worker(ThreadWorker):
    """One of the processes that answer."""

    slot = 0
    """Where it counts; see `Metrics`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.late: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Answer a connection's requests while they follow one another closely.

        Spares the way through the main thread's poller, which costs as much as an answer.
        """
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            with contextlib.suppress(OSError):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, _SILENCE)
        kept: Any = True
        for _ in range(REQUESTS_PER_THREAD):
            self.late[conn] = time.monotonic() + REQUEST_SECONDS
            try:
                kept = super().handle(conn)
            finally:
                del self.late[conn]
            if kept is not True or not self.alive or not _readable(conn.sock):
                break
        return kept

    def cut_late_requests(self) -> None:
        """A byte now and then is not silence, yet holds a thread: cut who takes too long."""
        now = time.monotonic()
        for conn, end in list(self.late.items()):
            if now > end:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse a request that is no HTTP, or fail without saying why to the client."""
        status = next((s for kind, s in _STATUS if isinstance(exc, kind)), 500)
        event = "defect" if status == 500 else "no_http"
        fields = {"status": status, "error": type(exc).__name__}
        logger.warning(event, extra={"fields": fields})
        reason = HTTPStatus(status).phrase
        document = {"type": "about:blank", "title": reason, "status": status}
        body = json.dumps(document | {"detail": "the request is not acceptable HTTP."}).encode()
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
            f"Content-Type: {PROBLEM_JSON}\r\nContent-Length: {len(body)}\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.sendall(head.encode("ascii") + body)


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(1000 * NEXT_REQUEST_SECONDS))
