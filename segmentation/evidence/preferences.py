"""What each segment buys more, and less, than the others; and what its goods cost the shop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlglot import exp, parse_one

from segmentation.core.limits import (
    LEAST_CUSTOMERS,
    PREFERENCE_CHANCE,
    PREFERENCE_POINTS,
    PREFERENCE_VALUES,
    SEASONS_AFTER,
)
from segmentation.core.parameters import Parameters
from segmentation.customers.read_orders import read_lines, rules_of
from segmentation.orders import clean
from segmentation.orders.summaries import ONE_CUSTOMER_EACH
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.snapshot import Snapshot

SEASON = "season"
DIMENSIONS = ("category", "product", "country", "payment_method", SEASON)
PREFERENCE_COLUMNS = (
    "dimension", "value", "segment_type", "segment", "customers", "buyers", "share", "others",
    "differs",
)  # fmt: skip
MARGIN_COLUMNS = (
    "segment_type", "segment", "lines", "with_cost", "revenue", "cost", "without_one",
)  # fmt: skip
_QUARTER = "'Q' || EXTRACT(QUARTER FROM order_date)"
_SHARES = """
WITH spent AS (
    SELECT customer_id, asked AS value, CAST(SUM(amount) AS DOUBLE) AS amount
    FROM classified
    WHERE rule = 'kept' AND amount > 0 AND asked IS NOT NULL
    GROUP BY ALL
), shares AS (
    SELECT customer_id, value, amount, amount / SUM(amount) OVER (PARTITION BY customer_id) AS share
    FROM spent
)
SELECT segment_type, segment, value, COUNT(*) AS buyers, SUM(share) AS total,
       SUM(share * share) AS squares, SUM(amount) AS revenue
FROM shares JOIN members USING (customer_id)
GROUP BY ALL
"""
_MARGINS = """
SELECT segment_type, segment, COUNT(*) AS lines, COUNT(cost) AS with_cost,
       CAST(SUM(CASE WHEN cost IS NOT NULL THEN amount END) AS DOUBLE) AS revenue,
       CAST(SUM(cost) AS DOUBLE) AS cost
FROM classified JOIN members USING (customer_id)
WHERE rule = 'kept'
GROUP BY ALL ORDER BY ALL
"""
_WITHOUT_ONE = """
-- The margin of all without that one order which moves it most.
WITH orders AS (
    SELECT customer_id, order_id, CAST(SUM(amount) AS DOUBLE) AS revenue,
           CAST(SUM(cost) AS DOUBLE) AS cost
    FROM classified JOIN members USING (customer_id)
    WHERE rule = 'kept' AND cost IS NOT NULL
    GROUP BY ALL
), others AS (
    SELECT 1 - (SUM(cost) OVER () - cost) / NULLIF(SUM(revenue) OVER () - revenue, 0) AS left_over,
           1 - SUM(cost) OVER () / NULLIF(SUM(revenue) OVER (), 0) AS margin
    FROM orders
)
SELECT left_over AS without_one FROM others
WHERE left_over IS NOT NULL ORDER BY ABS(left_over - margin) DESC, left_over LIMIT 1
"""


def preferences(
    *,
    snapshot: Snapshot,
    overview: dict[str, Any],
    segments: pd.DataFrame,
    days_unsure: str,
    parameters: Parameters,
) -> dict[str, Any]:
    """Share of each segment's spend by category, product, country, payment and season.

    No season where days of orders are unsure.

    Read from files only: a database sends one row per customer, and no lines.

    ``preferences``: the mean over customers of the share of their own spend, so that one large
    customer weighs as much as any other, in the segment (``share``) and among all others of
    its group (``others``); ``differs`` where both part by more than chance. ``margins``: lines,
    and revenue and cost of those whose cost the source names, and ``without_one``, the margin of all
    without the order that moves it most; empty where it names none.
    """
    nothing = {
        "preferences": pd.DataFrame(columns=list(PREFERENCE_COLUMNS)),
        "margins": pd.DataFrame(columns=list(MARGIN_COLUMNS)),
    }
    if overview["is_customer_table"] or parameters.engine != "duckdb":
        return nothing
    members = segments[["customer_id", "segment_type", "segment"]]
    tables = []
    with snapshot.opened() as engine:
        assert isinstance(engine, DuckDbEngine)
        read_lines(engine, snapshot, parameters)
        clean.clean(engine, **rules_of(parameters), as_of=pd.Timestamp(overview["as_of"]).date())
        engine.connection.register("members", pa.Table.from_pandas(members, preserve_index=False))
        first, last = (pd.Timestamp(overview[name]) for name in ("first_order", "as_of"))
        is_long = (last - first).days >= SEASONS_AFTER and not days_unsure
        for name in DIMENSIONS if is_long else DIMENSIONS[:-1]:
            found = engine.query(_shares_by(name))
            tables.append(compared(found, members).assign(dimension=name))
        margins = engine.query(_MARGINS)
        one = engine.query(_WITHOUT_ONE)["without_one"].astype(float).round(9)
    kept = [table for table in tables if len(table)]
    together = pd.concat(kept, ignore_index=True) if kept else nothing["preferences"]
    return {
        "preferences": together[list(PREFERENCE_COLUMNS)],
        "margins": margins.fillna(0.0).assign(without_one=one.iloc[0] if len(one) else np.nan)
        if margins["with_cost"].any()
        else nothing["margins"],
    }


def _shares_by(dimension: str) -> str:
    """The query of one dimension: its column, or the quarter of the order, for ``asked``."""
    asked = exp.column(dimension) if dimension != SEASON else parse_one(_QUARTER, read="duckdb")
    query = parse_one(_SHARES, read="duckdb")
    for column in [one for one in query.find_all(exp.Column) if one.name == "asked"]:
        column.replace(asked.copy())
    return query.sql("duckdb")


def compared(found: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Shares of the values that bring most, each segment beside the others of its group.

    Parameters
    ----------
    found : DataFrame: ``segment_type, segment, value, buyers, total, squares, revenue``
        Sums over customers of the share of their own spend, and of its square.
    members : DataFrame: ``segment_type, segment`` of every customer

    Notes
    -----
    Difference of two means by Welch's standard error. A value that stands for one customer
    each is no kind of purchase and is left out.
    """
    values = found.groupby("value").agg(buyers=("buyers", "sum"), revenue=("revenue", "sum"))
    named = values[(values["buyers"] >= LEAST_CUSTOMERS) & (values.index != ONE_CUSTOMER_EACH)]
    if len(named) < 2:
        return pd.DataFrame(columns=list(PREFERENCE_COLUMNS))
    ordered = named.round(2).sort_values(["revenue", "value"], ascending=[False, True])
    top = ordered.head(PREFERENCE_VALUES).index
    rows = []
    for kind, group in members.groupby("segment_type", sort=True):
        sizes = group["segment"].value_counts()
        own = found[found["segment_type"] == kind].set_index(["value", "segment"])
        own = own[["buyers", "total", "squares"]]
        for value in top:
            sums = own.reindex([(value, segment) for segment in sizes.index]).fillna(0.0)
            for place, segment in enumerate(sizes.index):
                one, rest = sums.iloc[place], sums.drop(sums.index[place])
                n, m = int(sizes.iloc[place]), int(sizes.sum() - sizes.iloc[place])
                if min(n, m) < LEAST_CUSTOMERS:
                    continue
                share, others = one["total"] / n, rest["total"].sum() / m
                spread = (one["squares"] / n - share**2) / n
                spread += (rest["squares"].sum() / m - others**2) / m
                gap = abs(share - others)
                beyond = gap > PREFERENCE_CHANCE * np.sqrt(max(spread, 0.0))
                differs = bool(beyond and gap >= PREFERENCE_POINTS)
                rows.append((value, kind, segment, n, int(one["buyers"]), share, others, differs))
    columns = ["value", "segment_type", "segment", "customers", "buyers", "share", "others"]
    table = pd.DataFrame(rows, columns=[*columns, "differs"])
    return table.round({"share": 9, "others": 9})  # sums of floats follow the order of threads
