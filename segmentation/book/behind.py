"""The numbers behind a table or a figure: of groups, never of few people.

Whatever shows one carries its data in the notebook's output, under a kind that no page shows;
`book.data_files` takes them out and puts a file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from segmentation.core.limits import LEAST_ALIKE, LEAST_PUBLISHED

KIND = "application/vnd.segmentation.data+json"
FEW, HIDDEN = f"<{LEAST_PUBLISHED}", "–"
"""What a table says in place of a count of few, and of their figures."""
_COUNTS = ("customers", "orders", "lines")
"""What is counted in a row; where there are few orders there are few customers."""
OF_DATA = ("lines", "how many", "rows")
"""Counts of lines say what happened to the data, and are reconciled: they stay."""
GROUPS = ("segment_type", "segment")
_QUARTILES = {"10%": 0.1, "25%": 0.25, "middle": 0.5, "75%": 0.75, "90%": 0.9}


def hide_few(texts: pd.DataFrame, numeric: Sequence[str]) -> pd.DataFrame:
    """A table as shown, without the figures of a row of fewer than `LEAST_PUBLISHED` customers.

    Examples
    --------
    >>> rows = {"what": ["a", "b"], "customers": ["3 (1%)", "1,234 (99%)"], "spent": ["$7", "$9"]}
    >>> hide_few(pd.DataFrame(rows), ["customers", "spent"]).values.tolist()
    [['a', '<5', '–'], ['b', '1,234 (99%)', '$9']]
    """
    if "customers" not in texts.columns:
        return texts
    counts = texts["customers"].astype(str).str.extract(r"^([\d,]+)")[0].str.replace(",", "")
    few = pd.to_numeric(counts).between(1, LEAST_PUBLISHED - 1)
    hidden = texts.astype(object)
    hidden.loc[few, [name for name in numeric if name not in OF_DATA]] = HIDDEN
    hidden.loc[few, "customers"] = FEW
    return hidden if few.any() else texts


def of_groups(table: pd.DataFrame) -> pd.DataFrame:
    """A table of groups without the figures of those of fewer than `LEAST_PUBLISHED` customers."""
    counted = next((name for name in _COUNTS if name in table.columns), None)
    if counted is None:
        return table
    few = pd.to_numeric(table[counted]).between(1, LEAST_PUBLISHED - 1)
    names = table.select_dtypes(["string", "category", "datetime"]).columns.union(OF_DATA)
    figures = table.columns.difference(names, sort=False)
    return table.assign(**{name: table[name].mask(few) for name in figures})


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
