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

# %% tags=["parameters", "hide-input"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"])

# %% [markdown]
# ## Is there anything to find?
#
# K-Means splits anything, also one shapeless cloud. So each number of segments must pass three
# tests. The *gap* must rise above that of one segment: customers are tighter than evenly spread
# points. The *silhouette* must exceed what cutting up one cloud gives. And two *halves* of the
# customers, clustered apart, must divide everybody alike.

# %% mystnb={"figure": {"name": "fig-k-evidence", "caption": "Three tests of every number of clusters; dashed vertical line: the number in use."}, "image": {"alt": "Three small line charts over the number of clusters: the gap with error bars, the silhouette above a dashed line for one cloud, and the agreement of two halves with ranges and a dashed line that it must reach."}} tags=["hide-input"]
plots.plot_k_evidence(run["k_evidence"], chosen={kind: entry["k"] for kind, entry in run["chosen"].items()})

# %% tags=["remove-input"]
Markdown(words.k_choice(run["k_evidence"], run["k_rule"], run["chosen"]))

# %% [markdown]
# ## Classic scores
#
# Inertia always falls with more segments, so only its bend says anything; the other three can
# be compared across k. Silhouette compares each customer's distance to its own segment with the
# next one, from -1 (misplaced) to 1 (far from all others).

# %% mystnb={"figure": {"name": "fig-k-scores", "caption": "Four scores for each number of segments; dashed line: the number in use."}, "image": {"alt": "Four small line charts over the number of segments: inertia, silhouette, Calinski-Harabasz and Davies-Bouldin, each with a dashed vertical line at the number in use."}} tags=["hide-input"]
plots.plot_k_scores(run["tuning_k"], chosen={kind: entry["k"] for kind, entry in run["chosen"].items()})

# %% tags=["remove-input"]
Markdown(words.scores_sentence(run["k_evidence"], run["chosen"]))

# %% tags=["remove-input"]
words.k_table(run["k_evidence"])

# %% [markdown]
# ## Customer by customer
#
# The average hides who is badly placed. Each band below is one segment, each line in it one
# customer; a band that tapers below zero holds customers who sit nearer to another segment.

# %% mystnb={"figure": {"name": "fig-silhouettes", "caption": "Silhouette of every customer, by segment; dashed line: the mean."}, "image": {"alt": "One horizontal band per segment made of customers sorted by silhouette, with a dashed vertical line at the overall mean."}} tags=["hide-input"]
plots.plot_silhouettes(run["silhouettes"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.silhouette_sentence(run["silhouettes"], run["scan"]))
