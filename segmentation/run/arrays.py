"""Results that hold arrays: nested dataclasses and dicts in one .npz file, without pickle."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segmentation.customers.preparation import Preparation
from segmentation.customers.prepare import PreparedGroup
from segmentation.segments.dbscan import GroupFlags
from segmentation.segments.kmeans import Clustering, GroupFits

KINDS = {
    kind.__name__: kind for kind in (Preparation, PreparedGroup, Clustering, GroupFits, GroupFlags)
}
FORM = "form"


def save(path: Path, value: Any) -> None:
    """Write a value: its arrays one by one, and what it is made of as JSON."""
    arrays: dict[str, Any] = {}
    arrays[FORM] = np.array(json.dumps(_taken_apart(value, arrays)))
    np.savez(path, **arrays)


def load(path: Path) -> Any:
    """What `save` wrote, equal in every bit."""
    with np.load(path, allow_pickle=False) as arrays:
        return _put_together(json.loads(str(arrays[FORM])), arrays)


def _taken_apart(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects is kept by pickle only; make it numbers or text")
        name = str(len(arrays))
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value):
        parts = {f.name: _taken_apart(getattr(value, f.name), arrays) for f in fields(value)}
        return {"kind": type(value).__name__, "fields": parts}
    if isinstance(value, dict):
        return {"dict": [[key, _taken_apart(part, arrays)] for key, part in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_taken_apart(part, arrays) for part in value]}
    return {"plain": value}


def _put_together(form: dict[str, Any], arrays: Any) -> Any:
    if "array" in form:
        return arrays[form["array"]]
    if "kind" in form:
        parts = {name: _put_together(part, arrays) for name, part in form["fields"].items()}
        return KINDS[form["kind"]](**parts)
    if "dict" in form:
        return {key: _put_together(part, arrays) for key, part in form["dict"]}
    if "tuple" in form:
        return tuple(_put_together(part, arrays) for part in form["tuple"])
    return form["plain"]
