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
location: str = "data/raw_data/cdnow"  # Folder, file or database (mysql://host:port/database) of the raw tables.
tables: dict = {}  # How files of a table are read, where that is not to be told from them.
columns: dict = {}  # Columns that the raw tables call otherwise than the SELECT does.
engine: str = "duckdb"  # What runs the SQL: duckdb on files, mysql in the database at location, spark.
fit_on: str = "all"  # Customers to fit on; a number (engine spark): the others stay on the cluster.
cluster_output: str = "run"  # Where Spark writes customers who stay: run (the run's folder) or storage.
time_zone: str = "UTC"  # The shop's zone: a point in time with a zone counts to its day there.
as_of = "auto"  # Last day of observation; auto: date of the last valid order.
returns: str = "exclude"  # exclude: sales only; net: returns reduce the customer's units and spend.
zero_amount: str = "keep"  # Lines with an amount of zero; reported either way.
duplicates: str = "keep"  # Exact copies of a line; reported either way.
non_product: str = "keep"  # Lines that are not products (postage, fees), where the source marks them.
date_repair: str = "off"  # swap_day_month: exchange day and month of order dates whose day is at most 12.
guest_ids = "auto"  # Ids that stand for many people: their lines have no customer; auto: by name.
id_cleaning = "auto"  # auto: undo what programs add to ids; match: zeros, capitals, blanks too.
own_features: str = "none"  # A SELECT with features of your own: one row per customer, numeric columns.
feature_labels: dict = {}  # Label, unit and format of each feature of your own.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
split_pre_register: bool = True  # Model customers whose first order precedes registration apart.
outliers: str = "none"  # winsor: pull values beyond the winsor quantiles in to them before scaling.
winsor_quantile: float = 0.99  # Upper quantile for winsorising; the lower one is 1 minus it.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
scaler: str = "standard"  # standard: mean 0, deviation 1; robust: median 0, interquartile range 1.
anomalies_in_fit: bool = True  # Anomalies take part in fitting the centres; all customers are assigned anyway.
n_clusters = 3  # Clusters per group; auto: by gap, separation and agreement, among 2 to 8 or none.
k_max: int = 10  # Largest number of clusters that the tuning chapter scans.
n_init: int = 10  # Random starts per K-Means fit; the best is kept.
random_state: int = 42  # Seed of every random choice.
dbscan_eps = "auto"  # Neighbourhood radius; auto: knee of the k-distance curve.
dbscan_min_samples = "auto"  # Customers (self included) that make a neighbourhood dense; auto: 2 x features.
calibration_end = "auto"  # Cut of the hold-out proof; auto: middle of the observation window.
outcome_days: int = 90  # Days ahead that the forecast of each customer looks.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
gross_margin: float = 0.3  # Share of revenue left after the cost of goods; an assumption to replace.
contact_cost: float = 1.0  # Cost of contacting one customer once; an assumption to replace.
naming_rules: str = "shipped"  # Rules that name segments: the shipped ones, or a YAML file like them.
plays: str = "shipped"  # What to do about segments: the shipped plays, or a YAML file like them.
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
