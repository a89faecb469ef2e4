"""What a model accepts: one definition for validation, messages and the OpenAPI page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from segmentation.core.columns import FEATURES, Column
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.segments.model import SegmentModel

MAX_ROWS = 10_000
MAX_BULK_ROWS = 100_000
MAX_BODY_BYTES = 16 * 1024 * 1024
ORDINARY_BODY_BYTES = 1024 * 1024
MOST_LARGE_BODIES = 2
"""Larger than ordinary ones, read and answered at once by a worker: under 300 MB of memory."""
LARGE_BODY_WAIT_SECONDS = 5.0
MAX_ID_LENGTH = 200
LARGEST = 1e12
"""No metric of a shop comes near; squares of prepared values stay finite."""
ID_PATTERN = r"[^\x00-\x20\x7f-\xa0]"
"""At least one visible character."""
REFUNDABLE = ("total_unit", "total_spent", "average_order_value")

CustomerId = Annotated[
    str, Field(strict=True, min_length=1, max_length=MAX_ID_LENGTH, pattern=ID_PATTERN)
]


@dataclass(frozen=True)
class Bounds:
    """Accepted values of one feature; ``nullable`` = may be null (never registered)."""

    low: float
    high: float
    nullable: bool = False
    high_excluded: bool = False

    @property
    def words(self) -> str:
        """The bounds as a client reads them."""
        text = f"a number from {self.low:,.0f} to {self.high:,.0f}"
        if self.high_excluded:
            text = f"a number from {self.low:,.0f} to below {self.high:,.0f}"
        return text + (", or null for a customer who never registered" if self.nullable else "")


@dataclass(frozen=True)
class Contract:
    """Input contract of one model.

    ``features`` are the columns a customer needs besides ``customer_id``;
    ``needs_segment_type`` is true where the group of a customer cannot be told from
    them and has to be given.
    """

    features: tuple[str, ...]
    bounds: dict[str, Bounds]
    groups: tuple[str, ...]
    needs_segment_type: bool
    prefix: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column a customer has, in the order they are documented."""
        kind = ("segment_type",) if self.needs_segment_type else ()
        return ("customer_id", *self.features, *kind)

    @cached_property
    def row_type(self) -> Any:
        """One customer as JSON gives it."""
        fields: dict[str, Any] = {"customer_id": CustomerId}
        fields |= {name: self._feature_type(name) for name in self.features}
        if self.needs_segment_type:
            fields["segment_type"] = self._kind_type()
        return _closed(f"{self.prefix}Customer", fields)

    @cached_property
    def rows(self) -> TypeAdapter[Any]:
        """Validator of ``{"customers": [...]}``."""
        customers = Annotated[list[self.row_type], Field(min_length=1, max_length=MAX_ROWS)]  # type: ignore[name-defined]
        return TypeAdapter(_closed(f"{self.prefix}Customers", {"customers": customers}))

    @cached_property
    def row(self) -> TypeAdapter[Any]:
        """Validator of one line of NDJSON."""
        return TypeAdapter(self.row_type)

    @cached_property
    def table(self) -> TypeAdapter[Any]:
        """Validator of ``{"columns": {...}}``."""
        size = Field(min_length=1, max_length=MAX_ROWS)
        fields: dict[str, Any] = {"customer_id": Annotated[list[CustomerId], size]}
        for name in self.features:
            fields[name] = Annotated[list[self._feature_type(name)], size]  # type: ignore[misc]
        if self.needs_segment_type:
            fields["segment_type"] = Annotated[list[self._kind_type()], size]  # type: ignore[misc]
        columns = _closed(f"{self.prefix}Columns", fields)
        return TypeAdapter(_closed(f"{self.prefix}CustomerColumns", {"columns": columns}))

    def _feature_type(self, name: str) -> Any:
        bounds = self.bounds[name]
        upper = {"lt" if bounds.high_excluded else "le": bounds.high}
        column = FEATURES.get(name, CHANCE_BEFORE)
        number = Annotated[
            float,
            Field(
                strict=True,
                allow_inf_nan=False,
                ge=bounds.low,
                description=f"{column.meaning} Unit: {column.unit}.",
                **upper,  # type: ignore[arg-type]
            ),
        ]
        return number | None if bounds.nullable else number

    def _kind_type(self) -> Any:
        return Annotated[str, Field(strict=True, pattern=f"^({'|'.join(self.groups)})$")]

    def accepted(self, name: str) -> str:
        """What a column accepts, for an error sentence."""
        if name == "customer_id":
            return f"text of 1 to {MAX_ID_LENGTH} characters, at least one of them visible"
        if name == "segment_type":
            return "one of " + ", ".join(self.groups)
        return f"{self.bounds[name].words} ({FEATURES.get(name, CHANCE_BEFORE).unit})"


def _closed(name: str, fields: dict[str, Any]) -> Any:
    """TypedDict that refuses unknown keys: pydantic reads it faster than a class."""
    made = TypedDict(name, fields)  # type: ignore[operator, misc]
    return with_config(ConfigDict(extra="forbid", strict=True))(made)


def contract_of(model: SegmentModel) -> Contract:
    """The input contract that follows from a model.

    Registration decides the group of a customer where the model sees it; a value that
    belongs to no fitted group is refused by the contract, not by the model.
    """
    bounds = {name: bounds_of(model, name) for name in model.features}
    groups = tuple(kind for kind in SEGMENT_TYPES if kind in model.groups)
    needs = len(groups) > 1 and "register_to_order" not in model.features
    return Contract(model.features, bounds, groups, needs)


MOST_DAYS = Bounds(0.0, 100_000.0)
FORECAST = Contract(
    features=("recency", "frequency", "tenure", "total_spent"),
    bounds={
        "recency": MOST_DAYS,
        "frequency": Bounds(1.0, 1e6),
        "tenure": MOST_DAYS,
        "total_spent": Bounds(-LARGEST, LARGEST),
    },
    groups=(),
    needs_segment_type=False,
    prefix="Forecast",
)
"""What a forecast asks of a customer, whatever features the model has."""
CHANCE_BEFORE = Column(
    "chance_before",
    "Chance to order before",
    "share",
    "share",
    "The chance that /v1/forecast gave to the same customer's numbers a quarter ago.",
)
CALL_FIRST = replace(
    FORECAST,
    features=(*FORECAST.features, CHANCE_BEFORE.name),
    bounds=FORECAST.bounds | {CHANCE_BEFORE.name: Bounds(0.0, 1.0)},
    prefix="CallFirst",
)
"""What the question whom to call first asks besides: the customer's own past."""


def bounds_of(model: SegmentModel, name: str) -> Bounds:
    """Between what a feature of a customer may lie for a model to assign it."""
    if name == "register_to_order":
        early = "pre_register" in model.groups or not model.split_pre_register
        registered = early or "normal" in model.groups
        late = "normal" in model.groups
        return Bounds(
            low=-LARGEST if early else 0.0,
            high=LARGEST if late or not registered else 0.0,
            nullable="unregistered" in model.groups,
            high_excluded=not late and registered,
        )
    fitted = [g.ranges[name][0] for g in model.groups.values() if name in g.ranges]
    returned = model.info.get("parameters", {}).get("returns") == "net" and name in REFUNDABLE
    negative = returned or min(fitted, default=0.0) < 0
    return Bounds(low=-LARGEST if negative else 0.0, high=LARGEST)
