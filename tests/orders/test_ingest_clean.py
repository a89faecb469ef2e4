"""Tiny shops with answers worked out by hand: sources, cleaning rules, ledger, features."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest
from conftest import SHOP_SQL, TinyShop, order, ordinary_orders

from segmentation.core.columns import RULES
from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import parameters_from
from segmentation.customers import features
from segmentation.orders import clean, findings
from segmentation.orders import transactions as ingest
from segmentation.run.run import Run
from segmentation.sources.engine import DuckDbEngine

NON_PRODUCT_SQL = SHOP_SQL.replace(
    "FROM orders", ", CAST(is_non_product AS BOOLEAN) AS is_non_product\nFROM orders"
)
STRICT = {"returns": "exclude", "zero_amount": "exclude", "duplicates": "drop"}
LAX = {"returns": "exclude", "zero_amount": "keep", "duplicates": "keep"}
FIRST_DAY = "2023-01-01"


@pytest.fixture
def engine():
    engine = DuckDbEngine()
    yield engine
    engine.close()


def opened(shop: TinyShop, **changed: object) -> Run:
    """A run of a shop, of which a stage is computed when it is asked for."""
    return Run(parameters_from(shop.parameters | changed), shop.runs_dir)


def cleaned(engine: DuckDbEngine, shop: TinyShop, *, as_of: str | None = None, **settings: str):
    """The ledger of a shop by rule: (rows, customers, amount)."""
    settings = LAX | {"non_product": "keep"} | settings
    source = ingest.find_source(str(shop.folder / "shop.sql"), str(shop.folder))
    ingest.ingest(engine, source)
    clean.clean(engine, **settings, as_of=dt.date.fromisoformat(as_of) if as_of else None)
    return {
        row.rule: (row.rows, row.customers, row.amount) for row in clean.ledger(engine).itertuples()
    }


def customers(engine: DuckDbEngine, as_of: str | None = None) -> pd.DataFrame:
    day = dt.date.fromisoformat(as_of) if as_of else features.last_valid_order(engine)
    return features.customer_features(engine, as_of=day).set_index("customer_id")


# --- rules ----------------------------------------------------------------------------


def product(line: dict, **changed: str) -> dict:
    return {"is_non_product": "false"} | line | changed


ONE_LINE_PER_RULE = {
    "missing_customer_id": order("", 2, "2023-01-11", 1, "1.00"),
    "missing_order_id": order("A", "", "2023-01-11", 1, "2.00"),
    "missing_order_date": order("A", 4, "", 1, "3.00"),
    "missing_quantity_or_amount": order("A", 5, "2023-01-11", "", "4.00"),
    "invalid_order": order("B", 6, "2023-01-11", 1, "5.00", is_valid="false"),
    "returned": order("A", 7, "2023-01-11", -1, "-10.00", is_return="true"),
    "non_product": order("A", 8, "2023-01-11", 1, "6.00") | {"is_non_product": "true"},
    "non_positive_quantity": order("A", 9, "2023-01-11", 0, "7.00"),
    "negative_amount": order("A", 10, "2023-01-11", 1, "-8.00"),
    "zero_amount": order("A", 11, "2023-01-11", 1, "0.00"),
    "duplicate_line": order("A", 1, "2023-01-10", 2, "9.00"),
    "after_as_of": order("C", 12, "2023-02-01", 1, "11.00"),
}
KEPT = order("A", 1, "2023-01-10", 2, "9.00")


def test_each_rule_sets_aside_its_own_line_and_the_ledger_adds_up(shop, engine):
    shop.sql(NON_PRODUCT_SQL)
    shop.lines([product(KEPT), *(product(line) for line in ONE_LINE_PER_RULE.values())])

    ledger = cleaned(engine, shop, as_of="2023-01-31", non_product="exclude", **STRICT)

    for rule, line in ONE_LINE_PER_RULE.items():
        named = int(line["customer_id"] != "")
        assert ledger[rule] == (1, named, Decimal(line["amount"])), rule
    assert ledger["kept"] == (1, 1, Decimal("9.00"))
    assert ledger["return_without_purchase"] == (0, 0, Decimal("0"))
    # 9 + 1 + 2 + 3 + 4 + 5 - 10 + 6 + 7 - 8 + 0 + 9 + 11 = 39
    assert ledger["raw"] == (13, 3, Decimal("39.00"))
    between = [values for rule, values in ledger.items() if rule != "raw"]
    assert sum(rows for rows, _, _ in between) == 13
    assert sum(amount for _, _, amount in between) == Decimal("39.00")


def test_ledger_lists_the_rules_in_the_order_they_are_tried(shop, engine):
    shop.lines([KEPT])
    ledger = cleaned(engine, shop)
    assert list(ledger) == ["raw", *(rule.name for rule in RULES), "kept"]
    named = ["listed_twice", *ONE_LINE_PER_RULE, "return_without_purchase"]
    assert named == [rule.name for rule in RULES]


STEPS = {
    "missing_customer_id": {},
    "missing_order_id": {"customer_id": "A"},
    "missing_order_date": {"order_id": "9"},
    "missing_quantity_or_amount": {"order_date": "2023-03-01"},
    "invalid_order": {"quantity": "0", "amount": "-1.00"},
    "returned": {"is_valid": "true"},
    "non_product": {"is_return": "false"},
    "non_positive_quantity": {"is_non_product": "false"},
    "negative_amount": {"quantity": "1"},
    "zero_amount": {"amount": "0.00"},
    "after_as_of": {"amount": "5.00"},
    "kept": {"order_date": "2023-01-15"},
}


@pytest.mark.parametrize("rule", STEPS)
def test_first_rule_that_a_line_meets_wins(shop, engine, rule):
    """A line with every defect, mended one by one, moves down the list of rules."""
    line = product(order("", "", "", "", "", is_valid="false", is_return="true"))
    line["is_non_product"] = "true"
    for step, mended in STEPS.items():
        line |= mended
        if step == rule:
            break
    others = [
        product(order("Z", 1, FIRST_DAY, 1, "1.00")),
        product(ONE_LINE_PER_RULE["non_product"]),
    ]
    shop.sql(NON_PRODUCT_SQL).lines([*others, line])

    ledger = cleaned(engine, shop, as_of="2023-01-31", non_product="exclude", **STRICT)

    assert ledger[rule][0] == (2 if rule in ("kept", "non_product") else 1)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("zero_amount", "keep", "zero_amount"),
        ("duplicates", "keep", "duplicate_line"),
        ("non_product", "keep", "non_product"),
    ],
)
def test_rule_that_the_profile_does_not_ask_for_sets_nothing_aside(
    shop, engine, setting, value, rule
):
    shop.sql(NON_PRODUCT_SQL).lines([product(KEPT), product(ONE_LINE_PER_RULE[rule])])
    settings = STRICT | {"non_product": "exclude"} | {setting: value}
    if setting == "non_product":
        assert cleaned(engine, shop, **settings)["kept"][0] == 2
        return
    shop.sql(SHOP_SQL).lines([KEPT, ONE_LINE_PER_RULE[rule]])
    ledger = cleaned(engine, shop, **(settings | {"non_product": "keep"}))
    assert ledger["kept"][0] == 2
    assert ledger[rule][0] == 0


def test_excluding_non_products_of_a_source_that_marks_none_is_refused(shop, engine):
    shop.lines([KEPT])
    with pytest.raises(ParameterError, match="non_product"):
        cleaned(engine, shop, non_product="exclude")


def test_month_without_any_non_product_is_no_mistake(shop, engine):
    """The source has the column; that it marks nothing this time is no reason to stop."""
    shop.sql(NON_PRODUCT_SQL).lines([product(KEPT)])
    assert cleaned(engine, shop, non_product="exclude")["kept"][0] == 1


def test_blank_id_is_a_missing_id(shop, engine):
    shop.lines([KEPT, order("   ", 2, FIRST_DAY, 1, "1.00"), order("B", " ", FIRST_DAY, 1, "1.00")])
    ledger = cleaned(engine, shop)
    assert ledger["missing_customer_id"][0] == 1
    assert ledger["missing_order_id"][0] == 1


def test_order_of_unknown_validity_is_not_counted_as_a_sale(shop, engine):
    shop.lines([KEPT, order("A", 2, FIRST_DAY, 1, "1.00", is_valid="")])
    assert cleaned(engine, shop)["invalid_order"] == (1, 1, Decimal("1.00"))


# --- findings -------------------------------------------------------------------------


def with_findings(engine, shop, *, duplicates):
    """Rows, customers, money and treatment of every finding about lines."""
    as_of = dt.date(2023, 12, 31)
    table = findings.line_findings(
        engine,
        ingest.find_source(str(shop.folder / "shop.sql"), str(shop.folder)),
        features.customer_features(engine, as_of=as_of),
        as_of=as_of,
        first_registration=None,
        treatments=clean.treatments(zero_amount="keep", duplicates=duplicates, returns="exclude"),
        spanning={},
    )
    counted = zip(
        table["rows"], table["customers"], table["amount"], table["treatment"], strict=True
    )
    return dict(zip(table["finding"], counted, strict=True))


def test_zero_amounts_and_copies_are_reported_either_way(shop, engine):
    copies = [order("A", 1, FIRST_DAY, 1, "4.00")] * 3
    zero = [order("B", 2, FIRST_DAY, 1, "0.00"), order("C", 3, FIRST_DAY, 1, "0.00")]
    shop.lines([*copies, *zero, order("D", 4, FIRST_DAY, 1, "0.00", is_valid="false")])
    cleaned(engine, shop)

    found = with_findings(engine, shop, duplicates="drop")

    assert found["duplicate_line"] == (2, 1, Decimal("8.00"), "set aside")
    assert found["zero_amount"] == (2, 2, Decimal("0.00"), "kept")


@pytest.mark.parametrize(
    "changed", [{"order_id": "2"}, {"order_date": "2023-01-02"}, {"quantity": "2"},
                {"amount": "4.01"}, {"customer_id": "B"}, {"registered_date": "2022-01-01"}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_line_that_differs_in_one_column_is_no_copy(shop, engine, changed):
    line = order("A", 1, FIRST_DAY, 1, "4.00")
    shop.lines([line, line | changed])
    assert cleaned(engine, shop, **STRICT)["duplicate_line"][0] == 0


# --- returns --------------------------------------------------------------------------

WITH_A_RETURN = [
    order("A", 1, "2023-01-01", 2, "20.00"),
    order("A", 2, "2023-01-11", 1, "5.00"),
    order("A", 3, "2023-01-05", -1, "-8.00", is_return="true"),
    order("B", 4, "2023-01-04", 1, "6.00"),
    order("C", 5, "2023-01-06", -1, "-7.00", is_return="true"),
]


def test_excluded_returns_leave_sales_as_they_were(shop, engine):
    shop.lines(WITH_A_RETURN)

    ledger = cleaned(engine, shop, returns="exclude")
    own = customers(engine).loc["A"]

    assert ledger["returned"] == (2, 2, Decimal("-15.00"))
    assert ledger["kept"] == (3, 2, Decimal("31.00"))
    assert own[["total_unit", "total_spent", "frequency"]].tolist() == [3, 25.0, 2]
    assert own["average_order_value"] == 12.5


def test_netted_returns_reduce_units_and_spend_but_are_no_orders(shop, engine):
    shop.lines(WITH_A_RETURN)

    ledger = cleaned(engine, shop, returns="net")
    table = customers(engine)
    own = table.loc["A"]

    assert ledger["returned"][0] == 0
    assert ledger["kept"] == (4, 2, Decimal("23.00"))
    assert own[["total_unit", "total_spent", "frequency"]].tolist() == [2, 17.0, 2]
    assert own[["average_order_value", "first_to_last_order"]].tolist() == [8.5, 10]
    assert table.index.tolist() == ["A", "B"]


def test_return_of_a_customer_without_purchase_has_nothing_to_be_set_against(shop, engine):
    shop.lines(WITH_A_RETURN)
    ledger = cleaned(engine, shop, returns="net")
    assert ledger["return_without_purchase"] == (1, 1, Decimal("-7.00"))


def test_purchase_after_as_of_does_not_take_a_return(shop, engine):
    shop.lines([
        order("A", 1, "2023-01-01", 1, "9.00"),
        order("B", 2, "2023-01-02", -1, "-3.00", is_return="true"),
        order("B", 3, "2023-02-01", 1, "3.00"),
    ])  # fmt: skip
    ledger = cleaned(engine, shop, returns="net", as_of="2023-01-31")
    assert ledger["return_without_purchase"] == (1, 1, Decimal("-3.00"))
    assert ledger["after_as_of"] == (1, 1, Decimal("3.00"))


def test_return_may_bring_a_customer_below_zero_and_the_ledger_still_adds_up(shop):
    lines = [*ordinary_orders(), order("0001", "r", "2023-06-01", -9, "-500.00", is_return="true")]

    outcome = shop.lines(lines).run(returns="net")

    assert outcome.code == 0, outcome.said
    segments = pd.read_parquet(shop.result / "segments.parquet").set_index("customer_id")
    profile = pd.read_csv(shop.result / "profile.csv", dtype={"revenue": str})
    kept = pd.read_csv(shop.result / "ledger.csv", dtype=str).iloc[-1]["amount"]
    assert segments.at["0001", "total_spent"] == 8.5 - 500
    assert sum(profile["revenue"].map(Decimal)) == Decimal(kept)


# --- as_of ----------------------------------------------------------------------------


def test_days_are_counted_to_the_last_day_of_observation(shop, engine):
    shop.lines([
        order("C", 1, "2023-01-03", 1, "4.00"),
        order("C", 2, "2023-01-10", 3, "6.00"),
        order("C", 3, "2023-02-01", 9, "90.00"),
        order("D", 4, "2023-01-31", 1, "1.00"),
    ])  # fmt: skip

    ledger = cleaned(engine, shop, as_of="2023-01-31")
    own = customers(engine, "2023-01-31")

    assert ledger["after_as_of"] == (1, 1, Decimal("90.00"))
    names = ["recency", "tenure", "first_to_last_order", "frequency", "total_unit", "total_spent"]
    assert own.loc["C", names].tolist() == [21, 28, 7, 2, 4, 10.0]
    assert own.loc["D", names].tolist() == [0, 0, 0, 1, 1, 1.0]


def test_leap_day_counts(shop, engine):
    shop.lines([order("C", 1, "2024-02-28", 1, "4.00"), order("C", 2, "2024-03-01", 1, "4.00")])
    cleaned(engine, shop)
    assert customers(engine)["first_to_last_order"].item() == 2


def test_automatic_day_is_that_of_the_last_valid_order(shop, engine):
    shop.lines([
        order("A", 1, "2023-01-10", 1, "4.00"),
        order("A", 2, "2023-03-01", 1, "4.00", is_valid="false"),
    ])  # fmt: skip
    cleaned(engine, shop)
    assert features.last_valid_order(engine) == dt.date(2023, 1, 10)


@pytest.mark.parametrize("returns", ["exclude", "net"])
def test_automatic_day_gives_what_naming_that_day_gives(shop, returns):
    """A return after the last valid order is not yet known at that day either."""
    lines = [*ordinary_orders(), order("0003", "r", "2023-12-01", -1, "-3.00", is_return="true")]
    shop.lines(lines)

    tables = {
        as_of: opened(shop, as_of=as_of, returns=returns)["features"]
        for as_of in ("auto", "2023-07-28")
    }

    assert max(line["order_date"] for line in ordinary_orders()) == "2023-07-28"
    pd.testing.assert_frame_equal(tables["auto"], tables["2023-07-28"], check_exact=True)


def test_order_of_two_lines_is_one_order_and_a_day_may_have_two_orders(shop, engine):
    shop.lines([
        order("A", 1, "2023-01-01", 1, "4.00"),
        order("A", 1, "2023-01-01", 2, "8.00"),
        order("A", 2, "2023-01-01", 1, "3.00"),
    ])  # fmt: skip
    cleaned(engine, shop)
    own = customers(engine).loc["A"]
    assert own[["frequency", "total_spent", "average_order_value"]].tolist() == [2, 15.0, 7.5]


def test_cents_are_added_exactly(shop, engine):
    shop.lines([order("A", n, FIRST_DAY, 1, "0.10") for n in range(30)])
    ledger = cleaned(engine, shop)
    assert ledger["kept"][2] == Decimal("3.00")
    assert customers(engine)["total_spent"].item() == 3.0


@pytest.mark.parametrize(
    ("made", "odd"),
    [
        ("STRPTIME(order_date, '%Y-%m-%d')", "2023-02-31"),
        ("STRPTIME(order_date, ['%Y-%m-%d', '%d.%m.%Y'])", "2023-02-31"),
        ("DATE_TRUNC('day', STRPTIME(order_date, '%Y-%m-%d'))", "2023-04-31"),
        ("STRPTIME(order_date, '%Y-%m-%d') + INTERVAL 1 DAY", "2023-02-29"),
        ("MAKE_DATE(LEFT(order_date, 4)::INT, 2, RIGHT(order_date, 2)::INT)", "2023-02-31"),
        ("STRPTIME(order_date, '%d/%m/%y')", "2023-02-11"),
    ],
)
def test_day_that_a_function_cannot_make_is_named_as_it_is_written(shop, engine, made, odd):
    shop.lines([order("A", 1, "2023-01-10", 1, "1.00"), order("B", 2, odd, 1, "1.00")])
    shop.sql(SHOP_SQL.replace("CAST(order_date AS DATE)", made))

    with pytest.raises(SourceError, match=r"orders.csv: order_date is not a date .*" + odd):
        cleaned(engine, shop)


def test_time_of_day_does_not_make_another_day(shop, engine):
    shop.sql(SHOP_SQL.replace("CAST(order_date AS DATE)", "CAST(order_date AS TIMESTAMP)"))
    shop.lines([
        order("A", 1, "2023-01-01 23:59:00", 1, "4.00"),
        order("A", 2, "2023-01-02 00:01:00", 1, "4.00"),
    ])  # fmt: skip
    cleaned(engine, shop, as_of="2023-01-02")
    names = ["first_to_last_order", "recency", "tenure"]
    assert customers(engine, "2023-01-02").loc["A", names].tolist() == [1, 0, 1]


# --- registration ---------------------------------------------------------------------


def test_registration_decides_the_group(shop, engine):
    registered = {"early": "2023-01-05", "same": "2023-01-01", "late": "2022-12-22", "never": ""}
    shop.lines([
        order(name, name, "2023-01-01", 1, "4.00", registered_date=day)
        for name, day in registered.items()
    ])  # fmt: skip
    cleaned(engine, shop)
    table = customers(engine)

    split = features.add_segment_type(table, split_pre_register=True)["segment_type"]
    joined = features.add_segment_type(table, split_pre_register=False)["segment_type"]

    assert table["register_to_order"].drop("never").to_dict() == {
        "early": -4.0, "same": 0.0, "late": 10.0
    }  # fmt: skip
    assert table["register_to_order"].isna().to_dict()["never"]
    assert split.to_dict() == {
        "early": "pre_register", "same": "normal", "late": "normal", "never": "unregistered"
    }  # fmt: skip
    assert joined.to_dict() == split.to_dict() | {"early": "normal"}


def test_source_without_optional_columns_is_all_normal(shop, engine):
    shop.sql(
        "SELECT customer_id, order_id, CAST(order_date AS DATE) AS order_date, "
        "CAST(quantity AS INTEGER) AS quantity, CAST(amount AS DECIMAL(18, 2)) AS amount, "
        "TRUE AS is_valid FROM orders"
    ).lines([KEPT, order("B", 2, FIRST_DAY, 1, "1.00")])

    ledger = cleaned(engine, shop)
    table = customers(engine)

    assert ledger["kept"][0] == 2
    assert "register_to_order" not in table.columns
    kinds = features.add_segment_type(table, split_pre_register=True)["segment_type"]
    assert kinds.tolist() == ["normal", "normal"]


# --- ids and sources ------------------------------------------------------------------

ODD_IDS = ["007", "0", '=HYPERLINK("x")', "+1", "-1", "@x", "<b>bold</b>", 'say "hi"', "a,b",
           "🛒", "ключ", "1e5", "1.0", "NULL", "nan", "None", "true", "O'Brien",
           "x" * 200]  # fmt: skip


def test_ids_stay_the_text_they_are_from_source_to_workbook(shop):
    rows = [
        order(name, n, f"2023-01-{n + 1:02d}", 1 + n, f"{n + 1}.00")
        for n, name in enumerate(ODD_IDS)
    ]

    outcome = shop.lines(rows).run(id_cleaning="off")

    assert outcome.code == 0, outcome.said
    for name in ("segments", "features"):
        table = pd.read_parquet(shop.result / f"{name}.parquet")
        assert table["customer_id"].tolist() == sorted(ODD_IDS, key=str.encode)
    book = openpyxl.load_workbook(shop.result / "customer_segmentation_output.xlsx")
    cells = [row[0] for row in book["All customers"].iter_rows(min_row=2)]
    assert sorted(cell.value for cell in cells) == sorted(ODD_IDS)
    assert all(cell.data_type in ("s", "inlineStr") for cell in cells)


def test_money_with_more_decimals_than_declared_is_not_rounded(shop, engine):
    shop.lines([KEPT, order("B", 2, FIRST_DAY, 1, "12.345")])
    with pytest.raises(SourceError, match=r"amount has more decimals.*1 row\(s\): '12.345'"):
        cleaned(engine, shop)


def test_trailing_zeros_are_no_more_decimals(shop, engine):
    shop.lines([order("A", 1, FIRST_DAY, 1, "12.3400")])
    assert cleaned(engine, shop)["kept"][2] == Decimal("12.34")


def test_location_may_be_the_one_file_that_the_source_reads(shop, engine):
    shop.lines([KEPT], name="export of May.csv")
    source = ingest.find_source(
        str(shop.folder / "shop.sql"), str(shop.folder / "export of May.csv")
    )
    ingest.ingest(engine, source)
    assert engine.count("transactions") == 1


def test_one_file_for_a_source_of_several_tables_is_refused(shop):
    shop.lines([KEPT])
    with pytest.raises(SourceError, match="needs 4 tables"):
        ingest.find_source("marketplace", str(shop.folder / "orders.csv"))


def test_same_orders_as_csv_and_parquet_give_the_same_features(shop):
    expected = opened(shop.lines(ordinary_orders()))["features"]
    (shop.folder / "orders.csv").unlink()
    pd.DataFrame(ordinary_orders()).replace("", None).to_parquet(shop.folder / "orders.parquet")

    pd.testing.assert_frame_equal(opened(shop)["features"], expected, check_exact=True)


def test_customer_table_is_kept_whole_and_its_money_is_the_ledgers(shop):
    (shop.folder / "customer_segmentation_data.csv").write_text(
        "customer_id,register_to_order,first_to_last_order,total_unit,total_spent\n"
        "01,3,10,2,10.10\n02,-1,0,1,5.05\n03,8,90,7,80.85\n"
    )

    run = opened(shop, source="customer_segmentation_data", features=("total_spent",))

    ledger = run["ledger"].astype(str).set_index("rule")
    assert ledger.loc["raw"].tolist() == ledger.loc["kept"].tolist() == ["3", "3", "96.00"]
    table = run["features"].set_index("customer_id")
    assert table["segment_type"].to_dict() == {
        "01": "normal", "02": "pre_register", "03": "normal"
    }  # fmt: skip


def test_shop_that_changes_is_read_again_and_not_from_the_cache(shop):
    before = opened(shop.lines(ordinary_orders()))["features"]
    more = [*ordinary_orders(), order("new", "n", "2023-05-05", 1, "1.00")]

    after = opened(shop.lines(more))["features"]

    assert set(after["customer_id"]) - set(before["customer_id"]) == {"new"}


@pytest.mark.parametrize("returns", ["exclude", "net"])
def test_query_that_looks_for_no_copies_gives_every_line_the_same_rule(shop, engine, returns):
    lines = ordinary_orders()
    cleaned(engine, shop.lines(lines + lines[:3] + [lines[0]]), returns=returns)
    values = {
        "returns": returns,
        "zero_amount": "keep",
        "duplicates": "keep",
        "non_product": "keep",
        "as_of": None,
    }
    sql = clean.without_copies(clean.rules_sql(returns=returns))
    assert "copied_orders" not in sql
    short = engine.query(sql, values)
    whole = engine.query("SELECT * FROM classified")
    assert list(short.columns) == list(whole.columns)
    assert (whole["copy_number"].max(), short["copy_number"].max()) == (3, 1)
    columns = [name for name in whole.columns if name != "copy_number"]
    pd.testing.assert_frame_equal(
        *(
            table[columns].sort_values(columns, ignore_index=True).astype(str)
            for table in (short, whole)
        )
    )


# --- read by several stages -------------------------------------------------------------


class NothingKnown(dict):
    """Remembers no table that was checked."""

    def get(self, *_: object) -> None:
        return None


def test_lines_are_checked_by_the_first_stage_and_read_alike_by_all(shop, monkeypatch):
    """Two orders a customer, whose ids, numbers and names of columns need looking after."""
    rows = [
        order(f" {n}", f"{n}-{month}", f"2023-0{month}-11", 1, f"{n},50")
        for n in range(1, 9)
        for month in (1, 6)
    ]
    shop.sql(SHOP_SQL + "-- also named: paid = amount\n")
    shop.lines([{"paid" if k == "amount" else k: v for k, v in row.items()} for row in rows])
    looked, look = [], ingest._materialise
    monkeypatch.setattr(ingest, "_materialise", lambda *given: looked.append(1) or look(*given))

    run, anew = opened(shop), Run(parameters_from(shop.parameters), shop.folder / "anew")
    anew.snapshot.checked = NothingKnown()
    results = {name: run[name] for name in ("customer_features", "cut_features", "followed")}

    assert len(looked) == 1
    for name, table in results.items():
        pd.testing.assert_frame_equal(table, anew[name])
    assert len(looked) == 3
    assert results["followed"]["orders_after"].tolist() == [1] * 8
    assert results["customer_features"]["total_spent"].iloc[0] == 3.0  # 1,50 twice
