"""Concentration quarter by quarter: the SQL against slow recomputation, intervals by simulation."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from independent import cdnow_lines

from segmentation.book import words
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.customers.concentration import by_quarter, over_time
from segmentation.run.run import Run
from segmentation.sources.engine import DuckDbEngine


def quarters_of(rows: list[tuple[str, str, float]], tmp_path) -> pd.DataFrame:
    """The query on (customer, day, amount) lines that were all kept."""
    path = tmp_path / "classified.parquet"
    table = pd.DataFrame(rows, columns=["customer_id", "order_date", "amount"])
    table["order_date"] = pd.to_datetime(table["order_date"]).dt.date
    table["amount"] = [Decimal(str(round(value, 2))) for value in table["amount"]]
    table.assign(rule="kept").to_parquet(path, index=False)
    engine = DuckDbEngine()
    try:
        engine.bind_file("classified", path)
        return by_quarter(engine)
    finally:
        engine.close()


def test_a_quarter_worked_by_hand(tmp_path):
    """Ten customers of 1 and one of 10, twice over two orders; and another quarter."""
    rows = [(f"c{i}", "2023-01-31", 1.0) for i in range(10)]
    rows += [("big", "2023-02-01", 4.0), ("big", "2023-03-31", 6.0), ("c1", "2023-04-01", 5.0)]
    found = quarters_of(rows, tmp_path)
    first = found.iloc[0]
    assert (first["customers"], first["revenue"]) == (11, 20.0)
    # mean absolute difference: 20 of 121 pairs differ by 9
    assert first["gini"] == pytest.approx(20 * 9 / 121 / (2 * 20 / 11))
    assert first["top_share"] == pytest.approx(11 / 20), "the best two of eleven"
    assert first["largest_share"] == pytest.approx(0.5)
    assert found["quarter"].astype(str).str[:10].tolist() == ["2023-01-01", "2023-04-01"]
    assert found["customers"].tolist() == [11, 1]


def test_customers_who_gave_back_more_than_they_bought_do_not_count(tmp_path):
    rows = [("a", "2023-01-01", 5.0), ("b", "2023-01-01", 5.0), ("b", "2023-02-01", -9.0)]
    found = quarters_of(rows, tmp_path)
    assert found["customers"].tolist() == [1]


def test_every_quarter_of_cdnow_equals_a_recomputation_from_the_raw_file(cdnow_run, runs_dir):
    run = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)
    lines = cdnow_lines(ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt")
    lines["quarter"] = [(day.year, (day.month + 2) // 3) for day in lines["day"]]
    spent = lines.groupby(["quarter", "customer_id"])["amount"].sum()
    found = run["quarters"]
    assert len(found) == 6
    for row in found.itertuples():
        quarter = pd.Timestamp(row.quarter)
        own = np.sort(spent[(quarter.year, quarter.quarter)].to_numpy(dtype=float))
        own = own[own > 0]
        n = len(own)
        assert row.customers == n
        gaps = 2 * np.sum(own * (2 * np.arange(1, n + 1) - n - 1))
        assert row.gini == pytest.approx(gaps / (2 * n * own.sum()))
        assert row.top_share == pytest.approx(own[-int(np.ceil(n / 10)) :].sum() / own.sum())
        assert row.largest_share == pytest.approx(own[-1] / own.sum())


def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path):
    """Lognormal spend of deviation 1: Gini = 2 * Phi(1/sqrt 2) - 1 = 0.5205."""
    chance, trials, n = np.random.default_rng(7), 200, 800
    rows = [
        (f"{trial}-{i}", (pd.Timestamp("1950-01-01") + pd.offsets.QuarterBegin(trial)), value)
        for trial in range(1, trials + 1)
        for i, value in enumerate(chance.lognormal(5, 1, n))
    ]
    table = over_time(quarters_of(rows, tmp_path), first_day="1900-01-01", last_day="2100-01-01")
    assert len(table) == trials
    gini, top = 0.5205, 0.3891  # top tenth of a lognormal: Phi(1 - z) with z the 90% quantile
    assert 0.90 <= table["gini_low"].le(gini).mul(table["gini_high"].ge(gini)).mean() <= 0.99
    assert (
        0.90 <= table["top_share_low"].le(top).mul(table["top_share_high"].ge(top)).mean() <= 0.99
    )


def quarters(**changed) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "quarter": pd.to_datetime(["2023-01-01", "2023-04-01", "2023-07-01"]),
            "customers": [500, 20, 400],
            "revenue": 1000.0,
            "gini": 0.5,
            "gini_error": 0.01,
            "top_share": [0.3, 0.3, 0.4],
            "top_error": 0.01,
            "largest_share": 0.02,
        }
    )
    return over_time(table.assign(**changed), first_day=dt.date(2023, 1, 1), last_day="2023-09-30")


def test_quarters_of_few_customers_are_left_out_and_broken_ones_are_marked():
    table = quarters()
    assert table["customers"].tolist() == [500, 400]
    assert table["is_complete"].tolist() == [True, True]
    early = over_time(table, first_day="2023-01-02", last_day="2023-09-29")
    assert early["is_complete"].tolist() == [False, False]


def trend_of(table: pd.DataFrame) -> str:
    """The sentence on quarters that follow one in which everybody was new."""
    intake = table.head(1).assign(quarter=pd.Timestamp("2022-10-01"), top_share=0.9, gini=0.9)
    return words.concentration_trend(pd.concat([intake, table]))


def test_a_trend_is_told_only_where_the_difference_is_beyond_chance():
    assert "no trend is told" in words.concentration_trend(quarters())
    assert "**more** concentrated" in trend_of(quarters())
    assert trend_of(quarters()).endswith("in which everybody is new, is not compared.")
    same = trend_of(quarters(top_share=[0.3, 0.3, 0.31]))
    assert "**No change is shown**" in same
    even = trend_of(quarters(top_share=0.3, gini=[0.5, 0.5, 0.56]))
    assert (
        "**Spend is spread less evenly** (Gini coefficient 0.50 to 0.56), though the share" in even
    )
    less = trend_of(quarters(top_share=[0.5, 0.3, 0.3]))
    assert "**less** concentrated" in less


def test_without_dates_nothing_is_told_or_drawn():
    empty = over_time(pd.DataFrame(), first_day=None, last_day=None)
    assert "no trend is told" in words.concentration_trend(empty)
    assert empty.empty and "is_complete" in empty
