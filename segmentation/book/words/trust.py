"""How far to believe the segments, in a light and a few sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segmentation.book.words.calibration import or_best, spend_led, spend_wins
from segmentation.book.words.other_dates import in_brief
from segmentation.book.words.structure import FAILED_WORDS
from segmentation.book.words.text import (
    as_many,
    as_sentence,
    group_words,
    inert,
    named,
    of_kind,
)
from segmentation.core.columns import format_percent
from segmentation.core.limits import LEAST_AGREEMENT, REASONABLE_STRUCTURE, SENSITIVE
from segmentation.evidence.rankings import LISTS
from segmentation.evidence.stability import TOO_FEW
from segmentation.evidence.verdict import beside_smooth
from segmentation.segments.own_labels import OWN_LABELS

MOST_DOUBTS = 3
DOUBTED = {
    "unstable": "is unstable",
    "uncertain": "has uncertain borders",
    TOO_FEW: "has too few customers to say whether it comes back",
}


def trust(
    stability: pd.DataFrame,
    whole: pd.DataFrame,
    chosen: dict[str, Any],
    k_rule: dict[str, Any],
    k_evidence: pd.DataFrame,
    holdout: dict[str, Any],
    rankings: pd.DataFrame,
    verdict: dict[str, Any],
    sensitivity: pd.DataFrame,
    cuts: pd.DataFrame,
    days_unsure: str = "",
    other_dates: str = "",
) -> tuple[str, str, str]:
    """A traffic light, what it means for use, and the evidence in short: chapter 07 has its numbers.

    Segments that rest on unsure days are not to be built on, however well they hold among themselves;
    ``other_dates`` says what the dates put right would make of them.
    """
    shaky = stability[stability["verdict"] != "stable"]
    against = [
        f"{inert(named(row.segment, row.segment_type, list(chosen)))} {DOUBTED[row.verdict]}"
        for row in shaky.itertuples()
    ]
    against += divided_doubts(chosen, k_rule, k_evidence, verdict, in_full=False)
    against += beaten(holdout, rankings, cuts, in_full=False)
    drawn = whole[whole["method"] == "bootstrap"]
    agreement = drawn["agreement"].min()
    differ = agreement < LEAST_AGREEMENT
    same = "groups that differ" if differ else "the same groups"
    others = as_many(sensitivity)
    n, other = len(others), int((others["agreement"] < SENSITIVE).sum())
    settings = f"{other:,} of {n:,} other settings with as many groups"
    settings = f", and so do {settings}" if differ else f", but {settings} do not"
    settings = settings if other else ""
    grounds = (
        f"Other samples give {same}{settings}"
        if len(drawn)
        else "Whether other samples of these customers give the same groups was not tested"
    )
    doubts = list(dict.fromkeys(against))
    if len(doubts) > MOST_DOUBTS:
        more = len(doubts) - MOST_DOUBTS + 1
        doubts = [*doubts[: MOST_DOUBTS - 1], f"there are {more} more doubts"]
    grounds = " ".join([f"{grounds}.", *map(as_sentence, doubts)])
    grounds = f"{grounds} {as_sentence(other_dates)}" if other_dates else grounds
    if days_unsure or (shaky["verdict"] == "unstable").any():
        return "red", "Do not build on these groups yet.", grounds
    if against or not agreement >= LEAST_AGREEMENT or 2 * other > n:
        return "amber", "Use the groups to act, not to explain.", grounds
    return "green", "Use the groups to act and to explain.", grounds


def trust_of(run: Any) -> tuple[str, str, str]:
    """`trust` of a run."""
    names = (
        *("stability", "stability_whole", "chosen", "k_rule", "k_evidence", "holdout"),
        *("holdout_rankings", "verdict", "sensitivity", "holdout_cuts", "days_unsure"),
    )
    brief = in_brief(run["other_dates"], run["other_dates_agreement"])
    return trust(*(run[name] for name in names), *[brief])


def divided_doubts(
    chosen: dict[str, Any],
    k_rule: dict[str, Any],
    k_evidence: pd.DataFrame,
    verdict: dict[str, Any],
    *,
    in_full: bool = True,
) -> list[str]:
    """What speaks against taking the groups for kinds of customers; ``in_full`` with its grounds."""
    against: list[str] = []
    for kind, entry in chosen.items():
        failed = k_rule.get(kind, {}).get("failed", {}).get(str(entry["k"]), [])
        failed = [] if entry["asked"] == OWN_LABELS else failed  # the tests are of K-Means
        smooth = entry["k"] > 1 and not verdict[kind]["natural_kinds"]
        against += [
            f"a division into {entry['k']} {FAILED_WORDS[name]}"
            for name in failed
            if not (smooth and name == "excess")  # the smooth population says the same in full
        ]
        scores = of_kind(k_evidence, kind).set_index("k")["silhouette"]
        of = f"of those who {group_words(kind, list(chosen))}, " if len(chosen) > 1 else ""
        if smooth:
            known = verdict[kind]["natural_kinds"] is not None
            said = ["they are slices of one smooth range of customers, not kinds"] if known else []
            said += [beside_smooth(verdict[kind])] if in_full or not known else []
            against.append(f"{of}{': '.join(said)}")
        elif entry["k"] > 1 and scores.get(entry["k"], 1.0) < REASONABLE_STRUCTURE:
            score = f" (silhouette {scores[entry['k']]:.2f})" if in_full else ""
            against.append(f"{of}the groups overlap{score}")
    return against


def beaten(
    holdout: dict[str, Any], rankings: pd.DataFrame, cuts: pd.DataFrame, *, in_full: bool = True
) -> list[str]:
    """Whether lists without segments find as much of what is spent later, or more."""
    if not holdout["possible"]:
        return ["whether they foretell anything is not tested"]
    if n := spend_wins(cuts):
        return [
            f"past spend alone found more later revenue at each of {n} quarters: choose whom by it"
            f"{or_best(cuts)}, what to say by group"
        ]
    fifth = rankings[rankings["customers_share"] == 0.2].set_index("ranking")
    others = fifth[fifth["difference_low"] > 0].drop(
        index=["segments", "past spend"], errors="ignore"
    )
    row = fifth.loc[fifth.index == "past spend"]
    ahead = len(row) and row["difference_high"].iloc[0] < 0
    better = len(row) and row["difference_low"].iloc[0] > 0
    if len(others) and not better:  # spend alone does not beat the groups, another list does
        best = str(others["revenue_share"].idxmax())
        shares = [format_percent(fifth.loc[name, "revenue_share"]) for name in (best, LISTS)]
        best = "a published model of buying" if best.startswith("BG/NBD") else best
        if not in_full:
            return [f"a list by {best} finds more later revenue ({shares[0]} against {shares[1]})"]
        return [
            f"a list by {best} finds more later revenue: its first fifth brought {shares[0]} of it, that "
            f"of the lists by group {shares[1]}"
        ]
    if ahead:
        return []
    how = "better" if better else "just as well"
    if not better and len(cuts) and (led := spend_led(cuts)):
        how = f"no worse, and a little better at each of {led} quarters"
    return [
        f"a plain list by past spend finds later revenue {how}: sort by spend to choose whom, use "
        "the groups to choose what to say"
    ]
