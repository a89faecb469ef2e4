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
