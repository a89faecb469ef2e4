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
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
gross_margin: float = 0.3  # Share of revenue left after the cost of goods; an assumption to replace.
contact_cost: float = 1.0  # Cost of contacting one customer once; an assumption to replace.
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
# ## Whom to call first

# %% tags=["remove-input"]
Markdown(words.call_first_sentence(run["call_first"], run["forecast_facts"], list(run["chosen"]), currency=currency))

# %% [markdown]
# ## Segment by segment

# %% tags=["remove-input"]
words.recommendation_cards(run["recommendations"], currency=currency, customers=len(run["customers"]), cut=run["holdout"].get("cut", ""), colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

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
Markdown(words.few_sentence(shares, customers=len(run["customers"])))

# %% tags=["hide-input"]
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
