"""The real server as a user starts it, for tests and for the examples."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import ROOT
from flask.testing import FlaskClient

from segmentation.deliver.api.app import Surroundings, create_app
from segmentation.deliver.api.store import ModelStore

READY_SECONDS = 30


def client_of(model: Path) -> FlaskClient:
    """The application that serves a model, without a server."""
    store = ModelStore(model)
    store.load()
    return create_app(Surroundings(store)).test_client()


@dataclass
class Server:
    """A running server: its process, its port, and the file that its log goes to."""

    process: subprocess.Popen
    port: int
    log: Path | None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **headers
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        given = {"Content-Type": kind} if content is not None else {}
        try:
            connection.request(method, path, content, given | headers)
            answered = connection.getresponse()
            return answered.status, dict(answered.getheaders()), answered.read()
        finally:
            connection.close()

    def ask(self, body: dict, path: str = "/v1/segments") -> dict:
        status, _, content = self.request("POST", path, body)
        assert status == 200, content
        return json.loads(content)

    def get(self, path: str) -> dict:
        return json.loads(self.request("GET", path)[2])

    def raw(self, content: bytes, *, seconds: float = 5.0) -> bytes:
        """Bytes sent as they are; what came back until the server closed or fell silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(OSError):
                while piece := connection.recv(65536):
                    received += piece
            return received

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(text) for text in children.read_text().split()]

    def logged(self) -> list[dict]:
        assert self.log is not None
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait_until(self, condition, *, seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(
    model: Path, *arguments: object, log: Path | None, stderr: Any = None
) -> Iterator[Server]:
    """A server of a model, ready; it is stopped at the end."""
    port = free_port()
    command = [sys.executable, "-m", "segmentation", "serve", str(model), "--port", str(port)]
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(log.open("w")) if log else stderr
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stderr=target, cwd=ROOT, env=dict(os.environ)
        )
        server = Server(process, port, log)
        try:
            server.wait_until(lambda: is_answering(server), seconds=READY_SECONDS)
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=40)


def is_answering(server: Server) -> bool:
    assert server.process.poll() is None, "the server ended"
    try:
        return server.request("GET", "/health/live")[0] == 200
    except OSError:
        return False
