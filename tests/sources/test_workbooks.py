"""Workbooks as people keep them: hidden sheets and rows, second copies, titles, merged cells."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from segmentation.core.errors import SourceError
from segmentation.core.parameters import parameters_from
from segmentation.core.readings import TableReading
from segmentation.customers.read_orders import read_orders
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RawFiles
from segmentation.sources.snapshot import Snapshot

HEADER = ["customer", "order", "paid"]
LINES = [[f"C{n}", f"{n}", n * 1.5] for n in range(1, 11)]


def book(path: Path, sheets: dict[str, list[list]], hide: dict[str, str] | None = None, then=None):
    with xlsxwriter.Workbook(path) as file:
        for name, rows in sheets.items():
            sheet = file.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            how = (hide or {}).get(name)
            if how:
                getattr(sheet, how)()
            if then:
                then(sheet)
    return path


def bound(path: Path, **reading):
    """(rows, what is said, hidden rows) of the table `orders`."""
    files = RawFiles(readings={"orders": TableReading(**reading)})
    engine = DuckDbEngine(files)
    try:
        engine.bind_file("orders", path)
        rows = engine.query("SELECT * FROM orders")
        return rows, files.notes[path.name], files.hidden["orders"]
    finally:
        engine.close()


@pytest.mark.parametrize("how", ["hide", "very_hidden"])
@pytest.mark.parametrize("hidden", ["Old", "orders"])
def test_hidden_sheets_are_named_and_not_counted(tmp_path, how, hidden):
    sheets = {"Export": [HEADER, *LINES], hidden: [HEADER, *LINES[:4]]}
    rows, said, _ = bound(book(tmp_path / "orders.xlsx", sheets, {hidden: how}))
    assert len(rows) == 10
    words = {"hide": "hidden", "very_hidden": "very hidden"}[how]
    assert said == f"sheet Export (10 rows), not read: {hidden} ({words})"


def test_profile_may_name_any_sheet(tmp_path):
    sheets = {"Export": [HEADER, *LINES], "Old": [HEADER, *LINES[:4]], "Notes": [["x"], ["y"]]}
    path = book(tmp_path / "orders.xlsx", sheets, {"Old": "very_hidden"})
    assert len(bound(path, sheet="Old")[0]) == 4
    with pytest.raises(SourceError, match=r"no sheet 'March', which tables names; it has 'Export'"):
        bound(path, sheet="March")


def test_workbook_with_all_its_orders_hidden_is_asked_about(tmp_path):
    path = tmp_path / "orders.xlsx"
    sheets = {"Cover": [], "A": [HEADER, *LINES]}
    rows = book(path, sheets, {"A": "very_hidden"})
    with pytest.raises(SourceError, match="all its sheets are empty"):
        bound(rows)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(LINES, id="whole"),
        pytest.param(LINES[::-1], id="sorted-otherwise"),
        pytest.param([*LINES[:6], ["C77", "77", 1]], id="earlier-version"),
        pytest.param(LINES[2:4], id="part"),
    ],
)
def test_second_copy_of_a_sheet_is_refused(tmp_path, second):
    sheets = {"Export": [HEADER, *LINES], "Export (2)": [HEADER, *second]}
    with pytest.raises(SourceError, match=r"sheets 'Export' and 'Export \(2\)' hold \d+ rows that"):
        bound(book(tmp_path / "orders.xlsx", sheets))


def test_sheets_of_other_months_are_one_table(tmp_path):
    sheets = {"January": [HEADER, *LINES[:5]], "February": [HEADER, *LINES[4:]]}
    assert len(bound(book(tmp_path / "orders.xlsx", sheets))[0]) == 11  # one line alike is a line


def test_rows_that_a_filter_hides_are_read_and_said(tmp_path):
    def hide(sheet):
        sheet.autofilter(0, 0, 10, 2)
        for row in (3, 4, 7):
            sheet.set_row(row, 15, None, {"hidden": True})

    path = book(tmp_path / "orders.xlsx", {"a": [HEADER, *LINES]}, then=hide)
    rows, said, hidden = bound(path)
    assert (len(rows), hidden) == (10, 3)
    assert said == "sheet a (10 rows, 3 of them hidden by a filter or by hand)"


TITLES = {
    "title": ([["Orders of 2024"]], 2),
    "title-and-empty-line": ([["Orders of 2024"], []], 3),
    "title-beside": ([["", "", "Confidential"], ["Printed on", 45000.0]], 3),
    "groups": ([["Who", "", ""]], 2),
}


@pytest.mark.parametrize("kind", [k for k in TITLES if k != "title-beside"])
def test_titles_above_the_header_are_passed_over(tmp_path, kind):
    above, place = TITLES[kind]
    rows, said, _ = bound(book(tmp_path / "orders.xlsx", {"a": [*above, HEADER, *LINES]}))
    assert rows.columns.tolist() == HEADER
    assert len(rows) == 10
    assert f"header in row {place}" in said


def test_profile_may_name_the_row_of_the_header(tmp_path):
    above, place = TITLES["title-beside"]
    path = book(tmp_path / "orders.xlsx", {"a": [*above, HEADER, *LINES]})
    rows, _, _ = bound(path, header_row=place)
    assert rows.columns.tolist() == HEADER
    assert len(rows) == 10


def merged_header(path: Path, corner: int) -> Path:
    with xlsxwriter.Workbook(path) as file:
        sheet = file.add_worksheet("a")
        sheet.merge_range(0, corner, 1, corner, "customer")
        sheet.merge_range(0, corner + 1, 0, corner + 2, "Order")
        sheet.write_row(1, corner + 1, HEADER[1:])
        for number, row in enumerate(LINES, 2):
            sheet.write_row(number, corner, row)
    return path


@pytest.mark.parametrize("corner", [0, 2])
def test_header_merged_over_rows_and_groups_of_columns_is_read(tmp_path, corner):
    rows, _, _ = bound(merged_header(tmp_path / "orders.xlsx", corner))
    assert rows.columns.tolist() == HEADER
    assert rows["paid"].astype(float).sum() == 82.5


def test_cells_merged_over_several_lines_are_asked_about(tmp_path):
    def merge(sheet):
        sheet.merge_range(3, 0, 4, 0, "C3")

    path = book(tmp_path / "orders.xlsx", {"a": [HEADER, *LINES]}, then=merge)
    with pytest.raises(SourceError, match=r"1 cell\(s\) merged over several rows .*\(A4\)"):
        bound(path)


def test_rows_that_a_filter_hides_are_a_finding(tmp_path):
    def hide(sheet):
        for row in (3, 4):
            sheet.set_row(row, 15, None, {"hidden": True})

    book(tmp_path / "orders.xlsx", {"a": [HEADER, *LINES]}, then=hide)
    (tmp_path / "shop.sql").write_text(
        "SELECT customer AS customer_id, \"order\" AS order_id, DATE '2024-01-05' AS order_date, "
        "1 AS quantity, CAST(paid AS DECIMAL(18, 2)) AS amount, TRUE AS is_valid FROM orders"
    )
    values = {"source": str(tmp_path / "shop.sql"), "location": str(tmp_path)}
    parameters = parameters_from(values)
    snapshot = Snapshot(parameters, scratch=tmp_path / "runs" / ".cache")
    found = read_orders(snapshot=snapshot, parameters=parameters)["line_findings"]
    snapshot.close()
    assert found.set_index("finding").loc["hidden_rows", ["place", "rows"]].tolist() == [
        "orders",
        2,
    ]
