"""Every figure of the report: tables in, one closed matplotlib figure out.

A notebook calls one function per figure and lets the cell show it. No function changes its
table, decides anything or states a result; findings are sentences computed elsewhere.
"""

from segmentation.plots.data import (
    plot_categories,
    plot_cohorts,
    plot_concentration,
    plot_distributions,
    plot_ledger,
    plot_monthly,
    plot_outliers,
    plot_relationships,
)
from segmentation.plots.evidence import (
    plot_dbscan_grid,
    plot_explained,
    plot_k_distance,
    plot_k_scores,
    plot_projection,
    plot_silhouettes,
)
from segmentation.plots.palette import colours_of
from segmentation.plots.segments import (
    plot_anomalies,
    plot_profile,
    plot_scatter,
    plot_shares,
    plot_stakes,
)

__all__ = [
    "colours_of",
    "plot_anomalies",
    "plot_categories",
    "plot_cohorts",
    "plot_concentration",
    "plot_dbscan_grid",
    "plot_distributions",
    "plot_explained",
    "plot_k_distance",
    "plot_k_scores",
    "plot_ledger",
    "plot_monthly",
    "plot_outliers",
    "plot_profile",
    "plot_projection",
    "plot_relationships",
    "plot_scatter",
    "plot_shares",
    "plot_silhouettes",
    "plot_stakes",
]
