"""Figures of what changed between two runs: who went where, and what drifted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from segmentation.actions.next_steps import NEW
from segmentation.book import style
from segmentation.book.figure_room import NARROW
from segmentation.book.plots import common
from segmentation.book.plots.bars import LINE_HEIGHT, bare_bars
from segmentation.core import columns as schema
from segmentation.core.limits import LEAST_CUSTOMERS, LEAST_PUBLISHED
from segmentation.core.phrases import shorten

NEW_LABEL, LOST_LABEL = "Not yet a customer", "No longer in the data"
GAP = 0.04  # between blocks, as a part of all customers
APART = 0.05  # inches between two labels
FOOT = 0.9  # inches of what is above and below the axes
LONGEST_NAME, NAME_WIDTH = 64, 26
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
        max(3.2, *(FOOT + _room(map(_named, f[side].unique())) for side in ("before", "after")))
        for f in flows
    ]
    fig, axes = common.panels(len(groups), columns=1, height=heights)
    for ax, (segment_type, group), flow, height in zip(axes, groups, flows, heights, strict=True):
        _draw_flows(ax, flow, colours, common.hatched(segment_type), height - FOOT)
        total = int(group["customers"].sum())
        common.panel_title(ax, segment_type, total, alone=len(groups) == 1, width=70)
    return fig


def _named(name: object) -> str:
    """A segment's name in short lines, whole but for the longest."""
    return common.wrap(shorten(str(name), LONGEST_NAME), NAME_WIDTH)


def _room(texts: Iterable[str]) -> float:
    """Inches that labels above each other need, of which each has one more line of numbers."""
    lines = [text.count("\n") + 2 for text in texts]
    return len(lines) * (LINE_HEIGHT * max(lines, default=0) + APART)


def _places(
    middles: Sequence[float], texts: Sequence[str], inches: float, top: float
) -> np.ndarray:
    """Where labels stand beside what they name, on axes so high that reach from 0 to top."""
    gap = _room(texts) / max(len(texts), 1) / inches * top
    order = np.argsort(middles, kind="stable")
    first, last = (
        LINE_HEIGHT * (texts[n].count("\n") + 2) / 2 / inches * top for n in order[[0, -1]]
    )
    return common.spread(middles, gap, first, top - last)


def _band(ax: Axes, along: np.ndarray, low: np.ndarray, size: float, colour: str) -> None:
    """Customers on their way, with an edge that tells crossing bands apart."""
    ax.fill_between(along, low, low + size, facecolor=(colour, 0.45), edgecolor=style.PAPER,
                    linewidth=0.5)  # fmt: skip


def _count(ax: Axes, end: float, middle: float, size: int, *, part: float, inches: float) -> None:
    """How many go elsewhere, at the end of their band where it is thick enough."""
    if part * inches >= LINE_HEIGHT:
        plate = {"facecolor": style.PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.85}
        ax.text(end, middle, f"{size:,}", ha="right", va="center", bbox=plate, zorder=5)


def _tells(sizes: pd.Series) -> pd.Series:
    """Which flows may be counted: none that shares a side with one of few, which the rest would tell.

    Examples
    --------
    >>> ways = pd.MultiIndex.from_tuples([("A", "B"), ("A", "C"), ("B", "B"), ("B", "A")])
    >>> _tells(pd.Series([50, 3, 90, 20], index=ways)).tolist()
    [False, False, True, True]
    """
    few = sizes.between(1, LEAST_PUBLISHED - 1)
    begin, end = (few.groupby(level=side).transform("any") for side in (0, 1))
    return ~(begin | end)


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


def _draw_flows(
    ax: Axes,
    flows: pd.DataFrame,
    colours: Mapping[str, str],
    look: Mapping[str, Any],
    inches: float,
) -> None:
    sides = {side: _blocks(flows, side) for side in ("before", "after")}
    total = flows["customers"].sum()
    filled = {side: {name: bottom for name, (bottom, _) in sides[side].items()} for side in sides}
    span = max(bottom + height for blocks in sides.values() for bottom, height in blocks.values())
    across = np.linspace(0, 1, 60)
    rise = across**2 * (3 - 2 * across)
    told = _tells(flows.set_index(["before", "after"])["customers"])
    for row in flows.itertuples():
        size = row.customers / total
        left, right = filled["before"][row.before], filled["after"][row.after]
        low = left + (right - left) * rise
        colour = colours.get(str(row.before), style.CONTEXT)
        place = BLOCK + across * (1 - 2 * BLOCK)
        _band(ax, place, low, size, colour)
        if row.before != row.after and told[row.before, row.after]:
            end, middle = place[-1] - 0.01, right + size / 2
            _count(ax, end, middle, row.customers, part=size / span, inches=inches)
        filled["before"][row.before] += size
        filled["after"][row.after] += size
    for side, left in (("before", 0.0), ("after", 1 - BLOCK)):
        _draw_side(ax, sides[side], left, total, colours, top=span, look=look, inches=inches)
    ax.set(xlim=(0, 1), ylim=(-0.03 * span, 1.03 * span), xticks=[0, 1], yticks=[])
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
    look: Mapping[str, Any],
    inches: float,
) -> None:
    middles = [bottom + height / 2 for bottom, height in blocks.values()]
    words = [_named(name) for name in blocks]
    places = _places(middles, words, inches, top)
    for (name, (bottom, height)), word, place in zip(blocks.items(), words, places, strict=True):
        colour = colours.get(name, style.CONTEXT)
        ax.bar(left, height, BLOCK, bottom=bottom, align="edge", color=colour, **look)
        text = f"{word}\nn = {round(height * total):,}"
        inward = left < 0.5
        edge, tip = (left, left - 0.02) if inward else (left + BLOCK, left + BLOCK + 0.02)
        ax.plot([edge, tip], [bottom + height / 2, place], color=colour, linewidth=1,
                linestyle=(0, (1, 1.5)), clip_on=False)  # fmt: skip
        ax.annotate(
            text,
            (tip, place),
            (-2 if inward else 2, 0),
            annotation_clip=False,
            textcoords="offset points",
            ha="right" if inward else "left",
            va="center",
        )


@style.report_figure
def plot_movement(
    movement: pd.DataFrame, *, colours: Mapping[str, str], no_history: str = ""
) -> Figure:
    """Customers of each segment at every quarter's end, with bands of those who went on.

    Parameters
    ----------
    movement : DataFrame: ``as_of, segment_from, segment_to, customers``
        What of a bar no band leads to are newcomers.
    colours : mapping of segment to colour, ascending by value
    """
    days = sorted(movement["as_of"].unique()) if len(movement) else []
    if len(days) < 2:
        return style.sentence_figure(
            "No quarter's end is looked at."
            if no_history
            else "The data hold no two quarters' ends to compare."
        )
    sizes = movement.pivot_table(index="as_of", columns="segment_to", values="customers",
                                 aggfunc="sum", fill_value=0)  # fmt: skip
    names = [name for name in colours if name in sizes] + sorted(set(sizes) - set(colours))
    bottoms = sizes[names].cumsum(axis=1).shift(axis=1, fill_value=0)
    last = days[-1]
    words = [_named(name) for name in names]
    height = max(4.4, FOOT + _room(words))
    fig, (ax,) = common.panels(1, columns=1, height=height)
    top = float(sizes.sum(axis=1).max())
    wide, across = 0.13, np.linspace(0, 1, 40)
    rise = across**2 * (3 - 2 * across)
    for place, day in enumerate(days[1:]):
        flows = movement[movement["as_of"] == day].set_index(["segment_from", "segment_to"])
        told = _tells(flows["customers"])
        left, right = bottoms.loc[days[place]].copy(), bottoms.loc[day].copy()
        for begin, end in ((one, other) for one in names for other in names):
            if (begin, end) not in flows.index:
                continue
            size = flows.at[(begin, end), "customers"]
            low = left[begin] + (right[end] - left[begin]) * rise
            along = place + wide + across * (1 - 2 * wide)
            colour = colours.get(begin, style.CONTEXT)
            _band(ax, along, low, size, colour)
            if begin != end and day == last and told[begin, end]:
                middle, part = right[end] + size / 2, size / top
                _count(ax, along[-1] - 0.02, middle, size, part=part, inches=height - FOOT)
            left[begin] += size
            right[end] += size
    for name in names:
        colour = colours.get(name, style.CONTEXT)
        ax.bar(range(len(days)), sizes[name], 2 * wide, bottom=bottoms[name], color=colour,
               edgecolor=style.PAPER, linewidth=0.6)  # fmt: skip
    middles = [bottoms.at[last, name] + sizes.at[last, name] / 2 for name in names]
    places = _places(middles, words, height - FOOT, top)
    for name, word, place in zip(names, words, places, strict=True):
        size = sizes.at[last, name]
        text = f"{word}\n{f'n = {size:,}' if size else 'none now'}"
        ax.annotate(text, (len(days) - 1 + wide, place), (5, 0), textcoords="offset points",
                    va="center")  # fmt: skip
    totals = sizes.sum(axis=1)
    ax.set_xticks(range(len(days)), [f"{day}\nn = {totals[day]:,}" for day in days])
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-0.3, len(days) - 1 + wide), yticks=[], xlabel="Quarter's end")
    ax.spines[["left", "bottom"]].set_visible(False)
    if ((movement["segment_from"] == NEW) & (movement["as_of"] != days[0])).any():
        common.note(fig, "The part of a bar that no band leads to: new customers.")
    return fig


@style.report_figure
def plot_retention(
    retention: pd.DataFrame, *, colours: Mapping[str, str], no_history: str = ""
) -> Figure:
    """Share of each segment's customers who order in the quarter that follows.

    Parameters
    ----------
    retention : DataFrame: ``as_of, segment, customers, ordered``
    colours : mapping of segment to colour, ascending by value
    """
    kept = retention[retention["customers"] >= LEAST_CUSTOMERS] if len(retention) else retention
    if kept.empty or kept["as_of"].nunique() < 2:
        return style.sentence_figure(
            "No quarter is followed." if no_history else "Fewer than two quarters can be followed."
        )
    height = max(3.0, FOOT + _room(map(_named, kept["segment"].unique())))
    fig, (ax,) = common.panels(1, columns=1, height=height)
    days = sorted(kept["as_of"].unique())
    ends, words, texts, fills = [], [], [], []
    for name, own in kept.groupby("segment", sort=False):
        share = own["ordered"] / own["customers"]
        places_at = [days.index(day) for day in own["as_of"]]
        fills.append(colours.get(str(name), style.CONTEXT))
        ax.plot(places_at, share, color=fills[-1], marker="o")
        ends.append((places_at[-1], share.iloc[-1]))
        ordered, of = own["ordered"].iloc[-1], own["customers"].iloc[-1]
        counted = f"{schema.format_percent(share.iloc[-1])}, n = {of:,}"
        if 0 < ordered < LEAST_PUBLISHED:
            counted = f"fewer than {LEAST_PUBLISHED} of {of:,}"
        words.append(_named(name))
        texts.append(f"{words[-1]}\n{counted}")
    top = max(1.1 * (kept["ordered"] / kept["customers"]).max(), 0.05)
    places = _places([share for _, share in ends], words, height - FOOT, top)
    right = len(days) - 1 + 0.06 * len(days)
    for (at, share), place, text, colour in zip(ends, places, texts, fills, strict=True):
        ax.plot([at, right], [share, place], color=colour, linewidth=1,
                linestyle=(0, (1, 1.5)), clip_on=False)  # fmt: skip
        ax.annotate(text, (right, place), (3, 0), textcoords="offset points", va="center")
    step = max(len(days) - 1, 1) if NARROW.get() else 1  # half of a phone has room for two
    ax.set_xticks(range(len(days))[::step], days[::step])
    ax.set(xlim=(-0.2, right), ylim=(0, top), xlabel="Quarter's end",
           ylabel="Ordered in the next quarter")  # fmt: skip
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if len(kept) < len(retention):
        common.note(fig, f"Points of fewer than {LEAST_CUSTOMERS} customers are left out.")
    return fig


@style.report_figure
def plot_drift(drift: pd.DataFrame | None) -> Figure:
    """How far each feature's distribution moved between two runs.

    Parameters
    ----------
    drift : DataFrame, one row per feature: ``feature, psi, in_use, finding``
        ``psi`` is the population stability index.
    """
    if drift is None or drift.empty:
        return style.sentence_figure("There is no earlier run, or it has no feature in common.")
    ordered = drift.sort_values("psi", kind="stable", ascending=False)
    names = [
        schema.FEATURES[row.feature].label + ("" if row.in_use else "\n(not in the model)")
        for row in ordered.itertuples()
    ]
    fig, (ax,) = common.panels(1, columns=1, height=0.9 + 0.42 * len(names))
    fills = [style.PLAIN if used else style.CONTEXT for used in ordered["in_use"]]
    texts = [f"{row.psi:.3f}, {row.finding}" for row in ordered.itertuples()]
    bare_bars(
        ax, names, ordered["psi"].tolist(), texts, colours=fills,
        label="Population stability index (no unit)",
    )  # fmt: skip
    ax.set_ylabel("Feature")
    return fig
