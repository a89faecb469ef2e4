"""Kept lines -> one row per customer, by ``features.sql``."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sqlglot import exp

from segmentation.core.columns import FEATURES
from segmentation.core.errors import ParameterError, SourceError, first_three, in_one_sentence
from segmentation.orders.transactions import NUMBERS, check_types
from segmentation.sources.checks import check_casts, check_raw_columns
from segmentation.sources.decimals import with_numbers_as_meant
from segmentation.sources.engine import Engine
from segmentation.sources.shop_days import with_own_days, zoned_columns
from segmentation.sources.source import Source, one_select

FEATURES_SQL = (Path(__file__).parent / "sql" / "features.sql").read_text(encoding="utf-8")
FOLLOWED_SQL = (Path(__file__).parent / "sql" / "followed.sql").read_text(encoding="utf-8")
SAMPLE_SQL = (Path(__file__).parent / "sql" / "sample.sql").read_text(encoding="utf-8")
ALL_CUSTOMERS = "customer_features"
"""Name of the table of features where it stays with the engine."""
_WHOLE_NUMBERS = ("first_to_last_order", "recency", "frequency", "tenure")


def last_valid_order(engine: Engine) -> dt.date:
    """Date of the last valid order: what ``as_of: auto`` means."""
    found = engine.query(
        "SELECT MAX(order_date) AS day FROM classified WHERE rule = 'kept' AND NOT is_return"
    )
    return pd.Timestamp(found["day"].item()).date()


def customer_features(engine: Engine, *, as_of: dt.date) -> pd.DataFrame:
    """One row per customer with every feature that the source allows.

    Returns
    -------
    DataFrame sorted by ``customer_id``
        ``register_to_order`` is left out where the source knows no registration, and is
        empty (NaN) for customers who never registered. Money and units are the float64
        nearest to the exact decimal.
    """
    table = engine.query(FEATURES_SQL, {"as_of": as_of})
    if table["register_to_order"].isna().all():
        table = table.drop(columns="register_to_order")
    return _typed(table)


def customer_sample(engine: Engine, *, as_of: dt.date, n_customers: int) -> pd.DataFrame:
    """Features of some customers, drawn by a hash of their values; all others stay.

    The same values give the same sample, whatever the ids and the order of rows. It holds
    customers who did the same as often as chance has it, so shares stay right.

    Returns
    -------
    DataFrame sorted by ``customer_id``
        As `customer_features` gives it, of `n_customers` customers or fewer.
    """
    engine.create(ALL_CUSTOMERS, FEATURES_SQL, {"as_of": as_of})
    known = engine.query("SELECT COUNT(register_to_order) AS n FROM customer_features")
    table = engine.query(SAMPLE_SQL, {"n": n_customers})
    if not known["n"].item():
        table = table.drop(columns="register_to_order")
    return _typed(table)


def followed_customers(
    engine: Engine, *, cut: dt.date, last: dt.date, returns: str
) -> pd.DataFrame:
    """What the customers known at a cut did after it, by ``followed.sql``.

    Returns
    -------
    DataFrame sorted by ``customer_id``
        ``days_before, spent_first_day`` from orders up to the cut; ``orders_after`` and
        ``revenue_after`` (exact decimal) from those after it, up to `last`; ``days_to_order``
        from the cut to the first of them and ``next_amount`` of that day, empty (NaN) where
        none came; ``revenue_30`` and so on: what was spent within so many days.
    """
    table = engine.query(FOLLOWED_SQL, {"cut": cut, "last": last, "returns": returns})
    numbers = [name for name in table if name.startswith(("days_to", "next_", "revenue_"))]
    numbers.remove("revenue_after")
    table[numbers] = table[numbers].astype("float64")
    return table.sort_values("customer_id", kind="stable").reset_index(drop=True)


def read_customer_table(engine: Engine, *, name: str) -> pd.DataFrame:
    """Features of a source that is already one row per customer, checked.

    Raises
    ------
    SourceError
        Customers without id or listed twice; values missing or not finite (only
        ``register_to_order`` may be empty: never registered).
    """
    table = engine.query("SELECT * FROM customers")
    ids = table["customer_id"]
    blank = ids.isna() | (ids.str.strip() == "")
    if blank.any():
        raise SourceError(f"source {name}: {blank.sum():,} customer(s) have no customer_id.")
    _check_one_row_each(table, name=name)
    return _typed(table)


def with_own_features(
    engine: Engine, source: Source, customers: pd.DataFrame, *, as_of: dt.date | None
) -> pd.DataFrame:
    """Customers with the features that the shop's own SELECT gives, as they stood on a day.

    Parameters
    ----------
    as_of : date or None
        What ``:as_of`` in the SELECT stands for; None in a customer table, which knows no day.

    Raises
    ------
    SourceError
        If it gives other columns than the profile describes, no number, more or less than
        one row for a customer, or a value that is empty or not finite.
    """
    if not source.own_sql and not source.is_customer_table and source.own_names:
        raise SourceError(
            f"feature_labels describes {first_three(source.own_names)}, but no SELECT gives it; "
            "name one by own_features in the profile."
        )
    if not source.own_sql:
        return customers
    own = replace(source, name="own_features", sql=_on_day(source.own_sql, as_of))
    try:
        table = _own_table(engine, own)
    except engine.error as error:
        raise SourceError(
            f"own_features: its SQL cannot be run: {in_one_sentence(error)}"
        ) from None
    table = table[table["customer_id"].isin(customers["customer_id"])]
    missing = customers["customer_id"][~customers["customer_id"].isin(table["customer_id"])]
    if len(missing):
        day = "" if as_of is None else f" of {as_of}"
        raise SourceError(
            f"own_features: {len(missing):,} customer(s) are not in its result{day} "
            f"({first_three(missing)}); give every customer of the orders one row, with 0 where "
            "there is nothing (LEFT JOIN and COALESCE)."
        )
    _check_one_row_each(table, name=own.name)
    return _typed(customers.merge(table, on="customer_id", validate="one_to_one"))


def known_on(engine: Engine, source: Source, day: dt.date) -> pd.DataFrame:
    """Every feature as it stood on an earlier day; the shop's own where its SELECT knows days."""
    known = customer_features(engine, as_of=day)
    return with_own_features(engine, source, known, as_of=day) if knows_day(source) else known


def knows_day(source: Source) -> bool:
    """Whether features of the shop's own can be computed as they stood on an earlier day."""
    return not source.own_sql or one_select(source.own_sql).find(exp.Placeholder) is not None


def _on_day(sql: str, day: dt.date | None) -> str:
    query = one_select(sql)
    for marker in list(query.find_all(exp.Placeholder)):
        if marker.name != "as_of":
            raise SourceError(f"own_features: {marker.sql('duckdb')} is not known; :as_of is.")
        if day is None:
            raise SourceError("own_features: a customer table has no day; take out :as_of.")
        marker.replace(exp.cast(exp.Literal.string(day.isoformat()), "DATE"))
    return str(query.sql("duckdb"))


def _own_table(engine: Engine, own: Source) -> pd.DataFrame:
    engine.check_dates(own.sql)
    check_raw_columns(engine, own)
    if own.files:
        own = replace(own, sql=with_numbers_as_meant(engine, own)[0])
    check_casts(engine, own)
    if zoned_columns(engine, own)[1]:
        own = replace(own, sql=with_own_days(own.sql))
    types = {name.lower(): kind for name, kind in engine.columns(own.sql).items()}
    wanted = ("customer_id", *own.own_names)
    if lacks := [name for name in wanted if name not in types]:
        raise SourceError(f"own_features: its SELECT lacks {first_three(lacks)}; add it there.")
    if more := [name for name in types if name not in wanted]:
        raise SourceError(
            f"own_features: its SELECT gives {first_three(more)}, which feature_labels in the "
            "profile does not describe; add a label and a unit there, or leave it out."
        )
    numbers = ("a number", (*NUMBERS, "DOUBLE", "FLOAT"))
    check_types(own, types, dict.fromkeys(own.own_names, numbers))
    chosen = [exp.alias_(exp.cast(exp.column("customer_id"), "VARCHAR"), "customer_id")]
    chosen += [exp.alias_(exp.cast(exp.column(n), "DOUBLE"), n) for n in own.own_names]
    return engine.query(
        exp.select(*chosen).from_(one_select(own.sql).subquery("own")).sql("duckdb")
    )


def _check_one_row_each(table: pd.DataFrame, *, name: str) -> None:
    ids = table["customer_id"]
    twice = ids[ids.duplicated()].drop_duplicates().sort_values()
    if len(twice):
        raise SourceError(
            f"source {name}: {len(twice):,} customer(s) are listed more than once "
            f"({first_three(twice)}); give one row per customer."
        )
    for column in [c for c in table.columns if c in FEATURES]:
        numbers = table[column].astype("float64")
        optional = numbers.isna() if column == "register_to_order" else False
        bad = ids[~np.isfinite(numbers) & ~optional].sort_values()
        if len(bad):
            raise SourceError(
                f"source {name}: {column} is empty or not a finite number for {len(bad):,} "
                f"customer(s) ({first_three(bad)}); correct them in the table."
            )


def check_exact(customers: pd.DataFrame, *, scale: int) -> None:
    """Refuse money that a float64 cannot hold to the last decimal.

    Parameters
    ----------
    customers : DataFrame, one row per customer, with ``total_spent``
    scale : int
        Decimals of the source's money.

    Raises
    ------
    SourceError
        If a customer's spend, or everybody's together, is beyond exact arithmetic.
    """
    minor = customers["total_spent"].abs() * 10.0**scale
    beyond = customers["customer_id"][minor >= 2.0**53].sort_values()
    if len(beyond):
        raise SourceError(
            f"amount: {len(beyond):,} customer(s) ({first_three(beyond)}) spent more than can be "
            f"added up exactly with {scale} decimals; check the amounts, or give them in "
            "thousands."
        )
    if minor.sum() >= 2.0**62:
        raise SourceError(
            f"amount: all customers together spent more than can be added up exactly with {scale} "
            "decimals; check the amounts, or give them in thousands."
        )


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    table = table.sort_values("customer_id", kind="stable").reset_index(drop=True)
    table["customer_id"] = table["customer_id"].astype(object)
    for name in [column for column in table.columns if column in FEATURES]:
        numbers = table[name].astype("float64")
        whole = name in _WHOLE_NUMBERS and (numbers % 1 == 0).all()
        table[name] = numbers.astype("int64") if whole else numbers
    order = ["customer_id", *(name for name in FEATURES if name in table.columns)]
    return table[order]


def without_later_registrations(features: pd.DataFrame) -> pd.DataFrame:
    """Features as they were known on their day: who registered after it was not registered then.

    Examples
    --------
    >>> table = pd.DataFrame({"register_to_order": [3.0, -2.0, -40.0], "tenure": [10.0, 30.0, 30.0]})
    >>> without_later_registrations(table)["register_to_order"].tolist()
    [3.0, -2.0, nan]
    """
    if "register_to_order" not in features.columns:
        return features
    later = features["register_to_order"] < -features["tenure"]
    return features.assign(register_to_order=features["register_to_order"].mask(later))


def add_segment_type(features: pd.DataFrame, *, split_pre_register: bool) -> pd.DataFrame:
    """Say which group a customer belongs to; each group gets its own model.

    Customers whose first order precedes their registration behave differently and are
    often a recording matter; customers who never registered have no
    ``register_to_order`` at all.

    Parameters
    ----------
    features : DataFrame, one row per customer
    split_pre_register : bool
        False puts ``pre_register`` customers in with ``normal``; ``unregistered`` stay
        apart, because a missing value cannot be scaled.

    Returns
    -------
    DataFrame
        Copy with ``segment_type``: ``normal``, ``pre_register`` or ``unregistered``.
        A source without registration dates is all ``normal``.

    Examples
    --------
    >>> table = pd.DataFrame({"register_to_order": [3.0, -2.0, None]})
    >>> add_segment_type(table, split_pre_register=True)["segment_type"].tolist()
    ['normal', 'pre_register', 'unregistered']
    """
    if "register_to_order" not in features.columns:
        return features.assign(segment_type="normal")
    days = features["register_to_order"]
    early = (days < 0) & split_pre_register
    kind = np.select([days.isna(), early], ["unregistered", "pre_register"], "normal")
    return features.assign(segment_type=kind.astype(object))


def check_features(features: pd.DataFrame, wanted: tuple[str, ...], *, source: str) -> None:
    """Refuse a feature that the source cannot give.

    Raises
    ------
    ParameterError
        Names the features missing and those available.
    """
    missing = [name for name in wanted if name not in features.columns]
    if missing:
        available = [name for name in FEATURES if name in features.columns]
        raise ParameterError(
            f"features: source {source} cannot give {first_three(missing)}; "
            f"available are {', '.join(available)}."
        )
    if "total_spent" not in features.columns:
        raise SourceError(f"source {source}: total_spent is needed to number the clusters.")
