"""What customers did after a cut: what was given back whole is no order."""

from __future__ import annotations

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import pytest

from segmentation.core.columns import RESPONSE_DAYS
from segmentation.customers.features import FOLLOWED_SQL

CUT, LAST = dt.date(2024, 6, 30), dt.date(2024, 12, 31)


def random_lines(seed: int, returns: str) -> pd.DataFrame:
    chance, rows = np.random.default_rng(seed), []
    for number in range(400):
        is_return = chance.random() < 0.3
        units = int(chance.integers(1, 3))
        day = CUT + dt.timedelta(days=int(chance.integers(-40, 200)))
        rule = "after_as_of" if day > LAST else "kept"
        if is_return and returns == "exclude":
            rule = "returned"
        product = [None, "a", "b"][chance.integers(0, 3)]
        rows.append((f"c{chance.integers(0, 12)}", f"o{number // 2}", day, product, is_return,
                     -units if is_return else units, (-7 if is_return else 7) * units, rule))  # fmt: skip
    names = ["customer_id", "order_id", "order_date", "product", "is_return", "quantity"]
    return pd.DataFrame(rows, columns=[*names, "amount", "rule"])


def answered(lines: pd.DataFrame) -> pd.Index:
    """Purchases after the cut that a return gives back, the latest open one first."""
    known = lines[(lines["order_date"] > CUT) & (lines["order_date"] <= LAST)]
    known = known[known["product"].notna()].assign(units=known["quantity"].abs())
    given_back: list[int] = []
    for _, own in known.groupby(["customer_id", "product", "units"]):
        waiting: list[int] = []
        ordered = own.sort_values(["order_date", "is_return", "amount", "order_id"])
        for index, is_return in ordered["is_return"].items():
            if not is_return:
                waiting.append(index)
            elif waiting:
                given_back.append(waiting.pop())
    return pd.Index(given_back)


@pytest.mark.parametrize("returns", ["exclude", "net"])
@pytest.mark.parametrize("seed", range(5))
def test_what_was_given_back_whole_is_no_order_and_no_revenue(seed, returns):
    lines = random_lines(seed, returns)
    connection = duckdb.connect()
    connection.register("classified", lines)
    values = {"cut": CUT, "last": LAST, "returns": returns}
    found = connection.execute(FOLLOWED_SQL, values).df().set_index("customer_id")

    back = answered(lines)
    kept = lines[lines["rule"] == "kept"]
    bought = kept[~kept["is_return"]]
    before = bought[bought["order_date"] <= CUT].groupby("customer_id")
    assert len(back) > 10
    assert set(found.index) == set(before.groups)
    after = bought[(bought["order_date"] > CUT) & ~bought.index.isin(back)]
    gone = back if returns == "exclude" else []
    money = kept[(kept["order_date"] > CUT) & ~kept.index.isin(gone)]
    for customer, row in found.iterrows():
        own = after[after["customer_id"] == customer]
        spent = money[money["customer_id"] == customer]
        assert row["orders_after"] == own["order_id"].nunique()
        assert row["revenue_after"] == spent["amount"].sum()
        first = own[own["order_date"] == own["order_date"].min()]
        if len(first):
            assert row["days_to_order"] == (first["order_date"].iloc[0] - CUT).days
            assert row["next_amount"] == first["amount"].sum()
        else:
            assert pd.isna(row["days_to_order"]) and pd.isna(row["next_amount"])
        for days in RESPONSE_DAYS:
            within = spent[spent["order_date"] <= CUT + dt.timedelta(days=days)]
            assert row[f"revenue_{days}"] == within["amount"].sum()


def test_an_order_cancelled_at_once_is_none():
    line = {"customer_id": "1", "product": "p", "rule": "kept", "is_return": False}
    lines = pd.DataFrame(
        [
            line | {"order_id": "a", "order_date": CUT, "quantity": 1, "amount": 5},
            line | {"order_id": "b", "order_date": LAST, "quantity": 900, "amount": 90_000},
            line | {"order_id": "C", "order_date": LAST, "quantity": -900, "amount": -90_000}
            | {"is_return": True, "rule": "returned"},
        ]
    )  # fmt: skip
    connection = duckdb.connect()
    connection.register("classified", lines)
    values = {"cut": CUT, "last": LAST, "returns": "exclude"}
    row = connection.execute(FOLLOWED_SQL, values).df().iloc[0]
    assert (row["orders_after"], row["revenue_after"]) == (0, 0)
