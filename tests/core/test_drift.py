"""Drift told when customers are scored: against the model's own fitted customers."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import assert_refused, call_cli

from segmentation.core.drift import (
    counts_between,
    decile_edges,
    index_by_chance,
    stability_index,
)
from segmentation.deliver.score import DriftCounts
from segmentation.segments.model import document_checksum, load_model


def scored(run: Path, customers: pd.DataFrame, folder: Path):
    path = folder / "customers.csv"
    customers.to_csv(path, index=False)
    return call_cli("score", run / "model", path, "--output", folder / "scored.csv")


@pytest.fixture
def customers(cdnow_run) -> pd.DataFrame:
    return pd.read_parquet(cdnow_run / "features.parquet")


def test_the_fitted_customers_themselves_have_not_drifted(shipped_run, tmp_path):
    profile, run = shipped_run
    outcome = scored(run, pd.read_parquet(run / "features.parquet"), tmp_path)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.out.splitlines() if line.startswith("Drift of")]
    assert len(lines) == sum(
        len(group.preparation.features) for group in load_model(run / "model").groups.values()
    )
    assert all("index 0.000" in line for line in lines)
    assert "Keep the model: no feature has an index of 0.1 or more." in outcome.out
    assert ("had not registered" in outcome.out) == (profile == "marketplace")


def test_customers_who_stayed_away_longer_ask_for_a_comparison(cdnow_run, customers, tmp_path):
    outcome = scored(cdnow_run, customers.assign(recency=customers["recency"] + 200), tmp_path)
    assert "Drift of days since last order: index" in outcome.out
    assert "shifted (n = 23,570" in outcome.out
    assert (
        "a feature has an index of 0.25 or more. Run the profile again; `segmentation compare`"
        in outcome.out
    )
    frequency = next(line for line in outcome.out.splitlines() if "Drift of orders" in line)
    assert "index 0.000, stable" in frequency


def test_a_handful_of_customers_is_no_evidence_of_drift(cdnow_run, customers, tmp_path):
    outcome = scored(cdnow_run, customers.head(20), tmp_path)
    assert "Too few customers to tell" in outcome.out


def test_the_index_is_the_sum_worked_by_hand():
    """Half a customer more in each bin: shares 1/4, 3/4 against 3/4, 1/4."""
    reference, current = np.array([0.5, 2.5]), np.array([2.5, 0.5])
    by_hand = 2 * (0.75 - 0.25) * math.log(3)
    assert stability_index(reference, current) == pytest.approx(by_hand)


def test_the_index_told_equals_that_of_the_raw_values(cdnow_run, customers):
    model = load_model(cdnow_run / "model")
    later = customers.sample(3000, random_state=1).assign(
        recency=lambda t: t["recency"] * 0.8, segment_type="normal"
    )
    counts = DriftCounts(model)
    counts.counted(later)
    found = counts.table().set_index("feature")
    for name in model.features:
        values, now = customers[name].to_numpy(), later[name].to_numpy(dtype=float)
        inner = np.unique(np.quantile(values, np.arange(0.1, 0.95, 0.1)))
        cuts = pd.IntervalIndex.from_breaks([-np.inf, *inner, np.inf])
        counts = [
            pd.cut(pd.Series(side), cuts).value_counts(sort=False).to_numpy() + 0.5
            for side in (values, now)
        ]
        p, q = (side / side.sum() for side in counts)
        assert found.at[name, "psi"] == pytest.approx(((q - p) * np.log(q / p)).sum()), name


def test_chance_stays_below_its_limit_as_often_as_it_says():
    chance = np.random.default_rng(6)
    reference = chance.normal(size=20_000)
    edges = decile_edges(reference)
    before = counts_between(reference, edges)
    limit = index_by_chance(20_000, 400, bins=10)
    below = [
        stability_index(before, counts_between(chance.normal(size=400), edges)) < limit
        for _ in range(400)
    ]
    assert 0.92 <= np.mean(below) <= 0.98


def changed_model(run: Path, folder: Path, change) -> Path:
    copy = folder / "model"
    shutil.copytree(run / "model", copy)
    document = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    for group in document["groups"].values():
        change(group)
    document["sha256"] = document_checksum(document)
    (copy / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return copy


def test_a_model_written_before_says_that_it_keeps_no_distributions(cdnow_run, customers, tmp_path):
    model = changed_model(cdnow_run, tmp_path, lambda group: group.pop("distributions"))
    customers.head(50).to_csv(tmp_path / "c.csv", index=False)
    outcome = call_cli("score", model, tmp_path / "c.csv", "--output", tmp_path / "o.csv")
    assert outcome.code == 0, outcome.err
    assert "Drift: not known" in outcome.out


@pytest.mark.parametrize(
    "entry",
    [
        {"edges": [1.0, 2.0], "counts": [1, 2, 3]},
        {"edges": [2.0, 1.0], "counts": [1, 2, 3, 0]},
        {"edges": [1.0], "counts": [1, -2, 3]},
    ],
    ids=["counts-missing", "edges-falling", "negative"],
)
def test_distributions_that_no_fit_made_are_refused(cdnow_run, customers, tmp_path, entry):
    model = changed_model(
        cdnow_run, tmp_path, lambda group: group["distributions"].update(recency=entry)
    )
    customers.head(5).to_csv(tmp_path / "c.csv", index=False)
    refused = call_cli("score", model, tmp_path / "c.csv", "--output", tmp_path / "o.csv")
    assert_refused(refused, "distribution of recency")
