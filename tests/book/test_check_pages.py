"""The guard before publishing: no page with an id, a path, a warning or a traceback."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest
from conftest import ROOT
from leaks import leaks_in, plain_text
from matplotlib.figure import Figure

from segmentation.book import page_checks, style  # noqa: F401  style lets pictures speak


@dataclass
class SmallRun:
    """What `check_pages` asks of a run."""

    customer_ids: list[str]
    values: dict = field(default_factory=dict)
    rules: dict = field(default_factory=dict)

    @property
    def parameters(self):
        return self

    def as_plain(self) -> dict:
        return self.values

    def __getitem__(self, result: str):
        tables = {"segments": pd.DataFrame({"customer_id": self.customer_ids}), "sql": {}}
        return tables[result]


PLACES = [
    "<p>of ID.</p>",
    "<td>ID</td>",
    '<img alt="Bars; ID is first" src="x.png">',
    "<span aria-label='ID'></span>",
    "<!-- ID -->",
    '<script>{"a": "ID"}</script>',
]


def labelled(text: str) -> Figure:
    figure = Figure()
    figure.subplots().set_xticks([0, 1], labels=[text, "other"])
    return figure


def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "html" / "_images"
    folder.mkdir(parents=True)
    return folder


def checked(tmp_path: Path, text: str, run: SmallRun, prose: str = "") -> None:
    (tmp_path / "html").mkdir(exist_ok=True)
    (tmp_path / "html" / "page.html").write_text(text, "utf-8")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text(prose, "utf-8")
    page_checks.check_pages(tmp_path / "html", {"shop": run}, tmp_path)


def test_an_id_in_a_download_is_found_and_a_count_is_none(tmp_path):
    file = tmp_path / "html" / "_downloads" / "x.csv"
    file.parent.mkdir(parents=True)
    run = SmallRun(["123456", 'C"1"001'])

    file.write_text('"segment","customers"\n"Low",123456\n', "utf-8")
    checked(tmp_path, "<p>x</p>", run)

    for row in ('"123456",1', '"of C""1""001",1'):
        file.write_text(f'"segment","customers"\n{row}\n', "utf-8")
        with pytest.raises(page_checks.ReportError, match=r"x\.csv shows 1 customer id"):
            page_checks.check_pages(tmp_path / "html", {"shop": run}, tmp_path)


IDS = [
    *("073168", "00042", "123456", "C-1001", "ann@example.org", "Name/17", "A/17", "O'Neill 12"),
    *(
        "Name  of\n somebody",
        "=cmd|' /C calc'!A0",
        "<b>17</b>",
        "a–17",
        "Zoë (2)",
        "客户二十三四五",
    ),
    *("https://shop.example/customers/" + "x" * 100 + "/1", "{'id': 7}", 'say "7"', "x_y_17"),
]


@pytest.mark.parametrize("one", IDS)
@pytest.mark.parametrize("place", PLACES)
def test_id_of_any_characters_is_found_wherever_a_page_has_it(tmp_path, one, place):
    with pytest.raises(RuntimeError, match=r"shows 1 customer id\(s\)"):
        checked(tmp_path, place.replace("ID", html.escape(one)), SmallRun([one, "999999"]))


@pytest.mark.parametrize("one", ["Search", "Customers", "median", "revenue", "highlight"])
def test_customer_called_like_a_word_of_the_book_does_not_stop_it(tmp_path, one):
    text = f'<html class="{one}"><p>{one} of all</p></html>'
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "search.html").write_text("<button>Search</button><i>highlight</i>")

    checked(tmp_path, text, SmallRun([one, "2023-01-31", "12,345.67"]))


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_picture_that_shows_an_id_is_not_published(tmp_path, kind):
    picture = pictures(tmp_path) / f"1.{kind}"
    labelled("Name/17").savefig(picture)

    with pytest.raises(RuntimeError, match=rf"_images/1\.{kind} shows 1 customer id\(s\)"):
        checked(tmp_path, "<p></p>", SmallRun(["Name/17"]))


def test_picture_that_shows_none_is_published(tmp_path):
    labelled("2023").savefig(pictures(tmp_path) / "1.png")

    checked(tmp_path, "<p></p>", SmallRun(["Name/17", "2023"]))


def test_picture_whose_words_nobody_wrote_down_is_not_published(tmp_path):
    matplotlib.image.imsave(pictures(tmp_path) / "1.png", [[0, 1]])

    with pytest.raises(RuntimeError, match="may show words that nobody can check"):
        checked(tmp_path, "<p></p>", SmallRun([]))


def test_search_for_ids_takes_time_by_the_length_of_the_text():
    """Counted, not measured: how often a text is looked at for a million like-named ids."""
    finder = page_checks.IdFinder(f"Name {'/' * (n % 30)}{n:06d}" for n in range(20_000))

    class Counted(set):
        asked = 0

        def __iter__(self):
            Counted.asked += len(self)
            return super().__iter__()

    finder._lengths = {word: Counted(lengths) for word, lengths in finder._lengths.items()}
    assert finder.found_in("Name 1, " * 1_000 + "Name /000001") == {"Name /000001"}
    assert Counted.asked <= 1_001 * 60


@pytest.mark.parametrize("one", ["073168", "00042", "123456", "C-1001", "ann@example.org"])
def test_page_with_a_customer_id_is_not_published_and_the_id_not_repeated(tmp_path, one):
    with pytest.raises(RuntimeError, match=r"page\.html shows 1 customer id\(s\)") as refused:
        checked(tmp_path, f"<p>The best is <b>{one}</b>, by far.</p>", SmallRun([one, "999999"]))

    assert one not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["12,345 customers", "$123,456.78", "123456.5 days", "in 2023", "0.00042 of them", "a123456b"],
)
def test_number_of_a_page_is_not_taken_for_an_id(tmp_path, text):
    checked(tmp_path, f"<p>{text}</p>", SmallRun(["123456", "2023", "00042", "12345"]))


def test_parameter_that_looks_like_an_id_does_not_stop_the_book(tmp_path):
    run = SmallRun(["123456", "654321"], {"random_state": 123456})

    checked(tmp_path, "<p>random_state 123456, see 654321</p>", run, prose="an example: 654321")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Traceback (most recent call last)", "shows a traceback"),
        ("&lt;Figure size 640x480 with 1 Axes&gt;", "shows the name of a figure"),
        ('<div class="output stderr">UserWarning</div>', "shows a warning"),
        (f"<p>{ROOT}/segmentation</p>", "shows a path of this machine"),
    ],
)
def test_page_that_shows_the_machine_is_not_published(tmp_path, text, said):
    with pytest.raises(RuntimeError, match=said):
        checked(tmp_path, text, SmallRun([]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see /home/ann/orders.csv", "path /home/ann"),
        ("(/tmp/x1/y)", "path /tmp/x1"),
        ("/v1/orders", "path /v1/orders"),
        (f"at {ROOT}", f"path {ROOT}"),
        ("lib/site-packages/pandas", "path site-packages"),
        ("RuntimeWarning: divide by zero", "warning RuntimeWarning"),
        ("Traceback (most recent call last)", "traceback"),
        ("best customer: 073168.", "customer id 073168"),
    ],
)
def test_tests_of_pages_and_notebooks_see_a_leak(text, said):
    assert said in leaks_in(text.rstrip("."), {"073168"})


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/segments, /v1/features.",
        "runs/cdnow/model",
        "https://example.org/a/b",
        "and/or",
        "1/2 of 123456.7",
        "23:59",
    ],
)
def test_tests_of_pages_and_notebooks_do_not_see_what_is_no_leak(text):
    assert leaks_in(plain_text(f"<p>{text}</p><br/>"), {"123456"}) == []


def test_a_number_that_colours_of_code_cut_up_is_no_id():
    parts = ("0", ".", "0001")
    page = "".join(f'<span class="mi">{part}</span>' for part in parts)
    assert page_checks.IdFinder(["0001"]).found_in_any(page_checks._texts_of(page)) == set()
    alone = '<span class="mi">0001</span>'
    assert page_checks.IdFinder(["0001"]).found_in_any(page_checks._texts_of(alone)) == {"0001"}
