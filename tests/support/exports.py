"""Orders of one small shop in the shapes that shop systems write, and what they are worth."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
FATES = ("sold", "sold", "sold", "cancelled", "open")
"""What becomes of an order, in turn."""


def lines(n_customers: int = 40) -> Rows:
    """Order lines: 40 customers, up to three orders each, every second order of two lines."""
    found, number = [], 1000
    for customer in range(n_customers):
        for visit in range(3 if customer % 3 == 0 else 1):
            number += 1
            for line in range(1 + number % 2):
                found.append(
                    {
                        "order": number,
                        "mail": f"C{customer}@Example.com",
                        "day": f"2023-{1 + visit * 3 + line * 0:02d}-{1 + customer % 28:02d}",
                        "pieces": 1 + line,
                        "price": Decimal(f"{5 + customer}.5{visit}"),
                        "product": ("Tee", "Mug, blue")[line],
                        "fate": FATES[number % len(FATES)],
                    }
                )
    return found


def worth(rows: Rows) -> Decimal:
    """Revenue of what was sold, by hand."""
    return sum((r["price"] * r["pieces"] for r in rows if r["fate"] == "sold"), Decimal(0))


def orders_of(rows: Rows) -> dict[int, Rows]:
    """Lines by order."""
    found: dict[int, Rows] = {}
    for row in rows:
        found.setdefault(row["order"], []).append(row)
    return found


def write(path: Path, rows: list[dict[str, Any]], **how: Any) -> Path:
    """A CSV file of rows."""
    encoding = how.pop("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **how)
        writer.writeheader()
        writer.writerows(rows)
    return path


def shopify(folder: Path) -> list[Path]:
    """Status and country on the first line of an order only; the shop's own offset."""
    status = {"sold": "paid", "cancelled": "voided", "open": "pending"}
    found = []
    for number, held in orders_of(lines()).items():
        for place, row in enumerate(held):
            first = place == 0
            found.append(
                {
                    "Name": f"#{number}",
                    "Email": row["mail"] if first else "",
                    "Financial Status": status[row["fate"]] if first else "",
                    "Currency": "EUR" if first else "",
                    "Discount Amount": "0.00" if first else "",
                    "Created at": f"{row['day']} 00:30:00 +0100",
                    "Lineitem quantity": row["pieces"],
                    "Lineitem name": row["product"],
                    "Lineitem price": row["price"] + 1,
                    "Lineitem discount": row["pieces"],
                    "Billing Country": "DE" if first else "",
                    "Notes": "ring\nthe bell" if first else "",
                }
            )
    return [write(folder / "orders_export.csv", found)]


def woocommerce(folder: Path) -> list[Path]:
    """One row per order; guests have the user id 0."""
    status = {"sold": "wc-completed", "cancelled": "wc-cancelled", "open": "wc-failed"}
    found = [
        {
            "Order Number": number,
            "Order Status": status[held[0]["fate"]],
            "Order Date": f"{held[0]['day']} 12:00",
            "Billing Email": held[0]["mail"].lower() if number % 2 else held[0]["mail"],
            "Customer User Id": number % 2,
            "Order Total Amount": sum(r["price"] * r["pieces"] for r in held) + 2,
            "Order Refund Amount": 2,
            "Quantity": sum(r["pieces"] for r in held),
        }
        for number, held in orders_of(lines()).items()
    ]
    return [write(folder / "orders.csv", found, encoding="utf-8-sig")]


def stripe(folder: Path) -> list[Path]:
    """One row per charge, with what was paid back of it; some without a customer id."""
    status = {"sold": "Paid", "cancelled": "Failed", "open": "Failed"}
    found = [
        {
            "id": f"ch_{number}",
            "Created date (UTC)": f"{held[0]['day']} 00:00:00",
            "Amount": sum(r["price"] * r["pieces"] for r in held),
            "Amount Refunded": "1.00" if number % 10 == 0 else "0.00",
            "Currency": "eur",
            "Status": status[held[0]["fate"]],
            "Customer ID": "" if number % 3 else f"cus_{held[0]['mail']}",
            "Customer Email": held[0]["mail"],
        }
        for number, held in orders_of(lines()).items()
    ]
    return [write(folder / "payments.csv", found)]


def amazon(folder: Path) -> list[Path]:
    """Tabs; the price of the whole line; points in time with their offset."""
    status = {"sold": "Shipped", "cancelled": "Cancelled", "open": "Pending"}
    found = [
        {
            "amazon-order-id": f"302-{row['order']}",
            "purchase-date": f"{row['day']}T10:00:00+00:00",
            "order-status": status[row["fate"]],
            "buyer-email": row["mail"],
            "product-name": row["product"],
            "quantity": row["pieces"],
            "currency": "GBP",
            "item-price": row["price"] * row["pieces"] + 1,
            "item-promotion-discount": "1.00",
            "ship-country": "GB",
        }
        for row in lines()
    ]
    return [write(folder / "orders_report.tsv", found, delimiter="\t")]


def olist(folder: Path) -> list[Path]:
    """Three tables and payments; another customer_id for each order; a row per piece."""
    status = {"sold": "delivered", "cancelled": "canceled", "open": "unavailable"}
    items, orders, customers, payments = [], [], [], []
    for number, held in orders_of(lines()).items():
        row = held[0]
        orders.append(
            {
                "order_id": f"o{number}",
                "customer_id": f"x{number}",
                "order_status": status[row["fate"]],
                "order_purchase_timestamp": f"{row['day']} 08:00:00",
            }
        )
        customers.append({"customer_id": f"x{number}", "customer_unique_id": row["mail"]})
        pieces = [r for r in held for _ in range(r["pieces"])]
        for place, piece in enumerate(pieces, start=1):
            item = {"order_id": f"o{number}", "order_item_id": place}
            items.append(item | {"product_id": piece["product"], "price": piece["price"]})
        for part in (1, 2):
            pay = {"order_id": f"o{number}", "payment_sequential": part, "payment_value": "9.00"}
            payments.append(pay)
    tables = {"items": items, "orders": orders, "customers": customers, "payments": payments}
    return [write(folder / f"olist_{name}.csv", rows) for name, rows in tables.items()]


SHOPS = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "olist": olist,
    "stripe": stripe,
    "amazon": amazon,
}


def semicolons(folder: Path) -> list[Path]:
    """A German export: semicolons, decimal commas, 31.12.2024, Windows-1252."""
    status = {"sold": "bezahlt", "cancelled": "storniert", "open": "offen"}
    found = [
        {
            "Kundennr.": row["mail"],
            "Bestell-Nr": row["order"],
            "Bestelldatum": ".".join(reversed(row["day"].split("-"))),
            "Stück": row["pieces"],
            "Betrag": f"{row['price'] * row['pieces']}".replace(".", ","),
            "Währung": "CHF",
            "Status": status[row["fate"]],
        }
        for row in lines()
    ]
    return [write(folder / "umsätze.csv", found, delimiter=";", encoding="cp1252")]


def monthly(folder: Path) -> list[Path]:
    """A file for each month, of the same columns; the price of one piece; days as 3/31/2023."""
    by_month: dict[str, Rows] = {}
    for row in lines():
        year, month, day = row["day"].split("-")
        by_month.setdefault(f"{year}_{month}", []).append(
            {
                "Order No.": row["order"],
                "Client": row["mail"],
                "Date": f"{int(month)}/{int(day)}/{year}",
                "Qty": row["pieces"],
                "Unit price": row["price"],
                "State": {"sold": "shipped"}.get(row["fate"], "cancelled"),
            }
        )
    for month, rows in by_month.items():
        write(folder / f"sales_{month}.csv", rows)
    return [folder]


def joined(folder: Path) -> list[Path]:
    """Lines without a day or customer, which the orders' own table has."""
    orders, positions = [], []
    for number, held in orders_of(lines()).items():
        state = {"sold": "done"}.get(held[0]["fate"], "void")
        day = held[0]["day"].replace("-", "")
        orders.append(
            {"order_no": number, "client": held[0]["mail"], "sold_on": day, "state": state}
        )
        for r in held:
            money = r["price"] * r["pieces"]
            positions.append({"order_no": number, "pieces": r["pieces"], "line_total": money})
    return [write(folder / "heads.csv", orders), write(folder / "positions.csv", positions)]


OTHERS = {"semicolons": semicolons, "monthly": monthly, "joined": joined}
