"""The brief for the meeting: the front page's words on one page of A4, with or without Chromium."""

from __future__ import annotations

import re
import shutil

import pytest
from conftest import ROOT

from segmentation.book import brief
from segmentation.book.brief import brief_page, write_brief

FRONT = (
    '<section class="front"><p class="front-about">Orders of 1997</p><div class="tiles">'
    '<div class="tile"><b>23,570</b></div></div><ol><li><b>Retain: High</b><span>$1.31M'
    '<span class="follow"> · <a href="../x/08.html">why</a></span></span></li></ol><details><summary>What the numbers mean'
    "</summary><dl><dt>Customers</dt><dd>who ordered</dd></dl></details></section>"
)
STYLE = (ROOT / "book" / "_static" / "report.css").read_text("utf-8")


def test_a_brief_has_the_words_of_the_front_page_and_no_links():
    page = brief_page("A <b> shop", FRONT, STYLE)

    assert "<h1>A &lt;b&gt; shop</h1>" in page
    assert "<a " not in page and "why" not in re.sub("<style>.*</style>", "", page, flags=re.S)
    assert "<span>$1.31M</span>" in page
    assert "<summary>" not in page and "who ordered" in page
    assert "http" not in page.replace("https://www.w3.org", "")


@pytest.mark.slow
def test_chromium_prints_one_page_and_the_same_bytes_on_any_day(tmp_path):
    if not any(map(shutil.which, brief.BROWSERS)):
        pytest.skip("needs Chromium: apt-get install --no-install-recommends chromium")
    page = brief_page("Shop", FRONT, STYLE)

    made = [write_brief(page, tmp_path, name) for name in ("brief-one", "brief-two")]

    assert [path.name for path in made] == ["brief-one.pdf", "brief-two.pdf"]
    one, two = (path.read_bytes() for path in made)
    assert one == two
    assert len(re.findall(rb"/Type /Page\b", one)) == 1
    assert not re.search(rb"D:\d{8}", one) and str(tmp_path).encode() not in one


def test_without_chromium_the_brief_is_a_page_to_print(tmp_path, monkeypatch):
    monkeypatch.setattr(brief, "BROWSERS", ("no-such-browser",))

    made = write_brief(brief_page("Shop", FRONT, STYLE), tmp_path, "brief-shop")

    assert made.name == "brief-shop.html"
    assert "@page { size: A4" in made.read_text("utf-8")
