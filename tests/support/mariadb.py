"""A private MariaDB server for the tests: own data folder, loopback only, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mysql.connector
import pytest

INSTALL = "apt-get install -y --no-install-recommends mariadb-server"


@dataclass
class MariaDbServer:
    """One running server; ``root`` has no password and connects over TCP or the socket."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    user: str = "root"
    password: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / "mariadb.sock"

    def location(self, database: str, **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"mysql://{self.host}:{self.port}/{database}" + (f"?{query}" if query else "")

    def start(self) -> MariaDbServer:
        command = [
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            f"--socket={self.socket}",
            # its own: a server that starts clears its folder of all such files
            f"--tmpdir={self.folder / 'data'}",
            f"--pid-file={self.folder / 'mariadb.pid'}",
            "--innodb-buffer-pool-size=128M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin",
            "--skip-name-resolve",
            *(["--user=mysql"] if os.getuid() == 0 else []),
            *self.options,
        ]
        log = (self.folder / "mariadb.log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(300):
            with contextlib.suppress(mysql.connector.Error):
                self.connect().close()
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.kill()
        raise RuntimeError((self.folder / "mariadb.log").read_text("utf-8", "replace")[-2000:])

    def connect(self, database: str | None = None, **settings: Any) -> Any:
        known = {"user": self.user, "password": self.password, "autocommit": True}
        return mysql.connector.connect(
            host=self.host,
            port=self.port,
            database=database,
            charset="utf8mb4",
            collation="utf8mb4_general_ci",
            use_pure=True,
            **(known | settings),
        )

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as root; rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with (
            contextlib.closing(self.connect(database)) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def new_database(self, name: str, *statements: str) -> list[tuple[Any, ...]]:
        """Make a database, in place of one of that name, and run statements in it."""
        self.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        return self.execute(*statements, database=name)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """The server dies at once, as in a power cut."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(20)

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: {INSTALL}")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def private_server(*options: str) -> Iterator[MariaDbServer]:
    """A new server with an empty data folder; killed and removed afterwards."""
    _program("mariadbd")
    install = _program("mariadb-install-db")
    # short, because the path of a socket may have 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    server = MariaDbServer(folder, _free_port(), options)
    try:
        as_root = os.getuid() == 0
        if as_root:
            shutil.chown(folder, "mysql")
        subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *(["--user=mysql"] if as_root else []),
            ],
            check=True,
            capture_output=True,
            timeout=120,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        yield server.start()
    finally:
        server.resume()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    """A running private server, shared by the tests of a session: stop or break another one."""
    with private_server() as server:
        yield server


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands connect as the server's root, whoever's option file there is."""
    monkeypatch.setenv("MYSQL_USER", "root")
    monkeypatch.setenv("MYSQL_PASSWORD", "")
    monkeypatch.setenv("HOME", str(tmp_path))
