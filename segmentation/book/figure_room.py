"""Whether a figure has room for what it says, and how it gets more.

The book refuses a page with a warning, and how long names are or how many segments there are
is the reader's choice: so each figure is laid out and measured before it is shown.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from contextvars import ContextVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator
from matplotlib.transforms import Bbox

MOST_KEYS: ContextVar[int] = ContextVar("MOST_KEYS", default=12)
"""How many segments a legend names before it says how many more there are."""

SHORTER = (12, 6, 3)
"""Names in a legend, from what is tried first; a legend no longer than the last stays whole."""

STEP, HIGH, HIGHEST, HIGH_ON_PHONE = 1.3, 2.0, 6.0, 3.0
"""How many times as high as drawn a figure may become, before and after its legend is cut."""

LOWEST_AXES = 0.25  # inches; below, bars and letters touch

LINE = 37
"""Characters in a line of a narrow figure."""
NARROW: ContextVar[bool] = ContextVar("NARROW", default=False)
"""Whether a figure is drawn for a phone: one column of panels, names and notes in short lines."""


def narrowed(characters: int, least: int = 14) -> int:
    """How many characters a line has where a page of full width has so many."""
    return max(round(0.45 * characters), min(characters, least)) if NARROW.get() else characters


def fit(draw: Callable[[], Figure]) -> Figure | None:
    """Draw a figure as it is, else higher, else with shorter legends; None if nothing helps."""
    for names in SHORTER:
        figure = _named(draw, names)
        can_shorten = max(map(len, _keys(figure)), default=0) > SHORTER[-1] + 1
        if _higher(figure, HIGH if can_shorten else HIGHEST):
            return figure
        if not can_shorten:
            break
    return None


def on_phone(draw: Callable[[], Figure]) -> Figure | None:
    """Draw a figure as narrow as a phone; None if it needs the width of a page."""
    is_narrow = NARROW.set(True)
    try:
        figure = _named(draw, SHORTER[1])
        _in_short_lines(figure)
        return figure if _higher(figure, HIGH_ON_PHONE) else None
    finally:
        NARROW.reset(is_narrow)


def _named(draw: Callable[[], Figure], names: int) -> Figure:
    known = MOST_KEYS.set(names)
    try:
        return draw()
    finally:
        MOST_KEYS.reset(known)


def _higher(figure: Figure, most: float) -> bool:
    """Whether the figure has room once it is up to ``most`` times as high; else it is closed."""
    width, height = figure.get_size_inches()
    factor = 1.0
    while factor <= most:
        figure.set_size_inches(width, height * factor)
        if not is_crowded(figure):
            figure.set_layout_engine("none")  # found once, not again when it is shown
            return True
        factor *= STEP
    plt.close(figure)
    return False


def _in_short_lines(figure: Figure) -> None:
    """Break titles and labels of axes, and let an axis across have few ticks."""
    for ax in figure.axes:
        for text in (ax._left_title, ax.xaxis.label, ax.yaxis.label):  # type: ignore[attr-defined]
            lines = text.get_text().split("\n")
            text.set_text("\n".join(textwrap.fill(line, LINE) for line in lines))
        if isinstance(locator := ax.xaxis.get_major_locator(), MaxNLocator):
            locator.set_params(nbins=4)
        words = [one.get_text() for one in ax.xaxis.get_ticklabels()]
        is_upright = any(one.get_rotation() for one in ax.xaxis.get_ticklabels())
        if isinstance(locator, FixedLocator) and any(words) and not is_upright:
            longest = max(len(line) for word in words for line in word.split("\n"))
            step = -(-len(words) * (longest + 1) // LINE)
            ax.set_xticks(ax.get_xticks()[::step], words[::step])


def _keys(figure: Figure) -> list[list[Text]]:
    legends = [*figure.legends, *(key for ax in figure.axes if (key := ax.get_legend()))]
    return [legend.get_texts() for legend in legends]


def is_crowded(figure: Figure) -> bool:
    """Whether texts meet or leave the page, or axes collapse."""
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    if any("constrained_layout" in str(one.message) for one in said):
        return True
    lowest = LOWEST_AXES * figure.dpi
    if any(
        ax.axison and not hasattr(ax, "_colorbar") and ax.bbox.height < lowest for ax in figure.axes
    ):
        return True
    boxes = np.array([box.extents for _, box in printed_texts(figure, canvas.get_renderer())])
    if not len(boxes):
        return False
    page = figure.bbox.padded(0.1 * figure.dpi)  # which a saved picture adds around itself
    if (boxes[:, :2] < page.min).any() or (boxes[:, 2:] > page.max).any():
        return True
    low, high = boxes[:, :2] + 1, boxes[:, 2:] - 1
    meet = np.asarray((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
    return bool(np.triu(meet, 1).any())


def printed_texts(figure: Figure, renderer: RendererBase) -> list[tuple[str, Bbox]]:
    """Each text that a figure shows, with its place in pixels; hidden ticks have none."""
    texts: list[Artist] = list(figure.texts)
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis) if ax.get_visible() and ax.axison else ():
            ticks = axis._update_ticks()  # type: ignore[union-attr]
            texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
            texts.append(axis.label)
        texts += ax.get_children()
    texts += [text for key in _keys(figure) for text in key]
    return [
        (text.get_text(), Text.get_window_extent(text, renderer))  # without an arrow
        for text in texts
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
    ]
