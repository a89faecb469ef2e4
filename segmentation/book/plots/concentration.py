"""How concentration of spend moves from quarter to quarter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from segmentation.book import style
from segmentation.book.plots import common


@style.report_figure
def plot_concentration_over_time(quarters: pd.DataFrame) -> Figure:
    """Gini coefficient and share of the best tenth, quarter by quarter, with intervals.

    Hollow marks are quarters that were not observed from end to end.

    Parameters
    ----------
    quarters : DataFrame, as ``concentration.over_time`` gives it
    """
    if len(quarters) < 2:
        return style.sentence_figure("There are no two quarters with enough customers to compare.")
    fig, axes = common.panels(2, columns=2, height=2.9)
    drawn = (
        ("gini", "gini", "Gini coefficient", "Gini (0 to 1)"),
        ("top_share", "top", "From the best tenth of customers", "Share of revenue (%)"),
    )
    for ax, (value, ends, title, label) in zip(axes, drawn, strict=True):
        _intervals(ax, quarters, value, ends, style.PLAIN)
        ax.set_title(title)
        ax.set_ylabel(label)
        ax.grid(axis="y")
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    total = int(quarters["customers"].min())
    common.note(
        fig,
        f"Lines: 95% intervals. At least n = {total:,} customers in each quarter. Hollow: not "
        "observed from end to end.",
    )
    return fig


def _intervals(ax: Axes, table: pd.DataFrame, value: str, ends: str, colour: str) -> None:
    places = np.arange(len(table))
    whole = table["is_complete"].to_numpy(dtype=bool)
    ax.vlines(places, table[f"{ends}_low"], table[f"{ends}_high"], color=colour, linewidth=1.6)
    ax.plot(places, table[value], color=colour, linewidth=0.8)
    for part, face in ((whole, colour), (~whole, style.PAPER)):
        ax.plot(
            places[part], table[value].to_numpy()[part], "o", color=colour, markerfacecolor=face,
            markersize=6,
        )  # fmt: skip
    quarters = pd.PeriodIndex(pd.DatetimeIndex(table["quarter"]), freq="Q")
    step = -(-len(table) // 6)
    ax.set_xticks(places[::step], labels=[f"{q.year}\nQ{q.quarter}" for q in quarters[::step]])
    ax.set_xlabel("Quarter")
    ax.set_xlim(-0.6, len(table) - 0.4)
