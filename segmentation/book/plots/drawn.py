"""One call for a picture of an analyst's own: seaborn draws it, the report's style frames it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segmentation.book import behind, style
from segmentation.book.figure_room import NARROW
from segmentation.book.plots import common
from segmentation.book.plots.rows import draw_rows
from segmentation.book.plots.spread import draw_spread
from segmentation.core import columns as schema
from segmentation.core.groups import group_labels

SCORES = {
    "k": ("", "Clusters (k)"),
    "inertia": ("Inertia · lower is tighter", "Inertia (squared distance)"),
    "silhouette": ("Silhouette · higher is better", "Mean silhouette (−1 to 1)"),
    "calinski_harabasz": (
        "Calinski-Harabasz · higher is better",
        "Calinski-Harabasz (ratio)",
    ),
    "davies_bouldin": ("Davies-Bouldin · lower is better", "Davies-Bouldin (ratio)"),
    "gini": ("Gini coefficient", "Gini (0 to 1)"),
    "top_share": ("From the largest 10%", "Share of revenue (%)"),
    "quarter": ("", "Quarter"),
}
"""Title and axis label of what is no feature; a share's ends with the sign of percent."""
LOOKS: dict[str, dict[str, Any]] = {
    "scatterplot": {"linewidth": 0, "alpha": 0.75, "rasterized": True},
    "lineplot": {"dashes": False, "errorbar": None},  # which seaborn would draw by lot
    "barplot": {"errorbar": None, "saturation": 1, "dodge": False},
}
"""What seaborn's functions are told unless the caller does."""
UNUSUAL = {"ordinary": style.CONTEXT, "anomaly": style.ACCENT}
"""Colours of a column that says who is flagged."""
KINDS = {
    "part of a quarter": style.CONTEXT,
    "whole quarter": style.PLAIN,
    "ends worse": style.ACCENT,
    "reaches the best": style.PLAIN,
}
"""Colours of what is told apart and is no segment."""


@style.report_figure
def draw(
    kind: Callable[..., Axes],
    table: pd.DataFrame,
    *,
    x: str | Iterable[str],
    y: str | Iterable[str] | None = None,
    hue: str | None = None,
    col: str | None = None,
    palette: Mapping[str, str] | None = None,
    mark: Mapping[str, float] | None = None,
    text: str | None = None,
    interval: bool = False,
    diagonal: bool = False,
    labels: Mapping[str, str] | None = None,
    note: str = "",
    nothing: str = "There is nothing to chart here.",
    currency: str = "",
    height: float = 3.0,
    of_groups: bool = False,
    **settings: Any,
) -> Figure:
    """A picture by one of seaborn's functions for axes, as all pictures of the report look.

    It has room for its texts, labels with units, colours that a segment keeps, a narrow
    drawing for phones, and its data beside it.

    Parameters
    ----------
    kind : function
        ``sns.scatterplot``, ``sns.lineplot``, ``sns.histplot`` and so on.
    table : DataFrame
    x, y, hue
        Its columns, as seaborn wants them; several for ``y`` are a panel each, and several
        features for ``x`` a histogram or a box of customers each. With names for
        ``y`` each row of a table of groups is a bar or a dot, from the top down.
    col : str, optional
        A panel for each value of this column.
    palette : mapping of a value of ``hue`` to its colour, in ascending order of value
    mark : mapping of a value of ``hue`` to where on ``x`` a dashed line stands
        Where rows have names, of the words at the line, or of the one ``x`` that it marks.
    text : str, optional
        Column of what a row's bar is labelled with, beside its value.
    interval : bool
        A line from ``<name>_low`` to ``<name>_high`` stands at each value.
    diagonal : bool
        A dashed line stands where ``x`` and ``y`` are equal.
    labels : mapping of a column to the words of its axis; of a share they end with ``(%)``
    note : str
        A remark below the picture.
    nothing : str
        What is said instead of a picture where the table has no rows.
    currency : str
        Code of the account currency, where money is drawn.
    height : float
        Of a row of panels, in inches.
    of_groups : bool
        The table has rows of groups, which are published beside the picture; else they are
        customers, of whom quantiles are.
    settings
        Whatever else ``kind`` takes.
    """
    said = {name: label for name, (_, label) in SCORES.items()} | dict(labels or {})
    if table.empty:
        return style.sentence_figure(nothing)
    if of_groups and isinstance(y, str) and not pd.api.types.is_numeric_dtype(table[y]):
        values = [x] if isinstance(x, str) else list(x)
        colours = _colours(table, hue, palette, in_order=True)
        look = LOOKS[kind.__name__] | settings
        return draw_rows(
            kind, table, values, y, hue=hue, col=col, colours=colours, text=text, interval=interval,
            mark=mark or {}, labels=said, note=note, currency=currency, look=look,
        )  # fmt: skip
    if not isinstance(x, str):
        return draw_spread(
            kind, table, list(x), nothing=nothing, note=note, currency=currency, look=settings
        )
    ups = [y] if y is None or isinstance(y, str) else list(y)
    names = [name for name in (col, hue, x, *ups) if name]
    lacks_y = y is None and kind.__name__ in LOOKS
    known = table.dropna(subset=names if len(ups) == 1 else [x])
    if known.empty or lacks_y or not all(known[up].notna().any() for up in ups if up):
        return style.sentence_figure(nothing)
    if hue:
        known = known.astype({hue: str})
    colours = _colours(known, hue, palette, in_order=of_groups)
    groups = common.by_type(known.assign(segment_type=known[col])) if col else [("", known)]
    fig, axes = common.panels(
        len(groups) * len(ups), columns=2 if ups[1:] else 3, height=height, sharey=not ups[1:]
    )
    of_each = pd.concat([rows.assign(_panel=name) for name, rows in groups])
    counted = common.counts_told(of_each["_panel"], of_each[hue]) if hue and not of_groups else {}
    thinned: list[str] = []
    # Points with lines through them leave no room for words.
    is_named = of_groups and kind.__name__ == "scatterplot" and len(colours) > 1 and not interval
    panels = [(name, rows, up) for name, rows in groups for up in ups]
    for ax, (name, rows, up) in zip(axes, panels, strict=True):
        shown = _drawn(rows, (x, up), hue, few=kind.__name__ == "scatterplot")
        look = _look(kind.__name__, hue, colours, len(shown)) | settings
        kind(shown, x=x, y=up, hue=hue, ax=ax, legend=False, **look)
        if interval:
            ends = shown[f"{up}_low"], shown[f"{up}_high"]
            ax.vlines(shown[x], *ends, color=_each(shown, hue, colours), linewidth=1.6)
        if diagonal:
            reach = [0.0, float(shown[[x, up]].max().max())]
            ax.plot(reach, reach, color=style.CONTEXT, linestyle=(0, (4, 2)), linewidth=1)
        for value, at in (mark or {}).items():
            colour = style.CONTEXT if len(colours) < 2 else colours.get(value, style.CONTEXT)
            ax.axvline(at, color=colour, linestyle=(0, (4, 2)), linewidth=1)
        _fit_axes(
            ax, known, (x, up), kind.__name__, currency, spread=len(colours) > 1 and of_groups,
            most_ticks=6 if len(groups) < 3 else 4, labels=said, interval=interval,
        )  # fmt: skip
        if diagonal:
            top = 1.02 * max(ax.dataLim.x1, ax.dataLim.y1)
            ax.set(xlim=(0, top), ylim=(0, top))
        if len(groups) > 1:
            ax.set_xlabel(common.wrap(ax.get_xlabel(), 28))
        common.panel_title(
            ax, name, _counted(rows, x) if of_groups else len(rows), alone=len(groups) == 1,
            extra=SCORES.get(str(up), ("",))[0], width=60 if len(groups) == 1 else 30,
        )  # fmt: skip
        if hue and not of_groups:
            alone = len(groups) == 1
            own = pd.DataFrame({"segment": rows[hue]})
            keys = common.segment_keys(
                own,
                colours,
                width=44 if alone else 44 // len(groups) + 7,
                counted=counted,
                panel=name,
            )
            common.key_below(ax, keys, columns=3 if alone else 1)
        if is_named:
            _name_points(ax, rows, (x, str(up)), str(hue))
        if len(shown) < len(rows):
            thinned.append(f"{len(shown):,} of {len(rows):,}")
    for ax in axes[1:] if not ups[1:] else []:
        ax.set_ylabel("")
    if of_groups and len(colours) > 1 and not is_named:
        marks = style.segment_markers(colours)
        labels = group_labels(colours)
        fig.legend(
            handles=[common.point_key(labels.get(v, v), c, marks[v]) for v, c in colours.items()],
            loc="outside lower center", ncols=1 if NARROW.get() else 2,
        )  # fmt: skip
    if thinned:
        note += f" Points drawn: an evenly spaced sample, {'; '.join(thinned)} customers."
    if note:
        common.note(fig, note.strip())
    of_many = behind.of_groups(table[names]) if of_groups else behind.quantiles(table)
    fig.data = of_many  # type: ignore[attr-defined]
    return fig


def _counted(rows: pd.DataFrame, x: str) -> int | None:
    """Customers of a panel's rows: of each row the same, or in each row others; of days, some."""
    if "customers" not in rows.columns or pd.api.types.is_datetime64_any_dtype(rows[x]):
        return None
    counts = rows["customers"]
    return int(counts.iloc[0] if counts.nunique() == 1 else counts.sum())


def _name_points(ax: Axes, rows: pd.DataFrame, names: tuple[str, str], hue: str) -> None:
    """What points of a colour are, beside them: the lowest above themselves, others below."""
    x, up = names
    for value, own in rows.groupby(hue, sort=True):
        is_lowest = own[up].min() <= rows[up].min()
        place = (own[x].median(), own[up].max() if is_lowest else own[up].min())
        ax.annotate(
            str(value), place, (0, 6 if is_lowest else -6), textcoords="offset points",
            ha="center", va="bottom" if is_lowest else "top",
        )  # fmt: skip


def _each(rows: pd.DataFrame, hue: str | None, colours: Mapping[str, str]) -> Any:
    return rows[hue].map(dict(colours)) if hue else style.PLAIN


def _colours(
    table: pd.DataFrame, hue: str | None, palette: Mapping[str, str] | None, *, in_order: bool
) -> dict[str, str]:
    """Colour of every value that is drawn, in the order of the palette."""
    values = list(dict.fromkeys(table[hue])) if hue else []
    if palette is None and hue == "segment_type":
        palette = {value: common.type_style(value)[0] for value, _ in common.by_type(table)}
    known = style.segment_colours(values if in_order else sorted(values))
    known = known if palette is None else dict(palette)
    rest = {value: style.CONTEXT for value in values if value not in known}
    return {value: colour for value, colour in known.items() if value in values} | rest


def _drawn(
    rows: pd.DataFrame, names: tuple[str, str | None], hue: str | None, *, few: bool
) -> pd.DataFrame:
    """Rows as they are drawn: the rare values of `hue` last, over the others; points not too many."""
    parts = [own for _, own in rows.groupby(hue, sort=True)] if hue else [rows]
    if few:
        columns = [name for name in names if name]
        parts = [common.thin(own, columns, common.MAX_POINTS // len(parts)) for own in parts]
    return pd.concat(sorted(parts, key=len, reverse=True))


def _look(kind: str, hue: str | None, colours: dict[str, str], points: int) -> dict[str, Any]:
    look = LOOKS.get(kind, {}) | (
        {"s": 16 if points < 2000 else 8} if kind == "scatterplot" else {}
    )
    if hue is None:
        return look | {"color": style.PLAIN}
    order = list(colours)
    look |= {"palette": colours, "hue_order": order}
    if kind not in LOOKS:
        return look
    return look | {"style": hue, "markers": style.segment_markers(colours), "style_order": order}


def _fit_axes(
    ax: Axes,
    known: pd.DataFrame,
    names: tuple[str, str | None],
    kind: str,
    currency: str,
    *,
    spread: bool,
    most_ticks: int,
    labels: Mapping[str, str],
    interval: bool,
) -> None:
    """Scale, ticks and words of both axes; of pictures with bins or boxes the words alone."""
    for which, name in zip("xy", names, strict=True):
        if name is None:
            continue
        is_number = pd.api.types.is_numeric_dtype(known[name]) and kind in LOOKS
        label = labels.get(name, name.replace("_", " ").capitalize())
        if name in schema.FEATURES and is_number:
            values = common.numbers(known, name)
            ticks = most_ticks if which == "x" else 6
            common.set_feature_axis(ax, which, values, name, currency, most_ticks=ticks)
        elif name in schema.FEATURES:
            getattr(ax, f"set_{which}label")(common.axis_label(name, currency=currency))
        elif pd.api.types.is_datetime64_dtype(known[name]):
            quarters = known[name].drop_duplicates().sort_values()
            shown = quarters[:: -(-len(quarters) // 6)]
            words = [f"{day.year}\nQ{day.quarter}" for day in shown]
            getattr(ax, f"set_{which}ticks")(shown, labels=words)
            getattr(ax, f"set_{which}label")(label)
        elif is_number:
            ends = [f"{name}_low", f"{name}_high"] if interval and which == "y" else []
            values = np.concatenate([common.numbers(known, one) for one in (name, *ends)])
            is_share = label.endswith("(%)")
            is_linear = not spread or name == "k" or is_share
            scale = "linear" if is_linear else common.scale_for(values)
            common.set_value_axis(ax, which, values, scale=scale, label=label, air=0.1)
            ax.grid(axis="y")
            if is_share:
                getattr(ax, f"{which}axis").set_major_formatter(style.percent_ticks())
            if which == "y" and kind == "barplot":
                ax.set_ylim(bottom=min(0.0, float(values.min())))
        else:
            getattr(ax, f"set_{which}label")(label)
