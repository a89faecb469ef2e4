"""Figures about dates: what the calendar of a source looks like, as found and repaired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from segmentation.book import style
from segmentation.book.plots import common, heat
from segmentation.orders.date_swap import LAST_SWAPPABLE_DAY, swapped

MOST_MONTHS_LABELLED = 24
DAYS = 31
BUSY = 0.99  # one day of a sale must not leave all others pale


@style.report_figure
def plot_calendar(order_days: pd.DataFrame, *, swap: Mapping[str, Any]) -> Figure:
    """Lines on each day, a row per month: gaps and exchanged dates show as a pattern.

    Parameters
    ----------
    order_days : DataFrame with columns ``day, lines``, dates as found
    swap : mapping of ``order_date`` to the fields of `date_swap.SwapEvidence`
        Where its strength is not ``none``, a second panel shows the dates after the
        exchange, and a frame in the first marks days 1 to 12 of months outside the range.
    """
    if order_days.empty:
        return style.sentence_figure(
            "This source is a customer table: it has no order dates to chart."
        )
    found = swap["order_date"]
    dates = pd.to_datetime(order_days["day"])
    versions = {"As found": dates}
    if found["strength"] != "none":
        versions["Day and month exchanged"] = swapped(dates)
    lines = order_days["lines"].to_numpy()
    months = pd.period_range(dates.min().to_period("M"), dates.max().to_period("M"), freq="M")
    height = min(1.6 + 0.17 * max(len(months), 6), 9.0)
    fig, axes = common.panels(len(versions), columns=2, height=height, sharey=True)
    darkest = max(float(np.quantile(lines, BUSY)), 1.0)
    norm = Normalize(0, darkest)
    for ax, (title, days) in zip(axes, versions.items(), strict=True):
        cells = _cells(days, lines, months)
        image = heat.heat_map(ax, cells, None, cmap=style.SEQUENTIAL, norm=norm)
        ax.set_title(f"{title} · {common.n_of(int(lines.sum()), 'lines')}")
        ax.set_xticks([0, 11, 20, 30], labels=["1", "12", "21", "31"])
        ax.set_xlabel("Day of the month")
    every = -(-len(months) // MOST_MONTHS_LABELLED)
    axes[0].set_yticks(range(0, len(months), every), labels=[f"{m:%b %Y}" for m in months[::every]])
    axes[0].set_ylabel("Month")
    if len(versions) > 1:
        _frame_outside(axes[0], months, found)
    heat.colour_bar(fig, image, axes, "Lines on the day (lines)")
    common.note(fig, _note(darkest, len(versions) > 1))
    return fig


def _note(darkest: float, is_framed: bool) -> str:
    blank = f"Blank: no line on that day. Darkest: {darkest:,.0f} lines or more."
    framed = " Framed: days 1 to 12 of months outside the true range."
    return blank + framed if is_framed else blank


def _cells(days: pd.Series, lines: np.ndarray, months: pd.PeriodIndex) -> np.ndarray:
    """Lines by month and day of the month, NaN where there are none."""
    cells = np.full((len(months), DAYS), np.nan)
    row = months.get_indexer(pd.PeriodIndex(days.dt.to_period("M")))
    inside = row >= 0
    cells[row[inside], days.dt.day.to_numpy()[inside] - 1] = lines[inside]
    return cells


def _frame_outside(ax: Axes, months: pd.PeriodIndex, found: Mapping[str, Any]) -> None:
    before = int((months < pd.Period(found["first_month"], "M")).sum())
    after = int((months > pd.Period(found["last_month"], "M")).sum())
    for start, count in ((0, before), (len(months) - after, after)):
        if count:
            frame = Rectangle(
                (-0.5, start - 0.5),
                LAST_SWAPPABLE_DAY,
                count,
                fill=False,
                edgecolor=style.ACCENT,
                linewidth=1.6,
            )
            ax.add_patch(frame)
