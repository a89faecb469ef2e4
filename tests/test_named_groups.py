"""Where two groups share a segment's name, whatever shows the name shows the group."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from segmentation import insights
from segmentation.params import load_yaml, parameters_from
from segmentation.pipeline import Run
from segmentation.schema import SEGMENT_TYPE_LABELS


@pytest.fixture(scope="module")
def run(marketplace_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(marketplace_run / "params.yaml")), runs_dir)


def sentences(run: Run) -> dict[str, str]:
    currency, kinds = run.parameters.currency, list(run["chosen"])
    recommendations = run["recommendations"]
    return {
        "shares": insights.share_sentence(run["profile"], currency=currency),
        "margin": insights.margin_sentence(run["customers"]),
        "anomalies": insights.anomaly_sentence(run["customers"], currency=currency),
        "hold-out": insights.holdout_sentence(
            run["holdout"], run["holdout_segments"], currency=currency
        ),
        "actions": "\n\n".join(insights.top_actions(recommendations, currency=currency)),
        "facts": insights.facts_list(run["facts"], run["profile"], currency=currency),
        "rules": insights.rules_list(run["rules"], kinds, currency=currency),
    }


def test_the_demonstration_has_names_that_two_groups_share(run):
    pairs = run["profile"].groupby("segment")["segment_type"].nunique()
    assert (pairs > 1).sum() >= 3


@pytest.mark.parametrize(
    "which", ["shares", "margin", "anomalies", "hold-out", "actions", "facts", "rules"]
)
def test_every_mention_of_a_shared_name_is_followed_by_its_group(run, which):
    text = sentences(run)[which]
    groups = run["profile"].groupby("segment")["segment_type"].nunique()
    shared = [name for name, n in groups.items() if n > 1]
    labels = "|".join(SEGMENT_TYPE_LABELS.values())
    mentions = [m for name in shared for m in re.finditer(re.escape(name), text)]
    assert mentions
    for mention in mentions:
        after = text[mention.end() : mention.end() + 60]
        assert re.match(rf"\W*(customers who )?({labels})", after), text[mention.start() :][:90]


def test_group_and_name_together_are_one_segment(shipped_run):
    profile = pd.read_csv(shipped_run[1] / "profile.csv")
    assert not profile.duplicated(["segment_type", "segment"]).any()


def test_one_group_is_not_mentioned(cdnow_run, runs_dir):
    run = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)
    for which, text in sentences(run).items():
        assert not any(label in text for label in SEGMENT_TYPE_LABELS.values()), which
