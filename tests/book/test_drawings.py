"""segmentation.book.drawings: figures as words and lines, for a page and for a phone."""

import base64
import hashlib
import io
import re

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
import seaborn as sns
from fontTools.ttLib import TTFont
from test_plots import ledger_of

from segmentation.book import drawings, plots, style
from segmentation.book.drawings import KIND, Drawings, in_page, set_aside
from segmentation.core.columns import RULE_WORDS

ALT = "Of 1,307 lines 300 are set aside."


@pytest.fixture(scope="module")
def figure():
    rules = ledger_of(("invalid_order", 300, "12000.00")).iloc[1:-1]
    rules = rules.assign(rule=rules["rule"].map(RULE_WORDS), amount=rules["amount"].astype(float))
    return plots.draw(
        sns.barplot,
        rules,
        x=["rows", "amount"],
        y="rule",
        currency="USD",
        labels={"amount": "Money (USD)"},
        of_groups=True,
    )


@pytest.fixture(scope="module")
def both(figure):
    return figure._repr_mimebundle_()[KIND]


def width_of(svg: str) -> float:
    return float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])


def test_texts_are_of_one_size_in_both_drawings_and_the_narrow_one_fits_a_phone(both):
    sizes = {
        kind: {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
        for kind, svg in both.items()
    }

    assert sizes["wide"] == sizes["narrow"] and min(sizes["narrow"]) >= style.SMALLEST_TEXT
    assert "not a valid" in both["narrow"]
    assert width_of(both["narrow"]) < 0.5 * width_of(both["wide"])


def test_a_drawing_is_the_same_on_any_day(figure, both):
    assert drawings.drawn(figure) == both["wide"]
    assert not re.search(r"<dc:date>", both["wide"])


def test_drawings_of_one_page_share_no_id_and_find_their_own():
    lines = plots.plot_shares.__wrapped__  # its bars are cut off at the axes
    table = pd.DataFrame(
        {"segment_type": "normal", "cluster": [0, 1], "segment": ["a", "b"], "customers": 7,
         "customers_share": 0.5, "revenue_share": 0.5}
    )  # fmt: skip
    figure = lines(table, colours={"a": "#111111", "b": "#222222"})
    plt.close(figure)
    svg = drawings.drawn(figure)

    one, other = in_page(svg, "one"), in_page(svg, "other")

    ids = [set(re.findall(r'\bid="([^"]*)"', page)) for page in (one, other)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', one)) == ids[0]
    assert "<style" not in one and "<?xml" not in one


@pytest.fixture
def page(figure, both, tmp_path):
    """A finished page with one picture that was drawn, and one that was not."""
    png = io.BytesIO()
    figure.savefig(png)
    content = {"image/png": base64.b64encode(png.getvalue()).decode(), KIND: both}
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", content)])
    shown = set_aside(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "drawings")
    assert list(shown.cells[0].outputs[0].data) == ["image/png"]
    (tmp_path / "_images").mkdir()
    name = hashlib.sha256(png.getvalue()).hexdigest()
    (tmp_path / "_images" / f"{name}.png").write_bytes(png.getvalue())
    (tmp_path / "_images" / "own.png").write_bytes(b"")
    markup = f'<img alt="{ALT}" src="_images/{name}.png" />\n<img alt="b" src="_images/own.png" />'
    return Drawings(tmp_path / "drawings"), markup, tmp_path


def test_a_drawing_takes_the_place_of_its_picture_and_says_the_same(page):
    kept, markup, folder = page

    finished = kept.in_place(markup, folder / "page.html")

    assert re.findall("<img[^>]*>", finished) == ['<img alt="b" src="_images/own.png" />']
    assert f'<div class="drawing" role="img" aria-label="{ALT}">' in finished
    assert finished.count("<svg") == 2 and ">not a valid sale</text>" in finished


def test_the_font_of_the_drawings_goes_with_them(page):
    kept, markup, folder = page
    kept.in_place(markup, folder / "page.html")

    kept.write_font(folder)

    known = TTFont(folder / drawings.FONT).getBestCmap()
    assert {ord(letter) for letter in "not a valid sale$"} <= set(known)
    assert (folder / drawings.FONT).stat().st_size < 60_000


def test_a_figure_that_needs_a_page_keeps_its_size_on_a_phone(page):
    kept, markup, folder = page
    file = next((folder / "drawings").iterdir())
    file.write_text(re.sub(r'"narrow": ".*"', '"narrow": ""', file.read_text("utf-8")), "utf-8")

    assert 'class="drawing scrolls"' in kept.in_place(markup, folder / "page.html")
