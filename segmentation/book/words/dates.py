"""Sentences and tables about exchanged days and months: the evidence, and both outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from segmentation.book.words.text import Html, dollars, plural, table_of
from segmentation.core.columns import format_money, format_percent
from segmentation.core.groups import SEGMENT_TYPES, group_labels
from segmentation.core.limits import PRECISION_DAYS

REPAIR_WORDS = {"off": "as found", "swap_day_month": "day and month exchanged"}
_USED = {"off": "as found", "swap_day_month": "with day and month exchanged"}
EARLY = SEGMENT_TYPES[1]
"""The group of those who ordered before registering."""
NO_DATES = "This source is a customer table: it has no order dates to judge."


def swap_sentence(swap: Mapping[str, Any], findings: pd.DataFrame, repair: pd.DataFrame) -> str:
    """Whether days and months look exchanged, with the evidence and its strength."""
    if not swap:
        return NO_DATES
    order = swap["order_date"]
    if order["strength"] == "none":
        return _no_sign(order, swap)
    outcomes = repair.set_index("date_repair")
    before, after = outcomes.loc["off"], outcomes.loc["swap_day_month"]
    n = order["rows_outside"]
    back = n - order["rows_outside_repaired"]
    points = [
        f"{plural(n, 'line')} of {order['rows']:,} lie in "
        f"{plural(order['months_outside'], 'month')} outside {order['first_month']} to "
        f"{order['last_month']}, and **all of them on days 1 to 12**; spread evenly, about "
        f"{order['expected_late']:,.0f} would lie later in their month",
        f"exchanging day and month brings **{back:,} of {n:,}** back into the range",
        f"inside the range, {format_percent(before['early_share'])} of lines fall on days 1 to 12, "
        f"after the exchange {format_percent(after['early_share'])}; an even spread has "
        f"{format_percent(_even_share(order))}",
        f"{plural(order['days_missing'], 'day')} of the range "
        f"{'has' if order['days_missing'] == 1 else 'have'} no line, after the exchange "
        f"{order['days_missing_repaired']:,}",
    ]
    early = findings.set_index("finding")["rows"].get("order_before_any_registration", 0)
    if early and early > 0:
        points.append(f"{plural(int(early), 'line')} are dated before anybody had registered")
    text = [
        f"**Day and month of `order_date` look exchanged wherever the day is at most 12; the "
        f"evidence is {order['strength']}.** Dates were probably written with the day first and "
        "read with the month first, or the other way round:",
        "",
        *(f"- {point}" for point in points),
    ]
    return "\n".join([*text, "", _registered_words(swap)])


def _even_share(order: Mapping[str, Any]) -> float:
    months = pd.period_range(order["first_month"], order["last_month"], freq="M")
    return 12 * len(months) / sum(months.days_in_month)


def _no_sign(order: Mapping[str, Any], swap: Mapping[str, Any]) -> str:
    harm = order["rows_outside_repaired"]
    text = (
        "There is **no sign that day and month were exchanged** in `order_date`: no two months "
        "outside the range of the data hold days 1 to 12 only."
    )
    if harm > order["rows_outside"]:
        text += (
            f" Left as found, {plural(order['rows_outside'], 'line')} lie outside "
            f"{order['first_month']} to {order['last_month']}, the months with a day after the "
            f"12th; exchanging would put {harm:,} of {order['rows']:,} there. `date_repair` would "
            "spoil true dates and should stay off."
        )
    else:
        text += " `date_repair` should stay off."
    return f"{text} {_registered_words(swap)}".strip()


def _registered_words(swap: Mapping[str, Any]) -> str:
    if "registered_date" not in swap:
        return ""
    if swap["registered_date"]["strength"] == "none":
        return "`registered_date` shows no such sign and is never changed."
    return (
        "`registered_date` shows the sign as well; `date_repair` changes order dates only, so "
        "correct registrations in the SELECT."
    )


def repair_table(repair: pd.DataFrame, *, currency: str) -> Html:
    """Both outcomes side by side: dates as found, and with day and month exchanged."""
    if repair.empty:
        return Html("", "")
    words: dict[str, Callable[[Any], str]] = {
        "first order": lambda row: row.first_order,
        "last order": lambda row: row.last_order,
        "lines in months outside the range": lambda row: f"{row.lines_outside:,}",
        "days without a line": lambda row: f"{row.days_missing:,}",
    }
    if repair["median_wait"].notna().any():
        words |= {
            "middle customer, registration to first order": lambda row: _days(row.median_wait),
            "ordered before registering, customers": lambda row: (
                f"{row.pre_register:,} of {row.customers:,}"
            ),
            "… their revenue": lambda row: _money(row.pre_register_revenue, currency),
            "… the middle one spent": lambda row: _money(row.pre_register_median_spent, currency),
            "… longest lead before registration": lambda row: _days(row.longest_early),
            "… within 31 days of registration": lambda row: _of(row.within_precision, row),
            "… in the calendar month of registration": lambda row: _of(row.same_month, row),
        }
    outcomes = {REPAIR_WORDS[row.date_repair]: row for row in repair.itertuples()}
    rows = [
        {"": name} | {outcome: say(row) for outcome, row in outcomes.items()}
        for name, say in words.items()
    ]
    return table_of(
        pd.DataFrame(rows),
        caption="Both outcomes: order dates as found, and with day and month exchanged.",
        numeric=tuple(outcomes),
    )


def _days(value: float) -> str:
    return "–" if pd.isna(value) else plural(round(value), "day")


def _of(part: int, row: Any) -> str:
    if not row.pre_register:
        return "–"
    return f"{part:,} ({format_percent(part / row.pre_register)} of {row.pre_register:,})"


def repair_sentence(repair: pd.DataFrame, *, date_repair: str) -> str:
    """Which outcome this report uses, and how to get the other."""
    if repair.empty:
        return ""
    other = "off" if date_repair != "off" else "swap_day_month"
    return (
        f"**This report uses the dates {_USED[date_repair]}** (`date_repair: {date_repair}`); a run with "
        f"`date_repair: {other}` shows the rest of it the other way. Best of all, have the source "
        "export its dates as YYYY-MM-DD: only the source knows them."
    )


def precision_sentence(features: pd.DataFrame, findings: pd.DataFrame) -> str:
    """How many early orders a registration date that is right to the month would explain."""
    if "register_to_order" not in features.columns:
        return ""
    early = -features.loc[features["register_to_order"] < 0, "register_to_order"]
    if early.empty:
        return "Nobody ordered before registering."
    near = int((early <= PRECISION_DAYS).sum())
    text = (
        f"Of {plural(len(early), 'customer')} who ordered before registering, **{near:,}** "
        f"({format_percent(near / len(early))}) did so by {PRECISION_DAYS} days or less, which a "
        "registration date that is right to the month could not tell from the other order of "
        "things."
    )
    found = set(findings.loc[findings["rows"] > 0, "finding"])
    if "coarse_registration" in found:
        text += " Here the day of registration was filled in, so take these for unproven."
    if "swapped_dates" in found:
        text += (
            " Order dates look exchanged as well: the chapter *Data understanding* shows who would "
            "change groups."
        )
    return text


def moves_table(group_moves: pd.DataFrame, *, currency: str) -> Html:
    """The counterfactual: who would be in which registration group under the repair."""
    if len(group_moves) == 0 or group_moves["as_found"].nunique() < 2:
        return Html("", "")
    words = group_labels({*group_moves["as_found"], *group_moves["repaired"]})
    rows = pd.DataFrame(
        {
            "dates as found": group_moves["as_found"].map(words),
            "day and month exchanged": group_moves["repaired"].map(words),
            "customers": group_moves["customers"].map("{:,}".format),
            "revenue": [_money(amount, currency) for amount in group_moves["revenue"]],
        }
    )
    return table_of(
        rows,
        caption="Counterfactual: registration groups under both outcomes, same customers.",
        numeric=("customers", "revenue"),
    )


def moves_sentence(group_moves: pd.DataFrame, repair: pd.DataFrame, *, currency: str) -> str:
    """How much of the pre-registration group stays, and how much of it is real."""
    if len(group_moves) == 0 or repair["pre_register"].sum() == 0:
        return ""
    moved = group_moves[group_moves["as_found"] != group_moves["repaired"]]
    n, total = int(moved["customers"].sum()), int(group_moves["customers"].sum())
    revenue, all_revenue = sum(moved["revenue"]), sum(group_moves["revenue"])
    before, after = (row.pre_register for row in repair.itertuples())
    share = format_percent(float(revenue / all_revenue)) if all_revenue else "0%"
    text = (
        f"The group of customers who ordered before registering goes from {before:,} to "
        f"{after:,}, but **{n:,} of {plural(total, 'customer')}** ({format_percent(n / total)}) with "
        f"{dollars(_money(revenue, currency))} ({share} of revenue) would change groups: a net "
        "change says little about who is in the group."
    )
    return f"{text}\n\n{_precision(repair)}"


def _is_effect_of_days(repair: pd.DataFrame) -> bool:
    """Whether all who ordered before registering did so in the same month, with dates put right."""
    row = repair.set_index("date_repair").loc["swap_day_month"]
    return bool(row["same_month"] == row["pre_register"] > 0)


def early_group_sentence(repair: pd.DataFrame, findings: pd.DataFrame, kinds: Sequence[str]) -> str:
    """That nobody surely ordered before registering, where that group is one of the pages'."""
    filled_in = (findings["finding"] == "coarse_registration") & (findings["rows"] > 0)
    if EARLY not in kinds or repair.empty or not filled_in.any() or not _is_effect_of_days(repair):
        return ""
    return (
        f"**No customer surely {group_labels(kinds)[EARLY]}**: with day and month of orders put right "
        "each of that group did so in the month of the registration, whose day was filled in. "
        "The group is an effect of days: no offer should hang on it, though segments and plays are made within it."
    )


def _precision(repair: pd.DataFrame) -> str:
    row = repair.set_index("date_repair").loc["swap_day_month"]
    off = repair.set_index("date_repair").loc["off"]
    n = int(row["pre_register"])
    if not n:
        return "After the exchange nobody ordered before registering."
    text = (
        f"How early is early? A registration date that is right to the month may be off by up to "
        f"31 days. As found, {off['within_precision']:,} of {off['pre_register']:,} lie within "
        f"that; after the exchange, **{row['within_precision']:,} of {n:,}**, and "
        f"{row['same_month']:,} of them ordered in the calendar month of their registration."
    )
    if _is_effect_of_days(repair):
        text += (
            " Not one of them is surely an order before registration: with registration known to "
            "the month, the group is an effect of its day."
        )
    return text


def _money(value: Any, currency: str) -> str:
    return format_money(float(value), currency)


def season_sentence(quarters: Iterable[str], as_of: str | None) -> str:
    """That nothing known before was of the season of which it is said what comes anyway."""
    days = list(quarters)
    if not days or not as_of:
        return ""
    if any(day.startswith(f"{int(as_of[:4]) - 1}{as_of[4:7]}") for day in days):
        return ""
    return (
        "What comes anyway is told by quarters of other seasons than the next: expect it to differ."
    )
