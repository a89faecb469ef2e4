"""Every comparison there is: what runs, against whom, at which sizes, and its bar."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import (
    cleaning,
    clustering,
    data,
    evidence_scale,
    features,
    flagging,
    grid,
    rerun,
    scoring,
)
from benchmarks.harness import Case


def _run_before(folder: Path, size: int, *, command: str) -> Path:
    return rerun.remembered(folder, command)


def _small_input(folder: Path, size: int) -> Path:
    return data.prepared_customers(folder, 100_000)


CASES = (
    Case(
        name="features",
        title="Order lines to customers",
        module="features",
        make=data.order_lines,
        agree=features.agree,
        sizes=(1_000_000, 3_000_000, 10_000_000),
        quick_size=1_000_000,
        pairs=5,
        bar="within 1.25 times of the best hand-written query; at least 10 times faster than pandas",
        rivals=("hand_written", "hand_written_two_steps", "polars", "pandas_groupby"),
        least={"hand_written": 0.8, "hand_written_two_steps": 0.8, "pandas_groupby": 10.0},
    ),
    Case(
        name="cleaning",
        title="A rule for every order line, copies dropped",
        module="cleaning",
        make=data.order_lines,
        agree=cleaning.agree,
        sizes=(300_000, 1_000_000, 3_000_000),
        quick_size=300_000,
        pairs=5,
        bar="faster than one window over all lines",
        rivals=("windows",),
        least={"windows": 1.0},
    ),
    Case(
        name="kmeans",
        title="K-Means, k = 3, 10 starts",
        module="clustering",
        make=data.prepared_customers,
        agree=clustering.agree,
        sizes=(250_000, 500_000, 1_000_000),
        quick_size=300_000,
        pairs=5,
        bar="at least 5 times faster than scikit-learn, inertia equal or lower to 0.01%",
        rivals=("scikit_learn",),
        least={"scikit_learn": 5.0},
    ),
    Case(
        name="kmeans_references",
        title="K-Means in single precision and by mini-batches",
        module="clustering",
        make=data.prepared_customers,
        agree=clustering.agree,
        sizes=(300_000,),
        quick_size=0,
        pairs=5,
        bar="for reference: what other ways to be fast cost in inertia",
        rivals=("scikit_learn_float32", "mini_batch"),
    ),
    Case(
        name="kmeans_5m",
        title="K-Means of five million customers",
        module="clustering",
        make=data.prepared_customers,
        agree=clustering.agree,
        sizes=(5_000_000,),
        quick_size=0,
        pairs=3,
        bar="at least 5 times faster than scikit-learn, inertia equal or lower to 0.01%",
        rivals=("scikit_learn",),
        least={"scikit_learn": 5.0},
    ),
    Case(
        name="dbscan",
        title="DBSCAN flags, exact",
        module="flagging",
        make=data.prepared_customers,
        agree=flagging.agree,
        sizes=(20_000, 50_000, 100_000),
        quick_size=20_000,
        pairs=5,
        bar="identical flags; 100,000 customers at least 3 times faster than scikit-learn",
        rivals=("scikit_learn",),
        least={"scikit_learn": 3.0},
    ),
    Case(
        name="dbscan_1m",
        title="DBSCAN flags of a million customers, exact",
        module="flagging",
        make=data.prepared_customers,
        agree=flagging.agree,
        sizes=(100_000, 300_000, 1_000_000),
        quick_size=0,
        pairs=3,
        bar="within 1 GB",
        most_mb=1024,
    ),
    Case(
        name="dbscan_grid",
        title="All settings of eps and min_samples",
        module="grid",
        make=data.prepared_customers,
        agree=grid.agree,
        sizes=(50_000, 100_000, 300_000),
        quick_size=100_000,
        pairs=5,
        bar="the whole grid costs at most 2 times one flagging",
        rivals=("single",),
        least={"single": 0.5},
    ),
    Case(
        name="scoring",
        title="New customers against a model with as many core points",
        module="scoring",
        make=data.prepared_customers,
        agree=scoring.agree,
        sizes=(100_000, 300_000, 1_000_000),
        quick_size=100_000,
        pairs=3,
        bar="no slower than the same answers written straight in scipy",
        rivals=("scipy_query",),
        least={"scipy_query": 0.8},
    ),
    Case(
        name="score_file",
        title="`segmentation score` of a file of customers",
        module="scoring_file",
        make=_small_input,
        agree=scoring.agree,
        sizes=(500_000, 1_000_000, 5_000_000),
        quick_size=0,
        pairs=1,
        bar="five million customers within 1 GB",
        most_mb=1024,
    ),
    Case(
        name="evidence",
        title="Tuning k from 2 to 8 and resampling the chosen clusters",
        module="evidence_scale",
        make=data.prepared_customers,
        agree=evidence_scale.agree,
        sizes=(30_000, 250_000, 1_000_000),
        quick_size=0,
        pairs=1,
        bar="a million customers in minutes",
    ),
    *(
        Case(
            name=f"{command}_again_{changed}",
            title=f"`segmentation {command}` again with another `{changed}`",
            module="rerun",
            make=partial(_run_before, command=command),
            agree=rerun.agree,
            sizes=(1,),
            quick_size=0,
            pairs=3,
            bar=f"at most {share:.0%} of the first run",
            rivals=("first",),
            least={"first": round(1 / share, 2)},
            own=changed,
            settings={"command": command},
        )
        for command in ("run", "report")
        for changed, share in (("n_clusters", 0.6), ("currency", 0.3))
    ),
)
