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

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
outliers: str = "none"  # winsor: pull values beyond the winsor quantiles in to them before scaling.
winsor_quantile: float = 0.99  # Upper quantile for winsorising; the lower one is 1 minus it.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
scaler: str = "standard"  # standard: mean 0, deviation 1; robust: median 0, interquartile range 1.
anomalies_in_fit: bool = True  # Anomalies take part in fitting the centres; all customers are assigned anyway.
dbscan_eps = "auto"  # Neighbourhood radius; auto: knee of the k-distance curve.
dbscan_min_samples = "auto"  # Customers (self included) that make a neighbourhood dense; auto: 2 x features.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Who is flagged
#
# DBSCAN looks at the same features as K-Means, each group of registration for itself; a late
# date alone is no oddity, so dates stay in days.

# %%
customers = run["customers"]
found = {}
for group, own in customers.groupby("segment_type"):
    scaled = segmentation.scale(
        own, features, transform=transform, scaler=scaler, outliers=outliers, winsor_quantile=winsor_quantile, for_flags=True
    )
    found[group] = segmentation.dbscan(scaled, eps=dbscan_eps, min_samples=dbscan_min_samples)
    customers.loc[own.index, "is_anomaly"] = found[group].is_noise
customers["kind"] = np.where(customers["is_anomaly"], "anomaly", "ordinary")

# %%
words.anomaly_reasons_table(customers, currency=currency)

# %% mystnb={"figure": {"name": "fig-anomalies", "caption": "Total spent by units bought, of flagged and of ordinary customers."}, "image": {"alt": "Scatter of customers; flagged ones have a marker of their own."}}
x, y = plots.pair_of_features(customers)  # units and money, where there are both
plots.draw(
    sns.scatterplot, customers, x=x, y=y, hue="kind", col="segment_type",
    palette=plots.UNUSUAL, currency=currency, height=4.0,
)

# %%
Markdown(words.anomaly_sentence(customers, currency=currency))

# %% [markdown]
# ## Are planted anomalies found?
#
# Customers made up to be odd should be flagged, and near copies of ordinary customers should
# not. Each is judged as the model judges a new customer.

# %%
words.planted_table(run["planted"])

# %% [markdown]
# ## What anomalies do to the segments

# %%
Markdown(
    words.effect_sentence(
        run["anomaly_effect"], run["anomaly_agreement"], list(run["chosen"]), in_fit=anomalies_in_fit,
        counts={kind: entry["anomalies"] for kind, entry in run["dbscan_choice"].items()},
    )
)

# %% [markdown]
# ## For analysts
#
# How the two settings were chosen, and what others would flag.

# %% [markdown]
# ### Radius and neighbourhood
#
# DBSCAN calls a place dense when enough customers (`min_samples`) lie within a radius (`eps`). A
# customer whom no dense place reaches is an anomaly. The curve sorts customers by the distance
# to their `min_samples`-th neighbour: flat for ordinary customers, steep for unusual ones.

# %%
choice = {group: fit.as_plain() for group, fit in found.items()}
curve = pd.concat([fit.curve.assign(segment_type=group) for group, fit in found.items()], ignore_index=True)
grid = pd.concat([fit.grid.assign(segment_type=group) for group, fit in found.items()], ignore_index=True)

# %% mystnb={"figure": {"name": "fig-k-distance", "caption": "Distance to the nearest neighbours, customers sorted; dashed line: the radius in use."}, "image": {"alt": "Rising curve of that distance, with a horizontal line at the radius in use."}}
plots.plot_k_distance(curve, choice=choice)

# %%
Markdown(words.anomaly_choice(choice))

# %% [markdown]
# ### How much the choice matters

# %% mystnb={"figure": {"name": "fig-dbscan-grid", "caption": "Share of customers flagged for settings around the one in use."}, "image": {"alt": "Heat map of radius by neighbourhood size with the flagged share printed in each cell and the chosen cell outlined."}}
plots.plot_dbscan_grid(grid, choice=choice)

# %%
Markdown(words.grid_sentence(grid, choice))

# %% [markdown]
# ### Would the same customers be flagged again?
#
# A good setting flags the same customers when a tenth of the others is left out. The number of
# dense groups says little: customers with as many orders may be one each, for a number of
# orders is whole.

# %% mystnb={"figure": {"name": "fig-dbscan-evidence", "caption": "Dense groups found, and share of those flagged with or without a random tenth of the customers who are flagged both times, for each setting."}, "image": {"alt": "Two heat maps of radius by neighbourhood size: number of dense groups, and share of flags that stay; the chosen cell is framed in both."}}
plots.plot_dbscan_evidence(run["dbscan_evidence"], choice=choice)

# %%
Markdown(words.dbscan_evidence_sentence(run["dbscan_evidence"], choice))
