"""Lists, summary and CSV twins of the workbook: each customer once, by value, to the cent."""

from __future__ import annotations

import csv
import tracemalloc
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_workbook import column_of_sheet, names_of_sheet, segments_of, tables_of
from workbooks import kind_of

from segmentation.core import guarded_csv
from segmentation.core.columns import RULE_WORDS
from segmentation.core.guarded_csv import guarded, unguarded, unguarded_ids, write_guarded_csv
from segmentation.deliver.workbook import sheet_writer, summary, write_workbook
from segmentation.deliver.workbook.columns import labels_of
from segmentation.deliver.workbook.definitions import LIST
from segmentation.deliver.workbook.sheets import list_name

SIX = {
    "total_spent": [5.10, 40.25, 7.00, 40.25, 0.15, 100.00],
    "segment": ["Low", "High", "Low", "High", "Low", "Top"],
    "cluster": [0, 1, 0, 1, 0, 2],
    "is_anomaly": [False, True, False, False, True, True],
    "anomaly_reasons": ["", "spends much", "", "", "spends little", "spends most"],
}


@pytest.fixture
def six(tmp_path: Path):
    """Six customers in three segments, with twins; the workbook and the folder of twins."""
    segments = segments_of(["a", "b", "c", "d", "e", "f"], **SIX)
    plays = pd.DataFrame(
        {"segment_type": ["normal"] * 2, "segment": ["High", "Top"], "play": ["grow", "retain"]}
    )
    ledger = pd.DataFrame({"rule": ["raw", "kept"], "amount": [Decimal("192.75")] * 2})
    tables = tables_of(segments, ledger=ledger, recommendations=plays)
    write_workbook(tmp_path / "six.xlsx", csv_folder=tmp_path, **tables)
    return openpyxl.load_workbook(tmp_path / "six.xlsx"), tmp_path


def rows_of(sheet) -> list[dict]:
    _, *rows = sheet.iter_rows(values_only=True)
    rows = list(takewhile(any, rows))  # notes stand beneath an empty row
    return [dict(zip(names_of_sheet(sheet), row, strict=True)) for row in rows]


def twin_of(folder: Path, name: str) -> list[list[str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_each_segment_has_a_list_of_its_customers_the_most_valuable_first(six):
    book, _ = six

    lists = [name for name in book.sheetnames if name[0].isdigit()]

    assert lists == ["1 Top", "2 High", "3 Low"]
    ids = {name: column_of_sheet(book[name], "customer_id") for name in lists}
    assert ids == {"1 Top": ["f"], "2 High": ["b", "d"], "3 Low": ["c", "a", "e"]}


def test_summary_adds_up_exactly_and_leads_to_the_lists(six):
    book, _ = six
    keys = ("segment", "customers", "revenue", "anomalies", "play", "list")

    rows = [tuple(row[key] for key in keys) for row in rows_of(book["Summary"])]

    assert rows == [
        ("Top", 1, 100, 1, "retain", "1 Top"),
        ("High", 2, 80.5, 1, "grow", "2 High"),
        ("Low", 3, 12.25, 1, None, "3 Low"),
        ("all customers", 6, 192.75, 3, None, "All customers"),
    ]
    about = dict(book["About"].iter_rows(min_row=2, max_col=2, values_only=True))
    assert about["total spent by all customers"] == about["amount kept by the ledger"] == 192.75


def test_anomalies_are_listed_with_their_reasons_by_value(six):
    book, _ = six

    rows = [
        (row["customer_id"], row["segment"], row["anomaly_reasons"])
        for row in rows_of(book["Unusual"])
    ]

    assert rows == [
        ("f", "Top", "spends most"),
        ("b", "High", "spends much"),
        ("e", "Low", "spends little"),
    ]


def test_every_sheet_has_a_twin_of_the_same_cells(six):
    book, folder = six

    twins = {kind_of(title) for title in book.sheetnames}
    assert {path.stem for path in folder.glob("*.csv")} == twins
    for sheet in book:
        kind = kind_of(sheet.title)
        header, *rows = twin_of(folder, kind)
        table = pd.DataFrame(columns=header)
        words = labels_of(LIST if kind == sheet.title else kind, table)
        cells = list(takewhile(any, sheet.iter_rows(values_only=True)))
        assert len(rows) == len(cells) - 1
        for row, expected in zip(rows, cells[1:], strict=True):
            of = dict(zip(words, row, strict=True))
            for label, value in zip(cells[0], expected, strict=True):
                text = RULE_WORDS.get(of[label], of[label]) if kind == "ledger" else of[label]
                assert _same(text, value), (sheet.title, label, value)


def _same(text: str, value: object) -> bool:
    if text in ("True", "False"):
        return value == {"True": "yes", "False": None}[text]
    if value is None or isinstance(value, bool | str):
        return unguarded(text) == ("" if value is None else str(value))
    if isinstance(value, int | float):
        return float(text) == value
    return text == str(value)[:10]


@pytest.mark.parametrize("max_rows", [1, 2, 4])
def test_lists_and_anomalies_continue_on_the_next_sheet(tmp_path, max_rows):
    segments = segments_of(["a", "b", "c", "d", "e", "f"], **SIX)
    tables = tables_of(segments)

    write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, max_rows=max_rows, **tables)

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    low = [name for name in book.sheetnames if name.endswith(" Low")]
    flagged = [name for name in book.sheetnames if name.startswith("Unusual")]
    assert (
        low == {1: ["3 Low", "3.2 Low", "3.3 Low"], 2: ["3 Low", "3.2 Low"], 4: ["3 Low"]}[max_rows]
    )
    for names, ids in ((low, ["c", "a", "e"]), (flagged, ["f", "b", "e"])):
        assert [one for name in names for one in column_of_sheet(book[name], "customer_id")] == ids
        twins = [row[0] for name in names for row in twin_of(tmp_path, kind_of(name))[1:]]
        assert twins == ids


HOSTILE_NAMES = [
    "=1+1",
    "../../etc/passwd",
    "a[b]:c*d?e/f\\g",
    "'quoted'",
    "History",
    "segments",
    "",
    "x" * 10_000,
    "\N{WRAPPED PRESENT}" * 40,
    "\u202eright to left",
    "O'Brien's \"best\" <b>",
    "NUL\x00 and\nnewline",
    "Dots...",
]


def test_any_segment_name_gives_a_sheet_of_its_own_and_a_file_in_the_folder(tmp_path):
    n = len(HOSTILE_NAMES)
    ids = [f"{number:03d}" for number in range(n)]
    segments = segments_of(ids, segment=HOSTILE_NAMES, cluster=range(n))

    counts = write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, **tables_of(segments))

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    lists = [name for name in book.sheetnames if name[0].isdigit()]
    assert len(lists) == n and all(counts[name] == 1 for name in lists)
    assert sorted(column_of_sheet(book[name], "customer_id")[0] for name in lists) == ids
    assert {path.name for path in tmp_path.rglob("*")} == {
        "x.xlsx",
        *(f"{kind_of(name)}.csv" for name in book.sheetnames),
    }
    assert [row["list"] for row in rows_of(book["Summary"])][:-1] == lists


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_of_lists_are_what_excel_accepts(name):
    for part in (1, 12):
        sheet = list_name(3, name)(part)
        assert 1 <= len(sheet.encode("utf-16-le")) // 2 <= 31
        assert not set(sheet) & set('[]:*?/\\<>"|\x00\n')
        assert not sheet.endswith(("'", " ", "."))


def test_what_had_to_change_is_counted_once_however_many_sheets_show_it(tmp_path):
    segments = segments_of(["a\x00", "b"], is_anomaly=[True, True])

    counts = write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, **tables_of(segments))

    assert counts["characters_replaced"] == 1
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    for name in ("All customers", "1 Loyal", "Unusual"):
        assert "a\ufffd" in column_of_sheet(book[name], "customer_id")
        twin = twin_of(tmp_path, kind_of(name))
        assert "a\ufffd" in [cell for row in twin for cell in row]
    about = dict(book["About"].iter_rows(min_row=2, max_col=2, values_only=True))
    assert about["characters replaced"] == 1


def test_whom_to_call_first_has_a_sheet_that_continues_and_is_explained(tmp_path):
    segments = segments_of(["a", "b"], segment=["Low", "Top"], cluster=[0, 1])
    first = pd.DataFrame(
        {"rank": [1, 2], "customer_id": ["b", "a"], "chance": [0.2, None], "why": ["silent", "="]}
    )
    tables = tables_of(segments, next_steps={"call_first": first, "slipping": first.iloc[:0]})

    counts = write_workbook(tmp_path / "x.xlsx", max_rows=1, **tables)

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert [counts[name] for name in ("call_first", "call_first_2", "slipping")] == [1, 1, 0]
    assert rows_of(book["Call first"])[0] == first.to_dict("records")[0]
    explained = [row for row in rows_of(book["Definitions"]) if row["sheet"] == "Call first"]
    assert {row["column"] for row in explained} == set(first.columns)
    assert not any("as the step that made the table" in row["meaning"] for row in explained)


def test_a_campaign_has_its_sheet_and_the_lists_say_who_is_left_alone(tmp_path):
    segments = segments_of(["a", "b", "c"], segment=["Low", "Low", "Top"], cluster=[0, 0, 1])
    customers = segments.assign(campaign_arm=["treatment", "control", None])
    plan = pd.DataFrame(
        {"segment_type": ["normal"], "segment": ["Low"], "treatment": [1], "control": [1]}
    )
    tables = tables_of(segments, customers=customers, campaign=plan)

    write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, **tables)

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert rows_of(book["Campaign"]) == [{"segment": "Low", "treatment": 1, "control": 1}]
    arms = {
        row["customer_id"]: row["campaign_arm"]
        for name in ("1 Low", "2 Top")
        for row in rows_of(book[name])
    }
    assert arms == {"a": "contact", "b": "leave alone", "c": None}
    assert "campaign_arm" not in names_of_sheet(book["All customers"])
    assert twin_of(tmp_path, "1 Low")[1][3] == "control"


def test_whoever_is_on_several_lists_gets_one_message_which_the_lists_say(tmp_path):
    segments = segments_of(["a", "b", "c"]).assign(total_spent=[9.0, 8.0, 7.0])
    gets = ["call", "win back", "leave alone"]
    customers = segments.assign(
        campaign_arm=["treatment", "treatment", "control"], message=gets, place_by_spend=[1, 2, 3]
    )
    listed = customers[["customer_id", "total_spent"]]
    steps = {"call_first": listed.head(1), "slipping": listed}
    tables = tables_of(segments, customers=customers, next_steps=steps)
    tables["overview"] = tables["overview"] | {
        "gross_margin": 0.25, "margin_is": "the shop's own, by its costs", "contact_cost": 0.5,
    }  # fmt: skip

    write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, **tables)

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert [row["message"] for row in rows_of(book["Slipping"])] == gets
    assert [row["place_by_spend"] for row in rows_of(book["Slipping"])] == [1, 2, 3]
    names = names_of_sheet(book["Call first"])
    assert "message" not in names and "place_by_spend" in names
    assert "campaign_arm" not in names_of_sheet(book["Slipping"])
    assert "campaign_arm" in twin_of(tmp_path, "slipping")[0]
    beneath = str([cell.value for cell in book["Summary"]["A"]])
    assert "gets one message" in beneath
    assert "margin of 25% (the shop's own, by its costs) and $0.50 a contact" in beneath


def test_a_list_of_whom_to_call_says_the_group_in_words_and_the_day_of_the_last_order(tmp_path):
    days = pd.to_datetime(["1998-06-01", "1998-05-01"])
    groups = {"segment_type": ["normal", "pre_register"], "segment": ["Low", "Low"]}
    segments = segments_of(["a", "b"], **groups).assign(recency=[29.0, 60.0], last_order=days)
    first = pd.DataFrame({"customer_id": ["b"], "segment_type": ["pre_register"], "recency": [60]})
    tables = tables_of(segments, next_steps={"call_first": first})

    write_workbook(tmp_path / "x.xlsx", csv_folder=tmp_path, **tables)

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    (row,) = rows_of(book["Call first"])
    assert list(row) == ["customer_id", "segment_type", "last_order", "recency"]
    assert row["segment_type"] == "ordered before registering" and row["last_order"] == days[1]
    assert twin_of(tmp_path, "call_first")[1][1] == "pre_register"
    beneath = [cell.value for cell in book["Summary"]["A"]]
    assert "Sheet Call first: 1 customer to turn to one by one, by what they spent." in beneath
    known = {"call_first": first.assign(value_at_risk=[9.0])}
    assert "money at risk" in str(summary.summary_notes({}, "USD", None, known))
    untold = str(summary.summary_notes({"gross_margin": 0.3}, "USD", None, known, is_told=False))
    assert "not known until contact_cost is set" in untold and "gross margin" not in untold


# --- the guard ------------------------------------------------------------------------

RISKY_TEXTS = st.text(st.sampled_from("=+-@'; |\t\r\n\0＝a1,\""), max_size=12)


@given(RISKY_TEXTS)
def test_the_guard_comes_off_exactly(text):
    assert unguarded(guarded(text)) == text


@given(st.lists(RISKY_TEXTS, unique=True))
def test_the_guard_of_a_list_of_ids_comes_off_exactly(texts):
    assert unguarded_ids(pd.Series(texts, dtype=object).map(guarded)).tolist() == texts


@given(RISKY_TEXTS, st.sampled_from([";", "\t", "|"]))
def test_no_cell_starts_like_a_formula_whichever_way_a_file_is_parted(text, separator):
    """As a program reads it that knows no quotes where the field does not begin with one."""
    line = f'1,"{guarded(text)}",2'

    for row in line.replace("\r", "\n").split("\n"):
        for cell in row.split(separator):
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝"))
    assert not guarded(text).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0"))


def test_numbers_are_in_full_and_texts_in_quotes(tmp_path):
    table = pd.DataFrame(
        {
            "customer_id": ["00123", "=1+1", 'say "x"\n'],
            "spent": [0.1 + 0.2, float("nan"), float("inf")],
            "exact": [Decimal("12.50"), Decimal("-3"), None],
            "flag": [True, False, True],
        }
    )

    write_guarded_csv(table, tmp_path / "x.csv")

    assert (tmp_path / "x.csv").read_bytes().decode("utf-8-sig") == (
        '"customer_id","spent","exact","flag"\r\n'
        '"00123",0.30000000000000004,12.50,True\r\n'
        '"\'=1+1","",-3,False\r\n'
        '"say ""x""\n","","",True\r\n'
    )


def test_writing_takes_no_memory_for_each_cell(tmp_path, monkeypatch):
    """A cell in memory takes about a hundred bytes; a list of one segment is a few per row."""
    monkeypatch.setattr(sheet_writer, "CHUNK", 100)
    monkeypatch.setattr(guarded_csv, "_ROWS_AT_ONCE", 100)

    def peak(n: int) -> int:
        ids = [f"{number:05d}" for number in range(n)]
        tables = tables_of(segments_of(ids, segment=["Low", "High"] * (n // 2)))
        tracemalloc.start()
        write_workbook(tmp_path / f"{n}.xlsx", csv_folder=tmp_path, max_rows=n // 3, **tables)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # what is loaded and kept once
    n_cells = 10 * (900 - 300) * 2
    assert (peak(900) - peak(300)) / n_cells < 20
