"""The rule of ``n_clusters: auto``: is there structure, and how many clusters does it have?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core.intervals import MIDDLE_95
from segmentation.core.limits import (
    AUTO_K_RANGE,
    KEPT_EXCESS,
    LEAST_AGREEMENT,
    LEAST_EXCESS,
    LEAST_RISE,
    MOST_IN_SPLIT,
    NARROW,
    SPLITS,
    SURE,
)
from segmentation.core.threads import in_parallel
from segmentation.evidence.agreement import agreement_of
from segmentation.evidence.resampling import fit, sample_rows, seed_of


def split_half_agreement(
    prepared: np.ndarray, k_values: list[int], *, random_state: int, progress: str = ""
) -> pd.DataFrame:
    """Do two halves of the customers, clustered apart, divide everybody alike?

    Customers are cut into two random halves; each half is clustered and both results
    assign all customers. The adjusted Rand index of the two is 1 when they agree and
    about 0 when they agree by chance only (Lange, Roth, Braun and Buhmann 2004).

    Returns
    -------
    DataFrame with columns ``k, agreement, agreement_low, agreement_high``
        Mean over 10 cuts, and the range that holds 95% of them. NaN where a half has
        fewer customers than clusters.

    Notes
    -----
    Of more than 20,000 customers a seeded sample of 20,000 is cut and assigned.
    """
    rows = sample_rows(len(prepared), MOST_IN_SPLIT, seed=seed_of(random_state, 4))
    values = prepared[rows]
    half = len(values) // 2

    def job(task: tuple[int, int]) -> float:
        number, k = task
        if half < k:
            return np.nan
        generator = np.random.default_rng(seed_of(random_state, number, 5))
        order = generator.permutation(len(values))
        both = [
            fit(values[part], k, seed=seed_of(random_state, number, 6 + side)).assign(values)
            for side, part in enumerate((order[:half], order[half:]))
        ]
        return agreement_of(*both)

    tasks = [(number, k) for number in range(SPLITS) for k in k_values]
    found = np.array(in_parallel(job, tasks, customers=half, progress=progress)).reshape(
        SPLITS, len(k_values)
    )
    low, high = np.quantile(found, MIDDLE_95, axis=0)
    return pd.DataFrame(
        {
            "k": k_values,
            "agreement": found.mean(axis=0),
            "agreement_low": low,
            "agreement_high": high,
        }
    )


@dataclass(frozen=True)
class Choice:
    """What the evidence says about the number of clusters of one group.

    Attributes
    ----------
    k : int
        1 = no cluster structure.
    runner_up : int or None
        The k that the same rule would take if ``k`` were not there.
    lead : float or None
        Excess silhouette of ``k`` minus that of the runner-up; negative where the
        runner-up is the better separated, coarser split.
    is_narrow : bool
        The two differ by less than 0.05: they are nearly as good.
    failed : dict
        For every k that was refused, the tests it failed: ``gap``, ``excess``,
        ``agreement``.
    """

    k: int
    runner_up: int | None
    lead: float | None
    is_narrow: bool
    failed: dict[int, list[str]]

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as they are kept and printed."""
        failed = {str(k): tests for k, tests in self.failed.items()}
        return asdict(self) | {"failed": failed}


def choose_k(evidence: pd.DataFrame) -> Choice:
    """Number of clusters by the stated rule, or 1 for no cluster structure.

    A k from 2 to 8 stands when it passes three tests:

    - **gap**: its gap statistic is above that of one cluster by 3 standard errors;
    - **excess**: its silhouette is above that of data without structure by 0.05 and by 3
      of its deviations;
    - **agreement**: two halves of the customers divide everybody alike, with a mean
      adjusted Rand index of at least 0.8.

    Of those that stand, the ones considered keep at least three quarters of the largest
    excess. The finest of them is taken to which the gap still rises by 3 standard errors
    and by 0.1 for each cluster more (a finer split that adds less only cuts a cloud in
    two). Where none stands there is
    no cluster structure.

    Parameters
    ----------
    evidence : DataFrame, one row per k (1 included)
        ``k, silhouette, gap, gap_se, silhouette_null, silhouette_null_sd, agreement``.

    Examples
    --------
    >>> rows = [(1, None, 0.2, 0.01, None, None, None),
    ...         (2, 0.60, 0.9, 0.01, 0.30, 0.01, 0.95),
    ...         (3, 0.61, 1.0, 0.01, 0.28, 0.01, 0.60)]
    >>> names = ["k", "silhouette", "gap", "gap_se", "silhouette_null", "silhouette_null_sd",
    ...          "agreement"]
    >>> choice = choose_k(pd.DataFrame(rows, columns=names, dtype=float))
    >>> choice.k, choice.failed
    (2, {3: ['agreement']})
    """
    table = evidence.set_index(evidence["k"].astype(int))
    low, high = AUTO_K_RANGE
    failed: dict[int, list[str]] = {}
    standing: dict[int, float] = {}
    for k in [k for k in table.index if low <= k <= high]:
        lacking = _failed_tests(table.loc[k], table.loc[1])
        if lacking:
            failed[k] = lacking
        else:
            standing[k] = float(table.at[k, "silhouette"] - table.at[k, "silhouette_null"])
    if not standing:
        return Choice(1, None, None, False, failed)
    taken = _finest_that_adds(standing, table)
    others = {k: excess for k, excess in standing.items() if k != taken}
    if not others:
        return Choice(taken, None, None, False, failed)
    second = _finest_that_adds(others, table)
    lead = standing[taken] - standing[second]
    return Choice(taken, second, lead, abs(lead) < NARROW, failed)


def _finest_that_adds(excess: dict[int, float], table: pd.DataFrame) -> int:
    least = KEPT_EXCESS * max(excess.values())
    taken, *finer = sorted(k for k in excess if excess[k] >= least)
    for k in finer:
        error = np.hypot(table.at[k, "gap_se"], table.at[taken, "gap_se"])
        if table.at[k, "gap"] - table.at[taken, "gap"] > max(
            SURE * error, LEAST_RISE * (k - taken)
        ):
            taken = k
    return taken


def _failed_tests(row: pd.Series, one: pd.Series) -> list[str]:
    error = np.hypot(row["gap_se"], one["gap_se"])
    excess = row["silhouette"] - row["silhouette_null"]
    passed = {
        # a fit that leaves nothing unexplained has no gap to compare
        "gap": np.isnan(row["gap"]) or row["gap"] - one["gap"] > SURE * error,
        "excess": excess >= max(LEAST_EXCESS, SURE * row["silhouette_null_sd"]),
        "agreement": row["agreement"] >= LEAST_AGREEMENT,
    }
    return [name for name, fine in passed.items() if not fine]
