"""Would other features, another transform or another number of segments have served better?

    python -m benchmarks.feature_choice [FOLDER OF THE REAL MARKETPLACE]

Each choice is made again at every quarter's end, from what was known then, and judged by
the share of the next quarter's revenue in the fifth of customers whom the workbook's lists put
first (by segment, then spend), by whether halves of the customers give the same segments, and
by how many customers the printed rules put where K-Means did. Writes `feature_choice.json` and,
from it, the table of the page on the method. The real marketplace is not shipped: without its
folder its committed rows stay.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.page import ROOT, table
from segmentation.core.limits import CAMPAIGN_SHARES, LEAST_AGREEMENT, LEAST_CUSTOMERS
from segmentation.core.parameters import Parameters, resolve
from segmentation.customers.prepare import prepare_group, preparing
from segmentation.evidence.choose_k import split_half_agreement
from segmentation.evidence.explain import explain
from segmentation.evidence.forecast import fitted, predict
from segmentation.evidence.holdout import known_at_cut
from segmentation.evidence.rankings import Ranking
from segmentation.run.run import Run
from segmentation.segments.kmeans import fit_kmeans

RESULT = Path(__file__).with_suffix(".json")
PAGE = ROOT / "book" / "method.md"
BEGIN, END = "<!-- choices: python -m benchmarks.feature_choice -->", "<!-- end of choices -->"
SHIPPED = "as shipped"
CHOICES: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "no logarithms": {"transform": "none"},
    "days since the last order in days": {"in_days": True},
    "money counts twice": {"weight": 2.0},
    "expected value besides": {"value": True},
    "4 segments": {"k": 4},
    "5 segments": {"k": 5},
}
"""Each changes one thing of the shipped profile, which has three segments and logarithms."""
CLEAR = 0.01
"""Share of later revenue by which a choice must be ahead on each of the data sets."""


def divided(
    customers: pd.DataFrame, kind: str, parameters: Parameters, choice: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, int]:
    """Rows, prepared values, the values in their own units, and how many segments to make."""

    def prepared(transform: str) -> Any:
        return prepare_group(
            customers, kind, names=tuple(n for n in parameters.features if n in customers.columns),
            **preparing(parameters) | {"transform": transform},
        )  # fmt: skip

    group = prepared(choice.get("transform", parameters.transform))
    names, values = list(group.preparation.features), group.values.copy()
    if choice.get("in_days") and "recency" in names:
        place = names.index("recency")
        values[:, place] = prepared("none").values[:, place]
    if "total_spent" in names:
        values[:, names.index("total_spent")] *= np.sqrt(choice.get("weight", 1.0))
    raw = customers.iloc[group.rows][names]
    if choice.get("value"):
        raw = raw.assign(expected_value=customers["expected_value"].iloc[group.rows])
        more = np.log1p(raw["expected_value"].to_numpy(dtype=float))
        values = np.column_stack([values, (more - more.mean()) / more.std()])
    assert isinstance(parameters.n_clusters, int)
    return group.rows, values, raw, choice.get("k", parameters.n_clusters)


def judged(
    customers: pd.DataFrame, parameters: Parameters, choice: dict[str, Any]
) -> dict[str, float]:
    """Later revenue that the lists of one choice catch, and how stable and how plain it is."""
    seed = parameters.random_state
    spent = customers["total_spent"].to_numpy(dtype=float)
    tier = np.zeros(len(customers))
    halves, told, large = [], [], []
    for kind in customers["segment_type"].unique():
        rows, values, raw, k = divided(customers, kind, parameters, choice)
        if len(rows) < LEAST_CUSTOMERS:
            tier[rows] = spent[rows].mean()
            continue
        labels = fit_kmeans(
            values, spent[rows], n_clusters=k, n_init=parameters.n_init, random_state=seed
        ).labels
        means = pd.Series(spent[rows]).groupby(labels).transform("mean")
        tier[rows] = means.to_numpy()
        agreed = split_half_agreement(values, [k], random_state=seed)["agreement"].item()
        plain = explain(raw, values, labels, random_state=seed).fidelity
        halves.append(agreed * len(rows))
        told.append(plain["held_out"] * len(rows))
        large.append(plain["largest"] * len(rows))
    n = len(customers)
    lists = pd.Series(tier).rank(method="dense") + pd.Series(spent).rank(pct=True) / 2
    revenue = customers["revenue_next"].to_numpy(dtype=float)
    caught = Ranking.by(lists.to_numpy()).caught(np.ones(n), revenue, CAMPAIGN_SHARES[-1])
    found = {"revenue_share": caught, "agreement": sum(halves) / n, "fidelity": sum(told) / n,
             "largest": sum(large) / n}  # fmt: skip
    return {name: round(float(value), 4) for name, value in found.items()}


def rows_of(data: str, parameters: Parameters, runs: Path) -> list[dict[str, Any]]:
    """Every choice at every quarter's end of one data set."""
    rows = []
    for day, known in Run(parameters, runs)["history"].groupby("as_of"):
        customers = known_at_cut(known, split_pre_register=parameters.split_pre_register)
        customers = customers.reset_index(drop=True)
        if len(customers) < LEAST_CUSTOMERS or not customers["revenue_next"].any():
            continue
        fit = fitted(customers)
        if fit is not None:
            value = predict(fit, customers, parameters.outcome_days)["expected_value"]
            customers["expected_value"] = value.to_numpy()
        for name, choice in CHOICES.items():
            if choice.get("value") and fit is None:
                continue
            found = judged(customers, parameters, choice)
            rows.append({"data": data, "cut": day, "customers": len(customers), "choice": name}
                        | found)  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per data set and choice: means over the cuts, beside the shipped choice."""
    found = pd.DataFrame(rows)
    found["choice"] = pd.Categorical(found["choice"], list(CHOICES))
    own = found[found["choice"] == SHIPPED].set_index(["data", "cut"])["revenue_share"]
    beside = own.loc[list(zip(found["data"], found["cut"], strict=True))].to_numpy()
    found["gain"] = found["revenue_share"] - beside
    found["ahead"] = found["gain"] > 0
    found["cuts"] = 1
    how = {"revenue_share": "mean", "gain": "mean", "ahead": "sum", "cuts": "sum",
           "agreement": "mean", "fidelity": "mean", "largest": "mean",
           "customers": "max"}  # fmt: skip
    table = found.groupby(["data", "choice"], sort=False, observed=True).agg(how).reset_index()
    order = table["data"].map({data: place for place, data in enumerate(found["data"].unique())})
    return table.assign(order=order).sort_values(["order", "choice"], ignore_index=True)


def conclusion(found: pd.DataFrame) -> str:
    """Which choices are clearly better than the shipped one, by the rule that is stated."""
    n = found["data"].nunique()
    rule = (
        f"A choice is clearly better where, on each of the {n} data sets, it is ahead at every cut, "
        f"by {100 * CLEAR:g} point of later revenue or more on average, and its halves agree to "
        f"{LEAST_AGREEMENT} or more."
    )
    held = (
        (found["gain"] >= CLEAR)
        & (found["ahead"] == found["cuts"])
        & (found["agreement"] >= LEAST_AGREEMENT)
    )
    wins = held.groupby(found["choice"], observed=True).sum()
    clear = [name for name in CHOICES if wins.get(name, 0) == n]
    if clear:
        return f"{rule} **These are: {', '.join(clear)}.**"
    others = found[found["choice"] != SHIPPED]
    others = others.groupby("choice", sort=False, observed=True)["gain"].mean()
    best = others.idxmax()
    return (
        f"{rule} **None is**, so the shipped choice stays. The best of the others on average, "
        f"*{best}*, moves the share by {100 * others[best]:+.1f} points, and meets all of that on "
        f"{wins.get(best, 0)} of {n}."
    )


def section(rows: list[dict[str, Any]]) -> str:
    """The table and the sentence under it, in Markdown."""
    found = summary(rows)
    columns = ["data (customers at the last cut)", "choice", "later revenue", "beside shipped",
               "cuts ahead", "halves agree", "rules are true of", "largest segment"]  # fmt: skip
    cells = [
        [
            f"{row.data} ({row.customers:,})", row.choice, f"{row.revenue_share:.1%}",
            "–" if row.choice == SHIPPED else f"{100 * row.gain:+.1f}",
            "–" if row.choice == SHIPPED else f"{row.ahead} of {row.cuts}",
            f"{row.agreement:.2f}", f"{row.fidelity:.0%}", f"{row.largest:.0%}",
        ]
        for row in found.itertuples()
    ]  # fmt: skip
    return f"{table(columns, cells)}\n\n{conclusion(found)}"


def written(text: str, part: str, begin: str = BEGIN, end: str = END) -> str:
    """A page with the part between two marks written anew."""
    before, rest = text.split(begin)
    return f"{before}{begin}\n{part}\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Measure, keep the rows, write the page."""
    kept = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else []
    asked = {"CDNOW": ("cdnow", {}), "Online Retail": ("online_retail", {}),
             "demonstration": ("marketplace", {})}  # fmt: skip
    if sys.argv[1:]:
        asked["a real marketplace"] = ("marketplace", {"location": sys.argv[1]})
    with tempfile.TemporaryDirectory() as runs:
        for data, (profile, changed) in asked.items():
            found = rows_of(data, resolve(profile, overrides=changed)[1], Path(runs))
            kept = [row for row in kept if row["data"] != data] + found
            RESULT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), section(kept)), encoding="utf-8")


if __name__ == "__main__":
    main()
