"""Raw order lines -> features, for a shop without a warehouse, by the run's own SQL."""

from __future__ import annotations

import datetime as dt
import re
import threading
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import (
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    WithJsonSchema,
    with_config,
)
from typing_extensions import TypedDict

from segmentation.core.columns import SHIPPED_FEATURES, TRANSACTIONS
from segmentation.core.errors import first_three
from segmentation.deliver.api.contract import LARGEST, MAX_ID_LENGTH, CustomerId
from segmentation.deliver.api.problems import Problem
from segmentation.segments.model import SegmentModel

MAX_LINES = 50_000
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


Words = Annotated[str, Field(strict=True, max_length=MAX_ID_LENGTH)]


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
    is_non_product: NotRequired[bool]
    is_listed_twice: NotRequired[bool]
    product: NotRequired[Words | None]
    category: NotRequired[Words | None]
    payment_method: NotRequired[Words | None]
    country: NotRequired[Words | None]


@with_config(ConfigDict(extra="forbid", strict=True))
class Orders(TypedDict):
    """Order lines of any number of customers; the first that is wrong is told."""

    orders: Annotated[list[OrderLine], Field(min_length=1, max_length=MAX_LINES), FailFast()]
    as_of: NotRequired[Annotated[Day, Field(description="Default: the model's own last day.")]]


ORDERS: TypeAdapter[Orders] = TypeAdapter(Orders)
_RULES = {"returns": "exclude", "non_product": "keep", "zero_amount": "keep", "duplicates": "keep"}
_USUAL = dict.fromkeys(("is_return", "is_non_product", "is_listed_twice"), False) | {
    "is_valid": True
}
_PACKAGE = Path(__file__).parents[2]
_CLEAN_SQL = (_PACKAGE / "orders/sql/clean.sql").read_text(encoding="utf-8")
_LONE_RETURNS_SQL = (_PACKAGE / "orders/sql/lone_returns.sql").read_text(encoding="utf-8")
_CANCELLED_SQL = (_PACKAGE / "orders/sql/cancelled.sql").read_text(encoding="utf-8")
_WITHOUT_PRODUCT = "SELECT COUNT(*) FROM transactions WHERE is_return AND product IS NULL"
_FEATURES_SQL = (_PACKAGE / "customers/sql/features.sql").read_text(encoding="utf-8")
_one_at_a_time = threading.Lock()
MAX_KEYS = len(OrderLine.__annotations__)


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
    }
    if name in OrderLine.__annotations__ and name not in words:
        flag = TRANSACTIONS[name].kind == "flag"
        return "true or false" if flag else f"text of at most {MAX_ID_LENGTH} characters, or null"
    return words.get(name, '{"orders": [...]} with ' + ", ".join(OrderLine.__annotations__))


def features_of(
    value: Orders, model: SegmentModel, *, columns: tuple[str, ...] | None
) -> dict[str, Any]:
    """Features of every customer, by the run's own ``clean.sql`` and ``features.sql``.

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
        422 where no purchase is left, or the run set lines aside by a mark that no line has.
    """
    given = model.info.get("parameters", {})
    rules = {name: given.get(name, usual) for name, usual in _RULES.items()}
    as_of = value.get("as_of") or _own_as_of(model)
    lines = value["orders"]
    if rules["non_product"] == "exclude" and not any("is_non_product" in line for line in lines):
        raise Problem(422, "the run set aside what is no product; give is_non_product.")
    made, set_aside = _by_sql(_table(lines), rules, as_of)
    if not made:
        raise Problem(422, "no purchase is left after the cleaning rules.")
    places = {line["customer_id"]: -place for place, line in enumerate(reversed(lines))}
    made.sort(key=lambda customer: places[customer["customer_id"]])
    days = np.array([customer["register_to_order"] for customer in made], dtype=np.float64)
    for customer, kind in zip(made, model.group_by_registration(days).tolist(), strict=True):
        customer["segment_type"] = kind
    if columns is not None:
        if own := [n for n in model.features if n not in SHIPPED_FEATURES]:
            raise Problem(
                422,
                f"no order line tells {first_three(own)}; get the other features from "
                "/v1/features, and give all of them to /v1/segments.",
            )
        made = [{name: customer[name] for name in columns} for customer in made]
    return {"as_of": as_of.isoformat(), "customers": made, "set_aside": set_aside}


def _own_as_of(model: SegmentModel) -> dt.date:
    try:
        return dt.date.fromisoformat(str(model.info["as_of"]))
    except (KeyError, ValueError):
        raise Problem(422, "the model has no last day of its own; give as_of.") from None


def _table(lines: list[OrderLine]) -> Any:
    """The lines as table ``transactions``; each number keeps the decimals it came with."""
    import pyarrow as pa

    kinds = {"flag": pa.bool_(), "date": pa.date32(), "text": pa.string()}
    columns = {}
    for name in OrderLine.__annotations__:
        values: list[Any] = [line.get(name, _USUAL.get(name)) for line in lines]
        kind = kinds.get(TRANSACTIONS[name].kind)
        if kind is None:
            scale = max(0, *(-number.as_tuple().exponent for number in values))
            kind = pa.decimal128(18, scale)
        columns[name] = pa.array(values, kind)
    return pa.table(columns)


@cache
def _database() -> Any:
    """DuckDB in memory, made at the first request of a process: most servers get none."""
    import duckdb

    settings: dict[str, Any] = {
        "threads": 1,
        "enable_external_access": False,
        "memory_limit": "256MB",
    }
    return duckdb.connect(":memory:", config=settings)


def _by_sql(
    transactions: Any, rules: dict[str, Any], as_of: dt.date
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Features of each customer, and how many lines each rule set aside."""
    with _one_at_a_time, _database().cursor() as run:
        run.register("transactions", transactions)
        ruled = run.sql(_CLEAN_SQL, params=rules | {"as_of": as_of}).to_arrow_table()
        then = _LONE_RETURNS_SQL if rules["returns"] == "net" else _CANCELLED_SQL
        if rules["returns"] == "net" or run.sql(_WITHOUT_PRODUCT).fetchall()[0][0]:
            names = ["first_rule" if name == "rule" else name for name in ruled.column_names]
            run.register("ruled", ruled.rename_columns(names))
            ruled = run.sql(then).to_arrow_table()
        run.register("classified", ruled)
        made = run.sql(_FEATURES_SQL, params={"as_of": as_of}).to_arrow_table().to_pylist()
    counts = {row["values"]: row["counts"] for row in ruled["rule"].value_counts().to_pylist()}
    return made, {rule: counts[rule] for rule in sorted(counts) if rule != "kept"}
