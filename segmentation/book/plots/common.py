"""What several figures share: panels, scales, heat maps, labels that do not collide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from segmentation.book import behind, figure_room, style
from segmentation.book.figure_room import narrowed
from segmentation.core import columns as schema
from segmentation.core.groups import SEGMENT_TYPES, group_labels
from segmentation.core.limits import LEAST_PUBLISHED

GROUP_GREYS = (style.INK, style.QUIET, style.CONTEXT)
HATCHES = ("", "////", "\\\\\\\\")  # dots would weigh 100 kB each
MAX_POINTS = 20_000
KEY_ON_PHONE = 62  # of a page's line, for a key that has a phone's line to itself
HEAVY_TAIL = 20  # largest value over median from which a linear axis hides most customers
LOG_WORDS = {"linear": "", "log": "log scale", "symlog": "log scale with zero"}


def panels(
    count: int,
    *,
    columns: int,
    height: float | Sequence[float],
    sharex: bool = False,
    sharey: bool = False,
    ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """A page-wide figure of `count` small multiples; `height` in inches, per row if several.

    `ratios` are the heights of the rows' axes alone, without titles and labels.
    """
    columns = 1 if figure_room.NARROW.get() else min(columns, count)
    rows = -(-count // columns)
    heights = [height] * rows if isinstance(height, int | float) else list(height)
    fig, grid = plt.subplots(
        rows,
        columns,
        figsize=(style.width(), sum(heights)),
        sharex=sharex,
        sharey=sharey,
        squeeze=False,
        height_ratios=ratios or heights,
    )
    for spare in grid.flat[count:]:
        spare.remove()
    return fig, list(grid.flat[:count])


def by_type(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each segment type, in the order of `SEGMENT_TYPES`."""
    if "segment_type" not in table.columns:
        return [("", table)]
    known = SEGMENT_TYPES
    present = sorted(
        table["segment_type"].dropna().astype(str).unique(),
        key=lambda name: (known.index(name) if name in known else len(known), name),
    )
    return [(GroupName(name, present), table[table["segment_type"] == name]) for name in present]


class GroupName(str):
    """A ``segment_type`` that also knows its words among the groups of a figure."""

    label: str

    def __new__(cls, name: str, kinds: Iterable[str]) -> GroupName:
        """Name one of the groups of a figure."""
        made = super().__new__(cls, name)
        made.label = group_labels(kinds).get(name, name)
        return made


def type_label(segment_type: str, kinds: Iterable[str] = ()) -> str:
    """A group's name for people, among the groups that a figure shows."""
    if isinstance(segment_type, GroupName):
        return segment_type.label
    return group_labels(kinds or (segment_type,)).get(segment_type, segment_type)


def panel_title(
    ax: Axes,
    segment_type: str,
    n: int | None,
    *,
    alone: bool,
    unit: str = "customers",
    extra: str = "",
    width: int = 30,
) -> None:
    """Name the group and its n above a panel; one group alone needs no name.

    A source without registration dates has the group `normal` only, and "registered before
    ordering" would then claim what nobody knows.
    """
    parts = [
        "" if alone else type_label(segment_type),
        "" if n is None else n_of(n, unit),
        extra,
    ]
    words = [part for part in parts if part]
    ax.set_title(
        "\n".join(words) if len(" · ".join(words)) > narrowed(width) else " · ".join(words)
    )


def n_of(n: int, unit: str = "customers") -> str:
    """How many a panel shows, in words.

    Examples
    --------
    >>> n_of(12345), n_of(1, "orders")
    ('n = 12,345 customers', 'n = 1 order')
    """
    return f"n = {n:,} {unit.removesuffix('s') if n == 1 else unit}"


def note(fig: Figure, text: str) -> None:
    """A remark about how the figure was drawn, below it."""
    fig.supxlabel(
        textwrap.fill(text, narrowed(108)),
        x=0.012,
        ha="left",
        fontsize=style.SMALLEST_TEXT,
        color=style.QUIET,
    )


def wrap(text: str, width: int, *, break_words: bool = True) -> str:
    """Break a long name over lines; a word longer than a line is broken too."""
    whole = str(text).replace("n = ", "n\N{NBSP}=\N{NBSP}")  # a number and what it counts
    lines = textwrap.wrap(
        whole, narrowed(width), break_on_hyphens=False, break_long_words=break_words
    )
    return "\n".join(lines) or str(text)


def numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    """Finite values of a column, as floats."""
    values = table[name].astype("float64").to_numpy()
    return values[np.isfinite(values)]


def feature_names(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of `names` that the table has, with at least one value."""
    return [name for name in names if name in table.columns and numbers(table, name).size]


def axis_label(name: str, *, currency: str = "", scale: str = "linear") -> str:
    """Axis label of a column, with unit (the currency's code for money) and scale."""
    column = schema.column_of(name)
    unit = currency if column.unit == "currency" else column.unit
    inside = ", ".join(part for part in (unit, LOG_WORDS[scale]) if part)
    return f"{column.label} ({inside})" if inside else column.label


def scale_for(values: np.ndarray) -> str:
    """Scale on which most values stay visible: linear, log, or symlog if zero or less occurs."""
    sizes = np.abs(values[values != 0])
    if sizes.size < 2 or sizes.max() < HEAVY_TAIL * np.median(sizes):
        return "linear"
    return "log" if values.min() > 0 else "symlog"


def feature_scale(values: np.ndarray, name: str) -> str:
    """Scale for a feature: only money and counts are ever drawn on a log axis."""
    heavy_kind = schema.column_of(name).kind in ("money", "count")
    return scale_for(values) if heavy_kind else "linear"


def log_ticks(low: float, high: float, *, threshold: float | None, most: int) -> list[float]:
    """Round tick values for a log axis; `threshold` is where a symlog axis turns linear."""
    if threshold is not None:
        first = round(np.log10(threshold))
        up = [10.0**e for e in range(first, 13) if 10.0**e <= high]
        down = [-(10.0**e) for e in range(first, 13) if 10.0**e <= -low]
        up = up[len(up) >= most - 1 :]  # else the first label touches that of zero
        step = -(-(len(up) + len(down) + 1) // most)
        return [*down[::-step], 0.0, *up[::-1][::step][::-1]]
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    decades = [10.0**e for e in exponents if low <= 10.0**e <= high]
    if len(decades) >= 3:
        return decades[:: -(-len(decades) // most)]
    finer = [m * 10.0**e for e in exponents for m in (1, 3) if low <= m * 10.0**e <= high]
    if len(finer) >= 2:
        return finer
    return [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high and t > 0]


def set_value_axis(
    ax: Axes,
    which: str,
    values: np.ndarray,
    *,
    scale: str,
    label: str,
    currency: str | None = None,
    most_ticks: int = 6,
    air: float = 0.05,
) -> None:
    """Fit an axis to values: scale, limits with some air, a few round ticks, label.

    `currency` formats ticks as money; `None` as plain numbers.
    """
    set_scale = getattr(ax, f"set_{which}scale")
    set_limits = getattr(ax, f"set_{which}lim")
    axis = getattr(ax, f"{which}axis")
    low, high = float(values.min()), float(values.max())
    threshold = None
    if scale == "symlog":
        smallest = np.quantile(np.abs(values[values != 0]), 0.05)
        threshold = 10.0 ** np.floor(np.log10(smallest))
        set_scale("symlog", linthresh=threshold, linscale=0.6)
    else:
        set_scale(scale)
    if low == high:
        pad = 0.5 * abs(low) or 1.0
        low, high = low - pad, high + pad
    else:
        transform = axis.get_transform()
        ends = transform.transform(np.array([low, high]))
        pad = air * (ends[1] - ends[0])
        low, high = transform.inverted().transform(ends + np.array([-pad, pad]))
    set_limits(low, high)
    if scale == "linear":
        whole = bool((values == np.round(values)).all())
        axis.set_major_locator(MaxNLocator(most_ticks - 1, integer=whole))
    else:
        axis.set_major_locator(
            FixedLocator(log_ticks(low, high, threshold=threshold, most=most_ticks))
        )
    axis.set_minor_locator(FixedLocator([]))
    axis.set_major_formatter(
        style.count_ticks() if currency is None else style.money_ticks(currency)
    )
    getattr(ax, f"set_{which}label")(label)


def set_feature_axis(
    ax: Axes, which: str, values: np.ndarray, name: str, currency: str, *, most_ticks: int = 6
) -> str:
    """Fit an axis to a feature and return the scale that was chosen."""
    scale = feature_scale(values, name)
    set_value_axis(
        ax,
        which,
        values,
        scale=scale,
        label=axis_label(name, currency=currency, scale=scale),
        currency=currency if schema.column_of(name).kind == "money" else None,
        most_ticks=most_ticks,
    )
    return scale


def thin(points: pd.DataFrame, columns: Sequence[str], most: int = MAX_POINTS) -> pd.DataFrame:
    """At most `most` rows, evenly spaced over the rows sorted by value.

    No chance and no row order is involved: the same customers always give the same picture.
    The extremes are always drawn.
    """
    if len(points) <= most:
        return points
    ordered = points.sort_values(list(columns), kind="mergesort")
    return ordered.iloc[np.linspace(0, len(ordered) - 1, most).round().astype(int)]


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Move label positions as little as needed to stand `gap` apart within low to high."""
    wanted = np.asarray(positions, dtype=float)
    if wanted.size < 2:
        return wanted.clip(low, high)
    gap = min(gap, (high - low) / (wanted.size - 1))
    order = np.argsort(wanted, kind="stable")
    placed = wanted[order].clip(low, high)
    for i in range(1, placed.size):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed[-1] = min(placed[-1], high)
    for i in range(placed.size - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return result


def type_style(segment_type: str) -> tuple[str, str]:
    """Grey and marker of a group where a figure compares groups: colours are segments'."""
    known = SEGMENT_TYPES
    place = known.index(segment_type) if segment_type in known else len(known)
    return GROUP_GREYS[place % len(GROUP_GREYS)], style.MARKERS[place]


def group_hatch(segment_type: object) -> str:
    """Pattern on the colour of a segment: of two groups' segments of one name, each has its own."""
    known = SEGMENT_TYPES
    place = known.index(str(segment_type)) if segment_type in known else 0
    return HATCHES[place % len(HATCHES)]


def hatched(segment_type: object) -> dict[str, Any]:
    """What bars of a group are drawn with: lines of paper over the colour, but for the first."""
    pattern = group_hatch(segment_type)
    return {"hatch": pattern, "edgecolor": style.PAPER, "linewidth": 0} if pattern else {}


def point_key(label: str, colour: str, marker: str) -> Line2D:
    """Legend entry for points."""
    return Line2D([], [], linestyle="", marker=marker, color=colour, label=label)


def counts_told(panels: pd.Series, kinds: pd.Series) -> dict[tuple[str, str], str]:
    """What legends say of how many customers of a kind are in a panel: never how few.

    Panels and kinds have totals that pages print, so what would tell it is left out or rounded
    as in a table (`behind.withheld`).

    Examples
    --------
    >>> panels, kinds = pd.Series(["a"] * 40 + ["b"] * 90), pd.Series(["x"] * 2 + ["y"] * 38 + ["x"] * 17 + ["y"] * 73)
    >>> list(counts_told(panels, kinds).values())
    [', n\xa0<\xa05', ', n\xa0≈\xa040', ', n\xa0≈\xa015', ', n\xa0≈\xa075']
    """
    sizes = pd.DataFrame({"panel": list(map(str, panels)), "kind": list(map(str, kinds))})
    sizes = sizes.groupby(["panel", "kind"]).size().reset_index(name="n")
    hidden, is_rounded = behind.withheld(sizes["n"], sizes[["panel", "kind"]])
    told = {}
    for row, is_hidden in zip(sizes.itertuples(), hidden, strict=True):
        near = round(row.n / behind.ROUNDED) * behind.ROUNDED
        sign, n = ("≈", near) if is_rounded else ("=", row.n)
        if row.n < LEAST_PUBLISHED:
            sign, n = "<", LEAST_PUBLISHED
        is_told = row.n < LEAST_PUBLISHED or not is_hidden
        told[row.panel, row.kind] = f", n\N{NBSP}{sign}\N{NBSP}{n:,}" if is_told else ""
    return told


def segment_keys(
    group: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    width: int,
    counted: Mapping[tuple[str, str], str] | None = None,
    panel: object = "",
) -> list[Line2D]:
    """Legend entries: each segment with its n, the highest value first.

    ``counted`` is `counts_told` of the whole figure, where it has several panels. Of more than there is room for only the largest, and how many more there are.
    """
    markers = style.segment_markers(colours)
    counts = (
        group["segment"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    )
    width = KEY_ON_PHONE if figure_room.NARROW.get() else width
    most = figure_room.MOST_KEYS.get()
    named = counts if len(counts) <= most else counts.iloc[:most]
    known = [name for name in reversed(list(colours)) if name in named.index]
    names = known + sorted(set(named.index) - set(known))
    if counted is None:
        counted = counts_told(pd.Series([str(panel)] * len(group)), group["segment"])
    keys = [
        point_key(
            wrap(f"{name}{counted[str(panel), str(name)]}", width),
            colours.get(name, style.CONTEXT),
            markers.get(name, "o"),
        )
        for name in names
    ]
    if rest := len(counts) - len(named):
        keys.append(point_key(f"and {rest:,} more", style.QUIET, ""))
    return keys


def key_below(ax: Axes, keys: Sequence[Line2D], *, columns: int) -> None:
    """Legend just below a panel's axis label, in the panel's own width."""
    if columns > 2 and max(len(str(key.get_label())) for key in keys) > 30:
        columns = 2
    if figure_room.NARROW.get():
        columns = 1
    fig = ax.get_figure(root=True)
    assert fig is not None
    below = 0.47 + 0.15 * ax.get_xlabel().count("\n")
    ax.legend(
        handles=list(keys),
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -below, fig.dpi_scale_trans),
        ncols=min(columns, len(keys)),
        borderaxespad=0.0,
        handletextpad=0.2,
        columnspacing=1.4,
    )
