"""How the files of a raw table are to be read, where the profile says so."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class TableReading(BaseModel):
    """What the profile states of one raw table; what it does not is told from the file.

    ``files`` is a file, a folder or a pattern such as ``orders_*.csv`` below the location:
    several files are one table, with the column ``file``. ``header_row`` counts rows, or
    lines of a text, from 1; ``sheet`` is a sheet of a workbook.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    files: str | None = Field(None, min_length=1)
    separator: Literal[",", ";", "\t", "|"] | None = None
    decimal: Literal[",", "."] | None = None
    encoding: str | None = None
    sheet: str | None = Field(None, min_length=1)
    header_row: Annotated[int, Field(ge=1, le=1000)] | None = None


ACCEPTED = {
    "files": "a file, folder or pattern below the location, such as orders_*.csv",
    "separator": "one of , ; | or a tab",
    "decimal": "a comma or a point",
    "encoding": "an encoding such as utf-8 or cp1252",
    "sheet": "the name of a sheet",
    "header_row": "a whole number from 1 to 1000",
}


def readings_from(values: Any) -> dict[str, TableReading]:
    """Readings by table, from plain values.

    Raises
    ------
    ValueError
        Names the table, the entry and what would be accepted.

    Examples
    --------
    >>> readings_from({"orders": {"separator": ";"}})["orders"].separator
    ';'
    >>> readings_from({"orders": {"decimal": ";"}})
    Traceback (most recent call last):
    ValueError: orders: decimal is ';', accepted is a comma or a point
    """
    if not isinstance(values, dict):
        raise ValueError("write one table a line, as orders: {separator: ';'}")
    return {str(table): _reading(str(table), given) for table, given in values.items()}


Entry = TypeVar("Entry", bound=BaseModel)


def entry_of(
    kind: type[Entry], owner: str, given: Any, accepted: dict[str, str], *, shape: str
) -> Entry:
    """One entry of a parameter that is a mapping, from plain values; ``accepted`` is in words.

    Raises
    ------
    ValueError
        Names the owner, the value and what would be accepted; ``shape`` where it is no mapping.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, dict):
        raise ValueError(f"{owner}: write {shape}")
    if unknown := [str(name) for name in given if name not in accepted]:
        raise ValueError(f"{owner}: unknown {unknown[0]}; known are {', '.join(accepted)}")
    try:
        return kind(**given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        held = f"is {given[name]!r}" if name in given else "is missing"
        raise ValueError(f"{owner}: {name} {held}, accepted is {accepted[name]}") from None


def _reading(table: str, given: Any) -> TableReading:
    shape = f"{{name: value}} with names of {', '.join(ACCEPTED)}"
    reading = entry_of(TableReading, table, given, ACCEPTED, shape=shape)
    if reading.encoding is not None:
        try:
            codecs.lookup(reading.encoding)
        except LookupError:
            raise ValueError(f"{table}: encoding {reading.encoding!r} is not known") from None
    path = PurePosixPath(reading.files or "")
    if path.is_absolute() or ".." in path.parts or "\\" in str(path):
        raise ValueError(f"{table}: files {reading.files!r} is not below the location")
    return reading
