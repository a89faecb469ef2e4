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
date_repair: str = "off"  # swap_day_month: exchange day and month of order dates whose day is at most 12.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Revenue and customers over time
#
# Read the three panels together: revenue can hold while new customers stop coming, and then it
# is borrowed from the past.

# %% mystnb={"figure": {"name": "fig-monthly", "caption": "Revenue, orders and first-time customers per month; kept lines only."}, "image": {"alt": "Three stacked bar charts sharing a time axis of months: revenue, number of orders, number of new customers."}} tags=["hide-input"]
true_months = words.true_months(run["overview"], run["swap"])
plots.plot_monthly(run["monthly"], currency=currency, true_months=true_months)

# %% tags=["remove-input"]
Markdown(words.month_sentence(run["monthly"], run["lines"], currency=currency, true_months=true_months))

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

# %% mystnb={"figure": {"name": "fig-calendar", "caption": "Lines on each day of the calendar."}, "image": {"alt": "Calendar heat map with a row per month and a column per day of the month; darker cells hold more lines."}} tags=["hide-input"]
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
