"""How customers spread over each of several features: a panel each, on the feature's own axis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import MatplotlibDeprecationWarning
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segmentation.book import behind, style
from segmentation.book.plots import common
from segmentation.core import columns as schema

BINS = 32
FLIERS = {"markeredgecolor": style.CONTEXT, "markersize": 3, "alpha": 0.7, "rasterized": True}


def draw_spread(
    kind: Callable[..., Axes],
    customers: pd.DataFrame,
    names: Sequence[str],
    *,
    nothing: str,
    note: str,
    currency: str,
    look: Mapping[str, Any],
) -> Figure:
    """A histogram with its median or a box for each feature that has values; see `drawn.draw`.

    Money and counts with a heavy tail stand on a log axis, which says so. Boxes and their
    fences are of the values themselves, never of their logarithms.
    """
    present = common.feature_names(customers, names)
    if not present:
        return style.sentence_figure(nothing)
    is_box = kind.__name__ == "boxplot"
    fig, axes = common.panels(
        len(present), columns=1 if is_box else 2, height=1.15 if is_box else 2.3
    )
    for ax, name in zip(axes, present, strict=True):
        values = common.numbers(customers, name)
        if is_box:
            box = {"color": "#C5D4E3", "linecolor": style.PLAIN, "flierprops": FLIERS}
            with warnings.catch_warnings():  # seaborn asks matplotlib in a way that it gives up
                warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
                kind(x=values, ax=ax, **(box | dict(look)))
            common.set_feature_axis(ax, "x", values, name, currency, most_ticks=8)
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
        else:
            scale = common.set_feature_axis(ax, "x", values, name, currency)
            label = ax.get_xlabel()
            bars = {"bins": _bins(ax, values, scale), "color": style.PLAIN, "linewidth": 0}
            kind(x=values, ax=ax, **(bars | {"alpha": 1} | dict(look)))
            ax.set_xlabel(label)
            ax.set_ylabel("Customers")
            ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            ax.yaxis.set_major_formatter(style.count_ticks())
            _mark_median(ax, values, schema.format_value(float(np.median(values)), name, currency))
        empty = len(customers) - len(values)
        ax.set_title(common.n_of(len(values)) + (f", {empty:,} empty" if empty else ""))
    if note:
        common.note(fig, note)
    by = [name for name in behind.GROUPS if name in customers.columns]
    fig.data = behind.quantiles(customers[[*by, *present]])  # type: ignore[attr-defined]
    return fig


def _bins(ax: Axes, values: np.ndarray, scale: str) -> list[float]:
    """Bin edges of equal width as seen on the axis, at least 1 wide for whole numbers.

    In the axis' own units, in which seaborn counts.
    """
    low, high = float(values.min()), float(values.max())
    transform = ax.xaxis.get_transform()
    if low == high:
        half = 0.04 * (ax.get_xlim()[1] - ax.get_xlim()[0])
        return transform.transform(np.array([low - half, low + half])).tolist()
    ends = transform.transform(np.array([low, high]))
    edges = transform.inverted().transform(np.linspace(ends[0], ends[1], BINS + 1))
    edges[0], edges[-1] = low, high
    if (values == np.round(values)).all():
        whole = np.unique(np.floor(edges))
        edges = np.append(whole, high + 1) - 0.5
        ax.set_xlim(min(ax.get_xlim()[0], edges[0]), max(ax.get_xlim()[1], edges[-1]))
    return transform.transform(edges).tolist()


def _mark_median(ax: Axes, values: np.ndarray, text: str) -> None:
    median = float(np.median(values))
    ax.axvline(median, color=style.ACCENT, linewidth=1.6, linestyle=(0, (4, 2)))
    ax.set_ylim(0, ax.get_ylim()[1] * 1.22)
    place = ax.transAxes.inverted().transform(ax.transData.transform((median, 0)))[0]
    left = place < 0.5
    ax.annotate(
        f"median {text}", (median, 0.98), (5 if left else -5, 0), textcoords="offset points",
        xycoords=("data", "axes fraction"), ha="left" if left else "right", va="top",
    )  # fmt: skip
