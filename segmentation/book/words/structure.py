"""Sentences about the number of clusters and about the setting of the anomaly flags."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.behind import told_parts
from segmentation.book.words.text import Html, in_group, listed, of_kind, plural, table_of
from segmentation.core.columns import format_percent
from segmentation.core.groups import group_labels, short_groups
from segmentation.core.limits import (
    AUTO_K_RANGE,
    FEW_FLAGS,
    HARDLY_PULLED,
    ILLUSTRATION,
    LEAST_AGREEMENT,
    LEAST_EXCESS,
    REASONABLE_STRUCTURE,
    STAYS,
    STRONG_STRUCTURE,
    SURE,
    WEAK_STRUCTURE,
)
from segmentation.segments.own_labels import OWN_LABELS

STRUCTURE = (
    (STRONG_STRUCTURE, "strong"),
    (REASONABLE_STRUCTURE, "reasonable"),
    (WEAK_STRUCTURE, "weak"),
)
"""Reading of the mean silhouette (Kaufman and Rousseeuw 1990, table 4)."""

FAILED_WORDS = {
    "gap": "is not clearly tighter than evenly spread points would be",
    "excess": "is not clearly better separated than one cloud cut into pieces",
    "agreement": "does not come back when half of the customers are clustered",
}

_TESTS = (
    f"tighter than evenly spread points by more than {SURE:g} errors of simulation; a silhouette "
    f"at least {LEAST_EXCESS:g} above one cloud's; agreement of halves at least {LEAST_AGREEMENT:g}"
)


def structure_word(silhouette: float) -> str:
    """How much structure a mean silhouette speaks for (Kaufman and Rousseeuw 1990).

    Examples
    --------
    >>> structure_word(0.8), structure_word(0.3), structure_word(0.1)
    ('strong', 'weak', 'no substantial')
    """
    for least, word in STRUCTURE:
        if silhouette >= least:
            return word
    return "no substantial"


def k_choice(k_evidence: pd.DataFrame, rule: dict[str, Any], chosen: dict[str, Any]) -> str:
    """What the evidence says about the number of clusters, and about the one in use."""
    return "\n\n".join(
        in_group(kind, list(chosen))
        + _k_choice(k_evidence[k_evidence["segment_type"] == kind], rule[kind], entry)
        for kind, entry in chosen.items()
    )


def _k_choice(table: pd.DataFrame, rule: dict[str, Any], entry: dict[str, Any]) -> str:
    if entry["note"]:
        return f"{entry['note'][0].upper()}{entry['note'][1:]}."
    by_k = table.set_index("k")
    if entry["asked"] == OWN_LABELS:
        text = own_labels_sentence(entry)
        return text if len(by_k) < 2 else f"{_what_stands(by_k, rule)} {text}"
    if len(by_k) < 2:
        return "The group is too small to compare numbers of segments."
    text = f"{_what_stands(by_k, rule)} {_on_use(by_k, rule, entry)}"
    if entry["customers"] < ILLUSTRATION:
        text += f" So few customers ({entry['customers']:,}) make this an illustration only."
    return text


def own_labels_sentence(entry: dict[str, Any]) -> str:
    """Whose segments they are, and how far a model of nearest centres follows them."""
    share = format_percent(entry["followed"] / entry["customers"])
    return (
        f"This report uses **labels of the analyst's own** instead, {plural(entry['k'], 'segment')}. "
        f"The nearest segment centre gives {share} of {plural(entry['customers'], 'customer')} their label: "
        + (
            "so new customers are scored."
            if entry["exported"]
            else "**too few to score new customers by it**, so the model is not exported."
        )
    )


def _what_stands(by_k: pd.DataFrame, rule: dict[str, Any]) -> str:
    if rule["k"] == 1:
        best = by_k["silhouette"].idxmax()
        reasons = rule["failed"].get(str(best), [])
        why = listed([FAILED_WORDS[name] for name in reasons])
        return (
            f"**No cluster structure**: no number of segments passes all three tests ({_TESTS}). Even "
            f"the best separated split, into {best}, {why}."
        )
    text = (
        f"The scores favour **{plural(rule['k'], 'segment')}**: they lie further apart than pieces of "
        f"one round cloud, and two halves of the customers give {_same(by_k.loc[rule['k']])} "
        f"({_scores(by_k, rule['k'])}). In a smooth range of customers they may lie as far apart: the "
        "chapter *Do the segments hold up?* tries."
    )
    if rule["runner_up"] is None:
        return f"{text} No other number passes the three tests."
    other = f"{plural(rule['runner_up'], 'segment')} ({_scores(by_k, rule['runner_up'])})"
    if rule["lead"] >= 0:
        close = "is nearly as good" if rule["is_narrow"] else "is behind"
        return f"{text} Next best, {other}, {close}."
    ahead = "slightly better" if rule["is_narrow"] else "better"
    kind = "coarser" if rule["runner_up"] < rule["k"] else "finer"
    return (
        f"{text} A {kind} split, {other}, is separated {ahead}; of the numbers from {AUTO_K_RANGE[0]} to {AUTO_K_RANGE[1]} that pass the three "
        f"tests ({_standing(by_k, rule)}) and keep three quarters of the best separation, the coarsest is "
        "taken, and a finer one only while the gap rises clearly."
    )


def _standing(by_k: pd.DataFrame, rule: dict[str, Any]) -> str:
    """The numbers of clusters that pass the three tests, as the rule looked at them."""
    low, high = AUTO_K_RANGE
    stand = [k for k in by_k.index if low <= k <= high and str(k) not in rule["failed"]]
    return listed([str(k) for k in stand])


def _same(row: pd.Series) -> str:
    """How alike the segments of two halves are: at every cut into halves, or at most of them."""
    if row["agreement_low"] >= LEAST_AGREEMENT:
        return "nearly the same ones"
    ends = f"{row['agreement_low']:.2f} to {row['agreement_high']:.2f}"
    return f"much the same ones, though not at every cut: {ends}"


def _scores(by_k: pd.DataFrame, k: int) -> str:
    row = by_k.loc[k]
    estimated = ""
    if pd.notna(row["silhouette_low"]):
        ends = f"{row['silhouette_low']:.3f} to {row['silhouette_high']:.3f}"
        estimated = f" (estimated, 95% interval {ends})"
    return (
        f"silhouette {row['silhouette']:.3f}{estimated} against {row['silhouette_null']:.3f} for one cloud; "
        f"agreement of halves {row['agreement']:.2f}"
    )


def _on_use(by_k: pd.DataFrame, rule: dict[str, Any], entry: dict[str, Any]) -> str:
    used = entry["k"]
    if entry["asked"] == "auto":
        if used == 1:
            return "This report therefore leaves these customers in one segment."
        word = structure_word(by_k.at[used, "silhouette"])
        return f"This report uses **{plural(used, 'segment')}**, chosen by this rule: {word} structure."
    text = f"This report uses **{plural(used, 'segment')}**, set in the profile"
    if used == 1:
        judged = "agrees" if rule["k"] == 1 else f"would split, into {rule['k']}"
        return f"{text}; the evidence {judged}."
    if used not in by_k.index:
        return f"{text}, beyond the range scanned here."
    failed = rule["failed"].get(str(used), [])
    if used == rule["k"] or not failed:
        text += f": {structure_word(by_k.at[used, 'silhouette'])} structure"
    if used == rule["k"]:
        return f"{text}, and the same as the evidence alone would take."
    if failed:
        why = listed([FAILED_WORDS[name] for name in failed])
        return (
            f"{text}. **The evidence does not support it**: this split {why}. Treat its segments "
            "as a convenience for acting, not as kinds of customers."
        )
    if used > AUTO_K_RANGE[1]:
        return f"{text}; the rule does not look beyond {AUTO_K_RANGE[1]}."
    side = "finer" if used > rule["k"] else "coarser"
    return (
        f"{text}. It passes all three tests, but the evidence alone would take {rule['k']}: the "
        f"split in use is {side} than what is best supported."
    )


def scores_sentence(k_evidence: pd.DataFrame, chosen: dict[str, Any]) -> str:
    """Which number sets segments furthest apart, beside the number in use."""
    parts = []
    for kind, entry in chosen.items():
        known = of_kind(k_evidence, kind).dropna(subset="silhouette").set_index("k")["silhouette"]
        if entry["k"] not in known.index:
            continue
        best = known.idxmax()
        own = (
            "), the number in use"
            if best == entry["k"]
            else f"; {entry['k']}, the number in use, {known[entry['k']]:.2f})"
        )
        parts.append(
            f"{in_group(kind, list(chosen))}Of {plural(len(known), 'number')} of segments tried, "
            f"{best} sets them furthest apart (silhouette {known[best]:.2f}{own}."
        )
    return "\n\n".join(parts)


def k_table(k_evidence: pd.DataFrame) -> Html:
    """All scores of all k."""
    rows = pd.DataFrame(
        {
            "group": k_evidence["segment_type"].map(short_groups(k_evidence["segment_type"])),
            "k": k_evidence["k"],
            "inertia": k_evidence["inertia"].map("{:,.0f}".format),
            "silhouette": [
                _range(*values)
                for values in k_evidence[
                    ["silhouette", "silhouette_low", "silhouette_high"]
                ].itertuples(index=False)
            ],
            "one cloud": k_evidence["silhouette_null"].map(_or_dash),
            "Calinski-Harabasz": k_evidence["calinski_harabasz"].map(
                lambda value: f"{value:,.0f}" if pd.notna(value) else "–"
            ),
            "Davies-Bouldin": k_evidence["davies_bouldin"].map(_or_dash),
            "gap (error)": [
                f"{gap:.2f} ({error:.3f})" if pd.notna(gap) else "–"
                for gap, error in k_evidence[["gap", "gap_se"]].itertuples(index=False)
            ],
            "agreement": [
                _range(*values)
                for values in k_evidence[
                    ["agreement", "agreement_low", "agreement_high"]
                ].itertuples(index=False)
            ],
        }
    )
    if k_evidence["segment_type"].nunique() == 1:
        rows = rows.drop(columns="group")
    return table_of(
        rows,
        caption="Scores of every number of clusters; in brackets the error of the simulated gap, and what 95% of the cuts into halves gave. Higher is better, except for inertia (always falls) and Davies-Bouldin; silhouette must clearly exceed the column beside it, which is that of one cloud without clusters.",
        numeric=[name for name in rows.columns if name != "group"],
    )


def _or_dash(value: float) -> str:
    return f"{value:.2f}" if pd.notna(value) else "–"


def _range(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.2f} ({low:.2f}–{high:.2f})" if pd.notna(low) else f"{value:.2f}"


def dbscan_evidence_sentence(table: pd.DataFrame, choice: dict[str, Any]) -> str:
    """Do the flags of the setting in use stay, and how many dense groups does it see?"""
    kinds, parts = list(choice), []
    for kind in kinds:
        rows = table[table["segment_type"] == kind]
        cell = rows[
            (rows["eps"] == choice[kind]["eps"])
            & (rows["min_samples"] == choice[kind]["min_samples"])
        ]
        if cell.empty:
            parts.append(in_group(kind, kinds) + "Nobody can be flagged here.")
            continue
        own = cell.iloc[0]
        groups = int(own["dense_groups"])
        text = f"The setting in use sees {plural(groups, 'dense group')}"
        if pd.isna(own["stability"]):
            parts.append(f"{in_group(kind, kinds)}{text} and flags nobody.")
            continue
        judged = (
            f"too few are flagged, fewer than {FEW_FLAGS}, to say more"
            if choice[kind]["anomalies"] < FEW_FLAGS
            else "the flags depend little on who else is in the data"
            if own["stability_low"] >= STAYS
            else "who is flagged depends noticeably on who else is in the data"
        )
        text += (
            ". Of the customers flagged with or without a random tenth of the others, eps chosen as for all, "
            f"**{format_percent(own['stability'])}** are flagged both times (range "
            f"{format_percent(own['stability_low'])} to {format_percent(own['stability_high'])}): {judged}."
        )
        parts.append(in_group(kind, kinds) + text)
    return "\n\n".join(parts)


def planted_table(planted: pd.DataFrame) -> Html:
    """How many planted customers are flagged, by kind, with 95% intervals."""
    rows = []
    labels = group_labels(planted["segment_type"])
    for row in planted.itertuples():
        rows.append(
            {
                "group": labels[row.segment_type],
                "planted": row.kind,
                "n": f"{row.planted:,}",
                "flagged": format_percent(row.flagged / row.planted),
                "95% interval": f"{format_percent(row.low)} to {format_percent(row.high)}",
                "wanted": "few" if row.kind.startswith("near") else "many",
            }
        )
    table = pd.DataFrame(
        rows, columns=["group", "planted", "n", "flagged", "95% interval", "wanted"]
    )
    if table["group"].nunique() <= 1:
        table = table.drop(columns="group")
    return table_of(
        table,
        caption="Planted customers and how many of them are flagged.",
        numeric=("n", "flagged"),
    )


def effect_sentence(
    effect: pd.DataFrame,
    agreement: dict[str, float],
    kinds: list[str],
    *,
    in_fit: bool = True,
    counts: dict[str, int] | None = None,
) -> str:
    """What anomalies do to K-Means: who would be elsewhere without (or with) them.

    ``counts`` are the flagged customers of every group, of those with nothing to compare too:
    where a group has few, the others' would tell how many.
    """
    parts, other = [], "without" if in_fit else "with"
    flagged = effect.groupby("segment_type")["anomalies"].sum().astype(int).to_dict()
    told = told_parts({**flagged, **(counts or {})}, "anomaly")
    for kind in kinds:
        rows = effect[effect["segment_type"] == kind]
        if rows.empty:
            parts.append(in_group(kind, kinds) + "There is nothing to compare.")
            continue
        n, stay = int(rows["customers"].sum()), int(rows["stay"].sum())
        most = rows.sort_values(["moved", "segment"], ascending=[False, True]).iloc[0]
        judged = (
            "The flagged customers hardly pull the centres."
            if agreement[kind] >= HARDLY_PULLED
            else f"The flagged customers pull the centres: some borders would lie elsewhere {other} them."
        )
        who = told[kind] if told[kind].startswith(("about", "fewer")) else f"the {told[kind]}"
        parts.append(
            f"{in_group(kind, kinds)}Fitted {other} {who}, "
            f"K-Means would put {format_percent(1 - stay / n)} of {plural(n, 'customer')} into another segment "
            f"(adjusted Rand index {agreement[kind]:.2f}). {judged}"
        )
        if most["moved"] > 0:
            parts[-1] += (
                f" The largest share moves out of **{most['segment']}**: {format_percent(most['moved'])} of its "
                f"{plural(int(most['customers']), 'customer')}, 95% interval "
                f"{format_percent(most['moved_low'])} to {format_percent(most['moved_high'])}."
            )
    return "\n\n".join(parts)
