"""What would become of the segments if day and month of orders were put right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from segmentation.book.words.text import (
    Html,
    as_sentence,
    from_the_top,
    inert,
    listed,
    named,
    table_of,
)
from segmentation.core.columns import format_percent
from segmentation.core.groups import short_groups
from segmentation.core.limits import LEAST_PUBLISHED

AS_THEY_STAND = "As the dates stand: "
CUT_HOLDS = (
    "Day and month look exchanged, but exchanging them keeps the year, and no order crosses this cut by it: "
    "how many were followed, how many of them bought again and for how much **is the same either way**. Who was in "
    "which segment at the cut, and how long anybody was followed, is not."
)
"""Why a hold-out is told while all that hangs on single days is withheld."""


def as_they_stand(text: str, days_unsure: str) -> str:
    """A text, said of the dates as they stand where days of orders are unsure.

    Examples
    --------
    >>> as_they_stand("All is well.", ""), as_they_stand("All is well.", "dates look exchanged")
    ('All is well.', 'As the dates stand: All is well.')
    """
    return f"{AS_THEY_STAND}{text}" if days_unsure else text


def in_brief(found: pd.DataFrame, agreement: float | None) -> str:
    """How many would stay in their segment with the dates put right; nothing where nobody asked."""
    if found.empty or agreement is None:
        return ""
    share = found["stay"].sum() / found["customers"].sum()
    return (
        f"once day and month are put right, {format_percent(share)} of customers are still in their segment, and "
        f"segments made anew agree to {agreement:.2f} of 1"
    )


def other_dates_sentence(found: pd.DataFrame, agreement: float | None) -> str:
    """How far the segments hang on the dates as they stand, from the one that stays most whole."""
    if not (brief := in_brief(found, agreement)):
        return ""
    kinds = list(found["segment_type"])
    shares = (found["stay"] / found["customers"]).sort_values(ascending=False, kind="stable")
    ends = [found.loc[shares.index[0]], found.loc[shares.index[-1]]]
    said = [
        f"{_stay(row)} of {inert(named(row['segment'], row['segment_type'], kinds))}"
        for row in ends
    ]
    return (
        f"**Other dates?** {as_sentence(f'{brief} (adjusted Rand index, groups of registration included)')} "
        f"By today's borders {listed(said)} would stay."
    )


def other_dates_table(found: pd.DataFrame) -> Html:
    """Who would stay in each segment with the dates put right."""
    if found.empty:
        return Html("", "")
    found = from_the_top(found)
    rows = pd.DataFrame(
        {
            "group": found["segment_type"].map(short_groups(found["segment_type"])),
            "segment": found["segment"],
            "customers": found["customers"].map("{:,}".format),
            "still in it": [_stay(row) for row in found.to_dict("records")],
        }
    )
    if found["segment_type"].nunique() <= 1:
        rows = rows.drop(columns="group")
    return table_of(
        rows,
        caption="Customers of each segment who would still be in it, by today's borders, with day and month of their orders put right (dates repaired).",
        numeric=("customers", "still in it"),
    )


def stay_words(found: pd.DataFrame) -> str:
    """How many of one segment would still be in it; nothing where nobody asked."""
    if found.empty:
        return ""
    row = found.iloc[0]
    return as_sentence(
        f"{_stay(row)} of its {row['customers']:,} customers would still be in it with day and month of orders put "
        "right; typical days, journeys and the name are told as the dates stand"
    )


def _stay(row: Mapping[Any, Any] | pd.Series) -> str:
    """What part of a segment would stay; nothing from which few could be told."""
    stay, n = int(row["stay"]), int(row["customers"])
    if 0 < stay < LEAST_PUBLISHED or 0 < n - stay < LEAST_PUBLISHED:
        return f"fewer than {LEAST_PUBLISHED}" if stay < LEAST_PUBLISHED else "nearly all"
    return f"{format_percent(stay / n)}" if stay else "none"
