"""What is said of days that are not what they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentation.core.columns import format_percent
from segmentation.core.phrases import plural

Facts = Mapping[str, Any]


def gap(row: Any, facts: Facts, currency: str) -> str:
    """Days without any line."""
    share = format_percent(facts["usual_share"])
    return (
        f"No kept line from {facts['first']} to {facts['last']}, though {share} of "
        f"{facts['span']:,} days have one. Closed, or an export that failed? If it failed, load "
        "those days before reading recency."
    )


def swapped(row: Any, facts: Facts, currency: str) -> str:
    """Day and month exchanged in a whole column."""
    return (
        f"Day and month look exchanged ({facts['strength']} sign): "
        f"{plural(facts['months_outside'], 'month')} outside the true range hold only days 1 to "
        "12: these lines, sales or not, and whose first or last order moves when they are exchanged. "
        "See the section Dates for what it moves, and have the export write YYYY-MM-DD."
    )


def swapped_month(row: Any, facts: Facts, currency: str) -> str:
    """Day and month exchanged in one month's file."""
    return (
        f"{facts['month']} has {plural(facts['early'], 'line')} on its first twelve days, where "
        f"about {facts['expected']:.0f} are to be expected; as many lie on the same day of other "
        "months. Its file was read with day and month exchanged: read that file again with dates "
        "written YYYY-MM-DD."
    )


def coarse(row: Any, facts: Facts, currency: str) -> str:
    """Days of registration that were filled in."""
    when = (
        "always the first of a month"
        if facts["last_day"] == 1
        else f"never after day {facts['last_day']}"
    )
    return (
        f"The day of registration is {when}, where about {facts['expected_late']:.0f} of "
        f"{facts['n']:,} should fall after the 28th: the day was filled in. Trust the month, not "
        "the day, and with it no lead of a few weeks before registration."
    )


def far(row: Any, facts: Facts, currency: str) -> str:
    """Dates far from all others."""
    return (
        f"Dated {facts['first']} to {facts['last']}, more than a year from all others: a "
        "placeholder of some system. Find the true day or leave it empty."
    )
