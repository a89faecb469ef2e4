"""The queries of a run, as text to unfold."""

from __future__ import annotations

from typing import Any

from segmentation.book.words.data import NO_ORDERS


def source_sql(sql: dict[str, Any]) -> str:
    """The source's SELECT, as run."""
    return _query("The SELECT", sql["source"])


def cleaning_sql(sql: dict[str, Any]) -> str:
    """The cleaning query, as run, with the values that the driver bound."""
    if not sql["clean"]:
        return NO_ORDERS
    return _query("Cleaning", sql["clean"], bound=_bound(sql["values"], "clean"))


def features_sql(sql: dict[str, Any]) -> str:
    """The feature query, as run, with the values that the driver bound; and the shop's own."""
    own = sql.get("own_features", "")
    own = "\n\n" + _query("Features of the shop's own", own) if own.strip() else ""
    if not sql["features"]:
        return NO_ORDERS + own
    return _query("Features", sql["features"], bound=_bound(sql["values"], "features")) + own


def _query(name: str, sql: str, *, bound: str = "") -> str:
    """A query, folded: who reads for the findings passes by."""
    values = f"Bound values: {bound}.\n\n" if bound else ""
    return (
        f"<details><summary>{name}, as SQL</summary>\n\n"
        f"```mysql\n{sql.strip()}\n```\n\n{values}</details>"
    )


def _bound(values: dict[str, Any], query: str) -> str:
    names = ["as_of"] if query == "features" else list(values)
    return ", ".join(f"`{name}` = `{values[name]}`" for name in names)
