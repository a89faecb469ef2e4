"""The worked example of the book: a shop of another schema, run exactly as its page says."""

from __future__ import annotations

import contextlib
import csv
import re
import shlex
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, assert_refused, call_cli
from exports import SHOPS, lines, worth
from mariadb import MariaDbServer

from segmentation.core.parameters import resolve
from segmentation.run.run import Run

PAGE = (ROOT / "book" / "your_own_shop.md").read_text("utf-8")
BOOKSHOP = ROOT / "examples" / "bookshop"
TABLES = ("sales", "sale_items", "readers", "books")


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def path_of(title: str) -> list[list[str]]:
    """The commands of one path from an export to a book."""
    text = PAGE.split(f"### {title}\n")[1].split("\n#")[0]
    (block,) = re.findall(r"^```shell\n(.*?)^```$", text, re.M | re.S)
    return [shlex.split(line) for line in block.splitlines()]


def rows_of(table: str) -> list[dict[str, str]]:
    with (BOOKSHOP / f"{table}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


TITLES = ("Shopify", "WooCommerce", "Stripe")


def walk(tmp_path: Path, title: str, runs_dir: Path) -> str:
    """Put the export where the page says and type its commands but the last; gives its profile.

    The page's folder is called otherwise, so that several are parts of one book.
    """
    first, second, last = path_of(title)
    assert first[:2] == ["segmentation", "init"]
    folder = tmp_path / title.lower()
    folder.mkdir()
    (written,) = SHOPS[title.lower()](folder)
    assert first[2] == f"myshop/{written.name}"
    with contextlib.chdir(tmp_path):
        for command in (first, second):
            more = [] if command[1] == "init" else ["--runs-dir", runs_dir]
            own = (word.replace("myshop", title.lower()) for word in command[1:])
            outcome = call_cli(*own, *more)
            assert outcome.code == 0, outcome.said
    assert f"{worth(lines()):,}" in outcome.out
    assert last == ["segmentation", "report", "myshop/myshop.yaml"]
    return last[2].replace("myshop", title.lower())


@pytest.mark.parametrize("title", TITLES)
def test_each_path_of_the_page_reads_what_was_sold(tmp_path, title):
    walk(tmp_path, title, tmp_path / "runs")


@pytest.mark.slow
def test_each_path_of_the_page_ends_at_a_book(tmp_path):
    runs_dir = tmp_path / "runs"
    profiles = [walk(tmp_path, title, runs_dir) for title in TITLES]
    with contextlib.chdir(tmp_path):
        outcome = call_cli("report", *profiles, "--runs-dir", runs_dir)

    assert outcome.code == 0, outcome.said
    for title in TITLES:
        part = runs_dir / "_build" / "html" / title.lower()
        assert (part / "01_data_understanding.html").is_file()


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("own_shop")


@pytest.fixture(scope="module")
def run(runs_dir) -> Path:
    """The page's first command; its last line is the run's folder."""
    command = shlex.split(fences("bash")[0])
    assert command[:2] == ["segmentation", "run"]
    with contextlib.chdir(ROOT):
        outcome = call_cli(*command[1:], "--runs-dir", runs_dir)
    assert outcome.code == 0, outcome.said
    return Path(outcome.out.strip().splitlines()[-1])


def test_the_page_shows_the_files_as_they_are():
    assert fences("sql")[:1] == [(BOOKSHOP / "bookshop.sql").read_text("utf-8")]
    assert fences("yaml")[:1] == [(BOOKSHOP / "bookshop.yaml").read_text("utf-8")]
    for table in TABLES:
        assert f"| `{table}.csv` |" in PAGE
        assert f"`{', '.join(rows_of(table)[0])}`" in PAGE


def test_features_of_every_reader_equal_those_of_an_independent_script(run):
    sales = {row["sale_no"]: row for row in rows_of("sales")}
    spent, units, orders = {}, {}, {}
    for line in rows_of("sale_items"):
        sale, copies = sales[line["sale_no"]], int(line["copies"])
        if sale["status"] != "paid" or copies < 0:
            continue
        reader = sale["reader_no"]
        price = Decimal(line["price_cents"]) / 100
        paid = price * copies * (100 - int(line["rebate_percent"])) / 100
        spent[reader] = spent.get(reader, 0) + paid
        units[reader] = units.get(reader, 0) + copies
        orders.setdefault(reader, set()).add(line["sale_no"])

    features = pd.read_parquet(run / "features.parquet").set_index("customer_id")

    assert "00001" in features.index
    assert [Decimal(f"{v:.2f}") for v in features["total_spent"]] == [
        spent[reader] for reader in features.index
    ]
    assert features["total_unit"].to_dict() == units
    assert features["frequency"].to_dict() == {r: len(found) for r, found in orders.items()}


def test_ledger_and_findings_are_those_that_the_page_tells(run):
    ledger = pd.read_csv(run / "ledger.csv").set_index("rule")["rows"]
    found = pd.read_csv(run / "findings.csv").query("rows > 0")
    counted = {
        (row.finding, row.place): (row.rows, row.customers)
        for row in found.fillna({"place": ""}).itertuples()
    }

    kept = ledger[ledger > 0].to_dict()
    assert kept == {"raw": 827, "invalid_order": 45, "returned": 1, "kept": 781}
    assert "Of 827 lines 45 are not valid sales, one is a return, and 781 are kept." in PAGE
    assert counted == {
        ("orphan", "books"): (1, 1),
        ("duplicate_line", ""): (1, 1),
        ("customer_without_kept_line", ""): (11, 6),
    }


def test_the_feature_of_the_page_is_read_as_it_stands_there(tmp_path):
    for file in BOOKSHOP.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    opened = ["reader_no,opened_on", "00002,2024-06-01", "00002,2024-06-08", "00002,2090-01-01"]
    (tmp_path / "newsletters.csv").write_text("\n".join(opened) + "\n", encoding="utf-8")
    (tmp_path / "features.sql").write_text(fences("sql")[1], encoding="utf-8")
    profile = yaml.safe_load(fences("yaml")[0]) | yaml.safe_load(fences("yaml")[1])
    (tmp_path / "bookshop.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")

    parameters = resolve(str(tmp_path / "bookshop.yaml"))[1]
    customers = Run(parameters, tmp_path / "runs")["customer_features"].set_index("customer_id")

    assert customers["newsletter_opens"].sum() == customers["newsletter_opens"]["00002"] == 2


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (0, "    CAST(i.copies AS DECIMAL(18, 0)) AS quantity,\n", ""),
        (1, "s.sold_on", "s.sold_at"),
    ],
    ids=["required-column", "column-of-a-file"],
)
def test_what_a_select_lacks_is_said_in_the_words_of_the_page(tmp_path, place, old, new):
    sql = fences("sql")[0]
    assert old in sql
    (tmp_path / "bookshop.sql").write_text(sql.replace(old, new), encoding="utf-8")
    values = yaml.safe_load(fences("yaml")[0]) | {"location": str(BOOKSHOP)}
    (tmp_path / "bookshop.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    outcome = call_cli("run", tmp_path / "bookshop.yaml", "--runs-dir", tmp_path / "runs")

    assert_refused(outcome)
    assert outcome.said == [fences("text")[place].strip()]


def test_the_select_gives_the_same_features_in_a_database(
    run, mariadb_server: MariaDbServer, as_root, tmp_path
):
    mariadb_server.execute("CREATE DATABASE bookshop CHARACTER SET utf8mb4")
    for table in TABLES:
        rows = rows_of(table)
        columns = ", ".join(f"{name} VARCHAR(40)" for name in rows[0])
        mariadb_server.execute(f"CREATE TABLE {table} ({columns})", database="bookshop")
        places = ", ".join(["%s"] * len(rows[0]))
        with contextlib.closing(mariadb_server.connect("bookshop")) as connection:
            connection.cursor().executemany(
                f"INSERT INTO {table} VALUES ({places})",  # noqa: S608
                [tuple(row.values()) for row in rows],
            )
    location = {"engine": "mysql", "location": mariadb_server.location("bookshop")}
    _, check, _ = path_of("MySQL or MariaDB")
    check[check.index("location") + 1] = location["location"]
    with contextlib.chdir(ROOT):
        checked = call_cli(*check[1:], "--runs-dir", tmp_path / "runs")
    assert checked.code == 0, checked.said
    assert "table sale_items: 827 rows" in checked.out and "\ndriver: " in checked.out

    stored = Run(resolve(str(BOOKSHOP / "bookshop.yaml"), overrides=location)[1], tmp_path)

    assert stored["features"].equals(pd.read_parquet(run / "features.parquet"))
    assert stored["findings"].drop(columns="amount").to_csv(index=False) == (
        pd.read_csv(run / "findings.csv", dtype=str, keep_default_na=False)
        .drop(columns="amount")
        .to_csv(index=False)
    )


@pytest.mark.slow
def test_the_report_of_the_page_is_built_and_says_that_its_data_are_made_up(run, runs_dir):
    command = shlex.split(fences("bash")[1])
    assert command[:2] == ["segmentation", "report"]

    with contextlib.chdir(ROOT):
        outcome = call_cli(*command[1:], "--runs-dir", runs_dir)

    assert outcome.code == 0, outcome.said
    html = runs_dir / "_build" / "html"
    chapter = (html / "bookshop" / "01_data_understanding.html").read_text("utf-8")
    assert "Synthetic data" in chapter
    assert "no row to look up" in chapter
    assert (html / "book" / "your_own_shop.html").is_file()


@pytest.mark.slow
def test_a_report_with_a_parameter_of_its_own_has_its_book_elsewhere(run, runs_dir):
    command = shlex.split(fences("bash")[1])
    before = (run.resolve().name, *sorted((runs_dir / "_build" / "html").rglob("*.html")))
    workbook = (run / "customer_segmentation_output.xlsx").read_bytes()

    with contextlib.chdir(ROOT):
        # what has nothing to do with the margin, stages and chapters, is there already
        outcome = call_cli(*command[1:], "-p", "gross_margin", 0.5, "--runs-dir", runs_dir)

    assert outcome.code == 0, outcome.said
    said = dict(line.split(": ", 1) for line in outcome.out.splitlines())
    own, page = Path(said["run bookshop"]), Path(said["book"])
    assert page.is_file() and page.parents[2] == runs_dir / "_build" / "experiments"
    assert own.name != run.resolve().name and (own / "notebooks").is_dir()
    after = (run.resolve().name, *sorted((runs_dir / "_build" / "html").rglob("*.html")))
    assert after == before
    # whatever is printed of it leads to its own folder, never to the current run of its name
    manual = page.parent / "book" / "step_by_step.html"  # leads through the shop as it is shipped
    built = [path for path in page.parent.rglob("*.html") if path != manual]
    pages = [path.read_text("utf-8") for path in built]
    pages += [path.read_text("utf-8") for path in (own / "notebooks").iterdir()]
    led = [name for text in pages for name in re.findall(r"runs/(bookshop[\w.-]*)", text)]
    assert set(led) == {own.name, "bookshop-next"} and led.count(own.name) >= 12
    handover = re.sub("<[^>]+>", "", (page.parent / "book" / "handover.html").read_text("utf-8"))
    assert "segmentation run bookshop -p gross_margin 0.5 --make-current --name" in handover
    assert (run / "customer_segmentation_output.xlsx").read_bytes() == workbook
