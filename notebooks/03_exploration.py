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
# # Exploration
#
# **Question.** How do customers differ before any model groups them?
#
# **Reads** customers and kept lines. **Decides** nothing; it shows what a grouping will have
# to work with. **Can mislead when** a window is short: a customer who came late had less time
# to buy.

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
# ## Concentration

# %% mystnb={"figure": {"name": "fig-concentration", "caption": "Cumulative share of revenue, customers ranked from the highest spender."}, "image": {"alt": "Rising curve above a straight diagonal, with marked points at the top 1, 5, 10 and 20 percent of customers."}} tags=["hide-input"]
plots.plot_concentration(run["features"])

# %% tags=["remove-input"]
Markdown(words.concentration_sentence(run["features"]))

# %% [markdown]
# ## Spending patterns

# %% mystnb={"figure": {"name": "fig-distributions", "caption": "How many customers have which value of each feature in the model; the line marks the median."}, "image": {"alt": "Small histograms, one per feature; skewed features use bins on a log scale, and a vertical line marks the median."}} tags=["hide-input"]
plots.plot_distributions(run["features"], currency=currency, names=features)

# %% tags=["remove-input"]
Markdown(words.skew_sentence(run["features"], names=features, transform=transform))

# %% [markdown]
# ## Outliers

# %% mystnb={"figure": {"name": "fig-outliers", "caption": "Spread of each feature with customers beyond the far-out fence as points."}, "image": {"alt": "One box per feature with its middle half, and single points for customers beyond the far-out fence."}} tags=["hide-input"]
plots.plot_outliers(run["features"], currency=currency, names=features)

# %% tags=["remove-input"]
Markdown(words.outlier_sentence(run["features"], names=features, currency=currency))

# %% [markdown]
# ## Relationships
#
# Rank correlation (Spearman) is used because it asks only whether two features rise together,
# not whether they do so on a straight line.

# %% mystnb={"figure": {"name": "fig-relationships", "caption": "Rank correlation of every pair of features."}, "image": {"alt": "Triangular grid of coloured cells, one per pair of features, with the correlation printed in each."}} tags=["hide-input"]
plots.plot_relationships(run["features"], names=features)

# %% tags=["remove-input"]
Markdown(words.relationship_sentence(run["features"], names=features))

# %% [markdown]
# ## Cohorts

# %% mystnb={"figure": {"name": "fig-cohorts", "caption": "Share of each month's new customers who ordered again so many months later."}, "image": {"alt": "Heat map with a row per month of first order and a column per month since; darker cells mean more customers ordered again."}} tags=["hide-input"]
plots.plot_cohorts(run["cohorts"])

# %% tags=["remove-input"]
Markdown(words.cohort_sentence(run["cohorts"]))

# %% [markdown]
# ## Categories

# %% mystnb={"figure": {"name": "fig-categories", "caption": "Ten largest values by revenue of each dimension that the source has."}, "image": {"alt": "Horizontal bar charts, one per dimension, longest bar on top."}} tags=["hide-input"]
plots.plot_categories(run["categories"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.category_sentence(run["categories"], currency=currency))
