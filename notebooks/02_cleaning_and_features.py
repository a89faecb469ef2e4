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
returns: str = "exclude"  # exclude: sales only; net: returns reduce the customer's units and spend.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
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
