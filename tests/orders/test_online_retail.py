"""UCI Online Retail through the ordinary profile, against the published totals."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pandas as pd
import pytest
from conftest import ROOT

from segmentation.core.parameters import resolve
from segmentation.run.run import Run

PARQUET = ROOT / "data" / "raw_data" / "online_retail" / "online_retail.parquet"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def run_of(path, folder, **changed) -> Run:
    overrides = {"location": str(path), **changed}
    return Run(resolve("online_retail", overrides=overrides)[1], folder)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return run_of(PARQUET, tmp_path_factory.mktemp("runs"), k_max=2)


def small(folder, *lines):
    path = folder / "online_retail.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def test_published_totals_to_the_penny(published):
    ledger = published["ledger"].set_index("rule")
    features = published["customer_features"]

    assert ledger.loc["raw", "rows"] == 541_909
    assert ledger.loc["kept", "rows"] == 397_884
    assert ledger.loc["kept", "amount"] == Decimal("8911407.904")
    assert ledger.loc["listed_twice", "rows"] == 0
    assert len(features) == 4_338
    assert features["frequency"].sum() == 18_532


def test_published_best_month_and_country(published):
    monthly = published["monthly"].set_index("month")["revenue"]
    countries = published["categories"].set_index(["dimension", "value"])["revenue"]

    assert monthly.idxmax() == pd.Timestamp("2011-11-01")
    assert monthly.max() == pytest.approx(1_161_817.38, abs=0.005)
    assert countries["country", "United Kingdom"] == pytest.approx(7_308_391.554, abs=0.0005)


def test_its_true_dates_raise_no_alarm_and_its_closed_days_are_found(published):
    found = published["findings"].set_index("finding")

    assert found.loc["swapped_dates", "rows"] == 0
    assert published["repair"].empty
    assert found.loc["date_gap", "rows"] == 11  # Christmas 2010
    assert found.loc["missing_customer_id", "rows"] == 541_909 - 406_829
    assert found.loc["dominating_line", "amount"] == Decimal("168469.600")


def test_purchases_cancelled_on_their_own_day_are_said_with_their_money(published):
    """The published totals count them: customer 12346 spent nothing and stands among the best."""
    table = pd.read_parquet(PARQUET).dropna(subset=["CustomerID"])
    table = table.assign(day=table["InvoiceDate"].dt.date, units=table["Quantity"].abs())
    is_return = table["InvoiceNo"].str.startswith("C")
    key = ["CustomerID", "day", "StockCode", "units"]
    bought = table[~is_return & (table["UnitPrice"] > 0)]
    bought = bought.assign(money=(bought["Quantity"] * bought["UnitPrice"]).round(3))
    back = table[is_return].groupby(key).size().rename("n").reset_index()
    bought = bought.sort_values("money").assign(place=lambda t: t.groupby(key).cumcount())
    both = bought.merge(back, on=key).query("place < n")

    found = published["findings"].set_index("finding").loc["cancelled_same_day"]

    assert (found["rows"], found["customers"]) == (len(both), both["CustomerID"].nunique())
    assert float(found["amount"]) == pytest.approx(both["money"].sum(), abs=0.005)
    assert found["examples"].startswith("order_id: 581483, 541431")
    assert "the largest £168.5K" in found["what_to_do"]


def matched_one_by_one() -> int:
    """Matched returns of Online Retail by going through its lines with a purse of purchases."""
    table = pd.read_parquet(PARQUET)
    table = table.dropna(subset=["CustomerID"]).assign(day=table["InvoiceDate"].dt.date)
    is_return = table["InvoiceNo"].str.startswith("C")
    bought = ~is_return & (table["Quantity"] > 0) & (table["UnitPrice"] > 0)
    table = table[is_return | bought].assign(is_return=is_return)
    table = table.sort_values(["day", "is_return"], kind="stable")
    purse: dict[tuple, int] = defaultdict(int)
    rows = 0
    columns = ["CustomerID", "StockCode", "Quantity", "is_return"]
    for customer, product, units, returned in table[columns].itertuples(index=False):
        key = customer, product, abs(units)
        if not returned:
            purse[key] += 1
        elif purse[key]:
            purse[key] -= 1
            rows += 1
    return rows


def test_matched_returns_of_online_retail_agree_with_going_through_the_lines(published):
    returned = published["returned_lines"].set_index("kind")
    assert returned["rows"].sum() == 8_905
    assert sum(returned["amount"]) == Decimal("-611342.090")
    assert returned.at["matched", "rows"] == matched_one_by_one()


def test_customer_who_returned_all_74215_units_is_no_champion_under_net(published):
    net = published.with_parameters(returns="net")
    for run, is_low in ((published, False), (net, True)):
        customers = run["customers"].set_index("customer_id")
        assert (customers.at["12346", "cluster"] == customers["cluster"].min()) == is_low
    assert net["customers"].set_index("customer_id").at["12346", "total_unit"] == 0
    movers = published["returns_movers"]
    (row,) = movers[movers["units_exclude"] == 74_215].to_dict("records")
    assert row["spent_net"] == 0
    assert row["segment_net"] != row["segment_exclude"]


def test_special_lines_of_online_retail(published):
    special = published["special_lines"]
    total = special[special["product"].isna()].set_index("kind")
    assert total["rows"].to_dict() == {
        "missing_customer_id": 135_080, "returned": 9_288, "invalid_order": 3, "non_product": 2_946,
    }  # fmt: skip
    assert total.at["invalid_order", "amount"] == Decimal("-11062.060")
    codes = special.dropna(subset=["product"])
    assert codes["rows"].sum() == total.at["non_product", "rows"]
    assert sum(codes["amount"]) == total.at["non_product", "amount"]


def test_cancellations_bad_debt_and_postage_each_have_their_rule(tmp_path):
    path = small(
        tmp_path,
        "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom",
        "C536379,85123A,HOLDER,-1,2010-12-01 09:41:00,2.55,17850,United Kingdom",
        "A563185,B,Adjust bad debt,1,2010-12-02 14:50:00,11062.06,17850,United Kingdom",
        "536370,POST,POSTAGE,3,2010-12-02 08:45:00,18.00,12583,France",
        "536371,22086,CHAIN,1,2010-12-02 09:00:00,1.25,,France",
    )

    ledger = run_of(path, tmp_path / "runs", non_product="exclude")["ledger"]

    found = ledger[ledger["rows"] > 0].set_index("rule")["amount"].to_dict()
    assert found == {
        "raw": Decimal("11130.06"),
        "returned": Decimal("-2.55"),
        "invalid_order": Decimal("11062.06"),
        "non_product": Decimal("54.00"),
        "missing_customer_id": Decimal("1.25"),
        "kept": Decimal("15.30"),
    }


def test_dates_with_the_month_first_and_ids_with_a_decimal_are_read_as_meant(tmp_path):
    path = small(
        tmp_path,
        "536365,85123A,HOLDER,6,12/1/2010 8:26,2.55,17850.0,United Kingdom",
        "536366,85123A,HOLDER,6,12/13/2010 8:26,2.55,17850.0,United Kingdom",
    )

    (customer,) = run_of(path, tmp_path / "runs")["customer_features"].to_dict("records")

    assert customer["customer_id"] == "17850"
    assert customer["first_to_last_order"] == 12


def test_lines_of_an_overlap_count_once_and_true_copies_stay(tmp_path):
    first = "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom"
    second = "536400,22086,CHAIN,1,2010-12-09 09:00:00,1.25,17850,United Kingdom"
    only_in_second = "536401,22086,CHAIN,1,2010-12-02 09:00:00,1.25,17850,United Kingdom"
    later = "540000,22086,CHAIN,2,2011-01-09 09:00:00,1.25,17850,United Kingdom"
    path = small(tmp_path, first, first, second, first, first, only_in_second, second, later)

    ledger = run_of(path, tmp_path / "runs")["ledger"].set_index("rule")

    # both copies of the first line and the one of the second are listed again
    assert ledger.loc["listed_twice", "rows"] == 2 + 1
    assert ledger.loc["kept", "amount"] == Decimal("15.30") * 2 + Decimal("1.25") * 4
