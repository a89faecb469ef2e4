"""The server: gunicorn with threads, one model in every process, replaced while it runs.

Settings by measurement: threads, because the synchronous worker is blocked by slow
clients and loses requests at SIGTERM; one BLAS thread, because the arrays are small; a
socket for each worker, because whoever woke first would take all the connections of one.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from segmentation.core.errors import ModelError
from segmentation.deliver.api.access import ApiKeys
from segmentation.deliver.api.app import Surroundings, create_app
from segmentation.deliver.api.logs import configure_logs
from segmentation.deliver.api.metrics import MAX_WORKERS, Metrics
from segmentation.deliver.api.settings import Settings, bound_sockets, check
from segmentation.deliver.api.store import ModelStore
from segmentation.deliver.api.worker import JsonLogger, Worker

GRACEFUL_SECONDS = 20
POLL_SECONDS = 0.5
logger = logging.getLogger("segmentation.deliver.api")


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
    check(settings)
    keys = ApiKeys(settings.keys) if settings.keys else None
    store = ModelStore(settings.model)
    try:
        store.load()
    except ModelError:
        if not settings.wait_for_model:
            raise
    around = Surroundings(store, Metrics(), keys, settings.max_in_flight)
    listeners = [one.detach() for one in bound_sockets(settings)]
    configure_logs()
    _Application(settings, around, listeners).run()


class _Application(BaseApplication):
    """What gunicorn is told, and what it calls in the master and in each worker."""

    def __init__(self, settings: Settings, around: Surroundings, listeners: list[int]) -> None:
        self.settings, self.around, self.listeners = settings, around, listeners
        self.hang_ups = mmap.mmap(-1, 1)  # how many there were; the workers look
        self.free_slots = list(range(1, MAX_WORKERS))
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": [f"fd://{number}" for number in self.listeners],
            "workers": self.settings.workers,
            "worker_class": Worker,
            "threads": self.settings.threads,
            "graceful_timeout": GRACEFUL_SECONDS,
            "keepalive": 5,
            "backlog": 1024,
            "limit_request_fields": 50,
            "preload_app": True,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
            "logger_class": JsonLogger,
            "control_socket_disable": True,
            "when_ready": self.when_ready,
            "pre_fork": self.pre_fork,
            "post_fork": self.post_fork,
            "post_worker_init": self.post_worker_init,
            "child_exit": self.child_exit,
            "on_exit": lambda _: signal.signal(signal.SIGALRM, signal.SIG_IGN),
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:  # older ones lack the control socket
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(self.around)

    def when_ready(self, arbiter: Any) -> None:
        """In the master: follow the model, so that a new worker starts with the newest good one."""
        host, port = arbiter.LISTENERS[0].getsockname()[:2]
        fields = {"host": host, "port": port, "pid": os.getpid()}
        logger.info("serving", extra={"fields": fields})
        signal.signal(signal.SIGHUP, self.hang_up)  # the model is replaced, not the workers
        # by alarm and not by a thread: a master with threads cannot be forked safely
        seen = self.hang_ups[0]

        def follow(*_: object) -> None:
            nonlocal seen
            seen = self.follow(seen, in_master=True)
            signal.setitimer(signal.ITIMER_REAL, POLL_SECONDS)

        signal.signal(signal.SIGALRM, follow)
        signal.setitimer(signal.ITIMER_REAL, POLL_SECONDS)

    def hang_up(self, *_: object) -> None:
        """SIGHUP: every process loads the model again, changed or not."""
        self.hang_ups[0] = (self.hang_ups[0] + 1) % 256

    def pre_fork(self, _: Any, worker: Any) -> None:
        """Each worker has counters and a socket of its own; a dead one's are passed on."""
        worker.slot = self.free_slots.pop(0) if self.free_slots else 0

    def post_fork(self, _: Any, worker: Any) -> None:
        """In a worker, before it listens."""
        worker.sockets = [worker.sockets[worker.slot % len(worker.sockets)]]

    def child_exit(self, _: Any, worker: Any) -> None:
        """A worker ended, whatever the reason."""
        if worker.slot:
            self.around.metrics.release_slot(worker.slot)
            self.free_slots.insert(0, worker.slot)

    def post_worker_init(self, worker: Worker) -> None:
        """In a worker: follow the model and the keys."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the master's affair
        self.around.metrics.take_slot(worker.slot)

        def watch() -> None:
            seen = self.hang_ups[0]
            while worker.alive:
                time.sleep(POLL_SECONDS)
                worker.cut_late_requests()
                seen = self.follow(seen)

        threading.Thread(target=watch, name="watcher", daemon=True).start()

    def follow(self, seen: int, *, in_master: bool = False) -> int:
        """Take over what changed: the model's files, or a SIGHUP since `seen`; the keys."""
        now, store, metrics = self.hang_ups[0], self.around.store, self.around.metrics
        replaced, failed = store.replacements, store.failures
        try:
            store.refresh(force=now != seen)
            if self.around.keys is not None:
                self.around.keys.refresh()
        except Exception as error:
            logger.error("defect", extra={"fields": {"error": type(error).__name__}})
        if in_master:  # counts once what every process sees
            metrics.count("model_replacements_total", store.replacements - replaced)
            metrics.count("model_failures_total", store.failures - failed)
        return now
