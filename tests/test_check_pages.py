"""The guard before publishing: no page with an id, a path, a warning or a traceback."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from leaks import leaks_in, plain_text

from segmentation import book


@dataclass
class SmallRun:
    """What `check_pages` asks of a run."""

    customer_ids: list[str]
    values: dict = field(default_factory=dict)

    @property
    def parameters(self):
        return self

    def as_plain(self) -> dict:
        return self.values

    def __getitem__(self, result: str):
        tables = {"segments": pd.DataFrame({"customer_id": self.customer_ids}), "sql": {}}
        return tables[result]


def checked(tmp_path: Path, text: str, run: SmallRun, prose: str = "") -> None:
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "page.html").write_text(text, "utf-8")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text(prose, "utf-8")
    book.check_pages(tmp_path / "html", {"shop": run}, tmp_path)


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
    "text", ["runs/cdnow/model", "https://example.org/a/b", "and/or", "1/2 of 123456.7", "23:59"]
)
def test_tests_of_pages_and_notebooks_do_not_see_what_is_no_leak(text):
    assert leaks_in(plain_text(f"<p>{text}</p><br/>"), {"123456"}) == []
