"""One bar or dot for each named row of a table, from the top down."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from segmentation.book import behind, style
from segmentation.book.figure_room import LINE, NARROW
from segmentation.book.plots import common
from segmentation.book.plots.bars import LINE_HEIGHT, bar_height, label_bars, row_height
from segmentation.core.limits import LEAST_PUBLISHED
from segmentation.core.phrases import shorten

WIDEST_NAME, LONGEST_NAME = 44, 64


def draw_rows(
    kind: Callable[..., Axes],
    table: pd.DataFrame,
    values: Sequence[str],
    names: str,
    *,
    hue: str | None,
    col: str | None,
    colours: Mapping[str, str],
    text: str | None,
    interval: bool,
    mark: Mapping[str, float],
    labels: Mapping[str, str],
    note: str,
    currency: str,
    look: Mapping[str, Any],
) -> Figure:
    """A panel for each of `values`, a row of the table a bar or a dot in it; see `drawn.draw`."""
    is_bar = kind.__name__ == "barplot"
    known = table.dropna(subset=values, how="all")
    if is_bar and "customers" in known.columns:  # as tables and files beside the picture have it
        rows = behind.rows_withheld(table)[0][known.index]
        hidden = [v for v in values if v not in behind.OF_DATA]
        known = known.assign(**{v: known[v].astype(float).mask(rows, 0.0) for v in hidden})
        known = known.assign(_withheld=rows)
    known = known.assign(_name=_names(known, names, with_n=not is_bar))
    groups = [(str(name), own) for name, own in known.groupby(col, sort=False)] if col else []
    panels = [(name, own, v) for name, own in groups or [("", known)] for v in values]
    texts = [
        [_value(r, v, text, currency, labels, with_n=len(values) == 1) for _, r in own.iterrows()]
        for _, own, v in panels
    ]
    lines = [
        1 + max(w.count("\n") for w in [*own["_name"], *said])
        for (_, own, _), said in zip(panels, texts, strict=True)
    ]
    per_row = max(0.14 + 0.17 * max(lines), 0.0 if is_bar else 0.45)
    if NARROW.get() and not is_bar:
        known["_name"] = [textwrap.fill(" ".join(w.split("\n")), LINE) for w in known["_name"]]
        panels = [(name, own.assign(_name=known["_name"]), v) for name, own, v in panels]
        per_row = 0.3 + LINE_HEIGHT * max(1 + w.count("\n") for w in known["_name"])
    elif is_bar and NARROW.get():
        per_row = max(
            row_height(own["_name"], said) for (_, own, _), said in zip(panels, texts, strict=True)
        )
    heights = [(1.0 if col else 1.3) + len(own) * per_row for _, own, _ in panels[:: len(values)]]
    fig, axes = common.panels(
        len(panels), columns=1 if col else 2, height=heights if col else heights[0],
        ratios=[len(own) for _, own in groups] if col else None,
    )  # fmt: skip
    by_hue: dict[str, Any] = (
        {"hue": "_hue", "palette": dict(colours)} if hue else {"color": style.PLAIN}
    )
    by_hue |= {"width": bar_height()} if is_bar else {"s": 46, "zorder": 3, "clip_on": False}
    for place, (ax, (name, own, value), said) in enumerate(zip(axes, panels, texts, strict=True)):
        label = labels.get(value, value.replace("_", " ").capitalize())
        shown = own.assign(_row=[str(n) for n in range(len(own))])  # two rows may share a name
        if hue:
            shown["_hue"] = own[hue].astype(str)
        kind(shown, x=value, y="_row", ax=ax, legend=False, **(by_hue | dict(look)))
        if hue == "segment" and "segment_type" in own.columns:
            _tell_groups_apart(ax, list(own["segment_type"]))
        ax.set_ylabel("")
        is_named = place % len(values) == 0 or NARROW.get()
        words = list(own["_name"]) if is_named else [""] * len(own)
        if is_bar:
            label_bars(ax, words, shown[value].to_numpy(dtype=float), said, label=label)
        else:
            ax.set_yticks(range(len(own)), labels=words)
            _fit(ax, shown, value, interval, mark, label)
            if NARROW.get():
                _name_above(ax, words)
            if interval:
                fills = shown["_hue"].map(dict(colours)) if hue else style.PLAIN
                ends = shown[f"{value}_low"], shown[f"{value}_high"]
                ax.hlines(range(len(shown)), *ends, color=fills, linewidth=2)
        if col:
            ax.set_title(name)
    if is_bar and "customers" in known.columns and len(panels) == 1 and not col:
        axes[0].set_title(common.n_of(int(known["customers"].sum())))
    if note:
        common.note(fig, note)
    fig.data = behind.of_groups(table)  # type: ignore[attr-defined]
    return fig


def _name_above(ax: Axes, names: Sequence[str]) -> None:
    """On a phone the name of a dot stands above it: beside it there would be no room for dots."""
    ax.set_yticks([])
    ax.set_ylim(len(names) - 0.6, -0.9)
    for place, name in enumerate(names):
        ax.annotate(
            name, (0, place), (2, 6), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="bottom", linespacing=1.05,
            bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _tell_groups_apart(ax: Axes, kinds: Sequence[str]) -> None:
    """Bars of a later group have a pattern, its dots are hollow: names and colours may repeat."""
    for bar in ax.patches:
        kind = kinds[round(bar.get_y() + bar.get_height() / 2)]  # type: ignore[attr-defined]
        bar.set(**common.hatched(kind))
    for dots in ax.collections:
        fills = dots.get_facecolors()  # type: ignore[attr-defined]
        if len(fills) == len(kinds):
            dots.set(edgecolor=fills, linewidth=1.6)
            later = np.array([bool(common.group_hatch(kind)) for kind in kinds])
            dots.set(facecolor=np.where(later[:, None], to_rgba(style.PAPER), fills))


def _names(table: pd.DataFrame, names: str, *, with_n: bool) -> list[str]:
    """Names of rows; with their group where there are several, for two may share a name."""
    kinds = set(table["segment_type"]) if "segment_type" in table.columns else set()
    words = [shorten(str(name), LONGEST_NAME) for name in table[names]]
    words = [common.wrap(w, 26) if not with_n else w for w in words]
    if with_n and "customers" in table.columns:
        words = [f"{w} (n = {n:,})" for w, n in zip(words, table["customers"], strict=True)]
    if len(kinds) > 1:
        groups = [common.type_label(kind, kinds) for kind in table["segment_type"]]
        apart = ", " if with_n else "\n"
        words = [f"{w}{apart}{g}" for w, g in zip(words, groups, strict=True)]
    return [common.wrap(w, WIDEST_NAME) for w in words] if with_n else words


def _value(
    row: pd.Series,
    name: str,
    text: str | None,
    currency: str,
    labels: Mapping[str, str],
    *,
    with_n: bool,
) -> str:
    """What stands at the end of a bar: the value, its share and n where the row has them."""
    few = f"n < {LEAST_PUBLISHED}"
    if row.get("_withheld", False) and name not in behind.OF_DATA:
        few = few if row["customers"] < LEAST_PUBLISHED else "not shown"
        return f"{few}\n{common.wrap(row[text], WIDEST_NAME)}" if text else few
    number = float(row[name])
    is_money = currency and f"({currency}" in labels.get(name, "")
    said = style.money_label(number, currency) if is_money else style.count_text(number)
    share = float(row.get(f"{name}_share", np.nan))
    said += f" ({style.share_label(share)})" if np.isfinite(share) else ""
    if with_n and "customers" in row.index:
        count = int(row["customers"])
        said += f", n = {count:,}" if count == 0 or count >= LEAST_PUBLISHED else f", {few}"
    width = 49 if NARROW.get() else WIDEST_NAME
    return f"{said}\n{common.wrap(row[text], width)}" if text else said


def _fit(
    ax: Axes,
    rows: pd.DataFrame,
    value: str,
    interval: bool,
    mark: Mapping[str, float],
    label: str,
) -> None:
    """Axis of dots from zero on, with dashed lines at what is marked."""
    columns = [value, f"{value}_low", f"{value}_high"] if interval else [value]
    reach = np.concatenate([common.numbers(rows, name) for name in columns])
    words = {word: at for word, at in mark.items() if word not in rows.columns}
    marked = [0.0, mark.get(value, 0.0), *words.values()]
    common.set_value_axis(ax, "x", np.append(reach, marked), scale="linear", label=label)
    ax.set_xlim(left=min(0.0, float(reach.min())))
    if label.endswith("(%)"):
        ax.xaxis.set_major_formatter(style.percent_ticks())
    if value in mark:
        ax.axvline(mark[value], color=style.CONTEXT, linestyle=(0, (4, 2)), linewidth=1)
    for number, (word, at) in enumerate(words.items()):
        ax.axvline(at, color=style.ACCENT, linestyle=(0, (4, 2)), linewidth=1)
        side = "right" if number == 0 and len(words) > 1 else "left"
        ax.annotate(
            word, (at, 1), (-3 if side == "right" else 3, 2), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=style.ACCENT, ha=side,
        )  # fmt: skip
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
