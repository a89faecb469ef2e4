"""YAML without two of its traps: a repeated key is refused, a date stays text."""

from __future__ import annotations

from typing import Any

import yaml


class RepeatedKeyError(Exception):
    """A name that stands twice in one mapping: which of the two was meant?"""


class _PlainLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise RepeatedKeyError(f"{name} is given twice, at lines {seen[name]} and {line}")
            seen[name] = line
        return super().construct_mapping(node, deep)


_PlainLoader.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
)


def read_yaml(text: str) -> Any:
    """Plain values of a YAML text.

    Raises
    ------
    RepeatedKeyError
        With the name and both lines.
    yaml.YAMLError
        If the text is no YAML.

    Examples
    --------
    >>> read_yaml("as_of: 2023-02-30")
    {'as_of': '2023-02-30'}
    """
    loader = _PlainLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()  # type: ignore[no-untyped-call]
