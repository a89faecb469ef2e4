"""Figures on whether segments hold up: structure, stability, sensitivity, prediction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segmentation.book import style
from segmentation.book.plots import common, heat
from segmentation.core.limits import LEAST_AGREEMENT

NOT_TESTED = "One segment, too few customers or own labels: nothing to test."


@style.report_figure
def plot_k_evidence(k_evidence: pd.DataFrame, *, chosen: Mapping[str, int]) -> Figure:
    """Three tests of every number of clusters: gap, separation over one cloud, agreement.

    Parameters
    ----------
    k_evidence : DataFrame
        ``segment_type, k, gap, gap_se, silhouette, silhouette_null, agreement`` and the
        low and high ends of ``silhouette`` and ``agreement``.
    chosen : mapping of segment type to the number in use, drawn as a dashed line
    """
    known = k_evidence.dropna(subset=["gap"]) if len(k_evidence) else k_evidence
    if known.empty or not known["silhouette"].notna().any():
        return style.sentence_figure("Only one number of clusters was possible: no test.")
    groups = common.by_type(known)
    fig, axes = common.panels(3 * len(groups), columns=3, height=2.6)
    for number, (kind, group) in enumerate(groups):
        three = axes[3 * number : 3 * number + 3]
        table, colour = group.sort_values("k"), common.type_style(kind)[0]
        three[0].errorbar(
            table["k"], table["gap"], yerr=3 * table["gap_se"], color=colour, marker="o"
        )
        split = table.dropna(subset=["silhouette"])
        three[1].plot(split["k"], split["silhouette"], color=colour, marker="o")
        three[1].plot(
            split["k"], split["silhouette_null"], color=style.CONTEXT, marker="s",
            linestyle=(0, (4, 2)),
        )  # fmt: skip
        last = split.iloc[-1]
        three[1].annotate(
            "one cloud", (last["k"], last["silhouette_null"]), (0, -13),
            textcoords="offset points", color=style.QUIET, ha="right",
        )  # fmt: skip
        three[1].set_ylim(min(0.0, float(split["silhouette"].min())), 1)
        _draw_range(three[2], split["k"], split, "agreement", colour)
        three[2].axhline(LEAST_AGREEMENT, color=style.ACCENT, linestyle=(0, (4, 2)), linewidth=1)
        three[2].set_ylim(min(0.0, float(split["agreement_low"].min())), 1.03)
        _label_tests(three, table, kind, chosen, alone=len(groups) == 1)
    common.note(
        fig,
        "Bars: 3 simulation errors (gap), 95% of the cuts into halves (agreement). Dashed level "
        "line: agreement that a split must reach. Dashed grey vertical line: number in use.",
    )
    return fig


def _label_tests(
    three: list[Axes], table: pd.DataFrame, kind: str, chosen: Mapping[str, int], *, alone: bool
) -> None:
    titles = ("Gap over evenly spread points", "Silhouette", "Agreement of two halves")
    labels = ("Gap (ln inertia)", "Silhouette (−1 to 1)", "Adjusted Rand index")
    for ax, title, label in zip(three, titles, labels, strict=True):
        ax.set_title(title if alone else f"{title}\n{common.type_label(kind)}")
        ax.set_xlabel("Clusters (k)")
        ax.set_ylabel(label)
        ax.set_xlim(table["k"].min() - 0.5, table["k"].max() + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        ax.grid(axis="y")
        if kind in chosen:
            ax.axvline(chosen[kind], color=style.CONTEXT, linestyle=(0, (4, 2)), linewidth=1)


def _draw_range(ax: Axes, across: pd.Series, table: pd.DataFrame, name: str, colour: str) -> None:
    value = table[name].to_numpy(dtype=float)
    reach = np.array([value - table[f"{name}_low"], table[f"{name}_high"] - value]).clip(0)
    ax.errorbar(across, value, yerr=reach, color=colour, marker="o", linewidth=1.2)


@style.report_figure
def plot_dbscan_evidence(
    dbscan_evidence: pd.DataFrame, *, choice: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Dense groups and stability of the flags for each radius and neighbourhood size.

    Parameters
    ----------
    dbscan_evidence : DataFrame
        ``segment_type, eps, min_samples, dense_groups, stability, customers``.
    choice : mapping of segment type to ``{"eps": …, "min_samples": …}``
    """
    if dbscan_evidence.empty:
        return style.sentence_figure("Too few customers for a grid of densities.")
    groups = common.by_type(dbscan_evidence)
    fig, axes = common.panels(2 * len(groups), columns=2, height=2.5)
    most = max(float(dbscan_evidence["dense_groups"].max()), 2.0)
    for number, (kind, group) in enumerate(groups):
        for ax, name in zip(axes[2 * number :], ("dense_groups", "stability"), strict=False):
            grid = group.pivot_table(index="min_samples", columns="eps", values=name, dropna=False)
            values = grid.to_numpy(dtype=float)
            if name == "stability":
                texts = [
                    [style.score_label(v) if np.isfinite(v) else "–" for v in r] for r in values
                ]
                norm, shown, title = Normalize(0, 1), values, "Flags that stay (Jaccard)"
            else:
                texts = [[f"{v:,.0f}" for v in row] for row in values]
                shown, title = np.log1p(values), "Dense groups"
                norm = Normalize(0, np.log1p(most))
            heat.heat_map(ax, shown, texts, cmap=style.NUMBERED, norm=norm)
            ax.set_xticks(range(len(grid.columns)), labels=[f"{eps:.2g}" for eps in grid.columns])
            ax.set_yticks(range(len(grid.index)), labels=[f"{size:g}" for size in grid.index])
            if kind in choice:
                heat.frame_cell(ax, grid, choice[kind])
            words = [] if len(groups) == 1 else [common.type_label(kind)]
            words.append(common.n_of(int(group["customers"].iloc[0])))
            ax.set_title("\n".join([title, ", ".join(words)]))
            ax.set_xlabel("eps (prepared units)")
            ax.set_ylabel("min_samples\n(customers)")
    common.note(
        fig,
        "Framed: nearest to the choice. Stability: without a random tenth of the customers, 10 times.",
    )
    return fig


@style.report_figure
def plot_sensitivity(sensitivity: pd.DataFrame) -> Figure:
    """Agreement of other settings with the one in use.

    Parameters
    ----------
    sensitivity : DataFrame
        ``segment_type, returns, transform, scaler, anomalies, k, agreement, is_chosen,
        customers``.
    """
    if sensitivity.empty:
        return style.sentence_figure(NOT_TESTED)
    panels = [
        (kind, policy, part)
        for kind, group in common.by_type(sensitivity)
        for policy, part in group.groupby("returns", sort=True)
    ]
    several = len({kind for kind, _, _ in panels}) > 1
    policies = len({policy for _, policy, _ in panels}) > 1
    fig, axes = common.panels(len(panels), columns=2, height=3.7)
    named_before: list[str] = []
    for place, (ax, (kind, policy, part)) in enumerate(zip(axes, panels, strict=True)):
        grid = part.pivot_table(
            index=["transform", "scaler", "anomalies"], columns="k", values="agreement"
        )
        values = grid.to_numpy(dtype=float)
        texts = [[style.score_label(v) if np.isfinite(v) else "–" for v in row] for row in values]
        heat.heat_map(ax, values, texts, cmap=style.NUMBERED, norm=Normalize(0, 1))
        ax.set_xticks(range(len(grid.columns)), labels=[f"{k:.0f}" for k in grid.columns])
        names = [common.wrap(f"{t}, {s}, {a}", 36) for t, s, a in grid.index]
        # beside a panel of the same rows they are not named again: there is no room for them
        is_named = names != named_before or place % 2 == 0 or style.NARROW.get()
        ax.set_yticks(range(len(names)), labels=names if is_named else [""] * len(names))
        named_before = names
        for row in part[part["is_chosen"].astype(bool)].itertuples():
            at = list(grid.index).index((row.transform, row.scaler, row.anomalies))
            heat.frame(ax, list(grid.columns).index(row.k), at)
        words = [common.type_label(kind)] if several else []
        words += [f"returns: {policy}"] if policies else []
        words.append(common.n_of(int(part["customers"].iloc[0])))
        ax.set_title(common.wrap(", ".join(words), 44))
        ax.set_xlabel("Clusters (k)")
    axes[0].set_ylabel("Transform, scaler, anomalies")
    common.note(
        fig,
        "Adjusted Rand index with the segments in use: 1 = the same division. Framed: the setting in use.",
    )
    return fig
