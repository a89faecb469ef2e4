"""YAML without its traps: a date stays text; what is twice, endless or too deep is refused."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from segmentation.core.errors import ParameterError

LONGEST_NUMBER_BITS = 1023
"""What a float can hold."""


class RepeatedKeyError(yaml.YAMLError):
    """A name that stands twice in one mapping: which of the two was meant?"""


class _TrapError(yaml.MarkedYAMLError):
    """What YAML allows and nobody means."""


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few lines of them make billions of values
            mark = self.peek_event().start_mark
            raise _TrapError(problem="has an alias", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        try:
            number = super().construct_yaml_int(node)
        except ValueError:  # Python itself reads no more than 4,300 digits
            number = None
        if number is None or number.bit_length() > LONGEST_NUMBER_BITS:
            problem = "has a number that is none, or has too many digits,"
            raise _TrapError(problem=problem, problem_mark=node.start_mark)
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise RepeatedKeyError(f"{name} is given twice, at lines {seen[name]} and {line}")
            seen[name] = line
        return super().construct_mapping(node, deep)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)
_PlainLoader.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
)


def read_yaml(text: str) -> Any:
    """Plain values of a YAML text; the same text is parsed once in a process.

    Raises
    ------
    RepeatedKeyError
        With the name and both lines.
    yaml.YAMLError
        If the text is no YAML, or has an alias, a number of more than 300 digits, or lists in
        lists in lists without end.

    Examples
    --------
    >>> read_yaml("as_of: 2023-02-30")
    {'as_of': '2023-02-30'}
    """
    return copy.deepcopy(_parsed(text))


@lru_cache(maxsize=32)
def _parsed(text: str) -> Any:
    loader = _PlainLoader(text)
    try:
        return loader.get_single_data()
    except RecursionError:
        raise _TrapError(problem="is nested too deep") from None
    except (ValueError, LookupError) as error:  # a value that its own tag does not fit
        raise yaml.YAMLError(str(error)) from None
    finally:
        loader.dispose()  # type: ignore[no-untyped-call]


def said_of(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML text, and where, for the middle of a sentence.

    Examples
    --------
    >>> for text in ("a: [1", "a: &b [*b]", f"a: {'9' * 5000}"):
    ...     try:
    ...         read_yaml(text)
    ...     except yaml.YAMLError as error:
    ...         print(said_of(error))
    is not YAML at line 1, column 6
    has an alias at line 1, column 8
    has a number that is none, or has too many digits, at line 1, column 4
    """
    said = str(error.problem) if isinstance(error, _TrapError) else "is not YAML"
    mark = getattr(error, "problem_mark", None)
    return f"{said} at line {mark.line + 1}, column {mark.column + 1}" if mark else said


def read_yaml_file(path: Path, *, called: str, missing: str, remedy: str) -> Any:
    """Plain values of a YAML file; ``called`` is what the user knows it by.

    Raises
    ------
    ParameterError
        If the file is missing (``missing`` says so), cannot be read or is not YAML
        (``remedy`` is what to do).
    """
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except RepeatedKeyError as error:
        said = f"{error}; give it once"
    except FileNotFoundError:
        said = missing
    except (OSError, UnicodeDecodeError) as error:
        said = f"cannot be read ({type(error).__name__})"
    except yaml.YAMLError as error:
        said = f"{said_of(error)}; {remedy}"
    raise ParameterError(f"{called}: {said}.")
