"""What ``GET /v1/model`` tells of the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from segmentation import __version__
from segmentation.core.columns import FEATURES, MODEL_SCHEMA_VERSION
from segmentation.core.groups import group_labels
from segmentation.deliver.api.contract import MAX_BODY_BYTES, MAX_BULK_ROWS, MAX_ROWS
from segmentation.deliver.api.store import Serving
from segmentation.segments.model import GroupModel


def model_card(serving: Serving) -> dict[str, Any]:
    """Model card: features with units and ranges, segments with their facts, versions."""
    model, contract = serving.model, serving.contract
    return {
        "model": serving.reference,
        "versions": {"segmentation-report": __version__, "model_schema": MODEL_SCHEMA_VERSION},
        "parameters": model.info.get("parameters", {}),
        "features": [
            {
                "name": name,
                "label": FEATURES[name].label,
                "unit": FEATURES[name].unit,
                "meaning": FEATURES[name].meaning,
                "accepted": contract.accepted(name),
                "nullable": contract.bounds[name].nullable,
            }
            for name in contract.features
        ],
        "columns": list(contract.columns),
        "forecast": model.info.get("forecast", {}),
        "groups": [_group_card(group, model.groups) for group in model.groups.values()],
        "limits": {
            "customers_json": MAX_ROWS,
            "customers_ndjson_or_csv": MAX_BULK_ROWS,
            "body_bytes": MAX_BODY_BYTES,
        },
        "personal_data": _personal_data(model.info.get("reduced")),
    }


def _group_card(group: GroupModel, kinds: Iterable[str]) -> dict[str, Any]:
    return {
        "segment_type": group.segment_type,
        "meaning": group_labels(kinds)[group.segment_type],
        "ranges": {name: list(pair) for name, pair in group.ranges.items()},
        "anomaly_rule": {
            "eps": group.eps,
            "min_samples": group.min_samples,
            "core_points": len(group.core_points),
        },
        "segments": [
            {"cluster": cluster, "segment": name, **_facts(group, cluster)}
            for cluster, name in enumerate(group.names)
        ],
        "note": group.note,
    }


def _facts(group: GroupModel, cluster: int) -> dict[str, Any]:
    if not group.profiles:
        return {}
    profile = dict(group.profiles[cluster])
    return {"customers": int(profile.pop("customers")), "medians": profile}


def _personal_data(reduced: dict[str, Any] | None) -> str:
    if reduced:
        return (
            "The core points of DBSCAN were replaced by the centres of a grid: no customer's row "
            f"is in the files. Flags are the full model's except for customers whose distance to "
            f"the nearest core point is within {reduced['tolerance']:.0%} of eps."
        )
    return (
        "The file core_points.npz holds the scaled feature values of the customers that DBSCAN "
        "made core points, without ids. Treat the model folder as personal data, or serve a "
        "reduced one (segmentation reduce)."
    )
