"""segmentation.book.plots: every figure is legible, honest about n, and leaves its table alone."""

import decimal
import functools
import re
import warnings
from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from conftest import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from segmentation.book import plots, style
from segmentation.book.figure_room import on_phone
from segmentation.core import columns as schema
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.palette import in_the_dark
from segmentation.evidence.forecast import calibration
from segmentation.orders.date_swap import swap_evidence, swapped

MONTHS = pd.date_range("2023-01-01", periods=14, freq="MS")
FEATURES = list(schema.FEATURES)
SEGMENTS = ["One-time low spenders", "Returning", "Steady regular customers", "High value"]
COLOURS = style.segment_colours(SEGMENTS)


def customers_of(n=240, types=SEGMENT_TYPES, segments=SEGMENTS, constant=False):
    """Customers with heavy-tailed money, a zero, an empty value and recognisable ids."""
    rng = np.random.default_rng(7)
    frequency = 1 + rng.geometric(0.4, n)
    spent = np.exp(rng.normal(3.8, 1.3, n)).round(2)
    order = np.argsort(np.argsort(spent))
    table = pd.DataFrame(
        {
            "customer_id": [f"ID{i:07d}" for i in range(n)],
            "register_to_order": rng.normal(20, 30, n).round(),
            "first_to_last_order": rng.integers(0, 400, n),
            "total_unit": frequency * rng.integers(1, 40, n),
            "total_spent": spent,
            "recency": rng.integers(0, 400, n),
            "frequency": frequency,
            "average_order_value": spent / frequency,
            "tenure": rng.integers(0, 500, n),
            "segment_type": [types[i % len(types)] for i in range(n)],
            "cluster": order * len(segments) // n,
        }
    )
    if constant:
        table[FEATURES] = 30.0
    elif n > 2:
        table.loc[0, "total_spent"] = 0.0
        table.loc[1, "register_to_order"] = np.nan
    table["segment"] = [segments[c] for c in table["cluster"]]
    table["margin"] = rng.uniform(0, 1, n)
    table["is_anomaly"] = np.arange(n) % 20 == 0
    table["silhouette"] = rng.uniform(-0.2, 0.8, n)
    return table


def profile_of(customers):
    keys = ["segment_type", "cluster", "segment"]
    grouped = customers.groupby(keys)
    profile = grouped.agg(
        customers=("customer_id", "size"), revenue=("total_spent", "sum")
    ).reset_index()
    profile["customers_share"] = profile["customers"] / profile["customers"].sum()
    profile["revenue_share"] = profile["revenue"] / profile["revenue"].sum()
    means = grouped[FEATURES].mean().add_suffix("_mean").reset_index(drop=True)
    medians = grouped[FEATURES].median().add_suffix("_median").reset_index(drop=True)
    return pd.concat([profile, means, medians], axis=1)


def ledger_of(*rules):
    rows = [(name, n, n, decimal.Decimal(money)) for name, n, money in rules]
    raw = (1000 + sum(r[1] for r in rows), decimal.Decimal("50000") + sum(r[3] for r in rows))
    return pd.DataFrame(
        [
            ("raw", raw[0], 500, raw[1]),
            *rows,
            ("kept", 1000, 400, decimal.Decimal("50000")),
        ],
        columns=list(schema.LEDGER_COLUMNS),
    )


def monthly_of(months):
    n = np.arange(len(months))
    return pd.DataFrame(
        {
            "month": months,
            "last_day": [*(months + pd.offsets.MonthEnd(0))[:-1], months[-1]],
            "orders": 100 + 10 * n,
            "customers": 80 + n,
            "new_customers": np.maximum(60 - 5 * n, 0),
            "units": 300 + n,
            "revenue": 9000.5 + 700 * n,
        }
    )


def calendar_of(months):
    """Every day of some months with a line or two, day and month exchanged."""
    days = pd.Series(pd.date_range(months[0], months[-1] + pd.offsets.MonthEnd(0)))
    return pd.DataFrame({"day": swapped(days), "lines": 1 + np.arange(len(days)) % 2})


def sign_of(calendar):
    return asdict(swap_evidence(calendar.rename(columns={"lines": "rows"})))


def cohorts_of(months):
    rows = [
        (cohort, since, 100 - since * 5 if since else 200, 900.0, 200)
        for place, cohort in enumerate(months)
        for since in range(len(months) - place)
        if since != 2
    ]
    return pd.DataFrame(
        rows, columns=["cohort", "months_since", "customers", "revenue", "cohort_size"]
    )


def categories_of(values):
    return pd.DataFrame(
        [
            (dimension, f"{dimension} value {i}", 10 * (i + 1), 5, 1000.0 / (i + 1))
            for dimension in ("category", "payment_method", "country")
            for i in range(values)
        ],
        columns=["dimension", "value", "orders", "customers", "revenue"],
    )


def tuning_k_of(types, ks):
    return pd.DataFrame(
        [
            (name, k, 9000.0 / k / (i + 1), 0.5 - 0.02 * k, 800.0 + k, 0.9 + 0.01 * k)
            for i, name in enumerate(types)
            for k in ks
        ],
        columns=[
            "segment_type", "k", "inertia", "silhouette", "calinski_harabasz", "davies_bouldin",
        ],
    )  # fmt: skip


def dbscan_of(types, eps, sizes):
    return pd.DataFrame(
        [
            (name, e, m, 900, round(1000 * 0.002 * m / e), 0.002 * m / e)
            for name in types
            for e in eps
            for m in sizes
        ],
        columns=["segment_type", "eps", "min_samples", "core", "noise", "noise_share"],
    )


def k_distance_of(types, n):
    share = np.linspace(0, 1, n) if n > 1 else np.array([1.0])
    return pd.concat(
        [
            pd.DataFrame({"segment_type": t, "share": share, "distance": 0.05 + share**8 * 4})
            for t in types
        ]
    )


def projection_of(customers):
    rng = np.random.default_rng(3)
    return customers[["segment_type", "segment", "is_anomaly"]].assign(
        pc1=rng.normal(0, 2, len(customers)), pc2=rng.normal(0, 1, len(customers))
    )


def loadings_of(types, names):
    angle = np.linspace(0, 1.2 * np.pi, len(names))
    return pd.concat(
        [
            pd.DataFrame(
                {"segment_type": t, "feature": names, "pc1": np.cos(angle), "pc2": np.sin(angle)}
            )
            for t in types
        ]
    )


def explained_of(types, shares):
    return pd.DataFrame(
        [(t, i + 1, share) for t in types for i, share in enumerate(shares)],
        columns=["segment_type", "component", "explained"],
    )


def with_ends(table, *names):
    """The table with low and high ends a little around each named column."""
    for name in names:
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 0.02, table[name] + 0.02
    return table


def k_evidence_of(types, ks):
    table = pd.DataFrame(
        [
            (name, k, 0.2 * k, 0.01, np.nan if k == 1 else 0.5 - 0.02 * k, 0.3, 0.9 - 0.05 * k)
            for name in types
            for k in [1, *ks]
        ],
        columns=[
            "segment_type",
            "k",
            "gap",
            "gap_se",
            "silhouette",
            "silhouette_null",
            "agreement",
        ],
    )
    return with_ends(table, "silhouette", "agreement")


def per_segment_of(profile):
    """Stability and hold-out figures of every segment."""
    table = profile[["segment_type", "cluster", "segment", "customers"]].reset_index(drop=True)
    spread = np.linspace(0.3, 0.95, len(table))
    table = table.assign(jaccard=spread, share_again=spread, lift=3 * spread)
    return with_ends(table, "jaccard", "share_again", "lift")


def margin_flips_of(types):
    table = pd.DataFrame(
        [(name, m / 10, m / 10 + 0.1, 10, 0.3 / (m + 1)) for name in types for m in range(10)],
        columns=["segment_type", "margin_from", "margin_to", "customers", "flips"],
    )
    return with_ends(table, "flips")


def starts_of(types):
    ends = {True: "reaches the best", False: "ends worse"}
    return pd.DataFrame(
        [(name, i, ends[i < 30], 0.0 if i < 30 else 0.4) for name in types for i in range(50)],
        columns=["segment_type", "start", "ends", "moved"],
    )


def sensitivity_of(types, ks):
    table = pd.DataFrame(
        [
            (name, "exclude", transform, scaler, treatment, k, 0.4, k == ks[0])
            for name in types
            for transform in ("log", "none")
            for scaler in ("robust", "standard")
            for treatment in ("in", "out")
            for k in ks[:3]
        ],
        columns=[
            "segment_type", "returns", "transform", "scaler", "anomalies", "k", "agreement",
            "is_chosen",
        ],
    )  # fmt: skip
    return table.assign(customers=900)


def curve_of():
    share = np.linspace(0, 1, 101)
    names = ["segments", "past spend", "recency", "RFM quintile score", "BG/NBD and Gamma-Gamma"]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "ranking": n,
                    "customers_share": share,
                    "revenue_share": share ** (0.3 + i / 10),
                    "customers": 900,
                }
            )
            for i, n in enumerate(names)
        ]
    )


def recommendations_of(profile):
    return profile[["segment_type", "segment", "customers", "revenue", "revenue_share"]].assign(
        revenue_low=0.9 * profile["revenue"],
        revenue_high=1.2 * profile["revenue"],
        play="win back before the sale",
        break_even_response=0.02,
    )


def movement_of(profile, days=("2023-03-31", "2023-06-30", "2023-09-30")):
    """Everybody new at first; then each segment loses a fifth to the one before it."""
    sizes = profile.groupby("segment", sort=False)["customers"].sum()
    names = list(sizes.index)
    rows = [(days[0], "new customers", name, int(size)) for name, size in sizes.items()]
    for day in days[1:]:
        left = dict.fromkeys(names, 0)
        for place, name in enumerate(names):
            lower, fell = names[max(place - 1, 0)], int(sizes[name]) // 5
            rows += [(day, name, name, int(sizes[name]) - fell), (day, name, lower, fell)]
            left[name] += int(sizes[name]) - fell
            left[lower] += fell
        sizes = pd.Series(left)
    table = pd.DataFrame(rows, columns=["as_of", "segment_from", "segment_to", "customers"])
    keys = ["as_of", "segment_from", "segment_to"]
    return table.groupby(keys, as_index=False)["customers"].sum()


def retention_of(profile):
    sizes = profile.groupby("segment", sort=False)["customers"].sum()
    return pd.DataFrame(
        [
            (day, name, 30 + int(size), (7 + 5 * place + step) % (30 + int(size)))
            for step, day in enumerate(("2023-03-31", "2023-06-30"))
            for place, (name, size) in enumerate(sizes.items())
        ],
        columns=["as_of", "segment", "customers", "ordered"],
    )


def quarters_of(months):
    starts = pd.date_range("2020-01-01", periods=max(len(months), 2), freq="QS")
    ends = {"gini_low": 0.5, "gini_high": 0.7, "top_share_low": 0.3, "top_share_high": 0.5}
    observed = ["whole quarter"] * (len(starts) - 1) + ["part of a quarter"]
    return pd.DataFrame(
        {"quarter": starts, "gini": 0.6, "top_share": 0.4, "observed": observed}
    ).assign(**ends)


def in_colours(settings, colours):
    """Settings of a picture whose segments have these colours."""
    return settings | {name: colours for name in ("colours", "palette") if name in settings}


def drawn_by(kind, table, **settings):
    """A picture that a chapter draws with its own x, y and hue."""
    return functools.partial(plots.draw, kind), [table], settings


def calls(customers, *, types, months, ledger, values, ks, eps, sizes):
    """Every plot function with tables of one size: name -> (function, tables, settings)."""
    profile = profile_of(customers)
    choice = {t: {"eps": eps[len(eps) // 2], "min_samples": sizes[0]} for t in types}
    money = {"currency": "USD"}
    coloured = {"colours": COLOURS}
    return {
        "ledger": drawn_by(
            sns.barplot,
            ledger.iloc[1:-1].query("rows > 0"),
            x=["rows", "amount"],
            y="rule",
            labels={"amount": "Money set aside (USD)"},
            of_groups=True,
            **money,
        ),
        "monthly": (plots.plot_monthly, [monthly_of(months)], money),
        "calendar": (
            plots.plot_calendar,
            [calendar_of(months)],
            {"swap": {"order_date": sign_of(calendar_of(months))}},
        ),
        "cohorts": (plots.plot_cohorts, [cohorts_of(months)], {}),
        "categories": drawn_by(
            sns.barplot,
            categories_of(values).groupby("dimension").head(10),
            x="revenue",
            y="value",
            col="dimension",
            labels={"revenue": "Revenue (USD)"},
            of_groups=True,
            **money,
        ),
        "distributions": drawn_by(sns.histplot, customers, x=FEATURES, **money),
        "correlation": (
            plots.plot_correlation,
            [customers[FEATURES].astype(float).corr(method="spearman")],
            {"note": f"n = {len(customers):,} customers"},
        ),
        "outliers": drawn_by(sns.boxplot, customers, x=FEATURES, whis=3, **money),
        "concentration": (plots.plot_concentration, [customers], {}),
        "k_scores": drawn_by(
            sns.lineplot,
            tuning_k_of(types, ks),
            x="k",
            y=["inertia", "silhouette", "calinski_harabasz", "davies_bouldin"],
            hue="segment_type",
            mark=dict.fromkeys(types, ks[0]),
            of_groups=True,
        ),
        "silhouettes": (plots.plot_silhouettes, [customers], coloured),
        "k_distance": (
            plots.plot_k_distance,
            [k_distance_of(types, len(customers))],
            {"choice": choice},
        ),
        "dbscan_grid": (
            plots.plot_dbscan_grid,
            [dbscan_of(types, eps, sizes)],
            {"choice": choice},
        ),
        "k_evidence": (
            plots.plot_k_evidence,
            [k_evidence_of(types, ks)],
            {"chosen": dict.fromkeys(types, 2)},
        ),
        "dbscan_evidence": (
            plots.plot_dbscan_evidence,
            [dbscan_of(types, eps, sizes).assign(dense_groups=7, stability=0.9, customers=900)],
            {"choice": choice},
        ),
        "stability": drawn_by(
            sns.scatterplot,
            per_segment_of(profile),
            x="jaccard",
            y="segment",
            hue="segment",
            palette=COLOURS,
            interval=True,
            mark={"unstable below": 0.6, "stable from here": 0.75},
            of_groups=True,
        ),
        "margin_flips": drawn_by(
            sns.barplot,
            margin_flips_of(types),
            x="margin_from",
            y="flips",
            col="segment_type",
            interval=True,
            native_scale=True,
            of_groups=True,
            note="n = 120 customers",
        ),
        "starts": drawn_by(
            sns.scatterplot,
            starts_of(types),
            x="start",
            y="moved",
            hue="ends",
            col="segment_type",
            palette=plots.KINDS,
            labels={"moved": "Elsewhere (%)"},
            of_groups=True,
        ),
        "sensitivity": (plots.plot_sensitivity, [sensitivity_of(types, list(ks))], {}),
        "holdout": drawn_by(
            sns.scatterplot,
            per_segment_of(profile),
            x=["share_again", "lift"],
            y="segment",
            hue="segment",
            palette=COLOURS,
            interval=True,
            mark={"lift": 1},
            labels={"share_again": "Bought again after the cut (%)"},
            of_groups=True,
        ),
        "holdout_curve": drawn_by(
            sns.lineplot,
            curve_of(),
            x="customers_share",
            y="revenue_share",
            hue="ranking",
            diagonal=True,
            markevery=10,
            labels={"customers_share": "Chosen (%)"},
            of_groups=True,
        ),
        "calibration": drawn_by(
            sns.scatterplot,
            calibration(np.linspace(0, 1, 99), np.arange(99) % 3 == 0).rename(
                columns={"low": "observed_low", "high": "observed_high"}
            ),
            x="predicted",
            y="observed",
            interval=True,
            diagonal=True,
            of_groups=True,
        ),
        "anomalies": drawn_by(
            sns.scatterplot,
            customers.assign(kind=np.where(customers["is_anomaly"], "anomaly", "ordinary")),
            x="total_unit",
            y="total_spent",
            hue="kind",
            col="segment_type",
            palette=plots.UNUSUAL,
            **money,
        ),
        "scatter": drawn_by(
            sns.scatterplot,
            customers,
            x="total_unit",
            y="total_spent",
            hue="segment",
            col="segment_type",
            palette=COLOURS,
            height=4.0,
            **money,
        ),
        "projection": (
            plots.plot_projection,
            [
                projection_of(customers),
                loadings_of(types, FEATURES[1:7]),
                explained_of(types, [0.6, 0.3, 0.1]),
            ],
            coloured,
        ),
        "explained": (plots.plot_explained, [explained_of(types, [0.6, 0.3, 0.1][: len(ks)])], {}),
        "profile": (plots.plot_profile, [profile], money | {"names": FEATURES}),
        "shares": (plots.plot_shares, [profile], coloured),
        "movement": (plots.plot_movement, [movement_of(profile)], coloured),
        "retention": (plots.plot_retention, [retention_of(profile)], coloured),
        "stakes": drawn_by(
            sns.barplot,
            recommendations_of(profile),
            x="revenue",
            y="segment",
            hue="segment",
            text="play",
            palette=COLOURS,
            of_groups=True,
            **money,
        ),
        "concentration_time": drawn_by(
            sns.scatterplot,
            quarters_of(months),
            x="quarter",
            y=["gini", "top_share"],
            hue="observed",
            palette=plots.KINDS,
            interval=True,
            of_groups=True,
        ),
    }


ALL = SEGMENT_TYPES
SIZES = {
    "ordinary": calls(
        customers_of(),
        types=ALL,
        months=MONTHS,
        ledger=ledger_of(
            ("invalid_order", 300, "12000.00"), ("negative_amount", 7, "-950.50"),
            ("zero_amount", 0, "0"),
        ),
        values=14,
        ks=range(2, 9),
        eps=[0.2, 0.3, 0.5, 0.8, 1.2],
        sizes=[4, 8, 16],
    ),
    "one group": calls(
        customers_of(types=("normal",)),
        types=("normal",),
        months=MONTHS[:3],
        ledger=ledger_of(("invalid_order", 1, "0.00")),
        values=3,
        ks=range(2, 12),
        eps=[0.1 * i for i in range(1, 13)],
        sizes=[4, 8, 16, 32],
    ),
    "one row": calls(
        customers_of(1),
        types=("normal",),
        months=MONTHS[:1],
        ledger=ledger_of(("duplicate_line", 1, "3.00")),
        values=1,
        ks=[2],
        eps=[0.5],
        sizes=[4],
    ),
    "two rows": calls(
        customers_of(2),
        types=ALL[:2],
        months=MONTHS[:2],
        ledger=ledger_of(),
        values=2,
        ks=[2, 3],
        eps=[0.5, 0.6],
        sizes=[4],
    ),
    "constant": calls(
        customers_of(60, constant=True),
        types=ALL[:2],
        months=MONTHS[:4],
        ledger=ledger_of(("zero_amount", 5, "0.00")),
        values=2,
        ks=[2, 3],
        eps=[0.5, 0.6],
        sizes=[4],
    ),
}  # fmt: skip
EVERY = [
    pytest.param(size, name, id=f"{name}-{size}") for size, group in SIZES.items() for name in group
]


def drawn(function, tables, settings):
    """The figure, drawn to the end, with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig = function(*tables, **settings)
        FigureCanvasAgg(fig)
        fig.draw_without_rendering()
    return fig


def texts_of(fig):
    """Visible texts of a figure that have words in them."""
    every = {id(text): text for text in fig.findobj(plt.Text)}
    return [t for t in every.values() if t.get_visible() and t.get_text().strip()]


def boxes_of(fig):
    """Text and box, in pixels, of what is really printed (a hidden tick has no place)."""
    renderer = fig.canvas.get_renderer()
    printed = []
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = axis._update_ticks() if ax.get_visible() else []
            printed += [t for tick in ticks for t in (tick.label1, tick.label2)]
        printed += [*ax.texts, ax.title, ax._left_title, ax._right_title]
        printed += [ax.xaxis.label, ax.yaxis.label]
        printed += list(ax.get_legend().get_texts()) if ax.get_legend() else []
    printed += [*fig.texts, *(t for key in fig.legends for t in key.get_texts())]
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in printed
        if text.get_visible() and text.get_text().strip()
    ]


def collisions(fig):
    boxes = [(text, box.padded(-1.0)) for text, box in boxes_of(fig)]
    return [
        (a, b)
        for i, (a, first) in enumerate(boxes)
        for b, second in boxes[i + 1 :]
        if first.overlaps(second)
    ]


WITHOUT_N = (
    *("k_scores", "k_evidence", "k_distance", "explained", "ledger", "concentration_time"),
    *("starts", "holdout_curve", "calibration"),
)


@pytest.mark.parametrize(("size", "name"), EVERY)
def test_figure_is_closed_labelled_and_legible(size, name):
    function, tables, settings = SIZES[size][name]
    before = [table.copy(deep=True) for table in tables]

    fig = drawn(function, tables, settings)

    assert plt.get_fignums() == []
    for table, copy in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, copy)
    words = " ".join(text.get_text() for text in texts_of(fig))
    assert "ID0" not in words
    assert "n = " in words.replace("\N{NBSP}", " ") or size != "one group" or name in WITHOUT_N
    if any(ax.axison for ax in fig.axes):
        assert all(ax.get_xlabel() or fig.get_supxlabel() for ax in fig.axes[-1:])
        assert all(ax.get_xlabel() or ax.get_ylabel() or ax.get_title("left") for ax in fig.axes)
    assert min(text.get_fontsize() for text in texts_of(fig)) >= style.SMALLEST_TEXT
    assert collisions(fig) == []
    page = fig.bbox.padded(1.0)
    outside = [
        text
        for text, box in boxes_of(fig)
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1
    ]
    assert outside == []


@pytest.mark.parametrize("name", sorted(SIZES["ordinary"]))
@pytest.mark.parametrize("columns", ["kept", "missing"])
def test_empty_table_gives_one_plain_sentence(name, columns):
    function, tables, settings = SIZES["ordinary"][name]
    empty = [t.head(0) if columns == "kept" else pd.DataFrame() for t in tables]

    fig = drawn(function, empty, settings)

    assert plt.get_fignums() == []
    assert [ax.axison for ax in fig.axes] == [False]
    assert fig.axes[0].texts[0].get_text().endswith(".")


@pytest.mark.parametrize("n_segments", [1, 7, 12])
@pytest.mark.parametrize("name", ["silhouettes", "scatter", "profile", "shares", "stakes"])
def test_one_to_twelve_segments_stay_legible(name, n_segments):
    segments = [f"Segment with name {i}" for i in range(n_segments)]
    customers = customers_of(400, types=("normal", "unregistered"), segments=segments)
    profile = profile_of(customers)
    tables = {"profile": profile, "shares": profile, "stakes": recommendations_of(profile)}
    function, _, settings = SIZES["ordinary"][name]
    settings = in_colours(settings, style.segment_colours(segments))

    fig = drawn(function, [tables.get(name, customers)], settings)

    assert collisions(fig) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param([1.0, 2.0, 3.0, 5000.0], "(USD, log scale)", id="positive"),
        pytest.param([0.0, 2.0, 3.0, 5000.0], "(USD, log scale with zero)", id="zero"),
        pytest.param([-9.0, 2.0, 3.0, 5000.0], "(USD, log scale with zero)", id="negative"),
        pytest.param([1.0, 2.0, 3.0, 4.0], "(USD)", id="not-heavy-tailed"),
    ],
)
def test_heavy_tailed_money_is_on_a_log_axis_that_says_so(values, words):
    features = pd.DataFrame({"total_spent": values, "segment_type": "normal"})

    draw, tables, settings = drawn_by(sns.histplot, features, x=["total_spent"], currency="USD")
    fig = drawn(draw, tables, settings)

    assert fig.axes[0].get_xlabel() == f"Total spent {words}"


def test_many_customers_are_thinned_the_same_way_in_any_row_order_and_it_is_said():
    n = 30_000
    customers = pd.DataFrame(
        {
            "total_spent": np.arange(n) % 997 + 1.0,
            "total_unit": np.arange(n) % 89 + 1,
            "segment_type": "normal",
            "segment": "High value",
            "is_anomaly": False,
        }
    )
    shown = {"x": "total_unit", "y": "total_spent", "hue": "segment", "currency": "USD"}
    figures = [
        drawn(*drawn_by(sns.scatterplot, table, palette=COLOURS, **shown))
        for table in (customers, customers[::-1])
    ]

    points = [fig.axes[0].collections[0].get_offsets() for fig in figures]
    assert len(points[0]) == 20_000
    assert np.array_equal(points[0], points[1])
    assert "sample, 20,000 of 30,000 customers" in figures[0].get_supxlabel()


def test_front_page_figure_is_eight_by_three_inches_for_four_segments():
    function, tables, settings = SIZES["ordinary"]["shares"]

    fig = drawn(function, tables, settings)

    assert tuple(fig.get_size_inches()) == (8.0, pytest.approx(3.0, abs=0.5))


def test_every_mark_has_a_contrast_of_three_on_white():
    marks = (*style.PALETTE, style.CONTEXT)

    assert [colour for colour in marks if style.contrast_ratio(colour) < 3] == []
    assert style.contrast_ratio(style.QUIET) >= 4.5
    night = {colour: style.contrast_ratio(in_the_dark(colour), "#121212") for colour in marks}
    assert {colour: seen for colour, seen in night.items() if seen < 4} == {}


@pytest.mark.parametrize("cells", [style.NUMBERED, style.SEQUENTIAL, style.DIVERGING])
def test_no_cell_of_a_heat_map_is_the_paper_it_stands_on(cells):
    for step in np.linspace(0, 1, 101):
        fill = to_hex(cells(step))
        assert style.contrast_ratio(fill) >= 1.2
        assert style.contrast_ratio(in_the_dark(fill), "#121212") >= 1.2


def test_settings_of_long_names_fit_a_phone():
    settings = sensitivity_of(["normal"], [2, 3, 4])
    settings = pd.concat([settings, settings.replace({"log": "yeo-johnson"})])
    settings["customers"] = 23_570
    style.apply_style()
    narrow = on_phone(lambda: plots.plot_sensitivity.__wrapped__(settings))

    assert narrow is not None
    plt.close(narrow)


@pytest.mark.parametrize("cells", [style.NUMBERED, style.DIVERGING], ids=lambda c: c.name)
def test_numbers_on_cells_are_read_by_day_and_by_night(cells):
    for step in np.linspace(0, 1, 101):
        fill = cells(step)
        text = style.text_colour_on(fill)
        assert style.contrast_ratio(text, fill) >= 4.5
        assert style.contrast_ratio(in_the_dark(text), in_the_dark(to_hex(fill))) >= 4.5


def test_a_segment_keeps_its_colour_and_no_two_of_twelve_look_the_same():
    names = [f"S{i}" for i in range(12)]

    colours = style.segment_colours(names)
    markers = style.segment_markers(colours)

    assert style.segment_colours([*names, "S0"]) == colours
    assert len({(colours[name], markers[name]) for name in names}) == 12


def test_figure_that_fails_is_closed_too():
    with pytest.raises(KeyError):
        plots.plot_monthly(pd.DataFrame({"month": MONTHS}), currency="USD")

    assert plt.get_fignums() == []


def notes_of(fig):
    return " ".join(text.get_text() for text in fig.texts).replace("\n", " ")


def test_a_note_below_a_figure_is_of_what_it_draws():
    """The same call on data with and without: the last month cut, newcomers, few, no segment."""
    months = monthly_of(MONTHS)
    whole = months.assign(last_day=MONTHS + pd.offsets.MonthEnd(0))
    assert "Hollow bar" in notes_of(plots.plot_monthly(months, currency="USD"))
    assert notes_of(plots.plot_monthly(whole, currency="USD")) == ""

    moved = pd.DataFrame(
        [("2023-03-31", "new customers", "High", 50), ("2023-06-30", "High", "High", 50)],
        columns=["as_of", "segment_from", "segment_to", "customers"],
    )
    fig = plots.plot_movement(moved, colours={"High": "#12436D"})
    assert notes_of(fig) == ""
    moved.loc[2] = ("2023-06-30", "new customers", "High", 9)
    moved.loc[3] = ("2023-03-31", "new customers", "in no segment", 7)
    moved.loc[4] = ("2023-06-30", "in no segment", "High", 7)
    fig = plots.plot_movement(moved, colours={"High": "#12436D"})
    assert "no band leads to: new customers." in notes_of(fig)

    kept = pd.DataFrame(
        {"as_of": ["2023-03-31", "2023-06-30"], "segment": "High", "customers": 40, "ordered": 9}
    )
    assert notes_of(plots.plot_retention(kept, colours={})) == ""
    few = pd.concat([kept, kept.head(1).assign(segment="Low", customers=29)])
    assert "fewer than 30 customers" in notes_of(plots.plot_retention(few, colours={}))


DRAWN_BY_SOME = r"\b(grey|hollow|hatch\w*|usually|log|where dates|no band|left out)\b"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9]*.py")), ids=lambda p: p.stem
)
def test_captions_and_alt_texts_name_nothing_that_only_some_data_draw(path):
    """They are fixed; what some data alone draw is said by the figure, in a note or a label."""
    said = re.findall(r'"(?:caption|alt)": "([^"]*)"', path.read_text(encoding="utf-8"))
    assert [text for text in said if re.search(DRAWN_BY_SOME, text, re.IGNORECASE)] == []


def test_a_bar_of_few_customers_says_so_and_nothing_of_their_money():
    table = pd.DataFrame(
        {"kind": "Country", "value": ["Malta", "Spain"], "customers": [3, 900],
         "revenue": [71.0, 100.0], "revenue_share": [0.415, 0.585]}
    )  # fmt: skip
    fig = plots.draw(
        sns.barplot, table, x="revenue", y="value", col="kind", currency="USD",
        labels={"revenue": "Revenue (USD)"}, of_groups=True,
    )  # fmt: skip
    (ax,) = fig.axes
    said = [text.get_text() for text in fig.findobj(plt.Text)]
    assert [text for text in said if "n <" in text] == ["n < 5"]
    assert not any(figure in text for text in said for figure in ("71", "41", "42"))
    assert sorted(bar.get_width() for bar in ax.patches) == [0.0, 100.0]
