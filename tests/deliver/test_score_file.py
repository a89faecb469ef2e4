"""`segmentation score`: any number of customers in bounded memory, in the file's order."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import assert_refused, call_cli, ordinary_orders

from segmentation.core.errors import SourceError
from segmentation.deliver import score, score_parts
from segmentation.segments.model import load_model


@pytest.fixture(scope="module")
def customers(cdnow_run):
    return pd.read_parquet(cdnow_run / "features.parquet").head(1000)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_parts_give_what_the_whole_file_gives(cdnow_run, customers, tmp_path, monkeypatch, kind):
    given, found = tmp_path / f"in{kind}", tmp_path / "out.parquet"
    if kind == ".csv":
        customers.to_csv(given, index=False)
    else:
        customers.to_parquet(given, index=False)
    monkeypatch.setattr(score_parts, "ROWS_AT_ONCE", 128)  # 8 parts

    scored = score.score_file(cdnow_run / "model", given, found)
    assert scored.customers == 1000

    model = load_model(cdnow_run / "model")
    whole = model.assign(customers)
    counts = score.DriftCounts(model)
    counts.counted(whole)
    pd.testing.assert_frame_equal(scored.drift, counts.table())
    pd.testing.assert_frame_equal(pd.read_parquet(found), whole, check_dtype=kind == ".parquet")
    assert pq.ParquetFile(found).metadata.num_row_groups == 8


def test_csv_parts_have_one_header(cdnow_run, customers, tmp_path, monkeypatch):
    given, found = tmp_path / "in.parquet", tmp_path / "out.csv"
    customers.to_parquet(given, index=False)
    monkeypatch.setattr(score_parts, "ROWS_AT_ONCE", 300)
    score.score_file(cdnow_run / "model", given, found)
    lines = found.read_text("utf-8").splitlines()
    assert len(lines) == 1001
    assert sum(line.startswith("customer_id,") for line in lines) == 1


def test_feature_has_one_type_though_only_a_late_part_has_decimals(
    cdnow_run, customers, tmp_path, monkeypatch
):
    table = customers.head(4).astype({"total_unit": "int64"}).astype({"total_unit": "str"})
    table.loc[table.index[3], "total_unit"] = "2.5"
    table.to_csv(tmp_path / "in.csv", index=False)
    monkeypatch.setattr(score_parts, "ROWS_AT_ONCE", 2)
    score.score_file(cdnow_run / "model", tmp_path / "in.csv", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    if "total_unit" in found:
        assert found["total_unit"].iloc[-1] == 2.5


def test_mistake_in_a_later_part_names_its_rows_and_leaves_the_output(
    cdnow_run, customers, tmp_path, monkeypatch
):
    broken = customers.head(10).astype({"total_spent": "float64"})
    broken.loc[broken.index[7], "total_spent"] = float("nan")
    broken.to_parquet(tmp_path / "in.parquet", index=False)
    (tmp_path / "out.csv").write_text("before")
    monkeypatch.setattr(score_parts, "ROWS_AT_ONCE", 5)

    with pytest.raises(SourceError, match=r"rows 6 to 10: total_spent is empty .* 1 customer"):
        score.score_file(
            cdnow_run / "model", tmp_path / "in.parquet", tmp_path / "out.csv", replace=True
        )

    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.csv"]


def test_customer_listed_in_two_parts_is_refused(cdnow_run, customers, tmp_path, monkeypatch):
    twice = pd.concat([customers.head(6), customers.head(1)])
    twice.to_parquet(tmp_path / "in.parquet", index=False)
    monkeypatch.setattr(score_parts, "ROWS_AT_ONCE", 3)
    name = customers["customer_id"].iloc[0]
    with pytest.raises(SourceError, match=rf"1 customer\(s\) are listed more than once \({name}\)"):
        score.score_file(cdnow_run / "model", tmp_path / "in.parquet", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("column", "value"), [("frequency", "-2"), ("recency", "-1"), ("recency", "1e20")]
)
def test_what_the_api_refuses_is_refused_in_a_file_too(shop, tmp_path, column, value):
    shop.lines(ordinary_orders()).run(features=["recency", "frequency"])
    rows = [{"customer_id": f"c{n}", "recency": str(n), "frequency": "2"} for n in range(5)]
    rows[3][column] = value
    file, output = tmp_path / "customers.csv", tmp_path / "scored.csv"
    pd.DataFrame(rows).to_csv(file, index=False)

    outcome = call_cli("score", shop.result / "model", file, "--output", output)

    assert_refused(outcome, "customers.csv", column, "1 customer(s)")
    assert not output.exists()
