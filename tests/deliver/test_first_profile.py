"""`segmentation init`: what it drafts runs at the first try and counts what the export says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import exports
import pandas as pd
import pytest
import yaml
from conftest import assert_refused, call_cli, contents_of

from segmentation.cli import cli
from segmentation.core.parameters import resolve
from segmentation.deliver import first_profile
from segmentation.run.run import Run
from segmentation.sources import first_look
from segmentation.sources.engine import DuckDbEngine


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "My Shop"
    found.mkdir()
    return found


def drafted(folder: Path, paths: list[Path], *more: object) -> Run:
    outcome = call_cli("init", *paths, *more)
    assert outcome.code == 0, outcome.said
    assert {"my_shop.yaml", "my_shop.sql", "README.md"} <= {p.name for p in folder.iterdir()}
    return Run(resolve(str(folder / "my_shop.yaml"))[1], folder.parent / "runs")


@pytest.mark.parametrize("is_named", [False, True], ids=["recognised", "named"])
@pytest.mark.parametrize("shop", exports.SHOPS)
def test_an_export_of_a_shop_system_counts_what_was_sold(folder, shop, is_named):
    run = drafted(folder, exports.SHOPS[shop](folder), *(["--from", shop] if is_named else []))

    ledger = run["ledger"].set_index("rule")
    assert ledger.at["kept", "amount"] == exports.worth(exports.lines())
    customers = set(run["customer_features"]["customer_id"].str.lower())
    sold = {row["mail"].lower() for row in exports.lines() if row["fate"] == "sold"}
    assert customers == sold
    assert first_look.SHOPS[shop]["title"] in (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("kind", exports.OTHERS)
def test_an_export_of_no_system_is_read_by_names_and_values(folder, kind):
    run = drafted(folder, exports.OTHERS[kind](folder))

    assert run["ledger"].set_index("rule").at["kept", "amount"] == exports.worth(exports.lines())
    sold = {row["mail"].lower() for row in exports.lines() if row["fate"] == "sold"}
    assert set(run["customer_features"]["customer_id"].str.lower()) == sold
    assert run["overview"]["first_order"].startswith("2023-01-")
    assert "ONLY YOU KNOW" in (folder / "my_shop.sql").read_text("utf-8")


def test_refund_lines_come_back_whatever_their_sign(folder):
    rows = [
        {
            "customer": f"{n:03d}",
            "order": n,
            "date": "2024-05-01",
            "qty": "2",
            "paid": paid,
            "status": status,
        }
        for n, (paid, status) in enumerate([("10.00", "completed")] * 30 + [("4.00", "refund")] * 3)
    ]
    run = drafted(folder, [exports.write(folder / "o.csv", rows)])

    ledger = run["ledger"].set_index("rule")["amount"]
    assert (ledger["returned"], ledger["kept"]) == (Decimal(-12), Decimal(300))


def test_currency_is_the_column_s_and_the_readme_asks_what_only_the_owner_knows(folder):
    drafted(folder, exports.semicolons(folder))

    assert yaml.safe_load((folder / "my_shop.yaml").read_text("utf-8"))["currency"] == "CHF"
    readme = (folder / "README.md").read_text("utf-8")
    assert "which are sales; found are bezahlt (" in readme and "storniert (" in readme
    assert "segmentation check my_shop.yaml" in readme


def test_what_cannot_be_drafted_is_refused_and_nothing_written(folder):
    exports.write(folder / "a.csv", [{"colour": "red", "size": "7"}])
    before = contents_of(folder)

    assert_refused(call_cli("init", folder), "a.csv", "who ordered", "colour, size")
    assert_refused(call_cli("init", folder, "--from", "stripe"), "--from stripe", "Amount")
    assert_refused(call_cli("init", folder / "none.csv"), "none.csv", "no such file")
    assert contents_of(folder) == before


def test_what_is_there_is_replaced_only_when_asked(folder):
    paths = exports.stripe(folder)
    (folder / "README.md").write_text("mine")
    before = contents_of(folder)

    assert_refused(call_cli("init", *paths), "README.md", "--replace")
    assert contents_of(folder) == before
    elsewhere = folder.parent / "drafts"
    assert call_cli("init", *paths, "--output", elsewhere).code == 0
    assert Run(resolve(str(elsewhere / "my_shop.yaml"))[1], elsewhere)["ledger"]["rows"].iloc[-1]
    assert call_cli("init", *paths, "--replace").code == 0


def test_the_command_offers_the_systems_that_are_known():
    (option,) = (o for o in cli.commands["init"].params if o.name == "shop")
    assert set(option.type.choices) == first_look.SHOPS.keys()


@pytest.mark.parametrize(
    ("values", "orders"),
    [
        (["13/02/2024", "01/02/2024"], ["dmY"]),
        (["02/13/2024"], ["mdY"]),
        (["01/02/2024"], ["dmY", "mdY"]),
        (["2024/13/02", "2024/01/02"], []),
        (["2024/01/13"], ["Ymd"]),
        (["02/13/24"], ["mdy"]),
        ([f"{n}/03/24" for n in range(1, 29)], ["dmy"]),
        ([f"24/03/{n:02}" for n in range(1, 29)], ["ymd"]),
        ([f"0{1 + n % 9}/0{1 + n % 9}/24" for n in range(9)], ["dmy", "mdy"]),
        (["13/02/24", "13/02/2024"], []),
        (["3-MAR-99", "29-Sept-24"], ["dmy"]),
        (["24-Mar-03"], ["dmy", "ymd"]),
        (["März 3, 2024", "3. Mai 2024"], ["dmY"]),
        (["3 Foo 2024"], []),
    ],
)
def test_the_order_of_a_day_is_told_by_the_values_or_asked(values, orders):
    assert first_look.day_orders(values) == orders


MONTHS = {
    "german": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "short": "jan feb mar apr may jun jul aug sept oct nov dec",
    "spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
WRITTEN = {
    "two digits": lambda day: f"{day:%d/%m/%y}",
    "two digits, month first": lambda day: f"{day.month}/{day.day}/{day:%y}",
    "two digits, year first": lambda day: f"{day:%y-%m-%d}",
    "year first": lambda day: f"{day:%Y/%m/%d %H:%M}",
    "points": lambda day: f"{day.day}.{day.month}.{day.year}, 10:15",
    "german": lambda day: f"{day.day}. {MONTHS['german'].split()[day.month - 1]} {day.year}",
    "month first": lambda day: f"{MONTHS['short'].split()[day.month - 1]} {day.day}, {day.year}",
    "oracle": lambda day: f"{day:%d}-{MONTHS['short'].split()[day.month - 1].upper()}-{day:%y}",
    "spanish": lambda day: f"{day.day} de {MONTHS['spanish'].split()[day.month - 1]} de {day.year}",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_days_are_read_as_they_are_written(tmp_path, how):
    days = pd.date_range("2023-01-01", "2024-06-30", freq="3D")
    rows = [
        {"customer": f"C{n % 9}", "order": n, "date": WRITTEN[how](day), "paid": "5.00"}
        for n, day in enumerate(days)
    ]
    exports.write(tmp_path / "o.csv", rows)
    _, (table,) = first_look.tables_of([tmp_path / "o.csv"])
    made, _ = first_profile._by_names([table])
    engine = DuckDbEngine()
    engine.bind("o", tmp_path / "o.csv")
    read = engine.query(made.sql)["order_date"]
    engine.close()

    assert pd.to_datetime(read).tolist() == days.tolist()
