"""Hostile ids and names pass through every output as the text they are: nothing runs."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import yaml
from conftest import SHOP_SQL, TinyShop, call_cli, ordinary_orders

from segmentation.book import pages as book
from segmentation.book.figure_words import words_of
from segmentation.book.notebooks import execute_notebook
from segmentation.book.page_checks import IdFinder
from segmentation.core.guarded_csv import unguarded

MARKUP = '<img src=x onerror="window.ran=1"><script>ran=1</script>'
LINK = "[click](javascript:window.ran=1) `code` $x^2$ **bold** {{x}} {raw}`x`"
LONG = "x" * 10_000
IDS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example","x")',
    "a;=1+1",
    "\t=1+1",
    "\r=1+1",
    "＝1+1",
    "'=1+1",
    MARKUP,
    LINK,
    LONG,
    'say "hi", it\'s',
    "two\nlines",
    "\N{WRAPPED PRESENT} gift",
    "\u202egnp.exe",
    "nul\x00 and \x01",
    "_x0041_",
    "<r>rich</r>",
    "00042",
    "1E5",
    "TRUE",
    "o'\"\\ %s ? :name",
]
CLEAN_IDS = [re.sub("[\x00\x01]", "\ufffd", one) for one in IDS]
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
CSV_OF_A_RUN = {
    *("campaign_arms", "campaign_plan", "evidence_anomaly_effect", "evidence_dbscan"),
    *("evidence_holdout_aa", "evidence_holdout_curve", "evidence_holdout_rankings"),
    "evidence_holdout_cuts",
    *("evidence_holdout_responses", "evidence_holdout_segments", "evidence_margin_flips"),
    *("evidence_order_anyway", "forecast_calibration", "order_anyway"),
    *("call_first", "movement", "retention", "slipping"),
    *("evidence_planted_anomalies", "evidence_rules", "evidence_sensitivity"),
    *("evidence_separation", "evidence_stability", "evidence_stability_whole"),
    *("evidence_starts", "findings", "ledger", "profile", "recommendations", "returns"),
    *("returns_migration", "special_lines", "tuning_dbscan", "tuning_k"),
}
"""A new one belongs here, and is then looked into."""
WORKBOOK = "customer_segmentation_output.xlsx"


@pytest.fixture(scope="module")
def hostile_shop(tmp_path_factory) -> TinyShop:
    """A shop whose ids, categories, payment methods and countries are hostile, run."""
    shop = TinyShop(tmp_path_factory.mktemp("hostile"))
    more = ", category, payment_method, country\nFROM orders"
    shop.sql(SHOP_SQL.replace("\nFROM orders", more))
    lines = ordinary_orders(60)
    for number, line in enumerate(lines):
        customer = int(line["customer_id"])
        if customer % 2 == 0 and customer // 2 < len(IDS):  # of every value, in every segment
            line["customer_id"] = IDS[customer // 2]
        line["category"] = [MARKUP, MARKUP, LINK, "=1+1", "\u202egnp.exe"][number % 5]
        line["payment_method"] = [LINK, LINK, "two\nlines"][number % 3]
        line["country"] = [LONG, LONG, "nul\x00"][number % 3]
    # not as CSV, because a CSV file with a NUL is refused
    pd.DataFrame(lines).replace("", None).to_parquet(shop.folder / "orders.parquet")
    outcome = shop.run(id_cleaning="off", guest_ids=[])  # each of them a customer as it is
    assert outcome.code == 0, outcome.said
    return shop


@pytest.fixture(scope="module")
def hostile_run(hostile_shop) -> Path:
    return hostile_shop.result


@pytest.fixture(scope="module")
def through_libreoffice(hostile_run, tmp_path_factory) -> Path:
    """Workbook and every CSV twin, opened by LibreOffice and saved again as .xlsx."""
    soffice = shutil.which("soffice") or shutil.which("libreoffice")
    if soffice is None:
        pytest.skip("needs LibreOffice: apt-get install --no-install-recommends libreoffice-calc")
    folder = tmp_path_factory.mktemp("libreoffice")
    command = [soffice, "--headless", f"-env:UserInstallation=file://{folder}/profile"]
    command += ["--convert-to", "xlsx", "--outdir", str(folder / "out")]
    twins = sorted((hostile_run / "workbook_csv").glob("*.csv"))
    utf8_with_commas = "--infilter=CSV:44,34,76,1"
    for given in ([hostile_run / WORKBOOK], [utf8_with_commas, *twins]):
        arguments = [*command, *map(str, given)]
        subprocess.run(arguments, check=True, capture_output=True, timeout=180)
    return folder / "out"


def cells_of(path: Path) -> list:
    return [cell for sheet in openpyxl.load_workbook(path) for row in sheet.rows for cell in row]


def ids_of(sheet) -> list[str]:
    header = [cell.value for cell in sheet[1]]
    column = header.index("Customer") + 1
    return [sheet.cell(row, column).value for row in range(2, sheet.max_row + 1)]


def test_libreoffice_keeps_every_text_of_the_workbook_and_runs_none(
    hostile_run, through_libreoffice
):
    before = openpyxl.load_workbook(hostile_run / WORKBOOK)
    after = openpyxl.load_workbook(through_libreoffice / WORKBOOK)

    assert after.sheetnames == before.sheetnames
    assert set(CLEAN_IDS) <= set(ids_of(after["All customers"]))
    for sheet in before:
        for row, again in zip(sheet.rows, after[sheet.title].rows, strict=True):
            for cell, same in zip(row, again, strict=True):
                assert same.hyperlink is None
                if cell.data_type == "b":  # LibreOffice itself saves one as a formula
                    assert same.value in (f"={cell.value}()".upper(), cell.value)
                elif isinstance(cell.value, float):  # it saves 15 digits of a number
                    assert same.value == pytest.approx(cell.value, rel=1e-14)
                else:
                    assert (same.data_type, same.value) == (cell.data_type, cell.value)


def test_libreoffice_runs_nothing_of_a_csv_twin(hostile_run, through_libreoffice):
    twins = sorted((hostile_run / "workbook_csv").glob("*.csv"))

    for twin in twins:
        cells = cells_of(through_libreoffice / f"{twin.stem}.xlsx")
        assert cells and {cell.data_type for cell in cells} <= {"s", "n", "b", "d"}, twin.name
    texts = {
        unguarded(str(cell.value))
        for cell in cells_of(through_libreoffice / "segments.xlsx")
        if cell.data_type == "s"
    }
    # it takes digits for a number and drops a lone carriage return; the file has both as they are
    assert set(CLEAN_IDS) - {"00042", "1E5", "TRUE", "\r=1+1"} <= texts


def test_the_csv_twin_and_the_parquet_file_have_the_very_ids(hostile_run):
    with (hostile_run / "workbook_csv" / "segments.csv").open(
        encoding="utf-8-sig", newline=""
    ) as file:
        twins = [unguarded(row["customer_id"]) for row in csv.DictReader(file)]

    assert set(CLEAN_IDS) <= set(twins)
    assert set(IDS) <= set(pd.read_parquet(hostile_run / "segments.parquet")["customer_id"])
    about = dict(
        openpyxl.load_workbook(hostile_run / WORKBOOK)["About"].iter_rows(
            min_row=2, max_col=2, values_only=True
        )
    )
    assert about["characters replaced"] == 2


def test_the_published_table_has_the_very_ids(hostile_run, mariadb_server, as_root):
    mariadb_server.new_database("hostile")
    place = mariadb_server.location("hostile")

    done = call_cli("publish", hostile_run, "--mysql", "segments", "--location", place)

    assert done.code == 0, done.said
    rows = mariadb_server.execute("SELECT customer_id, segment FROM segments", database="hostile")
    segments = pd.read_parquet(hostile_run / "segments.parquet")
    assert sorted(rows) == sorted(zip(segments["customer_id"], segments["segment"], strict=True))


def risky_cells(path: Path) -> list[str]:
    """Cells of a CSV file that a spreadsheet may run; a number is none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return [c for c in cells if c.startswith(RISKY) and not re.fullmatch(r"-[\d.e-]+", c)]


def test_every_csv_file_of_a_run_runs_nothing(hostile_run):
    files = sorted(hostile_run.glob("*.csv"))

    assert {path.stem for path in files} == CSV_OF_A_RUN
    for path in [*files, *hostile_run.glob("workbook_csv/*.csv")]:
        assert not risky_cells(path), path.name
    arms = pd.read_csv(hostile_run / "campaign_arms.csv", dtype=str, keep_default_na=False)
    every = set(pd.read_parquet(hostile_run / "segments.parquet")["customer_id"])
    assert set(arms["customer_id"]) - every, "none of the hostile ids is in a campaign"
    assert set(map(unguarded, arms["customer_id"])) <= every


@pytest.mark.parametrize("raw", [(), ("--raw-values",)])
def test_scores_run_nothing_unless_raw_values_are_asked_for(hostile_run, tmp_path, raw):
    features, scores = hostile_run / "features.parquet", tmp_path / "scores.csv"

    done = call_cli("score", hostile_run / "model", features, "--output", scores, *raw)

    assert done.code == 0, done.said
    assert bool(risky_cells(scores)) == bool(raw)
    with scores.open(encoding="utf-8", newline="") as file:
        ids = [row["customer_id"] for row in csv.DictReader(file)]
    expected = pd.read_parquet(features)["customer_id"].tolist()
    assert (ids if raw else [unguarded(one) for one in ids]) == expected


@pytest.mark.parametrize("raw", [(), ("--raw-values",)])
def test_read_out_knows_every_customer_of_a_guarded_and_of_a_raw_list(hostile_run, tmp_path, raw):
    segments = pd.read_parquet(hostile_run / "segments.parquet")
    for number, (segment, own) in enumerate(segments.groupby("segment")):
        arms, orders = tmp_path / f"{number}.csv", tmp_path / f"{number}-orders.csv"
        split = ["split", hostile_run, "--segment", segment, "--output", arms, *raw]
        assert call_cli("campaign", *split).code == 0
        with orders.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["customer_id"], *([one] for one in own["customer_id"])])

        said = call_cli("campaign", "readout", arms, orders)

        assert said.code == 0, said.said
        assert said.out.count("100% (n = ") == 2 and "neither" not in said.out


def test_campaign_lists_and_movements_run_nothing_and_keep_every_id(hostile_run, tmp_path):
    table = pd.read_parquet(hostile_run / "segments.parquet")
    files = [tmp_path / "moves" / "customers.csv"]
    assert call_cli("compare", hostile_run, hostile_run, "--output", tmp_path / "moves").code == 0
    for segment in table["segment"].unique():
        files.append(tmp_path / f"{segment}.csv")
        split = ["split", hostile_run, "--segment", segment, "--output", files[-1]]
        assert call_cli("campaign", *split).code == 0
    ids = []
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert not [row for row in rows for cell in row.values() if cell.startswith(RISKY)]
        ids.append([row["customer_id"] for row in rows])

    every = sorted(table["customer_id"])
    assert sorted(map(unguarded, ids[0])) == every
    assert sorted(unguarded(one) for part in ids[1:] for one in part) == every
    copied = pd.DataFrame({"customer_id": ids[1] + [unguarded(one) for one in ids[1]]})
    copied.to_csv(tmp_path / "orders.csv", index=False)
    said = call_cli("campaign", "readout", files[1], tmp_path / "orders.csv")
    assert said.code == 0, said.said
    assert "100% (n = " in said.out and "neither" not in said.out


@pytest.mark.slow
def test_exploration_shows_no_customer_where_categories_are_their_names(tmp_path):
    shop = TinyShop(tmp_path)
    shop.sql(SHOP_SQL.replace("\nFROM orders", ", category, country\nFROM orders"))
    lines = ordinary_orders()
    for number, line in enumerate(lines):
        line["customer_id"] = f"Name/{line['customer_id']}"
        line["category"] = line["customer_id"]
        line["country"] = line["customer_id"] if number == 5 else "Norway"
    shop.lines(lines).arguments()
    parameters = yaml.safe_load((tmp_path / "shop.yaml").read_text("utf-8"))
    values = parameters | {"runs_dir": str(shop.runs_dir)}
    source = book.PROJECT_ROOT / "notebooks" / "03_exploration.ipynb"

    shown, _ = execute_notebook(source, tmp_path / "shown.ipynb", values)

    said = []
    for output in [one for cell in shown.cells for one in cell.get("outputs", [])]:
        for kind, content in output.get("data", {}).items():
            if kind == "image/png":
                (tmp_path / "one.png").write_bytes(base64.b64decode(content))
                said.append(words_of(tmp_path / "one.png"))
            else:
                said.append(content if isinstance(content, str) else json.dumps(content))
    assert None not in said
    assert "values of one customer each" in "\n".join(said)
    assert not IdFinder({line["customer_id"] for line in lines}).found_in("\n".join(said))


@pytest.mark.slow
def test_no_page_of_the_book_runs_or_shows_markup_from_data(hostile_shop, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install --no-install-recommends chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make setup")
    source = tmp_path / "source"
    source.mkdir()
    parameters = yaml.safe_load((hostile_shop.folder / "shop.yaml").read_text("utf-8"))
    values = parameters | {"runs_dir": str(hostile_shop.runs_dir)}
    notebooks = book.PROJECT_ROOT / "notebooks"
    name = "03_exploration.ipynb"  # the one that shows values of the data's own texts
    execute_notebook(notebooks / name, source / name, values)
    shutil.copytree(book.PROJECT_ROOT / "book", source / "book")
    for name in book.BOOK_FILES:
        shutil.copy(book.PROJECT_ROOT / name, source / name)
    pages = {"format": "jb-book", "root": "03_exploration"}
    (source / "_toc.yml").write_text(yaml.safe_dump(pages), encoding="utf-8")
    built = book._run_jupyter_book(source, tmp_path / "built")

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto((built / "03_exploration.html").as_uri(), wait_until="load")
        tab.wait_for_timeout(200)
        assert tab.evaluate("window.ran") is None
        assert (
            tab.evaluate("document.querySelectorAll('img[src=x], a[href^=javascript]').length") == 0
        )
        shown = tab.inner_text("article")
        browser.close()
    assert MARKUP in re.sub("[“”]", '"', shown)
    for path in built.rglob("*.html"):
        assert "<script>ran" not in path.read_text("utf-8"), path.name
