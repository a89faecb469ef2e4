"""Own names and own plays: what they change, what is refused, and that a changed file counts."""

from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import assert_refused, call_cli, ordinary_orders

from segmentation.errors import ParameterError
from segmentation.params import parameters_from
from segmentation.pipeline import Run
from segmentation.rule_files import SHIPPED_FILES, load_rules

TIERS = {"names": {2: ["Small spenders", "R&D's best (top 50%)"]}}


@pytest.fixture
def own_rules(tmp_path: Path) -> Path:
    """The shipped ladder with two other names."""
    tiers = load_rules("naming_rules")["value_tiers"] | TIERS
    path = tmp_path / "own names.yaml"
    path.write_text(yaml.safe_dump({"value_tiers": tiers}), encoding="utf-8")
    return path


@pytest.mark.parametrize("parameter", ["naming_rules", "plays"])
def test_the_shipped_file_passes_its_own_check(parameter):
    assert load_rules(parameter, str(SHIPPED_FILES[parameter])) == load_rules(parameter)


def test_own_names_reach_every_output_and_the_rest_stays_as_shipped(shop, own_rules):
    done = shop.lines(ordinary_orders()).run(n_clusters=2, naming_rules=str(own_rules))
    assert done.code == 0, done.said
    names = set(TIERS["names"][2])
    assert set(pd.read_parquet(shop.result / "segments.parquet")["segment"]) == names
    assert set(pd.read_csv(shop.result / "recommendations.csv")["segment"]) == names
    model = (shop.result / "model" / "model.json").read_text(encoding="utf-8")
    assert "best (top 50%)" in model
    assert str(own_rules) not in model, "a path of this machine"
    used = yaml.safe_load((shop.result / "naming_rules.yaml").read_text(encoding="utf-8"))
    assert used == load_rules("naming_rules", str(own_rules))


def test_a_changed_rule_file_is_read_again_and_recomputes_nothing_before_names(shop, own_rules):
    shop.lines(ordinary_orders())
    values = shop.parameters | {"n_clusters": 2, "naming_rules": str(own_rules)}
    first = Run(parameters_from(values), shop.runs_dir)
    before = {stage: first.key(stage) for stage in ("tuning", "segments", "holdout")}
    text = own_rules.read_text(encoding="utf-8")
    own_rules.write_text(text.replace("Small spenders", "Occasional buyers"), encoding="utf-8")
    second = Run(parameters_from(values), shop.runs_dir)
    changed = [stage for stage, key in before.items() if second.key(stage) != key]
    assert changed == ["segments", "holdout"]
    assert "Occasional buyers" in set(second["segments"]["segment"])


def test_own_plays_are_recommended_with_their_own_period(shop, tmp_path):
    play = {
        "play": "Send a card", "when": {}, "why": "we know them", "do": "Write by hand.",
        "measure": "orders in {days} days", "outcome_days": 30,
    }  # fmt: skip
    path = tmp_path / "plays.yml"
    path.write_text(yaml.safe_dump({"plays": [play]}), encoding="utf-8")
    done = shop.lines(ordinary_orders()).run(n_clusters=2, plays=str(path))
    assert done.code == 0, done.said
    table = pd.read_csv(shop.result / "recommendations.csv")
    assert set(table["play"]) == {"Send a card"}
    assert set(table["measure"]) == {"orders in 30 days"}


def changed(parameter: str, *steps: object, value: object) -> str:
    """The shipped file as text with one value changed; no value given takes it out."""
    rules = copy.deepcopy(load_rules(parameter))
    part = rules
    for step in steps[:-1]:
        part = part[step]
    if value is ...:
        del part[steps[-1]]
    else:
        part[steps[-1]] = value
    return yaml.safe_dump(rules, sort_keys=False)


LAST = -1
MISTAKES = [
    pytest.param("naming_rules", "rules: [", ("not YAML", "line 1"), id="no-yaml"),
    pytest.param("naming_rules", "- a\n- b\n", ("name: value",), id="a-list"),
    pytest.param("naming_rules", "apart: 1\napart: 2\n", ("apart is given twice",), id="twice"),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 1, "when", 0, "feature", value="colour"),
        ("rules, number 2, when, number 1, feature", "'colour' is no feature", "recency"),
        id="unknown-feature",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 0, "when", 0, "at_least", value="much"),
        ("at_least: should be a valid number",), id="no-number",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 0, "when", 0, "at_most", value=1.0),
        ("give one of at_least, at_most",), id="two-comparisons",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 0, "name", value="<script>"),
        ("rules, number 1, name", "letters, digits"), id="html",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 0, "name", value="=1+1"),
        ("begins with a letter or digit",), id="formula",
    ),
    pytest.param(
        "naming_rules",
        changed("naming_rules", "rules", 0, "name", value="Loyal High-Value Customers"),
        ("two rules give the name", "Loyal High-Value Customers"), id="one-name-twice",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "value_tiers", "names", 3, value=["A", "B"]),
        ("the ladder of 3 clusters needs 3 different names",), id="short-ladder",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "words", "tenure", value=...),
        ("words lacks tenure",), id="word-missing",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "colour", value="red"),
        ("colour: is not known here",), id="unknown-key",
    ),
    pytest.param(
        "plays", changed("plays", "plays", LAST, "when", value={"customers_below": 9}),
        ("the last play must have",), id="nobody-left-over",
    ),
    pytest.param(
        "plays", changed("plays", "plays", 0, "outcome_days", value=45),
        ("outcome_days is 45", "30, 60, 90, 180"), id="period",
    ),
    pytest.param(
        "plays", changed("plays", "plays", 0, "do", value=...),
        ("plays, number 1, do: is missing",), id="missing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "text", "words"), MISTAKES)
def test_a_mistake_in_a_rule_file_is_one_sentence_that_says_where(parameter, text, words, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        load_rules(parameter, str(path))
    said = str(refused.value)
    assert said.startswith(f"{parameter} {path}: ")
    assert said.endswith(".")
    assert "\n" not in said
    for word in words:
        assert word in said


def test_the_command_refuses_a_wrong_file_before_it_reads_any_order(shop, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("apart: -1\n", encoding="utf-8")
    assert_refused(shop.run(naming_rules=str(path)), "naming_rules", "own.yaml: apart")
    assert_refused(shop.run(plays=str(tmp_path / "none.yaml")), "plays", "no such file")
    assert_refused(call_cli("run", "cdnow", "-p", "plays", "mine.txt"), "shipped, or *.yaml")
    assert not shop.result.exists()
