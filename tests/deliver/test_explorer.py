"""The explorer page computes in a real browser what the API answers."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from segmentation.book.explorer_page import browser_model, explorer_script, explorer_section
from segmentation.deliver.api.app import Surroundings, create_app
from segmentation.deliver.api.store import ModelStore
from segmentation.segments.model import load_model

COUNT = 1000


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, shipped_run, tmp_path):
    """The section as the book shows it, with the script where the book has it."""
    profile, folder = shipped_run
    section = explorer_section(profile, profile, load_model(folder / "model"))
    raw = re.findall(r"```\{raw\} html\n(.*?)\n```", section + explorer_script(), re.S)
    (tmp_path / "_static").mkdir()
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "_static" / "explorer.js", tmp_path / "_static")
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{"".join(raw)}</body></html>'
    )
    (tmp_path / "book" / "explorer.html").write_text(text, encoding="utf-8")
    opened = browser.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda r: wrong.append(r.url) if not r.url.startswith("file:") else None)
    opened.goto((tmp_path / "book" / "explorer.html").as_uri())
    yield opened
    assert wrong == []
    opened.close()


def random_customers(folder: Path) -> list[dict]:
    """Within and beyond the fitted ranges, and some who never registered."""
    chance, model = random.Random(7), load_model(folder / "model")
    groups = list(model.groups.values())
    rows = []
    for number in range(COUNT):
        row: dict = {"customer_id": f"r{number}"}
        for name in model.features:
            low, high = chance.choice([g for g in groups if name in g.ranges]).ranges[name]
            # long tails: most customers are small
            row[name] = low + (high - low) * 1.2 * chance.random() ** chance.choice([1, 4, 20])
        if "unregistered" in model.groups and chance.random() < 0.1:
            row["register_to_order"] = None
        rows.append(row)
    return rows


def test_explorer_equals_the_api_on_a_thousand_random_customers(page, shipped_run):
    profile, folder = shipped_run
    rows = random_customers(folder)
    store = ModelStore(folder / "model")
    store.load()
    client = create_app(Surroundings(store)).test_client()
    expected = client.post("/v1/segments", json={"customers": rows}).json["customers"]

    found = page.evaluate(
        """([id, rows]) => {
            const model = JSON.parse(document.getElementById(id).textContent);
            return rows.map((row) => explorer.assign(model, row));
        }""",
        [f"explorer-{profile}", rows],
    )

    for name in ("segment_type", "cluster", "segment"):
        assert [one[name] for one in found] == [one[name] for one in expected], name
    margins = [one["margin"] for one in found]
    assert margins == pytest.approx([one["margin"] for one in expected], abs=1e-9)
    clusters = {(one["segment_type"], one["cluster"]) for one in expected}
    groups = store.current.model.groups
    assert clusters == {(kind, n) for kind, g in groups.items() for n in range(len(g.names))}


def test_moving_a_slider_shows_another_segment(page, shipped_run):
    answer = page.locator(".explorer-answer strong")
    before = answer.inner_text()
    assert page.locator(".explorer-row").count() == len(
        load_model(shipped_run[1] / "model").features
    )
    slider = page.locator("input[type=range]").last
    seen = {before}
    for share in (0, 0.5, 1):
        slider.evaluate(
            """(e, share) => { e.value = Number(e.min) + share * (e.max - e.min);
                e.dispatchEvent(new Event('input')); }""",
            share,
        )
        seen.add(answer.inner_text())
    number = page.locator("input[type=number]").last
    number.fill("999999")
    seen.add(answer.inner_text())
    assert len(seen) >= 2
    assert page.evaluate(
        "[...document.querySelectorAll('input[type=range]')].every((e) => e.labels.length === 1)"
    )


def test_explorer_carries_no_customer(shipped_run):
    """No core point, no smallest or largest value, no id."""
    folder = shipped_run[1]
    model = load_model(folder / "model")
    text = json.dumps(browser_model(model))
    document = browser_model(model)
    for kind, group in model.groups.items():
        assert set(document["groups"][kind]) == {
            "label",
            "features",
            "transform",
            "low",
            "high",
            "lambdas",
            "center",
            "scale",
            "centers",
            "names",
            "sliders",
            "medians",
        }
        for point in group.core_points[:200]:
            assert not all(repr(float(value)) in text for value in point)
    ids = pd.read_parquet(folder / "segments.parquet")["customer_id"]
    assert not set(re.findall(r"[\w.@-]+", text)) & {name for name in ids if len(name) > 5}
