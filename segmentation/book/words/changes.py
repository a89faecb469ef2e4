"""Sentences and tables about what changed from an earlier run to a later one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation.actions.compare import MOVED, NEW, REDRAWN, STAYED
from segmentation.actions.next_steps import NEW as NEWCOMERS
from segmentation.actions.slipping import FELL, days_of_quarter
from segmentation.book.words.returns import given_back_words
from segmentation.book.words.text import (
    Html,
    dollars,
    inert,
    label,
    listed,
    of_one,
    plural,
    table_of,
    told,
)
from segmentation.core.columns import format_money, format_percent, format_share, format_value
from segmentation.core.groups import group_labels, short_groups
from segmentation.core.limits import LEAST_PUBLISHED

VERDICT_WORDS = {
    "keep": "Keep the earlier model",
    "watch": "Keep the earlier model, and look again at the next run",
    "refit": "Refit: the earlier model no longer describes these customers",
}
ELSEWHERE = {
    REDRAWN: "changed segment only by that (*redrawn* above)",
    STAYED: "stayed where they would have moved by the earlier borders",
    MOVED: "moved to another segment than by the earlier borders",
    NEW: "are new",
}
NOBODY = {"new": "not yet a customer", "lost": "no longer in the data"}
NOTHING = Html("", "")
BY_REGISTERING = "only by registering (another group, nothing bought)"


def compared_sentence(changes: Any) -> str:
    """What the run is compared with, or why with nothing."""
    if changes.comparison is None:
        return f"There is nothing to compare with: {inert(changes.with_what).rstrip('.')}."
    return (
        f"Compared with {inert(changes.with_what)}. Above, every quarter is drawn by today's borders; "
        "here the earlier report keeps its own, so sizes and moves are others."
    )


def changes_sentence(changes: Any, *, currency: str) -> str:
    """How many customers stayed, moved, came and left, with their money, in Markdown."""
    if changes is None:
        return ""
    return dollars(_changes_plain(changes.migration, currency))


def _count(n: int, noun: str = "") -> str:
    """A count at the beginning of a sentence."""
    text = told(n, noun)
    return text[:1].upper() + text[1:]


def _ups_and_downs(migration: pd.DataFrame) -> str:
    """How many of the moved went to a segment that spends more on average than their own did.

    Numbers of segments say nothing here: two runs, and two groups, count each their own. So
    both segments are asked for what their customers have spent by the later run. Who stands in
    another group and bought nothing went neither up nor down.
    """
    here = migration[migration["movement"] != "lost"]
    spent = here["revenue_after"].astype(float)
    moved = here[here["movement"] == "moved"]
    means = {}
    for side in ("before", "after"):
        own = [here[f"{part}_{side}"] for part in ("segment_type", "cluster")]
        sums = spent.groupby(own).transform("sum")
        means[side] = (sums / here["customers"].groupby(own).transform("sum"))[moved.index]
    only = moved.get("group_only", 0 * moved["customers"])
    went = moved["customers"] - only
    up = int(went[means["after"] > means["before"]].sum())
    down = int(went[means["after"] < means["before"]].sum())
    registered = int(only.sum())
    if registered and up + down < LEAST_PUBLISHED:
        but = f" but {told(up + down)}" if up + down else ""
        few = told(registered) if but and registered < LEAST_PUBLISHED else f"all{but}"
        return f"{few} {BY_REGISTERING}"
    if min(up, down) in range(1, LEAST_PUBLISHED):  # and the others would tell how many
        text = f"most to one that spends {'more' if up > down else 'less'} on average"
    elif 0 < registered < LEAST_PUBLISHED:
        text = "to one that spends more on average or to one that spends less"
    else:
        text = f"{up:,} to one that spends more on average and {down:,} to one that spends less"
    return f"{told(registered)} {BY_REGISTERING}; of the others {text}" if registered else text


def _changes_plain(migration: pd.DataFrame, currency: str) -> str:
    counts = migration.groupby("movement")["customers"].sum()
    stayed, moved = int(counts.get("stayed", 0)), int(counts.get("moved", 0))
    redrawn = int(counts.get("redrawn", 0))
    both = stayed + moved + redrawn
    parts = []
    if both:
        worth = _money(migration, "moved", "revenue_after", currency)
        share = format_share(moved / both, both)
        ways = _ups_and_downs(migration) if moved else ""
        together = "together " * ("of the others" in ways)
        parts.append(
            f"Of the customers in both runs, {told(moved, 'customer')} moved to another segment"
            + ("" if 0 < moved < LEAST_PUBLISHED else f", {share}")
            + (f": {ways}; {together}they have spent {worth} by now." if moved else ".")
        )
        if redrawn:
            few = migration["customers"].between(1, LEAST_PUBLISHED - 1).any()
            near = LEAST_PUBLISHED * round(redrawn / LEAST_PUBLISHED)
            many = f"About {near:,} further customers" if few and near else ""
            parts.append(
                f"{many or _count(redrawn, 'further customer')} did not move: the later run drew the "
                "border of a segment elsewhere."
            )
    else:
        parts.append("The runs have no customer in common.")
    came, left = int(counts.get("new", 0)), int(counts.get("lost", 0))
    worth = _money(migration, "new", "revenue_after", currency)
    parts.append(f"{_count(came, 'new customer')} spent {worth}." if came else "Nobody is new.")
    worth = _money(migration, "lost", "revenue_before", currency)
    gone = f"{_count(left, 'customer')} of the earlier run, worth {worth}, no longer appear."
    parts.append(gone if left else "Nobody of the earlier run is missing.")
    return " ".join(parts)


def _money(migration: pd.DataFrame, movement: str, column: str, currency: str) -> str:
    part = migration.loc[migration["movement"] == movement, column]
    return format_money(float(sum(part, Decimal(0))), currency)


def movement_sentence(
    movement: pd.DataFrame,
    slipping: pd.DataFrame,
    *,
    profile: pd.DataFrame,
    currency: str,
    no_history: str = "",
    history: pd.DataFrame | None = None,
) -> str:
    """The fall of the last quarter that cost most, then who fell silent and who rose, in Markdown.

    Parameters
    ----------
    history : DataFrame, optional
        Customers at the ends of earlier quarters: how many fell silent in all, those of the
        lowest segments too, whom ``slipping`` leaves out.
    profile : DataFrame, one row per segment
        ``segment_type, cluster, segment``: each group counts its own from the lowest value up.
    no_history : str
        Why no earlier quarter is known, or nothing.
    """
    if no_history:
        return f"Who moved, slipped or came back is not known: {no_history}."
    days = sorted(movement["as_of"].unique())
    if len(days) < 2:
        return ""
    last = movement[movement["as_of"] == days[-1]]
    fell = slipping["what"] == FELL
    falls = slipping[fell].groupby(["segment_from", "segment"])["total_spent"].agg(["size", "sum"])
    period = f"between {days[-2]} and {days[-1]}"
    silent = slipping[~fell]
    if falls.empty:
        parts = [] if len(silent) else [f"Nobody fell a segment {period}."]
    else:
        (begin, end), count, spent = next(falls.nlargest(1, "sum").itertuples(name=None))
        of = int(last.loc[last["segment_from"] == begin, "customers"].sum())
        flow = slipping[fell & (slipping["segment_from"] == begin) & (slipping["segment"] == end)]
        parts = [
            f"{_count(count)} of {plural(of, 'customer')} of {inert(begin)} "
            + (f"({format_percent(count / of)}) " if count >= LEAST_PUBLISHED else "")
            + f"fell to {inert(end)} {period}; they have spent {format_money(spent, currency)}"
            f"{of_one(flow['total_spent'])} so far{given_back_words(flow.get('given_back'), currency)}."
            f"{_came_too(last, begin, end, count)}"
        ]
        if rest := int(fell.sum()) - count:
            parts.append(f"{_count(rest)} more fell between other segments.")
    if len(silent):
        spent = format_money(float(silent["total_spent"].sum()), currency)
        spent += f"{of_one(silent['total_spent'])} so far"
        so_far = f"they have spent {spent}{given_back_words(silent.get('given_back'), currency)}"
        above, in_all = "", ""
        if everybody := _silent_in_all(history, slipping[fell]):
            group = " of their group" if profile["segment_type"].nunique() > 1 else ""
            above = f" above the lowest segment{group}"
            in_all = f" ({everybody:,} in all)" * (everybody - len(silent) >= LEAST_PUBLISHED)
        parts.append(
            f"{_count(len(silent), 'customer')}{above} fell silent {period}{in_all}; {so_far}. Nobody fell a segment."
            if falls.empty
            else f"{_count(len(silent), 'further customer')}{above} fell silent{in_all}; {so_far}."
        )
    rose = last[_rises(last, profile)]
    came = last[last["segment_from"] == NEWCOMERS]
    for flows, did in ((rose, "rose a segment and"), (came, "are new and")):
        if count := int(flows["customers"].sum()):
            spent = format_money(float(flows["revenue"].sum()), currency)
            who = _count(count, "customer")
            parts.append(f"{who} {did} spent {spent} in the quarter.")
    if len(slipping):
        parts.append("Who slipped is in the workbook's sheet *Slipping*.")
    if profile["segment"].duplicated().any():
        parts.append("Here segments of one name count together, whichever group they are of.")
    return dollars(" ".join(parts))


def _came_too(last: pd.DataFrame, begin: str, end: str, fell: int) -> str:
    """How many more went the same way though they ordered: the picture's band has them too."""
    went = (last["segment_from"] == begin) & (last["segment_to"] == end)
    more = int(last.loc[went, "customers"].sum()) - fell
    if more <= 0:
        return ""
    return f" {_count(more)} more moved there and ordered in the quarter."


def _silent_in_all(history: pd.DataFrame | None, fell: pd.DataFrame) -> int:
    """Who ordered in the quarter before the last, in whichever segment, not since, and did not fall."""
    if history is None or history.empty or "customer_id" not in fell:
        return 0
    day = history["as_of"].max()
    last = history[history["as_of"] == day]
    silent = (last["orders_next"] == 0) & (last["recency"] < days_of_quarter(day))
    return int((silent & ~last["customer_id"].isin(fell["customer_id"])).sum())


def _rises(flows: pd.DataFrame, profile: pd.DataFrame) -> list[bool]:
    """Whether each flow goes up in every group that has both of its segments."""
    ladders = [
        own.sort_values("cluster")["segment"].to_list()
        for _, own in profile.groupby("segment_type")
    ]
    rises = []
    for ends in zip(flows["segment_from"], flows["segment_to"], strict=True):
        steps = [[ladder.index(end) for end in ends] for ladder in ladders if {*ends} <= {*ladder}]
        rises.append(bool(steps) and all(begin < end for begin, end in steps))
    return rises


def refit_sentence(changes: Any) -> str:
    """Whether the earlier model still serves, and the measured reasons."""
    if changes is None:
        return ""
    reasons = listed(list(changes.reasons))
    return f"**{VERDICT_WORDS[changes.verdict]}**: {reasons}.{_elsewhere(changes.elsewhere)}"


def _elsewhere(counts: dict[str, int]) -> str:
    """Whom the earlier model places elsewhere, and how the comparison counts them."""
    if not counts:
        return ""
    text = f" The later run's borders alone place {told(sum(counts.values()), 'customer')}"
    parts = [f"{count:,} {ELSEWHERE[what]}" for what, count in counts.items()]
    return f"{text}{'' if min(counts.values()) < LEAST_PUBLISHED else f': {listed(parts)}'}."


def _segment_words(row: Any, side: str, kinds: set[str]) -> str:
    name = getattr(row, f"segment_{side}")
    if pd.isna(name):
        return ""
    kind = getattr(row, f"segment_type_{side}")
    return f"{name} ({short_groups(kinds)[kind]})" if len(kinds) > 1 else str(name)


def migration_table(changes: Any, *, currency: str) -> Html:
    """Every pair of segments that share customers, in customers and money."""
    if changes is None:
        return NOTHING
    table = changes.migration.sort_values(
        ["segment_type_before", "cluster_before", "cluster_after"],
        ascending=[True, False, False], kind="stable",
    )  # fmt: skip
    kinds = {*table["segment_type_before"].dropna(), *table["segment_type_after"].dropna()}
    rows = [
        {
            "before": _segment_words(row, "before", kinds) or f"({NOBODY['new']})",
            "after": _segment_words(row, "after", kinds) or f"({NOBODY['lost']})",
            "movement": row.movement,
            "customers": f"{row.customers:,}",
            "spent before": format_money(float(row.revenue_before), currency),
            "spent after": format_money(float(row.revenue_after), currency),
        }
        for row in table.itertuples()
    ]
    caption = f"Where customers went. n = {int(table['customers'].sum()):,}."
    numeric = ("customers", "spent before", "spent after")
    return table_of(pd.DataFrame(rows), caption=caption, numeric=numeric)


def matching_table(changes: Any) -> Html:
    """Which earlier segment each later one is, and how near their profiles are."""
    if changes is None:
        return NOTHING
    keys = ["segment_type", "cluster_after"]
    table = changes.matching.sort_values(keys, ascending=[True, False], kind="stable")
    labels = group_labels(table["segment_type"])
    rows = []
    for row in table.itertuples():
        known = not pd.isna(row.distance)
        verdict = "same profile" if row.is_same else "changed profile"
        cells = {
            "group": labels[row.segment_type],
            "before": row.segment_before if not pd.isna(row.segment_before) else "–",
            "after": row.segment_after if not pd.isna(row.segment_after) else "–",
            "distance": f"{row.distance:.2f}" if known else "–",
            "finding": verdict if known else "no counterpart",
        }
        rows.append(cells)
    shown = (
        pd.DataFrame(rows)
        if table["segment_type"].nunique() > 1
        else pd.DataFrame(rows).drop(columns="group")
    )
    caption = "Segments recognised by profile; distance in standard deviations of the earlier run."
    return table_of(shown, caption=caption, numeric=("distance",))


def drift_table(changes: Any, *, currency: str) -> Html:
    """Population stability index of each feature."""
    if changes is None:
        return NOTHING
    rows = [
        {
            "feature": label(row.feature),
            "in the model": "yes" if row.in_use else "no",
            "index": f"{row.psi:.3f}",
            "median before": format_value(row.median_before, row.feature, currency),
            "median after": format_value(row.median_after, row.feature, currency),
            "finding": row.finding,
        }
        for row in changes.drift.itertuples()
    ]
    caption = "Population stability index: below 0.1 stable, below 0.25 shifting, else shifted."
    numeric = ("index", "median before", "median after")
    return table_of(pd.DataFrame(rows), caption=caption, numeric=numeric)


def changes_text(changes: Any, *, currency: str) -> str:
    """The whole comparison as plain text for a terminal."""
    parts = [
        _changes_plain(changes.migration, currency),
        f"{VERDICT_WORDS[changes.verdict]}: {listed(list(changes.reasons))}.",
        repr(matching_table(changes)),
        repr(migration_table(changes, currency=currency)),
        repr(drift_table(changes, currency=currency)),
    ]
    return "\n\n".join(parts) + "\n"


def folders_text(compared: Any) -> str:
    """What changed from one run folder to another, and which parameters differ, for a terminal."""
    text = changes_text(compared.changes, currency=compared.currency)
    if compared.differing:
        text += f"\nThe runs differ in their parameters: {', '.join(compared.differing)}.\n"
    return text


def renewed_text(done: Any) -> str:
    """What a scheduled run did, for a log or a mail."""
    if not done.is_new:
        lines = [f"nothing has changed since {done.before.name}"]
    elif done.compared:
        lines = [f"compared with {done.before.name}:", folders_text(done.compared)]
    else:
        lines = [f"not compared: {done.why_not}"]
    if done.published:
        lines.append(f"published: {done.published.customers:,} customers, {done.published.place}")
    lines += [f"removed: {name}" for name in done.removed]
    return "\n".join(lines) + "\n"
