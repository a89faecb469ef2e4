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
from segmentation.book.plots import common
from segmentation.core.limits import LEAST_AGREEMENT, STABLE_JACCARD, UNSTABLE_JACCARD

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
            common.heat_map(ax, shown, texts, cmap=style.SEQUENTIAL, norm=norm)
            ax.set_xticks(range(len(grid.columns)), labels=[f"{eps:.2g}" for eps in grid.columns])
            ax.set_yticks(range(len(grid.index)), labels=[f"{size:g}" for size in grid.index])
            if kind in choice:
                common.frame_cell(ax, grid, choice[kind])
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


def _from_the_top(segments: pd.DataFrame) -> pd.DataFrame:
    ordered = segments.sort_values("cluster", ascending=False, kind="stable")
    return pd.concat([group for _, group in common.by_type(ordered)])


@style.report_figure
def plot_stability(stability: pd.DataFrame, *, colours: Mapping[str, str]) -> Figure:
    """How whole each segment comes back when customers are drawn again.

    Parameters
    ----------
    stability : DataFrame
        ``segment_type, segment, customers, jaccard, jaccard_low, jaccard_high``.
    """
    if stability.empty:
        return style.sentence_figure(NOT_TESTED)
    rows = _from_the_top(stability)
    kinds = set(rows["segment_type"])
    names = [
        common.wrap(
            f"{row.segment} (n = {row.customers:,})"
            + (f", {common.type_label(row.segment_type, kinds)}" if len(kinds) > 1 else ""),
            46,
        )
        for row in rows.itertuples()
    ]
    fig, (ax,) = common.panels(1, columns=1, height=1.3 + 0.45 * len(rows))
    _dots(ax, rows, "jaccard", names, [colours.get(s, style.CONTEXT) for s in rows["segment"]])
    for limit, word in ((UNSTABLE_JACCARD, "unstable below"), (STABLE_JACCARD, "stable from here")):
        ax.axvline(limit, color=style.ACCENT, linestyle=(0, (4, 2)), linewidth=1)
        ax.annotate(
            word, (limit, 1), (-3 if limit == UNSTABLE_JACCARD else 3, 2),
            xycoords=("data", "axes fraction"), textcoords="offset points", color=style.ACCENT,
            ha="right" if limit == UNSTABLE_JACCARD else "left",
        )  # fmt: skip
    ax.set_xlim(min(0.4, float(rows["jaccard_low"].min()) - 0.02), 1.02)
    ax.set_xlabel("Mean Jaccard over resamples (0 to 1), line: 95% of them")
    return fig


def _dots(ax: Axes, rows: pd.DataFrame, name: str, labels: list[str], colours: list[str]) -> None:
    """One dot with its range per row, from the top down."""
    places = np.arange(len(rows))
    value = rows[name].to_numpy(dtype=float)
    ax.hlines(places, rows[f"{name}_low"], rows[f"{name}_high"], color=colours, linewidth=2)
    ax.scatter(value, places, color=colours, s=46, zorder=3)
    ax.set_yticks(places, labels=labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@style.report_figure
def plot_margin_flips(margin_flips: pd.DataFrame) -> Figure:
    """How often customers change segment on resamples, by margin.

    Parameters
    ----------
    margin_flips : DataFrame
        ``segment_type, margin_from, margin_to, customers, flips, flips_low, flips_high``.
    """
    if margin_flips.empty:
        return style.sentence_figure(NOT_TESTED)
    groups = common.by_type(margin_flips)
    fig, axes = common.panels(len(groups), columns=3, height=2.9, sharey=True)
    for ax, (kind, group) in zip(axes, groups, strict=True):
        middle = (group["margin_from"] + group["margin_to"]) / 2
        value = group["flips"].to_numpy(dtype=float)
        reach = np.array([value - group["flips_low"], group["flips_high"] - value]).clip(0)
        ax.bar(middle, value, width=0.085, color=common.type_style(kind)[0])
        ax.errorbar(middle, value, yerr=reach, fmt="none", ecolor=style.INK, linewidth=1)
        ax.set_xlim(0, 1)
        ax.yaxis.set_major_formatter(style.percent_ticks())
        ax.set_xlabel("Margin (0 = between two segments)")
        common.panel_title(ax, kind, int(group["customers"].sum()), alone=len(groups) == 1)
    axes[0].set_ylabel("Resamples in which\na customer moves (%)")
    return fig


@style.report_figure
def plot_starts(starts: pd.DataFrame) -> Figure:
    """What each single random start would have published.

    Parameters
    ----------
    starts : DataFrame with columns ``segment_type, excess, moved, reached_best``
    """
    if starts.empty:
        return style.sentence_figure(NOT_TESTED)
    groups = common.by_type(starts)
    fig, axes = common.panels(len(groups), columns=3, height=2.7, sharey=True)
    for ax, (kind, group) in zip(axes, groups, strict=True):
        order = group.sort_values(["moved", "start"])
        reached = order["reached_best"].astype(bool).to_numpy()
        places = np.arange(1, len(order) + 1)
        moved = order["moved"].to_numpy(dtype=float)
        colour = common.type_style(kind)[0]
        ax.scatter(places[reached], moved[reached], color=colour, marker="o", s=18)
        ax.scatter(places[~reached], moved[~reached], color=style.ACCENT, marker="x", s=22)
        ax.set_ylim(-0.02, max(0.1, 1.1 * float(starts["moved"].max())))
        ax.yaxis.set_major_formatter(style.percent_ticks())
        ax.set_xlabel("Random starts, sorted")
        common.panel_title(
            ax, kind, len(group), alone=len(groups) == 1, unit="starts",
            extra=f"{int(reached.sum())} reach the best",
        )  # fmt: skip
    axes[0].set_ylabel("Customers placed\nelsewhere (%)")
    common.note(fig, "Dots reach the best inertia (to 0.01%), crosses do not.")
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
        common.heat_map(ax, values, texts, cmap=style.SEQUENTIAL, norm=Normalize(0, 1))
        ax.set_xticks(range(len(grid.columns)), labels=[f"{k:.0f}" for k in grid.columns])
        names = [f"{t}, {s}, {a}" for t, s, a in grid.index]
        # beside a panel of the same rows they are not named again: there is no room for them
        is_named = names != named_before or place % 2 == 0 or style.NARROW.get()
        ax.set_yticks(range(len(names)), labels=names if is_named else [""] * len(names))
        named_before = names
        for row in part[part["is_chosen"].astype(bool)].itertuples():
            at = list(grid.index).index((row.transform, row.scaler, row.anomalies))
            common.frame(ax, list(grid.columns).index(row.k), at)
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


@style.report_figure
def plot_holdout(segments: pd.DataFrame, *, colours: Mapping[str, str]) -> Figure:
    """What each segment did after the cut, with 95% intervals.

    Parameters
    ----------
    segments : DataFrame
        ``segment_type, segment, customers, share_again`` and ``lift`` with their ends.
    """
    if segments.empty:
        return style.sentence_figure("No period after a cut: nothing to follow.")
    segments = _from_the_top(segments)
    kinds = set(segments["segment_type"])
    names = [
        common.wrap(
            f"{row.segment} (n = {row.customers:,})"
            + (f", {common.type_label(row.segment_type, kinds)}" if len(kinds) > 1 else ""),
            34,
        )
        for row in segments.itertuples()
    ]
    fig, axes = common.panels(2, columns=2, height=1.4 + 0.5 * len(segments))
    hues = [colours.get(name, style.PALETTE[0]) for name in segments["segment"]]
    _dots(axes[0], segments, "share_again", names, hues)
    axes[0].xaxis.set_major_formatter(style.percent_ticks())
    axes[0].set_xlim(0, None)
    axes[0].set_xlabel("Bought again after the cut (%)")
    _dots(axes[1], segments, "lift", ["" for _ in names], hues)
    axes[1].axvline(1, color=style.CONTEXT, linestyle=(0, (4, 2)), linewidth=1)
    axes[1].set_xlim(0, None)
    axes[1].set_xlabel("Lift: share of later revenue over\nshare of customers (1 = average)")
    return fig


@style.report_figure
def plot_holdout_curve(curve: pd.DataFrame) -> Figure:
    """Later revenue caught by choosing customers in different ways at the cut.

    Parameters
    ----------
    curve : DataFrame with columns ``ranking, customers_share, revenue_share, customers``
    """
    if curve.empty:
        return style.sentence_figure("No period after a cut: nothing to follow.")
    drawn = [name for name in curve["ranking"].unique() if name != "recency"]
    fig, (ax,) = common.panels(1, columns=1, height=3.6)
    ax.plot([0, 1], [0, 1], color=style.CONTEXT, linestyle=(0, (4, 2)), linewidth=1)
    for number, name in enumerate(drawn):
        own = curve[curve["ranking"] == name]
        ax.plot(
            own["customers_share"], own["revenue_share"], color=style.PALETTE[number],
            marker=style.MARKERS[number], markevery=10, label=name,
            linewidth=2.2 if number == 0 else 1.3,
        )  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(style.percent_ticks())
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.set_xlabel("Customers chosen at the cut (%)")
    ax.set_ylabel("Share of later revenue (%)")
    ax.legend(loc="lower right", title="Chosen by")
    n = common.n_of(int(curve["customers"].iloc[0]))
    common.note(fig, f"{n}. Dashed: customers chosen by lot.")
    return fig


@style.report_figure
def plot_calibration(calibration: pd.DataFrame) -> Figure:
    """What came beside what was forecast, by tenths of the customers.

    Parameters
    ----------
    calibration : DataFrame with columns ``decile, customers, predicted, observed, low, high``
    """
    if calibration.empty:
        return style.sentence_figure("No earlier quarter to hold a forecast against.")
    fig, axes = common.panels(1, columns=1, height=3.2)
    ax, value = axes[0], calibration["observed"].to_numpy(dtype=float)
    top = 1.05 * float(calibration[["predicted", "high"]].max().max())
    reach = np.array([value - calibration["low"], calibration["high"] - value]).clip(0)
    ax.plot([0, top], [0, top], color=style.CONTEXT, linestyle=(0, (4, 2)))
    ax.errorbar(calibration["predicted"], value, yerr=reach, fmt="o", color=style.ACCENT)
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    ax.xaxis.set_major_formatter(style.percent_ticks())
    ax.yaxis.set_major_formatter(style.percent_ticks())
    ax.set_xlabel("Forecast: customers who order (%)")
    ax.set_ylabel("Observed (%)")
    common.note(fig, common.n_of(int(calibration["customers"].sum())) + ", in ten equal parts")
    return fig
