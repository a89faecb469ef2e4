"""The command, killed as `kill -9` does when it is about to change a file for the n-th time.

`python killed_at.py N LIST COMMAND…`; with N = 0 nothing is killed, and the changes are
written to LIST, one a line. Counted are those of this very process: its helpers and kernels
go on, as they do when the real signal hits it, and have to end by themselves.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def count(limit: int, seen: list[str]) -> None:
    """Number every change of a file from now on, and die before the one asked for."""
    own = os.getpid()

    def hear(event: str, arguments: tuple) -> None:
        if event == "open":
            changes = bool(arguments[2] & WRITES) and isinstance(arguments[0], str)
        else:  # the exchange of two folders is no audited call, but its name is looked up
            changes = event in CHANGES or (event == "ctypes.dlsym" and "renameat2" in arguments)
        if changes and os.getpid() == own:
            seen.append(f"{event} {arguments[0]}")
            if len(seen) == limit:
                os.kill(own, signal.SIGKILL)

    sys.addaudithook(hear)


if __name__ == "__main__":
    limit, listed, sys.argv[1:] = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    from segmentation.__main__ import main

    own, seen = os.getpid(), []
    count(limit, seen)
    try:
        main()
    finally:
        if not limit and os.getpid() == own:  # not in a fork of it
            listed.write_text("\n".join(seen), encoding="utf-8")
