"""What came back: matched to its purchase, set aside or deducted, and whom that moves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from conftest import SHOP_SQL, TinyShop, order
from mariadb import MariaDbServer

from segmentation.book import words
from segmentation.core.parameters import parameters_from
from segmentation.run.run import Run

SQL = SHOP_SQL.replace(
    "FROM orders", ", NULLIF(category, '') AS product, category = 'POST' AS is_non_product\nFROM orders"
)  # fmt: skip


def sold(customer: str, day: str, units: int, product: str = "tea", price: int = 10) -> dict:
    """A purchase, or with negative units a return, of one product."""
    line = order(customer, f"{day}/{customer}/{units}", day, units, f"{units * price}.00")
    return line | {"is_return": "true" if units < 0 else "false", "category": product}


def run_of(folder: Path, lines: list[dict], **changed: object) -> Run:
    shop = TinyShop(folder).sql(SQL).lines(lines)
    return Run(parameters_from(shop.parameters | changed), shop.runs_dir)


def kinds(run: Run) -> dict[str, tuple[int, int, float, Decimal]]:
    return {
        row.kind: (row.rows, row.customers, row.units, row.amount)
        for row in run["returned_lines"].itertuples()
    }


@pytest.mark.parametrize(
    ("lines", "matched", "unmatched"),
    [
        pytest.param([(1, 5), (2, -5)], 1, 0, id="bought-then-returned"),
        pytest.param([(2, 5), (2, -5)], 1, 0, id="on-the-same-day"),
        pytest.param([(1, -5), (2, 5)], 0, 1, id="returned-before-it-was-bought"),
        pytest.param([(1, 5), (2, -5), (3, -5)], 1, 1, id="one-purchase-answers-once"),
        pytest.param([(1, 5), (2, -3)], 0, 1, id="a-part-of-a-purchase"),
        pytest.param([(1, -5), (2, 5), (3, -5)], 1, 1, id="later-purchase-still-answers"),
        pytest.param([(1, 5), (1, 5), (2, -5), (3, -5)], 2, 0, id="two-purchases-two-returns"),
    ],
)
@pytest.mark.parametrize("policy", ["exclude", "net"])
def test_return_matches_an_earlier_purchase_of_as_many_units(
    tmp_path, lines, matched, unmatched, policy
):
    other = [sold("other", "2023-12-01", 7)]  # until then everybody is observed
    run = run_of(
        tmp_path,
        [*other, sold("c", "2023-01-01", 2), *(sold("c", f"2023-01-0{d}", u) for d, u in lines)],
        returns=policy,
    )
    found = {kind: counted[0] for kind, counted in kinds(run).items()}
    assert (found.get("matched", 0), found.get("unmatched", 0)) == (matched, unmatched)


@pytest.mark.parametrize("policy", ["exclude", "net"])
def test_return_after_the_last_day_of_observation_is_not_yet_known(tmp_path, policy):
    lines = [sold("c", "2023-01-01", 5), sold("c", "2023-01-02", -5)]
    assert kinds(run_of(tmp_path, lines, returns=policy)) == {}


def test_what_each_customer_gave_back_is_known_unless_it_is_deducted(tmp_path):
    lines = [sold("a", "2023-01-01", 5), sold("a", "2023-02-01", -2), sold("b", "2023-03-01", 3)]
    run = run_of(tmp_path, [*lines, sold("b", "2023-03-02", -1)])
    assert run["given_back"]["customer_id"].tolist() == ["a"], "after the last day nothing is known"
    spent = run["customers"].set_index("customer_id")["total_spent"]
    assert run["given_back"]["given_back"].tolist() == [spent["a"] * 2 / 5]
    assert run.with_parameters(returns="net")["given_back"].empty


def test_another_product_or_customer_answers_for_nothing(tmp_path):
    run = run_of(
        tmp_path,
        [
            sold("a", "2023-01-01", 5, "tea"),
            sold("d", "2023-02-01", 1, "tea"),
            sold("a", "2023-01-02", -5, "cup"),
            sold("b", "2023-01-02", 4, "tea"),
            sold("b", "2023-01-03", -5, "tea"),
            sold("nobody", "2023-01-03", -5, "tea", price=3),
        ],
    )
    assert kinds(run) == {
        "unmatched": (2, 2, 10, Decimal("-100.00")),
        "without_purchase": (1, 1, 5, Decimal("-15.00")),
    }


def test_kinds_of_lines_are_counted_whichever_rule_they_met_first(tmp_path):
    lines = [
        sold("a", "2023-01-01", 5),
        sold("a", "2023-01-01", 1, "POST", price=4),
        sold("a", "2023-01-02", -5),
        sold("", "2023-01-02", 1, "POST", price=6),
        sold("", "2023-01-02", 2) | {"is_valid": "false"},
    ]
    run = run_of(tmp_path, lines)
    special = run["special_lines"]
    total = special[special["product"].isna()].set_index("kind")
    columns = ["rows", "customers", "amount", "kept_rows", "kept_amount"]
    assert {kind: tuple(row) for kind, row in total[columns].iterrows()} == {
        "missing_customer_id": (2, 0, Decimal("26.00"), 0, Decimal("0.00")),
        "returned": (1, 1, Decimal("-50.00"), 0, Decimal("0.00")),
        "invalid_order": (1, 0, Decimal("20.00"), 0, Decimal("0.00")),
        "non_product": (2, 1, Decimal("10.00"), 1, Decimal("4.00")),
    }
    (code,) = special.dropna(subset=["product"]).itertuples()
    assert (code.product, code.rows, code.amount) == ("POST", 2, Decimal("10.00"))
    sentence = words.special_lines_sentence(special, currency="USD")
    assert "2 lines worth \\$10.00 are no product" in sentence
    assert "POST (2 lines, \\$10.00)" in sentence
    assert "1 of them counts as a sale" in sentence


def test_the_same_counts_come_from_a_database(mariadb_server: MariaDbServer, as_root, tmp_path):
    lines = [sold("d", "2023-03-01", 1)] + [
        sold(customer, f"2023-01-{day:02d}", units, product)
        for day, (customer, units, product) in enumerate(
            [("a", 5, "tea"), ("a", -5, "tea"), ("a", -5, "tea"), ("b", 2, "POST"), ("b", -1, "cup"),
             ("c", -9, "tea"), ("", 3, "POST"), ("b", 1, "cup"), ("b", -1, "CUP")], 1)
    ]  # fmt: skip
    mariadb_server.execute("DROP DATABASE IF EXISTS came_back", "CREATE DATABASE came_back")
    columns = ", ".join(
        f"{name} {kind}"
        for name, kind in zip(
            lines[0],
            ["VARCHAR(9)", "VARCHAR(30)", "DATE", "DECIMAL(18,2)", "DECIMAL(18,2)", "TINYINT(1)",
             "TINYINT(1)", "DATE", "VARCHAR(9)"],
            strict=True,
        )
    )  # fmt: skip
    values = ", ".join(
        "(" + ", ".join({"": "NULL"}.get(v, v if v in ("true", "false") else f"'{v}'")
                        for v in line.values()) + ")"
        for line in lines
    )  # fmt: skip
    mariadb_server.execute(
        f"CREATE TABLE orders ({columns})",
        f"INSERT INTO orders VALUES {values}",  # noqa: S608
        database="came_back",
    )
    from_file = run_of(tmp_path, lines)
    location = mariadb_server.location("came_back")
    in_database = Run(
        from_file.parameters.model_copy(update={"engine": "mysql", "location": location}),
        tmp_path / "runs",
    )
    for result in ("returned_lines", "special_lines"):
        one, other = (run[result].to_csv(index=False) for run in (from_file, in_database))
        assert one == other
    in_database.snapshot.close()
    assert kinds(from_file)["matched"][0] == 1


def test_who_returns_everything_moves_down_and_is_listed_without_id(tmp_path):
    lines = [
        sold(f"{number:04d}", f"2023-0{1 + number % 6}-01", 1 + number % 4, price=5 + number)
        for number in range(60)
    ]
    lines += [sold("0001", "2023-06-03", 2)]
    lines += [sold("shipped-back", "2023-06-01", 900), sold("shipped-back", "2023-06-02", -900)]
    run = run_of(tmp_path, lines, n_clusters=2, features=["total_unit", "total_spent"])

    choice, movers = run["returns_choice"], run["returns_movers"]

    assert choice["with_returns"] == choice["nothing_left"] == 1
    assert choice["changed"] >= 1
    assert Decimal(choice["money"]) == Decimal("9000.00")
    (mover,) = movers.to_dict("records")
    assert (mover["units_exclude"], mover["units_net"]) == (900, 0)
    assert (mover["spent_exclude"], mover["spent_net"]) == (Decimal("9000.00"), Decimal("0.00"))
    assert mover["segment_exclude"] != mover["segment_net"]
    page = [
        words.returns_choice_sentence(choice, policy="exclude", currency="EUR"),
        words.returns_migration_table(run["returns_migration"], currency="EUR").markup,
        words.returns_movers_table(movers, currency="EUR").markup,
    ]
    assert "€9,000" in page[0]
    assert "shipped-back" not in "".join(page)
    moved = run["returns_migration"].query("movement in ('moved', 'redrawn')")
    assert moved["customers"].sum() == choice["changed"]


def test_choice_is_the_same_seen_from_either_policy(tmp_path):
    lines = [sold(f"{n:04d}", "2023-01-01", 1 + n % 9, price=3 + n) for n in range(40)]
    lines += [sold("0001", "2023-03-01", 1)]
    lines += [sold(f"{n:04d}", "2023-02-01", -(1 + n % 9), price=3 + n) for n in range(0, 40, 7)]
    run = run_of(tmp_path, lines)
    other = run.with_parameters(returns="net")
    assert run["returns_choice"] == other["returns_choice"]
    pd.testing.assert_frame_equal(run["returns_movers"], other["returns_movers"])


def test_source_without_returns_says_so(tmp_path):
    run = run_of(tmp_path, [sold(f"{n}", "2023-01-01", 1 + n) for n in range(9)])
    assert run["returned_lines"].empty
    sentence = words.returns_choice_sentence(
        run["returns_choice"], policy="exclude", currency="EUR"
    )
    assert sentence.startswith("There is nothing to compare: the source marks no line")
    assert words.returns_movers_table(run["returns_movers"], currency="EUR").markup == ""
    assert words.returns_migration_table(run["returns_migration"], currency="EUR").markup == ""
