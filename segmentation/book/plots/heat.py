"""Coloured cells: the heat map itself, its scale, and the frame of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from segmentation.book import figure_room, style
from segmentation.book.plots import common

MOST_ACROSS = 32
"""Characters that the columns of a heat map have together on a phone."""


def heat_map(
    ax: Axes,
    values: np.ndarray,
    texts: Sequence[Sequence[str]] | None,
    *,
    cmap: Colormap,
    norm: Normalize,
) -> AxesImage:
    """Coloured cells with readable text in them and white lines between them."""
    # Cells without a value show the paper behind them.
    image = ax.imshow(np.ma.masked_invalid(values), cmap=cmap, norm=norm, aspect="auto")
    rows, columns = values.shape
    ax.set_xticks(np.arange(1, columns) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, rows) - 0.5, minor=True)
    ax.grid(which="minor", color=style.PAPER, linewidth=1.2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    for row in range(rows if texts else 0):
        for column in range(columns):
            value, text = values[row, column], (texts or [])[row][column]
            fill = cmap(norm(value)) if np.isfinite(value) else style.PAPER
            ax.text(
                column, row, text, ha="center", va="center", color=style.text_colour_on(fill),
                linespacing=1.05,
            )  # fmt: skip
    return image


def colour_bar(fig: Figure, image: AxesImage, axes: Sequence[Axes], label: str) -> None:
    """A thin colour scale below the panels."""
    is_narrow = figure_room.NARROW.get()
    label = common.wrap(label, 50 if is_narrow else 88)
    bar = fig.colorbar(
        image, ax=list(axes), location="bottom", aspect=45, shrink=0.7, pad=0.02, label=label
    )
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.minorticks_off()
    if is_narrow:
        bar.ax.xaxis.set_major_locator(MaxNLocator(2))


def name_columns(ax: Axes, names: Sequence[str], width: int) -> None:
    """Names below the columns of a heat map; where a phone has no room for them they stand up."""
    words = [common.wrap(name, width, break_words=False) for name in names]
    longest = max(len(line) for word in words for line in word.split("\n"))
    is_upright = figure_room.NARROW.get() and longest * len(names) > MOST_ACROSS
    if is_upright:
        words = [common.wrap(name, 32, break_words=False) for name in names]
    ax.set_xticks(range(len(names)), labels=words, rotation=90 if is_upright else 0)


def frame(ax: Axes, column: int, row: int) -> None:
    """Frame one cell of a heat map."""
    ax.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.PALETTE[3], linewidth=2.6,
            zorder=4, clip_on=False,
        )
    )  # fmt: skip


def frame_cell(ax: Axes, grid: pd.DataFrame, choice: Mapping[str, float]) -> None:
    """Frame the cell of an eps by min_samples grid that is nearest to the choice."""
    column = int(np.abs(grid.columns.to_numpy(dtype=float) - float(choice["eps"])).argmin())
    wanted = float(choice.get("min_samples", grid.index[0]))
    frame(ax, column, int(np.abs(grid.index.to_numpy(dtype=float) - wanted).argmin()))
