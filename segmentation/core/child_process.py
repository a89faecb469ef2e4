"""How this package starts Python: this very package, and no module of the working folder.

A folder of orders may hold a `json.py` or a `calendar.py`, by accident or not. Python would
import such a file in place of its own module, and run it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Python's own word for it; a child's children inherit it."""

ENDS_WITH_ITS_INPUT = (
    "import os, threading; "
    "threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start(); "
)
"""Start of a child's program, so that a killed parent (see `tied_input`) leaves none behind."""


def python_of_this_package(how: str = "-m") -> list[str]:
    """Command of a child that takes no module from the folder it is started in."""
    return [sys.executable, "-P", how]


def environment_of_this_package() -> dict[str, str]:
    """Environment of a child that finds this very package, not another installed one."""
    root, before = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")
    # an empty part of PYTHONPATH would be the working folder
    parts = [root, *filter(None, before.split(os.pathsep))]
    return os.environ | SAFE_PATH | {"PYTHONPATH": os.pathsep.join(parts)}


@contextmanager
def tied_input() -> Iterator[int]:
    """Standard input for a child, which ends when this process does, however that happens."""
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(read)
        os.close(write)
