"""Wrong answers that once went unsaid: each kind is found, with its money, or put right."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pandas as pd
import pytest
from conftest import SHOP_SQL, TinyShop, order, ordinary_orders

from segmentation.book.words.returns import returns_sentence
from segmentation.book.words.warnings import warnings
from segmentation.core.columns import format_percent
from segmentation.core.errors import SourceError
from segmentation.core.parameters import parameters_from
from segmentation.orders.finding_words import FINDING_COLUMNS
from segmentation.run.run import Run

PRODUCTS = SHOP_SQL.replace("FROM orders", ", NULLIF(category, '') AS product\nFROM orders")


def run_of(shop: TinyShop, **changed: object) -> Run:
    values = {"features": ["recency", "frequency", "total_spent"]} | shop.parameters | changed
    return Run(parameters_from(values), shop.runs_dir)


def found_in(run: Run) -> dict[str, tuple]:
    """Severity, rows, customers and money of what was found, by finding and place."""
    table = run["findings"]
    return {
        f"{row.finding} {row.place}".strip(): (row.severity, row.rows, row.customers, row.amount)
        for row in table[table["severity"] != "none"].itertuples()
    }


def baskets(n: int, *, amount, units=lambda line: 1, kind=lambda line: f"p{line}") -> list[dict]:
    """Orders of one, two and three lines in turn; ``amount`` is of order, size and line."""
    return [
        order(
            f"c{number % 25}", f"B{number:03d}", str(dt.date(2024, 1, 1) + dt.timedelta(number)),
            units(line), f"{amount(number, 1 + number % 3, line):.2f}",
        ) | {"category": kind(line)}
        for number in range(n)
        for line in range(1 + number % 3)
    ]  # fmt: skip


# --- an order's total on each of its lines --------------------------------------------------


@pytest.mark.parametrize(
    ("units", "kind"),
    [
        pytest.param(lambda line: 1 + line, lambda line: "", id="units-differ"),
        pytest.param(lambda line: 1, lambda line: f"p{line}", id="products-differ"),
    ],
)
def test_an_orders_total_on_each_line_is_severe_with_the_money_it_counts_too_much(
    shop, units, kind
):
    lines = baskets(60, amount=lambda n, size, _: size * (10 + n), units=units, kind=kind)

    run = run_of(shop.sql(PRODUCTS).lines(lines))

    too_much = sum((size - 1) * size * (10 + n) for n in range(60) for size in [1 + n % 3])
    severity, rows, _, amount = found_in(run)["repeated_total amount"]
    assert (severity, rows, amount) == ("severe", 20 + 2 * 20, Decimal(too_much))
    (examples,) = run["findings"].query("finding == 'repeated_total'")["examples"]
    assert examples == "order_id: B001, B002, B004"


def test_tickets_of_one_price_an_order_are_worth_a_look_and_not_severe(shop):
    lines = baskets(60, amount=lambda n, size, _: 20 + n % 7)

    found = found_in(run_of(shop.sql(PRODUCTS).lines(lines)))

    assert found["repeated_total amount"][0] == "notable"


def test_lines_with_amounts_of_their_own_are_no_totals(shop):
    lines = baskets(60, amount=lambda n, size, line: 5 + n + line, units=lambda line: 1 + line)

    assert found_in(run_of(shop.sql(PRODUCTS).lines(lines))) == {}


# --- what stands on one line of an order only -----------------------------------------------


@pytest.mark.parametrize("column", ["is_valid", "customer_id", "order_date"])
def test_what_stands_on_the_first_line_of_an_order_only_is_severe(shop, column):
    lines = baskets(60, amount=lambda n, size, line: 5 + n + line)
    first: set[str] = set()
    for line in lines:
        if line["order_id"] in first:
            line[column] = ""
        first.add(line["order_id"])
    lost = sum(Decimal(line["amount"]) for line in lines if not line[column])

    severity, rows, _, amount = found_in(run_of(shop.lines(lines)))[f"known_in_part {column}"]

    assert (severity, rows, amount) == ("severe", 60, lost)


def test_orders_cancelled_in_part_are_worth_a_look(shop):
    lines = baskets(60, amount=lambda n, size, line: 5 + n + line)
    for line in lines[:40:4]:
        line["is_valid"] = "false"

    assert found_in(run_of(shop.lines(lines)))["known_in_part is_valid"][0] == "notable"


# --- signs ------------------------------------------------------------------------------------


def test_returns_that_add_money_under_net_are_severe_and_right_once_told(shop):
    back = [order("0003", f"R{n}", "2023-06-01", -1, "2.00", is_return="true") for n in range(4)]
    shop.lines([*ordinary_orders(), *back])

    net, exclude = run_of(shop, returns="net"), run_of(shop)

    key = "return_with_positive_amount"
    assert found_in(net)[key] == ("severe", 4, 1, Decimal("8.00"))
    assert found_in(exclude)[key] == ("notable", 4, 1, Decimal("8.00"))
    told = shop.sql(SHOP_SQL.replace("CAST(amount AS DECIMAL(18, 2)) AS amount", (
        "CASE WHEN is_return = 'true' THEN -1 ELSE 1 END * CAST(amount AS DECIMAL(18, 2)) AS amount"
    )))  # fmt: skip
    kept = {policy: run_of(told, returns=policy)["ledger"]["amount"].iloc[-1] for policy in ("net", "exclude")}  # fmt: skip
    assert kept["exclude"] - kept["net"] == Decimal("8.00")


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        pytest.param({"is_valid": "false"}, "refund_as_invalid", id="filed-as-invalid"),
        pytest.param({}, "unmarked_return", id="not-marked"),
        pytest.param({"quantity": "-1"}, "unmarked_return", id="not-marked-negative-units"),
    ],
)
def test_money_given_back_that_no_rule_deducts_is_severe_with_its_amount(shop, changed, key):
    back = [order("0003", f"R{n}", "2023-06-01", 1, "-90.00") | changed for n in range(4)]

    found = found_in(run_of(shop.lines([*ordinary_orders(), *back]), returns="net"))

    assert found[key] == ("severe", 4, 1, Decimal("-360.00"))


def test_goods_that_come_back_with_positive_units_are_said(shop):
    back = order("0003", "R", "2023-06-01", 2, "-5.00", is_return="true")

    found = found_in(run_of(shop.lines([*ordinary_orders(), back]), returns="net"))

    assert found["return_with_positive_quantity"] == ("notable", 1, 1, Decimal("-5.00"))


@pytest.mark.parametrize(
    ("price", "day", "returns", "severity"),
    [
        (9000, "2023-06-01", "exclude", "severe"), (9, "2023-06-01", "exclude", "notable"),
        (9000, "2023-06-02", "exclude", ""), (9000, "2023-06-01", "net", ""),
    ],
)  # fmt: skip
def test_what_was_bought_and_given_back_on_one_day_is_said(shop, price, day, returns, severity):
    shop.sql(PRODUCTS)
    lines = [line | {"category": "a"} for line in ordinary_orders()]
    for n in range(2):  # bought twice and given back once: one purchase stays
        lines.append(order("0003", f"B{n}", "2023-06-01", 7, price) | {"category": "b"})
    lines.append(order("0003", "C", day, -7, -price, is_return="true") | {"category": "b"})

    found = found_in(run_of(shop.lines(lines), returns=returns)).get("cancelled_same_day")

    assert found == ((severity, 1, 1, Decimal(price)) if severity else None)


@pytest.mark.parametrize("column", ["is_valid", "is_return", "is_non_product"])
def test_a_flag_that_holds_two_is_refused_with_its_values(shop, column):
    flag = "CAST(CAST(grade AS INTEGER) AS BOOLEAN)"
    sql = SHOP_SQL.replace("FROM orders", f", {flag} AS {column}\nFROM orders")
    if column != "is_non_product":
        sql = SHOP_SQL.replace(f"is_{column[3:]} AS BOOLEAN", "grade AS INTEGER) AS BOOLEAN")
        sql = sql.replace(
            "CAST(grade AS INTEGER) AS BOOLEAN)", "CAST(CAST(grade AS INTEGER) AS BOOLEAN)"
        )
    lines = [line | {"grade": str(n % 3)} for n, line in enumerate(ordinary_orders())]

    with pytest.raises(SourceError, match=r"grade is not a flag \(0 or 1\) in 22 row"):
        run_of(shop.sql(sql).lines(lines))["ledger"]


# --- money of several currencies, rows that no line is made of ----------------------------------


def test_several_currencies_that_nobody_asked_about_are_severe(shop):
    lines = [
        line | {"Currency_Code": "EUR" if n % 4 else "USD"}
        for n, line in enumerate(ordinary_orders())
    ]
    shop.lines(lines)

    assert found_in(run_of(shop))["mixed_currencies orders.Currency_Code"][:2] == ("severe", 17)

    shop.sql(f"{SHOP_SQL.rstrip()}\nWHERE Currency_Code = 'EUR'\n")
    assert "mixed_currencies orders.Currency_Code" not in found_in(run_of(shop))


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        pytest.param("WHERE customer_id <> '0003'", "notable", id="chosen"),
        pytest.param("JOIN people ON people.person = customer_id", "severe", id="lost-by-a-join"),
    ],
)
def test_rows_of_which_the_select_makes_no_line_are_counted_with_their_money(shop, more, severity):
    lines = ordinary_orders()
    lost = [Decimal(line["amount"]) for line in lines if line["customer_id"] == "0003"]
    if severity == "severe":
        lost = [Decimal(line["amount"]) for line in lines if line["customer_id"] >= "0030"]
    people = [{"person": f"{n:04d}"} for n in range(30)]
    shop.lines(lines).lines(people, name="people.csv")

    found = found_in(run_of(shop.sql(f"{SHOP_SQL.rstrip()}\n{more}\n")))

    assert found["left_out orders"] == (severity, len(lost), 0, sum(lost))


# --- days ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2024-11-05", "2099-01-01"])
def test_a_line_dated_ahead_does_not_move_the_last_day_of_observation(shop, day):
    lines = ordinary_orders()
    last = max(line["order_date"] for line in lines)

    run = run_of(shop.lines([*lines, order("0003", "A", day, 1, "6.14")]))

    assert run["overview"]["as_of"] == last
    assert found_in(run)["order_after_as_of"] == ("notable", 1, 1, Decimal("6.14"))
    told = run_of(shop, as_of=day)
    assert told["overview"]["as_of"] == day
    assert "order_after_as_of" not in found_in(told)


def test_a_shop_that_opens_again_is_observed_to_its_last_day(shop):
    late = [order(f"{n:04d}", f"A{n}", f"2023-12-{1 + n:02d}", 1, "6.00") for n in range(20)]

    run = run_of(shop.lines([*ordinary_orders(), *late]))

    assert run["overview"]["as_of"] == "2023-12-20"


def year_of_orders(*, swapped: tuple[str, ...] = ()) -> list[dict]:
    """Four orders a day for a year; files of some months read with day and month exchanged."""
    days = pd.date_range("2023-01-01", "2023-12-31")
    lines = []
    for n, day in enumerate(days):
        is_read_wrong = f"{day:%Y-%m}" in swapped and day.day <= 12
        shown = f"{day:%Y-%d-%m}" if is_read_wrong else f"{day:%Y-%m-%d}"
        for k in range(4):
            lines.append(
                order(f"c{(4 * n + k) % 97}", f"{n}-{k}", shown, 1, f"{5 + (n + k) % 9}.00")
            )
    return lines


@pytest.mark.parametrize("month", ["2023-06", "2023-01", "2023-12"])
def test_day_and_month_exchanged_in_a_single_month_is_severe(shop, month):
    found = found_in(run_of(shop.lines(year_of_orders(swapped=(month,)))))

    severity, rows, _, _ = found["swapped_month order_date"]
    assert (severity, rows) == ("severe", 11 * 8)  # four of each such day, and four that came


def test_a_month_that_begins_late_is_not_exchanged(shop):
    lines = [
        line for line in year_of_orders() if not "2023-06-01" <= line["order_date"] <= "2023-06-12"
    ]

    assert "swapped_month order_date" not in found_in(run_of(shop.lines(lines)))


# --- a purchase that was cancelled ----------------------------------------------------------------


@pytest.mark.parametrize("policy", ["exclude", "net"])
def test_a_purchase_cancelled_the_same_day_matches_without_a_product(shop, policy):
    whale = [
        order("0003", "B", "2023-06-01", 74, "7718.60"),
        order("0003", "C", "2023-06-01", -74, "-7718.60", is_return="true"),
    ]
    plain = run_of(shop.lines(ordinary_orders()), returns=policy)["ledger"]["amount"].iloc[-1]

    run = run_of(shop.lines([*ordinary_orders(), *whale]), returns=policy)

    (returned,) = run["returned_lines"].itertuples()
    assert (returned.kind, returned.rows, returned.amount) == ("matched", 1, Decimal("-7718.60"))
    assert run["ledger"]["amount"].iloc[-1] == plain
    features = run["customer_features"].set_index("customer_id")
    assert features.at["0003", "total_spent"] < 1000


@pytest.mark.parametrize(
    ("day", "amount", "rows"),
    [
        pytest.param("2023-06-02", "-50.00", 1, id="another-day"),
        pytest.param("2023-06-01", "-40.00", 1, id="another-amount"),
        pytest.param("2023-06-01", "-50.00", 2, id="once-of-two"),
    ],
)
def test_only_as_many_purchases_as_were_cancelled_are_set_aside(shop, day, amount, rows):
    bought = [order("0003", f"B{n}", "2023-06-01", 1, "50.00") for n in range(2)]
    back = order("0003", "C", day, -1, amount, is_return="true")

    run = run_of(shop.lines([*ordinary_orders(), *bought, back]))

    assert run["ledger"].set_index("rule").at["returned", "rows"] == rows


# --- a list that a person can act on ----------------------------------------------------------------


def test_every_finding_has_a_severity_three_different_examples_and_what_to_do(shop):
    lines = ordinary_orders()
    for line in lines[:20]:
        line["amount"] = "0.00"

    shop.lines(lines).run(features=["recency", "frequency", "total_spent"])

    table = pd.read_csv(shop.result / "findings.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == list(FINDING_COLUMNS)
    assert set(table["severity"]) == {"notable", "none"}
    (zero,) = table.query("finding == 'zero_amount'").to_dict("records")
    assert zero["examples"] == "order_id: 0-0, 0-1, 0-2"
    assert zero["parameter"] == "zero_amount"
    assert "zero_amount: exclude" in zero["what_to_do"]
    assert table["severity"].tolist() == sorted(
        table["severity"], key=["severe", "notable", "none"].index
    )
    assert json.loads(zero["facts"]) == {}


def test_a_repaired_finding_is_notable_however_much_money_it_holds(shop, tmp_path):
    rows = [
        {"customer_id": f"c{n}", "total_unit": n, "first_to_last_order": n, "register_to_order": 0,
         "total_spent": f"{n}.{n % 4 * 111:03d}"}
        for n in range(1, 81)
    ]  # fmt: skip
    path = tmp_path / "customers.csv"
    pd.DataFrame(rows).to_csv(path, index=False)

    run = run_of(
        shop, source="customer_segmentation_data", location=str(path), features=["total_spent"]
    )

    assert found_in(run)["rounded_money total_spent"][:2] == ("notable", 60)
    assert run["customer_features"]["total_spent"].iloc[0] == 1.11
    (examples,) = run["findings"].query("finding == 'rounded_money'")["examples"]
    assert examples == "total_spent: 1.111, 2.222, 3.333"


# --- constant but for the rounding of floats ---------------------------------------------------------


@pytest.mark.parametrize("scaler", ["standard", "robust"])
@pytest.mark.parametrize("price", ["170.64", "0.07", "33.33"])
def test_a_value_that_differs_by_rounding_only_is_left_out_as_constant(shop, scaler, price):
    lines = [line | {"amount": price} for line in baskets(90, amount=lambda n, size, _: 1.0)]
    for n, line in enumerate(lines):
        line["order_id"] = f"{n}"
    shop.lines(lines)

    run = run_of(shop, features=["average_order_value", "recency"], scaler=scaler)

    (group,) = run["scaled"].values()
    assert group.preparation.features == ("recency",)
    assert "average order value" in group.notes[0]


# --- what a flag says that nobody reads -------------------------------------------------------


def flagged(words: tuple[str, str], share: float) -> list[dict]:
    """Orders of 10.00, of which a share has the first word under a flag; one line is no sale."""
    lines = ordinary_orders()
    n = round(share * len(lines))
    told = [line | {"delivered": words[place >= n]} for place, line in enumerate(lines)]
    lost = order("0003", "void", "2023-06-01", 1, "999.00", is_valid="false")
    return [*told, lost | {"delivered": words[0]}]


@pytest.mark.parametrize("words", [("0", "1"), ("false", "true"), ("No", "Yes")])
def test_a_flag_that_no_figure_is_made_of_is_severe_where_both_its_answers_hold_money(shop, words):
    lines = flagged(words, 0.5)

    run = run_of(shop.sql(SHOP_SQL).lines(lines))

    half = [line for line in lines[:-1] if line["delivered"] == words[0]]
    money = sum(Decimal(line["amount"]) for line in half)
    all_money = sum(Decimal(line["amount"]) for line in lines[:-1])
    severity, rows, _, amount = found_in(run)["unused_flag orders.delivered"]
    assert (severity, rows, amount) == ("severe", len(half), money)
    (said,) = run["findings"].query("rows > 0 and finding == 'unused_flag'")["what_to_do"]
    share = format_percent(float(money / all_money))
    assert f"`delivered` is {words[0].lower()} on {share} of kept revenue and is not used" in said
    (first,) = [text for text in warnings(run) if "delivered" in text]
    assert first.startswith(f"<code>delivered</code> is {words[0].lower()} on {share}")
    back = returns_sentence(
        run["returned_lines"], policy="exclude", currency="EUR", findings=run["findings"]
    )
    assert "`delivered`, which is not used, may tell" in back
    assert "as far as the source says" not in back


@pytest.mark.parametrize(
    ("sql", "words", "share"),
    [
        pytest.param(SHOP_SQL, ("0", "1"), 0.02, id="of-little-money"),
        pytest.param(SHOP_SQL, ("cash", "card"), 0.5, id="no-yes-or-no"),
        pytest.param(f"{SHOP_SQL} WHERE delivered <> 'x'", ("0", "1"), 0.5, id="used"),
    ],
)
def test_other_columns_are_no_unused_flags(shop, sql, words, share):
    found = run_of(shop.sql(sql).lines(flagged(words, share)))

    assert not [name for name in found_in(found) if name.startswith("unused_flag")]
