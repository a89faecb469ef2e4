"""Anomaly settings, sensitivity, rules: equal to scikit-learn and to a run with those parameters."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
from conftest import call_cli
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score

from segmentation.book import words as insights
from segmentation.core.groups import group_labels
from segmentation.core.parameters import load_yaml, parameters_from
from segmentation.evidence.anomalies import dense_groups, injected_recall, tune_dbscan
from segmentation.evidence.explain import apply_rules, explain, rounded_cut
from segmentation.run.run import Run
from segmentation.segments.dbscan import find_neighbours, fit_dbscan
from segmentation.segments.map import map_agreement
from segmentation.segments.model import load_model


def run_of(folder, runs_dir, **changed) -> Run:
    return Run(parameters_from(load_yaml(folder / "params.yaml") | changed), runs_dir)


@settings(max_examples=120, deadline=None)
@given(
    cells=st.integers(1, 3).flatmap(
        lambda width: arrays(
            np.int64, st.tuples(st.integers(2, 70), st.just(width)), elements=st.integers(0, 7)
        )
    ),
    eps=st.sampled_from([0.3, 0.6, 0.75, 1.05, 1.25]),
    min_samples=st.integers(2, 8),
    deeper=st.integers(0, 3),
)
def test_dense_groups_are_as_many_as_sklearn_finds(cells, eps, min_samples, deeper):
    values = cells / 2
    neighbours = find_neighbours(values, max_min_samples=min_samples + deeper)

    found = DBSCAN(eps=eps, min_samples=min_samples).fit(values).labels_.max() + 1

    assert dense_groups(neighbours, eps, min_samples) == found


def test_every_cell_of_the_anomaly_evidence_equals_sklearn(marketplace_run, runs_dir):
    run = run_of(marketplace_run, runs_dir)
    values = run["scaled"]["normal"].values
    cells = pd.read_csv(marketplace_run / "evidence_dbscan.csv")
    cells = cells[cells["segment_type"] == "normal"]

    assert len(cells) == 20
    for cell in cells.itertuples():
        found = DBSCAN(eps=cell.eps, min_samples=cell.min_samples).fit(values).labels_
        assert cell.dense_groups == found.max() + 1, cell
        assert cell.noise_share == pytest.approx((found == -1).mean()), cell


def test_flags_stay_when_nobody_near_them_is_left_out():
    # two far customers and a dense crowd: a tenth fewer in the crowd changes nothing
    crowd = np.random.default_rng(1).normal(0, 0.1, (300, 2))
    values = np.concatenate([crowd, [[50.0, 50.0], [-50.0, 50.0]]])
    grid = pd.DataFrame({"eps": [1.0], "min_samples": [4]})

    cell = tune_dbscan(values, grid, knee_at=None, random_state=1).iloc[0]

    assert (cell["stability"], cell["dense_groups"]) == (1.0, 1)
    assert cell["noise_share"] == pytest.approx(2 / 302)


def test_settled_flags_are_tried_with_the_radius_that_others_would_have_given():
    """Independent: sklearn's DBSCAN on each subsample, at the knee of that subsample."""
    values = np.random.default_rng(5).standard_t(2, (300, 2))
    fit = fit_dbscan(values)
    grid = pd.DataFrame({"eps": [fit.eps], "min_samples": [fit.min_samples]})
    found = tune_dbscan(values, grid, knee_at=fit.min_samples, random_state=7).iloc[0]
    shares = []
    for number in range(10):
        kept = np.sort(np.random.default_rng([7, number]).permutation(300)[:270])
        eps = fit_dbscan(values[kept]).eps
        again = DBSCAN(eps=eps, min_samples=fit.min_samples).fit(values[kept]).labels_ == -1
        before = fit.is_noise[kept]
        shares.append((again & before).sum() / (again | before).sum())
    assert found["stability"] == pytest.approx(np.mean(shares))
    fixed = tune_dbscan(values, grid, knee_at=None, random_state=7).iloc[0]
    assert found["stability"] < fixed["stability"]


def test_planted_anomalies_are_caught_and_copies_of_ordinary_customers_are_not():
    crowd = np.random.default_rng(2).normal(0, 0.2, (500, 3))

    table = injected_recall(crowd, crowd, eps=0.3, random_state=3).set_index("kind")

    assert (table["planted"] == 200).all()
    assert table.at["one value beyond all others", "flagged"] >= 150
    assert table.at["near copies of ordinary customers", "flagged"] == 0


def test_nothing_is_planted_where_everybody_is_flagged():
    crowd = np.random.default_rng(2).normal(0, 0.2, (50, 2))

    table = injected_recall(crowd, np.empty((0, 2)), eps=0.3, random_state=3)

    assert (table["flagged"] == table["planted"]).all()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"transform": "yeo-johnson", "scaler": "robust"}, id="another-preparation"),
        pytest.param({"n_clusters": 4}, id="one-segment-more"),
        pytest.param({"returns": "net", "n_clusters": 2}, id="returns-netted"),
        pytest.param({"anomalies_in_fit": False}, id="anomalies-out-of-the-fit"),
    ],
)
def test_a_cell_of_the_sensitivity_panel_is_what_a_run_with_these_parameters_gives(
    marketplace_run, runs_dir, tmp_path, changed
):
    base = pd.read_parquet(marketplace_run / "segments.parquet").set_index("customer_id")
    panel = pd.read_csv(marketplace_run / "evidence_sensitivity.csv")

    other = run_of(marketplace_run, tmp_path, k_max=2, **changed)["segments"]

    used = {"returns": "exclude", "transform": "log", "scaler": "standard", "n_clusters": 3}
    used |= {"anomalies_in_fit": True} | changed
    for kind in ("normal", "pre_register"):
        cell = panel[
            (panel["segment_type"] == kind)
            & (panel["anomalies"] == ("in" if used["anomalies_in_fit"] else "out"))
            & (panel["k"] == used["n_clusters"])
            & (panel[["returns", "transform", "scaler"]]
               == [used["returns"], used["transform"], used["scaler"]]).all(axis=1)
        ].squeeze()  # fmt: skip
        own = other[other["segment_type"] == kind]
        known = own["customer_id"].isin(base.index)
        before = base.loc[own["customer_id"][known], "cluster"]
        expected = adjusted_rand_score(before, own["cluster"][known])
        assert cell["agreement"] == pytest.approx(expected)
        top = own[own["cluster"] == used["n_clusters"] - 1]
        assert cell["top_customers"] == len(top)
        assert cell["top_revenue"] == pytest.approx(top["total_spent"].sum())


def test_centres_fitted_without_anomalies_are_those_of_scikit_learn(marketplace_run, runs_dir):
    run = run_of(marketplace_run, runs_dir, anomalies_in_fit=False)
    segments = run["segments"].set_index("customer_id")
    model = load_model(run.stage("segments") / "model").groups["normal"]
    own = segments[segments["segment_type"] == "normal"]
    names = list(model.preparation.features)
    prepared = model.preparation.apply(own[names].to_numpy(dtype=float))
    ordinary = ~own["is_anomaly"].to_numpy()

    fitted = KMeans(3, n_init=run.parameters.n_init, random_state=42).fit(prepared[ordinary])

    nearest = fitted.predict(prepared)
    assert adjusted_rand_score(own["cluster"], nearest) > 0.99
    inertia = ((prepared[ordinary] - model.centers[own["cluster"][ordinary]]) ** 2).sum()
    assert inertia == pytest.approx(fitted.inertia_, rel=1e-4)
    spent = own.groupby("cluster")["total_spent"].mean()
    assert spent.is_monotonic_increasing
    assert run["holdout"]["possible"]
    assert (run["stability_whole"]["customers"] <= ordinary.sum()).all()
    panel = run["sensitivity"]
    assert (panel.loc[panel["is_chosen"], "anomalies"] == "out").all()
    assert (panel.loc[panel["is_chosen"], "agreement"] == 1).all()


def test_the_setting_in_use_agrees_with_itself(shipped_run):
    panel = pd.read_csv(shipped_run[1] / "evidence_sensitivity.csv")

    own = panel[panel["is_chosen"]]

    assert (own["agreement"] == 1).all()
    assert own["segment_type"].is_unique


@pytest.mark.parametrize("name", ["cdnow", "marketplace"])
def test_rules_as_printed_have_the_fidelity_that_is_printed(name, request, runs_dir):
    folder = request.getfixturevalue(f"{name}_run")
    rules = pd.read_csv(folder / "evidence_rules.csv")
    segments = pd.read_parquet(folder / "segments.parquet")
    fidelity = run_of(folder, runs_dir)["fidelity"]
    for kind, own in rules.groupby("segment_type"):
        customers = segments[segments["segment_type"] == kind]
        names = [n for n in customers.columns if f"{n}_upto" in own.columns]
        right = times = np.zeros(len(customers))
        for rule in own.to_dict("records"):
            holds = np.ones(len(customers), dtype=bool)
            for n in names:
                value = customers[n].to_numpy(dtype=float)
                holds &= ~(value <= rule[f"{n}_above"]) & ~(value > rule[f"{n}_upto"])
            times = times + holds
            right = right + (holds & (customers["cluster"].to_numpy() == rule["cluster"]))
        assert times.max() <= 1
        assert right.sum() / len(customers) == pytest.approx(fidelity[kind]["own"])


def test_rules_find_two_groups_that_one_threshold_divides():
    spent = np.concatenate([np.arange(1.0, 61), np.arange(412.0, 452)])
    raw = pd.DataFrame({"total_spent": spent, "recency": np.tile([5.0, 9.0], 50)})
    labels = (spent > 400).astype(int)
    prepared = ((raw - raw.mean()) / raw.std()).to_numpy()

    found = explain(raw, prepared, labels, random_state=1)

    assert len(found.rules) == 2
    assert found.fidelity["own"] == found.fidelity["held_out"] == 1
    assert found.fidelity["largest"] == 0.6
    assert found.ranking["feature"].tolist() == ["total_spent", "recency"]
    assert (apply_rules(found.rules, raw) == labels).all()
    words = insights.rules_list(
        found.rules.assign(segment_type="normal", segment=["Low", "High"]),
        ["normal"],
        currency="USD",
    )
    assert "total spent over \\$236.00: 100% of 40 customers are in this segment" in words


def test_rules_on_customers_held_out_are_no_better_than_chance_where_there_is_no_rule():
    random = np.random.default_rng(4)
    raw = pd.DataFrame(random.uniform(size=(600, 2)), columns=["recency", "total_spent"])

    found = explain(raw, raw.to_numpy(), random.integers(0, 2, 600), random_state=1)

    assert found.fidelity["held_out"] < 0.6 < found.fidelity["own"] + 0.1
    assert found.fidelity["held_out_low"] <= 0.5 <= found.fidelity["held_out_high"] + 0.05


@pytest.mark.parametrize(
    ("cut", "said"), [(60.5, 60.0), (0.5, 0.0), (1234.5, 1230.0), (85.4321, 85.4), (-2.5, -3.0)]
)
def test_thresholds_are_rounded_as_a_person_would_say_them(cut, said):
    assert rounded_cut(cut) == said


def test_a_map_that_hides_the_split_is_cautioned_against():
    points = np.random.default_rng(5).normal(size=(400, 2))
    labels = np.tile([0, 1], 200)

    share = map_agreement(points, labels)

    assert share < 0.65
    entry = {"normal": {"agreement": share, "customers": 400}}
    assert "Caution" in insights.map_sentence(entry, ["normal"])
    entry["normal"]["agreement"] = 0.99
    assert "Caution" not in insights.map_sentence(entry, ["normal"])


# --- where the evidence is published ---------------------------------------------------


def test_the_run_folder_has_every_evidence_file_with_the_figures_of_the_book(shipped_run, runs_dir):
    from segmentation.deliver.run_folder import EVIDENCE_FILES

    run = run_of(shipped_run[1], runs_dir)
    for result, name in EVIDENCE_FILES.items():
        published = pd.read_csv(shipped_run[1] / name)
        assert len(published) == len(run[result]) > 0, name
        assert published.columns.tolist() == run[result].columns.tolist()
    tuning = pd.read_csv(shipped_run[1] / "tuning_k.csv")
    first = ["segment_type", "k", "inertia", "silhouette", "calinski_harabasz", "davies_bouldin"]
    assert tuning.columns.tolist()[:6] == first
    assert (tuning.groupby("segment_type")["k"].min() == 1).all()


def test_the_workbook_says_how_stable_each_segment_is(shipped_run):
    stability = pd.read_csv(shipped_run[1] / "evidence_stability.csv")
    path = shipped_run[1] / "customer_segmentation_output.xlsx"

    book = openpyxl.load_workbook(path, read_only=True)
    header, *rows = book["Segment profile"].iter_rows(values_only=True)
    book.close()

    sheet = pd.DataFrame(rows, columns=header)
    said = group_labels(stability["segment_type"])
    if stability["segment_type"].nunique() == 1:
        sheet["Group"] = said[stability["segment_type"].iloc[0]]  # the only group is not named
    sheet = sheet.set_index(["Group", "Segment"])
    for row in stability.itertuples():
        assert sheet.at[(said[row.segment_type], row.segment), "Stability"] == row.verdict


@pytest.fixture
def unstable():
    whole = {"resamples": 100, "customers": 50, "agreement": 0.4, "agreement_low": 0.1,
             "agreement_high": 0.8, "segment_type": "normal"}  # fmt: skip
    return (
        pd.DataFrame(
            [
                {
                    "segment_type": "normal",
                    "cluster": 0,
                    "segment": "Shaky",
                    "customers": 30,
                    "jaccard": 0.41,
                    "jaccard_low": 0.3,
                    "jaccard_high": 0.52,
                    "verdict": "unstable",
                }
            ]
        ),
        pd.DataFrame([whole | {"method": "bootstrap"}]),
    )


def test_the_model_card_calls_an_unstable_segment_unstable(unstable):
    stability, whole = unstable
    none = {"possible": False, "reason": "the source is a customer table without dates"}

    summary = insights.evidence_summary(stability, whole, none, pd.DataFrame(), ["normal"])
    card = insights.model_card(
        title="Shop", model_groups={}, choice={}, evidence="", margin="", proof=summary, weak=[],
        overview={"first_order": None, "customers": 50},
    )  # fmt: skip

    assert "Shaky **unstable** (0.41; 0.30 to 0.52)" in card
    few = stability.assign(customers=29, verdict="too few to say")
    said = insights.evidence_summary(few, whole, none, pd.DataFrame(), ["normal"])
    assert "Shaky too small to say (n = 29)" in said
    assert "Prediction: not tested, the source is a customer table without dates." in card


def test_shares_of_later_revenue_in_the_summary_have_intervals(unstable):
    rankings = pd.DataFrame(
        {
            "ranking": ["segments", "past spend"], "customers_share": 0.2, "customers": 10,
            "revenue_share": [0.62, 0.66], "revenue_share_low": [0.6, 0.64],
            "revenue_share_high": [0.64, 0.68],
        }
    )  # fmt: skip

    summary = insights.evidence_summary(
        *unstable, {"possible": True, "cut": "1997-09-30", "customers": 50}, rankings, ["normal"]
    )

    assert "fifth of customers (n = 10 of 50) chosen by segments 62%" in summary
    assert "segments 62% (60%–64%) and past spend 66% (64%–68%)" in summary


def test_the_workbook_sheet_carries_the_word_unstable(unstable, shipped_run):
    from segmentation.deliver.run_folder import _with_stability

    profile = pd.DataFrame(
        {"segment_type": ["normal"] * 2, "cluster": [0, 1], "segment": ["Shaky", "Alone"],
         "customers": [9, 1]}
    )  # fmt: skip

    table = _with_stability(profile, unstable[0])

    assert table["stability"].tolist() == ["unstable", "not tested"]


def test_auto_on_a_shop_without_structure_leaves_one_segment(shop):
    random = np.random.default_rng(9)
    rows = []
    for c in range(150):
        row = dict.fromkeys(("customer_id", "register_to_order", "first_to_last_order"))
        spent, units = random.normal(50, 5), random.normal(100, 8)
        row |= {"customer_id": f"{c:04d}", "register_to_order": f"{random.normal(90, 9):.3f}",
                "first_to_last_order": f"{random.normal(200, 20):.3f}",
                "total_unit": f"{units:.3f}", "total_spent": f"{spent:.2f}"}  # fmt: skip
        rows.append(row)
    shop.lines(rows, name="customer_segmentation_data.csv")

    outcome = call_cli(
        "run", "customer_segmentation_data", "-p", "location", shop.folder, "-p", "n_clusters",
        "auto", "-p", "transform", "none", "--runs-dir", shop.runs_dir, "--name", "shop",
        "--make-current",
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    assert set(pd.read_parquet(shop.result / "segments.parquet")["cluster"]) == {0}
    assert pd.read_csv(shop.result / "evidence_stability.csv").empty


def test_a_choice_is_plain_data():
    from segmentation.evidence.choose_k import Choice

    choice = Choice(3, 2, 0.1, False, {4: ["gap"]})

    assert choice.as_plain() == json.loads(json.dumps(dataclasses.asdict(choice)))  # as it is kept
