"""The tests of the segments in one line each: what was asked, and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from segmentation.book.words.front_numbers import guessed_and_came, is_rough
from segmentation.book.words.other_dates import AS_THEY_STAND, in_brief
from segmentation.book.words.text import as_many, as_sentence, inert, named
from segmentation.book.words.trust import DOUBTED, beaten, divided_doubts, trust_of
from segmentation.core.columns import format_percent
from segmentation.core.limits import LEAST_AGREEMENT, LEAST_CUSTOMERS, MUCH_MOVED, SENSITIVE

MOST_NAMED = 2
"""Doubtful segments that are named; of more it is said how many."""


def in_short(**results: Any) -> str:
    """How far to use the segments, and a line for each test of them, in Markdown.

    Parameters
    ----------
    **results
        ``stability, stability_whole, starts, sensitivity, chosen, k_rule, k_evidence, verdict,
        holdout, holdout_segments, holdout_rankings, holdout_cuts, forecast_calibration,
        forecast_facts, days_unsure, other_dates, other_dates_agreement`` of a run, by these names.
    """
    lines = "\n".join(f"- **{asked}** {as_sentence(found)}" for asked, found in _lines(results))
    stand = f" {AS_THEY_STAND.strip()}" if results["days_unsure"] else ""
    return f"**{trust_of(results)[1]}**{stand}\n\n{lines}"


def _lines(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    chosen, holdout = run["chosen"], run["holdout"]
    if said := in_brief(run["other_dates"], run["other_dates_agreement"]):
        yield "Other dates?", said
    yield "Other customers?", _drawn_anew(run["stability"], run["stability_whole"], list(chosen))
    starts = run["starts"]
    if len(starts):
        most = float(starts["moved"].max())
        matters = "matters, the best of several is kept" if most >= MUCH_MOVED else "matters little"
        yield (
            "Another random start?",
            f"{matters}: at most {format_percent(most)} of customers move",
        )
    alike = as_many(run["sensitivity"])
    if len(alike):
        same = int((alike["agreement"] >= SENSITIVE).sum())
        yield "Other settings?", f"{same:,} of {len(alike):,} with as many segments agree"
    doubts = divided_doubts(chosen, run["k_rule"], run["k_evidence"], run["verdict"])
    if not doubts and any(entry["k"] > 1 for entry in chosen.values()):
        each = " in each group" if len(chosen) > 1 else ""
        doubts = [f"made-up customers without any kinds divide less distinctly{each}"]
    yield "Natural kinds?", _sentences(doubts) or "nothing was divided"
    if not holdout["possible"]:
        yield "Who buys again?", f"not tested, {holdout['reason']}"
        return
    yield (
        "Who buys again?",
        "not told: who was in which segment at the cut changes when the dates are put right"
        if run["days_unsure"]
        else _foretold(run["holdout_segments"]),
    )
    doubts = beaten(holdout, run["holdout_rankings"], run["holdout_cuts"])
    yield "Would a plain list do?", _sentences(doubts) or "lists by segment find more later revenue"
    calibration, facts = run["forecast_calibration"], run["forecast_facts"]
    if not facts["possible"]:
        yield "The forecast of each?", f"none is given: {str(facts['reason']).split(' (')[0]}"
    elif len(calibration):
        guessed, came = guessed_and_came(calibration)
        rough = ": too rough to plan with" if is_rough(calibration) else ""
        apart = ~calibration["predicted"].between(calibration["low"], calibration["high"])
        yield (
            "The forecast of each?",
            f"last time {guessed:,.0f} expected, {came:,.0f} came{rough}; of {len(calibration)} tenths of "
            f"the customers {int(apart.sum()) or 'none'} came clearly more or less often than foretold",
        )


def _sentences(texts: list[str]) -> str:
    return " ".join(map(as_sentence, texts)).removesuffix(".")


def _drawn_anew(stability: pd.DataFrame, whole: pd.DataFrame, kinds: list[str]) -> str:
    agreement = whole.loc[whole["method"] == "bootstrap", "agreement"]
    if agreement.empty:
        return "not tested"
    same = "the same segments" if agreement.min() >= LEAST_AGREEMENT else "segments that differ"
    least = "at least " if len(agreement) > 1 else ""
    shaky = stability[stability["verdict"] != "stable"]
    each = "; ".join(
        f"{inert(named(row.segment, row.segment_type, kinds))} {DOUBTED[row.verdict]}"
        for row in shaky.itertuples()
    )
    if len(shaky) > MOST_NAMED:
        each = f"{len(shaky)} of {len(stability)} are not stable or too small to say"
    return f"{same} (agreement {least}{agreement.min():.2f} of 1); {each or 'each one is stable'}"


def _foretold(segments: pd.DataFrame) -> str:
    """Whether the segments of a cut told who would buy again, by those who spent most and least."""
    large = segments[segments["customers"] >= LEAST_CUSTOMERS]
    if len(large) < 2:
        return f"no two segments of {LEAST_CUSTOMERS} customers or more to compare"
    spent = large["revenue_per_customer"]
    ends = [large.loc[spent.idxmax()], large.loc[spent.idxmin()]]
    kinds = list(segments["segment_type"])
    parts = [
        f"of {inert(named(row['segment'], row['segment_type'], kinds))} "
        f"{format_percent(row['share_again'])}"
        for row in ends
    ]
    lows, highs = ([float(row[f"share_again_{end}"]) for row in ends] for end in ("low", "high"))
    is_told = max(lows) > min(highs)
    said = f"{parts[0]} did after the cut, {parts[1]}"
    if large["as_today"].isna().any():  # no segment of today is called so
        then = "foretold" if is_told else "not told apart, either"
        return (
            "at the cut other groups formed, so of today's segments nothing is foretold; of those of "
            f"the cut it was {then}: {said}"
        )
    return f"{'foretold' if is_told else 'not told apart'}: {said}"
