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
# # What changed
#
# **Question.** Who fell, who rose and who comes back from quarter to quarter, and does the
# earlier model still describe the customers?
#
# **Reads** customers as they stood at each quarter's end, by today's borders, and segments and
# models of two runs. **Decides** whom to turn to first, and whether to refit. **Can mislead
# when** the runs differ in more than time: then a change of method looks like a change of
# customers.

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

from segmentation import open_changes, open_run, plots, words

run = open_run(globals())
changes = open_changes(run)
found = changes.comparison
words.banner(run["overview"])

# %% mystnb={"figure": {"name": "fig-quarters", "caption": "Customers of each segment at every quarter's end, by today's borders; a band is the customers who were in both, in the colour of where they come from. What of a bar has no band before it is new."}, "image": {"alt": "Stacked bars, one per quarter's end, the segment of the highest value on top, joined by bands of the customers who stayed, rose or fell."}} tags=["hide-input"]
colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
plots.plot_movement(run["movement"], colours=colours)

# %% tags=["remove-input"]
words.Prose(words.movement_sentence(run["movement"], run["slipping"], names=list(colours), currency=currency))

# %% [markdown]
# ## Who comes back
#
# Customers of each segment at a quarter's end, and how many of them ordered in the quarter that
# followed. Quarters differ by season: compare one with the same one a year before, where the
# data go back so far.

# %% mystnb={"figure": {"name": "fig-retention", "caption": "Share of each segment's customers at a quarter's end who ordered in the next quarter; points of fewer than 30 customers are left out."}, "image": {"alt": "One line per segment over the quarters' ends, with its last share and n at its end."}} tags=["hide-input"]
plots.plot_retention(run["retention"], colours=colours)

# %% tags=["remove-input"]
words.Prose(words.retention_sentence(run["retention"], names=list(colours)))

# %% [markdown]
# ## Against an earlier report

# %% tags=["remove-input"]
words.Prose(words.compared_sentence(changes))

# %% [markdown]
# Segments are recognised by the profile of their customers, never by number or name. A
# customer **moved** when the earlier model, too, now gives another segment; where only the
# later run draws the border of a segment elsewhere, the customer is counted as **redrawn**.

# %% mystnb={"figure": {"name": "fig-movement", "caption": "Customers of each segment in the earlier run, left, and where they are in the later run, right."}, "image": {"alt": "Bands of customers flowing from blocks of earlier segments on the left to blocks of later segments on the right; most of a block usually flows straight across."}} tags=["hide-input"]
plots.plot_alluvial(found and found.migration, colours=colours)

# %% tags=["remove-input"]
words.Prose(words.changes_sentence(found, currency=currency))

# %% tags=["remove-input"]
words.migration_table(found, currency=currency)

# %% [markdown]
# ## Are they still the same segments?

# %% tags=["remove-input"]
words.matching_table(found)

# %% [markdown]
# ## Drift
#
# The population stability index compares a feature's distribution in both runs, cut at the
# deciles of the earlier one.

# %% mystnb={"figure": {"name": "fig-drift", "caption": "Population stability index of each feature, largest first; blue: the model uses the feature."}, "image": {"alt": "Horizontal bars, one per feature, longest on top, each with its index and whether the feature is stable, shifting or shifted."}} tags=["hide-input"]
plots.plot_drift(found and found.drift)

# %% tags=["remove-input"]
words.Prose(words.refit_sentence(found))

# %% tags=["remove-input"]
words.drift_table(found, currency=currency)
