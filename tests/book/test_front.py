"""The first screen of a data set: what it says is what the run's tables say."""

from __future__ import annotations

import re
from decimal import Decimal

import pandas as pd
import pytest

from segmentation.book.words import front
from segmentation.core.errors import ParameterError
from segmentation.core.notebook_parameters import parameters_from_notebook
from segmentation.core.parameters import load_yaml, parameters_from, profile_title, resolve
from segmentation.run.compare_runs import open_changes
from segmentation.run.run import Run


@pytest.fixture(scope="module", params=["cdnow", "marketplace"])
def run(request, runs_dir) -> Run:
    folder = request.getfixturevalue(f"{request.param}_run")
    return Run(parameters_from(load_yaml(folder / "params.yaml")), runs_dir)


class Given(dict):
    """Results of a run, some of them exchanged."""

    def __init__(self, run, **changed):
        super().__init__(changed)
        self.run, self.parameters = run, run.parameters

    def __missing__(self, name):
        return self.run[name]


def test_an_action_has_at_most_fifteen_words_and_names_its_list(run):
    found = front.actions(run, open_changes(run).comparison.migration)

    assert 1 <= len(found) <= 3
    assert [what for what, _ in found if len(what.split()) > 15] == []
    assert all("sheet “" in more for _, more in found)


def test_those_who_fell_come_first_with_the_money_they_spent_before(run):
    low, high = front.highest_first(run["profile"][run["profile"]["segment_type"] == "normal"])[
        "segment"
    ].iloc[[-1, 0]]
    sides = {"segment_type_before": "normal", "segment_type_after": "normal", "movement": "moved"}
    fall = sides | {"segment_before": high, "segment_after": low, "customers": 40}
    rise = sides | {"segment_before": low, "segment_after": high, "customers": 90}
    table = pd.DataFrame([fall, rise]).assign(revenue_before=[Decimal(900_000), Decimal(9000)])

    what, more = front.actions(run, table)[0]

    assert what.startswith(f"Win back 40 who fell from {high} to {low}") and "$900.0K" in more
    rare = table.assign(revenue_before=[Decimal(1), Decimal(9000)])
    assert "Win back" not in front.actions(run, rare)[0][0]
    few = table.assign(customers=4)
    assert "Win back" not in front.actions(run, few)[0][0]


def test_assumed_costs_are_called_assumptions_until_they_are_set(run):
    assert any("are assumptions" in said for said in front.warnings(run))
    own = Given(run)
    own.parameters = run.parameters.model_copy(update={"gross_margin": 0.224})
    assert not any("are assumptions" in said for said in front.warnings(own))


def test_one_customer_of_a_large_share_is_told_with_the_headline_without(run):
    customers = run["customers"].copy()
    total = customers["total_spent"].sum()
    row = customers["total_spent"].idxmax()
    customers.loc[row, "total_spent"] += total  # now more than half
    (said,) = [s for s in front.warnings(Given(run, customers=customers)) if "One customer" in s]

    shares = [float(share) for share in re.findall(r"([\d.]+)%", said)]
    assert shares[0] >= 50 and shares[1] > shares[2]
    assert not any("One customer" in said for said in front.warnings(run))


def test_exchanged_dates_are_told_first_after_what_is_made_up(run):
    swap = {"order_date": {"strength": "strong"}}
    said = list(front.warnings(Given(run, swap=swap)))

    assert "exchanged" in said[1 if run["overview"]["synthetic"] else 0]


def test_the_numbers_are_those_of_the_last_whole_quarter(run):
    found = {what.split(",")[0]: (value, change) for what, value, change, *_ in front.numbers(run)}
    last, before = (run["quarters"].iloc[n] for n in (-1, -2))
    monthly = run["monthly"]

    assert len(found) == 4
    active = last["customers"] / monthly["new_customers"].sum()
    assert found["Active"][0] == front.format_percent(active)
    change = float(last["revenue"]) / float(before["revenue"]) - 1
    assert found["Revenue"][1].startswith(("▼ " if change < 0 else "▲ ") + f"{abs(change):.0%}")


def test_trust_turns_red_with_an_unstable_segment_and_green_without_a_doubt(run):
    names = ("stability", "stability_whole", "chosen", "k_rule", "k_evidence", "holdout")
    given = {name: run[name] for name in (*names, "holdout_rankings")}

    def light(**changed):
        return front.trust(*{**given, **changed}.values())[0]

    assert light() == "amber"
    assert light(stability=given["stability"].assign(verdict="unstable")) == "red"
    clear = {
        "k_rule": {kind: {"failed": {}} for kind in given["chosen"]},
        "k_evidence": given["k_evidence"].assign(silhouette=0.9),
        "stability": given["stability"].assign(verdict="stable"),
        "holdout_rankings": given["holdout_rankings"].assign(difference_high=-1.0),
    }
    assert front.trust(*{**given, **clear}.values())[0] in {"amber", "green"}


def test_a_profile_names_its_part_and_a_title_is_no_parameter(tmp_path):
    assert profile_title("cdnow") == "CDNOW"
    path = tmp_path / "mine.yaml"
    path.write_text("title: My shop\nsource: cdnow\nlocation: .\nn_clusters: 4\n", "utf-8")
    assert profile_title(str(path)) == "My shop"
    assert resolve(str(path))[1].n_clusters == 4
    as_papermill = load_yaml(path)
    assert parameters_from_notebook(as_papermill)[0].n_clusters == 4
    path.write_text("title: [1]\n", "utf-8")
    with pytest.raises(ParameterError, match="title is a text"):
        resolve(str(path))
