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
# # Anomalies
#
# **Question.** Which customers are so unlike all others that an average would not describe
# them?
#
# **Reads** the prepared customers. **Decides** who is flagged. **Can mislead when** a small but
# real kind of customer is rare enough to look like noise: a flag is a reason to look, not a
# verdict.

# %% tags=["parameters", "hide-input"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
anomalies_in_fit: bool = True  # Anomalies take part in fitting the centres; all customers are assigned anyway.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"])

# %% [markdown]
# ## Who is flagged

# %% mystnb={"figure": {"name": "fig-anomalies", "caption": "Total spent by units bought; flagged customers stand out."}, "image": {"alt": "Scatter of customers on log axes, ordinary ones grey, flagged ones in colour with another marker."}} tags=["hide-input"]
plots.plot_anomalies(run["customers"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.anomaly_sentence(run["customers"], currency=currency))

# %% tags=["remove-input"]
words.anomaly_reasons_table(run["customers"], currency=currency)

# %% [markdown]
# ## Radius and neighbourhood
#
# DBSCAN calls a place dense when enough customers (`min_samples`) lie within a radius (`eps`). A
# customer whom no dense place reaches is an anomaly. The curve sorts customers by the distance
# to their `min_samples`-th neighbour: flat for ordinary customers, steep for unusual ones.

# %% mystnb={"figure": {"name": "fig-k-distance", "caption": "Distance to the nearest neighbours, customers sorted; dashed line: the radius in use."}, "image": {"alt": "Curve per group that is flat for most customers and rises steeply at the right end, with a horizontal line at the radius in use."}} tags=["hide-input"]
plots.plot_k_distance(run["k_distance"], choice=run["dbscan_choice"])

# %% tags=["remove-input"]
Markdown(words.anomaly_choice(run["dbscan_choice"]))

# %% [markdown]
# ## How much the choice matters

# %% mystnb={"figure": {"name": "fig-dbscan-grid", "caption": "Share of customers flagged for settings around the one in use."}, "image": {"alt": "Heat map of radius by neighbourhood size with the flagged share printed in each cell and the chosen cell outlined."}} tags=["hide-input"]
plots.plot_dbscan_grid(run["tuning_dbscan"], choice=run["dbscan_choice"])

# %% tags=["remove-input"]
Markdown(words.grid_sentence(run["tuning_dbscan"], run["dbscan_choice"]))

# %% [markdown]
# ## Would the same customers be flagged again?
#
# A good setting flags the same customers when a tenth of the others is left out. The number of
# dense groups says little: customers with as many orders may be one each, for a number of
# orders is whole.

# %% mystnb={"figure": {"name": "fig-dbscan-evidence", "caption": "Dense groups found, and share of flags that stay without a random tenth of the customers, for each setting."}, "image": {"alt": "Two heat maps of radius by neighbourhood size: number of dense groups, which falls as the radius grows, and share of flags that stay; the chosen cell is framed in both."}} tags=["hide-input"]
plots.plot_dbscan_evidence(run["dbscan_evidence"], choice=run["dbscan_choice"])

# %% tags=["remove-input"]
Markdown(words.dbscan_evidence_sentence(run["dbscan_evidence"], run["dbscan_choice"]))

# %% [markdown]
# ## Are planted anomalies found?
#
# Customers made up to be odd should be flagged, and near copies of ordinary customers should
# not. Each is judged as the model judges a new customer.

# %% tags=["remove-input"]
words.planted_table(run["planted"])

# %% [markdown]
# ## What anomalies do to the segments

# %% tags=["remove-input"]
Markdown(words.effect_sentence(run["anomaly_effect"], run["anomaly_agreement"], list(run["chosen"]), in_fit=anomalies_in_fit))
