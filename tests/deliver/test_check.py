"""`segmentation check`: what a profile reads, said before any model; `run` sums itself up."""

from __future__ import annotations

from conftest import assert_refused, call_cli, contents_of, order, ordinary_orders

from segmentation.run.stages import STAGES


def test_check_says_what_is_read_what_counts_and_who_without_a_model(shop):
    aside = order("0002", "cancelled", "2023-05-01", 1, "10.00", is_valid="false")
    shop.lines([*ordinary_orders(), aside])

    outcome = call_cli("check", *shop.arguments()[1:])

    assert outcome.code == 0, outcome.said
    said = outcome.out
    assert "orders.csv: 69 rows; columns " in said
    assert "6 cast(s) and 0 join(s) tried" in said
    assert "none refused" in said
    ledger = said.split("Ledger")[1].split("Findings")[0]
    assert [line.split()[-3] for line in ledger.splitlines() if "kept" in line] == ["68"]
    assert "First 10 of 40 customers" in said
    assert "\n0009 " in said and "\n0010 " not in said
    assert (shop.folder / "shop.sql").read_text() in said and "$as_of = 2023-" in said
    computed = {path.name.split("-")[0] for path in (shop.runs_dir / ".cache").iterdir()}
    assert computed & STAGES.keys() == {"orders", "dates", "findings"}
    assert not shop.result.exists()


def test_check_refuses_what_a_run_refuses_in_the_same_words(shop):
    shop.lines([*ordinary_orders(), order("0002", "odd", "2023-02-30", 1, "10.00")])
    before = contents_of(shop.folder)

    checked = call_cli("check", *shop.arguments()[1:])

    assert_refused(checked, "orders.csv", "2023-02-30")
    assert checked.said == shop.run().said
    assert not before.keys() - contents_of(shop.folder).keys()


def test_check_names_what_a_folder_holds_where_a_table_is_missing(shop):
    shop.lines(ordinary_orders(), name="order.csv")
    assert_refused(
        call_cli("check", *shop.arguments()[1:]), "no file for table orders", "order.csv"
    )


def test_a_run_ends_with_eight_lines_and_its_folder(shop):
    shop.lines([*ordinary_orders(), order("0002", "x", "2023-05-01", 1, "10.00", is_valid="false")])

    lines = shop.run().out.splitlines()

    said = dict(line.split(": ", 1) for line in lines[:-1])
    assert len(said) == 8 and lines[-1].endswith("shop")
    assert said["customers"] == "40 with orders that count"
    assert said["set aside"] == "1.4% of 69 lines, USD 10.00"
    assert said["segments"].startswith("3: ")
    assert " of " in said["severe findings"]
    assert "segmentation report" in said["open"] and ".xlsx" in said["open"]
