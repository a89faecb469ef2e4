"""A chapter as its readers get it: answer first, findings as titles, code behind one switch."""

from __future__ import annotations

import base64
import io

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from segmentation.book import style, words
from segmentation.book.reading import SWITCH, first_sentence, for_readers, plain


def shown(kind, content, *, tags=(), **metadata):
    cell = new_code_cell("code", metadata={"tags": list(tags), **metadata})
    cell.outputs = [new_output("display_data", {kind: content, "text/plain": "<x>"})]
    return cell


def prose(text, *tags):
    return shown("text/markdown", text, tags=["remove-input", *tags])


def figure(name, picture=None):
    drawn = picture or style.plt.figure(figsize=(8, 3))
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=style.RC_PARAMS["savefig.dpi"])
    png = base64.b64encode(file.getvalue()).decode()
    described = {"figure": {"name": f"fig-{name}"}, "image": {"alt": f"Bars of {name}."}}
    return shown("image/png", png, tags=["hide-input"], mystnb=described)


def chapter(*cells):
    title = new_markdown_cell("# Chapter\n\n**Question.** Who?\n\n**Reads** all.")
    return for_readers(new_notebook(cells=[title, *cells])).cells


def sources(cells):
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_the_first_finding_stands_under_the_title_and_how_to_read_is_folded():
    cells = chapter(new_markdown_cell("## One"), figure("one"), prose("It is 3.5%. More of it."))

    assert sources(cells)[:3] == ["# Chapter", SWITCH, ":::{div} finding\nIt is 3.5%.\n:::"]
    assert cells[3].metadata.mystnb.image.alt == "It is 3.5%. Bars of one."
    assert cells[4].outputs[0].data["text/markdown"] == "More of it."
    assert sources(cells)[3].startswith(":::{dropdown} How to read this page\n**Question.**")
    assert len(cells) == 6, "a section that gave its figure away has no heading left"


def test_an_answer_that_is_marked_stands_before_the_first_figure():
    cells = chapter(
        new_markdown_cell("## One"), figure("one"), prose("It is 3."), prose("Act.", "answer")
    )

    assert cells[2].outputs[0].data["text/markdown"] == "Act."
    assert cells[3].source.startswith(":::{div} finding")


def test_why_a_chapter_is_not_to_be_trusted_stands_above_what_it_says():
    swap = {"order_date": {"strength": "strong"}}
    warning = words.banner({"synthetic": False}, swap).markup
    mild = words.banner({"synthetic": True}).markup
    cells = chapter(shown("text/html", warning), figure("one"), prose("It is 3."))
    assert "look exchanged" in cells[2].outputs[0].data["text/html"]
    assert cells[3].source.startswith(":::{div} finding")
    cells = chapter(shown("text/html", mild), figure("one"), prose("It is 3."))
    assert cells[2].source.startswith(":::{div} finding")


def test_no_sentence_is_lost_and_none_is_said_twice():
    texts = ["A is 1. B is 2.", "- a list of 3", "**Customers who ask.** They are 4. Five more."]
    cells = chapter(
        *[cell for n, text in enumerate(texts) for cell in (figure(str(n)), prose(text))]
    )

    said = [cell.source for cell in cells if cell.cell_type == "markdown"]
    said += [
        o.data.get("text/markdown", "") for c in cells if c.cell_type == "code" for o in c.outputs
    ]
    whole = " ".join(said)
    for part in ("A is 1.", "B is 2.", "- a list of 3", "They are 4.", "Five more."):
        assert whole.count(part) == 1, part
    alts = [c.metadata.mystnb.image.alt for c in cells if "mystnb" in c.metadata]
    assert all(any(sign.isdigit() for sign in alt) for alt in alts), alts


def test_all_code_is_behind_the_switch():
    cells = chapter(figure("one"), prose("It is 3."))

    assert not {"hide-input", "remove-input"} & {
        t for c in cells for t in c.metadata.get("tags", [])
    }


def test_a_picture_of_a_sentence_is_a_sentence():
    cells = chapter(figure("none", style.sentence_figure("No returns (0) to draw.")))

    (cell,) = [cell for cell in cells if cell.cell_type == "code"]
    assert plain(cell.outputs[0].data["text/markdown"]) == "No returns (0) to draw."
    assert "mystnb" not in cell.metadata


def test_what_shows_nothing_leaves_no_empty_box():
    empty = shown("text/html", "")
    cells = chapter(
        new_markdown_cell("## Nothing"), empty, new_markdown_cell("## More"), prose("1.")
    )

    assert not empty.outputs and "## Nothing" not in sources(cells)
    assert "## More" in sources(cells)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It is 1.5% (n = 3). Then.", "It is 1.5% (n = 3)."),
        (
            "**High**: 14% bring **52%** (\\$1.3M). The largest",
            "**High**: 14% bring **52%** (\\$1.3M).",
        ),
        ("**Refit: it shifted.** More.", "**Refit: it shifted.** More."),
        ("One only", ""),
        ("```sql\nSELECT 1.\n```", ""),
    ],
)
def test_first_sentences(text, first):
    found, rest = first_sentence(text)
    assert found == first
    assert sorted((found + rest).replace(" ", "")) == sorted(text.replace(" ", ""))


def test_a_notebook_stays_valid():
    cells = chapter(figure("one"), prose("It is 3."))
    nbformat.validate(new_notebook(cells=cells))
