"""What no fit can have produced: numbers, names and shapes that a model refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from segmentation.core.columns import FEATURES, format_share
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.limits import LABELS_FOLLOWED
from segmentation.customers.preparation import TRANSFORMS, Preparation


def check_model(model: Any) -> None:
    """Refuse numbers, names and shapes that no fit can have produced.

    Raises
    ------
    ValueError
        Names the group and what is wrong with it.
    """
    _refuse(not model.features or set(model.features) - set(FEATURES), "unknown features")
    _refuse(set(model.groups) - set(SEGMENT_TYPES), "unknown groups")
    forecast = {n: v for n, v in model.info.get("forecast", {}).items() if n != "reason"}
    named = set(forecast) in (set(), {"r", "alpha", "a", "b", "outcome_days"})
    numbers = all(isinstance(v, int | float) and 0 < v < np.inf for v in forecast.values())
    _refuse(not (named and numbers), "a forecast of another shape")
    labels = model.info.get("own_labels", {"customers": 1, "followed": 1})
    counted = labels["customers"], labels["followed"]
    _refuse(not 0 <= counted[1] <= counted[0] != 0, "labels counted in another way")
    for kind, group in model.groups.items():
        unknown = set(group.preparation.features) - set(model.features)
        _refuse(unknown, f"group {kind}: features that the model does not have")
        _check_preparation(kind, group.preparation)
        _check_group(kind, group)


def why_not_exported(info: dict[str, Any]) -> str:
    """Why a model is not for new customers, and what to do; empty where it is.

    Examples
    --------
    >>> why_not_exported({}), why_not_exported({"own_labels": {"customers": 100, "followed": 99}})
    ('', '')
    """
    labels = info.get("own_labels", {"customers": 1, "followed": 1})
    share = labels["followed"] / labels["customers"]
    if share >= LABELS_FOLLOWED:
        return ""
    return (
        f"the nearest segment centre gives {format_share(share, labels['customers'])} of the "
        "customers the label of your own that they have, and a model for new ones needs "
        f"{LABELS_FOLLOWED:.0%}; use the run's segments.parquet, or give labels that the features "
        "tell apart and run again"
    )


def _check_preparation(kind: str, preparation: Preparation) -> None:
    shape = (len(preparation.features),)
    for name in ("low", "high", "lambdas", "center", "scale"):
        values = getattr(preparation, name)
        _refuse(values.shape != shape, f"group {kind}: {name} of another shape")
        infinite_allowed = name in ("low", "high")
        bad = np.isnan(values) if infinite_allowed else ~np.isfinite(values)
        _refuse(bad.any(), f"group {kind}: {name} is not finite")
    _refuse((preparation.scale <= 0).any(), f"group {kind}: scale is not positive")
    for column, center, scale in preparation.dates:
        fits = 0 <= column < shape[0] and math.isfinite(center) and 0 < scale < np.inf
        _refuse(not fits, f"group {kind}: dates of another shape")
    _refuse((preparation.low > preparation.high).any(), f"group {kind}: low is above high")
    _refuse(preparation.transform not in TRANSFORMS, f"group {kind}: unknown transform")


def _check_group(kind: str, group: Any) -> None:
    n_features = len(group.preparation.features)
    for name in ("centers", "core_points"):
        values = getattr(group, name)
        _refuse(values.dtype != np.float64, f"group {kind}: {name} are not numbers")
        wrong = values.ndim != 2 or values.shape[1] != n_features
        _refuse(wrong, f"group {kind}: {name} of another shape")
        _refuse(not np.isfinite(values).all(), f"group {kind}: {name} are not finite")
    _refuse(len(group.centers) == 0, f"group {kind}: no centres")
    named = len(group.names) == len(group.centers) and all(
        isinstance(name, str) and name for name in group.names
    )
    _refuse(not named, f"group {kind}: names do not match centres")
    _refuse(not 0 <= group.eps < np.inf, f"group {kind}: eps is not a finite distance")
    _refuse(group.eps == 0 and len(group.core_points), f"group {kind}: eps is 0")
    _refuse(group.min_samples < 2, f"group {kind}: min_samples is below 2")
    for name, (low, high) in group.ranges.items():
        known = name in group.preparation.features and -np.inf < low <= high < np.inf
        _refuse(not known, f"group {kind}: range of {name}")
    described = [float(v) for profile in group.profiles for v in profile.values()]
    wrong = len(group.profiles) not in (0, len(group.centers)) or not np.isfinite(described).all()
    _refuse(wrong, f"group {kind}: profiles do not match centres")
    for name, (edges, counts) in group.distributions.items():
        known = name in group.preparation.features and np.isfinite(edges).all()
        fits = len(counts) == len(edges) + 2 and min(counts) >= 0 and sorted(edges) == list(edges)
        _refuse(not (known and fits), f"group {kind}: distribution of {name}")
    for name, (low, high) in group.reason_limits.items():
        known = name in group.preparation.features and math.isfinite(group.medians[name])
        ordered = -np.inf < low <= high < np.inf
        _refuse(not (known and ordered), f"group {kind}: reason limits of {name}")


def _refuse(wrong: object, why: str) -> None:
    if wrong:
        raise ValueError(why)
