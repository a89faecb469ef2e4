"""Whether whole orders can be right: totals on lines, what only one line says, currencies, losses."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlglot import exp

from segmentation.core.limits import (
    ALIKE_BY_PRODUCT,
    ALIKE_BY_QUANTITY,
    LEAST_ORDERS,
    MANY_SET_ASIDE,
    TOTAL_GROWTH,
)
from segmentation.orders.counting import examples_of, finding, named_examples, naming, record_of
from segmentation.sources.checks import raw_columns
from segmentation.sources.engine import Engine
from segmentation.sources.links import LinkedLines, linked_lines, qualified, raw_measure
from segmentation.sources.source import Source, one_select

_SQL = {
    name: (Path(__file__).parent / "sql" / "findings" / f"{name}.sql").read_text(encoding="utf-8")
    for name in (
        "orphans",
        "repeated",
        "repeated_totals",
        "known_in_part",
        "cancelled_same_day",
        "cancelled_totals",
        "unused_flag",
    )
}
CURRENCY = re.compile(
    r"(^|_)(currency|currencies|ccy|waehrung|währung|devise|moneda)(_code)?$", re.I
)


def order_findings(engine: Engine, source: Source) -> list[dict[str, Any]]:
    """Checks that compare the lines of an order with one another, or lines with raw rows."""
    columns = raw_columns(engine, source)
    query = qualified(source, columns)
    return [
        *_links(engine, source, columns),
        _repeated_totals(engine),
        *_known_in_part(engine),
        _cancelled(engine),
        *_currencies(engine, source, query),
        *_left_out(engine, source, query),
    ]


def _repeated_totals(engine: Engine) -> dict[str, Any]:
    """An order's total that stands on each of its lines counts once too often on all but one."""
    row = {
        name: value or 0 for name, value in record_of(engine.query(_SQL["repeated_totals"])).items()
    }
    by_quantity = _is_usual(row["alike_by_quantity"], row["by_quantity"], ALIKE_BY_QUANTITY)
    by_product = _is_usual(row["alike_by_product"], row["by_product"], ALIKE_BY_PRODUCT)
    if not (by_quantity or by_product):
        return finding("repeated_total", "amount", 0, 0, None)
    one = float(row["single_money"]) / row["single_orders"] if row["single_orders"] else 0.0
    grows = one > 0 and float(row["alike_money"]) / row["alike"] >= TOTAL_GROWTH * one
    alike = "MIN(amount) = MAX(amount) AND (COUNT(DISTINCT quantity) > 1 OR COUNT(DISTINCT product) > 1)"
    few = examples_of(engine, "order_id", where="rule = 'kept' AND amount > 0", having=alike)
    facts = {"orders": row["alike"], "of_orders": row["by_quantity"] + row["by_product"]}
    facts |= {"is_sure": bool(by_quantity or grows)}
    people, money = row["customers"], row["amount"]
    return finding("repeated_total", "amount", row["rows"], people, money, examples=few, **facts)


def _is_usual(alike: int, n: int, least: float) -> bool:
    return alike >= LEAST_ORDERS and alike >= least * n


_KNOWN = {
    "is_valid": "SUM(CASE WHEN is_valid THEN 1 ELSE 0 END)",
    "customer_id": "SUM(CASE WHEN TRIM(customer_id) <> '' THEN 1 ELSE 0 END)",
    "order_date": "COUNT(order_date)",
}


def _known_in_part(engine: Engine) -> list[dict[str, Any]]:
    found = []
    for row in map(dict, engine.query(_SQL["known_in_part"]).to_dict("records")):
        n, place = int(row["rows"]), row["place"]
        part = f"{_KNOWN[place]} BETWEEN 1 AND COUNT(*) - 1"
        few = (
            examples_of(engine, "order_id", where="TRIM(order_id) <> ''", having=part) if n else ""
        )
        orders, alone = int(row["orders"]), int(row["on_one_line"])
        facts = {"in_part": int(row["in_part"]), "orders": orders, "on_one_line": alone}
        facts |= {"is_sure": _is_usual(alone, orders, ALIKE_BY_PRODUCT)}
        people, money = int(row["customers"]), row["amount"]
        found.append(finding("known_in_part", place, n, people, money, examples=few, **facts))
    return found


def _cancelled(engine: Engine) -> dict[str, Any]:
    """Purchases that count, though they were given back on the day on which they were made."""
    engine.create("cancelled", _SQL["cancelled_same_day"])
    row = record_of(engine.query(_SQL["cancelled_totals"]))
    if not (n := row["rows"] or 0):
        return finding("cancelled_same_day", "", 0, 0, None)
    query = (
        exp.select("order_id").from_("cancelled").where("is_cancelled").group_by("order_id")
        .order_by("SUM(amount) DESC", "order_id").limit(3)
    )  # fmt: skip
    few = named_examples("order_id", engine.query(query.sql("duckdb"))["order_id"])
    facts = {"largest": Decimal(row["largest"]), "nothing_else": row["nothing_else"]}
    people, money = row["customers"], row["amount"]
    return finding("cancelled_same_day", "", n, people, money, examples=few, **facts)


def _currencies(engine: Engine, source: Source, query: Any) -> list[dict[str, Any]]:
    """Columns of a currency that the SELECT does not ask for, and that hold more than one."""
    asked = {
        column.name.lower()
        for column in query.find_all(exp.Column)
        if not isinstance(column.parent, exp.Select)
        and not (
            isinstance(column.parent, exp.Alias) and isinstance(column.parent.parent, exp.Select)
        )
    }
    found = []
    for table, names in raw_columns(engine, source).items():
        for name in (n for n in names if CURRENCY.search(n) and n.lower() not in asked):
            code = exp.func(
                "UPPER", exp.func("TRIM", exp.cast(exp.column(name, quoted=True), "VARCHAR"))
            )
            counted = (
                exp.select(exp.alias_(code, "code"), exp.alias_(exp.Count(this=exp.Star()), "n"))
                .from_(exp.to_table(table))
                .where(code.copy().neq(exp.Literal.string("")))
                .group_by(code.copy())
                .order_by("n DESC", "code")
            )
            held = engine.query(counted.sql("duckdb"))
            others = int(held["n"].iloc[1:].sum())
            few = named_examples(name, held["code"]) if others else ""
            found.append(
                finding("mixed_currencies", f"{table}.{name}", others, 0, None, examples=few)
            )
    return found


def _left_out(engine: Engine, source: Source, query: Any) -> list[dict[str, Any]]:
    """Raw lines with an amount of which the SELECT makes no line: rows and money compared."""
    measure = raw_measure(query, "amount")
    if measure is None:
        return []
    table, value, is_chosen = measure
    tried = value.transform(
        lambda node: exp.TryCast(this=node.this, to=node.to) if type(node) is exp.Cast else node
    )
    raw = exp.select(exp.alias_(tried, "amount")).from_(exp.to_table(table)).subquery("raw")
    sums = ("COUNT(amount) AS n", "SUM(amount) AS amount")
    there = record_of(engine.query(exp.select(*sums).from_(raw).sql("duckdb")))
    read = record_of(engine.query(exp.select(*sums).from_("classified").sql("duckdb")))
    forgotten = source.left_out
    lost = there["n"] - read["n"] - (forgotten.rows if forgotten else 0)
    if lost <= 0:
        return [finding("left_out", table, 0, 0, None)]
    money = Decimal(there["amount"] or 0) - Decimal(read["amount"] or 0)
    money -= forgotten.amount if forgotten else 0
    return [finding("left_out", table, lost, 0, money, is_chosen=is_chosen, lines=there["n"])]


def _links(engine: Engine, source: Source, columns: dict[str, list[str]]) -> list[dict[str, Any]]:
    linked = linked_lines(source, columns)
    if linked is None:
        return []
    engine.create("linked", linked.sql)
    found = [
        *_orphans(engine, linked),
        *_repeated(engine, linked),
        *_unused_flags(engine, source, linked),
    ]
    if (
        source.forgotten
    ):  # these are raw lines, of everybody: an example could name who is forgotten
        found = [row | {"examples": ""} for row in found]
    return found


def _orphans(engine: Engine, linked: LinkedLines) -> list[dict[str, Any]]:
    found = []
    for lookup in linked.lookups:
        sql = naming("without_row", lookup.no_row, _SQL["orphans"])
        row = record_of(engine.query(naming("without_name", lookup.unnamed, sql)))
        where = exp.column(lookup.no_row, quoted=True)
        n, people, money = row["rows"], row["customers"], row["amount"]
        few = examples_of(engine, lookup.sought, where=where, table="linked") if n else ""
        facts = {"unnamed": int(row["unnamed"] or 0), "is_dropped": lookup.is_dropped}
        found.append(finding("orphan", lookup.table, n, people, money, examples=few, **facts))
    return found


def _repeated(engine: Engine, linked: LinkedLines) -> list[dict[str, Any]]:
    """Line-like ids that repeat; where none does, one row says that they were looked at."""
    found = []
    for key, place in linked.keys.items():
        row = record_of(engine.query(naming("key_name", key, _SQL["repeated"])))
        lost = row["lines"] - row["ids"]
        if not lost:
            continue
        facts = {name: row[name] for name in ("lines", "ids", "repeated_ids", "most_lines")}
        facts["amount_most"] = row["amount_most"] or Decimal(0)
        few = examples_of(engine, key, having="COUNT(*) > 1", table="linked", called=place)
        people, amount = row["customers"], row["amount"]
        found.append(
            finding("repeated_line_id", place, lost, people, amount, examples=few, **facts)
        )
    return found or [finding("repeated_line_id", "", 0, 0, None)] * bool(linked.keys)


_NO_AND_YES = (("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))


def _unused_flags(engine: Engine, source: Source, linked: LinkedLines) -> list[dict[str, Any]]:
    """Columns of yes and no that no figure is made of, though both are said of much that is kept."""
    own = _own_columns(source)
    idle = {key: place for key, place in linked.unused.items() if place.split(".")[1] not in own}
    nothing = [finding("unused_flag", "", 0, 0, None)] * bool(linked.unused)
    if not idle:
        return nothing
    ends = [
        exp.alias_(exp.func(which, _word(key)), f"{which} {key}", quoted=True)
        for key in idle
        for which in ("MIN", "MAX")
    ]
    range_of = engine.query(exp.select(*ends).from_("linked").sql("duckdb")).iloc[0]
    found = []
    for key, place in idle.items():
        pair = (range_of[f"MIN {key}"], range_of[f"MAX {key}"])
        if pair not in _NO_AND_YES:
            continue
        counted = engine.query(naming("unused_flag", key, _SQL["unused_flag"]))
        money = {row.word: row.amount for row in counted.itertuples() if row.word in pair}
        total = sum(map(Decimal, money.values()), Decimal(0))
        if set(counted["word"].dropna()) != set(pair) or total <= 0:
            continue
        share = float(money[pair[0]]) / float(total)
        if not MANY_SET_ASIDE <= share <= 1 - MANY_SET_ASIDE:
            continue
        row = record_of(counted[counted["word"] == pair[0]].drop(columns="word"))
        n, people, amount = row["rows"], row["customers"], row["amount"]
        said: dict[str, Any] = {"value": pair[0], "share": round(share, 6)}
        found.append(finding("unused_flag", place, n, people, amount, examples="", **said))
    return found or nothing


def _word(column: str) -> Any:
    return exp.func("LOWER", exp.func("TRIM", exp.cast(exp.column(column), "VARCHAR")))


def _own_columns(source: Source) -> set[str]:
    """Names that the SELECT of own features reads: these columns are used."""
    own = one_select(source.own_sql).find_all(exp.Column) if source.own_sql else ()
    return {column.name.lower() for column in own}
