"""The server: gunicorn with threads, one model in shared memory, replaced while it runs.

Settings by measurement: threads, because the synchronous worker is blocked by slow
clients and loses requests at SIGTERM; more threads than the slow connections to be
survived; one BLAS thread, because the arrays are small.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import mmap
import os
import select
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from segmentation.api.access import ApiKeys
from segmentation.api.app import Surroundings, create_app
from segmentation.api.logs import configure_logs
from segmentation.api.metrics import MAX_WORKERS, Metrics
from segmentation.api.problems import PROBLEM_JSON
from segmentation.api.store import ModelStore
from segmentation.errors import ModelError, OutputError, ParameterError

SOCKET_SECONDS = 10
"""A client that sends or takes nothing for so long is let go."""
STUCK_WORKER_SECONDS = 30
GRACEFUL_SECONDS = 20
KEEP_ALIVE_SECONDS = 5
POLL_SECONDS = 0.5
GIVE_WAY_SECONDS = 0.002
"""How long a worker leaves a new connection to one that has fewer of them."""
NEXT_REQUEST_SECONDS = 0.005
"""How long a thread waits for its connection's next request before it lets go of it."""
REQUESTS_PER_THREAD = 16
"""Then other connections have their turn."""
logger = logging.getLogger("segmentation.api")


@dataclass(frozen=True)
class Settings:
    """How to serve; see `segmentation serve --help`."""

    model: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    threads: int = 64
    max_in_flight: int = 16
    keys: Path | None = None
    public_without_keys: bool = False
    wait_for_model: bool = False


def serve(settings: Settings) -> None:
    """Serve a model until SIGTERM.

    Raises
    ------
    ModelError
        The model cannot be loaded (unless ``wait_for_model``).
    ParameterError
        A public address without keys, unreadable keys, or numbers out of range.
    OutputError
        The address cannot be bound.
    """
    _check(settings)
    keys = ApiKeys(settings.keys) if settings.keys else None
    store = ModelStore(settings.model)
    try:
        store.load()
    except ModelError:
        if not settings.wait_for_model:
            raise
    around = Surroundings(store, Metrics(settings.workers), keys, settings.max_in_flight)
    _check_address(settings)
    configure_logs()
    _Application(settings, around).run()


def _check(settings: Settings) -> None:
    ranges = {
        "workers": (1, MAX_WORKERS),
        "threads": (1, 1000),
        "max_in_flight": (1, 1000),
        "port": (0, 65535),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(settings, name) <= high:
            option = "--" + name.replace("_", "-")
            raise ParameterError(f"{option}: must be a whole number from {low} to {high}.")
    if (
        settings.keys is None
        and not settings.public_without_keys
        and not _is_loopback(settings.host)
    ):
        raise ParameterError(
            f"--host {settings.host}: is reachable from other machines; give --keys FILE, or say "
            "--public-without-keys if something in front of it checks who asks."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except (OSError, UnicodeError):
        raise OutputError(
            f"--host {settings.host} --port {settings.port}: cannot be bound (in use, not this "
            "machine's, or not allowed); choose another."
        ) from None


class _JsonLogger(Logger):
    """gunicorn's own messages in the API's log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        configure_logs()
        self.error_log.setLevel(logging.WARNING)
        self.access_log.setLevel(logging.CRITICAL)  # the application logs each request itself

    def reopen_files(self) -> None:
        """There are no files: the log is standard error."""


_PARSER_STATUS = (
    (LimitRequestLine, 414),
    (LimitRequestHeaders, 431),
    (UnsupportedTransferCoding, 501),
    (ExpectationFailed, 417),
    (ParseException, 400),
)


class Worker(ThreadWorker):
    """gunicorn's threads; what its parser refuses is a problem document too."""

    metrics_slot = 0
    metrics: Metrics | None = None

    def notify(self) -> None:
        """Tell the other workers how many connections are open here, besides being alive."""
        super().notify()
        if self.metrics is not None:
            self.metrics.put("connections", self.nr_conns)

    def accept(self, listener: Any) -> None:
        """Leave a new connection to a worker with fewer, else one process does all the work.

        Whoever wakes first would take them all: eight connections on one worker of two
        were answered at less than half the speed.
        """
        metrics = self.metrics
        if metrics is not None and metrics.least_of_others("connections") < self.nr_conns:
            time.sleep(GIVE_WAY_SECONDS)
        super().accept(listener)
        if metrics is not None:
            metrics.put("connections", self.nr_conns)

    def handle(self, conn: Any) -> Any:
        """Answer a connection's requests while they follow one another closely.

        Spares the way through the main thread's poller, which costs as much as an answer.
        """
        kept = super().handle(conn)
        for _ in range(REQUESTS_PER_THREAD):
            if kept is not True or not self.alive or not _readable(conn):
                break
            kept = super().handle(conn)
        return kept

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse a request that is no HTTP, or fail without saying why to the client."""
        status = next((s for kind, s in _PARSER_STATUS if isinstance(exc, kind)), 500)
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


def _readable(conn: Any) -> bool:
    """Whether the connection's next request arrives at once; what was read ahead is not asked."""
    if conn.is_http2 or conn.parser.unreader.buf.getvalue():
        return False
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(1000 * NEXT_REQUEST_SECONDS))


class _Generation:
    """A number that the master raises and the workers see: SIGHUP came."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    def value(self) -> int:
        """How often it was raised."""
        return int.from_bytes(self._shared[:8], "little")

    def increase(self) -> None:
        """Raise it; only the master does."""
        self._shared[:8] = (self.value() + 1).to_bytes(8, "little")


class _Application(BaseApplication):
    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self.settings, self.around, self.generation = settings, around, _Generation()
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": f"{__name__}.Worker",
            "threads": settings.threads,
            "worker_connections": 1000,
            "timeout": STUCK_WORKER_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "backlog": 1024,
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "limit_request_field_size": 8190,
            "preload_app": True,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
            "logger_class": _JsonLogger,
            "control_socket_disable": True,
            "when_ready": self._when_ready,
            "post_worker_init": self._post_worker_init,
            "pre_fork": self._pre_fork,
            "child_exit": self._child_exit,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        self._free_slots: list[int] = list(range(1, MAX_WORKERS))
        self._slot_of: dict[int, int] = {}

    def load(self) -> Flask:
        return create_app(self.around)

    def run(self) -> None:
        _Arbiter(self).run()

    def _when_ready(self, arbiter: Any) -> None:
        seconds = struct.pack("ll", SOCKET_SECONDS, 0)
        for listener in arbiter.LISTENERS:  # accepted connections inherit both
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        logger.info("serving", extra={"fields": {"host": host, "port": port, "pid": os.getpid()}})

    def _pre_fork(self, arbiter: Any, worker: Any) -> None:
        worker.metrics_slot = self._free_slots.pop(0) if self._free_slots else 0
        arbiter.slots[worker.age] = worker.metrics_slot

    def _child_exit(self, arbiter: Any, worker: Any) -> None:
        slot = arbiter.slots.pop(worker.age, 0)
        if slot:
            self.around.metrics.release_slot(slot)
            self._free_slots.insert(0, slot)

    def _post_worker_init(self, worker: Any) -> None:
        self.around.metrics.take_slot(worker.metrics_slot)
        worker.metrics = self.around.metrics
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the master's affair
        watcher = threading.Thread(
            target=self._watch, args=(worker,), name="model-watcher", daemon=True
        )
        watcher.start()

    def _watch(self, worker: Any) -> None:
        """Follow the model's files, and SIGHUP, in one worker."""
        seen = self.generation.value()
        while worker.alive:
            time.sleep(POLL_SECONDS)
            now = self.generation.value()
            self.around.store.refresh(force=now != seen)
            if self.around.keys is not None:
                self.around.keys.refresh()
            seen = now


class _Arbiter(Arbiter):
    """gunicorn's master: SIGHUP replaces the model, not the workers."""

    def __init__(self, app: _Application) -> None:
        self.slots: dict[int, int] = {}
        self.around, self.generation = app.around, app.generation
        super().__init__(app)

    def handle_hup(self) -> None:
        """Load the model again, here (for workers yet to come) and in every worker."""
        self._refresh(force=True)
        self.generation.increase()

    def manage_workers(self) -> None:
        """Follow the model's files too, so that a new worker starts with the newest good one."""
        self._refresh(force=False)
        super().manage_workers()

    def _refresh(self, *, force: bool) -> None:
        store, metrics = self.around.store, self.around.metrics
        replaced, failed = store.replacements, store.failures
        store.refresh(force=force)
        metrics.count("model_replacements_total", store.replacements - replaced)
        metrics.count("model_failures_total", store.failures - failed)
