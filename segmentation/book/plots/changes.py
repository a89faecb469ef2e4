"""Figures of what changed between two runs: who went where, and what drifted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segmentation.book import style
from segmentation.book.plots import common
from segmentation.book.plots.bars import bare_bars
from segmentation.core import columns as schema

NEW_LABEL, LOST_LABEL = "Not yet a customer", "No longer in the data"
GAP = 0.04  # between blocks, as a part of all customers
BLOCK = 0.03  # width of a block, as a part of the axis


@style.report_figure
def plot_alluvial(migration: pd.DataFrame | None, *, colours: Mapping[str, str]) -> Figure:
    """Where the customers of each segment went from the earlier run to the later one.

    Parameters
    ----------
    migration : DataFrame, one row per pair of segments
        ``segment_type_before, segment_before, segment_type_after, segment_after,
        customers``; a missing side is a customer of one run only.
    colours : mapping of segment to colour
    """
    if migration is None or migration.empty:
        return style.sentence_figure("No customers to follow.")
    kind = migration["segment_type_before"].fillna(migration["segment_type_after"])
    groups = common.by_type(migration.assign(segment_type=kind))
    flows = [_flows(group) for _, group in groups]
    heights = [
        max(3.2, 0.4 * max(len(f["before"].unique()), len(f["after"].unique()))) for f in flows
    ]
    fig, axes = common.panels(len(groups), columns=1, height=heights)
    for ax, (segment_type, group), flow in zip(axes, groups, flows, strict=True):
        _draw_flows(ax, flow, colours)
        total = int(group["customers"].sum())
        common.panel_title(ax, segment_type, total, alone=len(groups) == 1, width=70)
    return fig


def _flows(group: pd.DataFrame) -> pd.DataFrame:
    """Customers by (before, after), sides in words, in order of value where it is known."""
    table = pd.DataFrame(
        {
            "before": group["segment_before"].fillna(NEW_LABEL),
            "after": group["segment_after"].fillna(LOST_LABEL),
            "rank_before": group["cluster_before"].astype("Float64").fillna(-1).astype(float),
            "rank_after": group["cluster_after"].astype("Float64").fillna(-1).astype(float),
            "customers": group["customers"],
        }
    )
    keys = ["rank_before", "before", "rank_after", "after"]
    return table.groupby(keys, as_index=False)["customers"].sum()


def _blocks(flows: pd.DataFrame, side: str) -> dict[str, tuple[float, float]]:
    """(bottom, height) of each block of one side, as parts of all customers."""
    total = flows["customers"].sum()
    sizes = flows.groupby([f"rank_{side}", side])["customers"].sum()
    blocks, bottom = {}, 0.0
    for (_, name), size in sizes.items():
        blocks[str(name)] = (bottom, size / total)
        bottom += size / total + GAP
    return blocks


def _draw_flows(ax: Axes, flows: pd.DataFrame, colours: Mapping[str, str]) -> None:
    sides = {side: _blocks(flows, side) for side in ("before", "after")}
    total = flows["customers"].sum()
    filled = {side: {name: bottom for name, (bottom, _) in sides[side].items()} for side in sides}
    across = np.linspace(0, 1, 60)
    rise = across**2 * (3 - 2 * across)
    for row in flows.itertuples():
        size = row.customers / total
        left, right = filled["before"][row.before], filled["after"][row.after]
        low = left + (right - left) * rise
        colour = colours.get(str(row.before), style.CONTEXT)
        place = BLOCK + across * (1 - 2 * BLOCK)
        ax.fill_between(place, low, low + size, color=colour, alpha=0.35, linewidth=0)
        filled["before"][row.before] += size
        filled["after"][row.after] += size
    tops = [bottom + height for blocks in sides.values() for bottom, height in blocks.values()]
    for side, left in (("before", 0.0), ("after", 1 - BLOCK)):
        _draw_side(ax, sides[side], left, total, colours, top=max(tops))
    ax.set(xlim=(-0.62, 1.62), ylim=(-0.09, max(tops) + 0.05), xticks=[0, 1], yticks=[])
    ax.set_xticklabels(["earlier run", "later run"])
    ax.tick_params(axis="x", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)


def _draw_side(
    ax: Axes,
    blocks: dict[str, tuple[float, float]],
    left: float,
    total: int,
    colours: Mapping[str, str],
    *,
    top: float,
) -> None:
    middles = [bottom + height / 2 for bottom, height in blocks.values()]
    places = common.spread(middles, 0.14 * top, 0.0, top)
    for (name, (bottom, height)), place in zip(blocks.items(), places, strict=True):
        colour = colours.get(name, style.CONTEXT)
        ax.bar(left, height, BLOCK, bottom=bottom, align="edge", color=colour)
        text = f"{common.wrap(name, 30)}\nn = {round(height * total):,}"
        inward = left < 0.5
        ax.annotate(
            text,
            (left if inward else left + BLOCK, place),
            (-5 if inward else 5, 0),
            textcoords="offset points",
            ha="right" if inward else "left",
            va="center",
        )


@style.report_figure
def plot_drift(drift: pd.DataFrame | None) -> Figure:
    """How far each feature's distribution moved between two runs.

    Parameters
    ----------
    drift : DataFrame, one row per feature: ``feature, psi, in_use, finding``
        ``psi`` is the population stability index.
    """
    if drift is None or drift.empty:
        return style.sentence_figure("The runs have no feature in common.")
    ordered = drift.sort_values("psi", kind="stable", ascending=False)
    names = [
        schema.FEATURES[row.feature].label + ("" if row.in_use else "\n(not in the model)")
        for row in ordered.itertuples()
    ]
    fig, (ax,) = common.panels(1, columns=1, height=0.9 + 0.42 * len(names))
    fills = [style.PALETTE[0] if used else style.CONTEXT for used in ordered["in_use"]]
    texts = [f"{row.psi:.3f}, {row.finding}" for row in ordered.itertuples()]
    bare_bars(
        ax, names, ordered["psi"].tolist(), texts, colours=fills,
        label="Population stability index (no unit)",
    )  # fmt: skip
    ax.set_ylabel("Feature")
    return fig
