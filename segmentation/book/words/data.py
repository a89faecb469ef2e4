"""Sentences about the data: source, cleaning, features, exploration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from segmentation.book.words.text import (
    Html,
    as_sentence,
    dollars,
    group_words,
    half_words,
    label,
    listed,
    plural,
    shown,
    table_of,
)
from segmentation.book.words.warnings import WARNED, exchanged_words, flag_words
from segmentation.core.columns import (
    FEATURES,
    RULE_WORDS,
    format_money,
    format_percent,
    format_value,
)
from segmentation.core.limits import FAR_OUT, SKEWED, STRONG_CORRELATION
from segmentation.orders.days_unsure import LOOK_EXCHANGED, left_exchanged

NO_ORDERS = "This source is a customer table: it has no orders, so there is nothing to say here."


def banner(
    overview: dict[str, Any],
    swap: Mapping[str, Any] | None = None,
    findings: pd.DataFrame | None = None,
) -> Html:
    """What every page must say first: data made up, days not what they seem, a flag not used.

    Parameters
    ----------
    swap : mapping of column to evidence of exchanged day and month, optional
    findings : DataFrame of the run, optional
        Of these only a flag that may halve all revenue is said on every page.
    """
    said = dict.fromkeys(exchanged_words(left_exchanged(overview, swap or {})), WARNED)
    if findings is not None:
        said |= dict.fromkeys(flag_words(findings), WARNED)
    if overview["synthetic"]:
        made_up = (
            "Synthetic data: made up by a seeded generator, so nothing here is true of a real shop."
        )
        said = {made_up: "synthetic"} | said
    markup = "".join(f'<p class="{kind}">{one}</p>' for one, kind in said.items())
    return Html(markup, " ".join(re.sub("</?code>", "`", one) for one in said))


def overview_sentence(overview: dict[str, Any], lines: pd.DataFrame, *, currency: str) -> str:
    """How much data there is, once invalid lines are set aside."""
    if overview["is_customer_table"]:
        return (
            f"The table holds **{plural(overview['customers'], 'customer')}** with their features "
            "already computed; cleaning and feature steps were done elsewhere and are not "
            "checked here."
        )
    row = lines.iloc[0]
    revenue = dollars(format_money(row["revenue"], currency))
    days = (pd.Timestamp(overview["last_order"]) - pd.Timestamp(overview["first_order"])).days + 1
    return (
        f"Of {overview['raw_rows']:,} lines in the source, **{row['lines']:,.0f}** count as sales. "
        f"They make **{plural(int(row['orders']), 'order')}** by "
        f"**{plural(int(row['customers']), 'customer')}** over {days:,} days, worth **{revenue}**. "
        f"The middle line is worth {dollars(format_money(row['median_line'], currency))}; "
        f"the largest, {dollars(format_money(row['largest_line'], currency))}, is "
        f"{format_percent(row['largest_line'] / row['revenue'] if row['revenue'] else 0)} "
        "of all revenue."
    )


def column_table(raw_columns: pd.DataFrame) -> Html:
    """Missing and distinct values of every raw column."""
    rows = pd.DataFrame(
        {
            "file": raw_columns["file"],
            "column": raw_columns["column"],
            "read as": raw_columns["type"],
            "rows": raw_columns["rows"].map("{:,}".format),
            "missing": [
                f"{n:,} ({format_percent(n / rows)})" if n else "0"
                for n, rows in zip(raw_columns["missing"], raw_columns["rows"], strict=True)
            ],
            "distinct": raw_columns["distinct"].map("{:,}".format),
        }
    )
    return table_of(
        rows,
        caption="Raw columns as found, before any rule. Values are not shown: they may identify people.",
        numeric=("rows", "missing", "distinct"),
    )


def column_sentence(raw_columns: pd.DataFrame) -> str:
    """Which raw columns have gaps."""
    gaps = raw_columns[raw_columns["missing"] > 0]
    total = (
        f"{plural(len(raw_columns), 'column')} in {plural(raw_columns['file'].nunique(), 'file')}"
    )
    same = raw_columns[(raw_columns["distinct"] == 1) & (raw_columns["rows"] > 1)]
    columns = [f"`{row.column}` of `{row.file}`" for row in same.head(3).itertuples()]
    idle = (
        f" The same value throughout, so it tells nothing: {listed(columns)}."
        if len(same) == 1
        else f" {len(same)} hold one value throughout, so they tell nothing, such as "
        f"{listed(columns)}."
        if len(same)
        else ""
    )
    if gaps.empty:
        return f"No value is missing in any of the {total}.{idle}"
    worst = gaps.sort_values(["missing", "column"], ascending=[False, True])
    named = listed(
        [
            f"`{row.column}` of `{row.file}` ({format_percent(row.missing / row.rows)} of {row.rows:,})"
            for row in worst.head(3).itertuples()
        ]
    )
    verb = "has" if len(gaps) == 1 else "have"
    return f"Of {total}, {len(gaps)} {verb} missing values, most of all {named}.{idle}"


def ledger_sentence(ledger: pd.DataFrame, *, currency: str) -> str:
    """What cleaning set aside, and that the ledger adds up."""
    raw, kept = ledger.iloc[0], ledger.iloc[-1]
    taken = ledger.iloc[1:-1]
    adds_up = raw["rows"] == taken["rows"].sum() + kept["rows"] and raw["amount"] == (
        sum(taken["amount"]) + kept["amount"]
    )
    check = (
        f"Lines and money add up exactly: {raw['rows']:,} lines and {raw['amount']:,} {currency}."
        if adds_up
        else "**The ledger does not add up; do not use this report.**"
    )
    hit = taken[taken["rows"] > 0].sort_values("rows", ascending=False)
    if hit.empty:
        return f"No line is set aside. {check}"
    named = listed(
        [f"{RULE_WORDS[row.rule]} ({plural(row.rows, 'line')})" for row in hit.head(3).itertuples()]
    )
    lines = plural(int(raw["rows"]), "line")
    share = f"{format_percent(int(taken['rows'].sum()) / raw['rows'])}** of {lines}"
    return (
        f"Rules set aside **{share}, most of all: {named}. "
        f"They carry {sum(taken['amount']):,} {currency} in all; "
        f"**{kept['amount']:,} {currency}** is kept. {check}"
    )


def feature_table(features: pd.DataFrame, *, currency: str, names: Sequence[str]) -> Html:
    """Lowest, middle and highest value of every feature, marked where the model uses it."""
    rows = []
    for name in [n for n in FEATURES if n in features.columns]:
        values = features[name].dropna()
        quantiles = (
            values.quantile([0, 0.25, 0.5, 0.75, 1]) if len(values) else pd.Series([np.nan] * 5)
        )
        texts = [format_value(v, name, currency) for v in quantiles]
        rows.append(
            {
                "feature": FEATURES[name].label,
                "in the model": "yes" if name in names else "",
                "customers": f"{len(values):,}",
                "lowest": texts[0],
                "quarter below": texts[1],
                "middle": texts[2],
                "quarter above": texts[3],
                "highest": texts[4],
                "meaning": FEATURES[name].meaning,
            }
        )
    return table_of(
        pd.DataFrame(rows),
        caption="Features, one value per customer.",
        numeric=("customers", "lowest", "quarter below", "middle", "quarter above", "highest"),
    )


def group_sentence(features: pd.DataFrame, *, currency: str) -> str:
    """How many customers are in each registration group, and why they are kept apart."""
    sizes = features["segment_type"].value_counts()
    total = len(features)
    if len(sizes) == 1 and sizes.index[0] == "normal":
        if "register_to_order" not in features.columns:
            return f"The source knows no registration dates, so all {total:,} customers form one group."
        return f"All {total:,} customers form one group."
    revenue = features.groupby("segment_type")["total_spent"].sum()
    parts = [
        f"- {plural(int(sizes[kind]), 'customer')} {group_words(kind, sizes.index)}: "
        f"{format_percent(sizes[kind] / total)} of all {total:,}, "
        f"{format_percent(revenue[kind] / revenue.sum() if revenue.sum() else 0)} of "
        f"{dollars(format_money(revenue.sum(), currency))} revenue"
        for kind in ("normal", "pre_register", "unregistered")
        if kind in sizes.index
    ]
    return "\n".join(
        [
            "Each registration group gets a model of its own, because its features mean other things:",
            "",
            *parts,
        ]
    )


def skew_sentence(features: pd.DataFrame, *, names: Sequence[str], transform: str) -> str:
    """Which features are heavy-tailed, and what the preparation does about it."""
    skews = {}
    for name in names:
        values = features[name].dropna()
        skews[name] = float(values.skew()) if len(values) > 2 else 0.0
    heavy = sorted((n for n in names if skews[n] > SKEWED), key=lambda n: -skews[n])
    if not heavy:
        return "No feature has a long right tail (skewness above 1), so means describe it fairly."
    named = listed([f"{label(name)} ({skews[name]:.1f})" for name in heavy])
    does = {
        "log": "so the model works on logarithms, where a doubling counts the same everywhere",
        "yeo-johnson": "so the model works on Yeo-Johnson transformed values",
        "none": "and the model uses them untransformed: a few extreme customers weigh heavily",
    }[transform]
    return f"Long right tails (skewness above {SKEWED:g}): {named}; {does}."


def relationship_sentence(features: pd.DataFrame, *, names: Sequence[str]) -> str:
    """The strongest rank correlations, and which features say nearly the same."""
    varying = [n for n in names if features[n].nunique() > 1]
    if len(varying) < 2:
        return "There are not two features that vary, so there is no relationship to show."
    ranks = features[varying].corr(method="spearman").to_numpy()
    upper = [
        (abs(ranks[i, j]), ranks[i, j], varying[i], varying[j])
        for i in range(len(varying))
        for j in range(i + 1, len(varying))
        if np.isfinite(ranks[i, j])
    ]
    upper.sort(key=lambda item: (-item[0], item[2], item[3]))
    strongest = upper[0]
    direction = "rise together" if strongest[1] > 0 else "move in opposite directions"
    text = (
        f"The strongest relationship: {label(strongest[2])} and {label(strongest[3])} "
        f"{direction} (Spearman {strongest[1]:.2f}, n = {len(features):,})."
    )
    close = [item for item in upper if item[0] >= STRONG_CORRELATION]
    if len(close) > 1:
        text += (
            f" {len(close)} of {len(upper)} pairs reach {STRONG_CORRELATION:g}; features that "
            "say nearly the same count double in a distance."
        )
    return text


def outlier_sentence(features: pd.DataFrame, *, names: Sequence[str], currency: str) -> str:
    """How many customers lie beyond the far-out fence, and what they are worth."""
    counts, far, unfenced = {}, pd.Series(False, index=features.index), []
    for name in names:
        lower, upper = features[name].quantile([0.25, 0.75])
        if lower == upper:  # a fence of no width would call everybody else far out
            unfenced.append(label(name))
            continue
        beyond = features[name] > upper + FAR_OUT * (upper - lower)
        counts[name] = int(beyond.sum())
        far |= beyond
    total = len(features)
    has = "has" if len(unfenced) == 1 else "have"
    note = (
        f" {as_sentence(listed(unfenced))[:-1]} {has} no fence, because half of all customers or "
        "more share one value there."
        if unfenced
        else ""
    )
    if not far.any():
        return f"No customer of {total:,} lies beyond the far-out fence of any feature.{note}"
    worst = max(counts, key=lambda name: counts[name])
    spent = features["total_spent"]
    share = spent[far].sum() / spent.sum() if spent.sum() else 0.0
    return (
        f"**{format_percent(far.mean())}** of {plural(total, 'customer')} lie beyond the far-out fence (third "
        f"quartile + {FAR_OUT:g} interquartile ranges) of at least one feature and bring "
        f"{format_percent(share)} of revenue; {label(worst)} has most ({counts[worst]:,}). They are "
        f"kept: the best customers are outliers too.{note}"
    )


def concentration_sentence(features: pd.DataFrame, shares: pd.DataFrame) -> str:
    """How much of the revenue the best customers bring; ``shares`` as `concentration` gives them."""
    spent = np.sort(features["total_spent"].to_numpy())[::-1]
    total = spent.sum()
    if total <= 0:
        return "There is no revenue to share out."
    cumulative = np.cumsum(spent) / total

    def top(share: float) -> float:
        return float(cumulative[max(1, int(np.ceil(share * len(spent)))) - 1])

    half = int(np.searchsorted(cumulative, 0.5 - 1e-12) + 1)
    return (
        f"The top 1% of customers bring {format_percent(top(0.01))} of revenue, the top 10% "
        f"{format_percent(top(0.1))}, the top 20% **{format_percent(top(0.2))}** "
        f"(n = {len(spent):,}). Half of all revenue comes from **{plural(half, 'customer')}** "
        f"({format_percent(half / len(spent))}{half_words(shares)})."
    )


def cohort_sentence(
    cohorts: pd.DataFrame, *, last_day: str | None = None, days_unsure: str = ""
) -> str:
    """How many customers of a month come back in later months; nothing where days are unsure.

    A month that ends after ``last_day``, the last day of observation, is not whole: whoever
    could be followed into it only has not been followed that long.
    """
    if cohorts.empty:
        return NO_ORDERS
    if days_unsure:
        return f"Who came back in which month is not told: {LOOK_EXCHANGED}."
    later = cohorts[cohorts["months_since"] > 0]
    if later.empty:
        return "No customer ordered again in a later month."
    month = cohorts["cohort"].dt.year * 12 + cohorts["cohort"].dt.month
    end, cut = (month + cohorts["months_since"]).max(), ""
    last = pd.Timestamp(last_day) if last_day else None
    if last is not None and not last.is_month_end and end == last.year * 12 + last.month:
        end, cut = end - 1, f" {last:%B %Y} is not complete and left out of this."
    first = cohorts["months_since"] == 0
    text = []
    for months in (1, 3, 6, 12):
        followed = month + months <= end
        back = cohorts[followed & (cohorts["months_since"] == months)]
        size = int(cohorts.loc[followed & first, "cohort_size"].sum())
        if size:
            text.append(
                f"{format_percent(back['customers'].sum() / size)} in month {months} (n = {size:,})"
            )
    if not text:
        return "No month is far enough back to see customers return."
    return (
        "Of the customers who could be followed that long, these shares ordered again in the "
        f"given month after their first order: {listed(text)}.{cut}"
    )


def typical(features: pd.DataFrame, name: str, currency: str) -> str:
    """Median of a feature, formatted."""
    return shown(features[name].median(), name, currency)
