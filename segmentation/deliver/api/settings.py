"""How to serve, checked before anything starts."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from segmentation.core.errors import OutputError, ParameterError
from segmentation.deliver.api.metrics import MAX_WORKERS


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


def check(settings: Settings) -> None:
    """Refuse numbers out of range, and an address that others reach without keys.

    Raises
    ------
    ParameterError
        Names the option and what it accepts.
    """
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


def bound_sockets(settings: Settings) -> list[socket.socket]:
    """A socket for each worker, bound to the address; the system shares connections out.

    They are the master's, so that what waits in the queue of a killed worker is answered
    by its successor. Only the first is bound without sharing: the address must be free.

    Raises
    ------
    OutputError
        If it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made: list[socket.socket] = []
    try:
        for number in range(settings.workers):
            made.append(socket.socket(family))
            made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(number > 0))
            made[-1].bind((settings.host, made[0].getsockname()[1] if number else settings.port))
            made[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except (OSError, UnicodeError, OverflowError):
        for one in made:
            one.close()
        raise OutputError(
            f"--host {settings.host} --port {settings.port}: cannot be bound (in use, not this "
            "machine's, or not allowed); choose another."
        ) from None
    return made
