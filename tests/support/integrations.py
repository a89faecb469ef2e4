"""Programs that are no dependency of ours, each in an environment that `make test-integrations` made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import ROOT


def program(environment: str, name: str) -> str:
    """A program of an environment; without it the test is skipped, where CI is set it fails."""
    folder = Path(os.environ.get("INTEGRATIONS", ROOT / "_build" / "integrations"))
    found = folder / environment / "bin" / name
    if not found.exists():
        pytest.skip(f"{environment} is not installed: make test-integrations")
    return str(found)


def surroundings(**settings: str) -> dict[str, str]:
    """Variables for such a program: without those of our own Python."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return own | settings
