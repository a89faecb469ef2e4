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
# # Business recommendations
#
# **Question.** What should be done about each segment, and what would it take to pay?
#
# **Reads** segments and their profile. **Decides** one play per segment, by rules on its own
# figures. **Can mislead when** the past window was unusual, or when the two cost assumptions are
# not the shop's own.

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

from segmentation.customers import concentration
from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"])

# %% [markdown]
# ## What each segment brought

# %% mystnb={"figure": {"name": "fig-stakes", "caption": "Revenue of each segment in the window, and the play recommended."}, "image": {"alt": "Horizontal bars of revenue per segment, longest on top, each labelled with its play."}} tags=["hide-input"]
plots.plot_stakes(run["recommendations"], currency=currency, colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.stakes_sentence(run["recommendations"], currency=currency))

# %% tags=["remove-input"]
Markdown(words.break_even_sentence(gross_margin=gross_margin, contact_cost=contact_cost, currency=currency))

# %% [markdown]
# ## What if margin, cost or budget were others?

# %% tags=["hide-input"]
words.what_if_sliders(run["recommendations"], run["stability"], gross_margin=gross_margin, contact_cost=contact_cost, currency=currency)

# %% [markdown]
# ## Segment by segment

# %% tags=["remove-input"]
words.recommendation_cards(run["recommendations"], currency=currency, customers=len(run["customers"]), cut=run["holdout"].get("cut", ""))

# %% [markdown]
# ## Could a test show that it pays?
#
# A campaign is believed when a part of the segment is left alone and compared. The command
# `segmentation campaign split` makes the two lists, `segmentation campaign readout` compares
# them afterwards. Whether a segment has enough customers for that is known beforehand:

# %% tags=["hide-input"]
words.sample_size_table(run["campaign_sizes"])

# %% tags=["remove-input"]
Markdown(words.sample_size_sentence(run["campaign_sizes"], no_holdout=run["holdout"]["reason"]))

# %% [markdown]
# ## The two lists
#
# Both lists of every segment are in the run's folder, made from the seed before anybody is
# contacted. Customers are ranked by spend and divided in blocks of ten, so that both arms hold
# the same range.

# %% tags=["hide-input"]
words.plan_table(run["campaign_plan"])

# %% [markdown]
# When the campaign is over, compare the lists with the orders that followed:
#
# ```bash
# segmentation campaign split runs/<run> --segment "<segment>" --output arms.csv
# segmentation campaign readout arms.csv orders.csv
# ```
#
# ## A read-out without a campaign
#
# What does a read-out say when nothing was done? The customers of the hold-out's cut are divided
# by the same lot, nobody is contacted, and the orders after the cut are compared.

# %% tags=["hide-input"]
words.trial_table(run["holdout_aa"])

# %% tags=["remove-input"]
Markdown(words.trial_sentence(run["holdout_aa"], no_holdout=run["holdout"]["reason"]))

# %% [markdown]
# ## What hangs on few customers

# %% tags=["hide-input"]
shares = concentration.concentration(run["customers"], random_state=random_state)
words.concentration_table(shares, customers=len(run["customers"]))

# %% tags=["hide-input"]
words.dependence_table(concentration.by_segment(run["customers"]))

# %% [markdown]
# Has it become more or less? In each quarter, the customers who spent in it:

# %% tags=["hide-input"]
quarters = concentration.over_time(run["quarters"], first_day=run["overview"]["first_order"], last_day=run["overview"]["as_of"])

# %% mystnb={"figure": {"name": "fig-concentration-time", "caption": "Concentration of spend in every quarter, with 95% intervals."}, "image": {"alt": "Two panels of dots joined by lines, one dot per quarter with a vertical line for its interval: the Gini coefficient on the left, the share of the best tenth of customers on the right."}} tags=["hide-input"]
plots.plot_concentration_over_time(quarters)

# %% tags=["remove-input"]
Markdown(words.concentration_trend(quarters))
