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

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
outliers: str = "none"  # winsor: pull values beyond the winsor quantiles in to them before scaling.
winsor_quantile: float = 0.99  # Upper quantile for winsorising; the lower one is 1 minus it.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
scaler: str = "standard"  # standard: mean 0, deviation 1; robust: median 0, interquartile range 1.
anomalies_in_fit: bool = True  # Anomalies take part in fitting the centres; all customers are assigned anyway.
n_init: int = 10  # Random starts per K-Means fit; the best is kept.
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words
from segmentation.actions.break_even import margin_used
from segmentation.segments import portraits

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %%
# Each group of registration is scaled and clustered for itself; one that is too small to divide stays
# one segment, and labels of one's own stay as they are. Names look at each cluster's own figures.
rules = run.rules["naming_rules"]
customers = run["customers"]
divided = {group: entry for group, entry in run["chosen"].items() if entry["k"] > 1 and entry["asked"] != "own_labels"}
for group, entry in divided.items():
    own = customers[customers["segment_type"] == group]
    scaled = segmentation.scale(own, features, transform=transform, scaler=scaler, outliers=outliers, winsor_quantile=winsor_quantile)
    model = segmentation.kmeans(
        scaled, entry["k"], numbered_by=own["total_spent"], left_out=None if anomalies_in_fit else own["is_anomaly"],
        n_init=n_init, random_state=random_state,
    )
    customers.loc[own.index, "cluster"] = model.labels_
    customers.loc[own.index, "segment"] = segmentation.name_segments(own, model.labels_, scaled, centers=model.cluster_centers_, rules=rules)

# %% [markdown]
# ## Size and revenue

# %%
profile = segmentation.profile_segments(customers, decimals=run["overview"]["amount_scale"])
colours = plots.colours_of(profile, rules)
words.profile_table(profile, currency=currency)

# %% mystnb={"figure": {"name": "fig-shares", "caption": "Share of customers and share of revenue of each segment."}, "image": {"alt": "Paired horizontal bars for every segment: its share of customers and its share of revenue."}}
plots.plot_shares(profile, colours=colours)

# %%
Markdown(words.share_sentence(profile, currency=currency))

# %%
words.Prose(words.early_group_sentence(run["repair"], run["findings"], list(run["chosen"])))

# %% [markdown]
# ## Segment by segment
#
# Each card is about one segment: its size, its typical customer beside everyone else of the
# group, three journeys that are nobody's in particular, and, where days of orders are sure, how
# much of each cohort it holds.
# Later cohorts have had less time to come back and to spend, so a falling row of bars alone is
# no trend.

# %%
differences = portraits.differences(customers)
journeys = portraits.journeys(customers)
cohorts = portraits.cohort_shares(customers, as_of=None if run["days_unsure"] else run["overview"]["as_of"])
words.segment_cards(
    profile, differences, journeys, cohorts, run["facts"], run["stability"], currency=currency, colours=colours,
    other_dates=run["other_dates"],
)

# %% [markdown]
# ## What sets them apart

# %% mystnb={"figure": {"name": "fig-profile", "caption": "Median of each feature; colour: how far the segment's mean lies from the average of its group."}, "image": {"alt": "Grid with a row per segment and a column per feature, the median printed in each cell, coloured by distance from the group's average."}}
plots.plot_profile(profile, names=features, currency=currency)

# %%
Markdown(words.profile_sentence(profile, currency=currency))

# %% [markdown]
# ## What they buy

# %%
words.Prose(words.preferences_sentence(run["preferences"], run["days_unsure"]))

# %%
words.preferences_table(run["preferences"])

# %%
margin = margin_used(run.parameters.gross_margin, run["margins"])
words.Prose(words.margins_sentence(run["margins"], assumed=margin, currency=currency))

# %% [markdown]
# ## Why these names
#
# A name is earned by figures. Each is listed with the facts behind it; a cluster that meets no
# rule is described by what sets it apart. A rule is about averages; *true of* counts customers: of
# a value tier those who spend more than the median customer of the tier below and less than that
# of the tier above, of other names those on the named side of the group's average or median.

# %%
Markdown(words.facts_list(run["facts"], profile, rules, currency=currency))

# %% [markdown]
# ## Segments as rules
#
# A shallow decision tree says in words what K-Means did with distances. The rules are a
# translation: how faithful they are is measured, also on customers the tree did not see.

# %%
Markdown(words.rules_list(run["rules"], list(run["chosen"]), currency=currency))

# %%
Markdown(words.fidelity_sentence(run["fidelity"], run["separation"], list(run["chosen"]), run["days_unsure"]))

# %% [markdown]
# ## How certain each assignment is

# %%
Markdown(words.margin_sentence(customers))

# %% [markdown]
# ## For analysts
#
# How the split looks among the features. No decision needs it.

# %% [markdown]
# ### Spend by units

# %% mystnb={"figure": {"name": "fig-scatter", "caption": "Total spent by units bought, coloured by segment."}, "image": {"alt": "Scatter of customers with a colour and marker per segment."}}
x, y = plots.pair_of_features(customers)  # units and money, where there are both
plots.draw(
    sns.scatterplot, customers, x=x, y=y, hue="segment", col="segment_type",
    palette=colours, currency=currency, height=4.0,
)

# %%
Markdown(words.scatter_sentence(customers, profile, currency=currency))

# %% [markdown]
# ### Map of all features
#
# Principal components squeeze all features into two directions. Arrows show where a feature
# grows.

# %% mystnb={"figure": {"name": "fig-projection", "caption": "Customers on the first two principal components, with the direction of each feature."}, "image": {"alt": "Scatter of customers coloured by segment with labelled arrows from the centre, one per feature."}}
plots.plot_projection(run["projection"], run["loadings"], run["explained"], colours=colours)

# %%
Markdown(words.explained_sentence(run["explained"], run["loadings"]))

# %%
Markdown(words.map_sentence(run["map_agreement"], list(run["chosen"])))

# %% mystnb={"figure": {"name": "fig-explained", "caption": "Share of the differences that each principal component shows."}, "image": {"alt": "Bars of explained variance, one per component, falling from left to right, with cumulative labels."}}
plots.plot_explained(run["explained"])

# %%
Markdown(words.loading_sentence(run["loadings"]))
