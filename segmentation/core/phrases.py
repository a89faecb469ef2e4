"""Small pieces of sentences that every room needs."""

from __future__ import annotations

from collections.abc import Sequence

from segmentation.core.limits import LEAST_PUBLISHED


def listed(items: Sequence[str]) -> str:
    """A list in words.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(n: int, noun: str) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "customer"), plural(1200, "customer"), plural(2, "copy")
    ('1 customer', '1,200 customers', '2 copies')
    """
    if n == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{n:,} {many}"


def told(n: int, noun: str = "") -> str:
    """A count of people in a sentence; how few they are is not said.

    Examples
    --------
    >>> told(12, "customer"), told(3, "customer"), told(3)
    ('12 customers', 'fewer than 5 customers', 'fewer than 5')
    """
    if 0 < n < LEAST_PUBLISHED:
        return f"fewer than {LEAST_PUBLISHED} {plural(2, noun)[2:] if noun else ''}".strip()
    return plural(n, noun) if noun else f"{n:,}"


def shorten(text: str, most: int) -> str:
    """Cut a text of the data that no panel or sentence could hold; tables have it whole.

    Examples
    --------
    >>> shorten("Kitchen towels", 8), shorten("Towels", 8)
    ('Kitchen…', 'Towels')
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
