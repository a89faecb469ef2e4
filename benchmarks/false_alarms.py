"""How often smooth populations of buyers, in which there are no kinds, are called natural kinds.

    python -m benchmarks.false_alarms        (`make evidence`: half an hour)

Each population is one continuum by construction, and most are none that the verdict's own
model (MBG/NBD and lognormal values) could have drawn. Each is prepared as its transform says,
cut into 2, 3 or 4 groups, and judged by the code that judges a run. At most one in twenty may
be called natural kinds; "cannot be told" is no alarm, and counted apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from segmentation.core.intervals import wilson
from segmentation.core.parameters import Parameters, resolve
from segmentation.core.threads import one_thread
from segmentation.customers.prepare import prepare_group
from segmentation.evidence.resampling import fit
from segmentation.evidence.verdict import against_smooth, smooth_buyers
from segmentation.segments.forecast import MbgNbd
from segmentation.segments.silhouettes import silhouettes

POPULATIONS, SIZES, CUTS = 200, (2_000, 10_000), (2, 3, 4)
RESULT = Path(__file__).with_suffix(".json")
Draw = Callable[[np.random.Generator, int], pd.DataFrame]


def _customers(
    tenure: np.ndarray, recency: np.ndarray, frequency: np.ndarray, spent: np.ndarray
) -> pd.DataFrame:
    once = frequency == 1
    recency = np.where(once, tenure, np.minimum(recency, tenure))
    return pd.DataFrame(
        {
            "customer_id": [str(number) for number in range(len(tenure))],
            "segment_type": "normal",
            "tenure": np.floor(tenure),
            "recency": np.floor(recency),
            "frequency": frequency.astype("int64"),
            "total_spent": spent.round(2),
        }
    )


def _tenure(chance: np.random.Generator, n: int) -> np.ndarray:
    return chance.uniform(60, 720, n)


def _last(chance: np.random.Generator, tenure: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Days since the latest of orders spread evenly over the time since the first."""
    return tenure * (1 - chance.random(len(tenure)) ** (1 / np.maximum(frequency - 1, 1)))


def _by_process(model: MbgNbd) -> Draw:
    def draw(chance: np.random.Generator, n: int) -> pd.DataFrame:
        like = _customers(
            _tenure(chance, n), np.zeros(n), np.ones(n), chance.lognormal(3.5, 0.8, n)
        )
        return smooth_buyers(like, model, seed=int(chance.integers(2**31)), n=n)

    return draw


def _by_counts(
    orders: Callable[[np.random.Generator, int, np.ndarray], np.ndarray],
    spend: Callable[[np.random.Generator, np.ndarray], np.ndarray],
) -> Draw:
    def draw(chance: np.random.Generator, n: int) -> pd.DataFrame:
        tenure = _tenure(chance, n)
        frequency = orders(chance, n, tenure)
        return _customers(
            tenure, _last(chance, tenure, frequency), frequency, spend(chance, frequency)
        )

    return draw


def _basket(chance: np.random.Generator, frequency: np.ndarray) -> np.ndarray:
    return frequency * chance.lognormal(3.5, 0.6, len(frequency))


def _copula(chance: np.random.Generator, n: int) -> pd.DataFrame:
    together = chance.multivariate_normal(
        np.zeros(3), [[1, -0.5, -0.3], [-0.5, 1, 0.7], [-0.3, 0.7, 1]], n
    )
    tenure = _tenure(chance, n)
    frequency = np.floor(np.exp(0.8 + 0.8 * together[:, 1])).clip(1)
    share = 1 / (1 + np.exp(-together[:, 0]))
    return _customers(tenure, tenure * share, frequency, np.exp(4 + together[:, 2]))


KINDS: dict[str, tuple[str, Draw]] = {
    "orders as CDNOW's": ("log", _by_process(MbgNbd(0.525, 6.183, 0.891, 1.614))),
    "frequent buyers who stop": ("log", _by_process(MbgNbd(1.5, 10.0, 2.0, 3.0))),
    "geometric orders x basket": (
        "log", _by_counts(lambda c, n, t: c.geometric(0.35, n), _basket),
    ),
    "lognormal rates": (
        "log", _by_counts(lambda c, n, t: 1 + c.poisson(t / 90 * c.lognormal(-0.5, 1.0, n)), _basket),
    ),
    "steady rates": (
        "log", _by_counts(lambda c, n, t: 1 + c.poisson(t / 60 * c.gamma(4, 0.25, n)), _basket),
    ),
    "copula of margins": ("log", _copula),
    "lognormal, not transformed": (
        "none",
        _by_counts(lambda c, n, t: c.geometric(0.35, n), lambda c, f: c.lognormal(4, 0.8, len(f))),
    ),
    "exponential, not transformed": (
        "none",
        _by_counts(lambda c, n, t: c.geometric(0.35, n), lambda c, f: c.exponential(60, len(f)) + 1),
    ),
}  # fmt: skip
"""Name of each continuum, the transform of its profile, and how its customers are drawn."""


def judged(kind: str, *, n: int, number: int) -> bool | None:
    """Whether a population is called natural kinds; None where nothing can be told."""
    transform, draw = KINDS[kind]
    parameters = Parameters(
        **resolve("cdnow")[1].model_dump() | {"transform": transform, "random_state": number}
    )
    customers = draw(np.random.default_rng([number, n, list(KINDS).index(kind)]), n)
    values = prepare_group(
        customers, "normal", names=parameters.features, outliers=parameters.outliers,
        winsor_quantile=parameters.winsor_quantile, transform=parameters.transform,
        scaler=parameters.scaler,
    ).values  # fmt: skip
    k = CUTS[number % len(CUTS)]
    with one_thread():
        labels = fit(values, k, seed=number).assign(values)
    own = float(silhouettes(values, [labels], np.arange(n))[0].mean())
    found = against_smooth(customers, "normal", k, own, parameters)["natural_kinds"]
    return None if found is None else bool(found)


def main() -> None:
    rows: list[dict[str, Any]] = []
    each = POPULATIONS // len(KINDS)
    for n in SIZES:
        for kind in tqdm(KINDS, desc=f"{n:,} customers"):
            found = [judged(kind, n=n, number=number) for number in range(each)]
            alarms, untold = found.count(True), found.count(None)
            rows.append({"kind": kind, "customers": n, "populations": each, "alarms": alarms,
                         "cannot_be_told": untold})  # fmt: skip
            RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    for n, own in table.groupby("customers"):
        total, alarms = int(own["populations"].sum()), int(own["alarms"].sum())
        low, high = wilson(alarms, total)
        print(
            f"{n:,} customers: {alarms} of {total} ({alarms / total:.1%}, {low:.1%} to {high:.1%})"
        )
    if any(
        own["alarms"].sum() > 0.05 * own["populations"].sum()
        for _, own in table.groupby("customers")
    ):
        sys.exit("more than one in twenty is called natural kinds")


if __name__ == "__main__":
    main()
