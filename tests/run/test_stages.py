"""Stages declare what they read and give, and get and keep nothing else."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from conftest import ordinary_orders

from segmentation.core.parameters import Parameters, resolve
from segmentation.customers.prepare import PreparedGroup
from segmentation.run import arrays
from segmentation.run.run import Run
from segmentation.run.stage import Others
from segmentation.run.stages import GIVEN, GIVEN_BY, STAGES

ALL = pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
GROUPS = ("orders", "customers", "segments", "evidence", "actions")


@pytest.fixture
def run(shop) -> Run:
    shop.lines(ordinary_orders(8))
    return Run(resolve(str(shop.arguments(n_clusters=2)[1]))[1], shop.runs_dir)


@ALL
def test_a_stage_function_takes_what_is_declared_and_no_run(stage):
    taken = dict(inspect.signature(stage.compute).parameters)
    assert all(one.kind is one.KEYWORD_ONLY for one in taken.values())
    asks = ("others",) if stage.others else ()
    assert set(taken) == {"parameters", *stage.inputs, *stage.if_auto, *asks}
    assert not any("Run" in str(one.annotation) for one in taken.values())


@ALL
def test_a_stage_reads_only_what_earlier_stages_give(stage):
    names = list(STAGES)
    for result in (*stage.inputs, *stage.if_auto, *(stage.others.results if stage.others else ())):
        if result not in GIVEN:
            assert names.index(GIVEN_BY[result]) < names.index(stage.name), result
    assert set(stage.uses) <= set(Parameters.model_fields)


def test_no_result_has_two_stages_and_each_says_what_it_is():
    named = [result for stage in STAGES.values() for result in stage.gives]
    assert len(named) == len(set(named))
    assert all(said for stage in STAGES.values() for said in stage.gives.values())


def declared(monkeypatch, name: str, **changed) -> None:
    """A stage as it is, but for some of its declaration."""
    monkeypatch.setitem(STAGES, name, replace(STAGES[name], **changed))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"features": pd.DataFrame(), "scaled": {}, "scratch": {}}, "scratch"),
        ({"features": pd.DataFrame()}, "scaled"),
    ],
    ids=["undeclared", "missing"],
)
def test_results_are_those_declared(run, monkeypatch, given, named):
    declared(monkeypatch, "prepared", compute=lambda **known: given)
    with pytest.raises(RuntimeError, match=f"prepared gives or declares alone: {named}"):
        run.stage("prepared")
    assert not run.cache.folder("prepared", run.key("prepared")).exists()


def test_a_parameter_that_is_not_declared_cannot_be_read(run, monkeypatch):
    declared(monkeypatch, "prepared", uses=("features", "split_pre_register", "as_of"))
    with pytest.raises(AttributeError, match="outliers"):
        run.stage("prepared")


def test_other_runs_give_what_is_declared_only(run, monkeypatch):
    others = Others(lambda parameters: {"net": {"returns": "net"}}, ("ledger",))

    def ask(*, others, **known):
        return {"sensitivity": others["net"]("segments")}

    declared(monkeypatch, "sensitivity", others=others, compute=ask)
    with pytest.raises(RuntimeError, match="does not declare segments of another run"):
        run.stage("sensitivity")


def test_the_key_holds_what_is_read_and_nothing_else(run):
    changed = run.with_parameters(currency="GBP", gross_margin=0.9)
    same = [stage for stage in STAGES if run.key(stage) == changed.key(stage)]
    others = ("findings", "recommendations", "next_steps")
    assert same == [stage for stage in STAGES if stage not in others]

    asked = run.with_parameters(n_clusters="auto")
    assert "structure" in asked.needs("segments")
    assert "structure" not in run.needs("segments")


def test_a_model_never_shows_parameters_of_another_run(run):
    """Its card names every parameter, so one that decides no segment makes another card."""
    day = "2023-03-01"
    assert run["model"].info["parameters"]["calibration_end"] == "auto"
    assert run["model"].info["parameters"]["source"] == "shop.sql", "no path of this machine"
    other = run.with_parameters(calibration_end=pd.Timestamp(day).date())
    assert other["model"].info["parameters"]["calibration_end"] == day


def test_groups_list_their_results_with_what_they_are(run):
    listed = {name for group in GROUPS for name in dir(getattr(run, group))}
    assert listed == set(GIVEN_BY)
    assert dir(run.customers) == [
        *("cut", "cut_features", "features", "followed", "history", "no_history", "scaled"),
    ]
    assert repr(run.customers).splitlines()[3].split(maxsplit=1) == [
        "features", "one row per customer with every feature and its group",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(run.orders.ledger, run["ledger"])
    with pytest.raises(AttributeError, match="no result 'profil' of segments; there are"):
        run.segments.profil  # noqa: B018
    assert "profile" not in vars(run)
    assert run.reused == {"orders": False}, "listing results computes none"


def test_arrays_come_back_equal_in_every_bit(run, tmp_path):
    value = run["scaled"]
    arrays.save(tmp_path / "value.npz", value)
    again = arrays.load(tmp_path / "value.npz")
    assert list(again) == list(value)
    for kind, group in value.items():
        assert isinstance(again[kind], PreparedGroup)
        assert again[kind].notes == group.notes
        assert again[kind].values.tobytes() == group.values.tobytes()
        for field in fields(group.preparation):
            before, after = (getattr(one.preparation, field.name) for one in (group, again[kind]))
            assert (
                np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after
            )
    assert run["fits"]["normal"].by_k[2].labels.shape == value["normal"].rows.shape


def test_nothing_is_kept_as_a_pickle(tmp_path):
    with pytest.raises(TypeError, match="array of objects"):
        arrays.save(tmp_path / "value.npz", {"a": np.array([{}], dtype=object)})
