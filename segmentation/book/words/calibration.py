"""Sentences on lists made at every quarter's end, and on forecasts that came true or did not."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.words.text import Html, listed, plural, points, table_of
from segmentation.core.columns import format_percent
from segmentation.core.limits import CAMPAIGN_SHARES, LEAST_CUTS, MISSED_DECILE
from segmentation.evidence.rankings import LISTS, SPEND


def _by_cut(cuts: pd.DataFrame) -> pd.DataFrame:
    """Share of later revenue, a row for each list, the best first, and a column for each cut."""
    wide = cuts.pivot(index="ranking", columns="as_of", values="revenue_share")
    return wide.loc[wide.mean(axis=1).sort_values(ascending=False, kind="stable").index]


def cuts_sentence(cuts: pd.DataFrame, no_history: str = "") -> str:
    """Are lists by segment ahead of a plain spend ranking at every cut?

    ``no_history`` says why no earlier quarter is known.
    """
    if no_history:
        return f"The same lists are not made at quarters' ends: {no_history}."
    if cuts.empty:
        return "No quarter's end has a quarter of orders before and after it: one cut has to do."
    wide = _by_cut(cuts).dropna()  # lists that were possible at every cut
    ahead = wide.loc[LISTS] - wide.loc[SPEND]
    n, best = len(ahead), wide.index[0]
    few = f" The window allows {plural(n, 'such cut')} only." if n < LEAST_CUTS else ""
    gap = points(abs(ahead.mean())).lstrip("+")
    said = wide.mean(axis=1).map(format_percent)
    alike = list(said.index[said == said[best]])
    lead = (
        f"On average {listed([f'“{name}”' for name in alike])} found the most, about {said[best]} each"
        if alike[1:]
        else f"Best on average was **{best}** ({said[best]}, {format_percent(wide.loc[best].min())} "
        f"to {format_percent(wide.loc[best].max())})"
    )
    more = "more" if ahead.mean() >= 0 else "less"
    if spend_wins(cuts):
        lead = (
            f"**{SPEND.capitalize()} alone did better at every one: choose whom by it{or_best(cuts)}, and what to "
            f"say by segment.** {lead}"
        )
    return (
        f"The same lists made at {plural(n, 'quarter')}' ends, each followed for the quarter after "
        f"it: {LISTS} was ahead of {SPEND} at {(ahead > 0).sum()} of {n} and found {gap} points {more} "
        f"of later revenue on average ({points(ahead.min())} to {points(ahead.max())} from cut to cut). "
        f"{lead}.{few}"
    )


def spend_led(cuts: pd.DataFrame) -> int:
    """Quarters, two or more, at each of which spend alone found more than the lists by segment; else 0."""
    if cuts.empty:
        return 0
    wide = _by_cut(cuts).dropna()
    ahead = wide.loc[LISTS] - wide.loc[SPEND]
    return len(ahead) if len(ahead) > 1 and (ahead < 0).all() else 0


def spend_wins(cuts: pd.DataFrame) -> int:
    """`spend_led`, where so many quarters are enough to choose by it."""
    led = spend_led(cuts)
    return led if led >= LEAST_CUTS else 0


def or_best(cuts: pd.DataFrame) -> str:
    """The ranking that found most on average, where it is another than spend."""
    best = _by_cut(cuts).dropna().index[0]
    return "" if best in (SPEND, LISTS) else f" or {best}"


def cuts_table(cuts: pd.DataFrame) -> Html:
    """Share of later revenue of every list at every cut, with the spread over cuts."""
    wide = _by_cut(cuts)
    shown = wide.map(format_percent)
    means = wide.mean(axis=1, skipna=False)  # of other cuts would be another comparison
    shown.insert(0, "mean", [format_percent(value) for value in means])
    ends = zip(wide.min(axis=1), wide.max(axis=1), strict=True)
    shown.insert(
        1, "lowest to highest", [f"{format_percent(a)} to {format_percent(b)}" for a, b in ends]
    )
    known = cuts.groupby("as_of")["customers"].first()
    sizes = listed([f"{n:,}" for n in (known if known.nunique() > 1 else known.head(1))])
    of = f" (n = {sizes} customers)" if sizes else ""
    return table_of(
        shown.rename_axis("chosen by").reset_index().rename_axis(columns=None),
        caption=f"Share of the next quarter's revenue in the {format_percent(CAMPAIGN_SHARES[-1])} of customers whom each list puts first, by the quarter's end at which it was made{of}. –: too few had bought again by then to expect a value.",
        numeric=list(shown.columns),
    )


def calibration_sentence(calibration: pd.DataFrame, facts: dict[str, Any]) -> str:
    """How many customers were expected to order and how many did, or why nothing is forecast."""
    if calibration.empty:
        return f"No customer is forecast: {facts['reason']}."
    n = int(calibration["customers"].sum())
    came, expected = (
        float((calibration[name] * calibration["customers"]).sum())
        for name in ("observed", "predicted")
    )
    within = (calibration["predicted"] >= calibration["low"]) & (
        calibration["predicted"] <= calibration["high"]
    )
    text = (
        f"Of {n:,} customers known on {facts['cut']}, {expected:,.0f} were expected to order within "
        f"{facts['days_after']} days and {came:,.0f} did; in {within.sum()} of {len(within)} tenths the "
        "forecast lies within the 95% interval of what came."
    )
    if facts["possible"]:
        return (
            f"{text} No tenth lies more than {100 * MISSED_DECILE:.0f} points outside: near enough to rank "
            f"customers by it{_unranked(calibration)}; the chance of a single customer is rough."
        )
    return f"{text} **No customer is forecast**: {facts['reason']}."


def _unranked(calibration: pd.DataFrame) -> str:
    """The lowest tenths, where one ordered less than a lower one did, beyond chance."""
    beaten = calibration["high"] < calibration["low"].cummax()
    if not beaten.any():
        return ""
    place = int(calibration.loc[beaten, "decile"].max())
    return f", though not among the lowest {place} tenths, of which a lower one ordered more, beyond chance"


def calibration_table(calibration: pd.DataFrame) -> Html:
    """Forecast and observed shares by tenths of the customers."""
    return table_of(
        pd.DataFrame(
            {
                "tenth": calibration["decile"].map("{:.0f}".format),
                "customers": calibration["customers"].map("{:,}".format),
                "forecast": calibration["predicted"].map(format_percent),
                "ordered": calibration["observed"].map(format_percent),
                "95% interval": [
                    f"{format_percent(row.low)} to {format_percent(row.high)}"
                    for row in calibration.itertuples()
                ],
            }
        ),
        caption="Customers by tenths of their forecast chance to order, lowest first, and the share who did order.",
        numeric=("customers", "forecast", "ordered", "95% interval"),
    )
