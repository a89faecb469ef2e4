"""The one exception family: mistakes a user can mend.

Everything here ends a command with exit code 2 and one sentence that says what is
wrong, how many, which (first three) and where to fix it. Any other exception is a
defect of the program and ends with exit code 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice


class SegmentationError(Exception):
    """A mistake of the user's, said in one sentence."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, as the command line does, not a traceback."""
        return [f"{type(self).__name__}: {self}"]


class ParameterError(SegmentationError):
    """A parameter is unknown, has the wrong type or is out of its range."""


class SourceError(SegmentationError):
    """The order data is missing, unreadable or not in the agreed shape."""


class OutputError(SegmentationError):
    """Results cannot be written where they were asked for."""


class ModelError(SegmentationError):
    """A saved model is missing, damaged or of another version."""


class ReportError(RuntimeError):
    """A notebook or a page of a report fails: said in a few lines, without a traceback.

    No mistake in an input, so it ends a command with exit code 1.
    """


def first_three(values: Iterable[object]) -> str:
    """List the first three different values, for an error sentence, each of them short.

    Examples
    --------
    >>> first_three(["a", "b", "c", "d"])
    'a, b, c, …'
    >>> first_three([4, 4])
    '4'
    """
    different = list(islice(dict.fromkeys(map(str, values)), 4))
    listed = [text if len(text) <= 100 else text[:99] + "…" for text in different]
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")


def in_one_sentence(error: Exception) -> str:
    """First line of another program's message as the end of one of ours.

    Examples
    --------
    >>> in_one_sentence(ValueError("Expected a number. Found a date.\\nLINE 1: SELECT x"))
    'Expected a number; found a date.'
    """
    line = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()[0].rstrip(" .!")
    joined = re.sub(r"[.!]\s+([A-Z])(?=[a-z])", lambda start: "; " + start.group(1).lower(), line)
    return f"{joined}."
