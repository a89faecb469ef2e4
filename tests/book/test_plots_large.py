"""Very many customers: every figure that shows single customers stays light and says its sample."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.figure import Figure
from test_plots import (
    COLOURS,
    customers_of,
    explained_of,
    loadings_of,
    projection_of,
)

from segmentation.book import plots
from segmentation.core.limits import FAR_OUT

N = 200_000
"""Ten times as many as are ever drawn: a figure of all of them breaks every bound below."""
NAMES = ["recency", "frequency", "total_spent"]
MOST_BYTES = 320_000
"""Of one figure: a chapter has at most six, and no page may weigh more than two megabytes."""


@pytest.fixture(scope="module")
def many():
    one_type = ["normal"]
    return customers_of(N, types=one_type).drop(columns="customer_id")


def drawn(name: str, table: pd.DataFrame) -> Figure:
    """As the chapters draw it."""
    if name == "projection":
        explained = explained_of(["normal"], [0.6, 0.3, 0.1])
        loadings = loadings_of(["normal"], NAMES)
        return plots.plot_projection(projection_of(table), loadings, explained, colours=COLOURS)
    if name == "silhouettes":
        return plots.plot_silhouettes(table, colours=COLOURS)
    kind, settings = {
        "scatter": (sns.scatterplot, {"hue": "segment", "palette": COLOURS}),
        "anomalies": (sns.scatterplot, {"hue": "kind", "palette": plots.UNUSUAL}),
        "outliers": (sns.boxplot, {"whis": FAR_OUT}),
        "distributions": (sns.histplot, {}),
    }[name]
    if kind is sns.scatterplot:
        settings |= {"x": "frequency", "y": "total_spent", "col": "segment_type"}
        table = table.assign(kind=np.where(table["is_anomaly"], "anomaly", "ordinary"))
    else:
        settings["x"] = NAMES
    return plots.draw(kind, table, currency="GBP", **settings)


SAMPLED = ("scatter", "anomalies", "projection")


@pytest.mark.parametrize("name", [*SAMPLED, "outliers", "distributions", "silhouettes"])
def test_figure_of_very_many_customers_is_light(many, name):
    figure = drawn(name, many)
    out = io.BytesIO()
    figure.savefig(out, format="png", bbox_inches="tight")
    assert len(out.getvalue()) < MOST_BYTES
    assert sum(len(c.get_offsets()) for ax in figure.axes for c in ax.collections) <= 40_000
    said = " ".join(text.get_text() for text in figure.texts)
    assert ("Points drawn: an evenly spaced sample" in said) == (name in SAMPLED)
    plt.close(figure)
