"""Which sheets the workbook has, in reading order, and what stands on each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from segmentation.core.columns import (
    FEATURES,
    RULE_WORDS,
    amount_scale,
)
from segmentation.core.groups import group_labels
from segmentation.deliver.workbook.cells import MAX_DIGITS
from segmentation.deliver.workbook.definitions import LIST, SHEET_COLUMNS, TITLES

ALL = "all customers"
PLACES = ("place_by_spend", "place_by_value")
"""One of them: the ranking of all customers that found more of what they spent later."""
_KEYS = ["segment_type", "cluster", "segment"]
_IN_TWIN_ONLY = {
    "recommendations": {
        *(
            "cluster",
            "gap",
            "outcome_days",
            "base_is",
            "is_campaign",
            "revenue_low",
            "revenue_high",
            "revenue_share",
        ),
        *("largest_share", "revenue_per_customer", "one_time_share", "median_recency"),
        *(
            "response_value",
            "mean_value",
            "response_is",
            "typical_order",
            "value_in_period",
            "campaign_cost",
            "base_low",
        ),
        *("base_high", "base_customers", "base_ordered", "base_recency", "anomalies"),
        *("base_quarters", "latest", "latest_base", "latest_value"),
        "latest_forecast",
        *("detectable", "is_supported"),
    },
    "campaign": {"cluster"},
    "profile": {"cluster", "jaccard"},
    "names": {"cluster"},
}
"""Columns that programs need and that a sheet would be too wide to be read with."""
_BY_VALUE = ("profile", "names")
_WITHOUT_EMPTY = ("call_first", "findings")
"""Kinds of sheets that leave out a column without a value."""
_IF_ANY = {"break_even_mean", "given_back"}
"""Columns that any sheet leaves out where nobody has a value."""
ARMS = {"treatment": "contact", "control": "leave alone"}
"""What a customer's arm asks of who has the list."""
_LONGEST_NAME = 31  # UTF-16 units in the name of a sheet
# What the name of a sheet, or of its twin's file, may not hold.
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\<>\"|\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+")


@dataclass(frozen=True)
class Sheet:
    """One sheet: the name of its CSV twin, the kind of its columns, and its rows.

    ``repeats`` says that its customers stand on another sheet as well, so that what had to
    change in their texts is not counted twice. ``notes`` are lines beneath the table. ``groups`` are those
    of the run: the name of an only one goes without saying.
    """

    name: str
    kind: str
    table: pd.DataFrame
    repeats: bool = False
    notes: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """What the sheet is called; lists are called after their segments."""
        if self.kind not in TITLES:
            return self.name
        return self.name.replace(self.kind, TITLES[self.kind]).replace("_", " ")

    @property
    def shown(self) -> pd.DataFrame:
        """What people read: fewer columns than the twin, in words, highest value first."""
        table, hidden = self.table, _IN_TWIN_ONLY.get(self.kind, set())
        if self.kind in _BY_VALUE and {"segment_type", "cluster"} <= set(table.columns):
            keys = ["segment_type", "cluster"]
            table = table.sort_values(keys, ascending=[True, False], kind="stable")
        if self.kind == "profile":
            medians = [str(name) for name in table.columns if str(name).endswith("_median")]
            hidden = hidden | {f"{name.removesuffix('_median')}_mean" for name in medians}
        if self.kind == "ledger" and "rule" in table.columns:
            table = table.assign(rule=table["rule"].map(lambda rule: RULE_WORDS.get(rule, rule)))
        if self.kind == "findings":
            table = table.map(lambda cell: cell.replace("`", "") if isinstance(cell, str) else cell)
        if len(self.groups) == 1 and self.kind != "segments":
            hidden = hidden | {"segment_type"}
        elif "segment_type" in table.columns and self.kind != "segments":
            said = table["segment_type"].map(group_labels(self.groups))
            table = table.assign(segment_type=said)
        if "message" in table.columns:
            hidden = hidden | {"campaign_arm"}
        if "campaign_arm" in table.columns:
            table = table.assign(campaign_arm=table["campaign_arm"].map(ARMS))
        if self.kind in _WITHOUT_EMPTY and len(table):
            empty = table.isna() | table.map(lambda cell: isinstance(cell, str) and not cell)
            hidden = hidden | set(table.columns[empty.all()])
        hidden = hidden | {n for n in _IF_ANY & set(table.columns) if table[n].isna().all()}
        return table.loc[:, [name not in hidden for name in table.columns]]


@dataclass(frozen=True)
class SegmentList:
    """One segment of the summary: its number by value, its name, and its customers' rows."""

    number: int
    segment: str
    rows: np.ndarray


def parts(name: Callable[[int], str], kind: str, table: pd.DataFrame, max_rows: int, *,
          repeats: bool = False) -> Iterator[Sheet]:  # fmt: skip
    """A table on as many sheets as it needs; ``name(1)`` is the name of the first."""
    for number, start in enumerate(range(0, max(len(table), 1), max_rows), 1):
        yield Sheet(name(number), kind, table.iloc[start : start + max_rows], repeats)


def why_empty(table: pd.DataFrame, no_history: str) -> tuple[str, ...]:
    """Why nobody is on a list of those who fell silent, beneath it.

    Examples
    --------
    >>> why_empty(pd.DataFrame(), "orders of one day")
    ('Nobody is on this list: orders of one day.',)
    """
    return (f"Nobody is on this list: {no_history}.",) if no_history and table.empty else ()


def numbered(name: str) -> Callable[[int], str]:
    """Names of the twins that one table continues on.

    Examples
    --------
    >>> [numbered("segments")(part) for part in (1, 2)]
    ['segments', 'segments_2']
    """
    return lambda part: name if part == 1 else f"{name}_{part}"


def list_name(number: int, segment: str) -> Callable[[int], str]:
    """Names of the sheets that list one segment; unlike any other, and safe as file names.

    Examples
    --------
    >>> [list_name(2, "One-time: buyers?")(part) for part in (1, 2)]
    ['2 One-time_ buyers_', '2.2 One-time_ buyers_']
    >>> list_name(1, "Long active, many units customers")(1)
    '1 Long active, many units'
    """

    def name(part: int) -> str:
        start = f"{number} " if part == 1 else f"{number}.{part} "
        text = start + _NOT_IN_NAMES.sub("_", segment)
        units = text.encode("utf-16-le")[: 2 * _LONGEST_NAME]
        cut = units.decode("utf-16-le", "ignore")
        if cut != text and " " in cut[len(start) :] and text[len(cut)] != " ":
            cut = cut[: cut.rindex(" ")]
        return cut.rstrip("' .,")

    return name


def segment_lists(customers: pd.DataFrame, scale: int) -> list[SegmentList]:
    """Segments by their revenue, largest first; every customer is on exactly one."""
    groups = customers.groupby(_KEYS, sort=True, dropna=False, observed=True).indices
    minor = minor_units(customers, scale)
    ordered = sorted(groups.items(), key=lambda item: -int(minor[item[1]].sum()))
    return [
        SegmentList(number, "" if pd.isna(key[2]) else str(key[2]), rows)
        for number, (key, rows) in enumerate(ordered, 1)
    ]


def list_sheets(
    customers: pd.DataFrame, lists: list[SegmentList], max_rows: int
) -> Iterator[Sheet]:
    """One list per segment, the customers who spent most first."""
    columns = list_columns(customers)
    for each in lists:
        members = by_value(customers.iloc[each.rows][columns])
        yield from parts(
            list_name(each.number, each.segment), LIST, members, max_rows, repeats=True
        )


def data_quality(findings: pd.DataFrame) -> pd.DataFrame:
    """What was found, as a person settles it; examples stay out, since they name customers."""
    return findings[[name for name in SHEET_COLUMNS["findings"] if name in findings.columns]]


def anomaly_sheets(customers: pd.DataFrame, max_rows: int) -> Iterator[Sheet]:
    """Customers whom no dense neighbourhood reaches, with reasons, by value."""
    flagged = customers[is_anomaly(customers)]
    columns = [name for name in list_columns(customers) if name != "is_anomaly"]
    table = by_value(flagged[columns])
    yield from parts(numbered("anomalies"), "anomalies", table, max_rows, repeats=True)


def list_columns(customers: pd.DataFrame) -> list[str]:
    """Who, in which segment, worth how much, how sure, and every feature there is."""
    first = ["customer_id", "segment_type", "segment", "campaign_arm", "message", *PLACES]
    first += ["total_spent", "chance", "expected_orders", "expected_value"]
    last = ["margin", "is_anomaly", "anomaly_reasons"]
    features = [name for name in FEATURES if name in customers.columns and name not in first]
    if "recency" in features:
        features.insert(features.index("recency"), "last_order")
    return [name for name in [*first, *features, *last] if name in customers.columns]


def with_day_and_arm(name: str, table: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """A list with the day of the last order, and of whom to leave alone where nobody is left out."""
    known = customers.set_index("customer_id")
    facts = {"last_order": "recency"} | dict.fromkeys(
        ("campaign_arm", "message", *PLACES), "total_spent"
    )
    for fact, before in facts.items():
        is_said = name == "call_first" and fact in ("campaign_arm", "message")
        if fact in known and before in table and not is_said:
            table = table.drop(columns=fact, errors="ignore")
            at = list(table.columns).index(before)
            table.insert(at, fact, table["customer_id"].map(known[fact]))
    return table


def by_value(customers: pd.DataFrame) -> pd.DataFrame:
    """Customers who spent most first; equal ones stay in the order of the table."""
    return customers.sort_values("total_spent", ascending=False, kind="stable")


def exact_revenue(customers: pd.DataFrame, scale: int) -> Decimal:
    """What customers spent, added up exactly."""
    return Decimal(int(minor_units(customers, scale).sum())).scaleb(-scale)


def minor_units(customers: pd.DataFrame, scale: int) -> np.ndarray:
    """What each has spent in whole units of `scale` decimals, to be added up exactly."""
    spent = customers["total_spent"].to_numpy(dtype=float, na_value=0.0)
    return np.round(spent * 10**scale).astype("int64")


def is_anomaly(customers: pd.DataFrame) -> np.ndarray:
    """Who is flagged as unusual."""
    return customers["is_anomaly"].to_numpy(dtype=bool, na_value=False)


def exact_scale(ledger: pd.DataFrame) -> int:
    """Decimals of the ledger's money, no more than a spreadsheet keeps."""
    amounts = ledger["amount"] if "amount" in ledger.columns else []
    exact = [value for value in amounts if isinstance(value, Decimal) and value.is_finite()]
    return min(max(amount_scale(pd.Series(exact, dtype=object)), 0), MAX_DIGITS)
