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
# # Segments
#
# **Question.** Who are the segments, and why are they called what they are called?
#
# **Reads** customers, clusters and flags. **Decides** the names, by rules on each cluster's
# profile. **Can mislead when** a name is read as more than its facts: it sums up averages.

# %% tags=["parameters", "hide-input"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, plots, words
from segmentation.segments import portraits

run = open_run(globals())
words.banner(run["overview"])

# %% [markdown]
# ## Size and revenue

# %% mystnb={"figure": {"name": "fig-shares", "caption": "Share of customers and share of revenue of each segment."}, "image": {"alt": "Paired horizontal bars for every segment: its share of customers and its share of revenue."}} tags=["hide-input"]
plots.plot_shares(run["profile"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.share_sentence(run["profile"], currency=currency))

# %% tags=["remove-input"]
words.profile_table(run["profile"], currency=currency)

# %% [markdown]
# ## Segment by segment
#
# Each card is about one segment: its size, its typical customer beside everyone else of the
# group, three journeys that are nobody's in particular, and how much of each cohort it holds.
# Later cohorts have had less time to come back and to spend, so a falling row of bars alone is
# no trend.

# %% tags=["hide-input"]
differences = portraits.differences(run["customers"])
journeys = portraits.journeys(run["customers"])
cohorts = portraits.cohort_shares(run["customers"], as_of=run["overview"]["as_of"])
words.segment_cards(run["profile"], differences, journeys, cohorts, run["facts"], run["stability"], currency=currency, colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% [markdown]
# ## What sets them apart

# %% mystnb={"figure": {"name": "fig-profile", "caption": "Median of each feature; colour: how far the segment's mean lies from the average of its group."}, "image": {"alt": "Grid with a row per segment and a column per feature, the median printed in each cell, coloured by distance from the group's average."}} tags=["hide-input"]
plots.plot_profile(run["profile"], names=features, currency=currency)

# %% tags=["remove-input"]
Markdown(words.profile_sentence(run["profile"], currency=currency))

# %% [markdown]
# ## What they buy

# %% tags=["remove-input"]
words.Prose(words.preferences_sentence(run["preferences"]))

# %% tags=["remove-input"]
words.preferences_table(run["preferences"])

# %% tags=["remove-input"]
words.Prose(words.margins_sentence(run["margins"], assumed=run.parameters.gross_margin, currency=currency))

# %% [markdown]
# ## Why these names
#
# A name is earned by figures. Each is listed with the facts behind it; a cluster that meets no
# rule is described by what sets it apart.

# %% tags=["remove-input"]
Markdown(words.facts_list(run["facts"], run["profile"], run.rules["naming_rules"], currency=currency))

# %% [markdown]
# ## Segments as rules
#
# A shallow decision tree says in words what K-Means did with distances. The rules are a
# translation: how faithful they are is measured, also on customers the tree did not see.

# %% tags=["remove-input"]
Markdown(words.rules_list(run["rules"], list(run["chosen"]), currency=currency))

# %% tags=["remove-input"]
Markdown(words.fidelity_sentence(run["fidelity"], run["separation"], list(run["chosen"])))

# %% [markdown]
# ## Spend by units

# %% mystnb={"figure": {"name": "fig-scatter", "caption": "Total spent by units bought, coloured by segment, one panel per registration group."}, "image": {"alt": "Scatter of customers on log axes with a colour and marker per segment; segments occupy different regions."}} tags=["hide-input"]
plots.plot_scatter(run["customers"], currency=currency, colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.scatter_sentence(run["customers"], run["profile"], currency=currency))

# %% [markdown]
# ## Map of all features
#
# Principal components squeeze all features into two directions. Arrows show where a feature
# grows.

# %% mystnb={"figure": {"name": "fig-projection", "caption": "Customers on the first two principal components, with the direction of each feature."}, "image": {"alt": "Scatter of customers coloured by segment with labelled arrows from the centre, one per feature."}} tags=["hide-input"]
plots.plot_projection(run["projection"], run["loadings"], run["explained"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.explained_sentence(run["explained"], run["loadings"]))

# %% tags=["remove-input"]
Markdown(words.map_sentence(run["map_agreement"], list(run["chosen"])))

# %% mystnb={"figure": {"name": "fig-explained", "caption": "Share of the differences that each principal component shows."}, "image": {"alt": "Bars of explained variance, one per component, falling from left to right, with cumulative labels."}} tags=["hide-input"]
plots.plot_explained(run["explained"])

# %% tags=["remove-input"]
Markdown(words.loading_sentence(run["loadings"]))

# %% [markdown]
# ## How certain each assignment is

# %% tags=["remove-input"]
Markdown(words.margin_sentence(run["customers"]))
