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

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
gross_margin: float = 0.3  # Share of revenue left after the cost of goods; an assumption to replace.
contact_cost: float = 1.0  # Cost of contacting one customer once; an assumption to replace.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import numpy as np
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words
from segmentation.actions import campaign, campaign_plan
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import who_orders_anyway
from segmentation.customers import concentration
from segmentation.orders.customer_ids import perhaps_guests

run = open_run(globals())
words.banner(run["overview"], run["swap"])

# %% [markdown]
# ## What each segment brought
#
# Each segment gets the first play whose conditions its own figures meet. Who orders without any
# campaign, and what such an order is worth, is known from customers who were followed.

# %%
customers = run["customers"]
advice = segmentation.recommend(
    customers, gross_margin=gross_margin, contact_cost=contact_cost, currency=currency,
    responses=who_orders_anyway(run["holdout_responses"], run["order_anyway"]), random_state=random_state,
    plays=run.rules["plays"]["plays"], naming_rules=run.rules["naming_rules"],
)
sizes = campaign.sizes_by_segment(advice)
advice = add_limits(advice, sizes, run["stability"], no_holdout=run["holdout"]["reason"])

# %% mystnb={"figure": {"name": "fig-stakes", "caption": "Revenue of each segment in the window, and the play recommended."}, "image": {"alt": "Horizontal bars of revenue per segment, longest on top, each labelled with its play."}}
colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
plots.draw(
    sns.barplot, advice, x="revenue", y="segment", hue="segment", text="play", palette=colours,
    labels={"revenue": f"Revenue ({currency}, share of revenue)"}, currency=currency, of_groups=True,
)

# %%
Markdown(words.stakes_sentence(advice, currency=currency))

# %%
Markdown(words.break_even_sentence(advice, run["margins"], gross_margin=gross_margin, contact_cost=contact_cost, currency=currency))

# %% [markdown]
# ## What if margin, cost or budget were others?

# %%
words.what_if_sliders(advice, run["stability"], gross_margin=gross_margin, contact_cost=contact_cost, currency=currency)

# %% [markdown]
# ## Whom to call first

# %%
Markdown(words.call_first_sentence(run["call_first"], run["forecast_facts"], list(run["chosen"]), currency=currency))

# %% [markdown]
# ## Segment by segment

# %%
words.recommendation_cards(
    advice, currency=currency, customers=len(customers), cut=run["holdout"].get("cut", ""), colours=colours,
    gross_margin=gross_margin, margins=run["margins"],
)

# %% [markdown]
# ## Could a test show that it pays?
#
# A campaign is believed when a part of the segment is left alone and compared. Whether a segment
# has enough customers for that is known beforehand:

# %%
words.sample_size_table(sizes)

# %%
Markdown(words.sample_size_sentence(sizes, no_holdout=run["holdout"]["reason"]))

# %% [markdown]
# ## The two lists
#
# Both lists of every segment are in the run's folder, made from the seed before anybody is
# contacted. Customers are ranked by spend and divided in blocks of ten, so that both arms hold
# the same range. How to send them and how to read the answer is told step by step in
# {doc}`10_using_the_results`.

# %%
listed = customers[~customers["customer_id"].isin(perhaps_guests(run["line_findings"]))]
arms = campaign_plan.arms_of_run(listed, advice, seed=random_state)
words.plan_table(campaign_plan.plan(arms, advice))

# %% [markdown]
# ## A read-out without a campaign
#
# What does a read-out say when nothing was done? The customers of the hold-out's cut are divided
# by the same lot, nobody is contacted, and the orders after the cut are compared.

# %%
words.trial_table(run["holdout_aa"])

# %%
Markdown(words.trial_sentence(run["holdout_aa"], no_holdout=run["holdout"]["reason"]))

# %% [markdown]
# ## What hangs on few customers

# %%
shares = concentration.concentration(customers, random_state=random_state)
Markdown(words.few_sentence(shares, customers=len(customers)))

# %%
words.concentration_table(shares, customers=len(customers))

# %%
words.dependence_table(concentration.by_segment(customers))

# %% [markdown]
# Has it become more or less? In each quarter, the customers who spent in it:

# %%
quarters = concentration.over_time(run["quarters"], first_day=run["overview"]["first_order"], last_day=run["overview"]["as_of"])
quarters["observed"] = np.where(quarters["is_complete"], "whole quarter", "part of a quarter")

# %% mystnb={"figure": {"name": "fig-concentration-time", "caption": "Concentration of spend in every quarter, with 95% intervals; grey: not observed from end to end."}, "image": {"alt": "Two panels of dots, one dot per quarter with a vertical line for its interval: the Gini coefficient on the left, the share of the best tenth of customers on the right."}}
plots.draw(
    sns.scatterplot, quarters, x="quarter", y=["gini", "top_share"], hue="observed", palette=plots.KINDS,
    interval=True, nothing="No quarter has enough customers.", of_groups=True,
)

# %%
Markdown(words.concentration_trend(quarters))
