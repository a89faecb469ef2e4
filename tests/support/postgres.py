"""A private PostgreSQL server for the tests: own data folder, loopback only, gone at the end.

It is spoken to with its own `psql`, so that no driver is needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALL = "apt-get install -y --no-install-recommends postgresql"


@dataclass
class PostgresServer:
    """One running server; the user of the tests connects without a password."""

    folder: Path
    port: int

    def psql(self, script: str, *, database: str = "postgres") -> str:
        """Run statements and commands of psql; what they print."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", "-d", database]
        done = subprocess.run(
            [_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *address],
            input=script,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"PGCLIENTENCODING": "UTF8"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


def _program(name: str) -> str:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, debian)))
    if found is None:
        pytest.skip(f"{name} of PostgreSQL is not installed: {INSTALL}")
    return os.path.realpath(found) if name != "psql" else found  # its wrapper asks for its name


@contextlib.contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """A new server; it refuses to be root's, so root starts it as `postgres`."""
    # root's: else whoever runs the tests
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_user = as_user if os.getuid() == 0 else []
    initdb, control = _program("initdb"), _program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quick = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
    data, quiet = f"--pgdata={folder / 'data'}", {"check": True, "cwd": folder, "timeout": 120}
    new = ["--username=tester", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    log = f"--log={folder / 'log'}"
    try:
        subprocess.run([*as_user, initdb, data, *new], capture_output=True, **quiet)
        start = [*as_user, control, data, log, "-w", f"--options={quick}", "start"]
        subprocess.run(start, stdout=subprocess.DEVNULL, **quiet)
        yield PostgresServer(folder, port)
    finally:
        stop = [*as_user, control, data, "--mode=immediate", "stop"]
        subprocess.run(stop, capture_output=True, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with private_postgres() as server:
        yield server
