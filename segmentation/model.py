"""Prepare + assign: the one implementation behind notebooks, files, SQL and API.

A model is data, not code: one JSON file with constants and names, and NumPy arrays for
the DBSCAN core points, loaded without pickle and verified by checksum.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from segmentation.errors import ModelError, SourceError, first_three
from segmentation.schema import FEATURES, MODEL_SCHEMA_VERSION

MODEL_FILE = "model.json"
CORE_POINTS_FILE = "core_points.npz"
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_ARRAY_BYTES = 8 * 1024**3


@dataclass(frozen=True)
class Preparation:
    """Fitted constants that turn features of one group into prepared space.

    Attributes
    ----------
    features : tuple of str
        Features in column order; constant or missing ones were left out at fitting.
    low, high : arrays of shape (n_features,)
        Winsor limits in the feature's own unit (minus/plus infinity = none).
    transform : str
        ``none``, ``log`` (sign(x) * ln(1 + |x|)) or ``yeo-johnson``.
    lambdas : array of shape (n_features,)
        Yeo-Johnson exponents (Yeo and Johnson 2000); unused otherwise.
    center, scale : arrays of shape (n_features,)
        Subtracted from, then divided into, the transformed values.
    """

    features: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    transform: str
    lambdas: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Prepared values, shape (n_customers, n_features), from raw ones in that order."""
        values = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.transform == "log":
            values = np.sign(values) * np.log1p(np.abs(values))
        elif self.transform == "yeo-johnson":
            values = yeo_johnson(values, self.lambdas)
        return (values - self.center) / self.scale


def yeo_johnson(values: np.ndarray, lambdas: np.ndarray) -> np.ndarray:
    """Yeo-Johnson power transform (Yeo and Johnson 2000), column by column.

    Examples
    --------
    >>> yeo_johnson(np.array([[3.0, -3.0]]), np.array([0.0, 2.0])).round(4).tolist()
    [[1.3863, -1.3863]]
    """
    result = np.empty_like(values)
    for column, exponent in enumerate(lambdas):
        x = values[:, column]
        up, down = x >= 0, x < 0
        if abs(exponent) < np.spacing(1.0):
            result[up, column] = np.log1p(x[up])
        else:
            result[up, column] = np.expm1(exponent * np.log1p(x[up])) / exponent
        if abs(exponent - 2) > np.spacing(1.0):
            result[down, column] = -np.expm1((2 - exponent) * np.log1p(-x[down])) / (2 - exponent)
        else:
            result[down, column] = -np.log1p(-x[down])
    return result


def centre_distances(prepared: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Euclidean distance of every customer to every centre, (n_customers, n_clusters)."""
    distances = np.empty((len(prepared), len(centers)))
    for index, center in enumerate(centers):
        distances[:, index] = np.sqrt(((prepared - center) ** 2).sum(axis=1))
    return distances


def margins(distances: np.ndarray) -> np.ndarray:
    """Certainty of each assignment: 1 - d1/d2; NaN where there is one cluster only.

    Examples
    --------
    >>> margins(np.array([[1.0, 4.0], [2.0, 2.0], [0.0, 0.0]])).tolist()
    [0.75, 0.0, 0.0]
    """
    if distances.shape[1] < 2:
        return np.full(len(distances), np.nan)
    nearest = np.partition(distances, 1, axis=1)[:, :2]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(nearest[:, 1] > 0, nearest[:, 0] / nearest[:, 1], 1.0)
    return 1 - ratio


@dataclass(frozen=True)
class GroupModel:
    """Everything that assigns the customers of one ``segment_type``.

    ``reason_limits`` maps a feature to its (low, high) limits beyond which a value is
    named as a reason; they are quantiles of the customers it was fitted on.
    ``note`` says in words why a group was left as one segment, where it was.
    """

    segment_type: str
    preparation: Preparation
    centers: np.ndarray
    names: tuple[str, ...]
    eps: float
    min_samples: int
    core_points: np.ndarray
    reason_limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    medians: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def assign(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Cluster, name, margin and anomaly flag with reasons, one row per customer."""
        values = customers[list(self.preparation.features)].to_numpy(dtype=np.float64)
        prepared = self.preparation.apply(values)
        distances = centre_distances(prepared, self.centers)
        cluster = distances.argmin(axis=1)
        anomalous, nearest = self.is_anomaly(prepared)
        reasons = np.full(len(customers), "", dtype=object)
        for row in np.flatnonzero(anomalous):
            reasons[row] = self._reasons(customers.iloc[row], prepared[row], nearest[row])
        return pd.DataFrame(
            {
                "segment_type": self.segment_type,
                "cluster": cluster.astype("int64"),
                "segment": np.array(self.names, dtype=object)[cluster],
                "margin": margins(distances),
                "is_anomaly": anomalous,
                "anomaly_reasons": reasons,
            },
            index=customers.index,
        )

    def is_anomaly(self, prepared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flag customers whom no core point reaches, and name the nearest core point.

        Returns
        -------
        (flags, nearest)
            ``flags`` bool per customer; ``nearest`` index into ``core_points``, -1
            where there are none: then all are flagged, or nobody where ``eps`` is 0
            (the group was too small to call anyone unusual).
        """
        if len(self.core_points) == 0 or len(prepared) == 0:
            return np.full(len(prepared), self.eps > 0), np.full(len(prepared), -1)
        distance, nearest = cKDTree(self.core_points).query(prepared)
        return distance > self.eps, nearest

    def _reasons(self, customer: pd.Series, prepared: np.ndarray, nearest: int) -> str:
        found = []
        for name, (low, high) in self.reason_limits.items():
            value, median = float(customer[name]), self.medians[name]
            if value > high:
                found.append(
                    f"{REASON_WORDS[name][1]} ({_number(value)}, median {_number(median)})"
                )
            elif value < low:
                found.append(
                    f"{REASON_WORDS[name][0]} ({_number(value)}, median {_number(median)})"
                )
        if found:
            return "; ".join(found)
        gap = np.abs(prepared - (self.core_points[nearest] if nearest >= 0 else 0.0))
        order = np.argsort(-gap, kind="stable")[: min(2, len(gap))]
        named = [self.preparation.features[column] for column in order]
        values = [
            f"{FEATURES[name].label.lower()} {_number(float(customer[name]))}" for name in named
        ]
        return "rare combination: " + " with ".join(values)


REASON_WORDS = {
    "register_to_order": ("ordered long before registering", "registered long before ordering"),
    "first_to_last_order": ("unusually short activity", "unusually long activity"),
    "total_unit": ("unusually few units", "extreme quantity"),
    "total_spent": ("unusually small spender", "extreme spender"),
    "recency": ("unusually recent order", "unusually long absence"),
    "frequency": ("unusually few orders", "extremely frequent buyer"),
    "average_order_value": ("unusually small basket", "unusually large basket"),
    "tenure": ("unusually new customer", "unusually old customer"),
}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < 0.005 else f"{value:,.2f}"


@dataclass(frozen=True)
class SegmentModel:
    """A run's model: one `GroupModel` per ``segment_type`` and what it was fitted on.

    ``split_pre_register`` decides the group of a new customer, as it did in the run.
    """

    features: tuple[str, ...]
    split_pre_register: bool
    groups: dict[str, GroupModel]
    info: dict[str, Any] = field(default_factory=dict)

    def group_of(self, customers: pd.DataFrame) -> pd.Series:
        """``segment_type`` of each customer, by the run's own split.

        Raises
        ------
        SourceError
            If the model has several groups and nothing tells the customer's.
        """
        if "segment_type" in customers.columns:
            return customers["segment_type"].astype(object)
        kind = pd.Series("normal", index=customers.index, dtype=object)
        if set(self.groups) == {"normal"} and "register_to_order" not in self.features:
            return kind
        if "register_to_order" not in customers.columns:
            raise SourceError(
                f"the model has the groups {', '.join(self.groups)}; give segment_type or "
                "register_to_order, so that each customer's group is known."
            )
        days = pd.to_numeric(customers["register_to_order"], errors="coerce").astype("float64")
        if self.split_pre_register:
            kind[days < 0] = "pre_register"
        kind[days.isna()] = "unregistered"
        return kind

    def assign(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Segments table of new (or the same) customers, in the order given.

        Parameters
        ----------
        customers : DataFrame
            ``customer_id`` and the model's features; ``segment_type`` too where the
            caller has it (it decides the group then).

        Raises
        ------
        SourceError
            If a column is missing, a value is not a finite number, or a customer
            belongs to a group that the model was not fitted on.
        """
        customers = self._checked(customers)
        kinds = self.group_of(customers)
        unknown = sorted(set(kinds) - set(self.groups))
        if unknown:
            raise SourceError(
                f"{int(kinds.isin(unknown).sum()):,} customer(s) belong to the group "
                f"{first_three(unknown)}, which this model was not fitted on "
                f"(it has {', '.join(self.groups)})."
            )
        parts = [
            group.assign(customers[kinds == kind])
            for kind, group in self.groups.items()
            if (kinds == kind).any()
        ]
        assigned = pd.concat(parts).reindex(customers.index)
        table = customers[["customer_id", *self.features]].join(assigned)
        return table.astype({"cluster": "int64", "is_anomaly": bool})

    def _checked(self, customers: pd.DataFrame) -> pd.DataFrame:
        missing = [n for n in ("customer_id", *self.features) if n not in customers.columns]
        if missing:
            raise SourceError(
                f"the customers lack {first_three(missing)}; the model needs customer_id, "
                f"{', '.join(self.features)}."
            )
        customers = customers.reset_index(drop=True)
        kinds = self.group_of(customers)
        for name in self.features:
            numbers = pd.to_numeric(customers[name], errors="coerce")
            bad = ~np.isfinite(numbers.astype("float64"))
            if name == "register_to_order":
                bad &= kinds != "unregistered"
            if bad.any():
                raise SourceError(
                    f"{name} is empty or not a finite number for {int(bad.sum()):,} customer(s) "
                    f"({first_three(customers['customer_id'][bad])})."
                )
            customers[name] = numbers
        return customers

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``core_points.npz`` into a folder made by the caller."""
        arrays = {kind: group.core_points for kind, group in self.groups.items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        payload = _fixed_zip(buffer.getvalue())
        document = {
            "schema_version": MODEL_SCHEMA_VERSION,
            "features": list(self.features),
            "split_pre_register": self.split_pre_register,
            "groups": {kind: _group_document(group) for kind, group in self.groups.items()},
            "core_points": {
                "file": CORE_POINTS_FILE,
                "sha256": hashlib.sha256(payload).hexdigest(),
            },
            "info": self.info,
        }
        (folder / CORE_POINTS_FILE).write_bytes(payload)
        text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
        (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def _fixed_zip(payload: bytes) -> bytes:
    """The same archive with fixed time stamps, so that equal models are equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(out, "w") as new:
        for name in sorted(old.namelist()):
            new.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), old.read(name))
    return out.getvalue()


def _bound(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _group_document(group: GroupModel) -> dict[str, Any]:
    preparation = group.preparation
    return {
        "preparation": {
            "features": list(preparation.features),
            "low": [_bound(value) for value in preparation.low],
            "high": [_bound(value) for value in preparation.high],
            "transform": preparation.transform,
            "lambdas": preparation.lambdas.tolist(),
            "center": preparation.center.tolist(),
            "scale": preparation.scale.tolist(),
        },
        "centers": group.centers.tolist(),
        "names": list(group.names),
        "eps": group.eps,
        "min_samples": group.min_samples,
        "reason_limits": {name: list(pair) for name, pair in group.reason_limits.items()},
        "medians": group.medians,
        "note": group.note,
    }


def load_model(folder: Path) -> SegmentModel:
    """Load a run's ``model/`` folder, verified.

    Raises
    ------
    ModelError
        If a file is missing, too large, damaged (checksum), of another version, or
        holds shapes or numbers that cannot be a model.
    """
    path = folder / MODEL_FILE
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path}: is larger than a model can be.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: is no model folder (it has no {MODEL_FILE}).") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{path}: is damaged; restore it or run again.") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != MODEL_SCHEMA_VERSION:
        raise ModelError(
            f"{path}: has schema version {version!r}, this program reads {MODEL_SCHEMA_VERSION}."
        )
    try:
        cores = _load_core_points(folder, document["core_points"])
        groups = {
            kind: _group_from(kind, values, cores[kind])
            for kind, values in document["groups"].items()
        }
        return SegmentModel(
            features=tuple(document["features"]),
            split_pre_register=bool(document["split_pre_register"]),
            groups=groups,
            info=document["info"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: is not a complete model ({type(error).__name__}); run again."
        ) from None


def _load_core_points(folder: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    path = folder / CORE_POINTS_FILE
    try:
        payload = path.read_bytes()
        if hashlib.sha256(payload).hexdigest() != entry["sha256"]:
            raise ModelError(f"{path}: its checksum is not the model's; restore it or run again.")
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_ARRAY_BYTES:
                raise ModelError(f"{path}: is larger than a model can be.")
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, zipfile.BadZipFile):
        raise ModelError(f"{path}: is missing or damaged; restore it or run again.") from None


def _group_from(kind: str, values: dict[str, Any], core_points: np.ndarray) -> GroupModel:
    raw = values["preparation"]
    n_features = len(raw["features"])
    preparation = Preparation(
        features=tuple(raw["features"]),
        low=np.array([-np.inf if v is None else v for v in raw["low"]], dtype=np.float64),
        high=np.array([np.inf if v is None else v for v in raw["high"]], dtype=np.float64),
        transform=raw["transform"],
        lambdas=np.array(raw["lambdas"], dtype=np.float64),
        center=np.array(raw["center"], dtype=np.float64),
        scale=np.array(raw["scale"], dtype=np.float64),
    )
    centers = np.array(values["centers"], dtype=np.float64).reshape(-1, n_features)
    if core_points.ndim != 2 or core_points.shape[1] != n_features:
        raise ValueError("core points of another shape")
    if len(values["names"]) != len(centers) or len(centers) == 0:
        raise ValueError("names do not match centres")
    finite = (centers, core_points, preparation.center, preparation.scale, preparation.lambdas)
    if not all(np.isfinite(array).all() for array in finite) or (preparation.scale <= 0).any():
        raise ValueError("numbers that are not finite")
    return GroupModel(
        segment_type=kind,
        preparation=preparation,
        centers=centers,
        names=tuple(values["names"]),
        eps=float(values["eps"]),
        min_samples=int(values["min_samples"]),
        core_points=core_points,
        reason_limits={name: (pair[0], pair[1]) for name, pair in values["reason_limits"].items()},
        medians=dict(values["medians"]),
        note=values["note"],
    )
