"""Horizontal bars that carry their own labels, with or without intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from segmentation.book import style


def bare_bars(
    ax: Axes,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    *,
    colours: str | Sequence[str],
    label: str,
    intervals: Sequence[tuple[float, float]] = (),
) -> None:
    """Horizontal bars from the top down, each labelled at its end, so ticks are not needed.

    ``intervals`` are drawn as whiskers across the ends of the bars; labels begin after them.
    Labels may leave the axes: the constrained layout makes room for them.
    """
    sizes = np.nan_to_num(np.asarray(values, dtype=float))
    places = np.arange(len(sizes))
    ax.barh(places, sizes, height=0.62, color=colours)
    ends = [max(high, 0) for _, high in intervals] or [max(size, 0) for size in sizes]
    for row, (lower, upper) in enumerate(intervals):
        ax.plot([lower, upper], [row, row], color=style.PAPER, linewidth=3.6)
        ax.plot([lower, upper], [row, row], color=style.INK, linewidth=1.4, marker="|")
    for place, size, text in zip(places, ends, texts, strict=True):
        ax.annotate(
            text, (size, place), (4, 0), textcoords="offset points", va="center",
            linespacing=1.15,
        )  # fmt: skip
    ax.set_yticks(places, labels=list(labels))
    ax.set_ylim(len(sizes) - 0.4, -0.6)
    low, high = min(sizes.min(), 0), max(*ends, 0)
    ax.set_xlim(low, high if high > low else 1)
    ax.axvline(0, color=style.CONTEXT, linewidth=0.7)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xlabel(label, loc="left")
