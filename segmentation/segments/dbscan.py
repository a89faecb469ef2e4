"""Prepared customers -> DBSCAN anomalies, exactly, from one neighbour query.

Core points need only the distance to the ``min_samples``-th neighbour. A customer who
is no core point has fewer than ``min_samples`` neighbours within ``eps``, so all of
them are in that same neighbour list: one query answers every eps and every min_samples
up to the largest asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from segmentation.core.limits import KNEE_WIDTH
from segmentation.core.parameters import Parameters
from segmentation.customers.prepare import PreparedGroup

EPS_FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0)
MIN_SAMPLES_FACTORS = (0.5, 1.0, 1.5, 2.0)
"""Both range from half to double the chosen. The deepest neighbour asked for is what a grid
costs: twice as deep keeps the whole grid below the price of two flaggings."""
_CHUNK_POINTS = 50_000


@dataclass(frozen=True)
class Neighbours:
    """Nearest distinct points of every distinct point of a group.

    Customers alike in every prepared value are one point with a weight, which keeps
    the search fast where thousands bought once for the same price.

    Attributes
    ----------
    points : array of shape (n_points, n_features)
    weight : int array of shape (n_points,)
        Customers at the point.
    member : int array of shape (n_customers,)
        The point of each customer.
    distance : float64 array of shape (n_points, k)
        Distances to the nearest points, self first, ascending.
    index : int32 array of shape (n_points, k)
        Which points those are.
    """

    points: np.ndarray
    weight: np.ndarray
    member: np.ndarray
    distance: np.ndarray
    index: np.ndarray
    _known: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def k_distance(self, min_samples: int) -> np.ndarray:
        """Distance of each point to its ``min_samples``-th customer, self included.

        Infinite where the group has fewer customers than that.
        """
        if min_samples not in self._known:
            self._known[min_samples] = self._k_distance(min_samples)
        return self._known[min_samples]

    def _k_distance(self, min_samples: int) -> np.ndarray:
        result = np.full(len(self.points), np.inf)
        for rows in _chunks(len(self.points)):
            within = np.cumsum(self.weight[self.index[rows]], axis=1) >= min_samples
            first = within.argmax(axis=1)
            distance = self.distance[rows][np.arange(len(first)), first]
            result[rows] = np.where(within.any(axis=1), distance, np.inf)
        return result

    def flags(self, eps: float, min_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Core and noise flags per point, as ``sklearn.cluster.DBSCAN`` has them."""
        core = self.k_distance(min_samples) <= eps
        noise = np.zeros(len(core), dtype=bool)
        others = np.flatnonzero(~core)
        for rows in _chunks(len(others)):
            points = others[rows]
            near = core[self.index[points]] & (self.distance[points] <= eps)
            noise[points] = ~near.any(axis=1)
        return core, noise


def find_neighbours(prepared: np.ndarray, *, max_min_samples: int) -> Neighbours:
    """Query the k-d tree once, deep enough for every ``min_samples`` up to the given.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
    max_min_samples : int
        Largest ``min_samples`` that will be asked of the result.
    """
    points, member, weight = np.unique(prepared, axis=0, return_inverse=True, return_counts=True)
    depth = min(max_min_samples, len(points))
    # middle splits and fuller leaves than scipy's own choice answer a third sooner, and so
    # do points asked in the tree's order: the next one's neighbours are still in the cache
    tree = cKDTree(points, leafsize=32, balanced_tree=False)
    distance = np.empty((len(points), depth))
    index = np.empty((len(points), depth), dtype=np.int32)
    for chunk in _chunks(len(points)):
        rows = tree.indices[chunk]
        found = tree.query(points[rows], k=[*range(1, depth + 1)], workers=-1)
        distance[rows], index[rows] = found
    return Neighbours(points, weight, member.ravel(), distance, index)


def _chunks(length: int) -> Iterator[slice]:
    """Slices that bound the memory of intermediate tables."""
    for start in range(0, length, _CHUNK_POINTS):
        yield slice(start, start + _CHUNK_POINTS)


def auto_min_samples(n_features: int) -> int:
    """Twice the number of dimensions (Sander, Ester, Kriegel and Xu 1998), at least 4."""
    return max(4, 2 * n_features)


def auto_eps(k_distances: np.ndarray) -> float:
    """Radius at the knee of the k-distance curve (Ester, Kriegel, Sander and Xu 1996).

    The curve sorts all customers by the distance to their ``min_samples``-th nearest.
    Ordinary customers make it flat, unusual ones make it rise; its knee is where it is
    furthest below the straight line between its two ends. Around there the curve turns so
    slowly that a few customers more would move the furthest point far: the middle of all
    that is within `KNEE_WIDTH` of it stays. The whole curve is always used.

    Parameters
    ----------
    k_distances : array of shape (n_customers,)
        Distance of each customer to the ``min_samples``-th nearest, self included.

    Returns
    -------
    float
        Three significant digits, rounded up, so that no real distance sits exactly on
        it; 1.0 where all customers are alike.

    Examples
    --------
    >>> auto_eps(np.array([1.0, 1.0, 1.0, 1.2, 9.0]))
    1.21
    """
    curve = np.sort(k_distances[np.isfinite(k_distances)])
    if len(curve) == 0 or curve[-1] == 0:
        return 1.0
    if curve[-1] == curve[0]:
        return _rounded_up(float(curve[-1]))
    across = np.linspace(0, 1, len(curve))
    up = (curve - curve[0]) / (curve[-1] - curve[0])
    below = across - up
    near = curve[below >= (1 - KNEE_WIDTH) * below.max()]
    knee = float(near[0] + near[-1]) / 2
    return _rounded_up(knee if knee > 0 else float(curve[curve > 0][0]))


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(f"{(np.floor(value / unit) + 1) * unit:.3g}")


@dataclass(frozen=True)
class AnomalyFit:
    """DBSCAN of one group.

    Attributes
    ----------
    eps, min_samples : the setting used
    is_noise : bool array of shape (n_customers,)
    core_points : array of shape (n_core_points, n_features), distinct
    grid : DataFrame
        ``eps, min_samples, core, noise, noise_share`` for settings around the chosen.
    curve : DataFrame
        ``share, distance``: the k-distance curve, at most 400 rows.
    reason : str
        Why this eps and min_samples.
    """

    eps: float
    min_samples: int
    is_noise: np.ndarray
    core_points: np.ndarray
    grid: pd.DataFrame
    curve: pd.DataFrame
    reason: str

    def as_plain(self) -> dict[str, Any]:
        """The setting, its reason and how many it flags, in plain values."""
        return {
            "eps": self.eps,
            "min_samples": self.min_samples,
            "customers": len(self.is_noise),
            "anomalies": int(self.is_noise.sum()),
            "reason": self.reason,
        }


def fit_dbscan(
    prepared: np.ndarray, *, eps: float | str = "auto", min_samples: int | str = "auto"
) -> AnomalyFit:
    """Flag the customers whom no dense neighbourhood reaches.

    Parameters
    ----------
    prepared : array of shape (n_customers, n_features)
    eps, min_samples : number or ``auto``

    Returns
    -------
    AnomalyFit
        With nobody flagged where the group is smaller than ``min_samples`` or has no
        usable feature: too few customers to call anyone unusual.
    """
    n_customers, n_features = prepared.shape
    chosen = auto_min_samples(n_features) if min_samples == "auto" else int(min_samples)
    if n_features == 0 or n_customers < chosen:
        return _nobody(prepared, chosen)
    tried = sorted({max(2, round(chosen * factor)) for factor in MIN_SAMPLES_FACTORS} | {chosen})
    neighbours = find_neighbours(prepared, max_min_samples=max(tried))
    distances = neighbours.k_distance(chosen)[neighbours.member]
    radius = auto_eps(distances) if eps == "auto" else float(eps)
    core, noise = neighbours.flags(radius, chosen)
    reason = _reason(radius, chosen, n_features, eps == "auto", min_samples == "auto")
    return AnomalyFit(
        eps=radius,
        min_samples=chosen,
        is_noise=noise[neighbours.member],
        core_points=neighbours.points[core],
        grid=_grid(neighbours, radius, tried),
        curve=_curve(distances),
        reason=reason,
    )


def _grid(neighbours: Neighbours, radius: float, tried: list[int]) -> pd.DataFrame:
    rows = []
    for factor in EPS_FACTORS:
        eps = float(f"{radius * factor:.3g}") if factor != 1 else radius
        for min_samples in tried:
            core, noise = neighbours.flags(eps, min_samples)
            n_noise = int(neighbours.weight[noise].sum())
            rows.append(
                {
                    "eps": eps,
                    "min_samples": min_samples,
                    "core": int(neighbours.weight[core].sum()),
                    "noise": n_noise,
                    "noise_share": n_noise / len(neighbours.member),
                }
            )
    return pd.DataFrame(rows)


def _curve(distances: np.ndarray) -> pd.DataFrame:
    finite = np.sort(distances[np.isfinite(distances)])
    steps = np.unique(np.linspace(0, len(finite) - 1, min(400, len(finite))).round().astype(int))
    return pd.DataFrame({"share": (steps + 1) / len(finite), "distance": finite[steps]})


def _reason(
    eps: float, min_samples: int, n_features: int, auto_radius: bool, auto_count: bool
) -> str:
    count = (
        f"min_samples = {min_samples} is twice the {n_features} features, at least 4"
        if auto_count
        else f"min_samples = {min_samples} as the profile asks"
    )
    radius = (
        f"eps = {eps:g} is the knee of the k-distance curve"
        if auto_radius
        else f"eps = {eps:g} as the profile asks"
    )
    return f"{count}; {radius}"


def _nobody(prepared: np.ndarray, min_samples: int) -> AnomalyFit:
    columns = ["eps", "min_samples", "core", "noise", "noise_share"]
    return AnomalyFit(
        eps=0.0,  # 0 = nobody is flagged, now or when scoring
        min_samples=min_samples,
        is_noise=np.zeros(len(prepared), dtype=bool),
        core_points=np.empty((0, prepared.shape[1])),
        grid=pd.DataFrame(columns=columns),
        curve=pd.DataFrame(columns=["share", "distance"]),
        reason=(
            f"{len(prepared):,} customer(s) with {prepared.shape[1]} usable feature(s) are too "
            "few to call anyone unusual"
        ),
    )


@dataclass(frozen=True)
class GroupFlags:
    """What flags customers of one group: the radius, its count and the core points."""

    eps: float
    min_samples: int
    is_noise: np.ndarray
    core_points: np.ndarray


def flag_groups(*, scaled: dict[str, PreparedGroup], parameters: Parameters) -> dict[str, Any]:
    """DBSCAN flags and core points per group, with the grid of settings."""
    choice, flags, grids, curves = {}, {}, [], []
    for kind, group in scaled.items():
        fit = fit_dbscan(
            group.flag_values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
        )
        choice[kind] = fit.as_plain()
        flags[kind] = GroupFlags(fit.eps, fit.min_samples, fit.is_noise, fit.core_points)
        grids.append(fit.grid.assign(segment_type=kind))
        curves.append(fit.curve.assign(segment_type=kind))
    filled = [table for table in grids if len(table)] or grids[:1]
    drawn = [table for table in curves if len(table)] or curves[:1]
    columns = ["segment_type", "eps", "min_samples", "core", "noise", "noise_share"]
    return {
        "tuning_dbscan": pd.concat(filled, ignore_index=True)[columns],
        "k_distance": pd.concat(drawn, ignore_index=True)[["segment_type", "share", "distance"]],
        "dbscan_choice": choice,
        "flags": flags,
    }
