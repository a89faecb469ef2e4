"""Every published figure equals an independent recomputation (`independent.py`)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import independent
import openpyxl
import pandas as pd
import pytest
from conftest import ROOT
from workbooks import names_of

from segmentation.core.columns import RULE_WORDS
from segmentation.core.parameters import parameters_from
from segmentation.deliver.workbook.definitions import TITLES
from segmentation.run.run import Run

CDNOW = ROOT / "data" / "raw_data" / "cdnow" / "CDNOW_master.txt"
CDNOW_SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"
REAL_MARKETPLACE = ROOT.parent / "shared" / "data" / "marketplace"
WHOLE = ["first_to_last_order", "recency", "frequency", "tenure"]
EXACT = [*WHOLE, "total_unit", "total_spent", "average_order_value"]
WORKBOOK = "customer_segmentation_output.xlsx"


@pytest.fixture(scope="session")
def recomputed(shipped_run):
    """A shipped profile's run folder with its lines and features, worked out independently."""
    name, folder = shipped_run
    if name == "cdnow":
        lines = independent.with_rules(independent.cdnow_lines(CDNOW))
    else:
        raw = ROOT / "data" / "raw_data" / "marketplace"
        lines = independent.with_rules(independent.marketplace_lines(raw))
    return folder, lines, independent.features(lines, knows_registration=name == "marketplace")


@pytest.fixture(scope="session")
def workbook(shipped_run):
    book = openpyxl.load_workbook(shipped_run[1] / WORKBOOK, read_only=True)
    found = {}
    for kind in ("segments", "ledger"):
        header, *rows = book[TITLES[kind]].iter_rows(values_only=True)
        found[kind] = [names_of(TITLES[kind], header), *rows]
    yield found
    book.close()


def assert_features_equal(published: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert published["customer_id"].tolist() == expected.index.tolist()
    assert published["segment_type"].tolist() == expected["segment_type"].tolist()
    names = [name for name in expected.columns if name not in ("spent", "segment_type")]
    assert set(published.columns) == {"customer_id", "segment_type", *names}
    for name in names:
        pd.testing.assert_series_equal(
            published[name].astype("float64"),
            expected[name].astype("float64").reset_index(drop=True),
            check_exact=True,
        )


def test_cdnow_file_is_the_published_one():
    assert hashlib.sha256(CDNOW.read_bytes()).hexdigest() == CDNOW_SHA256


def test_every_feature_of_every_customer_equals_the_recomputation(recomputed):
    folder, _, expected = recomputed

    published = pd.read_parquet(folder / "features.parquet")

    assert_features_equal(published, expected)
    assert [Decimal(f"{value:.2f}") for value in published["total_spent"]] == list(
        expected["spent"]
    )


def test_every_figure_of_the_ledger_equals_the_recomputation(recomputed):
    folder, lines, _ = recomputed

    published = pd.read_csv(folder / "ledger.csv", dtype=str)

    expected = independent.ledger(lines)
    assert published.columns.tolist() == ["rule", "rows", "customers", "amount"]
    assert published["rule"].tolist() == expected["rule"].tolist()
    assert published["rows"].astype(int).tolist() == expected["rows"].tolist()
    assert published["customers"].astype(int).tolist() == expected["customers"].tolist()
    assert published["amount"].map(Decimal).tolist() == expected["amount"].tolist()


def test_ledger_adds_up_to_the_cent(shipped_run):
    table = pd.read_csv(shipped_run[1] / "ledger.csv", dtype=str)
    amounts, rows = table["amount"].map(Decimal), table["rows"].astype(int)

    assert rows.iloc[0] == rows.iloc[1:].sum()
    assert amounts.iloc[0] == sum(amounts.iloc[1:])


def test_zero_amounts_and_copies_are_counted_as_recomputed(recomputed):
    folder, lines, _ = recomputed

    published = pd.read_csv(folder / "findings.csv", dtype=str).drop_duplicates("finding")
    published = published.set_index("finding")

    for name, (rows, amount) in independent.findings(lines).items():
        assert int(published.at[name, "rows"]) == rows
        assert Decimal(published.at[name, "amount"]) == amount


def test_every_figure_of_the_profile_equals_the_recomputation(recomputed):
    folder, _, customers = recomputed
    labels = pd.read_parquet(folder / "segments.parquet").set_index("customer_id")
    labelled = customers.drop(columns="segment_type").join(
        labels[["segment_type", "cluster", "segment"]]
    )
    names = [name for name in customers.columns if name not in ("spent", "segment_type")]

    published = pd.read_csv(folder / "profile.csv", dtype={"revenue": str})

    expected = independent.profile(labelled, names)
    columns = ["segment_type", "cluster", "segment", "customers", "customers_share"]
    columns += ["revenue", "revenue_share"]
    columns += [f"{name}_{statistic}" for name in names for statistic in ("mean", "median")]
    assert published.columns.tolist() == columns
    published = published.set_index(["segment_type", "cluster"])
    assert set(published.index) == set(expected.index)
    for key, row in expected.iterrows():
        ours = published.loc[key]
        assert ours["segment"] == row["segment"]
        assert ours["customers"] == row["customers"]
        assert Decimal(ours["revenue"]) == row["revenue"]
        for name in published.columns.drop(["segment", "revenue"]):
            assert ours[name] == pytest.approx(row[name], rel=1e-9, nan_ok=True), (key, name)


def test_profile_holds_the_customers_and_the_money_that_the_ledger_kept(shipped_run):
    folder = shipped_run[1]
    profile = pd.read_csv(folder / "profile.csv", dtype={"revenue": str})
    kept = pd.read_csv(folder / "ledger.csv", dtype=str).iloc[-1]

    assert profile["customers"].sum() == int(kept["customers"])
    assert sum(profile["revenue"].map(Decimal)) == Decimal(kept["amount"])
    assert profile["customers_share"].sum() == pytest.approx(1)
    assert profile["revenue_share"].sum() == pytest.approx(1)


def test_cdnow_totals_are_those_of_the_literature(cdnow_run):
    ledger = pd.read_csv(cdnow_run / "ledger.csv", dtype=str).set_index("rule")
    features = pd.read_parquet(cdnow_run / "features.parquet")

    assert ledger.loc["raw"].tolist() == ["69659", "23570", "2500315.63"]
    assert features["frequency"].sum() == 67_591
    assert len(features) == 23_570


# Orders of others, which are not ours to ship: no machine can install them, so this is no skip.
if REAL_MARKETPLACE.exists():

    def test_real_marketplace_has_2864_customers_with_equal_features(tmp_path):
        lines = independent.with_rules(independent.marketplace_lines(REAL_MARKETPLACE))
        expected = independent.features(lines, knows_registration=True)
        values = {"source": "marketplace", "location": str(REAL_MARKETPLACE), "k_max": 2}

        run = Run(parameters_from(values), tmp_path)

        assert len(run["features"]) == 2_864
        assert_features_equal(run["features"], expected)
        assert run["ledger"]["amount"].tolist() == independent.ledger(lines)["amount"].tolist()
        assert run["ledger"]["rows"].tolist() == independent.ledger(lines)["rows"].tolist()


def test_segments_table_has_the_contract_columns_in_order(shipped_run):
    segments = pd.read_parquet(shipped_run[1] / "segments.parquet")

    in_use = [name for name in segments.columns if name in (*EXACT, "register_to_order")]
    added = ["segment_type", "cluster", "segment", "margin", "is_anomaly", "anomaly_reasons"]
    assert segments.columns.tolist() == ["customer_id", *in_use, *added]
    assert segments["customer_id"].is_unique
    flagged = segments["is_anomaly"]
    assert (segments.loc[flagged, "anomaly_reasons"] != "").all()
    assert (segments.loc[~flagged, "anomaly_reasons"] == "").all()


def test_all_customers_of_the_workbook_are_the_segments_table(shipped_run, workbook):
    segments = pd.read_parquet(shipped_run[1] / "segments.parquet")

    header, *rows = workbook["segments"]

    sheet = pd.DataFrame(rows, columns=header)
    assert list(header) == segments.columns.tolist()
    assert all(isinstance(value, str) for value in sheet["customer_id"])
    for name in segments.columns:
        ours, theirs = sheet[name], segments[name]
        if pd.api.types.is_float_dtype(theirs):
            pd.testing.assert_series_equal(
                ours.astype("float64"), theirs.astype("float64"), rtol=1e-14, check_names=False
            )
        elif pd.api.types.is_bool_dtype(theirs):
            assert (ours == "yes").equals(theirs.astype(bool)), name
            assert set(ours.dropna()) <= {"yes"}, name
        else:
            assert ours.fillna("").eq(theirs).all(), name


def test_ledger_sheet_of_the_workbook_is_the_ledger(shipped_run, workbook):
    ledger = pd.read_csv(shipped_run[1] / "ledger.csv", dtype=str)

    header, *rows = workbook["ledger"]

    sheet = pd.DataFrame(rows, columns=header)
    assert (
        sheet["rule"].tolist() == ledger["rule"].map(lambda one: RULE_WORDS.get(one, one)).tolist()
    )
    for name in ("rows", "customers"):
        assert sheet[name].tolist() == ledger[name].astype(int).tolist()
    assert [Decimal(f"{a:.2f}") for a in sheet["amount"]] == ledger["amount"].map(Decimal).tolist()


def test_total_spent_of_the_workbook_is_the_money_kept(shipped_run, workbook):
    kept = pd.read_csv(shipped_run[1] / "ledger.csv", dtype=str).iloc[-1]["amount"]

    header, *rows = workbook["segments"]

    place = header.index("total_spent")
    assert sum(Decimal(f"{row[place]:.2f}") for row in rows) == Decimal(kept)


def test_every_file_of_the_run_folder_contract_is_there(shipped_run):
    wanted = "params.yaml manifest.json ledger.csv features.parquet segments.parquet profile.csv"
    wanted += f" tuning_k.csv tuning_dbscan.csv model {WORKBOOK}"

    there = {path.name for path in Path(shipped_run[1]).iterdir()}

    assert set(wanted.split()) <= there
