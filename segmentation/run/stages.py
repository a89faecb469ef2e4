"""The whole method in order: what each stage does, what decides it and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segmentation.run import model_stages, order_stages

if TYPE_CHECKING:
    from segmentation.run.run import Run


PREPARATION = (
    *("features", "split_pre_register", "outliers", "winsor_quantile"),
    *("transform", "scaler"),
)
FITTING = ("n_init", "random_state")
FLAGGING = ("dbscan_eps", "dbscan_min_samples")
"""Parameters that decide together: what prepares, what fits centres, what flags."""


@dataclass(frozen=True)
class Stage:
    """One step of the method.

    ``uses`` are the parameters that decide it, ``needs`` the stages before it, ``gives``
    its results by name.
    """

    name: str
    does: str
    uses: tuple[str, ...]
    needs: tuple[str, ...]
    gives: tuple[str, ...]
    compute: Callable[[Run], dict[str, Any]]


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "orders",
            "reads the source, cleans it, accounts for every line and computes features",
            (
                "engine",
                "fit_on",
                "time_zone",
                "as_of",
                "returns",
                "zero_amount",
                "duplicates",
                "non_product",
                "date_repair",
            ),
            (),
            (
                "customer_features",
                "ledger",
                "line_findings",
                "order_days",
                "registration_days",
                "returned_lines",
                "special_lines",
                "raw_columns",
                "lines",
                "monthly",
                "cohorts",
                "quarters",
                "categories",
                "sql",
                "overview",
            ),
            order_stages.compute_orders,
        ),
        Stage(
            "findings",
            "says what is wrong with the data",
            ("date_repair",),
            ("orders",),
            ("findings", "swap", "days_found", "repair", "group_moves"),
            order_stages.compute_findings,
        ),
        Stage(
            "cut",
            "reads what customers had done by a cut and what they did after it",
            ("calibration_end",),
            ("orders",),
            ("cut_features", "followed", "cut"),
            order_stages.compute_cut,
        ),
        Stage(
            "prepared",
            "splits groups and puts features on one scale",
            PREPARATION,
            ("orders",),
            ("features", "groups"),
            order_stages.compute_prepared,
        ),
        Stage(
            "tuning",
            "fits and scores every number of clusters",
            FITTING,
            ("prepared",),
            ("tuning_k", "scan"),
            model_stages.compute_tuning,
        ),
        Stage(
            "structure",
            "asks whether there are clusters at all, and how many",
            ("random_state",),
            ("tuning",),
            ("k_evidence", "k_rule"),
            model_stages.compute_structure,
        ),
        Stage(
            "anomalies",
            "flags customers whom no dense neighbourhood reaches",
            FLAGGING,
            ("prepared",),
            ("tuning_dbscan", "k_distance", "dbscan_choice"),
            model_stages.compute_anomalies,
        ),
        Stage(
            "segments",
            "assigns and names segments and builds the model",
            (
                "n_clusters",
                *FITTING,
                "features",
                "naming_rules",
                "anomalies_in_fit",
            ),
            ("tuning", "anomalies"),
            (
                "segments",
                "customers",
                "profile",
                "facts",
                "silhouettes",
                "projection",
                "loadings",
                "explained",
                "chosen",
            ),
            model_stages.compute_segments,
        ),
        Stage(
            "stability",
            "clusters resamples of the customers again",
            ("random_state", "anomalies_in_fit"),
            ("segments",),
            ("stability", "stability_whole", "margin_flips", "starts"),
            model_stages.compute_stability,
        ),
        Stage(
            "anomaly_evidence",
            "tries the anomaly flags",
            ("n_clusters", *FITTING, "anomalies_in_fit"),
            ("segments",),
            ("dbscan_evidence", "planted", "anomaly_effect", "anomaly_agreement"),
            model_stages.compute_anomaly_evidence,
        ),
        Stage(
            "sensitivity",
            "fits other reasonable settings",
            (
                "returns",
                *PREPARATION,
                *FITTING,
                *FLAGGING,
                "anomalies_in_fit",
            ),
            ("segments",),
            ("sensitivity",),
            model_stages.compute_sensitivity,
        ),
        Stage(
            "returns_choice",
            "fits again under the other choice about returns",
            ("returns",),
            ("segments",),
            ("returns_choice", "returns_migration", "returns_movers"),
            model_stages.compute_returns_choice,
        ),
        Stage(
            "explanation",
            "puts segments into rules",
            ("random_state",),
            ("segments",),
            ("rules", "separation", "fidelity", "map_agreement"),
            model_stages.compute_explanation,
        ),
        Stage(
            "holdout",
            "follows customers after a cut",
            (
                *PREPARATION,
                "n_clusters",
                *FITTING,
                "naming_rules",
                *FLAGGING,
                "anomalies_in_fit",
            ),
            ("cut", "segments"),
            (
                "holdout_segments",
                "holdout_rankings",
                "holdout_curve",
                "holdout_responses",
                "holdout_today",
                "holdout",
            ),
            model_stages.compute_holdout,
        ),
        Stage(
            "trial",
            "reads out a campaign that never was",
            ("random_state",),
            ("holdout",),
            ("holdout_aa",),
            model_stages.compute_trial,
        ),
        Stage(
            "recommendations",
            "says what to do about each segment, with its break-even",
            ("gross_margin", "contact_cost", "random_state", "naming_rules", "plays"),
            ("segments", "stability", "holdout"),
            ("recommendations", "campaign_sizes", "campaign_arms", "campaign_plan"),
            model_stages.compute_recommendations,
        ),
    )
}
