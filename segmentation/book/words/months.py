"""Sentences about months of orders: rise and fall, and what a single line makes of one."""

from __future__ import annotations

import pandas as pd

from segmentation.book.words.data import NO_ORDERS
from segmentation.book.words.text import (
    dollars,
    plural,
)
from segmentation.core.columns import (
    format_money,
)


def month_sentence(
    monthly: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    currency: str,
    true_months: tuple[str, str] | None = None,
) -> str:
    """Best month, incomplete months and how new customers come in.

    Parameters
    ----------
    lines : DataFrame
        ``largest_line``: where no other month brought as much, it is the best month's, and that
        is said.
    true_months : tuple, optional
        First and last month that orders truly are of, where exchanged dates spread them further:
        then no month is whole, and none is compared with others.
    """
    if monthly.empty:
        return NO_ORDERS
    best, last = monthly.loc[monthly["revenue"].idxmax()], monthly.iloc[-1]
    is_cut = pd.Timestamp(last["last_day"]) < last["month"] + pd.offsets.MonthEnd(0)
    whole = monthly.iloc[:-1] if is_cut and len(monthly) > 1 else monthly
    text = (
        f"The best of {plural(len(monthly), 'month')} is **{best['month']:%B %Y}** with "
        f"{dollars(format_money(best['revenue'], currency))} from {plural(int(best['orders']), 'order')}"
        f"{_of_one_line(monthly['revenue'], float(lines['largest_line'].iloc[0]), currency)}"
        f"; the median{'' if whole is monthly else ' whole'} month brings "
        f"{dollars(format_money(whole['revenue'].median(), currency))}."
    )
    if true_months is not None:
        first, last_true = (f"{pd.Period(month, 'M'):%B %Y}" for month in true_months)
        told = text.split("; the median")[0]
        return (
            f"As the dates stand: {told[0].lower()}{told[1:]}. Day and month look exchanged: what lies outside "
            f"{first} to {last_true} are days 1 to 12 alone, which seem to belong within. **No month is "
            "whole**, so no rise or fall between months means anything until the dates are put right."
        )
    newcomers = monthly["new_customers"].cumsum() / max(monthly["new_customers"].sum(), 1)
    half = monthly.loc[newcomers >= 0.5, "month"].iloc[0]
    recruited = int((newcomers < 1 - 1e-12).sum()) + 1
    if recruited < len(monthly):
        text += (
            f" All customers placed their first order within the first {plural(recruited, 'month')}; "
            "every later month shows returning customers only, so a fall in revenue among those "
            "months is customers who come back or spend less, not fewer who arrive."
        )
    else:
        text += f" Half of all customers had placed their first order by {half:%B %Y}."
    if is_cut:
        text += f" The last month ends on {last['last_day']:%Y-%m-%d} and is not complete."
    return text


def _of_one_line(revenue: pd.Series, largest_line: float, currency: str) -> str:
    """That one line made a month the best, where it outweighs every other month."""
    others = revenue.astype(float).nlargest(2)
    if len(others) < 2 or not others.iloc[1] < largest_line <= others.iloc[0]:
        return ""
    return f", {dollars(format_money(largest_line, currency))} of it one line"
