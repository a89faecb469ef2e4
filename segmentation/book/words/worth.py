"""What an extra order is worth, and who orders anyway: the two figures behind every break-even."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.actions.recommend import FIRST_ORDER, FORECAST, WINDOW_ORDER
from segmentation.book.words.break_even import one_in
from segmentation.book.words.text import interval, longer_silent
from segmentation.core.columns import format_money, format_percent, format_points, format_value


def anyway_words(row: Any, cut: str, *, is_told: bool = True) -> str:
    """Who orders without a campaign, and what a campaign must make of it."""
    if pd.isna(row.base):
        return "Not known from these data."
    text = (
        f"{format_percent(row.base)} of its {row.base_customers:,.0f} customers are expected to order "
        f"within {row.outcome_days} days without any campaign of this report ("
        f"{interval(row.base_low, row.base_high)}): a forecast, corrected by what earlier ones missed "
        f"of this segment.{_latest_words(row)}"
        if row.base_is == FORECAST
        else f"{format_percent(row.base)} of the {row.base_customers:,.0f} customers who belonged here "
        f"on {cut} ordered within {row.outcome_days} days after, without any campaign of this report ("
        f"{interval(row.base_low, row.base_high)}).{_silent_words(row)}"
    )
    needed = row.break_even_response
    if is_told and row.base + needed <= 1:
        points = format_points(needed)
        text += f" A campaign pays when it raises this share by {points} percentage points."
    return text


def _latest_words(row: Any) -> str:
    """What came of the same in the last quarter that was followed."""
    if pd.isna(row.latest_base):
        return ""
    said = (
        f", where the same forecast said {format_percent(row.latest_forecast)}"
        if pd.notna(row.latest_forecast)
        else ""
    )
    return f" Of those who stood here on {row.latest}, {format_percent(row.latest_base)} did{said}."


def _silent_words(row: Any) -> str:
    """Whether today's customers have been silent for much longer, or shorter, than those."""
    then, now = row.base_recency, row.median_recency
    if not longer_silent(then, now):
        return ""
    return (
        f" Half of those had been silent for {format_value(then, 'recency')} or longer, of today's "
        f"customers for {format_value(now, 'recency')}: expect {'less' if now > then else 'more'} today."
    )


def worth_words(row: Any, currency: str, gross_margin: float, cut: str) -> str:
    """What an extra order is taken to be worth, and why it may be worth less."""
    value = format_money(row.response_value, currency)
    left = format_money(row.response_value * gross_margin, currency)
    start = f"It counts {value}, of which {format_percent(gross_margin)}, {left}, is margin"
    if row.response_is not in (FIRST_ORDER, WINDOW_ORDER):
        return (
            f"{start}: all that a customer spent, because these data hold no single orders. What is "
            "needed is really more."
        )
    days = f"within {row.outcome_days} days after"
    if row.response_is != FIRST_ORDER:
        of = "the own mean orders of its customers"
    elif _is_lately(row):
        of = (
            f"the first day's orders {days} {row.latest}, the last quarter followed: they were worth less in "
            "each quarter than in the one before"
        )
    elif row.base_is == FORECAST and row.base_quarters > 1:
        of = (
            f"the first day's orders on the {row.base_ordered:,.0f} times that a customer "
            f"who stood here came {days} the end of one of the last {row.base_quarters:.0f} quarters followed"
        )
    else:
        of = f"the first day's orders of the {row.base_ordered:,.0f} who ordered {days} {cut}"
    if row.response_value < row.mean_value:
        said = f"{start}: the typical one (half are smaller) of {of}. Their mean is {_mean_words(row, currency)}."
    else:
        said = f"{start}: the mean of {of}."
    said += f" An order that comes only because of a contact may be smaller.{_lately_worth(row, currency)}"
    is_usual = row.mean_value <= row.revenue_per_customer
    if row.response_is == FIRST_ORDER and is_usual and row.value_in_period > row.response_value:
        enough = row.break_even_response * row.response_value / row.value_in_period
        if 0 < enough <= 1 and row.break_even_response * row.customers > 1:
            said += (
                f" By all that they spent in those days, {format_money(row.value_in_period, currency)} each, "
                f"it pays if {one_in(enough)}."
            )
    return said


def _is_lately(row: Any) -> bool:
    """Whether the last quarter alone says what an order is worth, because each brought less."""
    several = row.response_is == FIRST_ORDER and row.base_is == FORECAST and row.base_quarters > 1
    return several and row.mean_value == row.latest_value


def _lately_worth(row: Any, currency: str) -> str:
    """What the same orders were worth in the last quarter followed, and what that makes of break-even."""
    if row.response_is != FIRST_ORDER or not row.base_quarters > 1 or pd.isna(row.latest_value):
        return ""
    if _is_lately(row):
        return ""
    value = format_money(row.latest_value, currency)
    needed = row.break_even_response * row.response_value / row.latest_value
    is_mean = row.response_value >= row.mean_value and needed * row.customers > 1
    pays = f": by these it pays if {one_in(needed)}" if is_mean else ""
    mean = "" if is_mean else " on average"
    return f" In the last quarter followed, from {row.latest}, they were worth {value}{mean}{pays}."


def _mean_words(row: Any, currency: str) -> str:
    """The mean that does not count, and that it is above all that customers of the segment spent."""
    mean = format_money(row.mean_value, currency)
    if row.response_is != FIRST_ORDER or row.mean_value <= row.revenue_per_customer:
        return mean
    all_spent = format_money(row.revenue_per_customer, currency)
    return (
        f"{mean}, where customers of this segment have spent {all_spent} in all on average, for who came back by "
        "themselves are not like most"
    )
