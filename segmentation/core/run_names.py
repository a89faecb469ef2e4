"""What a run may be called."""

from __future__ import annotations

import unicodedata

from segmentation.core.errors import ParameterError

NAME_SIGNS = " ._-–—+,()&"
"""What a run's name may hold besides letters and digits."""
MAX_NAME_BYTES = 100
"""Leaves room for the temporary names that a run is written under."""


def plain_name(name: str, said: str) -> str:
    """A name that is no more than a name to a file system, a shell, a page and a template."""
    is_plain = all(c.isalnum() or c in NAME_SIGNS or unicodedata.category(c) == "Mn" for c in name)
    ends = (name[:1], name[-1:])
    if (
        not is_plain
        or ends[0] in ("", *".- ")
        or ends[1] == " "
        or len(name.encode()) > MAX_NAME_BYTES
    ):
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise ParameterError(
            f"{said} {shown!r}: a run's name is letters, digits, spaces and {' '.join(NAME_SIGNS[1:])}, "
            f"begins with none of '.', '-' and a space, and has at most {MAX_NAME_BYTES} bytes."
        )
    return name
