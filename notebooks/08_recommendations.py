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
# **Reads** segments and their profile. **Decides** one action per segment, by rules on its own
# figures. **Can mislead when** the time observed was unusual, or when what is assumed of margin and
# costs is not so.

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
gross_margin = "auto"  # Share of revenue left after the cost of goods; auto: by costs in the source, else 0.3, an assumption to replace.
contact_cost: float = 1.0  # Cost of contacting one customer once; an assumption to replace.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import numpy as np
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words
from segmentation.actions import break_even, campaign, campaign_plan, next_steps, slipping
from segmentation.actions.limits_of_advice import add_limits
from segmentation.actions.recommend import who_orders_anyway
from segmentation.customers import concentration
from segmentation.orders.customer_ids import perhaps_guests

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Segment by segment
#
# Each segment gets the first action whose conditions its own figures meet. Who orders without any
# campaign, and what such an order is worth, is told by how customers ordered before.

# %%
customers = run["customers"]
margin = break_even.margin_used(gross_margin, run["margins"])
advice = segmentation.recommend(
    customers, gross_margin=margin, contact_cost=contact_cost, currency=currency,
    responses=who_orders_anyway(run["holdout_responses"], run["order_anyway"]), random_state=random_state,
    plays=run.rules["plays"]["plays"], naming_rules=run.rules["naming_rules"],
)
sizes = campaign.sizes_by_segment(advice)
advice = add_limits(advice, sizes, run["stability"], no_holdout=run["holdout"]["unfollowed"])
dates_hold = not words.left_exchanged(run["overview"], run["swap"])

# %% mystnb={"figure": {"name": "fig-stakes", "caption": "Revenue of each segment in the time observed, and what to do."}, "image": {"alt": "Horizontal bars of revenue per segment, longest on top, each labelled with what to do."}}
colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
plots.draw(
    sns.barplot, advice, x="revenue", y="segment", hue="segment", text="play", palette=colours,
    labels={"revenue": f"Revenue ({currency}, share of revenue)"}, currency=currency, of_groups=True,
)

# %%
Markdown(words.stakes_sentence(advice, overview=words.true_period(run["overview"], run["swap"]), currency=currency))

# %%
Markdown(words.break_even_sentence(advice, run["margins"], gross_margin=margin, contact_cost=contact_cost, currency=currency))

# %%
Markdown(f"{words.first_round_sentence(advice)} {words.season_sentence(run['retention']['as_of'], run['overview']['as_of'])}")

# %%
words.Prose(words.early_group_sentence(run["repair"], run["findings"], list(run["chosen"])))

# %%
listed = customers[~customers["customer_id"].isin(perhaps_guests(run["line_findings"]))]
arms = campaign_plan.arms_of_run(listed, advice, seed=random_state)
plan = campaign_plan.plan(arms, advice)
words.recommendation_cards(
    advice, plan, currency=currency, overview=words.true_period(run["overview"], run["swap"]), cut=run["holdout"].get("cut", ""),
    colours=colours, gross_margin=margin, margins=run["margins"], dates_hold=dates_hold,
)

# %% [markdown]
# ## Could a test show that it pays?
#
# A campaign is believed when part of the segment is left alone and compared. Whether a segment
# has enough customers for that is known beforehand:

# %%
words.sample_size_table(sizes)

# %%
Markdown(words.sample_size_sentence(sizes, no_holdout=run["holdout"]["unfollowed"]))

# %% [markdown]
# ## What if margin, cost or budget were others?

# %%
words.what_if_sliders(
    advice, run["stability"], listed, seed=random_state,
    gross_margin=margin, contact_cost=contact_cost, currency=currency,
)

# %% [markdown]
# ## Who slipped

# %%
slipped = slipping.most_slipped(
    run["slipping"], run["slipped_before"], run["campaign_arms"], advice, contact_cost=contact_cost,
)
Markdown(words.slipped_sentence(
    slipped, run["movement"], kinds=list(run["chosen"]), currency=currency, is_told=not campaign.another_currency(advice),
    dates_hold=dates_hold, no_history=run["no_history"],
))

# %% [markdown]
# ## Whom to call first

# %%
Markdown(words.call_first_sentence(
    run["call_first"], run["call_first_facts"], run["forecast_facts"], list(run["chosen"]), currency=currency,
    dates_hold=dates_hold, calibration=run["forecast_calibration"],
    campaigns=next_steps.with_calls(advice, run["campaign_arms"], run["call_first"], run["call_first_facts"]),
))

# %% [markdown]
# ## The two lists
#
# Whom to contact and whom to leave alone is chosen at random before anybody is contacted, ten
# customers of like spend at a time; how alike both halves came out, the table says. Both lists are
# in the run's folder; {doc}`10_using_the_results` tells step by step how to send them and read the
# answer.

# %%
words.plan_table(plan, contact_cost=contact_cost, currency=currency, is_told=not campaign.another_currency(advice))

# %%
Markdown(words.plan_sentence(plan))

# %% [markdown]
# ## The same comparison without a campaign
#
# What does the comparison say when nothing was done? Customers of an earlier day are divided at
# random in the same way, both halves are left alike, and what they ordered is compared.

# %%
words.trial_table(run["holdout_aa"])

# %%
Markdown(words.trial_sentence(run["holdout_aa"], no_holdout=run["holdout"]["unfollowed"]))

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
quarters = run["quarters"].head(0) if run["days_unsure"] else run["quarters"]  # none while days are unsure
quarters = concentration.over_time(quarters, first_day=run["overview"]["first_order"], last_day=run["overview"]["as_of"])
quarters["observed"] = np.where(quarters["is_complete"], "whole quarter", "part of a quarter")

# %% mystnb={"figure": {"name": "fig-concentration-time", "caption": "Concentration of spend in every quarter, with 95% intervals."}, "image": {"alt": "Two panels of dots, one dot per quarter with a vertical line for its interval: the Gini coefficient on the left, the share of the largest 10% of customers on the right."}}
plots.draw(
    sns.scatterplot, quarters, x="quarter", y=["gini", "top_share"], hue="observed", palette=plots.KINDS,
    interval=True, nothing="Quarters are not told apart." if run["days_unsure"] else "No quarter has enough customers.", of_groups=True,
)

# %%
Markdown(words.concentration_trend(quarters, run["days_unsure"]))
