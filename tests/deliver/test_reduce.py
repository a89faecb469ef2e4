"""A model without customers' rows gives the same flags, to the tolerance it states."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import assert_refused, call_cli

from segmentation.segments.model import load_model


@pytest.mark.parametrize("tolerance", [0.05, 0.2])
def test_reduced_model_differs_only_within_its_tolerance(shipped_run, tmp_path, tolerance):
    folder = shipped_run[1]
    outcome = call_cli(
        "reduce", folder / "model", "--output", tmp_path / "small", "--tolerance", tolerance
    )
    assert outcome.code == 0, outcome.said
    full, small = load_model(folder / "model"), load_model(tmp_path / "small")
    customers = pd.read_parquet(folder / "features.parquet")

    before, after = full.assign(customers), small.assign(customers)

    for name in ("segment_type", "cluster", "segment", "margin"):
        assert before[name].equals(after[name]), name
    differing = (before["is_anomaly"] != after["is_anomaly"]).to_numpy()
    for kind, group in full.groups.items():
        rows = (before["segment_type"] == kind).to_numpy()
        used = customers.loc[rows, list(group.preparation.features)].to_numpy(dtype=float)
        among = group.preparation.for_flags(used, group.preparation.apply(used))
        distance = group._core_tree.query(among)[0]
        near = np.abs(distance - group.eps) <= tolerance * group.eps * (1 + 1e-9)
        assert not (differing[rows] & ~near).any()
    assert differing.mean() < 0.02


def test_reduced_model_holds_no_row_of_a_customer(shipped_run, tmp_path):
    folder = shipped_run[1]
    assert call_cli("reduce", folder / "model", "--output", tmp_path / "small").code == 0
    full, small = load_model(folder / "model"), load_model(tmp_path / "small")
    for kind, group in full.groups.items():
        rows = {tuple(point) for point in group.core_points}
        assert not rows & {tuple(point) for point in small.groups[kind].core_points}
        assert len(small.groups[kind].core_points) <= len(rows)
    assert small.info["reduced"] == {"tolerance": 0.05}


def test_reduce_refuses_what_it_cannot_do(shipped_run, tmp_path):
    model = shipped_run[1] / "model"
    assert_refused(call_cli("reduce", model, "--output", model), "--output")
    assert_refused(
        call_cli("reduce", model, "--output", tmp_path / "x", "--tolerance", 2), "--tolerance"
    )
    assert_refused(call_cli("reduce", tmp_path, "--output", tmp_path / "x"), "model")
