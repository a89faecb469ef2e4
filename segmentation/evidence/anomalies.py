"""What speaks for an eps and min_samples: dense groups, stable flags, planted anomalies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from segmentation.core.intervals import MIDDLE_95
from segmentation.core.limits import FLAG_KEPT, FLAG_SUBSAMPLES, PLANTED
from segmentation.core.progress import progress_bar
from segmentation.segments.dbscan import Neighbours, auto_eps, find_neighbours

ONE_FAR, SEVERAL_FAR, COPIES = (
    "one value beyond all others",
    "every value far from the mean",
    "near copies of ordinary customers",
)
PLANTED_KINDS = (ONE_FAR, SEVERAL_FAR, COPIES)


def dense_groups(neighbours: Neighbours, eps: float, min_samples: int) -> int:
    """Number of dense groups: the clusters that ``sklearn.cluster.DBSCAN`` would find.

    Core points within eps of each other belong together. The one neighbour query holds
    every link of a point whose list reaches beyond eps. A link can be missing only between
    two points whose lists end before; those look for the rest among themselves.
    """
    core = neighbours.flags(eps, min_samples)[0]
    points = np.flatnonzero(core)
    if len(points) == 0:
        return 0
    place = np.full(len(core), -1)
    place[points] = np.arange(len(points))
    near, within = neighbours.index[points], neighbours.distance[points] <= eps
    rows, columns = np.nonzero(within & core[near])
    count, label = _components(rows, place[near[rows, columns]], len(points))
    if count == 1:
        return 1
    pool = np.flatnonzero(neighbours.distance[points, -1] <= eps)
    if len(pool) == 0:
        return count
    links = _links_between(neighbours.points[points[pool]], label[pool], eps)
    return _components(links[:, 0], links[:, 1], count)[0]


def _links_between(points: np.ndarray, label: np.ndarray, eps: float) -> np.ndarray:
    """Pairs of labels that have points within eps of each other, one pair a row.

    Only labels whose boxes come within eps are compared, the smaller one's points with a
    tree of the larger one's.
    """
    parts = [points[label == one] for one in np.unique(label)]
    order = sorted(range(len(parts)), key=lambda place: -len(parts[place]))
    low = np.array([part.min(axis=0) for part in parts]).reshape(len(parts), -1)
    high = np.array([part.max(axis=0) for part in parts]).reshape(len(parts), -1)
    names, pairs = np.unique(label), []
    for position, large in enumerate(order[:-1]):
        smaller = np.array(order[position + 1 :])
        apart = np.maximum(low[smaller] - high[large], low[large] - high[smaller]).clip(0)
        close = smaller[np.sqrt((apart**2).sum(axis=1)) <= eps]
        if len(close) == 0:
            continue
        tree = cKDTree(parts[large])
        for small in close:
            distance = tree.query(parts[small], distance_upper_bound=np.nextafter(eps, np.inf))[0]
            if (distance <= eps).any():
                pairs.append((names[large], names[small]))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _components(rows: np.ndarray, columns: np.ndarray, size: int) -> tuple[int, np.ndarray]:
    links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    count, label = connected_components(links.tocsr(), directed=False)
    return int(count), label


def tune_dbscan(
    prepared: np.ndarray,
    grid: pd.DataFrame,
    *,
    knee_at: int | None,
    random_state: int,
    progress: str = "",
) -> pd.DataFrame:
    """Evidence for every setting of a grid, from one neighbour query per set of customers.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
    grid : DataFrame with columns ``eps, min_samples``
    knee_at : int or None
        The ``min_samples`` at whose knee eps was chosen. Other customers would have another
        knee, so every eps of the grid moves with that of the subsample; None where the
        profile gives eps, which then stays.

    Returns
    -------
    DataFrame, one row per setting, in the order of the grid
        ``eps, min_samples, noise_share, dense_groups, stability, stability_low,
        stability_high``. ``stability``: of the customers flagged with or without a random
        tenth of the customers, the share flagged both times (Jaccard), mean and range
        over 10 subsamples; NaN where nobody is flagged either time.
    """
    if grid.empty:
        return pd.DataFrame(columns=["eps", "min_samples", "noise_share", "dense_groups",
                                     "stability", "stability_low", "stability_high"])  # fmt: skip
    deepest = int(grid["min_samples"].max())
    whole = find_neighbours(prepared, max_min_samples=deepest)
    flags = [_noise(whole, cell.eps, cell.min_samples) for cell in grid.itertuples()]
    knee = _knee(whole, knee_at)
    again = np.full((FLAG_SUBSAMPLES, len(grid)), np.nan)
    for number in progress_bar(
        range(FLAG_SUBSAMPLES), wanted=bool(progress), desc=progress, leave=False
    ):
        generator = np.random.default_rng([random_state, number])
        kept = np.sort(
            generator.permutation(len(prepared))[: max(1, int(FLAG_KEPT * len(prepared)))]
        )
        part = find_neighbours(prepared[kept], max_min_samples=deepest)
        moved = _knee(part, knee_at) / knee
        for place, cell in enumerate(grid.itertuples()):
            found = _noise(part, cell.eps * moved, cell.min_samples)
            again[number, place] = _jaccard(flags[place][kept], found)
    rows = []
    for place, cell in enumerate(grid.itertuples()):
        known = again[:, place][np.isfinite(again[:, place])]
        low, high = np.quantile(known, MIDDLE_95) if len(known) else (np.nan, np.nan)
        rows.append(
            {
                "eps": cell.eps,
                "min_samples": cell.min_samples,
                "noise_share": float(flags[place].mean()),
                "dense_groups": dense_groups(whole, cell.eps, cell.min_samples),
                "stability": float(known.mean()) if len(known) else np.nan,
                "stability_low": float(low),
                "stability_high": float(high),
            }
        )
    return pd.DataFrame(rows)


def _noise(neighbours: Neighbours, eps: float, min_samples: int) -> np.ndarray:
    return neighbours.flags(eps, min_samples)[1][neighbours.member]


def _knee(neighbours: Neighbours, min_samples: int | None) -> float:
    if min_samples is None:
        return 1.0
    return auto_eps(neighbours.k_distance(min_samples)[neighbours.member])


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    either = int((first | second).sum())
    return float((first & second).sum() / either) if either else np.nan


def injected_recall(
    prepared: np.ndarray, core_points: np.ndarray, eps: float, *, random_state: int
) -> pd.DataFrame:
    """How many planted anomalies the flags catch, and how many ordinary copies they hit.

    Each planted customer is judged as a new one is when the model scores it: flagged when
    no core point lies within eps.

    Returns
    -------
    DataFrame with columns ``kind, planted, flagged``
        Kinds: a real customer with one feature moved beyond the group's largest or
        smallest by a quarter to a whole of its range; a customer 2 to 4 standard
        deviations from the mean in every feature, in random directions; and near copies
        of customers who are not flagged, of whom few should be flagged.
    """
    rows = []
    tree = cKDTree(core_points) if len(core_points) else None
    for number, kind in enumerate(PLANTED_KINDS):
        generator = np.random.default_rng([random_state, 100 + number])
        planted = _planted(prepared, kind, tree, eps, generator)
        distance = tree.query(planted)[0] if tree is not None else np.full(len(planted), np.inf)
        flagged = int((distance > eps).sum()) if eps > 0 else 0
        rows.append({"kind": kind, "planted": len(planted), "flagged": flagged})
    return pd.DataFrame(rows)


def _planted(
    prepared: np.ndarray,
    kind: str,
    tree: cKDTree | None,
    eps: float,
    generator: np.random.Generator,
) -> np.ndarray:
    n_features = prepared.shape[1]
    if kind == SEVERAL_FAR:
        size = generator.uniform(2, 4, (PLANTED, n_features))
        side = generator.choice([-1.0, 1.0], (PLANTED, n_features))
        return prepared.mean(axis=0) + side * size * prepared.std(axis=0)
    ordinary = prepared
    if kind == COPIES and tree is not None:
        ordinary = prepared[tree.query(prepared)[0] <= eps]
    picked = ordinary[generator.integers(0, len(ordinary), PLANTED)].copy()
    if kind == COPIES:
        return picked + generator.normal(0, 0.01, picked.shape) * prepared.std(axis=0)
    low, high = prepared.min(axis=0), prepared.max(axis=0)
    column = generator.integers(0, n_features, PLANTED)
    far = generator.uniform(0.25, 1.0, PLANTED) * (high - low)[column]
    up = generator.random(PLANTED) < 0.5
    picked[np.arange(PLANTED), column] = np.where(up, high[column] + far, low[column] - far)
    return picked
