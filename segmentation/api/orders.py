"""Raw order lines -> features, for a shop without a warehouse: ``features.sql`` in Python."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema, with_config
from typing_extensions import TypedDict

from segmentation.api.contract import LARGEST, MAX_BULK_ROWS, CustomerId
from segmentation.api.problems import Problem
from segmentation.model import SegmentModel
from segmentation.schema import TRANSACTIONS

Day = Annotated[dt.date, Field(strict=True, ge=dt.date(1900, 1, 1), le=dt.date(2200, 12, 31))]
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")


def _exact(value: Any) -> Decimal:
    """Python's own reading takes ``1_000``, blanks around and digits of every script."""
    if type(value) not in (str, int, float):
        raise ValueError("neither number nor text")
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise ValueError("text of another form")
    return Decimal(str(value))


Money = Annotated[
    Decimal,
    Field(allow_inf_nan=False, gt=-Decimal(LARGEST), lt=Decimal(LARGEST), decimal_places=6),
    BeforeValidator(_exact),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": -LARGEST, "exclusiveMaximum": LARGEST},
                {"type": "string", "pattern": f"^{_AMOUNT.pattern}$"},
            ],
            "description": "At most 6 decimals; text keeps them exact.",
        }
    ),
]


@with_config(ConfigDict(extra="forbid", strict=True))
class OrderLine(TypedDict):
    """One line of an order, as in the table ``transactions``."""

    customer_id: CustomerId
    order_id: CustomerId
    order_date: Annotated[Day, Field(description=TRANSACTIONS["order_date"].meaning)]
    quantity: Annotated[Money, Field(description=TRANSACTIONS["quantity"].meaning)]
    amount: Annotated[Money, Field(description=TRANSACTIONS["amount"].meaning)]
    is_valid: NotRequired[bool]
    is_return: NotRequired[bool]
    registered_date: NotRequired[Day | None]


@with_config(ConfigDict(extra="forbid", strict=True))
class Orders(TypedDict):
    """Order lines of any number of customers."""

    orders: Annotated[list[OrderLine], Field(min_length=1, max_length=MAX_BULK_ROWS)]
    as_of: NotRequired[Annotated[Day, Field(description="Default: the model's own last day.")]]


ORDERS: TypeAdapter[Orders] = TypeAdapter(Orders)
MAX_VALUES = (MAX_BULK_ROWS + 1) * (len(OrderLine.__annotations__) + 1)


def accepted(name: str) -> str:
    """Words for what a field of an order line accepts."""
    words = {
        "customer_id": "text of 1 to 200 characters, at least one of them visible",
        "order_id": "text of 1 to 200 characters, at least one of them visible",
        "order_date": "a date, YYYY-MM-DD, from 1900-01-01 to 2200-12-31",
        "registered_date": "a date, YYYY-MM-DD, from 1900-01-01 to 2200-12-31, or null",
        "as_of": "a date, YYYY-MM-DD, from 1900-01-01 to 2200-12-31",
        "quantity": "a number, or text of one, with at most 6 decimals (units)",
        "amount": "a number, or text of one, with at most 6 decimals (currency)",
        "is_valid": "true or false",
        "is_return": "true or false",
    }
    return words.get(name, '{"orders": [...]} with ' + ", ".join(OrderLine.__annotations__))


@dataclass
class _Customer:
    first: dt.date | None = None
    last: dt.date | None = None
    registered: dt.date | None = None
    orders: set[str] = field(default_factory=set)
    units: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)


def features_of(
    value: Orders, model: SegmentModel, *, columns: tuple[str, ...] | None
) -> dict[str, Any]:
    """Features of every customer, with the definitions and cleaning rules of the run.

    Parameters
    ----------
    columns : tuple of str or None
        Columns wanted: those that ``POST /v1/segments`` accepts; None = all there are.

    Returns
    -------
    dict
        ``as_of``; ``customers`` in the order of their first line; ``set_aside``: lines
        by rule, as the run's ledger counts them.

    Raises
    ------
    Problem
        422 where no purchase is left.
    """
    rules = model.info.get("parameters", {})
    as_of = value.get("as_of") or _own_as_of(model)
    kept, set_aside = _kept(value["orders"], rules, as_of)
    customers: dict[str, _Customer] = {}
    for line in kept:
        _add(customers.setdefault(line["customer_id"], _Customer()), line)
    if not customers:
        raise Problem(422, "no purchase is left after the cleaning rules.")
    made = [_features(name, one, as_of, model) for name, one in customers.items()]
    if columns is not None:
        made = [{name: customer[name] for name in columns} for customer in made]
    return {
        "as_of": as_of.isoformat(),
        "customers": made,
        "set_aside": dict(sorted(set_aside.items())),
    }


def _own_as_of(model: SegmentModel) -> dt.date:
    try:
        return dt.date.fromisoformat(str(model.info["as_of"]))
    except (KeyError, ValueError):
        raise Problem(422, "the model has no last day of its own; give as_of.") from None


def _kept(
    lines: list[OrderLine], rules: dict[str, Any], as_of: dt.date
) -> tuple[list[OrderLine], Counter[str]]:
    """Lines that no rule sets aside; the first rule counts, as in ``clean.sql``."""
    set_aside: Counter[str] = Counter()
    kept, seen = [], set()
    for line in lines:
        rule = _first_rule(line, rules)
        key = tuple(line.get(name) for name in OrderLine.__annotations__)
        if rule is None and rules.get("duplicates") == "drop" and key in seen:
            rule = "duplicate_line"
        seen.add(key)
        if rule is None and line["order_date"] > as_of:
            rule = "after_as_of"
        if rule is None:
            kept.append(line)
        else:
            set_aside[rule] += 1
    buyers = {line["customer_id"] for line in kept if not line.get("is_return", False)}
    alone = [line for line in kept if line["customer_id"] not in buyers]
    if alone:
        set_aside["return_without_purchase"] = len(alone)
    return [line for line in kept if line["customer_id"] in buyers], set_aside


def _first_rule(line: OrderLine, rules: dict[str, Any]) -> str | None:
    returned = line.get("is_return", False)
    if not line.get("is_valid", True):
        return "invalid_order"
    if returned:
        return "returned" if rules.get("returns", "exclude") == "exclude" else None
    if line["quantity"] <= 0:
        return "non_positive_quantity"
    if line["amount"] < 0:
        return "negative_amount"
    if line["amount"] == 0 and rules.get("zero_amount") == "exclude":
        return "zero_amount"
    return None


def _add(customer: _Customer, line: OrderLine) -> None:
    registered = line.get("registered_date")
    if registered is not None:
        customer.registered = min(registered, customer.registered or registered)
    customer.units += line["quantity"]
    customer.spent += line["amount"]
    if not line.get("is_return", False):
        day = line["order_date"]
        customer.first = min(day, customer.first or day)
        customer.last = max(day, customer.last or day)
        customer.orders.add(line["order_id"])


def _features(
    name: str, customer: _Customer, as_of: dt.date, model: SegmentModel
) -> dict[str, Any]:
    assert customer.first is not None and customer.last is not None  # it has a purchase
    spent, frequency = float(customer.spent), len(customer.orders)
    registered = customer.registered
    waited = None if registered is None else (customer.first - registered).days
    days = np.array([np.nan if waited is None else waited], dtype=np.float64)
    return {
        "customer_id": name,
        "register_to_order": waited,
        "first_to_last_order": (customer.last - customer.first).days,
        "total_unit": float(customer.units),
        "total_spent": spent,
        "recency": (as_of - customer.last).days,
        "frequency": frequency,
        "average_order_value": spent / frequency,
        "tenure": (as_of - customer.first).days,
        "segment_type": model.group_by_registration(days)[0],
    }
