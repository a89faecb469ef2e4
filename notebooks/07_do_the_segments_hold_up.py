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
# # Do the segments hold up?
#
# **Question.** Are the segments real enough to build on: would other customers, another start or
# another reasonable setting give the same ones, and do they say anything about what comes next?
#
# **Reads** customers, segments and the orders after a cut. **Decides** nothing; it says how far
# to believe the rest. **Can mislead when** the whole window is unlike the time to come: what is
# stable in it may still change.

# %% tags=["parameters", "hide-input"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]
from IPython.display import Markdown

from segmentation import open_run, plots, words

run = open_run(globals())
words.banner(run["overview"])

# %% tags=["remove-input", "answer"]
Markdown(words.trust_sentence(run["stability"], run["stability_whole"], run["chosen"], run["k_rule"], run["k_evidence"], run["holdout"], run["holdout_rankings"], run["verdict"]))

# %% [markdown]
# ## Would other customers give the same segments?
#
# Customers are drawn again, with replacement, and segments made anew, a hundred times. The
# Jaccard index says how much of a segment comes back: 1 = the same customers, below 0.6 the
# segment is called unstable.

# %% mystnb={"figure": {"name": "fig-stability", "caption": "How whole each segment comes back on bootstrap resamples."}, "image": {"alt": "One dot with a range per segment on a scale of Jaccard similarity, with dashed lines at the limits for unstable and stable."}} tags=["hide-input"]
plots.plot_stability(run["stability"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.stability_sentence(run["stability"], run["stability_whole"], list(run["chosen"])))

# %% tags=["remove-input"]
words.stability_table(run["stability"])

# %% tags=["remove-input"]
Markdown(words.names_sentence(run["stability"], list(run["chosen"])))

# %% [markdown]
# ## Would another random start?
#
# K-Means begins with random centres and can end in a poor solution. Fifty single starts show how
# often.

# %% mystnb={"figure": {"name": "fig-starts", "caption": "Share of customers that each single start would place in another segment."}, "image": {"alt": "Fifty points sorted by the share of customers placed elsewhere; dots reach the best solution, crosses do not."}} tags=["hide-input"]
plots.plot_starts(run["starts"])

# %% tags=["remove-input"]
Markdown(words.starts_sentence(run["starts"], list(run["chosen"])))

# %% [markdown]
# ## Who changes segment?
#
# The margin of a customer claims to say how certain its segment is. If it does, customers with
# a low margin change segment more often when others are drawn.

# %% mystnb={"figure": {"name": "fig-margin-flips", "caption": "Share of resamples in which customers change segment, by margin."}, "image": {"alt": "Bars over bands of margin from 0 to 1: the share of resamples in which a customer changes segment, with error bars."}} tags=["hide-input"]
plots.plot_margin_flips(run["margin_flips"])

# %% tags=["remove-input"]
Markdown(words.flips_sentence(run["margin_flips"], list(run["chosen"])))

# %% tags=["remove-input"]
Markdown(words.margin_sentence(run["customers"]))

# %% [markdown]
# ## Would other reasonable settings?
#
# Nobody can prove that one transform or scaler is right. The panel fits the segments again for
# each of them, with and without anomalies, and for one segment more or less.

# %% mystnb={"figure": {"name": "fig-sensitivity", "caption": "Agreement of other settings with the segments in use."}, "image": {"alt": "Heat map of settings by number of clusters with the adjusted Rand index in each cell; the setting in use is framed and has the value 1."}} tags=["hide-input"]
plots.plot_sensitivity(run["sensitivity"])

# %% tags=["remove-input"]
Markdown(words.sensitivity_sentence(run["sensitivity"], list(run["chosen"]), currency=currency))

# %% tags=["hide-output", "remove-input"]
words.sensitivity_table(run["sensitivity"], currency=currency)

# %% [markdown]
# ## Do they say who buys again?
#
# The hardest test: make the segments from orders up to a cut only, then look at what the same
# customers did after it.

# %% mystnb={"figure": {"name": "fig-holdout", "caption": "What each segment did after the cut, with 95% intervals."}, "image": {"alt": "Two rows of dots with intervals, one dot per segment: share of customers who bought again, and lift of later revenue."}} tags=["hide-input"]
plots.plot_holdout(run["holdout_segments"], colours=plots.colours_of(run["profile"], run.rules["naming_rules"]))

# %% tags=["remove-input"]
Markdown(words.holdout_sentence(run["holdout"], run["holdout_segments"], currency=currency))

# %% tags=["remove-input"]
words.holdout_table(run["holdout_segments"], currency=currency)

# %% [markdown]
# ## Would a simple list have done as well?
#
# Sorting customers by past spend, by days since the last order or by an RFM score needs no
# segments. BG/NBD with Gamma-Gamma is a published model of buying. All choose the same number of
# customers at the same cut.

# %% mystnb={"figure": {"name": "fig-holdout-curve", "caption": "Share of later revenue caught by choosing customers in different ways."}, "image": {"alt": "Curves from the lower left to the upper right, one per way of choosing customers, above a dashed diagonal for choosing by lot; the bolder line is the segments."}} tags=["hide-input"]
plots.plot_holdout_curve(run["holdout_curve"])

# %% tags=["remove-input"]
Markdown(words.ranking_sentence(run["holdout"], run["holdout_rankings"], run["stability"]))

# %% tags=["remove-input"]
words.ranking_table(run["holdout_rankings"])

# %% tags=["remove-input"]
Markdown(words.cuts_sentence(run["holdout_cuts"]))

# %% tags=["remove-input"]
words.cuts_table(run["holdout_cuts"])

# %% [markdown]
# ## Does the forecast of each customer come true?
#
# Customers are sorted by the chance to order that was forecast at the end of an earlier quarter,
# and what they did next is counted.

# %% mystnb={"figure": {"name": "fig-calibration", "caption": "Forecast and observed share of customers who order, by tenths of the forecast."}, "image": {"alt": "Ten dots with intervals, observed share over forecast share, beside a dashed diagonal on which forecasts come true."}} tags=["hide-input"]
plots.plot_calibration(run["forecast_calibration"])

# %% tags=["remove-input"]
Markdown(words.calibration_sentence(run["forecast_calibration"], run["forecast_facts"]))

# %% tags=["remove-input"]
words.calibration_table(run["forecast_calibration"])

# %% [markdown]
# ## In short

# %% tags=["remove-input"]
Markdown(words.evidence_summary(run["stability"], run["stability_whole"], run["holdout"], run["holdout_rankings"], list(run["chosen"])))
