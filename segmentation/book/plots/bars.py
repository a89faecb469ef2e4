"""Horizontal bars that carry their own labels, for what is counted or booked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from segmentation.book import style
from segmentation.book.figure_room import LINE, NARROW


def bare_bars(
    ax: Axes,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    *,
    colours: str | Sequence[str],
    label: str,
) -> None:
    """Horizontal bars from the top down, each labelled at its end, so ticks are not needed."""
    sizes = np.nan_to_num(np.asarray(values, dtype=float))
    ax.barh(np.arange(len(sizes)), sizes, height=bar_height(), color=colours)
    label_bars(ax, labels, sizes, texts, label=label)


def bar_height() -> float:
    """Of a bar among others, as a part of the room that it has."""
    return 0.34 if NARROW.get() else 0.62


def label_bars(
    ax: Axes, labels: Sequence[str], sizes: np.ndarray, texts: Sequence[str], *, label: str
) -> None:
    """Name and label bars that are there, from the top down.

    Labels may leave the axes: the constrained layout makes room for them. On a phone the name of
    a bar stands above it.
    """
    places = np.arange(len(sizes))
    is_narrow = NARROW.get()
    ends = [max(size, 0) for size in sizes]
    for place, size, text in zip(places, ends, texts, strict=True):
        ax.annotate(
            text, (size, place), (4, 0), textcoords="offset points", va="center",
            linespacing=1.15,
        )  # fmt: skip
    if is_narrow:
        for place, name in zip(places, labels, strict=True):
            words = textwrap.fill(name.replace("\n", " "), LINE)
            ax.annotate(
                words, (0, place - 0.17), (3, 2), textcoords="offset points", va="bottom",
                linespacing=1.05,
            )  # fmt: skip
    ax.set_yticks([] if is_narrow else places, labels=[] if is_narrow else list(labels))
    ax.set_ylim(len(sizes) - 0.4, -0.6)
    low, high = min(sizes.min(), 0), max(*ends, 0)
    ax.set_xlim(low, high if high > low else 1)
    ax.axvline(0, color=style.CONTEXT, linewidth=0.7)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xlabel(label, loc="left")
