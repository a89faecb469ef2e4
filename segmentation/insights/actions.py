"""Tables and sentences of what to do: concentration risk, and what a test can show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from segmentation.insights.text import Html, plural, table_of
from segmentation.schema import SEGMENT_TYPE_LABELS, format_percent


def concentration_table(table: pd.DataFrame, *, customers: int) -> Html:
    """Each figure of concentration with its 95% interval."""
    rows = [
        {
            "figure": _figure_words(row.measure, row.at),
            "value": _figure(row.measure, row.value),
            "95% interval": f"{_figure(row.measure, row.low)} to {_figure(row.measure, row.high)}",
        }
        for row in table.itertuples()
    ]
    shown = pd.DataFrame(rows, columns=["figure", "value", "95% interval"])
    caption = f"Concentration of revenue, n = {customers:,}; intervals by bootstrap over customers."
    return table_of(shown, caption=caption, numeric=("value", "95% interval"))


def _figure_words(measure: str, at: float) -> str:
    if measure == "gini":
        return "Gini coefficient (0 = equal, 1 = one customer brings all)"
    if measure == "top_share":
        return f"share of revenue from the top {at:.0%} of customers"
    if measure == "customers_for_half":
        return "customers who bring half of the revenue"
    return f"share of revenue lost if the top {plural(round(at), 'customer')} had not come"


def _figure(measure: str, value: float) -> str:
    if measure == "gini":
        return f"{value:.3f}"
    return f"{value:,.0f}" if measure == "customers_for_half" else format_percent(value)


def dependence_table(table: pd.DataFrame) -> Html:
    """Concentration within each segment, the most dependent on one customer first."""
    ordered = table.sort_values(
        ["largest_share", "segment_type", "cluster"], ascending=[False, True, True]
    )
    rows = pd.DataFrame(
        {
            "group": ordered["segment_type"].map(SEGMENT_TYPE_LABELS),
            "segment": ordered["segment"],
            "customers": [f"{n:,}" for n in ordered["customers"]],
            "Gini": [f"{value:.2f}" if np.isfinite(value) else "–" for value in ordered["gini"]],
            "from the top 10%": [format_percent(value) for value in ordered["top_10_share"]],
            "from the largest customer": [format_percent(v) for v in ordered["largest_share"]],
        }
    )
    if table["segment_type"].nunique() < 2:
        rows = rows.drop(columns="group")
    caption = f"How each segment's revenue is spread. n = {int(table['customers'].sum()):,}."
    return table_of(rows, caption=caption, numeric=rows.columns[-4:])


def sample_size_table(sizes: pd.DataFrame, *, days: int) -> Html:
    """What a test of each whole segment could show, and whether that is enough."""
    rows = pd.DataFrame(
        {
            "group": sizes["segment_type"].map(SEGMENT_TYPE_LABELS),
            "segment": sizes["segment"],
            "customers": [f"{n:,}" for n in sizes["customers"]],
            "order anyway": [format_percent(value) for value in sizes["base"]],
            "smallest rise shown": [_points(value) for value in sizes["detectable"]],
            "break-even rise": [_points(value) for value in sizes["break_even"]],
            "enough": ["yes" if shown else "no" for shown in sizes["can_show"]],
        }
    )
    if sizes["segment_type"].nunique() < 2:
        rows = rows.drop(columns="group")
    caption = (
        f"Two equal arms, 80% power, 95% confidence; order anyway: ordered in the last {days} days "
        "of the window without any campaign. Rises in percentage points."
    )
    return table_of(rows, caption=caption, numeric=rows.columns[-5:-1])


def sample_size_sentence(sizes: pd.DataFrame) -> str:
    """For how many segments the data can tell whether a campaign paid."""
    if sizes.empty:
        return "The source has no order dates, so nothing can be said about the size of a test."
    enough = int(sizes["can_show"].sum())
    return (
        f"In {enough} of {plural(len(sizes), 'segment')} a test of the whole segment would show a "
        "rise at the break-even point. Where it would not, a campaign may pay without anybody being "
        "able to tell: **the data cannot support a recommendation to scale it up**."
    )


def _points(value: float) -> str:
    return f"{100 * value:.1f}" if np.isfinite(value) else "none"
