"""One call for a picture of an analyst's own: seaborn draws it, the report's style frames it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segmentation.book import behind, style
from segmentation.book.plots import common
from segmentation.core import columns as schema

SCORES = {
    "k": ("", "Clusters (k)"),
    "inertia": ("Inertia · lower is tighter", "Inertia (squared distance)"),
    "silhouette": ("Silhouette · higher is better", "Mean silhouette (−1 to 1)"),
    "calinski_harabasz": (
        "Calinski-Harabasz · higher is better",
        "Calinski-Harabasz (ratio)",
    ),
    "davies_bouldin": ("Davies-Bouldin · lower is better", "Davies-Bouldin (ratio)"),
}
"""Title and axis label of what is no feature."""
LOOKS: dict[str, dict[str, Any]] = {
    "scatterplot": {"linewidth": 0, "alpha": 0.75, "rasterized": True},
    "lineplot": {"dashes": False, "errorbar": None},  # which seaborn would draw by lot
}
"""What seaborn's functions are told unless the caller does."""
UNUSUAL = {"ordinary": style.CONTEXT, "anomaly": style.ACCENT}
"""Colours of a column that says who is flagged."""


@style.report_figure
def draw(
    kind: Callable[..., Axes],
    table: pd.DataFrame,
    *,
    x: str,
    y: str | Iterable[str] | None = None,
    hue: str | None = None,
    col: str | None = None,
    palette: Mapping[str, str] | None = None,
    mark: Mapping[str, float] | None = None,
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
        Its columns, as seaborn wants them; several for ``y`` are a panel each.
    col : str, optional
        A panel for each value of this column.
    palette : mapping of a value of ``hue`` to its colour, in ascending order of value
    mark : mapping of a value of ``hue`` to where on ``x`` a dashed line stands
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
    ups = [y] if y is None or isinstance(y, str) else list(y)
    names = [name for name in (col, hue, x, *ups) if name]
    lacks_y = y is None and kind.__name__ in LOOKS
    known = table if table.empty else table.dropna(subset=names if len(ups) == 1 else [x])
    if known.empty or lacks_y or not all(known[up].notna().any() for up in ups if up):
        return style.sentence_figure("There is nothing to chart here.")
    if hue:
        known = known.astype({hue: str})
    colours = _colours(known, hue, palette)
    groups = common.by_type(known.assign(segment_type=known[col])) if col else [("", known)]
    fig, axes = common.panels(
        len(groups) * len(ups), columns=2 if ups[1:] else 3, height=height, sharey=not ups[1:]
    )
    thinned: list[str] = []
    panels = [(name, rows, up) for name, rows in groups for up in ups]
    for ax, (name, rows, up) in zip(axes, panels, strict=True):
        shown = _drawn(rows, (x, up), hue, few=kind.__name__ == "scatterplot")
        look = _look(kind.__name__, hue, colours, len(shown)) | settings
        kind(shown, x=x, y=up, hue=hue, ax=ax, legend=False, **look)
        for value, at in (mark or {}).items():
            colour = style.CONTEXT if len(colours) < 2 else colours.get(value, style.CONTEXT)
            ax.axvline(at, color=colour, linestyle=(0, (4, 2)), linewidth=1)
        _fit_axes(
            ax, known, (x, up), kind.__name__, currency, spread=len(colours) > 1 and of_groups,
            most_ticks=6 if len(groups) < 3 else 4,
        )  # fmt: skip
        if len(groups) > 1:
            ax.set_xlabel(common.wrap(ax.get_xlabel(), 28))
        common.panel_title(
            ax, name, None if of_groups else len(rows), alone=len(groups) == 1,
            extra=SCORES.get(str(up), ("",))[0], width=60 if len(groups) == 1 else 30,
        )  # fmt: skip
        if hue and not of_groups:
            alone = len(groups) == 1
            own = pd.DataFrame({"segment": rows[hue]})
            keys = common.segment_keys(own, colours, width=44 if alone else 44 // len(groups) + 7)
            common.key_below(ax, keys, columns=3 if alone else 1)
        if len(shown) < len(rows):
            thinned.append(f"{len(shown):,} of {len(rows):,}")
    for ax in axes[1:] if not ups[1:] else []:
        ax.set_ylabel("")
    if of_groups and len(colours) > 1:
        marks = style.segment_markers(colours)
        labels = schema.group_labels(colours)
        fig.legend(
            handles=[common.point_key(labels.get(v, v), c, marks[v]) for v, c in colours.items()],
            loc="outside lower center", ncols=2,
        )  # fmt: skip
    if thinned:
        common.note(fig, f"Points drawn: an evenly spaced sample, {'; '.join(thinned)} customers.")
    of_many = behind.of_groups(table[names]) if of_groups else behind.quantiles(table)
    fig.data = of_many  # type: ignore[attr-defined]
    return fig


def _colours(
    table: pd.DataFrame, hue: str | None, palette: Mapping[str, str] | None
) -> dict[str, str]:
    """Colour of every value that is drawn, in the order of the palette."""
    values = list(dict.fromkeys(table[hue])) if hue else []
    if palette is None and hue == "segment_type":
        palette = {value: common.type_style(value)[0] for value, _ in common.by_type(table)}
    known = style.segment_colours(sorted(values)) if palette is None else palette
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
) -> None:
    """Scale, ticks and words of both axes; of pictures with bins or boxes the words alone."""
    for which, name in zip("xy", names, strict=True):
        if name is None:
            continue
        is_number = pd.api.types.is_numeric_dtype(known[name]) and kind in LOOKS
        label = SCORES.get(name, ("", name.replace("_", " ").capitalize()))[1]
        if name in schema.FEATURES and is_number:
            values = common.numbers(known, name)
            ticks = most_ticks if which == "x" else 6
            common.set_feature_axis(ax, which, values, name, currency, most_ticks=ticks)
        elif name in schema.FEATURES:
            getattr(ax, f"set_{which}label")(common.axis_label(name, currency=currency))
        elif is_number:
            values = common.numbers(known, name)
            scale = common.scale_for(values) if spread and name != "k" else "linear"
            common.set_value_axis(ax, which, values, scale=scale, label=label, air=0.1)
            ax.grid(axis="y")
        else:
            getattr(ax, f"set_{which}label")(label)
