"""Would other customers of the same kind give the same segments?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from segmentation.core.intervals import Z95_ROUNDED, spread_of
from segmentation.core.limits import (
    DISSOLVED_JACCARD,
    LEAST_CUSTOMERS,
    MOST_RESAMPLED,
    NAMED_RESAMPLES,
    RESAMPLE_STARTS,
    SAME_INERTIA,
    SEED_STARTS,
    STABILITY_RESAMPLES,
    STABLE_JACCARD,
    UNSTABLE_JACCARD,
)
from segmentation.core.threads import in_parallel
from segmentation.evidence.agreement import agreement_of
from segmentation.evidence.resampling import fit, follow_labels, matched, sample_rows, seed_of

MARGIN_STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


CLUSTER_COLUMNS = (
    "cluster", "jaccard", "jaccard_low", "jaccard_high", "jaccard_subsample", "dissolved",
    "verdict",
)  # fmt: skip
TOO_FEW = "too few to say"


def stability_word(jaccard: float, customers: int) -> str:
    """``stable``, ``uncertain``, ``unstable`` or `TOO_FEW`; one word wherever it is said.

    A segment of one comes back in every resample that draws him, so a few customers say nothing.

    Examples
    --------
    >>> stability_word(0.9, 30), stability_word(0.7, 30), stability_word(0.59, 30)
    ('stable', 'uncertain', 'unstable')
    >>> stability_word(1.0, 29)
    'too few to say'
    """
    if customers < LEAST_CUSTOMERS:
        return TOO_FEW
    if not jaccard >= UNSTABLE_JACCARD:
        return "unstable"
    return "stable" if jaccard >= STABLE_JACCARD else "uncertain"


@dataclass(frozen=True)
class Stability:
    """Outcome of resampling one group.

    Attributes
    ----------
    whole : DataFrame, one row per method
        ``method, resamples, customers, agreement, agreement_low, agreement_high``
        (adjusted Rand index with the published clusters, mean and 95% range).
    clusters : DataFrame, one row per cluster
        ``cluster, jaccard, jaccard_low, jaccard_high, jaccard_subsample, dissolved,
        verdict``; ``dissolved``: share of resamples with a Jaccard of at most 0.5.
    margins : DataFrame, one row per band of margin
        ``margin_from, margin_to, customers, flips, flips_low, flips_high``: share of
        resamples in which a customer of the band lands in another cluster.
    """

    whole: pd.DataFrame
    clusters: pd.DataFrame
    margins: pd.DataFrame


@dataclass(frozen=True)
class _Resample:
    agreement: float
    jaccard: np.ndarray
    flipped: np.ndarray


def resample_stability(
    values: np.ndarray,
    labels: np.ndarray,
    margin: np.ndarray,
    *,
    random_state: int,
    given: bool = False,
    progress: str = "",
) -> Stability:
    """Cluster resamples of the customers again and compare with the published clusters.

    Two ways: *bootstrap* (as many customers as there are, drawn with replacement) and
    *subsample* (half of them, without). Each resample is clustered from cold starts.
    Agreement and Jaccard are of the resample's own customers, each counted once (Hennig
    2007); flips are of all customers, assigned to the nearest new centre.

    Parameters
    ----------
    values : array of shape (n_customers, n_features), prepared
    labels : int array of shape (n_customers,), published clusters from 0
    margin : array of shape (n_customers,), 1 - d1/d2
    given : bool
        Labels are the analyst's own: a resample is not clustered, it gives their centres anew.
    """
    rows = sample_rows(len(values), MOST_RESAMPLED, seed=seed_of(random_state, 11))
    values, labels, margin = values[rows], labels[rows], margin[rows]
    k = int(labels.max()) + 1
    tasks = [
        (method, n) for method in ("bootstrap", "subsample") for n in range(STABILITY_RESAMPLES)
    ]

    def job(task: tuple[str, int]) -> _Resample:
        method, number = task
        drawn = _drawn(len(values), method, seed_of(random_state, number, 12))
        seed = seed_of(random_state, number, 13)
        if given:
            found = follow_labels(values, labels, drawn)
        else:
            again = fit(values[drawn], k, seed=seed, starts=RESAMPLE_STARTS).assign(values)
            found = matched(labels, again, k)
        inside = np.unique(drawn)
        return _Resample(
            agreement_of(labels[inside], found[inside]),
            jaccard_of_clusters(labels[inside], found[inside], k),
            found != labels,
        )

    found = in_parallel(job, tasks, customers=len(values), progress=progress)
    parts = {"bootstrap": found[:STABILITY_RESAMPLES], "subsample": found[STABILITY_RESAMPLES:]}
    flips = np.array([each.flipped for each in parts["bootstrap"]])
    return Stability(
        pd.DataFrame([_whole(method, each, len(values)) for method, each in parts.items()]),
        _clusters(parts, np.bincount(labels, minlength=k)),
        margin_bands(margin, flips),
    )


def _drawn(n: int, method: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if method == "bootstrap":
        return generator.integers(0, n, n)
    return generator.permutation(n)[: max(n // 2, 1)]


def jaccard_of_clusters(labels: np.ndarray, found: np.ndarray, k: int) -> np.ndarray:
    """For each cluster the largest Jaccard similarity with any found cluster.

    Jaccard is the number of customers in both divided by those in either; 1 = the
    cluster came back whole. NaN for a cluster with no customer here.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> jaccard_of_clusters(labels, np.array([0, 0, 1, 1, 1]), 2).round(3).tolist()
    [0.667, 0.667]
    """
    both = np.zeros((k, k))
    np.add.at(both, (labels, found), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    with np.errstate(invalid="ignore", divide="ignore"):
        similarity = np.where(either > 0, both / either, 0.0).max(axis=1)
    return np.where(both.sum(axis=1) > 0, similarity, np.nan)


def _whole(method: str, resamples: Sequence[_Resample], customers: int) -> dict[str, object]:
    mean, low, high = spread_of([each.agreement for each in resamples])
    return {
        "method": method,
        "resamples": len(resamples),
        "customers": customers,
        "agreement": mean,
        "agreement_low": low,
        "agreement_high": high,
    }


def _clusters(parts: dict[str, list[_Resample]], sizes: np.ndarray) -> pd.DataFrame:
    found = {method: np.array([r.jaccard for r in each]) for method, each in parts.items()}
    rows = []
    for cluster, customers in enumerate(sizes):
        own = found["bootstrap"][:, cluster]
        mean, low, high = spread_of(own)
        rows.append(
            {
                "cluster": cluster,
                "jaccard": mean,
                "jaccard_low": low,
                "jaccard_high": high,
                "jaccard_subsample": spread_of(found["subsample"][:, cluster])[0],
                "dissolved": float((own <= DISSOLVED_JACCARD).mean()),
                "verdict": stability_word(mean, int(customers)),
            }
        )
    return pd.DataFrame(rows)


def margin_bands(margin: np.ndarray, flips: np.ndarray) -> pd.DataFrame:
    """How often customers change cluster, by how certain their assignment was.

    Customers of one border change together, so the interval counts resamples, not customers.

    Parameters
    ----------
    flips : array of shape (n_resamples, n_customers), whether each changed

    Examples
    --------
    >>> flips = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    >>> bands = margin_bands(np.array([0.05, 0.05, 0.95]), flips)
    >>> bands[["margin_from", "customers", "flips"]].round(2).values.tolist()
    [[0.0, 2.0, 0.3], [0.9, 1.0, 0.0]]
    """
    band = np.clip(np.digitize(margin, MARGIN_STEPS) - 1, 0, len(MARGIN_STEPS) - 2)
    rows = []
    for number in np.unique(band):
        own = flips[:, band == number].mean(axis=1)
        error = Z95_ROUNDED * own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else 0.0
        rows.append(
            {
                "margin_from": MARGIN_STEPS[number],
                "margin_to": MARGIN_STEPS[number + 1],
                "customers": int((band == number).sum()),
                "flips": float(own.mean()),
                "flips_low": max(float(own.mean() - error), 0.0),
                "flips_high": min(float(own.mean() + error), 1.0),
            }
        )
    return pd.DataFrame(rows)


def name_stability(
    values: np.ndarray,
    names: np.ndarray,
    k: int,
    naming: Callable[[np.ndarray, np.ndarray], dict[int, str]] | None,
    *,
    random_state: int,
    progress: str = "",
) -> pd.DataFrame:
    """Do customers keep the *name* of their segment when a resample is named again?

    Stricter than agreement of clusters: a cluster may come back whole and yet earn
    another name.

    Parameters
    ----------
    names : array of str, shape (n_customers,), published segment of each customer
    naming : callable
        Gets labels of all customers and the centres; returns the name of each cluster. None
        where names are given with the analyst's own labels, and stay theirs.

    Returns
    -------
    DataFrame with columns ``segment, same_name, same_name_low, same_name_high``
        Share of the segment's customers who get the same name, mean over 25 bootstrap
        resamples and the range that holds 95% of them.
    """
    segments = list(dict.fromkeys(names))

    def job(number: int) -> list[float]:
        drawn = _drawn(len(values), "bootstrap", seed_of(random_state, number, 14))
        if naming is None:
            again = follow_labels(values, names, drawn)
            return [float((again[names == name] == name).mean()) for name in segments]
        seed = seed_of(random_state, number, 15)
        fitted = fit(values[drawn], k, seed=seed, starts=RESAMPLE_STARTS)
        labels = fitted.assign(values)
        given = naming(labels, fitted.centers)
        again = np.array([given.get(label, "") for label in range(k)], dtype=object)[labels]
        return [float((again[names == name] == name).mean()) for name in segments]

    found = np.array(
        in_parallel(job, range(NAMED_RESAMPLES), customers=len(values), progress=progress)
    )
    rows = []
    for column, name in enumerate(segments):
        mean, low, high = spread_of(found[:, column])
        rows.append(
            {"segment": name, "same_name": mean, "same_name_low": low, "same_name_high": high}
        )
    return pd.DataFrame(rows)


def seed_sensitivity(
    values: np.ndarray,
    labels: np.ndarray,
    published_inertia: float,
    *,
    random_state: int,
    progress: str = "",
) -> pd.DataFrame:
    """What each of 50 single random starts would have published.

    Returns
    -------
    DataFrame, one row per start, best first
        ``start, inertia, excess, reached_best, agreement, moved``: ``excess`` is the
        inertia above the best known one (the published one included) as a part of it;
        ``agreement`` the adjusted Rand index with the published clusters; ``moved`` the
        share of customers who would be in another segment.
    """
    rows = sample_rows(len(values), MOST_RESAMPLED, seed=seed_of(random_state, 11))
    k = int(labels.max()) + 1

    def job(start: int) -> dict[str, float]:
        fitted = fit(values, k, seed=seed_of(random_state, start, 16), starts=1)
        found = matched(labels[rows], fitted.assign(values[rows]), k)
        return {
            "start": start,
            "inertia": fitted.inertia,
            "agreement": agreement_of(labels[rows], found),
            "moved": float((found != labels[rows]).mean()),
        }

    table = pd.DataFrame(
        in_parallel(job, range(SEED_STARTS), customers=len(values), progress=progress)
    )
    best = min(float(table["inertia"].min()), published_inertia)
    excess = table["inertia"] / best - 1 if best > 0 else table["inertia"] * 0.0
    table = table.assign(excess=excess, reached_best=excess <= SAME_INERTIA)
    columns = ["start", "inertia", "excess", "reached_best", "agreement", "moved"]
    return table.sort_values(["inertia", "start"])[columns].reset_index(drop=True)
