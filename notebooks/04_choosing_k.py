# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Choosing the number of segments
#
# **Question.** Are there kinds of customers at all, and how many do the data speak for?
#
# **Reads** the prepared customers. **Decides** nothing when the profile fixes `n_clusters`; with
# `auto`, the number of segments, which may be one. **Can mislead when** groups are long or of
# very different density: K-Means and all its scores prefer round groups.

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
outliers: str = "none"  # winsor: pull values beyond the winsor quantiles in to them before scaling.
winsor_quantile: float = 0.99  # Upper quantile for winsorising; the lower one is 1 minus it.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
scaler: str = "standard"  # standard: mean 0, deviation 1; robust: median 0, interquartile range 1.
n_clusters = 3  # Clusters per group; auto: by gap, separation and agreement, among 2 to 8 or none.
k_max: int = 10  # Largest number of clusters that the tuning chapter scans.
n_init: int = 10  # Random starts per K-Means fit; the best is kept.
random_state: int = 42  # Seed of every random choice.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import pandas as pd
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Customers on one scale
#
# K-Means compares customers by distance. So features first get one shape and one unit, each
# group of registration for itself: 0 is then an ordinary customer, and 1 a usual difference.

# %%
scaled = {
    group: segmentation.scale(
        customers, features, transform=transform, scaler=scaler, outliers=outliers, winsor_quantile=winsor_quantile
    )
    for group, customers in run["features"].groupby("segment_type")
}

# %% tags=["hide-output"]
spread = pd.concat(scaled, names=["group"]).groupby("group").quantile([0.05, 0.25, 0.5, 0.75, 0.95])
spread.map("{:.2f}".format).replace("nan", "–")

# %% [markdown]
# ## Is there anything to find?
#
# K-Means splits anything, also one shapeless cloud. So each number of segments must pass three
# tests. The *gap* must rise above that of one segment: customers are tighter than evenly spread
# points. The *silhouette* must exceed what cutting up one cloud gives. And two *halves* of the
# customers, clustered apart, must divide everybody alike.

# %%
k_values = range(2, (run.scan_to if n_clusters == "auto" else k_max) + 1)  # auto looks as far as its rule does
scores = pd.concat(
    [
        segmentation.score_k(customers, k_values, n_init=n_init, random_state=random_state).assign(segment_type=group)
        for group, customers in scaled.items()
    ],
    ignore_index=True,
)
words.k_table(scores)

# %% mystnb={"figure": {"name": "fig-k-evidence", "caption": "Three tests of every number of clusters; dashed vertical line: the number in use."}, "image": {"alt": "Three small line charts over the number of clusters: the gap with error bars, the silhouette above a dashed line for one cloud, and the agreement of two halves with ranges and a dashed line that it must reach."}}
chosen = {group: entry["k"] for group, entry in run["chosen"].items()}
plots.plot_k_evidence(scores, chosen=chosen)

# %%
rule = {group: segmentation.choose_k(own).as_plain() for group, own in scores.groupby("segment_type")}
Markdown(words.k_choice(scores, rule, run["chosen"]))

# %% [markdown]
# ## Classic scores
#
# Inertia always falls with more segments, so only its bend says anything; the other three can
# be compared across k. Silhouette compares each customer's distance to its own segment with the
# next one, from -1 (misplaced) to 1 (far from all others).

# %% mystnb={"figure": {"name": "fig-k-scores", "caption": "Four scores for each number of segments; dashed line: the number in use."}, "image": {"alt": "Four small line charts over the number of segments: inertia, silhouette, Calinski-Harabasz and Davies-Bouldin, each with a dashed vertical line at the number in use."}}
classic = ["inertia", "silhouette", "calinski_harabasz", "davies_bouldin"]
plots.draw(sns.lineplot, scores[scores["k"] > 1], x="k", y=classic, hue="segment_type", mark=chosen, of_groups=True)

# %%
Markdown(words.scores_sentence(scores, run["chosen"]))

# %% [markdown]
# ## Customer by customer
#
# The average hides who is badly placed. Each band below is one segment, each line in it one
# customer; below zero, a customer is on average more like the customers of another segment.

# %% mystnb={"figure": {"name": "fig-silhouettes", "caption": "Silhouette of every customer, by segment; dashed line: the mean."}, "image": {"alt": "One horizontal band per segment made of customers sorted by silhouette, with a dashed vertical line at the overall mean."}}
plots.plot_silhouettes(run["silhouettes"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %%
Markdown(words.silhouette_sentence(run["silhouettes"], run["scan"]))
