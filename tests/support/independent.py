"""The figures of a run worked out a second time, by other means.

pandas and the standard library only; nothing of the package is used. Money is added up
as exact decimals and dates are counted by `datetime.date`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd

RULES = [
    "listed_twice",
    "missing_customer_id",
    "missing_order_id",
    "missing_order_date",
    "missing_quantity_or_amount",
    "invalid_order",
    "returned",
    "non_product",
    "non_positive_quantity",
    "negative_amount",
    "zero_amount",
    "duplicate_line",
    "after_as_of",
    "return_without_purchase",
]
IDENTITY = [
    "customer_id",
    "order_id",
    "day",
    "quantity",
    "amount",
    "is_valid",
    "registered",
    "product",
    "category",
    "payment",
]


def _date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def cdnow_lines(path: Path) -> pd.DataFrame:
    """Order lines of CDNOW_master.txt; an order is a customer's day."""
    rows = []
    for line in path.read_text(encoding="ascii").splitlines()[1:]:
        customer, day, discs, dollars = line.split()
        date = dt.datetime.strptime(day, "%Y%m%d").date()
        rows.append((customer, (customer, date), date, Decimal(discs), Decimal(dollars)))
    lines = pd.DataFrame(rows, columns=["customer_id", "order_id", "day", "quantity", "amount"])
    return lines.assign(
        is_valid=True, registered=None, product=None, category=None, payment=None
    ).astype(object)


def marketplace_lines(folder: Path) -> pd.DataFrame:
    """Order lines of the four marketplace tables, with what is known of each line."""
    tables = {
        name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        for name in ("customer_detail", "order_detail", "sku_detail", "payment_detail")
    }
    registered = {
        row.id: _date(row.registered_date) for row in tables["customer_detail"].itertuples()
    }
    products = {row.id: (row.sku_name, row.category) for row in tables["sku_detail"].itertuples()}
    payments = {row.id: row.payment_method for row in tables["payment_detail"].itertuples()}
    rows = []
    for row in tables["order_detail"].itertuples():
        product, category = products.get(row.sku_id, (None, None))
        rows.append(
            {
                "customer_id": row.customer_id or None,
                "order_id": row.id or None,
                "day": _date(row.order_date),
                "quantity": _number(row.qty_ordered),
                "amount": _number(row.after_discount),
                "is_valid": int(row.is_valid) == 1,
                "registered": registered.get(row.customer_id),
                "product": product,
                "category": category,
                "payment": payments.get(row.payment_id),
            }
        )
    return pd.DataFrame(rows, dtype=object)


def first_rule(line: dict) -> str:
    """The first rule that sets a line aside under the shipped profiles, or ``kept``.

    Both profiles set returns aside and keep zero amounts and copies.
    """
    if line["customer_id"] is None:
        return "missing_customer_id"
    if line["order_id"] is None:
        return "missing_order_id"
    if line["day"] is None:
        return "missing_order_date"
    if line["quantity"] is None or line["amount"] is None:
        return "missing_quantity_or_amount"
    if not line["is_valid"]:
        return "invalid_order"
    if line["quantity"] < 0:
        return "returned"
    if line["quantity"] == 0:
        return "non_positive_quantity"
    return "negative_amount" if line["amount"] < 0 else "kept"


def with_rules(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(rule=[first_rule(line) for line in lines.to_dict("records")])


def ledger(lines: pd.DataFrame) -> pd.DataFrame:
    """Rows, customers and exact money: raw, by rule, kept."""

    def row(name: str, part: pd.DataFrame) -> dict:
        amounts = [amount for amount in part["amount"] if amount is not None]
        ids = {customer for customer in part["customer_id"] if customer is not None}
        total = sum(amounts, Decimal(0))
        return {"rule": name, "rows": len(part), "customers": len(ids), "amount": total}

    named = [row(name, lines[lines["rule"] == name]) for name in [*RULES, "kept"]]
    return pd.DataFrame([row("raw", lines), *named])


def findings(lines: pd.DataFrame) -> dict[str, tuple[int, Decimal]]:
    """Kept lines with an amount of zero, and kept lines that copy an earlier one."""
    kept = lines[lines["rule"] == "kept"]
    zero = kept[[amount == 0 for amount in kept["amount"]]]
    seen: set[tuple] = set()
    copies = []
    for line in kept[IDENTITY].itertuples(index=False):
        copies.append(tuple(line) in seen)
        seen.add(tuple(line))
    copied = kept[copies]
    return {
        "zero_amount": (len(zero), sum(zero["amount"], Decimal(0))),
        "duplicate_line": (len(copied), sum(copied["amount"], Decimal(0))),
    }


def features(lines: pd.DataFrame, *, knows_registration: bool) -> pd.DataFrame:
    """The features of every customer, by customer_id; money also exact as ``spent``."""
    kept = lines[lines["rule"] == "kept"]
    as_of = max(kept["day"])
    rows = []
    for customer, own in kept.groupby("customer_id"):
        first, last = min(own["day"]), max(own["day"])
        spent, orders = sum(own["amount"], Decimal(0)), len(set(own["order_id"]))
        registered = own["registered"].iloc[0]
        rows.append(
            {
                "customer_id": customer,
                "register_to_order": (first - registered).days if registered else None,
                "first_to_last_order": (last - first).days,
                "total_unit": float(sum(own["quantity"], Decimal(0))),
                "total_spent": float(spent),
                "recency": (as_of - last).days,
                "frequency": orders,
                "average_order_value": float(spent) / orders,
                "tenure": (as_of - first).days,
                "spent": spent,
            }
        )
    table = pd.DataFrame(rows).set_index("customer_id").sort_index()
    table["register_to_order"] = table["register_to_order"].astype("float64")
    if not knows_registration:
        return table.drop(columns="register_to_order").assign(segment_type="normal")
    days = table["register_to_order"]
    kind = days.map(
        lambda value: (
            "unregistered" if pd.isna(value) else "pre_register" if value < 0 else "normal"
        )
    )
    return table.assign(segment_type=kind)


def profile(customers: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Size, exact revenue and typical values of each labelled group of customers."""
    total = sum(customers["spent"], Decimal(0))
    rows = []
    for keys, members in customers.groupby(["segment_type", "cluster", "segment"]):
        revenue = sum(members["spent"], Decimal(0))
        row = dict(zip(["segment_type", "cluster", "segment"], keys, strict=True)) | {
            "customers": len(members),
            "customers_share": len(members) / len(customers),
            "revenue": revenue,
            "revenue_share": float(revenue / total),
        }
        for name in names:
            known = sorted(value for value in members[name] if not pd.isna(value))
            row[f"{name}_mean"] = sum(known) / len(known) if known else None
            row[f"{name}_median"] = _middle(known)
        rows.append(row)
    return pd.DataFrame(rows).set_index(["segment_type", "cluster"])


def _middle(known: list[float]) -> float | None:
    if not known:
        return None
    half = len(known) // 2
    return known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
