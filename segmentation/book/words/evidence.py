"""Sentences about silhouettes, anomalies and components."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.behind import told_parts
from segmentation.book.words.text import (
    Html,
    dollars,
    in_group,
    label,
    listed,
    named,
    plural,
    table_of,
    told,
)
from segmentation.core.columns import format_money, format_percent, format_share
from segmentation.core.intervals import Z95_ROUNDED
from segmentation.core.limits import (
    FEW_FLAGS,
    LEAST_PUBLISHED,
    MISPLACED_CLUSTER,
    MOST_SHOWN,
    OVERWEIGHT,
)


def silhouette_sentence(silhouettes: pd.DataFrame, scan: dict[str, Any]) -> str:
    """How many customers sit between segments, and which segment is loosest."""
    parts = []
    kinds = list(dict.fromkeys(silhouettes["segment_type"]))
    for kind in kinds:
        rows = silhouettes[silhouettes["segment_type"] == kind].dropna(subset="silhouette")
        if rows.empty:
            parts.append(in_group(kind, kinds) + "One segment: there is no silhouette to show.")
            continue
        means = rows.groupby("segment")["silhouette"].mean().sort_values()
        negative = (rows["silhouette"] < 0).mean()
        text = (
            f"{format_percent(negative)} of {plural(len(rows), 'customer')} are, on average, more like the "
            "customers of another segment than like those of their own "
            f"(silhouette below 0; mean {rows['silhouette'].mean():.2f}). Tightest is **{means.index[-1]}** "
            f"({means.iloc[-1]:.2f}), loosest **{means.index[0]}** ({means.iloc[0]:.2f})"
        )
        text += (
            ", whose members are hardly closer to each other than to the next segment."
            if means.iloc[0] < MISPLACED_CLUSTER
            else "."
        )
        measured, total = scan[kind]["measured"], scan[kind]["customers"]
        if measured < total:
            error = rows["silhouette"].std() / len(rows) ** 0.5
            text += (
                f" Estimated: {measured:,} of {total:,} customers, drawn with the seed, were measured "
                f"against all; 95% interval of the mean ± {Z95_ROUNDED * error:.3f}."
            )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts)


def anomaly_choice(choice: dict[str, Any]) -> str:
    """Which eps and min_samples were used, and why."""
    kinds = list(choice)
    return "\n\n".join(
        f"{in_group(kind, kinds)}{entry['reason'][0]}{entry['reason'][1:]}."
        for kind, entry in choice.items()
    )


def grid_sentence(tuning_dbscan: pd.DataFrame, choice: dict[str, Any]) -> str:
    """How much the anomaly share depends on the setting."""
    kinds = list(choice)
    parts = []
    for kind in kinds:
        rows = tuning_dbscan[tuning_dbscan["segment_type"] == kind]
        if rows.empty:
            parts.append(in_group(kind, kinds) + "No setting to compare.")
            continue
        eps, count = choice[kind]["eps"], choice[kind]["min_samples"]
        near = rows[(rows["min_samples"] == count) & (rows["eps"] != eps)]
        near = near.sort_values("eps")
        around = pd.concat([near[near["eps"] < eps].tail(1), near[near["eps"] > eps].head(1)])
        own = choice[kind]["anomalies"] / choice[kind]["customers"]
        moved = listed(
            [f"{format_percent(row.noise_share)} at eps {row.eps:g}" for row in around.itertuples()]
        )
        shares = [own, *around["noise_share"]]
        sensitive = max(shares) > 2 * max(min(shares), 1e-9)
        few = max(shares) * choice[kind]["customers"] < FEW_FLAGS
        n, flagged = choice[kind]["customers"], choice[kind]["anomalies"]
        chosen = format_share(own, n)
        if 0 < flagged < LEAST_PUBLISHED:
            chosen = f"{told(flagged)} of {n:,} customers as"
        text = (
            f"Chosen: {chosen} anomalies at eps {eps:g}; "
            f"with the same min_samples it would be {moved}."
        )
        if few:
            text += f" Fewer than {FEW_FLAGS} customers are flagged: too few to say how it depends on eps."
        elif sensitive:
            text += (
                " The share depends strongly on eps: read the flags as a ranking of oddity, not as a "
                "count of problems."
            )
        else:
            text += " The share changes little around the choice."
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts)


def anomaly_sentence(customers: pd.DataFrame, *, currency: str) -> str:
    """How many anomalies there are, what they are worth and where they sit."""
    flagged = customers[customers["is_anomaly"]]
    total = len(customers)
    if flagged.empty:
        return f"No customer of {total:,} is flagged as an anomaly."
    if len(flagged) < LEAST_PUBLISHED:
        few = told(len(flagged), "customer")
        return f"**{few[0].upper()}{few[1:]}** of {total:,} are flagged; of so few neither money nor segment is told."
    revenue = customers["total_spent"].sum()
    share = flagged["total_spent"].sum() / revenue if revenue else 0.0
    money = dollars(format_money(flagged["total_spent"].sum(), currency))
    sits = flagged.groupby(["segment_type", "segment"]).size()
    sits = sits.sort_values(ascending=False, kind="stable")
    kinds = list(customers["segment_type"].unique())
    told_of = told_parts(sits.to_dict())
    where = listed([f"{told_of[key]} in {named(key[1], key[0], kinds)}" for key in sits.index[:3]])
    others = int(sits.iloc[3:].sum())
    rest = f", and {told(others)} elsewhere" if others else ""
    if min(*sits.head(3), others or LEAST_PUBLISHED) < LEAST_PUBLISHED:
        (kind, name), rest = sits.index[0], ""
        where = f"most in {named(name, kind, kinds)}"  # the total would tell
    elif sits.min() < LEAST_PUBLISHED:  # a sum of few tells them: three who are 12 are 4 each
        rest = ", and the others elsewhere"
    weight = share / (len(flagged) / total) if len(flagged) else 0.0
    comparison = (
        f", {weight:.1f} times their share of customers: look at them before anybody removes them"
        if weight >= OVERWEIGHT
        else ""
    )
    return (
        f"**{plural(len(flagged), 'customer')}**, {format_share(len(flagged) / total, total)}, "
        f"{'is' if len(flagged) == 1 else 'are'} flagged. They bring {money}, {format_percent(share)} of revenue{comparison}. "
        f"By segment: {where}{rest}. They keep their segment; the flag is extra information."
    )


def anomaly_reasons_table(customers: pd.DataFrame, *, currency: str) -> Html:
    """How often each reason occurs; one customer may have several."""
    flagged = customers[customers["is_anomaly"]]
    counted = (
        flagged.assign(reason=flagged["anomaly_reasons"].str.split("; "))
        .explode("reason")
        .assign(
            reason=lambda t: (
                t["reason"].str.replace(r" \(.*\)$", "", regex=True).str.split(":").str[0]
            )
        )
        .groupby("reason")["total_spent"]
        .agg(["size", "median"])
        .reset_index()
        .sort_values(["size", "reason"], ascending=[False, True])
    )
    rows = pd.DataFrame(
        {
            "reason": counted["reason"],
            "customers": counted["size"].map("{:,}".format),
            "share of anomalies": [
                format_percent(n / len(flagged)) if len(flagged) else "–" for n in counted["size"]
            ],
            "median spend": [format_money(value, currency) for value in counted["median"]],
        }
    )
    return table_of(
        rows,
        caption=f"Reasons given for the {len(flagged):,} anomalies; one customer may have several.",
        numeric=("customers", "share of anomalies", "median spend"),
    )


def explained_sentence(explained: pd.DataFrame, loadings: pd.DataFrame) -> str:
    """How much of the differences two components show."""
    parts = []
    kinds = list(dict.fromkeys(loadings["segment_type"])) or ["normal"]
    for kind in kinds:
        rows = explained[explained["segment_type"] == kind]["explained"]
        if len(rows) < 2:
            parts.append(in_group(kind, kinds) + "There are too few varying features for a map.")
            continue
        two = rows.iloc[:2].sum()
        caution = (
            "so distances on the map are close to the real ones"
            if two >= MOST_SHOWN
            else "so customers who look close on the map may be far apart in what it hides"
        )
        axes = loadings[loadings["segment_type"] == kind]
        named = [label(str(axes.loc[axes[pc].abs().idxmax(), "feature"])) for pc in ("pc1", "pc2")]
        across = f"across: most of all {named[0]}; up: most of all {named[1]}"
        parts.append(
            f"{in_group(kind, kinds)}Two components show **{format_percent(two)}** of the "
            f"differences between customers, {caution} ({across})."
        )
    return "\n\n".join(parts)
