"""Every figure of the report: tables in, one closed matplotlib figure out.

A notebook calls one function per figure and lets the cell show it. No function changes its
table, decides anything or states a result; findings are sentences computed elsewhere.
"""

from segmentation.book.plots.changes import (
    plot_alluvial,
    plot_drift,
    plot_movement,
    plot_retention,
)
from segmentation.book.plots.data import (
    plot_cohorts,
    plot_concentration,
    plot_correlation,
    plot_monthly,
)
from segmentation.book.plots.dates import plot_calendar
from segmentation.book.plots.drawn import KINDS, UNUSUAL, draw
from segmentation.book.plots.evidence import (
    plot_dbscan_grid,
    plot_explained,
    plot_k_distance,
    plot_projection,
    plot_silhouettes,
)
from segmentation.book.plots.proof import (
    NOT_TESTED,
    plot_dbscan_evidence,
    plot_k_evidence,
    plot_sensitivity,
)
from segmentation.book.plots.segments import (
    pair_of_features,
    plot_profile,
    plot_shares,
)
from segmentation.segments.colours import colours_of

__all__ = [
    "KINDS",
    "NOT_TESTED",
    "UNUSUAL",
    "colours_of",
    "draw",
    "pair_of_features",
    "plot_alluvial",
    "plot_calendar",
    "plot_cohorts",
    "plot_concentration",
    "plot_correlation",
    "plot_dbscan_evidence",
    "plot_dbscan_grid",
    "plot_drift",
    "plot_explained",
    "plot_k_distance",
    "plot_k_evidence",
    "plot_monthly",
    "plot_movement",
    "plot_profile",
    "plot_projection",
    "plot_retention",
    "plot_sensitivity",
    "plot_shares",
    "plot_silhouettes",
]
