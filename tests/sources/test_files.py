"""Orders in workbooks, archives and texts of another encoding: the same rows, or one sentence."""

from __future__ import annotations

import datetime as dt
import errno
import stat
import struct
import tempfile
import zipfile
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from conftest import TinyShop, assert_refused, ordinary_orders

from segmentation.book.words.findings import findings_table
from segmentation.core.errors import SourceError
from segmentation.core.parameters import resolve
from segmentation.orders.transactions import describe_raw
from segmentation.run.run import Run
from segmentation.sources import excel
from segmentation.sources import files as raw_files
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.source import find_source

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice",
           "CustomerID", "Country"]  # fmt: skip
COLUMNS_OF_II = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price",
                 "Customer ID", "Country"]  # fmt: skip
MORNING = dt.datetime(2010, 12, 1, 8, 26)


def line(invoice, stock, quantity, day, price, customer, country="United Kingdom"):
    when = MORNING + dt.timedelta(days=day)
    return [invoice, stock, f"ITEM £ {stock}", quantity, when, price, customer, country]


LINES = [
    line(536365, "85123A", 6, 0, 2.55, 17850),
    line(536365, 71053, 6, 0, 3.39, 17850),
    line("C536379", "85123A", -1, 1, 2.55, 17850),
    line(536370, "POST", 3, 1, 18, 12583, "France"),
    line(536371, 22086, 80, 2, 0.001, None, "Côte d’Ivoire"),
    line(536372, 22086, 1, 3, 1234.567, 12346),
]


def workbook(path: Path, sheets: dict[str, tuple[list, list]], **options) -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "m/d/yy h:mm", **options}) as book:
        for title, (header, lines) in sheets.items():
            sheet = book.add_worksheet(title)
            for number, row in enumerate([header, *lines] if header else []):
                sheet.write_row(number, 0, row)
    return path


def table(lines=LINES, columns=COLUMNS) -> pd.DataFrame:
    return pd.DataFrame([[None if v is None else str(v) for v in row] for row in lines],
                        columns=columns)  # fmt: skip


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def run_of(path: Path, folder: Path, **changed) -> Run:
    return Run(resolve("online_retail", overrides={"location": str(path), **changed})[1], folder)


def bound(path: Path, name: str = "orders") -> pd.DataFrame:
    """Texts of a table as the SELECT meets them."""
    engine = DuckDbEngine()
    try:
        engine.bind_file(name, path)
        return engine.query(f"SELECT * FROM {name}")  # noqa: S608
    finally:
        engine.close()


# --- the same rows from every kind of file --------------------------------------------


def as_file(kind: str, folder: Path) -> Path:
    path = folder / f"online_retail.{kind.split('-')[0]}"
    if kind == "parquet":
        pd.DataFrame(
            {
                **{name: table()[name] for name in COLUMNS},
                "Quantity": [row[3] for row in LINES],
                "InvoiceDate": [row[4] for row in LINES],
                "UnitPrice": [float(row[5]) for row in LINES],
                "CustomerID": pd.array([row[6] for row in LINES], dtype="Int32"),
            }
        ).to_parquet(path)
    elif kind.startswith("csv"):
        encoding = {"csv-latin": "iso-8859-1", "csv-windows": "cp1252"}.get(kind, "utf-8")
        text = table().to_csv(index=False)
        if kind == "csv-latin":
            text = text.replace("’", "'")
        path.write_bytes(text.encode(encoding))
    elif kind == "xlsx":
        workbook(path, {"Online Retail": (COLUMNS, LINES)})
    else:
        inner = as_file("xlsx" if kind == "zip-xlsx" else "csv-latin", folder)
        zipped(path, {f"Online Retail{inner.suffix}": inner.read_bytes()})
        inner.unlink()
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("csv", None),
        ("csv-latin", "text in ISO-8859-1, as its bytes are not UTF-8"),
        ("csv-windows", "text in Windows-1252, as its bytes are not UTF-8"),
        ("parquet", None),
        ("xlsx", "sheet Online Retail (6 rows)"),
        ("zip-xlsx", "xlsx file in a ZIP archive, sheet Online Retail (6 rows)"),
        ("zip-csv", "csv file in a ZIP archive, text in ISO-8859-1, as its bytes are not UTF-8"),
    ],
)
def test_every_kind_of_file_gives_the_same_ledger_and_says_how_it_was_read(tmp_path, kind, said):
    path = as_file(kind, tmp_path)

    run = run_of(path, tmp_path / "runs", non_product="exclude")

    ledger = run["ledger"].query("rows > 0").set_index("rule")["amount"].to_dict()
    assert ledger == {
        "raw": Decimal("1321.737"),
        "missing_customer_id": Decimal("0.080"),
        "returned": Decimal("-2.550"),
        "non_product": Decimal("54.000"),
        "kept": Decimal("1270.207"),
    }
    assert list(run["customer_features"]["customer_id"]) == ["12346", "17850"]
    assert run["overview"]["database"] == {"engine": "duckdb"} | ({path.name: said} if said else {})


def test_columns_of_online_retail_ii_and_lines_in_both_its_sheets(tmp_path):
    own = [line(489434 + n, 22086, 1, n - 364, 0.50, 13085) for n in range(5)]
    later = [*LINES, line(536373, 22086, 1, 4, 0, 12346)]
    first = [*own, *LINES[:3]]  # a few of the last days, as in the real workbook
    path = workbook(
        tmp_path / "online_retail_II.xlsx",
        {"Year 2009-2010": (COLUMNS_OF_II, first), "Year 2010-2011": (COLUMNS_OF_II, later)},
    )

    run = run_of(path, tmp_path / "runs")

    ledger = run["ledger"].set_index("rule")
    assert ledger.loc["listed_twice", "rows"] == 3
    assert ledger.loc["raw", "amount"] - ledger.loc["listed_twice", "amount"] == (
        Decimal("1321.737") + Decimal("2.50")
    )
    said = "sheets Year 2009-2010 (8 rows), Year 2010-2011 (7 rows)"
    assert run["overview"]["database"]["online_retail_II.xlsx"] == said


def test_cells_become_texts_that_are_exactly_the_same_value(tmp_path):
    row = [12346.0, 2.55, 0.1, 1e-7, 123456789012345, "007", True, dt.datetime(2010, 12, 9, 20, 1),
           " kept ", "", 1.005]  # fmt: skip
    path = workbook(tmp_path / "orders.xlsx", {"a": ([f"c{i}" for i in range(11)], [row, row])})

    (found, again) = bound(path).values.tolist()

    assert [None if pd.isna(value) else value for value in found] == [
        "12346", "2.55", "0.1", "0.0000001", "123456789012345", "007", "true",
        "2010-12-09 20:01:00", " kept ", None, "1.005",
    ]  # fmt: skip
    assert list(map(str, again)) == list(map(str, found))


def test_dates_of_a_workbook_that_counts_from_1904_are_the_same_days(tmp_path):
    path = workbook(tmp_path / "orders.xlsx", {"a": (["day"], [[MORNING]])}, date_1904=True)
    assert bound(path)["day"].item() == "2010-12-01 08:26:00"


def test_number_of_a_workbook_is_the_shortest_decimal_that_is_the_same_number(tmp_path):
    cells = "".join(
        f'<row r="{number}"><c r="A{number}"><v>{digits}</v></c></row>'
        for number, digits in enumerate(("2.5499999999999998", "0.30000000000000004", "1E3"), 2)
    )
    path = sheet_of(tmp_path / "orders.xlsx", SHEET.format(dimension="", more=cells))
    assert bound(path)["1"].tolist() == ["2.55", "0.30000000000000004", "1000"]


def test_shop_of_several_tables_may_be_one_workbook_or_one_archive(tmp_path):
    sql = "SELECT a.customer_id, b.name FROM customers AS a JOIN names AS b ON a.id = b.id"
    (tmp_path / "shop.sql").write_text(sql)

    book = workbook(
        tmp_path / "shop.xlsx",
        {"Customers": (["customer_id", "id"], [["007", 1]]), "Names": (["id", "name"], [[1, "x"]])},
    )
    pack = zipped(
        tmp_path / "shop.zip",
        {"export/customers.csv": b"customer_id,id\n007,1\n", "export/names.csv": b"id,name\n1,x\n"},
    )
    for place in (book, pack):
        source = find_source(str(tmp_path / "shop.sql"), str(place))
        assert bound(source.files["customers"], "customers")["customer_id"].item() == "007"
        assert bound(source.files["names"], "names")["name"].item() == "x"


def test_workbook_in_an_archive_is_found_by_its_table_unpacked_once_and_removed(
    tmp_path, monkeypatch
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    unpacked = []
    real = raw_files.unpack_member
    monkeypatch.setattr(
        raw_files, "unpack_member", lambda *given: unpacked.append(given[0].name) or real(*given)
    )
    lines = ordinary_orders()
    book = workbook(tmp_path / "x.xlsx", {"a": (list(lines[0]), [list(r.values()) for r in lines])})
    zipped(tmp_path / "orders.zip", {"export of March.xlsx": book.read_bytes()})

    outcome = TinyShop(tmp_path).run()

    assert outcome.code == 0, outcome.said
    assert unpacked == ["orders.zip"]  # although the hold-out reads the orders again
    assert not [path for path in scratch.iterdir() if path.name.startswith("segmentation-")]


# --- mistakes and attacks -------------------------------------------------------------


def refused(path: Path, *words: str) -> None:
    shop = TinyShop(path.parent, {"location": str(path)})
    assert_refused(shop.run(), *words)


def test_locked_workbook_is_said(tmp_path):
    path = tmp_path / "orders.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    refused(path, "orders.xlsx", "password", ".xls format")


def test_workbook_without_the_sheet_is_said(tmp_path):
    sheets = {"Read me": (["note"], [["x"]]), "March": (["a", "b"], [[1, 2]])}
    path = workbook(tmp_path / "year.xlsx", sheets)
    refused(path, "year.xlsx", "no sheet orders", "'Read me' and 'March'")


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        pytest.param({"a": ([], [])}, ("empty",), id="empty"),
        pytest.param({"a": (["customer_id"], [])}, ("no rows",), id="header-only"),
        pytest.param({"a": (["x", "X"], [[1, 2]])}, ("X, x", "twice"), id="heading-twice"),
        pytest.param({"a": (["x", "", "z"], [[1, 2, 3]])}, ("heading",), id="heading-missing"),
        pytest.param({"a": (["x"], [[1]])}, ("no column", "customer_id"), id="column-missing"),
    ],
)
def test_sheet_that_is_no_table_is_said(tmp_path, sheets, words):
    refused(workbook(tmp_path / "orders.xlsx", sheets), "orders.xlsx", *words)


@pytest.mark.parametrize("kind", ["xlsx", "zip"])
@pytest.mark.parametrize("damage", ["text", "half", "empty", "middle"])
def test_file_that_is_not_what_its_name_says_is_said(tmp_path, kind, damage):
    path = workbook(tmp_path / "orders.xlsx", {"a": (["x"] * 1, [[i] for i in range(500)])})
    if kind == "zip":
        path = zipped(tmp_path / "orders.zip", {"orders.xlsx": path.read_bytes()})
    whole = path.read_bytes()
    middle = whole[:300] + bytes(200) + whole[500:]
    content = {"text": b"a,b\n1,2\n", "half": whole[: len(whole) // 2], "empty": b"",
               "middle": middle}[damage]  # fmt: skip
    path.write_bytes(content)
    refused(path, "orders.")


def test_chart_sheets_and_empty_sheets_are_passed_over(tmp_path):
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Empty")
        sheet = book.add_worksheet("March")
        for number, row in enumerate((["x"], ["1"], ["2"])):
            sheet.write_row(number, 0, row)
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=March!$A$2:$A$3"})
        book.add_chartsheet("Picture").set_chart(chart)
    assert bound(path)["x"].tolist() == ["1", "2"]


def test_workbook_that_finds_no_room_to_be_unpacked_is_said(tmp_path):
    path = workbook(tmp_path / "orders.xlsx", {"a": (["x"], [[1]])})
    with pytest.raises(SourceError, match=r"orders.xlsx: cannot be unpacked .*TMPDIR"):
        excel.read_workbook(path, "orders", tmp_path / "absent" / "orders.parquet")


def test_zip_that_is_no_workbook_is_said(tmp_path):
    refused(zipped(tmp_path / "orders.xlsx", {"a.txt": b"x"}), "not an Excel workbook")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        pytest.param({"../orders.csv": b"a"}, ("outside", "'../orders.csv'"), id="parent"),
        pytest.param({"/etc/orders.csv": b"a"}, ("outside",), id="absolute"),
        pytest.param({"..\\orders.csv": b"a"}, ("outside",), id="backslash"),
        pytest.param({"c:/orders.csv": b"a"}, ("outside",), id="drive"),
        pytest.param({"read.me": b"a"}, ("no file of a kind", "read.me"), id="nothing-to-read"),
        pytest.param({"orders.zip": b"a"}, ("no file of a kind",), id="archive-in-an-archive"),
        pytest.param(
            {"march.csv": b"a", "april.csv": b"a"},
            ("2 files", "march.csv, april.csv", "orders.csv"),
            id="several",
        ),
        pytest.param({"orders.csv": bytes(90 << 20)}, ("would unpack", "94,371,840"), id="bomb"),
    ],
)
def test_archive_that_cannot_be_meant_is_refused_and_writes_nothing(tmp_path, members, words):
    path = zipped(tmp_path / "pack.zip", members)
    before = set(tmp_path.parent.rglob("*")) | {tmp_path / "shop.sql", tmp_path / "shop.yaml"}
    refused(path, "pack.zip", *words)
    after = {p for p in tmp_path.parent.rglob("*") if "runs" not in p.parts}
    assert after <= before


def test_link_in_an_archive_is_refused(tmp_path):
    path = tmp_path / "pack.zip"
    link = zipfile.ZipInfo("orders.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(path, "outside")


def test_archive_with_a_password_is_said(tmp_path):
    path = zipped(tmp_path / "pack.zip", {"orders.csv": b"a"})
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(signature) + place
        content[start : start + 2] = struct.pack("<H", 1)
    path.write_bytes(content)
    refused(path, "password", "unpack it first")


def sheet_of(path: Path, xml: str) -> Path:
    """A workbook whose only sheet is the given XML."""
    plain = workbook(path.with_name("plain.xlsx"), {"orders": (["x"], [[1]])})
    with zipfile.ZipFile(plain) as old:
        members = {name: old.read(name) for name in old.namelist()}
    plain.unlink()
    members["xl/worksheets/sheet1.xml"] = xml.encode()
    return zipped(path, members)


SHEET = (
    '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/'
    'main">{dimension}<sheetData><row r="1"><c r="A1"><v>1</v></c></row>{more}</sheetData>'
    "</worksheet>"
)
FAR = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'


def test_sheet_that_says_it_is_enormous_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(excel.subprocess, "run", None)  # nothing is read
    dimension = '<dimension ref="A1:XFD1048576"/>'
    path = sheet_of(tmp_path / "orders.xlsx", SHEET.format(dimension=dimension, more=FAR))
    refused(path, "17,179,869,184 cells", "60,000,000")


def test_sheet_that_hides_how_large_it_is_takes_no_more_memory_than_allowed(tmp_path):
    path = sheet_of(tmp_path / "orders.xlsx", SHEET.format(dimension="", more=FAR))
    refused(path, "orders.xlsx", "more than 6 GB")


def test_far_cell_in_the_first_column_costs_nothing(tmp_path):
    far = '<row r="1048576"><c r="A1048576"><v>2</v></c></row>'
    path = sheet_of(tmp_path / "orders.xlsx", SHEET.format(dimension="", more=far))
    assert bound(path)["1"].tolist() == ["2"]


def test_full_disk_of_temporary_files_is_said(tmp_path, monkeypatch):
    path = zipped(tmp_path / "orders.zip", {"orders.csv": b"a,b\n1,2\n"})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("segmentation.sources.zip_member.shutil.copyfileobj", full)
    refused(path, "orders.zip", "temporary files is full", "TMPDIR")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("é".encode() + b"\xe9", ("not UTF-8 near byte",), id="damaged-utf-8"),
        pytest.param(b"caf\x8d", ("neither UTF-8 nor ISO-8859-1",), id="undefined-byte"),
        pytest.param("a,é\n1,é\n".encode()[:-2], ("not UTF-8 near byte",), id="cut-character"),
    ],
)
def test_text_in_no_encoding_that_is_read_is_refused(tmp_path, content, words):
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    refused(path, "orders.csv", *words)


# --- one file for one table -----------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("orders.csv", "orders.parquet"),
        ("orders.CSV", "orders.csv"),
        ("orders.txt", "orders.zip"),
        ("Orders.xlsx", "orders.csv"),
        ("orders.csv", "orders/part-0.parquet"),
    ],
)
def test_two_files_for_one_table_are_refused_by_their_names(shop, names):
    for name in names:
        path = shop.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert_refused(shop.run(), "2 files for table orders", *(name.split("/")[0] for name in names))


def test_two_sheets_and_two_members_for_one_table_are_refused_by_their_names(tmp_path):
    path = tmp_path / "year.xlsx"
    workbook(path, {"My Orders": (["x"], [[1]]), "my_orders": (["x"], [[2]])})
    with pytest.raises(SourceError, match=r"2 sheets .*'My Orders', 'my_orders'"):
        bound(path, "my_orders")
    path = zipped(tmp_path / "year.zip", {"a/orders.csv": b"a\n1\n", "b/ORDERS.txt": b"a\n1\n"})
    with pytest.raises(SourceError, match=r"2 files .*a/orders\.csv, b/ORDERS\.txt"):
        bound(path, "orders")


@pytest.mark.parametrize("name", ["Orders.CSV", "ORDERS.Parquet", "orders.XLSX"])
def test_endings_and_names_in_capitals_are_those_of_the_table(tmp_path, name):
    path = tmp_path / name
    frame = pd.DataFrame({"customer_id": ["007"], "amount": ["5.00"]})
    if path.suffix == ".CSV":
        frame.to_csv(path, index=False)
    elif path.suffix == ".XLSX":
        workbook(tmp_path / "x.xlsx", {"a": (list(frame), frame.to_numpy().tolist())}).rename(path)
    else:
        frame.to_parquet(path)
    (tmp_path / "shop.sql").write_text("SELECT customer_id, amount FROM orders")

    source = find_source(str(tmp_path / "shop.sql"), str(tmp_path))

    assert source.files == {"orders": path}
    assert bound(path).to_numpy().tolist() == [["007", "5.00"]]


def test_values_over_several_lines_are_a_finding_of_the_file(shop):
    rows = ordinary_orders(4)
    rows[1] |= {"note": "Ring twice,\nplease"}
    rows[2] |= {"note": "A gift\n\nfor Ann"}
    shop.lines([row | {"note": row.get("note", "")} for row in rows])

    findings = Run(resolve(str(shop.arguments()[1]))[1], shop.runs_dir)["findings"]

    found = findings.set_index("finding").loc["value_over_lines"]
    assert (found["place"], found["rows"], found["facts"]) == ("orders", 2, '{"lines": 3}')
    page = str(findings_table(findings, currency="GBP"))
    assert "over 3 further lines" in page


def test_queries_for_a_wide_table_do_not_grow_with_its_columns(tmp_path):
    wide = {f"c{number}": [str(number), "", "x"] for number in range(700)}
    pd.DataFrame(wide).to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / "shop.sql").write_text("SELECT c1 FROM orders")
    source = find_source(str(tmp_path / "shop.sql"), str(tmp_path))
    engine = DuckDbEngine()
    engine.bind("orders", source.files["orders"])
    asked: list[str] = []
    real = engine.query
    engine.query = lambda sql, values=None: asked.append(sql) or real(sql, values)

    described = describe_raw(engine, source)

    assert len(asked) <= 33
    assert list(described["column"]) == list(wide)
    assert set(zip(described["missing"], described["distinct"], strict=True)) == {(1, 2)}
    engine.files.close()
    engine.close()
