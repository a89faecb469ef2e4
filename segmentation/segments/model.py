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
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentation.core.columns import MODEL_SCHEMA_VERSION
from segmentation.core.errors import ModelError, SourceError, first_three
from segmentation.core.own_features import labels_from
from segmentation.customers.preparation import Preparation
from segmentation.segments.forecast import MbgNbd
from segmentation.segments.group_model import Assignment, GroupModel, in_order
from segmentation.segments.model_checks import check_model, why_not_exported

if TYPE_CHECKING:  # what serves a model does without pandas: it starts faster and smaller
    import pandas as pd

MODEL_FILE = "model.json"
CORE_POINTS_FILE = "core_points.npz"
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_ARRAY_BYTES = 8 * 1024**3


@dataclass(frozen=True)
class SegmentModel:
    """A run's model: one `GroupModel` per ``segment_type`` and what it was fitted on.

    ``split_pre_register`` decides the group of a new customer, as it did in the run.
    """

    features: tuple[str, ...]
    split_pre_register: bool
    groups: dict[str, GroupModel]
    info: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    """Checksum of a loaded model, core points included; empty before it is saved."""

    def group_of(self, customers: pd.DataFrame) -> pd.Series:
        """``segment_type`` of each customer, by the run's own split.

        Raises
        ------
        SourceError
            If the model has several groups and nothing tells the customer's.
        """
        if "segment_type" in customers.columns:
            return customers["segment_type"].astype(object)
        import pandas as pd

        kind = pd.Series("normal", index=customers.index, dtype=object)
        if set(self.groups) == {"normal"} and "register_to_order" not in self.features:
            return kind
        if "register_to_order" not in customers.columns:
            raise SourceError(
                f"the model has the groups {', '.join(self.groups)}; give segment_type or "
                "register_to_order, so that each customer's group is known."
            )
        days = pd.to_numeric(customers["register_to_order"], errors="coerce").astype("float64")
        return pd.Series(self.group_by_registration(days.to_numpy()), index=customers.index)

    def group_by_registration(self, days: np.ndarray) -> np.ndarray:
        """``segment_type`` from days between registration and first order; NaN = never."""
        kind = np.full(len(days), "normal", dtype=object)
        if self.split_pre_register:
            kind[days < 0] = "pre_register"
        kind[np.isnan(days)] = "unregistered"
        return kind

    def assign_values(self, values: np.ndarray, kinds: np.ndarray) -> Assignment:
        """Assign customers given as numbers; every other way in ends here.

        Parameters
        ----------
        values : array of shape (n_customers, n_features)
            In the order of ``features``; NaN where the customer's group does not use it.
        kinds : object array of shape (n_customers,)
            ``segment_type`` of each, one of ``groups``.
        """
        parts = []
        for kind, group in self.groups.items():
            rows = np.flatnonzero(kinds == kind)
            if len(rows):
                columns = [self.features.index(name) for name in group.preparation.features]
                parts.append(
                    (
                        rows,
                        columns,
                        group.assign(values[np.ix_(rows, np.array(columns, dtype=int))]),
                    )
                )
        if len(parts) == 1 and parts[0][1] == list(range(len(self.features))):
            return parts[0][2]
        return in_order(parts, values.shape)

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
        values = customers[list(self.features)].to_numpy(dtype=np.float64)
        found = self.assign_values(values, kinds.to_numpy(dtype=object))
        return customers[["customer_id", *self.features]].assign(
            segment_type=found.segment_type,
            cluster=found.cluster.astype("int64"),
            segment=found.segment,
            margin=found.margin,
            is_anomaly=found.is_anomaly,
            anomaly_reasons=found.reasons,
        )

    def forecast(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chance to order within ``outcome_days``, orders and value expected, of each customer.

        ``known`` has the columns ``recency, frequency, tenure, total_spent``.

        Raises
        ------
        ModelError
            With the reason why this model forecasts nobody.
        """
        given = self.info.get("forecast", {"reason": "it was made without a forecast"})
        if "reason" in given:
            raise ModelError(f"this model forecasts no customer: {given['reason']}.")
        fit = MbgNbd(*(given[name] for name in ("r", "alpha", "a", "b")))
        return fit.expected(*known.T, days=given["outcome_days"])

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns that `predict` needs, as scikit-learn names them."""
        return np.array(self.features, dtype=object)

    def predict(self, customers: pd.DataFrame) -> np.ndarray:
        """Segment of each customer, in the order given; ids are not needed."""
        given = customers.assign(customer_id=np.arange(len(customers)))
        return np.asarray(self.assign(given)["segment"], dtype=object)

    def _checked(self, customers: pd.DataFrame) -> pd.DataFrame:
        missing = [n for n in ("customer_id", *self.features) if n not in customers.columns]
        if missing:
            raise SourceError(
                f"the customers lack {first_three(missing)}; the model needs customer_id, "
                f"{', '.join(self.features)}."
            )
        import pandas as pd

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
        document["sha256"] = document_checksum(document)
        (folder / CORE_POINTS_FILE).write_bytes(payload)
        text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
        (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def _fixed_zip(payload: bytes) -> bytes:
    """The same archive with fixed time stamps, so that equal models are equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(out, "w") as new:
        for name in sorted(old.namelist()):
            new.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), old.read(name))
    return out.getvalue()


def document_checksum(document: dict[str, Any]) -> str:
    """Checksum over everything that ``model.json`` says, in its order, except itself.

    White space does not count; the order of keys does, because reasons are given in it.
    """
    content = {name: value for name, value in document.items() if name != "sha256"}
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
            "dates": [list(date) for date in preparation.dates],
        },
        "centers": group.centers.tolist(),
        "names": list(group.names),
        "eps": group.eps,
        "min_samples": group.min_samples,
        "reason_limits": {name: list(pair) for name, pair in group.reason_limits.items()},
        "medians": group.medians,
        "ranges": {name: list(pair) for name, pair in group.ranges.items()},
        "profiles": list(group.profiles),
        "note": group.note,
        "distributions": {
            name: {"edges": list(edges), "counts": list(counts)}
            for name, (edges, counts) in group.distributions.items()
        },
    }


def load_model(folder: str | Path, *, to_export: bool = False) -> SegmentModel:
    """Load a run's ``model/`` folder, verified.

    ``to_export`` refuses one that does not follow the labels of the analyst's own it is made of.

    Raises
    ------
    ModelError
        If a file is missing, too large, damaged (checksum), of another version, or
        holds shapes or numbers that cannot be a model.
    """
    folder = Path(folder)
    path = folder / MODEL_FILE
    document = _read_document(folder)
    try:
        cores = _load_core_points(folder, document["core_points"])
        if set(cores) != set(document["groups"]) or not cores:
            raise ValueError("core points of other groups")
        model = SegmentModel(
            features=tuple(document["features"]),
            split_pre_register=bool(document["split_pre_register"]),
            groups={
                kind: _group_from(kind, values, cores[kind])
                for kind, values in document["groups"].items()
            },
            info=dict(document["info"]),
            sha256=document["sha256"],
        )
        labels_from(model.info.get("parameters", {}).get("feature_labels", {}))
        check_model(model)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise ModelError(f"{path}: is not a complete model ({said}); run again.") from None
    if to_export and (why := why_not_exported(model.info)):
        raise ModelError(f"{folder}: {why}.")
    return model


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_FILE
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path}: is larger than a model can be.")
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise ModelError(f"{folder}: is no model folder (it has no {MODEL_FILE}).") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{path}: is damaged; restore it or run again.") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != MODEL_SCHEMA_VERSION or isinstance(version, bool):
        raise ModelError(
            f"{path}: has schema version {version!r}, this program reads {MODEL_SCHEMA_VERSION}; "
            "run again, or score with the version that made it."
        )
    if document.get("sha256") != document_checksum(document):
        raise ModelError(
            f"{path}: its content is not what its checksum says; restore it or run again."
        )
    return document


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _load_core_points(folder: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    path = folder / CORE_POINTS_FILE
    try:
        if path.stat().st_size > MAX_ARRAY_BYTES:
            raise ModelError(f"{path}: is larger than a model can be.")
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
        dates=tuple((int(c), float(m), float(s)) for c, m, s in raw.get("dates", ())),
    )
    return GroupModel(
        segment_type=kind,
        preparation=preparation,
        centers=np.array(values["centers"], dtype=np.float64).reshape(-1, max(n_features, 1))
        if n_features
        else np.empty((len(values["centers"]), 0)),
        names=tuple(values["names"]),
        eps=float(values["eps"]),
        min_samples=int(values["min_samples"]),
        core_points=core_points,
        reason_limits={
            name: (float(low), float(high)) for name, (low, high) in values["reason_limits"].items()
        },
        medians={name: float(value) for name, value in values["medians"].items()},
        ranges={name: (float(low), float(high)) for name, (low, high) in values["ranges"].items()},
        profiles=tuple(dict(profile) for profile in values["profiles"]),
        note=str(values["note"]),
        distributions={
            name: (tuple(map(float, entry["edges"])), tuple(map(int, entry["counts"])))
            for name, entry in values.get("distributions", {}).items()
        },
    )
