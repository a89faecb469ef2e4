"""A model without customers' rows: core points of DBSCAN -> centres of a grid."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from segmentation.core.errors import ParameterError
from segmentation.core.own_folders import REDUCED_MODEL
from segmentation.core.placing import new_folder
from segmentation.segments.model import GroupModel, SegmentModel, load_model


def reduced_model(model: SegmentModel, *, tolerance: float) -> SegmentModel:
    """The same model with every core point replaced by the centre of its grid cell.

    The cells are so small that no core point is further than ``tolerance * eps`` from
    its centre. A customer's distance to the nearest core point therefore changes by at
    most that, and a flag can change only where the distance is within
    ``eps * (1 - tolerance)`` to ``eps * (1 + tolerance)``. Segments and margins do not
    depend on core points and stay the same.

    Parameters
    ----------
    tolerance : float
        Share of ``eps``; between 0.001 and 0.5.

    Raises
    ------
    ParameterError
        If the tolerance is out of range.
    """
    if not 0.001 <= tolerance <= 0.5:
        raise ParameterError("--tolerance: must be a number from 0.001 to 0.5, a share of eps.")
    groups = {kind: _reduced(group, tolerance) for kind, group in model.groups.items()}
    info = model.info | {"reduced": {"tolerance": tolerance}}
    return replace(model, groups=groups, info=info, sha256="")


def _reduced(group: GroupModel, tolerance: float) -> GroupModel:
    points = group.core_points
    if len(points) == 0:
        return group
    side = 2 * tolerance * group.eps / math.sqrt(points.shape[1])
    cells = np.unique(np.floor(points / side), axis=0)
    return replace(group, core_points=(cells + 0.5) * side)


def reduce_folder(model: Path, output: Path, *, tolerance: float) -> tuple[int, int]:
    """Write the reduced model of a folder to another.

    Returns
    -------
    (before, after) : int
        Core points of the model, and grid centres of the reduced one.
    """
    if output.exists() and output.resolve() == model.resolve():
        raise ParameterError("--output: is the model itself; give another folder.")
    with new_folder(output, REDUCED_MODEL, "give --output a new folder") as working:
        full = load_model(model, to_export=True)
        small = reduced_model(full, tolerance=tolerance)
        small.save(working)
    counts = [sum(len(g.core_points) for g in m.groups.values()) for m in (full, small)]
    return counts[0], counts[1]
