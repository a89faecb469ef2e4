"""What is wrong with the data: every check's count, money and customers, on any source.

Checks count and never mend. Those of lines run as SQL where the data lives, on the
table ``classified``; those of joins and keys on the source's own SELECT.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.limits import CUSTOMER_SHARE, LINE_SHARE, TIMES_THE_MEAN
from segmentation.orders.counting import (
    COUNTED_COLUMNS,
    examples_of,
    finding,
    named_examples,
    naming,
    record_of,
)
from segmentation.orders.finding_words import KINDS
from segmentation.orders.id_words import ID_WORDS
from segmentation.orders.order_checks import order_findings
from segmentation.sources.engine import Engine
from segmentation.sources.source import Source

_SQL = {
    path.stem: path.read_text(encoding="utf-8")
    for path in (Path(__file__).parent / "sql" / "findings").glob("*.sql")
}
WORDS = ("product", "category", "payment_method", "country")
TEXTS = ("customer_id", "order_id", *WORDS)
SPELT = ("customer_id", *WORDS)
NARROW = Decimal("100000000")
"""The first amount that DECIMAL(10,2) cannot hold."""
LIMITS = ("99999999.99", "21474836.47", "2147483647")
"""What a column too narrow makes of a larger amount, in databases that do not refuse it."""

_LATIN = "[ÃÂâ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
GARBLED = f"{_LATIN}|\ufffd|ï¿½"
"""UTF-8 that was read as Latin-1 or Windows-1252, and marks of lost characters."""

_BLANK = "[ \t\r\n\u00a0\u2000-\u200b\u3000\ufeff]"
STRAY = f"^{_BLANK}|{_BLANK}$"
"""Blanks at an end of a text, spelt out because engines trim different ones."""

_TEXT_CHECKS = {  # `this_text` stands for each of the columns in turn
    "stray_blanks": ("REGEXP_MATCHES(this_text, $stray)", TEXTS),
    "garbled_text": ("REGEXP_MATCHES(this_text, $garbled)", WORDS),
}
_CONDITIONS = {
    "missing_customer_id": "customer_id IS NULL OR TRIM(customer_id) = ''",
    "missing_order_id": "order_id IS NULL OR TRIM(order_id) = ''",
    "missing_order_date": "order_date IS NULL",
    "missing_quantity_or_amount": "quantity IS NULL OR amount IS NULL",
    "zero_amount": "amount = 0 AND rule IN ('kept', 'zero_amount')",
    "duplicate_line": "copy_number > 1 AND rule IN ('kept', 'duplicate_line')",
    "return_with_positive_amount": "is_return AND amount > 0 AND rule IN ('kept', 'returned')",
    "return_with_positive_quantity": (
        "is_return AND quantity > 0 AND amount < 0 AND rule IN ('kept', 'returned')"
    ),
    "unmarked_return": "amount < 0 AND rule IN ('negative_amount', 'non_positive_quantity')",
    "refund_as_invalid": "amount < 0 AND NOT is_return AND rule = 'invalid_order'",
    "amount_arithmetic": "amount <> unit_price * quantity - COALESCE(discount, 0)",
    "narrow_money": "ABS(amount) >= $narrow",
    "money_at_limit": " OR ".join(f"ABS(amount) = {limit}" for limit in LIMITS),
    "order_after_as_of": "order_date > $as_of",
    "registered_after_as_of": "registered_date > $as_of",
    "order_before_any_registration": "order_date < $first_registration",
}
_SHOWN = {
    "missing_order_id": "customer_id",
    "order_after_as_of": "order_date",
    "registered_after_as_of": "registered_date",
    "order_before_any_registration": "order_date",
}
"""The column that lines are found again by, where that is not the order's id."""
_NEEDS = {
    "amount_arithmetic": "unit_price",
    "registered_after_as_of": "registered_date",
    "order_before_any_registration": "registered_date",
}


def line_findings(
    engine: Engine,
    source: Source,
    customers: pd.DataFrame,
    *,
    as_of: dt.date,
    first_registration: dt.date | None,
    treatments: Mapping[str, str],
    spanning: Mapping[str, tuple[int, int]],
) -> pd.DataFrame:
    """Count every check of lines, joins, keys and texts, also those that find nothing.

    Parameters
    ----------
    customers : DataFrame, one row per customer, with ``total_spent``
    as_of : date
        Last day of observation; what is dated later lies in the future.
    first_registration : date or None
        Of any customer with lines; None where the source knows none.
    treatments : mapping of finding to ``kept`` or ``set aside``
        For what the profile decides; everything else is ``reported``.
    spanning : mapping of table to rows and lines
        Rows of a file with a value that goes on over further lines, and those lines.

    Returns
    -------
    DataFrame with columns ``finding, place, rows, customers, amount, treatment, examples, facts``
        One row per check and place, in a fixed order. ``place`` is a raw ``table`` or
        ``table.column``, or a column of the transactions; ``examples`` are up to three
        different values by which the lines are found again; ``facts`` is JSON with what
        else was counted. A check that the source has no column for is left out.
    """
    values = {
        "as_of": as_of,
        "narrow": NARROW,
        "garbled": GARBLED,
        "stray": STRAY,
        "first_registration": first_registration,
    }
    counted = record_of(engine.query(_conditions_sql(), values))
    totals = record_of(engine.query(_SQL["totals"]))
    rows = [
        *_of_conditions(engine, counted, totals, values),
        *order_findings(engine, source),
        _shared_orders(engine),
        _uncounted(engine),
        *_spellings(engine, totals),
        *_dominating(engine, customers, totals),
        *_spanning(spanning),
        *source.found,
    ]
    known = [name for name in KINDS if name not in ID_WORDS]  # those of ids follow
    order = list(dict.fromkeys([*known, *(row["finding"] for row in rows)]))
    rows.sort(key=lambda row: order.index(row["finding"]))
    table = pd.DataFrame(rows)
    table["treatment"] = [
        row.get("treatment", treatments.get(row["finding"], "reported")) for row in rows
    ]
    return table[list(COUNTED_COLUMNS)]


def _spanning(spanning: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        finding("value_over_lines", table, rows, 0, None, lines=lines)
        for table, (rows, lines) in spanning.items()
        if rows
    ]


def customer_table_findings(
    customers: pd.DataFrame,
    spanning: Mapping[str, tuple[int, int]],
    rounded: tuple[int, tuple[str, ...]] = (0, ()),
) -> pd.DataFrame:
    """The checks that a source of one row per customer allows.

    Parameters
    ----------
    customers : DataFrame with ``customer_id`` and ``total_spent`` (exact decimals)
    spanning : mapping of table to rows and lines, as for `line_findings`
    rounded : customers whose money had more decimals than a cent, and three amounts
    """
    ids, spent = customers["customer_id"], list(customers["total_spent"])
    totals = {"revenue": sum(spent, Decimal(0)), "kept_customers": len(customers)}
    large = [amount for amount in spent if abs(amount) >= NARROW]
    blank = ids != ids.str.strip()
    variants = ids.str.strip().str.lower().duplicated()

    def told(name: str, place: str, n: int, money: Any, shown: Iterable[Any]) -> dict[str, Any]:
        return finding(name, place, n, n, money, examples=named_examples(place, shown))

    def told_of_ids(name: str, is_found: pd.Series) -> dict[str, Any]:
        money = sum(customers["total_spent"][is_found], Decimal(0))
        return told(name, "customer_id", int(is_found.sum()), money, sorted(ids[is_found]))

    rows = [
        told("narrow_money", "total_spent", len(large), sum(large, Decimal(0)), sorted(large)),
        _dominating_customer(customers, totals),
        told_of_ids("stray_blanks", blank),
        told_of_ids("spelling_variants", variants),
        told("rounded_money", "total_spent", rounded[0], None, rounded[1]),
        *_spanning(spanning),
    ]
    table = pd.DataFrame(rows)
    is_repaired = table["finding"] == "rounded_money"
    table["treatment"] = is_repaired.map({True: "repaired", False: "reported"})
    return table[list(COUNTED_COLUMNS)]


def order_days(engine: Engine) -> pd.DataFrame:
    """Lines, kept lines and money of every order date: ``day, lines, kept, amount``."""
    return engine.query(_SQL["order_days"]).astype({"lines": "int64", "kept": "int64"})


def registration_days(engine: Engine) -> pd.DataFrame:
    """Customers with lines per registration date: ``day, customers``."""
    return engine.query(_SQL["registration_days"]).astype({"customers": "int64"})


def _text_conditions() -> dict[str, dict[str, Any]]:
    return {
        check: {
            name: exp.condition(naming("this_text", name, text), dialect="duckdb")
            for name in columns
        }
        for check, (text, columns) in _TEXT_CHECKS.items()
    }


def _conditions_sql() -> str:
    parts: list[Any] = []  # one select of all: each further one would copy those before it
    conditions = {name: exp.condition(text, dialect="duckdb") for name, text in _CONDITIONS.items()}
    for check, each in _text_conditions().items():
        conditions[check] = exp.or_(*each.values())
        for name, condition in each.items():
            case = exp.Case().when(condition.copy(), "1").else_("0")
            parts.append(exp.alias_(exp.Sum(this=case), f"{check} {name}", quoted=True))
    for name, condition in conditions.items():
        for part, value in (("rows", "1"), ("customers", "customer_id"), ("amount", "amount")):
            case = exp.Case().when(condition.copy(), sqlglot.parse_one(value))
            total: Any = exp.Sum(this=case)
            if part == "customers":
                total = exp.Count(this=exp.Distinct(expressions=[case]))
            parts.append(exp.alias_(total, f"{name} {part}", quoted=True))
    return str(exp.select(*parts, copy=False).from_("classified").sql("duckdb"))


def _of_conditions(
    engine: Engine, counted: dict[str, Any], totals: dict[str, Any], values: dict[str, Any]
) -> list[dict[str, Any]]:
    facts = {
        "amount_arithmetic": {
            "largest_difference": totals["largest_difference"],
            "sum_of_differences": totals["sum_of_differences"],
        },
        "narrow_money": {"largest_amount": totals["largest_amount"]},
    }
    found, texts = [], _text_conditions()
    for name in (*_CONDITIONS, *_TEXT_CHECKS):
        if name in _NEEDS and not totals[f"has_{_NEEDS[name]}"]:
            continue
        people = 0 if name == "missing_customer_id" else counted[f"{name} customers"]
        rows, amount = int(counted[f"{name} rows"] or 0), counted[f"{name} amount"]
        columns = [c for c in _TEXT_CHECKS.get(name, ("", ()))[1] if counted[f"{name} {c}"]]
        shown = columns[0] if columns else _SHOWN.get(name, "order_id")
        where = texts[name][shown] if columns else _CONDITIONS.get(name, "TRUE")
        few = examples_of(engine, shown, where=where, values=values) if rows else ""
        more = facts.get(name, {})
        found.append(finding(name, ", ".join(columns), rows, people, amount, examples=few, **more))
    return found


def _shared_orders(engine: Engine) -> dict[str, Any]:
    row = record_of(engine.query(_SQL["shared_orders"]))
    rows, people = int(row["rows"] or 0), int(row["customers"] or 0)
    few = ""
    if rows:
        named, several = "TRIM(customer_id) <> ''", "COUNT(DISTINCT customer_id) > 1"
        few = examples_of(engine, "order_id", where=named, having=several)
    more = {"examples": few, "ids": row["ids"]}
    return finding("order_of_several_customers", "order_id", rows, people, row["amount"], **more)


def _uncounted(engine: Engine) -> dict[str, Any]:
    row = record_of(engine.query(_SQL["uncounted"]))
    rows = int(row["rows"] or 0)
    none = "SUM(CASE WHEN rule = 'kept' THEN 1 ELSE 0 END) = 0"
    few = examples_of(engine, "customer_id", having=none) if rows else ""
    money = row["amount"]
    return finding("customer_without_kept_line", "", rows, row["customers"], money, examples=few)


def _spellings(engine: Engine, totals: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name in (name for name in SPELT if totals[f"has_{name}"]):
        row = record_of(engine.query(naming("this_text", name, _SQL["spellings"])))
        alike, several = "LOWER(TRIM(this_text, ' '))", "COUNT(DISTINCT this_text) > 1"
        few = examples_of(engine, name, by=alike, having=several) if row["rows"] else ""
        found.append(
            finding(
                "spelling_variants",
                name,
                row["rows"],
                row["customers"],
                row["amount"],
                examples=few,
                spellings=row["spellings"],
            )
        )
    return found


def _dominating(
    engine: Engine, customers: pd.DataFrame, totals: dict[str, Any]
) -> list[dict[str, Any]]:
    line, revenue = totals["largest_line"], totals["revenue"]
    is_found = _outlandish(line, revenue, totals["kept_lines"], LINE_SHARE)
    where, values = "rule = 'kept' AND amount = $largest", {"largest": line}
    few = examples_of(engine, "order_id", where=where, values=values) if is_found else ""
    return [
        finding(
            "dominating_line",
            "",
            int(is_found),
            int(is_found),
            line if is_found else None,
            examples=few,
            **_share_facts(line, revenue, int(totals["kept_lines"] or 0)),
        ),
        _dominating_customer(customers, totals),
    ]


def _dominating_customer(customers: pd.DataFrame, totals: dict[str, Any]) -> dict[str, Any]:
    spent, revenue = customers["total_spent"], totals["revenue"]
    most = Decimal(str(spent.max())) if len(spent) else None
    is_found = _outlandish(most, revenue, len(spent), CUSTOMER_SHARE)
    # as the float says it, with as many decimals as the exact total has
    money = most.quantize(Decimal(revenue)) if is_found and most is not None else None
    facts = _share_facts(most, revenue, len(spent))
    whom = customers["customer_id"][spent == spent.max()] if is_found else ()
    few, n = named_examples("customer_id", whom), int(is_found)
    return finding("dominating_customer", "", n, n, money, examples=few, **facts)


def _outlandish(part: Decimal | None, whole: Decimal | None, n: int | None, least: float) -> bool:
    if part is None or not whole or whole <= 0 or not n:
        return False
    share = float(part) / float(whole)
    return share >= least and share * n >= TIMES_THE_MEAN


def _share_facts(part: Decimal | None, whole: Decimal | None, n: int) -> dict[str, Any]:
    if part is None or not whole or n < 2:
        return {}
    return {
        "share": round(float(part) / float(whole), 6),
        "n": n,
        "mean": round(float(whole) / n, 2),
        "mean_without": round((float(whole) - float(part)) / (n - 1), 2),
    }
