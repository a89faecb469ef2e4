"""Functions of a SELECT mean the same in MySQL as in DuckDB, or are refused by name."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from typing import Any

import numpy as np
import pytest
import sqlglot
from conftest import ROOT, assert_refused, call_cli, ordinary_orders
from mariadb import MariaDbServer
from sqlglot import exp

from segmentation.core.errors import SourceError
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.mysql.address import parse_location
from segmentation.sources.mysql.engine import MySqlEngine
from segmentation.sources.mysql.functions import SAME, refuse_others

TEXTS = (
    *(None, "", " a ", "Äbc", "äBC", "17", "017", "17.50", "-3", "C-00-001", "2024-02-29"),
    *("2023-12-31 23:59:59", "31.12.2024", "a'b\\c", "x,y,z", "  ", "100%", "true"),
)
NUMBERS = (None, "0.00", "1.50", "-2.50", "2.50", "10.005", "-0.01", "99.99", "3.00")
WHOLES = (None, 0, 1, -1, 2, 7, 100, -100, 3)
DAYS = (
    *(None, "2024-02-29", "2023-12-31", "2024-01-01", "1999-03-28", "2024-03-31"),
    *("2024-10-01", "2000-01-01", "2023-06-15"),
)
FILLED = [None if n == 4 else 7 * n for n in range(18)]
ROWS = list(
    zip(
        *(range(18), TEXTS, TEXTS[::-1], NUMBERS * 2, WHOLES * 2, DAYS * 2),
        *(FILLED, [None if n is None else f"{n}.50" for n in FILLED]),
        strict=True,
    )
)
CALLS = """
LOWER(t) ; UPPER(t) ; TRIM(t) ; LTRIM(t) ; RTRIM(t) ; TRIM(t, 'a') ; SUBSTRING(t, 2, 3)
SUBSTRING(t, -2) ; LEFT(t, 2) ; RIGHT(t, 2) ; LENGTH(t) ; t || u ; CONCAT(t, u)
CONCAT_WS('-', t, u) ; REPLACE(t, 'a', 'b') ; REPLACE(t, '', 'b') ; LPAD(t, 5, '0')
RPAD(t, 5, 'x') ; REVERSE(t) ; REPEAT(t, 2) ; SPLIT_PART(t, '-', 1) ; SPLIT_PART(t, '-', 2)
SPLIT_PART(t, '-', 9) ; SPLIT_PART(t, '-00-', 2) ; STARTS_WITH(t, 'C-') ; CONTAINS(t, '-')
STRPOS(t, '-') ; INSTR(t, '-') ; POSITION('-' IN t) ; REGEXP_MATCHES(t, '^[0-9]+$')
REGEXP_MATCHES(t, '[a-z]') ; REGEXP_REPLACE(t, '-', '') ; REGEXP_REPLACE(t, '-', '', 'g')
REGEXP_REPLACE(t, '[.][0-9]+$', '') ; REGEXP_REPLACE(t, '[a-z]+', 'Q', 'g')
REGEXP_EXTRACT(t, '[0-9]+') ; t LIKE 'C-%' ; t LIKE '%\\%' ; t ILIKE 'ä%' ; ASCII('a') ; CHR(65)
t IN ('17', 'C-00-001') ; t = u ; t < u ; t = '' ; t IS NULL ; t IS DISTINCT FROM '17'
ABS(n) ; ROUND(n) ; ROUND(n, 1) ; ROUND(n, -1) ; FLOOR(n) ; CEIL(n) ; TRUNC(n) ; SIGN(n)
MOD(k, 3) ; k % 3 ; k // 2 ; k / 2 ; POWER(k, 2) ; SQRT(ABS(n)) ; LN(ABS(n) + 1)
LOG(ABS(n) + 1) ; LOG10(ABS(n) + 1) ; EXP(k / 100) ; k BETWEEN 1 AND 5
YEAR(d) ; MONTH(d) ; DAY(d) ; EXTRACT(YEAR FROM d) ; QUARTER(d) ; DAYOFWEEK(d) ; ISODOW(d)
LAST_DAY(d) ; DATE_TRUNC('month', d) ; DATE_TRUNC('quarter', d) ; d - DATE '2024-01-01'
DATE_DIFF('day', d, DATE '2024-03-01') ; DATE_DIFF('month', d, DATE '2024-03-01')
STRFTIME(d, '%Y-%m') ; CAST(STRPTIME(CAST(d AS VARCHAR), '%Y-%m-%d') AS DATE)
d + INTERVAL 1 MONTH ; CAST(EPOCH_MS(86400000 * CAST(k AS BIGINT)) AS DATE)
CAST(d AS VARCHAR) ; CAST(n AS VARCHAR) ; CAST(k AS VARCHAR) ; CAST(n AS DECIMAL(18, 0))
CAST(n AS INTEGER) ; TRY_CAST(t AS DECIMAL(18, 2)) ; TRY_CAST(t AS DATE)
COALESCE(t, u) ; IFNULL(t, u) ; NULLIF(t, '') ; GREATEST(k, n) ; LEAST(k, 1) ; GREATEST(t, u)
GREATEST(k, id, 3) ; LEAST(k, n, 1) ; CASE WHEN k > 0 THEN 'p' END ; IF(k > 0, 1, 0)
CASE k WHEN 1 THEN 'one' ELSE 'other' END ; k > 0 AND n > 0 ; k > 0 OR n > 0 ; NOT (k > 0)
EXISTS (SELECT 1 FROM v AS o WHERE o.id = v.k)
ROW_NUMBER() OVER (ORDER BY id) ; SUM(k) OVER (ORDER BY id) ; AVG(k) OVER (PARTITION BY d)
MAX(k) OVER (PARTITION BY d) ; MIN(k) OVER (PARTITION BY d) ; COUNT(*) OVER (PARTITION BY k > 0)
LAG(k) OVER (ORDER BY id) ; LEAD(t) OVER (ORDER BY id) ; RANK() OVER (ORDER BY id)
DENSE_RANK() OVER (ORDER BY id) ; FIRST_VALUE(t) OVER (PARTITION BY k ORDER BY id)
LAST_VALUE(k) OVER (ORDER BY id)
RANK() OVER (ORDER BY k) ; DENSE_RANK() OVER (ORDER BY n DESC) ; LAG(id) OVER (ORDER BY d, id)
LEAD(id) OVER (ORDER BY k DESC NULLS FIRST, id) ; ROW_NUMBER() OVER (ORDER BY t, id)
FIRST_VALUE(id) OVER (PARTITION BY k > 0 ORDER BY d DESC, id) ; SUM(id) OVER (ORDER BY n)
LAST_VALUE(id) OVER (ORDER BY k NULLS FIRST, id) ; RANK() OVER (ORDER BY k / 2 DESC, t)
SUM(k) OVER (ORDER BY n, id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
CAST(z AS VARCHAR) ; z || t ; CAST(y AS VARCHAR) ; 10 / NULLIF(k, 0) ; 10 % NULLIF(k, 0)
CASE WHEN k > 0 THEN 10 / k END
"""
EXPRESSIONS = [call.strip() for call in re.split(r" ; |\n", CALLS) if call.strip()]
REFUSED = (
    *("MAKE_DATE(2024, 2, 28)", "HASH(t)", "STRIP_ACCENTS(t)", "TRY_STRPTIME(t, '%Y')", "WEEK(d)"),
    *("REGEXP_REPLACE(t, 'a', 'b', 'gi')", "REGEXP_REPLACE(t, '(a)', '\\1')", "LEFT(t, -1)"),
    *(
        "REGEXP_EXTRACT(t, '(a)', 1)",
        "SUBSTRING(t, 0, 3)",
        "TRIM(t, 'ab')",
        "TRANSLATE(t, 'a', 'b')",
    ),
    *("ROW_NUMBER() OVER ()", "SPLIT_PART(t, '-', -1)", "SPLIT_PART(t, '', 1)", "EPOCH(d)"),
)


def functions_in(sql: str) -> set[type]:
    return {type(node) for node in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Func)}


def written(value: object, *, backslash: str) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return "'" + str(value).replace("\\", backslash).replace("'", "''") + "'"


def plain(value: Any) -> object:
    if value is None or value != value:
        return None
    if isinstance(value, dt.date):
        return value.isoformat().removesuffix("T00:00:00")
    return value if isinstance(value, str) else round(float(value), 9)


@pytest.fixture(scope="module")
def engines(mariadb_server: MariaDbServer):
    values = {
        mark: ", ".join(
            f"({', '.join(written(value, backslash=mark) for value in row)})" for row in ROWS
        )
        for mark in ("\\", "\\\\")
    }
    columns = "id INT, t VARCHAR(40), u VARCHAR(40), n DECIMAL(10, 3), k INT, d DATE, z INT, y DECIMAL(9, 2)"
    filled = columns.replace("z INT", "z INT(6) ZEROFILL").replace("9, 2)", "9, 2) ZEROFILL")
    mariadb_server.new_database(
        "called",
        f"CREATE TABLE v ({filled}) CHARACTER SET utf8mb4",
        f"INSERT INTO v VALUES {values[chr(92) * 2]}",  # noqa: S608
    )
    embedded = DuckDbEngine()
    embedded.connection.execute(f"CREATE TABLE v ({columns})")
    embedded.connection.execute(f"INSERT INTO v VALUES {values[chr(92)]}")  # noqa: S608
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYSQL_USER", "root")
        patch.setenv("MYSQL_PASSWORD", "")
        server = MySqlEngine(parse_location(mariadb_server.location("called")))
        server.bind("v")
        with contextlib.closing(embedded), contextlib.closing(server):
            yield embedded, server


def asked(call: str) -> str:
    select = f"SELECT id, {call} AS x FROM v ORDER BY id"  # noqa: S608
    return sqlglot.parse_one(select, dialect="duckdb").sql("duckdb")


@pytest.mark.parametrize("call", EXPRESSIONS)
def test_a_call_gives_the_same_on_every_value(engines, call):
    found = [[plain(v) for v in engine.query(asked(call))["x"].tolist()] for engine in engines]

    refuse_others(asked(call))
    assert found[0] == found[1]
    assert len({*found[0]}) > 1 or "'a')" in call or call in ("ASCII('a')", "CHR(65)")


def test_every_function_that_is_let_through_is_compared():
    tried = set().union(*(functions_in(asked(call)) for call in EXPRESSIONS))
    assert tried == SAME


def test_shipped_and_documented_selects_use_no_other():
    texts = {
        path.stem: path.read_text("utf-8") for path in ROOT.glob("segmentation/sources/sql/*.sql")
    }
    texts |= {path.stem: path.read_text("utf-8") for path in ROOT.glob("examples/*/*.sql")}
    pages = "\n".join(
        path.read_text("utf-8") for path in [ROOT / "README.md", *ROOT.glob("book/*.md")]
    )
    blocks = [b for b in re.findall(r"```sql\n(.*?)```", pages, re.S) if "customer_id" in b]
    texts |= {f"page {number}": block for number, block in enumerate(blocks)}
    assert len(blocks) >= 2
    for name, text in texts.items():
        assert functions_in(text) <= SAME, name


@pytest.mark.parametrize("call", REFUSED)
def test_a_call_of_another_meaning_is_refused_by_name(call):
    with pytest.raises(SourceError, match=r"SELECT uses [A-Z_0-9]+, (which|whose)"):
        refuse_others(asked(call))


@pytest.mark.parametrize("call", ["10 / k", "1 / n", "k % k", "10 // k", "LN(k)"])
def test_a_division_by_zero_is_no_missing_value(engines, call):
    embedded, server = engines
    with contextlib.suppress(embedded.error):
        assert not all(np.isfinite(embedded.query(asked(call))["x"].dropna()))
    with pytest.raises(SourceError, match="divides by 0"):
        server.query(asked(call))


def test_another_day_than_the_text_says_is_refused_in_a_database_too(engines):
    text = "SELECT id FROM v WHERE t = '31.12.2024'"
    made = sqlglot.parse_one("CAST(STRPTIME(t, '%m.%d.%Y') AS DATE)", dialect="duckdb")
    for engine in engines:
        query = sqlglot.parse_one(text, dialect="duckdb").where(engine.cast_fails(made))
        assert len(engine.query(query.sql("duckdb"))) == 1


def stored(server: MariaDbServer, name: str, *more: str) -> str:
    """The ordinary shop in a database."""
    rows = [tuple(row.values()) for row in ordinary_orders()]
    columns = ", ".join(f"{column} VARCHAR(40)" for column in ordinary_orders()[0])
    server.new_database(name, f"CREATE TABLE orders ({columns})", *more)
    with contextlib.closing(server.connect(name)) as connection:
        places = ", ".join(["%s"] * len(rows[0]))
        connection.cursor().executemany(f"INSERT INTO orders VALUES ({places})", rows)  # noqa: S608
    return server.location(name)


def test_a_text_is_not_joined_to_a_number(shop, mariadb_server, as_root):
    location = stored(
        mariadb_server,
        "mixed",
        "CREATE TABLE people (id INT PRIMARY KEY, since DATE)",
        "INSERT INTO people VALUES (3, '2020-01-01')",
    )
    text = (shop.folder / "shop.sql").read_text()
    joined = text.replace("CAST(registered_date AS DATE)", "p.since").replace(
        "FROM orders", "FROM orders AS o LEFT JOIN people AS p ON p.id = o.customer_id"
    )
    shop.sql(joined)
    values = {"engine": "mysql", "location": location}
    assert_refused(
        shop.run(**values), "the text customer_id with the number id", "CAST(id AS VARCHAR)"
    )

    shop.sql(joined.replace("p.id =", "CAST(p.id AS VARCHAR) ="))
    assert call_cli("check", *shop.arguments(**values)[1:]).code == 0


def test_a_view_over_a_table_without_snapshots_is_compared_again(mariadb_server, as_root):
    location = stored(
        mariadb_server,
        "seen",
        "CREATE TABLE kept (id INT) ENGINE=MyISAM",
        "INSERT INTO kept VALUES (1)",
        "CREATE VIEW shown AS SELECT id FROM kept",
    )
    engine = MySqlEngine(parse_location(location))
    with contextlib.closing(engine):
        engine.bind("shown")
        engine.fingerprint("shown")
        engine.check_unchanged()
        mariadb_server.execute("INSERT INTO kept VALUES (2)", database="seen")
        with pytest.raises(SourceError, match="table shown: changed while it was read"):
            engine.check_unchanged()


def test_online_retail_says_why_it_is_not_read_from_a_database(shop, mariadb_server, as_root):
    columns = (
        "InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country"
    )
    table = ", ".join(f"{name} VARCHAR(40)" for name in columns.split(", "))
    mariadb_server.new_database(
        "retail",
        f"CREATE TABLE online_retail ({table})",
        "INSERT INTO online_retail VALUES ('1', 'a', 'b', '1', '2010-12-01 08:26:00', '2.50', '17', 'UK')",
    )
    outcome = shop.run(
        source="online_retail", engine="mysql", location=mariadb_server.location("retail")
    )
    assert_refused(outcome, "ROW_NUMBER", "a database keeps no order")
