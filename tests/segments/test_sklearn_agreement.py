"""The package's figures equal scikit-learn's own, customer by customer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from segmentation.core import threads
from segmentation.core.parameters import parameters_from
from segmentation.customers.preparation import yeo_johnson
from segmentation.customers.prepare import prepare_group
from segmentation.run.run import Run
from segmentation.segments import distances as geometry
from segmentation.segments import kmeans as cluster
from segmentation.segments import large_kmeans
from segmentation.segments.dbscan import auto_eps, auto_min_samples, find_neighbours, fit_dbscan
from segmentation.segments.map import project
from segmentation.segments.model import load_model
from segmentation.segments.silhouettes import silhouettes


@dataclass(frozen=True)
class Group:
    """One group of a run, prepared again by scikit-learn alone, in canonical order."""

    segments: pd.DataFrame
    values: np.ndarray
    flag_values: np.ndarray


def signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def groups_of(folder: Path) -> dict[str, Group]:
    parameters = yaml.safe_load((folder / "params.yaml").read_text())
    assert (parameters["transform"], parameters["scaler"]) == ("log", "standard")
    segments = pd.read_parquet(folder / "segments.parquet")
    groups = {}
    for kind, members in segments.groupby("segment_type"):
        used = [name for name in parameters["features"] if members[name].notna().any()]
        members = members.sort_values(used, kind="stable").reset_index(drop=True)
        pipeline = make_pipeline(FunctionTransformer(signed_log), StandardScaler())
        raw = members[used].to_numpy(float)
        values = pipeline.fit_transform(raw)
        dates = np.isin(used, ["recency", "tenure"])
        flag_values = np.where(dates, StandardScaler().fit_transform(raw), values)
        groups[str(kind)] = Group(members, values, flag_values)
    return groups


def clustered(groups: dict[str, Group], n_clusters: int = 3) -> dict[str, Group]:
    """Groups with 30 customers for each cluster, and the largest; others are one segment."""
    small = {
        kind
        for kind, group in groups.items()
        if kind != "normal" and len(group.segments) < 30 * n_clusters
    }
    assert all((groups[kind].segments["cluster"] == 0).all() for kind in small)
    return {kind: group for kind, group in groups.items() if kind not in small}


@pytest.fixture(scope="session")
def groups(shipped_run):
    return groups_of(shipped_run[1])


@pytest.fixture(scope="session")
def kmeans(groups):
    return {
        kind: KMeans(n_clusters=3, n_init=10, random_state=42).fit(group.values)
        for kind, group in clustered(groups).items()
    }


def renumbered(labels: np.ndarray, spent: pd.Series) -> np.ndarray:
    """scikit-learn's labels, numbered by ascending mean spend."""
    rank = spent.groupby(labels).mean().rank().astype(int) - 1
    return rank.loc[labels].to_numpy()


def test_every_customer_has_the_cluster_of_sklearn_kmeans(groups, kmeans):
    for kind, group in clustered(groups).items():
        expected = renumbered(kmeans[kind].labels_, group.segments["total_spent"])
        assert (group.segments["cluster"].to_numpy() == expected).all(), kind


def test_the_model_assigns_every_customer_as_sklearn_predicts(shipped_run, groups, kmeans):
    model = load_model(shipped_run[1] / "model")
    for kind, group in clustered(groups).items():
        used = ["customer_id", *model.features, "segment_type"]
        assigned = model.assign(group.segments[used])
        predicted = renumbered(kmeans[kind].predict(group.values), group.segments["total_spent"])
        assert (assigned["cluster"].to_numpy() == predicted).all(), kind


def test_margin_is_one_minus_nearest_over_second_nearest_centre(groups, kmeans):
    for kind, group in clustered(groups).items():
        distances = np.sort(kmeans[kind].transform(group.values), axis=1)
        expected = 1 - distances[:, 0] / distances[:, 1]
        np.testing.assert_allclose(group.segments["margin"], expected, rtol=1e-9, atol=1e-9)


def test_inertia_of_every_k_equals_sklearn(marketplace_run):
    tuning = pd.read_csv(marketplace_run / "tuning_k.csv")
    normal = groups_of(marketplace_run)["normal"].values
    published = tuning[tuning["segment_type"] == "normal"].set_index("k")["inertia"]

    assert published.index.tolist() == list(range(1, 11))
    for k in (2, 5, 10):
        fitted = KMeans(n_clusters=k, n_init=10, random_state=42).fit(normal)
        assert published[k] == pytest.approx(fitted.inertia_, rel=1e-9)


def chosen_setting(folder: Path, kind: str) -> tuple[float, int]:
    group = load_model(folder / "model").groups[kind]
    return group.eps, group.min_samples


def test_noise_and_core_sets_equal_sklearn_dbscan(shipped_run, groups):
    model = load_model(shipped_run[1] / "model")
    for kind, group in groups.items():
        eps, min_samples = chosen_setting(shipped_run[1], kind)
        found = DBSCAN(eps=eps, min_samples=min_samples).fit(group.flag_values)
        flags = group.segments["is_anomaly"].to_numpy()
        assert (flags == (found.labels_ == -1)).all(), kind
        core = np.unique(found.components_, axis=0)
        ours = np.unique(model.groups[kind].core_points, axis=0)
        np.testing.assert_allclose(ours, core, atol=1e-9)


def test_noise_and_core_sets_of_every_cell_of_the_grid_equal_sklearn_dbscan(marketplace_run):
    grid = pd.read_csv(marketplace_run / "tuning_dbscan.csv")
    groups = groups_of(marketplace_run)

    assert grid.groupby("segment_type").size().to_dict() == dict.fromkeys(groups, 20)
    for kind, cells in grid.groupby("segment_type"):
        values = groups[str(kind)].flag_values
        neighbours = find_neighbours(values, max_min_samples=int(cells["min_samples"].max()))
        for cell in cells.itertuples():
            found = DBSCAN(eps=cell.eps, min_samples=cell.min_samples).fit(values)
            is_core = np.isin(np.arange(len(values)), found.core_sample_indices_)
            core, noise = (
                flags[neighbours.member] for flags in neighbours.flags(cell.eps, cell.min_samples)
            )
            assert (core == is_core).all(), cell
            assert (noise == (found.labels_ == -1)).all(), cell
            assert (cell.core, cell.noise) == (is_core.sum(), noise.sum()), cell
            assert cell.noise_share == pytest.approx(noise.mean()), cell


def test_the_chosen_setting_is_a_cell_of_the_grid(shipped_run):
    grid = pd.read_csv(shipped_run[1] / "tuning_dbscan.csv")
    segments = pd.read_parquet(shipped_run[1] / "segments.parquet")

    for kind, cells in grid.groupby("segment_type"):
        eps, min_samples = chosen_setting(shipped_run[1], str(kind))
        cell = cells[(cells["eps"] == eps) & (cells["min_samples"] == min_samples)]
        flagged = segments.loc[segments["segment_type"] == kind, "is_anomaly"].sum()
        assert cell["noise"].item() == flagged


# distances on a grid of halves are 0, 0.5, 0.707, 1, 1.118, 1.414 …: none sits on these eps
EPS_OFF_THE_GRID = st.sampled_from([0.3, 0.6, 0.75, 1.05, 1.25, 1.6])


@settings(max_examples=150, deadline=None)
@given(
    cells=st.integers(1, 3).flatmap(
        lambda width: arrays(
            np.int64, st.tuples(st.integers(1, 60), st.just(width)), elements=st.integers(0, 5)
        )
    ),
    eps=EPS_OFF_THE_GRID,
    min_samples=st.integers(2, 9),
    deeper=st.integers(0, 20),
)
def test_dbscan_is_exact_among_many_duplicates(cells, eps, min_samples, deeper):
    values = cells / 2
    neighbours = find_neighbours(values, max_min_samples=min_samples + deeper)

    core, noise = (flags[neighbours.member] for flags in neighbours.flags(eps, min_samples))

    found = DBSCAN(eps=eps, min_samples=min_samples).fit(values)
    assert set(np.flatnonzero(core)) == set(found.core_sample_indices_)
    assert (noise == (found.labels_ == -1)).all()


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(
        np.float64,
        st.tuples(st.integers(2, 50), st.integers(1, 4)),
        elements=st.integers(-30, 30).map(lambda n: n / 8),
    )
)
def test_dbscan_flags_at_its_automatic_setting_equal_sklearn(values):
    fit = fit_dbscan(values)

    assert fit.min_samples == auto_min_samples(values.shape[1])
    if len(values) < fit.min_samples:
        assert not fit.is_noise.any()
        return
    found = DBSCAN(eps=fit.eps, min_samples=fit.min_samples).fit(values)
    assert (fit.is_noise == (found.labels_ == -1)).all()


def test_auto_eps_is_the_middle_of_where_the_curve_is_furthest_below_its_chord():
    # chord from (0, 1) to (1, 11): at shares 0, .25, .5, .75, 1 it is 1, 3.5, 6, 8.5, 11;
    # the curve lies 0, 2.5, 4.8, 6.3 and 0 below it, so the knee is 2.2, rounded up
    assert auto_eps(np.array([2.2, 1.0, 11.0, 1.2, 1.0])) == 2.21
    # 2.5 and 4.98 below it, then 4.97: hardly less deep, and as good a knee
    assert auto_eps(np.array([1.0, 1.0, 1.02, 3.53, 11.0])) == 2.28


def test_silhouette_of_every_customer_equals_sklearn(marketplace_run):
    tuning = pd.read_csv(marketplace_run / "tuning_k.csv").set_index(["segment_type", "k"])
    for kind, group in clustered(groups_of(marketplace_run)).items():
        labels = group.segments["cluster"].to_numpy()
        expected = silhouette_samples(group.values, labels)
        found = silhouettes(group.values, [labels], np.arange(len(labels)))[0]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert tuning.at[(kind, 3), "silhouette"] == pytest.approx(expected.mean(), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(
        np.float64, st.tuples(st.integers(4, 40), st.just(2)), elements=st.integers(-20, 20)
    ),
    labels=st.lists(st.integers(0, 2), min_size=40, max_size=40),
)
def test_silhouette_equals_sklearn_with_duplicates_and_clusters_of_one(values, labels):
    labels = np.unique(labels[: len(values)], return_inverse=True)[1]
    if not 2 <= labels.max() + 1 < len(values):
        return

    found = silhouettes(values, [labels], np.arange(len(values)))[0]

    np.testing.assert_allclose(found, silhouette_samples(values, labels), atol=1e-9)


def test_scores_of_the_chosen_k_equal_sklearn(shipped_run, groups):
    tuning = pd.read_csv(shipped_run[1] / "tuning_k.csv").set_index(["segment_type", "k"])
    for kind, group in clustered(groups).items():
        labels, row = group.segments["cluster"].to_numpy(), tuning.loc[(kind, 3)]
        ch = calinski_harabasz_score(group.values, labels)
        db = davies_bouldin_score(group.values, labels)
        assert row["calinski_harabasz"] == pytest.approx(ch, rel=1e-9)
        assert row["davies_bouldin"] == pytest.approx(db, rel=1e-9)


def test_cdnow_mean_silhouette_equals_sklearn(cdnow_run):
    tuning = pd.read_csv(cdnow_run / "tuning_k.csv").set_index("k")
    group = groups_of(cdnow_run)["normal"]

    expected = silhouette_samples(group.values, group.segments["cluster"].to_numpy()).mean()

    assert tuning.at[3, "silhouette"] == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def skewed() -> pd.DataFrame:
    """Heavy-tailed, negative and discrete features of 500 customers."""
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "register_to_order": random.normal(-5, 40, 500).round(),
            "frequency": random.poisson(2, 500) + 1.0,
            "total_spent": random.lognormal(4, 1.5, 500).round(2),
            "segment_type": "normal",
        }
    )


@pytest.mark.parametrize("outliers", ["none", "winsor"])
@pytest.mark.parametrize("scaler", ["standard", "robust"])
@pytest.mark.parametrize("transform", ["none", "log", "yeo-johnson"])
def test_preparation_equals_a_sklearn_pipeline(skewed, transform, scaler, outliers):
    names = ("register_to_order", "frequency", "total_spent")
    raw = skewed[list(names)].to_numpy()
    low, high = -np.inf, np.inf
    if outliers == "winsor":
        low, high = np.quantile(raw, [0.05, 0.95], axis=0)
    shapes = {
        "none": FunctionTransformer(),
        "log": FunctionTransformer(signed_log),
        "yeo-johnson": PowerTransformer("yeo-johnson", standardize=False),
    }
    scalers = {"standard": StandardScaler(), "robust": RobustScaler()}
    pipeline = make_pipeline(shapes[transform], scalers[scaler])

    group = prepare_group(
        skewed,
        "normal",
        names=names,
        outliers=outliers,
        winsor_quantile=0.95,
        transform=transform,
        scaler=scaler,
    )

    assert sorted(group.rows) == list(range(500))
    expected = pipeline.fit_transform(np.clip(raw, low, high)[group.rows])
    # the exponent of Yeo-Johnson is searched for numerically, to about eight digits
    tolerance = 1e-6 if transform == "yeo-johnson" else 1e-9
    np.testing.assert_allclose(group.values, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=100, deadline=None)
@given(
    values=arrays(np.float64, st.tuples(st.integers(2, 20), st.just(1)),
                  elements=st.floats(-1e4, 1e4, allow_subnormal=False)),
    exponent=st.sampled_from([-2.0, -0.5, 0.0, 0.3, 1.0, 1.7, 2.0, 3.0]),
)  # fmt: skip
def test_yeo_johnson_equals_sklearn_for_values_of_any_sign(values, exponent):
    transformer = PowerTransformer("yeo-johnson", standardize=False).fit([[1.0], [2.0], [4.0]])
    transformer.lambdas_ = np.array([exponent])

    found = yeo_johnson(values, np.array([exponent]))

    np.testing.assert_allclose(found, transformer.transform(values), rtol=1e-9, atol=1e-12)


def test_projection_equals_sklearn_pca_up_to_sign(marketplace_run):
    values = groups_of(marketplace_run)["normal"].values
    names = ("register_to_order", "first_to_last_order", "total_unit", "total_spent")

    projection = project(values, names)

    pca = PCA().fit(values)
    scores = pca.transform(values)
    np.testing.assert_allclose(
        projection.explained["explained"], pca.explained_variance_ratio_, rtol=1e-9
    )
    for number in (0, 1):
        loading = projection.loadings[f"pc{number + 1}"].to_numpy()
        sign = np.sign(loading @ pca.components_[number])
        np.testing.assert_allclose(loading, sign * pca.components_[number], atol=1e-9)
        np.testing.assert_allclose(
            projection.points[:, number], sign * scores[:, number], atol=1e-9
        )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"n_clusters": 5, "n_init": 3, "random_state": 7}, id="another-k-and-seed"),
        pytest.param({"scaler": "robust", "transform": "yeo-johnson"}, id="another-preparation"),
    ],
)
def test_other_settings_too_give_the_clusters_of_sklearn(tmp_path, changed):
    values = {
        "source": "marketplace",
        "location": "data/raw_data/marketplace",
        "features": ["first_to_last_order", "total_unit", "total_spent"],
        "k_max": 2,
    } | changed
    parameters = parameters_from(values)
    run = Run(parameters, tmp_path)
    customers = run["segments"]

    for kind, members in customers.groupby("segment_type"):
        used = list(parameters.features)
        if kind == "unregistered":  # fewer than 30 for each cluster: one segment
            assert (members["cluster"] == 0).all()
            continue
        members = members.sort_values(used, kind="stable")
        shape = (
            PowerTransformer("yeo-johnson", standardize=False)
            if parameters.transform == "yeo-johnson"
            else FunctionTransformer(signed_log)
        )
        scaler = RobustScaler() if parameters.scaler == "robust" else StandardScaler()
        prepared = make_pipeline(shape, scaler).fit_transform(members[used].to_numpy(float))
        fitted = KMeans(
            parameters.n_clusters, n_init=parameters.n_init, random_state=parameters.random_state
        ).fit(prepared)
        expected = renumbered(fitted.labels_, members["total_spent"].reset_index(drop=True))
        assert (members["cluster"].to_numpy() == expected).all(), kind


@pytest.mark.parametrize("n_clusters", [2, 3, 5])
def test_large_group_started_from_a_sample_reaches_the_inertia_of_random_starts(
    monkeypatch, n_clusters
):
    rng = np.random.default_rng(7)
    spread = np.exp(rng.normal(3, 1.2, size=(12_000, 3)))
    prepared = np.log1p(spread[np.lexsort(spread.T[::-1])])
    spent = spread[:, 0]
    everywhere = KMeans(n_clusters, n_init=10, random_state=42).fit(prepared)
    monkeypatch.setattr(cluster, "LARGE_GROUP", 1000)
    monkeypatch.setattr(large_kmeans, "SAMPLE_SIZE", 3000)

    fit = cluster.fit_kmeans(prepared, spent, n_clusters=n_clusters, n_init=10, random_state=42)

    assert fit.n_clusters == n_clusters
    assert fit.inertia <= everywhere.inertia_ * 1.0001


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Enough customers for several blocks of Lloyd's steps."""
    spread = np.exp(np.random.default_rng(11).normal(3, 1.2, size=(150_000, 4)))
    return np.log1p(spread[np.lexsort(spread.T[::-1])])


@pytest.mark.parametrize("k", [2, 3, 8])
def test_steps_on_everybody_end_where_those_of_scikit_learn_do(many, k):
    start = many[np.linspace(0, len(many) - 1, k).astype(int)]
    theirs = KMeans(k, init=start, n_init=1, tol=0, max_iter=1000).fit(many)
    centers, inertia = large_kmeans.lloyd(many, start, enough=1e-20)
    assert inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    assert centers == pytest.approx(theirs.cluster_centers_, rel=1e-7)


def test_inertia_is_that_of_the_centres_also_where_steps_run_out(many, monkeypatch):
    monkeypatch.setattr(large_kmeans, "MOST_STEPS", 2)
    centers, inertia = large_kmeans.lloyd(many, many[[0, 75_000, 149_999]], enough=0.0)
    gaps = ((many[:, None, :] - centers) ** 2).sum(axis=2).min(axis=1)
    assert inertia == pytest.approx(gaps.sum(), rel=1e-12)


def test_number_of_threads_changes_no_digit_of_a_large_fit(many, monkeypatch):
    monkeypatch.setattr(cluster, "LARGE_GROUP", 1000)
    found = []
    for workers in (1, 2, 5):
        monkeypatch.setattr(threads, "WORKERS", workers)
        fit = cluster.fit_kmeans(many, many[:, 0], n_clusters=4, n_init=3, random_state=1)
        found.append((fit.centers.tobytes(), fit.labels.tobytes(), fit.inertia))
    assert len(set(found)) == 1


def test_large_group_that_loses_a_cluster_is_left_to_scikit_learn(monkeypatch):
    monkeypatch.setattr(cluster, "LARGE_GROUP", 100)
    monkeypatch.setattr(large_kmeans, "SAMPLE_SIZE", 50)
    alike = np.zeros((10, 1))
    assert large_kmeans.lloyd(alike, np.array([[0.0], [5.0]]), enough=0.0) is None
    few = np.repeat([[0.0], [1.0], [2.0]], [400, 399, 1], axis=0)
    fit = cluster.fit_kmeans(few, few[:, 0], n_clusters=3, n_init=2, random_state=0)
    assert np.bincount(fit.labels).tolist() == [400, 399, 1]


def test_distances_have_the_same_digits_alone_in_any_order_and_beyond_a_block(many):
    wide = np.hstack([many, many[:, ::-1] * 3])[:40_000]
    centers = wide[[5, 20_000, 39_000]]
    together = geometry.centre_distances(wide, centers)
    shuffled = np.random.default_rng(3).permutation(len(wide))
    assert (geometry.centre_distances(wide[shuffled], centers) == together[shuffled]).all()
    for row in (0, 8_191, 8_192, 39_999):
        assert (geometry.centre_distances(wide[[row]], centers) == together[[row]]).all()
    plain = np.sqrt(((wide[:, None, :] - centers) ** 2).sum(axis=2))
    assert together == pytest.approx(plain, rel=1e-14)


def test_rows_are_counted_as_different_also_where_the_first_thousands_are_alike():
    prepared = np.zeros((5000, 2))
    prepared[-2:] = [[1.0, 0.0], [2.0, 0.0]]

    fit = cluster.fit_kmeans(prepared, prepared[:, 0], n_clusters=3, n_init=1, random_state=0)

    assert fit.labels[-3:].tolist() == [0, 1, 2]
