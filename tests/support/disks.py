"""A disk of a given size, where this machine lets a test mount one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own in an empty folder; without one the test is skipped."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    may_mount = sys.platform == "linux" and os.geteuid() == 0
    if not may_mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk of a given size needs root and mount on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
