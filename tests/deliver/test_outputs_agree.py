"""Whatever a run hands over says the same of every customer, and adds up to the ledger's cent."""

from __future__ import annotations

import csv
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import call_cli
from python_calamine import CalamineWorkbook
from workbooks import kind_of, names_of

from segmentation.core.groups import SEGMENT_TYPE_LABELS, group_labels
from segmentation.core.guarded_csv import unguarded
from segmentation.deliver.scoring_sql import scoring_sql
from segmentation.segments.model import load_model

CENT = Decimal("0.01")
KEYS = ("segment_type", "cluster", "segment")
Row = tuple[str, str, Decimal]
"""What every hand-over says of a customer: group, segment, money."""


@pytest.fixture(scope="module")
def handed_over(shipped_run) -> tuple[Path, dict[str, Row]]:
    """A shipped run's folder, and its segments.parquet by customer."""
    _, folder = shipped_run
    table = pd.read_parquet(folder / "segments.parquet")
    rows = zip(
        table["customer_id"], table["segment_type"], table["segment"], table["total_spent"],
        strict=True,
    )  # fmt: skip
    return folder, by_customer(rows)


def by_customer(rows) -> dict[str, Row]:
    """Group, segment and exact money by customer; nobody is there twice."""
    found = {}
    for customer, kind, segment, spent in rows:
        assert customer not in found
        found[customer] = (kind, segment, Decimal(str(spent)).quantize(CENT))
        assert abs(Decimal(str(spent)) - found[customer][2]) < Decimal("1e-6")
    return found


@pytest.fixture(scope="module")
def sheets(handed_over) -> dict[str, list[dict]]:
    folder, expected = handed_over
    groups = {kind for kind, *_ in expected.values()}
    only = {"segment_type": next(iter(groups))} if len(groups) == 1 else {}  # is not named
    book = CalamineWorkbook.from_path(folder / "customer_segmentation_output.xlsx")
    found = {}
    for name in book.sheet_names:
        header, *rows = book.get_sheet_by_name(name).to_python()
        names = names_of(name, header)
        beneath = takewhile(any, rows)  # notes follow an empty row
        found[kind_of(name)] = [only | dict(zip(names, row, strict=True)) for row in beneath]
    return found


@pytest.fixture(scope="module")
def twins(handed_over) -> dict[str, list[dict]]:
    folder, _ = handed_over
    found = {}
    for path in (folder / "workbook_csv").glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        found[path.stem] = [{k: unguarded(v) for k, v in row.items()} for row in rows]
    return found


def listed(tables: dict[str, list[dict]], *names: str) -> dict[str, Row]:
    columns = ("customer_id", "segment_type", "segment", "total_spent")
    rows = [row for name in names for row in tables[name]]
    meant = {words: kind for kind, words in SEGMENT_TYPE_LABELS.items()}  # as lists say a group
    told = [row | {"segment_type": meant.get(kind := row["segment_type"], kind)} for row in rows]
    return by_customer([row[c] for c in columns] for row in told)


def lists_in(tables: dict[str, list[dict]]) -> list[str]:
    return [name for name in tables if name[0].isdigit()]


@pytest.mark.parametrize("kind", ["sheets", "twins"])
def test_workbook_and_twins_are_the_segments_twice_over(handed_over, request, kind):
    """Once on the sheet of all customers, once over the lists of the segments."""
    _, expected = handed_over
    tables = request.getfixturevalue(kind)

    assert listed(tables, "segments") == expected
    assert listed(tables, *lists_in(tables)) == expected


def test_lists_run_from_the_highest_value_to_the_lowest(sheets):
    for name in [*lists_in(sheets), "anomalies"]:
        spent = [row["total_spent"] for row in sheets[name]]
        assert spent == sorted(spent, reverse=True)


def test_anomalies_are_those_of_the_segments(handed_over, sheets):
    folder, _ = handed_over
    table = pd.read_parquet(folder / "segments.parquet")
    flagged = table[table["is_anomaly"]]

    rows = {row["customer_id"]: row["anomaly_reasons"] for row in sheets["anomalies"]}

    assert rows == dict(zip(flagged["customer_id"], flagged["anomaly_reasons"], strict=True))


def test_every_column_of_every_sheet_is_explained(sheets):
    unexplained = [
        (row["sheet"], row["column"])
        for row in sheets["dictionary"]
        if row["meaning"].endswith("as the step that made the table gives it.")
    ]

    assert unexplained == [], "define these in segmentation/deliver/workbook/definitions.py"


def test_every_sum_is_the_ledgers_to_the_cent(handed_over, sheets, twins):
    folder, expected = handed_over
    kept = Decimal(pd.read_csv(folder / "ledger.csv", dtype=str)["amount"].iloc[-1])
    *segments, everybody = sheets["summary"]
    said = group_labels(kind for kind, _, _ in expected.values())

    assert sum(row[2] for row in expected.values()) == kept
    assert sum(Decimal(str(row["revenue"])) for row in segments) == kept
    assert Decimal(str(everybody["revenue"])) == Decimal(twins["summary"][-1]["revenue"]) == kept
    assert Decimal(twins["ledger"][-1]["amount"]) == kept
    for row in segments:
        money = [
            spent
            for kind, segment, spent in expected.values()
            if segment == row["segment"] and row["segment_type"] in (kind, said[kind])
        ]
        assert (len(money), sum(money)) == (row["customers"], Decimal(str(row["revenue"])))


def test_model_and_sql_give_every_customer_the_same_segment(handed_over):
    folder, expected = handed_over
    features = pd.read_parquet(folder / "features.parquet")
    model = load_model(folder / "model")

    assigned = model.assign(features)
    with duckdb.connect() as connection:
        connection.register("features", features)
        rows = connection.execute(scoring_sql(folder / "model", dialect="duckdb")).fetchall()

    named = {customer: row[:2] for customer, row in expected.items()}
    columns = (assigned["customer_id"], assigned["segment_type"], assigned["segment"])
    by_model = {customer: (kind, name) for customer, kind, name in zip(*columns, strict=True)}
    assert by_model == named
    borderline = set(assigned.loc[assigned["margin"] < 1e-9, "customer_id"])
    by_sql = {customer: (kind, name) for customer, kind, _, name in rows}
    assert by_sql.keys() == named.keys()
    assert {one for one in named if by_sql[one] != named[one]} <= borderline
    assert len(borderline) < 5


def test_the_published_table_is_segments_parquet(handed_over, mariadb_server, as_root):
    folder, _ = handed_over
    mariadb_server.new_database("agree")
    place = mariadb_server.location("agree")

    done = call_cli("publish", folder, "--mysql", "segments", "--location", place)

    assert done.code == 0, done.said
    table = pd.read_parquet(folder / "segments.parquet")
    names = [
        row[0] for row in mariadb_server.execute("SHOW COLUMNS FROM segments", database="agree")
    ]
    assert names == [*table.columns, "run_id", "as_of"]
    rows = mariadb_server.execute("SELECT * FROM segments ORDER BY customer_id", database="agree")
    published = pd.DataFrame(rows, columns=names)
    kept = Decimal(pd.read_csv(folder / "ledger.csv", dtype=str)["amount"].iloc[-1])
    assert sum(published["total_spent"]) == kept
    expected = table.sort_values("customer_id").reset_index(drop=True)
    for name in table.columns:
        given = published[name].astype(expected[name].dtype)
        pd.testing.assert_series_equal(given, expected[name], check_exact=True)
