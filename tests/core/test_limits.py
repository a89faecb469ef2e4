"""Thresholds stand once, each with its reason."""

from __future__ import annotations

import ast
import html
import shutil

import pytest
from conftest import ROOT

from segmentation.actions.recommend import load_plays
from segmentation.book import pages
from segmentation.core import limits

ROOMS = ("customers", "segments", "evidence", "actions")
COUNTS = (0, 1, 2, 3)
"""So small a number is mostly just a number."""
NO_COPIES = {
    "segments/group_model.py: MANY_CUSTOMERS": "from which threads pay",
    "segments/large_kmeans.py: SAMPLE_SIZE": "of the algorithm for large groups",
    "segments/large_kmeans.py: GOOD_OPTIMUM": "of the algorithm for large groups",
    "segments/reasons.py: abs(value - round(value)) < 0.005": "numbers told without decimals",
    "segments/names.py: 0 < ratio < 0.005": "what two decimals round to nothing",
    "segments/dbscan.py: _CHUNK_POINTS": "points at a time",
    "segments/portraits.py: abs(value) < 60": "days told in weeks",
    "actions/returns_choice.py: TOP_MOVERS": "rows of a table",
    "evidence/anomalies.py: generator.random(PLANTED) < 0.5": "a coin",
    "evidence/forecast.py: _YEAR": "quarters of a year",
    "evidence/resampling.py: STARTS": "as many starts as a run has by default",
    "evidence/explain.py: abs(value) < 1000": "numbers told with halves",
}
"""Constants that only happen to be equal to a limit."""


def value_of(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def numbers_in(source: str) -> list[tuple[str, object]]:
    """Constants of a module, and numbers that something is compared with: where, and which."""
    tree, found = ast.parse(source), []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names, value = node.targets[0], node.value
            pairs = [(names, value)]
            if isinstance(names, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(names.elts, value.elts, strict=True))
            found += [(ast.unparse(name), value_of(one)) for name, one in pairs]
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for one in (node.left, *node.comparators):
                found.append((ast.unparse(node), value_of(one)))
    return found


def copies_in(source: str) -> list[str]:
    known = [limit.value for limit in limits.listed() if limit.value not in COUNTS]
    return [where for where, number in numbers_in(source) if number in known]


def test_every_limit_says_what_it_means_and_why():
    constants = {name for name in vars(limits) if name.isupper()}
    listed = limits.listed()
    assert {limit.name for limit in listed} == constants
    assert len(listed) == len(constants)
    for limit in listed:
        assert limit.value == getattr(limits, limit.name)
        for text in (limit.meaning, limit.why):
            assert text.endswith(".") and "\n" not in text, limit
        assert limit.source


@pytest.mark.parametrize(
    "source",
    ["LEAST = 30", "LOW, HIGH = 0.6, 0.75", "SHARES = (0.1, 0.2)", "x = f(y >= 0.8)"],
)
def test_a_copy_is_seen(source):
    assert copies_in(source)


@pytest.mark.parametrize("source", ["x = y > 0", "x = y == 0.123", "GRID = (0.8, 0.75)"])
def test_other_numbers_are_no_copies(source):
    assert not copies_in(source)


def test_no_module_repeats_a_limit():
    folder = ROOT / "segmentation"
    found = {
        f"{path.relative_to(folder).as_posix()}: {where}"
        for room in ROOMS
        for path in (folder / room).rglob("*.py")
        for where in copies_in(path.read_text("utf-8"))
    }
    assert found == set(NO_COPIES)


def test_the_shipped_plays_watch_segments_below_the_least_number_of_customers():
    below = [play["when"].get("customers_below") for play in load_plays()]
    assert [number for number in below if number] == [limits.LEAST_CUSTOMERS]


def test_the_method_page_prints_every_limit(tmp_path):
    page = tmp_path / "book" / "method.md"
    page.parent.mkdir()
    shutil.copy(ROOT / "book" / "method.md", page)
    pages._write_generated({}, {}, tmp_path, {})
    text = html.unescape(page.read_text("utf-8"))
    assert "generated:" not in text
    for limit in limits.listed():
        assert f"<td>{limit.meaning}</td><td>" in text
    for cells in ("<td>200,000</td>", "<td>0.0001</td>", "<td>0.01, 0.05, 0.1, 0.2</td>"):
        assert cells in text
