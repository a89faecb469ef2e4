"""Stages from prepared customers to actions: clusters, evidence, recommendations."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segmentation.actions import (
    campaign,
    campaign_plan,
    limits_of_advice,
    recommend,
    returns_choice,
)
from segmentation.actions.compare import RunResult
from segmentation.core import rule_files
from segmentation.core.errors import SegmentationError
from segmentation.core.limits import QUARTER_DAYS
from segmentation.customers.preparation import Preparation
from segmentation.customers.prepare import PreparedGroup
from segmentation.evidence import by_group, sensitivity
from segmentation.evidence import holdout as holdout_stage
from segmentation.evidence.k_scores import TUNING_COLUMNS, score_fits
from segmentation.run.cache import load_result
from segmentation.segments import kmeans
from segmentation.segments import table as segments
from segmentation.segments.dbscan import fit_dbscan
from segmentation.segments.model import load_model

if TYPE_CHECKING:
    from segmentation.run.run import Run

NOT_OF_THE_MODEL = {
    *("location", "currency", "gross_margin", "contact_cost"),
    *("naming_rules", "plays"),
}
"""Parameters that are no part of a model, or would put a path of this machine into it."""


def prepared_groups(run: Run) -> dict[str, PreparedGroup]:
    """Every group in prepared space, read back from its stage."""
    folder = run.stage("prepared")
    groups = {}
    for kind, entry in load_result(folder, "groups").items():
        constants = {name: np.array(v, dtype=float) for name, v in entry["constants"].items()}
        preparation = Preparation(
            features=tuple(entry["features"]), transform=entry["transform"], **constants
        )
        groups[kind] = PreparedGroup(
            kind,
            load_result(folder, f"rows_{kind}"),
            load_result(folder, f"prepared_{kind}"),
            preparation,
            tuple(entry["notes"]),
        )
    return groups


def compute_tuning(run: Run) -> dict[str, Any]:
    """Fits and scores of every number of clusters, per group."""
    parameters = run.parameters
    table = run["features"]
    results: dict[str, Any] = {"centers": {}, "scan": {}}
    scores = []
    for kind, group in prepared_groups(run).items():
        fits = kmeans.fit_range(
            group.values,
            table["total_spent"].to_numpy()[group.rows],
            k_values=range(2, run.scan_to + 1),
            n_init=parameters.n_init,
            random_state=parameters.random_state,
            progress=f"k-means, {kind}" if run.progress else "",
        )
        scored = score_fits(group.values, fits, random_state=parameters.random_state)
        scores.append(scored.scores.assign(segment_type=kind))
        results["centers"][kind] = {
            str(k): {"centers": fit.centers.tolist(), "inertia": fit.inertia}
            for k, fit in fits.items()
        }
        results["scan"][kind] = {"measured": len(scored.measured), "customers": len(group.rows)}
        results[f"measured_{kind}"] = scored.measured
        for k in fits:
            results[f"labels_{kind}_{k}"] = fits[k].labels
            results[f"silhouettes_{kind}_{k}"] = scored.silhouettes[k]
    filled = [table for table in scores if len(table)] or scores[:1]
    results["tuning_k"] = pd.concat(filled, ignore_index=True)[list(TUNING_COLUMNS)]
    return results


def compute_anomalies(run: Run) -> dict[str, Any]:
    """DBSCAN flags and core points per group, with the grid of settings."""
    parameters = run.parameters
    results: dict[str, Any] = {"dbscan_choice": {}}
    grids, curves = [], []
    for kind, group in prepared_groups(run).items():
        fit = fit_dbscan(
            group.values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
        )
        results["dbscan_choice"][kind] = {
            "eps": fit.eps,
            "min_samples": fit.min_samples,
            "customers": len(group.rows),
            "anomalies": int(fit.is_noise.sum()),
            "reason": fit.reason,
        }
        results[f"noise_{kind}"] = fit.is_noise
        results[f"core_points_{kind}"] = fit.core_points
        grids.append(fit.grid.assign(segment_type=kind))
        curves.append(fit.curve.assign(segment_type=kind))
    filled = [table for table in grids if len(table)] or grids[:1]
    grid_columns = ["segment_type", "eps", "min_samples", "core", "noise", "noise_share"]
    results["tuning_dbscan"] = pd.concat(filled, ignore_index=True)[grid_columns]
    drawn = [table for table in curves if len(table)] or curves[:1]
    results["k_distance"] = pd.concat(drawn, ignore_index=True)[
        ["segment_type", "share", "distance"]
    ]
    return results


def compute_segments(run: Run) -> dict[str, Any]:
    """Every customer with cluster, name, margin and flag; the profile and the model."""
    tuning, flagged = run.stage("tuning"), run.stage("anomalies")
    choice = load_result(flagged, "dbscan_choice")
    asked = run.parameters.n_clusters == "auto"
    rule = run["k_rule"] if asked else {}
    groups = {
        kind: segments.GroupInputs(
            group=group,
            auto_k=rule[kind]["k"] if asked else None,
            fits=_fits(tuning, kind),
            silhouettes=_silhouettes(tuning, kind),
            measured=load_result(tuning, f"measured_{kind}"),
            eps=choice[kind]["eps"],
            min_samples=choice[kind]["min_samples"],
            is_noise=load_result(flagged, f"noise_{kind}"),
            core_points=load_result(flagged, f"core_points_{kind}"),
        )
        for kind, group in prepared_groups(run).items()
    }
    overview = run["overview"]
    info = {
        "source": overview["source"],
        "as_of": overview["as_of"],
        "parameters": {
            name: value
            for name, value in run.parameters.as_plain().items()
            if name not in NOT_OF_THE_MODEL
        },
        "inputs": run.input_hashes,
        "naming_rules": rule_files.fingerprint(run.rules["naming_rules"]),
    }
    built = segments.build(
        run["features"],
        groups,
        parameters=run.parameters,
        rules=run.rules["naming_rules"],
        amount_scale=overview["amount_scale"],
        info=info,
    )
    if not run.is_sampled:
        segments.reconcile(built["profile"], run["ledger"])
    return built


def _fits(tuning: Path, kind: str) -> dict[int, kmeans.Clustering]:
    return {
        int(k): kmeans.Clustering(
            load_result(tuning, f"labels_{kind}_{k}"),
            np.array(fit["centers"], dtype=float),
            fit["inertia"],
        )
        for k, fit in load_result(tuning, "centers")[kind].items()
    }


def _silhouettes(tuning: Path, kind: str) -> dict[int, np.ndarray]:
    return {
        int(k): load_result(tuning, f"silhouettes_{kind}_{k}")
        for k in load_result(tuning, "centers")[kind]
    }


def compute_structure(run: Run) -> dict[str, Any]:
    """Whether there are clusters at all, and how many: every score of every k."""
    groups, tuning = prepared_groups(run), run.stage("tuning")
    return by_group.structure(
        groups,
        run["tuning_k"],
        {kind: _silhouettes(tuning, kind) for kind in groups},
        random_state=run.parameters.random_state,
        progress=run.progress,
    )


def compute_stability(run: Run) -> dict[str, Any]:
    """What resamples of the customers say of clusters, names and margins."""
    return by_group.stability(
        prepared_groups(run),
        run["features"],
        run["segments"],
        rules=run.rules["naming_rules"],
        parameters=run.parameters,
        progress=run.progress,
    )


def compute_anomaly_evidence(run: Run) -> dict[str, Any]:
    """What other settings, planted customers and their absence say of the flags."""
    groups, flagged = prepared_groups(run), run.stage("anomalies")
    return by_group.anomaly_evidence(
        groups,
        run["features"],
        run["segments"],
        run["tuning_dbscan"],
        run["dbscan_choice"],
        {kind: load_result(flagged, f"core_points_{kind}") for kind in groups},
        parameters=run.parameters,
        progress=run.progress,
    )


def compute_sensitivity(run: Run) -> dict[str, Any]:
    """What other reasonable settings would have said, cell by cell."""
    policy = run.parameters.returns
    tables: dict[str, pd.DataFrame] = {policy: run["features"]}
    if run.is_sampled:  # another policy would draw other customers
        return _sensitivity_of(run, tables)
    other = run.with_parameters(returns="net" if policy == "exclude" else "exclude")
    excluding = run if policy == "exclude" else other
    returned = excluding["ledger"].set_index("rule").at["returned", "rows"]
    if returned:
        tables[other.parameters.returns] = other["features"]
    return _sensitivity_of(run, tables)


def _sensitivity_of(run: Run, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return sensitivity.sensitivity(
        tables,
        run["segments"],
        run["chosen"],
        parameters=run.parameters,
        progress=run.progress,
    )


def compute_returns_choice(run: Run) -> dict[str, Any]:
    """Whom the other choice about returns would move."""
    if run["returned_lines"].empty:
        return returns_choice.no_choice("the source marks no line of a customer as a return")
    if run.is_sampled:
        return returns_choice.no_choice("all but a sample of the customers stay on the cluster")
    policy = run.parameters.returns
    changed: dict[str, Any] = {"returns": "net" if policy == "exclude" else "exclude"}
    if run.parameters.n_clusters != "auto":
        changed["k_max"] = 2  # other numbers of clusters are not looked at
    other = run.with_parameters(**changed)
    try:
        found = {policy: result_of(run), other.parameters.returns: result_of(other)}
    except SegmentationError as error:
        return returns_choice.no_choice(str(error).rstrip("."))
    return returns_choice.returns_choice(found["exclude"], found["net"])


def result_of(run: Run) -> RunResult:
    """What a comparison needs of a run."""
    model = load_model(run.stage("segments") / "model")
    return RunResult(run["customers"], model, run["overview"]["amount_scale"])


def compute_explanation(run: Run) -> dict[str, Any]:
    """Segments as rules on features, and how well rules and map agree with them."""
    return by_group.explanation(
        prepared_groups(run),
        run["features"],
        run["segments"],
        run["projection"],
        random_state=run.parameters.random_state,
    )


def compute_holdout(run: Run) -> dict[str, Any]:
    """What customers known at the cut did after it, by the segment they had then."""
    window = run["cut"]
    if window["reason"]:
        return holdout_stage.no_holdout(window["reason"])
    return holdout_stage.hold_out(
        run["cut_features"],
        run["followed"],
        model=load_model(run.stage("segments") / "model"),
        parameters=run.parameters,
        rules=run.rules["naming_rules"],
        cut=dt.date.fromisoformat(window["cut"]),
        last_day=dt.date.fromisoformat(window["last_day"]),
        progress=run.progress,
    )


def compute_trial(run: Run) -> dict[str, Any]:
    """Whether a read-out shows an effect where nobody was contacted."""
    if not run["holdout"]["possible"]:
        return {"holdout_aa": pd.DataFrame(columns=list(campaign_plan.AA_COLUMNS))}
    days = min(QUARTER_DAYS, run["holdout"]["days_after"])
    seed = run.parameters.random_state
    trial = campaign_plan.trial_without_campaign(run["holdout_today"], days=days, seed=seed)
    return {"holdout_aa": trial}


def compute_recommendations(run: Run) -> dict[str, Any]:
    """One play per segment with audience, money and break-even; the lists of a test."""
    table = recommend.recommend(
        run["customers"],
        gross_margin=run.parameters.gross_margin,
        contact_cost=run.parameters.contact_cost,
        responses=run["holdout_responses"],
        random_state=run.parameters.random_state,
        plays=run.rules["plays"]["plays"],
        naming_rules=run.rules["naming_rules"],
    )
    sizes = campaign.sizes_by_segment(table)
    table = limits_of_advice.add_limits(
        table, sizes, run["stability"], no_holdout=run["holdout"]["reason"]
    )
    arms = campaign_plan.arms_of_run(run["customers"], table, seed=run.parameters.random_state)
    return {
        "recommendations": table,
        "campaign_sizes": sizes,
        "campaign_arms": arms,
        "campaign_plan": campaign_plan.plan(arms, table),
    }
