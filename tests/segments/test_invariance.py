"""A customer's segment depends on what the customer did: not on ids, row order, day or machine."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import ROOT, process_cli

from segmentation.core.parameters import parameters_from, profile_values
from segmentation.run.run import Run

RAW = ROOT / "data" / "raw_data"
ID_COLUMNS = {"customer_detail": "id", "order_detail": "customer_id"}
JUDGED = ["segment_type", "cluster", "segment", "is_anomaly", "anomaly_reasons"]


def segments_of(profile: str, location: Path, runs_dir: Path, **changed: object) -> pd.DataFrame:
    values = profile_values(profile)[1] | {"location": str(location), "k_max": 3} | changed
    return Run(parameters_from(values), runs_dir)["segments"]


def permuted(ids: list[str], random: np.random.Generator) -> dict[str, str]:
    """Every id takes the place of another; an empty id stays empty."""
    named = sorted(set(ids) - {""})
    return dict(zip(named, random.permutation(named).tolist(), strict=True)) | {"": ""}


def assert_same_judgement(expected: pd.DataFrame, found: pd.DataFrame, new_id: dict) -> None:
    expected = expected.assign(customer_id=expected["customer_id"].map(new_id))
    expected = expected.sort_values("customer_id").reset_index(drop=True)
    assert found["customer_id"].tolist() == expected["customer_id"].tolist()
    for name in JUDGED:
        assert found[name].tolist() == expected[name].tolist(), name
    ours, theirs = found["margin"].to_numpy(), expected["margin"].to_numpy()
    assert ours.tobytes() == theirs.tobytes(), "margins differ in some bit"


def test_marketplace_ids_permuted_and_rows_shuffled_change_nobodys_segment(
    marketplace_run, tmp_path
):
    random = np.random.default_rng(20)
    tables = {
        path.stem: pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in (RAW / "marketplace").glob("*.csv")
    }
    ids = [i for name, column in ID_COLUMNS.items() for i in tables[name][column]]
    new_id = permuted(ids, random)
    for name, table in tables.items():
        if name in ID_COLUMNS:
            table[ID_COLUMNS[name]] = table[ID_COLUMNS[name]].map(new_id)
        shuffled = table.iloc[random.permutation(len(table))]
        shuffled.to_csv(tmp_path / f"{name}.csv", index=False, quoting=csv.QUOTE_MINIMAL)

    found = segments_of("marketplace", tmp_path, tmp_path)

    expected = pd.read_parquet(marketplace_run / "segments.parquet")
    assert sum(new_id[i] != i for i in expected["customer_id"]) > len(expected) * 0.99
    assert_same_judgement(expected, found, new_id)


def test_cdnow_ids_permuted_and_rows_shuffled_change_nobodys_segment(cdnow_run, tmp_path):
    random = np.random.default_rng(21)
    header, *lines = (RAW / "cdnow" / "CDNOW_master.txt").read_text("ascii").splitlines()
    new_id = permuted([line[1:6] for line in lines], random)
    lines = [line[:1] + new_id[line[1:6]] + line[6:] for line in lines]
    shuffled = [lines[place] for place in random.permutation(len(lines))]
    (tmp_path / "CDNOW_master.txt").write_text("\n".join([header, *shuffled]) + "\n")

    found = segments_of("cdnow", tmp_path, tmp_path)

    assert_same_judgement(pd.read_parquet(cdnow_run / "segments.parquet"), found, new_id)


def test_another_run_gives_the_same_bytes_of_segments_and_features(marketplace_run, tmp_path):
    outcome = process_cli(
        "run", "marketplace", "--runs-dir", tmp_path, "--name", "again", PYTHONHASHSEED="7",
        TZ="Pacific/Kiritimati", LC_ALL="C",
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    for name in ("segments.parquet", "features.parquet", "profile.csv", "ledger.csv"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (marketplace_run / name).read_bytes(), name
    for name in ("model.json", "core_points.npz"):
        again = (tmp_path / "again" / "model" / name).read_bytes()
        assert again == (marketplace_run / "model" / name).read_bytes(), name


def test_order_of_features_in_the_profile_does_not_change_the_groups(marketplace_run, runs_dir):
    names = ["total_spent", "total_unit", "first_to_last_order", "register_to_order"]

    found = segments_of("marketplace", RAW / "marketplace", runs_dir, features=names)

    expected = pd.read_parquet(marketplace_run / "segments.parquet")
    assert found["is_anomaly"].tolist() == expected["is_anomaly"].tolist()
    assert found["segment"].tolist() == expected["segment"].tolist()


def test_clusters_ascend_in_mean_spend_whatever_the_seed(marketplace_run, runs_dir):
    changed = {"random_state": 1234, "n_clusters": 5}
    found = segments_of("marketplace", RAW / "marketplace", runs_dir, **changed)

    for kind, group in found.groupby("segment_type"):
        if kind == "unregistered":  # fewer than 30 for each cluster: one segment
            assert (group["cluster"] == 0).all()
            continue
        spent = group.groupby("cluster")["total_spent"].mean()
        assert spent.index.tolist() == list(range(5))
        assert spent.is_monotonic_increasing
        assert group.groupby("cluster")["segment"].nunique().eq(1).all()
        assert group["segment"].nunique() == 5


def test_customers_alike_in_every_feature_share_their_segment(shipped_run):
    segments = pd.read_parquet(shipped_run[1] / "segments.parquet")
    place = segments.columns.get_loc("segment_type")
    used = segments.columns[1 : place + 1].tolist()

    alike = segments.groupby(used, dropna=False)

    assert alike.size().max() > 1
    for name in ("cluster", "segment", "margin", "is_anomaly", "anomaly_reasons"):
        assert alike[name].nunique(dropna=False).max() == 1, name
