"""Model card and hand-over: weaknesses follow the evidence, facts and commands are the run's."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from segmentation import cli
from segmentation.book import pages as book
from segmentation.book import words as insights
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.run.run import Run
from segmentation.segments.model import load_model


@pytest.fixture(scope="module")
def run(shipped_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(shipped_run[1] / "params.yaml")), runs_dir)


def evidence_of(run: Run, **changed) -> dict:
    return {
        "chosen": run["chosen"],
        "k_evidence": run["k_evidence"],
        "k_rule": run["k_rule"],
        "stability": run["stability"],
        "sensitivity": run["sensitivity"],
        "customers": run["customers"],
        "holdout": run["holdout"],
        "rankings": run["holdout_rankings"],
        "recommendations": run["recommendations"],
        "verdict": run["verdict"],
    } | changed


def weak(run: Run, **changed) -> str:
    return "\n".join(insights.weaknesses(**evidence_of(run, **changed)))


# --- weaknesses -------------------------------------------------------------------------


def test_shipped_runs_name_the_weaknesses_that_their_evidence_shows(run, shipped_run):
    said = weak(run)
    scores = run["holdout_rankings"].query("customers_share == 0.2").set_index("ranking")
    first = scores["revenue_share"].drop([scores.index[0], "segments"]).idxmax()
    beaten = scores.at[first, "difference_low"] > 0 and first != "past spend"
    as_well = scores.at["past spend", "difference_high"] >= 0 and not beaten
    assert ("sorting by past spend does" in said) == as_well
    assert (f"{first} does better" in said) == beaten
    cuts = [one["natural_kinds"] is False for one in run["verdict"].values()]
    assert said.count("Slices of one smooth range") == sum(cuts)
    unsupported = run["recommendations"].query("is_campaign and not is_supported")
    assert ("the data cannot show whether it pays" in said) == (len(unsupported) > 0)
    assert ("are too few for 3 clusters" in said) == (shipped_run[0] == "marketplace")
    assert ("is unstable" in said) == (run["stability"]["verdict"] == "unstable").any()


def test_an_unstable_segment_is_named_with_its_figures(run):
    stability = run["stability"].copy()
    stability.loc[0, ["verdict", "jaccard", "same_name"]] = ["unstable", 0.41, 0.7]
    said = weak(run, stability=stability)
    assert "is unstable when customers are drawn again: mean Jaccard 0.41" in said
    assert "keeps this name in 70% of the resamples only" in said


def test_a_division_that_depends_on_settings_is_said_with_the_worst_one(run):
    panel = run["sensitivity"].copy()
    kind = panel.loc[panel["is_chosen"], "segment_type"].iloc[0]
    k = panel.loc[panel["is_chosen"] & (panel["segment_type"] == kind), "k"].iloc[0]
    other = (panel["segment_type"] == kind) & (panel["k"] == k) & ~panel["is_chosen"]
    panel.loc[panel.index[other][0], "agreement"] = 0.123
    assert "(adjusted Rand index 0.12)" in weak(run, sensitivity=panel)


def test_a_failed_test_and_weak_structure_are_said(run):
    kind = next(iter(run["chosen"]))
    k = run["chosen"][kind]["k"]
    rule = {name: dict(entry) for name, entry in run["k_rule"].items()}
    rule[kind]["failed"] = {str(k): ["gap"]}
    scores = run["k_evidence"].assign(silhouette=0.2)
    said = weak(run, k_rule=rule, k_evidence=scores)
    assert f"The division into {k} fails a test: it is not clearly tighter" in said
    assert "a mean silhouette of 0.20 speaks for no substantial structure" in said


def test_borderline_customers_are_a_weakness_from_one_in_twenty(run):
    near = run["customers"].assign(margin=0.01)
    assert "nearly as near to the next segment" in weak(run, customers=near)
    far = run["customers"].assign(margin=0.9)
    assert "nearly as near to the next segment" not in weak(run, customers=far)


def test_where_nothing_was_found_that_is_said(run):
    kinds = list(run["chosen"])
    fine = {kind: run["chosen"][kind] | {"note": ""} for kind in kinds}
    rankings = run["holdout_rankings"].assign(difference_low=-0.2, difference_high=-0.1)
    said = insights.weaknesses(
        **evidence_of(
            run,
            chosen=fine,
            k_rule={kind: entry | {"failed": {}} for kind, entry in run["k_rule"].items()},
            k_evidence=run["k_evidence"].assign(silhouette=0.9),
            stability=run["stability"].assign(verdict="stable", same_name=1.0),
            sensitivity=run["sensitivity"].assign(agreement=1.0),
            customers=run["customers"].assign(margin=0.9),
            rankings=rankings,
            recommendations=run["recommendations"].assign(is_campaign=True, is_supported=True),
            verdict={},
        )
    )
    assert said == ["No test of this report found one; the page on limitations holds all the same."]


def test_without_a_hold_out_prediction_is_untested(run):
    said = weak(run, holdout={"possible": False, "reason": "no dates"}, rankings=pd.DataFrame())
    assert "is not tested: no dates" in said


# --- hand-over --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(run, shipped_run) -> str:
    return book._handover(shipped_run[0], run, shipped_run[1], "A shop")


def test_hand_over_names_the_checksums_of_the_runs_own_files(page, shipped_run):
    folder = shipped_run[1]
    assert load_model(folder / "model").sha256[:16] in page
    table = hashlib.sha256((folder / "segments.parquet").read_bytes()).hexdigest()
    assert table[:16] in page
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["program"]["code"][:16] in page
    assert f"{manifest['rows']['kept']:,} of {manifest['rows']['raw']:,} lines" in page


def test_hand_over_shows_no_place_of_this_machine(page, run):
    assert run.parameters.location not in page
    assert "/tmp" not in page


def test_every_command_of_an_experiment_leads_to_its_own_folder(run, shipped_run, tmp_path):
    name, folder = shipped_run
    shutil.copytree(folder, tmp_path / "made")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    changed = {"location": {"profile": "", "run": str(tmp_path / "orders")}, "k_max": {"run": 6}}
    manifest |= {"folder": f"{name}.1a2b3c4d", "changed": changed}
    (tmp_path / "made" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = book._handover(name, run, tmp_path / "made", "A shop")
    led = re.findall(r"runs/([\w.-]+)", page)
    assert set(led) == {f"{name}.1a2b3c4d", f"{name}-next"}
    again = f"run {name} -p location orders -p k_max 6 --make-current --name {name}-next"
    assert f"segmentation {again}\n" in page and "/tmp" not in page
    assert "give it whole" in page


def test_every_command_of_the_hand_over_is_one_that_there_is(page):
    lines = [
        line
        for block in re.findall(r"```bash\n(.*?)```", page, re.S)
        for line in block.splitlines()
    ]
    commands = [
        line.split("#")[0].split(">")[0] for line in lines if line.startswith("segmentation ")
    ]
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command)[1:]
        options = [word for word in words if word.startswith("--")]
        known = CliRunner().invoke(cli.cli, [words[0], "--help"]).output
        assert "Usage" in known, command
        assert all(option in known for option in options), command
