"""A million customers: every figure that shows single customers stays light and says its sample."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_plots import (
    COLOURS,
    customers_of,
    explained_of,
    loadings_of,
    projection_of,
)

from segmentation.book import plots

N = 1_000_000
NAMES = ["recency", "frequency", "total_spent"]
MOST_BYTES = 300_000
"""Of one figure: a chapter has at most six, and no page may weigh more than two megabytes."""


@pytest.fixture(scope="module")
def million():
    one_type = ["normal"]
    return customers_of(N, types=one_type).drop(columns="customer_id")


def drawn(name: str, table: pd.DataFrame) -> Figure:
    money, coloured, named = {"currency": "GBP"}, {"colours": COLOURS}, {"names": NAMES}
    if name == "projection":
        explained = explained_of(["normal"], [0.6, 0.3, 0.1])
        return plots.plot_projection(
            projection_of(table), loadings_of(["normal"], NAMES), explained, **coloured
        )
    settings = {
        "scatter": money | coloured,
        "anomalies": money,
        "outliers": money | named,
        "distributions": money | named,
        "relationships": named,
        "silhouettes": coloured,
    }
    return getattr(plots, f"plot_{name}")(table, **settings[name])


SAMPLED = ("scatter", "anomalies", "projection", "outliers")


@pytest.mark.parametrize("name", [*SAMPLED, "distributions", "relationships", "silhouettes"])
def test_figure_of_a_million_customers_is_light(million, name):
    figure = drawn(name, million)
    out = io.BytesIO()
    figure.savefig(out, format="png", bbox_inches="tight")
    assert len(out.getvalue()) < MOST_BYTES
    assert sum(len(c.get_offsets()) for ax in figure.axes for c in ax.collections) <= 40_000
    said = " ".join(text.get_text() for text in figure.texts)
    assert ("Points drawn: an evenly spaced sample" in said) == (name in SAMPLED)
    plt.close(figure)
