"""Exports as shops write them: separators, decimal commas, packed files, many files of a table."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import parameters_from
from segmentation.customers.read_orders import read_orders
from segmentation.sources.snapshot import Snapshot

SQL = """
SELECT kunde AS customer_id, nr AS order_id, CAST(tag AS DATE) AS order_date,
    CAST(menge AS DECIMAL(18, 3)) AS quantity, CAST(betrag AS DECIMAL(18, 3)) AS amount,
    TRUE AS is_valid
FROM orders
"""
NAMES = ["kunde", "nr", "tag", "menge", "betrag", "notiz"]
LINES = [
    ["007", "1", "2024-01-05", "1", "1235.40", "Tee, süß; \"XL\""],
    ["008", "2", "2024-01-07", "3", "664.80", ""],
    ["009", "3", "2024-02-09", "2", "10.5", "a|b"],
    ["007", "4", "2024-02-11", "1", "-3.25", "two\nlines"],
]  # fmt: skip
MONEY = Decimal("1907.450")


def text(separator=",", lines=LINES, decimal=".", names=NAMES) -> str:
    frame = pd.DataFrame(lines, columns=names)
    if decimal == ",":
        frame["betrag"] = [
            f"{float(v):,.2f}".translate({44: ".", 46: ","}) for v in frame["betrag"]
        ]
    return frame.to_csv(index=False, sep=separator)


def read(folder: Path, location: Path | None = None, sql: str = SQL, **given):
    """(raw money, what is said of the reading) of a source whose table is `orders`."""
    (folder / "shop.sql").write_text(sql)
    values = {"source": str(folder / "shop.sql"), "location": str(location or folder), **given}
    parameters = parameters_from(values)
    snapshot = Snapshot(parameters, scratch=folder / "runs" / ".cache")
    try:
        results = read_orders(snapshot=snapshot, parameters=parameters)
    finally:
        snapshot.close()
    return results["ledger"]["amount"].iloc[0], results["overview"]["database"]


KINDS = {
    "semicolon": ("orders.csv", text(";").encode(), "separated by semicolons"),
    "tab": ("orders.tsv", text("\t").encode(), "separated by tabs"),
    "pipe": ("orders.csv", text("|").encode(), "separated by upright lines"),
    "tab-in-csv": ("orders.csv", text("\t").encode(), "separated by tabs"),
    "comma-in-tsv": ("orders.tsv", text(",").encode(), "separated by commas"),
    "utf-16": ("orders.csv", text("\t").encode("utf-16"), "text in UTF-16"),
    "utf-16-be": ("orders.csv", b"\xfe\xff" + text(";").encode("utf-16-be"), "text in UTF-16"),
    "mark-and-windows-lines": (
        "orders.csv",
        b"\xef\xbb\xbf" + text(";").replace("\n", "\r\n").encode(),
        "separated by semicolons",
    ),
    "latin": ("orders.csv", text(";").encode("latin-1"), "text in ISO-8859-1"),
    "named-separator": ("orders.csv", b"sep=;\r\n" + text(";").encode(), "by semicolons"),
    "gzip": ("orders.csv.gz", gzip.compress(text().encode()), None),
    "gzip-tab": ("Orders.TSV.gz", gzip.compress(text("\t").encode()), "separated by tabs"),
    "jsonl": (
        "orders.jsonl",
        "".join(json.dumps(dict(zip(NAMES, line, strict=True))) + "\n" for line in LINES).encode(),
        "one JSON object a line",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_orders_are_the_same_from_every_kind_of_text(tmp_path, kind):
    name, content, said = KINDS[kind]
    (tmp_path / name).write_bytes(content)

    money, how = read(tmp_path)

    assert money == MONEY
    assert said is None or said in how[name]


def test_numbers_of_json_stay_the_decimals_that_stand_there(tmp_path):
    lines = [
        {"kunde": 7, "nr": 1, "tag": "2024-01-05", "menge": 1, "betrag": 0.1},
        {"kunde": 8, "nr": 2, "tag": "2024-01-05", "menge": 1, "betrag": 123456789012.345,
         "notiz": {"a": [1]}},
        {"kunde": None, "nr": 3, "tag": "2024-01-05", "betrag": 1e2, "menge": 1},
    ]  # fmt: skip
    (tmp_path / "orders.ndjson").write_text("\n\n".join(map(json.dumps, lines)))
    assert read(tmp_path)[0] == Decimal("123456789112.445")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}\n[2]\n', "line 2 is no JSON object"),
        ('{"a": 1}\n{"a": 1, "a": 2}\n', "line 2 is no JSON object that names each value once"),
        ('{"a": 1}\n{"A": 2}\n', "differ in capitals"),
        ('{"a": 1}\n{"a": \n', "line 2"),
    ],
)
def test_lines_that_are_no_objects_are_refused_by_number(tmp_path, content, words):
    (tmp_path / "orders.jsonl").write_text(content)
    with pytest.raises(SourceError, match=words):
        read(tmp_path)


def test_packed_file_that_is_cut_is_refused(tmp_path):
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(text().encode() * 9)[:-12])
    with pytest.raises(SourceError, match=r"orders\.csv\.gz: is no complete gzip file"):
        read(tmp_path)


def test_quote_that_swallows_lines_is_found_whatever_the_separator(tmp_path):
    lines = [[f"{n}", f"{n}", "2024-01-05", "1", "2.00", "n"] for n in range(9)]
    broken = text(";", lines).replace("3;3;2024-01-05;1;2.00;n", '3;"3;2024-01-05;1;2.00;n', 1)
    broken = broken.replace("6;6;2024-01-05;1;2.00;n", '6;6";2024-01-05;1;2.00;n', 1)
    (tmp_path / "orders.csv").write_text(broken)
    with pytest.raises(SourceError, match="look like rows of their own"):
        read(tmp_path)


# --- decimal marks ------------------------------------------------------------------------


def shop(folder: Path, amounts: list[str], quantities: list[str] | None = None) -> None:
    lines = [
        [f"{n}", f"{n}", "2024-01-05", (quantities or ["1"] * 99)[n], amount, ""]
        for n, amount in enumerate(amounts)
    ]
    (folder / "orders.csv").write_text(text(";", lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("amounts", "total", "said"),
    [
        (["235,40", "1.234,5", "10", "-2,25"], "1477.650", "decimal comma"),
        (["1 234,50", "1\u202f000,00", " 2,5 "], "2237.000", "decimal comma"),
        (["1234,567", "1,250"], "1235.817", "decimal comma"),
        (["1,234.50", "12"], "1246.500", "marks between thousands"),
        (["1,234,567", "1,250"], "1235817.000", "marks between thousands"),
        (["1'234.50", "1.5"], "1236.000", "marks between thousands"),
        (["12.50", "1.250"], "13.750", None),
    ],
)
def test_numbers_are_read_as_they_are_written(tmp_path, amounts, total, said):
    shop(tmp_path, amounts)
    money, how = read(tmp_path)
    assert money == Decimal(total)
    assert {name for name in how if "mark" in name or "comma" in name} == (
        {said} if said else set()
    )


def test_number_that_can_be_read_in_two_ways_is_asked_about_and_then_read(tmp_path):
    shop(tmp_path, ["1,234", "5,678"])
    with pytest.raises(
        SourceError, match=r"betrag can be read in two ways, as in '1,234'.*decimal"
    ):
        read(tmp_path)
    assert read(tmp_path, tables={"orders": {"decimal": ","}})[0] == Decimal("6.912")
    assert read(tmp_path, tables={"orders": {"decimal": "."}})[0] == Decimal("6912.000")


def test_point_beside_decimal_commas_may_stand_between_thousands(tmp_path):
    shop(tmp_path, ["2,50", "3,10"], ["1.000", "2"])
    with pytest.raises(SourceError, match=r"menge can be read in two ways, as in '1\.000'"):
        read(tmp_path)
    count = SQL.replace("betrag AS DECIMAL(18, 3)", "menge AS DECIMAL(18, 3)")
    assert read(tmp_path, sql=count, tables={"orders": {"decimal": ","}})[0] == Decimal("1002.000")


def test_both_marks_in_one_column_are_no_numbers(tmp_path):
    shop(tmp_path, ["235,40", "12.50"])
    with pytest.raises(SourceError, match="betrag is not a number"):
        read(tmp_path)


def test_select_that_replaces_commas_itself_is_left_alone(tmp_path):
    shop(tmp_path, ["1.235,40", "12,50"])
    sql = SQL.replace("CAST(betrag AS", "CAST(REPLACE(REPLACE(betrag, '.', ''), ',', '.') AS")
    assert read(tmp_path, sql=sql)[0] == Decimal("1247.900")


# --- several files of one table ------------------------------------------------------------


def months(folder: Path, names: list[str], separators: str = ",;\t|") -> None:
    folder.mkdir(exist_ok=True)
    for name, line, separator in zip(names, LINES, separators, strict=False):
        content = text(separator, [line]).encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)


def test_files_of_a_table_are_one_below_the_other_with_their_names(tmp_path):
    months(tmp_path, [f"orders_2024_{n:02}.csv" for n in range(1, 5)])
    sql = SQL.replace("kunde AS customer_id", "file AS customer_id")
    money, how = read(tmp_path, sql=sql)
    assert money == MONEY
    assert "4 files (orders_2024_01.csv, orders_2024_02.csv" in how["orders[-_. ][0-9]*.csv"]


@pytest.mark.parametrize(
    ("names", "tables"),
    [
        (["orders/a.csv", "orders/b.tsv", "orders/c.csv.gz", "orders/d.csv"], {}),
        (["orders-1.csv.gz", "orders-2.csv.gz", "orders-3.csv.gz", "orders-4.csv.gz"], {}),
        (["jan.csv", "feb.csv", "mar.csv", "apr.csv"], {"files": "*.csv"}),
        (["x/jan.csv", "x/feb.csv", "x/mar.csv", "x/apr.csv"], {"files": "x"}),
    ],
)
def test_folders_and_patterns_name_the_files_of_a_table(tmp_path, names, tables):
    (tmp_path / names[0]).parent.mkdir(exist_ok=True)
    months(tmp_path, names)
    assert read(tmp_path, tables={"orders": tables} if tables else {})[0] == MONEY


def test_columns_of_the_parts_may_stand_in_another_order_but_not_be_others(tmp_path):
    months(tmp_path, ["orders_1.csv"])
    turned = [line[::-1] for line in LINES[1:]]
    (tmp_path / "orders_2.csv").write_text(text(lines=turned, names=NAMES[::-1]))
    assert read(tmp_path)[0] == MONEY
    (tmp_path / "orders_2.csv").write_text(text(lines=LINES[1:], names=[*NAMES[:-1], "note"]))
    with pytest.raises(SourceError, match=r"orders_2\.csv: has other columns .*note, notiz"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["orders_1.csv", "orders_2.csv", "orders_2024_old.csv"], "not all end in a number"),
        (["orders_1.csv", "orders_2.tsv"], "2 files for table orders"),
        (["orders/a.csv", "orders/b.pdf"], r"b\.pdf is of a kind that is not read"),
    ],
)
def test_files_that_may_be_no_part_are_not_counted_in_silence(tmp_path, names, words):
    (tmp_path / names[0]).parent.mkdir(exist_ok=True)
    months(tmp_path, names)
    with pytest.raises(SourceError, match=words):
        read(tmp_path)


def test_the_same_file_twice_is_refused(tmp_path):
    for name in ("orders_1.csv", "orders_2.csv"):
        (tmp_path / name).write_text(text())
    with pytest.raises(SourceError, match="hold the same bytes"):
        read(tmp_path)


# --- what the profile states ---------------------------------------------------------------


def test_profile_decides_separator_encoding_and_row_of_the_header(tmp_path):
    content = "Report of 2024;\n\n" + text("|")
    (tmp_path / "export.txt").write_bytes(content.encode("cp1250", errors="replace"))
    reading = {"files": "export.txt", "separator": "|", "encoding": "cp1250", "header_row": 3}
    money, how = read(tmp_path, tables={"orders": reading})
    assert money == MONEY
    assert (
        how["export.txt"]
        == "text in cp1250, as the profile says, values separated by upright lines"
    )


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ("orders", "write one table a line"),
        ({"orders": {"seperator": ";"}}, "unknown seperator; known are files"),
        ({"orders": {"separator": "::"}}, "separator is '::', accepted is one of"),
        ({"orders": {"encoding": "klingon"}}, "'klingon' is not known"),
        ({"orders": {"files": "../x.csv"}}, "not below the location"),
        ({"orders": {"files": "/x.csv"}}, "not below the location"),
        ({"orders": {"header_row": 0}}, "a whole number from 1"),
        ({"orders": ";"}, "write {name: value}"),
    ],
)
def test_reading_that_cannot_be_meant_is_refused_with_what_is_accepted(tables, words):
    with pytest.raises(ParameterError, match=words):
        parameters_from({"tables": tables})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"order": {"separator": ";"}}, "tables states how order is read, but source shop reads"),
        ({"orders": {"files": "none_*.csv"}}, r"has no none_\*\.csv"),
        ({"orders": {"files": "shop.sql"}}, r"of kind \.sql are not read"),
        ({"orders": {"encoding": "ascii"}}, "is not ascii as a whole"),
    ],
)
def test_reading_that_does_not_fit_the_files_is_refused(tmp_path, tables, words):
    (tmp_path / "orders.csv").write_text(text(), encoding="utf-8")
    with pytest.raises(SourceError, match=words):
        read(tmp_path, tables=tables)


def test_how_a_table_is_read_decides_what_is_remembered():
    plain = parameters_from({"tables": {"orders": {"decimal": ","}}}).as_plain()
    assert plain["tables"] == {"orders": {"decimal": ","}}
    assert parameters_from(plain).as_plain() == plain
