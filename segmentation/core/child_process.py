"""How this package starts Python: this very package, and no module of the working folder.

A folder of orders may hold a `json.py` or a `calendar.py`, by accident or not. Python would
import such a file in place of its own module, and run it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Python's own word for it; a child's children inherit it."""


def python_of_this_package(how: str = "-m") -> list[str]:
    """Command of a child that takes no module from the folder it is started in."""
    return [sys.executable, "-P", how]


def environment_of_this_package() -> dict[str, str]:
    """Environment of a child that finds this very package, not another installed one."""
    root, before = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")
    # an empty part of PYTHONPATH would be the working folder
    parts = [root, *filter(None, before.split(os.pathsep))]
    return os.environ | SAFE_PATH | {"PYTHONPATH": os.pathsep.join(parts)}
