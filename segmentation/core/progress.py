"""How far a long step is: for somebody who watches, never for a file or a scheduler's log."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def progress_bar(*things: Any, wanted: bool = True, **settings: Any) -> Any:
    """tqdm's bar where standard error is a terminal, and it is wanted; else none."""
    return tqdm(*things, disable=None if wanted else True, **settings)
