"""What speaks for the segments: number, stability, sensitivity, prediction, explanation."""

from segmentation.evidence.agreement import agreement_interval, agreement_of
from segmentation.evidence.choose_k import AUTO_K_RANGE, Choice, choose_k, split_half_agreement
from segmentation.evidence.explain import Explanation, explain
from segmentation.evidence.gap import gap_statistic, silhouette_without_structure
from segmentation.evidence.holdout import HoldoutTables, follow
from segmentation.evidence.intervals import wilson
from segmentation.evidence.k_scores import (
    EXACT_SILHOUETTE_CUSTOMERS,
    SAMPLED_SILHOUETTE_CUSTOMERS,
    TUNING_COLUMNS,
    KScores,
    score_fits,
    silhouette_interval,
    silhouettes,
)
from segmentation.evidence.projection import Projection, map_agreement, project
from segmentation.evidence.resampling import matched
from segmentation.evidence.stability import (
    name_stability,
    resample_stability,
    seed_sensitivity,
    stability_word,
)

__all__ = [
    "AUTO_K_RANGE",
    "EXACT_SILHOUETTE_CUSTOMERS",
    "SAMPLED_SILHOUETTE_CUSTOMERS",
    "TUNING_COLUMNS",
    "Choice",
    "Explanation",
    "HoldoutTables",
    "KScores",
    "Projection",
    "agreement_interval",
    "agreement_of",
    "choose_k",
    "explain",
    "follow",
    "gap_statistic",
    "map_agreement",
    "matched",
    "name_stability",
    "project",
    "resample_stability",
    "score_fits",
    "seed_sensitivity",
    "silhouette_interval",
    "silhouette_without_structure",
    "silhouettes",
    "split_half_agreement",
    "stability_word",
    "wilson",
]
