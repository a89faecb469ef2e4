"""The numbers behind a table or a figure: of groups, never of few people.

Whatever shows one carries its data in the notebook's output, under a kind that no page shows;
`book.data_files` takes them out and puts a file beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from segmentation.core.limits import LEAST_ALIKE, LEAST_PUBLISHED
from segmentation.core.phrases import told

Key = TypeVar("Key")
KIND = "application/vnd.segmentation.data+json"
FEW, HIDDEN = f"<{LEAST_PUBLISHED}", "–"
"""What a table says in place of a count of few, and of their figures."""
ROUNDED = 5
"""To what counts are rounded where hiding would leave too little of a table."""
ABOUT_FEW = f"{FEW}: fewer than {LEAST_PUBLISHED} customers; {HIDDEN}: what would tell how many."
ABOUT_ROUNDED = (
    f"{FEW}: fewer than {LEAST_PUBLISHED} customers; so that nothing tells how many, all other counts are "
    f"rounded to {ROUNDED}, figures to two digits."
)
_COUNTS = ("customers", "orders", "lines")
"""What is counted in a row; where there are few orders there are few customers."""
OF_DATA = ("lines", "how many", "rows")
"""Counts of lines say what happened to the data, and are reconciled: they stay."""
GROUPS = ("segment_type", "segment")
_QUARTILES = {"10%": 0.1, "25%": 0.25, "middle": 0.5, "75%": 0.75, "90%": 0.9}


def withheld(counts: pd.Series, names: pd.DataFrame) -> tuple[pd.Series, bool]:
    """Rows without figures, and whether all others are rounded.

    Few customers are not counted in public, and totals are known: of the table, and of the rows
    that share a name or two (all that came from a segment, all that went to one). Where these
    give a hidden count away, the smallest row of the shortest such total is hidden as well, until
    none can be solved for. A table of which that would leave less than half is rounded instead.

    Examples
    --------
    >>> rows = pd.DataFrame({"before": ["a", "a", "b", "b"], "after": ["c", "d", "c", "d"]})
    >>> hidden, rounded = withheld(pd.Series([3, 4, 30, 40]), rows[["before"]])
    >>> hidden.tolist(), rounded
    ([True, True, False, False], False)
    >>> hidden, rounded = withheld(pd.Series([3, 20, 30, 40]), rows)
    >>> hidden.tolist(), rounded
    ([True, False, False, False], True)
    """
    sizes = pd.to_numeric(counts).fillna(0).to_numpy(dtype=float)
    few = (sizes >= 1) & (sizes < LEAST_PUBLISHED)
    hidden = few.copy()
    totals = [rows for rows in _totals(names) if rows.sum() > 1] if few.any() else []
    shares = np.array(totals).astype(float)
    while totals and (solved := _solved(shares, hidden) & few).any():
        own = shares[shares[:, solved.argmax()] > 0]
        own = own[np.lexsort((own.sum(axis=1), (own * hidden).sum(axis=1)))]
        spare = next((rows for rows in (own > 0) & ~hidden if rows.any()), None)
        if spare is not None:
            order = np.where(sizes > 0, sizes, sizes.max() + 1)
            hidden[np.where(spare, order, np.inf).argmin()] = True
        if spare is None or hidden.mean() > max(0.5, few.mean()):
            return pd.Series(few, index=counts.index), True
    return pd.Series(hidden, index=counts.index), False


def _totals(names: pd.DataFrame) -> Iterator[np.ndarray]:
    """Which rows each known total is of."""
    yield np.ones(len(names), dtype=bool)
    for several in (1, 2):
        for some in combinations(names.columns, several):
            of = names[list(some)].astype(object).map(str).agg("\0".join, axis=1)
            yield from ((of == one).to_numpy() for one in of.unique())


def _solved(totals: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Hidden rows whose figure follows from the totals and from the rows that are shown."""
    unknown = totals[:, hidden]
    free = np.eye(int(hidden.sum())) - np.linalg.pinv(unknown) @ unknown
    solved = np.zeros(len(hidden), dtype=bool)
    solved[hidden] = np.abs(free).max(axis=1) < 1e-9
    return solved


def hide_few(texts: pd.DataFrame, numeric: Sequence[str], *, adds_up: bool = True) -> pd.DataFrame:
    """A table as shown, without the figures of rows that are `withheld`.

    Where rows overlap (not ``adds_up``), no total tells what one of few hides.

    Examples
    --------
    >>> rows = {"what": list("abcd"), "customers": ["3 (1%)", "1,234 (98%)", "9 (1%)", "12 (1%)"]}
    >>> rows = pd.DataFrame(rows).assign(spent=["$7", "$9", "$5", "$4"])
    >>> hide_few(rows, ["customers", "spent"]).values.tolist()[::2]
    [['a', '<5', '–'], ['c', '–', '–']]
    >>> hide_few(rows[:2], ["customers", "spent"]).values.tolist()
    [['a', '<5', '–'], ['b', '1,235', '$9']]
    """
    if "customers" not in texts.columns:
        return texts
    counts = texts["customers"].astype(str).str.extract(r"^([\d,]+)")[0].str.replace(",", "")
    counts = pd.to_numeric(counts)
    few = counts.between(1, LEAST_PUBLISHED - 1)
    if not few.any():
        return texts
    names = texts.columns.difference([*numeric, "customers"], sort=False)
    hidden = texts.astype(object)
    rows, is_rounded = withheld(counts, texts[names]) if adds_up else (few, False)
    if is_rounded:
        hidden["customers"] = [f"{round(n / ROUNDED) * ROUNDED:,}" for n in counts.fillna(0)]
        others = [name for name in numeric if name not in ("customers", *OF_DATA)]
        hidden[others] = hidden[others].map(roughly)
    hidden.loc[rows, [name for name in numeric if name not in OF_DATA]] = HIDDEN
    hidden.loc[rows, "customers"] = HIDDEN
    hidden.loc[few, "customers"] = FEW
    return hidden


def told_parts(counts: Mapping[Key, int], noun: str = "") -> dict[Key, str]:
    """Counts of the parts of a known total as a sentence says them.

    Where one part is of few, all others are rounded: they and the total would tell how many.

    Examples
    --------
    >>> told_parts({"a": 79, "b": 17, "c": 2}, "anomaly")
    {'a': 'about 80 anomalies', 'b': 'about 15 anomalies', 'c': 'fewer than 5 anomalies'}
    >>> told_parts({"a": 79, "b": 0})
    {'a': '79', 'b': '0'}
    """
    few = {key: 0 < n < LEAST_PUBLISHED for key, n in counts.items()}
    near = {key: round(n / ROUNDED) * ROUNDED for key, n in counts.items()}
    return {
        key: f"about {told(near[key], noun)}"
        if any(few.values()) and n and not few[key]
        else told(n, noun)
        for key, n in counts.items()
    }


def without_few(texts: pd.DataFrame, counts: pd.Series, figures: Sequence[str]) -> pd.DataFrame:
    """A table without the figures of rows in which few of many customers did something.

    ``counts`` are those who did, told in the first of ``figures``; how many did in all is known.

    Examples
    --------
    >>> rows = pd.DataFrame({"came": ["9%", "5%", "8%", "7%"], "spent": ["$9", "$5", "$6", "$1"]})
    >>> without_few(rows, pd.Series([90, 50, 60, 1]), ["came", "spent"]).values.tolist()
    [['9%', '$9'], ['–', '–'], ['8%', '$6'], ['<5', '–']]
    """
    few = counts.between(1, LEAST_PUBLISHED - 1)
    if not few.any():
        return texts
    rows, is_rounded = withheld(counts, texts[[]])
    shown = texts.astype(object)
    if is_rounded:
        shown[[*figures]] = shown[[*figures]].map(roughly)
    shown.loc[rows, [*figures]] = HIDDEN
    shown.loc[few, figures[0]] = FEW
    return shown


def about_few(given: pd.DataFrame, shown: pd.DataFrame) -> str:
    """What a table says of the figures of few that it does not show; nothing where it shows all."""
    if shown is given:
        return ""
    changed = shown.loc[shown["customers"] != given["customers"].astype(str), "customers"]
    return ABOUT_FEW if changed.isin([FEW, HIDDEN]).all() else ABOUT_ROUNDED


def of_groups(table: pd.DataFrame) -> pd.DataFrame:
    """A table of groups without the figures of those that are `withheld`.

    Figures of a part of a row's customers (``top_customers``, ``top_revenue``) are hidden with
    the count of that part.

    Examples
    --------
    >>> rows = {"customers": [90, 90], "top_customers": [3, 40], "top_revenue": [9.0, 50.0]}
    >>> of_groups(pd.DataFrame(rows))["top_revenue"].tolist()
    [nan, 50.0]
    """
    for part in [name for name in table.columns if str(name).endswith("_customers")]:
        few = pd.to_numeric(table[part]).between(1, LEAST_PUBLISHED - 1)
        own = [n for n in table.columns if str(n).startswith(part.removesuffix("customers"))]
        table = table.assign(**{name: table[name].mask(few) for name in own})
    names = _names_of(table)
    figures = table.columns.difference(names.union(OF_DATA), sort=False)
    rows, is_rounded = rows_withheld(table)
    shown = table.assign(**{name: table[name].mask(rows) for name in figures})
    if "ordered" in shown.columns:  # people, too
        shown = shown.assign(
            ordered=shown["ordered"].mask(shown["ordered"].between(1, LEAST_PUBLISHED - 1))
        )
    if is_rounded:
        counted = next(name for name in _COUNTS if name in table.columns)
        near = (pd.to_numeric(shown[counted]) / ROUNDED).round() * ROUNDED
        rounded = {
            name: shown[name].astype("Float64").map(rough, na_action="ignore")
            for name in figures
            if is_numeric_dtype(shown[name])
        }
        shown = shown.assign(**rounded | {counted: near})
    return shown


def roughly(text: object) -> str:
    """A figure in a text with two digits of it: from exact sums a hidden part would follow.

    Examples
    --------
    >>> roughly("$1.24bn"), roughly("$516"), roughly("$0.00"), roughly("-12.5%"), roughly("none")
    ('$1.2bn', '$520', '$0', '-12%', 'none')
    """
    return re.sub(
        r"\d[\d,]*(\.\d+)?",
        lambda n: f"{rough(n[0].replace(',', '')):,.12g}",
        str(text),
        count=1,
    )


def rough(value: Any) -> float:
    """A number with two digits; what is not known stays so."""
    return float(f"{float(value):.2g}")


def rows_withheld(table: pd.DataFrame) -> tuple[pd.Series, bool]:
    """Rows of a table of groups that are `withheld`: none where nobody is counted."""
    counted = next((name for name in _COUNTS if name in table.columns), None)
    if counted is None:
        return pd.Series(False, index=table.index), False
    return withheld(table[counted], table[_names_of(table).difference(OF_DATA)])


def _names_of(table: pd.DataFrame) -> pd.Index:
    return table.select_dtypes(["string", "category", "datetime"]).columns


def quantiles(customers: pd.DataFrame) -> pd.DataFrame:
    """One row per customer as quantiles of each segment and figure; none of few customers."""
    by = [name for name in GROUPS if name in customers.columns]
    figures = customers.select_dtypes("number").columns.difference([*by, "cluster"], sort=False)
    long = customers.melt(by, figures, "figure").dropna(subset=["value"])
    grouped = long.astype({"value": float}).groupby([*by, "figure"], sort=False)["value"]
    found = pd.DataFrame(
        {"customers": grouped.size()}
        | {name: grouped.quantile(share) for name, share in _QUARTILES.items()}
    ).reset_index()
    return found[found["customers"] >= LEAST_ALIKE]


def bundle(data: pd.DataFrame | None) -> dict[str, Any]:
    """Data as an output of a notebook carries them; nothing where there are none."""
    if data is None or data.empty:
        return {}
    plain = data.convert_dtypes()
    days = plain.select_dtypes(["datetime", "datetimetz", pd.PeriodDtype]).astype(str)
    content = plain.assign(**days).to_json(orient="split", index=False, double_precision=15)
    return {KIND: json.loads(content)}
