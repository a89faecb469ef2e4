"""Ctrl-C and SIGTERM: they wait where outputs take their places, and what is said is true."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HIDDEN = re.compile(r"\..+\.[0-9a-f]{8}\.tmp|\.cache|\.outputs-in-progress\.json")
"""Where working files are; what has such a name on its way is no output."""
_replaced = False
_too_late = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM.

    A plain KeyboardInterrupt that comes while a text is executed, as where a dataclass is made,
    is remembered by Python: it ends by the signal, whatever was caught and said since.
    """


def interrupt(*_: object) -> None:
    """What a signal does."""
    raise Interrupted


def outputs_replaced() -> bool:
    """Whether anything that readers see was replaced since the command began."""
    return _replaced


def came_too_late() -> bool:
    """Whether the command was interrupted when everything was finished."""
    return _too_late


def note_too_late(came: list[int]) -> None:
    """Signals that were held back change nothing any more."""
    global _too_late
    _too_late |= bool(came)


def begin_command() -> None:
    """Nothing is replaced yet."""
    global _replaced, _too_late
    _replaced = _too_late = False


@contextmanager
def signals_held_back(*places: Path) -> Iterator[list[int]]:
    """Let signals wait while outputs take their places.

    Yields
    ------
    list of int
        The signals that came meanwhile; whoever holds them back decides what they do.
    """
    global _replaced
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in _SIGNALS}
    try:
        yield came
        _replaced |= any(not any(map(_HIDDEN.fullmatch, place.parts)) for place in places)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
