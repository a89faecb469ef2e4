"""A private MariaDB server for tests, spoken to through its own command-line client."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

WHERE_FROM = "needs MariaDB: apt-get install mariadb-server"
SECONDS_TO_START = 60


@dataclass(frozen=True)
class PrivateServer:
    """A running server that only its socket reaches."""

    socket: Path

    def run(self, sql: str, *, database: str = "") -> list[list[str]]:
        """Rows of the statements' answers as the client prints them, header first."""
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root"]
        command += ["--batch", "--local-infile=1", "--default-character-set=utf8mb4"]
        done = subprocess.run(
            [*command, database] if database else command,
            input=sql,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.split("\n")[:-1]]


def start_server(folder: Path) -> tuple[PrivateServer, subprocess.Popen]:
    """A new server with an empty data folder below ``folder``, without a network port."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip(WHERE_FROM)
    data, socket = folder / "data", folder / "s.sock"
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    process = subprocess.Popen(
        [
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            f"--user={user}",
            f"--pid-file={folder / 'pid'}",
            "--skip-networking",
            "--local-infile=1",
            "--sql-mode=TRADITIONAL",
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w", encoding="utf-8"),
    )
    deadline = time.monotonic() + SECONDS_TO_START
    while not socket.exists():
        assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.1)
    return PrivateServer(socket), process
