"""Segments of customers who stay where they are: assigned by SQL, written by the engine.

With ``fit_on`` a number, only so many customers came to the driver and the models were
fitted on them. Here everybody else is assigned with those models on the cluster, which
writes them as Parquet; what travels is one row per segment.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from sqlglot import exp

from segmentation.core.columns import FEATURES
from segmentation.core.errors import SourceError
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.customers import features
from segmentation.customers.read_orders import read_lines, rules_of
from segmentation.deliver.scoring_sql import FEATURES_TABLE, scoring_select
from segmentation.orders import clean
from segmentation.run.run import Run
from segmentation.segments.table import reconcile
from segmentation.sources.engine import Engine
from segmentation.sources.spark.engine import SparkEngine

KEYS = ("segment_type", "cluster", "segment")
SEGMENTS_TABLE = "segments"
_LARGEST_EXACT = 2**53


def write_customers(run: Run, folder: Path) -> tuple[pd.DataFrame, str]:
    """Assign every customer on the cluster and write them there.

    Parameters
    ----------
    run : Run
        Its models were fitted on a sample.
    folder : Path
        The run's folder; the customers go into it where ``cluster_output`` is ``run``.

    Returns
    -------
    DataFrame
        The profile of all customers, as `segments.profile` makes it.
    str
        Where ``features.parquet`` and ``segments.parquet`` are.

    Raises
    ------
    SourceError
        If a group of customers was not in the sample, or money is beyond exact arithmetic.
    """
    asked = run.parameters.cluster_output
    # a place of its own for every result: what an earlier run wrote there stays as it was
    place = folder.absolute().as_uri() if asked == "run" else f"{asked}/{run.key('segments')}"
    with run.snapshot.opened() as engine:
        assert isinstance(engine, SparkEngine)
        names = _assigned(run, engine)
        _check_everybody(engine, run)
        engine.write(FEATURES_TABLE, f"{place}/features.parquet")
        engine.write(SEGMENTS_TABLE, f"{place}/segments.parquet")
        table = _profile(engine, names, scale=run["overview"]["amount_scale"])
    reconcile(table, run["ledger"])
    return table, "run" if asked == "run" else place


def _assigned(run: Run, engine: Engine) -> list[str]:
    """Define the tables ``features`` and ``segments`` of all customers; the features' names."""
    parameters, overview = run.parameters, run["overview"]
    as_of = dt.date.fromisoformat(overview["as_of"])
    read_lines(engine, run.snapshot, parameters)
    clean.clean(engine, **rules_of(parameters), as_of=as_of)
    engine.create(features.ALL_CUSTOMERS, features.FEATURES_SQL, {"as_of": as_of})
    names = [name for name in FEATURES if name in run["features"].columns]
    kind = _segment_type(names, split=parameters.split_pre_register)
    query = exp.select("customer_id", *names, exp.alias_(kind, "segment_type"))
    engine.create(FEATURES_TABLE, query.from_(features.ALL_CUSTOMERS).sql("duckdb"))
    model = run["model"]
    engine.create("assigned", scoring_select(model).sql("duckdb"))
    columns = [exp.column(name, FEATURES_TABLE) for name in ("customer_id", *names, "segment_type")]
    same = exp.column("customer_id", FEATURES_TABLE).eq(exp.column("customer_id", "assigned"))
    joined = (
        exp.select(*columns, exp.column("cluster", "assigned"), exp.column("segment", "assigned"))
        .from_(FEATURES_TABLE)
        .join("assigned", on=same)
    )
    engine.create(SEGMENTS_TABLE, joined.sql("duckdb"))
    return names


def _segment_type(names: list[str], *, split: bool) -> Any:
    """The group of a customer, by the rule of `features.add_segment_type`."""
    if "register_to_order" not in names:
        return exp.Literal.string("normal")
    days = exp.column("register_to_order")
    case = exp.Case().when(days.is_(exp.null()), exp.Literal.string("unregistered"))
    if split:
        early = exp.LT(this=days.copy(), expression=exp.Literal.number(0))
        case = case.when(early, exp.Literal.string("pre_register"))
    return case.else_(exp.Literal.string("normal"))


def _check_everybody(engine: Engine, run: Run) -> None:
    query = (
        "SELECT segment_type, COUNT(*) - COUNT(cluster) AS missing, MAX(ABS(total_spent)) AS most "
        "FROM segments GROUP BY segment_type ORDER BY segment_type"
    )
    found = engine.query(query)
    absent = found[found["missing"] > 0]
    if len(absent):
        kind, n = absent["segment_type"].iloc[0], int(absent["missing"].sum())
        raise SourceError(
            f"fit_on: {n:,} customer(s) of group {kind} are in no model, because the sample of "
            f"{run['overview']['sampled']:,} holds none of them; give a larger fit_on."
        )
    if found["most"].max() * 10.0 ** run["overview"]["amount_scale"] >= _LARGEST_EXACT:
        raise SourceError(
            "amount: a customer spent more than can be added up exactly; check the amounts, or "
            "give them in thousands."
        )


def _profile(engine: Engine, names: list[str], *, scale: int) -> pd.DataFrame:
    """Size, revenue (exact) and typical values of every segment, counted on the cluster."""
    money = exp.DataType.build(f"DECIMAL(28, {scale})")
    exact = exp.func("SUM", exp.cast(exp.column("total_spent"), money))
    columns: list[Any] = [*KEYS, "COUNT(*) AS customers", exp.alias_(exact, "revenue")]
    for name in names:
        value = exp.cast(exp.column(name), "DOUBLE")
        columns.append(exp.alias_(exp.func("AVG", value), f"{name}_mean"))
        columns.append(exp.alias_(exp.Median(this=value.copy()), f"{name}_median"))
    query = exp.select(*columns).from_(SEGMENTS_TABLE).group_by(*KEYS)
    table = engine.query(query.sql("duckdb"))
    total = sum(table["revenue"], Decimal(0))
    table["cluster"] = table["cluster"].astype("int64")
    shares = [float(value / total) if total else 0.0 for value in table["revenue"]]
    table.insert(4, "customers_share", table["customers"] / table["customers"].sum())
    table.insert(6, "revenue_share", shares)
    order = {kind: place for place, kind in enumerate(SEGMENT_TYPES)}
    return table.sort_values(
        list(KEYS[:2]), key=lambda c: c.map(order) if c.name == "segment_type" else c
    ).reset_index(drop=True)
