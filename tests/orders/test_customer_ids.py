"""Customer ids as programs leave them: one customer is one, a bucket of guests is none."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import call_cli

from segmentation.core.errors import ParameterError
from segmentation.core.parameters import parameters_from
from segmentation.customers.read_orders import read_orders
from segmentation.orders.finding_words import told
from segmentation.sources.snapshot import Snapshot

SQL = """
SELECT customer AS customer_id, number AS order_id, CAST(day AS DATE) AS order_date,
    1 AS quantity, CAST(paid AS DECIMAL(18, 2)) AS amount, TRUE AS is_valid
FROM orders
"""


def read(folder: Path, ids: list[str], **given):
    """(ids of customers, findings by name) of orders of 2.50, one for each id."""
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["customer", "number", "day", "paid"])
        writer.writerows([one, n, f"2024-{n % 12 + 1:02}-05", "2.50"] for n, one in enumerate(ids))
    (folder / "shop.sql").write_text(SQL)
    values = {"source": str(folder / "shop.sql"), "location": str(folder), **given}
    parameters = parameters_from(values)
    snapshot = Snapshot(parameters, scratch=folder / "runs" / ".cache")
    try:
        results = read_orders(snapshot=snapshot, parameters=parameters)
    finally:
        snapshot.close()
    revenue = results["ledger"]["amount"].iloc[-1]
    table = told(results["line_findings"], currency="EUR", revenue=revenue)
    found = table[table["rows"] > 0].set_index("finding")
    assert results["ledger"]["amount"].iloc[0] == Decimal("2.50") * len(ids)
    return sorted(results["customer_features"]["customer_id"]), found


OTHERS = [f"{n:05}" for n in range(1, 41)] * 2


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (["17.0", "17", "17.00"], "decimal_id"),
        (["C1 ", "C1", "\u00a0C1", "C1\u3000"], "blank_in_id"),
        (["C1\u200b", "\ufeffC1", "C\u00ad1", "C1"], "invisible_in_id"),
        (["jos\u00e9", "jose\u0301"], "decomposed_id"),
        (["Ann@Example.com", "ann@example.com"], "address_in_capitals"),
        ([" \u200b17.0 ", "17"], "decimal_id"),
    ],
)
def test_what_programs_add_to_an_id_is_taken_away_and_said(tmp_path, written, name):
    ids, found = read(tmp_path, [*written, "other"])
    assert len(ids) == 2
    row = found.loc[name]
    assert (row["treatment"], row["severity"]) == ("repaired", "notable")
    assert row["customers"] >= 1
    assert Decimal(row["amount"]) >= Decimal("2.50")


def test_ids_with_real_decimals_keep_them(tmp_path):
    ids, found = read(tmp_path, ["1.0", "1.5", "2.0"])
    assert ids == ["1.0", "1.5", "2.0"]
    assert "decimal_id" not in found.index


@pytest.mark.parametrize("word", ["nan", "None", "NULL", "#N/A", "undefined", "<NA>", "(blank)"])
def test_words_for_nothing_are_missing_ids(tmp_path, word):
    ids, found = read(tmp_path, [word] * 9 + ["a", "b"])
    assert ids == ["a", "b"]
    row = found.loc["placeholder_id"]
    assert (row["rows"], row["severity"], row["treatment"]) == (9, "severe", "set aside")
    assert row["amount"] == Decimal("22.50")
    assert found.loc["missing_customer_id", "rows"] == 9


@pytest.mark.parametrize("guest", ["Guest", "gast", "anonymous", "Walk-in"])
def test_what_shops_call_guests_is_no_customer(tmp_path, guest):
    ids, found = read(tmp_path, [guest] * 3 + OTHERS)
    assert guest not in ids
    assert found.loc["guest_id", ["severity", "treatment"]].tolist() == ["severe", "set aside"]


@pytest.mark.parametrize("guest", ["0", "-1", "99999"])
def test_number_with_outlandishly_many_orders_is_no_customer(tmp_path, guest):
    ids, found = read(tmp_path, [guest] * 60 + OTHERS)
    assert guest not in ids
    assert found.loc["guest_id", "rows"] == 60
    assert found.loc["guest_id", "parameter"] == "guest_ids"


def test_number_0_with_as_many_orders_as_others_is_a_customer(tmp_path):
    ids, found = read(tmp_path, ["00000"] * 4 + OTHERS)
    assert "00000" in ids
    assert "guest_id" not in found.index


def test_any_id_far_above_all_others_is_told_and_the_profile_decides(tmp_path):
    lines = ["K4711"] * 60 + OTHERS
    ids, found = read(tmp_path, lines)
    assert "K4711" in ids
    row = found.loc["many_orders_under_one_id"]
    assert (row["severity"], row["rows"], row["examples"]) == ("severe", 60, "customer_id: K4711")
    ids, found = read(tmp_path, lines, guest_ids=["K4711"])
    assert "K4711" not in ids
    assert found.loc["guest_id", "amount"] == Decimal("150.00")
    ids, found = read(tmp_path, ["0"] * 60 + OTHERS, guest_ids=[])
    assert "0" in ids
    assert "guest_id" not in found.index


def test_busy_customers_close_to_one_another_are_no_guests(tmp_path):
    lines = [one for n, one in enumerate(OTHERS[:8]) for _ in range(60 - 5 * n)]
    _, found = read(tmp_path, [*lines, *(f"x{n}" for n in range(400))])
    assert not {"guest_id", "many_orders_under_one_id"} & {*found.index}


def test_lost_zeros_are_told_and_given_back_where_the_profile_says_so(tmp_path):
    lines = ["00017", "17", "00018", "18", "19"]
    ids, found = read(tmp_path, lines)
    assert len(ids) == 5
    assert found.loc["lost_zeros", ["rows", "severity"]].tolist() == [4, "severe"]
    ids, found = read(tmp_path, lines, id_cleaning="match")
    assert ids == ["17", "18", "19"]
    assert found.loc["lost_zeros_matched", "treatment"] == "repaired"


def test_capitals_and_blanks_are_one_customer_where_the_profile_says_so(tmp_path):
    lines = ["c 001", "C001", "c001", "0", "000"]
    assert len(read(tmp_path, lines)[0]) == 5
    assert read(tmp_path, lines, id_cleaning="match")[0] == ["0", "C001"]


def test_off_repairs_nothing(tmp_path):
    lines = ["17.0", "17", "nan", "C1 ", "a"]
    assert read(tmp_path, lines, id_cleaning="off")[0] == sorted(lines)


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        ([f"4.{n:05}E+15" for n in range(20, 29)], "scientific_id"),
        ([f"{n}e+16" for n in range(1, 6)], "scientific_id"),
        ([f"4000210000{n:05}0" for n in range(12, 21)], "cut_digits"),
        ([f"4000210000{n:05}000" for n in range(12, 21)], "cut_digits"),
    ],
)
def test_ids_that_a_spreadsheet_cut_are_severe(tmp_path, ids, name):
    _, found = read(tmp_path, ids)
    assert found.loc[name, ["customers", "severity"]].tolist() == [len(ids), "severe"]


def test_ids_that_only_look_so_are_none(tmp_path):
    ids = ["12E5", "1E2", *(f"400021000000{n:04}{n % 10}" for n in range(30, 60))]
    _, found = read(tmp_path, ids)
    assert not {"scientific_id", "cut_digits"} & {*found.index}


@pytest.mark.parametrize(
    ("given", "meant"),
    [("0, guest", ("0", "guest")), ([0, "x"], ("0", "x")), (7, ("7",)), ([], ())],
)
def test_guests_may_be_written_in_any_way(given, meant):
    assert parameters_from({"guest_ids": given}).guest_ids == meant


def test_guests_that_are_no_list_are_refused():
    with pytest.raises(ParameterError, match="guest_ids"):
        parameters_from({"guest_ids": {"a": 1}})


@pytest.mark.parametrize("asked", ["17.0", "17"])
def test_who_asked_to_be_forgotten_stays_so_whatever_becomes_of_the_id(tmp_path, asked):
    (tmp_path / "runs").mkdir()
    path = tmp_path / "orders.csv"
    assert call_cli("forget", asked, "--runs-dir", tmp_path / "runs").code == 0
    ids, _ = read(tmp_path, ["17.0", "18.0", "19.0", "17.0"])
    assert sorted(ids) == ["18", "19"], path
