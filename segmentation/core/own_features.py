"""Features of a shop's own: what the profile says of each, so that it is shown like the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segmentation.core.columns import (
    FEATURES,
    RESPONSE_DAYS,
    SEGMENT_COLUMNS,
    SHIPPED_FEATURES,
    TRANSACTIONS,
    Column,
)
from segmentation.core.readings import entry_of

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = (
    *(*SHIPPED_FEATURES, *SEGMENT_COLUMNS, *TRANSACTIONS),
    *("as_of", "customers", "customers_share", "revenue", "revenue_share", "silhouette", "tier"),
    *("cohort", "part", "days", "rule", "file", "chance", "expected_orders", "expected_value"),
    *("days_before", "days_to_order", "next_amount", "spent_first_day", "outcome_days"),
    *(f"revenue_{days}" for days in RESPONSE_DAYS),
)
"""Columns of tables that have features too."""
_SQL = (
    "all analyse and any array as asc between by case cast check column create cross current "
    "default delete desc distinct drop else end except exists false for from full group having "
    "in index inner insert interval into is join key keys lateral left like limit natural not "
    "null of offset on or order outer over partition primary range rank right row rows select "
    "set some table then to true union unique update user using values when where window with"
)
_ENDINGS = ("_mean", "_median", "_above", "_upto", "_scaled", "_after", "_next")
_UNITS = {"money": "currency", "share": "share"}
_Text = Annotated[str, Field(pattern=r"^[^\W_][\w ,.'&/()+%-]*$")]
ACCEPTED = {
    "label": "a text of at most 40 letters, digits and , . ' & / ( ) + % -",
    "unit": "a text such as opens; money and share need none",
    "format": "count, days, money, share or score",
    "meaning": "a sentence of at most 200 characters",
}


class FeatureLabel(BaseModel):
    """What one feature of a shop's own is called, counted in and printed as."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: Annotated[_Text, Field(max_length=40)]
    unit: Annotated[_Text, Field(max_length=20)] | None = None
    format: Literal["count", "days", "money", "share", "score"] = "count"
    meaning: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f<>]+$")] | None = None


def labels_from(values: Any) -> dict[str, FeatureLabel]:
    """Own features by name, from plain values; they are rows of `columns.FEATURES` from then on.

    Raises
    ------
    ValueError
        Names the feature, the entry and what would be accepted.

    Examples
    --------
    >>> labels_from({"recency": {"label": "Days away", "unit": "days"}})
    Traceback (most recent call last):
    ValueError: recency is the name of another column; call it otherwise
    """
    if not isinstance(values, dict):
        raise ValueError("write one feature a line, as opens: {label: Mails opened, unit: mails}")
    labels = {str(name): _label(str(name), given) for name, given in values.items()}
    _know(
        Column(
            name,
            said.label,
            _UNITS.get(said.format, said.unit or ""),
            said.format,
            said.meaning or f"{said.label}, a feature of this shop's own.",
        )
        for name, said in labels.items()
    )
    return labels


def _know(own: Iterable[Column]) -> None:
    """Make features of a profile's own rows of `FEATURES`, as the shipped ones are.

    They stand behind the shipped ones by name, so that no order depends on what else was read.
    """
    known = FEATURES | {column.name: column for column in own}
    for name in sorted(set(known) - set(SHIPPED_FEATURES)):
        FEATURES.pop(name, None)
        FEATURES[name] = known[name]


def low_and_high(name: str) -> tuple[str, str]:
    """Words for a low and a high value of a feature that nobody gave words of its own.

    Examples
    --------
    >>> low_and_high("total_unit")
    ('low units bought', 'high units bought')
    """
    label = FEATURES[name].label.lower()
    return f"low {label}", f"high {label}"


def _label(name: str, given: Any) -> FeatureLabel:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: small letters, digits and _, at most 40")
    if name in _TAKEN or name.endswith(_ENDINGS):
        raise ValueError(f"{name} is the name of another column; call it otherwise")
    if name in _SQL.split():
        raise ValueError(f"{name} is a word of SQL; call it otherwise")
    shape = "{label: …, unit: …, format: …}"
    said = entry_of(FeatureLabel, name, given, ACCEPTED, shape=shape)
    if said.unit is None and said.format not in _UNITS:
        raise ValueError(f"{name}: unit is missing, accepted is {ACCEPTED['unit']}")
    return said
