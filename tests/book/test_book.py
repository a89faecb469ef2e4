"""The published book in a real browser: every page, wide and narrow, light and dark."""

from __future__ import annotations

import csv
import html
import json
import math
import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pandas as pd
import pytest
import yaml
from conftest import ROOT, call_cli
from leaks import ids_of, leaks_in, plain_text

from segmentation.book.words.text import named
from segmentation.core.columns import format_money
from segmentation.core.guarded_csv import unguarded
from segmentation.deliver import run_folder

pytestmark = pytest.mark.slow

INSTALL = "needs Chromium: apt-get install --no-install-recommends chromium"
AXE = ROOT / "tests" / "node_modules" / "axe-core" / "axe.min.js"
INSTALL_AXE = "needs axe-core: npm ci --prefix tests --ignore-scripts"
PROFILES = ["cdnow", "marketplace", "customers_by_hand"]
LIFECYCLE = ["register_to_order", "first_to_last_order", "total_unit", "total_spent"]
WIDTHS = (1280, 390)
MOST_BYTES = 2_000_000

LOOK = """
() => {
  const text = node => node.innerText.replace(/\\s+/g, ' ').trim();
  const shown = node => node.getClientRects().length > 0;
  return {
    width: document.documentElement.scrollWidth,
    images: [...document.images].map(image => ({
      alt: image.getAttribute('alt'),
      file: image.getAttribute('src').split('/').pop(),
      drawn: image.complete && image.naturalWidth > 0,
    })),
    drawings: [...document.querySelectorAll('.drawing')].map(node => ({
      alt: node.getAttribute('aria-label'),
      text: Math.min(...[...node.querySelectorAll('text')].filter(shown).map(words => {
        const scale = words.getScreenCTM();
        return parseFloat(getComputedStyle(words).fontSize) * Math.hypot(scale.a, scale.b);
      })),
      font: [...document.fonts].some(font => font.family.includes('DejaVu Sans')
        && font.status === 'loaded'),
      whole: node.scrollWidth <= node.clientWidth,
    })),
    headings: [...document.querySelectorAll('article h1, article h2, article h3')]
      .map(node => node.firstChild.textContent.trim()),
    titles: [...document.querySelectorAll('h1')]
      .filter(node => !node.closest('#jb-print-docs-body')).length,
    ids: [...document.querySelectorAll('[id]')].map(node => node.id),
    boxes: [...document.querySelectorAll(
      '.table-scroll, .pst-scrollable-table-container, .drawing.scrolls, pre')]
      .filter(shown)
      .map(node => ({
        what: node.tagName + ' ' + text(node).slice(0, 40),
        table: node.tagName !== 'PRE',
        scrolls: node.scrollWidth > node.clientWidth,
        stays: node.getBoundingClientRect().right <= innerWidth + 1,
        reached: node.tabIndex === 0,
      })),
    backticks: [...document.querySelectorAll('article td, article th, article dd, article p, caption')]
      .map(text).filter(words => words.includes('`')),
    clipped: [...document.querySelectorAll('article table')].filter(table => {
      for (let box = table.parentElement; box.tagName !== 'ARTICLE'; box = box.parentElement)
        if (box.scrollWidth > box.clientWidth + 2 && getComputedStyle(box).overflowX !== 'visible')
          return true;
      return false;
    }).map(text).map(words => words.slice(0, 60)),
    tables: [...document.querySelectorAll('article .report-table')].filter(shown).map(node => ({
      what: text(node).slice(0, 60),
      height: node.getBoundingClientRect().height,
      text: Math.min(...[...node.querySelectorAll('caption, th, td')].filter(shown)
        .map(cell => parseFloat(getComputedStyle(cell).fontSize))),
    })),
    bars: [...document.querySelectorAll('details summary')].map(text)
      .filter(words => /code cell source/i.test(words)).length,
    code: [...document.querySelectorAll('.cell_input')].filter(shown).length,
    chart: Math.min(...[...document.querySelectorAll('article :is(img, .drawing, .front-bars)')]
      .map(image => image.getBoundingClientRect()).filter(box => box.height > 100)
      .map(box => box.top + scrollY)),
    cards: [...document.querySelectorAll('.segment-card dd')].map(
      node => node.textContent.replace(/\\s+/g, ' ').trim()),
    fronts: [...document.querySelectorAll('section:has(> .front)')].map(section =>
      section.querySelector('.front').getBoundingClientRect().bottom
        - section.getBoundingClientRect().top),
  };
}
"""

UNREADABLE = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = parts => parts.slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const parts = numbers(getComputedStyle(node).backgroundColor);
      if (parts.length < 4 || parts[3] > 0.5) return parts;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(
    document.querySelector('article') || document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walk.nextNode();) {
    const style = getComputedStyle(node.parentElement), words = node.textContent.trim();
    if (!words || style.visibility === 'hidden' || !node.parentElement.getClientRects().length)
      continue;
    const [a, b] = [light(numbers(style.color)), light(ground(node.parentElement))];
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) found.push(words.slice(0, 40));
  }
  return found;
}
"""
LOST_IN_PRINT = """
() => [...document.querySelectorAll('article :is(table, .profile-card, .tiles)')]
  .filter(node => node.innerText.trim())
  .filter(node => node.getBoundingClientRect().right > innerWidth + 1
    || node.parentElement.scrollWidth > node.parentElement.clientWidth + 2)
  .map(node => node.innerText.slice(0, 60))
"""
# the theme hears of a scheme a moment later, and a button's colour fades for 150 ms after that
HEARD = "scheme => document.documentElement.dataset.theme === scheme"
SETTLED = "() => document.getAnimations().forEach(fading => fading.finish())"

FAULTS = """
async only => (await axe.run(document, {
    preload: false, resultTypes: ['violations'], ...(only.length ? { runOnly: only } : {}),
  })).violations
  .filter(fault => ['serious', 'critical'].includes(fault.impact) || fault.id === 'heading-order')
  .map(fault => fault.id + ': ' + fault.nodes.map(node => node.html.slice(0, 100)).join(' | '))
"""
A4 = 718  # CSS pixels between margins of 10 mm


@dataclass
class Page:
    """What one page of the book is, as the browser sees it."""

    path: str
    text: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bytes: int = 0
    looks: dict[int, dict] = field(default_factory=dict)
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    lost_in_print: list[str] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    title: str = ""


class Links(HTMLParser):
    """Targets and anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        for name in ("href", "src"):
            if name in values:
                self.targets.append(values[name])


def links_of(path: Path) -> Links:
    parser = Links()
    parser.feed(path.read_text("utf-8"))
    return parser


@pytest.fixture(scope="module")
def customers_by_hand(marketplace_run, tmp_path_factory) -> Path:
    """A profile of somebody's own: a customer table without orders, in a folder of theirs."""
    folder = tmp_path_factory.mktemp("somebodys")
    customers = pd.read_parquet(marketplace_run / "features.parquet")
    table = customers[["customer_id", *LIFECYCLE]].dropna().head(400)
    table.to_csv(folder / "customers.csv", index=False)
    shipped = ROOT / "notebooks" / "params" / "customer_segmentation_data.yaml"
    values = yaml.safe_load(shipped.read_text("utf-8"))
    values |= {"location": str(folder / "customers.csv"), "random_state": 123456}
    path = folder / "customers_by_hand.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def report(cdnow_run, customers_by_hand, runs_dir, tmp_path_factory):
    """`segmentation report` on three profiles; what it publishes stays in a folder of the test."""
    processed = tmp_path_factory.mktemp("processed_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "PROCESSED_FOLDER", processed)
        done = call_cli("report", "cdnow", "marketplace", customers_by_hand, "--runs-dir", runs_dir)
    assert done.code == 0, done.said
    return done, processed


@pytest.fixture(scope="module")
def built(report, runs_dir) -> Path:
    return runs_dir / "_build" / "html"


@pytest.fixture(scope="module")
def ids(report, runs_dir) -> set[str]:
    return set().union(*(ids_of(runs_dir / name) for name in PROFILES))


def html_pages(built: Path) -> list[Path]:
    """Pages that a reader can reach; `_static` holds templates of the theme."""
    return sorted(p for p in built.rglob("*.html") if "_static" not in p.relative_to(built).parts)


@pytest.fixture(scope="module")
def pages(built) -> list[Page]:
    """Every page opened in Chromium, at both widths; what leaves the machine is blocked."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip(INSTALL)
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make setup")
    seen = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in html_pages(built):
            if path == built / "index.html":  # leads to the first page at once
                continue
            context = browser.new_context()  # a first visit: nothing is remembered
            seen.append(_looked_at(context, path, built))
            context.close()
        browser.close()
    return seen


@pytest.fixture
def tab(built):
    if shutil.which("chromium") is None:
        pytest.skip(INSTALL)
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make setup")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser.new_page()
        browser.close()


def _looked_at(context, path: Path, built: Path) -> Page:
    seen = Page(path.relative_to(built).as_posix(), plain_text(path.read_text("utf-8")))
    tab = context.new_page()
    tab.on("console", lambda line: line.type == "error" and seen.problems.append(line.text))
    tab.on("pageerror", lambda error: seen.problems.append(str(error)))

    def allow(route) -> None:
        seen.requests.append(route.request.url)
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            route.abort()

    tab.route(re.compile(".*"), allow)
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.goto(path.as_uri(), wait_until="load")
        tab.wait_for_timeout(50)  # the theme marks what scrolls after loading
        seen.looks[width] = tab.evaluate(LOOK)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            tab.wait_for_function(HEARD, arg=scheme)
            tab.evaluate(SETTLED)
            seen.unreadable[f"{width} {scheme}"] = tab.evaluate(UNREADABLE)
            if width == WIDTHS[0] and AXE.exists():
                if scheme == "light":
                    tab.evaluate(AXE.read_text("utf-8"))
                # a scheme changes colours and nothing else
                only = ["color-contrast"] if scheme == "dark" else []
                seen.faults[scheme] = tab.evaluate(FAULTS, only)
        tab.emulate_media(color_scheme="light")
    seen.title = tab.title()
    tab.set_viewport_size({"width": A4, "height": 1000})
    tab.emulate_media(media="print")
    seen.lost_in_print = tab.evaluate(LOST_IN_PRINT)
    files = {Path(unquote(urlsplit(url).path)) for url in seen.requests}
    seen.bytes = sum(file.stat().st_size for file in files if file.is_file())
    return seen


def test_report_builds_every_profile_and_says_where_everything_is(report, runs_dir, built):
    done, processed = report

    for name in PROFILES:
        assert f"run {name}: {runs_dir / name}" in done.out
    assert done.out.strip().splitlines()[-1] == f"book: {built / 'index.html'}"
    published = processed / run_folder.WORKBOOK
    assert published.read_bytes() == (runs_dir / "marketplace" / run_folder.WORKBOOK).read_bytes()


def test_every_profile_has_the_same_chapters(built):
    chapters = {name: sorted(p.name for p in (built / name).glob("*.html")) for name in PROFILES}

    wanted = sorted(f"{p.stem}.html" for p in (ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
    assert chapters == dict.fromkeys(PROFILES, wanted)


def test_every_hand_written_page_is_published(built):
    wanted = {f"{path.stem}.html" for path in (ROOT / "book").glob("*.md")}

    assert wanted == {path.name for path in (built / "book").glob("*.html")}


def test_no_page_logs_an_error(pages):
    assert {page.path: page.problems for page in pages if page.problems} == {}


def test_nothing_is_asked_of_another_machine(pages):
    asked = {url for page in pages for url in page.requests}

    assert len(asked) > len(pages)
    assert {url for url in asked if not url.startswith("file:")} == set()


def test_no_page_names_a_script_style_or_font_elsewhere(built):
    elsewhere = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"')
    code = re.compile(r'"https?://[^"]+\.(?:js|css|woff2?)"')

    for path in html_pages(built):
        markup = path.read_text("utf-8")
        assert not elsewhere.findall(markup) and not code.findall(markup), path.name


def test_every_image_is_drawn_and_says_in_words_what_it_shows(pages):
    images = [(p.path, image) for p in pages for image in p.looks[1280]["images"]]
    drawings = [(p.path, one) for p in pages for one in p.looks[1280]["drawings"]]

    assert len(drawings) > 3 * 15
    assert [where for where, one in drawings if len((one["alt"] or "").split()) < 5] == []
    for where, image in images:
        alt = image["alt"] or ""
        assert image["drawn"], (where, image)
        assert len(alt.split()) >= 5, (where, image)
        assert image["file"] not in alt and Path(image["file"]).stem not in alt, (where, image)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_text_of_a_chart_is_twelve_pixels_high_in_the_books_own_font(pages, width):
    charts = [(p.path, one) for p in pages for one in p.looks[width]["drawings"]]

    assert [(path, one["alt"][:60], one["text"]) for path, one in charts if one["text"] < 12] == []
    assert [path for path, one in charts if not one["font"]] == []
    broken = [(path, one["alt"][:60]) for path, one in charts if not one["whole"]]
    assert len(broken) <= (0 if width > 1000 else 1), broken


def test_every_internal_link_leads_somewhere(built):
    found = {path: links_of(path) for path in html_pages(built)}
    broken = []
    for path, links in found.items():
        for target in links.targets:
            parts = urlsplit(urljoin(path.as_uri(), target))
            if parts.scheme != "file":
                continue
            file = Path(unquote(parts.path))
            if not file.is_file():
                broken.append((path.relative_to(built).as_posix(), target))
            elif parts.fragment and file in found:
                anchors = found[file].anchors
                if unquote(parts.fragment) not in anchors:
                    broken.append((path.relative_to(built).as_posix(), target))
    assert broken == []


def test_every_page_is_below_two_megabytes(pages):
    assert {page.path: page.bytes for page in pages if page.bytes > MOST_BYTES} == {}
    assert min(page.bytes for page in pages) > 10_000


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(pages, width):
    assert {p.path: p.looks[width]["width"] for p in pages if p.looks[width]["width"] > width} == {}


def test_no_column_of_a_table_is_hidden_on_a_desk_or_in_print(pages):
    assert {p.path: p.looks[1280]["clipped"] for p in pages if p.looks[1280]["clipped"]} == {}
    assert {p.path: p.lost_in_print for p in pages if p.lost_in_print} == {}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_readable(pages, width, scheme):
    found = {page.path: page.unreadable[f"{width} {scheme}"] for page in pages}
    found.pop("search.html")  # the theme's own page

    assert {path: texts for path, texts in found.items() if texts} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(pages, scheme):
    if not AXE.exists():
        pytest.skip(INSTALL_AXE)
    assert {p.path: p.faults[scheme] for p in pages if p.faults[scheme]} == {}


def test_downloads_are_the_tables_above_them(built):
    """Every table of the report's own has its file, cell for cell."""
    seen = 0
    for path in html_pages(built):
        text = path.read_text("utf-8")
        for table, after in re.findall(
            r'<table class="report-table[^"]*">(.*?)</table>(.*?)(?=<table|</article>)', text, re.S
        ):
            link = re.search(r'href="([^"]*\.csv)"', after)
            if "one a row" in table or path.parent.name == "book":
                continue  # of single customers, or about no customer
            assert link, (path.name, table[:200])
            with (path.parent / link[1]).open(encoding="utf-8-sig", newline="") as file:
                rows = [unguarded(cell) for row in csv.reader(file) for cell in row]
            cells = re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", table, re.S)
            shown = [html.unescape(re.sub("</?code>", "", cell)) for cell in cells]
            if "findings" not in table:
                assert [cell.replace("`", "") for cell in rows] == shown
            seen += 1
    assert seen > 20
    charts = sum(len(re.findall("<figure ", p.read_text("utf-8"))) for p in html_pages(built))
    files = list((built / "_downloads").rglob("*.csv"))
    assert len(files) >= seen + 0.8 * charts


def test_long_tables_sort_and_are_searched_by_keyboard_and_print_whole(tab, built):
    tab.goto((built / "cdnow" / "10_using_the_results.html").as_uri())
    table = tab.locator("table.report-table", has_text="Parameters of this run")
    first = table.locator("tbody tr td").first
    rows = table.locator("tbody tr").count()
    before = first.inner_text()
    table.locator("thead th").first.locator("[tabindex='0'], button").first.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(300)  # the table is drawn anew a moment later
    names = table.locator("tbody tr td:first-child").all_inner_texts()
    assert names == sorted(names) and names[0] != before
    assert table.locator("th[aria-sort=ascending]").count() == 1
    tab.get_by_label("Find in this table").last.fill("gross_margin")
    assert table.locator("tbody tr").count() == 1
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert table.locator("tbody tr").count() == rows > 20


def test_tables_of_a_chapter_are_short_on_a_phone_and_read(pages):
    tables = [(p.path, one) for p in pages for one in p.looks[390]["tables"]]
    chapters = [(path, one) for path, one in tables if not path.startswith("book/")]

    assert [(path, one) for path, one in tables if one["text"] < 12] == []
    assert [(path, one) for path, one in chapters if one["height"] > 1.3 * 844] == []
    assert [(p.path, what) for p in pages for what in p.looks[390]["clipped"] if what] == []


def test_a_long_table_on_a_phone_opens_whole_and_a_short_one_is_turned(tab, built):
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto((built / "cdnow" / "07_do_the_segments_hold_up.html").as_uri())
    table = tab.locator("table.report-table", has_text="customers taken")
    rows = table.locator("tbody tr")
    shown = rows.filter(visible=True)
    turned = tab.locator("table.turned", has_text="same today")

    assert shown.count() == 0 and not turned.is_visible()  # a long page begins with its findings
    for one in (table, turned):
        tab.locator("details.more", has=one).locator("> summary").click()
    assert shown.count() == 6 < rows.count()
    assert "lift" in shown.first.locator("td").nth(4).evaluate(
        "cell => getComputedStyle(cell, '::before').content"
    )
    table.locator("+ .show-all").click()
    assert shown.count() == rows.count()
    first, second = (turned.locator("tbody tr").nth(n).locator("td").first for n in (0, 1))
    assert first.bounding_box()["y"] == second.bounding_box()["y"]


def test_no_chapter_of_a_shop_is_longer_than_a_dozen_screens_of_a_phone(tab, built):
    tab.set_viewport_size({"width": 390, "height": 844})
    for path in sorted((built / "cdnow").glob("*.html")):
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollHeight") <= 12 * 844, path.name
    tab.goto((built / "cdnow" / "07_do_the_segments_hold_up.html").as_uri())
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details.more:not([open])").count() == 0 < tab.locator(".more").count()


def test_the_first_screen_of_a_phone_has_warning_numbers_and_an_action_with_its_list(tab, built):
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto((built / "book" / "introduction.html").as_uri())
    for front in tab.locator(".front").all():
        action = front.locator("ol li").first
        box, top = action.bounding_box(), front.locator("xpath=..").bounding_box()["y"]
        assert box["y"] + box["height"] - top <= 844 - 56
        assert all(one.is_visible() for one in front.locator(".front-warning > ul > li").all())
        for part in action.locator("b:not(.empty b), span:not(.empty)").all():
            assert part.is_visible()
        assert "Sheet “" in action.inner_text()
        assert front.locator(".front-head a", has_text="why").is_visible()


@pytest.mark.parametrize("width", [1280, 900, 390])
def test_bars_of_a_first_page_are_as_long_as_their_shares(tab, built, width):
    """A label beside a bar squeezed the longest: 57% was drawn shorter than 52%."""
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto((built / "book" / "introduction.html").as_uri())
    for bars in tab.locator(".front-bars").all():
        drawn = bars.evaluate("""list => [...list.querySelectorAll('i')].map(bar =>
            [Number(bar.style.getPropertyValue('--part')), bar.getBoundingClientRect().width])""")
        scale = max(drawn)[1] / max(drawn)[0]
        assert all(abs(long - part * scale) < 5 for part, long in drawn), drawn
        assert bars.evaluate("list => list.scrollWidth <= list.clientWidth + 1")


def test_paper_has_no_queries_and_maps_for_analysts_unless_they_are_open(tab, built):
    tab.emulate_media(media="print")
    tab.goto((built / "cdnow" / "06_segments.html").as_uri())
    analysts = tab.locator("#for-analysts")
    assert not analysts.is_visible()
    tab.evaluate("document.querySelector('#for-analysts details').open = true")
    assert analysts.locator("figure").first.is_visible()
    tab.goto((built / "cdnow" / "02_cleaning_and_features.html").as_uri())
    assert not tab.locator("#the-queries").is_visible() and tab.locator("#ledger").is_visible()
    tab.goto((built / "book" / "introduction.html").as_uri())
    sections = tab.locator("article section section:not(.front)").filter(visible=True)
    assert sections.count() == len(PROFILES)


def test_sliders_change_the_plan_and_paper_shows_the_runs_own(tab, built):
    for scheme in ("dark", "light"):
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": 390, "height": 800})
        tab.goto((built / "cdnow" / "08_recommendations.html").as_uri())
        body = tab.locator(".what-if tbody")
        own = body.inner_text()
        tab.get_by_label("Gross margin").focus()
        tab.keyboard.press("Home")
        assert "do not contact at this cost" in body.inner_text() != own
        tab.emulate_media(media="print", color_scheme=scheme)
        tab.wait_for_timeout(300)  # the page hears of paper with its next frame
        assert body.inner_text().split() == own.split()
        assert not tab.locator(".what-if-sliders").is_visible()
        tab.emulate_media(media="screen", color_scheme=scheme)
        tab.get_by_role("button", name="As in this run").click()
        assert body.inner_text() == own


def test_previous_and_next_stay_in_one_part_of_the_book(built):
    for path in html_pages(built):
        steps = re.findall(
            r'class="(?:left-prev|right-next)"\s+href="([^"]*)"', path.read_text("utf-8")
        )
        outside = [s for s in steps if "/" in s and "introduction" not in s + path.name]
        assert outside == [], path
    last = (built / "cdnow" / "10_using_the_results.html").read_text("utf-8")
    assert "left-prev" in last and "right-next" not in last


def test_links_to_a_page_have_a_description_and_a_picture_that_is_there(built):
    for path in html_pages(built):
        text = path.read_text("utf-8")
        if "<article" not in text or path.name in ("search.html", "genindex.html"):
            continue
        said = re.search('<meta name="description" content="([^"]+)"', text)
        picture = re.search('<meta property="og:image" content="([^"]+)"', text)
        assert said and picture, path
        assert (path.parent / picture[1]).is_file(), path
        assert '<link rel="icon"' in text or "favicon" in text


def test_first_uses_of_terms_lead_to_the_glossary(built):
    glossary = links_of(built / "book" / "glossary.html").anchors
    page = (built / "cdnow" / "07_do_the_segments_hold_up.html").read_text("utf-8")
    targets = re.findall(r'<a class="term" href="\.\./book/glossary\.html#([^"]+)"', page)
    assert len(targets) == len(set(targets)) > 3
    assert set(targets) <= glossary


def test_search_finds_the_names_of_segments(built, runs_dir):
    index = (built / "searchindex.js").read_text("utf-8")
    found = json.loads(index[index.index("(") + 1 : index.rindex(")")])
    names = pd.read_parquet(runs_dir / "cdnow" / "segments.parquet")["segment"].unique()
    for word in {word.lower() for name in names for word in name.split()}:
        stem = next(one for one in (word, word.rstrip("e"), word[:-2]) if one in found["terms"])
        where = found["terms"][stem]
        pages = [found["docnames"][at] for at in (where if isinstance(where, list) else [where])]
        assert "cdnow/06_segments" in pages, word


def test_code_is_behind_one_switch_which_is_off(pages):
    assert {p.path: p.looks[1280]["bars"] for p in pages if p.looks[1280]["bars"]} == {}
    assert {p.path: p.looks[1280]["code"] for p in pages if p.looks[1280]["code"]} == {}


def test_the_switch_shows_the_code_of_a_chapter(tab, built):
    tab.goto((built / "cdnow" / "06_segments.html").as_uri())
    assert tab.evaluate(LOOK)["code"] == 0
    tab.get_by_label("Show code").check()
    assert tab.evaluate(LOOK)["code"] > 10


def test_the_first_chart_is_seen_without_scrolling(pages):
    late = {p.path: p.looks[1280]["chart"] for p in pages if p.looks[1280]["drawings"]}

    assert late
    assert {path: top for path, top in late.items() if 800 < top < math.inf} == {}


def test_every_chart_of_a_chapter_says_a_number_to_the_blind(pages):
    charts = [(p.path, i["alt"]) for p in pages for i in p.looks[1280]["drawings"]]

    assert [one for one in charts if not re.search(r"\d", one[1])] == []


def test_every_tab_of_a_chapter_names_its_data_set(pages, runs_dir):
    titles = [page.title for page in pages]

    assert len(titles) == len(set(titles)), sorted(t for t in titles if titles.count(t) > 1)
    marked = [p for p in pages if p.path.startswith("marketplace/")]
    assert all(p.title.endswith("| Marketplace (synthetic)") for p in marked)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_wider_than_the_page_scrolls_in_its_own_box(pages, width):
    boxes = [(p.path, box) for p in pages for box in p.looks[width]["boxes"]]

    assert boxes
    assert [(where, box["what"]) for where, box in boxes if not box["stays"]] == []


def test_the_keyboard_reaches_whatever_scrolls(pages):
    scrolling = [(p.path, b) for p in pages for b in p.looks[390]["boxes"] if b["scrolls"]]

    assert scrolling
    assert [(where, box["what"]) for where, box in scrolling if not box["reached"]] == []


def test_headings_of_a_page_are_unique_and_there_is_one_title(pages):
    for page in pages:
        look = page.looks[1280]
        assert len(look["headings"]) == len(set(look["headings"])), (page.path, look["headings"])
        assert look["titles"] == 1, page.path


def test_anchors_of_a_page_are_unique(pages):
    for page in pages:
        names = page.looks[1280]["ids"]
        repeated = {name for name in names if names.count(name) > 1}
        assert repeated == set(), page.path


def test_no_page_leaks_a_path_a_warning_a_traceback_or_an_id(pages, ids, customers_by_hand):
    words = ids | {customers_by_hand.parent.name}

    assert len(ids) > 4_000
    assert {
        page.path: leaks_in(page.text, words) for page in pages if leaks_in(page.text, words)
    } == {}


def test_no_file_beside_the_pages_holds_an_id(built, ids):
    """The search index cuts words at points, so 0.00012 leaves an 00012: long ids only."""
    long = {one for one in ids if len(one) > 5}
    for path in sorted(built.rglob("*")):
        if path.is_file() and path.suffix in {".js", ".json", ".inv", ".txt", ".ipynb", ".md"}:
            if "_static" in path.relative_to(built).parts:
                continue
            words = set(re.findall(r"[\w.@-]+", path.read_text("utf-8", errors="replace")))
            assert len(words & long) == 0, path.name


def test_markup_is_shown_as_what_it_means(pages):
    assert {p.path: p.looks[1280]["backticks"] for p in pages if p.looks[1280]["backticks"]} == {}


def test_texts_of_a_card_are_sentences(pages):
    texts = [text for page in pages for text in page.looks[1280]["cards"]]

    assert len(texts) > 3 * 3 * 3
    assert [
        text
        for text in texts
        if not text[0].isupper() and not text[0].isdigit() and text[0] not in "$€£"
    ] == []
    assert [text for text in texts if not text.endswith(".") or text.endswith("..")] == []


def test_synthetic_data_is_labelled_wherever_it_is_shown(pages):
    shown = [page for page in pages if page.path.startswith("marketplace/")]

    assert len(shown) == len(list((ROOT / "notebooks").glob("[0-9][0-9]_*.py")))
    assert [page.path for page in shown if "Synthetic data" not in page.text] == []
    real = [page for page in pages if page.path.startswith("cdnow/")]
    assert [page.path for page in real if "Synthetic data" in page.text] == []


def test_sizes_and_money_of_the_segments_are_those_of_the_files(built, runs_dir):
    """Page, segments.parquet, and through `test_outputs_agree.py` all that is handed over."""
    for name in PROFILES:
        table = pd.read_parquet(runs_dir / name / "segments.parquet")
        currency = yaml.safe_load((runs_dir / name / "params.yaml").read_text("utf-8"))["currency"]
        expected = sorted(
            (
                named(segment, kind, list(table["segment_type"])),
                f"{len(members):,}",
                format_money(math.fsum(members["total_spent"]), currency),
            )
            for (kind, segment), members in table.groupby(["segment_type", "segment"])
        )
        markup = (built / name / "06_segments.html").read_text("utf-8")
        (shown,) = re.findall(
            r"<caption>Segments; for each feature.*?<tbody>(.*?)</tbody>", markup, re.DOTALL
        )
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in shown.split("</tr>")[:-1]]
        rows = [[plain_text(text) for text in row[:3]] for row in cells]
        assert sorted((row[0], *(text.split(" (")[0] for text in row[1:])) for row in rows) == (
            expected
        ), name


def test_address_of_the_book_leads_to_its_first_page(built):
    text = (built / "index.html").read_text("utf-8")

    assert re.search(r'http-equiv="refresh"[^>]*url=book/introduction\.html', text, re.IGNORECASE)


def test_front_page_answers_for_every_profile(pages):
    (front,) = [page for page in pages if page.path == "book/introduction.html"]

    for title in ("CDNOW", "Marketplace (synthetic)", "customers by hand"):
        assert title in front.text
    assert front.text.count("What to do first") == len(PROFILES)
    assert front.looks[1280]["chart"] < 800
    assert len(front.looks[1280]["fronts"]) == len(PROFILES)
    assert max(front.looks[1280]["fronts"]) <= 800  # one screen for each data set
