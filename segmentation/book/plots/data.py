"""Figures about the source: what was set aside, when, what and by whom was bought."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segmentation.book import style
from segmentation.book.figure_room import narrowed
from segmentation.book.plots import common, heat
from segmentation.core import columns as schema
from segmentation.core.limits import LEAST_PUBLISHED, TOP_SHARES

MOST_COHORTS_LABELLED = 30
MOST_CELLS_ANNOTATED = 22  # columns at which a two-digit number still fits its cell


@style.report_figure
def plot_monthly(
    monthly: pd.DataFrame, *, currency: str, true_months: tuple[str, str] | None = None
) -> Figure:
    """Revenue, orders and new customers per month, one above the other.

    A last month that orders do not reach the end of is drawn hollow: a fall in it may mean
    nothing.

    Parameters
    ----------
    monthly : DataFrame: ``month, last_day, orders, customers, new_customers, units, revenue``
        One row per month (first day, and the last with an order). Months without a row are left blank.
    currency : str
        Code of the account currency.
    true_months : tuple, optional
        As ``words.true_months`` gives it: exchanged dates leave no month whole, all are hollow.
    """
    if monthly.empty:
        return style.sentence_figure(
            "This source is a customer table: it has no orders to chart by month."
        )
    months = monthly.sort_values("month")
    dates = pd.DatetimeIndex(months["month"])
    places = dates.year.to_numpy() * 12 + dates.month.to_numpy() - 1
    is_cut = pd.Timestamp(months["last_day"].iloc[-1]) < dates[-1] + pd.offsets.MonthEnd(0)
    fig, axes = common.panels(3, columns=1, height=1.75, sharex=True)
    orders = int(months["orders"].sum())
    drawn = (
        ("revenue", f"Revenue ({currency})", f"Revenue · {common.n_of(orders, 'orders')}"),
        ("orders", "Orders (orders)", f"Orders · {common.n_of(orders, 'orders')}"),
        (
            "new_customers",
            "New customers\n(customers)",
            f"New customers · n = {int(months['new_customers'].sum()):,}",
        ),
    )
    for ax, (name, label, title) in zip(axes, drawn, strict=True):
        heights = months[name].astype("float64").fillna(0.0).to_numpy()
        last = (places == places.max()) & is_cut | (true_months is not None)
        ax.bar(places[~last], heights[~last], width=0.8, color=style.PLAIN)
        ax.bar(
            places[last], heights[last], 0.74, color=style.PAPER, edgecolor=style.PLAIN,
            linewidth=1.4,
        )  # fmt: skip
        if not heights.any():
            ax.set_ylim(0, 1)
        if heights.min() < 0:
            ax.axhline(0, color=style.CONTEXT, linewidth=0.7)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=name != "revenue"))
        ax.yaxis.set_major_formatter(
            style.money_ticks(currency) if name == "revenue" else style.count_ticks()
        )
        ax.grid(axis="y")
        ax.set_ylabel(label)
        ax.set_title(title)
    fig.align_ylabels(axes)
    _month_axis(axes[-1], int(places.min()), int(places.max()))
    if true_months is not None:
        common.note(fig, "Hollow bars: no month is whole while day and month look exchanged.")
    elif is_cut:
        common.note(fig, "Hollow bar: the last month, which is not complete.")
    return fig


def _month_axis(ax: Axes, first: int, last: int) -> None:
    """Ticks at months counted since year 0, with the year where it changes."""
    steps = (1, 2, 3, 6, 12, 24, 60, 120, 600)
    step = next(s for s in steps if (last - first) / s <= 12)
    ticks = [m for m in range(first, last + 1) if m % step == 0] or [first]
    labels, year_before = [], None
    for month in ticks:
        year, number = divmod(month, 12)
        name = pd.Timestamp(year, number + 1, 1).strftime("%b")
        labels.append(f"{name}\n{year}" if year != year_before else name)
        year_before = year
    ax.set_xticks(ticks, labels=labels)
    ax.set_xlim(first - 0.8, last + 0.8)
    ax.set_xlabel("Month")


@style.report_figure
def plot_cohorts(cohorts: pd.DataFrame, *, days_unsure: str = "") -> Figure:
    """Who came back: share of each month's new customers that ordered again n months later.

    Read along a row how one cohort fades, and down a column whether newer cohorts return
    more or less than older ones did at the same age. Month 0, where everybody ordered, is
    left out; a cell after the last month observed is blank, not zero.

    Parameters
    ----------
    cohorts : DataFrame with columns ``cohort, months_since, customers, revenue, cohort_size``
        One row per cohort (month of the first order) and month since with any order.
    days_unsure : str
        Why no month of an order is known, or nothing.
    """
    if days_unsure:
        return style.sentence_figure("No month is whole, so no cohort is drawn.")
    if cohorts.empty:
        return style.sentence_figure(
            "This source is a customer table: it has no orders to follow by cohort."
        )
    shares, sizes = _cohort_shares(cohorts)
    if shares.shape[1] == 0:
        return style.sentence_figure(
            "All orders fall in the month of the customers' first order: no later month to chart."
        )
    followed = shares.notna().any(axis="columns")
    shares, sizes = shares[followed], sizes[followed]
    percent = 100 * shares.to_numpy()
    rows, columns = percent.shape
    fig, (ax,) = common.panels(1, columns=1, height=min(1.8 + 0.27 * max(rows, 3), 9.0))
    cells = None
    if columns <= narrowed(MOST_CELLS_ANNOTATED, 6) and rows <= MOST_COHORTS_LABELLED:
        cells = [["" if np.isnan(v) else f"{v:.0f}" for v in row] for row in percent]
    norm = Normalize(0, max(np.nanmax(percent), 1.0))
    colours = style.NUMBERED if cells else style.SEQUENTIAL
    image = heat.heat_map(ax, percent, cells, cmap=colours, norm=norm)
    every = -(-rows // MOST_COHORTS_LABELLED)
    ax.set_yticks(
        range(0, rows, every),
        labels=[
            f"{month:%b %Y} (n = {size:,})"
            for month, size in zip(shares.index[::every], sizes[::every], strict=True)
        ],
    )
    step = -(-columns // narrowed(18, 6))
    ax.set_xticks(range(0, columns, step), labels=[str(m) for m in shares.columns[::step]])
    ax.set_xlabel("Months since first order")
    ax.set_ylabel("Month of\nfirst order")
    heat.colour_bar(fig, image, [ax], "Customers who ordered in that month (% of cohort)")
    common.note(fig, "Blank: after the last month observed.")
    return fig


def _cohort_shares(cohorts: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Share of each cohort by month since (0 where observed without orders), and sizes."""
    months = cohorts.assign(
        share=cohorts["customers"] / cohorts["cohort_size"].where(cohorts["cohort_size"] > 0)
    )
    shares = months.pivot(index="cohort", columns="months_since", values="share").sort_index()
    first_months = pd.DatetimeIndex(shares.index)
    counted = first_months.year.to_numpy() * 12 + first_months.month.to_numpy()
    cohort_month = dict(zip(shares.index, counted, strict=True))
    last_month = (months["cohort"].map(cohort_month) + months["months_since"]).max()
    shares = shares.reindex(columns=range(1, int(months["months_since"].max()) + 1))
    observed = counted[:, None] + shares.columns.to_numpy(dtype=int)[None, :] <= last_month
    sizes = months.groupby("cohort")["cohort_size"].first().astype(int)
    return shares.where(shares.notna() | ~observed, 0.0), sizes


@style.report_figure
def plot_correlation(correlation: pd.DataFrame, *, note: str) -> Figure:
    """Which features say the same thing twice: rank correlation of every pair.

    Parameters
    ----------
    correlation : DataFrame, a row and a column per feature
        Spearman's coefficient, so heavy tails do not decide: 1 = customers stand in the same
        order by both features, 0 = no such relation, -1 = in opposite order. Drawn as a dash
        where it is missing, because a feature is the same for all customers.
    note : str
        How many customers there are.
    """
    count = len(correlation)
    if count < 2:
        return style.sentence_figure("Fewer than two features: nothing to compare.")
    lower = np.where(np.tri(count, k=-1, dtype=bool), correlation, np.nan)[1:, :-1]
    if not np.isfinite(lower).any():
        return style.sentence_figure(
            "Fewer than two features differ between customers: nothing to compare."
        )
    texts = [
        [
            ("–" if np.isnan(v) else style.score_label(v)) if column <= row else ""
            for column, v in enumerate(r)
        ]
        for row, r in enumerate(lower)
    ]
    fig, (ax,) = common.panels(1, columns=1, height=2.2 + 0.42 * len(lower))
    image = heat.heat_map(ax, lower, texts, cmap=style.DIVERGING, norm=Normalize(-1, 1))
    labels = [schema.column_of(name).label for name in correlation.columns]
    ax.set_yticks(range(len(lower)), labels=labels[1:])
    heat.name_columns(ax, labels[:-1], 12)
    ax.set_title(note)
    ax.set_xlabel("Feature")
    ax.set_ylabel("Feature")
    heat.colour_bar(fig, image, [ax], "Spearman rank correlation (−1 to 1)")
    return fig


@style.report_figure
def plot_concentration(features: pd.DataFrame) -> Figure:
    """How much of the revenue hangs on how few customers.

    Customers stand from the highest spender to the lowest; the curve adds up their revenue.
    On the grey line every customer would spend the same.

    Parameters
    ----------
    features : DataFrame, one row per customer, with ``total_spent``
    """
    has_spend = "total_spent" in features.columns
    spent = common.numbers(features, "total_spent") if has_spend else np.array([])
    if spent.sum() <= 0:
        return style.sentence_figure("No revenue to rank customers by.")
    ranked = np.sort(spent)[::-1]
    customers = np.linspace(0, 1, len(ranked) + 1)
    revenue = np.concatenate([[0.0], np.cumsum(ranked) / ranked.sum()])
    shown = np.unique(np.linspace(0, len(ranked), min(len(ranked), 2000) + 1).astype(int))
    fig, (ax,) = common.panels(1, columns=1, height=4.2)
    steps = np.linspace(0, len(ranked), min(100, len(ranked) // LEAST_PUBLISHED) + 1).astype(int)
    fig.data = pd.DataFrame({"customers_share": customers[steps], "revenue_share": revenue[steps]})  # type: ignore[attr-defined]
    ax.plot([0, 1], [0, 1], color=style.CONTEXT, linewidth=1)
    ax.text(0.99, 0.01, "grey: all spend the same", ha="right", va="bottom", color=style.QUIET)
    ax.plot(customers[shown], revenue[shown], color=style.PLAIN, linewidth=2.2)
    marks = [share for share in TOP_SHARES if share * len(ranked) >= 1]
    reached = np.interp(marks, customers, revenue)
    places = common.spread(reached - 0.03, 0.06, 0.03, 1.1)
    ax.scatter(marks, reached, s=34, color=style.ACCENT, zorder=3)
    for share, value, place in zip(marks, reached, places, strict=True):
        ax.text(
            share + 0.015, place, f"top {share:.0%}: {style.share_label(value)} of revenue",
            va="center", bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    ax.set_xlim(0, 1.005)
    ax.set_ylim(min(0.0, revenue.min()), max(1.02, revenue.max() * 1.02))
    ax.xaxis.set_major_formatter(style.percent_ticks())
    ax.yaxis.set_major_formatter(style.percent_ticks())
    ax.set_xlabel("Customers, from the highest spender down (% of customers)")
    ax.set_ylabel("Their revenue together (% of revenue)")
    ax.set_title(common.n_of(len(ranked)))
    return fig
