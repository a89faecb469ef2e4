"""Where two groups share a segment's name, whatever shows the name shows the group."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from conftest import ordinary_orders

from segmentation.book import words
from segmentation.book.words.front_actions import actions
from segmentation.core.groups import ALL_CUSTOMERS, SEGMENT_TYPE_LABELS, group_labels, short_groups
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.run.run import Run


@pytest.fixture(scope="module")
def run(marketplace_run, runs_dir) -> Run:
    return Run(parameters_from(load_yaml(marketplace_run / "params.yaml")), runs_dir)


def sentences(run: Run) -> dict[str, str]:
    currency, kinds = run.parameters.currency, list(run["chosen"])
    return {
        "shares": words.share_sentence(run["profile"], currency=currency),
        "margin": words.margin_sentence(run["customers"]),
        "anomalies": words.anomaly_sentence(run["customers"], currency=currency),
        "hold-out": words.holdout_sentence(
            run["holdout"], run["holdout_segments"], currency=currency
        ),
        "actions": "\n\n".join(one.what for one in actions(run)),
        "facts": words.facts_list(
            run["facts"], run["profile"], run.rules["naming_rules"], currency=currency
        ),
        "rules": words.rules_list(run["rules"], kinds, currency=currency),
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
    labels = "|".join([*SEGMENT_TYPE_LABELS.values(), *short_groups(SEGMENT_TYPE_LABELS).values()])
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


# --- what a group is called -------------------------------------------------------------


def shop_of_three_groups(shop, **changed):
    """120 customers: most registered first, 20 ordered first, ten never registered."""
    rows = []
    for line in ordinary_orders(120):
        number = int(line["customer_id"])
        day = {0: "2023-12-30", 1: ""}.get(number // 20 if number < 30 else 9, "2022-12-01")
        rows.append(line | {"registered_date": day})
    return Run(
        parameters_from(shop.lines(rows).parameters | {"n_clusters": 2} | changed), shop.runs_dir
    )


def pages_of(run: Run) -> str:
    return "\n".join(
        [
            *sentences(run).values(),
            words.group_sentence(run["features"], currency="USD"),
            words.k_choice(run["k_evidence"], run["k_rule"], run["chosen"]),
            words.recommendation_cards(
                run["recommendations"],
                run["campaign_plan"],
                currency="USD",
                overview=run["overview"],
                cut="",
                colours={},
                gross_margin=0.3,
                margins=run["margins"],
            ).markup,
        ]
    )


def test_who_registered_first_is_said_only_where_the_others_are_apart(shop):
    apart = shop_of_three_groups(shop)
    assert list(apart["chosen"]) == ["normal", "pre_register", "unregistered"]
    assert "registered before ordering" in pages_of(apart)

    joined = shop_of_three_groups(shop, split_pre_register=False)
    assert list(joined["chosen"]) == ["normal", "unregistered"]
    said = pages_of(joined)
    assert "before ordering" not in said
    assert "registered" in said


def test_without_registration_nothing_is_said_of_it(cdnow_run, runs_dir):
    run = Run(parameters_from(load_yaml(cdnow_run / "params.yaml")), runs_dir)
    card = words.model_card(
        title="x", model_groups=run["chosen"], choice=run["dbscan_choice"],
        overview=run["overview"], evidence="", proof="", margin="", weak=[],
    )  # fmt: skip
    assert "regist" not in card
    assert "all customers: 23,570 customers" in card
    assert "group" not in words.k_table(run["k_evidence"]).text.split("\n")[0]


@pytest.mark.parametrize("kinds", [["normal"], ["normal", "unregistered"], SEGMENT_TYPE_LABELS])
def test_groups_of_a_run_have_different_labels(kinds):
    labels = group_labels(kinds)
    assert len({labels[kind] for kind in kinds}) == len(list(kinds))
    assert (labels["normal"] == ALL_CUSTOMERS) == (list(kinds) == ["normal"])


# --- groups too small to cluster --------------------------------------------------------


def test_a_small_group_beside_a_larger_one_stays_one_segment_and_says_why(run):
    chosen = run["chosen"]["unregistered"]
    assert (chosen["customers"], chosen["k"], chosen["asked"]) == (40, 1, 3)
    assert "40 customers are too few for 3 clusters: fewer than 30 for each" in chosen["note"]
    assert "too few for 3 clusters" in words.k_choice(
        run["k_evidence"], run["k_rule"], run["chosen"]
    )
    assert (run["profile"]["customers"] > 1).all()


def test_the_same_rule_holds_at_the_cut_of_the_hold_out(run):
    sizes = run["holdout_segments"].groupby("segment_type")["customers"].agg(["size", "sum"])
    for kind, row in sizes.iterrows():
        assert row["size"] == (3 if row["sum"] >= 90 else 1), kind
    assert sizes.at["unregistered", "sum"] < 90


def test_the_largest_group_is_clustered_as_asked_however_small(shop):
    run = Run(
        parameters_from(shop.lines(ordinary_orders(40)).parameters | {"n_clusters": 3}),
        shop.runs_dir,
    )
    assert run["chosen"]["normal"]["k"] == 3
