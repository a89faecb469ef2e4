"""Raw tables -> transactions (or a customer table), by one SELECT per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlglot import exp

from segmentation.core.columns import REQUIRED_TRANSACTION_COLUMNS, SHIPPED_FEATURES, TRANSACTIONS
from segmentation.core.errors import SourceError, first_three, in_one_sentence
from segmentation.orders.customer_ids import with_clean_ids
from segmentation.orders.date_swap import with_days_swapped
from segmentation.sources.checks import check_casts, check_joins, check_raw_columns, raw_columns
from segmentation.sources.decimals import with_numbers_as_meant
from segmentation.sources.engine import Engine
from segmentation.sources.forgotten import LeftOut, create_without
from segmentation.sources.shop_days import with_own_days, zoned_columns
from segmentation.sources.source import Source, find_source, one_select

__all__ = ["Source", "describe_raw", "find_source", "ingest"]

_TYPES = {"text": "VARCHAR", "date": "DATE", "flag": "BOOLEAN"}
NUMBERS = ("DECIMAL", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER")
_DATES = ("order_date", "registered_date")
EARLIEST, LATEST = "1600-01-01", "2999-12-31"
"""A date outside is a slip of the export, never a day on which somebody bought."""
_QUERIES = 32
"""Most queries that describe one table: each takes longer the more columns there are."""


def ingest(
    engine: Engine,
    source: Source,
    *,
    date_repair: str = "off",
    id_cleaning: str = "auto",
    guest_ids: Sequence[str] | str = "auto",
    checked: Source | None = None,
) -> Source:
    """Bind the raw files and materialise the table ``transactions`` (or ``customers``).

    ``date_repair`` is ``off`` or ``swap_day_month`` (`date_swap.with_days_swapped`);
    ``id_cleaning`` and ``guest_ids`` are those of `customer_ids.with_clean_ids`. ``checked`` is
    what this gave for the same tables before: nothing of them is then looked at again.

    Returns
    -------
    Source
        The same source, told whether it is a customer table, what was left out of it because
        a customer asked to be forgotten, which columns carry a zone and which write numbers
        in another way than engines do; with what is meant in its SELECT.

    Raises
    ------
    SourceError
        Missing columns by name; values that are not the number or date they should be
        with count and first three; money with more decimals than the source declares;
        a lookup table that would count an order line twice; SQL that cannot be run.
    """
    for table in source.tables:
        engine.bind(table, source.files.get(table))
    if checked is None:
        _check_stated_names(engine, source)
    for table in source.tables:
        engine.rename(table, source.other_names)
    engine.lock()
    if checked is not None:
        _create(engine, checked)
        return checked
    engine.check_dates(source.sql)
    try:
        return _materialise(engine, source, date_repair, id_cleaning, guest_ids)
    except SourceError:
        raise
    except engine.error as error:
        raise SourceError(
            f"source {source.name}: its SQL cannot be run: {in_one_sentence(error)}"
        ) from None


def _check_stated_names(engine: Engine, source: Source) -> None:
    """Refuse a name of ``columns`` that no raw table has, or one beside the column it stands for."""
    if not source.columns:
        return
    if engine.dialect == "mysql":
        raise SourceError(
            "columns renames what files hold; in a database say it in the SELECT, as in "
            f"{exp.alias_(exp.column(next(iter(source.columns.values()))), 'name').sql('duckdb')}."
        )
    tables = [{c.casefold() for c in held} for held in raw_columns(engine, source).values()]
    for wanted, held in source.columns.items():
        has = [table for table in tables if held.casefold() in table]
        if not has:
            raise SourceError(
                f"columns: no table of source {source.name} has {held} ({wanted}); they have "
                f"{first_three(sorted(set().union(*tables)))}."
            )
        if wanted.casefold() != held.casefold() and any(wanted.casefold() in t for t in has):
            raise SourceError(
                f"columns: {wanted} is called {held}, but a table of source {source.name} has "
                "both; take it out of the profile."
            )


def _materialise(
    engine: Engine,
    source: Source,
    date_repair: str,
    id_cleaning: str,
    guest_ids: Sequence[str] | str,
) -> Source:
    check_raw_columns(engine, source)
    if source.files:
        sql, marks = with_numbers_as_meant(engine, source)
        source = replace(source, sql=sql, marks=tuple(sorted(marks.items())))
    columns = {name.lower(): kind for name, kind in engine.columns(source.sql).items()}
    ids: list[dict[str, Any]] = []
    is_customer_table = "order_id" not in columns and "total_spent" in columns
    rounded = check_casts(engine, source, rounds="total_spent" if is_customer_table else "")
    known, texts = zoned_columns(engine, source)
    if texts:
        source = replace(source, sql=with_own_days(source.sql))
        check_casts(engine, source)
    if is_customer_table:
        _check_customer_columns(source, columns)
        lines = _canonical(source.sql, columns, features=_features_of(source))
    else:
        _check_transaction_columns(source, columns)
        check_joins(engine, source)
        _check_flags(engine, source, columns)
        lines = _canonical(source.sql, columns)
        if date_repair == "swap_day_month":
            lines = with_days_swapped(lines)
        lines, ids = with_clean_ids(
            engine, lines, cleaning=id_cleaning, guests=guest_ids, forgotten=source.forgotten
        )
    source = replace(
        source,
        is_customer_table=is_customer_table,
        rounded=rounded,
        found=tuple(ids),
        zoned=tuple(sorted({*known, *texts})),
        lines=lines,
    )
    left_out = _create(engine, source)
    if not is_customer_table:
        _check_days(engine, source)
    return replace(source, left_out=left_out)


def _create(engine: Engine, source: Source) -> LeftOut | None:
    """Materialise the lines or customers of a source that was checked."""
    table, money = "transactions", "amount"
    if source.is_customer_table:
        table, money = "customers", "total_spent"
    return create_without(engine, table, source.lines, source.forgotten, amount=money)


def _check_transaction_columns(source: Source, columns: dict[str, str]) -> None:
    missing = [name for name in REQUIRED_TRANSACTION_COLUMNS if name not in columns]
    if missing:
        raise SourceError(
            f"source {source.name}: its SELECT lacks {first_three(missing)}; "
            f"required are {', '.join(REQUIRED_TRANSACTION_COLUMNS)}."
        )
    wrong = {
        "amount": ("an exact DECIMAL", ("DECIMAL", *NUMBERS)),
        "unit_price": ("an exact DECIMAL", NUMBERS),
        "discount": ("an exact DECIMAL", NUMBERS),
        "cost": ("an exact DECIMAL", NUMBERS),
        "quantity": ("a number", (*NUMBERS, "DOUBLE", "FLOAT")),
        "order_date": ("a DATE", ("DATE", "TIMESTAMP")),
        "registered_date": ("a DATE", ("DATE", "TIMESTAMP")),
        "is_valid": ("a BOOLEAN", ("BOOLEAN",)),
        "is_return": ("a BOOLEAN", ("BOOLEAN",)),
        "is_non_product": ("a BOOLEAN", ("BOOLEAN",)),
        "is_listed_twice": ("a BOOLEAN", ("BOOLEAN",)),
    }
    check_types(source, columns, wrong)


def _check_customer_columns(source: Source, columns: dict[str, str]) -> None:
    if "customer_id" not in columns:
        raise SourceError(f"source {source.name}: its SELECT lacks customer_id.")
    numbers = (*NUMBERS, "DOUBLE", "FLOAT")
    if not source.own_sql and (lacks := [n for n in source.own_names if n not in columns]):
        raise SourceError(
            f"source {source.name}: its SELECT lacks {first_three(lacks)}, which feature_labels "
            "describes; add it there, or name by own_features the SELECT that gives it."
        )
    wrong = dict.fromkeys(_features_of(source), ("a number", numbers))
    check_types(source, columns, wrong | {"total_spent": ("an exact DECIMAL", NUMBERS)})


def _features_of(source: Source) -> tuple[str, ...]:
    """Columns of a customer table that are features."""
    return (*SHIPPED_FEATURES, *(() if source.own_sql else source.own_names))


def check_types(
    source: Source, columns: dict[str, str], wanted: dict[str, tuple[str, tuple[str, ...]]]
) -> None:
    """Refuse a column of a SELECT that is of another type than wanted (words, and types)."""
    for name, (words, accepted) in wanted.items():
        if name in columns and not columns[name].startswith(accepted):
            raise SourceError(
                f"source {source.name}: column {name} is {columns[name]}, "
                f"it must be {words}; CAST it in the SELECT."
            )


def _canonical(sql: str, columns: dict[str, str], *, features: Sequence[str] = ()) -> str:
    """Wrap a source's SELECT into the agreed columns, missing optional ones as NULL."""
    if features:
        wanted = {"customer_id": "VARCHAR"} | {n: "" for n in features if n in columns}
    else:
        wanted = {name: _TYPES.get(column.kind, "") for name, column in TRANSACTIONS.items()}
    chosen = []
    for name, kind in wanted.items():
        value: Any = exp.column(name) if name in columns else exp.null()
        if name in ("is_return", "is_listed_twice") or (
            name == "is_non_product" and name in columns
        ):
            value = exp.func("COALESCE", value, exp.false())
        chosen.append(exp.alias_(exp.cast(value, kind) if kind else value, name))
    query = exp.select(*chosen).from_(one_select(sql).subquery("source"))
    return str(query.sql("duckdb", pretty=True))


def _check_flags(engine: Engine, source: Source, columns: dict[str, str]) -> None:
    """Refuse a flag that holds more than yes and no, as a database's TINYINT(1) may."""
    for name in (n for n, column in TRANSACTIONS.items() if column.kind == "flag" and n in columns):
        flag = exp.column(name)
        fails = engine.cast_fails(exp.cast(flag, "BOOLEAN"))
        query = (
            exp.select(exp.alias_(exp.cast(flag.copy(), "VARCHAR"), "held"))
            .from_(one_select(source.sql).subquery("source"))
            .where(flag.copy().is_(exp.null()).not_(), fails)
        )
        found = engine.query(query.sql("duckdb"))["held"]
        if len(found):
            raise SourceError(
                f"source {source.name}: {name} is not a flag (0 or 1) in {len(found):,} row(s): "
                f"{first_three(dict.fromkeys(found[:1000]))}; say in its SELECT which values count, "
                f"such as status = 2 AS {name}."
            )


def _check_days(engine: Engine, source: Source) -> None:
    """Refuse a day that no calendar of a shop holds, however its type came about."""
    for name in _DATES:
        day = exp.column(name)
        bounds = [exp.cast(exp.Literal.string(text), "DATE") for text in (EARLIEST, LATEST)]
        outside = exp.not_(exp.Between(this=day.copy(), low=bounds[0], high=bounds[1]))
        query = (
            exp.select(exp.alias_(exp.cast(day.copy(), "VARCHAR"), "day"))
            .from_("transactions")
            .where(outside)
        )
        found = engine.query(query.sql("duckdb"))["day"]
        if len(found):
            raise SourceError(
                f"source {source.name}: {name} is not between {EARLIEST} and {LATEST} in "
                f"{len(found):,} row(s): {first_three(found)}; correct the file or its SELECT."
            )


def describe_raw(engine: Engine, source: Source) -> pd.DataFrame:
    """Missing and distinct values of every raw column; one row per column, no values.

    Values are not shown because raw columns may identify people.
    """
    rows = []
    for table in source.tables:
        total, kinds = engine.count(table), engine.columns_of(table)
        names, at_once = list(kinds), 1 + len(kinds) // _QUERIES
        for start in range(0, len(names), at_once):
            part = names[start : start + at_once]
            counts = []
            for place, name in enumerate(part):
                column = exp.column(name, quoted=True)
                distinct = exp.Count(this=exp.Distinct(expressions=[column.copy()]))
                counts.append(exp.alias_(exp.Count(this=column), f"filled_{place}"))
                counts.append(exp.alias_(distinct, f"distinct_{place}"))
            query = exp.select(*counts).from_(exp.to_table(table))
            found = engine.query(query.sql("duckdb")).iloc[0]
            rows += [
                {
                    "file": source.place_of(table),
                    "column": name,
                    "type": "text" if kinds[name] == "VARCHAR" else kinds[name].lower(),
                    "rows": total,
                    "missing": total - int(found[f"filled_{place}"]),
                    "distinct": int(found[f"distinct_{place}"]),
                }
                for place, name in enumerate(part)
            ]
    return pd.DataFrame(rows)
