"""Groups of customers by registration: each has a model of its own; their words for people."""

from __future__ import annotations

from collections.abc import Iterable

SEGMENT_TYPES = ("normal", "pre_register", "unregistered")
SEGMENT_TYPE_LABELS = {
    "normal": "registered before ordering",
    "pre_register": "ordered before registering",
    "unregistered": "had not registered",
}

ALL_CUSTOMERS = "all customers"
_SHORT = {
    "registered before ordering": "registered first",
    "ordered before registering": "ordered first",
    "had not registered": "not registered",
}


def group_labels(kinds: Iterable[str]) -> dict[str, str]:
    """What each ``segment_type`` means in a run that has these groups.

    Only where those who ordered before registering are a group of their own is it true of
    the others that they registered first; and where there is one group, nothing is known
    or said of registration.

    Examples
    --------
    >>> group_labels(["normal", "pre_register"])["normal"]
    'registered before ordering'
    >>> group_labels(["normal", "unregistered"])["normal"], group_labels(["normal"])["normal"]
    ('registered', 'all customers')
    """
    present = set(kinds)
    if "pre_register" in present:
        return SEGMENT_TYPE_LABELS
    alone = present <= {"normal"}
    return SEGMENT_TYPE_LABELS | {"normal": ALL_CUSTOMERS if alone else "registered"}


def short_groups(kinds: Iterable[str]) -> dict[str, str]:
    """`group_labels` in two words, for beside a segment's name and in tables.

    Examples
    --------
    >>> short_groups(["normal", "pre_register"])["normal"], short_groups(["normal"])["normal"]
    ('registered first', 'all customers')
    """
    return {kind: _SHORT.get(words, words) for kind, words in group_labels(kinds).items()}
