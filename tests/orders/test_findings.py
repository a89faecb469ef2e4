"""What is wrong with the data: each check against shops worked out by hand, and the real one."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter, defaultdict
from decimal import Decimal

import pandas as pd
import pytest
from conftest import ROOT, TinyShop, order, ordinary_orders

from segmentation.book import words as insights
from segmentation.core.parameters import parameters_from
from segmentation.orders.finding_words import KINDS
from segmentation.run.run import Run

MARKETPLACE = ROOT.parent / "shared" / "data" / "marketplace"
needs_marketplace = pytest.mark.skipif(
    not MARKETPLACE.is_dir(), reason="real marketplace is absent: put it at ../shared/data"
)
LINES_SQL = """
SELECT
    o.customer AS customer_id, o.basket AS order_id, CAST(o.day AS DATE) AS order_date,
    CAST(o.pieces AS DECIMAL(18, 0)) AS quantity, CAST(o.paid AS DECIMAL(18, 2)) AS amount,
    TRUE AS is_valid, CAST(o.price AS DECIMAL(18, 2)) AS unit_price,
    CAST(o.off AS DECIMAL(18, 2)) AS discount, o.article AS product, o.kind AS category
FROM items AS o
"""


def item(number: int, **changed: object) -> dict:
    """One line of a shop of one hundred customers, who each bought one piece for 10.00."""
    plain = {
        "id": str(number), "customer": f"c{number:03d}", "basket": f"b{number:03d}",
        "day": str(dt.date(2024, 1, 1) + dt.timedelta(days=number % 60)), "pieces": "1",
        "paid": "10.00", "price": "10.00", "off": "0.00", "article": "Cup", "kind": "Kitchen",
    }  # fmt: skip
    return plain | {name: str(value) for name, value in changed.items()}


def findings_of(shop: TinyShop, **changed: object) -> pd.DataFrame:
    values = {"features": ["recency", "frequency", "total_spent"]} | shop.parameters | changed
    return Run(parameters_from(values), shop.runs_dir)["findings"]


def found_in(table: pd.DataFrame) -> dict[str, tuple]:
    """Rows, customers and money of what was found, by finding (and place where there is one)."""
    return {
        f"{row.finding} {row.place}".strip(): (row.rows, row.customers, row.amount)
        for row in table[table["rows"] > 0].itertuples()
    }


def facts_of(table: pd.DataFrame, name: str) -> dict:
    (facts,) = table.loc[(table["finding"] == name) & (table["rows"] > 0), "facts"]
    return json.loads(facts)


@pytest.fixture
def items(shop):
    def write(*changed: dict) -> TinyShop:
        lines = [item(number) for number in range(100)]
        for place, line in enumerate(changed):
            lines[place] |= {name: str(value) for name, value in line.items()}
        return shop.sql(LINES_SQL).lines(lines, name="items.csv")

    return write


# --- one defect each --------------------------------------------------------------------


def test_a_shop_without_fault_is_found_without_fault_and_says_what_was_looked_for(items):
    table = findings_of(items())

    assert found_in(table) == {}
    said = insights.findings_sentence(table)
    assert "Looked for and not found" in said
    assert "Could not be looked for" in said  # nothing is joined
    assert "unit_price" not in said


def test_an_id_named_like_a_lines_that_repeats_is_counted_with_the_money_a_key_would_lose(items):
    table = findings_of(
        items(
            {"id": "7", "paid": "4.00", "price": "4.00"}, {"id": "7", "paid": "25.00", "price": 25}
        )
    )

    # line 7 itself has 10.00: the dearest kept loses 14.00, the cheapest 35.00
    assert found_in(table)["repeated_line_id items.id"] == (2, 3, Decimal("14.00"))
    facts = facts_of(table, "repeated_line_id")
    assert (facts["lines"], facts["ids"], facts["most_lines"]) == (100, 98, 3)
    assert facts["amount_most"] == "35"


def test_amounts_that_are_not_price_times_quantity_less_discount_are_counted(items):
    table = findings_of(items({"paid": "9.00"}, {"pieces": 3, "off": "5.00", "paid": "25.50"}))

    assert found_in(table) == {"amount_arithmetic": (2, 2, Decimal("34.50"))}
    facts = facts_of(table, "amount_arithmetic")
    assert (facts["largest_difference"], facts["sum_of_differences"]) == ("1", "-0.5")


def test_money_too_large_for_the_usual_type_and_cut_off_at_its_end_is_counted(items):
    large, cut = "100000000.00", "99999999.99"

    table = findings_of(items({"paid": large, "price": large}, {"paid": cut, "price": cut}))

    found = found_in(table)
    assert found["narrow_money"] == (1, 1, Decimal(large))
    assert found["money_at_limit"] == (1, 1, Decimal(cut))


def test_one_line_and_one_customer_with_a_hundred_times_the_mean_are_named(shop):
    lines = [item(number) for number in range(300)]
    lines[0] |= {"paid": "3000.00", "price": "3000.00"}

    table = findings_of(shop.sql(LINES_SQL).lines(lines, name="items.csv"))

    assert found_in(table)["dominating_line"] == (1, 1, Decimal("3000.00"))
    assert found_in(table)["dominating_customer"] == (1, 1, Decimal("3000.00"))
    facts = facts_of(table, "dominating_customer")
    assert (facts["n"], facts["mean_without"]) == (300, 10.0)
    assert facts["share"] == pytest.approx(3000 / 5990, abs=1e-6)


def test_garbled_texts_blanks_and_spellings_are_counted_where_they_are(items):
    table = findings_of(
        items({"article": "CafÃ©"}, {"kind": "kitchen"}, {"kind": "Kitchen "}, {"article": "SÃO"})
    )

    assert found_in(table) == {
        "garbled_text product": (1, 1, Decimal("10.00")),  # SÃO is a word
        "stray_blanks category": (1, 1, Decimal("10.00")),
        "spelling_variants category": (2, 2, Decimal("20.00")),
    }
    assert facts_of(table, "spelling_variants")["spellings"] == 2


def test_an_order_of_two_customers_is_counted_with_all_its_lines(items):
    found = found_in(findings_of(items({"basket": "b001"})))

    assert found == {"order_of_several_customers order_id": (2, 2, Decimal("20.00"))}


@pytest.mark.parametrize(("join", "is_dropped"), [("LEFT JOIN", False), ("JOIN", True)])
def test_lines_without_a_row_to_look_up_are_counted_also_where_the_join_drops_them(
    items, join, is_dropped
):
    shop = items({"kind": "K9"}, {"kind": ""}, {"kind": "K9"})
    shop.sql(LINES_SQL.rstrip() + f"\n{join} kinds AS k ON k.kind = o.kind\n")
    shop.lines([{"kind": "Kitchen", "name": "For the kitchen"}], name="kinds.csv")

    table = findings_of(shop)

    assert found_in(table)["orphan kinds"] == (3, 3, Decimal("30.00"))
    facts = facts_of(table, "orphan")
    assert facts == {"unnamed": 1, "is_dropped": is_dropped}
    shown = insights.findings_table(table, currency="EUR").markup
    assert ("LEFT JOIN" in shown) == is_dropped


def test_customers_of_whom_no_line_counts_are_counted_with_their_lines(shop):
    lost = [order("X", 900 + n, "2023-01-02", 1, "5.00", is_valid="false") for n in range(3)]

    found = found_in(findings_of(shop.lines([*ordinary_orders(), *lost])))

    assert found["customer_without_kept_line"] == (3, 1, Decimal("15.00"))


# --- dates --------------------------------------------------------------------------------


def test_placeholder_dates_far_from_all_others_are_counted(shop):
    lines = [item(number) for number in range(300)]
    lines[0] |= {"day": "1970-01-01"}

    table = findings_of(shop.sql(LINES_SQL).lines(lines, name="items.csv"))

    assert found_in(table)["far_off_date order_date"] == (1, 0, Decimal("10.00"))
    assert facts_of(table, "far_off_date")["last"] == "1970-01-01"


def test_a_run_of_days_without_a_line_is_a_gap_only_where_days_are_usually_full(shop):
    def days_of(days):
        lines = [item(number, day=day) for number, day in enumerate(days)]
        return findings_of(shop.sql(LINES_SQL).lines(lines, name="items.csv"))

    full = [str(day.date()) for day in pd.date_range("2024-01-01", "2024-04-30")]
    table = days_of([day for day in full if not "2024-03-04" <= day <= "2024-03-10"])

    assert found_in(table)["date_gap order_date"][0] == 7
    facts = facts_of(table, "date_gap")
    assert (facts["first"], facts["last"]) == ("2024-03-04", "2024-03-10")
    assert found_in(days_of(full[::6])) == {}


def test_registrations_never_after_the_28th_are_said_to_be_filled_in(shop):
    def lines_of(last_day):
        return [
            order(f"c{n}", n, "2024-03-30", 1, "9.00", registered_date=f"2024-01-{n % last_day + 1:02d}")
            for n in range(400)
        ]  # fmt: skip

    wanted = (400, 400, Decimal(0))
    table = findings_of(shop.lines(lines_of(28)))
    assert found_in(table)["coarse_registration registered_date"] == wanted
    assert facts_of(table, "coarse_registration")["expected_late"] == round(400 * 3 / 31, 1)
    assert found_in(findings_of(shop.lines(lines_of(31)))) == {}


def test_what_lies_after_the_last_day_of_observation_is_counted(shop):
    late = order("L", 900, "2023-12-24", 1, "5.00", registered_date="2023-12-23")

    table = findings_of(shop.lines([*ordinary_orders(), late]), as_of="2023-11-30")

    assert found_in(table)["order_after_as_of"] == (1, 1, Decimal("5.00"))
    assert found_in(table)["registered_after_as_of"] == (1, 1, Decimal("5.00"))


def test_shipped_data_raise_no_alarm_about_exchanged_dates(shipped_run):
    table = pd.read_csv(shipped_run[1] / "findings.csv").set_index("finding")

    assert (table.loc[["swapped_dates", "date_gap", "far_off_date"], "rows"] == 0).all()


# --- the real marketplace, against a script that shares nothing with the package ------------


def swap(day: dt.date) -> dt.date:
    return dt.date(day.year, day.day, day.month) if day.day <= 12 else day


@pytest.fixture(scope="module")
def script():
    """Every figure counted with the csv module and decimals alone."""
    with (MARKETPLACE / "order_detail.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    with (MARKETPLACE / "customer_detail.csv").open(encoding="utf-8") as file:
        registered = {
            row["id"]: dt.date.fromisoformat(row["registered_date"]) for row in csv.DictReader(file)
        }
    money = {id(line): Decimal(line["after_discount"]) for line in lines}
    by_id = defaultdict(list)
    days, spent = defaultdict(list), Counter()
    for line in lines:
        by_id[line["id"]].append(money[id(line)])
        if line["is_valid"] == "1":
            days[line["customer_id"]].append(dt.date.fromisoformat(line["order_date"]))
            spent[line["customer_id"]] += money[id(line)]
    return lines, registered, money, by_id, days, spent


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real marketplace, dates as found and exchanged."""
    folder = tmp_path_factory.mktemp("real")
    return {
        repair: Run(
            parameters_from(
                {"source": "marketplace", "location": str(MARKETPLACE), "date_repair": repair}
            ),
            folder,
        )
        for repair in ("off", "swap_day_month")
    }


@needs_marketplace
def test_planted_defects_of_the_real_marketplace_are_counted_as_by_the_script(real, script):
    lines, _, money, by_id, _, _ = script
    table = real["off"]["findings"]
    found = found_in(table)

    many = [sorted(amounts) for amounts in by_id.values() if len(amounts) > 1]
    least = sum(sum(amounts[:-1]) for amounts in many)
    owners = {line["customer_id"] for line in lines if len(by_id[line["id"]]) > 1}
    lost = len(lines) - len(by_id)
    assert (lost, len(lines), len(by_id)) == (120, 5_884, 5_764)
    assert found["repeated_line_id order_detail.id"] == (lost, len(owners), least)
    most = sum(sum(amounts[1:]) for amounts in many)
    assert Decimal(facts_of(table, "repeated_line_id")["amount_most"]) == most

    wide = [amount for amount in money.values() if abs(amount) >= 10**8]
    assert len(wide) == 2
    assert found["narrow_money"] == (2, 2, sum(wide))

    apart = {
        id(line): money[id(line)]
        - Decimal(line["price"]) * Decimal(line["qty_ordered"])
        + Decimal(line["discount_amount"])
        for line in lines
    }
    wrong = [line for line in lines if apart[id(line)]]
    assert found["amount_arithmetic"] == (
        23,
        len({line["customer_id"] for line in wrong}),
        sum(money[id(line)] for line in wrong),
    )
    assert max(abs(value) for value in apart.values()) == 84
    assert facts_of(table, "amount_arithmetic")["largest_difference"] == "84"


@needs_marketplace
@pytest.mark.parametrize("repair", ["off", "swap_day_month"])
def test_exchanged_dates_and_whom_they_move_are_counted_as_by_the_script(real, script, repair):
    lines, registered, money, _, days, spent = script
    run = real[repair]
    outside = [line for line in lines if not "2021-07" <= line["order_date"][:7] <= "2022-08"]
    moved = {
        customer
        for customer, own in days.items()
        if (min(own), max(own)) != (min(map(swap, own)), max(map(swap, own)))
    }
    assert len(outside) == 969
    assert {int(line["order_date"][-2:]) for line in outside} <= set(range(1, 13))
    assert found_in(run["findings"])["swapped_dates order_date"] == (
        969,
        len(moved),
        sum(money[id(line)] for line in outside),
    )

    firsts = {
        "off": {customer: min(own) for customer, own in days.items()},
        "swap_day_month": {customer: min(map(swap, own)) for customer, own in days.items()},
    }
    early = {
        name: {c: (registered[c] - day).days for c, day in first.items() if day < registered[c]}
        for name, first in firsts.items()
    }
    for row in run["repair"].itertuples():
        leads = early[row.date_repair]
        assert row.pre_register == len(leads)
        assert row.pre_register_revenue == sum(spent[customer] for customer in leads)
        assert row.within_precision == sum(lead <= 31 for lead in leads.values())
        assert row.same_month == sum(
            (firsts[row.date_repair][c].year, firsts[row.date_repair][c].month)
            == (registered[c].year, registered[c].month)
            for c in leads
        )
    assert run["repair"]["pre_register"].tolist() == [880, 856]
    assert run["repair"]["within_precision"].tolist() == [371, 856]

    expected = Counter()
    revenue = Counter()
    for customer in days:
        pair = tuple(
            "pre_register" if customer in early[name] else "normal"
            for name in ("off", "swap_day_month")
        )
        expected[pair] += 1
        revenue[pair] += spent[customer]
    moves = run["group_moves"]
    pairs = list(zip(moves["as_found"], moves["repaired"], strict=True))
    assert dict(zip(pairs, moves["customers"], strict=True)) == expected
    assert dict(zip(pairs, moves["revenue"], strict=True)) == revenue


@needs_marketplace
def test_the_chapter_always_shows_both_outcomes_and_says_which_one_it_uses(real):
    for repair, used in (("off", "as found"), ("swap_day_month", "with day and month exchanged")):
        run = real[repair]
        shown = insights.repair_table(run["repair"], currency="PKR").text
        assert "880 of 2,864" in shown
        assert "856 of 2,864" in shown
        assert f"dates {used}" in insights.repair_sentence(run["repair"], date_repair=repair)
        assert "evidence is strong" in insights.swap_sentence(
            run["swap"], run["findings"], run["repair"]
        )
        moved = insights.moves_sentence(run["group_moves"], run["repair"], currency="PKR")
        assert "462 of 2,864 customers" in moved
        assert "Not one of them is surely" in moved
        table = insights.moves_table(run["group_moves"], currency="PKR").text
        for words in ("registered before ordering", "ordered before registering"):
            assert words in table
    assert real["off"]["group_moves"].equals(real["swap_day_month"]["group_moves"])


# --- words ----------------------------------------------------------------------------------


ID_KINDS = (
    *(
        "address_in_capitals",
        "alike_id",
        "blank_in_id",
        "cut_digits",
        "decimal_id",
        "decomposed_id",
    ),
    *("guest_id", "invisible_in_id", "lost_zeros", "lost_zeros_matched"),
    *("many_orders_under_one_id", "placeholder_id", "scientific_id"),
)
"""Their words are met in test_customer_ids."""


def test_every_finding_has_words_and_every_word_its_finding(items, real_or_none):
    names = set(findings_of(items())["finding"])
    names |= real_or_none

    assert names <= set(KINDS)
    assert set(KINDS) - names <= {"orphan", *real_or_none, "registered_after_as_of"} | {
        "order_before_any_registration",
        "coarse_registration",
        "value_over_lines",
        "mixed_currencies",
        "rounded_money",
        "hidden_rows",
        "known_in_part",
        *ID_KINDS,
    }


@pytest.fixture
def real_or_none(request):
    if not MARKETPLACE.is_dir():
        return set()
    return set(request.getfixturevalue("real")["off"]["findings"]["finding"])


def test_a_customer_table_is_checked_for_what_it_has(tmp_path):
    rows = [
        {"customer_id": f"c{n}", "register_to_order": n, "first_to_last_order": 1, "total_unit": 1,
         "total_spent": "1.00"}
        for n in range(200)
    ]  # fmt: skip
    rows[0] |= {"customer_id": "C1", "total_spent": "200000000.00"}
    path = tmp_path / "customers.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    values = {
        "source": "customer_segmentation_data",
        "location": str(path),
        "features": ["total_unit", "total_spent"],
    }

    run = Run(parameters_from(values), tmp_path / "runs")
    table = run["findings"]

    whale = (1, 1, Decimal("200000000.00"))
    assert found_in(table) == {
        "narrow_money total_spent": whale,
        "dominating_customer": whale,
        "spelling_variants customer_id": (1, 1, Decimal("1.00")),
    }
    assert "no order dates" in insights.swap_sentence(run["swap"], table, run["repair"])
    assert "DECIMAL(18,2)" in insights.findings_table(table, currency="EUR").text
