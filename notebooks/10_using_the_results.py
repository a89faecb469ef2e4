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
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.
run_folder: str = "<run>"  # Name of this run's folder among them; a report says it.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, words
from segmentation.actions.campaign import another_currency
from segmentation.actions.next_steps import with_calls

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% tags=["answer", "remove-input"]
dates_hold = not words.left_exchanged(run["overview"], run["swap"])
Markdown(words.results_sentence(run["customers"], run["campaign_plan"], run["call_first"], dates_hold=dates_hold))

# %% [markdown]
# ## What the run leaves behind
#
# Customer ids are in the files only; no page of this book shows one.

# %% tags=["remove-input"]
words.files_table(run_folder)

# %% [markdown]
# ## One campaign, from list to answer
#
# Contacts are the shop's own file: they go into the file for the platform, and never into the
# run, its cache or this book.

# %% tags=["remove-input"]
Markdown(words.campaign_steps(
    run["campaign_plan"], run_folder, is_told=not another_currency(run["recommendations"]),
    dates_hold=dates_hold,
    calls=with_calls(run["recommendations"], run["campaign_arms"], run["call_first"], run["call_first_facts"]),
))

# %% [markdown]
# ## Assigning new customers

# %% tags=["remove-input"]
Markdown(words.scoring_example(features, run_folder))

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
Markdown(words.api_examples(run["customers"], features, run_folder))

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
