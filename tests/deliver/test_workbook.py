"""segmentation.deliver.workbook: what the CRM team opens is what the tables say, and inert."""

from __future__ import annotations

import datetime as dt
import errno
import gc
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from disks import mounted
from openpyxl.utils import get_column_letter
from workbooks import names_of

from segmentation.core.columns import RULE_WORDS
from segmentation.core.errors import OutputError
from segmentation.deliver import workbook
from segmentation.deliver.workbook import inert_file, sheet_writer, sheets, summary, write_workbook
from segmentation.deliver.workbook.columns import labels_of
from segmentation.deliver.workbook.definitions import TITLES

IDS = ["00123", "12345678901234567890", "17850.0", "NA", "=1+1", "1E5"]
HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "a\r\nb",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example","x")',
    "＝1+1",
    "#REF!",
    "#N/A",
    "{=1}",
    "http://x.example",
    "mailto:a@x.example",
    "internal:ledger!A1",
    "TRUE",
    "'quoted",
    "<r><t>markup</t></r>",
    "<r>&</r>",
    "</t></is></c>",
    "&amp; & < >",
    "_x0041_",
    "a_x000D__x0042_",
    "  spaces  ",
    " ",
    "日本語 \N{WRAPPED PRESENT}",
    "\x7f\x85\u2028",
]


def segments_of(ids, **columns) -> pd.DataFrame:
    """Segments table with one row per id; `columns` replace or add."""
    n = len(ids)
    table = {
        "customer_id": pd.Series(list(ids), dtype=object),
        "total_spent": np.linspace(1.0, 2.0, n) / 3,
        "frequency": range(1, n + 1),
        "recency": np.arange(n, dtype=float),
        "segment_type": "normal",
        "cluster": 0,
        "segment": "Loyal",
        "margin": 0.5,
        "is_anomaly": False,
        "anomaly_reasons": "",
    }
    return pd.DataFrame(table | columns)


def tables_of(segments: pd.DataFrame, **others) -> dict:
    group = {"segment_type": ["normal"], "cluster": [0], "segment": ["Loyal"]}
    return {
        "segments": segments,
        "customers": segments,
        "profile": pd.DataFrame(
            group
            | {
                "customers": [len(segments)],
                "customers_share": [1.0],
                "revenue": [Decimal("1234.56")],
                "revenue_share": [1.0],
                "total_spent_mean": [12.5],
                "recency_median": [30.5],
            }
        ),
        "ledger": pd.DataFrame(
            {
                "rule": ["raw", "returned", "kept"],
                "rows": [3_000, 1_000, 2_000],
                "customers": [30, 10, 25],
                "amount": [
                    Decimal("9999999999999.99"),
                    Decimal("-0.01"),
                    Decimal("10000000000000.00"),
                ],
            }
        ),
        "facts": pd.DataFrame(
            {
                "segment_type": ["normal"] * 2,
                "cluster": [0, 0],
                "segment": ["Loyal"] * 2,
                "fact": ["Orders more often than 90%.", "=1+1"],
            }
        ),
        "recommendations": pd.DataFrame(
            group
            | {
                "play": ["Thank them"],
                "revenue_share": [1.0],
                "break_even_response": [0.034],
                "contact_cost": [0.5],
                "reach": [7],
            }
        ),
        "overview": {
            "source": "cdnow",
            "as_of": dt.date(1998, 6, 30),
            "rows": 69_659,
            "parameters": {"n_clusters": 4, "features": ["recency", "frequency"]},
        },
        "currency": "USD",
    } | others


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "customers.xlsx"


@pytest.fixture
def written(path: Path):
    write_workbook(path, **tables_of(segments_of(IDS)))
    return openpyxl.load_workbook(path)


def names_of_sheet(sheet) -> list[str]:
    return names_of(sheet.title, [cell.value for cell in sheet[1]])


def column_of_sheet(sheet, name: str) -> list:
    header = names_of_sheet(sheet)
    return [row[header.index(name)].value for row in sheet.iter_rows(min_row=2)]


def sheet_xml(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "".join(
            archive.read(name).decode()
            for name in archive.namelist()
            if name.startswith("xl/worksheets/")
        )


def test_read_excel_gives_the_segments_table_exactly(path):
    segments = segments_of(IDS, margin=[0.1, 1 / 3, np.nan, 1e-17, 0.30000000000000004, 1.0])
    segments["is_anomaly"] = [True] + [False] * 5
    segments["anomaly_reasons"] = ["spends more than 99.9%"] + [""] * 5

    write_workbook(path, **tables_of(segments))

    read = pd.read_excel(
        path, sheet_name="All customers", dtype={"Customer": str},
        keep_default_na=False, na_values=[""],
    )  # fmt: skip
    words = {"is_anomaly": ["yes"] + [np.nan] * 5}  # flags in words; the twin has True and False
    expected = segments.assign(
        anomaly_reasons=segments["anomaly_reasons"].replace("", np.nan), **words
    )
    expected.columns = labels_of("segments", segments)
    pd.testing.assert_frame_equal(
        read, expected, check_dtype=False, check_exact=True, check_column_type=False
    )


def test_sheets_are_in_reading_order_and_the_summary_is_first(written):
    assert written.sheetnames == [
        "Summary",
        "1 Loyal",
        "Unusual",
        "All customers",
        "Recommendations",
        "Segment profile",
        "Why these names",
        "Ledger",
        "Definitions",
        "About",
    ]
    assert written.active.title == "Summary"


NOTES_BENEATH = [
    "Source: cdnow. Money in USD.",
    "What every column means stands on the sheet Definitions.",
]


def test_the_summary_says_beneath_its_table_what_it_is_about(written):
    sheet = written["Summary"]

    beneath = [row[0] for row in list(sheet.iter_rows(values_only=True))[-3:]]

    assert beneath == [None, *NOTES_BENEATH]
    assert sheet.print_area.endswith(f"${sheet.max_row}")


def test_the_summary_says_at_what_margin_and_cost_a_contact_pays(path):
    tables = tables_of(segments_of(IDS))
    tables["overview"] = tables["overview"] | {"gross_margin": 0.224, "contact_cost": 0.5}

    write_workbook(path, **tables)

    said = [row[0] for row in openpyxl.load_workbook(path)["Summary"].iter_rows(values_only=True)]
    assert "What pays is counted at a gross margin of 22% and $0.50 a contact; check both." in said


def test_headers_are_words_and_each_is_another(written):
    for sheet in written:
        words = [cell.value for cell in sheet[1]]
        assert len(set(words)) == len(words)
        assert all(word[0].isupper() and "_" not in word for word in words), sheet.title
    assert [cell.value for cell in written["1 Loyal"][1]][:6] == [
        *("Customer", "Segment", "Total spent", "Days since last order", "Orders", "How clearly"),
    ]  # of one group only, which goes without saying


def test_last_order_stands_beside_the_days_since_it(path):
    segments = segments_of(IDS)
    last = pd.Timestamp("1998-06-30") - pd.to_timedelta(segments["recency"], unit="D")

    write_workbook(path, **tables_of(segments, customers=segments.assign(last_order=last)))

    sheet = openpyxl.load_workbook(path)["1 Loyal"]
    names = names_of_sheet(sheet)
    assert names.index("recency") == names.index("last_order") + 1
    pairs = zip(
        column_of_sheet(sheet, "last_order"), column_of_sheet(sheet, "recency"), strict=True
    )
    assert all(day == dt.datetime(1998, 6, 30) - dt.timedelta(days=ago) for day, ago in pairs)
    assert sheet.cell(2, names.index("last_order") + 1).number_format == "yyyy-mm-dd"


def test_segments_have_the_colours_of_the_pages(path):
    write_workbook(path, **tables_of(segments_of(IDS), colours={"Loyal": "#004488"}))

    book = openpyxl.load_workbook(path)
    cell = book["Summary"].cell(2, names_of_sheet(book["Summary"]).index("segment") + 1)
    assert (cell.value, cell.fill.fgColor.rgb, cell.font.color.rgb) == (
        *("Loyal", "FF004488", "FFFFFFFF"),
    )
    assert book["1 Loyal"].sheet_properties.tabColor.rgb == "FF004488"


def test_rows_are_as_high_as_their_wrapped_texts(path):
    tables = tables_of(segments_of(IDS))
    tables["recommendations"]["why"] = ["They order often. " * 8]

    write_workbook(path, **tables)

    book = openpyxl.load_workbook(path)
    sheet = book["Recommendations"]
    at = names_of_sheet(sheet).index("why")
    assert sheet.column_dimensions["ABCDEFGHIJ"[at]].width == pytest.approx(20, abs=1)
    assert sheet.row_dimensions[2].height >= 15 * len("They order often. " * 8) / 20
    assert book["All customers"].row_dimensions[2].height is None


def test_why_to_call_somebody_is_read_whole_and_stands_off_the_number_before_it(path):
    why = "Ordered every month until March, and has been silent since; spent twice the mean."
    called = pd.DataFrame({"rank": [1], "customer_id": ["a"], "value_at_risk": [9.5], "why": [why]})

    write_workbook(path, **tables_of(segments_of(IDS)), next_steps={"call_first": called})

    sheet = openpyxl.load_workbook(path)["Call first"]
    cell = sheet["D2"]
    assert (cell.value, cell.alignment.wrap_text, cell.alignment.indent) == (why, True, 1)
    assert cell.alignment.horizontal == "left", "LibreOffice indents no other text"
    width = sheet.column_dimensions["D"].width
    assert sheet.row_dimensions[2].height >= 15 * len(why) / width


def test_money_shows_its_currency(path):
    for currency, shown in (("EUR", '"€"#,##0.00'), ("CHF", '"CHF "#,##0.00')):
        write_workbook(path, **tables_of(segments_of(IDS), currency=currency))
        sheet = openpyxl.load_workbook(path)["All customers"]
        assert sheet["B2"].number_format == shown


def test_what_was_found_is_listed_without_examples(path):
    findings = pd.DataFrame(
        {
            "finding": ["x"], "place": ["amount"], "severity": ["severe"], "rows": [3],
            "customers": [2], "amount": [Decimal("4.50")], "treatment": ["kept"],
            "title": ["Totals repeated"], "examples": ["A-17"], "what_to_do": ["Look."],
            "parameter": ["duplicates"],
        }
    )  # fmt: skip

    write_workbook(path, **tables_of(segments_of(IDS), findings=findings))

    sheet = openpyxl.load_workbook(path)["Data quality"]
    assert [cell.value for cell in sheet[2]] == [
        *("severe", "Totals repeated", "Look.", 3, 2, 4.5, "duplicates", "amount", "kept"),
    ]


def test_ids_are_the_same_text_after_reading(written):
    cells = [row[0] for row in written["All customers"].iter_rows(min_row=2)]

    assert [cell.value for cell in cells] == IDS
    assert {cell.data_type for cell in cells} == {"s"}


@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_hostile_texts_are_inert_and_unchanged(path, dtype):
    reasons = pd.Series(HOSTILE, dtype=object).astype(dtype)
    segments = segments_of(HOSTILE, anomaly_reasons=reasons)

    counts = write_workbook(path, **tables_of(segments))

    sheet = openpyxl.load_workbook(path)["All customers"]
    for name in ("customer_id", "anomaly_reasons"):
        assert column_of_sheet(sheet, name) == HOSTILE
    for row in sheet.iter_rows(min_row=2, max_col=1):
        assert (row[0].data_type, row[0].quotePrefix, row[0].number_format) == ("s", True, "@")
        assert row[0].hyperlink is None
    assert counts["characters_replaced"] == counts["texts_cut"] == 0
    xml = sheet_xml(path)
    assert "<f>" not in xml and "<f " not in xml and "<hyperlink" not in xml
    assert 't="e"' not in xml


def test_hostile_header_and_overview_are_inert(path):
    tables = tables_of(segments_of(IDS))
    tables["recommendations"] = pd.DataFrame({"=1+1": ["=2+2"], "<r>&</r>": [1]})
    tables["overview"] = {"=cmd": "=1+1", "+x": ["-1", "=2"]}

    write_workbook(path, **tables)

    book = openpyxl.load_workbook(path)
    assert [cell.value for cell in book["Recommendations"][1]] == ["=1+1", "<r>&</r>"]
    about = dict(book["About"].iter_rows(min_row=2, max_col=2, values_only=True))
    assert about["=cmd"] == "=1+1"
    assert about["+x"] == "-1, =2"
    assert "<f>" not in sheet_xml(path)


def test_every_text_cell_of_every_sheet_has_the_quote_prefix(path, written):
    texts = [
        cell
        for sheet in written
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "s"
    ]

    assert len(texts) > 100
    assert all(cell.quotePrefix for cell in texts)


def test_characters_no_spreadsheet_holds_are_replaced_and_counted(path):
    ids = ["a\x00b", "\x0b\x1f", "\ud83d lone", "\ufffe\uffff", "fine"]

    counts = write_workbook(path, **tables_of(segments_of(ids)))

    sheet = openpyxl.load_workbook(path)["All customers"]
    assert column_of_sheet(sheet, "customer_id") == [
        "a\ufffdb",
        "\ufffd\ufffd",
        "\ufffd lone",
        "\ufffd\ufffd",
        "fine",
    ]
    assert counts["characters_replaced"] == 6


def test_texts_beyond_a_cell_are_cut_with_an_ellipsis_and_counted(path):
    gift = "\N{WRAPPED PRESENT}"  # two UTF-16 units
    reasons = ["x" * 32_767, "x" * 32_768, gift * 16_383, gift * 16_384, "x" + gift * 20_000]

    counts = write_workbook(path, **tables_of(segments_of(list("abcde"), anomaly_reasons=reasons)))

    read = column_of_sheet(openpyxl.load_workbook(path)["All customers"], "anomaly_reasons")
    assert read[0] == reasons[0] and read[2] == reasons[2]
    assert read[1] == "x" * 32_766 + "…"
    assert read[3] == gift * 16_383 + "…"
    assert read[4] == "x" + gift * 16_382 + "…"
    assert counts["texts_cut"] == 3


@pytest.mark.parametrize("dtype", ["float64", "Float64", object])
def test_missing_and_infinite_numbers_are_empty_cells(path, dtype):
    margin = pd.Series([0.5, np.nan, np.inf, -np.inf], dtype="float64").astype(dtype)

    counts = write_workbook(path, **tables_of(segments_of("abcd", margin=margin)))

    sheet = openpyxl.load_workbook(path)["All customers"]
    assert column_of_sheet(sheet, "margin") == [0.5, None, None, None]
    assert counts["infinities_emptied"] == 2


def test_missing_texts_flags_and_counts_are_empty_cells(path):
    segments = segments_of(
        "abc",
        segment=["Loyal", None, ""],
        is_anomaly=pd.array([True, None, False], dtype="boolean"),
        cluster=pd.array([1, None, 0], dtype="Int64"),
    )

    write_workbook(path, **tables_of(segments))

    sheet = openpyxl.load_workbook(path)["All customers"]
    assert column_of_sheet(sheet, "segment") == ["Loyal", None, None]
    assert column_of_sheet(sheet, "is_anomaly") == ["yes", None, None]
    assert column_of_sheet(sheet, "cluster") == [1, None, 0]


def test_profile_names_and_ledger_are_shown_as_people_read_them(path):
    tables = tables_of(segments_of(IDS))
    both = {"segment_type": ["normal"] * 2, "cluster": [0, 1], "segment": ["Few", "Many"]}
    spent = {"recency_mean": [1.0, 9.0], "recency_median": [1.0, 8.0]}
    tables |= {"profile": pd.DataFrame(both | spent), "facts": pd.DataFrame(both | {"fact": ""})}

    write_workbook(path, **tables, csv_folder=path.parent)

    book = openpyxl.load_workbook(path)
    assert column_of_sheet(book["Segment profile"], "segment") == ["Many", "Few"]
    rows = [[cell.value for cell in row] for row in book["Segment profile"].iter_rows(min_row=2)]
    assert rows == [["Many", 8.0], ["Few", 1.0]]  # the mean is in the twin
    assert "recency_mean" in pd.read_csv(path.parent / "profile.csv")
    assert column_of_sheet(book["Why these names"], "segment") == ["Many", "Few"]
    assert column_of_sheet(book["Ledger"], "rule")[1] == RULE_WORDS["returned"] != "returned"


def test_ledger_amounts_are_exact_to_the_cent(path):
    tables = tables_of(segments_of(IDS))
    amounts = tables["ledger"]["amount"].tolist()

    write_workbook(path, **tables)

    read = column_of_sheet(openpyxl.load_workbook(path)["Ledger"], "amount")
    assert [Decimal(repr(value)).quantize(Decimal("0.01")) for value in read] == amounts


@pytest.mark.parametrize(
    ("amounts", "number_format"),
    [
        pytest.param(["1.5", "2"], '"$"#,##0.00', id="money-has-at-least-cents"),
        pytest.param(["1.234", "-5.6"], '"$"#,##0.000', id="three-decimals"),
        pytest.param(["1E+3", "NaN"], '"$"#,##0.00', id="exponents-and-missing"),
    ],
)
def test_amounts_show_every_decimal_they_carry(path, amounts, number_format):
    tables = tables_of(segments_of(IDS))
    tables["ledger"] = pd.DataFrame(
        {"rule": ["raw", "kept"], "amount": [Decimal(amount) for amount in amounts]}
    )

    write_workbook(path, **tables)

    cell = openpyxl.load_workbook(path)["Ledger"]["B2"]
    assert cell.number_format == number_format
    assert Decimal(repr(cell.value)) == Decimal(amounts[0])


def test_numbers_a_spreadsheet_would_round_are_text(path):
    tables = tables_of(segments_of(IDS))
    exact = ["12345678901234567.89", "1.0000000000000000000000000000001"]
    tables["ledger"] = pd.DataFrame({"rule": ["raw", "kept"], "amount": [*map(Decimal, exact)]})
    tables["overview"] = {"seed": 12345678901234567890}

    counts = write_workbook(path, **tables)

    book = openpyxl.load_workbook(path)
    assert column_of_sheet(book["Ledger"], "amount") == exact
    assert book["About"]["B2"].value == "12345678901234567890"
    assert counts["numbers_as_text"] == 4  # the sheet `about` repeats what was kept


def test_dates_before_march_1900_are_text(path):
    days = [dt.date(1850, 1, 2), dt.date(1900, 2, 28), dt.date(1900, 3, 1), dt.date(2024, 2, 29)]
    moments = [dt.datetime(1850, 1, 2, 3, 4, 5), dt.datetime(2024, 1, 1, 12), None, pd.NaT]
    zoned = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    segments = segments_of("abcd", first=days, last=pd.Series(moments, dtype=object))
    stamps = pd.to_datetime(["2024-01-01", None, "1677-10-01", "2024-01-01 06:00"], format="mixed")

    write_workbook(path, **tables_of(segments.assign(stamp=stamps), overview={"zoned": zoned}))

    book = openpyxl.load_workbook(path)
    assert column_of_sheet(book["All customers"], "first") == [
        "1850-01-02",
        "1900-02-28",
        dt.datetime(1900, 3, 1),
        dt.datetime(2024, 2, 29),
    ]
    assert column_of_sheet(book["All customers"], "last") == [
        "1850-01-02T03:04:05",
        dt.datetime(2024, 1, 1, 12),
        None,
        None,
    ]
    assert column_of_sheet(book["All customers"], "stamp") == [
        dt.datetime(2024, 1, 1),
        None,
        "1677-10-01",
        dt.datetime(2024, 1, 1, 6),
    ]
    assert book["About"]["B2"].value == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("n_customers", "parts_of"),
    [(10, {"segments": 10}), (11, {"segments": 10, "segments_2": 1}), (0, {"segments": 0})],
)
def test_more_customers_than_a_sheet_holds_continue_on_the_next(path, n_customers, parts_of):
    ids = [f"{number:05d}" for number in range(n_customers)]

    counts = write_workbook(path, **tables_of(segments_of(ids)), max_rows=10)

    book = openpyxl.load_workbook(path)
    parts = [name for name in book.sheetnames if name.startswith("All customers")]
    assert parts == ["All customers", "All customers 2"][: len(parts_of)]
    assert {name: counts[name] for name in parts_of} == parts_of
    assert [one for name in parts for one in column_of_sheet(book[name], "customer_id")] == ids
    assert all(book[name]["A1"].value == "Customer" for name in parts)


def test_chunks_of_a_large_table_join_without_a_gap(path, monkeypatch):
    monkeypatch.setattr(sheet_writer, "CHUNK", 7)
    ids = [f"{number:05d}" for number in range(50)]

    write_workbook(path, **tables_of(segments_of(ids)), max_rows=24)

    book = openpyxl.load_workbook(path)
    parts = ["All customers", "All customers 2", "All customers 3"]
    assert [one for name in parts for one in column_of_sheet(book[name], "customer_id")] == ids


@pytest.mark.parametrize("max_rows", [0, 1_048_576])
def test_more_rows_than_the_format_allows_is_refused(path, max_rows):
    with pytest.raises(ValueError, match="max_rows"):
        write_workbook(path, **tables_of(segments_of(IDS)), max_rows=max_rows)


def test_more_columns_than_a_sheet_holds_is_refused(path):
    tables = tables_of(segments_of(IDS))
    tables["profile"] = pd.DataFrame(np.zeros((1, 16_385)))

    with pytest.raises(OutputError, match="'profile' would have 1 rows and 16,385 columns"):
        write_workbook(path, **tables)

    assert not path.exists()


def test_header_is_frozen_bold_and_filterable_over_all_rows(written):
    for sheet in written:
        assert sheet.freeze_panes == "A2"
        notes = len(NOTES_BENEATH) + 1 if sheet.title == "Summary" else 0
        rows, columns = sheet.max_row - notes, sheet.max_column
        assert sheet.auto_filter.ref == f"A1:{get_column_letter(columns)}{rows}"
        assert all(cell.font.bold and cell.comment is None for cell in sheet[1])


def test_every_sheet_prints_across_one_page_with_its_header_and_not_to_the_end(written):
    for sheet in written:
        assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage and sheet.page_setup.fitToHeight == 0
        assert sheet.print_title_rows == "$1:$1"
        last = int(sheet.print_area.rsplit("$", 1)[1])
        assert last == min(sheet.max_row, 1 + sheet_writer.MOST_PRINTED)


SHARE = '[=0]0%;[<0.001]"under 0.1%";0.0%'


@pytest.mark.parametrize(
    ("sheet", "column", "number_format"),
    [
        ("segments", "frequency", "#,##0"),
        ("segments", "recency", "#,##0"),
        ("segments", "cluster", "#,##0"),
        ("segments", "total_spent", '"$"#,##0.00'),
        ("segments", "margin", "0.00"),
        ("segments", "customer_id", "@"),
        ("profile", "customers", "#,##0"),
        ("profile", "customers_share", SHARE),
        ("profile", "revenue", '"$"#,##0.00'),
        ("profile", "total_spent_mean", '"$"#,##0.00'),
        ("profile", "recency_median", "#,##0.0"),
        ("recommendations", "break_even_response", SHARE),
        ("recommendations", "contact_cost", '"$"#,##0.00'),
        ("recommendations", "reach", "#,##0"),
        ("ledger", "rows", "#,##0"),
    ],
)
def test_numbers_are_formatted_by_what_the_column_means(written, sheet, column, number_format):
    shown = written[TITLES[sheet]]
    words = labels_of(sheet, pd.DataFrame(columns=[column]))[0]
    at = [cell.value for cell in shown[1]].index(words) + 1

    assert shown.cell(2, at).number_format == number_format


def test_columns_are_as_wide_as_their_content(path):
    segments = segments_of(["x" * 30], segment="日本語" * 8, anomaly_reasons="long " * 100)

    write_workbook(path, **tables_of(segments))

    sheet = openpyxl.load_workbook(path)["All customers"]
    widths = {sheet[f"{letter}1"].value: sheet.column_dimensions[letter].width for letter in "ABGJ"}
    assert widths["Customer"] == pytest.approx(33, abs=1)
    assert widths["Total spent"] == pytest.approx(9, abs=1), "its header stands on two lines"
    assert sheet.row_dimensions[1].height == 30
    assert widths["Segment"] == pytest.approx(51, abs=1)
    assert widths["Why unusual"] == pytest.approx(60, abs=1)
    assert sheet.row_dimensions[2].height >= 15 * 500 / 60, "a long reason is read whole"


def test_dictionary_describes_every_column_of_every_sheet(written):
    rows = list(written["Definitions"].iter_rows(min_row=2, values_only=True))

    described = {row[:2] for row in rows}
    kinds = {"1 Loyal": sheets.LIST}
    present = [
        (kinds.get(name, name), cell.value)
        for name in written.sheetnames
        for cell in written[name][1]
    ]
    assert described >= set(present) and len(described) == len(rows)
    assert all(label and meaning and name for _, label, _, meaning, name in rows)
    units = {(row[0], row[4]): row[2] for row in rows}
    assert units["All customers", "total_spent"] == units["Ledger", "amount"] == "USD"
    assert units["All customers", "recency"] == units["Segment profile", "recency_median"] == "days"


def test_about_says_where_the_workbook_comes_from(written):
    about = dict(written["About"].iter_rows(min_row=2, max_col=2, values_only=True))

    assert about["source of the orders"] == "cdnow"
    assert about["days are counted to"] == dt.datetime(1998, 6, 30)
    assert about["currency"] == "USD"
    assert about["rows"] == 69_659
    assert about["parameters.features"] == "recency, frequency"
    assert about["rows on sheet All customers"] == len(IDS)
    assert about["characters replaced"] == 0


def test_tables_given_are_not_changed(path):
    tables = tables_of(segments_of(IDS))
    before = {name: tables[name].copy(deep=True) for name in ("segments", "profile", "ledger")}

    write_workbook(path, **tables)

    for name, table in before.items():
        pd.testing.assert_frame_equal(tables[name], table)


def test_row_labels_and_repeated_column_names_do_no_harm(path):
    segments = segments_of(IDS).set_index(pd.Index([7, 7, 3, 1, 0, -1]))
    tables = tables_of(segments)
    tables["profile"] = pd.DataFrame([[1, "a"]], columns=["x", "x"])
    tables["facts"] = pd.DataFrame()

    write_workbook(path, **tables)

    book = openpyxl.load_workbook(path)
    assert column_of_sheet(book["All customers"], "customer_id") == IDS
    assert [cell.value for cell in book["Segment profile"][2]] == [1, "a"]
    assert [cell.value for cell in book["Segment profile"][1]] == ["X", "X (x)"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_same_tables_give_the_same_bytes_in_any_place_on_any_day(tmp_path, zone, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    one, other = tmp_path / "one.xlsx", tmp_path / "other_name.xlsx"
    write_workbook(one, **tables_of(segments_of(HOSTILE)))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        write_workbook(other, **tables_of(segments_of(HOSTILE)))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as archive:
        core = archive.read("docProps/core.xml").decode()
        assert {member.date_time[0] for member in archive.infolist()} == {1980}
    assert set(re.findall(r"\d{4}-\d\d-\d\dT", core)) == {"2000-01-01T"}


# --- Whatever happens while it is written, the old workbook or the new one is there.


@pytest.fixture(params=[40, 150, 300, 450, 650])
def small_disk(tmp_path: Path, request):
    """A disk of some KB: full at different moments of writing 1,000 customers."""
    (tmp_path / "small_disk").mkdir()
    with mounted(tmp_path / "small_disk", f"size={request.param}k") as folder:
        yield folder


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_full_disk_is_one_sentence_and_leaves_the_old_workbook(small_disk):
    path = small_disk / "customers.xlsx"
    path.write_bytes(b"old")
    segments = segments_of([f"{number:05d}" for number in range(1_000)])

    with pytest.raises(OutputError, match=r"customers\.xlsx: the disk is full; free") as told:
        write_workbook(path, **tables_of(segments))

    assert told.value.__suppress_context__
    assert path.read_bytes() == b"old"
    assert [one.name for one in small_disk.iterdir()] == ["customers.xlsx"]


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("n_bytes", [0, 100, 3_000, 8_000])
def test_disk_full_while_packing_is_one_sentence_too(path, monkeypatch, n_bytes):
    # Packing frees more than it takes, so no size of a real disk stops it there.
    path.write_bytes(b"old")

    class FullDisk(inert_file.ForgivingFile):
        def write(self, data):
            if not self.given_up and self.tell() + len(data) > n_bytes:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(inert_file, "ForgivingFile", FullDisk)

    with pytest.raises(OutputError, match="the disk is full"):
        write_workbook(path, **tables_of(segments_of(IDS)))
    gc.collect()

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_impossible_place_is_said_in_words(path):
    path.write_bytes(b"old")

    with pytest.raises(OutputError, match="a part of the path is a file"):
        write_workbook(path / "customers.xlsx", **tables_of(segments_of(IDS)))
    with pytest.raises(OutputError, match="the folder does not exist"):
        write_workbook(path.parent / "missing" / "x.xlsx", **tables_of(segments_of(IDS)))

    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("moment", ["_texts", "dictionary", "about"])
def test_interruption_leaves_the_old_workbook_and_nothing_else(path, monkeypatch, error, moment):
    path.write_bytes(b"old")
    places = {"_texts": sheet_writer.SheetWriter, "dictionary": workbook, "about": summary}

    def interrupt(*args):
        raise error

    monkeypatch.setattr(places[moment], moment, interrupt)

    with pytest.raises(error):
        write_workbook(path, **tables_of(segments_of(IDS)))

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("code", [-1, -2])
def test_a_cell_that_xlsxwriter_refuses_is_never_lost_silently(path, monkeypatch, code):
    monkeypatch.setattr(inert_file.InertSheet, "write_number", lambda *args: code)

    with pytest.raises(RuntimeError, match="refused Summary, row 2"):
        write_workbook(path, **tables_of(segments_of(IDS)))

    assert not path.exists()


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_workbook import segments_of, tables_of
from segmentation.deliver import workbook
from segmentation.deliver.workbook import inert_file, sheet_writer, sheets, summary, write_workbook
tables = tables_of(segments_of([f"{number:06d}" for number in range(400)]))
print("ready", flush=True)
while True:
    write_workbook(Path(sys.argv[1]), **tables)
"""


def test_kill_at_any_moment_leaves_a_complete_workbook(path):
    write_workbook(path, **tables_of(segments_of(IDS)))
    command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)]
    for delay in (0.004, 0.031, 0.055, 0.083, 0.127):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        ids = column_of_sheet(openpyxl.load_workbook(path)["All customers"], "customer_id")
        assert ids == IDS or len(ids) == 400

    write_workbook(path, **tables_of(segments_of(IDS)))
    assert list(path.parent.iterdir()) == [path]


def test_libreoffice_reads_the_same_ids(path, tmp_path):
    soffice = shutil.which("soffice") or shutil.which("libreoffice")
    if soffice is None:
        pytest.skip("needs LibreOffice: apt-get install --no-install-recommends libreoffice-calc")
    ids = [one for one in [*IDS, *HOSTILE] if "\r" not in one and "\x7f" not in one]
    write_workbook(path, **tables_of(segments_of(ids)))

    command = [soffice, "--headless", f"-env:UserInstallation=file://{tmp_path}/profile"]
    command += [
        "--convert-to",
        "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,4",
    ]
    command += ["--outdir", str(tmp_path / "csv"), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)

    (table,) = (tmp_path / "csv").glob("*.csv")
    read = pd.read_csv(table, dtype=str, keep_default_na=False)
    assert read["Customer"].tolist() == ids


def test_who_slipped_is_said_to_be_contacted_or_left_alone_and_nobody_to_call_is(path):
    segments = segments_of(IDS)
    arms = ["treatment", "control", None] * len(segments)
    customers = segments.assign(campaign_arm=arms[: len(segments)])
    fell = segments[["customer_id", "total_spent"]].assign(what="fell silent")
    steps = {"slipping": fell, "call_first": fell.head(1)}

    write_workbook(path, **tables_of(segments, customers=customers), next_steps=steps)

    book = openpyxl.load_workbook(path)
    said = column_of_sheet(book["Slipping"], "campaign_arm")
    assert said == [
        {"treatment": "contact", "control": "leave alone"}.get(arm) for arm in arms[: len(segments)]
    ]
    assert "campaign_arm" not in names_of_sheet(book["Call first"])


def test_lists_have_what_is_expected_of_each_customer(path):
    segments = segments_of(IDS)
    expected = {"chance": 0.25, "expected_orders": 0.5, "expected_value": 12.5}

    write_workbook(path, **tables_of(segments, customers=segments.assign(**expected)))

    book = openpyxl.load_workbook(path)
    for name, value in expected.items():
        assert set(column_of_sheet(book["1 Loyal"], name)) == {value}
    assert "chance" not in names_of_sheet(book["All customers"])
