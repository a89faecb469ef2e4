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
# # Cleaning and features
#
# **Question.** Which order lines count, where did the others go, and what is known of each
# customer?
#
# **Reads** the order lines. **Decides** which lines are kept, and every customer's features.
# **Can mislead when** the source's own validity flag is wrong: an order it calls invalid is
# believed to be so.

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
# ## Ledger
#
# Rules never delete: a line is set aside under the first rule that it meets and stays in the
# ledger, so rows and money always add up.

# %% tags=["remove-input"]
words.ledger_table(run["ledger"])

# %% mystnb={"figure": {"name": "fig-ledger", "caption": "Lines and money set aside by each rule."}, "image": {"alt": "Two horizontal bar charts, one bar per cleaning rule that met any line: lines set aside, and the money on them."}} tags=["hide-input"]
plots.plot_ledger(run["ledger"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.ledger_sentence(run["ledger"], currency=currency))

# %% [markdown]
# ## Lines that are no ordinary sale
#
# Lines that nobody can be named for, goods that came back, orders that the source itself does
# not count, postage and fees: each is counted here whichever rule it met first.

# %% tags=["remove-input"]
words.special_lines_table(run["special_lines"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.special_lines_sentence(run["special_lines"], currency=currency))

# %% tags=["remove-input"]
Markdown(words.returns_sentence(run["returned_lines"], policy=returns, currency=currency))

# %% [markdown]
# ## Whom the choice about returns moves
#
# Returns can be set aside or deducted. Neither is right for every question: set aside, a
# customer who sends everything back looks like one who kept it.

# %% tags=["remove-input"]
Markdown(
    words.returns_choice_sentence(run["returns_choice"], policy=returns, currency=currency)
)

# %% tags=["remove-input"]
words.returns_migration_table(run["returns_migration"], currency=currency)

# %% tags=["remove-input"]
words.returns_movers_table(run["returns_movers"], currency=currency)

# %% [markdown]
# ## Features
#
# One row per customer, computed from kept lines up to the last day of observation.

# %% tags=["remove-input"]
words.feature_table(run["features"], currency=currency, names=features)

# %% [markdown]
# ## Registration groups

# %% tags=["remove-input"]
Markdown(words.group_sentence(run["features"], currency=currency))

# %% tags=["remove-input"]
words.Prose(words.precision_sentence(run["features"], run["findings"]))

# %% [markdown]
# ## The queries
#
# Cleaning, then features, as run.

# %% tags=["remove-input"]
Markdown(words.cleaning_sql(run["sql"]))

# %% tags=["remove-input"]
Markdown(words.features_sql(run["sql"]))
