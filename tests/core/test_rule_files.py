"""Own names and own plays: what they change, what is refused, and that a changed file counts."""

from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import assert_refused, call_cli, ordinary_orders

from segmentation.actions import recommend
from segmentation.book import plots, style
from segmentation.book import words as insights
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import parameters_from
from segmentation.core.rule_files import SHIPPED_FILES, load_all, load_rules, with_names
from segmentation.run.run import Run

TIERS = {"names": {2: ["Small spenders", "R&D's best (top 50%)"]}, "of_name": {}}


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
    done = shop.lines(ordinary_orders()).run(n_clusters=2, plays=str(path), contact_cost=0)
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
    pytest.param("naming_rules", "rules: " + "[" * 5_000, ("nested too deep",), id="deep"),
    pytest.param("plays", "plays: &a [*a]", ("has an alias", "line 1"), id="alias"),
    pytest.param("naming_rules", "apart: " + "9" * 10_000, ("too many digits",), id="digits"),
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
        "naming_rules", changed("naming_rules", "rules", 1, "colour", value="red"),
        ("rules, number 2, colour", "'#12436D'"), id="no-colour",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 1, "colour", value="#FFEE00"),
        ("#FFEE00 has a contrast of 1.2 on white; marks need 3",), id="pale-colour",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "rules", 1, "plays", value=[]),
        ("rules, number 2, plays",), id="no-plays",
    ),
    pytest.param(
        "naming_rules", changed("naming_rules", "value_tiers", "of_name", "Gold", value={}),
        ("of_name has Gold, which no ladder gives",), id="of-no-name",
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


def test_every_shipped_name_has_a_colour_and_plays_that_exist():
    rules, plays = load_rules("naming_rules"), load_rules("plays")["plays"]
    names = [rule["name"] for rule in rules["rules"]]
    names += [name for ladder in rules["value_tiers"]["names"].values() for name in ladder]
    given = with_names(rules)
    assert set(given) == set(names)
    for name in names:
        assert style.contrast_ratio(given[name]["colour"]) >= 3, name
        assert set(given[name]["plays"]) <= {play["play"] for play in plays}, name


def profile_of(*names: str) -> pd.DataFrame:
    """Segments ascending by what a customer spends."""
    return pd.DataFrame({"segment": names, "revenue": range(1, len(names) + 1), "customers": 1})


def test_colours_belong_to_names_and_no_two_segments_are_drawn_alike():
    rules = load_rules("naming_rules")
    usual = plots.colours_of(profile_of("Low value", "Medium value", "High value"), rules)
    turned = plots.colours_of(profile_of("High value", "Few units customers", "Low value"), rules)
    assert turned["High value"] == usual["High value"] == with_names(rules)["High value"]["colour"]
    assert turned["Low value"] == usual["Low value"]
    assert turned["Few units customers"] not in (usual["High value"], usual["Low value"])
    many = ["Low value", *(f"S{i}" for i in range(30)), "Loyal High-Value Customers", "High value"]
    colours = plots.colours_of(profile_of(*many), rules)
    markers = style.segment_markers(colours)
    assert list(colours) == many
    assert len({(colours[name], markers[name]) for name in many}) == len(many)


def test_of_two_rules_with_one_colour_the_lower_in_spend_keeps_it():
    rules = copy.deepcopy(load_rules("naming_rules"))
    for name in ("Low value", "High value"):
        rules["value_tiers"]["of_name"][name]["colour"] = "#0b5cad"
    colours = plots.colours_of(profile_of("Low value", "High value"), rules)
    assert colours == {"Low value": "#0B5CAD", "High value": style.PALETTE[0]}


def customers_named(name: str) -> pd.DataFrame:
    """Forty good customers of the name and sixty small ones; nobody has been away for long."""
    spent = [400.0] * 40 + [10.0] * 60
    return pd.DataFrame(
        {
            "segment_type": "all", "cluster": [0] * 40 + [1] * 60,
            "segment": [name] * 40 + ["Others"] * 60, "is_anomaly": False,
            "total_spent": spent, "total_unit": 1, "frequency": 2, "recency": 30,
            "average_order_value": spent,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("plays", "expected"),
    [
        (None, "Retain"),
        (["Keep in touch"], "Keep in touch"),
        (["Win back", "Keep in touch", "Retain"], "Keep in touch"),
        (["Win back"], "Retain"),
    ],
    ids=["by-figures", "by-name", "first-that-fits", "none-fits"],
)
def test_a_name_recommends_its_plays_where_the_figures_fit(plays, expected):
    rules = copy.deepcopy(load_rules("naming_rules"))
    rules["value_tiers"]["of_name"]["High value"] = {} if plays is None else {"plays": plays}
    table = recommend.recommend(
        customers_named("High value"), gross_margin=0.3, contact_cost=0.5, naming_rules=rules
    )
    assert table.set_index("segment").loc["High value", "play"] == expected
    few = customers_named("High value").iloc[15:]  # 25 of them: too few for any campaign
    table = recommend.recommend(few, gross_margin=0.3, contact_cost=0.5, naming_rules=rules)
    assert table.set_index("segment").loc["High value", "play"] == "Watch"


def test_own_names_must_recommend_plays_that_there_are(tmp_path):
    own_names, own_plays = tmp_path / "names.yaml", tmp_path / "plays.yaml"
    own_names.write_text(changed("naming_rules", "rules", 0, "plays", value=["Send a card"]))
    with pytest.raises(ParameterError, match="Extreme High Volume Buyers recommends Send a card"):
        load_all({"naming_rules": str(own_names), "plays": "shipped"})
    card = load_rules("plays")["plays"][-1] | {"play": "Send a card"}
    own_plays.write_text(yaml.safe_dump({"plays": [card]}), encoding="utf-8")
    alone = load_all({"naming_rules": "shipped", "plays": str(own_plays)})
    assert [play["play"] for play in alone["plays"]["plays"]] == ["Send a card"]


def test_a_files_colour_reaches_the_pages_of_a_run(shop, own_rules):
    tiers = yaml.safe_load(own_rules.read_text(encoding="utf-8"))["value_tiers"]
    tiers["of_name"] = {"Small spenders": {"colour": "#7A1FA2"}}
    own_rules.write_text(yaml.safe_dump({"value_tiers": tiers}), encoding="utf-8")
    shop.lines(ordinary_orders())
    values = shop.parameters | {"n_clusters": 2, "naming_rules": str(own_rules)}
    run = Run(parameters_from(values), shop.runs_dir)
    colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
    assert colours["Small spenders"] == "#7A1FA2"
    drawn = plots.plot_shares(run["profile"], colours=colours)
    faces = {patch.get_facecolor() for ax in drawn.axes for patch in ax.patches}
    assert (0x7A / 255, 0x1F / 255, 0xA2 / 255, 1.0) in faces


def test_every_name_is_listed_with_its_rule_in_words(shop, own_rules):
    shop.lines(ordinary_orders())
    run = Run(parameters_from(shop.parameters | {"n_clusters": 2}), shop.runs_dir)
    rules = copy.deepcopy(run.rules["naming_rules"])
    named = set(run["profile"]["segment"])
    assert named <= set(with_names(rules)), "the small shop has tiers"
    listed = insights.facts_list(run["facts"], run["profile"], rules, currency="EUR")
    assert listed.count(f"- rule: {rules['value_tiers']['words']}") == 1
    assert listed.count("- the same rule") == 1
    del rules["value_tiers"]["words"]
    assert "- rule" not in insights.facts_list(run["facts"], run["profile"], rules, currency="EUR")
    rules["value_tiers"]["names"] = {}
    without = insights.facts_list(run["facts"], run["profile"], rules, currency="EUR")
    assert without.count("- no rule names it, so it is described by what sets it apart") == 2
