"""Dates whose day and month were exchanged on the way in: the sign of it, and the repair.

A date written 2021-07-03 and read as 2021-03-07 is exchanged only where the day is at
most 12, for no calendar has a 13th month. So months that hold nothing but days 1 to 12
appear outside the true range, and inside it those days come from everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.limits import SWAP_LEAST_MONTHS, SWAP_LEAST_ROWS, SWAP_MODERATE, SWAP_STRONG

LAST_SWAPPABLE_DAY = 12


@dataclass(frozen=True)
class SwapEvidence:
    """What speaks for exchanged days and months in one column of dates.

    ``strength`` is ``none``, ``moderate`` or ``strong``. ``rows`` are all dated rows,
    ``swappable`` those that an exchange would change. ``months_outside`` are the months
    beyond the first and last month that hold a day after the 12th; ``rows_outside`` lie
    in them, ``rows_outside_repaired`` would still do so after the exchange. ``first_month``
    and ``last_month`` span the months that hold late days. ``expected_late`` is how many
    rows of the months outside would lie after the 12th if days were spread evenly.
    """

    strength: str
    rows: int
    swappable: int
    months_outside: int
    rows_outside: int
    rows_outside_repaired: int
    first_month: str
    last_month: str
    expected_late: float
    days_missing: int
    days_missing_repaired: int


def swapped(days: pd.Series) -> pd.Series:
    """Dates with day and month exchanged where the day is at most 12.

    Exchanging twice gives the dates back.

    Examples
    --------
    >>> swapped(pd.Series(pd.to_datetime(["2021-03-07", "2021-03-13"]))).dt.strftime("%F").tolist()
    ['2021-07-03', '2021-03-13']
    """
    early = days.dt.day <= LAST_SWAPPABLE_DAY
    parts = {"year": days.dt.year, "month": days.dt.day, "day": days.dt.month}
    exchanged = pd.to_datetime(pd.DataFrame(parts)[early]).astype(days.dtype)
    return days.where(~early, exchanged.reindex(days.index))


def swap_evidence(counts: pd.DataFrame) -> SwapEvidence:
    """Judge one column of dates by how many rows each day holds.

    Parameters
    ----------
    counts : DataFrame with columns ``day`` (datetime64, one row per day) and ``rows``

    Notes
    -----
    The range of the data is taken from days after the 12th, which no exchange touches.
    The sign is strong when at least `SWAP_LEAST_MONTHS` months and `SWAP_LEAST_ROWS` rows lie
    outside that range, beyond what the first or last month's beginning would hold, and
    the exchange brings `SWAP_STRONG` of them back. An edge month is not outside when
    it follows the range directly and the exchange does not bring its rows back.

    Examples
    --------
    >>> days = pd.date_range("2021-07-01", "2022-06-30").to_series(index=range(365))
    >>> swap_evidence(pd.DataFrame({"day": days, "rows": 3})).strength
    'none'
    >>> swap_evidence(pd.DataFrame({"day": swapped(days), "rows": 3})).strength
    'strong'
    """
    days = pd.to_datetime(counts["day"])
    rows = counts["rows"].astype("int64")
    late = days.dt.day > LAST_SWAPPABLE_DAY
    if not late.any():
        return SwapEvidence("none", int(rows.sum()), int(rows.sum()), 0, 0, 0, "", "", 0.0, 0, 0)
    low, high = days[late].dt.to_period("M").min(), days[late].dt.to_period("M").max()
    repaired = swapped(days)
    outside, still = _outside(days, low, high), _outside(repaired, low, high)
    months = days[outside].dt.to_period("M")
    changed = ~late & (days.dt.day != days.dt.month)
    n_outside, n_still = int(rows[outside].sum()), int(rows[still].sum())
    share_late = 1 - LAST_SWAPPABLE_DAY / days[outside].dt.days_in_month
    return SwapEvidence(
        strength=_strength(int(months.nunique()), n_outside, n_still),
        rows=int(rows.sum()),
        swappable=int(rows[changed].sum()),
        months_outside=int(months.nunique()),
        rows_outside=n_outside,
        rows_outside_repaired=n_still,
        first_month=str(low),
        last_month=str(high),
        expected_late=float((rows[outside] * share_late).sum()),
        days_missing=_days_missing(days, low, high),
        days_missing_repaired=_days_missing(repaired, low, high),
    )


def _outside(days: pd.Series, low: pd.Period, high: pd.Period) -> pd.Series:
    months = days.dt.to_period("M")
    return (months < low) | (months > high)


def _days_missing(days: pd.Series, low: pd.Period, high: pd.Period) -> int:
    """Days without a row between the first and the last day inside the range."""
    inside = days[~_outside(days, low, high)]
    return (inside.max() - inside.min()).days + 1 - inside.nunique()


def _strength(months: int, rows: int, still: int) -> str:
    if months < SWAP_LEAST_MONTHS or rows < SWAP_LEAST_ROWS:
        return "none"
    brought_back = 1 - still / rows
    if brought_back >= SWAP_STRONG:
        return "strong"
    return "moderate" if brought_back >= SWAP_MODERATE else "none"


def with_days_swapped(sql: str) -> str:
    """A SELECT of transactions with the order dates repaired, in DuckDB's dialect.

    Built from parts that every dialect has: text of year, day and month, cast to a date.
    """
    query = sqlglot.parse_one(sql, dialect="duckdb")
    assert isinstance(query, exp.Select)
    for projection in query.expressions:
        if projection.alias_or_name == "order_date":
            projection.set("this", swapped_date(projection.this))
    return str(query.sql("duckdb", pretty=True))


def swapped_date(day: Any) -> Any:
    """The SQL of one date with day and month exchanged where the day is at most 12."""

    def part(of: Any, width: int) -> Any:
        text = exp.cast(of(this=day.copy()), "VARCHAR")
        return exp.func("LPAD", text, exp.Literal.number(width), exp.Literal.string("0"))

    dash = exp.Literal.string("-")
    pieces = [part(exp.Year, 4), dash, part(exp.Day, 2), dash.copy(), part(exp.Month, 2)]
    exchanged = exp.cast(exp.Concat(expressions=pieces, safe=False, coalesce=False), "DATE")
    early = exp.LTE(
        this=exp.Day(this=day.copy()), expression=exp.Literal.number(LAST_SWAPPABLE_DAY)
    )
    return exp.Case().when(early, exchanged).else_(day.copy())
