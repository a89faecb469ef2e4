"""How often smooth populations of buyers, in which there are no kinds, are called natural kinds.

    python -m benchmarks.false_alarms        (`make evidence`: half an hour)

Each population is one continuum by construction, and most are none that the verdict's own
model (MBG/NBD and lognormal values) could have drawn. Each is prepared as its transform says,
cut into 2, 3 or 4 groups, and judged by the code that judges a run. At most one in twenty may
be called natural kinds; "cannot be told" is no alarm, and counted apart. Blobs that are planted
must be found as before: 2 to 7 of unequal size and spread. Writes `false_alarms.json` and, from
it, the sentence of the page on the method.
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

from benchmarks.feature_choice import PAGE, written
from segmentation.core.intervals import wilson
from segmentation.core.limits import AUTO_K_RANGE
from segmentation.core.parameters import Parameters, resolve
from segmentation.core.threads import one_thread
from segmentation.customers.prepare import prepare_group, preparing
from segmentation.evidence.by_group import k_scores_of
from segmentation.evidence.choose_k import choose_k
from segmentation.evidence.k_scores import score_fits
from segmentation.evidence.resampling import fit
from segmentation.evidence.verdict import against_smooth, smooth_buyers
from segmentation.segments.forecast import MbgNbd
from segmentation.segments.kmeans import fit_range
from segmentation.segments.silhouettes import silhouettes

POPULATIONS, SIZES, CUTS = 200, (2_000, 10_000), (2, 3, 4)
PLANTED, EACH = range(2, 8), 5
RESULT = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- false alarms: make evidence -->", "<!-- end of false alarms -->"
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
    names = parameters.features
    values = prepare_group(customers, "normal", names=names, **preparing(parameters)).values
    k = CUTS[number % len(CUTS)]
    with one_thread():
        labels = fit(values, k, seed=number).assign(values)
    own = float(silhouettes(values, [labels], np.arange(n))[0].mean())
    found = against_smooth(customers, "normal", k, own, parameters)["natural_kinds"]
    return None if found is None else bool(found)


def blobs(k: int, *, seed: int, width: int = 3) -> np.ndarray:
    """Round clouds of unequal size (30 to 240) and spread (0.5 to 1.5), six spreads apart."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.5, 1.5, k)
    least = 6 * (spread[:, None] + spread[None, :]) / 2
    while True:
        centers = random.uniform(-10, 10, (k, width))
        distance = np.linalg.norm(centers[:, None] - centers[None], axis=2)
        if (distance + np.eye(k) * 1e9 >= least).all():
            break
    sizes = random.integers(30, 240, k)
    return np.concatenate(
        [random.normal(c, s, (n, width)) for c, s, n in zip(centers, spread, sizes, strict=True)]
    )


def found_in(values: np.ndarray, *, seed: int) -> int:
    """Number of clusters by the rule of ``n_clusters: auto``; 1 = no structure."""
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    low, high = AUTO_K_RANGE
    fits = fit_range(
        values, values[:, 0], k_values=range(low, high + 1), n_init=10, random_state=seed
    )
    scored = score_fits(values, fits, random_state=seed)
    table = k_scores_of(
        values, scored.scores, scored.silhouettes, random_state=seed, progress=""
    )  # fmt: skip
    return choose_k(table).k


def sentence(found: dict[str, Any]) -> str:
    """What the committed run says, for the page on the method."""
    rows, planted = pd.DataFrame(found["smooth"]), pd.DataFrame(found["planted"])
    parts = []
    for n, own in rows.groupby("customers"):
        total, alarms = int(own["populations"].sum()), int(own["alarms"].sum())
        untold = int(own["cannot_be_told"].sum())
        low, high = wilson(alarms, total)
        parts.append(
            f"of {total} populations of {n:,} customers, of {len(own)} kinds of continuum, {alarms} "
            f"were called natural kinds ({alarms / total:.1%}, 95% interval {low:.1%} to {high:.1%})"
            + (f" and of {untold} nothing could be told" if untold else "")
        )
    text = f"In the last run of `make evidence` {'; '.join(parts)}."
    if planted.empty:
        return text
    right, n = int(planted["found"].sum()), int(planted["populations"].sum())
    return (
        f"{text} Of {n} sets of {planted['k'].min()} to {planted['k'].max()} planted blobs the rule "
        f"found the right number in {right} ({right / n:.0%})."
    )


def kept(found: dict[str, Any]) -> None:
    """The results so far, in the file."""
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Draw, judge, keep what is found as it comes, write the page."""
    found: dict[str, Any] = {"smooth": [], "planted": []}
    for k in tqdm(PLANTED, desc="planted"):
        right = sum(found_in(blobs(k, seed=seed), seed=42) == k for seed in range(EACH))
        found["planted"].append({"k": k, "populations": EACH, "found": right})
        kept(found)
    each = POPULATIONS // len(KINDS)
    for n in SIZES:
        for kind in tqdm(KINDS, desc=f"{n:,} customers"):
            told = [judged(kind, n=n, number=number) for number in range(each)]
            found["smooth"].append({"kind": kind, "customers": n, "populations": each,
                                    "alarms": told.count(True),
                                    "cannot_be_told": told.count(None)})  # fmt: skip
            kept(found)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), sentence(found), BEGIN, END), "utf-8")
    table = pd.DataFrame(found["smooth"])
    print(table.to_string(index=False))
    print(sentence(found))
    of = table.groupby("customers")[["alarms", "populations"]].sum()
    if (of["alarms"] > 0.05 * of["populations"]).any():
        sys.exit("more than one in twenty is called natural kinds")


if __name__ == "__main__":
    main()
