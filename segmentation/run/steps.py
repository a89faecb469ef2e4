"""The method's steps as functions on tables: what a notebook or an analyst calls one by one.

Each takes tables and settings and returns tables, whatever made them; a `run.Run` does the
same steps with everything around them (account, evidence, files). Settings have the names
and defaults of `Parameters`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from segmentation.actions.recommend import recommend as recommended
from segmentation.core.columns import FEATURES
from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import Parameters
from segmentation.customers.prepare import canonical_order, prepare_group
from segmentation.evidence.choose_k import Choice
from segmentation.evidence.choose_k import choose_k as rule_for_k
from segmentation.run import answers
from segmentation.run.order_steps import check_table
from segmentation.segments import names as naming
from segmentation.segments.dbscan import AnomalyFit
from segmentation.segments.distances import nearest_centres
from segmentation.segments.kmeans import (
    number_by_spend,
)
from segmentation.segments.table import profile as segment_profile

_DEFAULTS = Parameters()


def scale(
    customers: pd.DataFrame,
    features: Sequence[str] = _DEFAULTS.features,
    *,
    transform: str = _DEFAULTS.transform,
    scaler: str = _DEFAULTS.scaler,
    outliers: str = _DEFAULTS.outliers,
    winsor_quantile: float = _DEFAULTS.winsor_quantile,
    for_flags: bool = False,
) -> pd.DataFrame:
    """Features in the space in which customers are compared, rows as they came.

    Parameters
    ----------
    customers : DataFrame, one row per customer
    features : sequence of str
        Numeric columns without gaps; one that is the same for everybody, or empty for everybody
        as dates of registration are where nobody registered, is left out.
    transform, scaler, outliers, winsor_quantile
        As in `Parameters`.
    for_flags : bool
        The space in which `dbscan` looks for unusual customers: dates stay in days.

    Examples
    --------
    >>> spent = pd.DataFrame({"total_spent": [1.0, 10.0, 100.0], "frequency": [1, 1, 1]})
    >>> scale(spent, ["total_spent", "frequency"], transform="none").round(2)["total_spent"].tolist()
    [-0.81, -0.6, 1.41]
    """
    check_table(customers, features, "scale")
    for name in features:
        if name not in FEATURES:
            raise ParameterError(
                f"scale: {name} is no feature; accepted are {', '.join(FEATURES)}."
            )
        empty = int(customers[name].isna().sum())
        if 0 < empty < len(customers):
            raise SourceError(f"scale: {name} is empty for {empty:,} customer(s).")
    group = prepare_group(
        customers.assign(segment_type="normal"),
        "normal",
        names=tuple(features),
        outliers=outliers,
        winsor_quantile=winsor_quantile,
        transform=transform,
        scaler=scaler,
    )
    values = np.empty_like(group.values)
    values[group.rows] = group.flag_values if for_flags else group.values
    return pd.DataFrame(values, index=customers.index, columns=list(group.preparation.features))


def score_k(
    scaled: pd.DataFrame,
    k_values: Iterable[int] = range(2, _DEFAULTS.k_max + 1),
    *,
    n_init: int = _DEFAULTS.n_init,
    random_state: int = _DEFAULTS.random_state,
) -> pd.DataFrame:
    """Every score of every number of clusters, one cluster included, a row each.

    Returns
    -------
    DataFrame
        ``k, inertia, silhouette`` with its interval, ``gap``, ``agreement`` of halves and
        more: what `choose_k` decides by.

    Examples
    --------
    >>> clouds = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([0, 9, 18], 50)[:, None]
    >>> scores = score_k(pd.DataFrame(clouds), range(2, 6))
    >>> int(scores.loc[scores["silhouette"].idxmax(), "k"])
    3
    """
    values = _in_order(scaled)[0]
    asked = sorted(set(k_values))
    return answers.scores(values, asked, n_init=n_init, random_state=random_state)


def choose_k(scores: pd.DataFrame) -> Choice:
    """The rule's answer: how many clusters the scores of `score_k` speak for, and why."""
    check_table(scores, ("k", "silhouette", "gap"), "choose_k")
    return rule_for_k(scores)


def kmeans(
    scaled: pd.DataFrame,
    n_clusters: int = 3,
    *,
    numbered_by: pd.Series | None = None,
    left_out: pd.Series | None = None,
    n_init: int = _DEFAULTS.n_init,
    random_state: int = _DEFAULTS.random_state,
) -> KMeans:
    """K-Means whose clusters depend on neither ids nor the order of rows.

    Parameters
    ----------
    scaled : DataFrame
        As `scale` gives it.
    numbered_by : Series, optional
        Clusters are numbered by its mean, smallest first (total spent, say); by the first
        column of `scaled` unless given.
    left_out : Series of bool, optional
        Customers who do not take part in finding the centres (anomalies, say); they get the
        cluster of the nearest.

    Returns
    -------
    sklearn.cluster.KMeans
        Fitted: ``labels_`` in the order of the rows, ``predict``, ``transform`` and the rest.

    Examples
    --------
    >>> spent = pd.DataFrame({"total_spent": [95.0, 1.0, 90.0, 2.0]})
    >>> model = kmeans(spent, 2)
    >>> model.labels_.tolist(), model.predict(pd.DataFrame({"total_spent": [80.0]})).tolist()
    ([1, 0, 1, 0], [1])
    """
    values, order = _in_order(scaled)
    by = (
        answers.first_column(values)
        if numbered_by is None
        else numbered_by.to_numpy(dtype=float)[order]
    )
    apart = np.zeros(len(values), bool) if left_out is None else left_out.to_numpy(bool)[order]
    fit = answers.clustering(
        values, apart, n_clusters=n_clusters, n_init=n_init, random_state=random_state
    )
    if fit.note or not values.shape[1]:
        raise SourceError(f"kmeans: {fit.note or 'no feature tells these customers apart'}.")
    nearest = nearest_centres(values, fit.centers)
    centers = fit.centers[number_by_spend(nearest, by, fit.centers)]
    # an estimator in every respect, whose centres are those that were found to the last digit
    model = KMeans(len(centers), init=centers, n_init=1, random_state=random_state)
    model.fit(scaled.iloc[order])
    model.cluster_centers_, model.inertia_ = centers, fit.inertia
    model.labels_ = model.predict(scaled)
    return model


def dbscan(
    scaled: pd.DataFrame, *, eps: float | str = "auto", min_samples: int | str = "auto"
) -> AnomalyFit:
    """Who is unusual: customers whom no dense neighbourhood reaches.

    ``scaled`` is what `scale` gives with ``for_flags=True``.

    Returns
    -------
    AnomalyFit
        ``is_noise`` in the order of the rows, ``eps``, ``min_samples`` and their ``reason``.

    Examples
    --------
    >>> dbscan(pd.DataFrame({"x": [0.0, 0.1, 0.2, 0.3, 9.0]}), eps=0.2, min_samples=2).is_noise
    array([False, False, False, False,  True])
    """
    values, order = _in_order(scaled)
    fit = answers.flags(values, eps=eps, min_samples=min_samples)
    is_noise = np.empty_like(fit.is_noise)
    is_noise[order] = fit.is_noise
    return replace(fit, is_noise=is_noise)


def name_segments(
    customers: pd.DataFrame,
    labels: Sequence[int],
    scaled: pd.DataFrame,
    *,
    centers: np.ndarray | None = None,
    rules: dict[str, Any] | None = None,
) -> pd.Series:
    """A name for every customer's cluster, whoever made the clusters.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        Features in their own units.
    labels : sequence of int
        Cluster of each customer: of `kmeans`, of any other clusterer, or your own.
    scaled : DataFrame
        As `scale` gave it, same rows.
    centers : array, optional
        Where cluster 0, 1 … stand; the means of their customers unless given.
    rules : dict, optional
        As ``naming_rules.yaml``; the shipped ones unless given.
    """
    cluster = pd.Series(np.asarray(labels), index=customers.index)
    stand = scaled.set_axis(customers.index, axis=0).groupby(cluster).mean()
    if centers is not None:
        stand = pd.DataFrame(centers, columns=scaled.columns)
    known = tuple(name for name in FEATURES if name in customers)
    profiles = naming.cluster_profiles(customers.assign(cluster=cluster), known, stand)
    found, _ = naming.name_clusters(profiles, tuple(scaled.columns), rules=rules)
    return cluster.map(found).rename("segment")


def profile_segments(customers: pd.DataFrame, *, decimals: int = 2) -> pd.DataFrame:
    """Size, revenue and typical values of every segment: what `plots` and `words` show.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        ``segment``, its number ``cluster``, and features; ``segment_type`` where there are groups.
    decimals : int
        Of the money, which is added up exactly.

    Returns
    -------
    DataFrame, one row per group and segment
        Customers, revenue, both shares; mean and median of every feature.

    Examples
    --------
    >>> known = pd.DataFrame({"segment": ["a", "b"], "cluster": [0, 1], "total_spent": [1.0, 3.0]})
    >>> profile_segments(known)[["segment", "revenue_share"]].values.tolist()
    [['a', 0.25], ['b', 0.75]]
    """
    check_table(customers, ("segment", "cluster", "total_spent"), "profile_segments")
    grouped = customers if "segment_type" in customers else customers.assign(segment_type="normal")
    known = tuple(name for name in FEATURES if name in customers)
    return segment_profile(grouped, known, amount_scale=decimals)


def stability(
    scaled: pd.DataFrame,
    labels: Sequence[int],
    *,
    own_labels: bool = False,
    random_state: int = _DEFAULTS.random_state,
) -> pd.DataFrame:
    """How alike each cluster comes back when other customers had been drawn.

    Parameters
    ----------
    scaled : DataFrame
        As `scale` gives it.
    labels : sequence of int
        Cluster of each customer.
    own_labels : bool
        Labels are no clustering's: a resample gives their centres anew and is not clustered.

    Returns
    -------
    DataFrame, one row per cluster and way of drawing
        Mean Jaccard similarity with its interval (Hennig 2007) and the ``verdict`` on it.
    """
    values, order = _in_order(scaled)
    cluster = np.unique(np.asarray(labels), return_inverse=True)[1][order]
    return answers.stability(values, cluster, own_labels=own_labels, random_state=random_state)


@functools.wraps(recommended)
def recommend(customers: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    """As `actions.recommend.recommend`; the opened run's answer where all is the run's own."""
    return answers.advice(customers, settings)


def _numbers(scaled: pd.DataFrame) -> np.ndarray:
    check_table(scaled, (), "scaled")
    values = scaled.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise SourceError("scaled: holds values that are no finite numbers.")
    return values


def _in_order(scaled: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    values = _numbers(scaled)
    order = canonical_order(values)
    return values[order], order
