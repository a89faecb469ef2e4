"""Answers of the public steps: the opened run's own where it asked the same, else kept.

What was asked is known by content alone: the values in the order that they themselves decide,
the settings and the code. Where a table came from plays no part, for a table that was filtered
since is another table. Where no run is open every call computes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.break_even import margin_used
from segmentation.actions.limits_of_advice import ADDED
from segmentation.actions.recommend import recommend, who_orders_anyway
from segmentation.core.errors import OutputError
from segmentation.core.keys import key_of
from segmentation.customers.prepare import PreparedGroup, canonical_order
from segmentation.evidence.by_group import K_COLUMNS, k_scores_of
from segmentation.evidence.k_scores import score_fits
from segmentation.evidence.stability import CLUSTER_COLUMNS, resample_stability
from segmentation.run.cache import SEAL, code_fingerprint, load_result, save_results
from segmentation.run.run import Run, opened_run
from segmentation.run.stages import GIVEN_BY
from segmentation.segments.dbscan import AnomalyFit, GroupFlags, fit_dbscan
from segmentation.segments.distances import centre_distances, margins
from segmentation.segments.kmeans import Clustering, fit_kmeans, fit_range, fit_without
from segmentation.segments.own_labels import OWN_LABELS

Answer = dict[str, Any]
"""Results by name, as a stage keeps them."""
ANSWERED_BY = {
    "score_k": "k_evidence",
    "kmeans": "fits",
    "dbscan": "flags",
    "recommend": "recommendations",
    "stability": "stability",
}
"""The result of a run that answers a step: whoever calls the step does well to wait for it."""


def scores(
    values: np.ndarray, k_values: list[int], *, n_init: int, random_state: int
) -> pd.DataFrame:
    """Scores of every k; those of one k are the same whatever other k are scanned."""
    settings = {"n_init": n_init, "random_state": random_state}

    def compute() -> Answer:
        fits = fit_range(
            values,
            first_column(values),
            k_values=k_values,
            n_init=n_init,
            random_state=random_state,
        )
        found = score_fits(values, fits, random_state=random_state)
        own = (values, found.scores, found.silhouettes)
        table = k_scores_of(*own, random_state=random_state, progress="")
        return {"scores": table[list(K_COLUMNS[1:])]}

    def of_run(run: Run) -> Answer | None:
        found = _group_of(run, values, settings, ANSWERED_BY["score_k"])
        if found is None or not set(k_values) <= set(range(2, run.scan_to + 1)):
            return None
        table = _rows(run["k_evidence"], found[0])
        return {"scores": table[table["k"].isin([1, *k_values])].reset_index(drop=True)}

    asked = {"k_values": k_values, **settings}
    return _answer("score_k", [values], asked, of_run, compute)["scores"]


def clustering(
    values: np.ndarray,
    left_out: np.ndarray,
    *,
    n_clusters: int,
    n_init: int,
    random_state: int,
) -> Clustering:
    """K-Means of one group; how its clusters are numbered is no part of the answer."""
    settings = {"n_init": n_init, "random_state": random_state}
    asked = {"n_clusters": n_clusters, **settings}

    def compute() -> Answer:
        given = (values, first_column(values))
        fit = (
            partial(fit_without, *given, left_out)
            if left_out.any()
            else partial(fit_kmeans, *given)
        )
        found = fit(n_clusters=n_clusters, n_init=n_init, random_state=random_state)
        return {"fit": {"": found}}

    def of_run(run: Run) -> Answer | None:
        found = None if left_out.any() else _group_of(run, values, settings, ANSWERED_BY["kmeans"])
        fits = run["fits"][found[0]].by_k if found else {}
        return {"fit": {"": fits[n_clusters]}} if n_clusters in fits else None

    fit: Clustering = _answer("kmeans", [values, left_out], asked, of_run, compute)["fit"][""]
    return fit


def flags(values: np.ndarray, *, eps: float | str, min_samples: int | str) -> AnomalyFit:
    """DBSCAN of one group, its customers in the order that their values decide."""
    asked = {"dbscan_eps": eps, "dbscan_min_samples": min_samples}

    def of_run(run: Run) -> Answer | None:
        found = _group_of(run, values, asked, ANSWERED_BY["dbscan"], space="flag_values")
        if found is None:
            return None
        kind, group = found
        own = run["flags"][kind]
        flagged = own.is_noise[canonical_order(group.flag_values)]
        return {
            "flags": {"": GroupFlags(own.eps, own.min_samples, flagged, own.core_points)},
            "grid": _rows(run["tuning_dbscan"], kind),
            "curve": _rows(run["k_distance"], kind),
            "reason": run["dbscan_choice"][kind]["reason"],
        }

    def compute() -> Answer:
        fit = fit_dbscan(values, eps=eps, min_samples=min_samples)
        own = GroupFlags(fit.eps, fit.min_samples, fit.is_noise, fit.core_points)
        return {"flags": {"": own}, "grid": fit.grid, "curve": fit.curve, "reason": fit.reason}

    kept = _answer("dbscan", [values], asked, of_run, compute)
    own = kept["flags"][""]
    return AnomalyFit(
        own.eps, own.min_samples, own.is_noise, own.core_points, kept["grid"], kept["curve"],
        kept["reason"],
    )  # fmt: skip


def stability(
    values: np.ndarray, labels: np.ndarray, *, own_labels: bool, random_state: int
) -> pd.DataFrame:
    """How alike each cluster comes back; a run's own table says more of each."""

    def compute() -> Answer:
        centers = pd.DataFrame(values).groupby(labels).mean().to_numpy()
        margin = margins(centre_distances(values, centers))
        found = resample_stability(
            values, labels, margin, given=own_labels, random_state=random_state
        )
        return {"clusters": found.clusters}

    def of_run(run: Run) -> Answer | None:
        there = all(_is_there(run, name) for name in ("scaled", "segments", "stability"))
        if not there or random_state != run.parameters.random_state:
            return None
        for kind, group in run["scaled"].items():
            own = run["segments"].iloc[group.rows]
            kept = run.parameters.anomalies_in_fit | own_labels | ~own["is_anomaly"].to_numpy()
            order = canonical_order(group.values[kept])
            pairs = (own["cluster"].to_numpy(), labels), (group.values, values)
            same = all(np.array_equal(theirs[kept][order], asked) for theirs, asked in pairs)
            rows = _rows(run["stability"], kind)
            if same and len(rows) and own_labels == (run["chosen"][kind]["asked"] == OWN_LABELS):
                return {"clusters": rows[list(CLUSTER_COLUMNS)]}
        return None

    asked = {"random_state": random_state, "own_labels": own_labels}
    return _answer("stability", [values, labels], asked, of_run, compute)["clusters"]


def advice(customers: pd.DataFrame, asked: dict[str, Any]) -> pd.DataFrame:
    """What to do about each segment: the run's own where all that it rests on is the run's."""
    run = opened_run()
    if run is None or not _is_there(run, ANSWERED_BY["recommend"]):
        return recommend(customers, **asked)
    names = ("gross_margin", "contact_cost", "currency", "random_state")
    own = {name: getattr(run.parameters, name) for name in names}
    own["gross_margin"] = margin_used(run.parameters.gross_margin, run["margins"])
    own |= {"plays": run.rules["plays"]["plays"], "naming_rules": run.rules["naming_rules"]}
    given = {name: value for name, value in asked.items() if name != "responses"}
    anyway = who_orders_anyway(run["holdout_responses"], run["order_anyway"])
    same = given == own and anyway.equals(asked.get("responses"))
    if not (same and run["customers"].equals(customers)):
        return recommend(customers, **asked)
    found: pd.DataFrame = run["recommendations"].drop(columns=list(ADDED))
    return found


def first_column(values: np.ndarray) -> np.ndarray:
    """What numbers clusters where nothing else does."""
    first: np.ndarray = values[:, 0] if values.shape[1] else np.zeros(len(values))
    return first


def _answer(
    call: str,
    arrays: list[np.ndarray],
    settings: dict[str, Any],
    of_run: Callable[[Run], Answer | None],
    compute: Callable[[], Answer],
) -> Answer:
    if (run := opened_run()) is None:
        return compute()
    if (answer := of_run(run)) is not None:
        return answer
    content = [(a.dtype.str, a.shape, hashlib.sha256(a.tobytes()).hexdigest()) for a in arrays]
    key = key_of(call, content, settings, code_fingerprint())

    def write(folder: Path) -> None:
        save_results(folder, compute())

    try:
        folder = run.cache.get_or_compute(f"call_{call}", key, write)
    except OutputError:  # a cache that may only be read
        return compute()
    names = [path.stem for path in folder.iterdir() if path.name != SEAL]
    return {name: load_result(folder, name) for name in names}


def _group_of(
    run: Run, values: np.ndarray, settings: dict[str, Any], result: str, *, space: str = "values"
) -> tuple[str, PreparedGroup] | None:
    """The group of a run with these very values, where its result has the settings and is there."""
    plain = run.parameters.as_plain()
    if any(plain[name] != value for name, value in settings.items()):
        return None
    if not (_is_there(run, "scaled") and _is_there(run, result)):
        return None
    for kind, group in run["scaled"].items():
        own = getattr(group, space)
        if own.shape == values.shape and np.array_equal(own[canonical_order(own)], values):
            return kind, group
    return None


def _is_there(run: Run, result: str) -> bool:
    stage = GIVEN_BY[result]
    return run.cache.find(stage, run.key(stage)) is not None


def _rows(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    own = table[table["segment_type"] == kind]
    return own.drop(columns="segment_type").reset_index(drop=True)
