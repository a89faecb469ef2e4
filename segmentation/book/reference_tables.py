"""Tables of the book that come from the code alone: what columns mean, and every threshold."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

import pandas as pd

from segmentation.book import words as insights
from segmentation.core.columns import FEATURES, RULES, SEGMENT_COLUMNS, TRANSACTIONS
from segmentation.core.limits import listed


def raw_html(markup: str) -> str:
    """HTML in a page of Markdown; a backtick in it ends nothing."""
    markup = markup.replace("`", "&#96;")
    return f"```{{raw}} html\n{markup}\n```"


def data_dictionary() -> str:
    """Every column of every table, from the one definition that the code uses."""
    parts = []
    for title, columns in (
        ("Transactions (one row per order line)", TRANSACTIONS),
        ("Features (one row per customer)", FEATURES),
        ("Segments table (one row per customer, features in use besides)", SEGMENT_COLUMNS),
    ):
        rows = pd.DataFrame(
            [(c.name, c.label, c.unit or "–", c.meaning) for c in columns.values()],
            columns=["column", "label", "unit", "meaning"],
        )
        table = insights.table_of(rows, caption=title)
        parts.append(f"## {title}\n\n{raw_html(table.markup)}")
    rules = pd.DataFrame(
        [(str(n), r.name, r.words, r.why) for n, r in enumerate(RULES, start=1)],
        columns=["order", "rule", "words", "why"],
    )
    table = insights.table_of(rows=rules, caption="Cleaning rules, in the order they are tried.")
    parts.append(f"## Cleaning rules\n\n{raw_html(table.markup)}")
    return "\n\n".join(parts)


def limit_tables() -> str:
    """Every threshold of the method, room by room, from the one place that the code reads."""
    parts = []
    for room, limits in groupby(listed(), key=attrgetter("room")):
        rows = pd.DataFrame(
            [
                (one.meaning, _number(one.value), one.why[0].upper() + one.why[1:], one.source)
                for one in limits
            ],
            columns=["what", "value", "why", "source"],
        )
        parts.append(raw_html(insights.table_of(rows, caption=f"Thresholds of {room}/").markup))
    return "\n\n".join(parts)


def _number(value: float | tuple[float, ...]) -> str:
    return ", ".join(f"{part:,g}" for part in (value if isinstance(value, tuple) else (value,)))
