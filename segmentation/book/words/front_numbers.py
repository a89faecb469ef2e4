"""Four numbers of a data set's first screen with their course, and its headline."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from segmentation.book.words.coming_back import came_back_then
from segmentation.book.words.text import group_words, half_words, listed, longer_silent
from segmentation.book.words.warnings import exchanged
from segmentation.core.columns import format_money, format_percent
from segmentation.core.groups import short_groups
from segmentation.core.intervals import Z95
from segmentation.core.limits import CUSTOMER_SHARE, ROUGH_FORECAST
from segmentation.customers import concentration

FEW_WHO_BRING_HALF, MOSTLY, FAR_APART = 1 / 3, 0.5, 2.0
"""Above the first, "1 in 3" says less than per cent; from the second, customers are mostly new;
ends of an interval of which one is more than the last times the other leave a figure open."""


def headline(run: Any) -> str:
    """The page in one sentence: how few bring half of the revenue, and whether customers come back.

    A change of those who order counts where it is beyond chance: two counts differ by more than
    `Z95` times the root of their sum. Where day and month look exchanged, no quarter is compared.
    """
    spent = run["customers"]["total_spent"].astype(float)
    if not spent.sum() > 0:
        return ""
    share = fewest_for_half(spent) / len(spent)
    few = (
        f"{_or_so(run)}1 in {1 / share:,.0f} customers brings"
        if share <= FEW_WHO_BRING_HALF
        else f"{format_percent(share)} of customers bring"
    )
    quarters = whole_quarters(run)
    if len(quarters) < 2:
        return f"{few} half of the revenue"
    now, before = quarters["customers"].iloc[-1], quarters["customers"].iloc[-2]
    if abs(now - before) <= Z95 * math.sqrt(now + before):
        return f"{few} half the revenue; about as many ordered as a quarter earlier"
    moved = f"{format_percent(abs(now / before - 1))} {'more' if now > before else 'fewer'}"
    year = _on_year(quarters["customers"])
    if (split := _old_and_new(quarters)) and not year:  # a season is no change of the known
        return f"{few} half the revenue; {moved} ordered than a quarter earlier: {split}"
    months = run["monthly"]
    of_quarter = months["month"].dt.to_period("Q") == quarters["quarter"].iloc[-1].to_period("Q")
    new = months.loc[of_quarter, "new_customers"].sum() / now
    mostly = f", {format_percent(min(new, 1.0))} of them new" if new >= MOSTLY else ""
    return f"{few} half the revenue; {moved} ordered than a quarter earlier{year}{mostly}{_best_fell(run, now > before)}"


def _or_so(run: Any) -> str:
    """*About*, where chance may make the few who bring half twice as many; else nothing."""
    shares = concentration.concentration(run["customers"], random_state=run.parameters.random_state)
    half = shares[shares["measure"] == "customers_for_half"]
    if half.empty or half["low"].isna().any():
        return ""
    low, high = (float(half[end].iloc[0]) for end in ("low", "high"))
    return "About " if high > FAR_APART * low else ""


def _old_and_new(quarters: pd.DataFrame) -> str:
    """How those known before and newcomers moved, where the one hides the other beyond chance.

    Examples
    --------
    >>> three = {"customers": [718, 722, 898], "known": [2500, 2953, 3640]}
    >>> _old_and_new(pd.DataFrame(three)), _old_and_new(pd.DataFrame(three).tail(2))
    ('52% more new ones, 22% fewer of the known', '')
    """
    if len(quarters) < 3:
        return ""
    new = quarters["known"].diff()
    said, signs = [], set()
    for count, whom in ((new, "new ones"), (quarters["customers"] - new, "of the known")):
        now, before = count.iloc[-1], count.iloc[-2]
        if not before > 0 or abs(now - before) <= Z95 * math.sqrt(now + before):
            return ""
        signs.add(now > before)
        said.append(
            f"{format_percent(abs(now / before - 1))} {'more' if now > before else 'fewer'} {whom}"
        )
    return ", ".join(said) if len(signs) > 1 else ""


def _on_year(customers: pd.Series) -> str:
    """How many more or fewer ordered than in the same quarter a year before, where that is known.

    Examples
    --------
    >>> _on_year(pd.Series([800, 1, 1, 1, 920])), _on_year(pd.Series([1, 920]))
    (' (15% more than a year earlier)', '')
    """
    if len(customers) < 5 or not customers.iloc[-5] > 0:
        return ""
    now, then = customers.iloc[-1], customers.iloc[-5]
    if abs(now - then) <= Z95 * math.sqrt(now + then):
        return " (about as many as a year earlier)"
    return f" ({format_percent(abs(now / then - 1))} {'more' if now > then else 'fewer'} than a year earlier)"


def _best_fell(run: Any, is_rise: bool) -> str:
    """Who of the segment that brings most came back, where a rise hides that fewer of them did.

    Customers who have been silent for longer come back more rarely: such are not compared.
    """
    best = run["profile"].loc[run["profile"]["revenue"].astype(float).idxmax(), "segment"]
    change = came_back_then(run["retention"], best) if is_rise else None
    if change is None or change.now >= change.before:
        return ""
    if longer_silent(change.silent, change.silent_before):
        return ""
    shares = [format_percent(share) for share in (change.now, change.before)]
    return f"; of {best} {shares[0]} came back, {shares[1]} {'a year' if change.is_year else 'at first'} before"


def fewest_for_half(spent: pd.Series) -> int:
    """The fewest customers who together brought half of all money.

    Examples
    --------
    >>> fewest_for_half(pd.Series([5.0, 3.0, 1.0, 1.0])), fewest_for_half(pd.Series([1.0, 1.0, 1.0]))
    (1, 2)
    """
    ranked = spent.sort_values(ascending=False).cumsum()
    return int((ranked < spent.sum() / 2).sum()) + 1


def groups_meant(run: Any) -> Iterator[tuple[str, str]]:
    """What the two words beside a segment's name say of its customers."""
    kinds = list(run["chosen"])
    if len(kinds) > 1:
        said = listed([group_words(kind, kinds) for kind in kinds])
        yield (
            ", ".join(short_groups(kinds)[kind] for kind in kinds).capitalize(),
            f"Customers who {said}: each is a group of its own.",
        )


def half_meant(run: Any) -> Iterator[tuple[str, str]]:
    """What the headline's few are, and how far chance may move them."""
    customers = run["customers"]
    spent = customers["total_spent"].astype(float)
    if not spent.sum() > 0:
        return
    shares = concentration.concentration(customers, random_state=run.parameters.random_state)
    yield (
        "Half the revenue",
        f"The fewest customers who together bring it: {fewest_for_half(spent):,} of {len(spent):,}"
        f"{half_words(shares)}.",
    )


def numbers(run: Any) -> Iterator[tuple[str, str, str, list[float], str]]:
    """Four numbers: what, value, change, its course, what it means."""
    customers, currency = run["customers"], run.parameters.currency
    once = int((customers["frequency"] == 1).sum()) if "frequency" in customers else 0
    quarters = whole_quarters(run)
    said = [f"{once:,} ordered once"] if once else []
    if len(quarters) > 1:
        came = quarters["known"].iloc[-1] - quarters["known"].iloc[-2]
        said.append(f"{f'{came:,}' if came else 'none'} new in {_name(quarters.iloc[-1])}")
    yield (
        "Customers",
        f"{len(customers):,}",
        "; ".join(said) or "in this table",
        list(quarters["known"]) if len(quarters) > 1 else [],
        "Everybody with at least one order that counts; new: whose first order is in the quarter.",
    )
    money = customers["total_spent"].astype(float)
    if len(quarters) < 2:
        yield (
            "Revenue",
            format_money(money.sum(), currency),
            "of all these customers",
            [],
            "All kept lines.",
        )
        half = fewest_for_half(money)
        yield (
            "Bring half of it",
            f"{half:,}",
            f"{format_percent(half / len(customers))} of customers",
            [],
            "The fewest customers who together bring half of all revenue.",
        )
        if once:
            again = len(customers) - once
            yield (
                "Ordered again",
                f"{again:,}",
                f"{format_percent(again / len(customers))} of customers",
                [],
                "Customers with more than one order.",
            )
        return
    last, before = quarters.iloc[-1], quarters.iloc[-2]
    name, earlier = _name(last), _name(before)
    yield (
        f"Revenue, {name}",
        format_money(last["revenue"], currency),
        f"{_change(last['revenue'] / before['revenue'] - 1)} on {earlier}{_than_then(quarters)}{_of_one(last)}",
        list(quarters["revenue"]),
        f"Kept lines of the last whole quarter, {name}, against the one before.",
    )
    yield (
        f"Active, {name}",
        format_percent(last["active"]),
        f"{last['customers']:,} of {last['known']:,}, {_change(last['customers'] / before['customers'] - 1)} on {earlier}",
        list(quarters["customers"]),
        f"Customers who spent in the quarter, of all {last['known']:,} who had ordered by its "
        "end: the share falls as that crowd grows, so the change is of their number.",
    )
    facts = run["forecast_facts"]
    if facts["possible"]:
        yield _expected(
            run["forecast"],
            run["forecast_calibration"],
            facts,
            run["order_anyway"],
            run["order_anyway_before"],
        )
        return
    reach = Z95 * math.hypot(last["top_error"], before["top_error"])
    yield (
        f"From the best tenth, {name}",
        format_percent(last["top_share"]),
        f"of the quarter's revenue; {_moved(last['top_share'], before['top_share'], reach)}",
        list(quarters["top_share"]),
        "Share of the quarter's revenue from the tenth of its customers who spent most. It stands "
        f"here because no forecast of single customers is given: {facts['reason']}.",
    )


def _than_then(quarters: pd.DataFrame) -> str:
    """The change of revenue against the same quarter of the year before, where that is known."""
    if len(quarters) < 5 or not quarters["revenue"].iloc[-5] > 0:
        return ""
    now, then = quarters["revenue"].iloc[-1], quarters["revenue"].iloc[-5]
    return f", {_change(now / then - 1)} on {_name(quarters.iloc[-5])}"


def _of_one(quarter: pd.Series) -> str:
    share = quarter["largest_share"]
    return f"; {format_percent(share)} from one customer" if share >= CUSTOMER_SHARE else ""


def is_rough(calibration: pd.DataFrame) -> bool:
    """Whether the forecast of a period ago missed so much that nobody should plan with it."""
    guessed, came = guessed_and_came(calibration)
    return abs(guessed - came) > ROUGH_FORECAST * came


def guessed_and_came(calibration: pd.DataFrame) -> list[float]:
    """How many customers the forecast of a period ago expected, and how many came."""
    counted = calibration["customers"]
    return [float((calibration[name] * counted).sum()) for name in ("predicted", "observed")]


def _expected(
    forecast: pd.DataFrame,
    calibration: pd.DataFrame,
    facts: Mapping[str, Any],
    anyway: pd.DataFrame,
    before: pd.DataFrame,
) -> tuple[str, str, str, list[float], str]:
    """Customers expected to order, beside how the same forecast turned out before."""
    guessed, came = guessed_and_came(calibration)
    own = anyway[anyway["days"] == facts["outcome_days"]]
    tried = before[before["days"] == facts["outcome_days"]]
    sums = (
        tried[["modelled", "share"]].mul(tried["customers"], axis=0)
        .assign(ordered=tried["ordered"], as_of=tried["as_of"]).groupby("as_of").sum()
    )  # fmt: skip
    sums = sums[sums["ordered"] > 0]
    is_known = len(own) and len(sums)
    expected = float(
        (own["share"] * own["customers"]).sum() if is_known else forecast["chance"].sum()
    )
    counted = "share" if is_known else "modelled"
    missed = sums[counted] / sums["ordered"] - 1
    last = sums.iloc[-1] if is_known else None
    rough = is_rough(calibration) or bool(len(missed) and abs(missed.iloc[-1]) > ROUGH_FORECAST)
    then = (
        f"On {sums.index[-1]} it expected {last[counted]:,.0f}; {last['ordered']:,.0f} came. "
        if last is not None
        else ""
    )
    return (
        f"Expected back, {facts['outcome_days']} days",
        f"{expected:,.0f}",
        missed_words(missed, is_rough=rough),
        [],
        f"Of these customers ({format_percent(expected / len(forecast))} of them), if nothing is done: a model of "
        f"buying, corrected segment by segment by what it missed before. {then}Customer by customer, not "
        f"corrected, {forecast['chance'].sum():,.0f}; on {facts['cut']} so {guessed:,.0f}, and {came:,.0f} came in "
        f"the {facts['days_after']} days after.",
    )


def missed_words(missed: pd.Series, *, is_rough: bool = False) -> str:
    """How far earlier forecasts of a sum lay beside what came.

    Examples
    --------
    >>> missed_words(pd.Series([-0.18, 0.046])), missed_words(pd.Series([0.22]))
    ('the last one 5% too high; all 2: 18% too low to 5% too high', 'the last one 22% too high')
    >>> missed_words(pd.Series([-0.27, 0.22]), is_rough=True)
    'too rough to plan with: earlier ones missed by up to 27%'
    """
    if is_rough:
        return f"too rough to plan with: earlier ones missed by up to {missed.abs().max():.0%}"
    low, high, last = (
        f"{abs(end):.0%} too {'high' if end > 0 else 'low'}"
        for end in (missed.min(), missed.max(), missed.iloc[-1])
    )
    many = f"; all {len(missed)}: {low} to {high}" if len(missed) > 1 else ""
    return f"the last one {last}{many}"


def quarters_seen(run: Any) -> pd.DataFrame:
    """Quarters with their money and customers; the first and the last may not be whole.

    None where day and month look exchanged: then orders of one quarter stand in another.
    """
    overview = run["overview"]
    if not overview["first_order"] or run["quarters"].empty or exchanged(run):
        return pd.DataFrame({"is_complete": []})
    return concentration.over_time(
        run["quarters"], first_day=overview["first_order"], last_day=overview["as_of"]
    )


def unfinished(run: Any) -> str:
    """The last quarter's name where the data end within it, else nothing."""
    quarters = quarters_seen(run)
    over = quarters.empty or quarters["is_complete"].iloc[-1] or not quarters["is_complete"].any()
    return "" if over else _name(quarters.iloc[-1])


def whole_quarters(run: Any) -> pd.DataFrame:
    """Quarters seen from their first to their last day, with who was known and who was active."""
    quarters = quarters_seen(run)
    if quarters.empty:
        return quarters
    ends = pd.DatetimeIndex(quarters["quarter"]) + pd.offsets.QuarterEnd(0)
    monthly = run["monthly"]
    known = [int(monthly.loc[monthly["month"] <= end, "new_customers"].sum()) for end in ends]
    found = quarters.assign(known=known, revenue=quarters["revenue"].astype(float))
    found = found[found["is_complete"] & (found["revenue"] > 0)]
    return found.assign(active=found["customers"] / found["known"])


def _name(row: pd.Series) -> str:
    return f"{row['quarter'].year} Q{row['quarter'].quarter}"


def _arrow(change: float) -> str:
    return "▲" if change > 0 else "▼" if change < 0 else "="


def _moved(now: float, before: float, reach: float = 0.0) -> str:
    """How a share moved, as far as its printed digits show it and beyond the ``reach`` of chance.

    Examples
    --------
    >>> _moved(0.244, 0.238), _moved(0.244, 0.31), _moved(0.54, 0.53, reach=0.09)
    ('as before', '▼ from 31%', '53% before: no real change')
    """
    said = format_percent(before)
    if abs(now - before) < reach:
        return f"{said} before: no real change"
    return "as before" if said == format_percent(now) else f"{_arrow(now - before)} from {said}"


def _change(share: float) -> str:
    return f"{_arrow(share)}\u00a0{format_percent(abs(share))}"  # an arrow stays with its figure


def sparkline(values: list[float], what: str) -> str:
    """The course of a number as a line without axes, in SVG; nothing for fewer than three points or no change."""
    if len(values) < 3 or min(values) == max(values):
        return ""
    low, high = min(values), max(values)
    step, span = 100 / (len(values) - 1), max(high - low, high / 4) or 1.0
    points = " ".join(
        f"{n * step:.1f},{20 - 18 * (v - low) / span:.1f}" for n, v in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 100 22" preserveAspectRatio="none" role="img" aria-label="'
        f'{html.escape(what)}: course over {len(values)} quarters"><polyline fill="none" '
        f'stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke" '
        f'points="{points}"/></svg>'
    )
