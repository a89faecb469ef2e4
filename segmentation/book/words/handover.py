"""What goes with a model to whoever takes it over: its card, its weaknesses, how to run it."""

from __future__ import annotations

import shlex
from typing import Any

import pandas as pd

from segmentation.actions.recommend import NOT_AT_THIS_COST
from segmentation.book.behind import told_parts
from segmentation.book.words.structure import FAILED_WORDS, own_labels_sentence, structure_word
from segmentation.book.words.text import (
    as_sentence,
    customers_of,
    in_code,
    in_group,
    in_runs,
    inert,
    label,
    listed,
    named,
    plural,
)
from segmentation.core.columns import format_percent
from segmentation.core.limits import (
    BORDERLINE_MARGIN,
    LEAST_AGREEMENT,
    LEAST_SAME_NAME,
    MANY_BORDERLINE,
    REASONABLE_STRUCTURE,
)
from segmentation.core.parameters import PATHS
from segmentation.deliver.lineage import changes_typed
from segmentation.evidence.verdict import beside_smooth
from segmentation.orders.days_unsure import LOOK_EXCHANGED
from segmentation.segments.own_labels import OWN_LABELS


def weaknesses(
    *,
    chosen: dict[str, Any],
    k_evidence: pd.DataFrame,
    k_rule: dict[str, Any],
    stability: pd.DataFrame,
    sensitivity: pd.DataFrame,
    customers: pd.DataFrame,
    holdout: dict[str, Any],
    rankings: pd.DataFrame,
    recommendations: pd.DataFrame,
    verdict: dict[str, Any],
    other_dates: str = "",
) -> list[str]:
    """Every weakness that the evidence of a run shows, the gravest kinds first.

    ``other_dates`` says what would become of the segments, where days of orders are unsure.

    Nothing is listed that the run did not measure; where nothing is found, that is said.
    """
    kinds = list(chosen)
    found = [
        *([as_sentence(f"{LOOK_EXCHANGED}: {other_dates}")] if other_dates else []),
        *_of_structure(chosen, k_evidence, k_rule, kinds),
        *_of_kinds(verdict, kinds),
        *_of_stability(stability, kinds),
        *_of_settings(sensitivity, kinds),
        *_of_prediction(holdout, rankings),
        *_of_borders(customers),
        *_of_support(recommendations),
    ]
    return found or [
        "No test of this report found one; the page on limitations holds all the same."
    ]


def _of_structure(
    chosen: dict[str, Any], k_evidence: pd.DataFrame, k_rule: dict[str, Any], kinds: list[str]
) -> list[str]:
    lines = []
    for kind, entry in chosen.items():
        who = in_group(kind, kinds)
        k = entry["k"]
        if entry["asked"] == OWN_LABELS:
            lines += [] if entry["exported"] else [f"{who}{own_labels_sentence(entry)}"]
            continue
        if entry["note"]:
            lines.append(f"{who}Not divided: {entry['note']}.")
            continue
        if k == 1:
            continue
        scores = k_evidence[(k_evidence["segment_type"] == kind) & (k_evidence["k"] == k)]
        failed = k_rule[kind]["failed"].get(str(k), [])
        if failed:
            why = listed([FAILED_WORDS[name] for name in failed])
            lines.append(f"{who}The division into {k} fails a test: it {why}.")
        if len(scores) and scores["silhouette"].iloc[0] < REASONABLE_STRUCTURE:
            value = float(scores["silhouette"].iloc[0])
            lines.append(
                f"{who}Segments overlap: a mean silhouette of {value:.2f} speaks for "
                f"{structure_word(value)} structure."
            )
    return lines


def _of_kinds(verdict: dict[str, Any], kinds: list[str]) -> list[str]:
    return [
        f"{in_group(kind, kinds)}Slices of one smooth range of customers, not kinds: {beside_smooth(one)}."
        for kind, one in verdict.items()
        if one["natural_kinds"] is False
    ]


def _of_stability(stability: pd.DataFrame, kinds: list[str]) -> list[str]:
    lines = []
    for row in stability.itertuples():
        name = named(row.segment, row.segment_type, kinds)
        if row.verdict in ("unstable", "uncertain"):
            word = "is unstable" if row.verdict == "unstable" else "has uncertain borders"
            lines.append(
                f"**{name}** {word} when customers are drawn again: mean Jaccard {row.jaccard:.2f}, "
                f"n = {row.customers:,}."
            )
        if row.same_name < LEAST_SAME_NAME:
            lines.append(
                f"**{name}**: a customer keeps this name in {format_percent(row.same_name)} of the "
                "resamples only."
            )
    return lines


def _of_settings(sensitivity: pd.DataFrame, kinds: list[str]) -> list[str]:
    lines = []
    for kind in kinds:
        own = sensitivity[sensitivity["segment_type"] == kind]
        same_k = own[own["k"].isin(own.loc[own["is_chosen"].astype(bool), "k"])]
        others = same_k[~same_k["is_chosen"].astype(bool)]
        low = others[others["agreement"] < LEAST_AGREEMENT]
        if low.empty:
            continue
        worst = low.loc[low["agreement"].idxmin()]
        lines.append(
            f"{in_group(kind, kinds)}The division depends on settings: {len(low)} of "
            f"{plural(len(others), 'other cell')} of the sensitivity panel with the same number of "
            f"segments agree by less than {LEAST_AGREEMENT:g} with it, the least with transform "
            f"{worst['transform']} and scaler {worst['scaler']} (adjusted Rand index "
            f"{worst['agreement']:.2f})."
        )
    return lines


def _of_prediction(holdout: dict[str, Any], rankings: pd.DataFrame) -> list[str]:
    if not holdout["possible"]:
        return [f"Whether the segments foretell anything is not tested: {holdout['reason']}."]
    rows = rankings[rankings["customers_share"] == 0.2].set_index("ranking")
    own, spend = rows["revenue_share"].iloc[0], rows.at["past spend", "revenue_share"]
    best = rows["revenue_share"].drop([rows.index[0], "segments"]).idxmax()
    if rows.at[best, "difference_low"] > 0 and best != "past spend":
        return [
            f"As a list of whom to contact, {best} does better: a fifth of the customers chosen so "
            f"brought {format_percent(rows.at[best, 'revenue_share'])} of later revenue, chosen by "
            f"{rows.index[0]} {format_percent(own)} (n = {holdout['customers']:,}, after {holdout['cut']})."
        ]
    if rows.at["past spend", "difference_high"] < 0:
        return []
    better = rows.at["past spend", "difference_low"] > 0
    return [
        f"As a list of whom to contact, sorting by past spend does "
        f"{'better' if better else 'as well'}: a fifth of the customers chosen so brought "
        f"{format_percent(spend)} of later revenue, chosen by {rows.index[0]} {format_percent(own)} "
        f"(n = {holdout['customers']:,}, after {holdout['cut']})."
    ]


def _of_borders(customers: pd.DataFrame) -> list[str]:
    known = customers.dropna(subset="margin")
    share = float((known["margin"] < BORDERLINE_MARGIN).mean()) if len(known) else 0.0
    if share < MANY_BORDERLINE:
        return []
    return [
        f"{format_percent(share)} of customers (n = {len(known):,}) are nearly as near to the next "
        "segment as to their own."
    ]


def _of_support(recommendations: pd.DataFrame) -> list[str]:
    campaigns = recommendations[recommendations["is_campaign"]]
    unproven = int((~campaigns["is_supported"]).sum())
    others = recommendations[~recommendations["is_campaign"]]
    costly = int((others["play"] == NOT_AT_THIS_COST).sum())
    watched = len(others) - costly
    lines = []
    if unproven:
        lines.append(
            f"For {unproven} of {plural(len(campaigns), 'recommended campaign')} the data cannot show "
            "whether it pays; each card of *Business recommendations* says why."
        )
    if costly:
        lines.append(f"{plural(costly, 'segment')} not to be contacted at this contact cost.")
    if watched:
        lines.append(
            f"{plural(watched, 'segment')} too small for a campaign: to be looked at only."
        )
    return lines


def model_card(
    *,
    title: str,
    model_groups: dict[str, Any],
    choice: dict[str, Any],
    overview: dict[str, Any],
    evidence: str,
    proof: str,
    margin: str,
    weak: list[str],
) -> str:
    """Model card of one run, from its own figures.

    Parameters
    ----------
    weak : list of str
        Known weaknesses, as `weaknesses` finds them in the evidence.
    """
    window = (
        f"orders from {overview['first_order']} to {overview['last_order']}"
        if overview["first_order"]
        else "a customer table without dates"
    )
    groups = []
    flagged = told_parts({kind: choice[kind]["anomalies"] for kind in model_groups}, "anomaly")
    for kind, entry in model_groups.items():
        features = listed([label(name) for name in entry["features"]]) or "no feature"
        note = "".join(f" Note: {text}." for text in [entry["note"], *entry["left_out"]] if text)
        groups.append(
            f"- {customers_of(kind, model_groups)}: {plural(entry['customers'], 'customer')}, "
            f"{plural(entry['k'], 'cluster')} on {features}; DBSCAN with eps {choice[kind]['eps']:g} and "
            f"min_samples {choice[kind]['min_samples']}, {flagged[kind]}."
            f"{note}"
        )
    synthetic = " The data are synthetic." if overview.get("synthetic") else ""
    return (
        f"## {title}\n\nFitted on {plural(overview['customers'], 'customer')}, {window}.{synthetic}\n\n"
        + "\n".join(groups)
        + f"\n\n**Evidence.** {evidence}\n\n{proof}\n\n**Certainty.** {margin}\n\n"
        + f"**Known weaknesses.**\n\n{_bullets(weak)}\n"
    )


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def handover(
    *,
    title: str,
    name: str,
    overview: dict[str, Any],
    chosen: dict[str, Any],
    features: list[str],
    manifest: dict[str, Any],
    model_sha256: str,
    segments_sha256: str,
    changed: dict[str, Any],
) -> str:
    """How to run, check, score with, watch and take back one run's model.

    Parameters
    ----------
    name : str
        The run's name. Its folder below ``runs/`` the manifest says: an experiment has its own.
    model_sha256, segments_sha256 : str
        Checksums of ``model.json`` (as it says itself) and of ``segments.parquet``.
    changed : dict
        Parameters that differ from the program's defaults, without places on a machine.
    """
    kinds = list(chosen)
    groups = listed(
        [
            f"{customers_of(kind, kinds)} ({plural(entry['k'], 'segment')}, n = {entry['customers']:,})"
            for kind, entry in chosen.items()
        ]
    )
    day = overview["as_of"] or "undated"
    columns = ", ".join(f"`{column}`" for column in ["customer_id", *features])
    said = [f"<code>{key}: {inert(_plain(value))}</code>" for key, value in changed.items()]
    settings, rows = ", ".join(said) or "none", manifest["rows"]
    again = changes_typed(manifest["changed"], for_page=True)
    if again:  # an experiment again; else nothing would be called by the new name
        again += ["--make-current"]
    following = f"{name}-next"
    run_again = shlex.join(["segmentation", "run", name, *again, "--name", following])
    here, there = manifest["folder"], in_runs(following)
    paths = any(parameter in PATHS for parameter in manifest["changed"])
    as_seen = (
        " Of a path outside the project only the last name stands here: give it whole." * paths
    )
    return f"""## {title}

**What you take over.** A model of {groups}, on {listed([label(one) for one in features])}; made of {rows["kept"]:,} of {rows["raw"]:,} lines, observed up to {day}. Checksum of the model `{model_sha256[:16]}`, of the segments table `{segments_sha256[:16]}`, of the code `{manifest["program"]["code"][:16]}`, seed {manifest["seed"]}. Parameters unlike the defaults: {settings}.

**Run it again**, under a name of its own, so that this run stays.{as_seen} The same data, parameters and versions give the same checksums; others say that one of the three has changed.

```bash
{in_code(run_again)}
```

**Before you trust a new run**, compare it with this one: the answer names who moved, what drifted, and whether to refit.

```bash
segmentation compare {in_runs(here)} {there}
```

**Score** a file with the columns {columns}. The command says first how far these customers have drifted from those that the model was fitted on.

```bash
segmentation score {in_runs(here, "/model")} customers.csv --output scored.csv
segmentation sql {in_runs(here, "/model")} --dialect mysql > score.sql
```

**Serve, replace and roll back.** A file that holds the path of a model folder is what the server is pointed to. A new model is a new path in it; the way back is the old one. A damaged model is refused, and the old one goes on answering. Each answer names its model by checksum.

```bash
echo {in_runs(following, "/model")} > next && mv next current    # replace; the first time: segmentation serve current
echo {in_runs(here, "/model")} > next && mv next current          # roll back
```
"""


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
