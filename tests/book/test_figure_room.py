"""Every accepted number of segments and every name gives a figure that can be read."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from test_plots import (
    MONTHS,
    calls,
    collisions,
    customers_of,
    drawn,
    in_colours,
    ledger_of,
    texts_of,
)

from segmentation.book import plots, style

BY_SEGMENT = (
    "silhouettes", "stability", "holdout", "scatter", "projection", "profile", "shares", "stakes",
    "movement", "retention",
)  # fmt: skip
LONG = "Steady returning customers whose name has sixty characters"


def figures_of(n_segments, types, *, count=120, money=1.0):
    """Every plot function with its tables, for segments of long names."""
    names = [f"{number:02d}{LONG}" for number in range(n_segments)]
    customers = customers_of(count, types=types, segments=names)
    customers[["total_spent", "average_order_value"]] *= money
    made = calls(
        customers, types=types, months=MONTHS[:3], values=3, ks=range(2, max(n_segments, 3) + 1),
        ledger=ledger_of(("invalid_order", 300, f"{12000 * money:.2f}")),
        eps=[0.2, 0.5, 1.2], sizes=[4, 8],
    )  # fmt: skip
    colours = style.segment_colours(names)
    return {
        name: (function, tables, in_colours(settings, colours))
        for name, (function, tables, settings) in made.items()
    }


GROUPS = {"one": ("normal",), "two": ("normal", "unregistered")}
SIZES = ((1, "one"), (2, "two"), (12, "one"), (20, "two"))
MANY = {(n, groups): figures_of(n, GROUPS[groups]) for n, groups in SIZES}
HARD = {
    "tiny": figures_of(2, GROUPS["two"], money=1e-4),
    "huge": figures_of(2, GROUPS["two"], money=1e10),
    "single": figures_of(1, GROUPS["one"], count=1),
}
MONEY = ("ledger", "monthly", "categories", "distributions", "outliers", "anomalies", *BY_SEGMENT)


def assert_readable(figure):
    words = [text.get_text() for text in texts_of(figure)]
    assert not any(style.TOO_CROWDED[:30] in text for text in words)
    assert collisions(figure) == []


@pytest.mark.parametrize("name", BY_SEGMENT)
@pytest.mark.parametrize(("n", "groups"), MANY)
def test_many_segments_with_long_names_are_readable(n, groups, name):
    function, tables, settings = MANY[n, groups][name]

    assert_readable(drawn(function, tables, settings))


@pytest.mark.parametrize("name", MONEY)
@pytest.mark.parametrize("size", HARD)
def test_tiny_and_huge_money_are_readable(size, name):
    function, tables, settings = HARD[size][name]

    assert_readable(drawn(function, tables, settings))


@pytest.mark.parametrize("name", ["k_scores", "k_evidence", "sensitivity", "k_distance"])
def test_twenty_numbers_of_clusters_are_readable(name):
    function, tables, settings = MANY[20, "two"][name]

    assert_readable(drawn(function, tables, settings))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("k_scores", ["inertia", "calinski_harabasz"]),
        ("k_distance", ["distance"]),
        ("dbscan_grid", ["eps"]),
        ("dbscan_evidence", ["eps"]),
        ("projection", ["pc1", "pc2"]),
    ],
)
def test_features_that_were_not_transformed_are_readable(name, columns):
    function, (first, *others), settings = MANY[2, "two"][name]
    wide = first.assign(**{column: 1e6 * first[column] ** 3 for column in columns})

    assert_readable(drawn(function, [wide, *others], settings))


def test_flows_between_twenty_segments_are_readable():
    names = [f"{number:02d}{LONG}" for number in range(20)]
    pairs = [(i, (i + step) % 20) for i in range(20) for step in (0, 1)]
    migration = pd.DataFrame(
        [("normal", names[a], a, "normal", names[b], b, 5) for a, b in pairs],
        columns=[
            "segment_type_before", "segment_before", "cluster_before",
            "segment_type_after", "segment_after", "cluster_after", "customers",
        ],
    )  # fmt: skip

    figure = drawn(plots.plot_alluvial, [migration], {"colours": style.segment_colours(names)})

    assert_readable(figure)


def test_legend_names_the_largest_and_says_how_many_more():
    function, tables, settings = MANY[20, "two"]["scatter"]
    figure = drawn(function, tables, settings)

    for ax in figure.axes:
        *named, last = [text.get_text() for text in ax.get_legend().get_texts()]
        more = int(last.removeprefix("and ").removesuffix(" more"))
        assert 18 <= len(named) + more <= 20  # a group may lack one of the twenty
        assert 3 <= len(named) <= 12


def test_what_fits_in_no_size_says_so_in_its_place():
    @style.report_figure
    def overprinted():
        figure, ax = plt.subplots()
        ax.text(0.5, 0.5, "one")
        ax.text(0.5, 0.5, "two")
        return figure

    figure = overprinted()

    assert " ".join(figure.axes[0].texts[0].get_text().split()) == style.TOO_CROWDED
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("scale", "values", "expected"),
    [("log", [10.0, 1e5], "1,000"), ("symlog", [0.0, 1e5], "1,000"), ("logit", [0.01, 0.9], "0.1")],
)
def test_log_axes_of_own_figures_print_numbers(scale, values, expected):
    style.apply_style()
    figure, ax = plt.subplots()
    ax.plot(values, values)
    ax.set_xscale(scale)
    ax.set_xlabel("$12 to $30")
    figure.draw_without_rendering()
    plt.close(figure)

    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert expected in ticks
    assert not any("$" in text for text in ticks)
    assert ax.xaxis.label.get_parse_math() is False
