"""Columns of a database's tables as the project's SQL sees them, and as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from segmentation.sources.engine import ZONED

_BYTE_TYPES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
DATE_TYPES = {"date", "datetime", "timestamp"}
_WHOLE_TYPES = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_EXACT_TYPES = {"decimal", "float", "double"}


@dataclass(frozen=True)
class RawColumn:
    """A column of a table, as the server describes it."""

    name: str
    kind: str
    """The server's word, such as ``varchar``."""
    declared: str
    """With sizes and signs, such as ``int(10) unsigned``."""
    collation: str = ""

    @property
    def shown(self) -> str:
        """Type as the project's SQL sees it, in DuckDB's words."""
        if self.declared.startswith("tinyint(1)"):
            return "BOOLEAN"
        if self.kind in _WHOLE_TYPES | {"year", "bit"}:
            return "DECIMAL(20, 0)" if "unsigned" in self.declared else "BIGINT"
        if self.kind in DATE_TYPES:
            return {"date": "DATE", "timestamp": ZONED}.get(self.kind, "TIMESTAMP")
        return self.declared.split(" ")[0].upper() if self.kind in _EXACT_TYPES else "VARCHAR"

    def read(self) -> Any:
        """The column as one of the project's types; text compares to the last byte."""
        column = exp.column(self.name, quoted=True)
        if self.kind in _BYTE_TYPES:
            return exp.func("LOWER", exp.Anonymous(this="HEX", expressions=[column]))
        if self.kind in _WHOLE_TYPES | {"decimal"} and "unsigned" in self.declared:
            return exp.cast(column, self.shown)  # as text a ZEROFILL would begin with zeros
        if self.kind in ("bit", "year"):
            return exp.cast(column + exp.Literal.number(0), "BIGINT")
        if self.kind == "float":
            return exp.cast(column, "DOUBLE")
        if self.kind in _WHOLE_TYPES | DATE_TYPES | _EXACT_TYPES:
            return column
        return exp.cast(column, "VARCHAR")  # takes on the connection's exact collation


def spelt_out(columns: Sequence[RawColumn]) -> Any:
    """A row as one text in which no two different rows look alike."""
    parts = []
    for column in columns:
        stored: Any = exp.column(column.name, quoted=True)
        if column.kind == "timestamp":  # as text it would depend on the session's zone
            stored = exp.Anonymous(this="UNIX_TIMESTAMP", expressions=[stored])
        value = exp.cast(stored, "VARCHAR")
        length = exp.Anonymous(this="LENGTH", expressions=[value])
        spelt = exp.func("CONCAT", length, exp.Literal.string(":"), value.copy())
        parts.append(exp.func("COALESCE", spelt, exp.Literal.string("-")))
    return exp.Anonymous(this="CONCAT_WS", expressions=[exp.Literal.string(","), *parts])


def is_no_day(column: exp.Column) -> Any:
    """The condition that a date counted in days is another one, such as 31 February."""
    number = exp.Anonymous(this="TO_DAYS", expressions=[column.copy()])
    counted = exp.Anonymous(this="FROM_DAYS", expressions=[number])
    other = exp.or_(
        counted.is_(exp.null()),
        exp.NEQ(
            this=counted.copy(), expression=exp.Anonymous(this="DATE", expressions=[column.copy()])
        ),
    )
    return exp.and_(column.copy().is_(exp.null()).not_(), other)
