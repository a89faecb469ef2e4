"""Sentences on whether segments hold up: stability, starts, margins, sensitivity."""

from __future__ import annotations

import pandas as pd

from segmentation.book.behind import FEW, HIDDEN
from segmentation.book.words.other_dates import as_they_stand
from segmentation.book.words.text import (
    Html,
    as_many,
    dollars,
    from_the_top,
    in_group,
    interval,
    listed,
    of_kind,
    plural,
    score_range,
    table_of,
)
from segmentation.core.columns import format_money, format_percent
from segmentation.core.groups import short_groups
from segmentation.core.limits import (
    BORDERLINE_MARGIN,
    LEAST_AGREEMENT,
    LEAST_CUSTOMERS,
    LEAST_PUBLISHED,
    LITTLE_MOVED,
    MUCH_MOVED,
    SAME_INERTIA,
    SENSITIVE,
)
from segmentation.evidence.stability import TOO_FEW

NOT_TESTED = (
    "There is one segment or too few customers, or the segments are labels of the analyst's own, "
    "so there is nothing to test."
)


def stability_sentence(
    stability: pd.DataFrame, whole: pd.DataFrame, kinds: list[str], days_unsure: str = ""
) -> str:
    """Would other customers of the same kind give the same segments?

    ``days_unsure`` says why days of orders are not to be counted with, or nothing.
    """
    parts = []
    for kind in kinds:
        rows, overall = of_kind(stability, kind), of_kind(whole, kind).set_index("method")
        if rows.empty:
            parts.append(in_group(kind, kinds) + NOT_TESTED)
            continue
        one = overall.loc["bootstrap"]
        text = (
            f"Drawn anew {int(one['resamples'])} times, customers divide into {_how_alike(one['agreement'])}: "
            f"agreement **{one['agreement']:.2f}** of 1 (adjusted Rand index, "
            f"95% of resamples {one['agreement_low']:.2f} to {one['agreement_high']:.2f}; half of "
            f"the customers alone: {overall.at['subsample', 'agreement']:.2f})."
        )
        text = as_they_stand(f"{text} {_cluster_words(rows)}", days_unsure)
        parts.append(f"{in_group(kind, kinds)}{text}")
    return "\n\n".join(parts)


def _how_alike(agreement: float) -> str:
    return "the same segments" if agreement >= LEAST_AGREEMENT else "segments that differ"


def _cluster_words(rows: pd.DataFrame) -> str:
    unstable = rows[rows["verdict"] == "unstable"]
    uncertain = rows[rows["verdict"] == "uncertain"]
    if len(unstable):
        named = listed([f"{row.segment} ({row.jaccard:.2f})" for row in unstable.itertuples()])
        verb = "is" if len(unstable) == 1 else "are"
        return (
            f"**Unstable:** {named} {verb} below an overlap (Jaccard) of 0.6. Do not build anything on "
            "membership there; other data would draw the border elsewhere."
        )
    if len(uncertain):
        named = listed([f"{row.segment} ({row.jaccard:.2f})" for row in uncertain.itertuples()])
        return f"No segment is unstable; the borders of {named} are uncertain (overlap, Jaccard, below 0.75)."
    few, large = (
        rows[rows["verdict"] == TOO_FEW],
        rows[rows["verdict"] != TOO_FEW],
    )
    if large.empty:
        return "Every segment is too small to say more."
    low = large.loc[large["jaccard"].idxmin()]
    small = [f"{row.segment} (n = {row.customers})" for row in few.itertuples()]
    but = f" {listed(small)} {'is' if len(few) == 1 else 'are'} too small to say." if small else ""
    return (
        f"**{'Every other segment' if small else 'Every segment'} is stable**: the lowest overlap (Jaccard) is "
        f"{low['jaccard']:.2f}, of {low['segment']}.{but}"
    )


def stability_table(stability: pd.DataFrame) -> Html:
    """Overlap and name agreement of every segment."""
    stability = from_the_top(stability)
    rows = pd.DataFrame(
        {
            "group": stability["segment_type"].map(short_groups(stability["segment_type"])),
            "segment": stability["segment"],
            "customers": stability["customers"].map("{:,}".format),
            "overlap": [score_range(row, "jaccard") for row in stability.itertuples()],
            "half of the customers": stability["jaccard_subsample"].map("{:.2f}".format),
            "dissolved": stability["dissolved"].map(format_percent),
            "same name": [
                f"{format_percent(row.same_name)} ({format_percent(row.same_name_low)}–"
                f"{format_percent(row.same_name_high)})"
                for row in stability.itertuples()
            ],
            "verdict": stability["verdict"],
        }
    )
    if stability["segment_type"].nunique() == 1:
        rows = rows.drop(columns="group")
    return table_of(
        rows,
        caption="Stability of every segment over 100 bootstrap resamples (range: 95% of them). Dissolved: share of resamples with an overlap of 0.5 or less. Same name: share of the segment's customers whose segment earns the same name again, over 25 resamples. Below 0.6 a segment is called unstable, from 0.75 stable.",
        numeric=("customers", "overlap", "half of the customers", "dissolved", "same name"),
    )


def names_sentence(stability: pd.DataFrame, kinds: list[str]) -> str:
    """Do customers keep the name of their segment?"""
    parts = []
    for kind in kinds:
        rows = of_kind(stability, kind)
        if rows.empty:
            continue
        least = rows.loc[rows["same_name"].idxmin()]
        text = (
            f"Named again on resamples, on average {format_percent(least['same_name'])} of the "
            f"customers or more keep the name of their segment (least: {least['segment']}, from "
            f"{format_percent(least['same_name_low'])} to {format_percent(least['same_name_high'])} "
            "in 95% of the resamples)."
        )
        if least["same_name_low"] < SENSITIVE:
            text += (
                " In some resamples most of them lose it: the name is less certain than the group."
            )
        if least["same_name"] < SENSITIVE:
            text = (
                f"The *name* {least['segment']} is fragile: only "
                f"{format_percent(least['same_name'])} of its customers get it again on a resample. "
                "Read the facts behind it rather than the name."
            )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts) or NOT_TESTED


def starts_sentence(starts: pd.DataFrame, kinds: list[str]) -> str:
    """How many single starts would have found the published result."""
    parts = []
    for kind in kinds:
        rows = of_kind(starts, kind)
        if rows.empty:
            continue
        n, reached = len(rows), int(rows["reached_best"].sum())
        worst = rows.loc[rows["moved"].idxmax()]
        text = (
            f"**{reached} of {n}** single random starts reach the best solution, or one within "
            f"{SAME_INERTIA:.2%} of its inertia."
        )
        above = format_percent(max(worst["excess"], 0.0))
        if worst["moved"] < LITTLE_MOVED:
            text += f" None would place more than {format_percent(LITTLE_MOVED)} of the customers elsewhere."
        else:
            text += (
                f" The most different one would place {format_percent(worst['moved'])} of the "
                f"customers in another segment (adjusted Rand index {worst['agreement']:.2f}), at an "
                f"inertia {above} above the best"
            )
            text += (
                ": **a single start is not to be trusted here**, so the best of several is kept."
                if worst["moved"] >= MUCH_MOVED
                else "; the start matters little."
            )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts) or NOT_TESTED


def flips_sentence(margin_flips: pd.DataFrame, kinds: list[str]) -> str:
    """Do customers with a low margin really change segment more often?"""
    parts = []
    for kind in kinds:
        rows = of_kind(margin_flips, kind)
        low = rows[rows["margin_to"] <= BORDERLINE_MARGIN + 1e-9]
        high = rows[rows["margin_from"] >= 0.5]
        if low.empty or high.empty:
            continue
        near = (low["flips"] * low["customers"]).sum() / low["customers"].sum()
        far = (high["flips"] * high["customers"]).sum() / high["customers"].sum()
        n = int(rows["customers"].sum())
        share = f"{format_percent(low['customers'].sum() / n)} of {n:,}"
        if low["customers"].sum() < LEAST_CUSTOMERS:
            parts.append(
                in_group(kind, kinds)
                + f"Too few of {n:,} customers are borderline to say whether the margin tells who will move."
            )
            continue
        ends = interval(low["flips_low"].min(), low["flips_high"].max())
        if near > far and low["flips_low"].min() > far:
            text = (
                f"The margin means what it says: borderline customers ({share}, margin below "
                f"{BORDERLINE_MARGIN:g}) change segment in {format_percent(near)} of the resamples ({ends}), "
                f"customers with a margin of 0.5 or more in {format_percent(far)}."
            )
        else:
            text = (
                f"Borderline customers ({share}) change segment in {format_percent(near)} of the "
                f"resamples ({ends}), those with a margin of 0.5 or more in {format_percent(far)}: "
                "here the margin does not tell who will move."
            )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts) or NOT_TESTED


def sensitivity_sentence(sensitivity: pd.DataFrame, kinds: list[str], *, currency: str) -> str:
    """Which choice matters most, and what it does to the top segment."""
    parts = []
    for kind in kinds:
        rows = of_kind(sensitivity, kind)
        others = rows[~rows["is_chosen"].astype(bool)]
        own = rows[rows["is_chosen"].astype(bool)]
        if others.empty or own.empty:
            parts.append(in_group(kind, kinds) + NOT_TESTED)
            continue
        chosen = own.iloc[0]
        one_step = {name: _one_step(rows, chosen, name) for name in SETTINGS}
        known = {name: value for name, value in one_step.items() if value is not None}
        worst = min(known, key=lambda name: known[name])
        best = max(known, key=lambda name: known[name])
        shown = rows.loc[rows["top_customers"] >= LEAST_PUBLISHED, "top_revenue"]
        low, high = shown.min(), shown.max()
        alike = as_many(rows)
        text = (
            f"Of {len(others)} other settings, {int((others['agreement'] >= SENSITIVE).sum())} agree "
            f"with the chosen one to {SENSITIVE} or more (of the {len(alike)} with as many segments, "
            f"{int((alike['agreement'] >= SENSITIVE).sum())}). One step away, the choice of "
            f"**{SETTINGS[worst]}** matters most (adjusted Rand index down to {known[worst]:.2f})"
        )
        text += f", that of {SETTINGS[best]} least ({known[best]:.2f})" if best != worst else ""
        text += (
            f". The segment with the highest spend per customer holds {format_percent(chosen['top_share'])} of "
            f"{plural(int(chosen['customers']), 'customer')} and {dollars(format_money(chosen['top_revenue'], currency))} here; over all "
            f"settings {_of_some(rows)}its revenue lies between {dollars(format_money(low, currency))} and "
            f"{dollars(format_money(high, currency))}."
        )
        if known[worst] < SENSITIVE:
            text += " Such figures belong to this setting; quote them with it."
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts)


SETTINGS = {
    "transform": "the transform",
    "scaler": "the scaler",
    "anomalies": "leaving anomalies out",
    "k": "the number of segments",
    "returns": "the returns policy",
}


def _one_step(rows: pd.DataFrame, chosen: pd.Series, name: str) -> float | None:
    """Lowest agreement when only this setting is changed."""
    same = [other for other in SETTINGS if other != name]
    near = rows[(rows[same] == chosen[same]).all(axis=1) & (rows[name] != chosen[name])]
    return float(near["agreement"].min()) if len(near) else None


def _of_some(rows: pd.DataFrame) -> str:
    few = (rows["top_customers"] < LEAST_PUBLISHED).any()
    return f"that put {LEAST_PUBLISHED} customers or more into it " if few else ""


def sensitivity_table(sensitivity: pd.DataFrame, *, currency: str) -> Html:
    """Every cell of the panel."""
    rows = pd.DataFrame(
        {
            "group": sensitivity["segment_type"].map(short_groups(sensitivity["segment_type"])),
            "returns": sensitivity["returns"],
            "transform": sensitivity["transform"],
            "scaler": sensitivity["scaler"],
            "anomalies": sensitivity["anomalies"],
            "k": sensitivity["k"].map("{:.0f}".format),
            "agreement": [score_range(row, "agreement") for row in sensitivity.itertuples()],
            "top segment": sensitivity["top_customers"].map("{:,.0f}".format),
            "share": sensitivity["top_share"].map(format_percent),
            "revenue": [format_money(value, currency) for value in sensitivity["top_revenue"]],
            "": ["in use" if used else "" for used in sensitivity["is_chosen"]],
        }
    )
    few = (sensitivity["top_customers"] < LEAST_PUBLISHED).to_numpy()
    rows.loc[few, ["top segment", "share", "revenue"]] = [FEW, HIDDEN, HIDDEN]
    for name in ("group", "returns"):
        if rows[name].nunique() <= 1:
            rows = rows.drop(columns=name)
    return table_of(
        rows,
        caption="Other settings: agreement with the segments in use (adjusted Rand index, 95% interval) and size and revenue of the top segment. Each cell is what a run with these parameters gives; anomalies out is anomalies_in_fit: false (centres fitted without flagged customers, everybody assigned afterwards).",
        numeric=("k", "agreement", "top segment", "share", "revenue"),
    )
