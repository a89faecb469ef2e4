"""What is wrong with the data: every check's count, money and customers, on any source.

Checks count and never mend. Those of lines run as SQL where the data lives, on the
table ``classified``; those of joins and keys on the source's own SELECT.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.columns import FINDING_COLUMNS
from segmentation.core.limits import CUSTOMER_SHARE, LINE_SHARE, TIMES_THE_MEAN
from segmentation.sources.engine import Engine
from segmentation.sources.links import LinkedLines, linked_lines
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
    "amount_arithmetic": "amount <> unit_price * quantity - COALESCE(discount, 0)",
    "narrow_money": "ABS(amount) >= $narrow",
    "money_at_limit": " OR ".join(f"ABS(amount) = {limit}" for limit in LIMITS),
    "order_after_as_of": "order_date > $as_of",
    "registered_after_as_of": "registered_date > $as_of",
    "order_before_any_registration": "order_date < $first_registration",
}
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
    DataFrame with columns ``finding, place, rows, customers, amount, treatment, facts``
        One row per check and place, in a fixed order. ``place`` is a raw ``table`` or
        ``table.column``, or a column of the transactions; ``facts`` is JSON with what
        else was counted. A check that the source has no column for is left out.
    """
    values = {
        "as_of": as_of,
        "narrow": NARROW,
        "garbled": GARBLED,
        "stray": STRAY,
        "first_registration": first_registration,
    }
    counted = _record(engine.query(_conditions_sql(), values))
    totals = _record(engine.query(_SQL["totals"]))
    rows = [
        *_of_conditions(counted, totals),
        *_links(engine, source),
        _shared_orders(engine),
        _uncounted(engine),
        *_spellings(engine, totals),
        *_dominating(customers, totals),
        *_spanning(spanning),
    ]
    order = list(dict.fromkeys([*_FIRST, *(row["finding"] for row in rows)]))
    rows.sort(key=lambda row: order.index(row["finding"]))
    table = pd.DataFrame(rows)
    table["treatment"] = [treatments.get(name, "reported") for name in table["finding"]]
    return table[list(FINDING_COLUMNS)]


_FIRST = (
    "missing_customer_id",
    "missing_order_id",
    "missing_order_date",
    "missing_quantity_or_amount",
    "orphan",
    "duplicate_line",
    "zero_amount",
    "repeated_line_id",
    "order_of_several_customers",
    "amount_arithmetic",
    "narrow_money",
    "money_at_limit",
    "dominating_line",
    "dominating_customer",
    "customer_without_kept_line",
    "garbled_text",
    "stray_blanks",
    "spelling_variants",
)
"""The order of the chapter; dates follow."""


def _spanning(spanning: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        finding("value_over_lines", table, rows, 0, None, lines=lines)
        for table, (rows, lines) in spanning.items()
        if rows
    ]


def customer_table_findings(
    customers: pd.DataFrame, spanning: Mapping[str, tuple[int, int]]
) -> pd.DataFrame:
    """The checks that a source of one row per customer allows.

    Parameters
    ----------
    customers : DataFrame with ``customer_id`` and ``total_spent`` (exact decimals)
    spanning : mapping of table to rows and lines, as for `line_findings`
    """
    ids, spent = customers["customer_id"], list(customers["total_spent"])
    totals = {"revenue": sum(spent, Decimal(0)), "kept_customers": len(customers)}
    large = [amount for amount in spent if abs(amount) >= NARROW]
    blank = (ids != ids.str.strip()).to_numpy()
    variants = ids.str.strip().str.lower().duplicated().to_numpy()
    rows = [
        finding("narrow_money", "total_spent", len(large), len(large), sum(large, Decimal(0))),
        _dominating_customer(customers, totals),
        *(
            finding(
                name,
                "customer_id",
                int(found.sum()),
                int(found.sum()),
                sum((a for a, is_found in zip(spent, found, strict=True) if is_found), Decimal(0)),
            )
            for name, found in (("stray_blanks", blank), ("spelling_variants", variants))
        ),
        *_spanning(spanning),
    ]
    return pd.DataFrame(rows).assign(treatment="reported")[list(FINDING_COLUMNS)]


def finding(
    name: str, place: str, rows: int, customers: int, amount: Any, **facts: Any
) -> dict[str, Any]:
    """One row of the findings table; a missing sum counts as nothing."""
    known = {key: _plain(value) for key, value in facts.items()}
    money = Decimal(0) if amount is None or pd.isna(amount) else Decimal(amount)
    return {
        "finding": name,
        "place": place,
        "rows": rows,
        "customers": customers,
        "amount": money,
        "facts": json.dumps(known),
    }


def order_days(engine: Engine) -> pd.DataFrame:
    """Lines, kept lines and money of every order date: ``day, lines, kept, amount``."""
    return engine.query(_SQL["order_days"]).astype({"lines": "int64", "kept": "int64"})


def registration_days(engine: Engine) -> pd.DataFrame:
    """Customers with lines per registration date: ``day, customers``."""
    return engine.query(_SQL["registration_days"]).astype({"customers": "int64"})


def _conditions_sql() -> str:
    query = exp.select().from_("classified")
    conditions = {name: exp.condition(text, dialect="duckdb") for name, text in _CONDITIONS.items()}
    for check, (text, columns) in _TEXT_CHECKS.items():
        each = {name: exp.condition(_naming("this_text", name, text)) for name in columns}
        conditions[check] = exp.or_(*each.values())
        for name, condition in each.items():
            case = exp.Case().when(condition.copy(), "1").else_("0")
            query = query.select(exp.alias_(exp.Sum(this=case), f"{check} {name}", quoted=True))
    for name, condition in conditions.items():
        for part, value in (("rows", "1"), ("customers", "customer_id"), ("amount", "amount")):
            case = exp.Case().when(condition.copy(), sqlglot.parse_one(value))
            total: Any = exp.Sum(this=case)
            if part == "customers":
                total = exp.Count(this=exp.Distinct(expressions=[case]))
            query = query.select(exp.alias_(total, f"{name} {part}", quoted=True))
    return str(query.sql("duckdb"))


def _naming(place: str, name: str, sql: str) -> str:
    """SQL with a column's name put in place of one that stands for it."""
    query = sqlglot.parse_one(sql, dialect="duckdb")
    for column in query.find_all(exp.Column):
        if column.name == place:
            column.set("this", exp.to_identifier(name, quoted=True))
    return str(query.sql("duckdb"))


def _record(table: pd.DataFrame) -> dict[str, Any]:
    """The only row of a table, whole numbers as int and what is missing as None."""
    row = table.iloc[0]
    return {name: _plain_number(row[name]) for name in table.columns}


def _plain_number(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, Decimal):  # engines give sums of whole numbers as decimals
        return int(value) if value.as_tuple().exponent == 0 else value
    return value if isinstance(value, str) else int(value)


def _plain(value: Any) -> Any:
    """A fact as JSON holds it on every engine: decimals as text without idle zeros."""
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    return value


def _of_conditions(counted: dict[str, Any], totals: dict[str, Any]) -> list[dict[str, Any]]:
    facts = {
        "amount_arithmetic": {
            "largest_difference": totals["largest_difference"],
            "sum_of_differences": totals["sum_of_differences"],
        },
        "narrow_money": {"largest_amount": totals["largest_amount"]},
    }
    found = []
    for name in (*_CONDITIONS, *_TEXT_CHECKS):
        if name in _NEEDS and not totals[f"has_{_NEEDS[name]}"]:
            continue
        people = 0 if name == "missing_customer_id" else counted[f"{name} customers"]
        rows, amount = int(counted[f"{name} rows"] or 0), counted[f"{name} amount"]
        place = ", ".join(
            column for column in _TEXT_CHECKS.get(name, ("", ()))[1] if counted[f"{name} {column}"]
        )
        found.append(finding(name, place, rows, people, amount, **facts.get(name, {})))
    return found


def _links(engine: Engine, source: Source) -> list[dict[str, Any]]:
    columns = {
        table: list(engine.columns(exp.select("*").from_(exp.to_table(table)).sql("duckdb")))
        for table in source.tables
    }
    linked = linked_lines(source, columns)
    if linked is None:
        return []
    engine.create("linked", linked.sql)
    return [*_orphans(engine, linked), *_repeated(engine, linked)]


def _orphans(engine: Engine, linked: LinkedLines) -> list[dict[str, Any]]:
    found = []
    for lookup in linked.lookups:
        lines = exp.column(lookup.no_row, quoted=True)
        query = (
            exp.select(
                "COUNT(*) AS rows",
                "COUNT(DISTINCT customer_id) AS customers",
                "SUM(amount) AS amount",
                exp.alias_(
                    exp.Sum(
                        this=exp.Case()
                        .when(exp.column(lookup.unnamed, quoted=True), "1")
                        .else_("0")
                    ),
                    "unnamed",
                ),
            )
            .from_("linked")
            .where(lines)
        )
        row = _record(engine.query(query.sql("duckdb")))
        found.append(
            finding(
                "orphan",
                lookup.table,
                row["rows"],
                row["customers"],
                row["amount"],
                unnamed=int(row["unnamed"] or 0),
                is_dropped=lookup.is_dropped,
            )
        )
    return found


def _repeated(engine: Engine, linked: LinkedLines) -> list[dict[str, Any]]:
    """Line-like ids that repeat; where none does, one row says that they were looked at."""
    found = []
    for key, place in linked.keys.items():
        row = _record(engine.query(_naming("key_name", key, _SQL["repeated"])))
        lost = row["lines"] - row["ids"]
        if not lost:
            continue
        facts = {name: row[name] for name in ("lines", "ids", "repeated_ids", "most_lines")}
        facts["amount_most"] = row["amount_most"] or Decimal(0)
        found.append(
            finding("repeated_line_id", place, lost, row["customers"], row["amount"], **facts)
        )
    return found or [finding("repeated_line_id", "", 0, 0, None)] * bool(linked.keys)


def _shared_orders(engine: Engine) -> dict[str, Any]:
    row = _record(engine.query(_SQL["shared_orders"]))
    rows, people = int(row["rows"] or 0), int(row["customers"] or 0)
    ids = row["ids"]
    return finding("order_of_several_customers", "order_id", rows, people, row["amount"], ids=ids)


def _uncounted(engine: Engine) -> dict[str, Any]:
    row = _record(engine.query(_SQL["uncounted"]))
    rows = int(row["rows"] or 0)
    return finding("customer_without_kept_line", "", rows, row["customers"], row["amount"])


def _spellings(engine: Engine, totals: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name in (name for name in SPELT if totals[f"has_{name}"]):
        row = _record(engine.query(_naming("this_text", name, _SQL["spellings"])))
        found.append(
            finding(
                "spelling_variants",
                name,
                row["rows"],
                row["customers"],
                row["amount"],
                spellings=row["spellings"],
            )
        )
    return found


def _dominating(customers: pd.DataFrame, totals: dict[str, Any]) -> list[dict[str, Any]]:
    line, revenue = totals["largest_line"], totals["revenue"]
    is_found = _outlandish(line, revenue, totals["kept_lines"], LINE_SHARE)
    return [
        finding(
            "dominating_line",
            "",
            int(is_found),
            int(is_found),
            line if is_found else None,
            **_share_facts(line, revenue, int(totals["kept_lines"] or 0)),
        ),
        _dominating_customer(customers, totals),
    ]


def _dominating_customer(customers: pd.DataFrame, totals: dict[str, Any]) -> dict[str, Any]:
    spent, revenue = customers["total_spent"], totals["revenue"]
    most = Decimal(str(spent.max())) if len(spent) else None
    is_found = _outlandish(most, revenue, len(spent), CUSTOMER_SHARE)
    money = _as_exact(most, revenue) if is_found else None
    facts = _share_facts(most, revenue, len(spent))
    return finding("dominating_customer", "", int(is_found), int(is_found), money, **facts)


def _as_exact(value: Decimal | None, like: Decimal) -> Decimal | None:
    """Money as the float says it, with as many decimals as the exact total has."""
    return value.quantize(Decimal(like)) if value is not None else None


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
