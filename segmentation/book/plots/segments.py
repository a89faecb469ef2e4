"""Figures about the segments: where customers stand, what marks each segment, what is at stake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from segmentation.book import style
from segmentation.book.figure_room import NARROW
from segmentation.book.plots import common, heat
from segmentation.core import columns as schema
from segmentation.core.phrases import shorten

ACROSS = ("total_unit", "frequency")
FEWER_IS_MORE = ("recency",)
STRONGEST = 2.0  # standard deviations from which a profile cell has its full colour


def pair_of_features(customers: pd.DataFrame) -> tuple[str, str | None]:
    """Features to draw across and up: units and money where the table has them.

    Of a table that has one feature there is none to draw up.
    """
    present = common.feature_names(customers, list(schema.FEATURES))
    up = "total_spent" if "total_spent" in present else next(iter(present), "total_spent")
    others = [name for name in present if name != up]
    if not others:
        return up, None
    return next((name for name in ACROSS if name in others), others[0]), up


@style.report_figure
def plot_profile(profile: pd.DataFrame, *, names: Sequence[str], currency: str) -> Figure:
    """What marks each segment: its median of every feature, coloured by how far it stands out.

    Colour compares the segment's mean with the mean of its group, in standard deviations
    between segments, both weighted by customers. White = like the group. Days since the last
    order are turned round, so that blue is the livelier segment in every column.

    Parameters
    ----------
    profile : DataFrame, one row per segment type and cluster
        ``segment_type, cluster, segment, customers``, ``<feature>_mean``, ``<feature>_median``.
    names : sequence of text
        Features to show, in this order.
    currency : str
        Code of the account currency.
    """
    present = [n for n in names if {f"{n}_mean", f"{n}_median"} <= set(profile.columns)]
    if profile.empty or not present:
        return style.sentence_figure("No segments to describe.")
    groups = common.by_type(profile)
    rows = [len(group) for _, group in groups]
    labels = {name: common.wrap(shorten(str(name), 46), 24) for name in profile["segment"]}
    lines = 1 + max(label.count("\n") + 1 for label in labels.values())
    heights = [0.5 + max(0.5, 0.16 * lines) * n for n in rows]
    heights[-1] += 2.4 if NARROW.get() else 1.35  # names of features may stand upright
    fig, axes = common.panels(len(groups), columns=1, height=heights, ratios=rows)
    columns = range(len(present))
    most = (24 if NARROW.get() else 48) // len(present)
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        group = group.sort_values("cluster", ascending=False)
        distance = np.column_stack(
            [_standing_out(group, name) * (-1 if name in FEWER_IS_MORE else 1) for name in present]
        )
        texts = [
            [_cell_text(row[f"{name}_median"], name, currency, most) for name in present]
            for _, row in group.iterrows()
        ]
        norm = Normalize(-STRONGEST, STRONGEST)
        image = heat.heat_map(ax, distance, texts, cmap=style.DIVERGING, norm=norm)
        ax.set_yticks(
            range(len(group)),
            labels=[
                f"{labels[row.segment]}\nn = {int(row.customers):,}" for row in group.itertuples()
            ],
        )
        ax.set_xticks(columns, labels=[""] * len(present))
        alone = len(groups) == 1
        common.panel_title(ax, segment_type, int(group["customers"].sum()), alone=alone)
        ax.set_ylabel("")
    titles = [schema.column_of(name).label for name in present]
    heat.name_columns(axes[-1], titles, 10 if NARROW.get() else max(10, 64 // len(present)))
    axes[-1].set_xlabel(common.wrap("Feature (median per customer in the cells)", 58))
    fig.align_ylabels(axes)
    words = "".join(
        f"; {t.lower()}: fewer are blue"
        for t, n in zip(titles, present, strict=True)
        if n in FEWER_IS_MORE
    )
    heat.colour_bar(
        fig, image, axes,
        f"Below (-) or above (+) the group's mean, in standard deviations between segments{words}",
    )  # fmt: skip
    return fig


def _standing_out(group: pd.DataFrame, name: str) -> np.ndarray:
    """Distance of each segment's mean from the group's, in deviations between segments."""
    means = group[f"{name}_mean"].to_numpy(dtype=float)
    weights = np.where(np.isfinite(means), group["customers"].to_numpy(dtype=float), 0.0)
    if weights.sum() <= 0:
        return np.full(len(means), np.nan)
    filled = np.nan_to_num(means)
    centre = np.average(filled, weights=weights)
    deviation = np.sqrt(np.average((filled - centre) ** 2, weights=weights))
    if deviation <= 1e-9 * max(abs(centre), 1e-300):
        return np.where(np.isfinite(means), 0.0, np.nan)
    return (means - centre) / deviation


def _cell_text(value: float, name: str, currency: str, most: int) -> str:
    """A value, its unit on a line of its own where both together are too long."""
    text = schema.format_value(value, name, currency)
    return text.replace(" ", "\n", 1) if len(text) > most and text[-1].isalpha() else text


@style.report_figure
def plot_shares(profile: pd.DataFrame, *, colours: Mapping[str, str]) -> Figure:
    """How many of the customers each segment holds, against how much of the revenue.

    Parameters
    ----------
    profile : DataFrame, one row per segment type and cluster
        ``segment_type, cluster, segment, customers, customers_share, revenue_share``.
    colours : mapping of segment to colour
    """
    if profile.empty:
        return style.sentence_figure("No segments to compare.")
    groups = common.by_type(profile)
    most = max(len(group) for _, group in groups)
    width = 46 if len(groups) == 1 else 76 if NARROW.get() else 26
    lines = max(len(_bar_name(name, width).splitlines()) for name in profile["segment"])
    rows = [len(group) if NARROW.get() else most for _, group in groups]
    heights = [max(1.4 if NARROW.get() else 2.0, 0.8 + max(0.55, 0.42 * lines) * n) for n in rows]
    height = heights if NARROW.get() else heights[0]
    fig, axes = common.panels(len(groups), columns=3, height=height)
    widest = profile[["customers_share", "revenue_share"]].max().max()
    for ax, n, (segment_type, group) in zip(axes, rows, groups, strict=True):
        _draw_pairs(ax, group.sort_values("cluster", ascending=False), colours, width)
        ax.set_xlim(min(profile["revenue_share"].min(), 0.0), max(float(widest), 0.01))
        ax.set_ylim(n - 0.42, -0.62)
        alone = len(groups) == 1
        common.panel_title(ax, segment_type, int(group["customers"].sum()), alone=alone)
    axes[0].set_ylabel("")
    common.note(fig, "Share (%); hollow bar: share of customers, filled bar: share of revenue.")
    return fig


def _bar_name(segment: object, width: int) -> str:
    return common.wrap(shorten(str(segment), 64), width)


def _draw_pairs(ax: Axes, group: pd.DataFrame, colours: Mapping[str, str], width: int) -> None:
    """For each segment its name, and below it the two bars."""
    for place, row in enumerate(group.itertuples()):
        colour = colours.get(str(row.segment), style.CONTEXT)
        of_customers = float(np.nan_to_num(row.customers_share))
        of_revenue = float(np.nan_to_num(row.revenue_share))
        ax.barh(
            place - 0.02, of_customers, 0.24, color=style.PAPER, edgecolor=colour, linewidth=1.3
        )
        of_group = common.hatched(group["segment_type"].iloc[0])
        ax.barh(place + 0.25, of_revenue, 0.26, color=colour, **of_group)
        ax.annotate(
            _bar_name(row.segment, width), (0, place - 0.2), (0, 1), va="bottom",
            textcoords="offset points", xycoords=("axes fraction", "data"), fontweight="bold",
        )  # fmt: skip
        customers = schema.format_share(of_customers, int(row.customers))
        for height, value, text in (
            (place - 0.02, of_customers, customers),
            (place + 0.25, of_revenue, style.share_label(of_revenue)),
        ):
            ax.annotate(
                text, (max(value, 0), height), (4, 0), textcoords="offset points", va="center"
            )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
