"""The same SQL for warehouses: every query parses in the dialect it is written in.

No warehouse runs here. What is proved is that nothing of a query is lost or left in another
dialect's words: it is written without a warning, read back by that dialect's own grammar, and
still names the same tables, columns and values.
"""

from __future__ import annotations

import re

import pytest
import sqlglot
from conftest import ROOT
from sqlglot import exp

from segmentation.deliver.scoring_sql import scoring_select
from segmentation.segments.model import load_model

WAREHOUSES = ("trino", "bigquery", "snowflake")
SQL = ROOT / "segmentation"
QUERIES = {path.stem: path.read_text("utf-8") for path in sorted(SQL.rglob("*.sql"))}
STRAY = re.compile(r"\$[a-z]|::")
"""Values and casts as only DuckDB (and Snowflake) write them."""


def written(query: exp.Expression | str, dialect: str) -> str:
    tree = sqlglot.parse_one(query, dialect="duckdb") if isinstance(query, str) else query.copy()
    if dialect == "bigquery":  # its windows take no NULLS LAST; what ours order by is never empty
        for window in tree.find_all(exp.Window):
            for term in window.find_all(exp.Ordered):
                term.set("nulls_first", True)
    return tree.sql(dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)


def parts(tree: exp.Expression) -> tuple[set[str], set[str], set[str]]:
    """Tables, columns and texts that a query names, in capitals as a warehouse folds them."""
    tables = {table.name.upper() for table in tree.find_all(exp.Table)}
    columns = {column.name.upper() for column in tree.find_all(exp.Column)}
    texts = {literal.name for literal in tree.find_all(exp.Literal) if literal.is_string}
    return tables, columns, texts


@pytest.mark.parametrize("dialect", WAREHOUSES)
@pytest.mark.parametrize("name", QUERIES)
def test_every_query_parses_in_the_dialect_of_each_warehouse(name, dialect):
    original = sqlglot.parse_one(QUERIES[name], dialect="duckdb")

    text = written(original, dialect)
    read_back = sqlglot.parse_one(text, dialect=dialect)

    assert isinstance(read_back, exp.Query)
    assert not list(read_back.find_all(exp.Command))
    tables, columns, _ = parts(original)
    assert tables <= parts(read_back)[0]
    assert columns <= parts(read_back)[1]
    assert not STRAY.search(text) or dialect == "snowflake"
    assert sqlglot.parse_one(read_back.sql(dialect), dialect=dialect) == read_back


@pytest.mark.parametrize("dialect", WAREHOUSES)
def test_scoring_parses_in_the_dialect_of_each_warehouse(dialect, marketplace_run):
    select = scoring_select(load_model(marketplace_run / "model"))

    read_back = sqlglot.parse_one(written(select, dialect), dialect=dialect)

    assert read_back.named_selects == ["customer_id", "segment_type", "cluster", "segment"]
    assert parts(select)[0] <= {*parts(read_back)[0]} | {t.lower() for t in parts(read_back)[0]}
    assert parts(select)[2] <= parts(read_back)[2]
