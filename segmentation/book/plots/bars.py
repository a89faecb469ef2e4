"""Horizontal bars that carry their own labels, for what is counted or booked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from segmentation.book import style
from segmentation.book.figure_room import LINE, NARROW

LINE_HEIGHT = 0.165  # inches


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
        hangs = is_narrow and "\n" in text  # else it would reach the name above the bar
        ax.annotate(
            text, (size, place - bar_height() / 2 if hangs else place), (4, 0),
            textcoords="offset points", va="top" if hangs else "center", linespacing=1.15,
        )  # fmt: skip
    if is_narrow:
        names = [textwrap.fill(name.replace("\n", " "), LINE) for name in labels]
        _make_room(ax, names, texts)
        for place, words in zip(places, names, strict=True):
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


def row_height(names: Sequence[str], texts: Sequence[str]) -> float:
    """Inches on a phone of a bar with its text beside and below it, and the next one's name."""
    lines = [[1 + text.count("\n") for text in column] for column in (names, texts)]
    return 0.16 + LINE_HEIGHT * max(map(sum, zip([*lines[0], 0], [0, *lines[1]], strict=True)))


def _make_room(ax: Axes, names: Sequence[str], texts: Sequence[str]) -> None:
    """Make a narrow figure of one panel so high that no name touches the bar above it."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    needed = 0.8 + len(names) * row_height(names, texts)
    if len(figure.axes) == 1 and figure.get_figheight() < needed:
        figure.set_figheight(needed)
