"""Figures about the source: what was set aside, when, what and by whom was bought."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segmentation.book import style
from segmentation.book.plots import common
from segmentation.book.plots.bars import bare_bars
from segmentation.core import columns as schema
from segmentation.core.limits import FAR_OUT, LEAST_PUBLISHED, TOP_SHARES

DIMENSION_LABELS = {
    "category": "Category",
    "payment_method": "Payment method",
    "country": "Country",
}
TOP_VALUES = 10
MOST_COHORTS_LABELLED = 30
MOST_CELLS_ANNOTATED = 22  # columns at which a two-digit number still fits its cell
HISTOGRAM_BINS = 32


@style.report_figure
def plot_ledger(ledger: pd.DataFrame, *, currency: str) -> Figure:
    """How much each cleaning rule set aside, in lines and in money.

    Parameters
    ----------
    ledger : DataFrame with columns ``rule, rows, customers, amount``
        First row ``raw``, last row ``kept``; rules that met no line are left out.
    currency : str
        Code of the account currency.
    """
    if ledger.empty:
        return style.sentence_figure("No ledger: nothing was read.")
    raw, kept = ledger.iloc[0], ledger.iloc[-1]
    rules = ledger.iloc[1:-1].query("rows > 0")
    if rules.empty:
        return style.sentence_figure(
            f"Nothing was set aside: all {int(raw['rows']):,} raw lines were kept."
        )
    rules = rules.sort_values("rows", ascending=False, kind="stable")
    words = [common.wrap(schema.RULE_WORDS.get(rule, rule), 24) for rule in rules["rule"]]
    fig, (lines, money) = common.panels(2, columns=2, height=1.25 + 0.42 * len(rules), sharey=True)
    raw_rows, raw_amount = int(raw["rows"]), float(raw["amount"])
    bare_bars(
        lines,
        words,
        rules["rows"].tolist(),
        [f"{n:,} ({_share_text(n, raw_rows)})" for n in rules["rows"]],
        colours=style.PLAIN,
        label="Lines set aside (lines, share of raw)",
    )
    amounts = [float(amount) for amount in rules["amount"]]
    bare_bars(
        money,
        words,
        amounts,
        [f"{style.money_label(a, currency)} ({_share_text(a, raw_amount)})" for a in amounts],
        colours=style.PLAIN,
        label=f"Money set aside ({currency}, share of raw)",
    )
    lines.set_title(f"Lines · n = {raw_rows:,} raw")
    money.set_title(f"Money · {style.money_label(raw_amount, currency)} raw, n = {raw_rows:,}")
    kept_rows, kept_amount = int(kept["rows"]), float(kept["amount"])
    common.note(
        fig,
        f"Kept: {kept_rows:,} lines ({_share_text(kept_rows, raw_rows)} of raw) with "
        f"{style.money_label(kept_amount, currency)} ({_share_text(kept_amount, raw_amount)}).",
    )
    return fig


def _share_text(part: float, whole: float) -> str:
    return style.share_label(part / whole) if whole else "–"


@style.report_figure
def plot_monthly(monthly: pd.DataFrame, *, currency: str) -> Figure:
    """Revenue, orders and new customers per month, one above the other.

    The last month is drawn hollow: it may be incomplete, and a fall in it may mean nothing.

    Parameters
    ----------
    monthly : DataFrame with columns ``month, orders, customers, new_customers, units, revenue``
        One row per month (first day). Months without a row are left blank.
    currency : str
        Code of the account currency.
    """
    if monthly.empty:
        return style.sentence_figure(
            "This source is a customer table: it has no orders to chart by month."
        )
    months = monthly.sort_values("month")
    dates = pd.DatetimeIndex(months["month"])
    places = dates.year.to_numpy() * 12 + dates.month.to_numpy() - 1
    fig, axes = common.panels(3, columns=1, height=1.75, sharex=True)
    orders = int(months["orders"].sum())
    drawn = (
        ("revenue", f"Revenue ({currency})", f"Revenue · {common.n_of(orders, 'orders')}"),
        ("orders", "Orders (orders)", f"Orders · {common.n_of(orders, 'orders')}"),
        (
            "new_customers",
            "New customers\n(customers)",
            f"New customers · {common.n_of(int(months['new_customers'].sum()))}",
        ),
    )
    for ax, (name, label, title) in zip(axes, drawn, strict=True):
        heights = months[name].astype("float64").fillna(0.0).to_numpy()
        last = places == places.max()
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
    common.note(fig, "Hollow bar: the last month observed, which may be incomplete.")
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
def plot_cohorts(cohorts: pd.DataFrame) -> Figure:
    """Who came back: share of each month's new customers that ordered again n months later.

    Read along a row how one cohort fades, and down a column whether newer cohorts return
    more or less than older ones did at the same age. Month 0, where everybody ordered, is
    left out; a cell after the last month observed is blank, not zero.

    Parameters
    ----------
    cohorts : DataFrame with columns ``cohort, months_since, customers, revenue, cohort_size``
        One row per cohort (month of the first order) and month since with any order.
    """
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
    if columns <= MOST_CELLS_ANNOTATED and rows <= MOST_COHORTS_LABELLED:
        cells = [["" if np.isnan(v) else f"{v:.0f}" for v in row] for row in percent]
    norm = Normalize(0, max(np.nanmax(percent), 1.0))
    image = common.heat_map(ax, percent, cells, cmap=style.SEQUENTIAL, norm=norm)
    every = -(-rows // MOST_COHORTS_LABELLED)
    ax.set_yticks(
        range(0, rows, every),
        labels=[
            f"{month:%b %Y} (n = {size:,})"
            for month, size in zip(shares.index[::every], sizes[::every], strict=True)
        ],
    )
    step = -(-columns // 24)
    ax.set_xticks(range(0, columns, step), labels=[str(m) for m in shares.columns[::step]])
    ax.set_xlabel("Months since first order (months)")
    ax.set_ylabel("Month of\nfirst order")
    common.colour_bar(fig, image, [ax], "Customers who ordered in that month (% of cohort)")
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
def plot_categories(categories: pd.DataFrame, *, currency: str) -> Figure:
    """Where the revenue comes from: the ten largest values of each dimension.

    Parameters
    ----------
    categories : DataFrame with columns ``dimension, value, orders, customers, revenue``
        Dimensions are ``category``, ``payment_method`` and ``country``, where known.
    currency : str
        Code of the account currency.
    """
    if categories.empty:
        return style.sentence_figure(
            "This source names no category, payment method or country to chart."
        )
    groups = [
        (label, categories[categories["dimension"] == name])
        for name, label in DIMENSION_LABELS.items()
        if (categories["dimension"] == name).any()
    ]
    bars = [min(len(group), TOP_VALUES) for _, group in groups]
    heights = [0.75 + 0.25 * n for n in bars]
    fig, axes = common.panels(len(groups), columns=1, height=heights, ratios=bars)
    for ax, colour, (label, group) in zip(axes, style.PALETTE, groups, strict=False):
        top = group.nlargest(TOP_VALUES, "revenue")
        total = float(group["revenue"].sum())
        bare_bars(
            ax,
            [schema.shorten(str(value), 28) for value in top["value"]],
            top["revenue"].tolist(),
            [
                f"{style.money_label(row.revenue, currency)} ({_share_text(row.revenue, total)}), "
                f"{common.n_of(int(row.orders), 'orders')}"
                for row in top.itertuples()
            ],
            colours=colour,
            label=f"Revenue ({currency}; share of all revenue with a known {label.lower()})",
        )
        of = f"largest {len(top)} of {len(group):,}" if len(group) > len(top) else "all values"
        ax.set_title(f"{label} · {of}")
    return fig


@style.report_figure
@style.of_customers
def plot_distributions(features: pd.DataFrame, *, currency: str, names: Sequence[str]) -> Figure:
    """How customers spread over each feature, with the median marked.

    Heavy-tailed money and counts have bins of equal width on a log axis; the axis says so.

    Parameters
    ----------
    features : DataFrame, one row per customer
    currency : str
        Code of the account currency.
    names : sequence of text
        Features to draw, in this order; those without any value are left out.
    """
    present = common.feature_names(features, names)
    if not present:
        return style.sentence_figure("No customer has a value of these features to chart.")
    fig, axes = common.panels(len(present), columns=2, height=2.3)
    for ax, name in zip(axes, present, strict=True):
        values = common.numbers(features, name)
        scale = common.set_feature_axis(ax, "x", values, name, currency)
        ax.hist(values, bins=_bins(ax, values, scale), color=style.PALETTE[0])
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_formatter(style.count_ticks())
        ax.set_ylabel("Customers")
        empty = len(features) - len(values)
        ax.set_title(common.n_of(len(values)) + (f", {empty:,} empty" if empty else ""))
        _mark_median(ax, values, schema.format_value(float(np.median(values)), name, currency))
    return fig


def _bins(ax: Axes, values: np.ndarray, scale: str) -> list[float]:
    """Bin edges of equal width as seen on the axis, at least 1 wide for whole numbers."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = 0.04 * (ax.get_xlim()[1] - ax.get_xlim()[0])
        return [low - half, low + half]
    transform = ax.xaxis.get_transform()
    ends = transform.transform(np.array([low, high]))
    edges = transform.inverted().transform(np.linspace(ends[0], ends[1], HISTOGRAM_BINS + 1))
    edges[0], edges[-1] = low, high
    if (values == np.round(values)).all():
        whole = np.unique(np.floor(edges))
        edges = np.append(whole, high + 1) - 0.5
        ax.set_xlim(min(ax.get_xlim()[0], edges[0]), max(ax.get_xlim()[1], edges[-1]))
    return edges.tolist()


def _mark_median(ax: Axes, values: np.ndarray, text: str) -> None:
    median = float(np.median(values))
    ax.axvline(median, color=style.PALETTE[3], linewidth=1.6, linestyle=(0, (4, 2)))
    ax.set_ylim(0, ax.get_ylim()[1] * 1.22)
    place = ax.transAxes.inverted().transform(ax.transData.transform((median, 0)))[0]
    left = place < 0.5
    ax.annotate(
        f"median {text}", (median, 0.98), (5 if left else -5, 0), textcoords="offset points",
        xycoords=("data", "axes fraction"), ha="left" if left else "right", va="top",
    )  # fmt: skip


@style.report_figure
@style.of_customers
def plot_relationships(features: pd.DataFrame, *, names: Sequence[str]) -> Figure:
    """Which features say the same thing twice: rank correlation of every pair.

    Spearman's coefficient, so heavy tails do not decide: 1 = customers stand in the same
    order by both features, 0 = no such relation, -1 = in opposite order. A dash means that
    a feature is the same for all customers.

    Parameters
    ----------
    features : DataFrame, one row per customer
    names : sequence of text
        Features to compare.
    """
    present = common.feature_names(features, names)
    if len(present) < 2:
        return style.sentence_figure("Fewer than two features have values: nothing to compare.")
    table = features[present].astype("float64")
    varied = [name for name in present if table[name].nunique() > 1]
    if len(varied) < 2:
        return style.sentence_figure(
            "Fewer than two features differ between customers: nothing to compare."
        )
    correlation = (
        table[varied].corr(method="spearman").reindex(index=present, columns=present).to_numpy()
    )
    lower = np.where(np.tri(len(present), k=-1, dtype=bool), correlation, np.nan)[1:, :-1]
    texts = [
        [
            ("–" if np.isnan(v) else style.score_label(v)) if column <= row else ""
            for column, v in enumerate(r)
        ]
        for row, r in enumerate(lower)
    ]
    fig, (ax,) = common.panels(1, columns=1, height=2.2 + 0.42 * len(lower))
    image = common.heat_map(ax, lower, texts, cmap=style.DIVERGING, norm=Normalize(-1, 1))
    labels = [schema.column_of(name).label for name in present]
    ax.set_yticks(range(len(lower)), labels=labels[1:])
    ax.set_xticks(range(len(lower)), labels=[common.wrap(label, 12) for label in labels[:-1]])
    n = table.notna().sum()
    smallest = f"{n.min():,} to " if n.min() != n.max() else ""
    ax.set_title(f"n = {smallest}{n.max():,} customers")
    ax.set_xlabel("Feature")
    ax.set_ylabel("Feature")
    common.colour_bar(fig, image, [ax], "Spearman rank correlation (−1 to 1)")
    return fig


@style.report_figure
@style.of_customers
def plot_outliers(features: pd.DataFrame, *, currency: str, names: Sequence[str]) -> Figure:
    """How far the largest customers stand from the rest, feature by feature.

    The box holds the middle half of customers, the line in it is the median, the whiskers
    reach from the 5th to the 95th percentile. Points lie beyond Tukey's outer fence, three
    interquartile ranges above the third quartile.

    Parameters
    ----------
    features : DataFrame, one row per customer
    currency : str
        Code of the account currency.
    names : sequence of text
        Features to draw; those without any value are left out.
    """
    present = common.feature_names(features, names)
    if not present:
        return style.sentence_figure("No customer has a value of these features to chart.")
    fig, axes = common.panels(len(present), columns=1, height=1.3)
    drawn_all = True
    for ax, name in zip(axes, present, strict=True):
        values = common.numbers(features, name)
        common.set_feature_axis(ax, "x", values, name, currency, most_ticks=8)
        quartile_1, quartile_3 = np.quantile(values, [0.25, 0.75])
        fence = float(quartile_3 + FAR_OUT * (quartile_3 - quartile_1))
        has_fence = quartile_1 < quartile_3  # one of no width would call the rest far out
        beyond = np.sort(values[values > fence]) if has_fence else values[:0]
        drawn_all &= _draw_box(ax, values, beyond)
        ax.set_title(common.n_of(len(values)))
        share = schema.format_percent(len(beyond) / len(values))
        limit = schema.format_value(fence, name, currency)
        ax.set_title(
            f"{len(beyond):,} ({share}) beyond {limit}"
            if has_fence
            else f"no fence: half or more at {limit}",
            loc="right",
            color=style.ACCENT,
        )
    remark = "Box: middle half and median; whiskers: 5th to 95th percentile; points: customers "
    remark += "beyond third quartile + 3 interquartile ranges."
    common.note(fig, remark if drawn_all else f"{remark} Points drawn: an evenly spaced sample.")
    return fig


def _draw_box(ax: Axes, values: np.ndarray, beyond: np.ndarray) -> bool:
    """One horizontal box with the points beyond the fence; False if points were thinned."""
    p05, p25, p50, p75, p95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    line = {"color": style.PALETTE[0], "linewidth": 1.2}
    ax.bxp(
        [{"whislo": p05, "q1": p25, "med": p50, "q3": p75, "whishi": p95}],
        orientation="horizontal",
        positions=[0],
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "#C5D4E3", "edgecolor": style.PALETTE[0], "linewidth": 1.0},
        medianprops={"color": style.PALETTE[0], "linewidth": 2.2},
        whiskerprops=line,
        capprops=line,
    )
    most = common.MAX_POINTS // 4
    kept = common.thin(pd.DataFrame({"value": beyond}), ["value"], most)["value"].to_numpy()
    # The golden ratio spreads neighbours without chance, so the picture never changes.
    jitter = (np.arange(len(kept)) * 0.618034) % 1 - 0.5
    ax.scatter(
        kept, 0.55 * jitter, s=9, color=style.ACCENT, alpha=0.75, linewidths=0, rasterized=True
    )
    ax.set_ylim(-0.5, 0.5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    return len(kept) == len(beyond)


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
    ax.plot(customers[shown], revenue[shown], color=style.PALETTE[0], linewidth=2.2)
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
