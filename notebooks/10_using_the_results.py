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
# # Using the results
#
# **Question.** Where are the results, how does a campaign use them, and how are new customers
# assigned?
#
# **Reads** the run. **Decides** nothing. **Can mislead when** an old model is used on a changed
# shop: refit when customers no longer look like those it was fitted on.

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

from segmentation import open_run, words

run = open_run(globals())
words.banner(run["overview"])

# %% [markdown]
# ## What the run leaves behind
#
# Customer ids are in the files only; no page of this book shows one.

# %% tags=["remove-input"]
words.files_table(run["overview"]["source"])

# %% [markdown]
# ## One campaign, from list to read-out
#
# Contacts are the shop's own file: they go into the file for the platform, and never into the
# run, its cache or this book.

# %% tags=["remove-input"]
Markdown(words.campaign_steps(run["campaign_plan"], run["overview"]["source"]))

# %% [markdown]
# ## Assigning new customers

# %% tags=["remove-input"]
Markdown(words.scoring_example(features, run["overview"]["source"]))

# %% [markdown]
# In Python, the model is three lines:
#
# ```python
# from pathlib import Path
# from segmentation import load_model
#
# segments = load_model(Path("runs/<run>/model")).assign(customers)
# ```
#
# The same model answers over HTTP, to any language. {doc}`../book/explorer` needs no server at all.

# %% tags=["remove-input"]
Markdown(words.api_examples(run["customers"], features, run["overview"]["source"]))

# %% [markdown]
# ## Telling other programs
#
# `segmentation summary runs/<run> --format slack` is this run as a message (also `text`, `json`),
# `segmentation contract runs/<run>` the data contract of its tables (Open Data Contract Standard),
# and `openlineage.json` in its folder says what the tables were made of.
#
# ## Segments in your database
#
# `publish` writes the segments of a run into MySQL or MariaDB as one table, with `run_id` and
# `as_of`. The table appears whole or not at all, and one that `publish` did not make is refused.
#
# ```bash
# segmentation publish runs/<run> --mysql customer_segments --location mysql://host:3306/shop
# ```

# %% [markdown]
# ## Reading a row
#
# `margin` near 1 means the customer is typical of its segment; near 0 means the next segment is
# almost as near. `is_anomaly` and `anomaly_reasons` say whether, and why, the customer is unlike
# all others. Ids are text: in a spreadsheet, do not let them be turned into numbers.

# %% tags=["remove-input"]
Markdown(words.margin_sentence(run["customers"]))

# %% [markdown]
# ## Rerunning
#
# Every parameter and its value in this run:

# %% tags=["remove-input"]
words.parameters_table(run.parameters_table())
