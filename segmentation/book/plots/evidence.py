"""Figures about the evidence: how many clusters, how sharp, which density, which components."""

from __future__ import annotations

from collections.abc import Mapping

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

KNIFE_POINTS = 400


@style.report_figure
@style.of_customers
def plot_silhouettes(silhouettes: pd.DataFrame, *, colours: Mapping[str, str]) -> Figure:
    """How clearly each customer belongs: silhouettes, sorted within each segment.

    Near 1 = close to the own segment and far from the next; 0 = on the border; negative =
    closer to another segment. A band as thick as others whose end passes the dashed mean is
    a clear segment; a band mostly below it holds together badly.

    Parameters
    ----------
    silhouettes : DataFrame with columns ``segment_type, cluster, segment, silhouette``
        One row per customer, or per sampled customer.
    colours : mapping of segment to colour
    """
    known = silhouettes.dropna(subset=["silhouette"]) if len(silhouettes) else silhouettes
    groups = [(name, group) for name, group in common.by_type(known) if len(group)]
    if known.empty:
        return style.sentence_figure("One cluster only: no silhouette to chart.")
    heights = [max(1.9, 0.8 + 0.4 * group["cluster"].nunique()) for _, group in groups]
    fig, axes = common.panels(len(groups), columns=1, height=heights, sharex=True)
    low = min(float(known["silhouette"].min()), 0.0)
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        _draw_knives(ax, group, colours)
        overall = float(group["silhouette"].mean())
        ax.axvline(overall, color=style.INK, linewidth=1.1, linestyle=(0, (4, 2)))
        ax.set_xlim(low * 1.05, 1)
        common.panel_title(
            ax, segment_type, len(group), alone=len(groups) == 1,
            extra=f"dashed line: mean {style.score_label(overall)}", width=99,
        )  # fmt: skip
        ax.set_ylabel("Customers, sorted")
    axes[-1].set_xlabel("Silhouette (−1 to 1)")
    return fig


def _draw_knives(ax: Axes, group: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """One band per cluster, thick as its customers, with its name to the right."""
    gap = 0.02 * len(group)
    bottom, middles, texts, fills = 0.0, [], [], []
    for _, members in group.groupby("cluster", sort=True):
        values = np.sort(members["silhouette"].to_numpy(dtype=float))
        heights = np.linspace(0, 1, min(len(values), KNIFE_POINTS))
        edge = np.interp(heights, np.linspace(0, 1, len(values)), values)
        if len(edge) == 1:
            heights, edge = np.array([0.0, 1.0]), np.repeat(edge, 2)
        segment = str(members["segment"].iloc[0])
        colour = colours.get(segment, style.CONTEXT)
        ax.fill_betweenx(bottom + heights * len(values), 0, edge, color=colour, linewidth=0)
        middles.append(bottom + len(values) / 2)
        mean = style.score_label(float(values.mean()))
        texts.append(common.wrap(f"{shorten(segment, 60)}: mean {mean}, n = {len(values):,}", 30))
        fills.append(colour)
        bottom += len(values) + gap
    top = bottom - gap
    ax.set_ylim(-gap, top + gap)
    ax.axvline(0, color=style.CONTEXT, linewidth=0.7)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    room = 0.8 * top / max(len(texts), 1)
    for middle, place, text, colour in zip(
        middles, common.spread(middles, room, 0.0, top), texts, fills, strict=True
    ):
        across = ax.get_yaxis_transform()
        ax.plot([1.005, 1.03], [middle, place], transform=across, color=colour, clip_on=False)
        ax.text(1.04, place, text, transform=across, va="center", linespacing=1.05)


@style.report_figure
@style.of_customers
def plot_k_distance(
    k_distance: pd.DataFrame, *, choice: Mapping[str, Mapping[str, float]]
) -> Figure:
    """How far customers are from their neighbours, and the radius chosen from that.

    For each customer the distance to its `min_samples`-th neighbour, sorted. Customers to
    the right of where the curve crosses eps have no dense neighbourhood of their own.

    Parameters
    ----------
    k_distance : DataFrame with columns ``segment_type, share, distance``
        ``share``: share of customers with at most this distance, 0 to 1.
    choice : mapping of segment type to ``{"eps": …, "min_samples": …}``
    """
    known = k_distance.dropna() if len(k_distance) else k_distance
    if known.empty:
        return style.sentence_figure("Too few customers for a distance to neighbours.")
    groups = common.by_type(known)
    fig, axes = common.panels(len(groups), columns=3, height=3.1, sharey=True)
    marks = [float(choice[name]["eps"]) for name, _ in groups if name in choice]
    values = np.concatenate([known["distance"].to_numpy(dtype=float), marks])
    scale = common.scale_for(values)
    words = f", {common.LOG_WORDS[scale]}" if scale != "linear" else ""
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        common.set_value_axis(
            ax, "y", values, scale=scale,
            label=f"Distance to neighbour\n(prepared units{words})" if ax is axes[0] else "",
        )  # fmt: skip
        curve = group.sort_values(["share", "distance"])
        ax.plot(
            curve["share"], curve["distance"], color=common.type_style(segment_type)[0],
            marker="o" if len(curve) == 1 else "",
        )  # fmt: skip
        neighbour = _draw_eps(ax, choice.get(segment_type))
        common.panel_title(ax, segment_type, None, alone=len(groups) == 1, extra=neighbour)
        ax.set_xlim(-0.02, 1.02)
        ax.set_xticks([0, 0.5, 1] if len(groups) > 2 else [0, 0.25, 0.5, 0.75, 1])
        ax.xaxis.set_major_formatter(style.percent_ticks())
        ax.set_xlabel("Customers, nearest first (%)")
    return fig


def _draw_eps(ax: Axes, choice: Mapping[str, float] | None) -> str:
    """Draw the chosen radius; return which neighbour the distances go to."""
    if choice is None:
        return ""
    eps = float(choice["eps"])
    ax.axhline(eps, color=style.ACCENT, linestyle=(0, (4, 2)), linewidth=1.3)
    ax.annotate(
        f"eps = {eps:.3g}", (0.02, eps), (0, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", color=style.ACCENT, va="bottom",
    )  # fmt: skip
    return f"min_samples = {int(choice['min_samples']):,}" if "min_samples" in choice else ""


@style.report_figure
def plot_dbscan_grid(
    tuning_dbscan: pd.DataFrame, *, choice: Mapping[str, Mapping[str, float]]
) -> Figure:
    """How many customers DBSCAN would flag for each radius and neighbourhood size.

    Parameters
    ----------
    tuning_dbscan : DataFrame
        ``segment_type, eps, min_samples, core, noise, noise_share``.
    choice : mapping of segment type to ``{"eps": …, "min_samples": …}``
        The nearest cell of the grid is framed.
    """
    if tuning_dbscan.empty:
        return style.sentence_figure("Too few customers for a grid of densities.")
    groups = common.by_type(tuning_dbscan)
    widest = max(group["eps"].nunique() for _, group in groups)
    tallest = max(group["min_samples"].nunique() for _, group in groups)
    columns = max(1, min(len(groups), int(6.6 // (0.42 * widest))))
    fig, axes = common.panels(len(groups), columns=columns, height=1.3 + 0.3 * max(tallest, 2))
    # Shares are small: the square root keeps 1% and 5% apart in colour.
    norm = Normalize(0, max(np.sqrt(float(tuning_dbscan["noise_share"].max())), 0.1))
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        grid = group.pivot_table(index="min_samples", columns="eps", values="noise_share")
        shares = grid.to_numpy(dtype=float)
        cells = [[_cell_percent(share) for share in row] for row in shares]
        heat.heat_map(ax, np.sqrt(shares), cells, cmap=style.NUMBERED, norm=norm)
        ax.set_xticks(range(shares.shape[1]), labels=[f"{eps:.2g}" for eps in grid.columns])
        ax.set_yticks(range(shares.shape[0]), labels=[f"{size:g}" for size in grid.index])
        if segment_type in choice:
            heat.frame_cell(ax, grid, choice[segment_type])
        common.panel_title(ax, segment_type, _grid_n(group), alone=len(groups) == 1)
        ax.set_xlabel("eps (prepared units)")
        ax.set_ylabel("min_samples\n(customers)")
    common.note(
        fig, "Cells: customers flagged as noise, % of the group. Framed: nearest to the choice."
    )
    return fig


def _cell_percent(share: float) -> str:
    if np.isnan(share):
        return ""
    return f"{100 * share:.0f}" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}"


def _grid_n(group: pd.DataFrame) -> int | None:
    """Customers of the group, which the table holds only as noise over its share."""
    flagged = group[group["noise_share"] > 0]
    if flagged.empty:
        return None
    most = flagged.loc[flagged["noise"].idxmax()]
    return round(float(most["noise"]) / float(most["noise_share"]))


@style.report_figure
@style.of_customers
def plot_projection(
    projection: pd.DataFrame,
    loadings: pd.DataFrame,
    explained: pd.DataFrame,
    *,
    colours: Mapping[str, str],
) -> Figure:
    """Customers on the two components that keep most of their differences.

    Points close together are alike in prepared features; an arrow points to where its
    feature grows, and arrows in the same direction say the same thing.

    Parameters
    ----------
    projection : DataFrame with columns ``segment_type, pc1, pc2, segment, is_anomaly``
    loadings : DataFrame with columns ``segment_type, feature, pc1, pc2``
    explained : DataFrame with columns ``segment_type, component, explained``
    colours : mapping of segment to colour, in ascending order of value
    """
    points = projection.dropna(subset=["pc1", "pc2"]) if len(projection) else projection
    if points.empty:
        return style.sentence_figure("No customers to project.")
    groups = common.by_type(points)
    most = max(group["segment"].nunique() for _, group in groups)
    one = len(groups) == 1
    height = 4.9 + 0.2 * -(-most // 3) if one or NARROW.get() else 3.4
    fig, axes = common.panels(len(groups), columns=1, height=height)
    counted = common.counts_told(points["segment_type"], points["segment"])
    thinned = []
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        drawn = _draw_segments(ax, group, "pc1", "pc2", colours)
        if drawn < len(group):
            thinned.append(f"{drawn:,} of {len(group):,}")
        arrows = loadings[loadings["segment_type"] == segment_type] if len(loadings) else loadings
        _draw_arrows(ax, arrows, group, inches=7.0 if one else 5.0)
        shares = explained[explained["segment_type"] == segment_type] if len(explained) else None
        ax.set_xlabel(_component_label(shares, 1))
        ax.set_ylabel(_component_label(shares, 2))
        common.panel_title(ax, segment_type, len(group), alone=one)
        keys = common.segment_keys(
            group, colours, width=44 if one else 22, counted=counted, panel=segment_type
        )
        if one or NARROW.get():
            common.key_below(ax, keys, columns=3)
        else:
            ax.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.01, 1.05))
    if thinned:
        common.note(fig, f"Points drawn: an evenly spaced sample, {'; '.join(thinned)} customers.")
    return fig


def _component_label(shares: pd.DataFrame | None, component: int) -> str:
    if shares is not None:
        row = shares.loc[shares["component"] == component, "explained"]
        if len(row):
            return (
                f"Component {component} ({schema.format_percent(float(row.iloc[0]))} of variance)"
            )
    return f"Component {component} (prepared units)"


def _draw_arrows(ax: Axes, loadings: pd.DataFrame, points: pd.DataFrame, *, inches: float) -> None:
    """Loading arrows scaled to the cloud, labels spread beside it so that none collide.

    `inches` is the width of the axes, from which the room for labels follows.
    """
    if loadings.empty:
        return
    tips = loadings[["pc1", "pc2"]].to_numpy(dtype=float)
    longest = np.hypot(tips[:, 0], tips[:, 1]).max()
    cloud = points[["pc1", "pc2"]].to_numpy(dtype=float)
    reach = np.quantile(np.hypot(cloud[:, 0], cloud[:, 1]), 0.98) or 1.0
    tips = tips / (longest or 1.0) * reach * 0.9
    left = min(np.quantile(cloud[:, 0], 0.002), tips[:, 0].min(), 0.0)
    right = max(np.quantile(cloud[:, 0], 0.998), tips[:, 0].max(), 0.0)
    width = right - left
    low, high = ax.get_ylim()
    low, high = min(low, tips[:, 1].min() * 1.1), max(high, tips[:, 1].max() * 1.1)
    ax.set_ylim(low, high)
    for side in (-1, 1):
        chosen = np.flatnonzero((tips[:, 0] >= 0) == (side > 0))
        tall = high - low
        places = common.spread(tips[chosen, 1], 0.11 * tall, low + 0.07 * tall, high - 0.07 * tall)
        edge = (right if side > 0 else left) + side * 0.05 * width
        if is_narrow := NARROW.get():  # over the points, for beside them is no room
            edge = ax.get_xlim()[side > 0]
        for index, place in zip(chosen, places, strict=True):
            name = str(loadings["feature"].iloc[index])
            label = schema.FEATURES[name].label if name in schema.FEATURES else name
            ax.annotate(
                "", tips[index], (0, 0),
                arrowprops={"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.2},
            )  # fmt: skip
            ax.annotate(
                common.wrap(label, 13), tips[index], (edge, place), va="center", linespacing=1.0,
                ha="left" if (side > 0) != is_narrow else "right",
                arrowprops={"arrowstyle": "-", "color": style.QUIET, "lw": 0.6, "shrinkB": 0},
                bbox={"facecolor": style.PAPER, "alpha": 0.85, "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    if NARROW.get():
        return
    sides = np.array([(tips[:, 0] < 0).any(), (tips[:, 0] >= 0).any()])
    room = 1.15 / inches * width * 1.1 / (1 - 1.15 / inches * sides.sum())
    now_low, now_high = ax.get_xlim()
    ax.set_xlim(
        min(now_low, left - 0.05 * width - room * sides[0]),
        max(now_high, right + 0.05 * width + room * sides[1]),
    )


@style.report_figure
def plot_explained(explained: pd.DataFrame) -> Figure:
    """How much of the customers' differences each component keeps.

    Parameters
    ----------
    explained : DataFrame with columns ``segment_type, component, explained``
        ``explained``: share of variance, 0 to 1.
    """
    known = explained.dropna(subset=["explained"]) if len(explained) else explained
    if known.empty:
        return style.sentence_figure("No components to chart.")
    groups = common.by_type(known)
    fig, axes = common.panels(len(groups), columns=3, height=2.8, sharey=True)
    for ax, (segment_type, group) in zip(axes, groups, strict=True):
        ordered = group.sort_values("component")
        places = ordered["component"].to_numpy(dtype=int)
        shares = ordered["explained"].to_numpy(dtype=float)
        together = np.cumsum(shares)
        ax.bar(places, shares, width=0.62, color=style.PLAIN)
        ax.plot(places, together, color=style.ACCENT, marker="o", linewidth=1.2)
        for place, total in zip(places, together, strict=True):
            ax.annotate(
                schema.format_percent(min(float(round(total, 3)), 1.0)), (place, total), (0, 6),
                textcoords="offset points", ha="center", color=style.ACCENT,
            )  # fmt: skip
        ax.set_ylim(0, 1.15)
        ax.set_xlim(places.min() - 0.7, places.max() + 0.7)
        ax.set_xticks(places)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
        ax.yaxis.set_major_formatter(style.percent_ticks())
        ax.set_xlabel("Component")
        common.panel_title(
            ax, segment_type, None, alone=len(groups) == 1,
            extra=f"{len(places)} component{'s' if len(places) > 1 else ''}",
        )  # fmt: skip
    axes[0].set_ylabel("Share of variance (%)")
    common.note(fig, "Bars: each component; line: together with those before it.")
    return fig


def _draw_segments(
    ax: Axes, group: pd.DataFrame, across: str, up: str, colours: Mapping[str, str]
) -> int:
    """Points by segment in its colour and marker; returns how many were drawn.

    Small segments are drawn over large ones, so that they stay visible.
    """
    markers = style.segment_markers(colours)
    shown = common.thin(group, [across, up])
    for segment in shown["segment"].value_counts(sort=True).index:
        members = shown[shown["segment"] == segment]
        ax.scatter(
            members[across],
            members[up],
            s=16 if len(shown) < 2000 else 8,
            color=colours.get(segment, style.CONTEXT),
            marker=markers.get(segment, "o"),
            alpha=0.75,
            linewidths=0,
            rasterized=True,
        )
    return len(shown)
