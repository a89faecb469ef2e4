"""Open Inference Protocol (v2): the same answers for platforms that speak tensors."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from segmentation import __version__
from segmentation.api.bodies import Customers
from segmentation.api.contract import MAX_BULK_ROWS, Contract
from segmentation.api.problems import FieldError, Problem
from segmentation.api.scoring import assign
from segmentation.api.store import Serving
from segmentation.model import Assignment

MODEL_NAME = "customer-segments"
OUTPUTS = {
    "segment_type": "BYTES",
    "cluster": "INT64",
    "segment": "BYTES",
    "margin": "FP64",
    "is_anomaly": "BOOL",
}
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@with_config(ConfigDict(extra="forbid", strict=True))
class FeatureTensor(TypedDict):
    """Numbers, row by row: as many per customer as the model has features."""

    name: Literal["features"]
    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    datatype: Literal["FP64", "FP32", "INT64", "INT32"]
    parameters: NotRequired[dict[str, str | int | float | bool]]
    data: Annotated[list[_Number | None], Field(min_length=1)]


@with_config(ConfigDict(extra="forbid", strict=True))
class KindTensor(TypedDict):
    """``segment_type`` of every customer, where the model has to be told."""

    name: Literal["segment_type"]
    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    parameters: NotRequired[dict[str, str | int | float | bool]]
    data: Annotated[list[str], Field(min_length=1, max_length=MAX_BULK_ROWS)]


@with_config(ConfigDict(extra="forbid", strict=True))
class RequestedOutput(TypedDict):
    """One output asked for."""

    name: Literal["segment_type", "cluster", "segment", "margin", "is_anomaly"]
    parameters: NotRequired[dict[str, str | int | float | bool]]


@with_config(ConfigDict(extra="forbid", strict=True))
class InferenceRequest(TypedDict):
    """An inference request of the Open Inference Protocol."""

    id: NotRequired[Annotated[str, Field(max_length=200)]]
    parameters: NotRequired[dict[str, str | int | float | bool]]
    inputs: Annotated[
        list[Annotated[FeatureTensor | KindTensor, Field(discriminator="name")]],
        Field(min_length=1, max_length=2),
    ]
    outputs: NotRequired[Annotated[list[RequestedOutput], Field(max_length=len(OUTPUTS))]]


REQUEST: TypeAdapter[InferenceRequest] = TypeAdapter(InferenceRequest)


def accepted(name: str) -> str:
    """Words for what a field of the protocol accepts."""
    return {
        "data": "a flat list of finite numbers, row by row",
        "shape": "[customers, features]",
        "datatype": "FP64, FP32, INT64 or INT32 (BYTES for segment_type)",
        "name": "features or segment_type; outputs: " + ", ".join(OUTPUTS),
    }.get(name, "")


def metadata(serving: Serving) -> dict[str, Any]:
    """Model metadata as the protocol wants them."""
    contract = serving.contract
    inputs = [{"name": "features", "datatype": "FP64", "shape": [-1, len(contract.features)]}]
    if contract.needs_segment_type:
        inputs.append({"name": "segment_type", "datatype": "BYTES", "shape": [-1]})
    return {
        "name": MODEL_NAME,
        "versions": [serving.sha256],
        "platform": f"segmentation-report_{__version__}",
        "inputs": inputs,
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in OUTPUTS.items()
        ],
        "parameters": {"features": list(contract.features)},
    }


def infer(serving: Serving, request: InferenceRequest) -> tuple[bytes, int]:
    """Answer of an inference request, and the number of customers in it.

    Raises
    ------
    Problem
        422 where shapes or values do not fit the model.
    """
    customers = _customers(serving.contract, request)
    found = assign(serving, customers)
    asked: list[str] = [output["name"] for output in request.get("outputs", [])]
    wanted = asked or list(OUTPUTS)
    document = {
        "model_name": MODEL_NAME,
        "model_version": serving.sha256,
        "outputs": [_output(name, found) for name in wanted],
    }
    if "id" in request:
        document["id"] = request["id"]
    return to_json(document, inf_nan_mode="null"), len(customers.ids)


def _output(name: str, found: Assignment) -> dict[str, Any]:
    values = getattr(found, name)
    shape = [len(values)]
    return {"name": name, "datatype": OUTPUTS[name], "shape": shape, "data": values.tolist()}


def _customers(contract: Contract, request: InferenceRequest) -> Customers:
    tensors = {tensor["name"]: (place, tensor) for place, tensor in enumerate(request["inputs"])}
    wanted = {"features"} | ({"segment_type"} if contract.needs_segment_type else set())
    if set(tensors) != wanted or len(tensors) != len(request["inputs"]):
        raise Problem(422, f"the inputs must be {' and '.join(sorted(wanted))}, once each.")
    place, tensor = tensors["features"]
    values = _values(contract, tensor, f"/inputs/{place}")
    kinds = None
    if contract.needs_segment_type:
        place, tensor = tensors["segment_type"]
        kinds = [str(kind) for kind in tensor["data"]]
        fits = math.prod(tensor["shape"]) == len(kinds) == len(values)
        if not fits or set(kinds) - set(contract.groups):
            said = f"one of {', '.join(contract.groups)} for each of the customers"
            raise Problem(
                422, "segment_type does not fit.", [FieldError(f"/inputs/{place}/data", said)]
            )
    return Customers([""] * len(values), values, kinds, "tensor")


def _values(contract: Contract, tensor: Any, where: str) -> np.ndarray:
    n_features = len(contract.features)
    rows, width = tensor["shape"]
    if width != n_features or rows * width != len(tensor["data"]):
        said = f"[customers, {n_features}], the data flat and row by row"
        raise Problem(422, "the shape does not fit.", [FieldError(f"{where}/shape", said)])
    if rows > MAX_BULK_ROWS:
        raise Problem(413, f"there are more than {MAX_BULK_ROWS:,} customers; send fewer at once.")
    values = np.array(tensor["data"], dtype=np.float64).reshape(rows, width)
    bad = np.zeros(values.shape, dtype=bool)
    for column, name in enumerate(contract.features):
        bounds, given = contract.bounds[name], values[:, column]
        too_high = given >= bounds.high if bounds.high_excluded else given > bounds.high
        missing = np.isnan(given) & (not bounds.nullable)
        bad[:, column] = (given < bounds.low) | too_high | missing
    if bad.any():
        errors = [
            FieldError(
                f"{where}/data/{place}",
                f"accepted: {contract.accepted(contract.features[place % width])}",
            )
            for place in np.flatnonzero(bad)[:20].tolist()
        ]
        count = int(bad.sum())
        raise Problem(422, f"{count:,} value(s) are not accepted.", errors, error_count=count)
    return values
