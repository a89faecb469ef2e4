# ruff: noqa: S608 (the SELECTs are what is tested)
"""However a SELECT is written, no join gives a line's money twice without being refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from segmentation.core.errors import SourceError
from segmentation.orders.transactions import ingest
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.source import find_source

HEAD = "o.who AS customer_id, o.no AS order_id, CAST(o.day AS DATE) AS order_date, TRUE AS is_valid"
MONEY = "CAST(o.pieces AS DECIMAL(18, 0)) AS quantity, CAST(o.paid AS DECIMAL(18, 2)) AS amount"
SUMS = (
    "SUM(CAST(o.pieces AS DECIMAL(18, 0))) AS quantity, "
    "SUM(CAST(o.paid AS DECIMAL(18, 2))) AS amount"
)
ITEMS = "SUM(CAST(i.pieces AS DECIMAL(18, 0))) AS quantity"
BY_ORDER = "GROUP BY o.who, o.no, o.day"
PLAIN = (
    "SELECT who AS customer_id, no AS order_id, CAST(day AS DATE) AS order_date, "
    "CAST(pieces AS DECIMAL(18, 0)) AS quantity, CAST(paid AS DECIMAL(18, 2)) AS amount, "
    "TRUE AS is_valid, method AS payment_method FROM orders"
)
MULTIPLIED = {
    "columns-without-table": f"{PLAIN.replace('no AS', 'orders.no AS')} "
    "LEFT JOIN payments ON orders.no = payments.no",
    "using": f"{PLAIN} LEFT JOIN payments USING (no)",
    "subqueries": f"SELECT {HEAD}, {MONEY} FROM (SELECT * FROM orders) AS o "
    "JOIN (SELECT * FROM payments) AS p ON p.no = o.no",
    "cte-as-lines": "WITH x AS (SELECT * FROM orders WHERE who <> 'test') "
    f"SELECT {HEAD}, {MONEY} FROM x AS o LEFT JOIN payments AS p ON p.no = o.no",
    "join-inside-a-cte": "WITH x AS (SELECT o.*, p.method FROM orders AS o JOIN payments AS p ON "
    "p.no = o.no), y AS (SELECT * FROM x WHERE method <> 'test') "
    f"SELECT {HEAD}, {MONEY} FROM y AS o",
    "grouped": f"SELECT {HEAD}, {SUMS} FROM orders AS o JOIN payments AS p ON p.no = o.no {BY_ORDER}",
    "header-summed-over-items": f"SELECT {HEAD}, {ITEMS}, SUM(CAST(o.paid AS DECIMAL(18, 2))) "
    f"AS amount FROM orders AS o JOIN items AS i ON i.no = o.no {BY_ORDER}",
    "comma": f"SELECT {HEAD}, {MONEY} FROM orders AS o, payments AS p WHERE p.no = o.no",
    "distinct": f"SELECT DISTINCT {HEAD}, {MONEY}, p.method AS payment_method FROM orders AS o "
    "JOIN payments AS p ON p.no = o.no",
    "union": f"SELECT {HEAD}, {MONEY} FROM orders AS o WHERE o.no = '1' UNION ALL "
    f"SELECT {HEAD}, {MONEY} FROM orders AS o JOIN payments AS p ON p.no = o.no WHERE o.no <> '1'",
    "fewer-lines-than-rows": f"SELECT {HEAD}, {MONEY} FROM orders AS o JOIN payments AS p "
    "ON p.no = o.no WHERE CAST(o.no AS INTEGER) < 20",
}
RIGHT = {
    "largest-of-a-header": f"SELECT {HEAD}, {ITEMS}, MAX(CAST(o.paid AS DECIMAL(18, 2))) AS amount "
    f"FROM orders AS o JOIN items AS i ON i.no = o.no {BY_ORDER}",
    "one-row-a-key": f"SELECT {HEAD}, {MONEY}, p.method AS payment_method FROM orders AS o LEFT JOIN "
    "(SELECT no, MIN(method) AS method FROM payments GROUP BY no) AS p ON p.no = o.no",
    "copies-left-out": f"SELECT DISTINCT {HEAD}, {MONEY} FROM orders AS o JOIN payments AS p "
    "ON p.no = o.no",
    "one-row": f"SELECT {HEAD}, {MONEY} FROM orders AS o "
    "CROSS JOIN (SELECT MAX(no) AS last FROM payments) AS x",
    "exists": f"SELECT {HEAD}, {MONEY} FROM orders AS o "
    "WHERE EXISTS (SELECT 1 FROM payments AS p WHERE p.no = o.no)",
    "first-of-a-key": "WITH f AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY no ORDER BY method) AS n "
    f"FROM payments) SELECT {HEAD}, {MONEY} FROM orders AS o LEFT JOIN f ON f.no = o.no AND f.n = 1",
    "qualified-first": f"SELECT {HEAD}, {MONEY} FROM orders AS o JOIN payments AS p ON p.no = o.no "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY o.no ORDER BY p.method) = 1",
}


@pytest.fixture
def read(tmp_path: Path):
    """Forty orders worth 1.50 to 40.50; two of them were paid in two ways."""
    numbers = range(1, 41)
    files = {
        "orders": [
            "no,who,day,pieces,paid",
            *(f"{n},c{n % 5},2024-01-09,2,{n}.50" for n in numbers),
        ],
        "payments": ["no,method", *(f"{n},card" for n in numbers), "3,gift", "4,gift"],
        "items": ["no,sku,pieces", *(f"{n},s{i},1" for n in numbers for i in "ab")],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def of(sql: str) -> str:
        (tmp_path / "shop.sql").write_text(sql, encoding="utf-8")
        engine = DuckDbEngine()
        ingest(engine, find_source(str(tmp_path / "shop.sql"), str(tmp_path)))
        return str(engine.query("SELECT SUM(amount) AS money FROM transactions")["money"].item())

    return of


@pytest.mark.parametrize("shape", MULTIPLIED)
def test_a_join_that_gives_a_line_twice_is_refused_whatever_the_select_looks_like(read, shape):
    with pytest.raises(SourceError, match=r"row\(s\) of .* fit more than one of its rows"):
        read(MULTIPLIED[shape])


@pytest.mark.parametrize("shape", RIGHT)
def test_a_join_that_gives_each_line_once_is_read_with_all_its_money(read, shape):
    assert read(RIGHT[shape]) == "840.00"
