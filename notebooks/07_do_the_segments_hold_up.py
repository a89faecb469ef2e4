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

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
outliers: str = "none"  # winsor: pull values beyond the winsor quantiles in to them before scaling.
winsor_quantile: float = 0.99  # Upper quantile for winsorising; the lower one is 1 minus it.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
scaler: str = "standard"  # standard: mean 0, deviation 1; robust: median 0, interquartile range 1.
anomalies_in_fit: bool = True  # Anomalies take part in fitting the centres; all customers are assigned anyway.
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import numpy as np
import seaborn as sns
from IPython.display import Markdown

import segmentation
from segmentation import open_run, plots, words
from segmentation.core.limits import STABLE_JACCARD, UNSTABLE_JACCARD

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% tags=["answer"]
Markdown(words.in_short(
    stability=run["stability"], stability_whole=run["stability_whole"], starts=run["starts"], sensitivity=run["sensitivity"],
    chosen=run["chosen"], k_rule=run["k_rule"], k_evidence=run["k_evidence"], verdict=run["verdict"],
    holdout=run["holdout"], holdout_segments=run["holdout_segments"], holdout_rankings=run["holdout_rankings"], holdout_cuts=run["holdout_cuts"],
    forecast_calibration=run["forecast_calibration"], forecast_facts=run["forecast_facts"],
    days_unsure=run["days_unsure"], other_dates=run["other_dates"], other_dates_agreement=run["other_dates_agreement"],
))

# %% [markdown]
# ## Would other customers give the same segments?
#
# Customers are drawn again, with replacement, and segments made anew, a hundred times. The
# overlap (Jaccard index) says how much of a segment comes back: 1 = the same customers, below
# 0.6 the segment is called unstable.

# %%
customers = run["customers"]
stability = run["stability"].set_index(["segment_type", "cluster"])
for group in stability.index.unique("segment_type"):
    own = customers[customers["segment_type"] == group]
    scaled = segmentation.scale(own, features, transform=transform, scaler=scaler, outliers=outliers, winsor_quantile=winsor_quantile)
    given = run["chosen"][group]["asked"] == "own_labels"
    fitted = own.index if anomalies_in_fit or given else own.index[~own["is_anomaly"]]
    again = segmentation.stability(scaled.loc[fitted], own.loc[fitted, "cluster"], own_labels=given, random_state=random_state)
    stability.update(again.assign(segment_type=group).set_index(["segment_type", "cluster"]))
stability = stability.reset_index().sort_values(["segment_type", "cluster"], ascending=[True, False])

# %% mystnb={"figure": {"name": "fig-stability", "caption": "How whole each segment comes back when customers are drawn anew (bootstrap)."}, "image": {"alt": "One dot with a range per segment on a scale of overlap, with dashed lines at the limits for unstable and stable."}}
colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
plots.draw(
    sns.scatterplot, stability, x="jaccard", y="segment", hue="segment", palette=colours, interval=True,
    mark={"unstable below": UNSTABLE_JACCARD, "stable from here": STABLE_JACCARD},
    labels={"jaccard": "Mean overlap (Jaccard, 0 to 1) when drawn anew, line: 95% of times"}, nothing=plots.NOT_TESTED, of_groups=True,
)

# %%
Markdown(words.stability_sentence(stability, run["stability_whole"], list(run["chosen"]), run["days_unsure"]))

# %%
words.stability_table(stability)

# %%
Markdown(words.names_sentence(stability, list(run["chosen"])))

# %% [markdown]
# ## Would another random start?
#
# K-Means begins with random centres and can end in a poor solution. Fifty single starts show how
# often.

# %% mystnb={"figure": {"name": "fig-starts", "caption": "Share of customers that each single start would place in another segment."}, "image": {"alt": "Fifty points sorted by the share of customers placed elsewhere."}}
starts = run["starts"].sort_values("moved")
starts["place"] = starts.groupby("segment_type").cumcount() + 1
starts["customers"] = starts["segment_type"].map(customers["segment_type"].value_counts())
starts["ends"] = np.where(starts["reached_best"].astype(bool), "reaches the best", "ends worse")
plots.draw(
    sns.scatterplot, starts, x="place", y="moved", hue="ends", col="segment_type", palette=plots.KINDS,
    labels={"place": "Random starts, sorted", "moved": "Customers placed\nelsewhere (%)"},
    nothing=plots.NOT_TESTED, of_groups=True,
)

# %%
Markdown(words.starts_sentence(run["starts"], list(run["chosen"])))

# %% [markdown]
# ## Who changes segment?
#
# The margin of a customer claims to say how certain its segment is. If it does, customers with
# a low margin change segment more often when others are drawn.

# %% mystnb={"figure": {"name": "fig-margin-flips", "caption": "Share of resamples in which customers change segment, by margin."}, "image": {"alt": "Bars over bands of margin from 0 to 1: the share of resamples in which a customer changes segment, with error bars."}}
flips = run["margin_flips"]
flips["margin"] = (flips["margin_from"] + flips["margin_to"]) / 2
plots.draw(
    sns.barplot, flips, x="margin", y="flips", col="segment_type", interval=True, native_scale=True,
    labels={"margin": "Margin (0 = between two segments)", "flips": "Resamples in which\na customer moves (%)"},
    nothing=plots.NOT_TESTED, of_groups=True,
)

# %%
Markdown(words.flips_sentence(run["margin_flips"], list(run["chosen"])))

# %%
Markdown(words.margin_sentence(customers))

# %% [markdown]
# ## Would other reasonable settings?
#
# Nobody can prove that one transform or scaler is right. The panel fits the segments again for
# each of them, with and without anomalies, and for one segment more or less.

# %% mystnb={"figure": {"name": "fig-sensitivity", "caption": "Agreement of other settings with the segments in use."}, "image": {"alt": "Settings by number of clusters as a heat map with the adjusted Rand index in each cell; the setting in use is framed and has the value 1."}}
plots.plot_sensitivity(run["sensitivity"])

# %%
Markdown(words.sensitivity_sentence(run["sensitivity"], list(run["chosen"]), currency=currency))

# %% tags=["hide-output"]
words.sensitivity_table(run["sensitivity"], currency=currency)

# %%
words.Prose(words.other_dates_sentence(run["other_dates"], run["other_dates_agreement"]))

# %%
words.other_dates_table(run["other_dates"])

# %% [markdown]
# ## Do they say who buys again?
#
# The hardest test: make the segments from orders up to a cut only, then look at what the same
# customers did after it. A later line of goods that was given back whole counts as none.

# %% mystnb={"figure": {"name": "fig-holdout", "caption": "What each segment did after the cut, with 95% intervals."}, "image": {"alt": "Two rows of dots with intervals, one dot per segment: share of customers who bought again, and lift of later revenue."}}
followed = run["holdout_segments"].sort_values(["segment_type", "cluster"], ascending=[True, False])
followed = followed.head(0) if run["days_unsure"] else followed  # nobody knows then who was in which
plots.draw(
    sns.scatterplot, words.followed_told(followed), x=["share_again", "lift"], y="segment", hue="segment", palette=colours, interval=True, mark={"lift": 1},
    labels={"share_again": "Bought again after the cut (%)", "lift": "Lift: share of later revenue over\nshare of customers (1 = average)"},
    nothing="Who was in which segment at the cut is not known." if run["days_unsure"] else "No period after a cut: nothing to follow.", of_groups=True,
)

# %%
Markdown(words.as_they_stand(words.holdout_sentence(run["holdout"], followed, currency=currency), run["days_unsure"]))

# %%
words.holdout_table(followed, currency=currency)

# %% [markdown]
# ## Would a simple list have done as well?
#
# Sorting customers by past spend, by days since the last order or by an RFM score needs no
# segments. BG/NBD with Gamma-Gamma is a published model of buying. All choose the same number of
# customers at the same cut.

# %% mystnb={"figure": {"name": "fig-holdout-rankings", "caption": "Share of later revenue that a fifth of the customers brought, by the way they were chosen; lines: 95% intervals."}, "image": {"alt": "One dot with a 95% interval for each way of choosing a fifth of the customers, the best on top: its share of later revenue; a dashed line stands at a fifth, which choosing at random would bring."}}
rankings = run["holdout_rankings"]
fifth = rankings[rankings["customers_share"] == 0.2].sort_values("revenue_share", ascending=False)
plots.draw(
    sns.scatterplot, fifth, x="revenue_share", y="ranking", interval=True, mark={"at random": 0.2},
    labels={"revenue_share": "Share of later revenue (%)"},
    nothing="No period after a cut: nothing to follow.", of_groups=True,
)

# %%
Markdown(words.as_they_stand(words.ranking_sentence(run["holdout"], run["holdout_rankings"], run["stability"]), run["days_unsure"]))

# %%
words.ranking_table(run["holdout_rankings"])

# %%
Markdown(words.cuts_sentence(run["holdout_cuts"], run["no_history"]))

# %%
words.cuts_table(run["holdout_cuts"])

# %% [markdown]
# ## Does the forecast of each customer come true?
#
# Customers are sorted by the chance to order that was forecast at the end of an earlier quarter,
# and what they did next is counted.

# %% mystnb={"figure": {"name": "fig-calibration", "caption": "Forecast and observed share of customers who order, by tenths of the forecast."}, "image": {"alt": "Ten dots with intervals, observed share over forecast share, beside a dashed diagonal on which forecasts come true."}}
calibration = run["forecast_calibration"]
plots.draw(
    sns.scatterplot, calibration.drop(columns="customers").rename(columns={"low": "observed_low", "high": "observed_high"}),
    x="predicted", y="observed", interval=True, diagonal=True, s=40,
    labels={"predicted": "Forecast: customers who order (%)", "observed": "Observed (%)"},
    note=f"n = {calibration['customers'].sum():,} customers; each dot is a tenth of them",
    nothing="No earlier quarter to hold a forecast against.", of_groups=True,
)

# %%
Markdown(words.calibration_sentence(calibration, run["forecast_facts"]))

# %%
words.calibration_table(calibration)
