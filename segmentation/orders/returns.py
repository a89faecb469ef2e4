"""Lines that are no ordinary sale: what came back, and what was never a product."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd

from segmentation.sources.engine import Engine

_SQL = Path(__file__).parent / "sql"
RETURNS_SQL = (_SQL / "returns.sql").read_text(encoding="utf-8")
SPECIAL_LINES_SQL = (_SQL / "special_lines.sql").read_text(encoding="utf-8")
RETURN_KINDS = ("matched", "unmatched", "without_purchase")
SPECIAL_KINDS = ("missing_customer_id", "returned", "invalid_order", "non_product")
RETURN_COLUMNS = ("kind", "rows", "customers", "units", "amount")
SPECIAL_COLUMNS = (
    "kind", "product", "rows", "customers", "amount", "kept_rows", "kept_amount",
)  # fmt: skip
_WHOLE = ["rows", "customers"]
_GIVEN_BACK_SQL = """
-- A purchase that was cancelled at once is set aside with its cancellation: both sum to nothing.
SELECT customer_id, CAST(-SUM(amount) AS DOUBLE) AS given_back
FROM classified
WHERE rule = 'returned' AND order_date <= CAST($as_of AS DATE)
GROUP BY customer_id
HAVING SUM(amount) < 0
"""


def returned_lines(engine: Engine, *, as_of: dt.date) -> pd.DataFrame:
    """Return lines by whether an earlier purchase stands against them.

    Returns
    -------
    DataFrame of `RETURN_COLUMNS`, one row per kind, empty where there are no returns
        ``matched``: the same customer bought the same product in the same number of units
        before (where no product is known: as many units at the same amount), and no other
        return used that purchase up. ``unmatched``: a part of a
        purchase, a collective credit, or a purchase before the data begin.
        ``without_purchase``: the customer has bought nothing that counts. ``units`` are
        positive, ``amount`` is negative. Counted alike under both
        policies of returns, up to and including `as_of`.
    """
    counted = (
        engine.query(RETURNS_SQL, {"as_of": as_of}).set_index("kind").reindex(list(RETURN_KINDS))
    )
    table = counted.dropna(subset=["rows"]).reset_index()
    table[_WHOLE] = table[_WHOLE].astype("int64")
    table["units"] = table["units"].astype("float64")
    return table[list(RETURN_COLUMNS)]


def given_back(engine: Engine, *, as_of: dt.date) -> pd.DataFrame:
    """What each customer gave back of money that counts as spent; nobody where it is deducted.

    Returns
    -------
    DataFrame sorted by ``customer_id``
        ``customer_id, given_back`` (positive), of who gave anything back up to `as_of`.
    """
    found = engine.query(_GIVEN_BACK_SQL, {"as_of": as_of}).astype({"given_back": "float64"})
    return found.sort_values("customer_id", kind="stable", ignore_index=True)


def special_lines(engine: Engine) -> pd.DataFrame:
    """Lines without customer, returns, invalid ones and what is no product, all counted.

    Returns
    -------
    DataFrame of `SPECIAL_COLUMNS`
        One row per kind that has lines, ``product`` empty; for ``non_product`` one more
        for each code, largest absolute amount first. ``kept_rows`` and ``kept_amount``
        are what counts as a sale of these under the profile.
    """
    table = engine.query(SPECIAL_LINES_SQL)
    whole = [*_WHOLE, "kept_rows"]
    table[whole] = table[whole].astype("int64")
    order = table["kind"].map({kind: place for place, kind in enumerate(SPECIAL_KINDS)})
    size = [-abs(Decimal(value)) for value in table["amount"]]
    table["product"] = table["product"].astype("object").where(table["product"].notna(), None)
    keyed = table.assign(
        order=order, is_part=table["product"].notna(), size=size, name=table["product"].fillna("")
    )
    keyed = keyed.sort_values(["order", "is_part", "size", "name"], ignore_index=True)
    return keyed[list(SPECIAL_COLUMNS)]
