"""How every figure looks: colours, markers, number formats, one place to change them."""

from __future__ import annotations

import functools
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogFormatterMathtext, LogitFormatter

from segmentation.book import behind, drawings
from segmentation.book.figure_room import NARROW, fit, on_phone
from segmentation.book.figure_words import let_pictures_speak
from segmentation.core import columns as schema
from segmentation.core.palette import (
    ACCENT as ACCENT,
)
from segmentation.core.palette import (
    CONTEXT as CONTEXT,
)
from segmentation.core.palette import (
    INK as INK,
)
from segmentation.core.palette import (
    MARKERS as MARKERS,
)
from segmentation.core.palette import (
    PALETTE as PALETTE,
)
from segmentation.core.palette import (
    PAPER as PAPER,
)
from segmentation.core.palette import (
    PLAIN as PLAIN,
)
from segmentation.core.palette import (
    QUIET as QUIET,
)
from segmentation.core.palette import (
    RULE_LINE as RULE_LINE,
)
from segmentation.core.palette import (
    contrast_ratio as contrast_ratio,
)
from segmentation.core.palette import (
    relative_luminance as relative_luminance,
)
from segmentation.core.palette import (
    text_colour_on as text_colour_on,
)

P = ParamSpec("P")


FAINT = "#E3E7EB"  # a cell that says "as all others": seen on white and on black paper
SEQUENTIAL = LinearSegmentedColormap.from_list("sequential", ["#DCE6EF", "#8FB1CC", PALETTE[0]])
NUMBERED = LinearSegmentedColormap.from_list("numbered", ["#DCE6EF", "#86A9C8"])
DIVERGING = LinearSegmentedColormap.from_list("diverging", ["#DCAE6C", FAINT, "#86A9C8"])
"""Cells with numbers in them are pale, so that the numbers are read by day and by night (4.5:1):
no text is, in the dark, on colours of middle brightness. Less is sand, more is blue."""

WIDTH = 8.0  # inches; about 750 px on a page, so 9 pt stays 12 px
NARROW_WIDTH = 3.25  # inches; about 342 px on a phone
SMALLEST_TEXT = 9.0

RC_PARAMS: Any = {
    "figure.dpi": 128,
    "savefig.dpi": 128,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same on every machine
    "font.size": SMALLEST_TEXT,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelsize": SMALLEST_TEXT,
    "axes.labelcolor": INK,
    "axes.edgecolor": CONTEXT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.grid": False,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # "$12 to $30" in a label is money, not mathematics
    "xtick.color": CONTEXT,
    "ytick.color": CONTEXT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALLEST_TEXT,
    "ytick.labelsize": SMALLEST_TEXT,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "legend.fontsize": SMALLEST_TEXT,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.hashsalt": "segmentation",
    "svg.fonttype": "path",
    "image.interpolation": "nearest",
}

TOO_CROWDED = (
    "This figure has more to say than fits on a page: its numbers are in the tables of the run."
)


def apply_style() -> None:
    """Make every following figure of the session look like the report's own."""
    mpl.rcParams.update(RC_PARAMS)


def report_figure(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Give a plot function the report's style and room, and close the figure it returns.

    A notebook shows an open pyplot figure twice: once because it is open, once because
    it is the cell's value. Figures are closed also when drawing fails. What stays crowded
    in every size is replaced by a sentence.
    """

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        def once() -> Figure:
            return draw(*args, **kwargs)

        fitting = _closed(lambda: fit(once) or sentence_figure(TOO_CROWDED))
        assert fitting is not None
        data = getattr(fitting, "data", None)
        if data is None:
            data = _data_of(draw, args, kwargs)

        def bundle(**_: Any) -> dict[str, Any]:
            if fitting.get_size_inches()[1] < 1:
                return behind.bundle(data)  # a sentence
            narrow = _closed(lambda: on_phone(once))
            return behind.bundle(data) | drawings.bundle(fitting, narrow)

        fitting._repr_mimebundle_ = bundle  # type: ignore[attr-defined]
        return fitting

    return styled


def _closed(make: Callable[[], Figure | None]) -> Figure | None:
    apply_style()
    open_before = set(plt.get_fignums())
    try:
        return make()
    finally:
        for number in set(plt.get_fignums()) - open_before:
            plt.close(number)


def of_customers(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Say that a figure's table has one row per customer: quantiles are published of it."""
    draw.has_row_per_customer = True  # type: ignore[attr-defined]
    return draw


def _data_of(draw: Callable[..., Figure], args: Any, given: Any) -> pd.DataFrame | None:
    tables = [one for one in (*args, *given.values()) if isinstance(one, pd.DataFrame)]
    if not tables:
        return None
    table = tables[0]
    if not (hasattr(draw, "has_row_per_customer") or "customer_id" in table.columns):
        return behind.of_groups(table)
    drawn = {*given.get("names", table.columns), *behind.GROUPS}
    return behind.quantiles(table[[name for name in table.columns if name in drawn]])


def width() -> float:
    """How wide a figure is drawn, in inches."""
    return NARROW_WIDTH if NARROW.get() else WIDTH


def sentence_figure(sentence: str) -> Figure:
    """A small figure that says why there is nothing to chart."""
    fig = plt.figure(figsize=(WIDTH, 0.9))
    ax = fig.add_subplot()  # a notebook shows no figure that has no axes
    ax.set_axis_off()
    ax.set(xticks=[], yticks=[])
    ax.text(0.0, 0.5, textwrap.fill(sentence, 100), va="center", color=QUIET)
    return fig


def segment_colours(names: Sequence[str]) -> dict[str, str]:
    """Give each segment the colour it keeps in every chapter of a run.

    Parameters
    ----------
    names : sequence of text, in ascending order of value
        Repeated names (the same segment in two groups) keep their first colour. From the
        seventh name on colours repeat, with another marker: see `segment_markers`.

    Returns
    -------
    dict of name to hex colour, in the order given

    Examples
    --------
    >>> segment_colours(["One-time", "Regular", "One-time"])
    {'One-time': '#12436D', 'Regular': '#28A197'}
    """
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(dict.fromkeys(names))}


def segment_markers(colours: Mapping[str, str]) -> dict[str, str]:
    """Give each segment a marker, so that no two of 36 segments share colour and marker.

    Parameters
    ----------
    colours : mapping of name to colour
        In which the palette's colours come equally often, as `segment_colours` gives them.

    Examples
    --------
    >>> list(segment_markers(segment_colours([str(i) for i in range(8)])).values())
    ['o', 's', '^', 'D', 'P', 'X', 's', '^']
    """
    markers: dict[str, str] = {}
    taken: set[tuple[str, str]] = set()
    for i, (name, colour) in enumerate(colours.items()):
        first = i + i // len(PALETTE)
        tried = [MARKERS[(first + step) % len(MARKERS)] for step in range(len(MARKERS))]
        markers[name] = next((mark for mark in tried if (colour, mark) not in taken), tried[0])
        taken.add((colour, markers[name]))
    return markers


def count_text(value: float) -> str:
    """A tick of a count or number of days: grouped, without needless decimals.

    Examples
    --------
    >>> count_text(12345.0), count_text(0.25), count_text(-2.0)
    ('12,345', '0.25', '−2')
    """
    text = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def money_text(value: float, currency: str) -> str:
    """A tick of money: `schema.format_money` without needless decimals.

    Examples
    --------
    >>> money_text(1_200_000, "USD"), money_text(10_000, "GBP"), money_text(100, "USD")
    ('$1.2M', '£10K', '$100')
    >>> money_text(12.5, "USD"), money_text(-40, "EUR")
    ('$12.50', '−€40')
    """
    text = money_label(value, currency)
    if text[-1].isdigit():
        return text.removesuffix(".00")
    return re.sub(r"\.?0*(?=\D+$)", "", text) if "." in text else text


class CountFormatter(Formatter):
    """Ticks of plain numbers, all with the decimals that their distance needs."""

    def __call__(self, value: float, _: int | None = None) -> str:
        """Text of one tick on its own."""
        return count_text(value)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Texts of all ticks of an axis."""
        ticks = np.sort(np.asarray(values, dtype=float))
        steps = np.diff(ticks)
        if steps.size == 0 or not np.allclose(steps, steps[0]) or steps[0] >= 1:
            return [count_text(value) for value in values]
        decimals = next(d for d in range(1, 99) if np.allclose(ticks, np.round(ticks, d), 0, 1e-9))
        return [f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def let_log_axes_speak() -> None:
    """From here on log and logit axes print numbers, also those of an analyst's own figures.

    Matplotlib writes their ticks as mathematics, which ``text.parse_math`` leaves as it is.
    """
    for kind in (LogFormatterMathtext, LogitFormatter):
        kind.__call__ = _in_numbers(kind.__call__)  # type: ignore[method-assign]


def _in_numbers(write: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(write)
    def written(self: Formatter, value: float, pos: int | None = None) -> str:
        if "mathdefault" not in (text := write(self, value, pos)):
            return text
        size = abs(value)
        return count_text(value) if size == 0 or 1e-4 <= size < 1e9 else f"{value:.3g}"

    return written


def count_ticks() -> CountFormatter:
    """Axis formatter for counts, days and other plain numbers."""
    return CountFormatter()


def money_label(value: float, currency: str) -> str:
    """Money as `schema.format_money` prints it, with the minus sign that axes have."""
    return schema.format_money(value, currency).replace("-", "\N{MINUS SIGN}")


def score_label(value: float) -> str:
    """A score with its two decimals.

    Examples
    --------
    >>> score_label(-0.034)
    '−0.03'
    """
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def share_label(share: float) -> str:
    """A share as `schema.format_percent` prints it, also when it is negative."""
    if share >= 0 or math.isnan(share):
        return schema.format_percent(share)
    text = schema.format_percent(-share)
    return f"\N{MINUS SIGN}{text}" if text[0].isdigit() else f"\N{MINUS SIGN}{-100 * share:.1g}%"


def money_ticks(currency: str) -> FuncFormatter:
    """Axis formatter for money."""
    return FuncFormatter(lambda value, _: money_text(value, currency))


def percent_ticks() -> FuncFormatter:
    """Axis formatter for shares between 0 and 1."""
    return FuncFormatter(lambda value, _: f"{count_text(round(100 * value, 6))}%")


let_pictures_speak()
let_log_axes_speak()
