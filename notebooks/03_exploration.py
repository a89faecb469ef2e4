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
# # Exploration
#
# **Question.** How do customers differ before any model groups them?
#
# **Reads** customers and kept lines. **Decides** nothing; it shows what a grouping will have
# to work with. **Can mislead when** a window is short: a customer who came late had less time
# to buy.

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
transform: str = "log"  # Shape before scaling; log is sign(x) * ln(1 + |x|).
random_state: int = 42  # Seed of every random choice.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import seaborn as sns
from IPython.display import Markdown

from segmentation import open_run, plots, words
from segmentation.core.limits import FAR_OUT
from segmentation.customers import concentration

run = open_run(globals())
customers = run["features"]
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Concentration

# %% mystnb={"figure": {"name": "fig-concentration", "caption": "Cumulative share of revenue, customers ranked from the highest spender."}, "image": {"alt": "Rising curve above a straight diagonal, with marked points at the top 1, 5, 10 and 20 percent of customers."}}
plots.plot_concentration(customers)

# %%
shares = concentration.concentration(customers, random_state=random_state)
Markdown(words.concentration_sentence(customers, shares))

# %% [markdown]
# ## Spending patterns

# %% mystnb={"figure": {"name": "fig-distributions", "caption": "How many customers have which value of each feature in the model; the line marks the median."}, "image": {"alt": "Small histograms, one per feature, each with a vertical line at the median."}}
plots.draw(sns.histplot, customers, x=features, currency=currency)

# %%
Markdown(words.skew_sentence(customers, names=features, transform=transform))

# %% [markdown]
# ## Outliers

# %% mystnb={"figure": {"name": "fig-outliers", "caption": "Spread of each feature with customers far out as points."}, "image": {"alt": "One box per feature with its middle half, and single points for customers far out."}}
plots.draw(
    sns.boxplot, customers, x=features, whis=FAR_OUT, currency=currency,
    note="Box: middle half and median. Points: customers further from it than three times its width.",
)

# %%
Markdown(words.outlier_sentence(customers, names=features, currency=currency))

# %% [markdown]
# ## Relationships
#
# Rank correlation (Spearman) is used because it asks only whether two features rise together,
# not whether they do so on a straight line.

# %% mystnb={"figure": {"name": "fig-relationships", "caption": "Rank correlation of every pair of features."}, "image": {"alt": "Triangular grid of coloured cells, one per pair of features, with the correlation printed in each."}}
correlation = customers[features].astype(float).corr(method="spearman")
plots.plot_correlation(correlation, note=f"n = {len(customers):,} customers")

# %%
Markdown(words.relationship_sentence(customers, names=features))

# %% [markdown]
# ## Cohorts

# %% mystnb={"figure": {"name": "fig-cohorts", "caption": "Share of each month's new customers who ordered again so many months later."}, "image": {"alt": "Heat map with a row per month of first order and a column per month since; darker cells mean more customers ordered again."}}
plots.plot_cohorts(run["cohorts"], days_unsure=run["days_unsure"])

# %%
Markdown(words.cohort_sentence(run["cohorts"], last_day=run["overview"]["as_of"], days_unsure=run["days_unsure"]))

# %% [markdown]
# ## Categories

# %% mystnb={"figure": {"name": "fig-categories", "caption": "Up to ten values, the largest by revenue, of each dimension that the source has."}, "image": {"alt": "Horizontal bar charts, one per dimension, longest bar on top."}}
kinds = run["categories"].sort_values(["dimension", "revenue"], ascending=[True, False])
kinds["revenue_share"] = kinds["revenue"] / kinds.groupby("dimension")["revenue"].transform("sum")
kinds["kind"] = kinds["dimension"].str.replace("_", " ").str.capitalize()
plots.draw(
    sns.barplot, kinds.groupby("kind").head(10), x="revenue", y="value", col="kind", currency=currency,
    labels={"revenue": f"Revenue ({currency}, share of all revenue of which it is known)"},
    nothing="This source names no category, payment method or country to chart.", of_groups=True,
)

# %%
Markdown(words.category_sentence(run["categories"], currency=currency))
