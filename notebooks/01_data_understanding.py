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
# # Data understanding
#
# **Question.** What data is this report built on, and is it fit to build on?
#
# **Reads** the raw tables of the source. **Decides** nothing; it counts. **Can mislead when**
# a value is false but plausible: counting finds gaps, copies and contradictions, not lies.

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
# ## Revenue and customers over time
#
# Read the three panels together: revenue can hold while new customers stop coming, and then it
# is borrowed from the past.

# %% mystnb={"figure": {"name": "fig-monthly", "caption": "Revenue, orders and first-time customers per month; kept lines only."}, "image": {"alt": "Three stacked bar charts sharing a time axis of months: revenue, number of orders, number of new customers."}} tags=["hide-input"]
plots.plot_monthly(run["monthly"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.month_sentence(run["monthly"], currency=currency))

# %% [markdown]
# ## What the source holds

# %% tags=["remove-input", "answer"]
Markdown(words.overview_sentence(run["overview"], run["lines"], currency=currency))

# %% [markdown]
# Every raw column is read as text first and converted under the source's own rules, so no
# leading zero and no decimal is lost on the way in. A column with few distinct values is a
# category; one with as many as rows is an identifier.

# %% tags=["remove-input"]
words.column_table(run["raw_columns"])

# %% tags=["remove-input"]
Markdown(words.column_sentence(run["raw_columns"]))

# %% tags=["remove-input"]
words.Prose(words.reading_sentence(run["overview"]))

# %% [markdown]
# ## What is wrong with the data
#
# Every check only counts; what cleaning does about it stands in the next chapter. Checks of
# keys and joins read the raw tables, the others read the order lines.

# %% tags=["remove-input"]
words.findings_table(run["findings"], currency=currency)

# %% tags=["remove-input"]
Markdown(words.findings_sentence(run["findings"]))

# %% [markdown]
# ## Dates
#
# A date whose day is at most 12 can be read two ways. Where day and month were exchanged on
# the way in, late days stay where they are and early ones scatter over the calendar: months
# outside the true range then hold days 1 to 12 only.

# %% mystnb={"figure": {"name": "fig-calendar", "caption": "Lines on each day of the calendar, as found; where dates look exchanged, also after exchanging day and month."}, "image": {"alt": "Calendar heat map with a row per month and a column per day of the month; darker cells hold more lines. Where dates look exchanged, a second map beside it shows them after the repair."}} tags=["hide-input"]
plots.plot_calendar(run["days_found"], swap=run["swap"])

# %% tags=["remove-input"]
Markdown(words.swap_sentence(run["swap"], run["findings"], run["repair"]))

# %% tags=["remove-input"]
words.repair_table(run["repair"], currency=currency)

# %% tags=["remove-input"]
words.Prose(words.repair_sentence(run["repair"], date_repair=date_repair))

# %% tags=["remove-input"]
words.moves_table(run["group_moves"], currency=currency)

# %% tags=["remove-input"]
words.Prose(words.moves_sentence(run["group_moves"], run["repair"], currency=currency))

# %% [markdown]
# ## How raw tables become order lines
#
# One `SELECT` per source maps its raw tables to the agreed columns. It is shown as run.

# %% tags=["remove-input"]
Markdown(words.source_sql(run["sql"]))
