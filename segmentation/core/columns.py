"""What every column means: one definition for tables, axes, pages and workbook.

A format, a unit or a meaning is changed here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the API needs the definitions, not pandas
    import pandas as pd

MODEL_SCHEMA_VERSION = 1

RESPONSE_DAYS = (30, 60, 90, 180)
"""Periods after a contact in which an order may count as a response to it."""


@dataclass(frozen=True)
class Column:
    """One column: its name in files, its words for people, unit, format and meaning.

    ``kind`` is one of ``text``, ``count``, ``days``, ``money``, ``score``, ``share``,
    ``date``, ``flag`` and decides how a value is printed and formatted in the workbook.
    """

    name: str
    label: str
    unit: str
    kind: str
    meaning: str

    @property
    def axis(self) -> str:
        """Axis label with its unit, as figures print it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


FEATURES: dict[str, Column] = {
    column.name: column
    for column in (
        Column(
            "register_to_order",
            "Registration to first order",
            "days",
            "days",
            "Days from registration to first order; negative = ordered before registering.",
        ),
        Column(
            "first_to_last_order",
            "First to last order",
            "days",
            "days",
            "Days from first to last order; 0 = one day of orders only.",
        ),
        Column("total_unit", "Units bought", "units", "count", "Units bought over all orders."),
        Column(
            "total_spent",
            "Total spent",
            "currency",
            "money",
            "What the customer's kept lines are worth together (the M of RFM).",
        ),
        Column(
            "recency",
            "Days since last order",
            "days",
            "days",
            "Days from the last order to the last day of observation (the R of RFM).",
        ),
        Column(
            "frequency",
            "Orders",
            "orders",
            "count",
            "Number of distinct orders (the F of RFM).",
        ),
        Column(
            "average_order_value",
            "Average order value",
            "currency",
            "money",
            "Total spent divided by number of orders.",
        ),
        Column(
            "tenure",
            "Days since first order",
            "days",
            "days",
            "Days from the first order to the last day of observation.",
        ),
    )
}
SHIPPED_FEATURES = tuple(FEATURES)
LIFECYCLE_FEATURES = ("register_to_order", "first_to_last_order", "total_unit", "total_spent")

TRANSACTIONS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("customer_id", "Customer", "", "text", "Who ordered. Text: leading zeros survive."),
        Column("order_id", "Order", "", "text", "Which order the line belongs to. Text."),
        Column("order_date", "Order date", "", "date", "Day of the order."),
        Column("quantity", "Quantity", "units", "count", "Units on the line; negative = returned."),
        Column(
            "amount", "Amount", "currency", "money", "Line revenue after discount, exact decimal."
        ),
        Column("is_valid", "Valid", "", "flag", "The source counts the order as a sale."),
        Column("registered_date", "Registered", "", "date", "Day the customer registered."),
        Column("is_return", "Return", "", "flag", "The line gives back an earlier sale."),
        Column(
            "is_non_product", "Not a product", "", "flag", "Postage, fee or other service line."
        ),
        Column(
            "is_listed_twice",
            "Listed twice",
            "",
            "flag",
            "The line was listed before, in a part of the source that overlaps.",
        ),
        Column(
            "unit_price",
            "Unit price",
            "currency",
            "money",
            "Price of one unit before discount, exact decimal; only to check the amount.",
        ),
        Column(
            "discount",
            "Discount",
            "currency",
            "money",
            "Discount on the line, exact decimal; only to check the amount.",
        ),
        Column(
            "cost",
            "Cost",
            "currency",
            "money",
            "What the goods of the line cost the shop, exact decimal; only to state the margin.",
        ),
        Column("product", "Product", "", "text", "What was bought."),
        Column("category", "Category", "", "text", "Kind of product."),
        Column("payment_method", "Payment method", "", "text", "How it was paid."),
        Column("country", "Country", "", "text", "Where the customer is."),
    )
}
REQUIRED_TRANSACTION_COLUMNS = (
    "customer_id",
    "order_id",
    "order_date",
    "quantity",
    "amount",
    "is_valid",
)

SEGMENT_COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column(
            "segment_type",
            "Group",
            "",
            "text",
            "Who registered before or after the first order; each group has segments of its own.",
        ),
        Column(
            "cluster",
            "Cluster",
            "",
            "count",
            "Number of the segment in its group (K-Means cluster), 0 = lowest mean total spent.",
        ),
        Column("segment", "Segment", "", "text", "Name of the segment, by what its customers did."),
        Column(
            "margin",
            "How clearly",
            "",
            "score",
            "How clearly the customer belongs to the segment: near 0 = on the border to another, "
            "near 1 = at the centre (1 - d1/d2, distances to the nearest and second nearest "
            "centre). Empty where the group has one segment.",
        ),
        Column(
            "is_anomaly",
            "Unusual",
            "",
            "flag",
            "Few customers are like this one (DBSCAN noise: no dense neighbourhood reaches it).",
        ),
        Column(
            "anomaly_reasons", "Why unusual", "", "text", "Reasons, in the customer's own numbers."
        ),
    )
}


@dataclass(frozen=True)
class Rule:
    """One cleaning rule: the first rule that a row meets sets it aside.

    ``name`` is the word in ``clean.sql`` and in the ledger; ``words`` say it to people.
    """

    name: str
    words: str
    why: str


RULES: tuple[Rule, ...] = (
    Rule("listed_twice", "listed again in an overlapping part", "It would count twice."),
    Rule("missing_customer_id", "no customer id", "The line cannot be given to anybody."),
    Rule("missing_order_id", "no order id", "Orders could not be counted."),
    Rule("missing_order_date", "no order date", "Time since the order is unknown."),
    Rule("missing_quantity_or_amount", "no quantity or amount", "Units or revenue are unknown."),
    Rule("invalid_order", "not a valid sale", "The source itself does not count it as a sale."),
    Rule("returned", "cancelled or returned", "Set aside under `returns: exclude`."),
    Rule("non_product", "not a product", "Set aside under `non_product: exclude`."),
    Rule("non_positive_quantity", "quantity zero or below", "Not a purchase."),
    Rule("negative_amount", "amount below zero", "Not a purchase."),
    Rule("zero_amount", "amount zero", "Set aside under `zero_amount: exclude`."),
    Rule("duplicate_line", "exact copy of a line", "Set aside under `duplicates: drop`."),
    Rule("after_as_of", "after the last day of observation", "Not yet known at that day."),
    Rule(
        "return_without_purchase",
        "return of a customer without purchase",
        "Under `returns: net`, nothing to set it against.",
    ),
)
FORGOTTEN = Rule(
    "forgotten",
    "of customers who asked to be forgotten",
    "Left out before any rule; the row is there where a list is kept.",
)
LEDGER_COLUMNS = ("rule", "rows", "customers", "amount")
RULE_WORDS = {rule.name: rule.words for rule in (FORGOTTEN, *RULES)} | {
    "raw": "raw lines",
    "kept": "kept",
}

CURRENCY_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "PKR": "Rs "}


def column_of(name: str) -> Column:
    """Definition of a feature, segment or transaction column by its name.

    Raises
    ------
    KeyError
        If no table has such a column.
    """
    for table in (FEATURES, SEGMENT_COLUMNS, TRANSACTIONS):
        if name in table:
            return table[name]
    raise KeyError(name)


def symbol_of(currency: str) -> str:
    """What stands before an amount of a currency: its sign, else its code and a blank."""
    return CURRENCY_SYMBOLS.get(currency, f"{currency} ")


def format_money(value: float, currency: str, *, exact: bool = False) -> str:
    """Money as people read it: short above ten thousand, whole above a hundred.

    ``exact`` keeps the cents below ten thousand, for a limit that a reader may apply.

    Examples
    --------
    >>> format_money(1_234_567.0, "GBP")
    '£1.23M'
    >>> format_money(45_678.4, "USD"), format_money(12.5, "XYZ")
    ('$45.7K', 'XYZ 12.50')
    >>> format_money(-3.0, "EUR"), format_money(935.32, "EUR")
    ('-€3.00', '€935')
    >>> format_money(935.32, "EUR", exact=True)
    '€935.32'
    """
    symbol = symbol_of(currency)
    if not math.isfinite(value):
        return "–"
    sign, size = ("-" if value < 0 else ""), abs(value)
    if round(size) >= 1_000_000_000:
        return f"{sign}{symbol}{size / 1e9:.2f}bn"
    if round(size) >= 1_000_000:
        return f"{sign}{symbol}{size / 1e6:.2f}M"
    if size >= 10_000:
        return f"{sign}{symbol}{size / 1e3:.1f}K"
    return f"{sign}{symbol}{size:,.{2 if exact or round(size, 2) < 100 else 0}f}"


def format_value(value: float, name: str, currency: str = "USD", *, exact: bool = False) -> str:
    """A value of a column with its unit, the same in every table and sentence.

    Examples
    --------
    >>> format_value(1234.5, "total_unit"), format_value(1.0, "frequency")
    ('1,234 units', '1 order')
    >>> format_value(13.46, "recency"), format_value(1234.5, "total_unit", exact=True)
    ('13.5 days', '1,234.5 units')
    >>> format_value(30, "recency"), format_value(12.5, "total_spent", "USD")
    ('30 days', '$12.50')
    """
    column = column_of(name)
    if _is_missing(value):
        return "–"
    if column.kind == "money":
        return format_money(float(value), currency, exact=exact)
    if column.kind == "share":
        return format_percent(float(value))
    whole = abs(value - round(value)) < 0.05 or (abs(value) >= 100 and not exact)
    number = f"{value:,.0f}" if whole else f"{value:,.1f}"
    unit = column.unit[:-1] if number in ("1", "-1") and column.unit.endswith("s") else column.unit
    return f"{number} {unit}".strip()


def _is_missing(value: object) -> bool:
    if isinstance(value, float | int):
        return math.isnan(value)
    import pandas as pd

    return bool(pd.isna(value))


def format_share(share: float, n: int) -> str:
    """A share with its n, because a share without one is half a fact.

    Examples
    --------
    >>> format_share(0.342, 1200)
    '34% (n = 1,200)'
    >>> format_share(0.004, 3)
    '0.4% (n = 3)'
    """
    return f"{format_percent(share)} (n = {n:,})"


def format_percent(share: float) -> str:
    """A share as a percentage; one decimal below ten per cent, where it matters.

    Examples
    --------
    >>> format_percent(0.5), format_percent(0.034), format_percent(0.0), format_percent(0.9996)
    ('50%', '3.4%', '0%', '99.9%')
    """
    if _is_missing(share):
        return "–"
    percent = 100 * share
    if percent == 0 or percent == 100:
        return f"{percent:.0f}%"
    if percent < 0.095:
        return "under 0.1%"
    if 99.5 <= percent < 100:
        return f"{min(percent, 99.9):.1f}%"
    return f"{percent:.1f}%" if percent < 10 else f"{percent:.0f}%"


def format_points(share: float) -> str:
    """A difference of shares in percentage points; never "0.0" for one that is not nothing.

    Examples
    --------
    >>> format_points(0.0631), format_points(0.0001), format_points(0.0)
    ('6.3', 'under 0.1', '0')
    """
    points = 100 * share
    if points == 0:
        return "0"
    return "under 0.1" if 0 < points < 0.05 else f"{points:.1f}"


def amount_scale(amounts: pd.Series) -> int:
    """Number of decimals that exact amounts of a column carry (0 when there are none)."""
    scales = [-value.as_tuple().exponent for value in amounts if value is not None]
    return max([int(scale) for scale in scales], default=0)
