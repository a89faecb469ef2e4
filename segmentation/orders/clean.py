"""Transactions -> kept lines and a ledger that adds up to the cent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.columns import FORGOTTEN, LEDGER_COLUMNS, RULE_WORDS, RULES
from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.sources.engine import Engine, Shortcut
from segmentation.sources.forgotten import LeftOut

_SQL = Path(__file__).parent / "sql"
CLEAN_SQL = (_SQL / "clean.sql").read_text(encoding="utf-8")
LONE_RETURNS_SQL = (_SQL / "lone_returns.sql").read_text(encoding="utf-8")
CANCELLED_SQL = (_SQL / "cancelled.sql").read_text(encoding="utf-8")
LEDGER_SQL = (_SQL / "ledger.sql").read_text(encoding="utf-8")


def rules_sql(*, returns: str, without_product: bool = False) -> str:
    """The query that gives every line its rule, as it runs and as the book shows it.

    Under ``net`` customers must be looked through for returns without a purchase, and
    otherwise purchases for their cancellation where returns are ``without_product``:
    ``lone_returns.sql`` or ``cancelled.sql`` then reads what ``clean.sql`` gives.
    """
    if returns != "net" and not without_product:
        return CLEAN_SQL
    then = LONE_RETURNS_SQL if returns == "net" else CANCELLED_SQL
    rules: Any = sqlglot.parse_one(CLEAN_SQL, dialect="duckdb")
    query: Any = sqlglot.parse_one(then, dialect="duckdb")
    before, after = rules.ctes, query.ctes
    rules.selects[-1].set("alias", exp.to_identifier("first_rule"))
    rules.set("with_", None)
    # side by side and not one inside the other, which MariaDB does not read
    ruled = exp.CTE(this=rules, alias=exp.TableAlias(this=exp.to_identifier("ruled")))
    query.set("with_", exp.With(expressions=[*before, ruled, *after]))
    return str(query.sql("duckdb", pretty=True))


def without_copies(sql: str) -> str:
    """The query of `rules_sql` that looks for no copies: where they are kept, no rule asks.

    Every row is as before but for its ``copy_number``, which is 1.
    """
    query: Any = sqlglot.parse_one(sql, dialect="duckdb")
    plain = sqlglot.parse_one("SELECT transactions.*, 1 AS copy_number FROM transactions")
    ctes = [cte for cte in query.ctes if cte.alias != "copied_orders"]
    for cte in ctes:
        if cte.alias == "numbered":
            cte.set("this", plain)
    query.set("with_", exp.With(expressions=ctes))
    return str(query.sql("duckdb", pretty=True))


def clean(
    engine: Engine,
    *,
    returns: str,
    zero_amount: str,
    duplicates: str,
    non_product: str,
    as_of: dt.date | None,
) -> dict[str, Any]:
    """Give every transaction line its rule and materialise ``classified`` (anew).

    Returns
    -------
    dict
        The values that were bound into ``clean.sql``, for the page that shows it.

    Raises
    ------
    ParameterError
        If ``non_product: exclude`` is asked of a source that marks no such lines.
    SourceError
        If no line is left; the message names the rules that took the most.
    """
    if non_product == "exclude" and not _count(engine, "is_non_product IS NOT NULL"):
        raise ParameterError(
            "non_product is 'exclude', but the source marks no line as a non-product; "
            "give its SELECT a column is_non_product, or set non_product: keep."
        )
    values = {
        "returns": returns,
        "zero_amount": zero_amount,
        "duplicates": duplicates,
        "non_product": non_product,
        "as_of": as_of,
    }
    sql = rules_sql(returns=returns, without_product=returned_without_product(engine))
    shortcut = Shortcut("copy_number", without_copies(sql)) if duplicates == "keep" else None
    engine.create("classified", sql, values, shortcut=shortcut)
    return values


def returned_without_product(engine: Engine) -> bool:
    """Whether returns are among the lines of which nobody knows what was bought."""
    return _count(engine, "is_return AND product IS NULL") > 0


def _count(engine: Engine, condition: str) -> int:
    query = exp.select("COUNT(*) AS n").from_("transactions").where(condition)
    return int(engine.query(query.sql("duckdb"))["n"].item())


def ledger(engine: Engine, *, left_out: LeftOut | None = None) -> pd.DataFrame:
    """Rows, customers and money: raw, set aside by each rule, kept.

    ``left_out`` are lines that were never read, because somebody asked to be forgotten; they
    are raw lines and a rule of their own, the first.

    Returns
    -------
    DataFrame with columns ``rule, rows, customers, amount``
        First row ``raw``, last row ``kept``; the rows between are disjoint, so
        ``raw`` = their sum + ``kept`` for rows and (exactly) for amount. Customers do
        not add up: one customer may have lines under several rules.

    Raises
    ------
    SourceError
        If nothing is kept.
    """
    counted = engine.query(LEDGER_SQL).set_index("rule")
    names = ["raw", *(rule.name for rule in RULES), "kept"]
    exact_zero = counted["amount"].iloc[0] * 0 if len(counted) else Decimal(0)
    table = counted.reindex(names).reset_index()
    table["rows"] = table["rows"].fillna(0).astype("int64")
    table["customers"] = table["customers"].fillna(0).astype("int64")
    table["amount"] = [exact_zero if pd.isna(value) else value for value in table["amount"]]
    table = _with_left_out(table, left_out)
    if table["rows"].iloc[-1] == 0:
        taken = table.iloc[1:-1].query("rows > 0").sort_values("rows", ascending=False)
        reasons = first_three(
            f"{RULE_WORDS[rule]} {rows:,}"
            for rule, rows in zip(taken["rule"], taken["rows"], strict=True)
        )
        raise SourceError(
            f"no order line is left to segment: of {table['rows'].iloc[0]:,} lines all were set "
            f"aside ({reasons}); check the source's SELECT and as_of."
        )
    return table[list(LEDGER_COLUMNS)]


def _with_left_out(table: pd.DataFrame, left_out: LeftOut | None) -> pd.DataFrame:
    """A ledger with the lines that were left out of the reading; as it is where none could be."""
    if left_out is None:
        return table
    counts = vars(left_out)
    for name in counts:
        table.loc[0, name] += counts[name]
    row = pd.DataFrame([{"rule": FORGOTTEN.name} | counts])
    return pd.concat([table.iloc[:1], row, table.iloc[1:]], ignore_index=True)


def treatments(*, zero_amount: str, duplicates: str, returns: str) -> dict[str, str]:
    """What cleaning does to lines that are found, by finding; they are counted either way.

    Examples
    --------
    >>> found = treatments(zero_amount="keep", duplicates="drop", returns="net")
    >>> found["zero_amount"], found["duplicate_line"], found["missing_customer_id"]
    ('kept', 'set aside', 'set aside')
    """
    always = [rule.name for rule in RULES if rule.name.startswith("missing_")]
    always += ["order_after_as_of", "unmarked_return", "refund_as_invalid", "left_out"]
    signs = ("return_with_positive_amount", "return_with_positive_quantity")
    return dict.fromkeys(always, "set aside") | {
        **dict.fromkeys(signs, "kept" if returns == "net" else "set aside"),
        "repeated_total": "kept",
        "cancelled_same_day": "kept",
        "zero_amount": "set aside" if zero_amount == "exclude" else "kept",
        "duplicate_line": "set aside" if duplicates == "drop" else "kept",
    }


def customer_table_ledger(
    customers: pd.DataFrame, *, left_out: LeftOut | None = None
) -> pd.DataFrame:
    """Ledger of a source that is already one row per customer: nothing is set aside."""
    total = sum(map(Decimal, customers["total_spent"]), Decimal(0))
    row = {"rows": len(customers), "customers": customers["customer_id"].nunique(), "amount": total}
    empty = {"rows": 0, "customers": 0, "amount": total * 0}
    rows = [
        {"rule": "raw"} | row,
        *({"rule": rule.name} | empty for rule in RULES),
        {"rule": "kept"} | row,
    ]
    return _with_left_out(pd.DataFrame(rows)[list(LEDGER_COLUMNS)], left_out)
