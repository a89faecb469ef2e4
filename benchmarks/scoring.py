"""New customers against a model: memory and growth of what the API and the CLI run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.flagging import EPS, MIN_SAMPLES

FEATURES = ("recency", "frequency", "total_spent", "total_unit", "tenure")
SEED = 7


def ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """As many new customers as the model has core points, every flag exact."""
    model, values = _model(np.load(path)), _new_customers(np.load(path))
    kinds = np.full(len(values), "normal", dtype=object)

    def work() -> dict[str, Any]:
        found = model.assign_values(values, kinds)
        return {"customers": len(values), "anomalies": int(found.is_anomaly.sum())}

    return work


def scipy_query(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """The same three answers straight from scipy and NumPy, as one would write them."""
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import cdist

    core, values = np.load(path), _new_customers(np.load(path))
    centers = _centers(core)

    def work() -> dict[str, Any]:
        distances = np.sort(cdist(values, centers), axis=1)
        _ = 1 - distances[:, 0] / distances[:, 1]
        nearest = cKDTree(core).query(values, workers=-1)[0]
        return {"customers": len(values), "anomalies": int((nearest > EPS).sum())}

    return work


def _new_customers(core: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(SEED)
    return core[generator.permutation(len(core))] + generator.normal(0, 0.05, core.shape)


def _centers(core: np.ndarray) -> np.ndarray:
    return core[np.linspace(0, len(core) - 1, 4).astype(int)]


def _model(core: np.ndarray) -> Any:
    from segmentation.customers.preparation import Preparation
    from segmentation.segments.model import GroupModel, SegmentModel

    n = len(FEATURES)
    preparation = Preparation(
        features=FEATURES,
        low=np.full(n, -np.inf),
        high=np.full(n, np.inf),
        transform="none",
        lambdas=np.ones(n),
        center=np.zeros(n),
        scale=np.ones(n),
    )
    limits = {
        name: (float(low), float(high))
        for name, low, high in zip(
            FEATURES, *np.quantile(core[:: max(1, len(core) // 10_000)], [0.01, 0.99], axis=0),
            strict=True,
        )
    }  # fmt: skip
    group = GroupModel(
        segment_type="normal",
        preparation=preparation,
        centers=_centers(core),
        names=("A", "B", "C", "D"),
        eps=EPS,
        min_samples=MIN_SAMPLES,
        core_points=core,
        reason_limits=limits,
        medians=dict(zip(FEATURES, np.median(core, axis=0).tolist(), strict=True)),
        ranges=limits,
        profiles=tuple({"customers": 1.0} for _ in range(4)),
    )
    return SegmentModel(
        features=FEATURES, split_pre_register=True, groups={"normal": group}, info={}
    )


def file_ours(path: str, size: int) -> Callable[[], dict[str, Any]]:
    """`segmentation score` of a Parquet file with `size` customers, written as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from segmentation.deliver.score import score_file

    core = np.load(path)
    folder = tempfile.TemporaryDirectory(prefix="bench-score-")
    place = Path(folder.name)
    model = _model(core)
    (place / "model").mkdir()
    model.save(place / "model")
    with pq.ParquetWriter(place / "in.parquet", _schema()) as writer:
        for start in range(0, size, 100_000):
            numbers = _new_customers(core)[np.arange(start, min(start + 100_000, size)) % len(core)]
            ids = [f"C{i:08d}" for i in range(start, start + len(numbers))]
            writer.write_table(pa.table([ids, *numbers.T], schema=_schema()))

    def work() -> dict[str, Any]:
        found = score_file(place / "model", place / "in.parquet", place / "out.parquet")
        written = pq.ParquetFile(place / "out.parquet").metadata.num_rows
        folder.cleanup()
        return {"customers": found.customers, "written": written}

    return work


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([("customer_id", pa.string()), *((n, pa.float64()) for n in FEATURES)])


def agree(ours_answer: dict[str, Any], other: dict[str, Any]) -> bool:
    """Identical number of anomalies."""
    return ours_answer == other
