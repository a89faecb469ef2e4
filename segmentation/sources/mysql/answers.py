"""Answers of MySQL as Arrow batches: exact decimals stay exact, rows stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from segmentation.core.errors import SourceError
from segmentation.sources.engine import ZONED

ROWS_AT_ONCE = 20_000
KINDS = {
    0: "DECIMAL",
    246: "DECIMAL",
    **dict.fromkeys((1, 2, 3, 8, 9, 13, 16), "BIGINT"),
    4: "DOUBLE",
    5: "DOUBLE",
    **dict.fromkeys((10, 14), "DATE"),
    7: ZONED,
    12: "TIMESTAMP",
}
"""The protocol's numbers for types; all others are text."""


def fetched(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of an answer as they come, many at once."""
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield rows


def refuse_division_by_zero(warnings: list[tuple[Any, ...]]) -> None:
    """Refuse an answer in which the server made NULL of a division by 0.

    Raises
    ------
    SourceError
        With what to write where that is meant.
    """
    if any(number == _DIVISION_BY_ZERO for _, number, _ in warnings):
        raise SourceError(
            "engine mysql: the source's SELECT divides by 0, or takes a logarithm of it, which is "
            "NULL there and no number in files; write x / NULLIF(y, 0) if NULL is meant."
        )


_DIVISION_BY_ZERO = 1365
"""Number of the server's warning."""


def batch(names: list[str], kinds: list[str], rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Some rows as columns of the kinds that the server named.

    Raises
    ------
    SourceError
        If an exact number has more than 38 digits.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    arrays = [_array(kind, values) for kind, values in zip(kinds, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=names)


_ARROW = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    ZONED: pa.timestamp("us"),  # the server has made it a time of the session's zone
    "VARCHAR": pa.string(),
}


def _array(kind: str, values: Sequence[Any]) -> pa.Array:
    if kind != "DECIMAL":
        if kind == "VARCHAR":
            values = [None if value is None else _as_text(value) for value in values]
        return pa.array(values, _ARROW[kind])
    found = next((value for value in values if value is not None), Decimal(0))
    scale = max(0, -int(found.as_tuple().exponent))
    try:
        return pa.array(values, pa.decimal128(38, scale))
    except pa.ArrowInvalid:
        raise SourceError("an exact number has more than 38 digits; check the amounts.") from None


def _as_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes | bytearray) else str(value)
