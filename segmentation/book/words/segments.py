"""Sentences about segments: who they are, what to do, how to use the results."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.words.cards import truth_sentence
from segmentation.book.words.text import (
    Html,
    customers_of,
    dollars,
    highest_first,
    in_group,
    in_runs,
    inert,
    label,
    listed,
    named,
    plural,
    shown,
    table_of,
)
from segmentation.core.columns import (
    FEATURES,
    SEGMENT_COLUMNS,
    format_money,
    format_percent,
    format_value,
)
from segmentation.core.limits import ALIKE_PRICES, BORDERLINE_MARGIN, STRONG_LOADING
from segmentation.core.rule_files import with_names
from segmentation.segments.names import fact_sentence


def share_sentence(profile: pd.DataFrame, *, currency: str) -> str:
    """Which segment brings the most, and how far money and heads differ."""
    total = int(profile["customers"].sum())
    ranked = profile.assign(revenue=profile["revenue"].astype(float)).sort_values(
        ["revenue", "segment_type", "cluster"], ascending=[False, True, True]
    )
    best = ranked.iloc[0]
    name = named(best["segment"], best["segment_type"], list(profile["segment_type"]))
    text = (
        f"**{name}**: {format_percent(best['customers_share'])} of {plural(total, 'customer')} "
        f"bring **{format_percent(best['revenue_share'])}** of revenue "
        f"({dollars(format_money(best['revenue'], currency))})."
    )
    largest = profile.sort_values(
        ["customers", "segment_type", "cluster"], ascending=[False, True, True]
    ).iloc[0]
    if (largest["segment_type"], largest["cluster"]) != (best["segment_type"], best["cluster"]):
        name = named(largest["segment"], largest["segment_type"], list(profile["segment_type"]))
        text += (
            f" The largest segment, {name}, has {format_percent(largest['customers_share'])} "
            f"of customers and {format_percent(largest['revenue_share'])} of revenue."
        )
    return text


TYPICAL = ("total_spent", "frequency", "average_order_value", "recency")
"""What a row of segments says of the typical customer; each segment's card says the rest."""


def profile_table(profile: pd.DataFrame, *, currency: str) -> Html:
    """Size, revenue and typical customer of every segment."""
    known = [name for name in FEATURES if f"{name}_median" in profile.columns]
    names = [name for name in TYPICAL if name in known] or known[: len(TYPICAL)]
    profile = highest_first(profile)
    kinds = list(profile["segment_type"])
    rows = pd.DataFrame(
        {
            "segment": [named(s, k, kinds) for s, k in zip(profile["segment"], kinds, strict=True)],
            "customers": [
                f"{n:,} ({format_percent(share)})"
                for n, share in zip(profile["customers"], profile["customers_share"], strict=True)
            ],
            "revenue": [
                f"{format_money(float(money), currency)} ({format_percent(share)})"
                for money, share in zip(profile["revenue"], profile["revenue_share"], strict=True)
            ],
        }
    )
    for name in names:
        rows[label(name)] = [
            format_value(value, name, currency) for value in profile[f"{name}_median"]
        ]
    return table_of(
        rows,
        caption=f"Segments; for each feature the median customer. n = {profile['customers'].sum():,}.",
        numeric=("customers", "revenue", *(label(name) for name in names)),
    )


def profile_sentence(profile: pd.DataFrame, *, currency: str) -> str:
    """Typical spend from the lowest to the highest segment of every group."""
    kinds = list(dict.fromkeys(profile["segment_type"]))
    parts = []
    for kind in kinds:
        rows = highest_first(profile[profile["segment_type"] == kind])
        if len(rows) == 1:
            row = rows.iloc[0]
            parts.append(
                f"{in_group(kind, kinds)}One segment of {plural(int(row['customers']), 'customer')}, "
                f"median spend {shown(row['total_spent_median'], 'total_spent', currency)}."
            )
            continue
        steps = listed(
            [
                f"{shown(row['total_spent_median'], 'total_spent', currency)} in {row['segment']}"
                for _, row in rows.iterrows()
            ]
        )
        parts.append(f"{in_group(kind, kinds)}The median customer spent {steps}.")
    return "\n\n".join(parts)


def facts_list(
    facts: pd.DataFrame, profile: pd.DataFrame, naming_rules: dict[str, Any], *, currency: str
) -> str:
    """Each name with its rule in words and the facts that earned it."""
    parts = []
    given = with_names(naming_rules)
    kinds, said_before = list(profile["segment_type"].unique()), ""
    for row in highest_first(profile).itertuples():
        own = facts[(facts["segment_type"] == row.segment_type) & (facts["cluster"] == row.cluster)]
        who = f", {customers_of(row.segment_type, kinds)}" if len(kinds) > 1 else ""
        parts.append(f"**{row.segment}**{who} ({plural(row.customers, 'customer')})")
        if own.empty:
            parts.append(
                "\n- one segment holds the whole group, so there is nothing to tell apart\n"
            )
            continue
        sentences, rule = [], given.get(row.segment, {}).get("words", "")
        if row.segment not in given:
            sentences = ["- no rule names it, so it is described by what sets it apart"]
        elif rule and rule != said_before:
            sentences = [f"- rule: {inert(rule)}"]
        elif rule:
            sentences = ["- the same rule"]
        said_before = rule
        if truth := truth_sentence(own, row.customers):
            sentences.append(f"- {truth}")
        sentences += [
            f"- {dollars(fact_sentence(fact, currency=currency))}" for _, fact in own.iterrows()
        ]
        parts.append("\n".join(["", *sentences, ""]))
    return "\n".join(parts)


def margin_sentence(customers: pd.DataFrame) -> str:
    """How many customers could as well be in the neighbouring segment."""
    known = customers.dropna(subset="margin")
    if known.empty:
        return "Every group has one segment, so no customer is between two."
    borderline = known["margin"] < BORDERLINE_MARGIN
    share = format_percent(borderline.mean())
    keys = [known["segment_type"], known["segment"]]
    worst = borderline.groupby(keys).mean().sort_values(kind="stable")
    kind, segment = worst.index[-1]
    name = named(segment, kind, list(customers["segment_type"].unique()))
    return (
        f"**{share}** of {plural(len(known), 'customer')} are borderline: their margin is below {BORDERLINE_MARGIN:g}, so "
        f"the next segment is almost as near as their own. {name} has the largest share "
        f"of them ({format_percent(worst.iloc[-1])}). They are on the lists too: send them "
        "only what the next segment may see as well."
    )


def scatter_sentence(customers: pd.DataFrame, profile: pd.DataFrame, *, currency: str) -> str:
    """What the scatter of spend by units shows, segment by segment."""
    if "total_unit" not in customers.columns:
        return "The source does not tell units, so the chart uses another feature across."
    kinds = list(dict.fromkeys(profile["segment_type"]))
    parts = []
    for kind in kinds:
        rows = profile[profile["segment_type"] == kind]
        paid = rows.assign(
            per_unit=rows["revenue"].astype(float)
            / (rows["total_unit_mean"] * rows["customers"]).where(lambda units: units > 0)
        ).dropna(subset="per_unit")
        if len(paid) < 2:
            parts.append(in_group(kind, kinds) + "One segment: there is nothing to compare.")
            continue
        low, high = paid.loc[paid["per_unit"].idxmin()], paid.loc[paid["per_unit"].idxmax()]
        if low["segment"] == high["segment"]:
            parts.append(in_group(kind, kinds) + "All segments pay the same for a unit.")
            continue
        if high["per_unit"] < ALIKE_PRICES * low["per_unit"]:
            parts.append(
                f"{in_group(kind, kinds)}A unit brings about the same from every segment: "
                f"{shown(low['per_unit'], 'total_spent', currency)} to "
                f"{shown(high['per_unit'], 'total_spent', currency)}."
            )
            continue
        parts.append(
            f"{in_group(kind, kinds)}A unit brings {shown(low['per_unit'], 'total_spent', currency)} "
            f"from {low['segment']} and {shown(high['per_unit'], 'total_spent', currency)} from "
            f"{high['segment']}."
        )
    return "\n\n".join(parts)


def loading_sentence(loadings: pd.DataFrame) -> str:
    """Which features pull each component, in words."""
    kinds = list(dict.fromkeys(loadings["segment_type"]))
    parts = []
    for kind in kinds:
        rows = loadings[loadings["segment_type"] == kind]
        strong = rows[rows["pc1"].abs() >= STRONG_LOADING].sort_values(
            ["pc1", "feature"], ascending=[False, True]
        )
        if len(rows) < 2 or strong.empty:
            continue
        words = [f"{label(row.feature)} ({row.pc1:+.2f})" for row in strong.itertuples()]
        parts.append(f"{in_group(kind, kinds)}Moving right on the map means: {listed(words)}.")
    return "\n\n".join(parts) or "No feature dominates the first component."


def files_table(folder_name: str) -> Html:
    """What a run leaves behind, and for whom."""
    rows = pd.DataFrame(
        [
            (
                "customer_segmentation_output.xlsx",
                "CRM team",
                "summary, whom to call first, a list per segment by value, who slipped, unusual customers, "
                "what to do, what was set aside, what each column means",
            ),
            ("workbook_csv/", "CRM team", "every sheet of the workbook as CSV"),
            (
                "segments.parquet",
                "analyst",
                "one row per customer: features, segment, margin, anomaly",
            ),
            (
                "features.parquet",
                "analyst",
                "one row per customer: every feature the source allows",
            ),
            (
                "campaign_plan.csv, campaign_arms.csv",
                "CRM team",
                "whom to contact and whom to leave alone, segment by segment",
            ),
            (
                "call_first.csv, slipping.csv",
                "CRM team",
                "whom to call first and why; who fell a segment or fell silent",
            ),
            ("profile.csv", "analyst", "size, revenue and typical values of every segment"),
            ("ledger.csv", "controller", "order lines and money: read, set aside and why, kept"),
            (
                "tuning_k.csv, tuning_dbscan.csv",
                "analyst",
                "scores of every number of segments and setting tried",
            ),
            (
                "evidence_*.csv",
                "analyst",
                "stability, sensitivity, hold-out and every other test of this report",
            ),
            ("model/", "engineer", "constants, centres, names and core points; no code, no pickle"),
            (
                "params.yaml, manifest.json, openlineage.json",
                "engineer",
                "what made this run: parameters, versions, hashes, seconds and memory, and the command to "
                "type in the folder of runs; the same for a data catalogue",
            ),
        ],
        columns=["file", "for", "holds"],
    )
    return table_of(rows, caption=f"Files in runs/{folder_name}/")


def scoring_example(features: list[str], folder_name: str) -> str:
    """How to assign new customers with this run's model, on the command line."""
    columns = ", ".join(f"`{name}`" for name in ["customer_id", *features])
    return (
        "```bash\n"
        f"segmentation score {in_runs(folder_name, '/model')} new_customers.csv --output scored.csv\n"
        "```\n\n"
        f"`new_customers.csv` needs the columns {columns}. The answer has "
        f"{listed([f'`{name}`' for name in SEGMENT_COLUMNS])} for every customer, computed by the "
        "same code that made this book."
    )


def parameters_table(rows: pd.DataFrame) -> Html:
    """Every parameter with its value in this run."""
    return table_of(rows, caption="Parameters of this run; `segmentation params` lists them too.")


def versions_table(manifest: dict[str, Any]) -> Html:
    """What this run was made with."""
    rows = [("seed", str(manifest["seed"])), ("observed up to", str(manifest["as_of"] or "–"))]
    rows += [(name, version) for name, version in manifest["versions"].items()]
    rows += [("code", manifest["program"]["code"])]
    rows += [
        (f"input {name}", f"sha256 {entry['sha256']}") for name, entry in manifest["inputs"].items()
    ]
    return table_of(pd.DataFrame(rows, columns=["what", "value"]), caption="Versions and hashes.")
