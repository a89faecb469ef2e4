"""Lines of a CSV file: every one is in a row, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from segmentation.core.errors import SourceError
from segmentation.sources.csv_checks import bind_csv
from segmentation.sources.engine import DuckDbEngine

HEADER = "customer_id,day,amount,note\n"


def line(number: int, note: str = "") -> str:
    return f"C{number},2023-01-{number:02d},{number}.50,{note}\n"


def lines(first: int, last: int) -> str:
    return "".join(map(line, range(first, last + 1)))


def rows_of(folder: Path, content: str | bytes) -> list[tuple]:
    """Rows of a file as an engine binds them."""
    path = folder / "orders.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    engine = DuckDbEngine()
    try:
        engine.bind("orders", path)
        return [*engine.connection.table("orders").fetchall(), engine.files.spanning["orders"]]
    finally:
        engine.files.close()
        engine.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(
            HEADER + lines(1, 4) + line(5, '"good') + lines(6, 15) + line(16, 'bad"') + line(17),
            "at line 6 holds 11 line",
            id="from-the-last-column-to-the-last",
        ),
        pytest.param(
            HEADER + lines(1, 4) + '"C5,2023-01-05,5.50,\n' + 'C6",2023-01-06,6.50,\n' + lines(7, 9),
            "at line 6 holds 1 line",
            id="in-the-first-column-one-line",
        ),
        pytest.param(
            HEADER + lines(1, 4) + 'C5,"2023-01-05,5.50,\n' + lines(6, 8) + 'C9,2023-01-09",1.50,\n',
            "at line 6 holds 4 line",
            id="in-the-middle",
        ),
        pytest.param(
            HEADER + line(1, '"rings twice\nplease"') + line(2, '"x') + line(3, 'y"') + line(4),
            "at line 4 holds 1 line",
            id="after-an-honest-note",
        ),
        pytest.param(
            HEADER.replace("note", '"note') + line(1, 'x"') + lines(2, 5),
            "at line 1 holds 1 line",
            id="from-the-header",
        ),
        pytest.param(
            HEADER + line(1) + line(2, '"never') + lines(3, 9), "near line 3", id="never-closed"
        ),
        pytest.param(
            HEADER + line(1) + "\n\n" + line(2, '"never') + "\n" + lines(3, 9),
            "is not closed near line",
            id="never-closed-among-empty-lines",
        ),
        pytest.param(HEADER[:-1].replace("day", '"day') + "\n" + lines(1, 9), "first line",
                     id="header-never-closed"),
        pytest.param('note\nfirst\n"second\nthird\n', "near line 3", id="one-column"),
    ],
)  # fmt: skip
def test_lines_that_an_open_quote_swallows_are_refused_with_their_place(tmp_path, content, said):
    with pytest.raises(SourceError, match=said) as refusal:
        rows_of(tmp_path, content)
    assert str(refusal.value).startswith("orders.csv: a quoted value")


@pytest.mark.parametrize(
    ("content", "rows", "spanning"),
    [
        pytest.param(
            HEADER + line(1, '"Ring twice,\n\nplease"') + line(2, '"a\nb"') + line(3),
            ["Ring twice,\n\nplease", "a\nb", None],
            (2, 3),
            id="notes",
        ),
        pytest.param(
            HEADER + line(1, '"We are Ann, Bob, Cy\nand Di, Ed, Flo, all well"') + line(2),
            ["We are Ann, Bob, Cy\nand Di, Ed, Flo, all well", None],
            (1, 1),
            id="note-with-commas",
        ),
        pytest.param(
            HEADER + line(1, '"Hello\nwe, as ever, thank you, all"') + line(2),
            ["Hello\nwe, as ever, thank you, all", None],
            (1, 1),
            id="note-with-as-many-commas-as-a-row",
        ),
        pytest.param(
            HEADER + "\n" + line(1, '"x\n\n\ny"') + "\n\n" + line(2) + "\n",
            ["x\n\n\ny", None],
            (1, 3),
            id="empty-lines-inside-and-outside",
        ),
        pytest.param(
            HEADER.replace("note", '"note of\nthe shop"') + line(1),
            [None],
            (0, 0),
            id="heading-of-two-lines",
        ),
        pytest.param(
            (HEADER + line(1, "5\" pipe")).encode() + line(2, "x").encode(),
            ['5" pipe', "x"],
            (0, 0),
            id="inches",
        ),
        pytest.param(
            (HEADER + line(1)).encode() + line(2, '"x\r\ny"').encode()[:-1] + b"\r\n",
            [None, "x\ny"],
            (1, 1),
            id="line-feeds-and-then-carriage-returns",
        ),
        pytest.param(
            (HEADER + line(1)).replace("\n", "\r\n").encode() + line(2).encode(),
            [None, None],
            (0, 0),
            id="carriage-returns-and-then-line-feeds",
        ),
        pytest.param((HEADER + lines(1, 2)).replace("\n", "\r").encode(), [None, None], (0, 0),
                     id="carriage-returns-only"),
    ],
)  # fmt: skip
def test_honest_line_breaks_are_read_and_counted(tmp_path, content, rows, spanning):
    *found, counted = rows_of(tmp_path, content)

    assert [row[-1] for row in found] == rows
    assert [row[0] for row in found] == [f"C{n}" for n in range(1, len(rows) + 1)]
    assert counted == spanning


def test_notes_in_a_column_of_two_are_no_rows(tmp_path):
    content = 'id,note\n17,"Hello\nplease, ring"\n18,x\n'
    assert rows_of(tmp_path, content) == [("17", "Hello\nplease, ring"), ("18", "x"), (1, 1)]


def test_view_of_a_file_is_accounted_for_like_a_table(tmp_path):
    (tmp_path / "orders.csv").write_text(HEADER + line(1, '"x') + line(2, 'y"') + line(3))
    with duckdb.connect() as connection, pytest.raises(SourceError, match="holds 1 line"):
        bind_csv(connection, "rows", tmp_path / "orders.csv", keep=False)
